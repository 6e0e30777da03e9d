"""What a survey asks of the ledger, and what it lets count."""

import hashlib
import threading
from dataclasses import replace

import pytest

from reconciler.errors import (
    InvalidRequest,
    PermissionDenied,
    Refused,
    UnexpectedAnswer,
    WorkspaceError,
)
from reconciler.ledger.encoding import encode_entry
from reconciler.ledger.records import Garbled, Missing, entry_name, head_name, managed_tag, place_tag
from reconciler.ledger.trust import Foreign, Hidden, Trusted, Unwritten
from reconciler.model import LEDGER_SCOPE, Acl, Permission, ScopeName, fold
from reconciler.survey import (
    Fingerprint,
    Known,
    LedgerSpot,
    MissingScope,
    ScopeState,
    Survey,
    UnknownScope,
    take,
)
from reconciler.workers import Workers
from reconciler.workspace import ScopeInfo, SecretInfo
from tests.fakes import Call, FakeWorkspace
from tests.support.recorded import (
    OTHER_OWNER,
    OWNER,
    PLACE,
    SPOT,
    blank,
    recording,
    write_entry,
    write_head,
    write_ledger,
)
from tests.support.wishes import want, wish


ENTRY_OF_APP = entry_name(PLACE, "app")
HEAD = head_name(OWNER)


def _take(
    workspace: FakeWorkspace, *scopes: str, concurrency: int = 4, spot: LedgerSpot = SPOT, verify_values: bool = False
) -> Survey:
    wishes = [wish(scope, {"a": b"", "b": b""}) for scope in scopes or ("app",)]
    with Workers(concurrency) as workers:
        return take(
            workspace,
            workers,
            {one.scope: want(one) for one in wishes},
            spot,
            verify_values=verify_values,
            pause=workspace.clock.sleep,
        )


def _state(survey: Survey, scope: str = "app") -> ScopeState:
    state = survey.scopes[fold(scope)]
    assert isinstance(state, ScopeState)
    return state


def _failing(workspace: FakeWorkspace, operation: str, error: WorkspaceError, subject: str = "") -> None:
    def fault(call: Call) -> None:
        if (call.operation, call.scope, call.subject) == (operation, LEDGER_SCOPE, subject):
            raise error

    workspace.faults.append(fault)


def _app(kind: type[FakeWorkspace] = FakeWorkspace) -> FakeWorkspace:
    workspace = kind()
    workspace.add("app", {"a": b"1", "b": b"2"})
    return workspace


def test_a_scope_in_sync_by_the_ledger_costs_seven_requests_and_no_value() -> None:
    """Who, scopes, the ledger's grants and head; keys, grants and entry of the scope."""
    workspace = _app()
    write_ledger(workspace, "app")

    state = _state(_take(workspace))

    assert sorted(workspace.calls) == sorted(
        [
            Call("whoami"),
            Call("list_scopes"),
            Call("list_acls", LEDGER_SCOPE),
            Call("get_secret", LEDGER_SCOPE, HEAD),
            Call("get_secret", LEDGER_SCOPE, ENTRY_OF_APP),
            Call("list_secrets", "app"),
            Call("list_acls", "app"),
        ]
    )
    assert all(isinstance(evidence, Fingerprint) for evidence in state.evidence.values())


def test_a_hundred_scopes_in_sync_cost_three_requests_each() -> None:
    """And four for the workspace, however many keys there are."""
    workspace = FakeWorkspace()
    scopes = [f"scope-{n}" for n in range(100)]
    for scope in scopes:
        workspace.add(scope, {"a": b"1", "b": b"2"})
    write_ledger(workspace, *scopes)

    _take(workspace, *scopes, concurrency=16)

    assert len(workspace.calls) == 304


def test_what_the_ledger_holds_comes_home() -> None:
    """Entries, the head, and that it counts; also for scopes that are not there: they may be another owner's."""
    workspace = _app()
    entry = write_ledger(workspace, "app")["app"]
    gone = recording(blank("gone"), {"a": b"1"})
    write_entry(workspace, "gone", gone)
    head = write_head(workspace, "app", "gone")

    survey = _take(workspace, "app", "gone")

    assert survey.standing == Trusted()
    assert survey.head == head
    assert (_state(survey).found, _state(survey).entry) == (entry, entry)
    assert survey.scopes[fold("gone")] == MissingScope(scope="gone", found=gone)  # type: ignore[arg-type]
    assert {info.name for info in survey.there} == {"app", LEDGER_SCOPE}


def test_verified_values_are_read_whatever_the_ledger_says() -> None:
    """It could be wrong, and somebody wants to know."""
    workspace = _app()
    write_ledger(workspace, "app")

    state = _state(_take(workspace, verify_values=True))

    assert all(isinstance(evidence, Known) for evidence in state.evidence.values())


def test_without_a_ledger_nothing_is_asked_that_cannot_be_there() -> None:
    """Two requests find out, always the same ones; no entry is asked for where the scopes are listed without it."""
    workspace = _app()

    survey = _take(workspace, concurrency=1)

    assert survey.standing == Unwritten()
    assert survey.head == _state(survey).found == Missing()
    asked = [call.operation for call in workspace.calls if call.scope == LEDGER_SCOPE]
    assert asked == ["list_acls", "get_secret"]


class _Hiding(FakeWorkspace):
    """Shows the ledger's scope to nobody."""

    def list_scopes(self) -> tuple[ScopeInfo, ...]:
        return tuple(info for info in super().list_scopes() if info.name != LEDGER_SCOPE)


def test_a_ledger_that_shows_grants_and_is_not_listed_decides_nothing() -> None:
    """Whoever may read grants is shown the scope: one of the two answers is older than the other."""
    workspace = _app(_Hiding)
    write_ledger(workspace, "app")

    with pytest.raises(UnexpectedAnswer, match=r"does not list it"):
        _take(workspace)


class _Slow(FakeWorkspace):
    """Does not tell the ledger's grants before it was asked for the keys of a scope."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()

    def list_secrets(self, scope: ScopeName) -> tuple[SecretInfo, ...]:
        self.asked.set()
        return super().list_secrets(scope)

    def list_acls(self, scope: ScopeName) -> tuple[Acl, ...]:
        assert scope != LEDGER_SCOPE or self.asked.wait(10.0)
        return super().list_acls(scope)


def test_scopes_are_asked_while_the_ledger_has_not_answered() -> None:
    """What it holds is compared with the lists; neither waits for the other."""
    workspace = _app(_Slow)
    write_ledger(workspace, "app")

    assert isinstance(_take(workspace).standing, Trusted)


def test_a_scope_that_is_not_there_costs_its_entry_alone() -> None:
    """The list of scopes comes first, so that nothing is asked in vain."""
    workspace = _app()
    write_ledger(workspace, "app")

    _take(workspace, "gone")

    assert [call for call in workspace.calls if call.scope not in ("", LEDGER_SCOPE)] == []
    assert Call("get_secret", LEDGER_SCOPE, entry_name(PLACE, "gone")) in workspace.calls


def test_nothing_of_a_ledger_that_others_can_write_to_is_used() -> None:
    """Whoever has a grant on it could have written there what is ours to delete."""
    workspace = _app()
    write_ledger(workspace, "app")
    workspace.grant(LEDGER_SCOPE, "stranger", Permission.WRITE)

    survey = _take(workspace)

    assert isinstance(survey.standing, Foreign)
    assert survey.head == _state(survey).found == Missing()
    assert _state(survey).entry is None
    assert all(isinstance(evidence, Known) for evidence in _state(survey).evidence.values())


def test_nothing_of_a_ledger_is_used_whose_grants_are_hidden() -> None:
    """Values are compared all the same."""
    workspace = _app()
    write_ledger(workspace, "app")
    workspace.grant("app", "reader", Permission.READ)
    workspace.grant(LEDGER_SCOPE, "reader", Permission.READ)

    survey = _take(workspace.seen_by("reader"))

    assert isinstance(survey.standing, Hidden)
    assert survey.head == _state(survey).found == Missing()
    assert all(isinstance(evidence, Known) for evidence in _state(survey).evidence.values())


def test_readers_and_operators_of_the_ledger_are_those_of_the_spot() -> None:
    """Their grants do not speak against it; what they lack is told."""
    workspace = _app()
    write_ledger(workspace, "app")
    workspace.grant(LEDGER_SCOPE, "auditor", Permission.READ)
    spot = replace(SPOT, operators=(workspace.identity, "colleague"), readers=("auditor",))  # type: ignore[arg-type]

    standing = _take(workspace, spot=spot).standing

    assert isinstance(standing, Trusted)
    assert [acl.principal for acl in standing.missing] == ["colleague"]


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"", id="nothing in it"),
        pytest.param(b"something else", id="something else"),
        pytest.param(encode_entry(blank("other")).reveal(), id="of another scope"),
        pytest.param(encode_entry(blank(place=place_tag("elsewhere"))).reveal(), id="of another workspace"),
        pytest.param(encode_entry(blank("other", owner=OTHER_OWNER)).reveal(), id="of another scope and owner"),
    ],
)
def test_an_entry_that_cannot_be_used_is_garbled(garbage: bytes) -> None:
    """It says nothing of its scope, and every value is read."""
    workspace = _app()
    write_ledger(workspace, "app")
    write_entry(workspace, "app", garbage)

    state = _state(_take(workspace))

    assert isinstance(state.found, Garbled)
    assert state.entry is None
    assert all(isinstance(evidence, Known) for evidence in state.evidence.values())


@pytest.mark.parametrize("subject", [pytest.param(ENTRY_OF_APP, id="entry"), pytest.param(HEAD, id="head")])
@pytest.mark.parametrize(
    "error",
    [
        pytest.param(InvalidRequest("only in notebooks"), id="BAD_REQUEST"),
        pytest.param(PermissionDenied("no READ"), id="PERMISSION_DENIED"),
    ],
)
def test_a_record_that_the_platform_keeps_to_itself_is_garbled(error: WorkspaceError, subject: str) -> None:
    """As values may be handed out in notebooks alone; asking again would not help."""
    workspace = _app()
    write_ledger(workspace, "app")
    _failing(workspace, "get_secret", error, subject)

    survey = _take(workspace)

    assert isinstance(survey.head if subject == HEAD else _state(survey).found, Garbled)


def test_an_entry_that_could_not_be_got_leaves_its_scope_alone() -> None:
    """To take it for lost would mean to forget whose the scope is; the others go on."""
    workspace = _app()
    workspace.add("good", {"a": b"1"})
    write_ledger(workspace, "app", "good")
    error = UnexpectedAnswer("500")
    _failing(workspace, "get_secret", error, ENTRY_OF_APP)

    survey = _take(workspace, "app", "good")

    assert survey.scopes[fold("app")] == UnknownScope(scope="app", error=error)  # type: ignore[arg-type]
    assert _state(survey, "good").entry is not None


@pytest.mark.parametrize(
    ("operation", "subject"),
    [pytest.param("list_acls", "", id="grants"), pytest.param("get_secret", HEAD, id="head")],
)
def test_without_the_ledgers_grants_or_head_nothing_can_be_said(operation: str, subject: str) -> None:
    """Whether it counts, or which commit was applied last: the target fails as a whole."""
    workspace = _app()
    write_ledger(workspace, "app")
    _failing(workspace, operation, UnexpectedAnswer("500"), subject)

    with pytest.raises(UnexpectedAnswer):
        _take(workspace)


def test_a_head_of_another_owner_or_workspace_is_garbled() -> None:
    """Somebody copied it here."""
    workspace = _app()
    write_ledger(workspace, "app")
    for spot in (replace(SPOT, owner=OTHER_OWNER), replace(SPOT, place=place_tag("elsewhere"))):
        workspace.put(LEDGER_SCOPE, head_name(spot.owner), workspace.values(LEDGER_SCOPE)[HEAD])

        assert isinstance(_take(workspace, spot=spot).head, Garbled)


def test_the_entry_of_another_owner_is_found_and_does_not_vouch() -> None:
    """Whose the scope is must be told; what is recorded there is not ours."""
    workspace = _app()
    write_ledger(workspace, "app")
    theirs = recording(blank(owner=OTHER_OWNER), {"a": b"1"}, workspace.clock.now_ms)
    write_entry(workspace, "app", theirs)

    state = _state(_take(workspace))

    assert (state.found, state.entry) == (theirs, None)
    assert all(isinstance(evidence, Known) for evidence in state.evidence.values())


def test_an_entry_does_not_vouch_for_a_scope_that_somebody_made_anew() -> None:
    """Nothing recorded is left, and a stranger has a grant: it is another scope of that name."""
    workspace = _app()
    entry = write_ledger(workspace, "app")["app"]
    workspace.add("app", {"a": b"1", "b": b"2"}, owner="stranger")

    state = _state(_take(workspace))

    assert (state.found, state.entry) == (entry, None)
    assert all(isinstance(evidence, Known) for evidence in state.evidence.values())


def test_grants_that_git_names_do_not_speak_against_a_scope() -> None:
    """Nor do those of operators: every value may have drifted, and it is still the scope that we made."""
    workspace = _app()
    write_ledger(workspace, "app")
    workspace.grant("app", "users", Permission.READ)
    workspace.grant("app", "colleague", Permission.MANAGE)
    workspace.put("app", "a", b"drifted")
    workspace.put("app", "b", b"drifted")
    desired = wish("app", {"a": b"1", "b": b"2"}, acls={"users": Permission.READ})
    for acls, operators, vouched in (
        (desired.acls, ("admin@example.com", "colleague"), True),
        (desired.acls, (), False),
        (None, ("admin@example.com", "colleague"), False),
    ):
        workspace.scopes[fold(LEDGER_SCOPE)].acls.pop(fold("colleague"), None)
        with Workers(2) as workers:
            spot = replace(SPOT, operators=operators)  # type: ignore[arg-type]
            survey = take(workspace, workers, {desired.scope: replace(want(desired), acls=acls)}, spot)

        assert (_state(survey).entry is not None) is vouched


def test_a_ledger_of_a_newer_version_is_refused() -> None:
    """To take it for garbled would be to overwrite it."""
    workspace = _app()
    write_ledger(workspace, "app")
    raw = bytearray(encode_entry(blank()).reveal()[:-16])
    raw[4] += 1
    write_entry(workspace, "app", bytes(raw) + hashlib.sha256(raw).digest()[:16])

    with pytest.raises(Refused, match="newer version"):
        _take(workspace)


def test_the_head_names_scopes_in_the_way_that_entries_do() -> None:
    """Orphans are found by that."""
    workspace = _app()
    head = write_head(workspace, "App")

    assert head.scopes == {managed_tag(PLACE, "app")}
    assert blank("APP").scope in head.scopes
