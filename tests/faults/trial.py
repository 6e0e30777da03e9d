"""One case after the other: a run with something happening in it, then runs in peace, all judged."""

import contextlib
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from reconciler.model import MAX_KEYS_PER_SCOPE, fold
from tests.faults.client import Client, Done
from tests.faults.instants import FAULTS, NOTHING, Instants, Plot
from tests.faults.judge import Foreign, Judge
from tests.faults.meddling import MEDDLING, Scene, Trace
from tests.faults.story import MALLORY, PRINCIPALS, READ, STEPS, TARGET, Library, Step, Wish, Written
from tests.faults.world import Rows, ServedWorld
from tests.support.age_keys import AgeKey
from tests.support.faults import Asked
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsTool
from tests.support.workspace_server import WorkspaceServer


_SHORT_S: Final = 1.0
"""How long a request is tried where it never succeeds, or hangs for the whole time."""

_LONG_S: Final = 20.0

_INTERRUPTS: Final = frozenset({signal.SIGINT, signal.SIGTERM})


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What happens at which request of which step."""

    step: str
    kind: str
    """A name in `FAULTS` or `MEDDLING`."""

    at: int
    """Number of the request."""

    stuck: bool = False
    """Whether the fault comes again each time the request does."""

    concurrency: int = 1

    def __str__(self) -> str:
        stuck = " stuck" if self.stuck else ""
        return f"{self.kind}{stuck} at request {self.at} of {self.step}, {self.concurrency} at once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a case came to."""

    case: Case
    happened: bool
    """Whether the run got that far, and there was something to be done."""

    exit_code: int
    """Of the run in which it happened."""

    losses: tuple[str, ...]
    """What must never happen, and did; and what should be so in the end, and is not."""

    raced: Counter[str]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A step that can be tried."""

    written: Written
    before: Rows
    """The workspace before it."""

    earlier: tuple[Wish, ...]
    """Of the steps that led there."""

    requests: int
    """That its run makes in peace."""

    asked: tuple[str, ...]
    """What these are."""

    @property
    def step(self) -> Step:
        """What is to be done."""
        return self.written.step


@dataclass(slots=True)
class Court:
    """A workspace, a client and steps made ready; see `opened`."""

    server: WorkspaceServer
    world: ServedWorld
    client: Client
    library: Library
    instants: Instants
    ready: dict[str, Ready] = field(default_factory=dict)
    judge: Judge | None = None
    _after: dict[str, Rows] = field(default_factory=dict)

    @classmethod
    @contextlib.contextmanager
    def opened(cls, folder: Path, sops: SopsTool, steps: Sequence[Step] = STEPS) -> Iterator[Self]:
        """Start everything, and make the steps."""
        court: Self
        key = AgeKey.generate()

        def noted(number: int, asked: Asked, *, answered: bool) -> None:
            if court.judge is not None:
                court.judge.served(number, asked, answered=answered)

        with contextlib.ExitStack() as stack:
            instants = Instants(noted)
            state = folder / "state" / "workspace.sqlite3"
            server = stack.enter_context(WorkspaceServer(middleware=(instants,), principals=PRINCIPALS, state=state))
            world = ServedWorld(state)
            stack.callback(world.close)
            repo = SecretsRepo(folder / "repo", sops=sops, key=key).targets({TARGET: server.fields})
            environ = {**_surroundings(folder), "SOPS_AGE_KEY": key.identity, **server.env}
            client = stack.enter_context(Client(environ, folder / "client"))
            library = Library(repo=repo, host_key=server.host_key, clones=folder / "clones")
            court = cls(server=server, world=world, client=client, library=library, instants=instants)
            for step in steps:
                court._prepare(step)
            yield court

    def _prepare(self, step: Step) -> None:
        """Commit a step, apply it in peace, and keep the workspace as it is before and after."""
        written = self.library.write(step)
        if step.follows is None:
            self.world.restore({"scopes": (), "secrets": (), "acls": ()})
            self.world.create_scope("theirs", MALLORY)
            self.world.put("theirs", "key", b"theirs")
            self.world.grant("theirs", "users", READ)
            earlier: tuple[Wish, ...] = ()
            self.client.warm_up(*self._command("plan", written.root))
        else:
            self.world.restore(self._after[step.follows])
            before = self.ready[step.follows]
            earlier = (*before.earlier, before.step.wish)
        for scope, key in step.foreign_keys:
            self.world.put(scope, key, b"a stranger's")
        for scope, principal, permission in step.foreign_grants:
            self.world.grant(scope, principal, permission)
        if step.forgets and "reconciler-ledger" in self.world.picture():
            self.world.delete_scope("reconciler-ledger")
        rows = self.world.save()
        self.instants.expect(NOTHING)
        done = self.client.run(*self._command("apply", written.root, *step.flags))
        assert done.exit_code == 0, (step.name, done.stdout, done.stderr)
        self._after[step.name] = self.world.save()
        self.ready[step.name] = Ready(
            written=written,
            before=rows,
            earlier=earlier,
            requests=len(self.instants.asked),
            asked=tuple(asked.operation for asked in self.instants.asked),
        )

    def _command(
        self, command: str, root: Path, *options: str, concurrency: int = 1, timeout_s: float = _LONG_S
    ) -> tuple[str, ...]:
        usual = ("-o", "json", f"--timeout={timeout_s:g}", f"--concurrency={concurrency}")
        return ("-C", str(root), command, TARGET, *usual, *options)

    def judged(self, case: Case, *, again: bool = True) -> Verdict:
        """Try one case.

        Args:
            case: What happens.
            again: Whether to see that a run after the one that repaired all has nothing left to write.
        """
        began = time.perf_counter()
        ready = self.ready[case.step]
        self.world.restore(ready.before)
        judge = Judge(self.world, ready.step.wish, Foreign.of(self.world.picture(), (*ready.earlier, ready.step.wish)))
        self.judge = judge
        try:
            trial = _Trial(court=self, case=case, ready=ready, judge=judge, again=again)
            exit_code = trial.run()
        finally:
            self.judge = None
        return Verdict(
            case=case,
            happened=trial.plot.happened,
            exit_code=exit_code,
            losses=tuple(judge.losses),
            raced=judge.raced,
            seconds=time.perf_counter() - began,
        )

    def run(
        self, command: str, ready: Ready, plot: Plot = NOTHING, *, concurrency: int = 1, timeout_s: float = _LONG_S
    ) -> Done:
        """Run a command, and wait until nothing of it is under way any more."""
        self.instants.expect(plot)
        if self.judge is not None:
            self.judge.begin()
        flags = ready.step.flags
        arguments = self._command(command, ready.written.root, *flags, concurrency=concurrency, timeout_s=timeout_s)
        done = self.client.run(*arguments, started=self.instants.began)
        if done.exit_code < 0:
            # What it had sent before it was killed may still arrive.
            time.sleep(0.005)
        deadline = time.monotonic() + 5
        while self.instants.busy and time.monotonic() < deadline:
            time.sleep(0.001)
        self.server.traffic()
        return done


@dataclass(slots=True, kw_only=True)
class _Trial:
    """One case."""

    court: Court
    case: Case
    ready: Ready
    judge: Judge
    again: bool
    plot: Plot = field(default_factory=lambda: Plot(at=0))
    trace: Trace = field(default_factory=Trace)
    begun_with: frozenset[str] = frozenset()
    """Scopes that were there before."""

    def run(self) -> int:
        """Try it; what is lost is with the judge. Return the exit code of the run in which it happened."""
        self.begun_with = frozenset(self.court.world.picture())
        fault = FAULTS.get(self.case.kind)
        patient = fault is None or not (self.case.stuck or self.case.kind.startswith("timeout"))
        self.plot = Plot(
            at=self.case.at, fault=fault, stuck=self.case.stuck, meddle=self._meddle if fault is None else None
        )
        done = self.court.run(
            "apply",
            self.ready,
            self.plot,
            concurrency=self.case.concurrency,
            timeout_s=_LONG_S if patient else _SHORT_S,
        )
        signals = frozenset() if fault is None or not self.plot.happened else frozenset(fault.signals)
        allowed = {0, 1} if fault is not None else {0, 1, 6}
        if signal.SIGKILL in signals:
            allowed |= {-signal.SIGKILL}
        elif signals:
            allowed |= {130, *(-number for number in signals)}
        self._look_at("the run", done, allowed)
        if not self.plot.happened:
            return done.exit_code
        if fault is not None:
            self._repair()
        else:
            self._find_and_repair()
        return done.exit_code

    def _meddle(self) -> bool:
        scene = Scene(
            world=self.court.world,
            host_key=self.court.library.host_key,
            before=self.ready.earlier[-1] if self.ready.earlier else None,
            wish=self.ready.step.wish,
        )
        trace = MEDDLING[self.case.kind](scene)
        if trace is None:
            return False
        self.trace = trace
        self.judge.meddled(trace, self.case.at)
        return True

    def _repair(self) -> None:
        """Run in peace: all must be well."""
        self._look_at("the next run", self.court.run("apply", self.ready), {0})
        self._compare((), self.ready.step.orphans)
        self._look_for_writes()

    def _find_and_repair(self) -> None:
        """Plan and run in peace: the change is seen or was repaired, and nothing of theirs is lost."""
        planned = self.court.run("plan", self.ready)
        self._look_at("the next plan", planned, {0, 1, 6})
        with contextlib.suppress(ValueError):
            self._lose("the next plan does not show", self.judge.unseen(planned.target))
        done = self.court.run("apply", self.ready)
        # A scope whose entry is not written yet, or was lost, is adopted only as git wants it, with nobody else in it.
        new = any(scope not in self.begun_with for scope, _ in (*self.trace.grants, *self.trace.keys))
        may_refuse = bool(self.trace.scopes) or self.trace.harms_ledger or self.ready.step.forgets or new
        # What somebody else put into a full scope leaves no room for a key of git's, and that is said.
        has_no_room = self.judge.overfull(MAX_KEYS_PER_SCOPE)
        self._look_at("the next run", done, {0} | ({6} if may_refuse else set()) | ({1} if has_no_room else set()))
        if done.exit_code == 0:
            old = self.ready.earlier if self.trace.harms_ledger or self.judge.raced else ()
            self._compare(old, self.ready.step.orphans)
            self._look_for_writes()

    def _compare(self, leftovers: tuple[Wish, ...], orphans: frozenset[str]) -> None:
        self._lose("in the end", self.judge.differences(leftovers=leftovers, orphans=orphans))
        if not any("ledger" in fold(scope) for scope in self.judge.foreign.scopes):
            with_grants = not leftovers and not self.ready.step.forgets
            commit = self.ready.written.commit
            self._lose(
                "in the end", self.judge.ledger_problems(self.court.library.host_key, commit, with_grants=with_grants)
            )

    def _look_for_writes(self) -> None:
        if not self.again:
            return
        done = self.court.run("apply", self.ready)
        self._look_at("the run after that", done, {0})
        if done.exit_code == 0:
            requests: Mapping[str, int] = done.target["requests"]
            if requests["write"]:
                self._lose("the run after that", [f"it makes {requests['write']} writes"])

    def _look_at(self, what: str, done: Done, allowed: set[int]) -> None:
        said = done.stdout + done.stderr
        if done.exit_code not in allowed:
            self._lose(what, [f"exit code {done.exit_code}: {said[-1500:]}"])
        if "Traceback" in said or "internal error" in said:
            self._lose(what, [f"a traceback: {said[-1500:]}"])

    def _lose(self, what: str, losses: Sequence[str]) -> None:
        self.judge.losses.extend(f"{what}: {loss}" for loss in losses)


def _surroundings(folder: Path) -> Mapping[str, str]:
    """Return what a run needs in its environment to start at all."""
    import os

    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    return {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "LANG": "C.UTF-8"}
