"""The retry policy over real HTTP: each class of fault, many threads at once, an end in the middle, ids of requests."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from starlette.types import ASGIApp, Receive, Scope, Send

from reconciler import errors
from reconciler.databricks_workspace import DatabricksWorkspace
from reconciler.databricks_workspace._calls import Call
from reconciler.databricks_workspace._failures import patience_with
from reconciler.databricks_workspace._pace import Pace
from reconciler.databricks_workspace._retrying import Retrying
from reconciler.databricks_workspace._transport import RequestCounter, Transport
from reconciler.emulator import Emulator, Middleware
from reconciler.model import KeyName, Permission, Principal, ScopeName, SecretValue
from reconciler.workspace import RequestCount
from tests.databricks_workspace.joining import TOKEN, facing, joined
from tests.support.hostile_server import WELL_KNOWN, Answer, Hang, HostileServer, Reaction, Reset, Seen, refusal


SCOPE = ScopeName("payments")
KEY = KeyName("db-password")
VALUE = SecretValue(b"a value to be put")
USERS = Principal("users")
THREADS = 16


def _put(workspace: DatabricksWorkspace) -> object:
    return workspace.put_secret(SCOPE, KEY, VALUE)


def _page(status: int) -> Answer:
    return Answer(status=status, body=b"<html>", headers={"Content-Type": "text/html"})


@pytest.mark.parametrize("act", [_put, lambda workspace: workspace.list_secrets(SCOPE)], ids=["write", "read"])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(refusal(429, "REQUEST_LIMIT_EXCEEDED"), id="429"),
        pytest.param(refusal(429, "REQUEST_LIMIT_EXCEEDED", Retry_After="0"), id="429 with Retry-After"),
        pytest.param(refusal(500, "INTERNAL_ERROR"), id="500"),
        pytest.param(refusal(502, "X"), id="502"),
        pytest.param(refusal(503, "TEMPORARILY_UNAVAILABLE"), id="503"),
        pytest.param(refusal(503, "TEMPORARILY_UNAVAILABLE", Retry_After="0"), id="503 with Retry-After"),
        pytest.param(refusal(504, "X"), id="504"),
        pytest.param(_page(500), id="page with 500"),
        pytest.param(_page(502), id="page with 502"),
        pytest.param(_page(429), id="page with 429"),
        pytest.param(_page(403), id="page with 403"),
        pytest.param(_page(404), id="page with 404"),
        pytest.param(_page(200), id="page with 200"),
        pytest.param(Answer(body=b'{"secrets": ['), id="half an answer"),
        pytest.param(Answer(body={"secrets": []}, cut=True), id="broken off"),
        pytest.param(Reset(), id="reset"),
    ],
)
def test_repeats_what_may_pass(act: Callable[[DatabricksWorkspace], object], fault: Reaction) -> None:
    """A second attempt, and then it is done; both are counted."""
    with facing(fault, Answer()) as (workspace, server):
        act(workspace)

        assert len(server.paths()) == 2
        count = workspace.request_count()
        assert count.read + count.write == 3


def test_repeats_what_hangs() -> None:
    """One attempt does not use up the time of the others."""
    call = Call(3.0, least_attempt_s=0.2)
    retrying = Retrying(call=call, pace=Pace(), patience=lambda error: patience_with(error, call), chance=lambda: 0.1)
    with HostileServer.saying(Hang(), Hang(), Answer()) as server, requests.Session() as session:
        session.mount("http://", Transport(call=call, counter=RequestCounter(), connections=1))

        assert retrying.run(lambda: session.get(f"{server.url}/anything")).status_code == 200
        assert len(server.paths()) == 3


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(refusal(400, "BAD_REQUEST"), id="400"),
        pytest.param(refusal(401, "UNAUTHENTICATED"), id="401"),
        pytest.param(_page(401), id="page with 401"),
        pytest.param(refusal(403, "PERMISSION_DENIED"), id="403"),
        pytest.param(refusal(404, "RESOURCE_DOES_NOT_EXIST"), id="404"),
        pytest.param(refusal(409, "RESOURCE_CONFLICT"), id="409"),
        pytest.param(refusal(501, "NOT_IMPLEMENTED"), id="501"),
        pytest.param(Answer(status=302, headers={"Location": "/"}), id="redirect"),
        pytest.param(Answer(body=[]), id="JSON of another shape"),
    ],
)
def test_repeats_no_answer(answer: Answer) -> None:
    """What was answered once is answered."""
    with facing(answer) as (workspace, server):
        with pytest.raises(errors.WorkspaceError) as caught:
            workspace.put_secret(SCOPE, KEY, VALUE)

        assert "tried" not in str(caught.value)
        assert len(server.paths()) == 1


def test_says_how_often_and_how_long_it_tried() -> None:
    """With the reason of the last attempt."""
    with facing(refusal(500, "INTERNAL_ERROR"), timeout_s=0.5) as (workspace, server):
        with pytest.raises(errors.UnexpectedAnswer) as caught:
            _put(workspace)

        count = len(server.paths())
        tried = "once" if count == 1 else f"{count} times"
        assert f"the platform answered INTERNAL_ERROR (500) (tried {tried} in 0." in str(caught.value)


@pytest.mark.parametrize("status", [200, 403])
def test_a_wrong_token_shows_quickly(status: int) -> None:
    """Databricks may answer one with a page; a few seconds, whatever the time allowed."""
    with facing(_page(status), timeout_s=60.0) as (workspace, _):
        began = time.monotonic()
        with pytest.raises(errors.UnexpectedAnswer, match="tried"):
            workspace.whoami()

        assert time.monotonic() - began < 5.0


class Limit:
    """Middleware that serves so many requests a second, and answers the others with 429."""

    def __init__(self, per_second: int, *, says: str | None) -> None:
        self._per_second = per_second
        self._says = says
        self._window = 0.0
        self._left = 0
        self.answers: Counter[int] = Counter()

    def middleware(self) -> Middleware:
        """Return the middleware."""

        def wrap(app: ASGIApp) -> ASGIApp:
            async def limited(scope: Scope, receive: Receive, send: Send) -> None:
                if not str(scope["path"]).startswith("/api/2.0/secrets/"):
                    await app(scope, receive, send)
                elif self._serves():
                    self.answers[200] += 1
                    await app(scope, receive, send)
                else:
                    self.answers[429] += 1
                    await _refuse(send, self._says)

            return limited

        return wrap

    def _serves(self) -> bool:
        now = time.monotonic()
        # Windows of a fifth of a second: a limit that is checked as often as that.
        if now - self._window >= 0.2:
            self._window, self._left = now, self._per_second // 5
        self._left -= 1
        return self._left >= 0


async def _refuse(send: Send, says: str | None) -> None:
    body = b'{"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "no"}'
    headers = [(b"content-length", str(len(body)).encode()), *([(b"retry-after", says.encode())] if says else [])]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def limited(per_second: int, *, says: str | None = None) -> Iterator[tuple[DatabricksWorkspace, Limit]]:
    """Connect to a workspace that serves so many requests a second."""
    limit = Limit(per_second, says=says)
    with (
        Emulator(middleware=(limit.middleware(),)) as emulator,
        joined(emulator.url, token=emulator.admin_token, timeout_s=30.0, concurrency=THREADS) as workspace,
    ):
        workspace.create_scope(SCOPE)
        yield workspace, limit


def _put_many(workspace: DatabricksWorkspace, count: int) -> list[float]:
    """Put so many secrets by sixteen threads, and return how long each call took, in seconds."""

    def put(number: int) -> float:
        began = time.monotonic()
        workspace.put_secret(SCOPE, KeyName(f"key-{number}"), VALUE)
        return time.monotonic() - began

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(put, range(count)))


def test_slows_down_as_a_whole_when_it_is_told_to() -> None:
    """All succeed, and few are refused: the first burst, and one now and then when the pace gets too fast again.

    Threads that waited each for itself were refused ten times as often when tried, thirty times with Retry-After.
    """
    with limited(50) as (workspace, limit):
        _put_many(workspace, 120)
        count = workspace.request_count()

        assert limit.answers[200] == 121
        assert limit.answers[429] <= 2 * THREADS
        assert count.write == 121 + limit.answers[429]


def test_nobody_asks_before_the_pause_is_over() -> None:
    """Neither who was told nor the others, and then one after the other."""
    asked: list[float] = []

    def react(seen: Seen) -> Answer:
        if seen.path == WELL_KNOWN:
            return Answer()
        asked.append(time.monotonic())
        return Answer() if len(asked) > 1 else refusal(429, "REQUEST_LIMIT_EXCEEDED", Retry_After="1")

    with (
        HostileServer(react) as server,
        joined(server.url, concurrency=THREADS, timeout_s=20.0) as workspace,
        ThreadPoolExecutor(1) as pool,
    ):
        pool.submit(_put, workspace)
        _wait_until(lambda: bool(asked))
        time.sleep(0.1)
        _put_many(workspace, THREADS)

    told, *later = sorted(asked)
    assert len(later) == THREADS + 1
    assert later[0] - told > 0.99
    # 20 ms apart at first.
    assert later[-1] - later[0] > 0.2


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_an_end_wakes_up_who_waits_for_another_attempt() -> None:
    """At once, with what the attempt before met; what comes after has one attempt."""
    with facing(refusal(503, "TEMPORARILY_UNAVAILABLE", Retry_After="20"), timeout_s=60.0) as (workspace, server):
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(_put, workspace)
            _wait_until(lambda: bool(server.paths()))
            time.sleep(0.05)
            began = time.monotonic()
            workspace.wind_down()
            with pytest.raises(errors.UnexpectedAnswer, match=r"\(503\) \(tried once .* the run was interrupted\)"):
                waiting.result()

        assert time.monotonic() - began < 1.0
        assert len(server.paths()) == 1


def test_after_the_end_there_is_one_attempt_each() -> None:
    """What was done is still to be written down."""
    with facing(refusal(500, "INTERNAL_ERROR"), Answer(), timeout_s=60.0) as (workspace, server):
        workspace.wind_down()
        with pytest.raises(errors.UnexpectedAnswer, match="not again as the run was interrupted"):
            _put(workspace)
        _put(workspace)

        assert len(server.paths()) == 2


class TestRequestIds:
    """What the platform calls a request, for its audit log."""

    def test_are_returned_by_whatever_writes(self) -> None:
        """Each has its own."""
        with Emulator() as emulator, joined(emulator.url, token=emulator.admin_token) as workspace:
            ids = [
                workspace.create_scope(SCOPE),
                workspace.put_acl(SCOPE, USERS, Permission.READ),
                workspace.delete_acl(SCOPE, USERS),
                workspace.put_secret(SCOPE, KEY, VALUE),
                workspace.delete_secret(SCOPE, KEY),
                workspace.delete_scope(SCOPE),
            ]

        assert len(set(ids)) == 6
        assert all(one is not None and len(one) == 32 for one in ids)

    def test_are_those_of_the_last_attempt(self) -> None:
        """The first one's says what failed."""
        first = Answer(status=500, headers={"X-Request-Id": "first"})
        with facing(first, Answer(headers={"X-Request-Id": "second"})) as (workspace, _):
            assert _put(workspace) == "second"

    def test_are_none_where_none_is_said(self) -> None:
        """Nor is that of the call before."""
        with facing(Answer(headers={"X-Request-Id": "one"}), Answer()) as (workspace, _):
            assert _put(workspace) == "one"
            assert _put(workspace) is None

    def test_stand_in_failures(self) -> None:
        """In the header, or in the details of the error."""
        info = {"@type": "type.googleapis.com/google.rpc.RequestInfo", "request_id": "in-details", "serving_data": ""}
        answers = (
            refusal(403, "PERMISSION_DENIED", X_Request_Id="in-header"),
            Answer(status=403, body={"error_code": "PERMISSION_DENIED", "message": "no", "details": [info]}),
            refusal(403, "PERMISSION_DENIED"),
        )
        found = []
        with facing(*answers) as (workspace, _):
            for _ in answers:
                with pytest.raises(errors.PermissionDenied) as caught:
                    _put(workspace)
                found.append(caught.value.request_id)

        assert found == ["in-header", "in-details", None]

    @pytest.mark.parametrize("echo", [VALUE.reveal().decode().replace(" ", "-"), TOKEN, "a\x1b[31mb", "x" * 129])
    def test_are_dropped_where_they_may_not_be_shown(self, echo: str) -> None:
        """Value, token, control characters, length."""
        value = SecretValue(VALUE.reveal().replace(b" ", b"-"))
        with facing(Answer(headers={"X-Request-Id": echo})) as (workspace, _):
            assert workspace.put_secret(SCOPE, KEY, value) is None

    def test_are_dropped_where_they_may_be_the_value_that_was_asked_for(self) -> None:
        """It is not known, so it cannot be recognised."""
        with facing(refusal(403, "PERMISSION_DENIED", X_Request_Id="hunter2")) as (workspace, _):
            with pytest.raises(errors.PermissionDenied) as caught:
                workspace.get_secret(SCOPE, KEY)

            assert caught.value.request_id is None


def test_counts_every_attempt() -> None:
    """As the server does."""
    with facing(refusal(500, "X"), Reset(), Answer()) as (workspace, _):
        _put(workspace)

        assert workspace.request_count() == RequestCount(read=1, write=3)
