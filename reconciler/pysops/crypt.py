"""From a parsed file and the identities at hand to its values: data key, values, MAC.

No value leaves before the MAC is verified. Whatever is raised leaves without the frames below `decrypt`: see `leaving`.

AES-256-GCM binds every value to the mapping keys above it; the MAC, a SHA-512 over all leaves in file order encrypted
with the data key, binds them to each other. What that does not prove is listed in docs; see also
https://getsops.io/docs/#message-authentication-code.
"""

import hashlib
import hmac
from functools import cache
from typing import TYPE_CHECKING, Final, assert_never

from reconciler.pysops.document import Document, Mapping, Node, Scalar, Sequence
from reconciler.pysops.envelope import Envelope
from reconciler.pysops.errors import (
    DecryptionError,
    MacMismatch,
    Mark,
    TamperedValue,
)
from reconciler.pysops.identities import Identities
from reconciler.pysops.key_groups import recover_data_key
from reconciler.pysops.leaves import MAX_PATH_BYTES, empty_comment, no_comment, not_encrypted, too_long_path
from reconciler.pysops.leaving import frameless
from reconciler.pysops.scalars import ScalarKind, plain_value
from reconciler.pysops.selectors import Selector, selector_of
from reconciler.pysops.sops_metadata import METADATA_KEY, Metadata, read_metadata
from reconciler.pysops.timestamps import without_fraction
from reconciler.pysops.values import COMMENT, mac_bytes, typed_value


if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

DATA_KEY_BYTES: Final = 32
"""For AES-256. sops would also take 16 and 24, which it never makes."""

MAC_ONLY_ENCRYPTED_START: Final = hashlib.sha256(b"sops").digest()
"""``MACOnlyEncryptedInitialization`` of sops.go: such a MAC never equals one over everything."""


@frameless
def decrypt(document: Document, identities: Identities) -> dict[str, object]:
    """Unlock a file.

    Args:
        document: what `parse` made of it.
        identities: the keys to try.

    Returns:
        The values without the metadata: nested dicts and lists, in file order, of str, int, float, bool and None; bytes
        where a text is not UTF-8; timestamps as RFC 3339 text.

    Raises:
        MetadataError: the metadata is missing, malformed or asks for what is not supported.
        DocumentError: a value that must be encrypted is not, or stands below keys that are too long.
        NoIdentity: none of the identities opens the file.
        TamperedValue: a value does not authenticate; carries its place.
        MacMismatch: the values authenticate one by one, but not together.
        DecryptionError: the data key is none; memory does not suffice; or there is a defect here.
    """
    metadata = read_metadata(document)
    selector = selector_of(metadata)
    return values_of(document, metadata, selector, cipher_of(recover_data_key(metadata, identities), metadata.mark))


def values_of(document: Document, metadata: Metadata, selector: Selector, cipher: "AESGCM") -> dict[str, object]:
    """Unlock a file of which the data key is known; otherwise the same as `decrypt`."""
    unlocking = _Unlocking(cipher, metadata, selector)
    values = unlocking.mapping(document.root, (), matched=False)
    unlocking.verify()
    return values


def cipher_of(data_key: bytes, mark: Mark | None) -> "AESGCM":
    """Return what seals and opens with a data key.

    Raises:
        DecryptionError: it is none.
    """
    if len(data_key) != DATA_KEY_BYTES:
        raise DecryptionError("the data key is not of 256 bits", mark=mark)
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(data_key)


def open_envelope(cipher: "AESGCM", envelope: Envelope, bound_to: bytes) -> bytes | None:
    """Decrypt one value.

    Args:
        cipher: made of the data key.
        envelope: the value.
        bound_to: what it was encrypted for: the mapping keys above it, with a colon behind each.

    Returns:
        None when it does not authenticate.
    """
    try:
        return cipher.decrypt(envelope.iv, envelope.data + envelope.tag, bound_to)
    except _invalid_tag():
        return None


@cache
def _invalid_tag() -> type[Exception]:
    # Imported when it is needed first, and not for each value.
    from cryptography.exceptions import InvalidTag

    return InvalidTag


KeyPath = tuple[str, ...]
"""The mapping keys above a node, from the root."""


class _Unlocking:
    """One walk over one file: decrypts values and feeds the MAC."""

    def __init__(self, cipher: "AESGCM", metadata: Metadata, selector: Selector) -> None:
        self._cipher = cipher
        self._metadata = metadata
        self._selector = selector
        self._digest = hashlib.sha512(MAC_ONLY_ENCRYPTED_START if metadata.mac_only_encrypted else b"")

    def mapping(self, node: Mapping, above: KeyPath, *, matched: bool) -> dict[str, object]:
        """Unlock a mapping."""
        values: dict[str, object] = {}
        for entry in node.entries:
            name = entry.key.text
            if not above and name == METADATA_KEY:
                continue
            value = self._node(entry.value, (*above, name), matched=matched or self._selector.matches(name))
            if value is COMMENT:
                raise no_comment(entry.value.mark)
            values[name] = value
        return values

    def _sequence(self, node: Sequence, above: KeyPath, *, matched: bool) -> list[object]:
        if node.empty_comment is not None and self._selector.encrypts(matched=matched):
            raise empty_comment(node.empty_comment)
        # sops writes an encrypted comment between items as an item: such a one is not a value.
        values = (self._node(item, above, matched=matched) for item in node.items)
        return [value for value in values if value is not COMMENT]

    def _node(self, node: Node, above: KeyPath, *, matched: bool) -> object:
        match node:
            case Scalar():
                return self._scalar(node, above, encrypted=self._selector.encrypts(matched=matched))
            case Mapping():
                return self.mapping(node, above, matched=matched)
            case Sequence():
                return self._sequence(node, above, matched=matched)
            case _:
                assert_never(node)

    def _scalar(self, node: Scalar, above: KeyPath, *, encrypted: bool) -> object:
        if node.kind is ScalarKind.NULL:
            return None  # never encrypted, and no part of the MAC
        if encrypted:
            value = "" if node.kind is ScalarKind.STR and not node.text else self._decrypted(node, above)
        else:
            value = plain_value(node.text, node.kind)
        if value is not COMMENT and (encrypted or not self._metadata.mac_only_encrypted):
            self._digest.update(mac_bytes(value))
        return value

    def _decrypted(self, node: Scalar, above: KeyPath) -> object:
        envelope = node.envelope
        if envelope is None:
            raise not_encrypted(node.mark)
        bound_to = ":".join((*above, "")).encode()
        if len(bound_to) > MAX_PATH_BYTES:
            raise too_long_path(node.mark)
        plain = open_envelope(self._cipher, envelope, bound_to)
        if plain is None:
            raise TamperedValue(
                "a value does not authenticate: it was altered, or stands below other keys than it was encrypted for",
                mark=node.mark,
                advice="restore it from git, or set it again with sops",
            )
        value = typed_value(envelope.kind, plain)
        if value is None:
            raise TamperedValue(f"a value is not of the type that it says, {envelope.kind}", mark=node.mark)
        return value

    def verify(self) -> None:
        """Compare the MAC of what was walked with the one in the metadata.

        Raises:
            MacMismatch: they differ, or the one in the metadata does not authenticate.
        """
        sealed = without_fraction(self._metadata.lastmodified).encode()
        stored = open_envelope(self._cipher, self._metadata.mac, sealed)
        if stored is None:
            raise MacMismatch(
                "the MAC does not authenticate: it or lastmodified was altered", mark=self._metadata.mac_mark
            )
        if not hmac.compare_digest(stored, self._digest.hexdigest().upper().encode()):
            raise MacMismatch(
                "the MAC does not fit the values: some were added, removed, moved or altered without sops",
                mark=self._metadata.mac_mark,
                advice="restore the file from git, and make changes with sops",
            )
