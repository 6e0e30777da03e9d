"""Looking at a workspace: what is asked, what is made of the answers."""

import pytest

from reconciler.errors import (
    InvalidRequest,
    NotFound,
    NotTried,
    PermissionDenied,
    UnexpectedAnswer,
    Unreachable,
    WorkspaceError,
)
from reconciler.model import Prune, fold
from reconciler.survey import (
    SETTLE_S,
    Absent,
    Known,
    MissingScope,
    ScopeState,
    Survey,
    UnknownScope,
    Unreadable,
    Want,
    introduce,
    look_into,
    take,
)
from reconciler.workers import Workers
from reconciler.workspace import Backend, ScopeInfo
from tests.fakes import Call, FakeWorkspace
from tests.support.recorded import SPOT, write_ledger
from tests.support.wishes import want, wish


def _take(workspace: FakeWorkspace, **wanted: set[str]) -> Survey:
    wishes = [wish(scope, dict.fromkeys(keys, b"")) for scope, keys in wanted.items()]
    with Workers(4) as workers:
        return take(workspace, workers, {one.scope: want(one) for one in wishes}, pause=workspace.clock.sleep)


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


def test_values_are_read_a_moment_after_the_lists() -> None:
    """A pause between the two, or a put in the same millisecond could hide behind the listed time."""
    workspace = FakeWorkspace()
    workspace.add("one", {"a": b"1"})
    workspace.add("two", {"a": b"1"})
    pauses: list[tuple[float, set[str]]] = []

    with Workers(4) as workers:
        take(
            workspace,
            workers,
            {scope: Want(keys=frozenset({fold("a")})) for scope in (wish("one").scope, wish("two").scope)},
            pause=lambda seconds: pauses.append((seconds, {call.operation for call in workspace.calls})),
        )

    assert pauses == [(SETTLE_S, {"whoami", "list_scopes", "list_secrets", "list_acls"})]
    assert [call.operation for call in workspace.calls[-2:]] == ["get_secret", "get_secret"]


def test_nothing_is_waited_for_where_no_value_is_read() -> None:
    """A run that has nothing to do is over sooner."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"1"})
    write_ledger(workspace, "app")
    desired = wish("app", {"a": b"1"})
    pauses: list[float] = []

    with Workers(4) as workers:
        take(workspace, workers, {desired.scope: want(desired)}, SPOT, pause=pauses.append)

    assert pauses == []


def test_each_value_read_is_told() -> None:
    """A progress bar moves by it."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"1", "b": b"2", "c": b"3"})
    desired = wish("app", {"a": b"", "b": b"", "missing": b""})
    steps: list[None] = []

    with Workers(4) as workers:
        take(
            workspace, workers, {desired.scope: want(desired)}, pause=lambda _: None, on_read=lambda: steps.append(None)
        )

    assert len(steps) == 2


@pytest.mark.parametrize("concurrency", [1, 4])
def test_the_first_complaint_is_told_rather_than_those_that_followed_from_it(concurrency: int) -> None:
    """Once the workspace does not answer, the other questions are given up."""
    workspace = FakeWorkspace()
    _failing(workspace, "whoami", Unreachable("no answer"))
    _failing(workspace, "list_scopes", NotTried("given up"))
    desired = wish("app", {"a": b"1"})

    for look in (
        lambda workers: introduce(workspace, workers),
        lambda workers: take(workspace, workers, {desired.scope: want(desired)}, SPOT),
    ):
        with Workers(concurrency) as workers, pytest.raises(Unreachable):
            look(workers)


def test_who_we_are_and_which_scopes_there_are_takes_two_requests() -> None:
    """For commands that only list."""
    workspace = FakeWorkspace()
    workspace.add("app")

    with Workers(2) as workers:
        identity, infos = introduce(workspace, workers)

    assert (identity.name, [info.name for info in infos]) == (workspace.identity, ["app"])
    assert len(workspace.calls) == 2


def test_looking_again_reads_just_the_given_keys() -> None:
    """After applying: those that were put; no ledger, no grants unless they matter."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"1", "b": b"2"})
    info = ScopeInfo(name=wish("app").scope, backend=Backend.DATABRICKS)
    pauses: list[float] = []

    with Workers(4) as workers:
        states = look_into(
            workspace,
            workers,
            {info: frozenset({fold("a"), fold("missing")})},
            with_acls=False,
            pause=pauses.append,
        )

    state = states[fold("app")]
    assert isinstance(state, ScopeState)
    assert isinstance(state.evidence[fold("a")], Known)
    assert state.evidence[fold("missing")] == Absent()
    assert state.acls is None
    assert workspace.calls == [Call("list_secrets", "app"), Call("get_secret", "app", "a")]
    assert pauses == [SETTLE_S]


def test_looking_again_at_a_scope_that_is_gone_says_so() -> None:
    """Nothing may be decided about it."""
    workspace = FakeWorkspace()
    info = ScopeInfo(name=wish("app").scope, backend=Backend.DATABRICKS)

    with Workers(4) as workers:
        states = look_into(workspace, workers, {info: frozenset()}, with_acls=True)

    state = states[fold("app")]
    assert isinstance(state, UnknownScope)
    assert isinstance(state.error, NotFound)


def test_a_key_that_decides_whose_it_is_has_evidence_though_git_does_not_want_it() -> None:
    """It was recorded, and has been written to since."""
    workspace = FakeWorkspace()
    workspace.add("app", {"kept": b"1", "removed": b"2", "foreign": b"3"})
    write_ledger(workspace, "app")
    workspace.put("app", "removed", b"anew")
    workspace.put("app", "later", b"4")
    for prune, asked in ((Prune.OWNED, {"kept", "removed"}), (Prune.NONE, {"kept"})):
        desired = wish("app", {"kept": b"1"}, prune=prune)
        with Workers(4) as workers:
            survey = take(workspace, workers, {desired.scope: want(desired)}, SPOT, pause=workspace.clock.sleep)

        state = survey.scopes[fold("app")]
        assert isinstance(state, ScopeState)
        assert state.evidence.keys() == asked
