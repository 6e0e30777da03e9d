"""Whole runs with a ledger over a fake workspace, as thin as can be: what `reconciler.session` does, without files."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from reconciler.desired import DesiredScope
from reconciler.diff import Keep, diff, merge
from reconciler.ledger.ownership import Allowed, Insiders, Owned, claim
from reconciler.ledger.records import Entry, Stamp
from reconciler.ledger.settling import Aim, Seen, Wish, intending, settled
from reconciler.model import FoldedName, fold
from reconciler.plan import ChangeResult, CreateScope, DeleteSecret, Outcome, Plan, PutAcl, PutSecret
from reconciler.survey import Known, LedgerSpot, MissingScope, ScopeState, Survey, UnknownScope, sight_of, take
from reconciler.workers import Workers
from tests.fakes import FakeWorkspace
from tests.support.recorded import SPOT, STAMP, blank, write_entry, write_head
from tests.support.wishes import carry_out, want


_SALTS: Final = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a run saw, and decided by it."""

    survey: Survey
    entries: dict[FoldedName, Entry]
    """Settled, of every scope."""

    plan: Plan


def values_of(desired: DesiredScope) -> Wish:
    """Return what git says of a scope, as the ledger takes it."""
    return Wish(values={name: key.value for name, key in desired.keys.items()}, acls=desired.acls)


def look(
    workspace: FakeWorkspace,
    wishes: Sequence[DesiredScope],
    *,
    spot: LedgerSpot = SPOT,
    adopt: bool = True,
    verify_values: bool = False,
    stamp: Stamp = STAMP,
) -> Look:
    """Survey and decide.

    Args:
        workspace: Where.
        wishes: What git wants.
        spot: Where the ledger is.
        adopt: Take scopes that are there and not ours; a refusal fails the test.
        verify_values: As of `take`.
        stamp: When this is.
    """
    with Workers(4) as workers:
        survey = take(
            workspace,
            workers,
            {one.scope: want(one) for one in wishes},
            spot,
            verify_values=verify_values,
            pause=workspace.clock.sleep,
        )
    keep = Keep(identity=survey.identity.name, groups=survey.identity.groups, operators=spot.operators)
    entries: dict[FoldedName, Entry] = {}
    plans: list[Plan] = []
    for one in wishes:
        state = survey.scopes[fold(one.scope)]
        assert not isinstance(state, UnknownScope), state.error
        verdict = claim(
            sight_of(values_of(one).values, state) if isinstance(state, ScopeState) else None,
            state.found,
            survey.head,
            Insiders(operators=(keep.identity, *keep.operators), acls=one.acls or ()),
            blank(one.scope, salt=next(_SALTS).to_bytes(32)),
            Allowed(adopt=adopt),
        )
        assert isinstance(verdict, Owned), verdict
        entry = settled(verdict.entry, seen(state), values_of(one), stamp)
        entries[fold(one.scope)] = entry
        plans.append(diff(one, state, keep, entry))
    return Look(survey=survey, entries=entries, plan=merge(plans))


def seen(state: ScopeState | MissingScope) -> Seen:
    """Return what was seen of a scope, as the ledger takes it."""
    if isinstance(state, MissingScope):
        return Seen(listed={})
    values = {name: known.value for name, known in state.evidence.items() if isinstance(known, Known)}
    return Seen(listed=state.listed, values=values, acls=state.acls)


def run(
    workspace: FakeWorkspace,
    wishes: Sequence[DesiredScope],
    *,
    stamp: Stamp = STAMP,
    before_changes: Callable[[], None] = lambda: None,
) -> tuple[Look, tuple[ChangeResult, ...]]:
    """Look, write intents, carry out, look again, write entries. Head and entries go in without a request."""
    first = look(workspace, wishes, stamp=stamp)
    write_head(workspace, *(one.scope for one in wishes))
    for one in wishes:
        write_entry(workspace, one.scope, intending(first.entries[fold(one.scope)], _aim(one, first.plan), stamp))
    before_changes()
    results = carry_out(first.plan, wishes, workspace)
    workspace.clock.sleep(0.01)
    # By values, as a run reads back what it put.
    after = look(workspace, wishes, verify_values=True, stamp=stamp)
    for one in wishes:
        write_entry(workspace, one.scope, after.entries[fold(one.scope)])
    return first, results


def crash(workspace: FakeWorkspace, wishes: Sequence[DesiredScope], done: int, *, stamp: Stamp = STAMP) -> None:
    """Begin a run that is killed after ``done`` of its changes: the intents are all that stands in the ledger."""
    first = look(workspace, wishes, stamp=stamp)
    write_head(workspace, *(one.scope for one in wishes))
    for one in wishes:
        write_entry(workspace, one.scope, intending(first.entries[fold(one.scope)], _aim(one, first.plan), stamp))
    results = carry_out(replace(first.plan, changes=first.plan.changes[:done]), wishes, workspace)
    assert all(result.outcome is Outcome.DONE for result in results)


def _aim(desired: DesiredScope, plan: Plan) -> Aim:
    changes = [change for change in plan.changes if fold(change.scope) == fold(desired.scope)]
    return Aim(
        creates_scope=any(isinstance(change, CreateScope) for change in changes),
        puts={
            fold(change.key): desired.keys[fold(change.key)].value
            for change in changes
            if isinstance(change, PutSecret)
        },
        deletes=frozenset(fold(change.key) for change in changes if isinstance(change, DeleteSecret)),
        grants={change.principal: change.permission for change in changes if isinstance(change, PutAcl)},
    )
