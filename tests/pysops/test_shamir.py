"""Shamir's secret sharing: vectors of sops, and what must hold for any secret.

`VECTORS` were printed by a Go program that calls ``shamir.Split`` of sops 3.13.3; the other numbers are those of its
shamir_test.go.
"""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.pysops.shamir import combine, divide, multiply
from reconciler.pysops.shamir import split as split_by_us
from tests.pysops.secret_sharing import product, split


VECTORS = [
    pytest.param(
        b"test", 3, ["38491cd601", "c6db7b4a02", "8af714e803", "a3b7169704", "ef9b793505"], id="3 of 5, four bytes"
    ),
    pytest.param(b"x", 2, ["7c01", "7002"], id="2 of 2, one byte"),
    pytest.param(
        b"the data key of a file, 32 bytes!",
        2,
        [
            "11ac9b544f1af3a061a551b2aa207f5ae1f2023c30ca9a94bc83930ad1be128b5101",
            "befb82c8329761f8a2ec0df42ff154d47a9faec3d4205b53364b5db232fb8b98c102",
            "db3f7cbc19ece639e322393fa5be4daefa4dca96888fede7b9faeeda9a31fc60b103",
            "376389f515c6da44603c0f0019a249780476da91d2a0c62f2413e4b677f2aaab25ff",
        ],
        id="2 of 255, the last one among them",
    ),
]


@pytest.mark.parametrize(("secret", "threshold", "parts"), VECTORS)
def test_what_sops_split_is_put_together(secret: bytes, threshold: int, parts: list[str]) -> None:
    """By any parts that are enough, in any order, and by more of them."""
    known = [bytes.fromhex(part) for part in parts]
    for count in range(threshold, len(known) + 1):
        for chosen in itertools.permutations(known, count):
            assert combine(chosen) == secret


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        pytest.param([], "fewer than two", id="none"),
        pytest.param([b"foo"], "fewer than two", id="one"),
        pytest.param([b"foo", b"ba"], "unequal", id="unequal lengths"),
        pytest.param([b"f", b"b"], "empty", id="too short"),
        pytest.param([b"", b""], "empty", id="nothing"),
        pytest.param([b"foo", b"foo"], "the same part twice", id="one twice"),
        pytest.param([b"fao", b"bao"], "the same part twice", id="one number twice"),
    ],
)
def test_parts_that_make_no_secret_are_refused(parts: list[bytes], complaint: str) -> None:
    """As in TestCombine_invalid, without a word on what they hold."""
    with pytest.raises(ValueError, match=complaint) as caught:
        combine(parts)
    assert not any(part and part.decode() in str(caught.value) for part in parts if len(part) > 1)


def test_the_field_is_that_of_aes() -> None:
    """Every product and quotient, and the vectors of TestField_Mult and TestField_Divide."""
    assert (multiply(3, 7), multiply(3, 0), multiply(0, 3)) == (9, 0, 0)
    assert (divide(0, 7), divide(3, 3), divide(6, 3)) == (0, 1, 2)
    for one, other in itertools.product(range(256), repeat=2):
        result = multiply(one, other)
        assert result == product(one, other)
        assert other == 0 or divide(result, other) == one


@given(secret=st.binary(min_size=1, max_size=64), seed=st.integers(), data=st.data())
def test_any_parts_that_are_enough_make_the_secret(secret: bytes, seed: int, data: st.DataObject) -> None:
    """Whichever they are, and in whatever order."""
    count = data.draw(st.integers(2, 255) if seed % 10 == 0 else st.integers(2, 8), label="parts")
    threshold = data.draw(st.integers(2, min(count, 20)), label="threshold")
    parts = split(secret, count, threshold, random.Random(seed))  # noqa: S311  # no secret depends on it
    chosen = data.draw(st.permutations(parts), label="order")[: data.draw(st.integers(threshold, count), label="taken")]
    assert combine(chosen) == secret


@given(secret=st.binary(min_size=16, max_size=33), seed=st.integers(), threshold=st.integers(3, 8))
def test_parts_that_are_too_few_make_another_secret(secret: bytes, seed: int, threshold: int) -> None:
    """One less than needed tells nothing; by chance it would be right once in 2**128."""
    parts = split(secret, threshold, threshold, random.Random(seed))  # noqa: S311  # no secret depends on it
    assert combine(parts[1:]) != secret


def test_a_part_at_zero_is_the_secret() -> None:
    """No honest part is numbered 0; sops takes it, and so do we, without dividing by it."""
    assert combine([b"secret\x00", b"other!\x01"]) == b"secret"


@given(st.binary(min_size=1, max_size=40), st.integers(2, 6), st.integers(0, 3), st.randoms())
def test_what_we_split_is_put_together(secret: bytes, needed: int, more: int, chance: random.Random) -> None:
    """By as many parts as are needed, whichever they are; each stands at a place of its own."""
    parts = split_by_us(secret, needed + more, needed)
    assert len({part[-1] for part in parts}) == needed + more
    assert combine(chance.sample(parts, needed)) == secret
