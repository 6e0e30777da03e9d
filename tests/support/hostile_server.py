"""A real HTTP server on the loopback that answers as a test says: codes, bodies, redirects, delays, broken connections.

For what a workspace does only on bad days. What it does on good ones is the embedded workspace's part.
"""

import json
import socket
import ssl
import struct
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self, TypeAlias


WELL_KNOWN: Final = "/.well-known/databricks-config"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    """Without the query."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""

    body: bytes
    connection: int
    """Which connection it came on; equal for requests that share one."""

    @property
    def json(self) -> Mapping[str, str]:
        """The body as the object that the Secrets API takes."""
        said: dict[str, str] = json.loads(self.body)
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to send back."""

    status: int = 200
    body: object = field(default_factory=dict)
    """Bytes as they are; anything else as JSON."""

    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    """Before the first byte."""

    drip_s: float = 0.0
    """Before each further byte of the body."""

    cut: bool = False
    """Promise the whole body, send half, and reset the connection."""

    @property
    def content(self) -> bytes:
        """The body as it goes over the wire."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True, slots=True)
class Reset:
    """Break the connection instead of answering."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Never answer."""


Reaction: TypeAlias = Answer | Reset | Hang


def refusal(status: int, code: str, message: str = "no", **headers: str) -> Answer:
    """Make an error as the API documents it."""
    return Answer(
        status=status,
        body={"error_code": code, "message": message},
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


class HostileServer:
    """Listens from ``with`` to its end.

    Args:
        react: Called with each request, from its thread; `Seen.path` tells them apart.
        tls: Serve https by this; None serves http.
    """

    def __init__(self, react: Callable[[Seen], Reaction], *, tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        """All requests so far, in the order of their arrival."""

        self._react = react
        self._ended = threading.Event()
        self._scheme = "http" if tls is None else "https"
        self._server = _Server(("127.0.0.1", 0), self._handler())
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @classmethod
    def saying(cls, *reactions: Reaction, path: str | None = None) -> "HostileServer":
        """Give ``reactions`` one by one, then the last for ever; other paths than ``path`` get an empty object.

        Without ``path`` all count but the question for the host's configuration.
        """
        left: Iterator[Reaction] = iter(reactions[:-1])
        lock = threading.Lock()

        def react(seen: Seen) -> Reaction:
            if seen.path != path if path is not None else seen.path == WELL_KNOWN:
                return Answer()
            with lock:
                return next(left, reactions[-1])

        return cls(react)

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, or ``https://`` of the same."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def paths(self) -> list[str]:
        """Return the path of each request, that for the host's configuration left out."""
        return [seen.path for seen in self.seen if seen.path != WELL_KNOWN]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Without it each answer waits 40 ms for the client's acknowledgement.
            disable_nagle_algorithm = True

            def _any(self) -> None:
                seen = _read(self)
                server.seen.append(seen)
                reaction = server._react(seen)  # one class in two parts
                match reaction:
                    case Answer():
                        _send(self, reaction, server._ended)  # likewise
                    case Reset():
                        _reset(self)
                    case Hang():
                        server._ended.wait()  # likewise
                        self.close_connection = True

            do_GET = do_POST = _any  # noqa: N815  # http.server finds methods by these names

            def log_message(self, *args: object) -> None:
                """Say nothing: a test reads `HostileServer.seen`."""

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A handler that waits for a client, which keeps its connection alive, must not keep the test from ending.
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that go away are part of the tests."""


def _read(handler: BaseHTTPRequestHandler) -> Seen:
    parts = urllib.parse.urlsplit(handler.path)
    length = int(handler.headers.get("Content-Length", "0"))
    return Seen(
        method=handler.command,
        path=parts.path,
        query=dict(urllib.parse.parse_qsl(parts.query)),
        headers={name.lower(): value for name, value in handler.headers.items()},
        body=handler.rfile.read(length),
        connection=handler.client_address[1],
    )


def _send(handler: BaseHTTPRequestHandler, answer: Answer, ended: threading.Event) -> None:
    ended.wait(answer.delay_s)
    content = answer.content
    handler.send_response(answer.status)
    for name, value in {"Content-Type": "application/json", **answer.headers}.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    if answer.cut:
        handler.wfile.write(content[: len(content) // 2])
        handler.wfile.flush()
        _reset(handler)
    elif answer.drip_s:
        for byte in content:
            if ended.wait(answer.drip_s):
                return
            handler.wfile.write(bytes([byte]))
    else:
        handler.wfile.write(content)


def _reset(handler: BaseHTTPRequestHandler) -> None:
    # No time to linger: the kernel sends RST instead of a decent end.
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
