"""The embedded workspace in a process of its own, so that it shares no interpreter lock with what is measured.

Run as a program it prints one JSON object, its URL and the admin's token, then answers each line on stdin with one
line: what it served since the line before. It ends with stdin.
"""

import http
import json
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconciler.emulator import Emulator
from reconciler.model import LEDGER_SCOPE


LATENCY_S: Final = 0.05
"""What every request takes longer than it would: a workspace in another region."""

ROOT: Final = Path(__file__).resolve().parents[2]


class Served(NamedTuple):
    """One request as the server saw it; times by a clock that all processes of the machine share."""

    method: str
    path: str
    begin_s: float
    """When its added latency began."""
    end_s: float
    connection: int
    """Port of the client: equal for requests that share a connection."""

    scope: str
    """Scope that it is about; empty for none."""

    @property
    def is_ledgers(self) -> bool:
        """Tell whether it is about the ledger."""
        return self.scope == LEDGER_SCOPE


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was served between two questions."""

    served: tuple[Served, ...]

    @property
    def reads(self) -> int:
        """How many requests were GET."""
        return sum(one.method == "GET" for one in self.served)

    @property
    def writes(self) -> int:
        """How many requests were not."""
        return len(self.served) - self.reads

    @property
    def connections(self) -> int:
        """How many connections they came on."""
        return len({one.connection for one in self.served})

    def of(self, path_end: str) -> "Traffic":
        """Return the requests to one call of the API."""
        return Traffic(tuple(one for one in self.served if one.path.endswith(path_end)))

    @property
    def of_values(self) -> "Traffic":
        """Return the puts and gets of what git wants in scopes, without those of the ledger's own records."""
        return Traffic(
            tuple(
                one for one in self.served if one.path.endswith(("/secrets/put", "/secrets/get")) and not one.is_ledgers
            )
        )

    @property
    def span_s(self) -> float:
        """Return the seconds from the arrival of the first to the answer to the last; 0 for none."""
        if not self.served:
            return 0.0
        return max(one.end_s for one in self.served) - min(one.begin_s for one in self.served)


class Server:
    """The process, from ``with`` to its end."""

    def __init__(self, latency_s: float = LATENCY_S) -> None:
        command = (sys.executable, "-m", "tests.bench.server", str(latency_s))
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        hello = json.loads(self._line())
        self.url: str = hello["url"]
        self.token: str = hello["token"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.communicate()

    @property
    def host_key(self) -> str:
        """The host as a scope file spells it."""
        return self.url.removeprefix("http://").replace(":", "_")

    def traffic(self) -> Traffic:
        """Return what was served since the last question."""
        if self._process.stdin is None:
            raise RuntimeError("the server has no stdin")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Traffic(tuple(Served(*fields) for fields in json.loads(self._line())))

    def delete_scope(self, scope: str) -> None:
        """Delete a scope as the admin, if it is there."""
        try:
            self._call("/api/2.0/secrets/scopes/delete", {"scope": scope})
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != http.HTTPStatus.NOT_FOUND:
                raise

    def _call(self, path: str, body: dict[str, str]) -> None:
        request = urllib.request.Request(  # noqa: S310  # our own loopback
            self.url + path, data=json.dumps(body).encode(), headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            answer.read()

    def _line(self) -> str:
        line = "" if self._process.stdout is None else self._process.stdout.readline()
        if not line:
            raise RuntimeError("the server has ended")
        return line


def serve(latency_s: float) -> None:
    """Serve until stdin ends."""
    served: list[Served] = []

    def note(app: ASGIApp) -> ASGIApp:
        async def noting(scope: Scope, receive: Receive, send: Send) -> None:
            # The emulator waits before it calls us.
            begin_s = time.monotonic() - latency_s
            body = bytearray()

            async def listening() -> Message:
                message = await receive()
                body.extend(message.get("body", b""))
                return message

            await app(scope, listening, send)
            end_s = time.monotonic()
            port, about = scope["client"][1], _scope_of(scope["query_string"], bytes(body))
            served.append(Served(scope["method"], scope["path"], begin_s, end_s, port, about))

        return noting

    with Emulator(latency_s=latency_s, middleware=(note,)) as emulator:
        _tell({"url": emulator.url, "token": emulator.admin_token})
        for _ in sys.stdin:
            taken = tuple(served)
            del served[: len(taken)]
            _tell(taken)


def _scope_of(query: bytes, body: bytes) -> str:
    named = json.loads(body).get("scope") if body else dict(urllib.parse.parse_qsl(query.decode())).get("scope")
    return str(named or "")


def _tell(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def run(command: Sequence[str | Path], environ: dict[str, str], *, codes: tuple[int, ...] = (0,)) -> float:
    """Run a program with exactly this environment and return its seconds, from start to exit.

    Raises:
        RuntimeError: It exited with another code than ``codes``; what it said on stderr is in the message.
    """
    begin_s = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, check=False, timeout=600)
    took_s = time.monotonic() - begin_s
    if done.returncode not in codes:
        said = (done.stderr or done.stdout).decode(errors="replace")
        raise RuntimeError(f"{command[0]} exited with {done.returncode}: {said}")
    return took_s


if __name__ == "__main__":
    serve(float(sys.argv[1]))
