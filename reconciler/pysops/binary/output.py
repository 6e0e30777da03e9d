"""What the sops program decrypted, held against the file: its JSON and our own parse, side by side.

The raw file decides which keys there are, in which order, and which type each value has; the program adds what the
encrypted ones say. So whatever decrypts, the same bytes give the same values, or an error.

JSON, as sops's YAML output re-types (``5.0`` becomes ``5``) and would have to be parsed as leniently as it is written.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, assert_never

from reconciler.pysops.document import Document, Entry, Mapping, Node, Scalar, Sequence
from reconciler.pysops.envelope import Envelope, parse_envelope
from reconciler.pysops.errors import BinaryError, DecryptionError, DocumentError, Mark, TamperedValue
from reconciler.pysops.scalars import ScalarKind, plain_value
from reconciler.pysops.selectors import Selector
from reconciler.pysops.sops_metadata import METADATA_KEY
from reconciler.pysops.timestamps import from_rfc3339
from reconciler.pysops.values import typed_value


Path = tuple[str | int, ...]
"""Keys and list positions from the root."""

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

    pairs: list[tuple[str, object]] = field(repr=False)


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
        DocumentError: a value that must be encrypted is not.
    """
    found = _parsed(output)
    if found is _MISSING:
        raise BinaryError("the sops program printed something that is not JSON")
    return _Reader(selector, extract).mapping(document.root, found, (), matched=False)


def check_encrypted(document: Document, selector: Selector) -> None:
    """Make sure that nothing stands in plain that must be encrypted; the program has one exit code for that and tags.

    Raises:
        DocumentError: something does; carries its place.
    """
    waiting: list[tuple[Node, bool]] = [
        (entry.value, selector.matches(entry.key.text))
        for entry in document.root.entries
        if entry.key.text != METADATA_KEY
    ]
    while waiting:
        node, matched = waiting.pop()
        match node:
            case Mapping():
                waiting.extend((each.value, matched or selector.matches(each.key.text)) for each in node.entries)
            case Sequence():
                waiting.extend((item, matched) for item in node.items)
            case Scalar():
                empty = node.kind is ScalarKind.NULL or (node.kind is ScalarKind.STR and not node.text)
                if selector.encrypts(matched=matched) and not empty and _envelope(node) is None:
                    raise _not_encrypted(node.mark)
            case _:
                assert_never(node)


def _parsed(output: bytes) -> object:
    # Returns instead of raising: the exception of the parser holds everything that was printed.
    try:
        return json.loads(
            output.decode(),
            object_pairs_hook=_Object,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_Number,
        )
    except (ValueError, RecursionError):
        return _MISSING


class _Reader:
    """One walk over one file and what was printed of it."""

    def __init__(self, selector: Selector | None, extract: Extract) -> None:
        self._selector = selector
        self._extract = extract
        self._extracted = 0

    def mapping(self, node: Mapping, found: object, path: Path, *, matched: bool) -> dict[str, object]:
        entries = [entry for entry in node.entries if path or entry.key.text != METADATA_KEY]
        if not isinstance(found, _Object) or [key for key, _ in found.pairs] != [entry.key.text for entry in entries]:
            raise _differs(node.mark)
        return {
            entry.key.text: self._value(entry, below, (*path, entry.key.text), matched=matched)
            for entry, (_, below) in zip(entries, found.pairs, strict=True)
        }

    def _value(self, entry: Entry, found: object, path: Path, *, matched: bool) -> object:
        below = matched or (self._selector is not None and self._selector.matches(entry.key.text))
        envelope = _envelope(entry.value)
        if (
            envelope is not None
            and envelope.kind == "comment"
            and not self._is_plain(entry.value, found, matched=below)
        ):
            raise TamperedValue("a value that says it is a comment", mark=entry.value.mark)
        return self._node(entry.value, found, path, matched=below)

    def _sequence(self, node: Sequence, found: object, path: Path, *, matched: bool) -> list[object]:
        if not isinstance(found, list):
            raise _differs(node.mark)
        values: list[object] = []
        for index, item in enumerate(node.items):
            printed = found[len(values)] if len(values) < len(found) else _MISSING
            envelope = _envelope(item)
            if (
                envelope is not None
                and envelope.kind == "comment"
                and not self._is_plain(item, printed, matched=matched)
            ):
                continue  # sops writes an encrypted comment between items as an item: such a one is not a value
            values.append(self._node(item, printed, (*path, index), matched=matched))
        if len(values) != len(found):
            raise _differs(node.mark)
        return values

    def _node(self, node: Node, found: object, path: Path, *, matched: bool) -> object:
        match node:
            case Scalar():
                return self._scalar(node, found, path, matched=matched)
            case Mapping():
                return self.mapping(node, found, path, matched=matched)
            case Sequence():
                return self._sequence(node, found, path, matched=matched)
            case _:
                assert_never(node)

    def _is_plain(self, node: Node, found: object, *, matched: bool) -> bool:
        """Tell whether a value stands there as it is.

        Where that depends on comments: what was printed as it stands in the file was not decrypted, as no ciphertext
        is its own plaintext; and what is no envelope cannot have been.
        """
        if self._selector is not None:
            return not self._selector.encrypts(matched=matched)
        return isinstance(node, Scalar) and (_envelope(node) is None or found == node.text)

    def _scalar(self, node: Scalar, found: object, path: Path, *, matched: bool) -> object:
        if node.kind is ScalarKind.NULL or self._is_plain(node, found, matched=matched):
            return _plain(node, found)
        envelope = _envelope(node)
        if node.kind is ScalarKind.STR and not node.text:
            return _plain(node, found)
        if envelope is None:
            raise _not_encrypted(node.mark)
        if envelope.kind == "str":
            return self._text(node.mark, envelope, found, path)
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


def _envelope(node: Node) -> Envelope | None:
    return parse_envelope(node.text) if isinstance(node, Scalar) and node.kind is ScalarKind.STR else None


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


def _not_encrypted(mark: Mark) -> DocumentError:
    return DocumentError(
        "a value that is not encrypted, though the metadata says it is",
        mark=mark,
        expected="ENC[AES256_GCM,…]",
        advice="set it with sops, or encrypt the file again",
    )


def _differs(mark: Mark) -> DecryptionError:
    return DecryptionError(
        "what the sops program printed is not what the file holds",
        mark=mark,
        advice="check which program SOPS_BINARY or PATH leads to",
    )
