"""Grants: which go is a question of who made them."""

import pytest

from reconciler.diff import Keep, diff
from reconciler.model import Permission, Principal, Prune, ScopeName, fold
from reconciler.plan import DeleteAcl, FindingKind, Plan, PutAcl
from reconciler.survey import ScopeState
from tests.fakes import FakeWorkspace
from tests.support.ledgered_runs import crash, look
from tests.support.recorded import granting, seen_now, write_entry, write_head
from tests.support.wishes import wish


READ, WRITE, MANAGE = Permission.READ, Permission.WRITE, Permission.MANAGE


def _workspace() -> FakeWorkspace:
    """Return one whose ledger says that we granted READ to ``former`` and to ``raised``, who has more by now."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"1"})
    entry = granting(seen_now(workspace, "app"), {"Former": READ, "raised": READ})
    workspace.grant("app", "former", READ)
    workspace.grant("app", "raised", WRITE)
    workspace.grant("app", "stranger", READ)
    write_entry(workspace, "app", entry)
    write_head(workspace, "app")
    return workspace


def _gone(plan: Plan) -> set[str]:
    return {change.principal for change in plan.changes if isinstance(change, DeleteAcl)}


@pytest.mark.parametrize(
    ("prune", "gone", "told"),
    [
        pytest.param(Prune.OWNED, {"former"}, {"raised", "stranger"}, id="owned"),
        pytest.param(Prune.ALL, {"former", "raised", "stranger"}, set(), id="all"),
        pytest.param(Prune.NONE, set(), set(), id="none"),
    ],
)
def test_owned_takes_away_what_git_granted(prune: Prune, gone: set[str], told: set[str]) -> None:
    """A grant that somebody else made, or raised, is theirs."""
    plan = look(_workspace(), [wish("app", {"a": b"1"}, acls={"users": READ}, prune=prune)]).plan

    assert _gone(plan) == gone
    found = {finding.principal: finding for finding in plan.findings if finding.kind is FindingKind.UNMANAGED_ACL}
    assert found.keys() == told
    assert all("somebody else granted it" in finding.detail for finding in found.values())


def test_without_acls_in_git_our_own_grants_stay_as_well() -> None:
    """A file that says nothing of ACLs changes none."""
    assert not look(_workspace(), [wish("app", {"a": b"1"})]).plan


def test_a_grant_of_a_run_that_was_killed_is_ours() -> None:
    """It was about to be made; by the next run git names it no longer."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"1"})
    write_entry(workspace, "app", seen_now(workspace, "app"))
    write_head(workspace, "app")
    crash(workspace, [wish("app", {"a": b"1"}, acls={"users": READ})], done=1)
    assert workspace.grants("app")["users"] is READ

    plan = look(workspace, [wish("app", {"a": b"1"}, acls={"admins": READ})]).plan

    assert _gone(plan) == {"users"}


def test_a_grant_says_what_the_principal_had() -> None:
    """What is raised and what is lowered shows by that."""
    plan = look(_workspace(), [wish("app", {"a": b"1"}, acls={"raised": READ, "former": MANAGE, "users": READ})]).plan

    assert {change.principal: change.before for change in plan.changes if isinstance(change, PutAcl)} == {
        "raised": WRITE,
        "former": READ,
        "users": None,
    }


def test_a_protected_grant_stays_though_git_made_it() -> None:
    """Whoever runs keeps what it manages the scope by."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"1"})
    write_entry(workspace, "app", granting(seen_now(workspace, "app"), {workspace.identity: MANAGE}))
    write_head(workspace, "app")

    seen = look(workspace, [wish("app", {"a": b"1"}, acls={"users": READ})])

    assert _gone(seen.plan) == set()
    state = seen.survey.scopes[fold("app")]
    assert isinstance(state, ScopeState)
    assert state.entry is not None


def test_whoever_became_an_operator_gets_access_where_git_leaves_grants_alone() -> None:
    """They could not run the target otherwise; nothing else about the grants changes."""
    workspace = _workspace()
    keep = Keep(identity=workspace.identity, operators=(workspace.identity, Principal("ci")))
    seen = look(workspace, [wish("app", {"a": b"1"})])
    state = seen.survey.scopes[fold("app")]
    assert isinstance(state, ScopeState)

    plan = diff(wish("app", {"a": b"1"}), state, keep, seen.entries[fold("app")])

    expected = PutAcl(scope=ScopeName("app"), principal=Principal("ci"), permission=MANAGE)
    assert plan.changes == (expected,)
