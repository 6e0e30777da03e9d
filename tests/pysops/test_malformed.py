"""Malformed input of any sort: only errors of ours, in bounded time, and never another value than the one encrypted.

``tests/fuzz/test_malformed.py`` goes on where this ends.
"""

import random
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.pysops import DocumentError, SopsError, parse, parse_envelope, read_metadata
from tests.pysops.bombs import BOMBS, read, unlock
from tests.pysops.handmade import identities_of
from tests.pysops.malformed_inputs import Source, make_malformed, mutate
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsTool


CASES: Final = 4
FILES_PER_CASE: Final = 300
MUTATIONS_PER_CASE: Final = 200

SMALL_BOMB_BYTES: Final = 64 * 1024

MOST_SECONDS: Final = 10
"""Of the processor, for a file of ordinary size or a small bomb. Each takes far less; a busy machine may not."""

PLAINTEXT: Final = b"a: canary one\nb:\n  - canary two\n  - 5\nc: {d: true}\n"
BOUND: Final = [("a:", "canary one"), ("b:", "canary two"), ("b:", 5), ("c:d:", True)]
"""The values in file order, each with what it was encrypted for."""


@pytest.mark.parametrize("case", range(CASES))
def test_malformed_files_are_read_or_refused(case: int, sops: SopsTool, age_key: AgeKey) -> None:
    """Whatever stands in them, there are values or an error of ours."""
    source = Source(recipient=age_key.recipient, genuine=sops.encrypt(PLAINTEXT, [age_key.recipient]))
    check_malformed(source, age_key, range(case * FILES_PER_CASE, (case + 1) * FILES_PER_CASE))


@pytest.mark.parametrize("case", range(CASES))
def test_mutated_files_never_yield_other_values(case: int, sops: SopsTool, age_key: AgeKey) -> None:
    """They are refused, or the values are the encrypted ones.

    Aside from what neither the MAC nor the keys above a value cover: null and empty entries, lists put around values,
    and keys joined by a colon.
    """
    genuine = sops.encrypt(PLAINTEXT, [age_key.recipient])
    check_mutants(genuine, age_key, range(case * MUTATIONS_PER_CASE, (case + 1) * MUTATIONS_PER_CASE))


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_bomb_does_no_harm(name: str, age_key: AgeKey) -> None:
    """A small part of the largest file takes no time worth a word; what grows with the square of its size would."""
    assert read(BOMBS[name](age_key.recipient, SMALL_BOMB_BYTES), age_key) < MOST_SECONDS


def check_malformed(source: Source, key: AgeKey, seeds: range) -> float:
    """Read malformed files, and return the most seconds that one took."""
    longest = 0.0
    for seed in seeds:
        file = make_malformed(source, random.Random(seed))  # noqa: S311  # no secret depends on it
        try:
            longest = max(longest, read(file, key))
        except Exception as error:
            error.add_note(f"seed {seed}: {file[:5000]!r}")
            raise
    assert longest < MOST_SECONDS
    return longest


def check_mutants(genuine: bytes, key: AgeKey, seeds: range) -> None:
    """Read mutants of a file, and look whether one has values that the file does not have."""
    identities = identities_of(key)
    for seed in seeds:
        file = mutate(genuine, random.Random(seed))  # noqa: S311  # no secret depends on it
        try:
            values = unlock(file, identities)
        except SopsError:
            continue
        except Exception as error:
            error.add_note(f"seed {seed}: {file!r}")
            raise
        assert list(_bound(values, "")) == BOUND, file


def _bound(value: object, above: str) -> Iterator[tuple[str, object]]:
    match value:
        case dict():
            for key, below in value.items():
                yield from _bound(below, f"{above}{key}:")
        case list():
            for item in value:
                yield from _bound(item, above)
        case None | "":
            return
        case _:
            yield above, value


@settings(max_examples=200)
@given(st.binary() | st.text("aA1:-?{}[]&*!|>%@`'\"#,\n\t <=.~\\\x00\u2028\ufeff0123456789_exobTZ+", max_size=60))
def test_random_input_is_read_or_refused(data: bytes | str) -> None:
    """Whatever the bytes are, there is a document or an error of ours."""
    try:
        document = parse(data if isinstance(data, bytes) else data.encode())
    except DocumentError:
        return
    with pytest.raises(SopsError):
        read_metadata(document)


@settings(max_examples=200)
@given(st.from_regex(r"ENC\[AES256_GCM,data:[A-Za-z0-9+/=]*,iv:[A-Za-z0-9+/=]*,tag:[A-Za-z0-9+/=]*,type:[a-z]*\]?"))
def test_random_envelopes_are_taken_apart_or_not(text: str) -> None:
    """Nothing that looks like an envelope makes the parser stumble."""
    envelope = parse_envelope(text)
    assert envelope is None or envelope.size == len(envelope.data) > 0
