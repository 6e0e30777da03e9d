"""One target from its first request to its last: connection, survey, decision, attempts, and what to report of it.

In: the part of the files that feeds the target, the surroundings of the run. Out: a `TargetReport` with exit codes.
Used by `reconcile` for runs.
"""

import contextlib
import itertools
import random
import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Final, Protocol, Self

from reconciler import git, policy
from reconciler.apply import Patience
from reconciler.connections import Connecting, connected, masking, opened, shown_host
from reconciler.decision import Decision, Terms, decide, orphans, with_orphans
from reconciler.desired import Desired
from reconciler.errors import (
    EXIT_INTERRUPTED,
    EXIT_REFUSED,
    EXIT_WORKSPACE,
    CannotDecrypt,
    InputError,
    ReconcilerError,
    Refused,
    WorkspaceError,
)
from reconciler.execution import Attempt, Ground, execute, is_due
from reconciler.history import file_findings, read_files
from reconciler.ledger.ownership import Allowed
from reconciler.ledger.records import NOBODY, RUN_ID_BYTES, SALT_BYTES, Head, RunId, Stamp, place_tag
from reconciler.ledger.trust import Circle, Trusted, Unwritten
from reconciler.model import Ancestry, FoldedName, Prune, fold
from reconciler.plan import Change, ChangeResult, DeleteSecret, Outcome, Plan, PutAcl, action_of, subject_of
from reconciler.policy import Target
from reconciler.report.record import Status, TargetReport
from reconciler.settings import Chosen, Observer, Settings
from reconciler.survey import Known, LedgerSpot, ScopeState, ScopeSurvey, Survey, Want, take
from reconciler.workers import Workers
from reconciler.workspace import RequestCount, Workspace


_RESTARTS: Final = 3
"""How often a run begins anew because another one has begun."""

_LONGEST_PAUSE_S: Final = 4.0
"""Before a restart, times its number: the other run may need so long to end, and both may have been overtaken."""


class Halt(Protocol):
    """Whether the run was asked to stop."""

    def reason(self) -> str | None:
        """Return why nothing more may be begun, or None."""
        ...

    def also(self, wind_down: Callable[[], None]) -> None:
        """Have ``wind_down`` called once when the run is asked to stop, from a thread of its own."""
        ...


class Session:
    """One target during one run. A context manager; `survey` comes before `apply`, and `outcome` last."""

    def __init__(
        self,
        chosen: Chosen,
        settings: Settings,
        observer: Observer,
        *,
        now_ms: int,
        applying: bool = False,
        connecting: Connecting = connected,
    ) -> None:
        """Send nothing yet.

        Args:
            chosen: The target and its files.
            settings: The surroundings.
            observer: Whom to tell how it goes.
            now_ms: When the run began, milliseconds since the epoch.
            applying: Whether changes will follow.
            connecting: Opens the workspace.
        """
        self._chosen = chosen
        self._settings = settings
        self._observer = observer
        self._stamp = Stamp(at_ms=now_ms, commit=chosen.sources.commit)
        self._applying = applying
        self._connecting = connecting
        self._stack = contextlib.ExitStack()
        self._workspace: Workspace | None = None
        self._workers: Workers | None = None
        self._desired = Desired(scopes=(), problems=())
        self._survey: Survey | None = None
        self._decision = Decision(plan=Plan(), accounts={}, failures=())
        self._errors: list[ReconcilerError] = []
        self._is_interrupted = False
        self._results: tuple[ChangeResult, ...] | None = None

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

    @property
    def plan(self) -> Plan:
        """What must change; empty before `survey`, and where that failed."""
        return self._decision.plan

    @property
    def will_change(self) -> bool:
        """Tell whether `apply` would change anything besides the ledger."""
        return bool(self.plan) and not self._is_refused

    @property
    def deletes(self) -> int:
        """Number of keys that the plan deletes."""
        return sum(isinstance(change, DeleteSecret) for change in self.plan.changes)

    @property
    def _is_refused(self) -> bool:
        return self._decision.refused is not None or self._survey is None

    def fail(self, error: ReconcilerError) -> None:
        """Note what failed or was refused."""
        self._errors.append(error)

    def refuse(self, refusal: Refused) -> None:
        """Let nothing at all be written to this target."""
        self._decision = replace(self._decision, refused=self._decision.refused or refusal)

    def keep_keys(self, refusal: Refused) -> None:
        """Let no key be deleted in this run, and note why."""
        kept = tuple(change for change in self.plan.changes if not isinstance(change, DeleteSecret))
        if len(kept) < len(self.plan.changes):
            self._decision = replace(self._decision, plan=replace(self.plan, changes=kept))
            self.fail(refusal)

    def survey(self) -> None:
        """Connect, unlock the files meanwhile, look at the workspace, and decide what must change."""
        try:
            self._look(self._open())
        except ReconcilerError as error:
            self.fail(error)

    def _look(self, workspace: Workspace) -> None:
        """Look at the workspace and decide.

        Raises:
            WorkspaceError: Nothing can be said about it.
            Refused: The ledger is of a newer version, or git does not work.
        """
        self._survey = None
        spot = self._spot()
        wants = {
            scope.scope: Want(keys=frozenset(scope.keys), acls=scope.acls, prune=scope.prune)
            for scope in self._desired.scopes
        }
        with self._observer.progress(f"{self.target.name}: reading values", sum(map(len, self._keys()))) as step:
            survey = take(
                workspace, self._crew(), wants, spot, verify_values=self._settings.verify_values, on_read=step
            )
        terms = self._terms(spot, survey)
        decision = decide(survey, self._desired, self._chosen.selected, terms, applying=self._applying)
        adrift = orphans(survey, self._chosen.selected, spot.place)
        states: Mapping[FoldedName, ScopeSurvey] = {}
        if adrift and self._settings.delete_scopes:
            nothing = Want(keys=frozenset(), acls=None, prune=Prune.OWNED)
            states = take(workspace, self._crew(), {info.name: nothing for info in adrift}, spot).scopes
        decision = with_orphans(decision, survey, adrift, states)
        past = file_findings(self._chosen.selected.scopes, self._files_then(survey))
        self._decision = replace(decision, plan=replace(decision.plan, findings=(*decision.plan.findings, *past)))
        self._survey = survey

    def _keys(self) -> Iterator[frozenset[FoldedName]]:
        return (frozenset(scope.keys) for scope in self._desired.scopes)

    def _spot(self) -> LedgerSpot:
        owner = self._chosen.owner
        return LedgerSpot(
            scope=self.target.ledger_scope,
            target=self.target.name,
            owner=NOBODY if owner is None else uuid.UUID(owner),
            place=place_tag(self.target.host_key),
            operators=self.target.operators,
            readers=self.target.ledger_readers,
        )

    def _terms(self, spot: LedgerSpot, survey: Survey) -> Terms:
        settings = self._settings
        return Terms(
            owner=spot.owner,
            place=spot.place,
            stamp=self._stamp,
            ancestry=self._ancestry(survey),
            allowed=Allowed(adopt=settings.adopt, take_over=settings.take_over),
            allow_rollback=settings.allow_rollback,
            allow_deletes=settings.allow_deletes,
            new_salt=lambda: secrets.token_bytes(SALT_BYTES),
        )

    def _ancestry(self, survey: Survey) -> Ancestry | None:
        """Return how the commit of the run stands to the one applied last; None for embedded targets and work trees.

        Raises:
            Refused: git does not work.
        """
        commit = self._stamp.commit
        if self.target.embedded or commit is None or not isinstance(survey.head, Head) or survey.head.commit is None:
            return None
        return git.ancestry(self._settings.root, commit=commit, head=survey.head.commit)

    def _files_then(self, survey: Survey) -> Mapping[str, policy.ScopeFile]:
        """Return the files that changed, as they were at the commit applied last; none where git does not have them."""
        commit, head = self._stamp.commit, survey.head.commit if isinstance(survey.head, Head) else None
        if self.target.embedded or commit is None or head is None or head == commit:
            return {}
        paths = {file.path for scope in self._chosen.selected.scopes for file in scope.files}
        return read_files(git.read_before(self._settings.root, commit=commit, head=head, paths=paths))

    def _open(self) -> Workspace:
        """Connect, and unlock the files meanwhile."""
        on_detail = masking(self._observer.detail, self._values)
        self._workspace = self._stack.enter_context(
            opened(self._chosen, self._settings, self._connecting, on_detail, on_unlocked=self._unlocked)
        )
        return self._workspace

    def _unlocked(self, desired: Desired) -> None:
        self._desired = desired
        if desired.problems:
            self.fail(CannotDecrypt(desired.problems))

    def _values(self) -> Iterator[bytes]:
        """Yield every value that the run knows: those in git, and those that the workspace held before."""
        yield from (key.value.reveal() for scope in self._desired.scopes for key in scope.keys.values())
        for state in () if self._survey is None else self._survey.scopes.values():
            if isinstance(state, ScopeState):
                known = (evidence for evidence in state.evidence.values() if isinstance(evidence, Known))
                yield from (evidence.value.reveal() for evidence in known)

    def _crew(self) -> Workers:
        if self._workers is None:
            self._workers = self._stack.enter_context(Workers(self._settings.concurrency))
        return self._workers

    def apply(self, halt: Halt, approved: frozenset[Change] | None = None) -> None:
        """Carry out the plan, write the ledger, and look whether the workspace then holds what was put.

        Begins anew, a few times, when another run has begun meanwhile.

        Args:
            halt: Whether the run was asked to stop.
            approved: Changes that somebody has agreed to; a later plan may hold no others. None: any.
        """
        if self._workspace is None or self._survey is None or self._is_refused:
            return
        halt.also(self._workspace.wind_down)
        before: dict[Change, ChangeResult] = {}
        for restart in itertools.count(1):
            attempt = self._attempt(self._workspace, self._survey, halt)
            self._errors.extend(attempt.failures)
            before.update((result.change, result) for result in attempt.results)
            self._is_interrupted = halt.reason() is not None
            if not attempt.is_overtaken or self._is_interrupted:
                break
            # What failed or was left is decided anew; what was done is part of the report.
            before = {change: result for change, result in before.items() if result.outcome is Outcome.DONE}
            if restart > _RESTARTS:
                self.fail(_overtaken(self.target.name))
                break
            self._observer.say(f"{self.target.name}: another run has begun on this target; starting over ({restart})")
            _pause(_LONGEST_PAUSE_S * restart, halt)
            if not self._look_anew(self._workspace, approved) or self._is_refused:
                break
        self._results = tuple(before.values())

    def _look_anew(self, workspace: Workspace, approved: frozenset[Change] | None) -> bool:
        """Decide again; return whether to go on."""
        deletes = self.deletes
        try:
            self._look(workspace)
        except ReconcilerError as error:
            self.fail(error)
            return False
        if approved is not None and not _forms(self.plan.changes) <= _forms(approved):
            self.fail(
                WorkspaceError(
                    "another run has begun, and what is left to do is not what was agreed to",
                    advice="run again to see the plan as it is now",
                )
            )
            return False
        if self._settings.allow_deletes is not None and self.deletes > deletes:
            self.keep_keys(Refused("another run has begun, and more keys would be deleted now", advice="run again"))
        return True

    def _attempt(self, workspace: Workspace, survey: Survey, halt: Halt) -> Attempt:
        standing = survey.standing
        if not isinstance(standing, Trusted | Unwritten):
            return Attempt()  # refused before
        spot = self._spot()
        if not is_due(self._decision, survey.head, standing, spot.place, self._stamp.commit):
            return Attempt()
        name = self.target.name
        circle = Circle(
            scope=spot.scope,
            target=name,
            identity=survey.identity.name,
            operators=spot.operators,
            readers=spot.readers,
        )
        ground = Ground(
            workspace=workspace,
            workers=self._crew(),
            circle=circle,
            standing=standing,
            owner=spot.owner,
            place=spot.place,
            head=survey.head,
            there=survey.there,
            stamp=self._stamp,
            run=RunId(secrets.token_bytes(RUN_ID_BYTES)),
            patience=Patience(limit_s=self._settings.timeout_s),
            halted=halt.reason,
            pause=time.sleep,
            say=self._observer.say,
            progress=lambda what, total: self._observer.progress(f"{name}: {what}", total),
        )
        return execute(self._decision, self._desired.scopes, ground)

    def outcome(self) -> tuple[TargetReport, frozenset[int]]:
        """Return what to report, and the exit codes that were earned."""
        results = self._results
        if results is None:
            results = tuple(ChangeResult(change=change, outcome=Outcome.PLANNED) for change in self.plan.changes)
        plan = replace(self.plan, changes=tuple(result.change for result in results))
        by_change = {result.change: result for result in results}
        errors = [*self._errors, *self._decision.failures]
        if self._decision.refused is not None:
            errors.insert(0, self._decision.refused)
        codes = {error.exit_code for error in errors}
        if any(result.outcome in (Outcome.FAILED, Outcome.SKIPPED) for result in results):
            codes.add(EXIT_WORKSPACE)
        if self._is_interrupted:
            codes.add(EXIT_INTERRUPTED)
        report = TargetReport(
            target=self.target.name,
            host=shown_host(self.target),
            identity=None if self._survey is None else self._survey.identity.name,
            commit=self._chosen.sources.commit,
            status=_status(codes, applied=bool(self._results), pending=bool(plan)),
            plan=plan,
            results=tuple(by_change[change] for change in plan.changes),
            requests=RequestCount(read=0, write=0) if self._workspace is None else self._workspace.request_count(),
            errors=tuple(line for error in errors for line in _lines(error)),
            adopted=tuple(account.scope for account in self._decision.accounts.values() if account.adopted),
        )
        return report, frozenset(codes)


def _lines(error: ReconcilerError) -> tuple[str, ...]:
    return tuple(map(str, error.problems)) if isinstance(error, InputError) else (error.with_advice(),)


def _overtaken(target: str) -> WorkspaceError:
    return WorkspaceError(
        f"other runs kept beginning on {target}, so this one gave way {_RESTARTS} times and ended",
        advice="let one run at a time work on a target, as with a concurrency group of the pipeline; then run again",
    )


def _pause(at_most_s: float, halt: Halt) -> None:
    """Wait for a random time, so that two runs do not overtake each other for ever; not on when asked to stop."""
    end = time.monotonic() + random.uniform(0.1, at_most_s)  # noqa: S311  # nothing secret about it
    while halt.reason() is None and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))


def _forms(changes: Iterable[Change]) -> frozenset[tuple[str, ...]]:
    """Return what tells changes apart for whoever agreed to them; why they are needed may differ after another run."""
    return frozenset(
        (
            action_of(change),
            fold(change.scope),
            fold(subject_of(change)),
            change.permission.name if isinstance(change, PutAcl) else "",
        )
        for change in changes
    )


def _status(codes: set[int], *, applied: bool, pending: bool) -> Status:
    if codes - {EXIT_REFUSED}:
        return Status.FAILED
    if codes:
        return Status.REFUSED
    if applied:
        return Status.APPLIED
    return Status.PENDING if pending else Status.CLEAN
