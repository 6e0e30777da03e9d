"""The words everything else is written in: secret values, names, permissions, and the platform's limits.

Pure: no clock, file, network or environment.

Limits and name rules are those of https://docs.databricks.com/aws/en/security/secrets/ and of the Secrets API
reference (https://docs.databricks.com/api/workspace/secrets). Who may do what is described at
https://docs.gcp.databricks.com/en/security/auth-authz/access-control/secret-acl.html.
"""

import enum
import hmac
import re
from dataclasses import dataclass
from typing import Final, Never, NewType


ScopeName = NewType("ScopeName", str)
"""Name of a secret scope as somebody wrote it; compare by `fold`."""

KeyName = NewType("KeyName", str)
"""Name of a secret within a scope as somebody wrote it; compare by `fold`."""

Principal = NewType("Principal", str)
"""Who an ACL is about: user name, group display name, or application id of a service principal."""

RequestId = NewType("RequestId", str)
"""What the platform calls a request in its own audit log; printable ASCII, at most 128 characters."""

FoldedName = NewType("FoldedName", str)
"""A scope, key or principal name in the form in which the platform compares it: lower case."""

MAX_VALUE_BYTES: Final = 128 * 1024
"""Largest value of one secret, in bytes, before base64."""

MAX_KEYS_PER_SCOPE: Final = 1_000
"""Most secrets that a scope holds."""

MAX_SCOPES_PER_WORKSPACE: Final = 1_000
"""Most scopes that a workspace holds unless support raised it, which is why only the platform refuses one more."""

MAX_NAME_CHARS: Final = 128
"""Longest name of a scope or a key, in characters."""

ADMINS: Final = Principal("admins")
"""System group of the administrators of a workspace, who have MANAGE on every scope without an entry."""

USERS: Final = Principal("users")
"""System group of everybody in a workspace; the only other one that may get MANAGE as a scope is created."""

LEDGER_SCOPE: Final = ScopeName("reconciler-ledger")
"""Reserved: holds what the reconciler knows about a workspace; no file may feed it."""

_KEY_NAME: Final = re.compile(rf"[A-Za-z0-9_.-]{{1,{MAX_NAME_CHARS}}}", re.ASCII)
_SCOPE_NAME: Final = re.compile(rf"[A-Za-z0-9_.@-]{{1,{MAX_NAME_CHARS}}}", re.ASCII)


def fold(name: str) -> FoldedName:
    """Return ``name`` as the platform compares it: ``Case-Key`` and ``case-key`` are one secret."""
    return FoldedName(name.lower())


def is_key_name(text: str) -> bool:
    """Tell whether ``text`` may name a secret: 1 to 128 of letters, digits, ``-``, ``_``, ``.``."""
    return _KEY_NAME.fullmatch(text) is not None


def is_scope_name(text: str) -> bool:
    """Tell whether ``text`` may name a scope: as a key, and ``@`` too."""
    return _SCOPE_NAME.fullmatch(text) is not None


class SecretValue:
    """Bytes of one secret that do not show themselves.

    ``repr``, ``str``, formatting, pickling and copying never yield the bytes; only `reveal` does, so that a search for
    its callers lists every place where a value goes. Two values compare in constant time. Not hashable, as a hash could
    be compared with that of a guess.
    """

    __slots__ = ("__raw",)

    def __init__(self, raw: bytes) -> None:
        if not isinstance(raw, bytes):
            raise TypeError(f"a secret value is made of bytes, not of {type(raw).__name__}")
        self.__raw = raw

    def reveal(self) -> bytes:
        """Return the bytes. Whoever calls this answers for where they go."""
        return self.__raw

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretValue):
            return NotImplemented
        return hmac.compare_digest(self.__raw, other.__raw)

    __hash__ = None  # type: ignore[assignment]  # the documented way to make a class unhashable

    def __repr__(self) -> str:
        return "SecretValue(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, format_spec: str) -> str:
        return format("***", format_spec)

    def __reduce__(self) -> Never:
        raise TypeError("a secret value is not pickled or copied")


class Permission(enum.IntEnum):
    """What an ACL grants; each includes those below it. The names are the platform's."""

    READ = 1
    """Read values and list keys."""

    WRITE = 2
    """Also put and delete keys."""

    MANAGE = 3
    """Also read and change ACLs, and delete the scope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acl:
    """One grant on a scope."""

    principal: Principal
    permission: Permission


class Ancestry(enum.Enum):
    """How a commit stands to the one that was applied last."""

    SAME = "same"
    DESCENDANT = "descendant"
    """It came later, and builds on it."""

    OLDER = "older"
    """The one that was applied last builds on it."""

    DIVERGED = "diverged"
    """Neither builds on the other."""

    UNKNOWN_SHALLOW = "unknown-shallow"
    """The clone is shallow, and does not reach back far enough to tell."""

    UNKNOWN_GONE = "unknown-gone"
    """The repository does not have the commit that was applied last: its branch is gone, or was not fetched."""


class Prune(enum.Enum):
    """What happens to keys and grants that a scope holds and git does not name."""

    OWNED = "owned"
    """Delete those that the reconciler itself put there; report the others."""

    ALL = "all"
    """Delete them, whoever put them there."""

    NONE = "none"
    """Delete nothing, report nothing."""
