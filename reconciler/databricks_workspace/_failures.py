"""The one table from exceptions of the SDK, of requests and of Python to ours, and to how long they are worth a retry.

Decided by type, HTTP status and documented error code, never by text: a server may quote the value it was sent, so its
words reach nobody but `on_detail` of `reconciler.databricks_workspace.connect`, masked. Even an error code is repeated
only if it stands in the table here.

Codes are those of the Secrets API (https://docs.databricks.com/api/workspace/secrets) and of the docstrings of the
SDK's ``SecretsAPI``. Imports the SDK, so `preload` comes first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import requests
import urllib3.exceptions
from databricks.sdk.errors import platform
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.errors.private_link import PrivateLinkValidationError

from reconciler import errors
from reconciler.databricks_workspace._calls import (
    BusyTokenEndpoint,
    Call,
    CredentialFailure,
    FailingTokenEndpoint,
    MalformedAnswer,
    Operation,
    RefusedExchange,
    SilentTokenEndpoint,
    TookTooLong,
)
from reconciler.databricks_workspace._retrying import HeldBack, Patience
from reconciler.databricks_workspace._transport import (
    AnswerTooLarge,
    EmptyAnswer,
    Redirected,
    SdkWouldRetry,
    UntrustedHost,
    reason_of,
)


Kind = type[errors.WorkspaceError]

OF_CODE: Final[Mapping[str, Kind]] = {
    "UNAUTHENTICATED": errors.Unauthenticated,
    "PERMISSION_DENIED": errors.PermissionDenied,
    "CUSTOMER_UNAUTHORIZED": errors.PermissionDenied,
    "RESOURCE_DOES_NOT_EXIST": errors.NotFound,
    "NOT_FOUND": errors.NotFound,
    "RESOURCE_ALREADY_EXISTS": errors.AlreadyExists,
    "ALREADY_EXISTS": errors.AlreadyExists,
    "RESOURCE_LIMIT_EXCEEDED": errors.LimitExceeded,
    "QUOTA_EXCEEDED": errors.LimitExceeded,
    "MAX_SECRET_SIZE_EXCEEDED": errors.LimitExceeded,
    "REQUEST_LIMIT_EXCEEDED": errors.Throttled,
    "RESOURCE_EXHAUSTED": errors.Throttled,
    "BAD_REQUEST": errors.InvalidRequest,
    "MALFORMED_REQUEST": errors.InvalidRequest,
    "INVALID_PARAMETER_VALUE": errors.InvalidRequest,
    "INVALID_STATE": errors.InvalidRequest,
    "FEATURE_DISABLED": errors.InvalidRequest,
    "ENDPOINT_NOT_FOUND": errors.UnexpectedAnswer,
    "INTERNAL_ERROR": errors.UnexpectedAnswer,
    "TEMPORARILY_UNAVAILABLE": errors.UnexpectedAnswer,
}
"""By ``error_code``, which says more than the status."""

OF_CLASS: Final[Mapping[type[DatabricksError], Kind]] = {
    platform.BadRequest: errors.InvalidRequest,
    platform.InvalidState: errors.InvalidRequest,
    platform.InvalidParameterValue: errors.InvalidRequest,
    platform.Unauthenticated: errors.Unauthenticated,
    platform.PermissionDenied: errors.PermissionDenied,
    PrivateLinkValidationError: errors.PermissionDenied,
    platform.NotFound: errors.NotFound,
    platform.ResourceDoesNotExist: errors.NotFound,
    platform.ResourceConflict: errors.InvalidRequest,
    platform.Aborted: errors.InvalidRequest,
    platform.AlreadyExists: errors.AlreadyExists,
    platform.ResourceAlreadyExists: errors.AlreadyExists,
    platform.TooManyRequests: errors.Throttled,
    platform.ResourceExhausted: errors.Throttled,
    platform.RequestLimitExceeded: errors.Throttled,
    platform.Cancelled: errors.UnexpectedAnswer,
    platform.InternalError: errors.UnexpectedAnswer,
    platform.NotImplemented: errors.UnexpectedAnswer,
    platform.TemporarilyUnavailable: errors.UnexpectedAnswer,
    platform.DeadlineExceeded: errors.UnexpectedAnswer,
    platform.Unknown: errors.UnexpectedAnswer,
    platform.DataLoss: errors.UnexpectedAnswer,
    DatabricksError: errors.UnexpectedAnswer,
}
"""By class, which the SDK chooses by status where it does not know the code."""

_OF_FOREIGN: Final[tuple[tuple[tuple[type[BaseException], ...], Kind, Patience, str], ...]] = (
    ((TookTooLong,), errors.Unreachable, Patience.NONE, "no answer within the time allowed"),
    ((HeldBack,), errors.NotTried, Patience.NONE, "not tried"),
    ((MalformedAnswer,), errors.UnexpectedAnswer, Patience.NONE, "the answer{status} is not what the API documents"),
    # The exchange has its own attempts, within the same time.
    ((SilentTokenEndpoint,), errors.Unreachable, Patience.NONE, "the token endpoint did not answer"),
    ((FailingTokenEndpoint,), errors.UnexpectedAnswer, Patience.NONE, "the token endpoint answered with an error"),
    (
        (BusyTokenEndpoint,),
        errors.Throttled,
        Patience.NONE,
        "the token endpoint answered that it was asked too often",
    ),
    ((CredentialFailure,), errors.Unauthenticated, Patience.NONE, "no usable credential was found"),
    (
        (Redirected, requests.TooManyRedirects),
        errors.UnexpectedAnswer,
        Patience.NONE,
        "the answer{status} is a redirect, which is never followed",
    ),
    (
        (AnswerTooLarge,),
        errors.UnexpectedAnswer,
        Patience.NONE,
        "the answer{status} is larger than any that the API documents",
    ),
    ((EmptyAnswer,), errors.UnexpectedAnswer, Patience.BRIEF, "the answer{status} is empty"),
    (
        # Both quote the header when asked, and the header is the credential.
        (requests.exceptions.InvalidHeader, UnicodeEncodeError),
        errors.Unauthenticated,
        Patience.NONE,
        "the credential holds characters that a header cannot",
    ),
    ((UntrustedHost,), errors.Unreachable, Patience.NONE, "the certificate of the host is not accepted"),
    ((requests.exceptions.SSLError,), errors.Unreachable, Patience.FULL, "the TLS handshake fails"),
    ((requests.exceptions.ProxyError,), errors.Unreachable, Patience.FULL, "the proxy does not lead there"),
    ((requests.ConnectTimeout,), errors.Unreachable, Patience.FULL, "the host does not accept a connection"),
    ((requests.Timeout,), errors.Unreachable, Patience.FULL, "the host does not answer"),
    (
        (requests.ConnectionError, requests.exceptions.ChunkedEncodingError),
        errors.Unreachable,
        Patience.FULL,
        "the connection broke",
    ),
    (
        # The host has been looked at before; a proxy of the environment, or of a kind that needs another package, not.
        (
            requests.URLRequired,
            requests.exceptions.MissingSchema,
            requests.exceptions.InvalidSchema,
            requests.exceptions.InvalidURL,
        ),
        errors.Unreachable,
        Patience.NONE,
        "the address of the host or of its proxy cannot be used",
    ),
    (
        (requests.exceptions.InvalidJSONError, requests.exceptions.ContentDecodingError, UnicodeDecodeError),
        errors.UnexpectedAnswer,
        Patience.BRIEF,
        "the answer{status} is not the JSON that the API documents",
    ),
    (
        (requests.RequestException,),
        errors.UnexpectedAnswer,
        Patience.NONE,
        "the request failed in a way that is not known here",
    ),
    (
        # Of the SDK, for JSON of another shape.
        (ValueError, TypeError, AttributeError, LookupError),
        errors.UnexpectedAnswer,
        Patience.NONE,
        "the answer{status} is not the JSON that the API documents",
    ),
)
"""Types that are not answers of the API; the first that fits counts."""

_ADVICE: Final[Mapping[Kind, str]] = {
    errors.Unreachable: (
        "check the host, the network and the proxy (REQUESTS_CA_BUNDLE, if yours has a CA of its own); "
        "--timeout says how long one request is tried"
    ),
    errors.Unauthenticated: (
        "set DATABRICKS_TOKEN, or what the target's auth_type needs (as DATABRICKS_CLIENT_ID and "
        "DATABRICKS_CLIENT_SECRET), or choose a profile; if several are set, let auth_type say which one counts"
    ),
    errors.AlreadyExists: "somebody else may have just made it, or the identity may not see it: run again to find out",
    errors.LimitExceeded: (
        "a scope holds 1,000 secrets of up to 128 KB each, a workspace 1,000 scopes unless support raised it"
    ),
    errors.Throttled: "use a lower --concurrency or a longer --timeout",
    errors.NotTried: "run again; --timeout says how long one request is tried",
    errors.UnexpectedAnswer: "check that the host is that of a workspace and that no proxy answers for it",
}

_EXCHANGE_ADVICE: Final = (
    "check the client id and its secret or, without a secret, the federation policy of the service principal: its "
    "issuer, audience and subject must be those of the id token that this job gets"
)

_ANSWERED: Final = frozenset({errors.InvalidRequest, errors.UnexpectedAnswer})
"""Errors about which the server's own words may say more."""

_TRUSTED_WITH_PAGE: Final = frozenset({requests.codes.unauthorized, requests.codes.too_many_requests})
"""Statuses that mean the same whatever the body is."""

_PASSING_CODES: Final = frozenset({"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE"})
"""Of those in `OF_CODE` that are no answer for good, whatever the status; besides all that lead to `Throttled`."""

_LASTING: Final = frozenset({requests.codes.not_implemented, requests.codes.http_version_not_supported})
"""Statuses from 500 on that say what will be the same the next time (RFC 9110, sections 15.6.2 and 15.6.6)."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    kind: Kind
    patience: Patience
    reason: str


def failure_of(operation: Operation, error: BaseException, call: Call) -> errors.WorkspaceError:
    """Return the error that stands for ``error``; raise it outside of any ``except``, so that nothing chains to it."""
    verdict = _judge(error, call)
    kind, reason = verdict.kind, verdict.reason
    advice = _ADVICE.get(kind)
    if isinstance(error, RefusedExchange):
        advice = _EXCHANGE_ADVICE
    elif kind is errors.PermissionDenied:
        advice = operation.denied_advice
    elif kind is errors.NotFound:
        advice = operation.missing_advice
    elif kind is errors.InvalidRequest:
        advice = operation.rejected_advice
    if kind in _ANSWERED and operation.quotable and call.body:
        advice = "; ".join(filter(None, (advice, "-v shows what the platform said")))
    if call.gave_up:
        reason += f" ({call.gave_up})"
    return kind(f"{operation.what}: {reason}", advice=advice)


def patience_with(error: BaseException, call: Call) -> Patience:
    """Tell for how long another attempt may go better, after ``error`` ended one."""
    return _judge(error, call).patience


def patience_with_first_question(error: BaseException, call: Call) -> Patience:
    """Tell the same about what a host is asked before anything else, which one that is older does not know.

    Such hosts may say so in any way, and then nobody should wait.
    """
    patience = patience_with(error, call)
    if call.status is None or patience is Patience.THROTTLED or call.status == requests.codes.service_unavailable:
        return patience
    return Patience.BRIEF if patience is Patience.FULL else Patience.NONE


def request_id_of(error: BaseException) -> str | None:
    """Return what the body of an error says that the request is called (``google.rpc.RequestInfo``, if it has one)."""
    error = _told(error)
    if not isinstance(error, DatabricksError):
        return None
    info = error.get_error_details().request_info
    return None if info is None else info.request_id


def _told(error: BaseException) -> BaseException:
    """Return what an attempt failed with, behind the exception that the SDK's retries end with."""
    if isinstance(error, SdkWouldRetry | TimeoutError):
        return error.__cause__ or error.__context__ or TookTooLong()
    return error


def _judge(error: BaseException, call: Call) -> _Verdict:
    told = _told(error)
    if isinstance(told, DatabricksError):
        verdict = _judge_answer(told, call)
        if verdict.patience is Patience.NONE and isinstance(error, SdkWouldRetry):
            # It goes by texts that the platform is known to have answered with, in spite of a status that says no.
            return replace(verdict, patience=Patience.BRIEF)
        return verdict
    unconnected = _why_unconnected(told)
    if unconnected is not None:
        return _Verdict(errors.Unreachable, Patience.FULL, unconnected)
    for types, kind, patience, reason in _OF_FOREIGN:
        if isinstance(told, types):
            # The words of these are ours, and say more than the table.
            said = str(told) if isinstance(told, CredentialFailure | MalformedAnswer | HeldBack) else ""
            return _Verdict(kind, patience, said or reason.replace("{status}", _status(call)))
    return _Verdict(errors.UnexpectedAnswer, Patience.NONE, f"the SDK failed with {type(told).__name__}")


_KINDS_OF_OUTAGE: Final = frozenset({errors.UnexpectedAnswer, errors.Throttled})


def _judge_answer(error: DatabricksError, call: Call) -> _Verdict:
    """Decide on an answer that the SDK made an exception of."""
    # The annotation of the SDK says text; some answers hold a number.
    code: object = error.error_code
    # A gateway that fails may say anything: taken at its word, a value would count as withheld, or a scope as gone.
    broken = call.status is not None and call.status >= requests.codes.internal_server_error
    if isinstance(code, str) and code in OF_CODE and not (broken and OF_CODE[code] not in _KINDS_OF_OUTAGE):
        kind = OF_CODE[code]
        patience = Patience.FULL if code in _PASSING_CODES else Patience.NONE
        return _Verdict(kind, _patience_of(kind, patience, call), f"the platform answered {code}{_status(call)}")
    by_status = _patience_of_status(call.status)
    if _is_page(call.body) and call.status not in _TRUSTED_WITH_PAGE:
        # Some proxies, and Databricks itself for an unknown token, answer with a page and a status like 403 or 404:
        # taken at its word, a secret would count as absent or as unreadable.
        patience = Patience.BRIEF if by_status is Patience.NONE else by_status
        return _Verdict(
            errors.UnexpectedAnswer,
            _patience_of(errors.UnexpectedAnswer, patience, call),
            f"the answer{_status(call)} is a page, not one of the API",
        )
    kind = next((OF_CLASS[base] for base in type(error).__mro__ if base in OF_CLASS), errors.UnexpectedAnswer)
    if broken and kind not in _KINDS_OF_OUTAGE:
        kind = errors.UnexpectedAnswer
    return _Verdict(kind, _patience_of(kind, by_status, call), f"the platform answered with an error{_status(call)}")


def _patience_of_status(status: int | None) -> Patience:
    if status is None or status in _LASTING:
        return Patience.NONE
    is_passing = status >= requests.codes.internal_server_error or status == requests.codes.request_timeout
    return Patience.FULL if is_passing else Patience.NONE


def _patience_of(kind: Kind, patience: Patience, call: Call) -> Patience:
    """Return ``patience``, unless the answer is about all that are asking."""
    wants_a_pause = call.status == requests.codes.service_unavailable and call.retry_after_s is not None
    if kind is errors.Throttled or (patience is Patience.FULL and wants_a_pause):
        return Patience.THROTTLED
    return patience


def _why_unconnected(error: BaseException) -> str | None:
    """Tell why there was no connection at all; None when that is not what happened."""
    reason = reason_of(error) if isinstance(error, requests.ConnectionError) else None
    if isinstance(reason, urllib3.exceptions.NameResolutionError):
        return "the name of the host is not known"
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return "the host cannot be connected to"
    return None


def _status(call: Call) -> str:
    return "" if call.status is None else f" ({call.status})"


def _is_page(body: bytes) -> bool:
    return body.lstrip()[:1] not in (b"", b"{")
