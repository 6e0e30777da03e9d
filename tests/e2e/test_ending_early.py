"""Runs that are interrupted while they write, and runs that meet another one: real processes, real signals."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconciler.emulator import Middleware
from tests.support.cli import Cli, program
from tests.support.secrets_repo import SecretsRepo
from tests.support.workspace_server import WorkspaceServer


KEYS = {f"key-{number:02}": f"value {number}" for number in range(40)}


def _counting_puts(number: int, reached: threading.Event) -> Middleware:
    """Set ``reached`` when that many puts have been answered."""
    answered = 0

    def wrap(app: ASGIApp) -> ASGIApp:
        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            async def sent(message: Message) -> None:
                nonlocal answered
                await send(message)
                if scope["path"].endswith("/put") and message["type"] == "http.response.body":
                    answered += 1
                    if answered == number:
                        reached.set()

            await app(scope, receive, sent)

        return counted

    return wrap


@contextmanager
def _started(run: Cli, env: Mapping[str, str], *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start an apply; it is dead afterwards."""
    with subprocess.Popen(
        program("apply", "prod", "-o", "json", *options),
        cwd=run.cwd,
        env=run.environ(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _report(stdout: bytes) -> Any:  # noqa: ANN401  # JSON
    (target,) = json.loads(stdout)["targets"]
    return target


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_lets_what_is_in_flight_end_and_has_it_written_down(
    run: Cli, repo: SecretsRepo, number: signal.Signals
) -> None:
    """The report tells what was done and what was not; the next run does the rest, and nothing twice."""
    reached = threading.Event()
    with WorkspaceServer(middleware=[_counting_puts(8, reached)], latency_s=0.03) as server:
        repo.targets({"prod": server.fields})
        repo.scope_file("prod/app.yaml", {server.host_key: {"app": KEYS}}).commit()
        with _started(run, server.env, "--concurrency", "2") as process:
            assert reached.wait(20)
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=20)

        assert process.returncode == 130
        assert b"interrupted" in stderr
        results = {one["key"]: one["result"] for one in _report(stdout)["changes"] if one["action"] == "put-secret"}
        done = sorted(key for key, result in results.items() if result == "done")
        assert set(results.values()) == {"done", "skipped"}
        assert server.keys("app") == done
        rest = _report(run("apply", "prod", "-o", "json", env=server.env).expect().stdout_bytes)
        assert {one["key"] for one in rest["changes"]} == KEYS.keys() - set(done)
        server.traffic()
        run("apply", "prod", env=server.env).expect()
        assert server.all_writes() == []


def test_second_signal_ends_at_once_and_is_repaired(run: Cli, repo: SecretsRepo) -> None:
    """Nothing is written down then; the next run finds out what was done."""
    reached = threading.Event()
    with WorkspaceServer(middleware=[_counting_puts(8, reached)], latency_s=0.1) as server:
        repo.targets({"prod": server.fields})
        repo.scope_file("prod/app.yaml", {server.host_key: {"app": KEYS}}).commit()
        with _started(run, server.env, "--concurrency", "2") as process:
            assert reached.wait(20)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            assert b"interrupt again" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=3)

        assert process.returncode == 130
        assert b"Traceback" not in stderr
        assert b"nothing was" not in stdout + stderr
        assert "not known what was done" in _report(stdout)["errors"][0]
        run("apply", "prod", env=server.env).expect()
        server.traffic()
        run("apply", "prod", env=server.env).expect()
        assert server.all_writes() == []
        assert server.keys("app") == sorted(KEYS)


def test_two_runs_at_once_end_with_what_git_says(run: Cli, repo: SecretsRepo) -> None:
    """One gives way and starts over; neither fails, and the ledger is right afterwards."""
    reached = threading.Event()
    with WorkspaceServer(middleware=[_counting_puts(4, reached)], latency_s=0.03) as server:
        repo.targets({"prod": server.fields})
        repo.scope_file("prod/app.yaml", {server.host_key: {"app": KEYS}}).commit()
        with _started(run, server.env) as one:
            assert reached.wait(20)
            with _started(run, server.env) as other:
                ends = [process.communicate(timeout=60) for process in (one, other)]

        assert (one.returncode, other.returncode) == (0, 0), ends
        assert {_report(stdout)["status"] for stdout, _ in ends} <= {"applied", "clean"}
        assert {key: server.value("app", key).decode() for key in server.keys("app")} == KEYS
        server.traffic()
        run("apply", "prod", env=server.env).expect()
        assert server.all_writes() == []
