"""Bech32: the vectors of its specification, and the way there and back."""

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.pysops.age import bech32
from reconciler.pysops.age.bech32 import MAX_LENGTH


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("A12UEL5L", "A"),
        ("a12uel5l", "a"),
        ("an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs", "an83…"),
        ("11qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqc8247j", "1"),
        ("?1ezyfcl", "?"),
    ],
)
def test_valid_texts_of_the_specification(text: str, prefix: str) -> None:
    """BIP 173, "Test vectors", as far as they hold whole bytes."""
    decoded = bech32.decode(text)
    assert decoded is not None
    assert decoded[0].startswith(prefix.removesuffix("…"))
    assert bech32.encode(decoded[0].lower(), decoded[1]) == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        *("\x201nwldj5", "\x7f1axkwrx", "\x801eym55h", "pzry9x0s0muk", "1pzry9x0s0muk", "x1b4n0q5v", "li1dgmt3"),
        *("de1lg7wt\xff", "A1G7SGD8", "10a06t8", "1qzzfhee", "a12UEL5L", "", "1", "a1", "a12uel5m", "a\n12uel5l"),
    ],
)
def test_invalid_texts_of_the_specification(text: str) -> None:
    """BIP 173, "Test vectors", and some more."""
    assert bech32.decode(text) is None


@given(st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True), st.binary(max_size=200))
def test_what_is_encoded_comes_back(prefix: str, data: bytes) -> None:
    """In lower and in upper case."""
    text = bech32.encode(prefix, data)
    assert bech32.decode(text) == (prefix, data)
    assert bech32.decode(text.upper()) == (prefix.upper(), data)


@given(st.binary(min_size=1, max_size=40), st.data())
def test_a_wrong_letter_shows(data: bytes, draw: st.DataObject) -> None:
    """The checksum finds any single one."""
    text = bech32.encode("age", data)
    at = draw.draw(st.integers(4, len(text) - 1))
    letter = draw.draw(st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l").filter(lambda one: one != text[at]))
    assert bech32.decode(text[:at] + letter + text[at + 1 :]) is None


def test_age_writes_the_same() -> None:
    """A recipient and an identity that pyrage made."""
    identity = pyrage.x25519.Identity.generate()
    for text in (str(identity), str(identity.to_public())):
        decoded = bech32.decode(text)
        assert decoded is not None
        assert len(decoded[1]) == 32
        assert bech32.encode(decoded[0].lower(), decoded[1]) == text.lower()


def test_spare_bits_must_be_zero_and_few() -> None:
    """Otherwise one sequence of bytes would have several texts."""
    for values in ([0, 1], [1], [0, 0, 0]):
        checksum = bech32._checksum("a", [*values, *[0] * 6]) ^ 1
        letters = [*values, *(checksum >> shift & 31 for shift in range(25, -1, -5))]
        assert bech32.decode("a1" + "".join(bech32._LETTERS[letter] for letter in letters)) is None


def test_long_texts_are_not_decoded() -> None:
    """Time grows with the square of the length."""
    text = bech32.encode("age", bytes(2500))
    assert len(text) < MAX_LENGTH
    assert bech32.decode(text) is not None
    assert bech32.decode(bech32.encode("age", bytes(2600))) is None
