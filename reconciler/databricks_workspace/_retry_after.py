"""How long a server asks to be left alone: the header ``Retry-After`` (RFC 9110, section 10.2.3).

Needs nothing of the SDK, which reads whole seconds only, whatever their number.
"""

import email.utils
import time
from collections.abc import Callable, Mapping
from typing import Final


_LONGEST_S: Final = 86_400.0
"""No limit on requests asks for more than a day. What does is a mistake, and counts as saying nothing."""

_MOST_DIGITS: Final = 6


def retry_after_s(headers: Mapping[str, str], *, now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds that an answer asks to wait; None where it does not say, or says nonsense.

    Args:
        headers: Of the answer; names without regard to case.
        now: Seconds since the epoch. Counts where the answer does not state its own time, by which a date is meant: the
            two clocks may differ.
    """
    said = headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdigit():
        waits_s = float(said) if len(said) <= _MOST_DIGITS else _LONGEST_S + 1
    else:
        until = _seconds_of(said)
        if until is None:
            return None
        answered = _seconds_of(headers.get("Date", ""))
        waits_s = max(until - (now() if answered is None else answered), 0.0)
    return waits_s if waits_s <= _LONGEST_S else None


def _seconds_of(date: str) -> float | None:
    """Return an HTTP date as seconds since the epoch."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
