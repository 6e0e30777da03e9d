"""Each page of docs/guides, followed word by word: what it shows is what happens."""

import contextlib
import os
import shlex
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.importing import states
from tests.support.cli import PACKAGE_ROOT
from tests.support.guides import Before, Command, NewFile, Reader, steps_of
from tests.support.workspace_server import WorkspaceServer


GUIDES: Final = PACKAGE_ROOT / "docs" / "guides"

HOST: Final = "adb-1234567890123456.7.azuredatabricks.net"
"""The workspace of the pages; here one on the loopback takes its place."""

OTHER_HOST: Final = "adb-6543210987654321.5.azuredatabricks.net"

HOME: Final = "/home/me"
PORT: Final = "8080"


def _free_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


@pytest.fixture
def reader(tmp_path: Path, workspace_server: WorkspaceServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """Somebody in an empty folder, who has git, and a token for the workspace in the environment."""
    root = tmp_path / "repo"
    root.mkdir()
    monkeypatch.chdir(root)
    home = os.environ["HOME"]
    config = "[user]\n    name = Me\n    email = me@example.com\n[init]\n    defaultBranch = main\n"
    Path(home, ".gitconfig").write_text(config, encoding="utf-8")
    replaced = {
        f"https://{HOST}": workspace_server.emulator.url,
        HOST: workspace_server.host_key,
        HOME: home,
        PORT: _free_port(),
    }
    reader = Reader(root=root, replaced=replaced, env=dict(workspace_server.env))
    with contextlib.ExitStack() as stack:
        stack.callback(reader.end)
        yield reader


def _repository(reader: Reader, server: WorkspaceServer) -> None:
    """Make what the guide to the first secret makes: a target, a scope with a key, committed and applied."""
    for line in (
        "git init --quiet",
        f"reconciler init prod --host https://{HOST} --age-key generate --scope payments --key db-password",
        "git add .",
        "git commit --quiet --message 'First secret'",
        "reconciler apply prod --yes",
    ):
        reader.follow(Command(line=line, shown=()))
    del server


def _made_by_hand(reader: Reader, server: WorkspaceServer) -> None:
    """Fill a workspace as people do, with whatever comes to their mind."""
    del reader
    for scope in ("payments", "reports"):
        server.create_scope(scope)
        server.grant(scope, "users", "READ")
    for key, value in (("db-password", b"correct horse"), ("keystore.p12", b"\x00\xff"), ("empty", b"")):
        server.put("payments", key, value)
    server.put("reports", "smtp-password", b"battery\n")


def _made_by_terraform(reader: Reader, server: WorkspaceServer) -> None:
    """Fill a workspace as somebody else, and leave the state that says so."""
    server.call_as_user("scopes/create", scope="payments")
    server.grant("payments", "users", "READ")
    server.put("payments", "db-password", b"correct horse")
    content = states.state(
        states.scope("payments"),
        states.secret("db_password", "payments", "db-password", "correct horse"),
        states.grant("readers", "payments", "users", "READ"),
    )
    folder = reader.root.parent / "infra"
    folder.mkdir()
    (folder / "terraform.tfstate").write_bytes(content)


def _editor(reader: Reader, server: WorkspaceServer) -> None:
    """Be somebody who types what the page shows."""
    del server
    home = Path(os.environ["HOME"])
    lines = (reader.root / "lines").rename(home / "lines")
    script = home / "editor.py"
    script.write_text(
        "import pathlib, sys\n"
        "file = pathlib.Path(sys.argv[1])\n"
        f"lines = pathlib.Path({str(lines)!r}).read_text()\n"
        "file.write_text(file.read_text().replace('\\nversion:', '\\n' + lines + 'version:', 1))\n",
        encoding="utf-8",
    )
    reader.env["VISUAL"] = shlex.join((sys.executable, str(script)))


BEFORE: Final[Mapping[str, Callable[[Reader, WorkspaceServer], None]]] = {
    "the first secret": _repository,
    "an editor that puts those lines above version": _editor,
    "scopes made by hand": _made_by_hand,
    "secrets made by Terraform": _made_by_terraform,
}
"""What pages take for granted, by the words in which they say so."""


@pytest.mark.parametrize("page", sorted(GUIDES.glob("*.md")), ids=lambda page: page.stem)
def test_page_shows_what_happens(page: Path, reader: Reader, workspace_server: WorkspaceServer) -> None:
    """Every command of the page runs, in its order, and prints the lines that the page shows."""
    ran = 0
    for step in steps_of(page.read_text(encoding="utf-8")):
        match step:
            case Before(name=name):
                BEFORE[name](reader, workspace_server)
            case NewFile():
                reader.write(step)
            case Command():
                reader.follow(step)
                ran += 1
    assert ran > 2
