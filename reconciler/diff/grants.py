"""Decides about grants. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import assert_never

from reconciler.desired import DesiredScope
from reconciler.ledger.ownership import grant_is_ours
from reconciler.ledger.records import Entry
from reconciler.model import ADMINS, Acl, FoldedName, Permission, Principal, Prune, ScopeName, fold
from reconciler.plan import DeleteAcl, Finding, FindingKind, Plan, PutAcl
from reconciler.survey import ScopeState


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


def diff_new_grants(desired: DesiredScope, keep: Keep) -> Plan:
    """Return the grants that a scope needs once it is created."""
    # Whoever creates a scope gets MANAGE on it (https://docs.databricks.com/api/workspace/secrets/createscope): that is
    # what the wish is compared with.
    creator = Acl(principal=keep.identity, permission=Permission.MANAGE)
    return Plan(changes=tuple(_put_acls(desired.scope, _wish(desired.acls or (), keep), _by_name((creator,)), keep)))


def diff_grants(desired: DesiredScope, state: ScopeState, keep: Keep, entry: Entry | None) -> Plan:
    """Return what must change about the grants of a scope that exists.

    Args:
        desired: What git says.
        state: What is there.
        keep: Grants that stay.
        entry: What the ledger says; None where there is none.
    """
    if desired.acls is None:
        return _for_operators(desired, state, keep, entry)
    if state.acls is None:
        detail = "the identity may not read them (that needs MANAGE), so they are left alone"
        return Plan(findings=(Finding(kind=FindingKind.ACLS_UNKNOWN, scope=desired.scope, detail=detail),))
    wish, there = _wish(desired.acls, keep), _by_name(state.acls)
    lifelines = keep.lifelines(there)
    kept = tuple(_kept_acl(desired.scope, there[name]) for name in sorted(lifelines) if wish.get(name) != there[name])
    there = {name: acl for name, acl in there.items() if name not in lifelines}
    wish = {name: acl for name, acl in wish.items() if name not in lifelines}
    extras = tuple(acl for name, acl in sorted(there.items()) if name not in wish and not keep.holds(acl))
    gone = tuple(acl for acl in extras if _goes(acl, desired.prune, entry))
    left = () if desired.prune is Prune.NONE else tuple(acl for acl in extras if acl not in gone)
    return Plan(
        changes=(
            *_put_acls(desired.scope, wish, there, keep),
            *(DeleteAcl(scope=desired.scope, principal=acl.principal, permission=acl.permission) for acl in gone),
        ),
        findings=(*kept, *(_unmanaged_acl(desired.scope, acl, entry) for acl in left)),
    )


def _for_operators(desired: DesiredScope, state: ScopeState, keep: Keep, entry: Entry | None) -> Plan:
    """Return what operators lack in a scope of ours whose grants git leaves alone.

    Who became an operator after the scope was made could not run the target otherwise.
    """
    if entry is None or state.acls is None:
        return Plan()
    former = (
        acl
        for acl in state.acls
        if acl.permission is Permission.MANAGE and grant_is_ours(entry, acl) and not keep.holds(acl)
    )
    return Plan(
        changes=tuple(_put_acls(desired.scope, _wish((), keep), _by_name(state.acls), keep)),
        findings=tuple(_former_operator(desired.scope, acl) for acl in former),
    )


def _former_operator(scope: ScopeName, acl: Acl) -> Finding:
    return Finding(
        kind=FindingKind.UNMANAGED_ACL,
        scope=scope,
        principal=acl.principal,
        detail="has MANAGE from when they were an operator of the target; left alone, as the file has no acls: with "
        "them it is taken away",
    )


def _goes(acl: Acl, prune: Prune, entry: Entry | None) -> bool:
    """Tell whether a grant that git does not name is taken away."""
    match prune:
        case Prune.ALL:
            return True
        case Prune.OWNED:
            return entry is not None and grant_is_ours(entry, acl)
        case Prune.NONE:
            return False
        case _:
            assert_never(prune)


def _kept_acl(scope: ScopeName, acl: Acl) -> Finding:
    return Finding(
        kind=FindingKind.UNMANAGED_ACL,
        scope=scope,
        principal=acl.principal,
        detail="has MANAGE and keeps it, as whoever runs this manages the scope through that group alone",
    )


def _unmanaged_acl(scope: ScopeName, acl: Acl, entry: Entry | None) -> Finding:
    why = "as nothing shows that git granted it" if entry is None else "as somebody else granted it"
    return Finding(
        kind=FindingKind.UNMANAGED_ACL,
        scope=scope,
        principal=acl.principal,
        detail=f"has {acl.permission.name}, not in git; left alone, {why}",
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
        change = PutAcl(
            scope=scope,
            principal=acl.principal,
            permission=acl.permission,
            before=None if current is None else current.permission,
        )
        same = change.before is acl.permission
        if not same and not (change.lowers and current is not None and keep.holds(current)):
            yield change


def _by_name(acls: Iterable[Acl]) -> Mapping[FoldedName, Acl]:
    return {fold(acl.principal): acl for acl in acls}
