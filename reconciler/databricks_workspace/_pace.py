"""How fast a workspace is asked, by all threads together.

Where a workspace says that it is asked too often, each thread that waits for itself alone makes it worse: fifteen go
on, and after the pause all of them come back at once. So one object decides for all of them when a request may start:

* while the workspace asks to be left alone, nobody starts;
* afterwards starts are apart. The gap doubles with each further complaint, at most once for requests that were under
  way together, and shrinks a little with each request that is served, until there is none.

As long as nobody has complained, nobody waits. Needs nothing of the SDK.
"""

import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


_FIRST_GAP_S: Final = 0.02
"""Between two starts after the first complaint: 50 requests a second."""

_LONGEST_GAP_S: Final = 2.0
_SHORTEST_GAP_S: Final = 0.002
"""Below it there is none: a request takes longer than that."""

_SHRINKING: Final = 0.98
"""How much of the gap is left after a request that was served. About 35 of them halve it, so that a workspace which
is asked as fast as it allows complains about one request in 35."""

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 10.0


def backoff_s(failures: int, chance: Callable[[], float]) -> float:
    """Return how long to wait after so many failures in a row: anything between nothing and a limit that doubles.

    Full jitter, as https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ recommends: of all ways
    tried there it takes the fewest requests.

    Args:
        failures: At least 1.
        chance: Returns a number from 0 to 1.
    """
    # Bounded before it is raised: no number of failures may overflow.
    return chance() * min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(failures - 1, 10))


@dataclass(frozen=True, slots=True)
class Turn:
    """When somebody may start."""

    at: float
    """By the clock of the `Pace`, in seconds."""

    era: int
    """Which complaint it is after."""


class Pace:
    """The pace of one workspace. Safe in several threads."""

    def __init__(
        self, *, now: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random
    ) -> None:
        """Start without any limit.

        Args:
            now: The clock, in seconds.
            chance: Returns a number from 0 to 1.
        """
        self._now = now
        self._chance = chance
        self._lock = threading.Lock()
        self._gap_s = 0.0
        self._next = -math.inf
        self._complaints = 0
        self._slowed_at = -math.inf
        self._era = 0

    def turn(self, limit: float) -> Turn | None:
        """Return when to start, an instant that nobody else gets unless there is no limit on the pace.

        Args:
            limit: When it is too late to start, by the clock, in seconds.

        Returns:
            None when it would be too late.
        """
        with self._lock:
            at = max(self._now(), self._next)
            if at >= limit:
                return None
            if self._gap_s:
                self._next = at + self._gap_s
            return Turn(at, self._era)

    def holds(self, turn: Turn) -> bool:
        """Tell whether a turn is still good: there was no complaint meanwhile."""
        return turn.era == self._era

    def complained(self, began: float, asked_s: float | None) -> None:
        """Slow down, as the workspace says that it is asked too often.

        Args:
            began: When the request that was answered so was sent.
            asked_s: How long the workspace asks to be left alone, in seconds; None where it does not say.
        """
        with self._lock:
            now = self._now()
            if began < self._slowed_at:
                # It was under way when another one was told so: the same burst, which says nothing new.
                if asked_s is not None and now + asked_s > self._next:
                    self._pause_until(now + asked_s)
                return
            self._complaints += 1
            self._gap_s = min(_LONGEST_GAP_S, max(_FIRST_GAP_S, self._gap_s * 2))
            self._slowed_at = now
            pause_s = backoff_s(self._complaints, self._chance) if asked_s is None else asked_s
            # Other clients may be asked to come back at the same instant.
            self._pause_until(now + pause_s + self._chance() * self._gap_s)

    def _pause_until(self, until: float) -> None:
        """Let nobody start before; who has a turn already asks for another one."""
        self._next = until
        self._era += 1

    def served(self, began: float) -> None:
        """Speed up a little, as a request was answered.

        Args:
            began: When it was sent.
        """
        if not self._gap_s:
            return
        with self._lock:
            if began < self._slowed_at:
                return
            self._complaints = 0
            gap_s = self._gap_s * _SHRINKING
            self._gap_s = gap_s if gap_s >= _SHORTEST_GAP_S else 0.0
