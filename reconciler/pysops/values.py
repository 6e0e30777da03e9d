"""What an opened value is, and what it adds to the MAC: ``Cipher.Decrypt`` and ``ToBytes`` of sops."""

import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from reconciler.pysops.envelope import EnvelopeKind
from reconciler.pysops.timestamps import from_parsed_rfc3339, is_a_day_off


class Comment:
    """Stands for an encrypted comment: sops writes one between the items of a list as an item."""


COMMENT: Final = Comment()
"""The only one: what it says is dropped."""

_INT: Final = re.compile(r"([-+]?)0*([0-9]{1,30})")
_MIN_INT64: Final = -(2**63)
_MAX_INT64: Final = 2**63 - 1
_DIGITS: Final = "[0-9](?:_?[0-9])*"
_HEX_DIGITS: Final = "[0-9a-fA-F](?:_?[0-9a-fA-F])*"
_DECIMAL: Final = re.compile(rf"[-+]?(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][-+]?{_DIGITS})?")
_HEXADECIMAL: Final = re.compile(
    rf"[-+]?0[xX](?:_?{_HEX_DIGITS}(?:\.(?:{_HEX_DIGITS})?)?|\.{_HEX_DIGITS})[pP][-+]?{_DIGITS}"
)
_NOT_FINITE: Final = re.compile(r"[-+]?inf(?:inity)?|nan", re.IGNORECASE | re.ASCII)
"""Go's ``strconv.ParseFloat``, with these three."""

_BOOLS: Final = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
"""Go's ``strconv.ParseBool``."""


def typed_value(kind: EnvelopeKind, plain: bytes) -> object:
    """Return the value of an opened envelope.

    Args:
        kind: the type that the envelope says; nothing authenticates it.
        plain: what was decrypted.

    Returns:
        str, bytes (for a text that is not UTF-8), int, float, bool, a timestamp as RFC 3339 text, or `COMMENT`. None
        when ``plain`` is not of that type.
    """
    if kind == "comment":
        return COMMENT
    try:
        text = plain.decode()
    except UnicodeDecodeError:
        return plain if kind == "str" else None
    return text if kind == "str" else _PARSERS[kind](text)


def mac_bytes(value: object) -> bytes:
    """Return what a leaf adds to the MAC.

    Raises:
        TypeError: it is no leaf.
    """
    match value:
        case str():
            return value.encode()
        case bytes():
            return value
        case bool():
            return b"True" if value else b"False"
        case int():
            return b"%d" % value
        case float():
            return _float_text(value).encode()
        case _:
            raise TypeError(f"no leaf: {type(value).__name__}")


def _int(text: str) -> int | None:
    match = _INT.fullmatch(text)
    if match is None:
        return None
    value = int(match[1] + match[2])
    return value if _MIN_INT64 <= value <= _MAX_INT64 else None


def _float(text: str) -> float | None:
    if _NOT_FINITE.fullmatch(text) is not None:
        return float(text)
    try:
        if _DECIMAL.fullmatch(text) is not None:
            value = float(text)
        elif _HEXADECIMAL.fullmatch(text) is not None:
            value = float.fromhex(text.replace("_", ""))
        else:
            return None
    except OverflowError:
        return None
    return None if math.isinf(value) else value


def _time(text: str) -> str | None:
    # What has such an offset, Go reads but does not print for the MAC.
    value = from_parsed_rfc3339(text)
    return None if value is None or is_a_day_off(value) else value


def _float_text(value: float) -> str:
    # As strconv.FormatFloat(value, 'f', -1, 64): the shortest digits that read back, without exponent.
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").removesuffix(".") if "." in text else text


_PARSERS: Final[dict[str, Callable[[str], object]]] = {
    "int": _int,
    "float": _float,
    "bool": _BOOLS.get,
    "time": _time,
}
