"""What ``audit --revoked`` has to tell: values that somebody could read, and that may be the same to this day."""

import enum
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from reconciler.errors import EXIT_DONE, EXIT_PENDING


class Exposure(enum.Enum):
    """How a value stands to somebody who could read it; what is worst comes first."""

    READABLE = "readable"
    """They can read what stands there now."""

    UNCHANGED = "unchanged"
    """It is one that they could read: both were opened, and compared."""

    UNKNOWN = "unknown"
    """It is not known to have changed since."""

    REMOVED = "removed"
    """No file has it any more; it may go on being valid where it is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAt:
    """The newest commit that made a version which they could read."""

    commit: str
    """Full hash."""

    at: datetime | None
    """Aware, UTC; None where the commit has no usable date."""

    author: str
    """As they wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedValue:
    """One value that they could read, and that is not known to have changed."""

    exposure: Exposure
    path: str
    """The file that has it, or had it last."""

    host: str
    """The mapping key above it in the file."""

    target: str | None
    """Name of the target that the host belongs to; None where none does now."""

    scope: str
    key: str
    read: ReadAt
    detail: str
    """A sentence: why it is listed."""

    step: str | None
    """The command to type next; None where the value is not in a file of a target any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadVersion:
    """A version of a file that mentions them and could not be read, so that nobody knows what they could."""

    path: str
    commit: str
    """Full hash, of the newest such version."""

    versions: int
    """How many of this file there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedReport:
    """All that one audit of a recipient found."""

    recipient: str
    """As a message may name them."""

    commit: str
    """Full hash of the commit that counts as now."""

    commits: int
    """How many commits that changed files were looked at."""

    versions: int
    """How many versions of files."""

    all_refs: bool
    """Whether all branches and tags were looked at, or only what the commit builds on."""

    open_files: tuple[str, ...]
    """Files that name them to this day."""

    values: tuple[RevokedValue, ...]
    """What is listed: by exposure, reason, file and name."""

    changed: int
    """How many values they could read that are known to have changed since."""

    without_key: int
    """How many values had to be judged without a key at hand."""

    unread: tuple[UnreadVersion, ...] = ()

    def counts(self) -> dict[Exposure, int]:
        """Return how many values are listed for which reason, in the order of `Exposure`, zeros included."""
        found = Counter(value.exposure for value in self.values)
        return {exposure: found[exposure] for exposure in Exposure}

    @property
    def exit_code(self) -> int:
        """What the process exits with."""
        return EXIT_PENDING if self.values or self.unread or self.open_files else EXIT_DONE
