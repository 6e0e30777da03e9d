"""The decision: what must change so that a scope holds what git says.

In: the wish for a scope (`DesiredScope`), what is there (`ScopeState` or `MissingScope`), who must keep what. Out: a
`Plan`. Pure: no clock, file, network or environment, and the same answer whatever the order of its input.

Rules:
 * Names compare without regard to case; a key that differs by case alone is the same key.
 * Values compare by bytes, in constant time.
 * Nothing that a `Keep` names is taken away or lowered.
 * Without a ledger nothing is known to be ours, so ``prune: owned`` deletes nothing and reports what it leaves.
 * A scope that is full makes just as much room before the puts as they need.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import assert_never

from reconciler.desired import DesiredScope
from reconciler.model import (
    ADMINS,
    MAX_KEYS_PER_SCOPE,
    Acl,
    FoldedName,
    Permission,
    Principal,
    Prune,
    ScopeName,
    SecretValue,
    fold,
)
from reconciler.plan import (
    CreateScope,
    DeleteAcl,
    DeleteReason,
    DeleteSecret,
    Finding,
    FindingKind,
    Plan,
    PutAcl,
    PutReason,
    PutSecret,
)
from reconciler.survey import Absent, Evidence, Known, MissingScope, ScopeState, Unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Grants that stay, whatever the files say."""

    identity: Principal
    """Who runs: its MANAGE is never lowered, or it could not repair what it broke."""

    groups: frozenset[Principal] = frozenset()
    """Groups that the identity is in: it may have its MANAGE through one of them alone."""

    operators: tuple[Principal, ...] = ()
    """Who else runs this target: they get MANAGE on scopes that we create, and keep it."""

    protected: tuple[Principal, ...] = ()
    """Whose grants are never lowered or removed, such as the service principal of a Databricks App."""

    def holds(self, acl: Acl) -> bool:
        """Tell whether ``acl`` may not be lowered or removed."""
        principal = fold(acl.principal)
        if principal in {fold(name) for name in self.protected}:
            return True
        return acl.permission is Permission.MANAGE and principal in {
            fold(name) for name in (self.identity, *self.operators)
        }

    def lifelines(self, there: Mapping[FoldedName, Acl]) -> frozenset[FoldedName]:
        """Return the groups through whose MANAGE alone the identity manages a scope that has these grants.

        Without them it could not even repair what it broke. An administrator of the workspace needs none.
        """
        own = there.get(fold(self.identity))
        groups = {fold(group) for group in self.groups}
        if fold(ADMINS) in groups or (own is not None and own.permission is Permission.MANAGE):
            return frozenset()
        return frozenset(name for name in groups & there.keys() if there[name].permission is Permission.MANAGE)


def diff(desired: DesiredScope, state: ScopeState | MissingScope, keep: Keep) -> Plan:
    """Return what must change in one scope, and what was found there.

    Args:
        desired: What git says.
        state: What the workspace says, with evidence on every desired key.
        keep: Grants that stay.
    """
    match state:
        case MissingScope():
            return merge(
                (Plan(changes=(CreateScope(scope=desired.scope),)), _new_grants(desired, keep), _new_keys(desired))
            )
        case ScopeState():
            return merge((_grants(desired, state, keep), _keys(desired, state)))
        case _:
            assert_never(state)


def merge(parts: Iterable[Plan]) -> Plan:
    """Return one plan that does what all ``parts`` do."""
    parts = tuple(parts)
    return Plan(
        changes=tuple(change for part in parts for change in part.changes),
        findings=tuple(finding for part in parts for finding in part.findings),
        unchanged=sum(part.unchanged for part in parts),
    )


def _new_keys(desired: DesiredScope) -> Plan:
    return Plan(
        changes=tuple(
            PutSecret(scope=desired.scope, key=key.name, reason=PutReason.NEW) for key in desired.keys.values()
        )
    )


def _new_grants(desired: DesiredScope, keep: Keep) -> Plan:
    # Whoever creates a scope gets MANAGE on it (https://docs.databricks.com/api/workspace/secrets/createscope): that is
    # what the wish is compared with.
    creator = Acl(principal=keep.identity, permission=Permission.MANAGE)
    return Plan(changes=tuple(_put_acls(desired.scope, _wish(desired.acls or (), keep), _by_name((creator,)), keep)))


def _keys(desired: DesiredScope, state: ScopeState) -> Plan:
    puts: list[PutSecret] = []
    findings: list[Finding] = []
    for name, key in desired.keys.items():
        evidence = state.evidence[name]
        if (reason := _reason_to_put(key.value, evidence)) is not None:
            puts.append(PutSecret(scope=desired.scope, key=key.name, reason=reason))
        if isinstance(evidence, Unreadable):
            findings.append(
                Finding(
                    kind=FindingKind.UNVERIFIABLE_VALUE,
                    scope=desired.scope,
                    key=key.name,
                    detail=f"put to be sure, as the value there cannot be read: {evidence.why}",
                )
            )
    extras = tuple(state.listed[name].key for name in sorted(state.listed.keys() - desired.keys.keys()))
    deletes: tuple[DeleteSecret, ...] = ()
    match desired.prune:
        case Prune.ALL:
            # A put of a new key into a full scope fails (RESOURCE_LIMIT_EXCEEDED, as
            # https://docs.databricks.com/api/workspace/secrets/putsecret says), and a wanted key must not be absent for
            # a moment: so as many of the unwanted ones as the new ones need room go first, and the rest last.
            new = sum(put.reason is PutReason.NEW for put in puts)
            room = max(0, len(state.listed) + new - MAX_KEYS_PER_SCOPE)
            deletes = tuple(
                DeleteSecret(scope=desired.scope, key=key, reason=DeleteReason.UNMANAGED, makes_room=index < room)
                for index, key in enumerate(extras)
            )
        case Prune.OWNED:
            findings.extend(
                Finding(
                    kind=FindingKind.UNMANAGED_KEY,
                    scope=desired.scope,
                    key=key,
                    detail="not in git; left alone, as nothing shows that git put it there",
                )
                for key in extras
            )
        case Prune.NONE:
            pass
        case _:
            assert_never(desired.prune)
    return Plan(changes=(*puts, *deletes), findings=tuple(findings), unchanged=len(desired.keys) - len(puts))


def _reason_to_put(value: SecretValue, evidence: Evidence) -> PutReason | None:
    match evidence:
        case Known():
            return None if evidence.value == value else PutReason.CHANGED
        case Unreadable():
            return PutReason.UNVERIFIABLE
        case Absent():
            return PutReason.NEW
        case _:
            assert_never(evidence)


def _grants(desired: DesiredScope, state: ScopeState, keep: Keep) -> Plan:
    if desired.acls is None:
        return Plan()
    if state.acls is None:
        detail = "the identity may not read them (that needs MANAGE), so they are left alone"
        return Plan(findings=(Finding(kind=FindingKind.ACLS_UNKNOWN, scope=desired.scope, detail=detail),))
    wish, there = _wish(desired.acls, keep), _by_name(state.acls)
    lifelines = keep.lifelines(there)
    kept = tuple(_kept_acl(desired.scope, there[name]) for name in sorted(lifelines) if wish.get(name) != there[name])
    there = {name: acl for name, acl in there.items() if name not in lifelines}
    wish = {name: acl for name, acl in wish.items() if name not in lifelines}
    extras = tuple(acl for name, acl in sorted(there.items()) if name not in wish and not keep.holds(acl))
    puts = tuple(_put_acls(desired.scope, wish, there, keep))
    match desired.prune:
        case Prune.ALL:
            return Plan(
                changes=(
                    *puts,
                    *(
                        DeleteAcl(scope=desired.scope, principal=acl.principal, permission=acl.permission)
                        for acl in extras
                    ),
                ),
                findings=kept,
            )
        case Prune.OWNED:
            return Plan(changes=puts, findings=(*kept, *(_unmanaged_acl(desired.scope, acl) for acl in extras)))
        case Prune.NONE:
            return Plan(changes=puts, findings=kept)
        case _:
            assert_never(desired.prune)


def _kept_acl(scope: ScopeName, acl: Acl) -> Finding:
    return Finding(
        kind=FindingKind.UNMANAGED_ACL,
        scope=scope,
        principal=acl.principal,
        detail="has MANAGE and keeps it, as whoever runs this manages the scope through that group alone",
    )


def _unmanaged_acl(scope: ScopeName, acl: Acl) -> Finding:
    return Finding(
        kind=FindingKind.UNMANAGED_ACL,
        scope=scope,
        principal=acl.principal,
        detail=f"has {acl.permission.name}, not in git; left alone, as nothing shows that git granted it",
    )


def _wish(acls: tuple[Acl, ...], keep: Keep) -> Mapping[FoldedName, Acl]:
    """Return the grants to bring about: MANAGE for the operators, and what git says."""
    operators = tuple(Acl(principal=name, permission=Permission.MANAGE) for name in keep.operators)
    return {**_by_name(acls), **_by_name(operators)}


def _put_acls(
    scope: ScopeName, wish: Mapping[FoldedName, Acl], there: Mapping[FoldedName, Acl], keep: Keep
) -> Iterator[PutAcl]:
    for name, acl in wish.items():
        current = there.get(name)
        lowers = current is not None and acl.permission < current.permission
        same = current is not None and acl.permission is current.permission
        if not same and not (lowers and current is not None and keep.holds(current)):
            yield PutAcl(scope=scope, principal=acl.principal, permission=acl.permission, lowers=lowers)


def _by_name(acls: Iterable[Acl]) -> Mapping[FoldedName, Acl]:
    return {fold(acl.principal): acl for acl in acls}
