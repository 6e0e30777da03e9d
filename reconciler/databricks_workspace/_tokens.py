"""Keep what an exchange of tokens gave until shortly before it expires: one exchange for all threads and calls.

The rules, by ``time.monotonic``, as a clock that is set must not make a token look valid:

* an exchange runs in a thread of its own, one at a time; whoever needs its token waits for it, within the time allowed;
* before a token expires the next one is asked for while everybody goes on with the old one; if that fails, it is tried
  again a little later, and no call fails while the old one is valid;
* a token that the platform refuses is dropped once, and what replaces it is believed to be no better if it is refused
  for the very same request;
* an exchange that failed is not repeated at once for every call that follows.

Needs nothing of the SDK.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from reconciler.databricks_workspace._calls import CredentialFailure, TookTooLong


_MOST_EARLY_S: Final = 120.0
_EARLY_PART: Final = 5
"""The next token is asked for so long before the end of this one, or a fifth of its lifetime if that is less."""

_MOST_UNUSED_S: Final = 40.0
_UNUSED_PART: Final = 10
"""So long before its end, or a tenth, a token is not used any more: Azure Databricks refuses those that end within 30
seconds (comment in ``databricks.sdk.oauth.Token.expired``, which takes 40 as well)."""

_PAUSE_S: Final = 5.0
"""How long an exchange that failed is not repeated."""

_GRACE_S: Final = 0.25
"""How much longer than the exchange itself its thread is waited for: it has more to say about why it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """What an exchange gave."""

    headers: Mapping[str, str] = field(repr=False)
    """That authenticate, ``Authorization`` among them."""

    lifetime_s: float
    """How long they are accepted, in seconds since before the exchange was sent; 0 or less: this once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What is being used."""

    issued: Issued
    early_from: float
    usable_until: float

    refused_in_vain: bool = False
    """It replaced a token that the platform had refused, and was refused like it: the token is not the reason."""

    @property
    def authorization(self) -> str | None:
        return self.issued.headers.get("Authorization")


class _Flight:
    """One exchange under way."""

    def __init__(self, *, lands_by: float, early: bool) -> None:
        self.lands_by = lands_by
        self.early = early
        self.done = threading.Event()
        self.issued: Issued | None = None
        self.failure: Exception | None = None


class Tokens:
    """The headers of one identity. Safe in several threads; shows none of what it holds."""

    def __init__(
        self, exchange: Callable[[], Issued], *, timeout_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Get tokens by ``exchange``.

        Args:
            exchange: Called in a thread of its own, never twice at the same time unless it overstays. What it raises
                is raised again by whoever waits for it: a `CredentialFailure` as it is, anything else as a bare one.
            timeout_s: How long it is waited for.
            now: The clock, in seconds.
        """
        self._exchange = exchange
        self._timeout_s = timeout_s
        self._now = now
        self._lock = threading.Lock()
        self._held: _Held | None = None
        self._flight: _Flight | None = None
        self._next_early = -math.inf
        self._failure: Exception | None = None
        self._fails_until = -math.inf

    def headers(self) -> dict[str, str]:
        """Return headers that are valid.

        Raises:
            TookTooLong: The exchange still runs when its time is over.
            CredentialFailure: It failed.
        """
        while True:
            with self._lock:
                now = self._now()
                if self._held is not None and now < self._held.usable_until:
                    if self._flight is None and now >= max(self._held.early_from, self._next_early):
                        self._depart(now, early=True)
                    return dict(self._held.issued.headers)
                flight = self._joined(now)
            issued = self._landed(flight)
            if issued is not None:
                return dict(issued.headers)

    def drop(self, authorization: str) -> bool:
        """Let go of a token that the platform refused.

        Returns:
            Whether `headers` may give another one, so that the request is worth repeating.
        """
        with self._lock:
            if self._held is None or self._held.authorization != authorization:
                return True  # another thread met the same and was quicker
            if self._held.refused_in_vain:
                return False
            self._held = None
            return True

    def give_up(self, authorization: str) -> None:
        """Keep a token although it is refused, as the one before it was: a third would be no better."""
        with self._lock:
            if self._held is not None and self._held.authorization == authorization:
                self._held = replace(self._held, refused_in_vain=True)

    def _joined(self, now: float) -> _Flight:
        """Return the exchange to wait for, and start it if there is none. Under the lock."""
        if self._flight is not None and now < self._flight.lands_by:
            return self._flight
        if self._failure is not None and now < self._fails_until:
            raise _again(self._failure)
        return self._depart(now, early=False)

    def _depart(self, now: float, *, early: bool) -> _Flight:
        flight = _Flight(lands_by=now + self._timeout_s + _GRACE_S, early=early)
        self._flight = flight
        # A daemon, as name resolution has no limit and must not keep the process from ending.
        threading.Thread(target=self._fly, args=(flight,), name="token exchange", daemon=True).start()
        return flight

    def _fly(self, flight: _Flight) -> None:
        """Run the exchange. Of its failure is kept what it says, not its context, in which there are secrets."""
        began = self._now()
        failure: Exception = CredentialFailure()
        issued = None
        try:
            issued = self._exchange()
        except (CredentialFailure, TookTooLong) as error:
            failure = _again(error)
        except Exception:  # noqa: BLE001, S110  # its text may quote what a server said; it counts as a bare failure
            pass
        with self._lock:
            if self._flight is flight:
                if issued is None:
                    self._note_failure(flight, failure)
                else:
                    self._hold(issued, began)
        flight.issued, flight.failure = issued, failure
        flight.done.set()

    def _hold(self, issued: Issued, began: float) -> None:
        lifetime_s = max(issued.lifetime_s, 0.0)
        self._held = _Held(
            issued=issued,
            early_from=began + lifetime_s - min(_MOST_EARLY_S, lifetime_s / _EARLY_PART),
            usable_until=began + lifetime_s - min(_MOST_UNUSED_S, lifetime_s / _UNUSED_PART),
        )
        self._flight = None

    def _note_failure(self, flight: _Flight, failure: Exception) -> None:
        self._flight = None
        now = self._now()
        if flight.early:
            self._next_early = now + _PAUSE_S
        else:
            self._failure, self._fails_until = failure, now + _PAUSE_S

    def _landed(self, flight: _Flight) -> Issued | None:
        """Wait for an exchange; None when it failed and was begun for others, who could do without it.

        Raises:
            TookTooLong, CredentialFailure: As `headers`.
        """
        in_time = flight.done.wait(max(flight.lands_by - self._now(), 0.0))
        if in_time and flight.issued is not None:
            return flight.issued
        failure = flight.failure if in_time and flight.failure is not None else TookTooLong()
        if not in_time:
            with self._lock:
                if self._flight is flight:
                    self._note_failure(flight, failure)
        if flight.early:
            return None
        raise _again(failure)


def _again(failure: Exception) -> Exception:
    """Return another exception that says the same: one that several threads raise would collect their tracebacks."""
    return type(failure)(*failure.args)
