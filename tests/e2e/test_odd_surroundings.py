"""Processes that were started strangely: without stdout, on a full disk, without a home, ended by a signal."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.cli import Cli, program
from tests.support.secrets_repo import SecretsRepo
from tests.support.workspace_server import WorkspaceServer


@pytest.fixture
def demo(repo: SecretsRepo, run: Cli) -> Cli:
    """Provide an embedded target that has been applied."""
    repo.targets({"demo": repo.embedded("demo")})
    repo.scope_file("app.yaml", {"demo": {"app": {"key": "value"}}})
    run("apply").expect()
    return run


@pytest.mark.parametrize("command", [("plan",), ("apply",), ("validate",), ("targets",), ("list",)])
def test_without_stdout_a_command_does_its_work(command: tuple[str, ...], demo: Cli) -> None:
    """There is nobody to read the report, which is no bug of ours."""
    shell = ("sh", "-c", 'exec "$@" >&-', "sh", *program(*command))
    done = subprocess.run(shell, cwd=demo.cwd, env=demo.environ(), capture_output=True, check=False, timeout=60)

    assert done.stderr == b""
    assert done.returncode == 0


@pytest.mark.parametrize("command", [("plan",), ("apply",), ("validate",), ("targets",), ("list",)])
def test_without_stderr_a_command_does_its_work(command: tuple[str, ...], demo: Cli) -> None:
    """There is nobody to talk to; the report is on stdout as ever."""
    shell = ("sh", "-c", 'exec "$@" 2>&-', "sh", *program(*command))
    done = subprocess.run(shell, cwd=demo.cwd, env=demo.environ(), capture_output=True, check=False, timeout=60)

    assert done.returncode == 0
    assert done.stdout != b""


def test_without_stderr_changes_are_made(demo: Cli, repo: SecretsRepo) -> None:
    """Likewise where values are read, put and read back."""
    repo.scope_file("app.yaml", {"demo": {"app": {"key": "another", "further": "value"}}})
    shell = ("sh", "-c", 'exec "$@" 2>&-', "sh", *program("apply"))
    done = subprocess.run(shell, cwd=demo.cwd, env=demo.environ(), stdout=subprocess.PIPE, check=False, timeout=60)

    assert done.returncode == 0
    assert demo("get", "demo/app", "further").expect().stdout_bytes == b"value"


def test_report_that_does_not_fit_on_the_disk_is_said(demo: Cli) -> None:
    """A run whose report is lost has not gone well."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            program("plan"),
            cwd=demo.cwd,
            env=demo.environ(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )

    assert done.returncode == 1
    assert done.stderr == b"error: the report could not be written to stdout: No space left on device\n"


@pytest.mark.parametrize(
    "path",
    [
        "/nonexistent/report",
        "secrets/app.yaml",
        "secrets/prod/new-report.json",
        "secrets/prod/prod.agekey",
        "elsewhere/../secrets/app.yaml",
        ".sops.yaml",
        ".reconciler/demo.sqlite3",
        "link-to-the-file",
        "link-to-the-folder/app.yaml",
        "secrets/link-out",
    ],
)
def test_report_file_that_cannot_be_used_is_said_before_anything_is_written(
    path: str, run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """Else the run would have been, and its evidence lost; or files of secrets, keys or rules overwritten."""
    repo.targets({"prod": workspace_server.fields})
    repo.scope_file("app.yaml", {workspace_server.host_key: {"app": {"key": "value"}}})
    (repo.root / "link-to-the-file").symlink_to("secrets/app.yaml")
    (repo.root / "link-to-the-folder").symlink_to("secrets")
    (repo.root / "secrets" / "link-out").symlink_to("../report")
    (repo.root / "elsewhere").mkdir()
    before = {file: file.read_bytes() for file in repo.root.rglob("*") if file.is_file()}
    file = Path(path) if path.startswith("/") else repo.root / path

    refused = run("apply", "prod", "--output-file", str(file)).expect(2)

    assert str(file) in refused.stderr
    assert workspace_server.traffic() == []
    assert {file: file.read_bytes() for file in repo.root.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("path", ["report.yaml", "secrets-report.yaml", "out/secrets/report.yaml", ".sops.yaml.json"])
def test_report_file_with_an_innocent_name_is_written(path: str, demo: Cli) -> None:
    """Only what the tool itself keeps is out of bounds, not everything that is called so."""
    file = demo.cwd / path
    file.parent.mkdir(parents=True, exist_ok=True)

    demo("plan", "-o", "json", "--output-file", str(file)).expect()

    assert json.loads(file.read_text())["targets"]


def test_time_that_is_none_is_a_usage_error(demo: Cli) -> None:
    """``nan`` is a float, and every comparison with it is false."""
    assert "nan" in demo("plan", "--timeout", "nan").expect(2).stderr


@pytest.mark.parametrize("mark", ["\u202e", "\u2066", "\u200b"])
@pytest.mark.parametrize("file", ["secrets/app.yaml", "secrets/targets.yaml"])
def test_text_that_does_not_look_like_what_it_says_is_refused(
    file: str, mark: str, demo: Cli, repo: SecretsRepo
) -> None:
    """A comment is no part of the MAC, and marks in it can turn a grant beside it around in a review."""
    repo.write(file, f"# fine {mark} really\n".encode() + repo.read(file))

    refused = demo("apply").expect(4)

    assert f"{file}:1:8: the character U+{ord(mark):04X} is invisible" in refused.stderr
