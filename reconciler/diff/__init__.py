"""The decision: what must change so that a scope holds what git says.

In: the wish for a scope (`DesiredScope`), what is there (`ScopeState` or `MissingScope`), who must keep what, what the
ledger says of it. Out: a `Plan`. Pure: no clock, file, network or environment, and the same answer whatever the order
of its input.

Parts: `keys` decides about values and keys, `grants` about ACLs; `Keep` says whose grants stay.

Rules:
 * Names compare without regard to case; a key that differs by case alone is the same key.
 * Values compare by bytes, or by fingerprint where they were not read; in constant time.
 * A value that the ledger says was there, that git still wants, and that is not there: somebody changed it (drift).
 * Nothing that a `Keep` names is taken away or lowered.
 * ``prune: owned`` takes away what the ledger shows to be ours, and reports what it leaves. Without a ledger nothing
   is ours.
 * A scope that is full makes just as much room before the puts as they need.
"""

from collections.abc import Iterable
from typing import assert_never

from reconciler.desired import DesiredScope
from reconciler.diff.grants import Keep, diff_grants, diff_new_grants
from reconciler.diff.keys import diff_keys, diff_new_keys, foreign_keys, owned_keys
from reconciler.errors import some_of
from reconciler.ledger.records import Entry
from reconciler.model import ScopeName
from reconciler.plan import CreateScope, DeleteScope, Finding, FindingKind, Plan
from reconciler.survey import MissingScope, ScopeState


__all__ = ["Keep", "diff", "diff_orphan", "merge", "owned_keys"]


def diff(desired: DesiredScope, state: ScopeState | MissingScope, keep: Keep, entry: Entry | None = None) -> Plan:
    """Return what must change in one scope, and what was found there.

    Args:
        desired: What git says.
        state: What the workspace says, with evidence on every desired key.
        keep: Grants that stay.
        entry: What the ledger says of the scope, which is ours, settled by this very state; None where there is no
            ledger. Fingerprints in the evidence are by its salt.
    """
    match state:
        case MissingScope():
            created = Plan(changes=(CreateScope(scope=desired.scope),))
            return merge((created, diff_new_grants(desired, keep), diff_new_keys(desired, entry)))
        case ScopeState():
            return merge((diff_grants(desired, state, keep, entry), diff_keys(desired, state, entry)))
        case _:
            assert_never(state)


def diff_orphan(scope: ScopeName, state: ScopeState, *, delete: bool) -> Plan:
    """Return what becomes of a scope that we made and that git no longer names: a finding, or its end.

    Args:
        scope: Its name, for the plan.
        state: What is there, surveyed with a `reconciler.survey.Want` of no keys under ``prune: owned``.
        delete: Whether it may be deleted, if all that is in it is ours.
    """
    if state.entry is None:
        why = "left alone, as nothing shows that the scope that is there now is the one that git made"
    elif foreign := foreign_keys(state, state.entry):
        why = f"left alone, as git did not put there what it holds now: {some_of(foreign)}"
    elif not delete:
        why = "left alone, --delete-scopes deletes it"
    else:
        return Plan(changes=(DeleteScope(scope=scope),))
    detail = f"git no longer names it; {why}"
    return Plan(findings=(Finding(kind=FindingKind.ORPHANED_SCOPE, scope=scope, detail=detail),))


def merge(parts: Iterable[Plan]) -> Plan:
    """Return one plan that does what all ``parts`` do."""
    parts = tuple(parts)
    return Plan(
        changes=tuple(change for part in parts for change in part.changes),
        findings=tuple(finding for part in parts for finding in part.findings),
        unchanged=sum(part.unchanged for part in parts),
    )
