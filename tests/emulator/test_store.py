"""The state file: who may read it, what survives, who may use it at the same time."""

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from reconciler.emulator import Emulator
from reconciler.emulator.store import KeyVault, Store
from reconciler.errors import WorkspaceError
from reconciler.model import Permission, Principal
from reconciler.workspace import Backend
from tests.emulator.caller import Caller, as_admin


_CANARY: Final = "canary-91c4-value"

_WRITER: Final = """
import sys
from pathlib import Path
from reconciler.emulator.store import Store
from reconciler.model import Principal
from reconciler.workspace import Backend
print("ready", flush=True)
for line in sys.stdin:
    store = Store.open(Path(line.strip()))
    for number in range(100):
        with store.writing():
            scope = store.find_scope("shared")
            if scope is None:
                store.add_scope("shared", backend=Backend.DATABRICKS, key_vault=None, manager=Principal("users"))
                scope = store.find_scope("shared")
            store.put_secret(scope, f"{sys.argv[1]}-{number}", b"x")
    store.close()
    print("done", flush=True)
"""
"""A process that writes 100 secrets into one scope of each file that it is told, creating what is not there."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a state file in a directory that does not exist yet."""
    return tmp_path / "state" / "demo.sqlite"


@pytest.fixture(autouse=True)
def permissive_umask() -> Iterator[None]:
    """Take away the umask's help: what is private must be so by itself."""
    before = os.umask(0)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _put(caller: Caller, key: str, value: str) -> None:
    assert caller.post("put", scope="scope", key=key, string_value=value).status == 200


def test_state_is_readable_by_its_owner_alone(path: Path) -> None:
    """The directory is 0700; the file and those that SQLite puts beside it are 0600 while values are in them."""
    with Emulator(path) as emulator, as_admin(emulator) as admin:
        admin.post("scopes/create", scope="scope")
        _put(admin, "key", _CANARY)
        modes = {file.name: _mode(file) for file in path.parent.iterdir()}
    assert modes == {"demo.sqlite": 0o600, "demo.sqlite-wal": 0o600, "demo.sqlite-shm": 0o600}
    assert _mode(path.parent) == 0o700
    assert _CANARY.encode() in path.read_bytes()  # so that it matters


def test_file_that_was_more_open_is_closed(path: Path) -> None:
    """A state file that others could read is made private before it is used."""
    path.parent.mkdir()
    path.touch(mode=0o644)
    Store.open(path).close()
    assert _mode(path) == 0o600


def test_link_is_not_followed(tmp_path: Path) -> None:
    """A link in place of the state file is refused; what it points to, even if it could be used, is left alone."""
    target = tmp_path / "target"
    target.touch(mode=0o644)
    (tmp_path / "state").symlink_to(target)
    with pytest.raises(WorkspaceError, match="cannot be used"):
        Store.open(tmp_path / "state")
    assert (target.read_bytes(), _mode(target)) == (b"", 0o644)


def test_second_emulator_finds_what_the_first_one_did(path: Path) -> None:
    """Scopes, ACLs, values and times survive; tokens do not."""
    with Emulator(path) as first, as_admin(first) as admin:
        admin.post("scopes/create", scope="scope")
        admin.post("acls/put", scope="scope", principal="users", permission="READ")
        _put(admin, "Key", "value")
        before = [admin.get(call, scope="scope").text for call in ("list", "acls/list")]
    with Emulator(path) as second, as_admin(second) as admin:
        assert [admin.get(call, scope="scope").text for call in ("list", "acls/list")] == before
        assert admin.get("get", scope="scope", key="key").json["value"] == "dmFsdWU="
        assert second.admin_token != first.admin_token


def test_overwritten_value_does_not_linger(path: Path) -> None:
    """After a value that had reached the file is overwritten or deleted, it is nowhere in it."""
    with Emulator(path) as emulator, as_admin(emulator) as admin:
        admin.post("scopes/create", scope="scope")
        _put(admin, "overwritten", _CANARY * 500)
        _put(admin, "deleted", _CANARY * 500)
    assert _CANARY.encode() in path.read_bytes()
    with Emulator(path) as emulator, as_admin(emulator) as admin:
        _put(admin, "overwritten", "new")
        assert admin.post("delete", scope="scope", key="deleted").status == 200
    assert [file.name for file in path.parent.iterdir()] == ["demo.sqlite"]
    assert _CANARY.encode() not in path.read_bytes()


def test_state_in_memory_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a state file nothing is written to disk."""
    monkeypatch.chdir(tmp_path)
    with Emulator() as emulator, as_admin(emulator) as admin:
        admin.post("scopes/create", scope="scope")
        _put(admin, "key", "value")
        assert list(tmp_path.iterdir()) == []


def test_two_emulators_on_one_file_see_each_other(path: Path) -> None:
    """What one emulator writes, another that runs on the same file reads at once."""
    with Emulator(path) as one, Emulator(path) as other, as_admin(one) as here, as_admin(other) as there:
        here.post("scopes/create", scope="scope")
        assert there.post("scopes/create", scope="scope").code == "RESOURCE_ALREADY_EXISTS"
        _put(here, "key", "1")
        _put(there, "KEY", "2")
        assert here.get("get", scope="scope", key="key").json == {"key": "key", "value": "Mg=="}


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    """Processes that start on a file that is not there yet and write at the same time lose nothing.

    Twelve times, as the two must meet while they set the file up.
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, name],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b")
    ]
    assert [_line_of(process) for process in processes] == ["ready\n", "ready\n"]
    answers = []
    for number in range(12):
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{tmp_path / str(number)}\n")
            process.stdin.flush()
        answers.append([_line_of(process) for process in processes])
        if answers[-1] != ["done\n", "done\n"]:
            break
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert (errors, answers) == (["", ""], [["done\n", "done\n"]] * 12)
    for number in range(12):
        store = Store.open(tmp_path / str(number))
        scope = store.find_scope("shared")
        assert scope is not None
        assert store.count_secrets(scope) == 200
        store.close()


def _line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_busy_state_is_told_as_temporary(path: Path) -> None:
    """While another process keeps the file locked, the answer is one that clients repeat."""
    with Emulator(path, busy_timeout_s=0.05) as emulator, as_admin(emulator) as admin:
        admin.post("scopes/create", scope="scope")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        answer = admin.post("put", scope="scope", key="key", string_value=_CANARY)
        other.execute("ROLLBACK")
        other.close()
        assert (answer.status, answer.code) == (503, "TEMPORARILY_UNAVAILABLE")
        assert _CANARY not in answer.text
        _put(admin, "key", "value")


def test_opening_waits_for_another_process_that_sets_the_file_up(path: Path) -> None:
    """A file that is locked at the moment is waited for."""
    path.parent.mkdir()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(0.1, other.execute, args=("ROLLBACK",))
    release.start()
    Store.open(path).close()
    release.join()
    other.close()


def test_opening_gives_up_on_a_file_that_stays_locked(path: Path) -> None:
    """Another process that never lets go is told as a file that cannot be used."""
    path.parent.mkdir()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(WorkspaceError, match="cannot be used"):
        Store.open(path, busy_timeout_s=0.05)
    other.close()


def _database(path: Path, *statements: str) -> bytes:
    """Make a database of somebody else and return what is in the file."""
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
    return path.read_bytes()


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param(("CREATE TABLE bookmarks (url TEXT)",), id="tables without a version"),
        pytest.param(("CREATE TABLE bookmarks (url TEXT)", "PRAGMA user_version = 1"), id="other tables"),
        pytest.param(("CREATE TABLE scopes (name TEXT)", "PRAGMA user_version = 1"), id="one table of that name"),
        pytest.param(("PRAGMA application_id = 252006675",), id="another application's, empty"),
        pytest.param(
            ("CREATE TABLE scopes (x)", "CREATE TABLE secrets (x)", "CREATE TABLE acls (x)", "PRAGMA user_version = 0"),
            id="our tables without a version",
        ),
        pytest.param(
            (
                "CREATE TABLE scopes (x)",
                "CREATE TABLE secrets (x)",
                "CREATE TABLE acls (x)",
                "PRAGMA user_version = 1",
                "PRAGMA application_id = 252006675",
            ),
            id="another application's, with our tables",
        ),
    ],
)
def test_database_of_something_else_is_left_as_it_is(statements: tuple[str, ...], path: Path) -> None:
    """Whoever gives the wrong path must not find tables of secrets in their bookmarks."""
    before = _database(path, *statements)

    with pytest.raises(WorkspaceError, match="that is a database of something else") as caught:
        Store.open(path)

    assert "delete" not in (caught.value.advice or "")
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_state_from_before_the_mark_is_read_and_marked(path: Path) -> None:
    """The first states had a version and no application id."""
    with contextlib.closing(Store.open(path)) as store, store.writing():
        store.add_scope("scope", backend=Backend.DATABRICKS, key_vault=None, manager=Principal("users"))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (mark,) = connection.execute("PRAGMA application_id").fetchone()
        connection.execute("PRAGMA application_id = 0")

    with contextlib.closing(Store.open(path)) as store:
        assert store.find_scope("scope") is not None
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (mark,)
        assert mark != 0


def test_transaction_that_cannot_be_committed_is_rolled_back() -> None:
    """Else the next one could not begin."""
    with contextlib.closing(Store.open(None)) as store:

        def fail_at_the_end() -> None:
            with store.writing():
                store._connection.execute("PRAGMA defer_foreign_keys = ON")  # so that the commit is what fails
                store._connection.execute("INSERT INTO secrets VALUES (99, 'key', 'key', 1, x'00')")

        with pytest.raises(sqlite3.IntegrityError):
            fail_at_the_end()
        with store.writing():
            store.add_scope("scope", backend=Backend.DATABRICKS, key_vault=None, manager=Principal("users"))
        assert store.count_scopes() == 1


def test_key_vault_is_kept() -> None:
    """What a scope says of its vault is what it was created with."""
    vault = KeyVault(resource_id="/subscriptions/x", dns_name="https://x.vault.azure.net/")
    with contextlib.closing(Store.open(None)) as store:
        with store.writing():
            store.add_scope("scope", backend=Backend.AZURE_KEYVAULT, key_vault=vault, manager=Principal("users"))
        scope = store.find_scope("scope")

    assert scope is not None
    assert scope.key_vault == vault


def test_clock_that_stands_or_goes_back_does_not_stop_time() -> None:
    """The time of a secret grows with each put whatever the clock says."""
    ticks = iter((1_000, 1_000, 400, 5_000))
    store = Store.open(None, now_ms=lambda: next(ticks))
    with store.writing():
        store.add_scope("scope", backend=Backend.DATABRICKS, key_vault=None, manager=Principal("users"))
    scope = store.find_scope("scope")
    assert scope is not None
    seen = []
    for _ in range(4):
        store.put_secret(scope, "key", b"x")
        seen.append(store.secrets(scope)[0].updated_ms)
    store.close()
    assert seen == [1_000, 1_001, 1_002, 5_000]


def test_change_that_fails_half_way_is_taken_back() -> None:
    """An exception inside `writing` leaves nothing behind."""
    store = Store.open(None)

    def fail_half_way() -> None:
        with store.writing():
            store.add_scope("scope", backend=Backend.DATABRICKS, key_vault=None, manager=Principal("users"))
            raise KeyError

    with pytest.raises(KeyError):
        fail_half_way()
    assert store.scopes() == ()
    store.close()


def test_deleting_a_scope_deletes_what_is_in_it() -> None:
    """No secret and no ACL outlives its scope, even when the number of its row is used again."""
    store = Store.open(None)
    for _ in range(2):
        store.add_scope("scope", backend=Backend.DATABRICKS, key_vault=None, manager=Principal("users"))
        scope = store.find_scope("scope")
        assert scope is not None
        assert store.count_secrets(scope) == 0
        assert store.grants(scope) == {Principal("users"): Permission.MANAGE}
        store.put_secret(scope, "key", b"x")
        store.put_grant(scope, Principal("admins"), Permission.READ)
        store.delete_scope(scope)
    store.close()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"this is no database, whatever the name of the file says; it is text", id="text"),
        pytest.param(b"SQLite format 3\0" + b"\xff" * 200, id="broken"),
    ],
)
def test_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    """What is not ours is refused with advice, unchanged."""
    path = tmp_path / "state"
    path.write_bytes(content)
    with pytest.raises(WorkspaceError, match="cannot be used") as refused:
        Store.open(path)
    assert refused.value.advice is not None
    assert path.read_bytes() == content


def test_state_of_a_newer_version_is_refused(path: Path) -> None:
    """A state file that a later version wrote is not touched."""
    Store.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(WorkspaceError, match="newer version"):
        Store.open(path)


def test_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A path below a file is refused as unusable."""
    (tmp_path / "file").touch()
    with pytest.raises(WorkspaceError, match="cannot be used"):
        Store.open(tmp_path / "file" / "state")
