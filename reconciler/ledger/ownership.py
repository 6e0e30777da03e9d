"""Whether a scope is ours, and what in it is.

Rules:
 * An entry vouches for a scope only while a recorded pair of key and timestamp is still there, or nobody but the
   operators and git's ``acls`` has a grant on it, whoever creates a scope having one. A scope that somebody deleted
   and created anew counts as one without an entry; one whose only value was changed is drift.
 * While a run's intents are open, those who had a grant when it began are no news: its own puts may have moved every
   recorded timestamp, and a run that is killed then must not lose the scope.
 * After a run has written, the scope still has to be the one that was looked at before: `is_same`.
 * Where somebody outside manages the scope, the entry has to know a value of git as well: a timestamp can be seen by
   whoever may list the scope, and be written into a ledger that was made before ours.
 * A scope without an entry is adopted silently only if it holds what git says, no more and no less, and nobody
   outside has a grant.
 * A key is ours if it is recorded, or was about to be put, *and* what is there now is what we wrote: by timestamp, or
   by fingerprint. Somebody else's re-creation is theirs.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from reconciler.errors import Refused, some_of
from reconciler.ledger.records import Entry, FoundEntry, FoundHead, Garbled, Head, Missing
from reconciler.model import Acl, FoldedName, Principal, ScopeName, SecretValue, fold
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
        operators = set(map(fold, self.operators))
        granted = {fold(acl.principal): acl.permission for acl in self.acls}
        return tuple(
            acl
            for acl in acls
            if (name := fold(acl.principal)) not in operators
            and (name not in granted or acl.permission > granted[name])
        )


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
    for secret in listed.values():
        record = entry.record(secret.key)
        if record is not None and record.seen_ms == secret.updated_ms:
            return True
    # Whoever git names has at most what git says before anything is put, whatever they have now.
    named = {fold(acl.principal) for acl in insiders.acls}
    return acls is not None and all(
        fold(acl.principal) in named or _was_there(entry, acl) for acl in insiders.outsiders(acls)
    )


def _was_there(entry: Entry, acl: Acl) -> bool:
    """Tell whether somebody had that much already when a run began of which it is not known how it ended."""
    tag = entry.principal_tag(acl.principal)
    return any(tag in group.strangers and acl.permission <= group.strangers[tag] for group in entry.intents)


def knows(entry: Entry, values: Mapping[FoldedName, SecretValue]) -> bool:
    """Tell whether whoever wrote ``entry`` knew one of these values under its key.

    An entry is only as good as what keeps others from writing it. Who made the ledger's scope before us, filled it and
    left it to us, could write whatever can be seen from outside: names, and timestamps. Not a value.

    Args:
        entry: What the ledger says.
        values: What git wants, by key.
    """
    for name, value in values.items():
        tag = entry.name_tag(name)
        written = [group.puts[tag] for group in entry.intents if tag in group.puts]
        if (record := entry.keys.get(tag)) is not None:
            written.append(record.value)
        if written and any(hmac.compare_digest(entry.value_tag(name, value), one) for one in written):
            return True
    return False


def is_same(
    entry: Entry,
    listed: Mapping[FoldedName, SecretInfo],
    touched: frozenset[FoldedName],
    acls: tuple[Acl, ...] | None,
    insiders: Insiders,
) -> bool:
    """Tell whether a scope that was written to is still the one that ``entry`` vouched for before.

    Somebody may have deleted and created it anew meanwhile. What we put there then proves nothing, and were it
    recorded, the scope would count as ours from now on.

    Args:
        entry: As it was written before the changes, intents included.
        listed: Every key that is there after the changes.
        touched: Keys that this run tried to put or delete.
        acls: Every grant, asked for after that list; None if they were not asked for, which only does while a pair is
            left that this run did not touch.
        insiders: Who may have grants.
    """
    rest = {name: secret for name, secret in listed.items() if name not in touched}
    return vouches(entry, rest, acls, insiders)


def is_ours(entry: Entry, secret: SecretInfo, value: SecretValue | None) -> bool | None:
    """Tell whether what a key holds now is what we wrote; None when its value has to be read to tell.

    Args:
        entry: What the ledger says; it vouches for the scope.
        secret: The key as it is listed.
        value: What was read; None when it was not read, or cannot be. What was read counts for more than a timestamp.
            Where it cannot be read and the answer is None, the key is not ours.
    """
    name = entry.name_tag(secret.key)
    record = entry.keys.get(name)
    written = [group.puts[name] for group in entry.intents if name in group.puts]
    if record is not None:
        written.append(record.value)
    if not written:
        return False
    if value is not None:
        found = entry.value_tag(secret.key, value)
        return any(hmac.compare_digest(found, tag) for tag in written)
    return True if record is not None and record.seen_ms == secret.updated_ms else None


def grant_is_ours(entry: Entry, acl: Acl) -> bool:
    """Tell whether a grant is one that we made, or were about to make, as it is."""
    tag = entry.principal_tag(acl.principal)
    made = [entry.grants.get(tag), *(group.grants.get(tag) for group in entry.intents)]
    return acl.permission in made


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
    vouched: bool
    """`vouches`, for an entry of our own."""

    equal: bool
    """It holds the keys that git wants with the values that git wants, all of them read, and no other key."""


def claim(
    sight: Sight | None,
    found: FoundEntry,
    head: FoundHead,
    insiders: Insiders,
    new: Entry,
    allowed: Allowed,
    scope: ScopeName | None = None,
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
        scope: Its name, for a refusal where there is no sight.
    """
    found = _about(found, new)
    if isinstance(found, Entry) and found.owner != new.owner:
        if allowed.take_over:
            return Owned(entry=new, adopted=sight is not None)
        return NotOurs(refusal=_of_another_owner(sight.scope if sight is not None else scope, found, new))
    if sight is None:
        return Owned(entry=found if isinstance(found, Entry) else new)
    if isinstance(found, Entry) and sight.vouched:
        return Owned(entry=found)
    is_closed = sight.acls is not None and not insiders.outsiders(sight.acls)
    is_lost = not isinstance(found, Entry) and is_closed and _names(head, new)
    if is_lost or allowed.adopt or (sight.equal and is_closed):
        return Owned(entry=new, adopted=not is_lost)
    return NotOurs(refusal=_unclaimed(sight, found, insiders))


def _about(found: FoundEntry, new: Entry) -> FoundEntry:
    """Return what was found, unless it is about another scope or workspace: an entry that was copied proves nothing."""
    if isinstance(found, Entry) and (found.place, found.scope) != (new.place, new.scope):
        return Garbled(why="it is about another scope")
    return found


def _names(head: FoundHead, new: Entry) -> bool:
    return isinstance(head, Head) and (head.owner, head.place) == (new.owner, new.place) and new.scope in head.scopes


def _of_another_owner(scope: ScopeName | None, found: Entry, new: Entry) -> Refused:
    named = "a scope that git names" if scope is None else f"scope {scope}"
    return Refused(
        f"{named} belongs to owner {found.owner} by the ledger, and targets.yaml says that we are {new.owner}",
        advice="find out who that is; if it is to be yours from now on, pass --take-over: what is there counts as "
        "theirs, and that run deletes nothing",
    )


def _unclaimed(sight: Sight, found: FoundEntry, insiders: Insiders) -> Refused:
    match found:
        case Missing():
            what = "exists, and the ledger has no entry for it"
        case Garbled(why=why):
            what = f"exists, and the ledger's entry for it cannot be used: {why}"
        case Entry():
            what = "is not shown to be the one that the ledger knows"
        case _:
            assert_never(found)
    return Refused(
        f"scope {sight.scope} {what}; {_why_open(sight, insiders)}",
        advice="find out who made it and what it is for (reconciler list shows what it holds); if git is to manage it "
        "from now on, pass --adopt",
    )


def _why_open(sight: Sight, insiders: Insiders) -> str:
    """Return why the scope is not adopted without a word."""
    if sight.acls is None:
        return "who has a grant on it cannot be told"
    outsiders = sorted(insiders.outsiders(sight.acls), key=lambda acl: (-acl.permission, fold(acl.principal)))
    if not outsiders:
        return "it does not hold just what git says"
    named = some_of([f"{acl.principal} has {acl.permission.name}" for acl in outsiders])
    return f"git does not name all who have a grant on it: {named}"
