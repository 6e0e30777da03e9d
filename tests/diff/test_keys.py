"""Values and keys: why they are put, whose they are, what goes."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from reconciler.diff import Keep, diff, owned_keys
from reconciler.errors import InvalidRequest
from reconciler.ledger.records import Entry
from reconciler.model import MAX_KEYS_PER_SCOPE, KeyName, Principal, Prune, ScopeName, SecretValue, fold
from reconciler.plan import (
    CreateScope,
    DeleteReason,
    DeleteSecret,
    FindingKind,
    Outcome,
    Plan,
    PutReason,
    PutSecret,
)
from reconciler.survey import (
    Absent,
    Evidence,
    Fingerprint,
    Known,
    MissingScope,
    ScopeState,
    Unreadable,
)
from reconciler.workspace import Backend, SecretInfo
from tests.fakes import Call, FakeWorkspace
from tests.support.ledgered_runs import look
from tests.support.recorded import SALT, blank, recording, seen_now, write_entry, write_head, write_ledger
from tests.support.wishes import carry_out, wish


KEEP = Keep(identity=Principal("admin@example.com"))
NOW_MS, LATER_MS = 1_000, 2_000
GIT, OLD, OTHER = b"git's", b"git's before", b"somebody else's"
RECORDS_GIT = recording(blank(), {"k": GIT}, NOW_MS)
RECORDS_OLD = recording(blank(), {"k": OLD}, NOW_MS)
NO = Unreadable(why="only in notebooks")


def _state(evidence: Mapping[str, Evidence], *, listed: Mapping[str, int] | None = None) -> ScopeState:
    there = {key: NOW_MS for key, one in evidence.items() if not isinstance(one, Absent)} if listed is None else listed
    return ScopeState(
        scope=ScopeName("app"),
        backend=Backend.DATABRICKS,
        listed={fold(key): SecretInfo(key=KeyName(key), updated_ms=at) for key, at in there.items()},
        acls=(),
        evidence={fold(key): one for key, one in evidence.items()},
    )


def _known(value: bytes) -> Known:
    return Known(value=SecretValue(value))


def _print(value: bytes, salt: bytes = SALT) -> Fingerprint:
    return Fingerprint(tag=blank(salt=salt).value_tag("k", SecretValue(value)))


def _deletes(plan: Plan) -> dict[str, str]:
    return {change.key: change.reason.value for change in plan.changes if isinstance(change, DeleteSecret)}


def _left(plan: Plan) -> dict[str, str]:
    return {finding.key or "": finding.detail for finding in plan.findings if finding.kind is FindingKind.UNMANAGED_KEY}


@pytest.mark.parametrize(
    ("entry", "evidence", "reason"),
    [
        pytest.param(None, _known(GIT), None, id="no ledger, equal"),
        pytest.param(None, _known(OTHER), PutReason.CHANGED, id="no ledger, another value"),
        pytest.param(None, NO, PutReason.UNVERIFIABLE, id="no ledger, unreadable"),
        pytest.param(None, Absent(), PutReason.NEW, id="no ledger, absent"),
        pytest.param(RECORDS_GIT, _known(GIT), None, id="recorded, equal"),
        pytest.param(RECORDS_GIT, _known(OTHER), PutReason.DRIFTED, id="recorded, somebody else's value"),
        pytest.param(RECORDS_GIT, _print(GIT), None, id="recorded, not written to since"),
        pytest.param(RECORDS_GIT, Absent(), PutReason.DRIFTED, id="recorded, somebody deleted it"),
        pytest.param(RECORDS_OLD, _known(OLD), PutReason.CHANGED, id="rotated, read"),
        pytest.param(RECORDS_OLD, _print(OLD), PutReason.CHANGED, id="rotated, not read"),
        pytest.param(RECORDS_OLD, _known(OTHER), PutReason.CHANGED, id="rotated and drifted"),
        pytest.param(RECORDS_OLD, _known(GIT), None, id="rotated, somebody put git's value"),
        pytest.param(RECORDS_OLD, Absent(), PutReason.CHANGED, id="rotated and deleted"),
        pytest.param(blank(), _known(OTHER), PutReason.CHANGED, id="not recorded, another value"),
        pytest.param(blank(), Absent(), PutReason.NEW, id="not recorded, absent"),
        pytest.param(blank(), NO, PutReason.UNVERIFIABLE, id="not recorded, unreadable"),
        pytest.param(RECORDS_GIT, NO, None, id="unreadable, not written to since"),
        pytest.param(RECORDS_OLD, NO, PutReason.CHANGED, id="unreadable, not written to since, rotated"),
        pytest.param(recording(blank(), {"k": GIT}, LATER_MS), NO, PutReason.UNVERIFIABLE, id="unreadable, written to"),
        pytest.param(recording(blank(), {"k": GIT}), NO, PutReason.UNVERIFIABLE, id="unreadable, never seen"),
        pytest.param(RECORDS_GIT, _print(GIT, bytes(32)), PutReason.CHANGED, id="fingerprint of another salt"),
        pytest.param(None, _print(GIT), PutReason.CHANGED, id="fingerprint without ledger"),
    ],
)
def test_why_a_value_is_put(entry: Entry | None, evidence: Evidence, reason: PutReason | None) -> None:
    """Changed by git, changed behind its back, new, or not to be compared; whatever is in doubt is put."""
    plan = diff(wish("app", {"k": GIT}), _state({"k": evidence}), KEEP, entry)

    puts = [change for change in plan.changes if isinstance(change, PutSecret)]
    assert [put.reason for put in puts] == ([] if reason is None else [reason])
    assert [put.creates for put in puts] == [] if reason is None else [isinstance(evidence, Absent)]
    assert plan.unchanged == 1 - len(puts)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        pytest.param(None, PutReason.NEW, id="no ledger"),
        pytest.param(blank(), PutReason.NEW, id="never there"),
        pytest.param(RECORDS_GIT, PutReason.DRIFTED, id="somebody deleted the scope"),
        pytest.param(RECORDS_OLD, PutReason.CHANGED, id="somebody deleted the scope, and git has another value"),
    ],
)
def test_why_a_value_is_put_into_a_scope_that_is_gone(entry: Entry | None, reason: PutReason) -> None:
    """The ledger tells what was lost from what never was."""
    plan = diff(wish("app", {"k": GIT}), MissingScope(scope=ScopeName("app")), KEEP, entry)

    assert plan.changes == (
        CreateScope(scope=ScopeName("app")),
        PutSecret(scope=ScopeName("app"), key=KeyName("k"), reason=reason, creates=True),
    )


@pytest.mark.parametrize(
    ("entry", "begins"),
    [
        pytest.param(RECORDS_GIT, "left as it is", id="in sync by the ledger"),
        pytest.param(RECORDS_OLD, "put as git has another value", id="rotated"),
        pytest.param(None, "put to be sure", id="not known"),
    ],
)
def test_a_value_that_could_not_be_read_is_told_with_what_is_done(entry: Entry | None, begins: str) -> None:
    """And with the platform's reason."""
    (finding,) = diff(wish("app", {"k": GIT}), _state({"k": NO}), KEEP, entry).findings

    assert finding.kind is FindingKind.UNVERIFIABLE_VALUE
    assert finding.detail.startswith(begins)
    assert NO.why in finding.detail


def _recreated(workspace: FakeWorkspace) -> None:
    del workspace.scopes[fold("app")].secrets[fold("k")]
    workspace.put("app", "k", OTHER)


def _unreadable(workspace: FakeWorkspace) -> None:
    def deny(call: Call) -> None:
        if call.operation == "get_secret" and call.scope == "app":
            raise InvalidRequest("only in notebooks")

    workspace.put("app", "k", OLD)
    workspace.faults.append(deny)


@pytest.mark.parametrize(
    ("happens", "deleted", "detail"),
    [
        pytest.param(lambda _: None, True, None, id="nothing"),
        pytest.param(lambda workspace: workspace.put("app", "k", OLD), True, None, id="the same value was put again"),
        pytest.param(
            lambda workspace: workspace.put("app", "k", OTHER), False, "somebody else has written", id="written"
        ),
        pytest.param(_recreated, False, "somebody else has written", id="deleted and created anew"),
        pytest.param(_unreadable, False, "cannot be read to tell by whom", id="written, and not to be read"),
    ],
)
def test_owned_deletes_what_is_still_what_git_put_there(
    happens: Callable[[FakeWorkspace], None], detail: str | None, *, deleted: bool
) -> None:
    """By timestamp or by value; what somebody else wrote since is theirs, and it is said that it was."""
    workspace = FakeWorkspace()
    workspace.add("app", {"k": OLD, "kept": b"1"})
    write_ledger(workspace, "app")
    happens(workspace)

    plan = look(workspace, [wish("app", {"kept": b"1"})]).plan

    assert _deletes(plan) == ({"k": "removed"} if deleted else {})
    assert _left(plan).keys() == (set() if deleted else {"k"})
    assert detail is None or detail in _left(plan)["k"]


def test_owned_leaves_what_others_put_there() -> None:
    """Not recorded, or no ledger at all: it is told which of the two."""
    workspace = FakeWorkspace()
    workspace.add("app", {"kept": b"1"})
    write_ledger(workspace, "app")
    workspace.put("app", "theirs", OTHER)
    desired = wish("app", {"kept": b"1"})
    first = look(workspace, [desired])
    state = first.survey.scopes[fold("app")]
    assert isinstance(state, ScopeState)

    assert _left(first.plan) == {"theirs": "not in git; left alone, as somebody else put it there"}
    assert _left(diff(desired, state, KEEP, None)) == {
        "theirs": "not in git; left alone, as nothing shows that git put it there"
    }
    assert not first.plan


@pytest.mark.parametrize(
    ("prune", "reasons"),
    [
        pytest.param(Prune.OWNED, {"ours": "removed"}, id="owned"),
        pytest.param(Prune.ALL, {"ours": "removed", "theirs": "unmanaged"}, id="all"),
        pytest.param(Prune.NONE, {}, id="none"),
    ],
)
def test_a_deletion_says_whose_the_key_was(prune: Prune, reasons: Mapping[str, str]) -> None:
    """What git once put there is removed; what others put there goes under ``prune: all`` alone."""
    workspace = FakeWorkspace()
    workspace.add("app", {"kept": b"1", "ours": b"2"})
    write_ledger(workspace, "app")
    workspace.put("app", "theirs", OTHER)

    plan = look(workspace, [wish("app", {"kept": b"1"}, prune=prune)]).plan

    assert _deletes(plan) == reasons


def test_a_key_that_vanished_meanwhile_is_neither_deleted_nor_told() -> None:
    """It was listed, and gone when its value was read."""
    state = _state({"k": Absent()}, listed={"k": LATER_MS})

    assert diff(wish("app"), state, KEEP, RECORDS_GIT) == Plan()


def test_a_full_scope_of_ours_makes_just_the_room_that_new_keys_need() -> None:
    """A rename in a scope of 1,000 keys, under ``prune: owned``: one key goes before the put, the other after it."""
    workspace = FakeWorkspace()
    old = {f"old-{n:04}": b"x" for n in range(MAX_KEYS_PER_SCOPE)}
    workspace.add("app", old)
    write_ledger(workspace, "app")
    wanted = {f"old-{n:04}": b"x" for n in range(MAX_KEYS_PER_SCOPE - 2)} | {"new": b"x"}
    desired = wish("app", wanted)

    plan = look(workspace, [desired]).plan
    room = [change for change in plan.changes if isinstance(change, DeleteSecret) and change.makes_room]

    assert (len(room), len(_deletes(plan))) == (1, 2)
    assert all(result.outcome is Outcome.DONE for result in carry_out(plan, [desired], workspace))
    assert workspace.values("app") == wanted


def test_a_drifted_key_needs_room_as_a_new_one_does() -> None:
    """Somebody deleted it and filled its place: whatever the reason of the put, it creates a key."""
    workspace = FakeWorkspace()
    keys = {f"key-{n:04}": b"x" for n in range(MAX_KEYS_PER_SCOPE)}
    workspace.add("app", keys)
    write_ledger(workspace, "app")
    del workspace.scopes[fold("app")].secrets[fold("key-0000")]
    workspace.put("app", "theirs", OTHER)
    desired = wish("app", {key: value for key, value in keys.items() if key != "key-0001"})

    plan = look(workspace, [desired]).plan

    assert [(change.reason, change.creates) for change in plan.changes if isinstance(change, PutSecret)] == [
        (PutReason.DRIFTED, True)
    ]
    assert [change.makes_room for change in plan.changes if isinstance(change, DeleteSecret)] == [True]
    assert all(result.outcome is Outcome.DONE for result in carry_out(plan, [desired], workspace))
    assert fold("theirs") in workspace.scopes[fold("app")].secrets


def test_a_key_that_vanished_makes_room_by_itself() -> None:
    """It was listed, but does not take up room any more."""
    listed = {f"key-{n:04}": NOW_MS for n in range(MAX_KEYS_PER_SCOPE)}
    entry = recording(blank(), dict.fromkeys(listed, b"x"), NOW_MS)
    evidence: dict[str, Evidence] = {"new": Absent(), "key-0000": Absent()}

    plan = diff(wish("app", {"new": b"x"}), _state(evidence, listed=listed), KEEP, entry)

    assert len(_deletes(plan)) == MAX_KEYS_PER_SCOPE - 1
    assert not any(change.makes_room for change in plan.changes if isinstance(change, DeleteSecret))


@pytest.mark.parametrize(
    ("prune", "with_entry", "owned"),
    [
        pytest.param(Prune.OWNED, True, 3, id="owned: kept, drifted, removed"),
        pytest.param(Prune.ALL, True, 5, id="all"),
        pytest.param(Prune.NONE, True, 0, id="none"),
        pytest.param(Prune.OWNED, False, 0, id="owned, no ledger"),
        pytest.param(Prune.ALL, False, 5, id="all, no ledger"),
    ],
)
def test_owned_keys_are_those_that_could_be_deleted(prune: Prune, *, with_entry: bool, owned: int) -> None:
    """Guards measure deletions against them; a recorded key that git names counts whatever it holds."""
    workspace = FakeWorkspace()
    workspace.add("app", {"kept": b"1", "drifted": b"2", "removed": b"3", "rewritten": b"4", "gone": b"5"})
    entry = seen_now(workspace, "app")
    write_entry(workspace, "app", entry)
    write_head(workspace, "app")
    workspace.put("app", "drifted", OTHER)
    workspace.put("app", "rewritten", OTHER)
    workspace.put("app", "theirs", OTHER)
    del workspace.scopes[fold("app")].secrets[fold("gone")]
    desired = wish("app", {"kept": b"1", "drifted": b"2", "gone": b"5", "new": b"6"}, prune=prune)
    seen = look(workspace, [desired])
    state = seen.survey.scopes[fold("app")]
    assert isinstance(state, ScopeState)

    assert owned_keys(state, seen.entries[fold("app")] if with_entry else None, desired) == owned
    assert owned_keys(state, seen.entries[fold("app")], replace(desired, keys={}, prune=Prune.NONE)) == 0


def test_nothing_is_left_unsaid_about_a_key_that_git_does_not_name() -> None:
    """Under ``prune: owned`` it is deleted or told, one of the two."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"1", "b": b"2", "c": b"3"})
    write_entry(workspace, "app", seen_now(workspace, "app", {"a", "b"}))
    write_head(workspace, "app")
    workspace.put("app", "b", OTHER)

    plan = look(workspace, [wish("app")]).plan

    assert _deletes(plan) == {"a": DeleteReason.REMOVED.value}
    assert _left(plan).keys() == {"b", "c"}
