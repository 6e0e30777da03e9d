"""Key groups: files of the real sops that several groups share, and groups made by hand."""

import itertools
import json
import random
from collections.abc import Sequence

import pytest

from reconciler.pysops import DecryptionError, MacMismatch, NoIdentity, TamperedValue, load, metadata
from tests.pysops.handmade import DATA_KEY, VALUES, groups_of, handmade, identities_of, sops_reads, stanza, we_read
from tests.pysops.secret_sharing import split
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsTool


DATED = '"created_at": "2024-01-02T03:04:05Z"'
ELSEWHERE = {
    "pgp": f'{{"fp": "85D77543B3D624B63CEA9E6DBC17301B491B3F21", "enc": "x", {DATED}}}',
    "kms": f'{{"arn": "arn:aws:kms:eu-central-1:1:key/x", "enc": "x", {DATED}}}',
    "hc_vault": f'{{"vault_address": "http://127.0.0.1:1", "engine_path": "e", "key_name": "k", "enc": "x", {DATED}}}',
}
"""Keys that no identity opens."""


def shared(sops: SopsTool, groups: Sequence[Sequence[AgeKey]], threshold: int | None) -> bytes:
    """Encrypt `VALUES` for groups of keys."""
    rule: dict[str, object] = {"key_groups": [{"age": [key.recipient for key in group]} for group in groups]}
    if threshold is not None:
        rule["shamir_threshold"] = threshold
    config = json.dumps({"creation_rules": [rule]}).encode()
    return sops.encrypt_by_config(json.dumps(VALUES).encode(), config)


def keys(count: int) -> list[AgeKey]:
    """Make keys."""
    return [AgeKey.generate() for _ in range(count)]


def parts_of(secret: bytes, count: int, threshold: int) -> list[bytes]:
    """Split a secret, always in the same way."""
    return split(secret, count, threshold, random.Random(7))  # noqa: S311  # a test


@pytest.mark.parametrize(
    ("count", "threshold"),
    [
        pytest.param(2, 2, id="2 of 2"),
        pytest.param(3, 2, id="2 of 3"),
        pytest.param(5, 3, id="3 of 5"),
        pytest.param(3, None, id="all of 3, as nothing else is said"),
    ],
)
def test_enough_groups_open_a_file(count: int, threshold: int | None, sops: SopsTool) -> None:
    """Every choice of keys opens it or not, here as in sops."""
    owners = keys(count)
    file = shared(sops, [[owner] for owner in owners], threshold)
    assert metadata(file).shamir_threshold == (threshold or count)
    for taken in range(1, count + 1):
        for chosen in itertools.combinations(owners, taken):
            assert we_read(file, *chosen) is (taken >= (threshold or count))
    assert sops_reads(sops, file, *owners[-(threshold or count) :])
    assert not sops_reads(sops, file, *owners[: (threshold or count) - 1])


def test_one_key_of_a_group_opens_it(sops: SopsTool) -> None:
    """Several recipients of a group stand for one part."""
    first, second, third = keys(2), keys(3), keys(1)
    file = shared(sops, [first, second, third], 2)
    assert all(we_read(file, one, other) for one in first for other in second)
    assert we_read(file, third[0], second[2])
    assert not we_read(file, *second)
    assert not sops_reads(sops, file, *second)


def test_a_key_in_two_groups_opens_both(sops: SopsTool, age_key: AgeKey) -> None:
    """Its owner needs nobody else."""
    file = shared(sops, [[age_key, *keys(1)], [*keys(1), age_key]], 2)
    assert sops_reads(sops, file, age_key)
    assert we_read(file, age_key)


def test_the_threshold_may_be_given_on_the_command_line(sops: SopsTool) -> None:
    """As ``--shamir-secret-sharing-threshold``."""
    owners = keys(3)
    config = json.dumps({"creation_rules": [{"key_groups": [{"age": [owner.recipient]} for owner in owners]}]})
    file = sops.run(
        ("encrypt", "--shamir-secret-sharing-threshold", "2", "--filename-override", "secrets.yaml"),
        stdin=json.dumps(VALUES).encode(),
        config=config.encode(),
    )
    assert metadata(file).shamir_threshold == 2
    assert we_read(file, owners[0], owners[2])


def test_groups_that_only_others_open_may_stay_closed() -> None:
    """Nobody is asked; the other groups suffice."""
    owners = keys(2)
    parts = parts_of(DATA_KEY, 4, 2)
    groups = json.loads(groups_of([(owner.recipient, part) for owner, part in zip(owners, parts, strict=False)]))
    groups.insert(1, {"kms": [json.loads(ELSEWHERE["kms"])], "hc_vault": [json.loads(ELSEWHERE["hc_vault"])]})
    groups.insert(0, {"pgp": [json.loads(ELSEWHERE["pgp"])]})
    fields = {"key_groups": json.dumps(groups), "shamir_threshold": "2"}
    file = handmade(None, fields)
    assert we_read(file, *owners)
    assert not we_read(file, owners[0])


@pytest.mark.parametrize(
    ("threshold", "opened", "reads"),
    [
        pytest.param(None, 1, False, id="no threshold and one part"),
        pytest.param(None, 2, True, id="no threshold and two parts"),
        pytest.param("1", 1, False, id="a threshold of one and one part"),
        pytest.param("-5", 2, True, id="a threshold below zero"),
        pytest.param("3", 2, False, id="enough to combine, below the threshold"),
        pytest.param("3", 3, True, id="more than were needed"),
    ],
)
def test_the_threshold_of_the_file_counts(threshold: str | None, opened: int, *, reads: bool, sops: SopsTool) -> None:
    """Two parts are needed whatever it says; all that open are used."""
    owners = keys(3)
    parts = parts_of(DATA_KEY, 3, 2)
    groups = groups_of([(owner.recipient, part) for owner, part in zip(owners, parts, strict=True)])
    file = handmade(None, {"key_groups": groups, "shamir_threshold": threshold})
    assert sops_reads(sops, file, *owners[:opened]) is reads
    assert we_read(file, *owners[:opened]) is reads


def test_a_single_group_is_not_shared(sops: SopsTool, age_key: AgeKey) -> None:
    """Whatever the threshold says: its plaintext is the data key."""
    group = json.dumps([{"age": [stanza(age_key.recipient)]}])
    file = handmade(None, {"key_groups": group, "shamir_threshold": "3"})
    assert sops_reads(sops, file, age_key)
    assert we_read(file, age_key)


def test_lists_beside_key_groups_hide_them(sops: SopsTool, age_key: AgeKey) -> None:
    """As sops has it: any list at the top makes one group, and the groups are not looked at."""
    owners = keys(2)
    groups = groups_of([(owner.recipient, part) for owner, part in zip(owners, parts_of(DATA_KEY, 2, 2), strict=True)])
    file = handmade(age_key.recipient, {"key_groups": groups, "shamir_threshold": "2"})
    assert not sops_reads(sops, file, *owners)
    assert not we_read(file, *owners)
    assert we_read(file, age_key)
    assert [recipient.name for recipient in metadata(file).recipients] == [age_key.recipient]


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        pytest.param(lambda part: part[1:], "unequal lengths", id="shorter"),
        pytest.param(lambda part: part[:-1] + b"\x01", "the same part twice", id="the number of another"),
    ],
)
def test_parts_that_do_not_fit_are_refused(spoil: object, complaint: str, sops: SopsTool) -> None:
    """With an error that does not chain the one below it."""
    assert callable(spoil)
    owners = keys(2)
    first, second = parts_of(DATA_KEY, 2, 2)
    groups = groups_of([(owners[0].recipient, first), (owners[1].recipient, spoil(second))])
    file = handmade(None, {"key_groups": groups})
    assert not sops_reads(sops, file, *owners)
    with pytest.raises(DecryptionError, match=complaint) as caught:
        load(file, identities_of(*owners))
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_a_wrong_part_spoils_the_others(sops: SopsTool) -> None:
    """Beyond the threshold as well: all that open are used."""
    owners = keys(3)
    parts = parts_of(DATA_KEY, 3, 2)
    parts[2] = bytes(32) + parts[2][-1:]
    groups = groups_of([(owner.recipient, part) for owner, part in zip(owners, parts, strict=True)])
    file = handmade(None, {"key_groups": groups, "shamir_threshold": "2"})
    assert not sops_reads(sops, file, *owners)
    with pytest.raises((TamperedValue, MacMismatch)):
        load(file, identities_of(*owners))
    assert we_read(file, *owners[:2])


def test_the_error_says_how_many_groups_opened_and_whose_keys_are_missing() -> None:
    """Recipients that are none of age's are told by their kind: their names may hold anything."""
    owner, other, last = keys(3)
    parts = parts_of(DATA_KEY, 4, 3)
    groups = json.loads(groups_of([(owner.recipient, parts[0]), (other.recipient, parts[1])]))
    groups[1]["age"] += [stanza(last.recipient, parts[1]), {"recipient": "hunter2", "enc": "x"}]
    groups += [{"kms": [json.loads(ELSEWHERE["kms"])], "pgp": [json.loads(ELSEWHERE["pgp"])]}, {}]
    file = handmade(None, {"key_groups": json.dumps(groups), "shamir_threshold": "3"})
    with pytest.raises(NoIdentity) as caught:
        load(file, identities_of(owner))
    error = caught.value
    assert error.what == "1 of the 4 key groups of the file opened, and 3 are needed"
    assert error.expected == (
        f"keys of 2 more of these groups: {other.recipient} or {last.recipient} or an age key; "
        "a PGP key or AWS KMS; a group without keys"
    )
    assert owner.recipient in (error.advice or "")
    with pytest.raises(NoIdentity, match="none of the 4 key groups"):
        load(file, identities_of(AgeKey.generate()))
