"""New values from the randomness of the system: ``--generate LENGTH[:ALPHABET]``.

What a value has to be hard for is a guess off-line, by whoever got hold of something that it was made into. 64 bits are
the least that is let through unasked; 24 letters and digits, as in the examples, have 142.
"""

import math
import re
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from reconciler.errors import UsageError
from reconciler.model import MAX_VALUE_BYTES, SecretValue
from reconciler.pysops.config.fields import did_you_mean


MIN_BITS: Final = 64
"""Entropy below which a value is refused."""

_LETTERS_AND_DIGITS: Final = (string.ascii_lowercase, string.ascii_uppercase, string.digits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alphabet:
    """What a value is made of."""

    characters: str
    """Each once."""

    classes: tuple[str, ...] = ()
    """Disjoint parts of `characters`, of each of which at least one stands in a value that is long enough for it."""


ALPHABETS: Final[Mapping[str, Alphabet]] = {
    "alnum": Alphabet(characters="".join(_LETTERS_AND_DIGITS), classes=_LETTERS_AND_DIGITS),
    "ascii": Alphabet(
        characters="".join((*_LETTERS_AND_DIGITS, string.punctuation)),
        classes=(*_LETTERS_AND_DIGITS, string.punctuation),
    ),
    "base64url": Alphabet(characters="".join((*_LETTERS_AND_DIGITS, "-_"))),
    "digits": Alphabet(characters=string.digits),
    "hex": Alphabet(characters="0123456789abcdef"),
    "letters": Alphabet(characters=string.ascii_letters),
    "lower": Alphabet(characters=string.ascii_lowercase),
}
"""What has a name. ``alnum`` and ``ascii`` have classes, as many rules for passwords ask for one of each: of 16 letters
and digits drawn at random one in twenty values has no digit, and would be found out by the system that refuses it."""

DEFAULT_ALPHABET: Final = "alnum"

_EXPECTED: Final = f"LENGTH or LENGTH:ALPHABET, such as 32 or 64:hex; ALPHABET is {', '.join(sorted(ALPHABETS))}"
_LENGTH: Final = re.compile(r"[0-9]{1,6}", re.ASCII)
_NAME_LIKE: Final = re.compile(r"[A-Za-z0-9]{1,9}", re.ASCII)
"""``base64`` and ``alphanum`` are six or eight characters, too, and nobody means those."""

_ENOUGH: Final = 1024
"""Length from which on entropy is not calculated: that of the longest value is no less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """Makes values of one kind."""

    length: int
    """In characters."""

    alphabet: Alphabet

    def __call__(self) -> SecretValue:
        """Return a new value: each that has one of every class is as likely as any other."""
        characters = self.alphabet.characters
        classes = [frozenset(each) for each in self._classes()]
        while True:
            # All over again, not a character put in: that would make its place, and what stood there, less likely.
            text = "".join(secrets.choice(characters) for _ in range(self.length))
            if all(each.intersection(text) for each in classes):
                return SecretValue(text.encode())

    @property
    def bits(self) -> float:
        """Entropy of a value, in bits: the logarithm of how many there are."""
        length, size = min(self.length, _ENOUGH), len(self.alphabet.characters)
        classes = self._classes()
        # Inclusion and exclusion: those that lack a class are taken away, those that lack two were so twice, and so on.
        number = sum(
            (-1) ** without * (size - sum(map(len, missing))) ** length
            for without in range(len(classes) + 1)
            for missing in combinations(classes, without)
        )
        return math.log2(number)

    def _classes(self) -> tuple[str, ...]:
        return self.alphabet.classes if self.length >= len(self.alphabet.classes) else ()


def generator_of(text: str, *, weak: bool = False) -> Generator:
    """Return what makes the values that ``--generate`` asks for.

    Args:
        text: ``LENGTH`` or ``LENGTH:ALPHABET``; an alphabet is one of `ALPHABETS`, or the characters themselves.
        weak: Let through what can be guessed.

    Raises:
        UsageError: It is not of that form, names no alphabet, or makes values that can be guessed.
    """
    length_text, colon, name = text.partition(":")
    if not _LENGTH.fullmatch(length_text) or int(length_text) == 0:
        raise UsageError("--generate does not begin with a length in characters", advice=f"write {_EXPECTED}")
    generator = Generator(length=int(length_text), alphabet=_alphabet(name) if colon else ALPHABETS[DEFAULT_ALPHABET])
    if generator.length * max(len(each.encode()) for each in generator.alphabet.characters) > MAX_VALUE_BYTES:
        raise UsageError("--generate makes values that no workspace takes", advice="at most 128 KB")
    if not weak and generator.bits < MIN_BITS:
        raise UsageError(
            f"--generate {text} makes values that can be guessed: {generator.bits:.0f} bits",
            advice=f"take more characters, for {MIN_BITS} bits at least; --weak allows it, for a PIN and the like",
        )
    return generator


def _alphabet(text: str) -> Alphabet:
    """Return the alphabet of that name, or of these characters.

    Raises:
        UsageError: It is neither.
    """
    if text in ALPHABETS:
        return ALPHABETS[text]
    if _NAME_LIKE.fullmatch(text) or did_you_mean(text, ALPHABETS) is not None:
        raise UsageError(
            "--generate names an alphabet that is not known",
            advice=did_you_mean(text.lower(), ALPHABETS) or f"write {_EXPECTED}",
        )
    if len(set(text)) != len(text):
        raise UsageError(
            "--generate has a character twice in its alphabet, which would stand twice as often in the value",
            advice=f"name each once, or write {_EXPECTED}",
        )
    if len(text) < 2 or not text.isprintable():  # noqa: PLR2004  # of one there is nothing to choose
        raise UsageError("--generate needs at least two characters that print", advice=f"write {_EXPECTED}")
    return Alphabet(characters=text)
