"""Send one attempt: counted, bounded in time and size, never redirected.

Mounted on the session of the SDK's client for https and http alike. The SDK mounts its own for https only, where a
pool of 20 connections is fixed by two settings that are swapped; over http the pool of requests would keep 10 and
throw away, request by request, what 16 threads use beyond that.
"""

import io
import ssl
import threading
import time
from email.utils import parsedate_to_datetime
from typing import Final

import requests
import urllib3.exceptions
from databricks.sdk.clock import Clock
from requests.adapters import HTTPAdapter
from urllib3.util import Timeout

from reconciler.databricks_workspace._calls import Call, CredentialFailure
from reconciler.databricks_workspace._request_id import request_id_in
from reconciler.databricks_workspace._retry_after import retry_after_s
from reconciler.workspace import RequestCount


_MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""Largest answer that is read: a listing of 1,000 keys takes 0.1 MB."""

_NOTHING: Final = (b"", b"null")
"""What the SDK takes for an empty object, and so for an empty listing: every key would look absent."""

_CHUNK_BYTES: Final = 64 * 1024
_MAX_KEPT_BYTES: Final = 64 * 1024
"""Largest failure whose text is kept to be shown with ``-v``."""


class Redirected(requests.RequestException):
    """The answer points elsewhere. Not followed: credential and value would go to whoever the answer names."""


class AnswerTooLarge(requests.RequestException):
    """The answer is larger than any that the API documents."""


class EmptyAnswer(requests.RequestException):
    """A question was answered with nothing, which the SDK would read as an empty listing."""


class UntrustedHost(requests.RequestException):
    """The certificate is not accepted. Not tried again, as the SDK would: no waiting makes it another one."""


class SdkWouldRetry(Exception):
    """The SDK is about to try again, which is not its part; what the attempt failed with is the context of this."""


class SdkClock(Clock):
    """The clock of the SDK, which ends its retries: `_retrying` has ours.

    The public way to do so: a time allowed of 0 stands for 300 seconds there, and the number of attempts is fixed.
    """

    def time(self) -> float:
        """Return seconds by a clock that never jumps."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:  # noqa: ARG002  # the signature is the SDK's
        """Raise instead: the SDK sleeps only before another attempt.

        Raises:
            SdkWouldRetry: Always.
        """
        raise SdkWouldRetry


class RequestCounter:
    """Counts attempts, and keeps what their answers say of the time; one for all sessions of a workspace."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read = 0
        self._write = 0
        self._ahead_s: float | None = None

    @property
    def ahead_s(self) -> float | None:
        """How many seconds the clock of whoever answered last is ahead of ours; None where nobody said."""
        return self._ahead_s

    def note_date(self, date: str | None) -> None:
        """Note the ``Date`` of an answer that has just come."""
        try:
            said = None if date is None else parsedate_to_datetime(date)
        except ValueError:
            return
        if said is not None and said.tzinfo is not None:
            self._ahead_s = said.timestamp() - time.time()

    def add(self, method: str | None) -> None:
        """Count one attempt: the API reads by GET alone."""
        with self._lock:
            if method == "GET":
                self._read += 1
            else:
                self._write += 1

    def total(self) -> RequestCount:
        """Return what was counted so far."""
        with self._lock:
            return RequestCount(read=self._read, write=self._write)


class Transport(HTTPAdapter):
    """The adapter under the SDK's session."""

    def __init__(self, *, call: Call, counter: RequestCounter, connections: int) -> None:
        """Keep ``connections`` connections alive, one per thread that calls."""
        # More threads than connections wait for one instead of opening a connection for a single request.
        super().__init__(pool_connections=1, pool_maxsize=connections, pool_block=True)
        self._call = call
        self._counter = counter

    def send(  # the signature is that of requests
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002, FBT001, FBT002  # likewise
        timeout: object = None,  # noqa: ARG002  # likewise; the deadline of the call is the limit
        verify: bool | str = True,  # noqa: FBT001, FBT002  # likewise
        cert: object = None,
        proxies: object = None,
    ) -> requests.Response:
        """Send ``request`` and read the answer, all within the time of an attempt.

        Raises:
            CredentialFailure: A header cannot hold the credential.
            Redirected, AnswerTooLarge, EmptyAnswer: Instead of an answer that must not be used.
            requests.RequestException: No answer.
        """
        call = self._call
        call.begin_attempt()
        call.credentials = _credentials_of(request)
        self._counter.add(request.method)
        try:
            response = super().send(
                request,
                stream=True,
                # In all: as a plain number it would be that for connecting and once more for each part that is read.
                timeout=Timeout(total=call.attempt_left_s()),  # type: ignore[arg-type]  # documented, not annotated
                verify=verify,
                cert=cert,  # type: ignore[arg-type]  # handed through
                proxies=proxies,  # type: ignore[arg-type]  # handed through
            )
            body = self._read(response)
        except requests.RequestException as error:
            if _is_about_certificate(error):
                raise UntrustedHost(request=request) from None
            call.lost = call.lost or not _was_never_sent(error)
            raise
        call.status = response.status_code
        call.request_id = request_id_in(response.headers)
        call.retry_after_s = retry_after_s(response.headers)
        self._counter.note_date(response.headers.get("Date"))
        call.lost = call.lost or response.status_code >= requests.codes.internal_server_error
        if not response.ok and len(body) <= _MAX_KEPT_BYTES:
            call.body = body
        if requests.codes.multiple_choices <= response.status_code < requests.codes.bad_request:
            raise Redirected(request=request)
        if request.method == "GET" and response.ok and body.strip() in _NOTHING:
            raise EmptyAnswer(request=request)
        # requests reads on from any file-like object; the body is whole and decoded.
        response.raw = io.BytesIO(body)
        return response

    def _read(self, response: requests.Response) -> bytes:
        """Return the body. Left to requests, an endless or a dripping one would be read for ever."""
        body = io.BytesIO()
        try:
            while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
                body.write(chunk)
                self._check_bounds(body.tell())
        except urllib3.exceptions.HTTPError as error:
            response.close()
            raise _as_requests_has_it(error) from None
        except BaseException:
            response.close()
            raise
        return body.getvalue()

    def _check_bounds(self, size: int) -> None:
        if size > _MAX_ANSWER_BYTES:
            raise AnswerTooLarge
        if self._call.is_attempt_over():
            raise requests.ReadTimeout


def _credentials_of(request: requests.PreparedRequest) -> tuple[str, ...]:
    """Return the headers that authenticate.

    Raises:
        CredentialFailure: A header cannot hold one of them. The layers below would quote it in their complaint.
    """
    values = tuple(
        str(value) for name, value in request.headers.items() if name == "Authorization" or "token" in name.lower()
    )
    if not all(value.isascii() and value.isprintable() for value in values):
        raise CredentialFailure
    return values


def _as_requests_has_it(error: urllib3.exceptions.HTTPError) -> requests.RequestException:
    """Return what the SDK decides on: it retries timeouts and connections that break, also within the answer."""
    match error:
        case urllib3.exceptions.DecodeError():
            return requests.exceptions.ContentDecodingError()
        case urllib3.exceptions.ReadTimeoutError():
            return requests.ReadTimeout()
        case _:
            return requests.ConnectionError()


def _was_never_sent(error: requests.RequestException) -> bool:
    """Tell whether there was no connection that the request could have gone out on."""
    return isinstance(error, requests.ConnectTimeout) or isinstance(
        reason_of(error), urllib3.exceptions.NewConnectionError
    )


def _is_about_certificate(error: requests.RequestException) -> bool:
    """Tell a certificate that is not accepted from a handshake that broke, which may go better the next time."""
    reason = reason_of(error)
    return isinstance(reason, urllib3.exceptions.SSLError) and any(
        isinstance(part, ssl.SSLCertVerificationError) for part in reason.args
    )


def reason_of(error: BaseException) -> object:
    """Return what urllib3 says about an attempt that failed without an answer; None when it says nothing."""
    return getattr(error.args[0], "reason", None) if error.args else None
