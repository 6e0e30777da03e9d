"""What stands before the application and every middleware: counting, Host header, latency, ids, log, last resort."""

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconciler.emulator.refusals import Code, Refusal, bad_request
from reconciler.workspace import RequestCount


_READING_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_ID_BYTES: Final = 16

_NO_STATUS: Final = 0
"""Stands in the log for a request that was not answered."""


class Front:
    """The outermost ASGI application of the embedded workspace."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: frozenset[bytes],
        known_paths: frozenset[str],
        latency_s: float,
        log: Callable[[str], None] | None,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._known_paths = known_paths
        self._latency_s = latency_s
        self._log = log
        self._count = RequestCount(read=0, write=0)

    @property
    def count(self) -> RequestCount:
        """Requests so far. Replaced as a whole, so that other threads never see half a step."""
        return self._count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started_s = time.perf_counter()
        status = _NO_STATUS
        bug = ""

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), _request_id()]}
            await send(message)

        self._note(scope["method"])
        if self._latency_s > 0:
            await asyncio.sleep(self._latency_s)
        try:
            if self._is_host_ours(scope):
                await self._app(scope, receive, send_noting_status)
            else:
                refusal = bad_request("The Host header must name this server: 127.0.0.1 or localhost, with its port.")
                await _refuse(send_noting_status, refusal)
        except Exception as exc:  # noqa: BLE001  # a server survives a bug; its text may quote a value and goes nowhere
            bug = type(exc).__name__
            if status == _NO_STATUS:
                await _refuse(send_noting_status, Refusal(Code.INTERNAL_ERROR, "The embedded workspace has a bug."))
        finally:
            self._write_log(scope, status, time.perf_counter() - started_s, bug)

    def _note(self, method: str) -> None:
        reads = method in _READING_METHODS
        self._count = RequestCount(read=self._count.read + reads, write=self._count.write + (not reads))

    def _is_host_ours(self, scope: Scope) -> bool:
        """Refuse pages of other sites whose name was made to point at this machine (DNS rebinding)."""
        sent = [value for name, value in scope["headers"] if name == b"host"]
        return len(sent) == 1 and sent[0].lower() in self._hosts

    def _write_log(self, scope: Scope, status: int, took_s: float, bug: str) -> None:
        """Log method, path, status and time: no query, header or body, and no path that is not one of ours."""
        if self._log is not None:
            path = scope["path"] if scope["path"] in self._known_paths else "(unknown path)"
            self._log(f"{scope['method']} {path} {status} {took_s * 1000:.1f} ms {bug}".rstrip())


def _request_id() -> tuple[bytes, bytes]:
    """Return the header by which the platform names a request, with a random id in hexadecimal digits."""
    return b"x-request-id", secrets.token_hex(_ID_BYTES).encode("ascii")


async def _refuse(send: Send, refusal: Refusal) -> None:
    body = json.dumps(refusal.body).encode("ascii")
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode("ascii"))]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
