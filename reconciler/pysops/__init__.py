"""SOPS files, read and written in-process: strictly, and without the sops program.

The values of a file, as sops types them and timestamps as text, with the keys that sops would find::

    from reconciler import pysops

    values = pysops.load("secrets.yaml")

Who can open a file needs no key: `metadata`, `recipients`. The steps one by one: `parse` makes a positioned tree of
bytes, `read_metadata` reads what sops wrote about it, `decrypt` unlocks it with `Identities`. `Writer` changes
files and makes new ones.

>>> document = parse(b"password: hunter2")
>>> document.root.entries[0].value.mark
Mark(line=1, column=11)
>>> read_metadata(document)
Traceback (most recent call last):
    ...
reconciler.pysops.errors.MetadataError: the file is not encrypted: it has no sops metadata

Every error is a `SopsError`; none quotes the file. What is read and what is refused: docs/pysops.md.
"""

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler.pysops.document import MAX_FILE_BYTES, Document, Entry, Mapping, Node, Scalar, Sequence, parse
from reconciler.pysops.envelope import Envelope, EnvelopeKind, parse_envelope
from reconciler.pysops.errors import (
    ArgumentError,
    BinaryError,
    ConfigError,
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
from reconciler.pysops.leaving import frameless
from reconciler.pysops.scalars import ScalarKind
from reconciler.pysops.sops_metadata import Metadata, read_metadata
from reconciler.pysops.wrapped_keys import KeyGroup, KeyKind, Recipient, WrappedKey


if TYPE_CHECKING:
    from reconciler.pysops.binary import SopsBinary
    from reconciler.pysops.config import CreationRule, SopsConfig, parse_config
    from reconciler.pysops.crypt import decrypt
    from reconciler.pysops.decryptor import Decryptor, LockedFile, Unlocker
    from reconciler.pysops.identities import Identities
    from reconciler.pysops.writing import Edit, Put, Remove, Rename, Writer, survives_as_text


__all__ = [
    "MAX_FILE_BYTES",
    "ArgumentError",
    "BinaryError",
    "ConfigError",
    "CreationRule",
    "DecryptionError",
    "Decryptor",
    "Document",
    "DocumentError",
    "Edit",
    "Entry",
    "Envelope",
    "EnvelopeKind",
    "Identities",
    "IdentityError",
    "KeyGroup",
    "KeyKind",
    "LockedFile",
    "MacMismatch",
    "Mapping",
    "Mark",
    "Metadata",
    "MetadataError",
    "NoIdentity",
    "Node",
    "Put",
    "Recipient",
    "Remove",
    "Rename",
    "Scalar",
    "ScalarKind",
    "Sequence",
    "SopsBinary",
    "SopsConfig",
    "SopsError",
    "TamperedValue",
    "Unlocker",
    "WrappedKey",
    "Writer",
    "decrypt",
    "load",
    "load_bytes",
    "metadata",
    "parse",
    "parse_config",
    "parse_envelope",
    "read_file",
    "read_metadata",
    "recipients",
    "survives_as_text",
]

_WHERE: Final = {
    "CreationRule": "config",
    "Decryptor": "decryptor",
    "Edit": "writing",
    "Identities": "identities",
    "LockedFile": "decryptor",
    "Put": "writing",
    "Remove": "writing",
    "Rename": "writing",
    "SopsBinary": "binary",
    "SopsConfig": "config",
    "Unlocker": "decryptor",
    "Writer": "writing",
    "decrypt": "crypt",
    "parse_config": "config",
    "survives_as_text": "writing",
}
"""What is imported only when it is asked for: reading without a key is a third of the whole, and must start quickly."""


def __getattr__(name: str) -> Any:  # noqa: ANN401  # type checkers see the imports above
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


Source = bytes | str | os.PathLike[str]
"""The bytes of a file, or its path: a str is always a path."""


@frameless
def load(source: Source, identities: "Identities | None" = None) -> dict[str, object]:
    """Decrypt one document.

    Args:
        source: the bytes of a file, or its path.
        identities: the keys to try; None: those that sops would find in the environment and the home directory.

    Returns:
        The values, as `decrypt` returns them.

    Raises:
        SopsError: the file cannot be read, breaks a rule, or does not unlock.
    """
    return load_bytes(_bytes_of(source), identities)


@frameless
def load_bytes(data: bytes, identities: "Identities | None" = None) -> dict[str, object]:
    """Decrypt one document, the bytes of which are at hand; otherwise the same as `load`."""
    from reconciler.pysops.crypt import decrypt
    from reconciler.pysops.identities import Identities

    document = parse(data)
    if identities is None:
        home = Path(os.path.expanduser("~"))  # noqa: PTH111  # Path.home() raises in containers without a user entry
        identities = Identities.from_environment(os.environ, home)
    return decrypt(document, identities)


@frameless
def metadata(source: Source) -> Metadata:
    """Return what sops wrote about a file; needs no key.

    Raises:
        DocumentError: the file cannot be read, or breaks a rule of strict reading.
        MetadataError: it is not encrypted, or its metadata is malformed.
    """
    return read_metadata(parse(_bytes_of(source)))


@frameless
def recipients(source: Source) -> tuple[Recipient, ...]:
    """Return who can open a file, as far as it says; needs no key. Each stands there once, in file order.

    Nothing proves that the data key is encrypted to whom the file names: its author wrote that.

    Raises:
        DocumentError: the file cannot be read, or breaks a rule of strict reading.
        MetadataError: it is not encrypted, or its metadata is malformed.
    """
    return metadata(source).recipients


def _bytes_of(source: Source) -> bytes:
    return source if isinstance(source, bytes) else read_file(source)
