"""Shamir's secret sharing as sops has it: the parts of several key groups, put together to the data key.

Each byte of the secret is a polynomial of its own over GF(2^8), the field of AES, at 0. A part is the values of all of
them at one x, which stands behind as the last byte. Written from ``Combine`` of shamir/shamir.go of sops, which is
HashiCorp Vault's.

Nothing tells a wrong part from a right one: too few parts, or one of another secret, give a wrong secret, which then
opens nothing.
"""

import os
import random
from collections.abc import Sequence
from typing import Final


MIN_PARTS: Final = 2
"""Fewer are never put together, whatever the file says."""

_MIN_PART_BYTES: Final = 2
"""One of the secret, and x."""

_POLYNOMIAL: Final = 0x11B
"""x^8 + x^4 + x^3 + x + 1, of FIPS 197, section 4.2."""

_ORDER: Final = 255
"""Of the multiplicative group: everything but 0."""


def combine(parts: Sequence[bytes]) -> bytes:
    """Put a secret together from all ``parts``.

    Args:
        parts: each as long as the secret and one byte more.

    Raises:
        ValueError: they are fewer than two, empty, of unequal lengths, or two of them are the same one. Says nothing of
            what they hold.
    """
    if len(parts) < MIN_PARTS:
        raise ValueError("fewer than two parts")
    if len({len(part) for part in parts}) != 1:
        raise ValueError("parts of unequal lengths")
    if len(parts[0]) < _MIN_PART_BYTES:
        raise ValueError("empty parts")
    places = [part[-1] for part in parts]
    if len(set(places)) != len(places):
        raise ValueError("the same part twice")
    secret = bytearray(len(parts[0]) - 1)
    for part, place in zip(parts, places, strict=True):
        weight = _weight_at_zero(place, places)
        for index in range(len(secret)):
            secret[index] ^= multiply(part[index], weight)
    return bytes(secret)


def split(secret: bytes, parts: int, needed: int) -> tuple[bytes, ...]:
    """Take a secret apart, ``Split`` of shamir/shamir.go.

    Args:
        secret: not empty.
        parts: how many.
        needed: how many of them make up the secret again; from 2 to ``parts``.

    Returns:
        The parts, each at a place of its own, not 0.
    """
    places = random.SystemRandom().sample(range(1, 256), parts)
    columns = [[byte, *os.urandom(needed - 1)] for byte in secret]
    return tuple(bytes(_value_at(place, column) for column in columns) + bytes([place]) for place in places)


def _value_at(place: int, coefficients: Sequence[int]) -> int:
    # Horner's scheme.
    value = 0
    for coefficient in reversed(coefficients):
        value = multiply(value, place) ^ coefficient
    return value


def multiply(one: int, other: int) -> int:
    """Return the product of two elements of the field."""
    return _POWERS[_LOGARITHMS[one] + _LOGARITHMS[other]] if one and other else 0


def divide(one: int, other: int) -> int:
    """Return ``one`` divided by ``other``, which must not be 0."""
    return _POWERS[_LOGARITHMS[one] - _LOGARITHMS[other] + _ORDER] if one else 0


def _weight_at_zero(place: int, places: Sequence[int]) -> int:
    """Return the Lagrange basis polynomial of ``place`` at 0; addition and subtraction are both exclusive or."""
    weight = 1
    for other in places:
        if other != place:
            weight = multiply(weight, divide(other, other ^ place))
    return weight


def _tables() -> tuple[list[int], list[int]]:
    # 3 generates the group. Its powers go around twice, so that sums of two logarithms need no remainder; the logarithm
    # of 0 is a filler, as there is none.
    powers, logarithms, power = [0] * (2 * _ORDER), [0] * (_ORDER + 1), 1
    for exponent in range(_ORDER):
        powers[exponent] = powers[exponent + _ORDER] = power
        logarithms[power] = exponent
        doubled = power << 1
        power ^= doubled ^ _POLYNOMIAL if doubled > _ORDER else doubled
    return powers, logarithms


_POWERS, _LOGARITHMS = _tables()
