"""From what a survey saw to what the ledger says: records that are true now, and intents before anything is done.

Used twice in a run. At its start it settles what earlier runs left open, so that a crash between any two requests costs
nothing but this. At its end it records what came of the changes.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reconciler.ledger.records import Entry, Intents, KeyRecord, Stamp, Tag
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

        A value that was read counts for more than a timestamp: if a recorded timestamp is still there and the value is
        another, the record is kept as one that was seen with none.

        Intents about keys whose fate is known by this, about the scope and about grants that were listed are dropped.
    """
    wanted = {entry.name_tag(name) for name in wish.values}
    keys: dict[Tag, KeyRecord] = {}
    there: set[Tag] = set()
    unknown: set[Tag] = set()
    for name, secret in seen.listed.items():
        tag = entry.name_tag(name)
        there.add(tag)
        record = entry.keys.get(tag)
        value = seen.values.get(name)
        if value is None and name in seen.put_unread:
            value = wish.values.get(name)
        if value is not None:
            record = _recorded(entry, _Look(name=name, value=value, updated_ms=secret.updated_ms), wish, stamp)
        elif record is None or record.seen_ms != secret.updated_ms:
            unknown.add(tag)
        if record is not None:
            keys[tag] = record
    for tag, record in entry.keys.items():
        if tag in wanted and tag not in there:
            keys[tag] = replace(record, seen_ms=None)
    grants = entry.grants if seen.acls is None else _grants(entry, seen.acls, wish)
    return replace(entry, keys=keys, grants=grants, intents=_open_intents(entry, unknown, seen))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One key whose value is known without its record."""

    name: FoldedName
    value: SecretValue
    updated_ms: int


def _recorded(entry: Entry, look: _Look, wish: Wish, stamp: Stamp) -> KeyRecord | None:
    """Return the record of a key by its value; None where it is somebody else's and there was none."""
    tag, found = entry.name_tag(look.name), entry.value_tag(look.name, look.value)
    record = entry.keys.get(tag)
    if record is not None and hmac.compare_digest(record.value, found):
        return replace(record, seen_ms=look.updated_ms)
    changed = _intended(entry, tag, found)
    if changed is None and (wished := wish.values.get(look.name)) is not None and wished == look.value:
        changed = stamp
    if changed is not None:
        return KeyRecord(value=found, seen_ms=look.updated_ms, changed=changed)
    if record is not None and record.seen_ms == look.updated_ms:
        # Either it was changed after the list was made, and this pair never comes back, or the pair was wrong.
        return replace(record, seen_ms=None)
    return record


def _intended(entry: Entry, name: Tag, value: Tag) -> Stamp | None:
    """Return when that value was last about to be put under that name."""
    for group in reversed(entry.intents):
        if (put := group.puts.get(name)) is not None and hmac.compare_digest(put, value):
            return group.stamp
    return None


def _grants(entry: Entry, acls: tuple[Acl, ...], wish: Wish) -> dict[Tag, Permission]:
    wished = {entry.principal_tag(acl.principal): acl.permission for acl in wish.acls or ()}
    made = [entry.grants, *(group.grants for group in entry.intents), wished]
    there = {entry.principal_tag(acl.principal): acl.permission for acl in acls}
    return {
        tag: permission for tag, permission in there.items() if any(grants.get(tag) == permission for grants in made)
    }


def _open_intents(entry: Entry, unknown: set[Tag], seen: Seen) -> tuple[Intents, ...]:
    """Return what of the intents has a fate that is not known."""
    groups = (
        Intents(
            stamp=group.stamp,
            puts={name: value for name, value in group.puts.items() if name in unknown},
            deletes=group.deletes & unknown,
            grants=group.grants if seen.acls is None else {},
            strangers=group.strangers,
        )
        for group in entry.intents
    )
    return tuple(group for group in groups if group)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What a run is about to do in a scope."""

    creates_scope: bool = False
    puts: Mapping[FoldedName, SecretValue] = field(default_factory=dict)
    deletes: frozenset[FoldedName] = frozenset()
    grants: Mapping[Principal, Permission] = field(default_factory=dict)
    strangers: tuple[Acl, ...] = ()
    """Grants on the scope that neither git nor the operators explain (`Insiders.outsiders`), as they were seen."""


def intending(entry: Entry, aim: Aim, stamp: Stamp) -> Entry:
    """Return ``entry`` with what is about to be done written into it; as it is where that is nothing."""
    intents = Intents(
        stamp=stamp,
        creates_scope=aim.creates_scope,
        puts={entry.name_tag(key): entry.value_tag(key, value) for key, value in aim.puts.items()},
        deletes=frozenset(map(entry.name_tag, aim.deletes)),
        grants={entry.principal_tag(principal): permission for principal, permission in aim.grants.items()},
        strangers={entry.principal_tag(acl.principal): acl.permission for acl in aim.strangers},
    )
    return replace(entry, intents=(*entry.intents, intents)) if intents else entry
