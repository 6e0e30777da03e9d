"""One target from its first request to its last: connection, survey, decision, attempts, and what to report of it.

In: the part of the files that feeds the target, the surroundings of the run. Out: a `TargetReport` with exit codes.
Used by `reconcile` for runs.
"""

import contextlib
import itertools
import random
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Final, Protocol, Self

from reconciler import git, policy
from reconciler.apply import Patience
from reconciler.connections import Connecting, connected, ledger_spot, masking, opened, shown_host, unlocker_of
from reconciler.decision import Decision, Terms, decide, doubtful, last_known, orphans, with_orphans
from reconciler.desired import Desired, unlock
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
from reconciler.ledger.records import RUN_ID_BYTES, SALT_BYTES, Garbled, Head, RunId, Stamp
from reconciler.model import Ancestry, FoldedName, Principal, Prune, ScopeName, fold
from reconciler.plan import (
    Change,
    ChangeResult,
    DeleteScope,
    DeleteSecret,
    Outcome,
    Plan,
    PutAcl,
    action_of,
    subject_of,
)
from reconciler.policy import Target
from reconciler.report.record import Status, TargetReport
from reconciler.settings import Chosen, Observer, Settings
from reconciler.survey import Known, LedgerSpot, ScopeState, Survey, Want, take
from reconciler.workers import Workers
from reconciler.workspace import RequestCount, Workspace


_RESTARTS: Final = 3
"""How often a run begins anew because another one has begun."""

_LONGEST_PAUSE_S: Final = 4.0
"""Before a restart, times its number: the other run may need so long to end, and both may have been overtaken."""

_RECENT_S: Final = 1.0
"""A survey that is younger is not compared with the head once more before that is written: another run would have to
begin and end within this time."""

_NOTHING: Final = Want(keys=frozenset(), acls=None, prune=Prune.OWNED)
"""What git names of a scope that it does not name."""


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
        self._identity: Principal | None = None
        self._surveyed_s = 0.0
        self._may_delete: int | None = None
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
        """Number of keys that the plan deletes, be it with their scope; none of a target that is refused."""
        if self._is_refused:
            return 0
        listed = self._decision.listed
        return sum(
            1 if isinstance(change, DeleteSecret) else len(listed.get(fold(change.scope), ()))
            for change in self.plan.changes
            if isinstance(change, DeleteSecret | DeleteScope)
        )

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
        kept = tuple(change for change in self.plan.changes if not isinstance(change, DeleteSecret | DeleteScope))
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
        self._surveyed_s = time.monotonic()
        spot = ledger_spot(self._chosen)
        wants = {
            scope.scope: Want(keys=frozenset(scope.keys), acls=scope.acls, prune=scope.prune)
            for scope in self._desired.scopes
        }
        survey = self._take(workspace, wants, spot)
        adrift = orphans(survey, self._chosen.selected, spot.place)
        if adrift and self._settings.delete_scopes:
            # All of it anew, as what is decided about them must rest on one look at the ledger.
            survey = self._take(workspace, {**wants, **{info.name: _NOTHING for info in adrift}}, spot)
            adrift = orphans(survey, self._chosen.selected, spot.place)
        if isinstance(survey.head, Garbled):
            self._observer.say(
                f"{self.target.name}: the ledger's head cannot be used ({survey.head.why}) and is written anew: "
                "commits are compared with those of its entries, and scopes that git no longer names are not known"
            )
        self._identity = survey.identity.name
        then = self._files_then(survey)
        terms = replace(self._terms(spot, survey), doubtful=self._doubtful(survey, spot, then))
        decision = decide(survey, self._desired, self._chosen.selected, terms)
        decision = with_orphans(decision, survey, adrift)
        past = file_findings(self._chosen.selected.scopes, then)
        self._decision = replace(decision, plan=replace(decision.plan, findings=(*decision.plan.findings, *past)))
        self._survey = survey

    def _doubtful(
        self, survey: Survey, spot: LedgerSpot, then: Mapping[str, policy.ScopeFile]
    ) -> frozenset[FoldedName]:
        """Return the scopes whose entries know neither a value that git has nor one that it had."""
        selected = self._chosen.selected
        doubted = doubtful(survey, self._desired, selected, spot)
        if not doubted or not then:
            return doubted
        former = tuple(
            replace(policy, files=tuple(then.get(file.path, file) for file in policy.files))
            for policy in selected.scopes
            if fold(policy.scope) in doubted
        )
        before = unlock(replace(selected, scopes=former, whole=False), unlocker_of(self._chosen, self._settings))
        return doubted & doubtful(survey, before, selected, spot).union(map(fold, before.withheld))

    def _take(self, workspace: Workspace, wants: Mapping[ScopeName, Want], spot: LedgerSpot) -> Survey:
        verify = self._settings.verify_values
        with self._observer.progress(f"{self.target.name}: reading values", sum(map(len, self._keys()))) as step:
            return take(workspace, self._crew(), wants, spot, verify_values=verify, on_read=step)

    def _keys(self) -> Iterator[frozenset[FoldedName]]:
        return (frozenset(scope.keys) for scope in self._desired.scopes)

    def _terms(self, spot: LedgerSpot, survey: Survey) -> Terms:
        settings = self._settings
        return Terms(
            spot=spot,
            stamp=self._stamp,
            ancestry=self._ancestry(survey),
            allowed=Allowed(adopt=settings.adopt, take_over=settings.take_over),
            allow_rollback=settings.allow_rollback,
            allow_deletes=settings.allow_deletes,
            applying=self._applying,
            new_salt=lambda: secrets.token_bytes(SALT_BYTES),
        )

    def _ancestry(self, survey: Survey) -> Ancestry | None:
        """Return how the commit of the run stands to the one applied last; None for embedded targets and work trees.

        Raises:
            Refused: git does not work.
        """
        commit, head = self._stamp.commit, last_known(survey)
        if self.target.embedded or commit is None or head is None or head.commit is None:
            return None
        return git.ancestry(self._settings.root, commit=commit, head=head.commit)

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
        self._may_delete = None if self._settings.allow_deletes is None else self.deletes
        results: dict[Change, ChangeResult] = {}
        for restart in itertools.count(1):
            attempt = self._attempt(self._workspace, self._survey, halt)
            self._errors.extend(attempt.failures)
            results.update((result.change, result) for result in attempt.results)
            if not attempt.is_overtaken or halt.reason() is not None:
                break
            if restart > _RESTARTS:
                self.fail(_overtaken(self.target.name))
                break
            self._observer.say(f"{self.target.name}: another run has begun on this target; starting over ({restart})")
            _pause(_LONGEST_PAUSE_S * restart, halt)
            # What was left is decided anew; what was tried is part of the report.
            tried = {change: result for change, result in results.items() if result.outcome is not Outcome.SKIPPED}
            if halt.reason() is not None or not self._look_anew(self._workspace, tuple(tried.values()), approved):
                break
            results = tried
        self._is_interrupted = halt.reason() is not None
        self._results = tuple(results.values())

    def _look_anew(
        self, workspace: Workspace, tried: tuple[ChangeResult, ...], approved: frozenset[Change] | None
    ) -> bool:
        """Decide again; return whether to go on."""
        try:
            self._look(workspace)
        except ReconcilerError as error:
            self.fail(error)
            return False
        if self._is_refused:
            if tried:
                self.fail(_mixed(len(tried)))
            return False
        if approved is not None and not _forms(self.plan.changes) <= _forms(approved):
            self.fail(
                WorkspaceError(
                    "another run has begun, and what is left to do is not what was agreed to",
                    advice="run again to see the plan as it is now",
                )
            )
            return False
        deleted = sum(isinstance(result.change, DeleteSecret) and result.outcome is Outcome.DONE for result in tried)
        if self._may_delete is not None and deleted + self.deletes > self._may_delete:
            self.keep_keys(Refused("another run has begun, and more keys would be deleted now", advice="run again"))
        return True

    def _attempt(self, workspace: Workspace, survey: Survey, halt: Halt) -> Attempt:
        spot = ledger_spot(self._chosen)
        if not is_due(self._decision, survey, spot.place, self._stamp.commit):
            return Attempt()
        name = self.target.name
        ground = Ground(
            workspace=workspace,
            workers=self._crew(),
            spot=spot,
            survey=survey,
            is_recent=lambda: time.monotonic() - self._surveyed_s < _RECENT_S,
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
            identity=self._identity,
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


def _mixed(changes: int) -> WorkspaceError:
    return WorkspaceError(
        f"this run had tried {changes} changes when another one began: where both wrote, what is there now may be of "
        "either commit",
        advice="run the newest commit again: it finds and repairs what is not its own",
    )


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
