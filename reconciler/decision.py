"""From what was seen to what will be done with one target: whose each scope is, the plan, the next entries. Pure.

In: a `Survey`, what git wants, `Terms`. Out: a `Decision`. Joins the pure rooms::

    claim (ownership) -> settle (ledger) -> diff -> guards

A scope that is refused, or that could not be looked at, has no change in the plan; the others are not disturbed by it.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import assert_never

from reconciler import guard
from reconciler.desired import Desired, DesiredScope
from reconciler.diff import Keep, diff, diff_orphan, merge, owned_keys
from reconciler.errors import ReconcilerError, Refused, WorkspaceError
from reconciler.history import rotation_findings
from reconciler.ledger.ownership import Allowed, Claim, Insiders, NotOurs, Owned, claim
from reconciler.ledger.records import Entry, FoundEntry, Head, Stamp, Tag, managed_tag, new_entry
from reconciler.ledger.settling import Seen, Wish, settled
from reconciler.ledger.trust import Foreign, Hidden, Trusted, Unwritten
from reconciler.model import Ancestry, FoldedName, ScopeName, fold
from reconciler.plan import Finding, FindingKind, Plan, PutReason, PutSecret
from reconciler.policy import SelectedTarget, Target
from reconciler.survey import Known, MissingScope, ScopeState, ScopeSurvey, Survey, UnknownScope, sight_of
from reconciler.workspace import ScopeInfo, SecretInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a decision depends on besides git and the workspace."""

    owner: uuid.UUID
    place: Tag
    """The workspace, as the ledger names it."""

    stamp: Stamp
    """Time of the run, and its commit."""

    ancestry: Ancestry | None
    """How the commit stands to the one that was applied last; None where there is nothing to compare."""

    allowed: Allowed
    allow_rollback: bool
    allow_deletes: int | None
    """How many keys may be deleted in all; None leaves it to the guard of each scope."""

    new_salt: Callable[[], bytes]
    """Returns 32 random bytes."""


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


def decide(survey: Survey, desired: Desired, selected: SelectedTarget, terms: Terms, *, applying: bool) -> Decision:
    """Decide about one target.

    Args:
        survey: What the workspace and its ledger say.
        desired: What git says, as far as it unlocked.
        selected: The same without values, complete.
        terms: The rest.
        applying: Whether changes will follow: a ledger that is hidden keeps nobody from planning.
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
        refused=_refused(survey, terms, applying=applying),
        listed=_listed(survey.scopes),
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


def with_orphans(
    decision: Decision, survey: Survey, infos: Iterable[ScopeInfo], states: Mapping[FoldedName, ScopeSurvey]
) -> Decision:
    """Return ``decision`` with what becomes of scopes that git no longer names.

    Args:
        decision: Of the scopes that git names.
        survey: For the ledger's standing; nothing is deleted unless it counts.
        infos: What `orphans` returned.
        states: Those that may be deleted, as they are; the others are only reported.
    """
    parts: list[Plan] = []
    failures: list[ReconcilerError] = []
    for info in infos:
        state = states.get(fold(info.name))
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
    return replace(
        decision,
        plan=plan,
        failures=(*decision.failures, *failures),
        listed={**decision.listed, **_listed(states)},
    )


def _listed(states: Mapping[FoldedName, ScopeSurvey]) -> Mapping[FoldedName, Mapping[FoldedName, SecretInfo]]:
    return {name: state.listed for name, state in states.items() if isinstance(state, ScopeState)}


def _hidden(target: Target) -> Finding:
    detail = (
        "whether the ledger counts cannot be told without MANAGE on it: every value was read, and nothing is deleted"
    )
    return Finding(kind=FindingKind.ACLS_UNKNOWN, scope=target.ledger_scope, detail=detail)


def in_scope(scope: str, error: WorkspaceError) -> WorkspaceError:
    """Return ``error`` with the scope in front."""
    return type(error)(f"scope {scope}: {error}", advice=error.advice)


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
            keep = Keep(
                identity=survey.identity.name,
                groups=survey.identity.groups,
                operators=target.operators,
                protected=target.protected_principals,
            )
            match survey.standing:
                case Hidden():
                    return _Part(plan=diff(wish, state, keep, None))
                case Foreign():
                    return _Part()  # refused as a whole
                case Unwritten() | Trusted():
                    return _claimed(wish, state, survey, keep, terms)
        case _:
            assert_never(state)


def _claimed(wish: DesiredScope, state: ScopeState | MissingScope, survey: Survey, keep: Keep, terms: Terms) -> _Part:
    """Decide about a scope where the ledger counts, or will."""
    values = {name: key.value for name, key in wish.keys.items()}
    insiders = Insiders(operators=(keep.identity, *keep.operators), acls=wish.acls or ())
    new = new_entry(owner=terms.owner, place=terms.place, scope=wish.scope, salt=terms.new_salt())
    sight = sight_of(values, state) if isinstance(state, ScopeState) else None
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
    if terms.allow_deletes is None and isinstance(state, ScopeState):
        excess = guard.deletions(wish.scope, plan, owned=owned_keys(state, entry, wish))
        if excess is not None:
            return _Part(plan=Plan(findings=plan.findings), failures=(excess,))
    return _Part(plan=plan, account=account)


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


def _refused(survey: Survey, terms: Terms, *, applying: bool) -> Refused | None:
    refused = guard.ledger(survey.standing, applying=applying)
    if refused is not None or terms.ancestry is None or terms.stamp.commit is None:
        return refused
    if not isinstance(survey.head, Head):
        return None
    return guard.older_commit(terms.ancestry, commit=terms.stamp.commit, head=survey.head, allowed=terms.allow_rollback)


def _not_put(findings: Iterable[Finding], plan: Plan) -> tuple[Finding, ...]:
    """Return those findings that are not settled by a put of another value."""
    put = {
        fold(change.key)
        for change in plan.changes
        if isinstance(change, PutSecret) and change.reason is not PutReason.DRIFTED
    }
    return tuple(finding for finding in findings if finding.key is None or fold(finding.key) not in put)
