"""SOPS files, read in-process."""

from reconciler.pysops.document import Document, Entry, Mapping, Node, Scalar, Sequence, parse
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
from reconciler.pysops.metadata import AgeStanza, Metadata, read_metadata
from reconciler.pysops.scalars import ScalarKind


__all__ = [
    "AgeStanza",
    "DecryptionError",
    "Document",
    "DocumentError",
    "Entry",
    "Envelope",
    "EnvelopeKind",
    "IdentityError",
    "MacMismatch",
    "Mapping",
    "Mark",
    "Metadata",
    "MetadataError",
    "Node",
    "NoIdentity",
    "Scalar",
    "ScalarKind",
    "Sequence",
    "SopsError",
    "TamperedValue",
    "parse",
    "parse_envelope",
    "read_metadata",
]
