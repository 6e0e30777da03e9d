"""What ``audit`` has to tell of ages: how old each value is, how old it may get, and what to do. No values in it."""

import enum
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from reconciler.errors import EXIT_PENDING, EXIT_WORKSPACE, exit_code_of
from reconciler.model import KeyName, ScopeName
from reconciler.report.standings import Changed


class AgeStanding(enum.Enum):
    """How the age of one value stands to its limit; what needs a hand comes first."""

    OVERDUE = "overdue"
    """Older than its rule allows."""

    DUE = "due"
    """Will be overdue within the days that were asked for."""

    UNKNOWN = "unknown"
    """It has a rule, and nothing says how old it is."""

    FRESH = "fresh"
    """Within its limit."""

    UNRULED = "unruled"
    """No rotation rule is about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgedKey:
    """One key that git names."""

    scope: ScopeName
    key: KeyName
    standing: AgeStanding
    changed: Changed | None = None
    """When its value last became another one; None where the ledger does not say."""

    age_days: int | None = None
    """Rounded up: a value of 90 days and an hour, of 90, is 91 days old. None where `changed` is."""

    limit_days: int | None = None
    """None where no rule is about it."""

    due: datetime | None = None
    """When the limit is, or was, reached; aware, UTC."""

    detail: str = ""
    """A sentence for people; empty where there is no more to say."""

    step: str | None = None
    """The command to type next; None where nothing is to be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetAges:
    """One workspace."""

    target: str
    host: str
    identity: str | None
    """Who looked; None when the workspace was not reached."""

    commit: str | None
    """Whose files say what git names; None for the work tree."""

    keys: tuple[AgedKey, ...] = ()
    """By scope and name."""

    ledger_detail: str = ""
    """Why the ledger does not count, advice included; empty where it does."""

    error: str | None = None
    """Why nothing could be told, advice included."""

    looked_code: int = EXIT_WORKSPACE
    """What the process exits with for having looked; 0 where everything could be looked at."""

    def counts(self) -> dict[AgeStanding, int]:
        """Return how many keys stand how, in the order of `AgeStanding`, zeros included."""
        found = Counter(key.standing for key in self.keys)
        return {standing: found[standing] for standing in AgeStanding}

    @property
    def exit_code(self) -> int:
        """What the process exits with for this target."""
        overdue = any(key.standing is AgeStanding.OVERDUE for key in self.keys)
        return exit_code_of(frozenset({self.looked_code, *({EXIT_PENDING} if overdue else ())}))


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeReport:
    """All that one audit of ages found."""

    within_days: int
    """What will be overdue after so many days counts as due."""

    targets: tuple[TargetAges, ...]

    @property
    def exit_code(self) -> int:
        """What the process exits with."""
        return exit_code_of(frozenset(target.exit_code for target in self.targets))
