"""Ask those who issue tokens: bounded in time and size, tried again where that helps, never redirected.

What is sent is a client secret or an id token, and what comes back is a token, so nothing of either is repeated. Over
the same `Transport` as all other requests, on a session of its own: the SDK's exchanges have no limit of time, follow
redirects, and lose the status of an answer, so that an endpoint that is down looks like a credential that is wrong.

Grants and errors are those of RFC 6749 (OAuth 2.0), section 5, and RFC 8693 (token exchange).
"""

import json
import threading
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
from reconciler.databricks_workspace._pace import Pace
from reconciler.databricks_workspace._retrying import HeldBack, Patience, Retrying
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

_UNTOLD_LIFETIME_S: Final = 300.0
"""Of a token whose issuer does not say (it should, RFC 6749, section 5.1)."""

_MOST_LIFETIME_S: Final = 86_400.0
"""Longest lifetime that is believed; Databricks and Entra ID say an hour or a little more."""


class ExchangeCall(Call):
    """State of an exchange: all its requests share one time allowed, which begins with the thread that makes them."""

    def __init__(self, timeout_s: float) -> None:
        """Allow all requests together ``timeout_s``. Runs once per thread, with the same argument."""
        super().__init__(timeout_s)
        self._ends = self.now() + timeout_s

    def begin(self) -> None:
        """Forget the request before this one."""
        super().begin()
        self.deadline = min(self.deadline, self._ends)
        self.attempt_deadline = min(self.attempt_deadline, self._ends)


def retrying_exchanges(
    call: ExchangeCall, *, wait: Callable[[threading.Event, float], bool] = threading.Event.wait
) -> Retrying:
    """Return what repeats requests of exchanges: by the one policy, at a pace that is not that of the workspace."""
    return Retrying(
        call=call,
        pace=Pace(),
        patience=lambda error: error.patience if isinstance(error, _Ended) else Patience.NONE,
        wait=wait,
    )


class Exchange:
    """The requests of one exchange. For one thread."""

    def __init__(self, *, call: ExchangeCall, retrying: Retrying, on_secret: Callable[[str], None]) -> None:
        """Send nothing yet.

        Args:
            call: State of the request that is being made.
            retrying: Repeats it, with that state.
            on_secret: Told what is sent that must not be shown, whoever may quote it later.
        """
        self._call = call
        self._retrying = retrying
        self._on_secret = on_secret
        self._session = requests.Session()
        self._session.max_redirects = 0
        # Exchanges are not requests to the workspace, so its counter leaves them out.
        transport = Transport(call=call, counter=RequestCounter(), connections=1)
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

        def attempt() -> Mapping[str, object]:
            try:
                response = self._session.request(
                    method,
                    url,
                    headers={"Accept": "application/json", **(headers or {})},
                    data=dict(form) if form is not None else None,
                    # A callable that does nothing, or requests would look for a login in ~/.netrc and put it over ours.
                    auth=login if login is not None else _as_it_is,
                    proxies={"no_proxy": host} if is_loopback(host) else None,
                )
            except Exception as error:  # noqa: BLE001  # the table decides; the text may quote what was sent
                ended = _end_without_answer(who, error)
            else:
                if response.ok:
                    return _object_of(who, response)
                ended = _end_by(who, response)
            # Outside of the `except`, so that nothing chains to it.
            raise ended

        try:
            return self._retrying.run(attempt)
        except _Ended as ended:
            failure = ended.failure
        except HeldBack as held_back:
            failure = BusyTokenEndpoint(f"{who} was {held_back}")
        gave_up = self._call.gave_up
        raise type(failure)(f"{failure} ({gave_up})" if gave_up else str(failure))


def _secrets_in(headers: Mapping[str, str], form: Mapping[str, str], login: tuple[str, str] | None) -> tuple[str, ...]:
    bearer = headers.get("Authorization", "").rpartition(" ")[2]
    return tuple(filter(None, (bearer, form.get("subject_token"), login[1] if login else None)))


class _Ended(Exception):
    """How an attempt ended, other than well."""

    def __init__(self, failure: CredentialFailure, patience: Patience) -> None:
        super().__init__(failure, patience)
        self.failure = failure
        self.patience = patience


_OF_NO_ANSWER: Final[tuple[tuple[tuple[type[BaseException], ...], type[CredentialFailure], Patience, str], ...]] = (
    (
        (CredentialFailure,),
        CredentialFailure,
        Patience.NONE,
        "what {who} is to be shown holds characters that a header cannot",
    ),
    ((UntrustedHost,), SilentTokenEndpoint, Patience.NONE, "the certificate of {who} is not accepted"),
    ((Redirected,), FailingTokenEndpoint, Patience.NONE, "{who} answers with a redirect, which is never followed"),
    (
        (AnswerTooLarge, EmptyAnswer),
        FailingTokenEndpoint,
        Patience.NONE,
        "{who} answers with something that is no token",
    ),
    (
        (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError),
        SilentTokenEndpoint,
        Patience.FULL,
        "{who} did not answer",
    ),
    # An address that is none, a proxy of an unknown kind, a secret outside of Latin-1.
    ((Exception,), CredentialFailure, Patience.NONE, "{who} cannot be asked"),
)
"""Types, what becomes of them, and whether another attempt may go better; the first that fits counts."""


def _end_without_answer(who: str, error: Exception) -> _Ended:
    return next(
        _Ended(kind(words.replace("{who}", who)), patience)
        for types, kind, patience, words in _OF_NO_ANSWER
        if isinstance(error, types)
    )


def _end_by(who: str, response: requests.Response) -> _Ended:
    status = response.status_code
    if status == requests.codes.too_many_requests:
        busy = BusyTokenEndpoint(f"{who} answers that it was asked too often ({status})")
        return _Ended(busy, Patience.THROTTLED)
    if status >= requests.codes.internal_server_error:
        return _Ended(FailingTokenEndpoint(f"{who} answers with an error ({status})"), Patience.FULL)
    said = ", ".join(filter(None, (str(status), _oauth_error(response))))
    return _Ended(RefusedExchange(f"no usable credential was found: {who} refuses ({said})"), Patience.NONE)


def _object_of(who: str, response: requests.Response) -> Mapping[str, object]:
    try:
        answer = json.loads(response.content)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict):
        return answer
    raise CredentialFailure(f"no usable credential was found: {who} answers with something that is no token")


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
