"""A progress bar that nobody sees unless it helps: on a terminal, and only when the work takes a while."""

import contextlib
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TextIO

from reconciler.report.escape import escape_text


if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

DELAY_S: Final = 1.0
"""How long work must take before a bar appears, in seconds: a bar that flashes up tells nobody anything."""


class ProgressBar:
    """Counts steps, and draws them after `DELAY_S` if the stream is a terminal. A context manager, safe for threads.

    Not a terminal, or no stream at all: nothing is written and rich is not imported. The bar leaves no trace behind, so
    that the report below it starts on a clean line.
    """

    def __init__(self, what: str, *, total: int, stream: TextIO | None = None, delay_s: float = DELAY_S) -> None:
        """Prepare a bar; nothing happens before it is entered.

        Args:
            what: A few words on the work: "reading values".
            total: How many steps there will be.
            stream: Where to draw; None is stderr, as stdout carries the report. Where the process was started without
                stderr, nothing is drawn.
            delay_s: How long to wait before drawing, in seconds.
        """
        self._what = escape_text(what)
        self._total = total
        self._stream = sys.stderr if stream is None else stream
        self._delay_s = delay_s
        self._done = 0
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._drawn: tuple[Progress, TaskID] | None = None
        self._ended = False

    @property
    def done(self) -> int:
        """Steps so far."""
        return self._done

    def __enter__(self) -> Self:
        """Start to wait for the moment at which the bar is worth drawing."""
        if self._stream is not None and self._stream.isatty():
            self._timer = threading.Timer(self._delay_s, self._draw)
            self._timer.daemon = True
            self._timer.start()
        return self

    def advance(self, steps: int = 1) -> None:
        """Say that ``steps`` more are done."""
        with self._lock:
            self._done += steps
            if self._drawn is not None:
                progress, task = self._drawn
                progress.update(task, completed=self._done)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the bar away, also when the work failed or was interrupted."""
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._ended = True
            if self._drawn is not None:
                self._drawn[0].stop()
                self._drawn = None

    def _draw(self) -> None:
        """Show the bar; runs in the timer's thread. A terminal that went away must not fail the work."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        with self._lock, contextlib.suppress(OSError):
            if self._ended:
                return
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
            )
            progress = Progress(*columns, console=Console(file=self._stream), transient=True)
            task = progress.add_task(self._what, total=self._total, completed=self._done)
            progress.start()
            self._drawn = progress, task
