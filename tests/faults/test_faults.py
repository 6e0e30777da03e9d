"""Nothing is lost, whatever happens at whichever request of a run: `make test` tries some, `make fuzz` thousands."""

import os
from collections.abc import Callable, Sequence
from typing import Final

import pytest

from tests.faults import cases
from tests.faults.figures import Figures
from tests.faults.trial import Case, Court


_SEED: Final = int(os.environ.get("RECONCILER_FUZZ_SEED", "0"))
"""Read on import, as the tests run without environment."""

_COUNT: Final = int(os.environ.get("RECONCILER_FUZZ_FAULTS", "2000"))
"""Faults of a long run; half as many changes by others come on top."""

_PER_TEST: Final = 50
"""Cases of one test of a long run."""

_PARTS: Final = 2
"""Into which the short run is cut, so that more than one processor can take part."""

_FEW_FAULTS: Final = 100
_FEW_CHANGES: Final = 14

_SHOWN: Final = 5
"""Cases that a failure shows."""

Note = Callable[[str, object], None]


def _try(court: Court, tried: Sequence[Case], note: Note, *, again_every: int = 1) -> None:
    """Try cases, note the figures, and fail if any lost something; each time or sometimes with one run more."""
    figures = Figures()
    lost: list[str] = []
    for number, case in enumerate(tried):
        verdict = court.judged(case, again=number % again_every == 0)
        figures.add(verdict)
        if verdict.losses:
            lost.append("\n    ".join((str(case), *verdict.losses)))
    note("faults", figures.plain())
    assert not lost, f"{len(lost)} of {len(tried)} cases lost something:\n" + "\n".join(lost[:_SHOWN])


@pytest.mark.parametrize("part", range(_PARTS))
def test_some_faults(court: Court, part: int, record_property: Note) -> None:
    """After a fault nothing is missing that git wants, nothing is touched that is not ours, and one run repairs all."""
    chosen = cases.faults(court.ready.values(), _FEW_FAULTS, seed=0)
    _try(court, chosen[part::_PARTS], record_property, again_every=3)


@pytest.mark.parametrize("part", range(_PARTS))
def test_some_changes_of_other_people(court: Court, part: int, record_property: Note) -> None:
    """What others change during a run is found by the next one at the latest, and what is theirs is not deleted."""
    chosen = cases.meddling(court.ready.values(), _FEW_CHANGES, seed=0)
    _try(court, chosen[part::_PARTS], record_property, again_every=3)


@pytest.mark.fuzz
@pytest.mark.parametrize("part", range(-(-_COUNT // _PER_TEST)))
def test_faults(court: Court, part: int, record_property: Note) -> None:
    """Likewise, for as many as one likes."""
    chosen = cases.faults(court.ready.values(), _COUNT, seed=_SEED)
    _try(court, chosen[part * _PER_TEST : (part + 1) * _PER_TEST], record_property)


@pytest.mark.fuzz
@pytest.mark.parametrize("part", range(-(-_COUNT // 2 // _PER_TEST)))
def test_changes_of_other_people(court: Court, part: int, record_property: Note) -> None:
    """Likewise, for as many as one likes."""
    chosen = cases.meddling(court.ready.values(), _COUNT // 2, seed=_SEED)
    _try(court, chosen[part * _PER_TEST : (part + 1) * _PER_TEST], record_property)


@pytest.mark.fuzz
def test_a_full_scope(full_court: Court, record_property: Note) -> None:
    """Likewise where keys can only be exchanged one for another, as the scope holds 1,000 of them."""
    steps = [full_court.ready["rename-in-full"]]
    chosen = (*cases.faults(steps, _COUNT // 40, _SEED), *cases.meddling(steps, _COUNT // 80, _SEED))
    _try(full_court, chosen, record_property)
