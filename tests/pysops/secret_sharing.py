"""Shamir's secret sharing, the other way around: splits what `reconciler.pysops.shamir` puts together.

Independent of it: multiplies bit by bit where that looks up logarithms, as shamir/shamir.go of sops does.
"""

import random


def product(one: int, other: int) -> int:
    """Multiply in GF(2^8) as on paper."""
    total = 0
    while other:
        if other & 1:
            total ^= one
        one <<= 1
        if one & 0x100:
            one ^= 0x11B
        other >>= 1
    return total


def split(secret: bytes, parts: int, threshold: int, rng: random.Random) -> list[bytes]:
    """Split a secret into ``parts`` of which any ``threshold`` make it up; numbered from 1."""
    polynomials = [[byte, *rng.choices(range(256), k=threshold - 1)] for byte in secret]
    return [bytes(_value(one, place) for one in polynomials) + bytes([place]) for place in range(1, parts + 1)]


def _value(polynomial: list[int], place: int) -> int:
    value = 0
    for coefficient in reversed(polynomial):
        value = product(value, place) ^ coefficient
    return value
