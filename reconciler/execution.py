"""One attempt at carrying out what was decided for a target, and at writing down what came of it.

In: a `Decision`, what git wants, the `Ground` it happens on. Out: an `Attempt`. In this order, so that a run that is
killed anywhere leaves what the next one can tell apart and repair::

    head -> entries with intents -> changes -> look again -> entries

An entry says what was meant to be done before it is done. What it says afterwards was read back from the platform.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from reconciler.apply import Gate, Manner, Patience, apply, verified
from reconciler.bookkeeping import OVERTAKEN, Books, NoLedgerPossible, Overtaken, Page
from reconciler.decision import Account, Decision, in_scope, seen
from reconciler.desired import DesiredScope
from reconciler.errors import PermissionDenied, ReconcilerError, Refused, UnexpectedAnswer, WorkspaceError
from reconciler.ledger.ownership import is_same
from reconciler.ledger.records import FoundHead, Head, RunId, Stamp, Tag, managed_tag
from reconciler.ledger.settling import Aim, Seen, intending, settled
from reconciler.ledger.trust import Trusted
from reconciler.model import ADMINS, Acl, FoldedName, Permission, Principal, fold
from reconciler.plan import (
    Change,
    ChangeResult,
    CreateScope,
    DeleteAcl,
    DeleteScope,
    DeleteSecret,
    Outcome,
    PutAcl,
    PutSecret,
)
from reconciler.survey import (
    SETTLE_S,
    Known,
    LedgerSpot,
    ScopeState,
    ScopeSurvey,
    Survey,
    UnknownScope,
    Unreadable,
    look_into,
)
from reconciler.workers import Workers
from reconciler.workspace import Backend, ScopeInfo, Workspace


NOT_BEGUN: Final = "not tried"

Progress = Callable[[str, int], AbstractContextManager[Callable[[], None]]]
"""Shows that so many steps of something begin; see `reconciler.settings.Observer`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where, as whom and when an attempt happens."""

    workspace: Workspace
    workers: Workers
    spot: LedgerSpot
    survey: Survey
    """What was seen before; what was decided rests on it."""

    is_recent: Callable[[], bool]
    """Tells whether it is so new that no other run can have begun and ended since."""

    stamp: Stamp
    run: RunId
    """New for each attempt."""

    patience: Patience
    halted: Callable[[], str | None]
    """Why nothing more may be begun, as after a signal; None while it may."""

    pause: Callable[[float], None]
    """Waits for so many seconds."""

    say: Callable[[str], None]
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of it."""

    results: tuple[ChangeResult, ...] = ()
    """One per change of the plan, in the plan's order."""

    failures: tuple[ReconcilerError, ...] = ()
    is_overtaken: bool = False
    """Another run has begun; what is left must be decided anew."""


def is_due(decision: Decision, survey: Survey, place: Tag, commit: str | None) -> bool:
    """Tell whether there is anything to write, be it in the ledger alone."""
    if decision.plan or any(account.is_due for account in decision.accounts.values()):
        return True
    if not isinstance(survey.standing, Trusted) or decision.failures:
        # Of a run that was refused and did nothing else nothing is noted: what was told of its files is told again.
        return False
    return bool(survey.standing.missing) or _is_behind(survey.head, decision, place, commit)


def _is_behind(head: FoundHead, decision: Decision, place: Tag, commit: str | None) -> bool:
    if not isinstance(head, Head):
        return True
    managed = {managed_tag(place, account.scope) for account in decision.accounts.values()}
    return (commit is not None and head.commit != commit) or not managed <= head.scopes


def execute(decision: Decision, wishes: Sequence[DesiredScope], ground: Ground) -> Attempt:
    """Carry out the plan of ``decision``, if there is one, and bring the ledger up to date.

    Args:
        decision: What to do; not refused.
        wishes: Where the values are.
        ground: Where, as whom and when.

    Returns:
        Never raises for what the platform does.
    """
    return _Execution(decision, wishes, ground).run()


class _Execution:
    """The state of one attempt."""

    def __init__(self, decision: Decision, wishes: Sequence[DesiredScope], ground: Ground) -> None:
        self._decision = decision
        self._plan = decision.plan
        self._wishes = wishes
        self._ground = ground
        self._stored = {name: account.found for name, account in decision.accounts.items()}
        self._entries = {name: account.entry for name, account in decision.accounts.items()}
        self._failures: list[ReconcilerError] = []
        self._circle = ground.spot.circle(ground.survey.identity.name)
        self._gate = Gate(before_batch=self._before_batch, before_change=ground.halted)
        self._books: Books | None = None
        """None before they are open, and where the workspace cannot have any."""

    def run(self) -> Attempt:
        """Do it all."""
        ended = self._begin()
        if ended is not None:
            return ended
        results = self._change(self._write_intents())
        if not self._is_overtaken:
            results = self._look_again(results)
        return Attempt(results=results, failures=tuple(self._failures), is_overtaken=self._is_overtaken)

    def _begin(self) -> Attempt | None:
        """Open the ledger; return how the attempt ended, if it did."""
        try:
            why = self._ground.halted()
            if why is None:
                self._open()
                why = self._ground.halted()
        except Overtaken:
            return replace(self._stopped(OVERTAKEN), is_overtaken=True)
        except Refused as refusal:
            planned = tuple(ChangeResult(change=change, outcome=Outcome.PLANNED) for change in self._plan.changes)
            return Attempt(results=planned, failures=(refusal,))
        except WorkspaceError as error:
            self._failures.append(error)
            return self._stopped("the ledger could not be written")
        return None if why is None else self._stopped(why)

    @property
    def _is_overtaken(self) -> bool:
        return self._books is not None and self._books.is_overtaken

    def _head(self) -> Head:
        """Return the head to write: where an owner stands, of all scopes that are still there."""
        ground, survey, place = self._ground, self._ground.survey, self._ground.spot.place
        old = survey.head if isinstance(survey.head, Head) else None
        managed = {managed_tag(place, account.scope) for account in self._decision.accounts.values()}
        before = frozenset() if old is None else old.scopes
        if fold(ADMINS) in map(fold, survey.identity.groups):
            # Who sees every scope may forget those that are gone; others may just not see them.
            before &= {managed_tag(place, info.name) for info in survey.there}
        return Head(
            owner=ground.spot.owner,
            place=place,
            # A work tree has no commit, and must not make the ledger forget which one was applied before.
            commit=ground.stamp.commit or (None if old is None else old.commit),
            at_ms=ground.stamp.at_ms,
            run=ground.run,
            identity=survey.identity.name,
            scopes=before | managed,
        )

    def _before_batch(self) -> str | None:
        return self._ground.halted() or (None if self._books is None else self._books.watch())

    def _open(self) -> None:
        ground, standing = self._ground, self._ground.survey.standing
        books = Books(ground.workspace, ground.workers, self._circle, self._head())
        try:
            if isinstance(standing, Trusted) and not ground.is_recent():
                books.compare(ground.survey.head)
            for remark in books.open(standing, ground.patience, self._gate):
                ground.say(f"{self._circle.target}: {remark}")
        except NoLedgerPossible:
            ground.say(
                f"{self._circle.target}: no ledger, as this workspace lets nobody but users manage a new scope; "
                "every value is read each time, and nothing is deleted under prune: owned"
            )
        else:
            self._books = books

    def _stopped(self, why: str) -> Attempt:
        results = tuple(
            ChangeResult(change=change, outcome=Outcome.SKIPPED, error=f"{NOT_BEGUN}: {why}")
            for change in self._plan.changes
        )
        return Attempt(results=results, failures=tuple(self._failures))

    def _write_intents(self) -> frozenset[FoldedName]:
        """Write what is about to be done; return the scopes in which it must not be, as that failed."""
        if self._books is None:
            return frozenset()
        pages: list[Page] = []
        for name, account in self._decision.accounts.items():
            entry = intending(self._entries[name], self._aim(account), self._ground.stamp)
            if entry != self._entries[name]:
                pages.append(Page(scope=account.scope, entry=entry))
        failed: set[FoldedName] = set()
        for page, error in zip(pages, self._books.write(pages), strict=True):
            if error is not None:
                failed.add(fold(page.scope))
                self._failures.append(in_scope(page.scope, error))
            else:
                self._entries[fold(page.scope)] = self._stored[fold(page.scope)] = page.entry
        return frozenset(failed)

    def _aim(self, account: Account) -> Aim:
        changes = [change for change in self._plan.changes if fold(change.scope) == fold(account.scope)]
        return Aim(
            creates_scope=any(isinstance(change, CreateScope) for change in changes),
            puts={
                fold(change.key): account.wish.values[fold(change.key)]
                for change in changes
                if isinstance(change, PutSecret)
            },
            deletes=frozenset(fold(change.key) for change in changes if isinstance(change, DeleteSecret)),
            grants={change.principal: change.permission for change in changes if isinstance(change, PutAcl)},
            strangers=_strangers(account),
        )

    def _change(self, skipped: frozenset[FoldedName]) -> tuple[ChangeResult, ...]:
        """Carry out the plan, apart from ``skipped`` scopes."""
        ground = self._ground
        possible = replace(
            self._plan, changes=tuple(one for one in self._plan.changes if fold(one.scope) not in skipped)
        )
        manner = Manner(
            identity=self._circle.identity,
            patience=ground.patience,
            gate=self._gate,
            listed=self._decision.listed,
        )
        results: tuple[ChangeResult, ...] = ()
        if possible:
            with ground.progress("applying changes", len(possible.changes)) as step:
                results = apply(possible, self._wishes, ground.workspace, ground.workers, manner, on_done=step)
        by_change = {result.change: result for result in results}
        unwritten = f"{NOT_BEGUN}: what is about to be done could not be written to the ledger"
        return tuple(
            by_change.get(change) or ChangeResult(change=change, outcome=Outcome.SKIPPED, error=unwritten)
            for change in self._plan.changes
        )

    def _look_again(self, results: tuple[ChangeResult, ...]) -> tuple[ChangeResult, ...]:
        """Read back what was put, as 200 is what the platform says and the value is what it does; write it down."""
        ground = self._ground
        tried = tuple(result for result in results if result.outcome in (Outcome.DONE, Outcome.FAILED))
        wanted = _touched(tried)
        states: Mapping[FoldedName, ScopeSurvey] = {}
        if wanted:
            # A value that cannot be read is known by its timestamp alone: nobody else may have put one in the same
            # millisecond and after the list.
            ground.pause(SETTLE_S)
            with ground.progress("reading back", sum(map(len, wanted.values()))) as step:
                states = look_into(ground.workspace, ground.workers, wanted, with_acls=False, on_read=step)
        for state in states.values():
            if isinstance(state, UnknownScope):
                what = f"what was put could not be read back: {in_scope(state.scope, state.error)}"
                self._failures.append(state.error.told_as(what))
        results = verified(results, self._wishes, states)
        self._record(results, states)
        return results

    def _record(self, results: tuple[ChangeResult, ...], states: Mapping[FoldedName, ScopeSurvey]) -> None:
        """Write the entries that are no longer true."""
        if self._books is None:
            return
        pages: list[Page] = []
        replaced = self._replaced(results, states)
        for name, account in self._decision.accounts.items():
            mine = tuple(result for result in results if fold(result.change.scope) == name)
            found = _seen_after(account, mine, states.get(name), self._circle.identity)
            if found is None or name in replaced:
                continue  # Its intents stay open, and the next run finds out.
            entry = settled(self._entries[name], found, account.wish, self._ground.stamp)
            if entry != self._stored[name]:
                pages.append(Page(scope=account.scope, entry=entry))
        gone = [
            result.change.scope
            for result in results
            if isinstance(result.change, DeleteScope) and result.outcome is Outcome.DONE
        ]
        if not pages and not gone:
            return
        if (why := self._books.watch()) is not None:
            if not self._books.is_overtaken:
                self._failures.append(
                    UnexpectedAnswer(f"the ledger was not brought up to date: {why}", advice="run again")
                )
            return
        errors = [*self._books.write(pages), *map(self._books.forget, gone)]
        for scope, error in zip([*(page.scope for page in pages), *gone], errors, strict=True):
            if error is not None:
                self._failures.append(in_scope(scope, error))

    def _replaced(
        self, results: tuple[ChangeResult, ...], states: Mapping[FoldedName, ScopeSurvey]
    ) -> frozenset[FoldedName]:
        """Return the scopes that may be others by now than those that were decided about, and note each.

        Somebody may have deleted and created one while it was written to. It is known by a key that this run did not
        touch; where none is left, by who has a grant on it, which has to be asked for after its list.
        """
        touched: dict[FoldedName, set[FoldedName]] = {}
        for result in results:
            if isinstance(result.change, PutSecret | DeleteSecret):
                touched.setdefault(fold(result.change.scope), set()).add(fold(result.change.key))
        suspects: list[tuple[Account, ScopeState, frozenset[FoldedName]]] = []
        replaced: set[FoldedName] = set()
        for name, account in self._decision.accounts.items():
            state, keys = states.get(name), frozenset(touched.get(name, ()))
            if not isinstance(state, ScopeState) or self._is_same(account, state, keys, None):
                continue
            if isinstance(account.state, ScopeState) and self._is_same(account, account.state, keys, None):
                # It was known by other keys than those of this run, and none of these is left as it was.
                replaced.add(name)
                self._failures.append(_made_anew(account))
            else:
                suspects.append((account, state, keys))
        answers = self._ground.workers.each(
            [partial(self._ground.workspace.list_acls, account.scope) for account, _, _ in suspects]
        )
        for (account, state, keys), answer in zip(suspects, answers, strict=True):
            failure: WorkspaceError
            if isinstance(answer, PermissionDenied) and _acls_before(account) is None:
                continue  # Nor could its grants be read before: what vouched for it then still does.
            if isinstance(answer, WorkspaceError):
                failure = in_scope(account.scope, answer)
            elif not self._is_same(account, state, keys, answer):
                failure = _made_anew(account)
            else:
                continue
            self._failures.append(failure)
            replaced.add(fold(account.scope))
        return frozenset(replaced)

    def _is_same(
        self, account: Account, state: ScopeState, touched: frozenset[FoldedName], acls: tuple[Acl, ...] | None
    ) -> bool:
        entry = self._entries[fold(account.scope)]
        return is_same(entry, state.listed, touched, acls, account.insiders)


def _made_anew(account: Account) -> WorkspaceError:
    return UnexpectedAnswer(
        f"scope {account.scope}: somebody has deleted and created it anew while it was written to",
        advice="find out who did, and change the values that are in it",
    )


def _strangers(account: Account) -> tuple[Acl, ...]:
    """Return who has a grant on a scope and is neither of git's nor an operator, as far as grants can be read."""
    acls = _acls_before(account)
    return () if acls is None else account.insiders.outsiders(acls)


def _acls_before(account: Account) -> tuple[Acl, ...] | None:
    return account.state.acls if isinstance(account.state, ScopeState) else None


def _touched(results: Iterable[ChangeResult]) -> dict[ScopeInfo, frozenset[FoldedName]]:
    """Return the scopes whose keys were changed, or may have been, with the keys that were put."""
    keys: dict[FoldedName, set[FoldedName]] = {}
    spelled: dict[FoldedName, ScopeInfo] = {}
    for result in results:
        change = result.change
        if isinstance(change, PutSecret | DeleteSecret):
            scope = fold(change.scope)
            spelled.setdefault(scope, ScopeInfo(name=change.scope, backend=Backend.DATABRICKS))
            put = keys.setdefault(scope, set())
            if isinstance(change, PutSecret):
                put.add(fold(change.key))
    return {spelled[scope]: frozenset(put) for scope, put in keys.items()}


def _seen_after(
    account: Account, results: Sequence[ChangeResult], after: ScopeSurvey | None, identity: Principal
) -> Seen | None:
    """Return what is in a scope after the changes; None if that is not known.

    Args:
        account: The scope, with what was in it before.
        results: Of its changes.
        after: What was looked at again; None if no key was touched.
        identity: Who ran.
    """
    before = seen(account.state)
    acls = _acls_after(account, results, identity)
    if after is None:
        created = any(isinstance(result.change, CreateScope) for result in results)
        if created and not all(result.outcome is Outcome.DONE for result in results):
            return None
        return replace(before, acls=acls)
    if not isinstance(after, ScopeState):
        return None
    values = {
        name: value
        for name, value in before.values.items()
        if name in after.listed and after.listed[name].updated_ms == before.listed[name].updated_ms
    }
    values |= {name: known.value for name, known in after.evidence.items() if isinstance(known, Known)}
    put_unread = frozenset(
        fold(result.change.key)
        for result in results
        if isinstance(result.change, PutSecret)
        and result.outcome is Outcome.DONE
        and isinstance(after.evidence.get(fold(result.change.key)), Unreadable)
    )
    return Seen(listed=after.listed, values=values, put_unread=put_unread, acls=acls)


def _acls_after(account: Account, results: Sequence[ChangeResult], identity: Principal) -> tuple[Acl, ...] | None:
    """Return the grants on a scope after the changes; None if they are not known.

    They were read back as they were written, so this asks nothing.
    """
    changes = [result for result in results if isinstance(result.change, PutAcl | DeleteAcl)]
    if any(result.outcome is Outcome.FAILED for result in changes):
        return None
    if isinstance(account.state, ScopeState):
        before = account.state.acls
    else:
        before = (Acl(principal=identity, permission=Permission.MANAGE),)
    if before is None:
        return None
    acls = {fold(acl.principal): acl for acl in before}
    for result in changes:
        _change_acl(acls, result.change, result.outcome)
    return tuple(acls.values())


def _change_acl(acls: dict[FoldedName, Acl], change: Change, outcome: Outcome) -> None:
    if outcome is not Outcome.DONE:
        return
    if isinstance(change, PutAcl):
        acls[fold(change.principal)] = Acl(principal=change.principal, permission=change.permission)
    elif isinstance(change, DeleteAcl):
        acls.pop(fold(change.principal), None)
