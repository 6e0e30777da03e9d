"""The table from foreign exceptions to ours is complete, and none of their text gets through it."""

import base64
import io
import logging
import traceback
from collections.abc import Callable
from typing import Final

import databricks.sdk.errors
import pytest
import requests
from databricks.sdk.errors import platform
from databricks.sdk.errors.base import DatabricksError

from reconciler import errors
from reconciler.databricks_workspace import DatabricksWorkspace, _calls, _failures, _retrying, _transport
from reconciler.databricks_workspace._retrying import Patience
from reconciler.model import KeyName, Permission, Principal, ScopeName, SecretValue
from tests.databricks_workspace.joining import TOKEN, facing
from tests.support.hostile_server import Answer, Hang, Reaction, Reset, refusal


CANARY: Final = "canary-vAlUe-\u00e4/7c9e"
ENCODED: Final = base64.b64encode(CANARY.encode()).decode()
SCOPE: Final = ScopeName("payments")
KEY: Final = KeyName("db-password")
OPERATION: Final = _calls.Operation(what="putting payments/db-password")


def _subclasses(root: type[BaseException]) -> dict[str, type[BaseException]]:
    found = {child.__name__: child for child in root.__subclasses__()}
    for child in tuple(found.values()):
        found |= _subclasses(child)
    return dict(sorted(found.items()))


def _classes_of_the_sdk() -> set[type[DatabricksError]]:
    found = {
        value
        for module in (platform, databricks.sdk.errors)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, DatabricksError)
    }
    return found | {*platform.STATUS_CODE_MAPPING.values(), *platform.ERROR_CODE_MAPPING.values()}


def test_knows_every_error_of_the_sdk() -> None:
    """Each class that the SDK can raise for an answer has a row of its own; a new one fails here."""
    assert set(_failures.OF_CLASS) == _classes_of_the_sdk()


def test_knows_every_code_of_the_sdk() -> None:
    """Each code that the SDK tells apart leads to one and the same of our errors, by code and by class."""
    for code, sdk_class in platform.ERROR_CODE_MAPPING.items():
        expected = _failures.OF_CLASS[sdk_class]
        assert _failures.OF_CODE.get(code, expected) is expected, code


_NONE, _BRIEF, _FULL = Patience.NONE, Patience.BRIEF, Patience.FULL
_NO_JSON: Final = (errors.UnexpectedAnswer, _BRIEF, "the answer is not the JSON that the API documents")
_NO_ADDRESS: Final = (errors.Unreachable, _NONE, "the address of the host or of its proxy cannot be used")
_ODD: Final = (errors.UnexpectedAnswer, _NONE, "the request failed in a way that is not known here")

OF_REQUESTS: Final[dict[type[BaseException], tuple[type[errors.WorkspaceError], Patience, str]]] = {
    requests.exceptions.InvalidJSONError: _NO_JSON,
    requests.exceptions.JSONDecodeError: _NO_JSON,
    requests.exceptions.ContentDecodingError: _NO_JSON,
    requests.exceptions.ConnectionError: (errors.Unreachable, _FULL, "the connection broke"),
    requests.exceptions.ChunkedEncodingError: (errors.Unreachable, _FULL, "the connection broke"),
    requests.exceptions.ProxyError: (errors.Unreachable, _FULL, "the proxy does not lead there"),
    requests.exceptions.SSLError: (errors.Unreachable, _FULL, "the TLS handshake fails"),
    requests.exceptions.ConnectTimeout: (errors.Unreachable, _FULL, "the host does not accept a connection"),
    requests.exceptions.Timeout: (errors.Unreachable, _FULL, "the host does not answer"),
    requests.exceptions.ReadTimeout: (errors.Unreachable, _FULL, "the host does not answer"),
    requests.exceptions.URLRequired: _NO_ADDRESS,
    requests.exceptions.MissingSchema: _NO_ADDRESS,
    requests.exceptions.InvalidSchema: _NO_ADDRESS,
    requests.exceptions.InvalidURL: _NO_ADDRESS,
    requests.exceptions.InvalidProxyURL: _NO_ADDRESS,
    requests.exceptions.InvalidHeader: (
        errors.Unauthenticated,
        _NONE,
        "the credential holds characters that a header cannot",
    ),
    requests.exceptions.TooManyRedirects: (
        errors.UnexpectedAnswer,
        _NONE,
        "the answer is a redirect, which is never followed",
    ),
    requests.exceptions.HTTPError: _ODD,
    requests.exceptions.StreamConsumedError: _ODD,
    requests.exceptions.RetryError: _ODD,
    requests.exceptions.UnrewindableBodyError: _ODD,
    _transport.Redirected: (errors.UnexpectedAnswer, _NONE, "the answer is a redirect, which is never followed"),
    _transport.AnswerTooLarge: (errors.UnexpectedAnswer, _NONE, "the answer is larger than any that the API documents"),
    _transport.EmptyAnswer: (errors.UnexpectedAnswer, _BRIEF, "the answer is empty"),
    _transport.UntrustedHost: (errors.Unreachable, _NONE, "the certificate of the host is not accepted"),
}
"""What becomes of each exception of requests, ours on top of it included, and how long it is worth a retry."""


def test_lists_every_exception_of_requests() -> None:
    """A new version of requests, or of our transport, has to say here what its new exception means."""
    assert set(OF_REQUESTS) == set(_subclasses(requests.RequestException).values())


@pytest.mark.parametrize("foreign", [pytest.param(foreign, id=foreign.__name__) for foreign in OF_REQUESTS])
def test_knows_every_exception_of_requests(foreign: type[BaseException]) -> None:
    """Whatever requests raises is one of ours, in words that fit it, and its text is not repeated."""
    error = foreign.__new__(foreign)
    error.args = (CANARY,)

    failure = _failures.failure_of(OPERATION, error, _calls.Call(1.0))

    kind, patience, words = OF_REQUESTS[foreign]
    assert type(failure) is kind
    assert _failures.patience_with(error, _calls.Call(1.0)) is patience
    assert str(failure) == f"putting payments/db-password: {words}"
    assert CANARY not in (failure.advice or "")


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [
        pytest.param(TimeoutError(CANARY), errors.Unreachable, id="the SDK's own end of retries"),
        pytest.param(_transport.SdkWouldRetry(), errors.Unreachable, id="the end we give to it"),
        pytest.param(_retrying.HeldBack("not tried"), errors.NotTried, id="no attempt"),
        pytest.param(_calls.TookTooLong(), errors.Unreachable, id="our limit"),
        pytest.param(_calls.CredentialFailure(), errors.Unauthenticated, id="no credential"),
        pytest.param(_calls.SilentTokenEndpoint(), errors.Unreachable, id="no token endpoint"),
        pytest.param(requests.exceptions.InvalidHeader(CANARY), errors.Unauthenticated, id="token with a line break"),
        pytest.param(UnicodeEncodeError("latin-1", CANARY, 0, 1, CANARY), errors.Unauthenticated, id="token of emoji"),
        pytest.param(requests.exceptions.SSLError(CANARY), errors.Unreachable, id="certificate"),
        pytest.param(requests.exceptions.ProxyError(CANARY), errors.Unreachable, id="proxy"),
        pytest.param(AttributeError(CANARY), errors.UnexpectedAnswer, id="JSON of another shape"),
        pytest.param(RuntimeError(CANARY), errors.UnexpectedAnswer, id="anything else"),
    ],
)
def test_knows_what_python_raises(foreign: Exception, ours: type[errors.WorkspaceError]) -> None:
    """Exceptions of Python itself, as the SDK lets them through, lose their text too."""
    failure = _failures.failure_of(OPERATION, foreign, _calls.Call(1.0))

    assert type(failure) is ours
    assert CANARY not in f"{failure} {failure.advice}"


def test_says_what_the_last_attempt_met() -> None:
    """At the end of retries the reason is that of the last attempt, not merely that time is over."""
    ended = TimeoutError("Timed out")
    ended.__cause__ = platform.TooManyRequests("slow down", error_code="REQUEST_LIMIT_EXCEEDED")

    assert type(_failures.failure_of(OPERATION, ended, _calls.Call(1.0))) is errors.Throttled


def test_repeats_no_code_that_it_does_not_know() -> None:
    """A server may put the value where the code belongs."""
    failure = _failures.failure_of(OPERATION, platform.BadRequest("x", error_code=CANARY), _calls.Call(1.0))

    assert type(failure) is errors.InvalidRequest
    assert CANARY not in str(failure)


def _answer(status: int, body: bytes = b"{}", *, code: object = None, retry_after_s: float | None = None) -> Patience:
    """Return how long an answer is worth a retry."""
    call = _calls.Call(1.0)
    call.status, call.body, call.retry_after_s = status, body, retry_after_s
    kind = platform.STATUS_CODE_MAPPING.get(status, DatabricksError)
    return _failures.patience_with(kind("x", error_code=code), call)  # type: ignore[arg-type]  # some are numbers


@pytest.mark.parametrize(
    ("status", "patience"),
    [
        *((status, Patience.FULL) for status in (408, 500, 502, 503, 504, 507, 520, 599)),
        *((status, Patience.NONE) for status in (400, 401, 403, 404, 405, 409, 413, 418, 501, 505)),
        (429, Patience.THROTTLED),
    ],
)
def test_patience_goes_by_the_status_where_the_code_says_nothing(status: int, patience: Patience) -> None:
    """Errors of servers pass, refusals and what a server cannot do at all stay; of too many requests all are told."""
    assert _answer(status) is patience
    assert _answer(status, code="NEVER_HEARD_OF") is patience
    assert _answer(status, code=status) is patience


@pytest.mark.parametrize(
    ("code", "status", "patience"),
    [
        pytest.param("RESOURCE_DOES_NOT_EXIST", 500, Patience.FULL, id="refusal under 500 is an outage"),
        pytest.param("INTERNAL_ERROR", 400, Patience.FULL, id="failure under 400"),
        pytest.param("TEMPORARILY_UNAVAILABLE", 404, Patience.FULL, id="unavailable under 404"),
        pytest.param("REQUEST_LIMIT_EXCEEDED", 400, Patience.THROTTLED, id="limit under 400"),
        pytest.param("RESOURCE_EXHAUSTED", 503, Patience.THROTTLED, id="limit under 503"),
        pytest.param("ENDPOINT_NOT_FOUND", 404, Patience.NONE, id="no such API"),
    ],
)
def test_patience_goes_by_the_code_before_the_status(code: str, status: int, patience: Patience) -> None:
    """As the platform means it."""
    assert _answer(status, code=code) is patience


@pytest.mark.parametrize(
    ("status", "patience"),
    [
        pytest.param(400, Patience.BRIEF, id="400"),
        pytest.param(401, Patience.NONE, id="401"),
        pytest.param(403, Patience.BRIEF, id="403"),
        pytest.param(404, Patience.BRIEF, id="404"),
        pytest.param(429, Patience.THROTTLED, id="429"),
        pytest.param(500, Patience.FULL, id="500"),
        pytest.param(502, Patience.FULL, id="502"),
    ],
)
def test_patience_with_pages(status: int, patience: Patience) -> None:
    """A page of a gateway means its status; any other may be the hiccup of a proxy, or a token that nobody knows."""
    assert _answer(status, b"<html>") is patience


def test_all_are_told_to_wait_where_an_unavailable_workspace_says_for_how_long() -> None:
    """503 alone is the trouble of one request; with Retry-After it is about all of them."""
    assert _answer(503, retry_after_s=1.0) is Patience.THROTTLED
    assert _answer(500, retry_after_s=1.0) is Patience.FULL


def test_a_little_patience_where_the_sdk_has_some() -> None:
    """It knows texts of refusals that pass."""
    error = _transport.SdkWouldRetry()
    error.__context__ = platform.BadRequest("RPC token bucket limit has been exceeded", error_code="BAD_REQUEST")

    assert _failures.patience_with(error, _calls.Call(1.0)) is Patience.BRIEF


ECHO: Final = f"cannot store {CANARY} alias {ENCODED} for Bearer {TOKEN}"


def _put(workspace: DatabricksWorkspace) -> None:
    workspace.put_secret(SCOPE, KEY, SecretValue(CANARY.encode()))


def _get(workspace: DatabricksWorkspace) -> None:
    workspace.get_secret(SCOPE, KEY)


def _delete(workspace: DatabricksWorkspace) -> None:
    workspace.delete_secret(SCOPE, KEY)


def _list(workspace: DatabricksWorkspace) -> None:
    workspace.list_secrets(SCOPE)


def _grant(workspace: DatabricksWorkspace) -> None:
    workspace.put_acl(SCOPE, Principal("users"), Permission.READ)


def _who(workspace: DatabricksWorkspace) -> None:
    workspace.whoami()


def _asked(act: Callable[[DatabricksWorkspace], None], code: str = "BAD_REQUEST") -> errors.WorkspaceError:
    """Return what a request fails with that the platform refuses."""
    with facing(refusal(400, code)) as (workspace, _), pytest.raises(errors.WorkspaceError) as caught:
        act(workspace)
    return caught.value


def test_advises_what_can_be_done_about_a_value_that_is_kept_back() -> None:
    """Nothing is written when a value is read, and ``-v`` does not show what may be the value."""
    failure = _asked(_get)

    assert type(failure) is errors.InvalidRequest
    assert failure.advice == (
        "the platform hands this value to notebooks alone, or cannot get it from the Key Vault behind the scope: "
        "read it there"
    )


@pytest.mark.parametrize("act", [_put, _delete])
def test_advises_what_can_be_done_about_a_scope_that_is_not_written(
    act: Callable[[DatabricksWorkspace], None],
) -> None:
    """What writes secrets meets the Key Vault."""
    failure = _asked(act)

    assert failure.advice == "a scope backed by a Key Vault cannot be written; -v shows what the platform said"


def test_advises_what_can_be_done_about_a_grant_that_is_refused() -> None:
    """The likeliest reason first, then how to get the platform's own words."""
    advice = _asked(_grant).advice or ""

    assert advice.startswith("check that the principal exists; ")
    assert advice.endswith("; -v shows what the platform said")


def test_promises_words_of_the_server_only_where_it_shows_them() -> None:
    """An answer about a value that was to be read is not shown, so nobody is sent to look for it."""
    page = Answer(status=404, body=b"<html>")
    advices = []
    for act in (_get, _list):
        with facing(page, timeout_s=0.2) as (workspace, _), pytest.raises(errors.UnexpectedAnswer) as caught:
            act(workspace)
        advices.append(caught.value.advice)

    assert advices == [
        "check that the host is that of a workspace and that no proxy answers for it",
        "check that the host is that of a workspace and that no proxy answers for it; -v shows what the platform said",
    ]


def _traces(text: str) -> list[str]:
    """Return what of the canaries is in ``text``, in any form that might be printed."""
    forms = (CANARY, CANARY.encode("unicode_escape").decode(), "canary-vAlUe", ENCODED, ENCODED[:12], TOKEN)
    return [form for form in forms if form in text]


@pytest.mark.parametrize("act", [_put, _get, _list, _grant, _who])
@pytest.mark.parametrize(
    "reaction",
    [
        pytest.param(refusal(400, "BAD_REQUEST", ECHO), id="400"),
        pytest.param(refusal(401, "UNAUTHENTICATED", ECHO), id="401"),
        pytest.param(refusal(403, "PERMISSION_DENIED", ECHO), id="403"),
        pytest.param(refusal(404, "RESOURCE_DOES_NOT_EXIST", ECHO), id="404"),
        pytest.param(refusal(400, ECHO, ECHO), id="code"),
        pytest.param(refusal(429, "X", ECHO, Retry_After=TOKEN), id="429"),
        pytest.param(refusal(500, "INTERNAL_ERROR", ECHO), id="500"),
        pytest.param(Answer(status=400, body=ECHO.encode()), id="text"),
        pytest.param(Answer(status=400, body=f"<pre>{ECHO}</pre>".encode()), id="page"),
        pytest.param(Answer(status=400, body=ECHO.encode("utf-16")), id="binary"),
        pytest.param(Answer(body=ECHO.encode()), id="200 with text"),
        pytest.param(Answer(body={"secrets": [ECHO], "items": [ECHO], "key": KEY, "value": ECHO}), id="200 malformed"),
        pytest.param(Answer(status=302, body=ECHO.encode(), headers={"Location": f"/{ENCODED}"}), id="redirect"),
        pytest.param(Answer(body={"key": KEY, "value": ENCODED}, cut=True), id="broken off"),
        pytest.param(Reset(), id="reset"),
        pytest.param(Hang(), id="silence"),
    ],
)
def test_no_secret_gets_out(
    act: Callable[[DatabricksWorkspace], None], reaction: Reaction, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the server echoes, value and token are in no message, traceback, local variable, log or detail."""
    details: list[str] = []
    caplog.set_level(logging.DEBUG)
    for name in ("databricks.sdk", "urllib3.connectionpool", "urllib3"):
        caplog.set_level(logging.DEBUG, logger=name)
    with facing(reaction, timeout_s=0.3, on_detail=details.append) as (workspace, _):
        try:
            act(workspace)
        except errors.WorkspaceError as error:
            _assert_clean(error)
        shown = f"{workspace!r} {vars(workspace)!r}"

    assert _traces(shown) == []
    assert _traces("\n".join(details)) == []
    assert _traces(caplog.text) == []


def _assert_clean(error: errors.WorkspaceError) -> None:
    assert error.__cause__ is None
    assert error.__context__ is None
    # Ours alone: the test's own frames hold the canary.
    frames = io.StringIO()
    full = traceback.TracebackException.from_exception(error, capture_locals=True)
    for frame in full.stack:
        if "databricks_workspace" in frame.filename and "tests" not in frame.filename:
            print(frame.name, frame.line, frame.locals, file=frames)
    assert frames.getvalue()
    assert _traces(f"{error} {error!r} {error.args} {error.advice} {vars(error)}") == []
    assert _traces(frames.getvalue()) == []


def test_shows_the_servers_words_to_who_asks() -> None:
    """With ``-v`` the reason is readable, on one line, and what is secret in it is not."""
    details: list[str] = []
    said = f"key {KEY}: {CANARY} is\nnot allowed, \u001b[31mneither is {ENCODED}"
    with (
        facing(refusal(400, "INVALID_PARAMETER_VALUE", said), on_detail=details.append) as (workspace, _),
        pytest.raises(errors.InvalidRequest),
    ):
        _put(workspace)

    (detail,) = details
    assert detail.startswith(
        "putting payments/db-password: the server said: INVALID_PARAMETER_VALUE key db-password: ***"
    )
    assert detail.endswith(r"*** is\nnot allowed, \x1b[31mneither is ***")


def test_does_not_show_words_about_a_value_it_does_not_know() -> None:
    """What a server says when a value is read may be the value."""
    details: list[str] = []
    with (
        facing(refusal(400, "BAD_REQUEST", "hunter2 is only for notebooks"), on_detail=details.append) as (
            workspace,
            _,
        ),
        pytest.raises(errors.InvalidRequest),
    ):
        _get(workspace)

    assert details == []
