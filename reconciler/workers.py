"""Requests side by side, on a fixed number of threads.

In: a sequence of calls. Out: what each returned or the `WorkspaceError` it raised, in the same order. Used by `survey`
and `apply`, which thereby start no threads of their own.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Final, Self, TypeVar

from reconciler.errors import NotTried, Unauthenticated, Unreachable, WorkspaceError


T = TypeVar("T")

_HOPELESS: Final = (Unreachable, Unauthenticated)
"""After one of these the next request has no better chance: with a thousand of them, each waiting for its timeout, a
run would hang for an hour to say what it knew after the first."""

_GOODBYE_S: Final = 0.5
"""How long requests under way may take to end once a run was interrupted: enough where the workspace answers."""


class Workers:
    """A fixed number of threads for the requests of one target.

    Not a `ThreadPoolExecutor`: the end of the process waits for its threads, so that whoever interrupts a run whose
    workspace does not answer would sit out the timeout. Daemons can be left behind.
    """

    def __init__(self, concurrency: int) -> None:
        """Start nothing yet; threads come with the first call.

        Args:
            concurrency: How many calls run at once, at least 1.
        """
        if concurrency < 1:
            raise ValueError(f"workers must be at least 1, not {concurrency}")
        self._concurrency = concurrency
        self._threads: list[threading.Thread] = []
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._hopeless: WorkspaceError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # After an interrupt nothing new starts; what is in flight may end by itself.
        with contextlib.suppress(queue.Empty):
            while True:
                self._work.get_nowait()
        for _ in self._threads:
            self._work.put(None)
        interrupted = kind is not None and not issubclass(kind, Exception)
        deadline = time.monotonic() + _GOODBYE_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()) if interrupted else None)

    def each(
        self, calls: Sequence[Callable[[], T]], *, on_done: Callable[[], None] = lambda: None
    ) -> tuple[T | WorkspaceError, ...]:
        """Run all ``calls`` and return their results or errors, in order; see `begin`."""
        return self.begin(calls, on_done=on_done)()

    def begin(
        self, calls: Sequence[Callable[[], T]], *, on_done: Callable[[], None] = lambda: None
    ) -> Callable[[], tuple[T | WorkspaceError, ...]]:
        """Start all ``calls``; the returned function waits for them and returns results or errors, in order.

        Once the workspace cannot be reached, or does not accept the credential, calls that have not begun yield
        `NotTried`. Any other exception than a `WorkspaceError` is a bug and is raised.

        Args:
            calls: What to run; none may wait for another one.
            on_done: Called after each, from the thread that ran it.
        """
        futures = [self._submit(call, on_done) for call in calls]

        def collect() -> tuple[T | WorkspaceError, ...]:
            try:
                return tuple(future.result() for future in futures)
            except BaseException:
                for future in futures:
                    future.cancel()
                raise

        return collect

    def attempt(self, call: Callable[[], T], *, on_done: Callable[[], None] = lambda: None) -> T | WorkspaceError:
        """Run one call in this thread and return its result or error; `NotTried` under the rule of `begin`.

        For requests that must follow one another within one call that was begun: each asks anew whether there is hope.

        Args:
            call: What to run.
            on_done: Called after it, unless it was not tried.
        """
        with self._lock:
            hopeless = self._hopeless
        if hopeless is not None:
            does_not = "accept the credential" if isinstance(hopeless, Unauthenticated) else "answer"
            return NotTried(f"not tried, as the workspace does not {does_not}: {hopeless}", advice=hopeless.advice)
        try:
            return call()
        except WorkspaceError as error:
            if isinstance(error, _HOPELESS):
                with self._lock:
                    self._hopeless = error
            return error
        finally:
            on_done()

    def _submit(self, call: Callable[[], T], on_done: Callable[[], None]) -> "Future[T | WorkspaceError]":
        future: Future[T | WorkspaceError] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(self.attempt(call, on_done=on_done))
            except BaseException as error:  # noqa: BLE001  # raised again by whoever collects
                future.set_exception(error)

        self._work.put(run)
        if len(self._threads) < self._concurrency:
            thread = threading.Thread(target=self._serve, name=f"request-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def _serve(self) -> None:
        while (run := self._work.get()) is not None:
            run()
