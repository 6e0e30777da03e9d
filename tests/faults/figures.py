"""What a number of cases came to."""

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any, Self

from tests.faults.instants import FAULTS
from tests.faults.trial import Verdict


@dataclass(slots=True)
class Figures:
    """Counts by kind."""

    injected: Counter[str] = field(default_factory=Counter)
    """Faults that happened."""

    changed: Counter[str] = field(default_factory=Counter)
    """Other people's changes that happened."""

    void: Counter[str] = field(default_factory=Counter)
    """What could not happen: the run made fewer requests, or there was nothing to change."""

    lost: Counter[str] = field(default_factory=Counter)
    """Cases in which something was that must not be."""

    raced: Counter[str] = field(default_factory=Counter)
    """Harm to what somebody else made after the last look of the run, by kind of the case."""

    exits: Counter[str] = field(default_factory=Counter)
    """Exit codes of the runs in which it happened."""

    def add(self, verdict: Verdict) -> None:
        """Count one case."""
        kind = f"{verdict.case.kind}, stuck" if verdict.case.stuck else verdict.case.kind
        self.lost[kind] += bool(verdict.losses)
        if not verdict.happened:
            self.void[kind] += 1
            return
        (self.injected if verdict.case.kind in FAULTS else self.changed)[kind] += 1
        self.raced[kind] += bool(verdict.raced)
        self.exits[str(verdict.exit_code)] += 1

    def __iadd__(self, other: "Figures") -> Self:
        for name, counts in other._counts():
            getattr(self, name).update(counts)
        return self

    def _counts(self) -> tuple[tuple[str, Counter[str]], ...]:
        return tuple((each.name, getattr(self, each.name)) for each in fields(self))

    def plain(self) -> dict[str, dict[str, int]]:
        """Return it as JSON can hold it, without what did not happen."""
        return {
            name: {kind: count for kind, count in sorted(counts.items()) if count} for name, counts in self._counts()
        }

    def summary(self) -> dict[str, Any]:
        """Return the sums, and what they are made of."""
        return {**{name: counts.total() for name, counts in self._counts() if name != "exits"}, "by kind": self.plain()}
