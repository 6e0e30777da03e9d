"""The one table from exceptions of the SDK, of requests and of Python to ours.

Decided by type, HTTP status and documented error code, never by text: a server may quote the value it was sent, so its
words reach nobody but `on_detail` of `reconciler.databricks_workspace.connect`, masked. Even an error code is repeated
only if it stands in the table here.

Codes are those of the Secrets API (https://docs.databricks.com/api/workspace/secrets) and of the docstrings of the
SDK's ``SecretsAPI``. Imports the SDK, so `preload` comes first.
"""

from collections.abc import Mapping
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
from reconciler.databricks_workspace._transport import (
    AnswerTooLarge,
    EmptyAnswer,
    GaveUp,
    Redirected,
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

_OF_FOREIGN: Final[tuple[tuple[tuple[type[BaseException], ...], Kind, str], ...]] = (
    ((TookTooLong,), errors.Unreachable, "no answer within the time allowed"),
    ((SilentTokenEndpoint,), errors.Unreachable, "the token endpoint did not answer"),
    ((FailingTokenEndpoint,), errors.UnexpectedAnswer, "the token endpoint answered with an error"),
    ((BusyTokenEndpoint,), errors.Throttled, "the token endpoint answered that it was asked too often"),
    ((CredentialFailure,), errors.Unauthenticated, "no usable credential was found"),
    (
        (Redirected, requests.TooManyRedirects),
        errors.UnexpectedAnswer,
        "the answer{status} is a redirect, which is never followed",
    ),
    ((AnswerTooLarge,), errors.UnexpectedAnswer, "the answer{status} is larger than any that the API documents"),
    ((EmptyAnswer,), errors.UnexpectedAnswer, "the answer{status} is empty"),
    (
        # Both quote the header when asked, and the header is the credential.
        (requests.exceptions.InvalidHeader, UnicodeEncodeError),
        errors.Unauthenticated,
        "the credential holds characters that a header cannot",
    ),
    ((UntrustedHost,), errors.Unreachable, "the certificate of the host is not accepted"),
    ((requests.exceptions.SSLError,), errors.Unreachable, "the TLS handshake fails"),
    ((requests.exceptions.ProxyError,), errors.Unreachable, "the proxy does not lead there"),
    ((requests.ConnectTimeout,), errors.Unreachable, "the host does not accept a connection"),
    ((requests.Timeout,), errors.Unreachable, "the host does not answer"),
    (
        (requests.ConnectionError, requests.exceptions.ChunkedEncodingError),
        errors.Unreachable,
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
        "the address of the host or of its proxy cannot be used",
    ),
    (
        (requests.exceptions.InvalidJSONError, requests.exceptions.ContentDecodingError),
        errors.UnexpectedAnswer,
        "the answer{status} is not the JSON that the API documents",
    ),
    ((requests.RequestException,), errors.UnexpectedAnswer, "the request failed in a way that is not known here"),
    (
        # Of the SDK, for JSON of another shape.
        (ValueError, TypeError, AttributeError, LookupError),
        errors.UnexpectedAnswer,
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


def failure_of(operation: Operation, error: BaseException, call: Call) -> errors.WorkspaceError:
    """Return the error that stands for ``error``; raise it outside of any ``except``, so that nothing chains to it."""
    kind, reason = _classify(error, call)
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
    return kind(f"{operation.what}: {reason}", advice=advice)


def _classify(error: BaseException, call: Call) -> tuple[Kind, str]:
    if isinstance(error, DatabricksError):
        return _classify_answer(error, call)
    if isinstance(error, MalformedAnswer):
        return errors.UnexpectedAnswer, str(error)
    if isinstance(error, GaveUp | TimeoutError):
        # The SDK ends its retries with a TimeoutError, its clock (ours) with GaveUp; the reason is the attempt before.
        before = error.__cause__ or error.__context__ or TookTooLong()
        kind, reason = _classify(before, call)
        return kind, f"{reason} (tried for as long as --timeout allows)"
    unconnected = _why_unconnected(error)
    if unconnected is not None:
        return errors.Unreachable, unconnected
    for types, kind, reason in _OF_FOREIGN:
        if isinstance(error, types):
            # The words of the former are ours, and say more than the table.
            said = str(error) if isinstance(error, CredentialFailure) else ""
            return kind, said or reason.replace("{status}", _status(call))
    return errors.UnexpectedAnswer, f"the SDK failed with {type(error).__name__}"


def _classify_answer(error: DatabricksError, call: Call) -> tuple[Kind, str]:
    """Decide on an answer that the SDK made an exception of."""
    # The annotation of the SDK says text; some answers hold a number.
    code: object = error.error_code
    if isinstance(code, str) and code in OF_CODE:
        return OF_CODE[code], f"the platform answered {code}{_status(call)}"
    if _is_page(call.body) and call.status not in _TRUSTED_WITH_PAGE:
        # Some proxies, and Databricks itself for an unknown token, answer with a page and a status like 403 or 404:
        # taken at its word, a secret would count as absent or as unreadable.
        return errors.UnexpectedAnswer, f"the answer{_status(call)} is a page, not one of the API"
    kind = next((OF_CLASS[base] for base in type(error).__mro__ if base in OF_CLASS), errors.UnexpectedAnswer)
    return kind, f"the platform answered with an error{_status(call)}"


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
