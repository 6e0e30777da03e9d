"""What ``status`` has to tell: how each scope and key stands between git, ledger and workspace. No values in it."""

import enum
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.errors import EXIT_DONE, EXIT_WORKSPACE
from reconciler.model import KeyName, Principal, ScopeName


class KeyStanding(enum.Enum):
    """How one key stands; what needs a look comes first."""

    DRIFTED = "drifted"
    """We wrote it and git names it, and the workspace holds another value, or none."""

    ORPHANED = "orphaned"
    """It holds what we wrote, and git does not name it any more."""

    UNKNOWN = "unknown"
    """It cannot be told: the ledger does not count, or the value may not be read."""

    PENDING = "pending"
    """Git names it, and nothing was ever written there."""

    UNMANAGED = "unmanaged"
    """It is there, and somebody else's."""

    MANAGED = "managed"
    """It holds what was last written."""


class ScopeStanding(enum.Enum):
    """How one scope stands; what needs a look comes first."""

    ORPHANED = "orphaned"
    """It was ours when something was last applied, and git feeds it no more."""

    MISSING = "missing"
    """Git names it, and the workspace has none."""

    UNKNOWN = "unknown"
    """It cannot be told: the ledger does not count, or the scope could not be looked at."""

    UNMANAGED = "unmanaged"
    """It exists, and is not ours."""

    MANAGED = "managed"
    """It is ours."""


class LedgerStanding(enum.Enum):
    """Whether the ledger says anything."""

    COUNTS = "counts"
    ABSENT = "absent"
    """There is none: nothing was applied yet, or this workspace cannot have one."""

    HIDDEN = "hidden"
    """The identity may not see who can write to it."""

    FOREIGN = "foreign"
    """Somebody can write to it who must not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """When something last changed, and by which commit."""

    at: datetime
    """Aware, UTC."""

    commit: str | None
    """Full hash; None from a work tree."""

    author: str | None
    """Of that commit; None where git does not know it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStatus:
    """One key."""

    key: KeyName
    standing: KeyStanding
    changed: Changed | None = None
    """When we last wrote another value than before; None where nothing is recorded."""

    updated: datetime | None = None
    """When anybody last put it, by the platform; aware, UTC. None where it is not there."""

    detail: str = ""
    """A sentence for people; empty where the standing says it all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeStatus:
    """One scope."""

    scope: ScopeName
    standing: ScopeStanding
    keys: tuple[KeyStatus, ...] | None = ()
    """By name; None where nobody looked, as nothing in it concerns git."""

    detail: str = ""
    """As with a key."""

    error: str | None = None
    """Why it could not be looked at, advice included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadStatus:
    """The last apply that wrote anything. It was begun; whether it came to its end, the head does not say."""

    changed: Changed
    """The commit, and when it was begun."""

    identity: Principal
    """Who ran it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetStatus:
    """One workspace."""

    target: str
    host: str
    identity: str | None
    """Who looked; None when the workspace was not reached."""

    commit: str | None
    """Whose files say what git names; None for the work tree."""

    ledger: LedgerStanding | None
    """None when the workspace was not reached."""

    ledger_detail: str = ""
    """Why it does not count, advice included."""

    head: HeadStatus | None = None
    """None where nothing was applied, or the ledger does not say."""

    scopes: tuple[ScopeStatus, ...] = field(default=())
    """By name."""

    error: str | None = None
    """Why nothing could be told, advice included."""

    error_code: int = EXIT_WORKSPACE
    """What the process exits with for that error."""

    @property
    def complete(self) -> bool:
        """Tell whether everything could be looked at that this identity may see.

        That it may not see grants, those of the ledger among them, makes much unknown and is no failure: so it is for
        everybody who has READ and no more.
        """
        return (
            self.error is None
            and self.ledger is not LedgerStanding.FOREIGN
            and all(scope.error is None for scope in self.scopes)
        )

    @property
    def exit_code(self) -> int:
        """What the process exits with for this target; 0 when it is complete, however things stand."""
        if self.error is not None:
            return self.error_code
        return EXIT_DONE if self.complete else EXIT_WORKSPACE

    def all_keys(self) -> Iterator[KeyStatus]:
        """Yield the keys of all scopes."""
        for scope in self.scopes:
            yield from scope.keys or ()

    def counts(self) -> dict[KeyStanding, int]:
        """Return how many keys stand how, in the order of `KeyStanding`, zeros included."""
        found = Counter(key.standing for key in self.all_keys())
        return {standing: found[standing] for standing in KeyStanding}
