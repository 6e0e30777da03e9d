"""An in-memory workspace that obeys the platform's rules and fails on demand.

For tests of decisions and of their order. Whatever concerns HTTP is tested with the embedded workspace and the real
SDK; ``tests/test_workspace.py`` holds both to the same rules.
"""

# ruff: noqa: D102 - the protocol documents its methods

import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from reconciler.errors import AlreadyExists, InvalidRequest, LimitExceeded, NotFound, PermissionDenied
from reconciler.model import (
    ADMINS,
    MAX_KEYS_PER_SCOPE,
    MAX_SCOPES_PER_WORKSPACE,
    MAX_VALUE_BYTES,
    Acl,
    FoldedName,
    KeyName,
    Permission,
    Principal,
    RequestId,
    ScopeName,
    SecretValue,
    fold,
    is_key_name,
    is_scope_name,
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
    """One workspace under one identity, an administrator unless told otherwise; see `seen_by` for others."""

    def __init__(self, *, identity: str = "admin@example.com") -> None:
        self.identity = Principal(identity)
        self.groups: frozenset[Principal] = frozenset()
        """As `whoami` tells them; whoever is in ``admins`` is an administrator."""
        self.is_admin = True
        """Whether the identity may do everything, whatever the grants say and whether or not `whoami` tells."""
        self.scopes: dict[FoldedName, FakeScope] = {}
        self.calls: list[Call] = []
        self.faults: list[Callable[[Call], None]] = []
        """Each is called before every request has its effect, and may raise, or change the workspace."""
        self.after: list[Callable[[Call], None]] = []
        """Likewise after the effect, as when an answer is lost."""
        self.acl_lag = 0
        """How many listings an ACL write stays invisible for."""
        self.rules = FakeRules()
        self.clock = FakeClock()
        self._lagging: list[tuple[int, Callable[[], object]]] = []
        self._lock = threading.RLock()

    def seen_by(self, identity: str, *groups: str, is_admin: bool = False) -> "FakeWorkspace":
        """Return the same workspace under another identity: scopes, log, faults, rules and clock are shared."""
        other = FakeWorkspace(identity=identity)
        other.groups = frozenset(map(Principal, groups))
        other.is_admin = is_admin
        other.scopes, other.calls, other.faults, other.after = self.scopes, self.calls, self.faults, self.after
        other.acl_lag, other.rules, other.clock = self.acl_lag, self.rules, self.clock
        other._lagging, other._lock = self._lagging, self._lock
        return other

    # What a test says about the world, without leaving a trace in the log.

    def add(
        self,
        scope: str,
        secrets: Mapping[str, bytes] | None = None,
        *,
        backend: Backend = Backend.DATABRICKS,
        owner: str | None = None,
    ) -> None:
        """Create a scope, granted to the running identity or to somebody else, with secrets in it."""
        info = ScopeInfo(name=ScopeName(scope), backend=backend)
        creator = Principal(self.identity if owner is None else owner)
        acl = Acl(principal=creator, permission=Permission.MANAGE)
        self.scopes[fold(scope)] = FakeScope(info, acls={fold(creator): acl})
        for key, value in (secrets or {}).items():
            self.put(scope, key, value)

    def put(self, scope: str, key: str, value: bytes) -> None:
        """Put a secret behind git's back."""
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
        with self._lock:
            return tuple(
                scope.info
                for scope in self.scopes.values()
                if not self.rules.hides_scopes or self._held(scope) is not None
            )

    def create_scope(self, scope: ScopeName) -> RequestId | None:
        call = Call("create_scope", scope)
        self._begin(call)
        with self._lock:
            if not is_scope_name(scope):
                raise InvalidRequest("a scope cannot be called this")
            if not self.rules.is_premium:
                raise InvalidRequest("only users may manage a new scope")
            if fold(scope) in self.scopes:
                raise AlreadyExists(f"scope {scope} exists")
            if len(self.scopes) >= self.rules.max_scopes:
                raise LimitExceeded("the workspace is full")
            self.add(scope)
        return self._end(call)

    def delete_scope(self, scope: ScopeName) -> RequestId | None:
        call = Call("delete_scope", scope)
        self._begin(call)
        with self._lock:
            self._scope(scope, Permission.MANAGE)
            del self.scopes[fold(scope)]
        return self._end(call)

    def list_secrets(self, scope: ScopeName) -> tuple[SecretInfo, ...]:
        self._begin(Call("list_secrets", scope))
        with self._lock:
            secrets = tuple(self._scope(scope, Permission.READ).secrets.values())
        return tuple(SecretInfo(key=key, updated_ms=updated_ms) for key, _, updated_ms in secrets)

    def get_secret(self, scope: ScopeName, key: KeyName) -> SecretValue:
        self._begin(Call("get_secret", scope, key))
        with self._lock:
            there = self._scope(scope, Permission.READ)
            if not self.rules.values_outside_notebooks:
                raise InvalidRequest("values are for notebooks")
            try:
                return there.secrets[fold(key)][1]
            except KeyError:
                raise NotFound(f"no secret {scope}/{key}") from None

    def put_secret(self, scope: ScopeName, key: KeyName, value: SecretValue) -> RequestId | None:
        call = Call("put_secret", scope, key)
        self._begin(call)
        with self._lock:
            if not is_key_name(key):
                raise InvalidRequest("a key cannot be called this")
            if len(value.reveal()) > MAX_VALUE_BYTES:
                raise InvalidRequest("the value is too long")
            there = self._scope(scope, Permission.WRITE)
            self._refuse_read_only(there)
            if fold(key) not in there.secrets and len(there.secrets) >= self.rules.max_keys_per_scope:
                raise LimitExceeded(f"scope {scope} is full")
            self._put(there, key, value)
        return self._end(call)

    def delete_secret(self, scope: ScopeName, key: KeyName) -> RequestId | None:
        call = Call("delete_secret", scope, key)
        self._begin(call)
        with self._lock:
            there = self._scope(scope, Permission.WRITE)
            self._refuse_read_only(there)
            if there.secrets.pop(fold(key), None) is None:
                raise NotFound(f"no secret {scope}/{key}")
        return self._end(call)

    def list_acls(self, scope: ScopeName) -> tuple[Acl, ...]:
        self._begin(Call("list_acls", scope))
        with self._lock:
            shown = tuple(self._scope(scope, Permission.MANAGE).acls.values())
            due = [effect for lag, effect in self._lagging if lag <= 1]
            self._lagging[:] = [(lag - 1, effect) for lag, effect in self._lagging if lag > 1]
            for effect in due:
                effect()
        return shown

    def put_acl(self, scope: ScopeName, principal: Principal, permission: Permission) -> RequestId | None:
        call = Call("put_acl", scope, f"{principal} {permission.name}")
        self._begin(call)
        with self._lock:
            if fold(principal) in map(fold, self.rules.unknown_principals):
                raise InvalidRequest("there is no such principal")
            there = self._scope(scope, Permission.MANAGE)
            if self.rules.existing_acls_refused and fold(principal) in there.acls:
                raise AlreadyExists("the principal has a grant")
            self._later(scope, lambda acls: acls.update(_by_name(Acl(principal=principal, permission=permission))))
        return self._end(call)

    def delete_acl(self, scope: ScopeName, principal: Principal) -> RequestId | None:
        call = Call("delete_acl", scope, principal)
        self._begin(call)
        with self._lock:
            if fold(principal) not in self._scope(scope, Permission.MANAGE).acls:
                raise NotFound(f"no ACL for {principal}")
            self._later(scope, lambda acls: acls.pop(fold(principal), None))
        return self._end(call)

    def wind_down(self) -> None:
        """Nothing is tried twice anyway."""

    def request_count(self) -> RequestCount:
        return RequestCount(read=len(self.calls) - len(self.writes), write=len(self.writes))

    def clock_offset_s(self) -> float | None:
        return None

    def close(self) -> None:
        """Nothing to give back."""

    def _begin(self, call: Call) -> None:
        self.calls.append(call)
        # Not under the lock, as a fault may run another run, with its own threads; a copy, as it may take itself out.
        for fault in tuple(self.faults):
            fault(call)

    def _end(self, call: Call) -> RequestId:
        for fault in tuple(self.after):
            fault(call)
        return RequestId(f"request-{next(self.clock.requests)}")

    def _scope(self, scope: ScopeName, needed: Permission) -> FakeScope:
        """Return a scope on which the identity has at least ``needed``."""
        try:
            there = self.scopes[fold(scope)]
        except KeyError:
            raise NotFound(f"no scope {scope}") from None
        held = self._held(there)
        if held is None or held < needed:
            raise PermissionDenied(f"{self.identity} does not have {needed.name} on scope {scope}")
        return there

    def _held(self, scope: FakeScope) -> Permission | None:
        if self.is_admin or fold(ADMINS) in map(fold, self.groups):
            return Permission.MANAGE
        names = {fold(self.identity), *map(fold, self.groups)}
        return max((acl.permission for name, acl in scope.acls.items() if name in names), default=None)

    def _refuse_read_only(self, scope: FakeScope) -> None:
        if scope.info.backend is not Backend.DATABRICKS:
            raise InvalidRequest(f"scope {scope.info.name} cannot be written")

    def _put(self, scope: FakeScope, key: KeyName, value: SecretValue) -> None:
        spelled = scope.secrets[fold(key)][0] if fold(key) in scope.secrets else key
        scope.secrets[fold(key)] = (spelled, value, self.clock.tick())

    def _later(self, scope: ScopeName, change: Callable[[dict[FoldedName, Acl]], object]) -> None:
        def effect() -> None:
            # Deleted meanwhile, or another one: then it is too late.
            if self.scopes.get(fold(scope)) is there:
                change(there.acls)

        there = self.scopes[fold(scope)]
        if self.acl_lag:
            self._lagging.append((self.acl_lag, effect))
        else:
            effect()


@dataclass(slots=True)
class FakeRules:
    """How strict the workspace is where the platform can be either way; as `reconciler.emulator.Rules`."""

    max_scopes: int = MAX_SCOPES_PER_WORKSPACE
    max_keys_per_scope: int = MAX_KEYS_PER_SCOPE
    values_outside_notebooks: bool = True
    existing_acls_refused: bool = False
    unknown_principals: frozenset[str] = frozenset()
    """Whom no grant can name."""

    is_premium: bool = True
    """False: a scope is created only with MANAGE for ``users``, for which the protocol has no way."""

    hides_scopes: bool = False
    """Whether `list_scopes` leaves out those that the identity has no grant on. The platform's documentation says that
    names are shown to everybody; a workspace that hid them must not be mistaken for an empty one."""


@dataclass(slots=True)
class FakeClock:
    """The platform's clock, by which it dates what is put."""

    now_ms: int = 1_700_000_000_000
    step_ms: int = 1
    """How far each put moves it. 0 holds it: then timestamps repeat, as they do for puts within one millisecond."""

    requests: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def tick(self) -> int:
        """Return the time of a put."""
        self.now_ms += self.step_ms
        return self.now_ms

    def sleep(self, seconds: float) -> None:
        """Let time pass here instead of really; for whatever takes a way to pause."""
        self.now_ms += round(seconds * 1000)


def _by_name(acl: Acl) -> dict[FoldedName, Acl]:
    return {fold(acl.principal): acl}
