"""Properties of a plan that a ledger helps to make: it is the same plan, and what is not ours survives."""

from dataclasses import dataclass, replace
from random import Random
from typing import TypeVar, assert_never

from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.desired import DesiredScope
from reconciler.model import LEDGER_SCOPE, FoldedName, Permission, Prune, fold
from reconciler.plan import DeleteSecret, Outcome, PutSecret
from tests.fakes import FakeWorkspace
from tests.support.ledgered_runs import crash, look, run
from tests.support.recorded import STAMP, write_ledger
from tests.support.wishes import wish


_T = TypeVar("_T")

NAMES = st.sampled_from(["a", "b", "C", "d", "e"])
VALUES = st.sampled_from([b"", b"1", b"2", b"3"])
SECRETS = st.dictionaries(NAMES, VALUES, max_size=5)
PRINCIPALS = st.sampled_from(["users", "admins", "a@example.com", "admin@example.com"])
ACLS = st.none() | st.dictionaries(PRINCIPALS, st.sampled_from(Permission), max_size=3)


@st.composite
def wishes(draw: st.DrawFn, *prune: Prune) -> DesiredScope:
    """Draw what git says of the one scope; at least one key, as files cannot say less."""
    secrets = draw(SECRETS.filter(bool))
    return wish("app", secrets, acls=draw(ACLS), prune=draw(st.sampled_from(prune or tuple(Prune))))


@dataclass(frozen=True)
class Ran:
    """A run to its end."""

    desired: DesiredScope


@dataclass(frozen=True)
class Crashed:
    """A run that was killed after some of its changes."""

    desired: DesiredScope
    done: int


@dataclass(frozen=True)
class Wrote:
    """Somebody else put a value."""

    key: str
    value: bytes


@dataclass(frozen=True)
class Deleted:
    """Somebody else deleted a key, if it was there."""

    key: str


@dataclass(frozen=True)
class Remade:
    """Somebody else deleted the scope and made it anew."""

    secrets: dict[str, bytes]


Event = Ran | Crashed | Wrote | Deleted | Remade

EVENTS = st.lists(
    st.one_of(
        st.builds(Ran, wishes()),
        st.builds(Crashed, wishes(), st.integers(0, 6)),
        st.builds(Wrote, NAMES, VALUES),
        st.builds(Deleted, NAMES),
        st.builds(Remade, SECRETS),
    ),
    max_size=6,
)


@st.composite
def stories(draw: st.DrawFn, *prune: Prune) -> tuple[list[Event], DesiredScope]:
    """Draw what happened, and what git says now: often what it said before, as most drift is met by that."""
    events: list[Event] = draw(EVENTS)
    said = [event.desired for event in events if isinstance(event, Ran | Crashed)]
    is_same = draw(st.booleans())
    if said and is_same:
        again = said[-1]
        return events, replace(again, prune=again.prune if not prune or again.prune in prune else prune[0])
    return events, draw(wishes(*prune))


_GIT = wish("app", {"a": b"1"})


class History:
    """A workspace to which all that happened, and what git ever wrote to each key of the scope that is there now."""

    def __init__(self, events: list[Event], step_ms: int) -> None:
        self.workspace = FakeWorkspace()
        self.workspace.clock.step_ms = step_ms
        self.workspace.add(LEDGER_SCOPE)
        self.written: dict[FoldedName, set[bytes]] = {}
        for number, event in enumerate(events):
            self._happen(event, number)

    def _happen(self, event: Event, number: int) -> None:
        stamp = replace(STAMP, at_ms=STAMP.at_ms + number)
        scope = self.workspace.scopes.get(fold("app"))
        match event:
            case Ran(desired):
                self._git_writes(desired)
                run(self.workspace, [desired], stamp=stamp)
            case Crashed(desired, done):
                self._git_writes(desired)
                crash(self.workspace, [desired], done, stamp=stamp)
            case Wrote(key, value):
                if scope is not None:
                    self.workspace.put("app", key, value)
            case Deleted(key):
                if scope is not None:
                    scope.secrets.pop(fold(key), None)
            case Remade(secrets):
                self.workspace.add("app", secrets, owner="stranger")
            case _:
                assert_never(event)

    def _git_writes(self, desired: DesiredScope) -> None:
        for name, key in desired.keys.items():
            self.written.setdefault(name, set()).add(key.value.reveal())

    def held(self) -> dict[FoldedName, bytes]:
        """Return what the scope holds."""
        there = self.workspace.scopes.get(fold("app"))
        return {} if there is None else {name: value.reveal() for name, (_, value, _) in there.secrets.items()}


@settings(max_examples=40)
@given(story=stories(), step_ms=st.sampled_from([0, 1]))
@example(story=([Ran(_GIT), Wrote("a", b"2")], _GIT), step_ms=1)
@example(story=([Ran(_GIT), Wrote("a", b"2"), Ran(wish("app", {"b": b"1"})), Wrote("a", b"1")], _GIT), step_ms=0)
def test_no_history_makes_a_value_look_like_gits_that_is_not(
    story: tuple[list[Event], DesiredScope], step_ms: int
) -> None:
    """The fast path is sound: what differs is put, what is equal is not, whatever happened and was recorded before."""
    events, desired = story
    history = History(events, step_ms)

    plan = look(history.workspace, [desired]).plan

    held = history.held()
    differ = {name for name, key in desired.keys.items() if held.get(name) != key.value.reveal()}
    assert {fold(change.key) for change in plan.changes if isinstance(change, PutSecret)} == differ
    assert {
        fold(change.key) for change in plan.changes if isinstance(change, PutSecret) and change.creates
    } == differ - held.keys()


@settings(max_examples=40)
@given(story=stories(Prune.OWNED), step_ms=st.sampled_from([0, 1]))
def test_no_history_makes_a_key_ours_that_git_never_wrote(
    story: tuple[list[Event], DesiredScope], step_ms: int
) -> None:
    """Under ``prune: owned`` what is deleted holds what git once put there, under that very name."""
    events, desired = story
    history = History(events, step_ms)

    plan = look(history.workspace, [desired]).plan

    held = history.held()
    for change in plan.changes:
        if isinstance(change, DeleteSecret):
            assert held[fold(change.key)] in history.written[fold(change.key)]


@settings(max_examples=40)
@given(story=stories(), step_ms=st.sampled_from([0, 1]))
def test_a_plan_by_fingerprints_is_the_plan_by_values(story: tuple[list[Event], DesiredScope], step_ms: int) -> None:
    """What the ledger saves is reading, nothing else."""
    events, desired = story
    history = History(events, step_ms)

    by_ledger = look(history.workspace, [desired])
    by_values = look(history.workspace, [desired], verify_values=True)

    assert by_ledger.plan == by_values.plan


@settings(max_examples=40)
@given(story=stories(), step_ms=st.sampled_from([0, 1]))
def test_after_a_run_there_is_nothing_to_do_and_nothing_to_read(
    story: tuple[list[Event], DesiredScope], step_ms: int
) -> None:
    """One run repairs whatever happened; the next one asks for lists, grants, head and entry alone."""
    events, desired = story
    history = History(events, step_ms)

    _, results = run(history.workspace, [desired])
    theirs = history.held().keys() - desired.keys.keys()
    history.workspace.calls.clear()
    again = look(history.workspace, [desired], adopt=False)

    assert all(result.outcome is Outcome.DONE for result in results)
    assert not again.plan
    assert again.plan.unchanged == len(desired.keys)
    read = {fold(call.subject) for call in history.workspace.calls if call[:2] == ("get_secret", "app")}
    # A key that was ours and that somebody else has written to is looked at again: they may put back what we wrote.
    assert read <= theirs
    if not events or desired.prune is not Prune.OWNED:
        assert not read
    state = again.survey.scopes[fold("app")]
    assert getattr(state, "entry", None) == again.entries[fold("app")]


@settings(max_examples=40)
@given(ours=SECRETS, theirs=SECRETS, desired=wishes(Prune.OWNED, Prune.NONE), events=EVENTS)
def test_foreign_keys_survive_a_run(
    ours: dict[str, bytes], theirs: dict[str, bytes], desired: DesiredScope, events: list[Event]
) -> None:
    """Whatever git names and whatever it named before; unless ``prune: all`` says otherwise."""
    history = History([event for event in events if not isinstance(event, Remade)], 1)
    if history.held() or fold("app") in history.workspace.scopes:
        for key, value in theirs.items():
            history.workspace.put("app", f"foreign-{key}", value)
    else:
        history.workspace.add("app", {f"foreign-{key}": value for key, value in theirs.items()})

    run(history.workspace, [desired])
    run(history.workspace, [wish("app", ours, prune=desired.prune)])

    held = history.held()
    assert {fold(f"foreign-{key}"): value for key, value in theirs.items()}.items() <= held.items()
    assert {fold(key): value for key, value in ours.items()}.items() <= held.items()


@settings(max_examples=40)
@given(there=SECRETS, desired=wishes(), recorded=st.booleans(), order=st.randoms(use_true_random=False))
def test_the_order_of_anything_does_not_matter(
    there: dict[str, bytes], desired: DesiredScope, order: Random, *, recorded: bool
) -> None:
    """Files, listings and grants come in any order."""
    workspace = FakeWorkspace()
    for scope in ("app", "edge"):
        workspace.add(scope, there)
        workspace.grant(scope, "users", Permission.WRITE)
        workspace.grant(scope, "stranger", Permission.READ)
    if recorded:
        write_ledger(workspace, "app", "edge")
    both = [desired, replace(desired, scope=wish("edge").scope)]

    plan = look(workspace, both).plan
    for scope in ("app", "edge"):
        content = workspace.scopes[fold(scope)]
        content.secrets = dict(_shuffled(content.secrets, order))
        content.acls = dict(_shuffled(content.acls, order))
    shuffled = [
        replace(
            one,
            keys=dict(_shuffled(dict(one.keys), order)),
            acls=None if one.acls is None else tuple(order.sample(one.acls, len(one.acls))),
        )
        for one in order.sample(both, 2)
    ]

    assert look(workspace, shuffled).plan == plan


def _shuffled(mapping: dict[FoldedName, _T], order: Random) -> list[tuple[FoldedName, _T]]:
    return order.sample(list(mapping.items()), len(mapping))
