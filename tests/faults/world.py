"""What is in a workspace, seen and changed behind its back.

For an embedded one through its state file: looking after each request, and putting everything back between two cases,
must cost next to nothing. For the one in memory directly.
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from reconciler.model import Permission, fold
from tests.fakes import FakeWorkspace


_TABLES: Final = ("scopes", "secrets", "acls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A secret as it is there."""

    value: bytes
    updated_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenScope:
    """A scope as it is there; all names folded."""

    secrets: Mapping[str, Held]
    grants: Mapping[str, Permission]

    def values(self) -> dict[str, bytes]:
        """Return the values by key."""
        return {key: held.value for key, held in self.secrets.items()}


Picture = Mapping[str, SeenScope]
"""All scopes at one instant, by folded name."""

Rows = Mapping[str, tuple[tuple[Any, ...], ...]]
"""The whole state, to be put back."""


class World(Protocol):
    """A workspace as other people see and change it."""

    def picture(self) -> Picture:
        """Return what is there now."""
        ...

    def put(self, scope: str, key: str, value: bytes) -> None:
        """Put a secret."""
        ...

    def delete(self, scope: str, key: str) -> None:
        """Delete a secret."""
        ...

    def grant(self, scope: str, principal: str, permission: Permission) -> None:
        """Grant."""
        ...

    def revoke(self, scope: str, principal: str) -> None:
        """Take a grant away."""
        ...

    def create_scope(self, scope: str, manager: str) -> None:
        """Create a scope as somebody."""
        ...

    def delete_scope(self, scope: str) -> None:
        """Delete a scope with all that is in it."""
        ...


class ServedWorld(World):
    """The state file of a workspace that is being served, opened a second time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # The server looks from its thread, the test from its own, never both at once.
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._seen: tuple[object, Picture] | None = None

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    # Looking.

    def picture(self) -> Picture:
        """Return what is there now."""
        version = self._connection.execute("PRAGMA data_version").fetchone()
        if self._seen is None or self._seen[0] != version:
            self._seen = (version, self._look())
        return self._seen[1]

    def _look(self) -> Picture:
        secrets: dict[int, dict[str, Held]] = {}
        grants: dict[int, dict[str, Permission]] = {}
        for scope, key, value, updated_ms in self._connection.execute(
            "SELECT scope, folded, value, updated_ms FROM secrets"
        ):
            secrets.setdefault(scope, {})[key] = Held(value=value, updated_ms=updated_ms)
        for scope, principal, permission in self._connection.execute("SELECT scope, folded, permission FROM acls"):
            grants.setdefault(scope, {})[principal] = Permission(permission)
        return {
            name: SeenScope(secrets=secrets.get(row, {}), grants=grants.get(row, {}))
            for row, name in self._connection.execute("SELECT id, folded FROM scopes")
        }

    def save(self) -> Rows:
        """Return all of it."""
        return {table: tuple(self._connection.execute(f"SELECT * FROM {table}")) for table in _TABLES}  # noqa: S608  # ours

    def restore(self, rows: Rows) -> None:
        """Put all of it back."""
        with self._changing():
            self._connection.execute("DELETE FROM scopes")  # the others go with it
            for table in _TABLES:
                if rows[table]:
                    marks = ", ".join("?" * len(rows[table][0]))
                    self._connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows[table])  # noqa: S608  # ours

    # Changing, as other people do it: by the same rules, without a request.

    def put(self, scope: str, key: str, value: bytes) -> None:
        """Put a secret."""
        now_ms = time.time_ns() // 1_000_000
        with self._changing():
            self._connection.execute(
                "INSERT INTO secrets (scope, folded, name, updated_ms, value) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (scope, folded) DO UPDATE SET value = excluded.value, "
                "updated_ms = max(excluded.updated_ms, secrets.updated_ms + 1)",
                (self._row(scope), fold(key), key, now_ms, value),
            )

    def delete(self, scope: str, key: str) -> None:
        """Delete a secret."""
        with self._changing():
            self._connection.execute(
                "DELETE FROM secrets WHERE scope = ? AND folded = ?", (self._row(scope), fold(key))
            )

    def grant(self, scope: str, principal: str, permission: Permission) -> None:
        """Grant."""
        with self._changing():
            self._connection.execute(
                "INSERT INTO acls (scope, folded, principal, permission) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (scope, folded) DO UPDATE SET permission = excluded.permission",
                (self._row(scope), fold(principal), principal, int(permission)),
            )

    def revoke(self, scope: str, principal: str) -> None:
        """Take a grant away."""
        with self._changing():
            self._connection.execute(
                "DELETE FROM acls WHERE scope = ? AND folded = ?", (self._row(scope), fold(principal))
            )

    def create_scope(self, scope: str, manager: str) -> None:
        """Create a scope as somebody."""
        with self._changing():
            self._connection.execute(
                "INSERT INTO scopes (folded, name, backend) VALUES (?, ?, 'DATABRICKS')", (fold(scope), scope)
            )
        self.grant(scope, manager, Permission.MANAGE)

    def delete_scope(self, scope: str) -> None:
        """Delete a scope with all that is in it."""
        with self._changing():
            self._connection.execute("DELETE FROM scopes WHERE folded = ?", (fold(scope),))

    def _row(self, scope: str) -> int:
        (row,) = self._connection.execute("SELECT id FROM scopes WHERE folded = ?", (fold(scope),)).fetchone()
        return int(row)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        # What this connection changes does not show in its data_version.
        self._seen = None
        self._connection.execute("BEGIN IMMEDIATE")
        yield
        self._connection.execute("COMMIT")


class FakeWorld(World):
    """The workspace in memory."""

    def __init__(self, workspace: FakeWorkspace) -> None:
        self._workspace = workspace

    def picture(self) -> Picture:
        """Return what is there now."""
        return {
            name: SeenScope(
                secrets={
                    key: Held(value=value.reveal(), updated_ms=updated_ms)
                    for key, (_, value, updated_ms) in scope.secrets.items()
                },
                grants={principal: acl.permission for principal, acl in scope.acls.items()},
            )
            for name, scope in self._workspace.scopes.items()
        }

    def put(self, scope: str, key: str, value: bytes) -> None:
        """Put a secret."""
        self._workspace.put(scope, key, value)

    def delete(self, scope: str, key: str) -> None:
        """Delete a secret."""
        del self._workspace.scopes[fold(scope)].secrets[fold(key)]

    def grant(self, scope: str, principal: str, permission: Permission) -> None:
        """Grant."""
        self._workspace.grant(scope, principal, permission)

    def revoke(self, scope: str, principal: str) -> None:
        """Take a grant away."""
        del self._workspace.scopes[fold(scope)].acls[fold(principal)]

    def create_scope(self, scope: str, manager: str) -> None:
        """Create a scope as somebody."""
        self._workspace.add(scope, owner=manager)

    def delete_scope(self, scope: str) -> None:
        """Delete a scope with all that is in it."""
        del self._workspace.scopes[fold(scope)]
