"""What a plain scalar means: the table of go.yaml.in/yaml/v3, which sops reads with.

PyYAML's own resolver follows YAML 1.1 and would take ``yes`` for a bool and ``1:30`` for a number, which changes the
bytes that go into the MAC. Written from ``resolve.go`` of v3.0.4 and from what Go's ``strconv`` and ``time`` accept.
"""

import enum
import math
import re
from typing import Final, assert_never

from reconciler.pysops.timestamps import from_yaml, is_a_day_off


class ScalarKind(enum.Enum):
    """What a scalar resolves to by the table of go.yaml.in/yaml/v3, which sops uses."""

    STR = "str"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    NULL = "null"
    TIMESTAMP = "timestamp"


class RefusedScalar(ValueError):
    """A plain scalar that sops cannot do with."""

    what = "a value that sops refuses"
    """For messages."""


class UnsignedOverflow(RefusedScalar):
    """An integer from 2**63 to 2**64 - 1: sops refuses these and takes anything larger for a float."""

    what = "an integer above 2**63 - 1"


class OffsetTooLarge(RefusedScalar):
    """A timestamp that is a day or more away from UTC: sops reads it and cannot print it for the MAC."""

    what = "a timestamp with an offset of a day"


_CONSTANTS: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), ScalarKind.BOOL),
    **dict.fromkeys(("false", "False", "FALSE"), ScalarKind.BOOL),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), ScalarKind.NULL),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), ScalarKind.FLOAT),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"), ScalarKind.FLOAT),
}

_NUMERIC_START: Final = frozenset("+-.0123456789")

_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_DOTTED_FLOAT: Final = re.compile(r"\.[0-9]+(?:_[0-9]+)*+(?:[eE][-+]?[0-9]+(?:_[0-9]+)*+)?")
"""Possessive, or the way back would take a gigabyte for megabytes of underscores."""

_INT: Final = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<bin>[01]+)|0[oO]?(?P<oct>[0-7]+)|(?P<dec>0|[1-9][0-9]*))"
)
_ODD_INT: Final = re.compile(r"0(?:b(?P<bin>[-+][01]+)|o(?P<oct>[-+][0-7]+))")
"""A sign behind the prefix: an oddity of resolve.go, which strips ``0b`` and ``0o`` before it parses."""

_MAX_INT64: Final = 2**63 - 1
_MAX_UINT64: Final = 2**64 - 1
_UINT64_BITS: Final = 64
"""Also the most significant digits that fit, in any base."""


def kind_of(text: str) -> ScalarKind:
    """Return what the plain scalar ``text`` is.

    Raises:
        RefusedScalar: sops refuses it.
    """
    constant = _CONSTANTS.get(text)
    if constant is not None:
        return constant
    if text[0] not in _NUMERIC_START:
        return ScalarKind.STR
    if text[0] == ".":
        return ScalarKind.FLOAT if _dotted_float(text) is not None else ScalarKind.STR
    timestamp = from_yaml(text)
    if timestamp is not None:
        if is_a_day_off(timestamp):
            raise OffsetTooLarge
        return ScalarKind.TIMESTAMP
    if _int(text) is not None:
        return ScalarKind.INT
    return ScalarKind.STR if _float(text) is None else ScalarKind.FLOAT


def plain_value(text: str, kind: ScalarKind) -> str | int | float | bool | None:
    """Return the value of a scalar that stands unencrypted in a file.

    Args:
        text: as written, quotes undone.
        kind: what `kind_of` made of it.

    Returns:
        A timestamp as RFC 3339 text, in its own offset, as sops prints it.
    """
    match kind:
        case ScalarKind.STR:
            return text
        case ScalarKind.NULL:
            return None
        case ScalarKind.BOOL:
            return text.lower() == "true"
        case ScalarKind.TIMESTAMP:
            return from_yaml(text)
        case ScalarKind.INT:
            return _int(text)
        case ScalarKind.FLOAT:
            return _float(text)
        case _:
            assert_never(kind)


def _int(text: str) -> int | None:
    plain = text.replace("_", "")
    match = _INT.fullmatch(plain)
    if match is None:
        match = _ODD_INT.fullmatch(plain)
        if match is None:
            return None
        base, digits = (2, match["bin"]) if match["bin"] is not None else (8, match["oct"])
        value = int(digits, base)
        return value if -_MAX_INT64 - 1 <= value <= _MAX_INT64 else None
    for base, digits in ((16, match["hex"]), (2, match["bin"]), (8, match["oct"]), (10, match["dec"])):
        if digits is not None:
            return _in_range(match["sign"], _bounded(digits, base))
    return None


def _bounded(digits: str, base: int) -> int:
    # Python refuses to convert thousands of decimal digits.
    significant = digits.lstrip("0")
    return _MAX_UINT64 + 1 if len(significant) > _UINT64_BITS else int(significant or "0", base)


def _in_range(sign: str, magnitude: int) -> int | None:
    value = -magnitude if sign == "-" else magnitude
    if -_MAX_INT64 - 1 <= value <= _MAX_INT64:
        return value
    if not sign and magnitude <= _MAX_UINT64:
        raise UnsignedOverflow
    return None


def _float(text: str) -> float | None:
    if text in _CONSTANTS:
        return float(text.replace(".", "").lower())
    if text.startswith("."):
        return _dotted_float(text)
    plain = text.replace("_", "")
    return _finite(plain) if _FLOAT.fullmatch(plain) is not None else None


def _dotted_float(text: str) -> float | None:
    return _finite(text) if _DOTTED_FLOAT.fullmatch(text) is not None else None


def _finite(text: str) -> float | None:
    # Go reports a range error where Python returns infinity, and yaml.v3 then falls back to text.
    value = float(text)
    return None if math.isinf(value) else value
