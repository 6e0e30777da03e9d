"""Runs the embedded workspace: a socket on the loopback, a thread, a clean end."""

import asyncio
import contextlib
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self, TypeAlias

import uvicorn
from starlette.types import ASGIApp

from reconciler.emulator.app import PATHS, Token, build_app
from reconciler.emulator.calls import SecretsApi
from reconciler.emulator.front import Front
from reconciler.emulator.identities import ADMIN, USER, Directory
from reconciler.emulator.rules import Rules
from reconciler.emulator.store import BUSY_TIMEOUT_S, Store
from reconciler.emulator.token_endpoint import Exchanges, ServicePrincipal, TokenEndpoint
from reconciler.errors import UsageError
from reconciler.workspace import RequestCount


Middleware: TypeAlias = Callable[[ASGIApp], ASGIApp]
"""Wraps the application; tests inject faults with it."""

_LOOPBACK: Final = "127.0.0.1"

_BACKLOG: Final = 256
"""Connections that may wait to be accepted."""

_KEEP_ALIVE_S: Final = 3600
"""How long an idle connection stays. Longer than any run: a client that writes into a closing one must retry."""

_GRACE_S: Final = 1.0
"""How long requests under way may take once the server is to stop."""

_STOP_TIMEOUT_S: Final = 10.0
"""How long to wait for the thread; more than `_GRACE_S`, reached only by a bug."""

_TOKEN_BYTES: Final = 24


class Emulator:
    """The embedded workspace, from ``with`` to its end.

    Listens on 127.0.0.1 alone. Requests are served by one thread of this process; the object may be used from any.

    Args:
        state: SQLite file that keeps scopes, secrets and ACLs; None keeps them in memory.
        port: Port to listen on; 0 takes a free one.
        admin_token: Bearer token of ``admin@example.com``; None makes one.
        user_token: Bearer token of ``user@example.com``; None makes one.
        latency_s: Seconds that every request takes longer than it would.
        middleware: ASGI middleware around the application, the first outermost. It does not see requests with a wrong
            Host header. One that sends ``http.response.start`` and returns makes the connection break off.
        log: Gets one line per request: method, path, status and time, from the thread of the server.
        principals: Further users and groups that ACLs may name.
        rules: Limits and the modes in which the platform refuses more.
        busy_timeout_s: How long a request waits for another process that uses the same state file.
        service_principal: A further identity, which gets its tokens from the workspace's token endpoint; None: there is
            no token endpoint.
    """

    def __init__(  # noqa: PLR0913  # all of them optional and named
        self,
        state: Path | None = None,
        *,
        port: int = 0,
        admin_token: str | None = None,
        user_token: str | None = None,
        latency_s: float = 0.0,
        middleware: Sequence[Middleware] = (),
        log: Callable[[str], None] | None = None,
        principals: Iterable[str] = (),
        rules: Rules | None = None,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        service_principal: ServicePrincipal | None = None,
    ) -> None:
        self.admin_token = Token(secrets.token_hex(_TOKEN_BYTES) if admin_token is None else admin_token)
        self.user_token = Token(secrets.token_hex(_TOKEN_BYTES) if user_token is None else user_token)
        for token in (self.admin_token, self.user_token):
            if not token or not token.isascii() or not token.isprintable() or " " in token:
                raise ValueError("a token is made of printable ASCII characters without spaces")
        if self.admin_token == self.user_token:
            raise ValueError("admin and user need different tokens")
        self._state = state
        self._port = port
        self._latency_s = latency_s
        self._middleware = tuple(middleware)
        self._log = log
        self._directory = Directory(principals)
        self._rules = Rules() if rules is None else rules
        self._busy_timeout_s = busy_timeout_s
        self._service_principal = service_principal
        self._endpoint: TokenEndpoint | None = None
        self._front: Front | None = None
        self._url: str | None = None
        self._resources = contextlib.ExitStack()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, to be given to the SDK as host. Stays known after the end."""
        if self._url is None:
            raise RuntimeError("the emulator has not been started")
        return self._url

    @property
    def requests(self) -> RequestCount:
        """Requests since the start, answered or refused: GET as read (the SDK's discovery too), others as write."""
        return RequestCount(read=0, write=0) if self._front is None else self._front.count

    @property
    def exchanges(self) -> Exchanges:
        """Requests to the token endpoint since the start; `requests` has them as well."""
        return Exchanges() if self._endpoint is None else self._endpoint.exchanges

    def revoke_tokens(self) -> None:
        """Accept none of the tokens any more that the token endpoint has issued."""
        if self._endpoint is not None:
            self._endpoint.revoke()

    def __enter__(self) -> Self:
        """Start, and return when requests are answered.

        Raises:
            UsageError: The port is taken.
            WorkspaceError: The state file cannot be used.
        """
        if self._front is not None:
            raise RuntimeError("an emulator is started once")
        with contextlib.ExitStack() as resources:
            store = Store.open(self._state, busy_timeout_s=self._busy_timeout_s)
            resources.callback(store.close)
            listener = resources.enter_context(_listen(self._port))
            port = listener.getsockname()[1]
            self._url = f"http://{_LOOPBACK}:{port}"
            self._front = self._build(store, self._url, port)
            server = _Server(self._front)
            server.start(listener)
            resources.callback(server.stop)
            self._resources = resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop listening, let requests under way end, give the state file back."""
        self._resources.close()

    def _build(self, store: Store, url: str, port: int) -> Front:
        if self._service_principal is not None:
            self._endpoint = TokenEndpoint(self._service_principal, url=url)
        app: ASGIApp = build_app(
            api=SecretsApi(store=store, directory=self._directory, rules=self._rules),
            tokens=((self.admin_token, ADMIN), (self.user_token, USER)),
            rules=self._rules,
            url=url,
            endpoint=self._endpoint,
        )
        for wrap in reversed(self._middleware):
            app = wrap(app)
        return Front(
            app,
            hosts=frozenset({f"{_LOOPBACK}:{port}".encode("ascii"), f"localhost:{port}".encode("ascii")}),
            known_paths=PATHS,
            latency_s=self._latency_s,
            log=self._log,
        )


def serve_forever(emulator: Emulator, *, ready: Callable[[Emulator], None]) -> None:
    """Run an emulator until SIGINT or SIGTERM arrives. To be called from the main thread.

    Args:
        emulator: One that has not been started.
        ready: Called once requests are answered, to tell the user host and tokens.
    """
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with emulator:
            ready(emulator)
            stop.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _listen(port: int) -> socket.socket:
    # The protocol must be named: asyncio sets TCP_NODELAY on connections of a TCP socket only, and a socket made
    # without it says 0. Without TCP_NODELAY every answer waits for the client's delayed acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_LOOPBACK, port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as exc:
        listener.close()
        raise UsageError(
            f"the embedded workspace cannot listen on port {port}", advice="choose another, or 0 for any that is free"
        ) from exc
    return listener


class _Server(uvicorn.Server):
    """uvicorn's server in a thread, without its polling: that would cost up to 0.3 s at every end."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="auto",
                ws="none",
                interface="asgi3",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
            )
        )
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def start(self, listener: socket.socket) -> None:
        """Serve in a thread of its own; return when it does."""
        self._thread = threading.Thread(
            target=self._serve_in_thread, args=(listener,), name="embedded workspace", daemon=True
        )
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """End the thread."""
        if self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)
        if self._thread is not None:
            self._thread.join(_STOP_TIMEOUT_S)

    def _serve_in_thread(self, listener: socket.socket) -> None:
        try:
            self.run(sockets=[listener])
        except BaseException as exc:  # noqa: BLE001  # handed to the thread that waits in `start`
            self._failure = exc
        finally:
            self._ready.set()

    async def main_loop(self) -> None:
        """Wait until `stop`."""
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._ready.set()
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002  # closed by `Emulator`
        """Stop listening, let requests under way end, close the connections."""
        for server in self.servers:
            server.close()
        for connection in tuple(self.server_state.connections):
            connection.shutdown()  # at once if it is idle, else after its answer
        try:
            await asyncio.wait_for(self._connections_gone(), _GRACE_S)
        except TimeoutError:
            for connection in tuple(self.server_state.connections):
                connection.transport.abort()
            await self._connections_gone()

    async def _connections_gone(self) -> None:
        while self.server_state.connections:  # noqa: ASYNC110  # uvicorn keeps a set and has no event for it
            await asyncio.sleep(0.001)
