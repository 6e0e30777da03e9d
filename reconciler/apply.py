"""Carries out a plan: one result per change, step by step.

In: a `Plan` without values, the `DesiredScope` objects to look the values up in, a workspace, a `Gate`. Out: results in
the order of the plan. Nothing is raised for a change that fails; what builds on it is skipped, everything else goes on:

 * no scope, no change in it; nor in one that somebody else has just created;
 * a grant that could not be taken away: no new value goes where somebody may read it who should not;
 * a value that could not be put: nothing is deleted in that scope, so a broken run leaves too much, never too little;
 * a key that somebody has written since it was looked at: it is not deleted, nor is the scope that it is in. Deletions
   come last, perhaps seconds after the survey, so scopes are listed once more right before. The platform has no
   conditional delete: what is written between that listing and the delete is lost.

Within a step the requests of all scopes run side by side, except for ACLs. The platform answers inconsistently where
those of one scope are written in parallel (databricks/cli: bundle/direct/dresources/secret_scope_acls.go at 7bbe285),
and shows what was written late, sometimes never (databricks/terraform-provider-databricks:
secrets/resource_secret_acl.go at 684f442, and its issue 4195). So they are written one by one, read back, and written
again.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, groupby
from typing import Final, assert_never

from reconciler.desired import DesiredScope
from reconciler.errors import AlreadyExists, NotFound, NotTried, UnexpectedAnswer, Unreachable, WorkspaceError
from reconciler.model import FoldedName, Permission, Principal, RequestId, ScopeName, SecretValue, fold
from reconciler.plan import (
    Change,
    ChangeResult,
    CreateScope,
    DeleteAcl,
    DeleteScope,
    DeleteSecret,
    Outcome,
    Phase,
    Plan,
    PutAcl,
    PutSecret,
)
from reconciler.survey import Absent, Evidence, Fingerprint, Known, ScopeState, ScopeSurvey, Unreadable
from reconciler.workers import Workers
from reconciler.workspace import SecretInfo, Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait until written ACLs can be seen, and by which clock."""

    limit_s: float = 60.0
    """Seconds for the ACLs of one scope. The Terraform provider waits up to 300 for a single one (``defaultTimeout`` in
    the file that the module names)."""

    first_pause_s: float = 0.1
    """Seconds before the second look; doubled for each further one."""

    longest_pause_s: float = 5.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        # Written so that what is not a number is refused as well.
        if not all(seconds > 0 for seconds in (self.limit_s, self.first_pause_s, self.longest_pause_s)):
            raise ValueError("the limit and the pauses must be positive")


_DEFAULT_PATIENCE: Final = Patience()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What may end a run early: both return why nothing more may be begun, or None. What is in flight ends."""

    before_batch: Callable[[], str | None] = lambda: None
    """Asked in the calling thread before each batch; may ask the workspace, such as whether another run has begun."""

    before_change: Callable[[], str | None] = lambda: None
    """Asked before each change, from any thread; costs nothing."""


_OPEN: Final = Gate()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a plan is carried out."""

    identity: Principal
    """Who runs: nobody else may have a grant on a scope that was just created."""

    patience: Patience = _DEFAULT_PATIENCE
    """How long to wait for ACLs to be seen."""

    gate: Gate = _OPEN
    """What may end the run early; the changes that are then left count as skipped, with its reason."""

    listed: Mapping[FoldedName, Mapping[FoldedName, SecretInfo]] = field(default_factory=dict)
    """Scope -> key -> as it was listed when the plan was made. Of a scope that is not there, nothing is checked."""


_BATCH: Final = 500
"""Changes between two questions to the gate. Each question is a round trip in which nothing else happens: so few of
them keep a run of 1,000 puts within a twentieth of what it would take without; and two seconds, with the usual 16
requests of 50 ms at once, is soon enough to notice another run."""

_EXCHANGED_AT_ONCE: Final = 16
"""Keys that a full scope lacks at most, between the deletion of old ones and the put of new ones. As many as requests
run at once by default: fewer would leave threads idle, more would only risk more."""

AclChange = PutAcl | DeleteAcl


def apply(
    plan: Plan,
    desired: Iterable[DesiredScope],
    workspace: Workspace,
    workers: Workers,
    manner: Manner,
    *,
    on_done: Callable[[], None] = lambda: None,
) -> tuple[ChangeResult, ...]:
    """Carry out ``plan`` and tell what became of each change.

    Args:
        plan: What to do.
        desired: Where the values are; must have every key that the plan puts.
        workspace: Where to do it.
        workers: Threads to do it with.
        manner: As whom, how patiently, and until when.
        on_done: Called after each change or, when it was skipped, not at all.

    Returns:
        One result per change, in the order of the plan.
    """
    run = _Run(
        wishes=_by_scope(desired),
        workspace=workspace,
        workers=workers,
        manner=manner,
        on_done=on_done,
    )
    for phase in Phase:
        changes = tuple(change for change in plan.in_phase(phase) if change not in run.results)
        if changes and phase is Phase.MAKE_ROOM:
            run.make_room(changes, plan.in_phase(Phase.PUT))
        elif changes:
            run.step(phase, changes)
    return tuple(run.results[change] for change in plan.changes)


def verified(
    results: tuple[ChangeResult, ...], desired: Iterable[DesiredScope], states: Mapping[FoldedName, ScopeSurvey]
) -> tuple[ChangeResult, ...]:
    """Return ``results`` with those put or deleted in vain turned into failures.

    Args:
        results: Of `apply`.
        desired: The values that were put.
        states: The scopes as they are now, with evidence on every key that was put. What could not be surveyed, or may
            not be read, stays as it is.
    """
    wishes = _by_scope(desired)
    return tuple(_verified(result, wishes, states.get(fold(result.change.scope))) for result in results)


def _by_scope(desired: Iterable[DesiredScope]) -> Mapping[FoldedName, DesiredScope]:
    return {fold(scope.scope): scope for scope in desired}


def _verified(
    result: ChangeResult, wishes: Mapping[FoldedName, DesiredScope], state: ScopeSurvey | None
) -> ChangeResult:
    change = result.change
    if result.outcome is not Outcome.DONE or not isinstance(state, ScopeState):
        return result
    error: str | None = None
    if isinstance(change, DeleteSecret) and fold(change.key) in state.listed:
        error = "it was deleted, but is still there: find out who else puts it, then run again"
    elif isinstance(change, PutSecret):
        wanted = wishes[fold(change.scope)].keys[fold(change.key)].value
        error = _undone_put(wanted, state.evidence[fold(change.key)])
    return result if error is None else replace(result, outcome=Outcome.FAILED, error=error)


def _undone_put(value: SecretValue, evidence: Evidence) -> str | None:
    """Return what is wrong with a key to which ``value`` was put, by the evidence of afterwards."""
    match evidence:
        case Known():
            if evidence.value == value:
                return None
            return "it was put, but the scope holds another value now: find out who else writes it, then run again"
        case Unreadable() | Fingerprint():
            return None
        case Absent():
            return "it was put, but is gone again: find out who else deletes it, then run again"
        case _:
            assert_never(evidence)


@dataclass(slots=True, kw_only=True)
class _Run:
    """The state of one `apply`."""

    wishes: Mapping[FoldedName, DesiredScope]
    """What git wants, with the values, by folded scope."""

    workspace: Workspace
    workers: Workers
    manner: Manner
    on_done: Callable[[], None]
    shut: str | None = None
    """Why the gate lets nothing more through."""

    results: dict[Change, ChangeResult] = field(default_factory=dict)
    broken: set[tuple[FoldedName, Phase]] = field(default_factory=set)
    """Scopes with the step in which something of theirs failed or was skipped."""

    def step(self, phase: Phase, changes: Sequence[Change]) -> None:
        """Run one step over all scopes, batch by batch; it ends with its last request."""
        for start in range(0, len(changes), _BATCH):
            self._batch(phase, changes[start : start + _BATCH])

    def _batch(self, phase: Phase, changes: Sequence[Change]) -> None:
        self.shut = self.shut or self.manner.gate.before_batch()
        ready: list[Change] = []
        written = self._written_since(changes)
        for change in changes:
            why = self.shut or self._obstacle(phase, fold(change.scope)) or written.get(change)
            if why is None:
                ready.append(change)
            else:
                self._record(phase, ChangeResult(change=change, outcome=Outcome.SKIPPED, error=why))
        acls = [change for change in ready if isinstance(change, PutAcl | DeleteAcl)]
        others = [change for change in ready if not isinstance(change, PutAcl | DeleteAcl)]
        answers = self.workers.each([partial(self._try, change) for change in others], on_done=self.on_done)
        for change, answer in zip(others, answers, strict=True):
            self._record(phase, _result(change, answer))
        by_scope = [tuple(group) for _, group in groupby(acls, key=lambda change: fold(change.scope))]
        outcomes = self.workers.each([partial(self._settle, group) for group in by_scope])
        for group, settled in zip(by_scope, outcomes, strict=True):
            for change in group:
                # One error for all: the workspace was gone before the first of them could be tried.
                answer = settled if isinstance(settled, WorkspaceError) else settled[change]
                self._record(phase, _result(change, answer))

    def make_room(self, deletes: Sequence[Change], puts: Sequence[Change]) -> None:
        """Exchange keys in full scopes few at a time, all these scopes side by side; stop in one where a put fails.

        The next ones would fail as well, and leave a scope that has lost its old keys and not got its new ones.
        """
        old = {scope: tuple(group) for scope, group in groupby(deletes, key=lambda change: fold(change.scope))}
        new = {scope: tuple(put for put in puts if fold(put.scope) == scope and _is_new(put)) for scope in old}
        while batches := {
            scope: changes[:_EXCHANGED_AT_ONCE]
            for scope, changes in old.items()
            if changes and (scope, Phase.PUT) not in self.broken
        }:
            self.step(Phase.MAKE_ROOM, tuple(chain.from_iterable(batches.values())))
            ready: list[Change] = []
            for scope, batch in batches.items():
                room = sum(self.results[change].outcome is Outcome.DONE for change in batch)
                ready.extend(new[scope][:room])
                old[scope], new[scope] = old[scope][len(batch) :], new[scope][room:]
            self.step(Phase.PUT, ready)
        for change in chain.from_iterable(old.values()):
            why = "a new key could not be put, so no more of the old ones goes"
            self._record(Phase.MAKE_ROOM, ChangeResult(change=change, outcome=Outcome.SKIPPED, error=why))

    def _written_since(self, changes: Sequence[Change]) -> dict[Change, str]:
        """Return which deletions among ``changes`` would hit what somebody has written meanwhile, each with why."""
        deletions = [
            change
            for change in changes
            if isinstance(change, DeleteSecret | DeleteScope) and fold(change.scope) in self.manner.listed
        ]
        scopes = {fold(change.scope): change.scope for change in deletions}
        if not scopes or self.shut:
            return {}
        answers = self.workers.each([partial(self.workspace.list_secrets, scope) for scope in scopes.values()])
        listed = dict(zip(scopes, answers, strict=True))
        found = ((change, self._why_kept(change, listed[fold(change.scope)])) for change in deletions)
        return {change: why for change, why in found if why is not None}

    def _why_kept(
        self, change: DeleteSecret | DeleteScope, listed: tuple[SecretInfo, ...] | WorkspaceError
    ) -> str | None:
        if isinstance(listed, NotFound):
            return None  # Gone with the scope, which is what was wanted.
        if isinstance(listed, WorkspaceError):
            return f"it could not be seen whether somebody has written there since: {listed.with_advice()}"
        before = self.manner.listed[fold(change.scope)]
        after = {fold(secret.key): secret.updated_ms for secret in listed}
        if isinstance(change, DeleteSecret):
            now, then = after.get(fold(change.key)), before.get(fold(change.key))
            if now is None or (then is not None and then.updated_ms == now):
                return None
            return "somebody has put it anew since it was looked at; run again to decide about it as it is now"
        if after == {name: secret.updated_ms for name, secret in before.items()}:
            return None
        return "somebody has written to the scope since it was looked at; run again to decide about it as it is now"

    def _obstacle(self, phase: Phase, scope: FoldedName) -> str | None:
        """Return why no change of ``scope`` may be tried in this step, or None."""
        if (scope, Phase.CREATE_SCOPES) in self.broken:
            return "the scope could not be created"
        if phase in (Phase.MAKE_ROOM, Phase.PUT) and (scope, Phase.REVOKE) in self.broken:
            return "a grant could not be taken away, and who has it could read the new value"
        if phase is Phase.DELETE_SCOPES and self.broken:
            return "not everything before it could be done, so no scope is deleted: another may be to take its place"
        if phase is Phase.DELETE and (scope, Phase.PUT) in self.broken:
            return "not every value of the scope could be put, so nothing of it is deleted"
        return None

    def _record(self, phase: Phase, result: ChangeResult) -> None:
        self.results[result.change] = result
        if result.outcome is not Outcome.DONE:
            self.broken.add((fold(result.change.scope), phase))

    def _try(self, change: Change) -> RequestId | None:
        """Carry out one change, unless the gate has been shut meanwhile.

        Raises:
            NotTried: It has.
            WorkspaceError: The platform failed it.
        """
        if (why := self.manner.gate.before_change()) is not None:
            raise NotTried(why)
        return self._carry_out(change)

    def _carry_out(self, change: Change) -> RequestId | None:
        scope = change.scope
        match change:
            case CreateScope():
                return self._create(scope)
            case PutSecret():
                value = self.wishes[fold(scope)].keys[fold(change.key)].value
                return self.workspace.put_secret(scope, change.key, value)
            case DeleteSecret():
                return _unless_absent(partial(self.workspace.delete_secret, scope, change.key))
            case PutAcl():
                return self._put_acl(change)
            case DeleteAcl():
                return _unless_absent(partial(self.workspace.delete_acl, scope, change.principal))
            case DeleteScope():
                return _unless_absent(partial(self.workspace.delete_scope, scope))
            case _:
                assert_never(change)

    def _create(self, scope: ScopeName) -> RequestId | None:
        """Create a scope and see that it is ours.

        A create whose answer was lost and that then finds the scope there may have been somebody else's. Whoever
        creates a scope has MANAGE on it, so nobody but us may have a grant.

        Raises:
            AlreadyExists: Somebody else created it since it was looked for.
        """
        request_id = self.workspace.create_scope(scope)
        acls = self.workspace.list_acls(scope)
        if strangers := sorted(acl.principal for acl in acls if fold(acl.principal) != fold(self.manner.identity)):
            raise AlreadyExists(
                f"scope {scope} was created by somebody else just now: {', '.join(strangers)} may use it",
                advice="no value was written to it: find out who made it and why, then run again",
            )
        return request_id

    def _put_acl(self, change: PutAcl) -> RequestId | None:
        try:
            return self.workspace.put_acl(change.scope, change.principal, change.permission)
        except AlreadyExists:
            # The API reference (https://docs.databricks.com/api/workspace/secrets/putacl) says both that a put
            # overwrites and that it is refused where there is an entry. Where it is refused, the old entry goes first;
            # a put that was lost in between is seen by the next run.
            _unless_absent(partial(self.workspace.delete_acl, change.scope, change.principal))
            return self.workspace.put_acl(change.scope, change.principal, change.permission)

    def _settle(self, changes: tuple[AclChange, ...]) -> dict[AclChange, RequestId | WorkspaceError | None]:
        """Write the ACLs of one scope one by one, then look until all of them are seen.

        What is not seen yet is written again before each further look, as the Terraform provider does
        (``robustPutACL`` in the file that the module names): a write that was accepted may still be lost.

        Returns:
            For each the id of its first request, or why it failed.
        """
        answers = {change: self.workers.attempt(partial(self._try, change), on_done=self.on_done) for change in changes}
        failed = {change: answer for change, answer in answers.items() if isinstance(answer, WorkspaceError)}
        deadline = self.manner.patience.clock() + self.manner.patience.limit_s
        pause_s = self.manner.patience.first_pause_s
        while unseen := self._unseen([change for change in changes if change not in failed], failed):
            if (why := self.manner.gate.before_change()) is not None:
                failed.update(dict.fromkeys(unseen, UnexpectedAnswer(f"it was written, but not seen yet ({why})")))
                break
            if self.manner.patience.clock() + pause_s > deadline:
                late = f"the platform accepted it but did not show it within {self.manner.patience.limit_s:g} s"
                advice = "run again; when it stays so, look at the ACLs of the scope"
                failed.update(dict.fromkeys(unseen, UnexpectedAnswer(late, advice=advice)))
                break
            self.manner.patience.sleep(pause_s)
            pause_s = min(pause_s * 2, self.manner.patience.longest_pause_s)
            self._write_again(unseen, failed)
        return {**answers, **failed}

    def _write_again(self, changes: Sequence[AclChange], failed: dict[AclChange, WorkspaceError]) -> None:
        """Write what is not seen; note in ``failed`` what is refused now: the others go on."""
        for change in changes:
            answer = self.workers.attempt(partial(self._carry_out, change))
            if isinstance(answer, WorkspaceError):
                failed[change] = _after_all(
                    "the platform accepted it but did not show it, and it could not be written again", answer
                )

    def _unseen(self, changes: Sequence[AclChange], failed: dict[AclChange, WorkspaceError]) -> tuple[AclChange, ...]:
        """Return those of ``changes``, all of one scope, that a listing does not show.

        None where the workspace does not show its ACLs at all; then each is noted in ``failed``.
        """
        if not changes:
            return ()
        acls = self.workers.attempt(partial(self.workspace.list_acls, changes[0].scope))
        if isinstance(acls, WorkspaceError):
            failed.update(dict.fromkeys(changes, _after_all("it was written, but could not be read back", acls)))
            return ()
        there = {fold(acl.principal): acl.permission for acl in acls}
        return tuple(change for change in changes if there.get(fold(change.principal)) is not _expected(change))


def _after_all(what: str, error: WorkspaceError) -> WorkspaceError:
    """Return the error of a change that was written once, and so has not been skipped whatever came later."""
    text = f"{what}: {error}"
    return Unreachable(text, advice=error.advice) if isinstance(error, NotTried) else error.told_as(text)


def _is_new(change: Change) -> bool:
    return isinstance(change, PutSecret) and change.creates


def _expected(change: AclChange) -> Permission | None:
    return change.permission if isinstance(change, PutAcl) else None


def _unless_absent(call: Callable[[], RequestId | None]) -> RequestId | None:
    # Absent is what was wanted: somebody else, or our own request whose answer was lost, has done it.
    with contextlib.suppress(NotFound):
        return call()
    return None


def _result(change: Change, answer: RequestId | WorkspaceError | None) -> ChangeResult:
    if not isinstance(answer, WorkspaceError):
        return ChangeResult(change=change, outcome=Outcome.DONE, request_id=answer)
    outcome = Outcome.SKIPPED if isinstance(answer, NotTried) else Outcome.FAILED
    request_id = None if answer.request_id is None else RequestId(answer.request_id)
    return ChangeResult(change=change, outcome=outcome, error=answer.with_advice(), request_id=request_id)
