"""Who may call the embedded workspace, and whom an ACL may name."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from reconciler.model import ADMINS, USERS, FoldedName, Principal, fold


_APPLICATION_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One caller."""

    user_id: str
    """SCIM id, digits."""

    name: Principal
    """User name, an e-mail address."""

    groups: tuple[Principal, ...]
    """Names of the groups that the caller is in."""

    @property
    def is_admin(self) -> bool:
        """Whether the caller is a workspace admin, who has MANAGE on every scope without an entry."""
        return ADMINS in self.groups

    def answers_to(self, principal: str) -> bool:
        """Tell whether a grant to ``principal`` is one to this caller."""
        return fold(principal) in {fold(self.name), *(fold(group) for group in self.groups)}


ADMIN: Final = Identity(user_id="1001", name=Principal("admin@example.com"), groups=(ADMINS, USERS))
"""A workspace admin."""

USER: Final = Identity(user_id="1002", name=Principal("user@example.com"), groups=(USERS,))
"""Somebody who may do what the ACLs say."""


class Directory:
    """The principals that an ACL may name: the two identities, the system groups, further ones, application ids."""

    def __init__(self, further: Iterable[str]) -> None:
        known = (ADMIN.name, USER.name, ADMINS, USERS, *(Principal(name) for name in further))
        self._known: dict[FoldedName, Principal] = {fold(name): name for name in known}

    def find(self, principal: str) -> Principal | None:
        """Return the principal as the workspace spells it; None when there is none of that name.

        Every UUID is taken for the application id of a service principal: the workspace has no list of them.
        """
        folded = fold(principal)
        known = self._known.get(folded)
        if known is None and _APPLICATION_ID.fullmatch(folded):
            return Principal(folded)
        return known
