"""Which faults and which changes are tried: a fair choice from a table of all."""

import itertools
import random
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from tests.faults.instants import FAULTS
from tests.faults.meddling import MEDDLING
from tests.faults.trial import Case, Ready


_STUCK: Final = ("500", "500-after", "503", "429", "reset", "reset-after", "half-answer", "page-200", "page-502")
"""What may come again each time the request does."""

_AT_ONCE: Final = (1, 1, 4, 16)
"""How many requests a run has under way: one makes their order certain, 16 are the default."""


def faults(steps: Collection[Ready], count: int, seed: int) -> tuple[Case, ...]:
    """Return ``count`` faults of all kinds and steps: at all their requests, if there are that many."""
    once = {kind: _at_each_request(steps, kind) for kind in FAULTS}
    stuck = {f"{kind}, stuck": _at_each_request(steps, kind, stuck=True) for kind in _STUCK}
    return _chosen([*once.values(), *stuck.values()], count, seed)


def meddling(steps: Collection[Ready], count: int, seed: int) -> tuple[Case, ...]:
    """Return ``count`` changes by somebody else, likewise."""
    return _chosen([_at_each_request(steps, kind) for kind in MEDDLING], count, seed)


def _at_each_request(steps: Collection[Ready], kind: str, *, stuck: bool = False) -> Iterator[Case]:
    for ready in steps:
        for at in range(ready.requests):
            yield Case(step=ready.step.name, kind=kind, at=at, stuck=stuck)


def _chosen(groups: Iterable[Iterable[Case]], count: int, seed: int) -> tuple[Case, ...]:
    """Return cases of each group in turn; beyond the table, the same ones with other numbers of requests at once."""
    source = random.Random(seed)  # noqa: S311  # repeatable, not secret
    shuffled = []
    for group in groups:
        cases = list(group)
        source.shuffle(cases)
        shuffled.append(cases)
    table = [case for turn in itertools.zip_longest(*shuffled) for case in turn if case is not None]
    chosen = itertools.islice(itertools.cycle(table), count)
    return tuple(
        Case(step=case.step, kind=case.kind, at=case.at, stuck=case.stuck, concurrency=source.choice(_AT_ONCE))
        for case in chosen
    )
