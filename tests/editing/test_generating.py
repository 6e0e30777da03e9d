"""Values made of randomness."""

import math
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.editing.generating import ALPHABETS, MIN_BITS, Alphabet, Generator, generator_of
from reconciler.errors import UsageError


@pytest.mark.parametrize(
    ("text", "length", "characters"),
    [
        pytest.param("24", 24, string.ascii_letters + string.digits, id="default"),
        pytest.param("64:hex", 64, "0123456789abcdef", id="hex"),
        pytest.param("43:base64url", 43, string.ascii_letters + string.digits + "-_", id="base64url"),
        pytest.param("20:digits", 20, string.digits, id="digits"),
        pytest.param("40:ascii", 40, string.ascii_letters + string.digits + string.punctuation, id="ascii"),
        pytest.param("32:abcdefgh!:", 32, "abcdefgh!:", id="characters"),
        pytest.param("32:äöüß€😀+-", 32, "äöüß€😀+-", id="characters-beyond-ascii"),
    ],
)
def test_what_is_asked_for_is_made(text: str, length: int, characters: str) -> None:
    """A value has the length that was named, in characters, and nothing but characters of its alphabet."""
    made = generator_of(text)().reveal().decode()
    assert len(made) == length
    assert set(made) <= set(characters)


def test_no_value_comes_twice() -> None:
    """They come from the system, not from a seed."""
    assert len({generator_of("16")().reveal() for _ in range(50)}) == 50


@pytest.mark.parametrize("name", ["alnum", "ascii"])
def test_one_of_each_class_is_there(name: str) -> None:
    """Rules for passwords ask for it; at 12 characters one value in five would lack a digit or more."""
    for _ in range(50):
        made = generator_of(f"12:{name}")().reveal().decode()
        assert all(set(each) & set(made) for each in ALPHABETS[name].classes)


def test_a_value_shorter_than_its_classes_is_made_all_the_same() -> None:
    """Two characters cannot be of three classes; nobody waits for such a value forever."""
    assert len(generator_of("2", weak=True)().reveal()) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "does not begin with a length", id="nothing"),
        pytest.param("hex", "does not begin with a length", id="no-length"),
        pytest.param("0", "does not begin with a length", id="zero"),
        pytest.param("-3", "does not begin with a length", id="negative"),
        pytest.param("²4", "does not begin with a length", id="digit-beyond-ascii"),
        pytest.param("32:", "at least two characters", id="no-alphabet"),
        pytest.param("32:base64", "not known", id="unknown-name"),
        pytest.param("32:HEX", "not known", id="name-in-capitals"),
        pytest.param("32:alphanumeric", "twice", id="unknown-name-with-a-character-twice"),
        pytest.param("32:abcdefghijk\x1b", "characters that print", id="control-character"),
        pytest.param("200000", "no workspace takes", id="too-long"),
        pytest.param("60000:äöüß€😀+-", "no workspace takes", id="too-long-in-bytes"),
        pytest.param("10", "can be guessed: 59 bits", id="too-short"),
        pytest.param("15:hex", "can be guessed: 60 bits", id="too-few-characters"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    """A misspelt alphabet is not taken for the characters of its name, and no value can be guessed."""
    with pytest.raises(UsageError, match=said):
        generator_of(text)


def test_weak_values_are_made_when_asked_for() -> None:
    """A PIN has four digits."""
    assert len(generator_of("4:digits", weak=True)().reveal()) == 4


@settings(max_examples=25)
@given(length=st.integers(min_value=1, max_value=6))
def test_entropy_is_that_of_the_values_that_can_come(length: int) -> None:
    """Counted one by one, for an alphabet small enough to do so."""
    alphabet = Alphabet(characters="abcde", classes=("ab", "cd"))
    generator = Generator(length=length, alphabet=alphabet)
    values = [""]
    for _ in range(length):
        values = [value + each for value in values for each in alphabet.characters]
    counted = [value for value in values if length < 2 or (set(value) & set("ab") and set(value) & set("cd"))]
    assert generator.bits == pytest.approx(math.log2(len(counted)))


def test_each_named_alphabet_has_each_character_once() -> None:
    """One that stands twice would come twice as often."""
    assert all(len(set(each.characters)) == len(each.characters) for each in ALPHABETS.values())
    assert generator_of("16").bits > MIN_BITS
