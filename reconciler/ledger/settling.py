"""From what a survey saw to what the ledger says: records that are true now, and intents before anything is done.

Used twice in a run. At its start it settles what earlier runs left open, so that a crash between any two requests costs
nothing but this. At its end it records what came of the changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.ledger.records import Entry, Stamp
from reconciler.model import Acl, FoldedName, Permission, Principal, SecretValue
from reconciler.workspace import SecretInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is in a scope. Values were read after the list was made, and 10 ms or more after its answer."""

    listed: Mapping[FoldedName, SecretInfo]
    """Every key that is there."""

    values: Mapping[FoldedName, SecretValue] = field(default_factory=dict)
    """Those that were read."""

    put_unread: frozenset[FoldedName] = frozenset()
    """Keys that this run put before the list was made, as the platform confirmed, and whose value it does not hand out.
    Only while no other run has begun."""

    acls: tuple[Acl, ...] | None = None
    """Every grant; None when they cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What git says of the scope."""

    values: Mapping[FoldedName, SecretValue]
    acls: tuple[Acl, ...] | None
    """None when git leaves them alone."""


def settled(entry: Entry, seen: Seen, wish: Wish, stamp: Stamp) -> Entry:
    """Return ``entry`` as it is right after a look at the scope.

    Args:
        entry: Of a scope that is ours.
        seen: What is there.
        wish: What git wants there: whatever equals it is ours.
        stamp: This run's time and commit, for values that changed without an intent that says when.

    Returns:
        An equal entry where there is nothing new. Per key:

        * not there: forgotten, or, where git wants it, kept as a record that was seen with no timestamp;
        * there with the recorded timestamp: kept;
        * there with another one and read: if it is the recorded value, its timestamp is renewed; if it is one that was
          about to be put, or git's, that becomes the record; if it is neither, somebody else wrote it: the record
          stays, so that the next run looks again;
        * there with another one, not read, and put by this run: recorded with the value that was put;
        * otherwise kept.

        Intents about keys whose fate is known by this, about the scope and about grants that were listed are dropped.
    """
    raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What a run is about to do in a scope."""

    creates_scope: bool = False
    puts: Mapping[FoldedName, SecretValue] = field(default_factory=dict)
    deletes: frozenset[FoldedName] = frozenset()
    grants: Mapping[Principal, Permission] = field(default_factory=dict)


def intending(entry: Entry, aim: Aim, stamp: Stamp) -> Entry:
    """Return ``entry`` with what is about to be done written into it; as it is where that is nothing."""
    raise NotImplementedError
