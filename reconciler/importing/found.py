"""What there is to import, wherever it was found: scopes with values and grants, and what of them cannot be taken."""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from reconciler.model import (
    MAX_VALUE_BYTES,
    Acl,
    FoldedName,
    KeyName,
    Permission,
    Principal,
    ScopeName,
    SecretValue,
    fold,
    is_key_name,
    is_scope_name,
)
from reconciler.policy.names import EXPECTED_KEY, EXPECTED_PRINCIPAL, EXPECTED_SCOPE, principal_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """One key or grant that cannot be taken. The scope is not imported unless that is accepted."""

    key: str | None = None
    principal: str | None = None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundScope:
    """A scope to import."""

    scope: ScopeName
    keys: Mapping[KeyName, SecretValue] = field(repr=False)
    """As spelt where they were found, sorted."""

    acls: tuple[Acl, ...] | None
    """Grants, sorted; None where they are not known, and are then left alone."""

    flaws: tuple[Flaw, ...] = ()
    notes: tuple[str, ...] = ()
    """What whoever imports it should know, besides."""


class Standing(enum.Enum):
    """What came of one scope."""

    IMPORTED = "imported"
    """Into a new file."""

    MERGED = "merged"
    """Into files that feed it."""

    SAME = "unchanged"
    """Git says all of it already."""

    SKIPPED = "skipped"
    """It is nothing to import, and nobody asked for it by name."""

    FAILED = "failed"
    """Something of it could not be read, or cannot stand in a file."""

    REFUSED = "refused"
    """It was asked for by name and is nothing to import, or would touch what git has."""


TAKEN: Final = frozenset({Standing.IMPORTED, Standing.MERGED, Standing.SAME})
"""All of the scope, apart from its flaws, stands in git now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A scope that was not looked into."""

    scope: str
    standing: Standing
    why: str


Found = FoundScope | Passed


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which scopes of one target were asked for."""

    names: frozenset[FoldedName] | None = None
    """None: all of them."""

    def takes(self, scope: str) -> bool:
        """Tell whether ``scope`` was asked for, by name or as one of all."""
        return self.names is None or fold(scope) in self.names

    def passed(self, scope: str, why: str) -> Passed:
        """Return that a scope is passed over: refused to whoever asked for it by name."""
        standing = Standing.SKIPPED if self.names is None else Standing.REFUSED
        return Passed(scope=scope, standing=standing, why=why)


def unfit_scope(scope: str, reserved: Iterable[str]) -> str | None:
    """Return why no file can feed a scope of this name; None when one can."""
    if not is_scope_name(scope):
        return f"its name does not fit into a file; expected {EXPECTED_SCOPE}"
    if fold(scope) in set(map(fold, reserved)):
        return "it is reserved for what the reconciler knows of the workspace"
    return None


def unfit_key(key: str) -> Flaw | None:
    """Return why no file can hold a key of this name; None when one can."""
    return (
        None if is_key_name(key) else Flaw(key=key, why=f"its name does not fit into a file; expected {EXPECTED_KEY}")
    )


def unfit_value(key: str, value: SecretValue) -> Flaw | None:
    """Return why no file can hold a value; None when one can."""
    if len(value.reveal()) > MAX_VALUE_BYTES:
        return Flaw(
            key=key, why=f"its value is larger than {MAX_VALUE_BYTES // 1024} KB, the most that the platform takes"
        )
    return None


def grants_of(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[Acl, ...], tuple[Flaw, ...]]:
    """Return grants, sorted by principal, and those that no file can hold.

    Args:
        pairs: principal and permission; one principal may stand there twice, with the same permission.
    """
    grants: dict[FoldedName, Acl] = {}
    flaws: list[Flaw] = []
    for name, permission in pairs:
        principal = principal_of(name)
        if principal is None:
            flaws.append(Flaw(principal=name, why=f"the name does not fit into a file; expected {EXPECTED_PRINCIPAL}"))
        elif permission not in Permission.__members__:
            flaws.append(Flaw(principal=name, why="the permission is none of READ, WRITE and MANAGE"))
        else:
            acl = Acl(principal=Principal(principal), permission=Permission[permission])
            first = grants.setdefault(fold(principal), acl)
            if first.permission is not acl.permission:
                flaws.append(Flaw(principal=name, why="it is granted two permissions, in two places"))
    return tuple(grants[name] for name in sorted(grants)), tuple(flaws)


def spelt_once(found: FoundScope) -> FoundScope:
    """Return a scope without keys that differ in case alone, which are one secret to the platform: each is a flaw."""
    seen: dict[FoldedName, list[KeyName]] = {}
    for key in found.keys:
        seen.setdefault(fold(key), []).append(key)
    twins = {key for keys in seen.values() if len(keys) > 1 for key in keys}
    if not twins:
        return found
    flaws = (Flaw(key=key, why="another key differs from it in case alone") for key in sorted(twins))
    kept = {key: value for key, value in found.keys.items() if key not in twins}
    return replace(found, keys=kept, flaws=(*found.flaws, *flaws))
