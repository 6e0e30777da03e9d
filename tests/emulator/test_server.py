"""The server around the API: start, end, who may reach it, what it counts, what it logs."""

import contextlib
import gc
import http.client
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from reconciler.emulator import Emulator, serve_forever
from reconciler.errors import UsageError
from reconciler.model import MAX_VALUE_BYTES
from reconciler.workspace import RequestCount
from tests.emulator.caller import Caller, as_admin, as_user
from tests.emulator.refusals import ROWS, setup


_CANARY: Final = "canary-7d20-value"

_SERVE: Final = """
from reconciler.emulator import Emulator, serve_forever
serve_forever(Emulator(admin_token="admin", user_token="user"), ready=lambda emulator: print(emulator.url, flush=True))
print("ended")
"""


def _address(emulator: Emulator) -> tuple[str, int]:
    parts = urlsplit(emulator.url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def _say(emulator: Emulator, raw: bytes) -> bytes:
    """Send bytes over a socket, and return all that comes back until the server closes."""
    with socket.create_connection(_address(emulator), timeout=10) as connection:
        connection.sendall(raw)
        received = bytearray()
        while chunk := connection.recv(65536):
            received += chunk
        return bytes(received)


def test_url_and_tokens_are_random_unless_given() -> None:
    """Two emulators have different ports and four different tokens; what is given is used."""
    with Emulator() as one, Emulator() as other:
        assert one.url != other.url
        assert len({one.admin_token, one.user_token, other.admin_token, other.user_token}) == 4
    with Emulator(admin_token="a", user_token="b") as given:
        assert (given.admin_token, given.user_token) == ("a", "b")


@pytest.mark.parametrize(
    ("admin", "user"),
    [
        pytest.param("", "u", id="empty"),
        pytest.param("a b", "u", id="space"),
        pytest.param("a\n", "u", id="line break"),
        pytest.param("é", "u", id="beyond ASCII"),
        pytest.param("same", "same", id="the same twice"),
    ],
)
def test_token_that_cannot_work_is_refused_without_being_shown(admin: str, user: str) -> None:
    """Tokens must fit into a header and tell the identities apart."""
    with pytest.raises(ValueError, match="token") as refused:
        Emulator(admin_token=admin, user_token=user)
    assert "same" not in str(refused.value)


def test_port_can_be_chosen_and_a_taken_one_is_told() -> None:
    """The port is the given one; a second emulator on it is refused with advice, and can then be started elsewhere."""
    with Emulator() as first:
        port = _address(first)[1]
        with pytest.raises(UsageError, match=f"port {port}") as refused, Emulator(port=port):
            pass
        assert refused.value.advice is not None
    with Emulator(port=port) as again:
        assert _address(again) == ("127.0.0.1", port)


@pytest.mark.parametrize("port", [-1, 65536])
def test_port_that_does_not_exist_is_told(port: int) -> None:
    """Numbers that are no ports are usage errors too."""
    with pytest.raises(UsageError), Emulator(port=port):
        pass


def test_only_the_loopback_is_listened_on() -> None:
    """The socket is bound to 127.0.0.1, so that no other address of this machine reaches it."""
    with Emulator() as emulator:
        port = _address(emulator)[1]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5)


def test_answers_are_sent_without_delay() -> None:
    """Connections have TCP_NODELAY: 50 requests, one after the other, take nowhere near 40 ms each."""
    with Emulator() as emulator, as_admin(emulator) as admin:
        started = time.perf_counter()
        for _ in range(50):
            assert admin.get("scopes/list").status == 200
        assert time.perf_counter() - started < 50 * 0.02


@pytest.mark.parametrize(
    ("host", "status"),
    [
        pytest.param("127.0.0.1:{port}", 200, id="address"),
        pytest.param("localhost:{port}", 200, id="name"),
        pytest.param("LOCALHOST:{port}", 200, id="name in capitals"),
        pytest.param("localhost", 400, id="no port"),
        pytest.param("127.0.0.1:1", 400, id="another port"),
        pytest.param("evil.example.com", 400, id="another name"),
        pytest.param("evil.example.com:{port}", 400, id="another name with the port"),
        pytest.param("127.0.0.1:{port}.evil.example.com", 400, id="a longer name"),
        pytest.param("", 400, id="empty"),
    ],
)
@pytest.mark.parametrize("path", ["/.well-known/databricks-config", "/api/2.0/secrets/scopes/list"])
def test_host_header_must_name_this_server(host: str, status: int, path: str) -> None:
    """A page whose name was pointed at this machine reaches nothing, not even the discovery document."""
    with Emulator() as emulator, as_admin(emulator) as admin:
        host = host.format(port=_address(emulator)[1])
        assert admin.send("GET", path, headers={"Host": host}).status == status


def test_host_header_may_not_be_missing() -> None:
    """HTTP/1.0 allows no Host header; this server does not."""
    with Emulator() as emulator:
        assert _say(emulator, b"GET /.well-known/databricks-config HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", id="TLS"),
        pytest.param(b"GET / HTTP/1.1\r\nbroken\r\n\r\n", id="broken header"),
        pytest.param(b"GET /\r\n\r\n", id="no version"),
        pytest.param(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", id="length that is no number"),
    ],
)
def test_what_is_not_http_gets_400_and_the_server_goes_on(raw: bytes) -> None:
    """Noise on the socket is refused and harms nobody else."""
    with Emulator() as emulator:
        assert _say(emulator, raw).startswith(b"HTTP/1.1 400 ")
        with as_admin(emulator) as admin:
            assert admin.get("scopes/list").status == 200


def test_malformed_json_over_a_bare_socket_gives_nothing_back() -> None:
    """A body that breaks off in the middle of a value is refused without a word of it."""
    with Emulator() as emulator:
        body = b'{"scope": "s", "key": "k", "string_value": "' + _CANARY.encode()
        head = (
            f"POST /api/2.0/secrets/put HTTP/1.1\r\nHost: {urlsplit(emulator.url).netloc}\r\n"
            f"Authorization: Bearer {emulator.admin_token}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        received = _say(emulator, head.encode() + body)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"MALFORMED_REQUEST" in received
    assert _CANARY.encode() not in received


def test_client_that_leaves_in_the_middle_harms_nobody() -> None:
    """A connection that breaks off before its body ends is forgotten."""
    with Emulator() as emulator:
        with socket.create_connection(_address(emulator), timeout=10) as connection:
            connection.sendall(
                f"POST /api/2.0/secrets/put HTTP/1.1\r\nHost: {urlsplit(emulator.url).netloc}\r\n"
                f"Authorization: Bearer {emulator.admin_token}\r\nContent-Length: 100\r\n\r\n{{".encode()
            )
        with as_admin(emulator) as admin:
            assert admin.get("scopes/list").status == 200


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        pytest.param(None, 401, 401, id="none"),
        pytest.param("", 401, 401, id="empty"),
        pytest.param("Bearer", 401, 401, id="no token"),
        pytest.param("Bearer ", 401, 401, id="empty token"),
        pytest.param("Basic {token}", 401, 401, id="another scheme"),
        pytest.param("Bearer {token}x", 403, 403, id="a longer token"),
        pytest.param("Bearer x", 403, 403, id="another token"),
        pytest.param("Bearer \xe9", 403, 403, id="beyond ASCII"),
        pytest.param("Bearer {token}", 200, None, id="the token"),
        pytest.param("bearer {token}", 200, None, id="scheme in lower case"),
    ],
)
def test_token_is_needed(header: str | None, status: int, code: int | None) -> None:
    """Without a token 401, with one that is nobody's 403, both with the number in place of a code."""
    with Emulator() as emulator, Caller(emulator, None) as caller:
        sent = {} if header is None else {"Authorization": header.format(token=emulator.admin_token)}
        for path in ("/api/2.0/secrets/scopes/list", "/api/2.0/preview/scim/v2/Me"):
            answer = caller.send("GET", path, headers=sent)
            assert answer.status == status
            assert answer.json.get("error_code") == code
            assert emulator.admin_token not in answer.text


def test_discovery_document_needs_no_token() -> None:
    """The SDK asks for it before it has one."""
    with Emulator() as emulator, Caller(emulator, None) as caller:
        answer = caller.send("GET", "/.well-known/databricks-config")
        assert answer.json == {"oidc_endpoint": f"{emulator.url}/oidc", "workspace_id": "1"}


def test_every_answer_has_an_id_of_its_own() -> None:
    """Refusals, unknown paths and wrong Host headers have one as well, and it is never the client's."""
    with Emulator() as emulator, as_admin(emulator) as admin:
        answers = (
            admin.send("GET", "/.well-known/databricks-config"),
            admin.get("scopes/list"),
            admin.get("list", scope="nowhere"),
            admin.send("GET", "/nothing", headers={"X-Request-Id": "mine"}),
            admin.send("GET", "/nothing", headers={"Host": "evil.example.com"}),
        )

    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == len(answers)
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)


def test_requests_are_counted_by_kind() -> None:
    """GET counts as read, everything else as write; refused requests count, noise does not."""
    with Emulator() as emulator:
        assert emulator.requests == RequestCount(read=0, write=0)
        with as_admin(emulator) as admin, as_user(emulator) as user:
            admin.send("GET", "/.well-known/databricks-config")
            admin.get("scopes/list")
            admin.post("scopes/create", scope="s")
            user.post("put", scope="s", key="k", string_value="x")
            admin.send("GET", "/nothing", headers={"Host": "evil.example.com"})
            admin.send("DELETE", "/nothing")
        _say(emulator, b"noise\r\n\r\n")
        assert emulator.requests == RequestCount(read=3, write=3)
    assert emulator.requests == RequestCount(read=3, write=3)


def test_log_has_a_line_per_request_and_no_value_and_no_token(caplog: pytest.LogCaptureFixture) -> None:
    """Method, known path, status and time; nothing that was sent, also with every error provoked."""
    lines: list[str] = []
    caplog.set_level(logging.DEBUG)
    with Emulator(log=lines.append) as emulator:
        setup(emulator)
        for row in ROWS:
            row.provoke(emulator)
        with as_admin(emulator) as admin:
            admin.send("GET", f"/{_CANARY}%0aforged?value={_CANARY}")
            admin.get("get", scope="open", key=_CANARY)
        requests = emulator.requests
    # Only now: a line is written after its answer, so the client may be ahead of it.
    assert len(lines) == requests.read + requests.write
    everything = "\n".join((*lines, caplog.text))
    for secret in ("canary", emulator.admin_token, emulator.user_token, "forged"):
        assert secret not in everything
    assert lines[0].startswith("POST /api/2.0/secrets/scopes/create 200 ")
    assert lines[-2].startswith("GET (unknown path) 404 ")


def test_latency_is_added_to_requests_that_run_side_by_side() -> None:
    """Sixteen clients that wait 50 ms each time are served side by side, not one after the other."""
    with Emulator(latency_s=0.05) as emulator:
        with as_admin(emulator) as admin:
            started = time.perf_counter()
            admin.post("scopes/create", scope="s")
            assert time.perf_counter() - started >= 0.05

        def work(number: int) -> None:
            with as_admin(emulator) as caller:
                for turn in range(4):
                    assert caller.post("put", scope="s", key=f"{number}-{turn}", string_value="x").status == 200

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # One after the other it would take 3.2 s; side by side 0.2 s and what the machine is slow.
        assert 0.2 <= time.perf_counter() - started < 1.6


def _answer_503(app: ASGIApp) -> ASGIApp:
    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/put"):
            await send({"type": "http.response.start", "status": 503, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})
        else:
            await app(scope, receive, send)

    return middleware


def _break_off(app: ASGIApp) -> ASGIApp:
    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        async def swallow(_message: object) -> None:
            """Do the work and lose the answer."""

        await app(scope, receive, swallow)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})

    return middleware


def _crash(_app: ASGIApp) -> ASGIApp:
    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError(_CANARY)

    return middleware


def test_middleware_can_answer_in_place_of_the_server() -> None:
    """Tests inject faults; the request is counted all the same."""
    with Emulator(middleware=[_answer_503]) as emulator, as_admin(emulator) as admin:
        assert admin.post("put", scope="s", key="k", string_value="x").status == 503
        assert admin.get("scopes/list").status == 200
        assert emulator.requests == RequestCount(read=1, write=1)


def test_middleware_can_lose_an_answer_after_the_effect(caplog: pytest.LogCaptureFixture) -> None:
    """The scope is created, the client sees the connection break off, and nothing is printed about it."""
    with Emulator(middleware=[_break_off]) as emulator:
        with as_admin(emulator) as admin, pytest.raises(http.client.IncompleteRead):
            admin.post("scopes/create", scope="s")
        with as_admin(emulator) as admin, pytest.raises(http.client.IncompleteRead):
            admin.get("scopes/list")
    assert caplog.records == []


def test_first_middleware_is_outermost() -> None:
    """They are wrapped as they are listed."""
    with Emulator(middleware=[_answer_503, _crash]) as emulator, as_admin(emulator) as admin:
        assert admin.post("put", scope="s", key="k", string_value="x").status == 503


def test_bug_is_answered_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    """An exception becomes INTERNAL_ERROR; its text, which may quote a value, is neither sent nor logged."""
    lines: list[str] = []
    with Emulator(middleware=[_crash], log=lines.append) as emulator, as_admin(emulator) as admin:
        answer = admin.get("scopes/list")
        assert (answer.status, answer.code) == (500, "INTERNAL_ERROR")
    assert lines[0].endswith(" ms RuntimeError")
    assert _CANARY not in "\n".join((answer.text, *lines, caplog.text))


def test_end_is_quick_and_leaves_nothing_behind() -> None:
    """With idle connections open, stopping takes a fraction of a second; thread, sockets and memory are given back."""
    before = threading.active_count()
    with Emulator() as emulator:
        callers = [as_admin(emulator) for _ in range(3)]
        for caller in callers:
            caller.get("scopes/list")
        started = time.perf_counter()
    took_s = time.perf_counter() - started
    for caller in callers:
        caller.__exit__(None, None, None)
    assert took_s < 0.5
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(_address(emulator), timeout=5)
    gc.collect()  # a socket or loop that was left open would warn here, and warnings are errors


def test_request_under_way_gets_its_answer_at_the_end() -> None:
    """Stopping waits for requests that were already being served."""
    statuses: list[int] = []
    with Emulator(latency_s=0.2) as emulator:

        def ask() -> None:
            with as_admin(emulator) as caller:
                statuses.append(caller.get("scopes/list").status)

        thread = threading.Thread(target=ask)
        thread.start()
        while emulator.requests.read == 0:
            time.sleep(0.005)
    thread.join()
    assert statuses == [200]


def test_client_that_does_not_read_cannot_hold_up_the_end() -> None:
    """Answers that nobody takes are dropped after a second, and nothing is left open."""
    value = "x" * MAX_VALUE_BYTES
    with contextlib.ExitStack() as clients:
        with Emulator() as emulator:
            with as_admin(emulator) as admin:
                admin.post("scopes/create", scope="s")
                admin.post("put", scope="s", key="k", string_value=value)
            request = (
                f"GET /api/2.0/secrets/get?scope=s&key=k HTTP/1.1\r\nHost: {urlsplit(emulator.url).netloc}\r\n"
                f"Authorization: Bearer {emulator.admin_token}\r\n\r\n"
            )
            client = clients.enter_context(socket.create_connection(_address(emulator), timeout=10))
            client.sendall(request.encode() * 100)  # 17 MB of answers: more than any buffer holds
            while emulator.requests.read == 0:
                time.sleep(0.005)
            time.sleep(0.1)  # for the buffers to fill
            started = time.perf_counter()
        assert time.perf_counter() - started < 5
        gc.collect()


def test_request_that_takes_too_long_cannot_hold_up_the_end() -> None:
    """A request that would be served in a minute is dropped after a second; its client sees the connection break."""
    failures: list[Exception] = []
    with Emulator(latency_s=60) as emulator:

        def ask() -> None:
            with as_admin(emulator) as caller:
                try:
                    caller.get("scopes/list")
                except (ConnectionError, http.client.HTTPException) as exc:
                    failures.append(exc)

        thread = threading.Thread(target=ask)
        thread.start()
        while emulator.requests.read == 0:
            time.sleep(0.005)
        started = time.perf_counter()
    assert time.perf_counter() - started < 5
    thread.join()
    assert len(failures) == 1


def test_emulator_is_started_once() -> None:
    """Starting twice is a mistake that is told; so is asking for the URL before."""
    emulator = Emulator()
    with pytest.raises(RuntimeError, match="not been started"):
        _ = emulator.url
    with emulator:
        pass
    with pytest.raises(RuntimeError, match="once"), emulator:
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_ends_with_a_signal(number: signal.Signals) -> None:
    """`serve_forever` tells when it is ready, says nothing itself, and returns on SIGINT and SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    address = urlsplit(process.stdout.readline().strip()).netloc
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", "/api/2.0/preview/scim/v2/Me", headers={"Authorization": "Bearer user"})
    assert json.load(connection.getresponse())["userName"] == "user@example.com"
    process.send_signal(number)
    output, errors = process.communicate(timeout=20)
    connection.close()
    assert (process.returncode, output, errors) == (0, "ended\n", "")


def test_signal_handlers_are_given_back() -> None:
    """After serving, signals do what they did before."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    serve_forever(Emulator(), ready=lambda _emulator: os.kill(os.getpid(), signal.SIGTERM))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
