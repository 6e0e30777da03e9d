"""How a workspace that complains is asked: by nobody for a while, then one after the other, then faster again."""

import pytest

from reconciler.databricks_workspace import _pace
from reconciler.databricks_workspace._pace import Pace, Turn, backoff_s
from tests.databricks_workspace.clockwork import Clockwork


LATE = 10_000.0


@pytest.fixture
def clock() -> Clockwork:
    """Provide a clock that stands."""
    return Clockwork()


def _pace_by(clock: Clockwork, chance: float = 0.0) -> Pace:
    return Pace(now=clock.now, chance=lambda: chance)


def _starts(pace: Pace, count: int, clock: Clockwork) -> list[float]:
    """Return when so many may start from now, in seconds from now."""
    turns = [pace.turn(LATE) for _ in range(count)]
    return [round(turn.at - clock.at, 6) for turn in turns if turn is not None]


def test_nobody_waits_as_long_as_nobody_complains(clock: Clockwork) -> None:
    """A thousand may start at once."""
    assert set(_starts(_pace_by(clock), 1000, clock)) == {0.0}


def test_nobody_starts_before_the_pause_is_over_and_then_they_are_apart(clock: Clockwork) -> None:
    """After Retry-After they do not come back as a herd."""
    pace = _pace_by(clock)
    pace.complained(clock.now(), 3.0)

    assert _starts(pace, 4, clock) == [3.0, 3.02, 3.04, 3.06]


def test_several_clients_do_not_come_back_at_one_instant(clock: Clockwork) -> None:
    """Others were told the same; each adds up to the gap."""
    pace = _pace_by(clock, chance=1.0)
    pace.complained(clock.now(), 3.0)

    assert _starts(pace, 1, clock) == [3.02]


def test_a_burst_is_one_complaint(clock: Clockwork) -> None:
    """Sixteen that were under way together are told so sixteen times, which is no reason to be 65,536 times slower."""
    pace = _pace_by(clock)
    began = clock.now()
    for _ in range(16):
        clock.at += 0.01
        pace.complained(began, None)

    first, second = _starts(pace, 2, clock)
    assert second - first == pytest.approx(0.02)


def test_a_burst_waits_for_the_longest_pause_that_it_was_told(clock: Clockwork) -> None:
    """And never for a shorter one."""
    pace = _pace_by(clock)
    for asked_s in (2.0, 5.0, 1.0):
        pace.complained(clock.now() - 1, asked_s)

    assert _starts(pace, 1, clock) == [5.0]


def test_the_gap_doubles_with_each_complaint_and_ends_somewhere(clock: Clockwork) -> None:
    """Until the workspace can follow."""
    pace = _pace_by(clock)
    gaps = []
    for _ in range(8):
        clock.at += 20.0
        pace.complained(clock.now(), 0.0)
        first, second = _starts(pace, 2, clock)
        gaps.append(round(second - first, 6))

    assert gaps == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.0]


def test_what_is_served_closes_the_gap_again(clock: Clockwork) -> None:
    """Slowly, as the workspace complains again once it is asked too fast."""
    pace = _pace_by(clock)
    pace.complained(clock.now(), 0.0)
    clock.at += 1.0
    gaps = []
    for _ in range(200):
        pace.served(clock.now())
        first, second = _starts(pace, 2, clock)
        gaps.append(second - first)
        clock.at += 1.0

    assert gaps == sorted(gaps, reverse=True)
    assert gaps[34] == pytest.approx(0.01, abs=0.001)
    assert gaps[-1] == 0.0


def test_what_was_under_way_before_a_complaint_does_not_close_the_gap(clock: Clockwork) -> None:
    """It says nothing about the pace since."""
    pace = _pace_by(clock)
    began = clock.now()
    clock.at += 1.0
    pace.complained(clock.now(), 0.0)
    for _ in range(1000):
        pace.served(began)

    assert _starts(pace, 2, clock) == [0.0, 0.02]


def test_a_turn_is_void_after_a_complaint(clock: Clockwork) -> None:
    """Who waits for one asks anew, however soon it would have been."""
    pace = _pace_by(clock)
    pace.complained(clock.now(), 1.0)
    turn = pace.turn(LATE)
    assert turn is not None
    assert pace.holds(turn)
    clock.at += 0.5
    pace.complained(clock.now(), 4.0)

    assert not pace.holds(turn)
    assert _starts(pace, 1, clock) == [4.0]


def test_who_comes_too_late_takes_nobodys_turn(clock: Clockwork) -> None:
    """A thousand that give up must not push the others out."""
    pace = _pace_by(clock)
    pace.complained(clock.now(), 3.0)
    assert [pace.turn(clock.now() + 2.0) for _ in range(1000)] == [None] * 1000

    assert pace.turn(LATE) == Turn(clock.now() + 3.0, 1)


def test_pauses_grow_while_nothing_is_served_and_the_workspace_does_not_say_how_long(clock: Clockwork) -> None:
    """Up to ten seconds."""
    pace = _pace_by(clock, chance=0.9)
    pauses = []
    for _ in range(7):
        pace.complained(clock.now(), None)
        pauses += _starts(pace, 1, clock)
        clock.at += 100.0

    assert pauses == sorted(pauses)
    assert pauses[0] < 0.6
    assert 9.0 < pauses[-1] < 11.0


@pytest.mark.parametrize(
    ("failures", "most_s"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 8.0), (6, 10.0), (1_000_000, 10.0)]
)
def test_backoff_is_anything_below_a_limit_that_doubles(failures: int, most_s: float) -> None:
    """Full jitter, with a cap, and no overflow."""
    assert backoff_s(failures, lambda: 1.0) == most_s
    assert backoff_s(failures, lambda: 0.0) == 0.0
    assert backoff_s(failures, lambda: 0.5) == most_s / 2


def test_the_gap_is_shorter_than_any_time_allowed(clock: Clockwork) -> None:
    """Sixteen threads at the slowest pace all get a turn within half of the usual minute."""
    assert 16 * _pace._LONGEST_GAP_S <= 32.0
