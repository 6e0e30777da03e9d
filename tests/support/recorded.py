"""A ledger as an earlier run would have left it, written into a fake workspace without a request."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from reconciler.ledger.encoding import encode_entry, encode_head
from reconciler.ledger.records import (
    Entry,
    Head,
    KeyRecord,
    RunId,
    Stamp,
    Tag,
    entry_name,
    head_name,
    managed_tag,
    new_entry,
    place_tag,
)
from reconciler.model import LEDGER_SCOPE, Permission, Principal, ScopeName, SecretValue, fold
from reconciler.survey import LedgerSpot
from tests.fakes import FakeWorkspace


OWNER: Final = uuid.UUID(int=7)
OTHER_OWNER: Final = uuid.UUID(int=8)
PLACE: Final = place_tag("fake.cloud.databricks.com")
SALT: Final = bytes(range(32))
STAMP: Final = Stamp(at_ms=1_700_000_000_000, commit="1" * 40)
SPOT: Final = LedgerSpot(scope=LEDGER_SCOPE, target="prod", owner=OWNER, place=PLACE)


def blank(scope: str = "app", *, owner: uuid.UUID = OWNER, place: Tag = PLACE, salt: bytes = SALT) -> Entry:
    """Return an entry that says nothing of its scope."""
    return new_entry(owner=owner, place=place, scope=ScopeName(scope), salt=salt)


def recording(
    entry: Entry, values: Mapping[str, bytes], seen_ms: Mapping[str, int] | int | None = None, *, stamp: Stamp = STAMP
) -> Entry:
    """Return ``entry`` with a record of each value.

    Args:
        entry: What it says already is kept.
        values: By key.
        seen_ms: The timestamp of all, or of each; None: none was seen with one.
        stamp: When they changed.
    """
    keys = dict(entry.keys)
    for key, value in values.items():
        at = seen_ms[key] if isinstance(seen_ms, Mapping) else seen_ms
        tag = entry.value_tag(key, SecretValue(value))
        keys[entry.name_tag(key)] = KeyRecord(value=tag, seen_ms=at, changed=stamp)
    return replace(entry, keys=keys)


def granting(entry: Entry, grants: Mapping[str, Permission]) -> Entry:
    """Return ``entry`` with these grants recorded as ours."""
    tags = {entry.principal_tag(principal): permission for principal, permission in grants.items()}
    return replace(entry, grants={**entry.grants, **tags})


def seen_now(workspace: FakeWorkspace, scope: str, keys: Collection[str] | None = None) -> Entry:
    """Return an entry that records what is in the scope now.

    Args:
        workspace: Where it is.
        scope: Its name.
        keys: Which of them are recorded; None: all.
    """
    there = workspace.scopes[fold(scope)].secrets
    picked = {key: (value, at) for key, value, at in there.values() if keys is None or key in keys}
    return recording(
        blank(scope),
        {key: value.reveal() for key, (value, _) in picked.items()},
        {key: at for key, (_, at) in picked.items()},
    )


def write_entry(workspace: FakeWorkspace, scope: str, entry: Entry | bytes) -> None:
    """Put an entry, or garbage in its place, into the ledger; create that if need be."""
    value = entry if isinstance(entry, bytes) else encode_entry(entry).reveal()
    _ensure(workspace)
    workspace.put(LEDGER_SCOPE, entry_name(PLACE, scope), value)


def write_head(workspace: FakeWorkspace, *scopes: str, commit: str | None = STAMP.commit) -> Head:
    """Put the head of our owner into the ledger; create that if need be."""
    head = Head(
        owner=OWNER,
        place=PLACE,
        commit=commit,
        at_ms=STAMP.at_ms,
        run=RunId(bytes(16)),
        identity=Principal(workspace.identity),
        scopes=frozenset(managed_tag(PLACE, scope) for scope in scopes),
    )
    _ensure(workspace)
    workspace.put(LEDGER_SCOPE, head_name(OWNER), encode_head(head).reveal())
    return head


def write_ledger(workspace: FakeWorkspace, *scopes: str) -> dict[str, Entry]:
    """Write what a run would have written that has just put everything that is in these scopes."""
    entries = {scope: seen_now(workspace, scope) for scope in scopes}
    for scope, entry in entries.items():
        write_entry(workspace, scope, entry)
    write_head(workspace, *scopes)
    return entries


def _ensure(workspace: FakeWorkspace) -> None:
    if fold(LEDGER_SCOPE) not in workspace.scopes:
        workspace.add(LEDGER_SCOPE)
