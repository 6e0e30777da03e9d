"""Any history of commits, runs, crashes, failures, other people's changes and two runs at once, in memory.

Quicker than over HTTP, so it goes far beyond one fault; and the order of everything is Hypothesis's choice.
"""

import os
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from reconciler import session
from reconciler.errors import Throttled, UnexpectedAnswer, Unreachable
from reconciler.model import LEDGER_SCOPE
from tests.fakes import Call, FakeWorkspace
from tests.faults.chronicle import HOST_KEY, Chapter, Told, WallClock, run, write
from tests.faults.judge import Foreign, Judge
from tests.faults.meddling import MEDDLING, Scene
from tests.faults.story import GUEST, MALLORY, READ, Wish
from tests.faults.world import FakeWorld
from tests.support.faults import Asked
from tests.support.sops_tool import SopsTool


_EXAMPLES: Final = int(os.environ.get("RECONCILER_FUZZ_HISTORIES", "200"))
"""Read on import, as the tests run without environment."""

_OPERATIONS: Final = {
    "list_scopes": "scopes/list",
    "list_secrets": "list",
    "list_acls": "acls/list",
    "get_secret": "get",
    "create_scope": "scopes/create",
}
"""What the judge calls a request."""

_FAILURES: Final = {
    "unreachable": Unreachable("gone"),
    "throttled": Throttled("429"),
    "broken": UnexpectedAnswer("500"),
}

_Plot = Callable[[Call], None]


class _Crash(BaseException):
    """The process is gone: no request after this one, whoever tries."""


@pytest.fixture(scope="module")
def chapters(tmp_path_factory: pytest.TempPathFactory, sops: SopsTool) -> tuple[Chapter, ...]:
    """Write the history once."""
    return write(tmp_path_factory.mktemp("chronicle"), sops)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run that was overtaken begin anew at once."""
    monkeypatch.setattr(session, "_LONGEST_PAUSE_S", 0.1)


class Histories(RuleBasedStateMachine):
    """One workspace through all that may happen to it."""

    chapters: tuple[Chapter, ...]
    """Set by the test."""

    def __init__(self) -> None:
        super().__init__()
        self.workspace = FakeWorkspace()
        self.workspace.clock = WallClock()
        self.world = FakeWorld(self.workspace)
        self.world.create_scope("theirs", MALLORY)
        self.world.put("theirs", "key", b"theirs")
        self.world.grant("theirs", GUEST, READ)
        self.at = 0
        self.judge = Judge(self.world, self.chapter.wish, Foreign.of(self.world.picture(), (self.chapter.wish,)))
        self.is_muddled = False
        """Whether the ledger was harmed, or somebody lost a race: then something may be left for good, or refused."""
        self.is_dead = False
        self.number = -1
        """Of the request of the run that is served."""
        self.last: Call | None = None
        self.plots: dict[int, _Plot] = {}
        """What happens before which request of the run."""
        self.lost_answers: dict[int, _Plot] = {}
        """What happens after which."""
        self.workspace.faults.append(self._before_request)
        self.workspace.after.append(self._after_write)

    @property
    def chapter(self) -> Chapter:
        """The commit at the head of the branch."""
        return self.chapters[self.at]

    @property
    def earlier(self) -> tuple[Wish, ...]:
        """What git wanted before."""
        return tuple(chapter.wish for chapter in self.chapters[: self.at])

    # What happens at requests.

    def _before_request(self, call: Call) -> None:
        self._look()
        if self.is_dead:
            raise _Crash
        self.number += 1
        self.last = call
        if (plot := self.plots.pop(self.number, None)) is not None:
            plot(call)

    def _after_write(self, call: Call) -> None:
        if (plot := self.lost_answers.pop(self.number, None)) is not None:
            plot(call)

    def _look(self) -> None:
        """Judge the effect of the last request."""
        if self.last is None:
            return
        fields = {"scope": self.last.scope.lower(), "key": self.last.subject}
        asked = Asked(operation=_OPERATIONS.get(self.last.operation, self.last.operation), fields=fields, headers={})
        self.judge.served(self.number, asked, answered=True)
        self.last = None

    def _run(self, chapter: Chapter, *, applying: bool = True) -> Told | None:
        """Run to the end; None when it crashed."""
        self.number, self.is_dead = -1, False
        self.judge.begin()
        try:
            told = run(chapter, self.workspace, applying=applying)
        except _Crash:
            told = None
        self._look()
        self.plots.clear()
        self.lost_answers.clear()
        self.is_dead = False
        self.is_muddled = self.is_muddled or bool(self.judge.raced)
        self._check()
        if told is not None:
            assert told.exit_code in {0, 1, 6}, told.report
        return told

    def _check(self) -> None:
        assert not self.judge.losses, self.judge.losses

    def _crash(self, _call: Call) -> None:
        self.is_dead = True
        raise _Crash

    def _meddle(self, kind: str) -> None:
        before = self.earlier[-1] if self.earlier else None
        trace = MEDDLING[kind](Scene(world=self.world, host_key=HOST_KEY, before=before, wish=self.chapter.wish))
        if trace is not None:
            self.judge.meddled(trace, max(self.number, 0))
            self.is_muddled = self.is_muddled or trace.harms_ledger

    def _nested(self, chapter: Chapter) -> None:
        """Run another one to its end, between two requests of the one that is under way."""
        outer, plots, answers = self.number, self.plots, self.lost_answers
        self.plots, self.lost_answers = {}, {}
        with self.judge.within(outer):
            run(chapter, self.workspace)
            self._look()
        self.plots, self.lost_answers = plots, answers

    # The rules.

    @rule(steps=st.integers(1, 2))
    def commit(self, steps: int) -> None:
        """Git goes on."""
        self.at = min(self.at + steps, len(self.chapters) - 1)
        self.judge.want(self.chapter.wish)

    @rule()
    def apply(self) -> None:
        """A run in peace."""
        self._run(self.chapter)

    @rule()
    def plan(self) -> None:
        """What differs from git is shown, or the scope is refused."""
        told = self._run(self.chapter, applying=False)
        assert told is not None
        assert not (missed := self.judge.unseen(told.shown)), (missed, told.report)

    @rule(at=st.integers(0, 45), after=st.booleans())
    def crash(self, at: int, *, after: bool) -> None:
        """A run ends for good at some request."""
        (self.lost_answers if after else self.plots)[at] = self._crash
        self._run(self.chapter)

    @rule(at=st.integers(0, 45), how=st.sampled_from(sorted(_FAILURES)), after=st.booleans())
    def failure(self, at: int, how: str, *, after: bool) -> None:
        """A request fails for good, with or without its effect."""

        def fail(_call: Call) -> None:
            raise _FAILURES[how]

        (self.lost_answers if after else self.plots)[at] = fail
        self._run(self.chapter)

    @rule(kind=st.sampled_from(sorted(MEDDLING)))
    def meddle(self, kind: str) -> None:
        """Somebody changes something between two runs."""
        self._meddle(kind)

    @rule(kind=st.sampled_from(sorted(MEDDLING)), at=st.integers(0, 45))
    def meddle_within(self, kind: str, at: int) -> None:
        """Somebody changes something between two requests of a run."""
        self.plots[at] = lambda _call: self._meddle(kind)
        self._run(self.chapter)

    @rule(at=st.integers(0, 45), steps=st.integers(0, 1))
    def overtake(self, at: int, steps: int) -> None:
        """Another run, perhaps of a newer commit, begins and ends between two requests of one."""
        older = self.chapter
        self.commit(steps)
        newer = self.chapter
        self.judge.want(_both(older.wish, newer.wish))
        self.plots[at] = lambda _call: self._nested(newer)
        self._run(older)
        self.judge.want(newer.wish)

    @precondition(lambda self: self.judge.foreign.scopes.keys() - {"theirs"})
    @rule()
    def leave(self) -> None:
        """Whoever sat in a scope under a name of ours goes away with it."""
        for scope in sorted(self.judge.foreign.scopes.keys() - {"theirs"}):
            self.world.delete_scope(scope)
            self.judge.let_go(scope)

    @precondition(lambda self: self.at > 0)
    @rule()
    def again(self) -> None:
        """An old pipeline is run again: once its successor was applied, it changes nothing."""
        if self._settle() is None:
            return
        before = self.world.picture()
        told = self._run(self.chapters[self.at - 1])
        assert told is not None
        assert told.exit_code == 6, told.report
        assert self.world.picture() == before

    def _settle(self) -> Told | None:
        """Run in peace until all is well; None where it is refused, as it may be."""
        told = self._run(self.chapter)
        assert told is not None
        if told.exit_code == 6 and (self.is_muddled or self._has_company()):
            return None
        assert told.exit_code == 0, told.report
        leftovers = self.earlier if self.is_muddled else ()
        orphans = frozenset(scope for wish in self.earlier for scope in wish.scopes)
        assert not (found := self.judge.differences(leftovers=leftovers, orphans=orphans)), (found, told.report)
        if LEDGER_SCOPE not in self.judge.foreign.scopes:
            problems = self.judge.ledger_problems(HOST_KEY, self.chapter.commit, with_grants=not self.is_muddled)
            assert not problems, (problems, told.report)
        writes = len(self.workspace.writes)
        again = self._run(self.chapter)
        assert again is not None
        assert again.exit_code == 0, again.report
        assert len(self.workspace.writes) == writes, self.workspace.writes[writes:]
        return told

    def _has_company(self) -> bool:
        """Tell whether somebody has a scope of ours, or a grant on one."""
        return bool(self.judge.foreign.grants) or len(self.judge.foreign.scopes) > 1

    def teardown(self) -> None:
        """In the end, whatever happened, one run in peace makes all well."""
        self._settle()


def _both(older: Wish, newer: Wish) -> Wish:
    """Return what two commits want alike, as only that must never be missing while both are applied."""
    scopes = {
        scope: {key: value for key, value in keys.items() if key in older.scopes.get(scope, {})}
        for scope, keys in newer.scopes.items()
    }
    return Wish(scopes=scopes, acls=newer.acls)


def _go(chapters: tuple[Chapter, ...], examples: int, steps: int, *, always_the_same: bool = False) -> None:
    Histories.chapters = chapters
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=always_the_same,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_some_histories(chapters: tuple[Chapter, ...]) -> None:
    """Nothing is lost, whatever happens in which order."""
    _go(chapters, 12, 10, always_the_same=True)


@pytest.mark.fuzz
def test_histories(chapters: tuple[Chapter, ...]) -> None:
    """Likewise, many and long ones."""
    _go(chapters, _EXAMPLES, 30)
