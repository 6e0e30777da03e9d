"""The one retry policy: which attempt is followed by another one, and when.

* What may go better the next time is tried again until the time allowed is over: no answer, an answer that breaks off,
  429, and errors of the server.
* What may be the hiccup of something on the way, but is more likely what it looks like, is tried again for a few
  seconds: pages and empty answers where JSON should be. Databricks answers an unknown token with a page, and who has
  mistyped one should not have to wait.
* All else is an answer: refusals of the API, credentials, certificates, redirects.

Which of these a failure is stands in the table of `_failures`. Pauses are random below a limit that doubles; where the
workspace says how long it wants to be left alone, that counts, and if it is longer than the time that is left, there is
no further attempt. Each call that was tried for all of its time in vain halves the time of those that fail later, until
an attempt that was not the first has helped: where a workspace fails for good, a thousand values would otherwise cost
an hour to learn what the first ones have shown. When anybody may start at all, the `Pace` of the workspace decides.

Every request of ours may be repeated: reads change nothing, and a write that was carried out already is found to be
(`Call.lost`). Needs nothing of the SDK, whose own retries are off (`SdkClock`): they know neither our deadline nor
other threads, and do not repeat most errors of servers.
"""

import enum
import random
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from reconciler.databricks_workspace._calls import Call
from reconciler.databricks_workspace._pace import Pace, backoff_s


T = TypeVar("T")

_BRIEFLY_S: Final = 3.0
_MOST_HALVINGS: Final = 30

_LAST_S: Final = 1.0
_LAST_PART: Final = 0.1
"""The last attempt has so long, or a tenth of the time allowed if that is less."""

_FIRST_REFUSAL: Final = 400
"""HTTP statuses below it say that a request was carried out."""


class Patience(enum.Enum):
    """How long a failure is worth further attempts."""

    NONE = enum.auto()
    BRIEF = enum.auto()
    """A few seconds."""

    FULL = enum.auto()
    """For as long as a call may take."""

    THROTTLED = enum.auto()
    """Likewise, and everybody slows down."""


class HeldBack(Exception):
    """There was no attempt at all. The text is ours, and says why."""


_NOTED_WITHIN_S: Final = 3.0
"""How long a request of a run that is to stop waits for its turn. What cannot be noted is found out by the next run."""


class _Wait(enum.Enum):
    OVER = enum.auto()
    TOO_LONG = enum.auto()
    ENDED = enum.auto()


class Retrying:
    """The attempts of all calls of one workspace. Safe in several threads."""

    def __init__(
        self,
        *,
        call: Call,
        pace: Pace,
        patience: Callable[[Exception], Patience],
        chance: Callable[[], float] = random.random,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        """Begin with nothing tried.

        Args:
            call: State of the call that a thread is making, with the clock.
            pace: Of this workspace.
            patience: Judges how an attempt ended.
            chance: Returns a number from 0 to 1.
            wait: Waits for so many seconds, or until an event is set, and tells whether it is.
        """
        self._call = call
        self._pace = pace
        self._patience = patience
        self._chance = chance
        self._wait = wait
        self._in_vain = 0
        self._ended = threading.Event()
        self._never = threading.Event()

    def wind_down(self) -> None:
        """Make no further attempts; who waits for one does not wait any longer."""
        self._ended.set()

    def run(self, request: Callable[[], T], *, patience: Callable[[Exception], Patience] | None = None) -> T:
        """Return what ``request`` returns, tried as often as it takes and the policy allows.

        Args:
            request: One attempt.
            patience: In place of the usual one.

        Raises:
            HeldBack: The workspace wants to be left alone for longer than a call may take.
            Exception: Of ``request``, that of the last attempt; `Call.gave_up` says why it was the last, unless another
                one could not have helped.
        """
        call = self._call
        judge = self._patience if patience is None else patience
        call.begin()
        self._await_first_turn()
        # Time in which nobody may ask does not count as time in which this call was tried.
        call.begin()
        failures = 0
        while True:
            began = call.now()
            try:
                result = request()
            except Exception as error:  # noqa: BLE001  # raised again below, or followed by another attempt
                failure = error
            else:
                self._pace.served(began)
                if failures:
                    self._in_vain = 0
                return result
            failures += 1
            if not self._may_repeat(judge(failure), began, failures):
                # Outside of the `except`, so that nothing more is chained to it.
                raise failure

    def _await_first_turn(self) -> None:
        # What begins after the end of retries, as the notes of what was done, keeps to the pace all the same; but a
        # pipeline that has asked the run to stop does not wait for long before it kills it.
        ended = self._ended.is_set()
        limit = min(self._call.deadline, self._call.now() + _NOTED_WITHIN_S) if ended else self._call.deadline
        match self._await_turn(limit, self._never if ended else self._ended):
            case _Wait.OVER:
                return
            case _Wait.ENDED:
                raise HeldBack("not tried, as the run was interrupted")
            case _Wait.TOO_LONG:
                allowed = "a run that is to stop may take" if ended else "--timeout allows"
                raise HeldBack(f"not tried, as the workspace asks for a longer pause than {allowed}")

    def _may_repeat(self, patience: Patience, began: float, failures: int) -> bool:
        """Wait until the time for another attempt; False when there is to be none."""
        call = self._call
        if patience is Patience.THROTTLED:
            self._pace.complained(began, call.retry_after_s)
        if patience is Patience.NONE:
            if call.status is not None:
                self._pace.served(began)
            return False
        allowed_s = call.timeout_s
        if patience is Patience.BRIEF:
            # What answers in the place of the workspace may have answered after it.
            call.lost = call.lost or call.status is None or call.status < _FIRST_REFUSAL
            allowed_s = min(allowed_s, _BRIEFLY_S)
        limit = call.began + allowed_s / 2 ** min(self._in_vain, _MOST_HALVINGS)
        # With no time for its answer, a last attempt would only hide what the one before was answered.
        limit = min(limit, call.deadline - min(_LAST_S, call.timeout_s * _LAST_PART))
        waited = self._await_attempt(patience, limit, failures)
        if waited is _Wait.OVER:
            return True
        if waited is _Wait.TOO_LONG and call.retry_after_s is None:
            # Threads may miss each other's count, which changes nothing that matters.
            self._in_vain += 1
        call.gave_up = self._words(failures, was_ended=waited is _Wait.ENDED)
        return False

    def _await_attempt(self, patience: Patience, limit: float, failures: int) -> _Wait:
        now = self._call.now()
        asked_s = self._call.retry_after_s
        if asked_s is not None and now + asked_s >= limit:
            return _Wait.TOO_LONG
        if self._ended.is_set():
            return _Wait.ENDED
        if patience is not Patience.THROTTLED:
            pause_s = backoff_s(failures, self._chance) if asked_s is None else asked_s
            if now + pause_s >= limit:
                return _Wait.TOO_LONG
            if self._wait(self._ended, pause_s):
                return _Wait.ENDED
        return self._await_turn(limit, self._ended)

    def _await_turn(self, limit: float, end: threading.Event) -> _Wait:
        """Wait until the pace lets this thread start, or until ``end``."""
        while True:
            turn = self._pace.turn(limit)
            if turn is None:
                return _Wait.TOO_LONG
            wait_s = turn.at - self._call.now()
            if wait_s > 0 and self._wait(end, wait_s):
                return _Wait.ENDED
            if self._pace.holds(turn):
                return _Wait.OVER

    def _words(self, failures: int, *, was_ended: bool) -> str:
        tried = "once" if failures == 1 else f"{failures} times"
        text = f"tried {tried} in {_seconds(self._call.now() - self._call.began)}"
        if was_ended:
            return f"{text}, and not again as the run was interrupted"
        asked_s = self._call.retry_after_s
        if asked_s is not None:
            return f"{text}, and the workspace asks for a pause of {_seconds(asked_s)}"
        return text


def _seconds(number: float) -> str:
    return f"{number:.1f} s" if number < 10 else f"{number:.0f} s"  # noqa: PLR2004  # as people say it
