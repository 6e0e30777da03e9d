"""How the embedded workspace says no: the platform's error object with its code and HTTP status.

The shape ``{"error_code": …, "message": …}`` and the meaning of the codes are those of
https://docs.databricks.com/api/account/errors; which call throws which code stands in the Secrets API reference
(https://docs.databricks.com/api/workspace/secrets). The statuses are those that Databricks publishes with MLflow
(``mlflow/exceptions.py`` and ``mlflow/protos/databricks.proto``); the codes that are missing there are 400.

Messages name a scope only if it exists, and otherwise nothing that the caller sent: a value put into the wrong field
must not come back in an error.
"""

import enum
from typing import Final


class Code(enum.Enum):
    """Error codes that the Secrets API documents, and those of the front door that every API shares."""

    BAD_REQUEST = "BAD_REQUEST"
    CUSTOMER_UNAUTHORIZED = "CUSTOMER_UNAUTHORIZED"
    ENDPOINT_NOT_FOUND = "ENDPOINT_NOT_FOUND"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    INVALID_PARAMETER_VALUE = "INVALID_PARAMETER_VALUE"
    MALFORMED_REQUEST = "MALFORMED_REQUEST"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    RESOURCE_ALREADY_EXISTS = "RESOURCE_ALREADY_EXISTS"
    RESOURCE_DOES_NOT_EXIST = "RESOURCE_DOES_NOT_EXIST"
    RESOURCE_LIMIT_EXCEEDED = "RESOURCE_LIMIT_EXCEEDED"
    TEMPORARILY_UNAVAILABLE = "TEMPORARILY_UNAVAILABLE"
    UNAUTHENTICATED = "UNAUTHENTICATED"

    NO_CREDENTIAL = 401
    """The front door's number in place of a code: no bearer token was sent."""

    UNKNOWN_TOKEN = 403
    """The front door's number in place of a code: the token is nobody's."""


_STATUS: Final = {
    Code.BAD_REQUEST: 400,
    Code.CUSTOMER_UNAUTHORIZED: 401,
    Code.ENDPOINT_NOT_FOUND: 404,
    Code.INTERNAL_ERROR: 500,
    Code.INVALID_PARAMETER_VALUE: 400,
    Code.MALFORMED_REQUEST: 400,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_ALREADY_EXISTS: 400,
    Code.RESOURCE_DOES_NOT_EXIST: 404,
    Code.RESOURCE_LIMIT_EXCEEDED: 400,  # not 429: clients would repeat for minutes what cannot succeed
    Code.TEMPORARILY_UNAVAILABLE: 503,
    Code.UNAUTHENTICATED: 401,
    Code.NO_CREDENTIAL: 401,
    Code.UNKNOWN_TOKEN: 403,
}


class Refusal(Exception):
    """A request that is answered with an error object. Nothing was changed."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """HTTP status of the answer."""
        return _STATUS[self.code]

    @property
    def body(self) -> dict[str, str | int]:
        """The error object. ``error_code`` is a number where the platform's front door sends its status there."""
        return {"error_code": self.code.value, "message": self.message}


def invalid(message: str) -> Refusal:
    """Refuse a parameter."""
    return Refusal(Code.INVALID_PARAMETER_VALUE, message)


def malformed(message: str) -> Refusal:
    """Refuse a request that cannot be understood or contradicts itself."""
    return Refusal(Code.MALFORMED_REQUEST, message)


def bad_request(message: str) -> Refusal:
    """Refuse a request that breaks a rule of the workspace."""
    return Refusal(Code.BAD_REQUEST, message)


def missing(message: str) -> Refusal:
    """Say that a scope, a secret or an ACL does not exist."""
    return Refusal(Code.RESOURCE_DOES_NOT_EXIST, message)


def denied(message: str) -> Refusal:
    """Say that the caller may not do this."""
    return Refusal(Code.PERMISSION_DENIED, message)
