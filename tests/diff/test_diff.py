"""What must change: decided from lists, grants and evidence, and settled after one apply."""

import string
from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import InvalidRequest, PermissionDenied
from reconciler.model import MAX_KEYS_PER_SCOPE, Permission, Principal, Prune, fold
from reconciler.plan import (
    CreateScope,
    DeleteAcl,
    DeleteReason,
    DeleteSecret,
    FindingKind,
    Outcome,
    Plan,
    PutAcl,
    PutReason,
    PutSecret,
)
from tests.fakes import Call, FakeWorkspace
from tests.support.wishes import carry_out, plan_for, wish


READ, WRITE, MANAGE = Permission.READ, Permission.WRITE, Permission.MANAGE


def _puts(plan: Plan) -> dict[str, str]:
    return {change.key: change.reason.value for change in plan.changes if isinstance(change, PutSecret)}


def _deletes(plan: Plan) -> set[str]:
    return {change.key for change in plan.changes if isinstance(change, DeleteSecret)}


def _acl_changes(plan: Plan) -> dict[str, str]:
    changes = [change for change in plan.changes if isinstance(change, PutAcl | DeleteAcl)]
    return {
        change.principal: change.permission.name if isinstance(change, PutAcl) else f"-{change.permission.name}"
        for change in changes
    }


def _found(plan: Plan, kind: FindingKind) -> set[str]:
    return {finding.key or finding.principal or "" for finding in plan.findings if finding.kind is kind}


def test_a_missing_scope_is_created_with_its_grants_and_values() -> None:
    """Everything that git names is new; the creator's own MANAGE needs no change."""
    plan = plan_for(
        FakeWorkspace(), [wish("app", {"a": b"1", "b": b"2"}, acls={"users": READ, "admin@example.com": READ})]
    )

    assert [change.scope for change in plan.changes if isinstance(change, CreateScope)] == ["app"]
    assert _puts(plan) == {"a": "new", "b": "new"}
    assert _acl_changes(plan) == {"users": "READ"}


def test_a_scope_that_holds_what_git_says_needs_nothing() -> None:
    """Equal bytes are no change, and are counted as unchanged."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"1", "empty": b""})

    plan = plan_for(workspace, [wish("app", {"a": b"1", "empty": b""})])

    assert not plan
    assert plan.unchanged == 2


def test_one_changed_value_of_many_is_one_put() -> None:
    """A rotation touches nothing else."""
    values = {f"key-{n}": b"%d" % n for n in range(1000)}
    workspace = FakeWorkspace()
    workspace.add("app", values)

    plan = plan_for(workspace, [wish("app", {**values, "key-500": b"rotated"})])

    assert _puts(plan) == {"key-500": "changed"}
    assert len(plan.changes) == 1
    assert plan.unchanged == 999


def test_a_value_changed_behind_gits_back_is_put_back() -> None:
    """Drift shows because values are compared, not states of our own."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"somebody else"})

    assert _puts(plan_for(workspace, [wish("app", {"a": b"git"})])) == {"a": "changed"}


def test_a_key_that_differs_by_case_alone_is_the_same_key() -> None:
    """Putting ``Case-Key`` would overwrite ``case-key``; deleting the "old" one would lose the value."""
    workspace = FakeWorkspace()
    workspace.add("App", {"case-key": b"1"})

    plan = plan_for(workspace, [wish("app", {"Case-Key": b"1"}, prune=Prune.ALL)])

    assert not plan


@pytest.mark.parametrize(
    ("prune", "deleted", "reported"),
    [
        pytest.param(Prune.OWNED, set(), {"theirs"}, id="owned"),
        pytest.param(Prune.ALL, {"theirs"}, set(), id="all"),
        pytest.param(Prune.NONE, set(), set(), id="none"),
    ],
)
def test_prune_decides_about_keys_that_git_does_not_name(prune: Prune, deleted: set[str], reported: set[str]) -> None:
    """Owned reports them as nothing shows whose they are, all deletes them, none is silent."""
    workspace = FakeWorkspace()
    workspace.add("app", {"ours": b"1", "theirs": b"2"})

    plan = plan_for(workspace, [wish("app", {"ours": b"1"}, prune=prune)])

    assert _deletes(plan) == deleted
    assert _found(plan, FindingKind.UNMANAGED_KEY) == reported
    assert all(change.reason is DeleteReason.UNMANAGED for change in plan.changes if isinstance(change, DeleteSecret))


@pytest.mark.parametrize(
    ("prune", "changed", "reported"),
    [
        pytest.param(Prune.OWNED, {}, {"stranger"}, id="owned"),
        pytest.param(Prune.ALL, {"stranger": "-WRITE"}, set(), id="all"),
        pytest.param(Prune.NONE, {}, set(), id="none"),
    ],
)
def test_prune_decides_about_grants_that_git_does_not_name(
    prune: Prune, changed: Mapping[str, str], reported: set[str]
) -> None:
    """The same three ways, for ACLs."""
    workspace = FakeWorkspace()
    workspace.add("app")
    workspace.grant("app", "stranger", WRITE)
    workspace.grant("app", "users", READ)

    plan = plan_for(workspace, [wish("app", acls={"users": READ}, prune=prune)])

    assert _acl_changes(plan) == changed
    assert _found(plan, FindingKind.UNMANAGED_ACL) == reported


def test_without_acls_in_git_grants_are_left_alone() -> None:
    """A file that says nothing of ACLs changes none, even under prune all."""
    workspace = FakeWorkspace()
    workspace.add("app")
    workspace.grant("app", "stranger", MANAGE)

    plan = plan_for(workspace, [wish("app", prune=Prune.ALL)])

    assert not plan
    assert not plan.findings


def test_grants_are_raised_and_lowered_to_what_git_says() -> None:
    """A lower grant is marked as such, as it must be in force before new values are written."""
    workspace = FakeWorkspace()
    workspace.add("app")
    workspace.grant("app", "up", READ)
    workspace.grant("app", "down", MANAGE)
    workspace.grant("app", "Same", WRITE)

    plan = plan_for(workspace, [wish("app", acls={"up": WRITE, "down": READ, "same": WRITE})])

    assert _acl_changes(plan) == {"up": "WRITE", "down": "READ"}
    assert {change.principal: change.lowers for change in plan.changes if isinstance(change, PutAcl)} == {
        "up": False,
        "down": True,
    }


@pytest.mark.parametrize("prune", [pytest.param(prune, id=prune.value) for prune in Prune])
def test_own_manage_operators_and_protected_grants_are_never_lowered_or_removed(prune: Prune) -> None:
    """Whatever the file says: a run must not lock out itself, its colleagues, or an app that needs its grant."""
    workspace = FakeWorkspace(identity="Runner@example.com")
    workspace.add("app")
    workspace.grant("app", "Colleague", MANAGE)
    workspace.grant("app", "app-principal", WRITE)
    acls = {"runner@example.com": READ, "colleague": READ, "app-principal": READ}

    lowering = plan_for(
        workspace, [wish("app", acls=acls, prune=prune)], operators=["colleague"], protected=["App-Principal"]
    )
    removing = plan_for(
        workspace,
        [wish("app", acls={"users": READ}, prune=prune)],
        operators=["colleague"],
        protected=["App-Principal"],
    )

    assert _acl_changes(lowering) == {}
    assert _acl_changes(removing) == {"users": "READ"}
    assert not lowering.findings
    assert not removing.findings


@pytest.mark.parametrize("prune", [pytest.param(Prune.ALL, id="removing"), pytest.param(Prune.OWNED, id="lowering")])
def test_manage_through_a_group_alone_is_kept_and_said(prune: Prune) -> None:
    """Who manages a scope only through a group would lock itself out before the first value is put."""
    workspace = FakeWorkspace(identity="runner@example.com")
    workspace.groups = frozenset({Principal("Platform")})
    workspace.add("app")
    workspace.grant("app", "platform", MANAGE)
    workspace.scopes[fold("app")].acls.pop(fold("runner@example.com"))
    acls = {"users": READ} if prune is Prune.ALL else {"users": READ, "platform": READ}

    plan = plan_for(workspace, [wish("app", acls=acls, prune=prune)])

    assert _acl_changes(plan) == {"users": "READ"}
    assert _found(plan, FindingKind.UNMANAGED_ACL) == {"platform"}


@pytest.mark.parametrize("way", ["own MANAGE", "administrator"])
def test_manage_of_a_group_goes_where_there_is_another_way(way: str) -> None:
    """Its own grant, or being an administrator of the workspace, lets the identity go on managing the scope."""
    workspace = FakeWorkspace(identity="runner@example.com")
    workspace.groups = frozenset({Principal("platform"), *([Principal("admins")] if way == "administrator" else [])})
    workspace.add("app")
    workspace.grant("app", "platform", MANAGE)
    if way == "administrator":
        workspace.scopes[fold("app")].acls.pop(fold("runner@example.com"))

    plan = plan_for(workspace, [wish("app", acls={"users": READ, "platform": READ})])

    assert _acl_changes(plan) == {"platform": "READ", "users": "READ"}


def test_operators_get_manage_on_a_scope_that_is_created() -> None:
    """Also when the file says nothing of ACLs: a colleague must be able to run the target next."""
    plan = plan_for(FakeWorkspace(), [wish("app", {"a": b"1"})], operators=["colleague"])

    assert _acl_changes(plan) == {"colleague": "MANAGE"}


def test_unknown_grants_are_reported_and_left_alone() -> None:
    """An identity without MANAGE cannot read ACLs; it still compares and puts values."""

    def deny(call: Call) -> None:
        if call.operation == "list_acls":
            raise PermissionDenied("no MANAGE")

    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"old"})
    workspace.faults.append(deny)

    plan = plan_for(workspace, [wish("app", {"a": b"new"}, acls={"users": READ}, prune=Prune.ALL)])

    assert _puts(plan) == {"a": "changed"}
    assert _acl_changes(plan) == {}
    assert [finding.kind for finding in plan.findings] == [FindingKind.ACLS_UNKNOWN]


def test_an_unreadable_value_is_put_and_said() -> None:
    """What cannot be compared is written to be sure."""

    def deny(call: Call) -> None:
        if call.operation == "get_secret":
            raise InvalidRequest("only in notebooks")

    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"1"})
    workspace.faults.append(deny)

    plan = plan_for(workspace, [wish("app", {"a": b"1"})])

    assert _puts(plan) == {"a": PutReason.UNVERIFIABLE.value}
    assert _found(plan, FindingKind.UNVERIFIABLE_VALUE) == {"a"}


def test_a_full_scope_makes_just_the_room_that_new_keys_need() -> None:
    """A rename in a scope of 1,000 keys deletes one key before the put, and the others after it."""
    workspace = FakeWorkspace()
    workspace.add("app", {f"old-{n:04}": b"x" for n in range(MAX_KEYS_PER_SCOPE)})
    wanted = {f"old-{n:04}": b"x" for n in range(MAX_KEYS_PER_SCOPE - 3)} | {"new": b"x"}

    desired = wish("app", wanted, prune=Prune.ALL)
    plan = plan_for(workspace, [desired])
    room = [change.key for change in plan.changes if isinstance(change, DeleteSecret) and change.makes_room]

    assert len(room) == 1
    assert len(_deletes(plan)) == 3
    assert all(result.outcome is Outcome.DONE for result in carry_out(plan, [desired], workspace))
    assert workspace.values("app") == wanted


NAMES = st.text(alphabet=string.ascii_letters[:3] + "AB_-", min_size=1, max_size=4)
VALUES = st.binary(max_size=4)


def _unique(names: dict[str, bytes]) -> dict[str, bytes]:
    """Keep the first of names that differ by case alone, as files may not have both."""
    return {name: value for name, value in names.items() if name == next(n for n in names if fold(n) == fold(name))}


SECRETS = st.dictionaries(NAMES, VALUES, max_size=8).map(_unique)
PRINCIPALS = st.sampled_from(["users", "admins", "a@example.com", "b@example.com", "admin@example.com"])
ACLS = st.none() | st.dictionaries(PRINCIPALS, st.sampled_from(Permission), max_size=4)


@settings(max_examples=60)
@given(
    there=st.none() | SECRETS,
    granted=st.dictionaries(PRINCIPALS, st.sampled_from(Permission)),
    want=SECRETS,
    acls=ACLS,
    prune=st.sampled_from(Prune),
)
def test_after_applying_a_plan_the_next_plan_is_empty(
    there: dict[str, bytes] | None,
    granted: dict[str, Permission],
    want: dict[str, bytes],
    acls: dict[str, Permission] | None,
    prune: Prune,
) -> None:
    """From any state to any wish in one run; what git does not name survives unless prune says otherwise."""
    workspace = FakeWorkspace()
    if there is not None:
        workspace.add("app", there)
        for principal, permission in granted.items():
            workspace.grant("app", principal, permission)
    desired = wish("app", want, acls=acls, prune=prune)

    plan = plan_for(workspace, [desired])
    results = carry_out(plan, [desired], workspace)
    before = len(workspace.writes)
    again = plan_for(workspace, [desired])

    assert all(result.outcome is Outcome.DONE for result in results)
    assert not again
    assert len(workspace.writes) == before
    held = {fold(key): value for key, value in workspace.values("app").items()}
    assert {fold(key): value for key, value in want.items()}.items() <= held.items()
    if prune is not Prune.ALL:
        kept = {fold(key) for key in there or {}}
        assert kept <= held.keys()
    else:
        assert held.keys() == {fold(key) for key in want}


@settings(max_examples=40)
@given(want=SECRETS, there=SECRETS, order=st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(want: dict[str, bytes], there: dict[str, bytes], order: Random) -> None:
    """The same files and the same workspace give the same plan, in the same order."""
    shuffled = list(want.items())
    order.shuffle(shuffled)
    plans = []
    for secrets in (want, dict(shuffled)):
        workspace = FakeWorkspace()
        workspace.add("app", there)
        plans.append(plan_for(workspace, [wish("app", secrets, prune=Prune.ALL)]))

    assert plans[0] == plans[1]
