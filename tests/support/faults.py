"""Makes an embedded workspace fail on purpose, over real HTTP: which requests, how often, before or after the effect.

::

    faults = Faults()
    with WorkspaceServer(middleware=(faults,)) as server:
        faults.add("put", Say.error(503, "TEMPORARILY_UNAVAILABLE"), scope="app", times=1)
"""

import asyncio
import base64
import inspect
import json
import socket
import struct
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Self, TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope, Send


_API: Final = "/api/2.0/secrets/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request is about."""

    operation: str
    """Of the Secrets API, such as ``put``; else the path."""

    fields: Mapping[str, str]
    """Of the query or the body."""

    headers: Mapping[str, str]

    @property
    def value(self) -> bytes:
        """What a put would store."""
        return base64.b64decode(self.fields.get("bytes_value", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Answer this."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def error(cls, status: int, code: str, message: str = "no", **headers: str) -> Self:
        """Make an error as the API documents it."""
        body = json.dumps({"error_code": code, "message": message}).encode()
        return cls(status=status, body=body, headers={name.replace("_", "-"): text for name, text in headers.items()})

    @classmethod
    def page(cls, status: int, text: str = "Please sign in") -> Self:
        """Make a page for people, as a proxy would."""
        return cls(
            status=status, body=f"<html><body>{text}</body></html>".encode(), headers={"content-type": "text/html"}
        )


@dataclass(frozen=True, slots=True)
class Break:
    """Break the connection instead of answering."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection without a byte of an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hang:
    """Do not answer."""

    seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class StoreInstead:
    """Store another value and say that all is well."""

    value: bytes


Reaction: TypeAlias = Say | Break | Reset | Hang | StoreInstead


@dataclass(slots=True, kw_only=True)
class _Fault:
    operation: str | None
    choose: Callable[[Asked], Reaction]
    scope: str | None
    key: str | None
    after: bool
    times: int | None
    skip: int

    def fits(self, asked: Asked) -> bool:
        """Tell whether it is the turn of this one, and count."""
        for wanted, found in (
            (self.operation, asked.operation),
            (self.scope, asked.fields.get("scope")),
            (self.key, asked.fields.get("key")),
        ):
            if wanted is not None and wanted != found:
                return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0


class Faults:
    """A middleware for `reconciler.emulator.Emulator`; does nothing until told to."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        """All requests so far."""
        self._faults: list[_Fault] = []

    def add(
        self,
        operation: str | None,
        reaction: Reaction | Callable[[Asked], Reaction],
        *,
        scope: str | None = None,
        key: str | None = None,
        after: bool = False,
        times: int | None = None,
        skip: int = 0,
    ) -> Self:
        """Fail requests.

        Args:
            operation: such as ``put`` or ``acls/list``, or a path; None for all.
            reaction: what to do, or what decides on it.
            scope: only requests about it.
            key: only requests about it.
            after: let the request take effect first.
            times: how often; None for ever.
            skip: how many to let pass before.
        """
        choose = reaction if callable(reaction) else lambda _: reaction
        self._faults.append(
            _Fault(operation=operation, choose=choose, scope=scope, key=key, after=after, times=times, skip=skip)
        )
        return self

    def clear(self) -> None:
        """Be well again."""
        self._faults.clear()

    def __call__(self, app: ASGIApp) -> ASGIApp:
        """Wrap the application."""

        async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
            body = await whole_body(receive) if scope["method"] != "GET" else b""
            asked = asked_of(scope, body)
            self.asked.append(asked)
            fault = next((each for each in self._faults if each.fits(asked)), None)
            if fault is None:
                await app(scope, sent_again(body), send)
                return
            if fault.after:
                await app(scope, sent_again(body), swallow)
            reaction = fault.choose(asked)
            if isinstance(reaction, StoreInstead):
                fields = {**json.loads(body), "bytes_value": base64.b64encode(reaction.value).decode()}
                await app(scope, sent_again(json.dumps(fields).encode()), send)
            else:
                await react(reaction, send)

        return faulty


async def react(reaction: Say | Break | Reset | Hang, send: Send) -> None:
    """Do instead of answering, or answer, what ``reaction`` says."""
    match reaction:
        case Hang(seconds=seconds):
            await asyncio.sleep(seconds)
        case Reset():
            transport = _transport_under(send)
            # Closing resets a connection that does not linger.
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        case Break():
            # Without a body behind it the server breaks the connection off.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        case Say():
            headers = {
                "content-type": "application/json",
                **reaction.headers,
                "content-length": str(len(reaction.body)),
            }
            raw = [(name.encode(), text.encode("latin-1")) for name, text in headers.items()]
            await send({"type": "http.response.start", "status": reaction.status, "headers": raw})
            await send({"type": "http.response.body", "body": reaction.body})


def _transport_under(send: Send) -> asyncio.Transport:
    """Return the connection that ``send`` writes to, which ASGI keeps from its applications.

    It is the method of an object of uvicorn, within functions that wrap it.
    """
    inner = getattr(send, "__self__", None)
    if inner is not None:
        found: asyncio.Transport = inner.transport
        return found
    wrapped = (cell.cell_contents for cell in getattr(send, "__closure__", None) or ())
    (within,) = (each for each in wrapped if inspect.isroutine(each))
    return _transport_under(within)


async def whole_body(receive: Receive) -> bytes:
    """Return the body of a request."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def sent_again(body: bytes) -> Receive:
    """Return what hands ``body`` to an application."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def swallow(_message: Message) -> None:
    """Lose what an application answers."""


def asked_of(scope: Scope, body: bytes) -> Asked:
    """Return what a request is about."""
    fields = json.loads(body) if body else dict(urllib.parse.parse_qsl(scope["query_string"].decode()))
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return Asked(operation=str(scope["path"]).removeprefix(_API), fields=fields, headers=headers)
