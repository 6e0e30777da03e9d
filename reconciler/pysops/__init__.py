"""SOPS files, read in-process: strictly, to age recipients, without the sops binary.

The values of a file, as sops types them and timestamps as text, with the keys that sops would find::

    from reconciler import pysops

    values = pysops.load("secrets.yaml")

The steps one by one: `parse` makes a positioned tree of bytes, `read_metadata` says who can open it, `decrypt` unlocks
it with `Identities`. The first two need no key:

>>> document = parse(b"password: hunter2")
>>> document.root.entries[0].value.mark
Mark(line=1, column=11)
>>> read_metadata(document)
Traceback (most recent call last):
    ...
reconciler.pysops.errors.MetadataError: the file is not encrypted: it has no sops metadata

Every error is a `SopsError`; none quotes the file.
"""

import os
from pathlib import Path

from reconciler.pysops.crypt import decrypt
from reconciler.pysops.document import MAX_FILE_BYTES, Document, Entry, Mapping, Node, Scalar, Sequence, parse
from reconciler.pysops.envelope import Envelope, EnvelopeKind, parse_envelope
from reconciler.pysops.errors import (
    DecryptionError,
    DocumentError,
    IdentityError,
    MacMismatch,
    Mark,
    MetadataError,
    NoIdentity,
    SopsError,
    TamperedValue,
)
from reconciler.pysops.files import read_file
from reconciler.pysops.identities import Identities
from reconciler.pysops.scalars import ScalarKind
from reconciler.pysops.sops_metadata import Metadata, read_metadata
from reconciler.pysops.wrapped_keys import KeyGroup, KeyKind, Recipient, WrappedKey


__all__ = [
    "MAX_FILE_BYTES",
    "DecryptionError",
    "Document",
    "DocumentError",
    "Entry",
    "Envelope",
    "EnvelopeKind",
    "Identities",
    "IdentityError",
    "KeyGroup",
    "KeyKind",
    "MacMismatch",
    "Mapping",
    "Mark",
    "Metadata",
    "MetadataError",
    "NoIdentity",
    "Node",
    "Recipient",
    "Scalar",
    "ScalarKind",
    "Sequence",
    "SopsError",
    "TamperedValue",
    "WrappedKey",
    "decrypt",
    "load",
    "parse",
    "parse_envelope",
    "read_file",
    "read_metadata",
]


def load(source: bytes | str | os.PathLike[str], identities: Identities | None = None) -> dict[str, object]:
    """Decrypt one document.

    Args:
        source: the bytes of a file, or its path.
        identities: the keys to try; None: those that sops would find in the environment and the home directory.

    Returns:
        The values, as `decrypt` returns them.

    Raises:
        SopsError: the file cannot be read, breaks a rule, or does not unlock.
    """
    document = parse(source if isinstance(source, bytes) else read_file(source))
    if identities is None:
        home = Path(os.path.expanduser("~"))  # noqa: PTH111  # Path.home() raises in containers without a user entry
        identities = Identities.from_environment(os.environ, home)
    return decrypt(document, identities)
