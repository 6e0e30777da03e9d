"""Scopes, secrets and ACLs in SQLite, in a file or in memory.

A file is created 0600 before SQLite opens it (its ``-wal`` and ``-shm`` inherit the mode), in a directory that is
created 0700. Write-ahead logging, BEGIN IMMEDIATE and a busy timeout let several processes use one file at a time.
"""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeVar

from reconciler.errors import WorkspaceError
from reconciler.model import KeyName, Permission, Principal, ScopeName, fold
from reconciler.workspace import Backend, SecretInfo


T = TypeVar("T")

BUSY_TIMEOUT_S: Final = 10.0
"""How long a transaction waits for that of another process."""

_RETRY_S: Final = 0.005
"""Pause between attempts where SQLite does not wait by itself."""

_SCHEMA_VERSION: Final = 1
_APPLICATION_ID: Final = int.from_bytes(b"RcEm")
"""Marks the file as ours (https://www.sqlite.org/pragma.html#pragma_application_id). The first states have none."""

_TABLES: Final = frozenset({"scopes", "secrets", "acls"})

_SCHEMA: Final = """
CREATE TABLE scopes (
    id INTEGER PRIMARY KEY,
    folded TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    backend TEXT NOT NULL,
    key_vault TEXT
) STRICT;
CREATE TABLE secrets (
    scope INTEGER NOT NULL REFERENCES scopes (id) ON DELETE CASCADE,
    folded TEXT NOT NULL,
    name TEXT NOT NULL,
    updated_ms INTEGER NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (scope, folded)
) STRICT;
CREATE TABLE acls (
    scope INTEGER NOT NULL REFERENCES scopes (id) ON DELETE CASCADE,
    folded TEXT NOT NULL,
    principal TEXT NOT NULL,
    permission INTEGER NOT NULL,
    UNIQUE (scope, folded)
) STRICT;
"""

_UPSERT_KEY: Final = """
INSERT INTO secrets (scope, folded, name, updated_ms, value) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (scope, folded) DO UPDATE SET
    value = excluded.value, updated_ms = max(excluded.updated_ms, secrets.updated_ms + 1)
"""

_UPSERT_GRANT: Final = """
INSERT INTO acls (scope, folded, principal, permission) VALUES (?, ?, ?, ?)
ON CONFLICT (scope, folded) DO UPDATE SET permission = excluded.permission
"""


def wall_clock_ms() -> int:
    """Return milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVault:
    """The Azure Key Vault behind a scope, as the API names it."""

    resource_id: str
    dns_name: str

    def fields(self) -> dict[str, str]:
        """Return it as the API and the database have it."""
        return {"resource_id": self.resource_id, "dns_name": self.dns_name}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScope:
    """A scope as it is kept."""

    row: int
    """Its number in the database."""

    name: ScopeName
    """As it was first spelt."""

    backend: Backend

    key_vault: KeyVault | None
    """Of a Key-Vault-backed scope."""


class Store:
    """One connection. Not safe to share between threads at the same time; processes may share the file.

    Methods that change something belong inside `writing`; those that must agree with each other inside `reading`.
    """

    def __init__(self, connection: sqlite3.Connection, *, now_ms: Callable[[], int]) -> None:
        self._connection = connection
        self._now_ms = now_ms

    @classmethod
    def open(
        cls,
        path: Path | None,
        *,
        now_ms: Callable[[], int] = wall_clock_ms,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> Self:
        """Open the file, creating it if need be; None keeps everything in memory.

        Raises:
            WorkspaceError: It cannot be opened, is no state of ours, or was written by a newer version.
        """
        try:
            if path is not None:
                _create_private(path)
            connection = sqlite3.connect(
                ":memory:" if path is None else path,
                timeout=busy_timeout_s,
                isolation_level=None,
                check_same_thread=False,
            )
        except (OSError, sqlite3.Error) as exc:
            raise _unusable(path) from exc
        try:
            _prepare(connection, path, busy_timeout_s)
        except sqlite3.Error as exc:
            connection.close()
            raise _unusable(path) from exc
        except WorkspaceError:
            connection.close()
            raise
        return cls(connection, now_ms=now_ms)

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Make all that is read inside one picture, whatever other processes write meanwhile."""
        with self._transaction("BEGIN"):
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make all that is written inside happen at once, or not at all when an exception leaves it."""
        with self._transaction("BEGIN IMMEDIATE"):
            yield

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        self._connection.execute(begin)
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # Some failures to commit, such as a full disk, have ended the transaction already.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def scopes(self) -> tuple[StoredScope, ...]:
        """Return all scopes by name."""
        rows = self._connection.execute("SELECT id, name, backend, key_vault FROM scopes ORDER BY folded")
        return tuple(_scope(*row) for row in rows)

    def find_scope(self, name: str) -> StoredScope | None:
        """Return a scope, whatever the case of its name."""
        row = self._connection.execute(
            "SELECT id, name, backend, key_vault FROM scopes WHERE folded = ?", (fold(name),)
        ).fetchone()
        return None if row is None else _scope(*row)

    def count_scopes(self) -> int:
        """Return how many scopes there are."""
        return int(self._connection.execute("SELECT count(*) FROM scopes").fetchone()[0])

    def add_scope(self, name: str, *, backend: Backend, key_vault: KeyVault | None, manager: Principal) -> None:
        """Create an empty scope that ``manager`` has MANAGE on."""
        cursor = self._connection.execute(
            "INSERT INTO scopes (folded, name, backend, key_vault) VALUES (?, ?, ?, ?)",
            (fold(name), name, backend.value, None if key_vault is None else json.dumps(key_vault.fields())),
        )
        self._connection.execute(_UPSERT_GRANT, (cursor.lastrowid, fold(manager), manager, int(Permission.MANAGE)))

    def delete_scope(self, scope: StoredScope) -> None:
        """Delete a scope with all that is in it."""
        self._connection.execute("DELETE FROM scopes WHERE id = ?", (scope.row,))

    def secrets(self, scope: StoredScope) -> tuple[SecretInfo, ...]:
        """Return names and times of the secrets of a scope by name."""
        rows = self._connection.execute(
            "SELECT name, updated_ms FROM secrets WHERE scope = ? ORDER BY folded", (scope.row,)
        )
        return tuple(SecretInfo(key=KeyName(name), updated_ms=updated_ms) for name, updated_ms in rows)

    def count_secrets(self, scope: StoredScope) -> int:
        """Return how many secrets a scope holds."""
        return int(self._connection.execute("SELECT count(*) FROM secrets WHERE scope = ?", (scope.row,)).fetchone()[0])

    def find_secret(self, scope: StoredScope, key: str) -> tuple[KeyName, bytes] | None:
        """Return a secret's name as it was first spelt, and its value."""
        row = self._connection.execute(
            "SELECT name, value FROM secrets WHERE scope = ? AND folded = ?", (scope.row, fold(key))
        ).fetchone()
        return None if row is None else (KeyName(row[0]), row[1])

    def has_secret(self, scope: StoredScope, key: str) -> bool:
        """Tell whether a scope has a secret of that name."""
        found = self._connection.execute(
            "SELECT 1 FROM secrets WHERE scope = ? AND folded = ?", (scope.row, fold(key))
        ).fetchone()
        return found is not None

    def put_secret(self, scope: StoredScope, key: str, value: bytes) -> None:
        """Create or overwrite a secret; its time moves on even if clock and value do not."""
        self._connection.execute(_UPSERT_KEY, (scope.row, fold(key), key, self._now_ms(), value))

    def delete_secret(self, scope: StoredScope, key: str) -> bool:
        """Delete a secret; False when there is none."""
        cursor = self._connection.execute("DELETE FROM secrets WHERE scope = ? AND folded = ?", (scope.row, fold(key)))
        return cursor.rowcount > 0

    def grants(self, scope: StoredScope) -> Mapping[Principal, Permission]:
        """Return the ACLs of a scope, sorted by principal."""
        rows = self._connection.execute(
            "SELECT principal, permission FROM acls WHERE scope = ? ORDER BY folded", (scope.row,)
        )
        return {Principal(principal): Permission(permission) for principal, permission in rows}

    def put_grant(self, scope: StoredScope, principal: Principal, permission: Permission) -> None:
        """Create or overwrite an ACL."""
        self._connection.execute(_UPSERT_GRANT, (scope.row, fold(principal), principal, int(permission)))

    def delete_grant(self, scope: StoredScope, principal: Principal) -> bool:
        """Delete an ACL; False when there is none."""
        cursor = self._connection.execute(
            "DELETE FROM acls WHERE scope = ? AND folded = ?", (scope.row, fold(principal))
        )
        return cursor.rowcount > 0


def _scope(row: int, name: str, backend: str, key_vault: str | None) -> StoredScope:
    return StoredScope(
        row=row,
        name=ScopeName(name),
        backend=Backend(backend),
        key_vault=None if key_vault is None else _key_vault(json.loads(key_vault)),
    )


def _key_vault(fields: Mapping[str, str]) -> KeyVault:
    return KeyVault(resource_id=fields["resource_id"], dns_name=fields["dns_name"])


def _create_private(path: Path) -> None:
    """Create file and directory for the owner alone, before a value can be in them. Follows no link at the end."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(handle, 0o600)  # also when an older file was more open than it should be
    finally:
        os.close(handle)


def _prepare(connection: sqlite3.Connection, path: Path | None, patience_s: float) -> None:
    """Set the connection up and create the tables, also when another process does the same right now.

    Raises:
        WorkspaceError: The file is a database of something else, and has been left as it was; or a newer version of
            ours has written it.
    """
    # Before anything is written, the kind of journal included.
    _patiently(patience_s, lambda: _check(connection, path))
    _patiently(patience_s, lambda: connection.execute("PRAGMA journal_mode = WAL"))
    # NORMAL loses no committed transaction when the process dies; that of the machine may cost the last ones.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")  # an overwritten value must not linger in a free page
    connection.execute("BEGIN IMMEDIATE")
    version = _version_of(connection, path)
    if version == 0:
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
    if version <= _SCHEMA_VERSION:
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute("COMMIT")
    if version > _SCHEMA_VERSION:
        raise WorkspaceError(
            "the state of the embedded workspace was written by a newer version of reconciler",
            advice="use that version, or delete the file to start with an empty workspace",
        )


def _check(connection: sqlite3.Connection, path: Path | None) -> None:
    """Read what `_version_of` needs as one picture: another process may create the tables right now."""
    connection.execute("BEGIN")
    try:
        _version_of(connection, path)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _version_of(connection: sqlite3.Connection, path: Path | None) -> int:
    """Return the version of the tables in the file; 0 for an empty one.

    Raises:
        WorkspaceError: It is a database of something else.
    """
    mark, version = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    is_ours = mark == _APPLICATION_ID and version > 0
    is_new = mark == 0 and version == 0 and not names
    is_from_before_the_mark = mark == 0 and version > 0 and names >= _TABLES
    if not (is_ours or is_new or is_from_before_the_mark):
        raise WorkspaceError(
            f"the state of the embedded workspace cannot be kept in {path}: that is a database of something else",
            advice="keep it in another place",
        )
    return int(version)


def _patiently(patience_s: float, action: Callable[[], T]) -> T:
    """Return what ``action`` returns, waiting for other processes by hand.

    SQLite does not apply its busy timeout when two processes switch the same new file to write-ahead logging: of 60
    pairs that did so and began to write, 25 failed with "database is locked".
    """
    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            return action()
        except sqlite3.OperationalError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(_RETRY_S)


def _unusable(path: Path | None) -> WorkspaceError:
    return WorkspaceError(
        f"the state of the embedded workspace cannot be used: {path}",
        advice="make the file readable and writable, or delete it to start with an empty workspace",
    )
