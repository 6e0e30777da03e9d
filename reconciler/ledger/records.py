"""What the ledger holds: one `Entry` per managed scope and one `Head` per owner.

Names and values stand in it as tags: HMAC-SHA256, cut to 128 bits, under the random salt of the entry. Whoever reads
the ledger without knowing a value learns from its tag only whether a guess is right, and guesses anew for each entry.
"""

import hashlib
import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NewType

from reconciler.model import FoldedName, KeyName, Permission, Principal, ScopeName, SecretValue, fold


Tag = NewType("Tag", bytes)
"""16 bytes that stand for a name or a value."""

RunId = NewType("RunId", bytes)
"""16 random bytes: which run wrote last."""

TAG_BYTES: Final = 16
SALT_BYTES: Final = 32
RUN_ID_BYTES: Final = 16

NOBODY: Final = uuid.UUID(int=0)
"""Owner where targets.yaml names none, as it may while all targets are embedded."""


def place_tag(host_key: str) -> Tag:
    """Return what stands for a workspace: the name under which scope files feed it (`Target.host_key`)."""
    return _hash(b"place", host_key.encode())


def entry_name(place: Tag, scope: str) -> KeyName:
    """Return the key of the ledger scope that holds the entry of ``scope``; found without knowing any salt."""
    return KeyName(f"scope-{managed_tag(place, scope).hex()}")


def head_name(owner: uuid.UUID) -> KeyName:
    """Return the key of the ledger scope that holds the head of ``owner``."""
    return KeyName(f"head-{_hash(b'head', owner.bytes).hex()}")


def managed_tag(place: Tag, scope: str) -> Tag:
    """Return what stands for a managed scope in a head."""
    return _hash(b"scope", place, fold(scope).encode())


def _hash(kind: bytes, *parts: bytes) -> Tag:
    return Tag(hashlib.sha256(_framed(kind, parts)).digest()[:TAG_BYTES])


def _framed(kind: bytes, parts: tuple[bytes, ...]) -> bytes:
    """Return the parts, each after its length, so that none can be moved across a border."""
    return b"".join(len(part).to_bytes(4) + part for part in (b"reconciler " + kind, *parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """When something was, and at which commit."""

    at_ms: int
    """Milliseconds since the epoch, by the clock of whoever ran."""

    commit: str | None
    """Full hash, lower case; None from a work tree or outside git."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What is known of one key of ours."""

    value: Tag
    """Of the value that we last wrote there, or that was there and equal to git's."""

    seen_ms: int | None
    """The platform's timestamp that this value was seen with, in milliseconds: list first, then get, at least 10 ms
    after the last put. While the platform still lists it, the value is known without reading it. None: not seen."""

    changed: Stamp
    """When the value last changed. A drift that was repaired is no change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intents:
    """What one run was about to do in a scope, written before it did; what has become of it is not known yet."""

    stamp: Stamp
    creates_scope: bool = False
    puts: Mapping[Tag, Tag] = field(default_factory=dict)
    """Tag of name -> tag of value."""

    deletes: frozenset[Tag] = frozenset()
    """Tags of names."""

    grants: Mapping[Tag, Permission] = field(default_factory=dict)
    """Tag of principal -> what it is about to be granted."""

    strangers: Mapping[Tag, Permission] = field(default_factory=dict)
    """Tag of principal -> what somebody has on the scope whom neither git nor the operators explain. The puts of a run
    may move every recorded timestamp; should it be killed then, who has a grant still tells the scope from another one
    of that name (`reconciler.ledger.ownership.vouches`)."""

    def __post_init__(self) -> None:
        for name in ("puts", "grants", "strangers"):
            object.__setattr__(self, name, MappingProxyType(dict(sorted(getattr(self, name).items()))))

    def __bool__(self) -> bool:
        """Tell whether anything was intended."""
        return bool(self.creates_scope or self.puts or self.deletes or self.grants)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known of one scope."""

    owner: uuid.UUID
    place: Tag
    """The workspace, see `place_tag`."""

    scope: Tag
    """The scope, see `managed_tag`."""

    salt: bytes = field(repr=False)
    """32 random bytes, the key of every tag below."""

    keys: Mapping[Tag, KeyRecord] = field(default_factory=dict)
    """Tag of name -> record; sorted, read-only."""

    grants: Mapping[Tag, Permission] = field(default_factory=dict)
    """Tag of principal -> what we granted; sorted, read-only."""

    intents: tuple[Intents, ...] = ()
    """Of runs whose end is not known, oldest first."""

    def __post_init__(self) -> None:
        if len(self.salt) != SALT_BYTES:
            raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(self.salt)}")
        object.__setattr__(self, "keys", MappingProxyType(dict(sorted(self.keys.items()))))
        object.__setattr__(self, "grants", MappingProxyType(dict(sorted(self.grants.items()))))

    def name_tag(self, key: str) -> Tag:
        """Return what stands for the name of a key here, whatever its case."""
        return self._tag(b"name", fold(key).encode())

    def value_tag(self, key: str, value: SecretValue) -> Tag:
        """Return what stands for a value under that key; the same value under another key has another tag."""
        return self._tag(b"value", fold(key).encode(), value.reveal())

    def principal_tag(self, principal: str) -> Tag:
        """Return what stands for a principal, whatever its case."""
        return self._tag(b"principal", fold(principal).encode())

    def record(self, key: str) -> KeyRecord | None:
        """Return what is known of a key by its name."""
        return self.keys.get(self.name_tag(key))

    def _tag(self, kind: bytes, *parts: bytes) -> Tag:
        return Tag(hmac.digest(self.salt, _framed(kind, (self.scope, *parts)), hashlib.sha256)[:TAG_BYTES])


def new_entry(*, owner: uuid.UUID, place: Tag, scope: ScopeName | FoldedName, salt: bytes) -> Entry:
    """Return the entry of a scope of which nothing is known.

    Args:
        owner: Who will own what is written.
        place: The workspace.
        scope: Its name.
        salt: 32 bytes from the system's source of randomness; a new one for each entry.
    """
    return Entry(owner=owner, place=place, scope=managed_tag(place, scope), salt=salt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where an owner stands in a workspace."""

    owner: uuid.UUID
    place: Tag
    commit: str | None
    """The newest commit that was applied, full hash; None before the first."""

    at_ms: int
    """When it was written, milliseconds since the epoch."""

    run: RunId
    """The run that wrote it. When it changes, another run has begun."""

    identity: Principal
    """Who ran."""

    scopes: frozenset[Tag] = frozenset()
    """Managed scopes, see `managed_tag`."""


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no such record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbled:
    """There is one that cannot be used."""

    why: str
    """In our words, such as ``its checksum does not fit``."""


FoundEntry = Entry | Missing | Garbled
FoundHead = Head | Missing | Garbled
