"""Requests side by side: the one place that has threads.

In: a sequence of calls. Out: what each returned or the `WorkspaceError` it raised, in the same order. Used by `survey`
and `apply`, which thereby stay free of threads.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self, TypeVar

from reconciler.errors import NotTried, Unauthenticated, Unreachable, WorkspaceError


T = TypeVar("T")

_HOPELESS: Final = (Unreachable, Unauthenticated)
"""After one of these the next request has no better chance: with a thousand of them, each waiting for its timeout, a
run would hang for an hour to say what it knew after the first."""


class Workers:
    """A fixed number of threads for the requests of one target."""

    def __init__(self, concurrency: int) -> None:
        """Start nothing yet; threads come with the first call.

        Args:
            concurrency: How many calls run at once, at least 1.
        """
        self._pool = ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="request")
        self._lock = threading.Lock()
        self._hopeless: WorkspaceError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # After an interrupt nothing new starts; what is in flight ends by itself.
        self._pool.shutdown(wait=True, cancel_futures=True)

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
        futures = [self._pool.submit(self._attempt, call, on_done) for call in calls]

        def collect() -> tuple[T | WorkspaceError, ...]:
            try:
                return tuple(future.result() for future in futures)
            except BaseException:
                for future in futures:
                    future.cancel()
                raise

        return collect

    def _attempt(self, call: Callable[[], T], on_done: Callable[[], None]) -> T | WorkspaceError:
        with self._lock:
            hopeless = self._hopeless
        if hopeless is not None:
            return NotTried(f"not tried, as the workspace does not answer: {hopeless}", advice=hopeless.advice)
        try:
            return call()
        except WorkspaceError as error:
            if isinstance(error, _HOPELESS):
                with self._lock:
                    self._hopeless = error
            return error
        finally:
            on_done()
