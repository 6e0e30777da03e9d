"""The ledger's bytes: fixed width, big-endian, versioned, with a checksum. They fit into one secret (128 KB).

``docs/ledger.md`` gives the layout byte by byte. Rules:

* Every version begins with magic, version and kind and ends in the first 16 bytes of the SHA-256 of all before, so
  that a record of a newer version can be told from a damaged one.
* There is one encoding of each record: what is read and would not be written the same way is garbled.
* The checksum finds accidents, not forgers. Whether a ledger can be believed is a matter of `trust`.
"""

import hashlib
import hmac
import struct
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from reconciler.errors import Refused
from reconciler.ledger.records import (
    RUN_ID_BYTES,
    SALT_BYTES,
    TAG_BYTES,
    Entry,
    FoundEntry,
    FoundHead,
    Garbled,
    Head,
    Intents,
    KeyRecord,
    RunId,
    Stamp,
    Tag,
)
from reconciler.model import MAX_VALUE_BYTES, Permission, Principal, SecretValue


VERSION: Final = 1
"""Of the format that this tool writes, and the newest that it reads."""

MAX_HEAD_SCOPES: Final = 8_000
"""Scopes that a head has room for, whatever its identity is called; a workspace has 1,000 unless support raised it."""

MAX_IDENTITY_CHARS: Final = 256
"""Of an identity's name, in a head; the rest is cut off, as it is only told to people."""

MAX_MS: Final = 253_402_300_799_999
"""Latest time that is written, milliseconds since the epoch: the end of the year 9999, as `datetime` knows none after
it. Later ones are told to people, and would end a run."""

_MAGIC: Final = b"RCNL"
_ENTRY: Final = 1
_HEAD: Final = 2
_START: Final = struct.Struct(">4sBB")
_CHECKSUM_BYTES: Final = 16
_UUID_BYTES: Final = 16
_MS_BYTES: Final = 6
_COUNT_BYTES: Final = 2
_UNSEEN: Final = 2 ** (8 * _MS_BYTES) - 1
"""All ones, and no time."""
_NO_COMMIT: Final = 0xFFFF
_WIDTHS: Final = (20, 32)
"""Bytes of a commit: SHA-1 and SHA-256."""

_STAMP_BYTES: Final = _MS_BYTES + _COUNT_BYTES
_KEY_BYTES: Final = 2 * TAG_BYTES + _MS_BYTES + _STAMP_BYTES
_GRANT_BYTES: Final = TAG_BYTES + 1
_PUT_BYTES: Final = 2 * TAG_BYTES
_GROUP_BYTES: Final = _STAMP_BYTES + 1 + 4 * _COUNT_BYTES
_FIXED_BYTES: Final = _START.size + _UUID_BYTES + 2 * TAG_BYTES + SALT_BYTES + 1 + 4 * _COUNT_BYTES + _CHECKSUM_BYTES
"""Of an entry without commits, keys, grants and intents."""

_CREATES_SCOPE: Final = 1
"""The one flag of a group of intents."""

_Record = TypeVar("_Record")


def encode_entry(entry: Entry) -> SecretValue:
    """Return the bytes of an entry. It always fits: what does not is left out, the least missed first.

    Left out are groups of intents, the oldest first, but not the newest; commits of the oldest changes; the newest
    group; grants; keys, those of the oldest changes first. Nothing of that is dangerous: what is missing from a ledger
    is read, or is not ours. Timestamps that are no time and commits that are no hash are written as not known; a change
    after `MAX_MS` is written as one at that time, as only a clock that is wrong can have stamped it.
    """
    entry = _fitting(replace(entry, intents=tuple(group for group in entry.intents if group)))
    width, commits = _commits(entry)
    index = {commit: number for number, commit in enumerate(commits)}
    parts = [
        _START.pack(_MAGIC, VERSION, _ENTRY),
        entry.owner.bytes,
        entry.place,
        entry.scope,
        entry.salt,
        bytes([width]),
        _count(commits),
        *commits,
        _count(entry.keys),
    ]
    for name, record in entry.keys.items():
        seen = _UNSEEN if record.seen_ms is None or not 0 <= record.seen_ms <= MAX_MS else record.seen_ms
        parts += (name, record.value, seen.to_bytes(_MS_BYTES), _stamp(record.changed, index))
    parts += (_count(entry.grants), _grants(entry.grants), _count(entry.intents))
    for group in entry.intents:
        parts += (
            _stamp(group.stamp, index),
            bytes([_CREATES_SCOPE if group.creates_scope else 0]),
            _count(group.puts),
            _count(group.deletes),
            _count(group.grants),
            _count(group.strangers),
            *(name + value for name, value in group.puts.items()),
            *sorted(group.deletes),
            _grants(group.grants),
            _grants(group.strangers),
        )
    return _sealed(parts)


def decode_entry(value: SecretValue) -> FoundEntry:
    """Return what `encode_entry` was given; `Garbled` for whatever it would not have written.

    Raises:
        Refused: A newer version of this tool wrote it.
    """
    return _decoded(value, _ENTRY, _read_entry, encode_entry)


def encode_head(head: Head) -> SecretValue:
    """Return the bytes of a head; a time after `MAX_MS` is written as that.

    Raises:
        ValueError: It names more than `MAX_HEAD_SCOPES`.
    """
    if len(head.scopes) > MAX_HEAD_SCOPES:
        raise ValueError(f"a head has room for {MAX_HEAD_SCOPES} scopes, not {len(head.scopes)}")
    commit = _commit(head.commit) or b""
    # A lone surrogate, which JSON can carry, has no encoding.
    identity = head.identity[:MAX_IDENTITY_CHARS].encode(errors="replace")
    return _sealed(
        [
            _START.pack(_MAGIC, VERSION, _HEAD),
            head.owner.bytes,
            head.place,
            head.run,
            _ms(head.at_ms),
            bytes([len(commit)]),
            commit,
            _count(identity),
            identity,
            _count(head.scopes),
            *sorted(head.scopes),
        ]
    )


def decode_head(value: SecretValue) -> FoundHead:
    """Return what `encode_head` was given; `Garbled` for whatever it would not have written.

    Raises:
        Refused: A newer version of this tool wrote it.
    """
    return _decoded(value, _HEAD, _read_head, encode_head)


class _Broken(Exception):
    """The bytes are none that we write; the message says why."""


class _Reader:
    """Takes bytes off the front, never more than there are."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._raw):
            raise _Broken("it ends early")
        taken = self._raw[self._at : end]
        self._at = end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def count(self, width: int) -> range:
        """Return the numbers of so many things of ``width`` bytes each."""
        count = self.number(_COUNT_BYTES)
        if count * width > len(self._raw) - self._at:
            raise _Broken("it ends early")
        return range(count)

    def tag(self) -> Tag:
        return Tag(self.take(TAG_BYTES))

    def ms(self) -> int:
        ms = self.number(_MS_BYTES)
        if ms > MAX_MS:
            raise _Broken("it has a time that is none")
        return ms

    def permission(self) -> Permission:
        try:
            return Permission(self.number(1))
        except ValueError:
            raise _Broken("it has a permission that is none") from None


def _decoded(
    value: SecretValue, kind: int, read: Callable[[_Reader], _Record], encode: Callable[[_Record], SecretValue]
) -> _Record | Garbled:
    """Check what holds for every record, read it, and see that it would be written the same way."""
    raw = value.reveal()
    if len(raw) < _START.size + _CHECKSUM_BYTES or not raw.startswith(_MAGIC):
        return Garbled(why="it is not a record of this tool")
    body, checksum = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
    if not hmac.compare_digest(_checksum(body), checksum):
        return Garbled(why="its checksum does not fit")
    _, version, found_kind = _START.unpack_from(body)
    if version > VERSION:
        raise Refused(
            f"the ledger was written by a newer version of this tool: format {version}, and this one knows {VERSION}",
            advice="upgrade this tool to the version that the other runs on this target use",
        )
    if version != VERSION or found_kind != kind:
        return Garbled(why="it is a record of another kind")
    try:
        record = read(_Reader(body[_START.size :]))
    except _Broken as broken:
        return Garbled(why=str(broken))
    if not hmac.compare_digest(encode(record).reveal(), raw):
        return Garbled(why="it is not in the form in which this tool writes")
    return record


def _read_entry(reader: _Reader) -> Entry:
    owner = uuid.UUID(bytes=reader.take(_UUID_BYTES))
    place, scope, salt = reader.tag(), reader.tag(), reader.take(SALT_BYTES)
    width = reader.number(1)
    commits = [reader.take(width).hex() for _ in reader.count(width)]
    keys: dict[Tag, KeyRecord] = {}
    for _ in reader.count(_KEY_BYTES):
        name, value, seen = reader.tag(), reader.tag(), reader.number(_MS_BYTES)
        changed = _read_stamp(reader, commits)
        keys[name] = KeyRecord(value=value, seen_ms=None if seen == _UNSEEN else seen, changed=changed)
    grants = {reader.tag(): reader.permission() for _ in reader.count(_GRANT_BYTES)}
    intents = tuple(_read_group(reader, commits) for _ in reader.count(_GROUP_BYTES))
    return Entry(owner=owner, place=place, scope=scope, salt=salt, keys=keys, grants=grants, intents=intents)


def _read_group(reader: _Reader, commits: list[str]) -> Intents:
    stamp = _read_stamp(reader, commits)
    flags = reader.number(1)
    puts, deletes = reader.count(_PUT_BYTES), reader.count(TAG_BYTES)
    grants, strangers = reader.count(_GRANT_BYTES), reader.count(_GRANT_BYTES)
    return Intents(
        stamp=stamp,
        creates_scope=bool(flags),
        puts={reader.tag(): reader.tag() for _ in puts},
        deletes=frozenset(reader.tag() for _ in deletes),
        grants={reader.tag(): reader.permission() for _ in grants},
        strangers={reader.tag(): reader.permission() for _ in strangers},
    )


def _read_stamp(reader: _Reader, commits: list[str]) -> Stamp:
    at_ms, number = reader.ms(), reader.number(_COUNT_BYTES)
    if number != _NO_COMMIT and number >= len(commits):
        raise _Broken("it names a commit that it does not have")
    return Stamp(at_ms=at_ms, commit=None if number == _NO_COMMIT else commits[number])


def _read_head(reader: _Reader) -> Head:
    owner = uuid.UUID(bytes=reader.take(_UUID_BYTES))
    place, run, at_ms = reader.tag(), RunId(reader.take(RUN_ID_BYTES)), reader.ms()
    commit = reader.take(reader.number(1)).hex()
    try:
        identity = Principal(reader.take(len(reader.count(1))).decode())
    except UnicodeDecodeError:
        raise _Broken("its identity is no text") from None
    scopes = reader.count(TAG_BYTES)
    if len(scopes) > MAX_HEAD_SCOPES:
        raise _Broken("it names too many scopes")
    return Head(
        owner=owner,
        place=place,
        commit=commit or None,
        at_ms=at_ms,
        run=run,
        identity=identity,
        scopes=frozenset(reader.tag() for _ in scopes),
    )


def _sealed(parts: Iterable[bytes]) -> SecretValue:
    body = b"".join(parts)
    return SecretValue(body + _checksum(body))


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_CHECKSUM_BYTES]


def _count(things: "Iterable[object] | bytes") -> bytes:
    return len(things).to_bytes(_COUNT_BYTES)  # type: ignore[arg-type]


def _ms(at_ms: int) -> bytes:
    return min(max(at_ms, 0), MAX_MS).to_bytes(_MS_BYTES)


def _stamp(stamp: Stamp, index: Mapping[bytes, int]) -> bytes:
    commit = _commit(stamp.commit)
    number = _NO_COMMIT if commit is None else index.get(commit, _NO_COMMIT)
    return _ms(stamp.at_ms) + number.to_bytes(_COUNT_BYTES)


def _grants(grants: Mapping[Tag, Permission]) -> bytes:
    return b"".join(principal + bytes([permission]) for principal, permission in grants.items())


def _commit(commit: str | None) -> bytes | None:
    """Return the bytes of a hash; None for what is none."""
    try:
        raw = bytes.fromhex(commit or "")
    except ValueError:
        return None
    return raw if len(raw) in _WIDTHS else None


def _stamps(entry: Entry) -> list[Stamp]:
    return [record.changed for record in entry.keys.values()] + [group.stamp for group in entry.intents]


def _commits(entry: Entry) -> tuple[int, list[bytes]]:
    """Return the width of the entry's commits and, sorted, those of that width: the wider one where it has both.

    Both stand in it only after a repository was moved from SHA-1 to SHA-256, where the old ones name nothing any more.
    """
    commits = {commit for stamp in _stamps(entry) if (commit := _commit(stamp.commit)) is not None}
    width = max(map(len, commits), default=0)
    return width, sorted(commit for commit in commits if len(commit) == width)


def _size(entry: Entry) -> int:
    """Return how many bytes an entry takes."""
    width, commits = _commits(entry)
    groups = sum(
        _GROUP_BYTES
        + _PUT_BYTES * len(group.puts)
        + TAG_BYTES * len(group.deletes)
        + _GRANT_BYTES * (len(group.grants) + len(group.strangers))
        for group in entry.intents
    )
    return (
        _FIXED_BYTES + width * len(commits) + _KEY_BYTES * len(entry.keys) + _GRANT_BYTES * len(entry.grants) + groups
    )


def _fitting(entry: Entry) -> Entry:
    while (surplus := _size(entry) - MAX_VALUE_BYTES) > 0:
        entry = _smaller(entry, surplus)
    return entry


def _smaller(entry: Entry, surplus: int) -> Entry:
    """Return the entry without what is missed least; smaller, though perhaps not by ``surplus`` bytes."""
    if len(entry.intents) > 1:
        return replace(entry, intents=entry.intents[1:])
    width, commits = _commits(entry)
    if commits:
        return _without_commits(entry, -(-surplus // width))
    if entry.intents or entry.grants:
        return replace(entry, intents=(), grants={} if not entry.intents else entry.grants)
    newest = sorted(entry.keys.items(), key=lambda item: (item[1].changed.at_ms, item[0]))
    return replace(entry, keys=dict(newest[-(-surplus // _KEY_BYTES) :]))


def _without_commits(entry: Entry, number: int) -> Entry:
    """Return the entry without so many of its commits, those at which nothing changed for longest."""
    latest: dict[str, int] = {}
    for stamp in _stamps(entry):
        if stamp.commit is not None:
            latest[stamp.commit] = max(stamp.at_ms, latest.get(stamp.commit, stamp.at_ms))
    kept = set(sorted(latest, key=lambda commit: (latest[commit], commit))[number:])

    def cut(stamp: Stamp) -> Stamp:
        return stamp if stamp.commit in kept else replace(stamp, commit=None)

    return replace(
        entry,
        keys={name: replace(record, changed=cut(record.changed)) for name, record in entry.keys.items()},
        intents=tuple(replace(group, stamp=cut(group.stamp)) for group in entry.intents),
    )
