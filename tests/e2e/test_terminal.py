"""What differs on a terminal: a question, colours, a bar, care with control characters; and interrupted runs."""

import asyncio
import itertools
import os
import re
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from reconciler.emulator import Middleware
from tests.support.cli import Cli, program
from tests.support.secrets_repo import SecretsRepo
from tests.support.terminal import Terminal, interrupt
from tests.support.workspace_server import WorkspaceServer


QUESTION = "Apply these changes? [y/N]: "


@pytest.fixture
def fed(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> Cli:
    """Feed one scope of a real and of an embedded target; return the command line."""
    repo.targets({"prod": workspace_server.fields, "demo": repo.embedded("demo")})
    repo.scope_file("app.yaml", {host: {"app": {"a": "1", "b": "2"}} for host in (workspace_server.host_key, "demo")})
    return run


def _terminal(run: Cli, *arguments: str, **env: str) -> Terminal:
    return Terminal(program(*arguments), cwd=run.cwd, env=run.environ(env))


def test_question_shows_the_plan_and_yes_applies_it(fed: Cli, workspace_server: WorkspaceServer) -> None:
    """On a terminal a real workspace is changed only after its changes were shown and somebody said yes."""
    with _terminal(fed, "apply", "prod") as terminal:
        shown = terminal.wait_for(QUESTION)
        assert "create-scope" in shown
        assert "planned" in shown
        assert workspace_server.writes() == []
        terminal.type("y\n")
        assert terminal.end() == 0
        assert "3 done" in terminal.said
    assert workspace_server.keys("app") == ["a", "b"]


@pytest.mark.parametrize("answer", [pytest.param("n\n", id="no"), pytest.param("\n", id="nothing")])
def test_no_leaves_everything_unwritten(fed: Cli, workspace_server: WorkspaceServer, answer: str) -> None:
    """Answered with no, or with Enter alone, the run writes nothing, says so, and exits with 130."""
    with _terminal(fed, "apply", "prod") as terminal:
        terminal.wait_for(QUESTION)
        terminal.type(answer)
        assert terminal.end() == 130
        assert terminal.said.endswith("nothing was written\n")
        assert terminal.said.count("create-scope") == 1
    assert workspace_server.writes() == []


@pytest.mark.parametrize("keys", [pytest.param("\x04", id="end-of-input"), pytest.param("\x03", id="ctrl-c")])
def test_leaving_the_question_leaves_everything_unwritten(
    fed: Cli, workspace_server: WorkspaceServer, keys: str
) -> None:
    """Ctrl-C and Ctrl-D at the question are a no, too, without a traceback."""
    with _terminal(fed, "apply", "prod") as terminal:
        terminal.wait_for(QUESTION)
        if keys == "\x03":
            interrupt(terminal.process)  # as the terminal does for its foreground process
        else:
            terminal.type(keys)
        assert terminal.end() == 130
        assert "Traceback" not in terminal.said
    assert workspace_server.writes() == []


@pytest.mark.parametrize(
    "arguments", [pytest.param(("apply", "prod", "--yes"), id="yes"), pytest.param(("apply", "demo"), id="embedded")]
)
def test_nothing_is_asked(fed: Cli, arguments: tuple[str, ...]) -> None:
    """``--yes`` answers beforehand, and an embedded workspace is nobody's but the user's own."""
    with _terminal(fed, *arguments) as terminal:
        assert terminal.end() == 0
        assert QUESTION not in terminal.said
        assert "3 done" in terminal.said


def test_nothing_is_asked_when_there_is_nothing_to_do(fed: Cli) -> None:
    """A clean workspace needs no decision."""
    fed("apply", "prod").expect()
    with _terminal(fed, "apply", "prod") as terminal:
        assert terminal.end() == 0
        assert QUESTION not in terminal.said
        assert "no changes" in terminal.said


def test_question_stays_off_stdout(fed: Cli, tmp_path: Path) -> None:
    """With stdout in a file the plan and the question are still seen, and the file holds the one JSON document."""
    with (
        (tmp_path / "report.json").open("wb") as stdout,
        Terminal(program("apply", "prod", "-o", "json"), cwd=fed.cwd, env=fed.environ(), stdout=stdout) as terminal,
    ):
        terminal.wait_for(QUESTION)
        terminal.type("y\n")
        assert terminal.end() == 0
    assert (tmp_path / "report.json").read_text().startswith('{\n  "format_version": 1,')


def test_colours_are_for_terminals_without_no_color(fed: Cli) -> None:
    """Colours appear on a terminal, and neither with NO_COLOR, nor TERM=dumb, nor in a pipe."""
    escapes = re.compile(r"\x1b\[[0-9;]*m")
    with _terminal(fed, "plan", "demo") as terminal:
        terminal.end()
        colored = terminal.said
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with _terminal(fed, "plan", "demo", **{name: value}) as terminal:
            terminal.end()
            assert not escapes.search(terminal.said)
    piped = fed.process("plan", "demo").expect().stdout
    assert escapes.search(colored)
    assert not escapes.search(piped)
    assert _untimed(escapes.sub("", colored)) == _untimed(piped)


def _untimed(report: str) -> str:
    return re.sub(r"[0-9.]+ s$", "T s", report, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("plain text", "plain text\n", id="text-gets-a-line-feed"),
        pytest.param("two\nlines\n", "two\nlines\n", id="line-feed-is-not-doubled"),
        pytest.param("grüße", "grüße\n", id="not-ascii"),
    ],
)
def test_get_shows_printable_text_on_a_terminal(
    fed: Cli, workspace_server: WorkspaceServer, value: str, shown: str
) -> None:
    """On a terminal a value ends with a line feed, so that the prompt does not stick to it."""
    workspace_server.create_scope("app")
    workspace_server.put("app", "a", value.encode())
    with _terminal(fed, "get", "prod/app", "a") as terminal:
        assert terminal.end() == 0
        assert terminal.said == shown


@pytest.mark.parametrize("value", [pytest.param(b"\x1b[2J", id="escape"), pytest.param(b"\xff\0", id="bytes")])
def test_get_refuses_control_characters_on_a_terminal(
    fed: Cli, workspace_server: WorkspaceServer, value: bytes
) -> None:
    """A value could take the terminal over: it is refused with the way to get it, and in a file it is whole."""
    workspace_server.create_scope("app")
    workspace_server.put("app", "a", value)
    with _terminal(fed, "get", "prod/app", "a") as terminal:
        assert terminal.end() == 2
        assert "> FILE" in terminal.said
        assert value.decode(errors="replace") not in terminal.said
    assert fed.process("get", "prod/app", "a").expect().stdout_bytes == value


_LEDGER_PUTS = 2
"""Head, and the entry that says what is about to be done: they come before the first put of a secret."""


def _never_answering(path_end: str, reached: threading.Event, *, skip: int = 0) -> Middleware:
    """Return what lets some requests wait far longer than a test may last, and says when the first one is there.

    Args:
        path_end: Which requests.
        reached: Set when one of them waits.
        skip: So many of them are answered before.
    """
    left = itertools.count(skip, -1)

    def wrap(app: ASGIApp) -> ASGIApp:
        async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["path"].endswith(path_end) and next(left) <= 0:
                reached.set()
                await asyncio.sleep(120)
            await app(scope, receive, send)

        return waiting

    return wrap


@pytest.mark.parametrize(
    ("command", "path", "skip"),
    [
        pytest.param("plan", "/databricks-config", 0, id="plan-connecting"),
        pytest.param("plan", "/scopes/list", 0, id="plan-surveying"),
        pytest.param("apply", "/databricks-config", 0, id="apply-connecting"),
        pytest.param("apply", "/put", 0, id="apply-writing-the-ledger"),
        pytest.param("apply", "/put", _LEDGER_PUTS, id="apply-putting"),
        pytest.param("list", "/scopes/list", 0, id="list"),
    ],
)
def test_interrupt_ends_a_run_at_once_with_130(run: Cli, repo: SecretsRepo, command: str, path: str, skip: int) -> None:
    """SIGINT while a workspace lets us wait: a line that says so, no traceback, and no waiting for the timeout.

    While changes are made it takes a second one: the first one lets end what is in flight, which here never does.
    """
    reached = threading.Event()
    with WorkspaceServer(middleware=[_never_answering(path, reached, skip=skip)]) as server:
        repo.targets({"prod": server.fields})
        repo.scope_file("prod/app.yaml", {server.host_key: {"app": dict.fromkeys("abcdef", "x")}})
        with subprocess.Popen(
            program(command, "prod", "--concurrency", "2"),
            cwd=repo.root,
            env=run.environ(server.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                assert reached.wait(20)
                interrupt(process)
                _, stderr = process.communicate(timeout=1)
            finally:
                process.kill()
    assert process.returncode == 130
    assert b"interrupted" in stderr
    assert b"Traceback" not in stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_end_by_a_pipeline_or_a_closed_terminal_is_an_interrupt(
    run: Cli, repo: SecretsRepo, number: signal.Signals
) -> None:
    """The same words and the same exit code as Ctrl-C."""
    reached = threading.Event()
    with WorkspaceServer(middleware=[_never_answering("/put", reached, skip=_LEDGER_PUTS)]) as server:
        repo.targets({"prod": server.fields})
        repo.scope_file("prod/app.yaml", {server.host_key: {"app": {"key": "x"}}})
        with subprocess.Popen(
            program("apply", "prod"),
            cwd=repo.root,
            env=run.environ(server.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                assert reached.wait(20)
                interrupt(process, number)
                _, stderr = process.communicate(timeout=1)
            finally:
                process.kill()
    assert process.returncode == 130
    assert b"interrupted" in stderr


@pytest.mark.parametrize("arguments", [("plan", "demo"), ("plan", "demo", "-o", "json"), ("--help",), ("targets",)])
def test_reader_that_has_gone_is_no_traceback(fed: Cli, arguments: tuple[str, ...]) -> None:
    """``reconciler plan | head -1`` ends quietly."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            program(*arguments),
            cwd=fed.cwd,
            env=fed.environ(),
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
            timeout=30,
        )
    finally:
        os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 1
