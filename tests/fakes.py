"""An in-memory workspace that obeys the platform's rules and fails on demand.

For tests of decisions and of their order. Whatever concerns HTTP is tested with the embedded workspace and the real
SDK.
"""

# ruff: noqa: D102 - the protocol documents its methods

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from reconciler.errors import AlreadyExists, InvalidRequest, LimitExceeded, NotFound
from reconciler.model import (
    MAX_KEYS_PER_SCOPE,
    Acl,
    FoldedName,
    KeyName,
    Permission,
    Principal,
    RequestId,
    ScopeName,
    SecretValue,
    fold,
)
from reconciler.workspace import Backend, Identity, RequestCount, ScopeInfo, SecretInfo, Workspace


class Call(NamedTuple):
    """One request as the log keeps it: no value in it."""

    operation: str
    scope: str = ""
    subject: str = ""


READS = frozenset({"whoami", "list_scopes", "list_secrets", "get_secret", "list_acls"})


@dataclass(slots=True)
class FakeScope:
    """A scope with its secrets and grants, by folded name."""

    info: ScopeInfo
    secrets: dict[FoldedName, tuple[KeyName, SecretValue, int]] = field(default_factory=dict)
    acls: dict[FoldedName, Acl] = field(default_factory=dict)


class FakeWorkspace(Workspace):
    """One workspace under one identity."""

    def __init__(self, *, identity: str = "admin@example.com") -> None:
        self.identity = Principal(identity)
        self.groups: frozenset[Principal] = frozenset()
        self.scopes: dict[FoldedName, FakeScope] = {}
        self.calls: list[Call] = []
        self.faults: list[Callable[[Call], None]] = []
        """Each is called before every request has its effect, and may raise, or change the workspace."""
        self.after: list[Callable[[Call], None]] = []
        """Likewise after the effect, as when an answer is lost."""
        self.acl_lag = 0
        """How many listings an ACL write stays invisible for."""
        self._clock_ms = 1_700_000_000_000
        self._lagging: list[tuple[int, Callable[[], object]]] = []
        self._lock = threading.RLock()

    # What a test says about the world, without leaving a trace in the log.

    def add(
        self, scope: str, secrets: dict[str, bytes] | None = None, *, backend: Backend = Backend.DATABRICKS
    ) -> None:
        """Create a scope, granted to the running identity, with secrets in it."""
        info = ScopeInfo(name=ScopeName(scope), backend=backend)
        creator = Acl(principal=self.identity, permission=Permission.MANAGE)
        self.scopes[fold(scope)] = FakeScope(info, acls={fold(self.identity): creator})
        for key, value in (secrets or {}).items():
            self._put(self.scopes[fold(scope)], KeyName(key), SecretValue(value))

    def grant(self, scope: str, principal: str, permission: Permission) -> None:
        """Grant behind git's back."""
        acl = Acl(principal=Principal(principal), permission=permission)
        self.scopes[fold(scope)].acls[fold(principal)] = acl

    def values(self, scope: str) -> dict[str, bytes]:
        """Return all values of a scope by the names that the platform shows."""
        return {key: value.reveal() for key, value, _ in self.scopes[fold(scope)].secrets.values()}

    def grants(self, scope: str) -> dict[str, Permission]:
        """Return all grants of a scope."""
        return {acl.principal: acl.permission for acl in self.scopes[fold(scope)].acls.values()}

    @property
    def writes(self) -> list[Call]:
        """The log without what only reads."""
        return [call for call in self.calls if call.operation not in READS]

    # The protocol.

    @property
    def host(self) -> str:
        return "https://fake.cloud.databricks.com"

    def whoami(self) -> Identity:
        self._begin(Call("whoami"))
        return Identity(name=self.identity, groups=self.groups)

    def list_scopes(self) -> tuple[ScopeInfo, ...]:
        self._begin(Call("list_scopes"))
        return tuple(scope.info for scope in self.scopes.values())

    def create_scope(self, scope: ScopeName) -> RequestId | None:
        call = Call("create_scope", scope)
        self._begin(call)
        with self._lock:
            if fold(scope) in self.scopes:
                raise AlreadyExists(f"scope {scope} exists")
            self.add(scope)
        return self._end(call)

    def delete_scope(self, scope: ScopeName) -> RequestId | None:
        call = Call("delete_scope", scope)
        self._begin(call)
        self._scope(scope)
        del self.scopes[fold(scope)]
        return self._end(call)

    def list_secrets(self, scope: ScopeName) -> tuple[SecretInfo, ...]:
        self._begin(Call("list_secrets", scope))
        with self._lock:
            secrets = tuple(self._scope(scope).secrets.values())
        return tuple(SecretInfo(key=key, updated_ms=updated_ms) for key, _, updated_ms in secrets)

    def get_secret(self, scope: ScopeName, key: KeyName) -> SecretValue:
        self._begin(Call("get_secret", scope, key))
        try:
            return self._scope(scope).secrets[fold(key)][1]
        except KeyError:
            raise NotFound(f"no secret {scope}/{key}") from None

    def put_secret(self, scope: ScopeName, key: KeyName, value: SecretValue) -> RequestId | None:
        call = Call("put_secret", scope, key)
        self._begin(call)
        with self._lock:
            there = self._scope(scope)
            if there.info.backend is not Backend.DATABRICKS:
                raise InvalidRequest(f"scope {scope} cannot be written")
            if fold(key) not in there.secrets and len(there.secrets) >= MAX_KEYS_PER_SCOPE:
                raise LimitExceeded(f"scope {scope} is full")
            self._put(there, key, value)
        return self._end(call)

    def delete_secret(self, scope: ScopeName, key: KeyName) -> RequestId | None:
        call = Call("delete_secret", scope, key)
        self._begin(call)
        with self._lock:
            if self._scope(scope).secrets.pop(fold(key), None) is None:
                raise NotFound(f"no secret {scope}/{key}")
        return self._end(call)

    def list_acls(self, scope: ScopeName) -> tuple[Acl, ...]:
        self._begin(Call("list_acls", scope))
        with self._lock:
            shown = tuple(self._scope(scope).acls.values())
            due = [effect for lag, effect in self._lagging if lag <= 1]
            self._lagging = [(lag - 1, effect) for lag, effect in self._lagging if lag > 1]
            for effect in due:
                effect()
        return shown

    def put_acl(self, scope: ScopeName, principal: Principal, permission: Permission) -> RequestId | None:
        call = Call("put_acl", scope, f"{principal} {permission.name}")
        self._begin(call)
        self._scope(scope)
        self._later(lambda: self.grant(scope, principal, permission))
        return self._end(call)

    def delete_acl(self, scope: ScopeName, principal: Principal) -> RequestId | None:
        call = Call("delete_acl", scope, principal)
        self._begin(call)
        if fold(principal) not in self._scope(scope).acls:
            raise NotFound(f"no ACL for {principal}")
        self._later(lambda: self.scopes[fold(scope)].acls.pop(fold(principal), None))
        return self._end(call)

    def wind_down(self) -> None:
        """Nothing is tried twice anyway."""

    def request_count(self) -> RequestCount:
        return RequestCount(read=len(self.calls) - len(self.writes), write=len(self.writes))

    def close(self) -> None:
        """Nothing to give back."""

    def _begin(self, call: Call) -> None:
        with self._lock:
            self.calls.append(call)
            for fault in self.faults:
                fault(call)

    def _end(self, call: Call) -> RequestId:
        for fault in self.after:
            fault(call)
        return RequestId(f"request-{len(self.calls)}")

    def _scope(self, scope: ScopeName) -> FakeScope:
        try:
            return self.scopes[fold(scope)]
        except KeyError:
            raise NotFound(f"no scope {scope}") from None

    def _put(self, scope: FakeScope, key: KeyName, value: SecretValue) -> None:
        self._clock_ms += 1
        spelled = scope.secrets[fold(key)][0] if fold(key) in scope.secrets else key
        scope.secrets[fold(key)] = (spelled, value, self._clock_ms)

    def _later(self, effect: Callable[[], object]) -> None:
        with self._lock:
            if self.acl_lag:
                self._lagging.append((self.acl_lag, effect))
            else:
                effect()
