"""What stands in the metadata, as sops takes it: with the weak types of mapstructure, which decodes it for sops.

Names of fields count without regard to case, numbers and bools are taken for text and the other way around, a single
mapping for a list of one, null for nothing. Written from ``decodeString``, ``decodeInt``, ``decodeBool``,
``decodeSlice`` and ``decodeStruct`` of mapstructure v2.5. Stricter in one thing: a field in two spellings is a
duplicate, where sops takes the one that it happens upon.
"""

import re
from collections.abc import Collection
from typing import Final, assert_never

from reconciler.pysops.document import Mapping, Node, Scalar, Sequence
from reconciler.pysops.errors import MetadataError
from reconciler.pysops.scalars import ScalarKind, plain_value
from reconciler.pysops.values import mac_bytes


REPAIR: Final = "restore the file from git, or encrypt it again with sops"

_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"", "0", "f", "F", "FALSE", "false", "False"})
"""Go's ``strconv.ParseBool``, and empty text."""

_GO_INT: Final = (
    r"(?P<sign>[-+]?)(?:0[xX](?P<hex>(?:_?[0-9a-fA-F])++)|0[bB](?P<bin>(?:_?[01])++)|0[oO](?P<oct>(?:_?[0-7])++)"
    r"|0(?P<old>(?:_?[0-7])*+)|(?P<dec>[1-9](?:_?[0-9])*+))"
)
"""Go's ``strconv.ParseInt`` with base 0, which goes by the syntax of its integer literals. Compiled when needed."""

_BASES: Final = {"hex": 16, "bin": 2, "oct": 8, "old": 8, "dec": 10}
_MOST_DIGITS: Final = 64
"""Of an int64, in any base; Python refuses to convert thousands of them."""

_MIN_INT64: Final = -(2**63)
_MAX_INT64: Final = 2**63 - 1


def fields_of(mapping: Mapping, names: Collection[str], parent: str) -> dict[str, Node]:
    """Return the fields of a mapping that sops knows.

    Args:
        mapping: where they stand. What it holds besides is ignored.
        names: of the fields, in lower case.
        parent: what the mapping is called in messages.

    Returns:
        By the names in lower case; null ones are left out.

    Raises:
        MetadataError: a field stands there in two spellings.
    """
    found: dict[str, Node] = {}
    for entry in mapping.entries:
        # strings.EqualFold: the only other letters that fold to ASCII are the long s and the Kelvin sign.
        name = entry.key.text if entry.key.text in names else entry.key.text.lower().replace("\u017f", "s")
        if name not in names:
            continue
        if name in found:
            raise MetadataError(
                f"{name} stands twice in {parent}",
                mark=entry.key.mark,
                expected="once; upper and lower case do not matter",
                advice=REPAIR,
            )
        found[name] = entry.value
    return {name: node for name, node in found.items() if not is_null(node)}


def is_null(node: Node) -> bool:
    """Tell whether ``node`` is null."""
    return isinstance(node, Scalar) and node.kind is ScalarKind.NULL


def text_of(node: Node | None, name: str) -> str:
    """Return a field that sops takes for text; empty when there is none.

    Raises:
        MetadataError: it is a list, a mapping or a timestamp.
    """
    if node is None:
        return ""
    if isinstance(node, Scalar):
        value = plain_value(node.text, node.kind)
        match node.kind:
            case ScalarKind.STR:
                return node.text
            case ScalarKind.NULL:
                return ""
            case ScalarKind.BOOL:
                return "1" if value else "0"
            case ScalarKind.INT | ScalarKind.FLOAT:
                return mac_bytes(value).decode()
            case ScalarKind.TIMESTAMP:
                raise MetadataError(f"{name} is not text", mark=node.mark, expected="a text in quotes", advice=REPAIR)
            case _:
                assert_never(node.kind)
    raise MetadataError(f"{name} is not text", mark=node.mark, advice=REPAIR)


def int_of(node: Node | None, name: str) -> int:
    """Return a field that sops takes for an integer; 0 when there is none.

    Raises:
        MetadataError: it is a list, a mapping, a timestamp, or a text that is no integer.
    """
    value: int | None = 0
    if isinstance(node, Scalar):
        plain = plain_value(node.text, node.kind)
        match plain:
            case str():
                value = _parsed_int(plain) if node.kind is ScalarKind.STR else None
            case bool() | int():
                value = int(plain)
            case float():
                # Beyond an int64 it depends on the processor what Go makes of it.
                value = int(plain) if _MIN_INT64 <= plain < _MAX_INT64 else None
            case None:
                value = 0
            case _:
                assert_never(plain)
    elif node is not None:
        value = None
    if value is None:
        raise MetadataError(f"{name} is not a number", mark=None if node is None else node.mark, advice=REPAIR)
    return value


def bool_of(node: Node | None, name: str) -> bool:
    """Return a field that sops takes for true or false; false when there is none.

    Raises:
        MetadataError: it is a list, a mapping, a timestamp, or a text that is neither.
    """
    if node is None:
        return False
    if isinstance(node, Scalar):
        if node.kind is ScalarKind.STR:
            if node.text in _TRUE or node.text in _FALSE:
                return node.text in _TRUE
        elif node.kind is not ScalarKind.TIMESTAMP:
            return bool(plain_value(node.text, node.kind))
    raise MetadataError(f"{name} is neither true nor false", mark=node.mark, advice=REPAIR)


def mappings_of(node: Node | None, name: str) -> tuple[Mapping, ...]:
    """Return the items of a field that sops takes for a list of mappings; none when there is no such field.

    Raises:
        MetadataError: it is neither a list nor a mapping, or an item is no mapping.
    """
    match node:
        case None:
            return ()
        case Mapping():
            return (node,) if node.entries else ()
        case Sequence():
            return tuple(_mapping_of(item, name) for item in node.items)
        case Scalar():
            raise MetadataError(f"{name} is not a list", mark=node.mark, advice=REPAIR)
        case _:
            assert_never(node)


def pairs_of(node: Node | None, name: str) -> dict[str, str | None]:
    """Return a field that sops takes for a mapping of texts, any of which may be null; empty when there is none.

    Raises:
        MetadataError: it is something else.
    """
    pairs: dict[str, str | None] = {}
    pending: list[Node] = [] if node is None else [node]
    while pending:
        match pending.pop():
            case Mapping(entries=entries):
                for entry in entries:
                    pairs[entry.key.text] = None if is_null(entry.value) else text_of(entry.value, name)
            case Sequence(items=items):  # all of its mappings as one
                pending.extend(reversed(items))
            case Scalar() as scalar:
                if not is_null(scalar):
                    raise MetadataError(f"{name} is not a mapping", mark=scalar.mark, advice=REPAIR)
    return pairs


def _mapping_of(item: Node, name: str) -> Mapping:
    if is_null(item):
        return Mapping(entries=(), mark=item.mark)
    if not isinstance(item, Mapping):
        raise MetadataError(f"an item of {name} is not a mapping", mark=item.mark, advice=REPAIR)
    return item


def _parsed_int(text: str) -> int | None:
    if not text:
        return 0
    match = re.fullmatch(_GO_INT, text)
    if match is None:
        return None
    base, digits = next((base, match[name]) for name, base in _BASES.items() if match[name] is not None)
    significant = digits.replace("_", "").lstrip("0")
    if len(significant) > _MOST_DIGITS:
        return None
    value = int(match["sign"] + (significant or "0"), base)
    return value if _MIN_INT64 <= value <= _MAX_INT64 else None
