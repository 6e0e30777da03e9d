"""Bytes to a positioned tree: the one strict parse that every reader of a SOPS file shares.

Strict whatever decrypts: refused are a second document, duplicate keys, aliases, anchors, ``<<``, tags, directives,
BOM, control characters and the line breaks NEL, U+2028, U+2029 and lone CR, keys that are not text, and more than 16 MiB.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from reconciler.pysops.errors import Mark


class ScalarKind(enum.Enum):
    """What a scalar resolves to by the table of go.yaml.in/yaml/v3, which sops uses."""

    STR = "str"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    NULL = "null"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A leaf."""

    text: str
    """As written, quotes and escapes undone."""

    kind: ScalarKind
    """Quoted and block scalars are always STR."""

    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One ``key: value`` of a mapping."""

    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A mapping, in file order, keys unique."""

    entries: tuple[Entry, ...]
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    mark: Mark


Node = Scalar | Mapping | Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One parsed file."""

    root: Mapping
    """Everything, the ``sops`` metadata included. An empty mapping for an empty document."""
