"""Which versions of files are encrypted with the same data key, and what of them the keys at hand open.

A data key that somebody could unwrap once is theirs for good: ``sops updatekeys`` takes a name off the file and leaves
the key. That two versions have the same one shows without any key where they have a ciphertext in common, as each has a
random nonce: values that nobody changes keep theirs. With a key that opens both, it is known either way.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from reconciler.auditing.versions import Contents, Sealed
from reconciler.policy.scope_values import Form
from reconciler.pysops import Identities, Metadata, SopsError
from reconciler.pysops.crypt import open_envelope
from reconciler.pysops.key_groups import recover_data_key


_DATA_KEY_BYTES: Final = 32


class Opener:
    """The keys at hand. What it opens leaves it as digests under a key that nobody keeps, fit to be compared alone."""

    __slots__ = ("__identities", "__pepper")

    def __init__(self, identities: Sequence[Identities]) -> None:
        self.__identities = tuple(identities)
        self.__pepper = secrets.token_bytes(32)

    def data_key(self, metadata: Metadata) -> "DataKey | None":
        """Return what opens the values of a file; None where no key at hand opens it. Only age keys are tried."""
        for identities in self.__identities:
            try:
                found = recover_data_key(metadata, identities)
            except SopsError:
                continue
            if len(found) == _DATA_KEY_BYTES:
                return DataKey(found, self.__pepper)
        return None

    def plain(self, sealed: Sealed) -> bytes | None:
        """Return the digest of a value that stands in plain."""
        return _digest(self.__pepper, sealed.form, sealed.plain.encode(errors="replace"))


class DataKey:
    """The data key of a file. Never shown."""

    __slots__ = ("__cipher", "__pepper", "mark")

    def __init__(self, raw: bytes, pepper: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self.__cipher = AESGCM(raw)
        self.__pepper = pepper
        self.mark = hmac.new(pepper, b"key" + raw, hashlib.sha256).digest()
        """Equal to that of another one exactly where the keys are equal, within one process."""

    def digest(self, sealed: Sealed) -> bytes | None:
        """Return what stands for a value; None where it does not authenticate, or is not in the form that it says."""
        if sealed.envelope is None:
            return None
        plain = open_envelope(self.__cipher, sealed.envelope, ":".join((*sealed.names, "")).encode())
        return None if plain is None else _digest(self.__pepper, sealed.form, plain)

    def __repr__(self) -> str:
        return "DataKey(***)"


def _digest(pepper: bytes, form: Form, text: bytes) -> bytes | None:
    """Return a digest of the bytes that go to a workspace, whichever form they have in the file."""
    if form is Form.BASE64:
        try:
            text = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return None
    return hmac.new(pepper, b"value" + text, hashlib.sha256).digest()


class Lineage:
    """Versions that are known to be encrypted with the same data key."""

    __slots__ = ("key", "members")

    def __init__(self, members: Iterable[int]) -> None:
        self.members = tuple(members)
        """Positions of versions, oldest first."""
        self.key: DataKey | None = None


def lineages(contents: Sequence[Contents]) -> tuple[Lineage, ...]:
    """Return the versions by data key, as far as that shows without a key."""
    parents = list(range(len(contents)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    first: dict[bytes, int] = {}
    for index, each in enumerate(contents):
        for token in each.tokens:
            one, other = root(first.setdefault(token, index)), root(index)
            parents[max(one, other)] = min(one, other)
    groups: dict[int, list[int]] = {}
    for index in range(len(contents)):
        groups.setdefault(root(index), []).append(index)
    return tuple(Lineage(members) for members in groups.values())


def unlock(lineage: Lineage, contents: Sequence[Contents], opener: Opener) -> None:
    """Look for a key at hand that opens any of the versions: one is enough for all."""
    for metadata in _different(contents[index] for index in reversed(lineage.members)):
        lineage.key = opener.data_key(metadata)
        if lineage.key is not None:
            return


def _different(contents: Iterable[Contents]) -> Iterator[Metadata]:
    """Yield the metadata of versions, once for each set of recipients."""
    seen: set[frozenset[object]] = set()
    for each in contents:
        if each.metadata is not None and each.recipients not in seen:
            seen.add(frozenset(each.recipients))
            yield each.metadata
