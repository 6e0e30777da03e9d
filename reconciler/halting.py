"""Signals while changes are made: the first one asks the run to stop, the second one stops it.

A run that is cut off between a put and the note of it is repaired by the next one. It is better not to need that: what
is in flight takes a second to end, and then report and ledger say what was done.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final


_INTERRUPTED: Final = "the run was interrupted"

_SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Pipelines send SIGTERM, closed terminals SIGHUP."""


class Halting:
    """Whether the run was asked to stop. Made by `halting`."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._is_asked = False
        self._wind_down: list[Callable[[], None]] = []

    def reason(self) -> str | None:
        """Return why nothing more may be begun, or None."""
        return _INTERRUPTED if self._is_asked else None

    def also(self, wind_down: Callable[[], None]) -> None:
        """Have ``wind_down`` called when the run is asked to stop; now, if it was."""
        self._wind_down.append(wind_down)
        if self._is_asked:
            wind_down()

    def ask(self) -> None:
        """Ask the run to stop. Fit for a signal handler: takes no lock that the interrupted code may hold."""
        self._is_asked = True
        threading.Thread(target=self._tell, name="halting", daemon=True).start()

    def _tell(self) -> None:
        for wind_down in tuple(self._wind_down):
            wind_down()
        self._say("interrupted: what is in flight ends and is written down; interrupt again to end at once")


@contextlib.contextmanager
def halting(say: Callable[[str], None]) -> Iterator[Halting]:
    """Let the first signal only ask the run to stop while the block runs; the second one raises KeyboardInterrupt.

    Args:
        say: Told that the run was interrupted.
    """
    halt = Halting(say)
    if threading.current_thread() is not threading.main_thread():
        yield halt  # Python hands signals to the main thread alone.
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def first(_number: int, _frame: FrameType | None) -> None:
        for number in _SIGNALS:
            signal.signal(number, signal.default_int_handler)
        halt.ask()

    for number in _SIGNALS:
        signal.signal(number, first)
    try:
        yield halt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
