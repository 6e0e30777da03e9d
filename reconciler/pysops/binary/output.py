"""What the sops program decrypted, held against the file: its JSON and our own parse, side by side.

The raw file decides which keys there are, in which order, and which type each value has; the program adds what the
encrypted ones say. So whatever decrypts, the same bytes give the same values, or an error.

JSON, as sops's YAML output re-types (``5.0`` becomes ``5``) and would have to be parsed as leniently as it is written.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, assert_never

from reconciler.pysops.document import Document, Mapping, Node, Scalar, Sequence
from reconciler.pysops.envelope import Envelope
from reconciler.pysops.errors import BinaryError, DecryptionError, Mark
from reconciler.pysops.leaves import Leaf, Path, leaves, no_comment
from reconciler.pysops.scalars import ScalarKind, plain_value
from reconciler.pysops.selectors import Selector
from reconciler.pysops.sops_metadata import METADATA_KEY
from reconciler.pysops.timestamps import from_rfc3339
from reconciler.pysops.values import COMMENT, typed_value


Extract = Callable[[Path], bytes]
"""Decrypts one value to its exact bytes."""

MAX_EXTRACTED: Final = 16
"""Texts of one file that are not UTF-8: JSON cannot hold them, and fetching each takes a call of the program."""

_DIGITS: Final = re.compile(r"-?[0-9]{1,20}")
_ESCAPED_BYTE: Final = re.compile("[\udc80-\udcff]")
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class _Number:
    """A number as it was written: which kind it is, the file says."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Object:
    """A mapping with its keys in order, twins included."""

    pairs: tuple[tuple[str, object], ...] = field(repr=False)


def read_values(document: Document, selector: Selector | None, output: bytes, extract: Extract) -> dict[str, object]:
    """Read what ``sops decrypt --output-type json`` printed.

    Args:
        document: the file that was decrypted.
        selector: which of its values are encrypted; None where that depends on comments, which are not read here.
        output: what was printed.
        extract: fetches one value exactly.

    Returns:
        The values, as `crypt.decrypt` returns them.

    Raises:
        BinaryError: it is not JSON, or values cannot be fetched.
        DecryptionError: it is not what the file holds.
        DocumentError: the file breaks a rule of `leaves`.
        TamperedValue: likewise.
    """
    found = _parsed(output)
    if found is _MISSING:
        raise BinaryError("the sops program printed something that is not JSON")
    reader = _Reader(leaves(document, selector), extract, by_comment=selector is None)
    return reader.mapping(document.root, found, is_root=True)


def _parsed(output: bytes) -> object:
    # Returns instead of raising: the exception of the parser holds everything that was printed.
    try:
        return json.loads(
            output.decode(),
            object_pairs_hook=lambda pairs: _Object(tuple(pairs)),
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_Number,
        )
    except (ValueError, RecursionError):
        return _MISSING


class _Reader:
    """One walk over one file and what was printed of it, in step with the walk that knows what is encrypted."""

    def __init__(self, leaves: Iterator[Leaf], extract: Extract, *, by_comment: bool) -> None:
        self._leaves = leaves
        self._extract = extract
        self._by_comment = by_comment
        self._extracted = 0

    def mapping(self, node: Mapping, found: object, *, is_root: bool = False) -> dict[str, object]:
        entries = [entry for entry in node.entries if not is_root or entry.key.text != METADATA_KEY]
        if not isinstance(found, _Object) or [key for key, _ in found.pairs] != [entry.key.text for entry in entries]:
            raise _differs(node.mark)
        values: dict[str, object] = {}
        for entry, (_, below) in zip(entries, found.pairs, strict=True):
            value = self._node(entry.value, below)
            if value is COMMENT:
                raise no_comment(entry.value.mark)
            values[entry.key.text] = value
        return values

    def _sequence(self, node: Sequence, found: object) -> list[object]:
        if not isinstance(found, list):
            raise _differs(node.mark)
        values: list[object] = []
        for item in node.items:
            value = self._node(item, found[len(values)] if len(values) < len(found) else _MISSING)
            if value is not COMMENT:  # sops writes an encrypted comment between items as an item
                values.append(value)
        if len(values) != len(found):
            raise _differs(node.mark)
        return values

    def _node(self, node: Node, found: object) -> object:
        match node:
            case Scalar():
                return self._leaf(next(self._leaves), found)
            case Mapping():
                return self.mapping(node, found)
            case Sequence():
                return self._sequence(node, found)
            case _:
                assert_never(node)

    def _leaf(self, leaf: Leaf, found: object) -> object:
        node, envelope = leaf.node, leaf.envelope
        # Where that depends on comments: what was printed as it stands in the file was not decrypted, as no ciphertext
        # is its own plaintext.
        if envelope is None or (self._by_comment and found == node.text):
            return _plain(node, found)
        if envelope.kind == "comment":
            return COMMENT
        if envelope.kind == "str":
            return self._text(node.mark, envelope, found, leaf.path)
        value = _typed(envelope, found)
        if value is None:
            raise _differs(node.mark)
        return value

    def _text(self, mark: Mark, envelope: Envelope, found: object, path: Path) -> str | bytes:
        raw = _utf8(found) if isinstance(found, str) else None
        if raw is None or not isinstance(found, str):
            raise _differs(mark)
        if len(raw) == envelope.size:
            return found
        if "\ufffd" not in found:
            raise _differs(mark)
        # Go writes U+FFFD, three bytes, for each byte that is not UTF-8: so the length tells.
        self._extracted += 1
        if self._extracted > MAX_EXTRACTED or any(isinstance(part, str) and "[" in part for part in path):
            raise BinaryError(
                "a text that is not UTF-8 cannot be had from the sops program",
                mark=mark,
                advice="use --decryptor native with an age identity, or store it as base64",
            )
        exact = self._extract(path)
        if len(exact) != envelope.size or _as_go_prints(exact) != found:
            raise _differs(mark)
        return exact


def _plain(node: Scalar, found: object) -> object:
    """Return the value of what stands in plain, after making sure that this is what was printed."""
    value = plain_value(node.text, node.kind)
    match node.kind:
        case ScalarKind.STR | ScalarKind.BOOL | ScalarKind.NULL:
            same = type(found) is type(value) and found == value
        case ScalarKind.INT:
            same = isinstance(found, _Number) and _DIGITS.fullmatch(found.text) is not None and int(found.text) == value
        case ScalarKind.FLOAT:
            number = typed_value("float", found.text.encode()) if isinstance(found, _Number) else None
            same = isinstance(number, float) and isinstance(value, float) and number.hex() == value.hex()
        case ScalarKind.TIMESTAMP:
            same = isinstance(found, str) and from_rfc3339(found) == value
        case _:
            assert_never(node.kind)
    if not same:
        raise _differs(node.mark)
    return value


def _typed(envelope: Envelope, found: object) -> object:
    """Return a value of the type that the envelope names; None when what was printed is of another one."""
    match envelope.kind:
        case "int" | "float":
            return typed_value(envelope.kind, found.text.encode()) if isinstance(found, _Number) else None
        case "bool":
            return found if isinstance(found, bool) else None
        case "time":
            return from_rfc3339(found) if isinstance(found, str) else None
        case "str" | "comment":  # dealt with before
            return None
        case _:
            assert_never(envelope.kind)


def _utf8(text: str) -> bytes | None:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return None


def _as_go_prints(exact: bytes) -> str:
    return _ESCAPED_BYTE.sub("\ufffd", exact.decode(errors="surrogateescape"))


def _differs(mark: Mark) -> DecryptionError:
    return DecryptionError(
        "what the sops program printed is not what the file holds",
        mark=mark,
        advice="check which program SOPS_BINARY or PATH leads to",
    )
