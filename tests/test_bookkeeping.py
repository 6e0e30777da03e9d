"""`reconciler.bookkeeping`: the ledger is opened for its operators alone, watched, and written."""

import uuid
from collections.abc import Iterator

import pytest

from reconciler.apply import Gate, Patience
from reconciler.bookkeeping import OVERTAKEN, Books, NoLedgerPossible, Overtaken, Page
from reconciler.errors import InvalidRequest, PermissionDenied, Refused, UnexpectedAnswer, WorkspaceError
from reconciler.ledger.encoding import decode_entry, decode_head, encode_head
from reconciler.ledger.records import Head, RunId, entry_name, head_name, new_entry, place_tag
from reconciler.ledger.trust import Circle, Trusted, Unwritten
from reconciler.model import LEDGER_SCOPE, Acl, KeyName, Permission, Principal, ScopeName, SecretValue
from reconciler.workers import Workers
from tests.fakes import Call, FakeWorkspace


OWNER = uuid.UUID("0d9c5f0e-0000-4000-8000-000000000001")
PLACE = place_tag("adb-1.2.azuredatabricks.net")
IMPATIENT = Patience(limit_s=0.05, first_pause_s=0.01, longest_pause_s=0.01)
APP = ScopeName("app")


def a_head(run: int = 1) -> Head:
    """Return the head of a run."""
    return Head(
        owner=OWNER,
        place=PLACE,
        commit=None,
        at_ms=1,
        run=RunId(bytes([run]) * 16),
        identity=Principal("admin@example.com"),
    )


@pytest.fixture
def workspace() -> FakeWorkspace:
    """A workspace without a ledger."""
    return FakeWorkspace()


@pytest.fixture
def workers() -> Iterator[Workers]:
    """A few threads."""
    with Workers(2) as crew:
        yield crew


def books(
    workspace: FakeWorkspace, workers: Workers, *, operators: tuple[str, ...] = (), readers: tuple[str, ...] = ()
) -> Books:
    """Return the ledger of a run."""
    circle = Circle(
        scope=LEDGER_SCOPE,
        target="prod",
        identity=workspace.identity,
        operators=tuple(map(Principal, operators)),
        readers=tuple(map(Principal, readers)),
    )
    return Books(workspace, workers, circle, a_head())


def stored_head(workspace: FakeWorkspace) -> object:
    """Return the head that stands in the ledger."""
    return decode_head(SecretValue(workspace.values(LEDGER_SCOPE)[head_name(OWNER)]))


class TestOpening:
    """`Books.open`."""

    def test_first_run_makes_the_scope_grants_it_and_then_writes_the_head(
        self, workspace: FakeWorkspace, workers: Workers
    ) -> None:
        """Nothing stands in the ledger before just its operators and readers may use it."""
        ledger = books(workspace, workers, operators=("admin@example.com", "ci"), readers=("audit",))

        ledger.open(Unwritten(), IMPATIENT, Gate())

        assert workspace.grants(LEDGER_SCOPE) == {
            "admin@example.com": Permission.MANAGE,
            "ci": Permission.MANAGE,
            "audit": Permission.READ,
        }
        assert stored_head(workspace) == a_head()
        assert [call.operation for call in workspace.writes][-1] == "put_secret"

    def test_missing_grants_are_added(self, workspace: FakeWorkspace, workers: Workers) -> None:
        """An operator who is new in targets.yaml gets access from one who has it."""
        workspace.add(LEDGER_SCOPE)
        missing = Acl(principal=Principal("ci"), permission=Permission.MANAGE)

        books(workspace, workers, operators=("admin@example.com", "ci")).open(
            Trusted(missing=(missing,)), IMPATIENT, Gate()
        )

        assert workspace.grants(LEDGER_SCOPE)["ci"] is Permission.MANAGE

    def test_a_scope_that_somebody_else_made_meanwhile_is_refused(
        self, workspace: FakeWorkspace, workers: Workers
    ) -> None:
        """What is written there would be theirs to read and to change."""

        def squat(call: Call) -> None:
            if call.operation == "create_scope":
                workspace.faults.clear()
                workspace.add(LEDGER_SCOPE)
                workspace.grant(LEDGER_SCOPE, "mallory", Permission.MANAGE)

        workspace.faults.append(squat)

        with pytest.raises(Refused, match=r"somebody else has just made it"):
            books(workspace, workers).open(Unwritten(), IMPATIENT, Gate())

        assert workspace.values(LEDGER_SCOPE) == {}

    def test_a_ledger_that_another_run_made_meanwhile_makes_this_one_start_over(
        self, workspace: FakeWorkspace, workers: Workers
    ) -> None:
        """Its grants show that it is one of ours."""

        def be_first(call: Call) -> None:
            if call.operation == "create_scope":
                workspace.faults.clear()
                workspace.add(LEDGER_SCOPE)

        workspace.faults.append(be_first)
        ledger = books(workspace, workers)

        with pytest.raises(Overtaken):
            ledger.open(Unwritten(), IMPATIENT, Gate())

        assert ledger.is_overtaken

    def test_a_run_that_found_the_ledger_as_it_was_made_and_is_through_is_not_written_over(
        self, workspace: FakeWorkspace, workers: Workers
    ) -> None:
        """Its entries are all that shows whose the scopes are."""

        def overtake(call: Call) -> None:
            if call.operation == "create_scope":
                workspace.put(LEDGER_SCOPE, head_name(OWNER), encode_head(a_head(run=2)).reveal())

        workspace.after.append(overtake)

        with pytest.raises(Overtaken):
            books(workspace, workers).open(Unwritten(), IMPATIENT, Gate())

        assert stored_head(workspace) == a_head(run=2)

    def test_a_create_that_met_somebody_elses_scope_is_seen_by_its_grants(
        self, workspace: FakeWorkspace, workers: Workers
    ) -> None:
        """After a lost answer an existing scope counts as created; who may use it tells."""

        def squat(call: Call) -> None:
            if call.operation == "create_scope":
                workspace.grant(LEDGER_SCOPE, "mallory", Permission.MANAGE)

        workspace.after.append(squat)

        with pytest.raises(Refused, match=r"mallory"):
            books(workspace, workers).open(Unwritten(), IMPATIENT, Gate())

        assert workspace.values(LEDGER_SCOPE) == {}

    def test_without_the_premium_plan_there_is_none(self, workspace: FakeWorkspace, workers: Workers) -> None:
        """Where only users may manage a scope, everybody could write what we would believe."""

        def refuse(call: Call) -> None:
            raise InvalidRequest("no")

        workspace.faults.append(refuse)

        with pytest.raises(NoLedgerPossible):
            books(workspace, workers).open(Unwritten(), IMPATIENT, Gate())

    def test_a_grant_that_cannot_be_made_is_told_and_keeps_nobody_from_working(
        self, workspace: FakeWorkspace, workers: Workers
    ) -> None:
        """An operator who has left the company must not keep a rotation from being applied."""

        def refuse(call: Call) -> None:
            if call.operation == "put_acl":
                raise InvalidRequest("no such principal")

        workspace.faults.append(refuse)

        (said,) = books(workspace, workers, operators=("admin@example.com", "ci")).open(Unwritten(), IMPATIENT, Gate())

        assert said == "ci could not be granted the ledger's scope reconciler-ledger: no such principal"
        assert stored_head(workspace) == a_head()


class TestWatching:
    """`Books.watch`."""

    def test_own_head_lets_the_run_go_on(self, workspace: FakeWorkspace, workers: Workers) -> None:
        """Nobody else has begun."""
        ledger = books(workspace, workers)
        ledger.open(Unwritten(), IMPATIENT, Gate())

        assert ledger.watch() is None
        assert not ledger.is_overtaken

    @pytest.mark.parametrize(
        "stored",
        [
            pytest.param(encode_head(a_head(run=2)), id="another run"),
            pytest.param(SecretValue(b"garbled"), id="garbled"),
            pytest.param(None, id="gone"),
        ],
    )
    def test_any_other_head_ends_it(
        self, workspace: FakeWorkspace, workers: Workers, stored: SecretValue | None
    ) -> None:
        """A ledger that is garbled or gone has to be looked at anew as well."""
        ledger = books(workspace, workers)
        ledger.open(Unwritten(), IMPATIENT, Gate())
        if stored is None:
            workspace.delete_secret(LEDGER_SCOPE, head_name(OWNER))
        else:
            workspace.put_secret(LEDGER_SCOPE, head_name(OWNER), stored)

        assert ledger.watch() == OVERTAKEN
        assert ledger.is_overtaken

    def test_a_failure_ends_it_without_another_run(self, workspace: FakeWorkspace, workers: Workers) -> None:
        """Not knowing is no reason to go on, nor to start over."""
        ledger = books(workspace, workers)
        ledger.open(Unwritten(), IMPATIENT, Gate())

        def fail(call: Call) -> None:
            raise UnexpectedAnswer("500")

        workspace.faults.append(fail)

        assert ledger.watch() == "it could not be seen whether another run has begun: 500"
        assert not ledger.is_overtaken

    @pytest.mark.parametrize("kind", [InvalidRequest, PermissionDenied])
    def test_a_workspace_that_hands_out_no_value_does_not_end_it(
        self, workspace: FakeWorkspace, workers: Workers, kind: type[WorkspaceError]
    ) -> None:
        """There the ledger cannot be read; values are put each time, and that must go on."""
        ledger = books(workspace, workers)
        ledger.open(Unwritten(), IMPATIENT, Gate())

        def keep(call: Call) -> None:
            raise kind("notebooks only")

        workspace.faults.append(keep)

        assert ledger.watch() is None


class TestEntries:
    """`Books.write` and `Books.forget`."""

    def test_an_entry_is_found_under_the_name_of_its_scope(self, workspace: FakeWorkspace, workers: Workers) -> None:
        """Whoever knows the scope finds it without a listing."""
        ledger = books(workspace, workers)
        ledger.open(Unwritten(), IMPATIENT, Gate())
        entry = new_entry(owner=OWNER, place=PLACE, scope=APP, salt=b"s" * 32)

        assert ledger.write([Page(scope=APP, entry=entry)]) == (None,)
        assert decode_entry(SecretValue(workspace.values(LEDGER_SCOPE)[entry_name(PLACE, "APP")])) == entry
        assert ledger.forget(APP) is None
        assert set(workspace.values(LEDGER_SCOPE)) == {head_name(OWNER)}
        assert ledger.forget(APP) is None

    def test_one_that_fails_does_not_hide_the_others(self, workspace: FakeWorkspace, workers: Workers) -> None:
        """Each page has its own answer."""
        ledger = books(workspace, workers)
        ledger.open(Unwritten(), IMPATIENT, Gate())
        scopes = [ScopeName("a"), ScopeName("b")]
        pages = [
            Page(scope=scope, entry=new_entry(owner=OWNER, place=PLACE, scope=scope, salt=b"s" * 32))
            for scope in scopes
        ]
        broken = KeyName(entry_name(PLACE, "a"))

        def fail(call: Call) -> None:
            if call.subject == broken:
                raise UnexpectedAnswer("500")

        workspace.faults.append(fail)

        failed, written = ledger.write(pages)

        assert isinstance(failed, UnexpectedAnswer)
        assert written is None
