"""The narrow seam to the platform: what the reconciler needs of a workspace, and nothing more.

Implementations: `reconciler.databricks_workspace` over the real SDK, ``tests/fakes.py`` in memory.

Every method raises a child of `reconciler.errors.WorkspaceError` and nothing else. Names may be given in any case. A
call either had its whole effect or none, except that a lost answer leaves open which; callers survey again.
"""

import enum
from dataclasses import dataclass
from typing import Protocol

from reconciler.model import Acl, KeyName, Permission, Principal, RequestId, ScopeName, SecretValue


class Backend(enum.Enum):
    """Where a scope keeps its values."""

    DATABRICKS = "DATABRICKS"
    """In the platform; can be written."""

    AZURE_KEYVAULT = "AZURE_KEYVAULT"
    """In an Azure Key Vault; read-only through this API (put and delete answer BAD_REQUEST, see
    https://docs.databricks.com/api/workspace/secrets/putsecret)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeInfo:
    """A scope as ``secrets/scopes/list`` names it."""

    name: ScopeName
    backend: Backend


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretInfo:
    """A secret as ``secrets/list`` names it: never with its value."""

    key: KeyName
    updated_ms: int
    """``last_updated_timestamp``, milliseconds since the epoch by the platform's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who runs, as the workspace knows them."""

    name: Principal
    """As ACLs name them: user name, or application id."""

    groups: frozenset[Principal] = frozenset()
    """Display names of the groups they are in, as far as the workspace tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCount:
    """Requests that were answered or given up, retries included, token exchanges not."""

    read: int
    write: int


class Workspace(Protocol):
    """One workspace under one identity. Safe to call from several threads.

    Every call may raise `Unreachable`, `Unauthenticated`, `Throttled` and `UnexpectedAnswer`. What else it may raise
    stands with it, by the API reference (https://docs.databricks.com/api/workspace/secrets). What writes returns the
    platform's id of the request, as far as it gives one.
    """

    @property
    def host(self) -> str:
        """``https://…`` as reports name it."""
        ...

    def whoami(self) -> Identity:
        """Return the running identity.

        Raises:
            PermissionDenied: The token is nobody's, or the identity has no access to the workspace.
        """
        ...

    def list_scopes(self) -> tuple[ScopeInfo, ...]:
        """Return the scopes that the identity can see, in the platform's order.

        Raises:
            PermissionDenied: The identity has no access to the workspace.
        """
        ...

    def create_scope(self, scope: ScopeName) -> RequestId | None:
        """Create an empty scope; the identity gets MANAGE on it.

        Raises:
            AlreadyExists: A scope of that name exists (and not by a retry of this very call).
            LimitExceeded: The workspace is full.
            InvalidRequest: The name is none that the platform takes.
            PermissionDenied: The identity may not create scopes, or the name is reserved for the platform.
        """
        ...

    def delete_scope(self, scope: ScopeName) -> RequestId | None:
        """Delete a scope with all that is in it. Needs MANAGE.

        Raises:
            NotFound: There is none (and not by a retry of this very call).
            InvalidRequest: It is one of the platform's own.
            PermissionDenied: The identity has no MANAGE on it.
        """
        ...

    def list_secrets(self, scope: ScopeName) -> tuple[SecretInfo, ...]:
        """Return keys and times of all secrets of the scope. Needs READ.

        Raises:
            NotFound: There is no such scope.
            PermissionDenied: The identity has no READ on it.
        """
        ...

    def get_secret(self, scope: ScopeName, key: KeyName) -> SecretValue:
        """Return the value of one secret. Needs READ.

        Raises:
            InvalidRequest: The platform does not hand out the value outside notebooks, or cannot get it from the Key
                Vault.
            PermissionDenied: The identity may list but not read, or the Key Vault keeps the platform out.
            NotFound: There is no such scope or key, as when it was deleted meanwhile.
        """
        ...

    def put_secret(self, scope: ScopeName, key: KeyName, value: SecretValue) -> RequestId | None:
        """Create or overwrite one secret in place. Needs WRITE.

        Raises:
            NotFound: There is no such scope.
            LimitExceeded: The scope is full and the key is new, or the value is too long.
            InvalidRequest: The platform does not take the name or the value, or the scope is backed by a Key Vault.
            PermissionDenied: The identity has no WRITE on the scope.
        """
        ...

    def delete_secret(self, scope: ScopeName, key: KeyName) -> RequestId | None:
        """Delete one secret. Needs WRITE.

        Raises:
            NotFound: There is no such scope or key (and not by a retry of this very call).
            InvalidRequest: The scope is backed by a Key Vault, or one of the platform's own.
            PermissionDenied: The identity has no WRITE on the scope.
        """
        ...

    def list_acls(self, scope: ScopeName) -> tuple[Acl, ...]:
        """Return all grants on the scope. Needs MANAGE.

        Raises:
            NotFound: There is no such scope.
            PermissionDenied: The identity has no MANAGE on it.
        """
        ...

    def put_acl(self, scope: ScopeName, principal: Principal, permission: Permission) -> RequestId | None:
        """Create or overwrite one grant. Needs MANAGE. Eventually consistent: read it back (see `reconciler.apply`).

        Raises:
            AlreadyExists: The principal has a grant, and this platform does not overwrite it.
            NotFound: There is no such scope or, on some platforms, no such principal.
            InvalidRequest: There is no such principal.
            PermissionDenied: The identity has no MANAGE on the scope.
        """
        ...

    def delete_acl(self, scope: ScopeName, principal: Principal) -> RequestId | None:
        """Delete one grant. Needs MANAGE. Eventually consistent.

        Raises:
            NotFound: There is no such scope, principal or grant (and not by a retry of this very call).
            InvalidRequest: The principal is none that the platform takes.
            PermissionDenied: The identity has no MANAGE on the scope.
        """
        ...

    def wind_down(self) -> None:
        """Make no further attempt of a request that fails, of those under way and those to come.

        For a run that was interrupted: what is in flight ends with its own answer, and is not tried for a minute.
        """
        ...

    def request_count(self) -> RequestCount:
        """Return how many requests this object has made so far."""
        ...

    def clock_offset_s(self) -> float | None:
        """Return how many seconds the platform's clock is ahead of ours, to a second or so; None while it is unknown.

        By the ``Date`` header of its last answer (RFC 9110, section 6.6.1).
        """
        ...

    def close(self) -> None:
        """Give connections back. Later calls raise."""
        ...
