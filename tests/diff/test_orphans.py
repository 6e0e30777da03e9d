"""Scopes that git no longer names: deleted only if wanted, and if all that is in them is ours."""

from collections.abc import Callable

import pytest

from reconciler.diff import diff_orphan
from reconciler.model import LEDGER_SCOPE, Permission, ScopeName, fold
from reconciler.plan import DeleteScope, FindingKind
from reconciler.survey import ScopeState, Want, take
from reconciler.workers import Workers
from tests.fakes import FakeWorkspace
from tests.support.ledgered_runs import crash
from tests.support.recorded import SPOT, write_head, write_ledger
from tests.support.wishes import wish


ATTIC = ScopeName("attic")


def _state(workspace: FakeWorkspace) -> ScopeState:
    with Workers(4) as workers:
        survey = take(workspace, workers, {ATTIC: Want(keys=frozenset())}, SPOT, pause=workspace.clock.sleep)
    state = survey.scopes[fold(ATTIC)]
    assert isinstance(state, ScopeState)
    return state


def _recreate_scope(workspace: FakeWorkspace) -> None:
    workspace.add(ATTIC, {"a": b"1"}, owner="stranger")


def _open_ledger(workspace: FakeWorkspace) -> None:
    workspace.grant(LEDGER_SCOPE, "stranger", Permission.WRITE)


def _add_many(workspace: FakeWorkspace) -> None:
    for n in range(5):
        workspace.put(ATTIC, f"theirs-{n}", b"x")


@pytest.mark.parametrize(
    ("happens", "detail"),
    [
        pytest.param(lambda _: None, None, id="nothing"),
        pytest.param(lambda workspace: workspace.put(ATTIC, "a", b"1"), None, id="the same value put again"),
        pytest.param(lambda workspace: workspace.put(ATTIC, "a", b"2"), "holds now: a", id="a key written to"),
        pytest.param(_add_many, "theirs-0, theirs-1, theirs-2 and 2 more", id="keys of somebody else"),
        pytest.param(_recreate_scope, "nothing shows", id="made anew by somebody else"),
        pytest.param(_open_ledger, "nothing shows", id="the ledger does not count"),
    ],
)
def test_an_orphan_is_deleted_only_if_all_of_it_is_ours(
    happens: Callable[[FakeWorkspace], None], detail: str | None
) -> None:
    """What is not is told, and why."""
    workspace = FakeWorkspace()
    workspace.add(ATTIC, {"a": b"1", "b": b"2"})
    write_ledger(workspace, ATTIC)
    happens(workspace)

    plan = diff_orphan(ATTIC, _state(workspace), delete=True)

    if detail is None:
        assert plan.changes == (DeleteScope(scope=ATTIC),)
        assert not plan.findings
    else:
        (finding,) = plan.findings
        assert finding.kind is FindingKind.ORPHANED_SCOPE
        assert detail in finding.detail
        assert not plan


def test_an_orphan_is_told_where_nobody_asked_for_its_end() -> None:
    """With the flag that deletes it."""
    workspace = FakeWorkspace()
    workspace.add(ATTIC, {"a": b"1"})
    write_ledger(workspace, ATTIC)

    plan = diff_orphan(ATTIC, _state(workspace), delete=False)

    assert not plan
    assert ["--delete-scopes" in finding.detail for finding in plan.findings] == [True]


def test_what_a_run_that_was_killed_put_into_an_orphan_is_ours() -> None:
    """Its intents are still open, and what is there is what they say."""
    workspace = FakeWorkspace()
    crash(workspace, [wish(ATTIC, {"a": b"1", "b": b"2"})], done=2)
    write_head(workspace, ATTIC)

    assert diff_orphan(ATTIC, _state(workspace), delete=True).changes == (DeleteScope(scope=ATTIC),)
