"""What is known of the call that a thread is making, and a bound on waiting for code that has none.

Needs nothing of the SDK.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar


T = TypeVar("T")


_LEAST_ATTEMPT_S: Final = 10.0
_ATTEMPT_SHARE: Final = 3
"""One attempt may take a third of the time allowed, or so many seconds if that is more: a host that hangs is asked
again within the time, and one that is slow is still waited for."""


class Call(threading.local):
    """State of the call that the current thread makes. The SDK's exceptions carry neither status nor attempts."""

    def __init__(
        self, timeout_s: float, now: Callable[[], float] = time.monotonic, *, least_attempt_s: float = _LEAST_ATTEMPT_S
    ) -> None:
        """Start no call. Runs once per thread, with the same arguments.

        Args:
            timeout_s: For all attempts of a call.
            now: The clock, in seconds.
            least_attempt_s: What one attempt may take, even where a third of the time allowed is less.
        """
        self._timeout_s = timeout_s
        self._now = now
        self._longest_attempt_s = max(least_attempt_s, timeout_s / _ATTEMPT_SHARE)

    began: float = -math.inf
    """When the first attempt began, by `now`, in seconds."""

    deadline: float = math.inf
    """When to give up, likewise."""

    attempt_deadline: float = math.inf
    """When to give up waiting for the answer to the current attempt, likewise; not after `deadline`."""

    gave_up: str | None = None
    """Why there was no further attempt although one might have helped, in words; None where that is not so."""

    lost: bool = False
    """An attempt was sent, and whether it took effect is unknown: no answer came, or one from 500 on."""

    status: int | None = None
    """HTTP status of the last answer; None when the last attempt got none."""

    body: bytes = b""
    """Of the last answer, if it was a failure; may quote anything."""

    request_id: str | None = None
    """What the last answer says the request is called; may quote anything."""

    retry_after_s: float | None = None
    """How long the last answer asks to be left alone, in seconds."""

    credentials: tuple[str, ...] = ()
    """Headers of the last attempt that authenticate; for masking only."""

    @property
    def timeout_s(self) -> float:
        """How long all attempts of a call may take."""
        return self._timeout_s

    def begin(self) -> None:
        """Forget the call before this one, and start its time."""
        self.began = self.now()
        self.deadline = self.began + self._timeout_s
        self.gave_up = None
        self.lost = False
        self.begin_attempt()

    def begin_attempt(self) -> None:
        """Forget the attempt before this one, and start its time."""
        self.attempt_deadline = min(self.deadline, self.now() + self._longest_attempt_s)
        self.status = None
        self.body = b""
        self.request_id = None
        self.retry_after_s = None
        self.credentials = ()

    def attempt_left_s(self) -> float:
        """Return the seconds left; never 0 or less, which would mean no limit or an error to the layers below."""
        return max(self.attempt_deadline - self.now(), 0.01)

    def is_attempt_over(self) -> bool:
        """Tell whether the time of the attempt has passed."""
        return self.now() >= self.attempt_deadline

    def now(self) -> float:
        """Return seconds by the clock that deadlines are measured with."""
        return self._now()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What is tried, in words for people: names, never values."""

    what: str
    """``putting secrets/db-password``."""

    denied_advice: str | None = None
    """Which grant it takes."""

    missing_advice: str | None = None
    """What may be missing."""

    rejected_advice: str | None = None
    """What may be wrong with what was sent, or what else can be done."""

    quotable: bool = True
    """``-v`` shows what the server says. False where that may quote a value which we do not know and so cannot mask."""


class CredentialFailure(Exception):
    """No header that authenticates could be made. Its text, if any, is ours: what the SDK raises may quote anything."""


class RefusedExchange(CredentialFailure):
    """Whoever issues tokens says no to what it was shown."""


class SilentTokenEndpoint(CredentialFailure):
    """Nobody answered who could have made a credential; nothing is said about the one that was found."""


class FailingTokenEndpoint(CredentialFailure):
    """Whoever issues tokens answered with an error of its own; likewise."""


class BusyTokenEndpoint(CredentialFailure):
    """Whoever issues tokens answered that it was asked too often; likewise."""


class MalformedAnswer(Exception):
    """The answer is JSON and still not what the API documents. The text is ours."""


class TookTooLong(Exception):
    """Something was still running when its time was over."""


def within(timeout_s: float, action: Callable[[], T]) -> T:
    """Return what ``action`` returns, or raise what it raises.

    Name resolution and the SDK's token exchanges wait without a limit and cannot be interrupted, so they run in a
    thread that can be left behind; as a daemon it does not keep the process from ending.

    Raises:
        TookTooLong: It still runs after ``timeout_s``; it goes on, and what it returns is dropped.
    """
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(action())
        except BaseException as error:  # noqa: BLE001  # raised again by whoever waits
            failures.append(error)

    thread = threading.Thread(target=run, name="databricks-sdk", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if failures:
        raise failures.pop()
    if not results:
        raise TookTooLong
    return results.pop()
