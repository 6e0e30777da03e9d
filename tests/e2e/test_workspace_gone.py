"""A workspace that is not there at all: every command gives up by ``--timeout`` and says so."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support.cli import Cli
from tests.support.hostile_server import Answer, HostileServer
from tests.support.hostile_server import Hang as NeverAnswers
from tests.support.secrets_repo import SecretsRepo


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _nobody() -> Iterator[str]:
    """A port at which nobody listens."""
    yield f"http://127.0.0.1:{_free_port()}"


@contextmanager
def _silence() -> Iterator[str]:
    """A server that accepts and never answers."""
    with HostileServer.saying(NeverAnswers(), path="/.well-known/databricks-config") as server:
        yield server.url


@contextmanager
def _deaf() -> Iterator[str]:
    """A socket whose connections nobody takes: the system accepts them, and there it ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def _dripping() -> Iterator[str]:
    """A server whose answer never ends: each byte comes within any timeout of a socket."""
    with HostileServer(lambda _: Answer(body=b"{" + b" " * 10_000, drip_s=0.05)) as server:
        yield server.url


@contextmanager
def _another_language() -> Iterator[str]:
    """A server that does not speak HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        ended = threading.Event()

        def greet() -> None:
            while not ended.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n" * 3)

        thread = threading.Thread(target=greet)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        ended.set()
        thread.join()


@pytest.mark.parametrize(
    ("command", "place", "words"),
    [
        pytest.param("plan", _nobody, "cannot be connected to", id="plan-nobody-listens"),
        pytest.param("apply", _nobody, "cannot be connected to", id="apply-nobody-listens"),
        pytest.param("list", _nobody, "cannot be connected to", id="list-nobody-listens"),
        pytest.param("get", _nobody, "cannot be connected to", id="get-nobody-listens"),
        pytest.param("apply", _silence, "does not answer", id="apply-silence"),
        pytest.param("get", _silence, "does not answer", id="get-silence"),
        pytest.param("apply", _deaf, "does not answer", id="apply-deaf"),
        pytest.param("list", _dripping, "does not answer", id="list-dripping"),
        pytest.param("plan", _dripping, "does not answer", id="plan-dripping"),
        pytest.param("plan", _another_language, "", id="plan-not-http"),
    ],
)
def test_workspace_that_is_not_there(
    place: Callable[[], Iterator[str]], words: str, command: str, repo: SecretsRepo, run: Cli
) -> None:
    """Every command gives up by ``--timeout``, says so, and how to go on."""
    with place() as url:  # type: ignore[attr-defined]  # a context manager, as decorated
        repo.targets({"prod": {"workspace": {"host": url}}})
        repo.scope_file("prod/app.yaml", {url.removeprefix("http://").replace(":", "_"): {"app": {"key": "x"}}})
        arguments = ("get", "prod/app", "key") if command == "get" else (command, "prod")
        began = time.monotonic()
        done = run(*arguments, "--timeout=0.5", env={"DATABRICKS_TOKEN": "x"}).expect(1)
        took_s = time.monotonic() - began
    said = done.stdout + done.stderr
    assert took_s < 2.5
    assert words in said
    assert url.removeprefix("http://") in said
    assert "--timeout" in said
    assert "Traceback" not in said
