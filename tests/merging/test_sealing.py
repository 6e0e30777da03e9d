"""Merging encrypted files: the result is a merge of the plaintexts, under the right key, for the right people."""

import json
from pathlib import Path
from typing import Final, cast

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from reconciler import pysops
from reconciler.merging.trees import Choices, Kind, Side, slot
from reconciler.pysops.key_groups import recover_data_key
from tests.merging.files import Desk, Fields, Values, flat, recipients
from tests.support.age_keys import AgeKey
from tests.support.secrets_repo import Value
from tests.support.sops_tool import SopsTool


CANARY: Final = "c4n4ry-of-a-merge"


@pytest.fixture
def desk(tmp_path: Path, age_key: AgeKey) -> Desk:
    """Make a folder with a key of its own."""
    return Desk(root=tmp_path, key=age_key)


KEYS: Final = st.sampled_from(["s/a", "s/b", "s/c", "t/a", "t/tls.p12"])
VALUES: Final[st.SearchStrategy[Value]] = st.sampled_from(
    ["1", "true", "-x", "ENC", "two\nlines\n", " ", "é\u200b", "", b"\x00\xff", b"", '{"a": 1}', "x" * 300]
)
FILES: Final = st.dictionaries(KEYS, VALUES, min_size=1, max_size=5)
FIELDS: Final[st.SearchStrategy[Fields]] = st.fixed_dictionaries(
    {},
    optional={
        "prune": st.sampled_from(["all", "none"]),
        "acls": st.sampled_from([("<READ users>",), ("<READ users>", "<WRITE 'ops & co'>")]),
        "rotation": st.sampled_from([("<90d a>",), ("<30d b>", "<180d *>")]),
    },
).map(lambda found: cast("Fields", found))
SIDES: Final = st.tuples(st.dictionaries(KEYS, st.none() | VALUES, max_size=3), FIELDS, st.booleans())
"""What a side puts and takes away, its plain fields, and whether it draws a new data key."""


def made(base: Values, changes: dict[str, Value | None]) -> dict[str, Value]:
    """Return values with changes made."""
    after = {**base, **changes}
    return {name: value for name, value in after.items() if value is not None}


@given(base=FILES, fields=FIELDS, one=SIDES, other=SIDES)
@settings(
    max_examples=25,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_merge_is_that_of_the_plaintexts_or_a_conflict(
    desk: Desk,
    sops: SopsTool,
    base: Values,
    fields: Fields,
    one: tuple[dict[str, Value | None], Fields, bool],
    other: tuple[dict[str, Value | None], Fields, bool],
) -> None:
    """And the real program opens it; values that nobody touched keep their ciphertext where the key stays."""
    start = desk.file(base, **fields)
    sides = []
    for changes, side_fields, renewed in (one, other):
        values = made(base, changes)
        both: Fields = {**fields, **side_fields}
        data = desk.file_like(start, values or base, **both)
        sides.append(desk.rekey(data) if renewed else data)
    ours, theirs = sides
    outcome = desk.merge(start, ours, theirs)
    texts = [desk.read(data) for data in (start, ours, theirs)]
    expected, conflicts = _merged(*texts)
    if outcome.data is None:
        assert outcome.problems == ()
        assert conflicts or not any("/" in name for name in expected)
        return
    assert not conflicts
    opened = sops.run(
        ("decrypt", "--input-type", "yaml", "--output-type", "json", "--filename-override", "x.yaml"),
        stdin=outcome.data,
        identity=desk.key.identity,
    )
    found = flat(json.loads(opened))
    for name in {"acls", "rotation"} & found.keys():
        items = found[name]
        assert isinstance(items, list)
        found[name] = sorted(
            items
        )  # the order says nothing, but that the rule for all others is last: policy sees to it
    assert found == expected
    if not one[2] and not other[2]:
        before, after = _sealed(start), _sealed(outcome.data)
        assert all(after[name] == text for name, text in before.items() if name in after and _kept(texts, name))


def _merged(
    base: dict[str, object], ours: dict[str, object], theirs: dict[str, object]
) -> tuple[dict[str, object], set[str]]:
    """Merge plaintexts name by name: a value or a grant is one, a list of rules is one for each key."""
    by_grant = all("acls" in text for text in (base, ours, theirs))
    flats = [_parts(text, by_grant=by_grant) for text in (base, ours, theirs)]
    merged: dict[str, object] = {}
    conflicts: set[str] = set()
    for name in {name for text in flats for name in text}:
        before, one, other = (text.get(name) for text in flats)
        if one != other and before not in (one, other):
            conflicts.add(name)
        chosen = one if before != one else other
        if chosen is not None:
            merged[name] = chosen
    whole = _whole(merged)
    return whole, conflicts


def _parts(text: dict[str, object], *, by_grant: bool) -> dict[str, object]:
    parts = dict(text)
    rules = parts.pop("rotation", [])
    assert isinstance(rules, list)
    parts.update((f"rotation {rule.split(' ')[1]}", rule) for rule in rules)
    grants = parts.get("acls")
    if isinstance(grants, list):
        parts["acls"] = sorted(grants)
    if by_grant and isinstance(grants, list):
        del parts["acls"]
        parts.update((f"grant {grant.split(' ', 1)[1]}", grant) for grant in grants)
    return parts


def _whole(parts: dict[str, object]) -> dict[str, object]:
    whole = {name: value for name, value in parts.items() if " " not in name}
    rules = sorted(str(rule) for name, rule in parts.items() if name.startswith("rotation "))
    if rules:
        whole["rotation"] = rules
    grants = sorted(str(grant) for name, grant in parts.items() if name.startswith("grant "))
    if grants:
        whole["acls"] = grants
    return whole


def _kept(texts: list[dict[str, object]], name: str) -> bool:
    base, ours, theirs = (text.get(name) for text in texts)
    return base == ours == theirs


def _sealed(data: bytes) -> dict[str, str]:
    """Return the ciphertext of each text by ``scope/key``."""
    root = {entry.key.text: entry.value for entry in pysops.parse(data).root.entries}
    found: dict[str, str] = {}
    hosts = root["secrets"]
    assert isinstance(hosts, pysops.Mapping)
    for host in hosts.entries:
        assert isinstance(host.value, pysops.Mapping)
        for scope in host.value.entries:
            assert isinstance(scope.value, pysops.Mapping)
            for key in scope.value.entries:
                if isinstance(key.value, pysops.Scalar):
                    found[f"{scope.key.text}/{key.key.text}"] = key.value.text
    return found


def _data_key(desk: Desk, data: bytes) -> bytes:
    return recover_data_key(pysops.metadata(data), desk.identities)


ALL_OURS: Final = Choices(rest=Side.OURS)


def test_each_side_keeps_what_it_did(desk: Desk) -> None:
    """Values put, replaced and taken away on both sides; what nobody touched keeps its ciphertext."""
    base = desk.file({"s/a": "1", "s/b": "2", "s/c": "3", "s/d": "4"})
    ours, theirs = desk.remove(desk.put(base, a="1+", new="n"), "d"), desk.remove(desk.put(base, b="2+", b2="m"), "c")
    outcome = desk.merge(base, ours, theirs)
    assert outcome.data is not None
    assert desk.read(outcome.data) == {"version": 1, "s/a": "1+", "s/b": "2+", "s/b2": "m", "s/new": "n"}
    assert _sealed(outcome.data)["s/a"] == _sealed(ours)["s/a"]
    assert _data_key(desk, outcome.data) == _data_key(desk, base)


@pytest.mark.parametrize("side", list(Side))
def test_a_new_data_key_stays_for_whom_it_was_drawn(desk: Desk, side: Side) -> None:
    """Somebody was taken away on one side: what the other one put is never sealed under the key that they know."""
    leaver = AgeKey.generate()
    base = desk.file({"s/a": "1", "s/b": "2"}, leaver)
    rekeyed, other = desk.rekey(base), desk.put(base, b=CANARY)
    sides = (rekeyed, other) if side is Side.OURS else (other, rekeyed)
    outcome = desk.merge(base, *sides)
    assert outcome.data is not None
    assert desk.read(outcome.data) == {"version": 1, "s/a": "1", "s/b": CANARY}
    assert recipients(outcome.data) == {desk.key.recipient}
    assert _data_key(desk, outcome.data) != _data_key(desk, base)
    # Theirs may be anybody's: what is ours is not sealed under a key that they have drawn.
    assert (_data_key(desk, outcome.data) == _data_key(desk, rekeyed)) is (side is Side.OURS)


@pytest.mark.parametrize("settled", [False, True])
def test_a_branch_cannot_read_what_it_is_merged_with(desk: Desk, settled: bool) -> None:  # noqa: FBT001  # a table
    """A file with a data key of the pusher's own, and them among the readers: nobody is let in without being asked."""
    intruder = AgeKey.generate()
    base = desk.file({"s/a": "1"})
    ours, theirs = desk.put(base, b=CANARY), desk.put(desk.rekey(base, intruder), c="3")
    around = desk.around(desk.key, intruder) if settled else desk.around(desk.key)
    outcome = desk.merge(base, ours, theirs, around=around, settled=settled)
    assert outcome.data is None
    assert {one.spelt: one.what for one in outcome.conflicts} == {
        "recipients": "values changed in ours, more readers in theirs"
    }
    kept = desk.merge(base, ours, theirs, choices=Choices(rest=Side.OURS), settled=settled)
    assert kept.data is not None
    assert recipients(kept.data) == {desk.key.recipient}
    assert _data_key(desk, kept.data) != _data_key(desk, theirs)
    taken = desk.merge(base, ours, theirs, choices=Choices(each={slot(Kind.RECIPIENTS): Side.THEIRS}), settled=settled)
    assert taken.data is not None
    assert recipients(taken.data) == {desk.key.recipient, intruder.recipient}
    assert taken.remarks == (f"age {intruder.recipient} can open it from now on",)


def test_a_data_key_is_not_known_by_what_a_file_says(desk: Desk) -> None:
    """A wrapped key that was copied from the old file into one with a data key of the pusher's own deceives nobody."""
    colleague = AgeKey.generate()
    base = desk.file({"s/a": "1"}, colleague)
    theirs = desk.put(desk.rekey(base, colleague), c="3")
    old, new = (
        next(key.enc for key in pysops.metadata(data).wrapped_keys if key.recipient.name == colleague.recipient)
        for data in (base, theirs)
    )
    lines = theirs.decode().splitlines()
    at = next(index for index, line in enumerate(lines) if line.strip() == new.splitlines()[1])
    indent = " " * (len(lines[at]) - len(lines[at].lstrip()))
    lines[at - 1 : at - 1 + len(new.splitlines())] = [indent + line for line in old.splitlines()]
    theirs = "".join(f"{line}\n" for line in lines).encode()
    assert old in {key.enc for key in pysops.metadata(theirs).wrapped_keys}
    outcome = desk.merge(base, desk.put(base, b=CANARY), theirs)
    assert outcome.data is not None
    assert _data_key(desk, outcome.data) not in {_data_key(desk, base), _data_key(desk, theirs)}
    assert desk.read(outcome.data) == {"version": 1, "s/a": "1", "s/b": CANARY, "s/c": "3"}


def test_recipients_of_one_side_and_a_data_key_of_the_other(desk: Desk) -> None:
    """The file is sealed anew: for the recipients of the one, under a key that nobody has seen."""
    leaver = AgeKey.generate()
    base = desk.file({"s/a": "1", "s/b": "2"}, leaver)
    renewed = desk.put(desk.rekey(base, leaver), a="1+")
    # As `sops updatekeys` leaves it: the same data key, without one of those who could open it.
    lowered = _without(base, leaver)
    outcome = desk.merge(base, renewed, lowered)
    assert outcome.data is not None
    assert desk.read(outcome.data) == {"version": 1, "s/a": "1+", "s/b": "2"}
    assert recipients(outcome.data) == {desk.key.recipient}
    assert _data_key(desk, outcome.data) not in {_data_key(desk, base), _data_key(desk, renewed)}


def _without(data: bytes, leaver: AgeKey) -> bytes:
    """Return a file from the metadata of which one recipient was taken; the MAC does not cover that."""
    lines = data.decode().splitlines(keepends=True)
    at = next(index for index, line in enumerate(lines) if leaver.recipient in line)
    indent = len(lines[at]) - len(lines[at].lstrip("- "))
    start = (
        at if lines[at].lstrip().startswith("- ") else max(i for i in range(at) if lines[i].lstrip().startswith("- "))
    )
    end = next(
        i
        for i in range(start + 1, len(lines))
        if len(lines[i]) - len(lines[i].lstrip("- ")) < indent or lines[i].lstrip().startswith("- ")
    )
    return "".join(lines[:start] + lines[end:]).encode()


@pytest.mark.parametrize("settled", [False, True])
def test_recipients_that_both_changed(desk: Desk, settled: bool) -> None:  # noqa: FBT001  # a table
    """The rules decide if they name whom both changes come to, or once they are known to go with the result."""
    one, other = AgeKey.generate(), AgeKey.generate()
    base = desk.file({"s/a": "1"})
    ours, theirs = desk.put(desk.rekey(base, one), b="2"), desk.put(desk.rekey(base, other), c="3")
    without_rules = desk.merge(base, ours, theirs, settled=settled)
    assert [conflict.spelt for conflict in without_rules.conflicts] == ["recipients"]
    outcome = desk.merge(base, ours, theirs, around=desk.around(desk.key, one, other), settled=settled)
    assert outcome.data is not None
    assert recipients(outcome.data) == {key.recipient for key in (desk.key, one, other)}
    assert desk.read(outcome.data) == {"version": 1, "s/a": "1", "s/b": "2", "s/c": "3"}
    partly = desk.merge(base, ours, theirs, around=desk.around(desk.key, one), settled=settled)
    assert (partly.data is not None) is settled


def test_recipients_can_be_chosen(desk: Desk) -> None:
    """Those of one side, then."""
    one, other = AgeKey.generate(), AgeKey.generate()
    base = desk.file({"s/a": "1"})
    ours, theirs = desk.rekey(base, one), desk.put(desk.rekey(base, other), c="3")
    choices = Choices(each={slot(Kind.RECIPIENTS): Side.THEIRS})
    outcome = desk.merge(base, ours, theirs, choices=choices)
    assert outcome.data is not None
    assert recipients(outcome.data) == {desk.key.recipient, other.recipient}


def test_both_made_the_file(desk: Desk) -> None:
    """Keys of both stand in it; one with two values is a conflict that can be decided."""
    ours, theirs = desk.file({"s/a": "1", "s/b": "2"}), desk.file({"s/b": "x", "s/c": "3"})
    assert [conflict.spelt.rpartition("/")[2] for conflict in desk.merge(None, ours, theirs).conflicts] == ["b"]
    outcome = desk.merge(None, ours, theirs, choices=ALL_OURS)
    assert outcome.data is not None
    assert desk.read(outcome.data) == {"version": 1, "s/a": "1", "s/b": "2", "s/c": "3"}
    assert _data_key(desk, outcome.data) == _data_key(desk, ours)


def test_an_ancestor_that_does_not_open(desk: Desk) -> None:
    """Who joined later merges all the same: what was not encrypted anew since is known from the ciphertext."""
    before = Desk(root=desk.root, key=AgeKey.generate())
    base = before.file({"s/a": "1", "s/b": "2"})
    joined = desk.rekey_from(before, base)
    ours, theirs = joined, desk.put(joined, b="2+", c="3")
    merged = desk.merge(base, desk.put(ours, d="4"), theirs)
    assert [conflict.spelt.rpartition("/")[2] for conflict in merged.conflicts] == ["b"]
    assert any("does not open" in remark for remark in merged.remarks)
    solved = desk.merge(base, desk.put(ours, d="4"), theirs, choices=Choices(rest=Side.THEIRS))
    assert solved.data is not None
    assert desk.read(solved.data) == {"version": 1, "s/a": "1", "s/b": "2+", "s/c": "3", "s/d": "4"}


def test_whoever_has_no_key_gets_a_conflict(desk: Desk) -> None:
    """With the reason, and nothing of what is in the file."""
    base = desk.file({"s/a": CANARY})
    stranger = Desk(root=desk.root, key=AgeKey.generate())
    outcome = stranger.merge(base, desk.put(base, b="2"), desk.put(base, c="3"))
    assert outcome.data is None
    assert outcome.needs_key
    assert {problem.what.split(":")[0] for problem in outcome.problems} == {
        "ours does not open",
        "theirs does not open",
    }
    assert CANARY not in repr(outcome)


@pytest.mark.parametrize("which", [0, 1])
def test_a_side_that_was_tampered_with_is_not_merged(desk: Desk, which: int) -> None:
    """A grant raised without a key breaks the MAC: what stands there is not to be sealed anew."""
    base = desk.file({"s/a": "1"}, acls=["<READ users>"])
    sides = [desk.put(base, b="2"), desk.put(base, c="3")]
    sides[which] = sides[which].replace(b"READ", b"MANAGE")
    outcome = desk.merge(base, *sides)
    assert outcome.data is None
    assert ["MAC" in problem.what for problem in outcome.problems] == [True]


def test_a_scope_that_would_get_too_many_keys(desk: Desk) -> None:
    """The limit of the platform holds for the result, too."""
    base = desk.file({f"s/k{index}": "x" for index in range(999)})
    outcome = desk.merge(base, desk.put(base, a="1"), desk.put(base, b="2"))
    assert outcome.data is None
    assert [problem.rule for problem in outcome.problems] == ["too-many-keys"]


def test_fields_stand_in_their_order(desk: Desk) -> None:
    """Plain fields that only theirs has are put where they must stand, and read as there."""
    base = desk.file({"s/a": "1"})
    theirs = desk.file_like(base, {"s/a": "1"}, acls=["<READ a'b #c>"], prune="all", rotation=["<90d *>"])
    outcome = desk.merge(base, desk.put(base, b="2"), theirs)
    assert outcome.data is not None
    read = desk.read(outcome.data)
    assert list(read) == ["acls", "prune", "rotation", "version", "s/a", "s/b"]
    assert read["acls"] == ["<READ a'b #c>"]


def test_names_that_one_side_respelt(desk: Desk) -> None:
    """Scope and key are spelt as that side has it, with what the other one changed below them."""
    base = desk.file({"s/a": "1", "s/b": "2"})
    respelt = desk.change(
        base,
        pysops.Rename(path=("secrets", desk.host, "s", "a"), name="A"),
        pysops.Rename(path=("secrets", desk.host, "s"), name="S"),
    )
    outcome = desk.merge(base, desk.put(base, a="1+", c="3"), respelt)
    assert outcome.data is not None
    assert desk.read(outcome.data) == {"version": 1, "S/A": "1+", "S/b": "2", "S/c": "3"}


def test_text_that_is_not_utf_8_keeps_its_bytes(desk: Desk, sops: SopsTool) -> None:
    """Another program may have encrypted bytes as they are: where they are put anew, they are written as base64."""
    base = desk.file({"s/a": "1"})
    text = f"version: 1\nsecrets: {{{desk.host}: {{s: {{a: '1', raw: !!binary /wA=}}}}}}\n"
    theirs = sops.encrypt(text.encode(), (desk.key.recipient,), encrypted_regex="^secrets$")
    outcome = desk.merge(base, desk.put(base, b="2"), theirs)
    assert outcome.data is not None
    assert desk.read(outcome.data)["s/raw"] == {"base64": "/wA="}
