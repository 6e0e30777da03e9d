"""Malformed input of any sort: only errors of ours, and never another value than the one encrypted."""

import random
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.pysops import DocumentError, SopsError, load, parse, parse_envelope, read_metadata
from tests.pysops.test_crypt import identities
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsTool


MUTATIONS_PER_CASE: Final = 2500

PLAINTEXT: Final = b"a: canary one\nb:\n  - canary two\n  - 5\nc: {d: true}\n"
BOUND: Final = [("a:", "canary one"), ("b:", "canary two"), ("b:", 5), ("c:d:", True)]
"""The values in file order, each with what it was encrypted for."""

TOKENS: Final = (
    *(b"ENC[", b"]", b"type:int", b"type:comment", b"&a ", b"*a", b"---\n", b"...\n", b": ", b"\n", b"\t", b"\x00"),
    *("é".encode(), b"\xff", b"sops:\n", b"!!str ", b"null", b"- ", b"? ", b"{", b"}", b"'", b'"', b"|", b"#", b"%"),
    *(b"<<<<<<< ", b"\r", "\u2028".encode(), b"\xef\xbb\xbf", b"\\ud800", b"2024-01-02", b"9" * 5000, b"0x"),
)


@pytest.mark.parametrize("case", range(4))
def test_mutated_files_never_yield_other_values(case: int, sops: SopsTool, age_key: AgeKey) -> None:
    """Ten thousand mutations of a real file: refused with an error of ours, or the values are the encrypted ones.

    Aside from what neither the MAC nor the keys above a value cover: null and empty entries, lists put around values,
    and keys joined by a colon.
    """
    file = sops.encrypt(PLAINTEXT, [age_key.recipient])
    keys = identities(age_key)
    for number in range(MUTATIONS_PER_CASE):
        rng = random.Random(case * MUTATIONS_PER_CASE + number)  # noqa: S311  # no secret depends on it
        mutated = _mutate(file, rng)
        try:
            values = load(mutated, keys)
        except SopsError:
            continue
        except Exception as error:
            error.add_note(repr(mutated))
            raise
        assert list(_bound(values, "")) == BOUND, mutated


def _mutate(file: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        start, end = sorted(rng.choices(range(len(file) + 1), k=2))
        end = min(end, start + rng.choice((1, 1, 5, 100)))
        match rng.randrange(6):
            case 0:
                file = file[:start] + bytes([rng.randrange(256)]) + file[start + 1 :]
            case 1:
                file = file[:start] + file[end:]
            case 2:
                file = file[:end] + file[start:end] + file[end:]
            case 3:
                file = file[:start] + rng.choice(TOKENS) + file[start:]
            case 4:
                lines = file.splitlines(keepends=True)
                rng.shuffle(lines) if rng.random() < 0.1 else lines.insert(
                    rng.randrange(len(lines) + 1), rng.choice(lines or [b""])
                )
                file = b"".join(lines)
            case _:
                lines = file.splitlines(keepends=True)
                if lines:
                    del lines[rng.randrange(len(lines))]
                file = b"".join(lines)
    return file


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


@settings(max_examples=300)
@given(st.binary() | st.text("aA1:-?{}[]&*!|>%@`'\"#,\n\t <=.~\\\x00\u2028\ufeff0123456789_exobTZ+", max_size=60))
def test_random_input_is_read_or_refused(data: bytes | str) -> None:
    """Whatever the bytes are, there is a document or an error of ours."""
    try:
        document = parse(data if isinstance(data, bytes) else data.encode())
    except DocumentError:
        return
    with pytest.raises(SopsError):
        read_metadata(document)


@settings(max_examples=300)
@given(st.from_regex(r"ENC\[AES256_GCM,data:[A-Za-z0-9+/=]*,iv:[A-Za-z0-9+/=]*,tag:[A-Za-z0-9+/=]*,type:[a-z]*\]?"))
def test_random_envelopes_are_taken_apart_or_not(text: str) -> None:
    """Nothing that looks like an envelope makes the parser stumble."""
    envelope = parse_envelope(text)
    assert envelope is None or envelope.size == len(envelope.data) > 0
