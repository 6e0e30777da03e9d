"""The retry policy by a clock of its own: how often, with which pauses, for how long, and when not at all."""

import threading
from collections.abc import Callable

import pytest

from reconciler.databricks_workspace._calls import Call
from reconciler.databricks_workspace._pace import Pace
from reconciler.databricks_workspace._retrying import HeldBack, Patience, Retrying
from tests.databricks_workspace.clockwork import Clockwork


TIMEOUT_S = 60.0


class _Fault(Exception):
    def __init__(self, patience: Patience, retry_after_s: float | None = None) -> None:
        self.patience = patience
        self.retry_after_s = retry_after_s


class _Scene:
    """A request that fails as it is told."""

    def __init__(self, *, chance: float = 0.5, timeout_s: float = TIMEOUT_S) -> None:
        self.clock = Clockwork()
        self.call = Call(timeout_s, self.clock.now)
        self.pace = Pace(now=self.clock.now, chance=lambda: 0.0)
        self.attempts: list[float] = []
        """When each began, in seconds from the start."""

        self.on_wait: Callable[[], None] = lambda: None
        self.retrying = Retrying(
            call=self.call, pace=self.pace, patience=_patience, chance=lambda: chance, wait=self._wait
        )

    def _wait(self, end: threading.Event, seconds: float) -> bool:
        self.on_wait()
        return self.clock.wait(end, seconds)

    def run(self, *faults: _Fault, takes_s: float = 0.0) -> str:
        """Make a call whose attempts fail by ``faults``, one by one, the last for ever if it is not None."""
        left = list(faults)

        def request() -> str:
            self.attempts.append(self.clock.at - 1_000.0)
            self.clock.at += takes_s
            self.call.begin_attempt()
            if not left:
                self.call.status = 200
                return "done"
            fault = left.pop(0)
            self.call.status = 500
            self.call.retry_after_s = fault.retry_after_s
            raise fault

        return self.retrying.run(request)

    def fails(self, fault: _Fault, *, takes_s: float = 0.0) -> str | None:
        """Make a call that fails for ever, and return why it gave up."""
        with pytest.raises(_Fault) as caught:
            self.run(*[fault] * 1000, takes_s=takes_s)
        assert caught.value is fault
        return self.call.gave_up


def _patience(error: Exception) -> Patience:
    assert isinstance(error, _Fault)
    return error.patience


FULL = _Fault(Patience.FULL)
BRIEF = _Fault(Patience.BRIEF)
NONE = _Fault(Patience.NONE)
THROTTLED = _Fault(Patience.THROTTLED)


def test_what_works_is_tried_once() -> None:
    """Without any wait."""
    scene = _Scene()

    assert scene.run() == "done"
    assert scene.clock.waits == []


def test_what_passes_is_tried_until_it_does() -> None:
    """Each pause is drawn below a limit that doubles."""
    scene = _Scene(chance=0.5)

    assert scene.run(FULL, FULL, FULL) == "done"
    assert scene.clock.waits == [0.25, 0.5, 1.0]


def test_what_does_not_pass_is_given_up_within_the_time() -> None:
    """And says how often it was tried."""
    scene = _Scene(chance=0.5)

    assert scene.fails(FULL) == "tried 16 times in 58 s"
    assert scene.attempts[-1] < TIMEOUT_S


def test_an_answer_is_an_answer() -> None:
    """No second attempt, and nothing to say about it."""
    scene = _Scene()

    assert scene.fails(NONE) is None
    assert len(scene.attempts) == 1


def test_an_answer_after_a_failure_is_one_too() -> None:
    """That the call took two attempts does not mean that it gave up."""
    scene = _Scene()
    with pytest.raises(_Fault):
        scene.run(FULL, NONE)

    assert scene.call.gave_up is None


def test_what_looks_like_an_answer_is_tried_for_a_few_seconds() -> None:
    """A wrong token shows quickly."""
    scene = _Scene(chance=0.5)

    assert scene.fails(BRIEF) == "tried 4 times in 1.8 s"
    assert scene.attempts == [0.0, 0.25, 0.75, 1.75]


def test_hanging_attempts_leave_room_for_another_one() -> None:
    """One may take a third of the time, so a host that hangs is asked three times."""
    scene = _Scene(chance=0.0)
    scene.call.begin()
    assert scene.call.attempt_deadline - scene.clock.at == 20.0

    assert scene.fails(FULL, takes_s=20.0) == "tried 3 times in 60 s"


@pytest.mark.parametrize(("timeout_s", "attempt_s"), [(1.0, 1.0), (15.0, 10.0), (60.0, 20.0), (600.0, 200.0)])
def test_an_attempt_has_a_part_of_the_time(timeout_s: float, attempt_s: float) -> None:
    """A third, ten seconds if that is more, and never more than there is."""
    clock = Clockwork()
    call = Call(timeout_s, clock.now)
    call.begin()
    assert call.attempt_left_s() == attempt_s

    clock.at += timeout_s - 0.5
    call.begin_attempt()
    assert call.attempt_left_s() == 0.5


def test_a_pause_that_the_workspace_asks_for_counts() -> None:
    """Not ours, which would be shorter."""
    scene = _Scene()

    assert scene.run(_Fault(Patience.FULL, 7.0), _Fault(Patience.THROTTLED, 11.0)) == "done"
    assert scene.attempts == [0.0, 7.0, 18.0]


@pytest.mark.parametrize("patience", [Patience.FULL, Patience.THROTTLED])
def test_a_pause_longer_than_there_is_time_ends_at_once(patience: Patience) -> None:
    """Nobody waits for what does not help."""
    scene = _Scene()

    assert scene.fails(_Fault(patience, 3600.0)) == "tried once in 0.0 s, and the workspace asks for a pause of 3600 s"
    assert scene.clock.waits == []


def test_another_call_is_held_back_while_the_workspace_wants_to_be_left_alone() -> None:
    """For as long as it asked, if that is no longer than a call may take; its own time begins only then."""
    scene = _Scene()
    scene.fails(_Fault(Patience.THROTTLED, 60.0))
    with pytest.raises(HeldBack, match="asks for a longer pause than --timeout allows"):
        scene.run()
    assert len(scene.attempts) == 1

    scene.clock.at += 1.0
    assert scene.run() == "done"
    assert scene.attempts == [0.0, 60.0]
    assert scene.call.deadline - scene.clock.at == TIMEOUT_S


def test_what_fails_for_good_is_not_tried_for_an_hour() -> None:
    """Each call that was tried in vain leaves the next one half of the time."""
    scene = _Scene(chance=0.5)
    took = []
    for _ in range(1000):
        began = scene.clock.at
        scene.fails(FULL)
        took.append(scene.clock.at - began)

    assert sum(took) < 2 * TIMEOUT_S
    assert took[10:] == [0.0] * 990


def test_once_another_attempt_has_helped_there_is_all_the_time_again() -> None:
    """A first attempt that works says nothing about the second ones."""
    scene = _Scene(chance=0.5)
    for _ in range(3):
        scene.fails(FULL)
    scene.run()
    shorter = scene.fails(FULL)
    scene.run(FULL)

    assert shorter == "tried 5 times in 3.8 s"
    assert scene.fails(FULL) == "tried 16 times in 58 s"


class TestWindDown:
    """A run that was interrupted."""

    def test_makes_no_further_attempt(self) -> None:
        """What was under way ends with its own failure, and why it was not tried again."""
        scene = _Scene()
        scene.on_wait = scene.retrying.wind_down

        assert scene.fails(FULL) == "tried once in 0.0 s, and not again as the run was interrupted"

    def test_still_makes_a_first_one(self) -> None:
        """What was done has to be written down."""
        scene = _Scene()
        scene.retrying.wind_down()

        assert scene.run() == "done"
        assert scene.fails(FULL) == "tried once in 0.0 s, and not again as the run was interrupted"

    def test_does_not_begin_what_was_held_back(self) -> None:
        """It was not in flight."""
        scene = _Scene()
        scene.fails(_Fault(Patience.THROTTLED, 60.0))
        scene.clock.at += 30.0
        scene.on_wait = scene.retrying.wind_down

        with pytest.raises(HeldBack, match="interrupted"):
            scene.run()
        assert len(scene.attempts) == 1

    def test_keeps_to_the_pace(self) -> None:
        """Writing down waits for as long as the workspace asked, if that is soon."""
        scene = _Scene()
        scene.fails(_Fault(Patience.THROTTLED, 60.0))
        scene.clock.at += 58.0
        scene.retrying.wind_down()

        assert scene.run() == "done"
        assert scene.attempts == [0.0, 60.0]

    def test_does_not_wait_long_to_write_down(self) -> None:
        """A pipeline that asked the run to stop kills it after some seconds; the next run finds out what was done."""
        scene = _Scene()
        scene.fails(_Fault(Patience.THROTTLED, 60.0))
        scene.clock.at += 30.0
        scene.retrying.wind_down()

        with pytest.raises(HeldBack, match="run that is to stop"):
            scene.run()
        assert scene.attempts == [0.0]


def test_an_answer_by_something_else_may_have_had_an_effect() -> None:
    """A page under a status of success: whether the request was carried out is not known."""
    scene = _Scene()

    def request() -> str:
        scene.call.begin_attempt()
        scene.call.status = statuses.pop(0)
        if not statuses:
            return "done"
        raise BRIEF

    statuses = [200, 200]
    scene.retrying.run(request)
    assert scene.call.lost
    statuses = [403, 200]
    scene.retrying.run(request)
    assert not scene.call.lost
