"""Looking at a workspace: what is asked, what is made of the answers."""

import pytest

from reconciler.errors import InvalidRequest, NotFound, PermissionDenied, UnexpectedAnswer, WorkspaceError
from reconciler.model import fold
from reconciler.survey import Absent, Known, MissingScope, ScopeState, Survey, UnknownScope, Unreadable, take
from reconciler.workers import Workers
from tests.fakes import Call, FakeWorkspace
from tests.support.wishes import want, wish


def _take(workspace: FakeWorkspace, **wanted: set[str]) -> Survey:
    wishes = [wish(scope, dict.fromkeys(keys, b"")) for scope, keys in wanted.items()]
    with Workers(4) as workers:
        return take(workspace, workers, {one.scope: want(one) for one in wishes})


def _failing(workspace: FakeWorkspace, operation: str, error: WorkspaceError, scope: str = "") -> None:
    def fault(call: Call) -> None:
        if call.operation == operation and scope in ("", call.scope):
            raise error

    workspace.faults.append(fault)


def test_only_wanted_values_are_read_and_each_once() -> None:
    """Five requests for one scope: who, scopes, keys, grants, and the one value in question."""
    workspace = FakeWorkspace()
    workspace.add("app", {"wanted": b"1", "other": b"2"})
    workspace.add("not-wanted", {"a": b"3"})

    survey = _take(workspace, app={"wanted", "missing"})

    state = survey.scopes[fold("app")]
    assert isinstance(state, ScopeState)
    assert isinstance(state.evidence[fold("wanted")], Known)
    assert state.evidence[fold("missing")] == Absent()
    assert state.listed.keys() == {"wanted", "other"}
    assert sorted(workspace.calls) == [
        Call("get_secret", "app", "wanted"),
        Call("list_acls", "app"),
        Call("list_scopes"),
        Call("list_secrets", "app"),
        Call("whoami"),
    ]


def test_a_scope_that_does_not_exist_costs_no_request() -> None:
    """The list of scopes says it."""
    workspace = FakeWorkspace()

    survey = _take(workspace, app={"a"})

    assert isinstance(survey.scopes[fold("app")], MissingScope)
    assert len(workspace.calls) == 2


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(InvalidRequest("only in notebooks"), Unreadable, id="BAD_REQUEST"),
        pytest.param(PermissionDenied("no READ"), Unreadable, id="PERMISSION_DENIED"),
        pytest.param(NotFound("gone"), Absent, id="deleted since the list"),
    ],
)
def test_a_value_that_is_not_handed_out_is_evidence_of_its_own(error: WorkspaceError, kind: type) -> None:
    """Unreadable is neither absent nor empty."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"1"})
    _failing(workspace, "get_secret", error)

    state = _take(workspace, app={"a"}).scopes[fold("app")]

    assert isinstance(state, ScopeState)
    assert isinstance(state.evidence[fold("a")], kind)


@pytest.mark.parametrize("operation", ["list_secrets", "list_acls", "get_secret"])
def test_a_scope_that_cannot_be_surveyed_does_not_disturb_the_others(operation: str) -> None:
    """Its error is kept; nothing may be decided about it."""
    workspace = FakeWorkspace()
    workspace.add("bad", {"a": b"1"})
    workspace.add("good", {"a": b"1"})
    error = UnexpectedAnswer("500")
    _failing(workspace, operation, error, scope="bad")

    survey = _take(workspace, bad={"a"}, good={"a"})

    assert survey.scopes[fold("bad")] == UnknownScope(scope="bad", error=error)  # type: ignore[arg-type]
    assert isinstance(survey.scopes[fold("good")], ScopeState)


def test_grants_that_may_not_be_read_are_unknown() -> None:
    """Without MANAGE the scope can be surveyed all the same."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"1"})
    _failing(workspace, "list_acls", PermissionDenied("no MANAGE"))

    state = _take(workspace, app={"a"}).scopes[fold("app")]

    assert isinstance(state, ScopeState)
    assert state.acls is None


@pytest.mark.parametrize("operation", ["whoami", "list_scopes"])
def test_without_identity_or_scopes_nothing_can_be_said(operation: str) -> None:
    """The target fails as a whole."""
    workspace = FakeWorkspace()
    _failing(workspace, operation, PermissionDenied("no"))

    with pytest.raises(PermissionDenied):
        _take(workspace, app={"a"})


def test_names_are_matched_without_regard_to_case() -> None:
    """The platform's spelling is kept for display."""
    workspace = FakeWorkspace()
    workspace.add("App", {"Key": b"1"})

    state = _take(workspace, app={"kEY"}).scopes[fold("app")]

    assert isinstance(state, ScopeState)
    assert state.scope == "App"
    assert isinstance(state.evidence[fold("key")], Known)
