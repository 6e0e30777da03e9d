"""Whether a ledger counts: only while nobody but its operators can write to it.

Somebody else may have created its scope first, or been granted something on it: what stands in it could then be theirs,
and would decide what we delete.
"""

from dataclasses import dataclass

from reconciler.errors import Refused, WorkspaceError
from reconciler.model import Acl, Permission, Principal, ScopeName, fold


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
    raise NotImplementedError
