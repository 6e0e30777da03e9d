"""Whether a ledger counts: only while nobody but its operators can write to it.

Somebody else may have created its scope first, or been granted something on it: what stands in it could then be theirs,
and would decide what we delete.
"""

import shlex
from dataclasses import dataclass

from reconciler.errors import NotFound, PermissionDenied, Refused, WorkspaceError
from reconciler.model import Acl, FoldedName, Permission, Principal, ScopeName, fold


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    """Who may do what with a ledger, by targets.yaml."""

    scope: ScopeName
    """The ledger's scope."""

    target: str
    """Name of the target, for what people are told."""

    identity: Principal
    """Who runs."""

    operators: tuple[Principal, ...] = ()
    """Who may run this target; empty: whoever runs it first, alone."""

    readers: tuple[Principal, ...] = ()
    """Who may read the ledger besides."""

    @property
    def is_operator(self) -> bool:
        """Tell whether whoever runs may: they are listed, or nobody is."""
        return not self.operators or fold(self.identity) in map(fold, self.operators)

    def grants(self) -> tuple[Acl, ...]:
        """Return the grants that the ledger's scope has to have, no more and no less."""
        operators = self.operators or (self.identity,)
        names = {fold(operator) for operator in operators}
        readers = (reader for reader in self.readers if fold(reader) not in names)
        return (
            *(Acl(principal=operator, permission=Permission.MANAGE) for operator in operators),
            *(Acl(principal=reader, permission=Permission.READ) for reader in readers),
        )


@dataclass(frozen=True, slots=True)
class Unwritten:
    """There is no ledger yet; whoever applies creates it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """It counts."""

    missing: tuple[Acl, ...] = ()
    """Grants to add before it is written to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """Whether it counts cannot be told: the identity may not read its ACL. Plans go on without it."""

    refusal: Refused
    """What applying ends with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """It does not count: somebody has a grant who must not."""

    refusal: Refused
    """What planning and applying end with."""


Standing = Unwritten | Trusted | Hidden | Foreign


def standing(acls: tuple[Acl, ...] | WorkspaceError, circle: Circle) -> Standing:
    """Decide whether a ledger counts.

    Args:
        acls: All grants on its scope; `NotFound` where there is no such scope, `PermissionDenied` where they are
            hidden.
        circle: Who should have which.

    Raises:
        WorkspaceError: Any other error in place of the grants.
    """
    match acls:
        case NotFound():
            return _unwritten(circle)
        case PermissionDenied():
            return Hidden(refusal=_hidden(circle))
        case WorkspaceError():
            raise acls
        case _:
            return _compared(acls, circle)


def _compared(acls: tuple[Acl, ...], circle: Circle) -> Trusted | Foreign:
    if not circle.is_operator:
        return Foreign(refusal=_no_operator(circle))
    wanted = {fold(acl.principal): acl for acl in circle.grants()}
    there = {fold(acl.principal): acl for acl in acls}
    surplus = tuple(
        acl for name, acl in there.items() if name not in wanted or acl.permission > wanted[name].permission
    )
    if surplus:
        return Foreign(refusal=_foreign(surplus, there, circle))
    # Whoever may read the grants has MANAGE, be it by a group or as an administrator, and so can add what is missing.
    missing = (acl for name, acl in wanted.items() if name not in there or there[name].permission < acl.permission)
    return Trusted(missing=tuple(missing))


def _unwritten(circle: Circle) -> Unwritten | Hidden:
    """Keep who is no operator from creating the ledger: they would get MANAGE on it, and nobody could use it then."""
    return Unwritten() if circle.is_operator else Hidden(refusal=_no_operator(circle))


def _no_operator(circle: Circle) -> Refused:
    return Refused(
        f"{circle.identity} is not among the operators of {circle.target}",
        advice=f"run as one of them ({', '.join(circle.operators)}), or add {circle.identity} under operators in "
        "targets.yaml, which an operator then applies",
    )


def _hidden(circle: Circle) -> Refused:
    if not circle.is_operator:
        return _no_operator(circle)
    return Refused(
        f"whether the ledger counts cannot be told: {circle.identity} may not see who has a grant on its scope "
        f"{circle.scope}",
        advice="have an operator who has MANAGE on it run once, with this identity under operators in targets.yaml; "
        "if there is none, have an administrator of the workspace look who made that scope",
    )


def _foreign(surplus: tuple[Acl, ...], there: dict[FoldedName, Acl], circle: Circle) -> Refused:
    who = ", ".join(f"{acl.principal} has {acl.permission.name}" for acl in surplus)
    what = f"the ledger's scope {circle.scope} is open to others, so what stands in it cannot be relied on: {who}"
    managers = [acl.principal for acl in surplus if acl.permission is Permission.MANAGE]
    if not circle.operators and fold(circle.identity) not in there and managers:
        both = ", ".join((*managers, circle.identity))
        return Refused(
            what,
            advice=f"if they run this target, too, list all under operators of {circle.target} in targets.yaml: {both}"
            f"; if nobody of you made that scope, {_delete(circle)}",
        )
    commands = "; ".join(
        f"databricks secrets delete-acl {circle.scope} {shlex.quote(acl.principal)}" for acl in surplus
    )
    return Refused(
        what,
        advice=f"take the grant away ({commands}), or list the principal under operators or ledger_readers of "
        f"{circle.target} in targets.yaml; if nobody of you made that scope, {_delete(circle)}",
    )


def _delete(circle: Circle) -> str:
    return (
        f"find out who did, then delete it (databricks secrets delete-scope {circle.scope}): "
        "every value is read anew, and no key counts as ours until it equals git"
    )
