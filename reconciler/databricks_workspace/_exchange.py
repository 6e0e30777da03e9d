"""Ask those who issue tokens: bounded in time and size, tried again where that helps, never redirected.

What is sent is a client secret or an id token, and what comes back is a token, so nothing of either is repeated. Over
the same `Transport` as all other requests, on a session of its own: the SDK's exchanges have no limit of time, follow
redirects, and lose the status of an answer, so that an endpoint that is down looks like a credential that is wrong.

Grants and errors are those of RFC 6749 (OAuth 2.0), section 5, and RFC 8693 (token exchange).
"""

import json
import random
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import requests

from reconciler.databricks_workspace._calls import (
    BusyTokenEndpoint,
    Call,
    CredentialFailure,
    FailingTokenEndpoint,
    RefusedExchange,
    SilentTokenEndpoint,
)
from reconciler.databricks_workspace._connection import is_loopback
from reconciler.databricks_workspace._tokens import Issued
from reconciler.databricks_workspace._transport import (
    AnswerTooLarge,
    EmptyAnswer,
    Redirected,
    RequestCounter,
    Transport,
    UntrustedHost,
)


_OAUTH_ERRORS: Final = frozenset(
    {
        "access_denied",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "invalid_target",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)
"""Codes of RFC 6749, section 5.2, and RFC 8693, section 2.2.2. No other word of an answer is repeated."""

_FIRST_PAUSE_S: Final = 0.5
_MOST_PAUSE_S: Final = 8.0

_UNTOLD_LIFETIME_S: Final = 300.0
"""Of a token whose issuer does not say (it should, RFC 6749, section 5.1)."""

_MOST_LIFETIME_S: Final = 86_400.0
"""Longest lifetime that is believed; Databricks and Entra ID say an hour or a little more."""


class Exchange:
    """The requests of one exchange, which together take no longer than the time allowed. For one thread."""

    def __init__(
        self, timeout_s: float, *, on_secret: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Start the time.

        Args:
            timeout_s: For all of it.
            on_secret: Told what is sent that must not be shown, whoever may quote it later.
            sleep: Waits for so many seconds.
        """
        self._call = Call(timeout_s)
        self._call.begin()
        self._on_secret = on_secret
        self._sleep = sleep
        self._session = requests.Session()
        self._session.max_redirects = 0
        # Exchanges are not requests to the workspace, so its counter leaves them out.
        transport = Transport(call=self._call, counter=RequestCounter(), connections=1)
        self._session.mount("https://", transport)
        self._session.mount("http://", transport)

    def __enter__(self) -> Self:
        """Use as a context manager, so that no connection stays open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._session.close()

    def ask(  # called with names
        self,
        who: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
    ) -> Mapping[str, object]:
        """Return the JSON object that ``url`` answers.

        Asking twice is safe: at worst a token is issued that nobody uses.

        Args:
            who: In words, for errors: ``the token endpoint``.
            method: GET or POST.
            url: Whom to ask; a proxy of the environment may lead there, unless it is this machine.
            headers: To be sent.
            form: The body.
            login: Client id and secret, sent as RFC 6749, section 2.3.1, has it.

        Raises:
            SilentTokenEndpoint, FailingTokenEndpoint, BusyTokenEndpoint: After as many attempts as time allows.
            RefusedExchange: It says no.
            CredentialFailure: What is to be sent cannot be, or what comes is not what the standard says.
        """
        host = urlsplit(url).hostname or ""
        for secret in _secrets_in(headers or {}, form or {}, login):
            self._on_secret(secret)

        def send() -> requests.Response:
            return self._session.request(
                method,
                url,
                headers={"Accept": "application/json", **(headers or {})},
                data=dict(form) if form is not None else None,
                # A callable that does nothing, or requests would look for a login in ~/.netrc and put it over ours.
                auth=login if login is not None else _as_it_is,
                proxies={"no_proxy": host} if is_loopback(host) else None,
            )

        attempt = 0
        while True:
            response, failure = _attempt(who, send)
            if response is not None:
                return _object_of(who, response)
            if not self._pause(attempt, failure):
                # Outside of the `except` that made it, so that nothing chains to it.
                raise failure.error
            attempt += 1

    def _pause(self, attempt: int, failure: "_Failure") -> bool:
        """Wait before the next attempt; False where there must be none, or no time for one is left."""
        if not failure.is_passing:
            return False
        longest_s = min(_MOST_PAUSE_S, _FIRST_PAUSE_S * 2.0**attempt)
        pause_s = max(random.uniform(0.0, longest_s), failure.retry_after_s)  # noqa: S311  # spreads clients, no secret
        if self._call.now() + pause_s >= self._call.deadline:
            return False
        self._sleep(pause_s)
        return True


def _secrets_in(headers: Mapping[str, str], form: Mapping[str, str], login: tuple[str, str] | None) -> tuple[str, ...]:
    bearer = headers.get("Authorization", "").rpartition(" ")[2]
    return tuple(filter(None, (bearer, form.get("subject_token"), login[1] if login else None)))


class _Failure:
    """What an attempt ended with."""

    def __init__(self, error: CredentialFailure, *, is_passing: bool = False, retry_after_s: float = 0.0) -> None:
        self.error = error
        self.is_passing = is_passing
        self.retry_after_s = retry_after_s


_NO_FAILURE: Final = _Failure(CredentialFailure())


_OF_NO_ANSWER: Final[tuple[tuple[tuple[type[BaseException], ...], type[CredentialFailure], str, bool], ...]] = (
    ((CredentialFailure,), CredentialFailure, "what {who} is to be shown holds characters that a header cannot", False),
    ((UntrustedHost,), SilentTokenEndpoint, "the certificate of {who} is not accepted", False),
    ((Redirected,), FailingTokenEndpoint, "{who} answers with a redirect, which is never followed", False),
    ((AnswerTooLarge, EmptyAnswer), FailingTokenEndpoint, "{who} answers with something that is no token", False),
    (
        (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError),
        SilentTokenEndpoint,
        "{who} did not answer",
        True,
    ),
    # An address that is none, a proxy of an unknown kind, a secret outside of Latin-1.
    ((Exception,), CredentialFailure, "{who} cannot be asked", False),
)
"""Types, what becomes of them, and whether another attempt may go better; the first that fits counts."""


def _attempt(who: str, send: Callable[[], requests.Response]) -> tuple[requests.Response | None, _Failure]:
    """Make one attempt; return the answer if it is a good one, else what is wrong."""
    try:
        response = send()
    except Exception as error:  # noqa: BLE001  # the table decides; the text may quote what was sent
        kind, words, is_passing = next(
            (kind, words, is_passing) for types, kind, words, is_passing in _OF_NO_ANSWER if isinstance(error, types)
        )
        return None, _Failure(kind(words.replace("{who}", who)), is_passing=is_passing)
    return (response, _NO_FAILURE) if response.ok else (None, _failure_of(who, response))


def _failure_of(who: str, response: requests.Response) -> _Failure:
    status = response.status_code
    if status == requests.codes.too_many_requests:
        busy = BusyTokenEndpoint(f"{who} answers that it was asked too often ({status})")
        return _Failure(busy, is_passing=True, retry_after_s=_retry_after_s(response))
    if status >= requests.codes.internal_server_error:
        failing = FailingTokenEndpoint(f"{who} answers with an error ({status})")
        return _Failure(failing, is_passing=True, retry_after_s=_retry_after_s(response))
    said = ", ".join(filter(None, (str(status), _oauth_error(response))))
    return _Failure(RefusedExchange(f"no usable credential was found: {who} refuses ({said})"))


def _object_of(who: str, response: requests.Response) -> Mapping[str, object]:
    try:
        answer = json.loads(response.content)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict):
        return answer
    raise CredentialFailure(f"no usable credential was found: {who} answers with something that is no token")


def _retry_after_s(response: requests.Response) -> float:
    """Return how long the endpoint wants to be left alone; 0 where it does not say in seconds."""
    said = response.headers.get("Retry-After", "")
    return float(said) if said.isascii() and said.isdigit() else 0.0


def _oauth_error(response: requests.Response) -> str:
    """Return the code of a refusal if it is a documented one."""
    try:
        answer = json.loads(response.content)
    except (ValueError, RecursionError):
        return ""
    code = answer.get("error") if isinstance(answer, dict) else None
    return code if isinstance(code, str) and code in _OAUTH_ERRORS else ""


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def issued_by(who: str, answer: Mapping[str, object]) -> Issued:
    """Return the token of an answer (RFC 6749, section 5.1).

    Raises:
        CredentialFailure: There is none that fits into a header.
    """
    token = answer.get("access_token")
    kind = answer.get("token_type", "Bearer")
    if not (_is_header_text(token) and _is_header_text(kind)):
        raise CredentialFailure(f"no usable credential was found: {who} answers with something that is no token")
    return Issued(headers={"Authorization": f"{kind} {token}"}, lifetime_s=_lifetime_s(answer.get("expires_in")))


def _is_header_text(text: object) -> bool:
    return isinstance(text, str) and text.isascii() and text.isprintable() and bool(text) and " " not in text


def _lifetime_s(said: object) -> float:
    """Return a number of seconds; Entra ID says it as text."""
    if isinstance(said, str) and said.isascii() and said.isdigit() and len(said) <= len(str(int(_MOST_LIFETIME_S))):
        return min(float(said), _MOST_LIFETIME_S)
    if isinstance(said, int | float) and not isinstance(said, bool) and said >= 0:
        return float(min(said, _MOST_LIFETIME_S))
    return _UNTOLD_LIFETIME_S
