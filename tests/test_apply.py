"""Carrying out a plan: the order of steps, what is skipped after a failure, and ACLs that show late."""

import time
from collections.abc import Callable
from itertools import groupby
from operator import attrgetter

import pytest

from reconciler.apply import Manner, Patience, apply, verified
from reconciler.desired import DesiredScope
from reconciler.errors import (
    AlreadyExists,
    InvalidRequest,
    LimitExceeded,
    PermissionDenied,
    UnexpectedAnswer,
    Unreachable,
    WorkspaceError,
)
from reconciler.model import Permission, Prune, ScopeName, SecretValue, fold
from reconciler.plan import ChangeResult, DeleteSecret, Outcome, action_of, subject_of
from reconciler.survey import look_into
from reconciler.workers import Workers
from reconciler.workspace import Backend, ScopeInfo
from tests.fakes import Call, FakeWorkspace
from tests.support.wishes import carry_out, plan_for, wish


READ, WRITE, MANAGE = Permission.READ, Permission.WRITE, Permission.MANAGE


def _failing(error: WorkspaceError, *matching: str) -> Callable[[Call], None]:
    """Return a fault for requests of that operation, and scope and subject when given."""

    def fault(call: Call) -> None:
        if call[: len(matching)] == matching:
            raise error

    return fault


def _outcomes(results: tuple[ChangeResult, ...]) -> dict[str, str]:
    return {
        f"{action_of(result.change)} {result.change.scope} {subject_of(result.change)}".strip(): result.outcome.value
        for result in results
    }


def test_steps_come_in_the_order_that_never_exposes_or_loses_a_value() -> None:
    """Create, revoke and lower, put, grant and raise, delete: each step ends before the next begins."""
    workspace = FakeWorkspace()
    workspace.add("app", {"renamed-from": b"1"})
    workspace.grant("app", "lowered", MANAGE)
    workspace.grant("app", "revoked", READ)
    wishes = [
        wish("app", {"renamed-to": b"1"}, acls={"lowered": READ, "raised": WRITE}, prune=Prune.ALL),
        wish("new", {"a": b"2"}, acls={"users": READ}),
    ]

    carry_out(plan_for(workspace, wishes), wishes, workspace)

    steps = [call for call in workspace.writes if call.operation != "list_acls"]
    assert steps[0] == Call("create_scope", "new")
    assert set(steps[1:3]) == {Call("put_acl", "app", "lowered READ"), Call("delete_acl", "app", "revoked")}
    assert set(steps[3:5]) == {Call("put_secret", "app", "renamed-to"), Call("put_secret", "new", "a")}
    assert set(steps[5:7]) == {Call("put_acl", "app", "raised WRITE"), Call("put_acl", "new", "users READ")}
    assert steps[7:] == [Call("delete_secret", "app", "renamed-from")]


def test_a_wanted_key_is_never_absent_while_it_is_rotated() -> None:
    """A put overwrites in place: at every request the key is there, with the old or the new value."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"old"})
    seen: set[bytes] = set()
    workspace.faults.append(lambda _: seen.add(workspace.values("app")["a"]))
    desired = wish("app", {"a": b"new"})

    carry_out(plan_for(workspace, [desired]), [desired], workspace)

    assert seen == {b"old"}
    assert workspace.values("app") == {"a": b"new"}


def test_a_scope_that_cannot_be_created_skips_what_is_in_it_and_nothing_else() -> None:
    """The other scope is done in full."""
    workspace = FakeWorkspace()
    workspace.faults.append(_failing(LimitExceeded("full"), "create_scope", "bad"))
    wishes = [wish("bad", {"a": b"1"}, acls={"users": READ}), wish("good", {"a": b"1"})]

    results = carry_out(plan_for(workspace, wishes), wishes, workspace)

    assert _outcomes(results) == {
        "create-scope bad": "failed",
        "create-scope good": "done",
        "put-secret bad a": "skipped",
        "put-secret good a": "done",
        "put-acl bad users": "skipped",
    }
    assert next(result for result in results if result.outcome is Outcome.SKIPPED).error == (
        "the scope could not be created"
    )


def test_a_grant_that_cannot_be_revoked_keeps_new_values_away() -> None:
    """Who should no longer read must not read the new value."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"old"})
    workspace.grant("app", "stranger", READ)
    workspace.faults.append(_failing(PermissionDenied("no"), "delete_acl"))
    desired = wish("app", {"a": b"new"}, acls={"users": READ}, prune=Prune.ALL)

    results = carry_out(plan_for(workspace, [desired]), [desired], workspace)

    assert _outcomes(results) == {
        "delete-acl app stranger": "failed",
        "put-secret app a": "skipped",
        "put-acl app users": "done",
    }
    assert workspace.values("app") == {"a": b"old"}


def test_a_value_that_cannot_be_put_keeps_everything_from_being_deleted() -> None:
    """A broken run leaves too much rather than too little; the other values are put."""
    workspace = FakeWorkspace()
    workspace.add("app", {"old": b"1"})
    workspace.faults.append(_failing(UnexpectedAnswer("500"), "put_secret", "app", "b"))
    desired = wish("app", {"a": b"1", "b": b"2", "c": b"3"}, prune=Prune.ALL)

    results = carry_out(plan_for(workspace, [desired]), [desired], workspace)

    assert _outcomes(results) == {
        "put-secret app a": "done",
        "put-secret app b": "failed",
        "put-secret app c": "done",
        "delete-secret app old": "skipped",
    }
    assert workspace.values("app") == {"a": b"1", "c": b"3", "old": b"1"}


def test_full_scope_whose_puts_fail_keeps_nearly_all_of_its_keys() -> None:
    """A thousand renames exchange a few keys at a time, so a workspace that stops taking puts costs a few."""
    workspace = FakeWorkspace()
    workspace.add("app", {f"old-{n:04}": b"x" for n in range(1000)})
    done = 0

    def refuse_after_fifty(call: Call) -> None:
        nonlocal done
        if call.operation == "put_secret":
            done += 1
            if done > 50:
                raise UnexpectedAnswer("500")

    workspace.faults.append(refuse_after_fifty)
    desired = wish("app", {f"new-{n:04}": b"x" for n in range(1000)}, prune=Prune.ALL)

    results = carry_out(plan_for(workspace, [desired]), [desired], workspace)

    assert len(workspace.values("app")) >= 1000 - 16
    assert any(result.error and "no more of the old ones goes" in result.error for result in results)
    workspace.faults.clear()
    carry_out(plan_for(workspace, [desired]), [desired], workspace)
    assert workspace.values("app").keys() == {f"new-{n:04}" for n in range(1000)}


@pytest.mark.parametrize(
    ("operation", "subjects", "desired"),
    [
        pytest.param("put_secret", (), wish("app", {f"key-{n:02}": b"1" for n in range(50)}), id="put_secret"),
        pytest.param("put_acl", (), wish("app", acls={f"user-{n:02}": READ for n in range(50)}), id="put_acl"),
        pytest.param(
            "delete_acl",
            tuple(f"user-{n:02}" for n in range(50)),
            wish("app", {"a": b"1"}, acls={}, prune=Prune.ALL),
            id="delete_acl",
        ),
    ],
)
def test_after_the_workspace_is_gone_the_rest_is_skipped(
    operation: str, subjects: tuple[str, ...], desired: DesiredScope
) -> None:
    """A single request waits for its timeout; each remaining change says that it was not tried."""
    workspace = FakeWorkspace()
    workspace.add("app")
    for subject in subjects:
        workspace.grant("app", subject, READ)
    plan = plan_for(workspace, [desired])
    workspace.faults.append(_failing(Unreachable("gone"), operation))

    with Workers(1) as workers:
        results = apply(plan, [desired], workspace, workers, Manner(identity=workspace.identity))

    assert [result.outcome for result in results].count(Outcome.FAILED) == 1
    assert [result.outcome for result in results].count(Outcome.SKIPPED) == len(plan.changes) - 1
    assert [call.operation for call in workspace.writes] == [operation]


def test_an_acl_that_was_written_and_cannot_be_read_back_has_failed() -> None:
    """It was tried, so it is no skipped change, even where nobody looks because the workspace is gone."""
    workspace = FakeWorkspace()
    workspace.add("app")
    desired = wish("app", acls={"users": READ})
    plan = plan_for(workspace, [desired])

    def lose() -> None:
        raise Unreachable("gone")

    with Workers(1) as workers:

        def lose_by_another_request(_: Call) -> None:
            workers.attempt(lose)

        workspace.after.append(lose_by_another_request)
        (result,) = apply(plan, [desired], workspace, workers, Manner(identity=workspace.identity))

    assert result.outcome is Outcome.FAILED
    assert result.error is not None
    assert result.error.startswith("it was written, but could not be read back: ")
    assert workspace.calls[-1] == Call("put_acl", "app", "users READ")


def test_acls_of_one_scope_are_written_one_by_one() -> None:
    """In parallel the platform loses some of them."""
    workspace = FakeWorkspace()
    workspace.add("app")
    running: list[Call] = []
    overlaps: list[Call] = []

    def begin(call: Call) -> None:
        if call.operation == "put_acl":
            overlaps.extend(running)
            running.append(call)

    def end(call: Call) -> None:
        if call.operation == "put_acl":
            time.sleep(0.002)  # beyond the lock of the fake, so that another request could begin meanwhile
            running.remove(call)

    workspace.faults.append(begin)
    workspace.after.append(end)
    desired = wish("app", acls={f"user-{n}": READ for n in range(20)})

    results = carry_out(plan_for(workspace, [desired]), [desired], workspace)

    assert all(result.outcome is Outcome.DONE for result in results)
    assert overlaps == []


def test_an_acl_that_cannot_be_written_again_fails_alone() -> None:
    """Every change of the scope keeps its own fate and its own reason."""
    workspace = FakeWorkspace()
    workspace.add("app")
    workspace.acl_lag = 2
    written: list[str] = []

    def refuse(call: Call) -> None:
        if call.operation != "put_acl":
            return
        if call.subject == "anna READ":
            raise InvalidRequest("there is no anna")
        if call.subject == "bert READ" and call.subject in written:
            raise PermissionDenied("no longer")
        written.append(call.subject)

    workspace.faults.append(refuse)
    desired = wish("app", acls={"anna": READ, "bert": READ, "carl": READ})

    results = carry_out(plan_for(workspace, [desired]), [desired], workspace)

    assert {subject_of(result.change): (result.outcome, result.error) for result in results} == {
        "anna": (Outcome.FAILED, "there is no anna"),
        "bert": (
            Outcome.FAILED,
            "the platform accepted it but did not show it, and it could not be written again: no longer",
        ),
        "carl": (Outcome.DONE, None),
    }


def test_an_acl_that_shows_late_is_waited_for() -> None:
    """Written is not seen; the result is done only when a listing shows it."""
    workspace = FakeWorkspace()
    workspace.add("app")
    workspace.grant("app", "stranger", READ)
    workspace.acl_lag = 3
    desired = wish("app", acls={"users": READ}, prune=Prune.ALL)

    results = carry_out(plan_for(workspace, [desired]), [desired], workspace)

    assert all(result.outcome is Outcome.DONE for result in results)
    assert workspace.grants("app") == {"admin@example.com": MANAGE, "users": READ}


@pytest.mark.parametrize(
    "unfit",
    [
        pytest.param({"limit_s": 0.0}, id="no limit"),
        pytest.param({"limit_s": float("nan")}, id="limit that is no number"),
        pytest.param({"first_pause_s": 0.0}, id="no pause"),
        pytest.param({"longest_pause_s": -1.0}, id="negative pause"),
    ],
)
def test_patience_that_would_not_wait_is_refused(unfit: dict[str, float]) -> None:
    """Without a pause the workspace would be asked as fast as it answers."""
    with pytest.raises(ValueError, match="positive"):
        Patience(**unfit)  # type: ignore[arg-type]  # all of them take a float


def test_an_acl_that_never_shows_fails_within_the_patience() -> None:
    """Bounded: the clock decides, with pauses that double up to a limit."""
    workspace = FakeWorkspace()
    workspace.add("app")
    workspace.acl_lag = 10**9
    desired = wish("app", acls={"users": READ})
    plan = plan_for(workspace, [desired])
    now, pauses = 0.0, list[float]()

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        pauses.append(seconds)

    patience = Patience(limit_s=10, first_pause_s=1, longest_pause_s=3, clock=lambda: now, sleep=sleep)
    with Workers(1) as workers:
        (result,) = apply(plan, [desired], workspace, workers, Manner(identity=workspace.identity, patience=patience))

    assert result.outcome is Outcome.FAILED
    assert result.error is not None
    assert "did not show it within 10 s" in result.error
    assert pauses == [1, 2, 3, 3]


def test_a_put_acl_that_is_refused_as_existing_replaces_the_entry() -> None:
    """The API reference allows for both, overwriting and refusing."""
    workspace = FakeWorkspace()
    workspace.add("app")
    workspace.grant("app", "users", READ)

    def refuse_overwriting(call: Call) -> None:
        if call.operation == "put_acl" and "users" in workspace.grants("app"):
            raise AlreadyExists("has an entry")

    workspace.faults.append(refuse_overwriting)
    desired = wish("app", acls={"users": WRITE})

    (result,) = carry_out(plan_for(workspace, [desired]), [desired], workspace)

    assert result.outcome is Outcome.DONE
    assert workspace.grants("app")["users"] is WRITE


def test_deleting_what_is_gone_already_is_done() -> None:
    """Somebody was quicker: that is what was wanted."""
    workspace = FakeWorkspace()
    workspace.add("app", {"old": b"1"})
    desired = wish("app", prune=Prune.ALL)
    plan = plan_for(workspace, [desired])
    workspace.scopes[fold("app")].secrets.clear()

    (result,) = carry_out(plan, [desired], workspace)

    assert isinstance(result.change, DeleteSecret)
    assert result.outcome is Outcome.DONE


@pytest.mark.parametrize(
    ("meddle", "error"),
    [
        pytest.param(lambda _: None, None, id="held"),
        pytest.param(
            lambda fake: fake.put_secret("app", "a", SecretValue(b"other")),
            "it was put, but the scope holds another value now: find out who else writes it, then run again",
            id="other value",
        ),
        pytest.param(
            lambda fake: fake.delete_secret("app", "a"),
            "it was put, but is gone again: find out who else deletes it, then run again",
            id="deleted",
        ),
        pytest.param(lambda fake: fake.faults.append(_failing(InvalidRequest("no"), "get_secret")), None, id="hidden"),
    ],
)
def test_what_was_put_is_held_against_what_is_there(meddle: Callable[[FakeWorkspace], None], error: str | None) -> None:
    """A workspace that accepts a value and holds another one does not get away with it."""
    workspace = FakeWorkspace()
    workspace.add("app")
    desired = wish("app", {"a": b"1"})
    results = carry_out(plan_for(workspace, [desired]), [desired], workspace)
    meddle(workspace)
    info = ScopeInfo(name=ScopeName("app"), backend=Backend.DATABRICKS)

    with Workers(1) as workers:
        states = look_into(workspace, workers, {info: frozenset({fold("a")})}, with_acls=False)
    (result,) = verified(results, [desired], states)

    assert result.outcome is (Outcome.DONE if error is None else Outcome.FAILED)
    assert result.error == error


def test_a_deleted_key_that_is_still_there_is_a_failure() -> None:
    """Likewise for deletions."""
    workspace = FakeWorkspace()
    workspace.add("app", {"old": b"1"})
    desired = wish("app", prune=Prune.ALL)
    results = carry_out(plan_for(workspace, [desired]), [desired], workspace)
    workspace.add("app", {"old": b"1"})
    info = ScopeInfo(name=ScopeName("app"), backend=Backend.DATABRICKS)

    with Workers(1) as workers:
        states = look_into(workspace, workers, {info: frozenset()}, with_acls=False)
    (result,) = verified(results, [desired], states)

    assert result.outcome is Outcome.FAILED
    assert result.error == "it was deleted, but is still there: find out who else puts it, then run again"


def test_full_scopes_are_exchanged_side_by_side() -> None:
    """A round takes a few keys of each full scope, so ten of them take no longer than one."""
    workspace = FakeWorkspace()
    wishes = []
    for scope in ("first", "second"):
        workspace.add(scope, {f"old-{n:04}": b"x" for n in range(1000)})
        wishes.append(wish(scope, {f"new-{n:04}": b"x" for n in range(40)}, prune=Prune.ALL))

    carry_out(plan_for(workspace, wishes), wishes, workspace)

    groups = [tuple(group) for _, group in groupby(workspace.writes, key=attrgetter("operation"))]
    rounds = [(group[0].operation, len(group), {call.scope for call in group}) for group in groups]
    both = {"first", "second"}
    assert rounds == [
        *(("delete_secret", 32, both), ("put_secret", 32, both)) * 2,
        ("delete_secret", 16, both),
        ("put_secret", 16, both),
        ("delete_secret", 2 * 960, both),
    ]
