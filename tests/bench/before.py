"""What runs took before there was a ledger, when each of them read every value: printed beside what they take now."""

from typing import Final, NamedTuple


class Before(NamedTuple):
    """Medians of one kind of run."""

    requests: int
    seconds: float
    """Of the whole process."""


# Measured with this bench on the code of commit b02925c on 2026-11-24: two shared cores, CPython 3.11. With one scope
# medians of three runs at a load of 0.8 to 1.4. With 100 scopes the machine was busy: one first apply at a load of 8,
# which is too slow to compare seconds with, and two runs of each of the others at 3 to 5.
BEFORE: Final[dict[tuple[str, int, int], Before]] = {
    ("plan, all new", 1, 10): Before(3, 0.76),
    ("first apply", 1, 10): Before(27, 1.13),
    ("no-op", 1, 10): Before(15, 0.86),
    ("plan, in sync", 1, 10): Before(15, 0.88),
    ("rotate one", 1, 10): Before(18, 1.03),
    ("plan, all new", 1, 100): Before(3, 0.79),
    ("first apply", 1, 100): Before(207, 1.79),
    ("no-op", 1, 100): Before(105, 1.24),
    ("plan, in sync", 1, 100): Before(105, 1.16),
    ("rotate one", 1, 100): Before(108, 1.37),
    ("plan, all new", 1, 1000): Before(3, 0.91),
    ("first apply", 1, 1000): Before(2007, 8.10),
    ("no-op", 1, 1000): Before(1005, 4.53),
    ("plan, in sync", 1, 1000): Before(1005, 4.43),
    ("rotate one", 1, 1000): Before(1008, 4.46),
    ("first apply", 100, 100): Before(20603, 119.68),
    ("no-op", 100, 100): Before(10203, 43.53),
    ("plan, in sync", 100, 100): Before(10203, 40.19),
    ("rotate one", 100, 100): Before(10206, 41.09),
}
"""Name of the run, scopes, keys in each -> figures."""
