"""What the sops program printed, held against the file: the file decides what there is."""

import pytest

from reconciler import pysops
from reconciler.pysops.binary.output import MAX_EXTRACTED, read_values
from reconciler.pysops.binary.wrapper import SopsBinary
from reconciler.pysops.leaves import Path
from reconciler.pysops.selectors import selector_of
from tests.pysops.conftest import Locksmith


def _never(path: Path) -> bytes:
    raise AssertionError(f"nothing is fetched, nor {path}")


def _read(data: bytes, printed: str) -> dict[str, object]:
    document = pysops.parse(data)
    return read_values(document, selector_of(pysops.read_metadata(document)), printed.encode(), _never)


_TEXT = b'a: "old"\nb: 1\nc: [true, p]\n'


def test_what_is_what_the_file_holds_is_read(locksmith: Locksmith) -> None:
    """Which makes the refusals below say something."""
    read = _read(locksmith.lock(_TEXT), '{"a": "old", "b": 1, "c": [true, "p"]}')
    assert read == {"a": "old", "b": 1, "c": [True, "p"]}


@pytest.mark.parametrize(
    "printed",
    [
        pytest.param('{"a": "long", "b": 1, "c": [true, "p"]}', id="longer-text"),
        pytest.param('{"a": "ol", "b": 1, "c": [true, "p"]}', id="shorter-text"),
        pytest.param('{"a": 123, "b": 1, "c": [true, "p"]}', id="number-for-text"),
        pytest.param('{"a": null, "b": 1, "c": [true, "p"]}', id="null-for-text"),
        pytest.param('{"a": ["old"], "b": 1, "c": [true, "p"]}', id="list-for-text"),
        pytest.param('{"a": "old", "b": "1", "c": [true, "p"]}', id="text-for-number"),
        pytest.param('{"a": "old", "b": 1.5, "c": [true, "p"]}', id="float-for-int"),
        pytest.param('{"a": "old", "b": true, "c": [true, "p"]}', id="bool-for-int"),
        pytest.param('{"a": "old", "b": 9223372036854775808, "c": [true, "p"]}', id="int-too-large"),
        pytest.param('{"a": "old", "b": NaN, "c": [true, "p"]}', id="nan"),
        pytest.param('{"a": "old", "b": 1, "c": ["true", "p"]}', id="text-for-bool"),
        pytest.param('{"a": "old", "b": 1, "c": [1, "p"]}', id="int-for-bool"),
        pytest.param('{"a": "old", "b": 1, "c": [true]}', id="shorter-list"),
        pytest.param('{"a": "old", "b": 1, "c": [true, "p", "p"]}', id="longer-list"),
        pytest.param('{"a": "old", "b": 1, "c": {"0": true}}', id="mapping-for-list"),
        pytest.param('{"a": "old", "c": [true, "p"]}', id="key-missing"),
        pytest.param('{"a": "old", "b": 1, "c": [true, "p"], "d": 1}', id="key-added"),
        pytest.param('{"b": 1, "a": "old", "c": [true, "p"]}', id="other-order"),
        pytest.param('{"a": "old", "b": 1, "b": 1, "c": [true, "p"]}', id="key-twice"),
        pytest.param('{"A": "old", "b": 1, "c": [true, "p"]}', id="key-renamed"),
        pytest.param('["a", "b", "c"]', id="list-at-the-top"),
        pytest.param('{"a": "o\\ud800", "b": 1, "c": [true, "p"]}', id="half-a-character"),
    ],
)
def test_what_is_not_what_the_file_holds_is_refused(printed: str, locksmith: Locksmith) -> None:
    """Keys, their order, types and lengths stand in the file; a program that says otherwise is not believed."""
    with pytest.raises(pysops.DecryptionError, match="not what the file holds") as caught:
        _read(locksmith.lock(_TEXT), printed)
    assert type(caught.value) is pysops.DecryptionError
    assert caught.value.mark is not None


@pytest.mark.parametrize("printed", ['{"p": "Plain"}', '{"p": "plain "}', '{"p": 1}', '{"p": "ENC[x]"}'])
def test_what_stands_in_plain_is_what_the_file_says(printed: str, locksmith: Locksmith) -> None:
    """The program cannot change what every reviewer sees."""
    data = locksmith.lock(b"p: plain\n", "--encrypted-regex", "^x$")
    assert _read(data, '{"p": "plain"}') == {"p": "plain"}
    with pytest.raises(pysops.DecryptionError, match="not what the file holds"):
        _read(data, printed)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        pytest.param("a: .inf\n", pysops.BinaryError, "not finite", id="infinity"),
        pytest.param("a: [.nan]\n", pysops.BinaryError, "not finite", id="nan"),
        pytest.param('"[": !!binary /////w==\n', pysops.BinaryError, "not UTF-8", id="bytes-below-a-bracket"),
        pytest.param(
            "".join(f"k{n}: !!binary /w==\n" for n in range(MAX_EXTRACTED + 1)),
            pysops.BinaryError,
            "not UTF-8",
            id="too-many-bytes",
        ),
    ],
)
def test_what_the_program_cannot_say_fails_clearly(
    text: str, kind: type[pysops.SopsError], words: str, locksmith: Locksmith, binary: SopsBinary
) -> None:
    """Never with another value instead."""
    document = pysops.parse(locksmith.lock(text.encode()))
    with pytest.raises(kind, match=words):
        binary.decrypt(document)
