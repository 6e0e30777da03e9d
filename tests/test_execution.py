"""`reconciler.execution` after `reconciler.decision`: what is written in which order, and what an attempt leaves."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from reconciler.decision import Terms, decide
from reconciler.desired import Desired, DesiredScope
from reconciler.errors import UnexpectedAnswer
from reconciler.execution import Attempt, Ground, execute, is_due
from reconciler.ledger.encoding import decode_entry, decode_head, encode_head
from reconciler.ledger.ownership import Allowed
from reconciler.ledger.records import Entry, Head, RunId, Stamp, entry_name, head_name
from reconciler.model import LEDGER_SCOPE, Permission, SecretValue
from reconciler.plan import Outcome
from reconciler.policy import EmbeddedSettings, SelectedTarget, Target
from reconciler.policy.selection import ScopePolicy
from reconciler.survey import take
from reconciler.workers import Workers
from tests.fakes import Call, FakeWorkspace
from tests.support.recorded import OWNER, PLACE, SPOT
from tests.support.wishes import IMPATIENT, want, wish


TARGET = Target(name="prod", workspace=EmbeddedSettings(age_key_file="x"))
FIRST = Stamp(at_ms=1_700_000_000_000, commit="1" * 40)
SECOND = Stamp(at_ms=1_700_000_100_000, commit="2" * 40)

_runs = itertools.count(1)


def run(
    workspace: FakeWorkspace,
    wishes: Sequence[DesiredScope],
    *,
    stamp: Stamp = FIRST,
    halted: Callable[[], str | None] = lambda: None,
    is_recent: bool = True,
) -> Attempt | None:
    """Look, decide and carry out once; None when there is nothing to write."""
    policies = tuple(
        ScopePolicy(scope=one.scope, files=(), keys=(), acls=one.acls, prune=one.prune, rotation=()) for one in wishes
    )
    terms = Terms(
        spot=SPOT,
        stamp=stamp,
        ancestry=None,
        allowed=Allowed(),
        allow_rollback=False,
        allow_deletes=100,
        applying=True,
        new_salt=lambda: bytes(32),
    )
    with Workers(4) as workers:
        survey = take(workspace, workers, {one.scope: want(one) for one in wishes}, SPOT)
        selected = SelectedTarget(target=TARGET, scopes=policies, whole=True)
        decision = decide(survey, Desired(scopes=tuple(wishes)), selected, terms)
        assert decision.refused is None
        assert decision.failures == ()
        if not is_due(decision, survey, PLACE, stamp.commit):
            return None
        ground = Ground(
            workspace=workspace,
            workers=workers,
            spot=SPOT,
            survey=survey,
            is_recent=lambda: is_recent,
            stamp=stamp,
            run=RunId(next(_runs).to_bytes(16)),
            patience=IMPATIENT,
            halted=halted,
            pause=lambda _: None,
            say=lambda _: None,
            progress=_silent,
        )
        return execute(decision, wishes, ground)


@contextlib.contextmanager
def _silent(_what: str, _total: int) -> Iterator[Callable[[], None]]:
    yield lambda: None


def entry_of(workspace: FakeWorkspace, scope: str = "app") -> Entry:
    """Return what the ledger says of a scope."""
    found = decode_entry(SecretValue(workspace.values(LEDGER_SCOPE)[entry_name(PLACE, scope)]))
    assert isinstance(found, Entry)
    return found


def head_of(workspace: FakeWorkspace) -> Head:
    """Return the head."""
    found = decode_head(SecretValue(workspace.values(LEDGER_SCOPE)[head_name(OWNER)]))
    assert isinstance(found, Head)
    return found


@pytest.fixture
def workspace() -> FakeWorkspace:
    """An empty workspace."""
    return FakeWorkspace()


def outcomes(attempt: Attempt | None) -> list[Outcome]:
    """Return what became of each change."""
    assert attempt is not None
    return [result.outcome for result in attempt.results]


def test_intents_stand_in_the_ledger_before_anything_is_done(workspace: FakeWorkspace) -> None:
    """Ledger, head, intents, then scope, values and grants, then what came of it."""
    run(workspace, [wish("app", {"a": b"1"}, acls={"users": Permission.READ})])

    assert [(call.operation, call.subject[:5]) for call in workspace.writes] == [
        ("create_scope", ""),
        ("put_secret", "head-"),
        ("put_secret", "scope"),
        ("create_scope", ""),
        ("put_secret", "a"),
        ("put_acl", "users"),
        ("put_secret", "scope"),
    ]
    entry = entry_of(workspace)
    assert entry.intents == ()
    assert entry.keys[entry.name_tag("a")].changed == FIRST
    assert entry.grants == {entry.principal_tag("users"): Permission.READ}


def test_a_second_run_writes_nothing_and_a_new_commit_only_the_head(workspace: FakeWorkspace) -> None:
    """Of a commit that changes nothing is noted that it was here."""
    wishes = [wish("app", {"a": b"1"})]
    run(workspace, wishes)
    workspace.calls.clear()

    assert run(workspace, wishes) is None
    assert workspace.writes == []
    run(workspace, wishes, stamp=SECOND)

    assert [call.subject for call in workspace.writes] == [head_name(OWNER)]
    assert head_of(workspace).commit == SECOND.commit
    assert entry_of(workspace).keys[entry_of(workspace).name_tag("a")].changed == FIRST


def test_a_rotation_of_one_key_takes_sixteen_requests(workspace: FakeWorkspace) -> None:
    """With the SDK's own first one, which this workspace does not have."""
    values = {f"key-{number}": b"x" for number in range(50)}
    run(workspace, [wish("app", values)])
    workspace.calls.clear()

    run(workspace, [wish("app", {**values, "key-7": b"y"})], stamp=SECOND)

    assert len(workspace.calls) == 16 - 1
    assert [call.operation for call in workspace.calls].count("get_secret") == 2 + 1 + 1 + 1


def test_work_trees_do_not_make_the_ledger_forget_the_commit(workspace: FakeWorkspace) -> None:
    """Who applies a tree that is not committed stands in the same line as the pipeline."""
    run(workspace, [wish("app", {"a": b"1"})])
    run(workspace, [wish("app", {"a": b"2"})], stamp=Stamp(at_ms=5, commit=None))

    assert head_of(workspace).commit == FIRST.commit


def test_a_run_that_is_overtaken_stops_and_leaves_the_ledger_to_the_other(workspace: FakeWorkspace) -> None:
    """It has put nothing after the other one began, and writes no entry."""
    run(workspace, [wish("app", {"a": b"1"})])
    other = replace(head_of(workspace), run=RunId(b"other run 000000"))

    def begin(call: Call) -> None:
        if call.operation == "put_secret" and call.subject.startswith("scope-"):
            workspace.after.clear()
            workspace.put(LEDGER_SCOPE, head_name(OWNER), encode_head(other).reveal())

    workspace.after.append(begin)

    attempt = run(workspace, [wish("app", {"a": b"2"})])

    assert attempt is not None
    assert attempt.is_overtaken
    assert outcomes(attempt) == [Outcome.SKIPPED]
    assert workspace.values("app") == {"a": b"1"}
    assert head_of(workspace) == other
    assert len(entry_of(workspace).intents) == 1


def test_a_run_that_is_overtaken_at_its_end_writes_no_entry(workspace: FakeWorkspace) -> None:
    """What it saw may be what the other one has put since."""
    run(workspace, [wish("app", {"a": b"1"})])
    other = replace(head_of(workspace), run=RunId(b"other run 000000"))

    def begin(call: Call) -> None:
        if (call.operation, call.scope) == ("put_secret", "app"):
            workspace.after.clear()
            workspace.put(LEDGER_SCOPE, head_name(OWNER), encode_head(other).reveal())

    workspace.after.append(begin)

    attempt = run(workspace, [wish("app", {"a": b"2"})])

    assert attempt is not None
    assert attempt.is_overtaken
    assert outcomes(attempt) == [Outcome.DONE]
    assert len(entry_of(workspace).intents) == 1


def test_what_is_left_after_an_interrupt_is_written_down(workspace: FakeWorkspace) -> None:
    """What is done counts as ours; what was skipped stays to be done."""
    stop: list[str] = []

    def interrupt(call: Call) -> None:
        if (call.operation, call.scope) == ("put_secret", "app"):
            stop.append("the run was interrupted")

    workspace.after.append(interrupt)

    attempt = run(
        workspace,
        [wish("app", {"a": b"1"}, acls={"users": Permission.READ})],
        halted=lambda: stop[0] if stop else None,
    )

    assert outcomes(attempt) == [Outcome.DONE, Outcome.DONE, Outcome.SKIPPED]
    entry = entry_of(workspace)
    assert entry.intents == ()
    assert set(entry.keys) == {entry.name_tag("a")}
    workspace.after.clear()
    assert outcomes(run(workspace, [wish("app", {"a": b"1"}, acls={"users": Permission.READ})])) == [Outcome.DONE]


def test_without_its_intents_no_change_of_a_scope_is_tried(workspace: FakeWorkspace) -> None:
    """The other scopes are not disturbed."""

    def fail(call: Call) -> None:
        if call.subject == entry_name(PLACE, "app"):
            raise UnexpectedAnswer("500")

    workspace.faults.append(fail)

    attempt = run(workspace, [wish("app", {"a": b"1"}), wish("other", {"b": b"2"})])

    assert attempt is not None
    assert {(one.change.scope, one.outcome) for one in attempt.results} == {
        ("app", Outcome.SKIPPED),
        ("other", Outcome.DONE),
    }
    assert "app" not in workspace.scopes
    assert attempt.failures != ()


def test_a_put_that_failed_is_found_out_by_the_next_run(workspace: FakeWorkspace) -> None:
    """Whether it took effect or not: afterwards the workspace is as git says, and the ledger knows it."""
    run(workspace, [wish("app", {"a": b"1", "b": b"1"})])

    def lose(call: Call) -> None:
        if (call.operation, call.subject) == ("put_secret", "a"):
            raise UnexpectedAnswer("the answer was lost")

    workspace.after.append(lose)
    wishes = [wish("app", {"a": b"2", "b": b"1"})]

    assert outcomes(run(workspace, wishes, stamp=SECOND)) == [Outcome.FAILED]
    workspace.after.clear()
    assert run(workspace, wishes, stamp=SECOND) is None

    entry = entry_of(workspace)
    assert entry.keys[entry.name_tag("a")].changed == SECOND
    assert entry.intents == ()


def test_a_scope_that_somebody_made_in_between_gets_no_value(workspace: FakeWorkspace) -> None:
    """It was not there when the plan was made."""

    def squat(call: Call) -> None:
        if (call.operation, call.scope) == ("create_scope", "app"):
            workspace.faults.clear()
            workspace.add("app", owner="mallory")

    workspace.faults.append(squat)

    attempt = run(workspace, [wish("app", {"a": b"1"})])

    assert outcomes(attempt) == [Outcome.FAILED, Outcome.SKIPPED]
    assert workspace.values("app") == {}


def test_a_key_that_somebody_wrote_since_it_was_looked_at_is_not_deleted(workspace: FakeWorkspace) -> None:
    """It was ours when the plan was made; what is there now is not, even if it is the same value."""
    run(workspace, [wish("app", {"keep": b"1", "old": b"1", "gone": b"1"})])

    def meddle(call: Call) -> None:
        if (call.operation, call.subject) == ("put_secret", "keep"):
            workspace.after.clear()
            workspace.put("app", "old", b"theirs")

    workspace.after.append(meddle)

    attempt = run(workspace, [wish("app", {"keep": b"2"})], stamp=SECOND)

    assert outcomes(attempt) == [Outcome.DONE, Outcome.DONE, Outcome.SKIPPED]
    assert workspace.values("app") == {"keep": b"2", "old": b"theirs"}
    assert outcomes(run(workspace, [wish("app", {"keep": b"3"})], stamp=SECOND)) == [Outcome.DONE]
    assert workspace.values("app") == {"keep": b"3", "old": b"theirs"}


def test_a_survey_that_is_old_is_held_against_the_head_before_anything_is_written(workspace: FakeWorkspace) -> None:
    """While a question was open another run may have begun and ended; its head must not be overwritten."""
    run(workspace, [wish("app", {"a": b"1"})])
    other = replace(head_of(workspace), run=RunId(b"other run 000000"), commit=SECOND.commit)

    def pass_time(call: Call) -> None:
        if call.operation == "list_secrets":
            workspace.after.clear()
            workspace.faults.clear()
            workspace.put(LEDGER_SCOPE, head_name(OWNER), encode_head(other).reveal())

    workspace.faults.append(pass_time)

    attempt = run(workspace, [wish("app", {"a": b"2"})], is_recent=False)

    assert attempt is not None
    assert attempt.is_overtaken
    assert outcomes(attempt) == [Outcome.SKIPPED]
    assert head_of(workspace) == other
    assert workspace.values("app") == {"a": b"1"}
