"""Whether a scope is ours, and what in it is.

Rules:
 * An entry vouches for a scope only while a recorded pair of key and timestamp is still there, or nobody but the
   operators and git's ``acls`` has a grant on it. A scope that somebody deleted and created anew counts as one without
   an entry; one whose only value was changed is drift.
 * A scope without an entry is adopted silently only if it holds what git says, no more and no less, and nobody
   outside has a grant.
 * A key is ours if it is recorded, or was about to be put, *and* what is there now is what we wrote: by timestamp, or
   by fingerprint. Somebody else's re-creation is theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.errors import Refused
from reconciler.ledger.records import Entry, FoundEntry, FoundHead
from reconciler.model import Acl, FoldedName, Principal, ScopeName, SecretValue
from reconciler.workspace import SecretInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Insiders:
    """Whose grants on a scope say nothing against its being ours."""

    operators: tuple[Principal, ...]
    """With whoever runs; any permission."""

    acls: tuple[Acl, ...]
    """What git grants; up to the permission there."""

    def outsiders(self, acls: tuple[Acl, ...]) -> tuple[Acl, ...]:
        """Return the grants that git does not explain: of somebody else, or higher than git says."""
        raise NotImplementedError


def vouches(
    entry: Entry, listed: Mapping[FoldedName, SecretInfo], acls: tuple[Acl, ...] | None, insiders: Insiders
) -> bool:
    """Tell whether ``entry`` is about the scope that is there now, and not about one before it.

    Args:
        entry: What the ledger says.
        listed: Every key that is there.
        acls: Every grant; None when they cannot be read, which counts as if an outsider had one.
        insiders: Who may have grants.
    """
    raise NotImplementedError


def is_ours(entry: Entry, secret: SecretInfo, value: SecretValue | None) -> bool | None:
    """Tell whether what a key holds now is what we wrote; None when its value has to be read to tell.

    Args:
        entry: What the ledger says; it vouches for the scope.
        secret: The key as it is listed.
        value: What was read; None when it was not read, or cannot be.
    """
    raise NotImplementedError


def grant_is_ours(entry: Entry, acl: Acl) -> bool:
    """Tell whether a grant is one that we made, or were about to make, as it is."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """The scope is ours."""

    entry: Entry
    """What is known of it: the ledger's entry, or a new one for a scope that is new, adopted or rebuilt."""

    adopted: bool = False
    """It was there, and was not ours before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotOurs:
    """The scope is not ours, and must be left alone."""

    refusal: Refused


Claim = Owned | NotOurs


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What the command line allows beyond the usual."""

    adopt: bool = False
    take_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a survey saw of one scope that exists."""

    scope: ScopeName
    listed: Mapping[FoldedName, SecretInfo]
    acls: tuple[Acl, ...] | None
    found: FoundEntry
    """What the ledger has for it, whether it vouches or not."""

    vouched: bool
    """`vouches`, for an entry of our own."""

    equal: bool
    """It holds the keys that git wants with the values that git wants, all of them read, and no other key."""


def claim(
    sight: Sight | None, found: FoundEntry, head: FoundHead, insiders: Insiders, new: Entry, allowed: Allowed
) -> Claim:
    """Decide whether a scope is ours.

    Args:
        sight: What is there; None when the scope does not exist.
        found: What the ledger has for it.
        head: The owner's head: a scope that it names and whose entry is lost or garbled is ours while no outsider has a
            grant on it; nothing in it is.
        insiders: Who may have grants.
        new: The entry to begin with where there is none; its owner is ours.
        allowed: What the command line allows.
    """
    raise NotImplementedError
