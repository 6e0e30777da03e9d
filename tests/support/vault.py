"""Servers on the loopback that take the place of key services: one that only counts who comes, and a tiny Vault."""

import base64
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self


class Ear:
    """Listens, counts connections and closes them."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self.heard: list[bytes] = []
        """What each connection sent first."""

    @property
    def address(self) -> str:
        """``127.0.0.1:PORT``."""
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with socket.create_connection(self._socket.getsockname(), timeout=5) as farewell:
            farewell.sendall(b"END")
        self._thread.join(5)
        self._socket.close()

    def _listen(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                connection.settimeout(2)
                try:
                    heard = connection.recv(65536)
                except OSError:
                    heard = b""
                if heard == b"END":
                    return
                self.heard.append(heard)  # before it is closed: whoever is heard may end on that, and be looked for


class VaultRequest(NamedTuple):
    """One request to the Vault."""

    path: str
    token: str


class Vault:
    """A Vault that knows one engine, ``transit``, and wraps keys so that only its own tests can be fooled."""

    def __init__(self) -> None:
        self.requests: list[VaultRequest] = []
        vault = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                vault.answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401  # the signature of the base
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(poll_interval=0.02), daemon=True)

    @property
    def address(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def key(self) -> str:
        """URI of its key, as ``.sops.yaml`` has it."""
        return f"{self.address}/v1/transit/keys/dev"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        self.requests.append(VaultRequest(request.path, request.headers.get("X-Vault-Token", "")))
        body = json.loads(request.rfile.read(int(request.headers.get("Content-Length", "0"))))
        if request.path == "/v1/transit/encrypt/dev":
            wrapped = base64.b64encode(base64.b64decode(body["plaintext"])[::-1]).decode()
            data = {"ciphertext": f"vault:v1:{wrapped}"}
        else:
            wrapped = body["ciphertext"].removeprefix("vault:v1:")
            data = {"plaintext": base64.b64encode(base64.b64decode(wrapped)[::-1]).decode()}
        answer = json.dumps({"data": data}).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(answer)))
        request.end_headers()
        request.wfile.write(answer)
