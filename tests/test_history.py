"""Findings about the past: files that went back or were written anew, and values that got old."""

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import policy
from reconciler.history import file_findings, read_files, rotation_findings
from reconciler.ledger.records import KeyRecord, Stamp, Tag, new_entry
from reconciler.model import KeyName, Prune, ScopeName
from reconciler.plan import Finding, FindingKind
from reconciler.policy import ScopePolicy, Sources
from reconciler.policy.scope_files import RotationRule
from tests.support.age_keys import AgeKey
from tests.support.secrets_repo import scope_text
from tests.support.sops_tool import SopsTool


DAY_MS: Final = 86_400_000

HOST: Final = "adb-1.2.azuredatabricks.net"
TARGETS: Final = f"owner: {uuid.uuid4()}\ntargets:\n  prod:\n    workspace:\n      host: https://{HOST}\n".encode()
PATH: Final = "secrets/prod/app.yaml"
WRITTEN: Final = "2026-03-01T12:00:00Z"

Encrypt = Callable[..., bytes]


@pytest.fixture
def encrypt(sops: SopsTool, age_key: AgeKey) -> Encrypt:
    """Encrypt a file with two scopes anew, as of `WRITTEN`."""

    def encrypted(*, at: str | None = WRITTEN) -> bytes:
        text = scope_text({HOST: {"app": {"a": "1", "b": "2"}, "other": {"c": "3"}}})
        data = sops.encrypt(text.encode(), (age_key.recipient,), encrypted_regex="^secrets$")
        return data if at is None else _written(data, at)

    return encrypted


def _written(data: bytes, at: str) -> bytes:
    """Return the file as if written at another time; its MAC no longer fits, which does not show without a key."""
    return re.sub(rb'lastmodified: "[^"]*"', f'lastmodified: "{at}"'.encode(), data)


def _sources(files: Mapping[str, bytes]) -> Sources:
    return Sources(files={"secrets/targets.yaml": TARGETS, **files})


def _scopes(sources: Sources) -> tuple[ScopePolicy, ...]:
    tree = policy.load(sources)
    (target,) = tree.targets.targets
    return tree.scopes_of(target)


def _found(now: bytes | None, then: bytes | None, path: str = PATH) -> set[tuple[FindingKind, str]]:
    """Return kind and scope of what is found about a file that was there at two commits."""
    scopes = _scopes(_sources({} if now is None else {path: now}))
    findings = file_findings(scopes, read_files({} if then is None else {path: then}))
    assert all(path in finding.detail for finding in findings)
    return {(finding.kind, finding.scope) for finding in findings}


BACK: Final = {(FindingKind.ROLLED_BACK_FILE, "app"), (FindingKind.ROLLED_BACK_FILE, "other")}
ANEW: Final = {(FindingKind.REKEYED_FILE, "app"), (FindingKind.REKEYED_FILE, "other")}


@pytest.mark.parametrize(
    ("now", "found"),
    [
        pytest.param(WRITTEN, set(), id="same"),
        pytest.param("2026-03-01T12:00:01Z", set(), id="later"),
        pytest.param("2026-03-01T11:59:59Z", BACK, id="earlier"),
        pytest.param("2026-03-01T13:00:00+01:00", set(), id="same-elsewhere"),
        pytest.param("2026-03-01T12:59:59+01:00", BACK, id="earlier-though-the-text-is-greater"),
        pytest.param("2026-03-01T11:00:01-01:00", set(), id="later-though-the-text-is-less"),
        pytest.param("2025-12-31T23:59:59Z", BACK, id="last-year"),
        pytest.param("0000-01-01T00:00:00Z", set(), id="no-time-of-Python"),
    ],
)
def test_file_that_was_written_earlier_has_gone_back(
    encrypt: Encrypt, now: str, found: set[tuple[FindingKind, str]]
) -> None:
    """Told of each scope that it feeds; compared as times, not as texts."""
    then = encrypt()
    assert _found(_written(then, now), then) == found


def test_rolled_back_file_names_both_times(encrypt: Encrypt) -> None:
    """So that somebody can look up what was committed when."""
    then = encrypt()
    now = _sources({PATH: _written(then, "2026-02-01T00:00:00Z")})
    finding = file_findings(_scopes(now), read_files({PATH: then}))[0]
    assert finding.detail == (
        f"{PATH} was written 2026-02-01T00:00:00Z, and what stood there at the commit applied last {WRITTEN}"
    )


def test_file_that_was_encrypted_anew_is_told(encrypt: Encrypt) -> None:
    """Whoever knows the public keys alone can do that, with values of their own."""
    assert _found(encrypt(), encrypt()) == ANEW


def test_file_that_is_both_older_and_new_is_told_both(encrypt: Encrypt) -> None:
    """Neither hides the other."""
    assert _found(encrypt(at="2026-02-01T00:00:00Z"), encrypt()) == BACK | ANEW


def test_one_ciphertext_in_common_says_that_the_old_file_was_at_hand(encrypt: Encrypt) -> None:
    """A value keeps its ciphertext when others are changed."""
    then = encrypt()
    kept = _ciphertext(then, "b")
    now = encrypt()
    assert _found(now.replace(_ciphertext(now, "b"), kept), then) == set()


def _ciphertext(data: bytes, key: str) -> bytes:
    match = re.search(rb"\n +" + key.encode() + rb": (ENC\[[^]]*\])", data)
    assert match is not None
    return match[1]


def test_other_values_under_the_old_data_key_are_not_told(encrypt: Encrypt) -> None:
    """Changing the only value of a file is the usual rotation, and shows that the author could open the file."""
    then, other = encrypt(), encrypt()
    now = then
    for key in "abc":
        now = now.replace(_ciphertext(then, key), _ciphertext(other, key))
    assert _found(now, then) == set()


def test_what_sops_does_to_a_file(encrypt: Encrypt, sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> None:
    """A value that is set is told of never; a new data key always, as it looks like the file of a stranger."""
    then, file = encrypt(at=None), tmp_path / "app.yaml"
    file.write_bytes(then)
    for scope, key in (("app", "a"), ("app", "b"), ("other", "c")):
        path = "".join(f'["{part}"]' for part in ("secrets", HOST, scope, key))
        sops.run(("set", str(file), path, '"new"'), identity=age_key.identity)
        assert _found(file.read_bytes(), then) == set()
    sops.run(("rotate", "--in-place", str(file)), identity=age_key.identity)
    assert _found(file.read_bytes(), then) == ANEW


@pytest.mark.parametrize(
    "then",
    [
        pytest.param(None, id="not-there"),
        pytest.param(b"\tno: yaml", id="no-yaml"),
        pytest.param(b"", id="empty"),
        pytest.param(b'version: 1\nsecrets:\n    h:\n        s:\n            k: "plain"\n', id="not-encrypted"),
        pytest.param(b'version: 1\nsecrets: {}\nsops:\n    lastmodified: "2030"\n', id="unusable-metadata"),
    ],
)
def test_what_was_no_file_says_nothing(encrypt: Encrypt, then: bytes | None) -> None:
    """A new file, and one that was repaired, are no rollback."""
    assert _found(encrypt(), then) == set()


def test_file_that_is_gone_or_moved_says_nothing(encrypt: Encrypt) -> None:
    """Files are told apart by their path."""
    data = encrypt()
    assert _found(None, data) == set()
    now = _sources({"secrets/moved.yaml": _written(data, "2026-02-01T00:00:00Z")})
    assert file_findings(_scopes(now), read_files({PATH: data})) == ()


def test_only_scopes_of_the_run_are_told(encrypt: Encrypt) -> None:
    """A selector leaves the rest alone."""
    (scope,) = (scope for scope in _scopes(_sources({PATH: encrypt()})) if scope.scope == "other")
    assert [finding.scope for finding in file_findings([scope], read_files({PATH: encrypt()}))] == ["other"]


def _policy(rules: tuple[RotationRule, ...], *keys: str) -> ScopePolicy:
    return ScopePolicy(
        scope=ScopeName("app"),
        files=(),
        keys=tuple(map(KeyName, keys)),
        acls=None,
        prune=Prune.OWNED,
        rotation=rules,
    )


def _due(rules: tuple[RotationRule, ...], ages_ms: Mapping[str, int], *keys: str) -> tuple[Finding, ...]:
    """Return what is due, given key to the age of what the ledger knows of it."""
    now_ms = 1_800_000_000_000
    entry = new_entry(owner=uuid.UUID(int=1), place=Tag(bytes(16)), scope=ScopeName("app"), salt=bytes(32))
    records = {
        entry.name_tag(key): KeyRecord(
            value=Tag(bytes(16)), seen_ms=None, changed=Stamp(at_ms=now_ms - age_ms, commit=None)
        )
        for key, age_ms in ages_ms.items()
    }
    return rotation_findings(_policy(rules, *(keys or ages_ms)), replace(entry, keys=records), now_ms)


ANY_90: Final = RotationRule(days=90, key=None)
A_30: Final = RotationRule(days=30, key=KeyName("a"))


@pytest.mark.parametrize(
    ("rules", "ages_ms", "due"),
    [
        pytest.param((), {"a": 10**12}, {}, id="no-rule"),
        pytest.param((ANY_90,), {"a": 0}, {}, id="just-changed"),
        pytest.param((ANY_90,), {"a": 90 * DAY_MS}, {}, id="on-the-day"),
        pytest.param((ANY_90,), {"a": 90 * DAY_MS + 1}, {"a": "changed 91 days ago, at most 90"}, id="right-after"),
        pytest.param((ANY_90,), {"a": 120 * DAY_MS}, {"a": "changed 120 days ago, at most 90"}, id="long-after"),
        pytest.param((ANY_90,), {"a": -DAY_MS}, {}, id="clock-that-went-back"),
        pytest.param((A_30,), {"b": 10**12}, {}, id="rule-of-another-key"),
        pytest.param((A_30,), {"A": 31 * DAY_MS}, {"A": "changed 31 days ago, at most 30"}, id="case-is-the-same"),
        pytest.param((A_30, ANY_90), {"a": 31 * DAY_MS, "b": 31 * DAY_MS}, {"a": "at most 30"}, id="named-before-any"),
        pytest.param((ANY_90, A_30), {"a": 31 * DAY_MS}, {}, id="first-that-fits-counts"),
        pytest.param((RotationRule(days=99, key=KeyName("a")), A_30), {"a": 31 * DAY_MS}, {}, id="first-of-two-counts"),
    ],
)
def test_value_is_due_when_it_is_older_than_its_rule(
    rules: tuple[RotationRule, ...], ages_ms: Mapping[str, int], due: Mapping[str, str]
) -> None:
    """The first rule that fits counts, names compare as the platform compares them."""
    found = _due(rules, ages_ms)
    assert {finding.key: finding.detail for finding in found}.keys() == due.keys()
    assert all(due[str(finding.key)] in finding.detail for finding in found)
    assert {(finding.kind, finding.scope) for finding in found} <= {(FindingKind.ROTATION_DUE, "app")}


def test_key_that_the_ledger_does_not_know_has_no_age() -> None:
    """Neither does one that git no longer names count."""
    assert _due((ANY_90,), {"a": 10**12}, "b") == ()


@given(
    ages=st.dictionaries(st.sampled_from("abcde"), st.integers(0, 200), min_size=1),
    days=st.integers(1, 200),
    longer=st.integers(0, 200),
)
def test_a_longer_limit_never_makes_more_due(ages: dict[str, int], days: int, longer: int) -> None:
    """All else equal."""
    strict, lax = (
        {finding.key for finding in _due((RotationRule(days=limit, key=None),), _in_ms(ages))}
        for limit in (days, days + longer)
    )
    assert lax <= strict


def _in_ms(days: Mapping[str, int]) -> dict[str, int]:
    return {key: age * DAY_MS for key, age in days.items()}
