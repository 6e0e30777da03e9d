"""What a review says: how the files of two commits differ, as far as that shows without a key. Holds no value.

Names and texts are as they stand in files that somebody else wrote: whoever prints them, escapes them.
"""

import enum
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from reconciler.errors import EXIT_DONE, EXIT_INVALID_INPUT, Problem, Severity


class Rank(enum.Enum):
    """How soon a difference is to be looked at."""

    FIRST = "first"
    """It decides where values go, who can read or overwrite them, or who sees to that."""

    GONE = "gone"
    """Somebody who uses it will miss it."""

    ALSO = "also"
    """A file elsewhere in the repository that says what runs, or who has to review."""

    CHANGE = "change"
    """What a change is mostly made for: keys and values."""


class Kind(enum.Enum):
    """What differs; the more it may harm, the further up."""

    FILE_UNREADABLE = "file-unreadable"
    """It is no document: what it changes cannot be told."""

    VALUE_PLAIN = "value-plain"
    """A value is not encrypted."""

    PLAIN_IN_HISTORY = "plain-in-history"
    """A value was not encrypted at a commit of the branch, whatever stands there now."""

    VALUE_COPIED = "value-copied"
    """The ciphertext of another place: it does not decrypt here."""

    FILE_UNSEALED = "file-unsealed"
    """Values or policy differ and the MAC does not: neither sops nor the reconciler leaves a file like that."""

    HOST_CHANGED = "host-changed"
    TARGET_ADDED = "target-added"
    TARGET_RENAMED = "target-renamed"
    TARGET_FIELD_CHANGED = "target-field-changed"
    """Of a target, or of the whole file, as the owner."""

    TARGET_ENTRY_ADDED = "target-entry-added"
    """Of operators, ledger_readers or protected_principals."""

    TARGET_ENTRY_REMOVED = "target-entry-removed"
    AGE_KEY_CHANGED = "age-key-changed"
    """The file with the identity of an embedded target holds another text."""

    RECIPIENT_ADDED = "recipient-added"
    """Of a file: it can now be opened by whoever this is."""

    RULES_FILE_CHANGED = "rules-file-changed"
    """Another ``.sops.yaml`` counts, none does, or it cannot be used."""

    RULE_RECIPIENT_ADDED = "rule-recipient-added"
    """Of ``.sops.yaml``: files that are encrypted from now on."""

    RULE_RECIPIENT_REMOVED = "rule-recipient-removed"
    RULE_ADDED = "rule-added"
    RULE_REMOVED = "rule-removed"
    RULE_CHANGED = "rule-changed"
    RULES_REORDERED = "rules-reordered"
    FILE_UNDER_OTHER_RULE = "file-under-other-rule"
    RECIPIENT_REMOVED = "recipient-removed"
    FILE_SETTING_CHANGED = "file-setting-changed"
    """What the metadata of a file says about what is encrypted, or about how many key groups open it."""

    ACL_ADDED = "acl-added"
    ACL_RAISED = "acl-raised"
    ACLS_UNMANAGED = "acls-unmanaged"
    """Grants on a scope are left alone from now on, whoever has them."""

    FILE_ROLLED_BACK = "file-rolled-back"
    VALUE_ROLLED_BACK = "value-rolled-back"
    FILE_REKEYED = "file-rekeyed"
    """It has a new data key, so that every ciphertext of it is new."""

    SCOPE_FED_BY_FILE = "scope-fed-by-file"
    """A scope that was there is fed by a further file."""

    FILE_MOVED = "file-moved"
    TARGET_REMOVED = "target-removed"
    SCOPE_REMOVED = "scope-removed"
    KEY_REMOVED = "key-removed"
    KEY_RENAMED = "key-renamed"
    """By its looks: one key went, one of the same form and length came."""

    ACL_REMOVED = "acl-removed"
    ACL_LOWERED = "acl-lowered"
    ACLS_MANAGED = "acls-managed"
    PRUNE_CHANGED = "prune-changed"
    ROTATION_CHANGED = "rotation-changed"
    SCOPE_ADDED = "scope-added"
    KEY_ADDED = "key-added"
    KEY_CHANGED = "key-changed"
    KEY_MOVED = "key-moved"
    """To another file, for which it was encrypted anew: whether its value changed cannot be seen."""

    KEY_RESPELT = "key-respelt"
    """In case alone, which makes no difference to the platform."""

    VALUES_REBOUND = "values-rebound"
    """Encrypted anew for another host: which of them changed cannot be seen."""

    FILE_ADDED = "file-added"
    FILE_REMOVED = "file-removed"
    FILE_REWRITTEN = "file-rewritten"
    """In nothing that counts: comments, order, layout, metadata."""

    OTHER_FILE = "other-file"
    """Outside of what the reconciler reads."""


class Sight(enum.Enum):
    """Why a file outside matters."""

    PIPELINE = "pipeline"
    """It says what runs, with the pipeline's credentials."""

    REVIEWERS = "reviewers"
    """It says who has to review what."""

    ATTRIBUTES = "attributes"
    """It says what a review shows, and how files merge."""

    TOOLING = "tooling"
    """It says what a build runs or installs."""

    RULES = "rules"
    """Rules of sops that do not count for this directory."""

    BESIDE = "beside"
    """It stands below ``secrets/`` and is no scope file."""


FILE_STATES: Final = {
    "A": "added",
    "D": "deleted",
    "M": "changed",
    "T": "made another kind of file, such as a link",
}
"""What became of a file outside, by the letter that git gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that a change adds, alters or drops."""

    kind: Kind
    rank: Rank
    path: str
    """File, relative to the directory of the run; at the head where it is there, else at the base."""

    line: int | None = None
    """From 1, at the head; None where the file as a whole is meant, or is gone."""

    target: str | None = None
    """Name of the target; the host where no target has it."""

    scope: str | None = None
    key: str | None = None
    subject: str | None = None
    """Who or what it is about: a principal, a recipient, a rule by its path_regex, the state of a file outside, as in
    `FILE_STATES`."""

    field: str | None = None
    """Of targets.yaml, of a rule or of the metadata."""

    before: str | None = None
    after: str | None = None
    commit: str | None = None
    """Full hash of the commit that it equals, where something went back."""

    count: int | None = None
    """How many values or files it is about."""

    rekeyed: bool = False
    """It comes with a file that has a new data key: whoever wrote that need not have been able to open the old one."""

    broad: bool = False
    """It gives something to everybody, or everything to somebody."""

    sight: Sight | None = None
    """Of a file outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadProblem:
    """Something that is wrong with the files at the head."""

    problem: Problem
    is_new: bool
    """It was not there at the base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewReport:
    """A whole review."""

    base: str
    """Full hash of the commit that was compared with."""

    base_name: str | None
    """As it was asked for, or found; None where that is the hash itself."""

    head: str | None
    """Full hash; None for the work tree."""

    differences: tuple[Difference, ...] = ()
    """What is to be looked at first comes first."""

    problems: tuple[HeadProblem, ...] = ()
    """By place."""

    files: int = 0
    """How many files differ that the reconciler reads."""

    other_files: int = 0
    """How many others differ of which nothing is said here."""

    prefix: str = ""
    """Path of the directory of the run from the top of its repository: empty, or ending in a slash."""

    remarks: tuple[str, ...] = ()
    """What limits the review, as sentences without a full stop; ours, with names escaped."""

    @property
    def exit_code(self) -> int:
        """What the process exits with: whether the head can be used, however it differs."""
        broken = any(found.problem.severity is Severity.ERROR for found in self.problems)
        return EXIT_INVALID_INPUT if broken else EXIT_DONE

    def of_rank(self, rank: Rank) -> tuple[Difference, ...]:
        """Return the differences of one rank."""
        return tuple(difference for difference in self.differences if difference.rank is rank)

    def summary(self) -> dict[str, int]:
        """Return how many differences there are of each rank, in the order of `Rank`, zeros included."""
        found = Counter(difference.rank for difference in self.differences)
        return {rank.value: found[rank] for rank in Rank}


URGENCY: Final = {kind: place for place, kind in enumerate(Kind)}
"""Kind to its place among all kinds, the most urgent first."""


_RANKS: Final = {rank: place for place, rank in enumerate(Rank)}


def in_order(differences: Iterator[Difference]) -> tuple[Difference, ...]:
    """Return differences as they are shown: by rank; then what comes with a new data key, or gives to everybody."""

    def place(one: Difference) -> tuple[int, bool, bool, int, str, str, str, str, str]:
        is_first = one.rank is Rank.FIRST
        return (
            _RANKS[one.rank],
            not (is_first and one.rekeyed),
            not (is_first and one.broad),
            URGENCY[one.kind],
            one.target or "",
            (one.scope or "").lower(),
            one.path,
            (one.key or "").lower(),
            f"{one.field or ''} {one.subject or ''}",
        )

    return tuple(sorted(differences, key=place))
