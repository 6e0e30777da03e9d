"""Mutations of an encrypted file, one or two at a time: a strategy for Hypothesis, which shrinks them.

By what somebody without a key could do to a file: each part of an envelope, the MAC, ``lastmodified``, every field of
the metadata, lines, indentation, the style of scalars, what YAML knows besides, and bytes at random.
"""

from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.pysops.changes import Change
from tests.pysops.envelope_changes import ENVELOPE_CHANGES
from tests.pysops.metadata_changes import METADATA_CHANGES
from tests.pysops.text_changes import TEXT_CHANGES


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A changed file, and by what."""

    kinds: tuple[str, ...]
    data: bytes


_CHANGES: Final[tuple[tuple[str, Change], ...]] = tuple(
    (name, change)
    for changes in (TEXT_CHANGES, ENVELOPE_CHANGES, METADATA_CHANGES)
    for name, weight, change in changes
    for _ in range(weight)
)

_ONE_IN = 20
"""How seldom a byte is changed besides."""


@st.composite
def mutants(draw: DrawFn, file: bytes) -> Mutant:
    """Change an encrypted file in one place, or sometimes in two or three."""
    text = file.decode()
    kinds = []
    for _ in range(draw(st.sampled_from((1, 1, 1, 1, 2, 3)))):
        name, change = draw(st.sampled_from(_CHANGES))
        kinds.append(name)
        text = change(draw, text)
    data = text.encode(errors="surrogatepass")
    if data and draw(st.integers(1, _ONE_IN)) == _ONE_IN:
        kinds.append("byte")
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
    return Mutant(kinds=tuple(kinds), data=data)
