"""Bech32, as age writes its keys: a prefix, ``1``, and bytes in 32 letters that a checksum ends.

Written here as the published packages keep to the 90 characters of BIP 173: a post-quantum recipient has 1,959.
Otherwise as https://github.com/bitcoin/bips/blob/master/bip-0173.mediawiki has it. Slow, but only for a key or
two per run.
"""

from collections.abc import Iterable
from typing import Final


MAX_LENGTH: Final = 4096
"""Longest text that is decoded; twice that of the longest recipient of age."""

_LETTERS: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES: Final = {letter: value for value, letter in enumerate(_LETTERS)}
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_LENGTH: Final = 6


def decode(text: str) -> tuple[str, bytes] | None:
    """Take a text apart.

    Returns:
        Its prefix, in the case in which it stands there, and its bytes; None when it is not Bech32.
    """
    lower = text.lower()
    if len(text) > MAX_LENGTH or not text.isascii() or not text.isprintable() or text not in (lower, text.upper()):
        return None
    prefix, separator, letters = lower.rpartition("1")
    if not separator or not prefix or " " in prefix or len(letters) < _CHECKSUM_LENGTH:
        return None
    values = [_VALUES.get(letter, -1) for letter in letters]
    if -1 in values or _checksum(prefix, values) != 1:
        return None
    data = _eights(values[:-_CHECKSUM_LENGTH])
    return None if data is None else (text[: len(prefix)], data)


def encode(prefix: str, data: bytes) -> str:
    """Write bytes as Bech32, in lower case."""
    number = int.from_bytes(data) << (-len(data) * 8 % 5)
    values = [number >> shift & 31 for shift in range((len(data) * 8 - 1) // 5 * 5, -1, -5)]
    checksum = _checksum(prefix, [*values, *[0] * _CHECKSUM_LENGTH]) ^ 1
    values += [checksum >> shift & 31 for shift in range(25, -1, -5)]
    return f"{prefix}1{''.join(_LETTERS[value] for value in values)}"


def _eights(values: list[int]) -> bytes | None:
    """Regroup fives of bits as bytes; None unless less than five bits are left over, all of them zero."""
    spare = len(values) * 5 % 8
    number = 0
    for value in values:
        number = number << 5 | value
    if spare >= 5 or number & ((1 << spare) - 1):  # noqa: PLR2004  # five bits a letter
        return None
    return (number >> spare).to_bytes(len(values) * 5 // 8)


def _checksum(prefix: str, values: Iterable[int]) -> int:
    codes = prefix.encode()
    checksum = 1
    for value in (*(code >> 5 for code in codes), 0, *(code & 31 for code in codes), *values):
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum
