"""The demo: what a newcomer sees on a fresh clone, and what the platform's own guide teaches, run against it."""

import contextlib
import re
import shlex
import shutil
import signal
import sqlite3
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from databricks.sdk.errors import NotFound, PermissionDenied

from tests.support.cli import PACKAGE_ROOT, Cli, program


KEYS: Final = ["api-token", "db-password", "db-port", "keystore.p12", "motd", "nothing-yet", "secret-name"]

GRANTS: Final = [("admins", "WRITE"), ("users", "READ")]


@pytest.fixture
def demo(tmp_path: Path) -> Cli:
    """Copy what a clone has; PATH holds git alone, HOME is empty, nothing else is set."""
    folder = tmp_path / "clone"
    folder.mkdir()
    shutil.copytree(PACKAGE_ROOT / "secrets", folder / "secrets")
    shutil.copy(PACKAGE_ROOT / ".sops.yaml", folder / ".sops.yaml")
    programs, home = tmp_path / "bin", tmp_path / "home"
    programs.mkdir()
    home.mkdir()
    git = shutil.which("git")
    assert git is not None
    (programs / "git").symlink_to(git)
    return Cli(cwd=folder, env={"PATH": str(programs), "HOME": str(home)})


def _state(demo: Cli) -> list[str]:
    """Return all that the embedded workspace of the demo holds, as SQL."""
    with contextlib.closing(sqlite3.connect(demo.cwd / ".reconciler" / "demo.sqlite3")) as database:
        return list(database.iterdump())


def test_first_run_creates_scope_grants_and_values_and_says_so(demo: Cli) -> None:
    """The first apply lists each change with its result; without sops, Go, a home or any variable."""
    done = demo.process("apply").expect()
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["+", "create-scope", "done"] in lines
    assert [line[2] for line in lines if line[1:2] == ["put-secret"]] == KEYS
    assert [(line[2], line[3]) for line in lines if line[1:2] == ["put-acl"]] == GRANTS
    assert lines[0][-1] == "applied"
    assert done.stdout.splitlines()[-1].startswith("10 done; 0 unchanged; ")
    assert done.stderr == ""


def test_second_run_changes_nothing_and_says_no_changes(demo: Cli) -> None:
    """The second apply sends no write request and leaves the workspace as it was, times included."""
    demo.process("apply").expect()
    before = _state(demo)
    done = demo.process("apply").expect()
    assert "no changes" in done.stdout
    assert " 0 writes; " in done.stdout
    assert _state(demo) == before
    assert demo("apply", "-o", "json").target["requests"]["write"] == 0


def test_reconcile_is_apply(demo: Cli) -> None:
    """The command goes by both names; what one of them did the other does not do again."""
    demo("reconcile").expect()
    assert "no changes" in demo("apply").expect().stdout


def test_state_and_nothing_else_is_written_where_only_its_owner_can_read_it(demo: Cli, tmp_path: Path) -> None:
    """A run leaves the state of the embedded workspace (0700, 0600), nothing in HOME, nothing beside the files."""
    before = {path for path in demo.cwd.rglob("*") if ".reconciler" not in path.parts}
    demo.process("apply").expect()
    folder = demo.cwd / ".reconciler"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir() if path.suffix == ".sqlite3")
    assert {path for path in demo.cwd.rglob("*") if ".reconciler" not in path.parts} == before
    assert list((tmp_path / "home").iterdir()) == []


def test_plan_tells_everything_and_writes_nothing(demo: Cli) -> None:
    """A plan lists the ten changes of the first run, and the next plan is the same: nothing was written."""
    first, second = demo("plan", "-o", "json").expect(), demo("plan", "-o", "json").expect()
    assert first.target["summary"] == {
        "create_scope": 1,
        "delete_scope": 0,
        "put_acl": 2,
        "delete_acl": 0,
        "put_secret": 7,
        "delete_secret": 0,
        "unchanged": 0,
    }
    assert first.target["requests"]["write"] == 0
    assert first.target["changes"] == second.target["changes"]
    assert first.json["digest"] == second.json["digest"]


def test_json_of_a_first_run_has_the_promised_fields(demo: Cli) -> None:
    """Programs find the documented fields, with their documented words, and no value."""
    report = demo("apply", "-o", "json").expect().json
    assert list(report) == ["format_version", "tool_version", "started", "finished", "run_url", "digest", "targets"]
    assert report["format_version"] == 1
    assert report["started"] <= report["finished"]
    assert report["started"].endswith("Z")
    assert report["run_url"] is None
    (target,) = report["targets"]
    identity = ("demo", "embedded://demo", "admin@example.com", None, "applied")
    assert tuple(target[name] for name in ("target", "host", "identity", "commit", "status")) == identity
    put = {"action": "put-secret", "scope": "secrets", "key": "db-port", "reason": "new", "result": "done"}
    request_ids = [change.pop("request_id") for change in target["changes"]]
    assert all(re.fullmatch("[0-9a-f]{8,}", request_id) for request_id in request_ids)
    assert len(set(request_ids)) == len(target["changes"]) == 10
    assert {**put, "error": None} in target["changes"]
    grant = {"action": "put-acl", "scope": "secrets", "principal": "users", "permission": "READ", "reason": None}
    assert {**grant, "result": "done", "error": None} in target["changes"]
    assert target["requests"]["write"] == 10 + 4  # the ledger: its scope, head, and an entry before and after
    assert (target["findings"], target["errors"]) == ([], [])


def test_works_where_there_is_no_git_at_all(demo: Cli, tmp_path: Path) -> None:
    """Unpacked from an archive on a machine without git, the demo runs all the same: it uses the work tree."""
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "create-scope" in demo("apply", env={"PATH": str(empty)}).expect().stdout


@contextlib.contextmanager
def _served(demo: Cli) -> Iterator[Mapping[str, str]]:
    """Run ``reconciler emulator`` and hand out the variables that it tells a shell to export."""
    process = subprocess.Popen(
        program("emulator"),
        cwd=demo.cwd,
        env=demo.environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = [shlex.split(process.stdout.readline()) for _ in range(3)]
        assert [line[0] for line in lines] == ["export"] * 3
        yield dict(line[1].split("=", 1) for line in lines)
    finally:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert said[0] == ""


def _client(host: str, token: str) -> WorkspaceClient:
    """Return the unmodified SDK; ``auth_type`` keeps it from looking for other credentials first."""
    return WorkspaceClient(config=Config(host=host, token=token, auth_type="pat"))


def test_what_the_guide_teaches_works_with_the_unmodified_sdk(demo: Cli) -> None:
    """List scopes and find "secrets"; an admin puts; a user gets through dbutils; a user's put is refused."""
    demo("apply").expect()
    with _served(demo) as exported:
        admin = _client(exported["DATABRICKS_HOST"], exported["DATABRICKS_TOKEN"])
        user = _client(exported["DATABRICKS_HOST"], exported["DATABRICKS_USER_TOKEN"])
        assert "secrets" in [scope.name for scope in admin.secrets.list_scopes()]
        assert user.dbutils.secrets.get(scope="secrets", key="secret-name") == "s3cr3t-from-git"
        assert [key.key for key in user.dbutils.secrets.list("secrets")] == KEYS
        admin.secrets.put_secret("secrets", "secret-name", string_value="put by hand")
        assert user.dbutils.secrets.get(scope="secrets", key="secret-name") == "put by hand"
        with pytest.raises(PermissionDenied) as refused:
            user.secrets.put_secret("secrets", "secret-name", string_value="mine now")
        assert refused.value.error_code == "PERMISSION_DENIED"
        with pytest.raises(NotFound):
            user.dbutils.secrets.get(scope="secrets", key="no-such-name")
    repaired = demo("apply", "-o", "json").expect().target["changes"]
    assert [(change["key"], change["reason"], change["result"]) for change in repaired] == [
        ("secret-name", "drifted", "done")
    ]
    assert demo("get", "demo/secrets", "secret-name").expect().stdout == "s3cr3t-from-git"
