"""From what was seen to what will be done with one target: whose each scope is, the plan, the next entries. Pure.

In: a `Survey`, what git wants, `Terms`. Out: a `Decision`. Joins the pure rooms::

    claim (ownership) -> settle (ledger) -> diff -> guards

A scope that is refused, or that could not be looked at, has no change in the plan; the others are not disturbed by it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import assert_never

from reconciler import guard
from reconciler.desired import Desired, DesiredScope
from reconciler.diff import Keep, diff, diff_orphan, merge, owned_keys
from reconciler.errors import ReconcilerError, Refused, WorkspaceError
from reconciler.history import rotation_findings
from reconciler.ledger.ownership import Allowed, Claim, Insiders, NotOurs, Owned, claim, knows
from reconciler.ledger.records import RUN_ID_BYTES, Entry, FoundEntry, Head, RunId, Stamp, Tag, managed_tag, new_entry
from reconciler.ledger.settling import Seen, Wish, settled
from reconciler.ledger.trust import Foreign, Hidden, Trusted, Unwritten
from reconciler.model import Ancestry, FoldedName, Permission, Principal, Prune, ScopeName, SecretValue, fold
from reconciler.plan import DeleteAcl, DeleteSecret, Finding, FindingKind, Plan, PutReason, PutSecret
from reconciler.policy import SelectedTarget, Target
from reconciler.survey import Known, LedgerSpot, MissingScope, ScopeState, ScopeSurvey, Survey, UnknownScope, sight_of
from reconciler.workspace import ScopeInfo, SecretInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a decision depends on besides git and the workspace."""

    spot: LedgerSpot
    """Where the ledger is, and whose."""

    stamp: Stamp
    """Time of the run, and its commit."""

    ancestry: Ancestry | None
    """How the commit stands to the one that was applied last; None where there is nothing to compare."""

    allowed: Allowed
    allow_rollback: bool
    allow_deletes: int | None
    """How many keys may be deleted in all; None leaves it to the guard of each scope."""

    applying: bool
    """Whether changes will follow: a ledger that is hidden keeps nobody from planning."""

    new_salt: Callable[[], bytes]
    """Returns 32 random bytes."""

    doubtful: frozenset[FoldedName] = frozenset()
    """Scopes for which no entry vouches, whatever it says; see `doubtful`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the ledger says and will say of one scope of ours."""

    scope: ScopeName
    """As git spells it."""

    found: FoundEntry
    """What stands there."""

    entry: Entry
    """What should stand there by what was seen before any change."""

    state: ScopeState | MissingScope
    wish: Wish
    insiders: Insiders
    """Whose grants on it say nothing against its being ours."""

    adopted: bool = False
    """The scope was there, and not ours before."""

    @property
    def is_due(self) -> bool:
        """Tell whether the ledger has to be written even if nothing changes in the scope."""
        return self.found != self.entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What will be done with a target."""

    plan: Plan
    accounts: Mapping[FoldedName, Account]
    """Scopes of ours, by folded name. Empty where the ledger does not count."""

    failures: tuple[ReconcilerError, ...]
    """What was refused or could not be looked at; each message names its scope."""

    refused: Refused | None = None
    """Why nothing at all may be written to this target."""

    listed: Mapping[FoldedName, Mapping[FoldedName, SecretInfo]] = field(default_factory=dict)
    """Scope -> key -> as it was listed; of every scope that the plan is about and that exists."""


def decide(survey: Survey, desired: Desired, selected: SelectedTarget, terms: Terms) -> Decision:
    """Decide about one target.

    Args:
        survey: What the workspace and its ledger say.
        desired: What git says, as far as it unlocked.
        selected: The same without values, complete.
        terms: The rest.
    """
    rotation = {fold(policy.scope): policy for policy in selected.scopes}
    parts: list[_Part] = []
    for wish in desired.scopes:
        part = _part(wish, survey, selected.target, terms)
        if part.account is not None:
            due = rotation_findings(rotation[fold(wish.scope)], part.account.entry, terms.stamp.at_ms)
            part = replace(part, plan=merge((part.plan, Plan(findings=_not_put(due, part.plan)))))
        parts.append(part)
    accounts = {fold(part.account.scope): part.account for part in parts if part.account is not None}
    hidden = () if not isinstance(survey.standing, Hidden) else (_hidden(selected.target),)
    return Decision(
        plan=merge((Plan(findings=hidden), *(part.plan for part in parts))),
        accounts=MappingProxyType(accounts),
        failures=tuple(failure for part in parts for failure in part.failures),
        refused=_refused(survey, terms),
        listed=_listed(survey.scopes),
    )


def last_known(survey: Survey) -> Head | None:
    """Return where our owner stands; where the head is lost or garbled, as far as the entries tell.

    A commit that changed nothing is not known then.
    """
    if isinstance(survey.head, Head):
        return survey.head
    found = (state.found for state in survey.scopes.values() if isinstance(state, ScopeState | MissingScope))
    entries = [entry for entry in found if isinstance(entry, Entry)]
    stamps = [
        stamp
        for entry in entries
        for stamp in (*(one.changed for one in entry.keys.values()), *(group.stamp for group in entry.intents))
        if stamp.commit is not None
    ]
    if not stamps:
        return None
    newest = max(stamps, key=lambda stamp: stamp.at_ms)
    return Head(
        owner=entries[0].owner,
        place=entries[0].place,
        commit=newest.commit,
        at_ms=newest.at_ms,
        run=RunId(bytes(RUN_ID_BYTES)),
        identity=Principal("somebody"),
    )


def orphans(survey: Survey, selected: SelectedTarget, place: Tag) -> tuple[ScopeInfo, ...]:
    """Return the scopes that are there, that the head names, and that no file feeds any more.

    None unless the whole target is selected. A scope whose files do not unlock is fed all the same.
    """
    if not selected.whole or not isinstance(survey.head, Head):
        return ()
    fed = {fold(policy.scope) for policy in selected.scopes}
    managed = survey.head.scopes
    return tuple(
        info for info in survey.there if fold(info.name) not in fed and managed_tag(place, info.name) in managed
    )


def with_orphans(decision: Decision, survey: Survey, infos: Iterable[ScopeInfo]) -> Decision:
    """Return ``decision`` with what becomes of scopes that git no longer names.

    Args:
        decision: Of the scopes that git names.
        survey: Where those that may be deleted were looked at; the others are only reported. Nothing is deleted unless
            the ledger counts.
        infos: What `orphans` returned.
    """
    parts: list[Plan] = []
    failures: list[ReconcilerError] = []
    for info in infos:
        state = survey.scopes.get(fold(info.name))
        match state:
            case ScopeState():
                parts.append(diff_orphan(info.name, state, delete=isinstance(survey.standing, Trusted)))
            case UnknownScope(error=error):
                failures.append(in_scope(info.name, error))
            case MissingScope():
                pass
            case None:
                detail = "git no longer names it; left alone, --delete-scopes deletes it"
                finding = Finding(kind=FindingKind.ORPHANED_SCOPE, scope=info.name, detail=detail)
                parts.append(Plan(findings=(finding,)))
            case _:
                assert_never(state)
    plan = merge((decision.plan, *parts))
    return replace(decision, plan=plan, failures=(*decision.failures, *failures))


def _listed(states: Mapping[FoldedName, ScopeSurvey]) -> Mapping[FoldedName, Mapping[FoldedName, SecretInfo]]:
    return {name: state.listed for name, state in states.items() if isinstance(state, ScopeState)}


def _without_ledger(wish: DesiredScope, state: ScopeState | MissingScope, keep: Keep) -> Plan:
    """Return what differs in a scope of which nobody can tell whose it is; nothing of it is deleted."""
    return diff(replace(wish, prune=Prune.NONE if wish.prune is Prune.NONE else Prune.OWNED), state, keep, None)


def _unclaimable(scope: ScopeName) -> Finding:
    detail = "whose scope it is cannot be told without MANAGE on it; apply needs that, or --adopt"
    return Finding(kind=FindingKind.ACLS_UNKNOWN, scope=scope, detail=detail)


def _hidden(target: Target) -> Finding:
    detail = (
        "whether the ledger counts cannot be told without MANAGE on it: every value was read, and nothing is deleted"
    )
    return Finding(kind=FindingKind.ACLS_UNKNOWN, scope=target.ledger_scope, detail=detail)


def in_scope(scope: str, error: WorkspaceError) -> WorkspaceError:
    """Return ``error`` with the scope in front."""
    return error.told_as(f"scope {scope}: {error}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What was decided about one scope."""

    plan: Plan = field(default_factory=Plan)
    account: Account | None = None
    failures: tuple[ReconcilerError, ...] = ()


def _part(wish: DesiredScope, survey: Survey, target: Target, terms: Terms) -> _Part:
    state = survey.scopes[fold(wish.scope)]
    match state:
        case UnknownScope(error=error):
            return _Part(failures=(in_scope(wish.scope, error),))
        case ScopeState() if (refusal := guard.key_vault(state)) is not None:
            return _Part(failures=(refusal,))
        case ScopeState() | MissingScope():
            keep = _keep(survey, target)
            match survey.standing:
                case Hidden():
                    return _Part(plan=_without_ledger(wish, state, keep))
                case Foreign():
                    return _Part()  # refused as a whole
                case Unwritten() if not terms.applying and isinstance(state, ScopeState) and state.acls is None:
                    # Whose it is cannot be told; an identity that may only read can plan all the same.
                    unknown = Plan(findings=(_unclaimable(wish.scope),))
                    return _Part(plan=merge((_without_ledger(wish, state, keep), unknown)))
                case Unwritten() | Trusted():
                    return _claimed(wish, state, survey, keep, terms)
        case _:
            assert_never(state)


def _claimed(wish: DesiredScope, state: ScopeState | MissingScope, survey: Survey, keep: Keep, terms: Terms) -> _Part:
    """Decide about a scope where the ledger counts, or will."""
    values = _values(wish)
    insiders = terms.spot.insiders(keep.identity, wish.acls)
    new = new_entry(owner=terms.spot.owner, place=terms.spot.place, scope=wish.scope, salt=terms.new_salt())
    sight = sight_of(values, state) if isinstance(state, ScopeState) else None
    if sight is not None and fold(wish.scope) in terms.doubtful:
        sight = replace(sight, vouched=False)
    verdict: Claim = claim(sight, state.found, survey.head, insiders, new, terms.allowed, scope=wish.scope)
    match verdict:
        case NotOurs(refusal=refusal):
            return _Part(failures=(refusal,))
        case Owned(entry=entry, adopted=adopted):
            pass
        case _:
            assert_never(verdict)
    wished = Wish(values=values, acls=wish.acls)
    entry = settled(entry, seen(state), wished, terms.stamp)
    account = Account(
        scope=wish.scope, found=state.found, entry=entry, state=state, wish=wished, insiders=insiders, adopted=adopted
    )
    plan = diff(wish, state, keep, entry)
    if adopted:
        plan = _without_deletions(plan, wish.scope)
    if terms.allow_deletes is None and isinstance(state, ScopeState):
        excess = guard.deletions(wish.scope, plan, owned=owned_keys(state, entry, wish))
        if excess is not None:
            return _Part(plan=Plan(findings=plan.findings), failures=(excess,))
    return _Part(plan=plan, account=account)


def doubtful(survey: Survey, desired: Desired, selected: SelectedTarget, spot: LedgerSpot) -> frozenset[FoldedName]:
    """Return the scopes that somebody outside manages and goes on to manage, and whose entry knows no value of git.

    Whoever made a scope manages it. The ledger might be theirs, too, from before we came. Where all values change at
    once, an entry of ours knows those that git had before.
    """
    keep = _keep(survey, selected.target)
    return frozenset(
        fold(wish.scope)
        for wish in desired.scopes
        if _is_managed_by_others(wish, survey.scopes[fold(wish.scope)], keep, spot)
        and not _knows(survey.scopes[fold(wish.scope)], _values(wish))
    )


def _is_managed_by_others(wish: DesiredScope, state: ScopeSurvey, keep: Keep, spot: LedgerSpot) -> bool:
    """Tell whether somebody outside has MANAGE on a scope and will have it when values are put."""
    if not isinstance(state, ScopeState) or state.entry is None or state.acls is None:
        return False
    lowered = {fold(acl.principal) for acl in wish.acls or ()}
    revoked = wish.acls is not None and wish.prune is Prune.ALL
    return any(
        acl.permission is Permission.MANAGE
        and fold(acl.principal) not in lowered
        and not (revoked and not keep.holds(acl))
        for acl in spot.insiders(keep.identity, wish.acls).outsiders(state.acls)
    )


def _knows(state: ScopeSurvey, values: Mapping[FoldedName, SecretValue]) -> bool:
    return isinstance(state, ScopeState) and state.entry is not None and knows(state.entry, values)


def _values(wish: DesiredScope) -> Mapping[FoldedName, SecretValue]:
    return {name: key.value for name, key in wish.keys.items()}


def _keep(survey: Survey, target: Target) -> Keep:
    return Keep(
        identity=survey.identity.name,
        groups=survey.identity.groups,
        operators=target.operators,
        protected=target.protected_principals,
    )


def _without_deletions(plan: Plan, scope: ScopeName) -> Plan:
    """Return ``plan`` for the run that takes charge of a scope: nobody has seen yet what else is in it."""
    why = "left alone by the run that takes charge of the scope; under prune: all the next one takes it away"
    kept = tuple(change for change in plan.changes if not isinstance(change, DeleteSecret | DeleteAcl))
    left = (
        Finding(kind=FindingKind.UNMANAGED_KEY, scope=scope, key=change.key, detail=f"not in git; {why}")
        if isinstance(change, DeleteSecret)
        else Finding(
            kind=FindingKind.UNMANAGED_ACL,
            scope=scope,
            principal=change.principal,
            detail=f"has {change.permission.name}, not in git; {why}",
        )
        for change in plan.changes
        if isinstance(change, DeleteSecret | DeleteAcl)
    )
    return replace(plan, changes=kept, findings=(*plan.findings, *left))


def seen(state: ScopeState | MissingScope) -> Seen:
    """Return what a survey saw of a scope, as the ledger takes it."""
    match state:
        case MissingScope():
            return Seen(listed={})
        case ScopeState():
            values = {name: known.value for name, known in state.evidence.items() if isinstance(known, Known)}
            return Seen(listed=state.listed, values=values, acls=state.acls)
        case _:
            assert_never(state)


def _refused(survey: Survey, terms: Terms) -> Refused | None:
    refused = guard.ledger(survey.standing, applying=terms.applying)
    if refused is not None or terms.ancestry is None or terms.stamp.commit is None:
        return refused
    if (head := last_known(survey)) is None:
        return None
    return guard.older_commit(terms.ancestry, commit=terms.stamp.commit, head=head, allowed=terms.allow_rollback)


def _not_put(findings: Iterable[Finding], plan: Plan) -> tuple[Finding, ...]:
    """Return those findings that are not settled by a put of another value."""
    put = {
        fold(change.key)
        for change in plan.changes
        if isinstance(change, PutSecret) and change.reason is not PutReason.DRIFTED
    }
    return tuple(finding for finding in findings if finding.key is None or fold(finding.key) not in put)
