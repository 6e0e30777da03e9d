"""What ``doctor`` has to tell: one line for each thing that was looked at. No value and no private key in it."""

import enum
from collections import Counter
from dataclasses import dataclass

from reconciler.errors import EXIT_DONE, exit_code_of


class Verdict(enum.Enum):
    """How a thing was found."""

    OK = "ok"
    WARN = "warn"
    """It works, or may; somebody should know."""

    FAIL = "fail"
    """Something will not work before it is put right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    section: str
    """What it belongs to: ``repository``, ``files``, ``keys``, or ``target NAME``."""

    name: str
    """What was looked at, as a short name that stays the same, such as ``merge-driver``."""

    subject: str = ""
    """Which of several: a file, a scope, a recipient."""

    verdict: Verdict = Verdict.OK
    text: str
    """What was found, as a sentence without a full stop."""

    advice: str | None = None
    """What to do about it; None where nothing is to be done."""

    exit_code: int = EXIT_DONE
    """What the process exits with for it; 0 unless it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """All that was looked at."""

    checks: tuple[Check, ...]

    def counts(self) -> dict[Verdict, int]:
        """Return how many were found how, in the order of `Verdict`, zeros included."""
        found = Counter(check.verdict for check in self.checks)
        return {verdict: found[verdict] for verdict in Verdict}

    @property
    def exit_code(self) -> int:
        """What the process exits with."""
        return exit_code_of(frozenset(check.exit_code for check in self.checks))
