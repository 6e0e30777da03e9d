"""One target from its first request to its last: connection, survey, plan, apply, and what to report of it.

In: the part of the files that feeds the target, the surroundings of the run. Out: a `TargetReport` with exit codes.
Used by `reconcile` for runs, and by its ``list`` and ``get`` for the connection alone.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self, assert_never

from reconciler import guard
from reconciler.apply import Manner, Patience, apply, verified
from reconciler.connections import connected, shown_host
from reconciler.databricks_workspace import masked, preload
from reconciler.desired import Desired, unlock, unlocker_for
from reconciler.diff import Keep, diff, merge
from reconciler.errors import (
    EXIT_CANNOT_DECRYPT,
    EXIT_REFUSED,
    EXIT_WORKSPACE,
    InputError,
    ReconcilerError,
    WorkspaceError,
)
from reconciler.model import FoldedName, Principal, fold
from reconciler.plan import ChangeResult, DeleteSecret, Outcome, Plan, PutSecret
from reconciler.policy import Target
from reconciler.pysops.decryptor import Unlocker
from reconciler.report.record import Status, TargetReport
from reconciler.settings import Chosen, Observer, Settings
from reconciler.survey import Known, MissingScope, ScopeState, ScopeSurvey, UnknownScope, look_into, take
from reconciler.workers import Workers
from reconciler.workspace import Backend, Identity, RequestCount, ScopeInfo, Workspace


_MOST_DETAILS: Final = 10
"""Answers of a workspace that ``-v`` shows per target."""


class Session:
    """One target during one run. A context manager; `survey` comes before `apply`, and `outcome` last."""

    def __init__(self, chosen: Chosen, settings: Settings, observer: Observer) -> None:
        self._chosen = chosen
        self._settings = settings
        self._observer = observer
        self._stack = contextlib.ExitStack()
        self._workspace: Workspace | None = None
        self._workers: Workers | None = None
        self._desired = Desired(scopes=(), problems=())
        self._identity: Principal | None = None
        self._states: dict[FoldedName, ScopeSurvey] = {}
        self._errors: list[str] = []
        self._codes: set[int] = set()
        self._results: tuple[ChangeResult, ...] | None = None
        self.plan = Plan()
        """What must change; empty before `survey`, and where that failed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # With the error, as an interrupted run must not wait for a workspace that does not answer.
        self._stack.__exit__(kind, error, traceback)

    @property
    def target(self) -> Target:
        """Whose session this is."""
        return self._chosen.selected.target

    def fail(self, error: ReconcilerError) -> None:
        """Note what failed or was refused as a whole."""
        match error:
            case InputError():
                self._errors.extend(str(problem) for problem in error.problems)
            case _:
                self._errors.append(error.with_advice())
        self._codes.add(error.exit_code)

    def survey(self) -> None:
        """Connect, unlock the files meanwhile, look at the workspace, and decide what must change."""
        try:
            workspace = self._open()
            wanted = {scope.scope: frozenset(scope.keys) for scope in self._desired.scopes}
            with self._observer.progress(f"{self.target.name}: reading values", sum(map(len, wanted.values()))) as step:
                survey = take(workspace, self._crew(), wanted, on_read=step)
        except ReconcilerError as error:
            self.fail(error)
            return
        self._identity = survey.identity.name
        self._states = dict(survey.scopes)
        self.plan = merge(self._plans(survey.identity))

    def _open(self) -> Workspace:
        """Connect in this thread, which can be interrupted, and unlock in another: neither waits for the other."""
        # First, as threads that only compute take turns: what unlocking can hide behind is the wait for an answer.
        preload()
        unlocker = unlocker_for(
            self.target,
            self._chosen.sources,
            root=self._settings.root,
            environ=self._settings.environ,
            home=self._settings.home,
            decryptor=self._settings.decryptor,
        )
        with ThreadPoolExecutor(1, thread_name_prefix="unlock") as pool:
            unlocking = pool.submit(self._unlock, unlocker)
            try:
                with _stopped_by_interrupt(unlocker):
                    connecting = connected(self.target, self._settings, self._on_detail())
                    self._workspace = self._stack.enter_context(connecting)
            finally:
                # What does not unlock is told even where the workspace cannot be reached.
                with _stopped_by_interrupt(unlocker):
                    unlocking.result()
        return self._workspace

    def _on_detail(self) -> Callable[[str], None] | None:
        """Return what shows people the workspace's own words, with every value of the run masked; None without -v."""
        tell, left = self._observer.detail, itertools.count(_MOST_DETAILS, -1)
        if tell is None:
            return None

        def show(text: str) -> None:
            # Masking a thousand values takes a second; a thousand failures say the same thing a thousand times.
            if (now := next(left)) > 0:
                tell(masked(text, self._values()))
            elif now == 0:
                tell("further answers are not shown")

        return show

    def _values(self) -> Iterator[bytes]:
        """Yield every value that the run knows: those in git, and those that the workspace held before."""
        yield from (key.value.reveal() for scope in self._desired.scopes for key in scope.keys.values())
        for state in self._states.values():
            if isinstance(state, ScopeState):
                known = (evidence for evidence in state.evidence.values() if isinstance(evidence, Known))
                yield from (evidence.value.reveal() for evidence in known)

    def _unlock(self, unlocker: Unlocker) -> None:
        self._desired = unlock(self._chosen.selected, unlocker)
        for problem in self._desired.problems:
            self._errors.append(str(problem))
            self._codes.add(EXIT_CANNOT_DECRYPT)

    def _crew(self) -> Workers:
        if self._workers is None:
            self._workers = self._stack.enter_context(Workers(self._settings.concurrency))
        return self._workers

    def _plans(self, identity: Identity) -> Iterator[Plan]:
        keep = Keep(
            identity=identity.name,
            groups=identity.groups,
            operators=self.target.operators,
            protected=self.target.protected_principals,
        )
        for desired in self._desired.scopes:
            state = self._states[fold(desired.scope)]
            match state:
                case UnknownScope(error=error):
                    self._errors.append(_in_scope(desired.scope, error))
                    self._codes.add(error.exit_code)
                case ScopeState() if (refusal := guard.key_vault(state)) is not None:
                    self.fail(refusal)
                case ScopeState() | MissingScope():
                    yield diff(desired, state, keep)
                case _:
                    assert_never(state)

    def apply(self) -> None:
        """Carry out the plan and look whether the workspace then holds what was put."""
        if not self.plan or self._workspace is None:
            return
        with self._observer.progress(f"{self.target.name}: applying changes", len(self.plan.changes)) as step:
            results = apply(
                self.plan,
                self._desired.scopes,
                self._workspace,
                self._crew(),
                Manner(identity=self._identity or Principal(""), patience=Patience(limit_s=self._settings.timeout_s)),
                on_done=step,
            )
        self._results = self._verify(results, self._workspace)

    def _verify(self, results: tuple[ChangeResult, ...], workspace: Workspace) -> tuple[ChangeResult, ...]:
        """Read back what was put: an answer of 200 is what the platform says, the value is what it does."""
        touched: dict[FoldedName, set[FoldedName]] = {}
        for result in results:
            if result.outcome is Outcome.DONE and isinstance(result.change, PutSecret | DeleteSecret):
                keys = touched.setdefault(fold(result.change.scope), set())
                if isinstance(result.change, PutSecret):
                    keys.add(fold(result.change.key))
        spelled = {fold(scope.scope): scope.scope for scope in self._desired.scopes}
        wanted = {
            ScopeInfo(name=spelled[scope], backend=Backend.DATABRICKS): frozenset(keys)
            for scope, keys in touched.items()
        }
        with self._observer.progress(f"{self.target.name}: reading back", sum(map(len, wanted.values()))) as step:
            states = look_into(workspace, self._crew(), wanted, with_acls=False, on_read=step)
        for state in states.values():
            if isinstance(state, UnknownScope):
                self._errors.append(f"what was put could not be read back: {_in_scope(state.scope, state.error)}")
                self._codes.add(EXIT_WORKSPACE)
        return verified(results, self._desired.scopes, states)

    def outcome(self) -> tuple[TargetReport, frozenset[int]]:
        """Return what to report, and the exit codes that were earned."""
        results = self._results or tuple(
            ChangeResult(change=change, outcome=Outcome.PLANNED) for change in self.plan.changes
        )
        codes = set(self._codes)
        if any(result.outcome in (Outcome.FAILED, Outcome.SKIPPED) for result in results):
            codes.add(EXIT_WORKSPACE)
        report = TargetReport(
            target=self.target.name,
            host=shown_host(self.target),
            identity=self._identity,
            commit=self._chosen.sources.commit,
            status=_status(codes, applied=self._results is not None, pending=bool(self.plan)),
            plan=self.plan,
            results=results,
            requests=RequestCount(read=0, write=0) if self._workspace is None else self._workspace.request_count(),
            errors=tuple(self._errors),
        )
        return report, frozenset(codes)


@contextlib.contextmanager
def _stopped_by_interrupt(unlocker: Unlocker) -> Iterator[None]:
    """Stop the programs of ``unlocker`` when an interrupt, which only this thread gets, ends the block."""
    try:
        yield
    except Exception:
        raise
    except BaseException:
        unlocker.stop()
        raise


def _in_scope(scope: str, error: WorkspaceError) -> str:
    return f"scope {scope}: {error.with_advice()}"


def _status(codes: set[int], *, applied: bool, pending: bool) -> Status:
    if codes - {EXIT_REFUSED}:
        return Status.FAILED
    if codes:
        return Status.REFUSED
    if applied:
        return Status.APPLIED
    return Status.PENDING if pending else Status.CLEAN
