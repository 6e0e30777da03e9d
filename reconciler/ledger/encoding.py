"""The ledger's bytes: fixed width, big-endian, versioned, with a checksum. They fit into one secret (128 KB)."""

from reconciler.ledger.records import Entry, FoundEntry, FoundHead, Head
from reconciler.model import SecretValue


def encode_entry(entry: Entry) -> SecretValue:
    """Return the bytes of an entry. It always fits: intents that do not are dropped, the oldest first."""
    raise NotImplementedError


def decode_entry(value: SecretValue) -> FoundEntry:
    """Return what `encode_entry` was given; `Garbled` for whatever it would not have written.

    Raises:
        Refused: A newer version of this tool wrote it.
    """
    raise NotImplementedError


def encode_head(head: Head) -> SecretValue:
    """Return the bytes of a head."""
    raise NotImplementedError


def decode_head(value: SecretValue) -> FoundHead:
    """Return what `encode_head` was given; `Garbled` for whatever it would not have written.

    Raises:
        Refused: A newer version of this tool wrote it.
    """
    raise NotImplementedError
