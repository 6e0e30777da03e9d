"""Signals while plain text is at hand: they end a wait for somebody at once, and nothing else half-way.

Whoever waits, for an editor or for an answer, can be waited out for ever, and is interrupted. What comes after it takes
a moment, and must come to its end: encrypting what somebody typed, and taking plain text away.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final


_SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Signals:
    """What has come so far. Made by `orderly`."""

    def __init__(self) -> None:
        self._waiting = False
        self._noted = False

    def take(self, _number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        if self._waiting:
            # Each time, until the wait is over: `input` swallows what is raised while it flushes its streams.
            raise KeyboardInterrupt
        self._noted = True

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Let signals end the block.

        Raises:
            KeyboardInterrupt: One came, perhaps before the block.
        """
        if self._noted:
            self._noted = False
            raise KeyboardInterrupt
        self._waiting = True
        try:
            yield
        finally:
            self._waiting = False


@contextlib.contextmanager
def orderly() -> Iterator[Signals]:
    """Let signals wait while the block runs, apart from where it waits itself."""
    signals = Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals  # Python hands signals to the main thread alone.
        return
    before = {number: signal.signal(number, signals.take) for number in _SIGNALS}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
