"""Entries, heads and stamps to begin with, and strategies that make any."""

import random
import uuid
from typing import Final

from hypothesis import strategies as st

from reconciler.ledger.encoding import MAX_MS
from reconciler.ledger.records import (
    RUN_ID_BYTES,
    SALT_BYTES,
    TAG_BYTES,
    Entry,
    Head,
    Intents,
    KeyRecord,
    RunId,
    Stamp,
    Tag,
    new_entry,
    place_tag,
)
from reconciler.model import Acl, FoldedName, KeyName, Permission, Principal, ScopeName, SecretValue, fold
from reconciler.workspace import SecretInfo


OURS: Final = uuid.UUID("0d9c5f0e-0000-4000-8000-000000000001")
THEIRS: Final = uuid.UUID("7e57ab1e-0000-4000-8000-000000000002")
PLACE: Final = place_tag("adb-1.2.azuredatabricks.net")
SCOPE: Final = ScopeName("payments")
SALT: Final = bytes(range(SALT_BYTES))
FRESH: Final = new_entry(owner=OURS, place=PLACE, scope=SCOPE, salt=SALT)
"""An entry of ours that says nothing."""

THEN: Final = Stamp(at_ms=1_700_000_000_000, commit="a" * 40)
NOW: Final = Stamp(at_ms=1_800_000_000_000, commit="b" * 40)


def value(text: str) -> SecretValue:
    """Return a secret value."""
    return SecretValue(text.encode())


def record(entry: Entry, key: str, text: str, seen_ms: int | None, changed: Stamp = THEN) -> dict[Tag, KeyRecord]:
    """Return the record of one key, to be put into ``entry``."""
    return {
        entry.name_tag(key): KeyRecord(value=entry.value_tag(key, value(text)), seen_ms=seen_ms, changed=changed),
    }


def put(entry: Entry, key: str, text: str, stamp: Stamp = THEN) -> Intents:
    """Return the intent to put one value."""
    return Intents(stamp=stamp, puts={entry.name_tag(key): entry.value_tag(key, value(text))})


def listed(**times: int) -> dict[FoldedName, SecretInfo]:
    """Return a listing by key and time."""
    return {fold(key): SecretInfo(key=KeyName(key), updated_ms=at_ms) for key, at_ms in times.items()}


def acl(principal: str, permission: Permission) -> Acl:
    """Return one grant."""
    return Acl(principal=Principal(principal), permission=permission)


def entries() -> st.SearchStrategy[Entry]:
    """Return any entry. Each is made from one number, as drawing each byte alone takes far too long."""
    return st.integers(0, 2**32).map(lambda seed: _Maker(seed).entry())


def heads() -> st.SearchStrategy[Head]:
    """Return any head."""
    return st.integers(0, 2**32).map(lambda seed: _Maker(seed).head())


class _Maker:
    """Makes records from a number: short ones, with what stands at a border more often than chance has it."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - samples, not secrets
        width = self._random.choice((20, 32))
        self._commits = (None, *(self._random.randbytes(width).hex() for _ in range(3)))

    def entry(self) -> Entry:
        keys = {
            self._tag(): KeyRecord(
                value=self._tag(), seen_ms=self._random.choice((None, self._ms())), changed=self._stamp()
            )
            for _ in self._few()
        }
        intents = (self._intents() for _ in self._few())
        return Entry(
            owner=uuid.UUID(bytes=self._tag()),
            place=self._tag(),
            scope=self._tag(),
            salt=self._random.randbytes(SALT_BYTES),
            keys=keys,
            grants=self._grants(),
            intents=tuple(group for group in intents if group),
        )

    def head(self) -> Head:
        letters = "aZ0@. \0\N{SNOWMAN}\N{GRINNING FACE}"
        return Head(
            owner=uuid.UUID(bytes=self._tag()),
            place=self._tag(),
            commit=self._random.choice(self._commits),
            at_ms=self._ms(),
            run=RunId(self._random.randbytes(RUN_ID_BYTES)),
            identity=Principal("".join(self._random.choices(letters, k=self._random.choice((0, 7, 256))))),
            scopes=frozenset(self._tag() for _ in self._few()),
        )

    def _intents(self) -> Intents:
        return Intents(
            stamp=self._stamp(),
            creates_scope=self._random.random() < 1 / 2,
            puts={self._tag(): self._tag() for _ in self._few()},
            deletes=frozenset(self._tag() for _ in self._few()),
            grants=self._grants(),
            strangers=self._grants(),
        )

    def _grants(self) -> dict[Tag, Permission]:
        return {self._tag(): self._random.choice(list(Permission)) for _ in self._few()}

    def _stamp(self) -> Stamp:
        return Stamp(at_ms=self._ms(), commit=self._random.choice(self._commits))

    def _ms(self) -> int:
        return self._random.choice((0, MAX_MS, self._random.randrange(MAX_MS)))

    def _tag(self) -> Tag:
        return Tag(self._random.choice((bytes(TAG_BYTES), b"\xff" * TAG_BYTES, *(self._random.randbytes(16),) * 8)))

    def _few(self) -> range:
        return range(self._random.randrange(4))
