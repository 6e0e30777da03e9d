"""Calls run side by side, in order of results, and give up when there is no hope."""

import threading
from collections.abc import Callable

import pytest

from reconciler.errors import InvalidRequest, NotTried, Unauthenticated, Unreachable, WorkspaceError
from reconciler.workers import Workers


def _raising(error: Exception) -> Callable[[], int]:
    def call() -> int:
        raise error

    return call


def test_results_come_in_the_order_of_the_calls() -> None:
    """A slow first call does not change the place of its result."""
    second_ran = threading.Event()

    def first() -> int:
        assert second_ran.wait(timeout=10)
        return 1

    def second() -> int:
        second_ran.set()
        return 2

    with Workers(2) as workers:
        assert workers.each([first, second]) == (1, 2)


@pytest.mark.parametrize("concurrency", [0, -1])
def test_nobody_is_no_crew(concurrency: int) -> None:
    """Without a thread every call would wait for ever."""
    with pytest.raises(ValueError, match="at least 1"):
        Workers(concurrency)


def test_an_error_takes_the_place_of_a_result_and_the_others_go_on() -> None:
    """One failing call is an answer like any other."""
    error = InvalidRequest("no")
    with Workers(1) as workers:
        assert workers.each([_raising(error), lambda: 2]) == (error, 2)


@pytest.mark.parametrize(
    "hopeless", [pytest.param(Unreachable, id="unreachable"), pytest.param(Unauthenticated, id="401")]
)
def test_after_a_hopeless_error_nothing_more_is_tried(hopeless: type[WorkspaceError]) -> None:
    """A thousand requests to a dead host must not each wait for their timeout."""
    tried: list[int] = []
    with Workers(1) as workers:
        _, second = workers.each([_raising(hopeless("gone")), lambda: tried.append(2)])
        (third,) = workers.each([lambda: tried.append(3)])

    assert isinstance(second, NotTried)
    assert isinstance(third, NotTried)
    assert tried == []


def test_a_bug_is_raised_and_not_taken_for_an_answer() -> None:
    """Only errors of the workspace are results."""
    with Workers(1) as workers, pytest.raises(ZeroDivisionError):
        workers.each([_raising(ZeroDivisionError())])


def test_each_call_is_told_to_the_progress_bar() -> None:
    """Success and failure both count as done."""
    done: list[None] = []
    with Workers(2) as workers:
        workers.each([lambda: 1, _raising(InvalidRequest("no"))], on_done=lambda: done.append(None))

    assert len(done) == 2


def test_no_more_calls_run_at_once_than_allowed() -> None:
    """The platform throttles; the limit is ours to keep."""
    lock = threading.Lock()
    running, most = 0, 0
    barrier = threading.Barrier(3)

    def call() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        barrier.wait(timeout=10)
        with lock:
            running -= 1

    with Workers(3) as workers:
        workers.each([call] * 6)

    assert most == 3


def test_an_interrupt_does_not_wait_for_a_call_that_hangs() -> None:
    """Ctrl-C must not sit out the timeout of a workspace that does not answer; calls not begun never begin."""
    begun, may_end = threading.Event(), threading.Event()
    tried: list[int] = []

    def hang() -> None:
        begun.set()
        assert may_end.wait(timeout=30)

    def interrupted() -> None:
        with Workers(1) as workers:
            workers.begin([hang, lambda: tried.append(1)])
            assert begun.wait(timeout=10)
            raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
    finally:
        may_end.set()
    for thread in threading.enumerate():
        if thread.name.startswith("request-"):
            thread.join(timeout=10)
    assert tried == []
