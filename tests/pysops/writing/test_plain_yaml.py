"""Texts as YAML: read alike by libyaml and by the yaml.v3 of sops."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import pysops
from reconciler.pysops import ScalarKind, survives_as_text
from reconciler.pysops.writing.plain_yaml import key_text, quoted, value_text
from tests.pysops.writing.desk import Desk, below, locked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("word", "word", id="word"),
        pytest.param("two words", "two words", id="words"),
        pytest.param("https://host/p?q=1&r=2#s", '"https://host/p?q=1&r=2#s"', id="hash"),
        pytest.param("https://host:80/p?q=1", "https://host:80/p?q=1", id="address"),
        pytest.param("^(a|b)$", "^(a|b)$", id="pattern"),
        pytest.param("", '""', id="empty"),
        pytest.param("5", '"5"', id="number"),
        pytest.param("9223372036854775808", '"9223372036854775808"', id="number-that-sops-refuses"),
        pytest.param("2024-01-02", '"2024-01-02"', id="date"),
        pytest.param("NO", '"NO"', id="no"),
        pytest.param("null", '"null"', id="null"),
        pytest.param("a: b", '"a: b"', id="colon"),
        pytest.param("- a", '"- a"', id="dash"),
        pytest.param(" a", '" a"', id="space-in-front"),
        pytest.param("a ", '"a "', id="space-behind"),
        pytest.param("a\nb", "|-\n  a\n  b", id="lines"),
        pytest.param("a\nb\n", "|\n  a\n  b", id="lines-with-end"),
        pytest.param("a\n\nb\n", "|\n  a\n\n  b", id="paragraphs"),
        pytest.param("a\n\n", '"a\\n\\n"', id="empty-lines-behind"),
        pytest.param("\ta\nb", '"\\ta\\nb"', id="tab-in-front"),
        pytest.param("a\r\nb", '"a\\r\\nb"', id="crlf"),
        pytest.param("\0\x1b\x85\u2028\ufeff", '"\\0\\x1B\\x85\\u2028\\uFEFF"', id="hidden"),
        pytest.param('"\\', '"\\"\\\\"', id="quotes"),
        pytest.param("é漢🔐", '"é漢🔐"', id="letters"),
        pytest.param("---", '"---"', id="document"),
    ],
)
def test_how_a_text_is_written(text: str, expected: str) -> None:
    """As readable as it can be without doubt."""
    assert value_text(text, indent=2) == expected


_TEXT = st.text(
    st.one_of(st.sampled_from("ab \t\n\r:#-?{}[]&*!|>%@`,\"'\\/~=<.0"), st.characters(codec="utf-8")), max_size=12
)


@settings(max_examples=100)
@given(_TEXT, _TEXT, st.booleans())
def test_what_is_written_is_read_again(key: str, text: str, flow: bool) -> None:  # noqa: FBT001  # Hypothesis
    """As text, in blocks and in braces, as key and as value."""
    if text.startswith("ENC[") or key == "<<" or key.startswith("ENC["):
        return
    written = value_text(text, indent=4, flow=flow)
    document = pysops.parse((f"{{{quoted(key)}: {written}}}" if flow else f"{key_text(key)}: {written}\n").encode())
    entry = document.root.entries[0]
    assert isinstance(entry.value, pysops.Scalar)
    assert (entry.key.text, entry.value.text, entry.value.kind) == (key, text, ScalarKind.STR)


@pytest.mark.parametrize(
    ("text", "survives"),
    [
        *(pytest.param(text, True, id=repr(text)) for text in ("", "a", " ", "\n", "a\r\nb", "\t", "a\n\tb", "é漢🔐")),
        *(pytest.param(text, True, id=repr(text)) for text in ("5", "null", "---\n", "<<a", "a ENC[", "\xa0", "\r")),
        *(pytest.param(text, False, id=repr(text)) for text in ("\0", "\x1b", "\x7f", "\x85", "\u2028", "\u2029")),
        *(pytest.param(text, False, id=repr(text)) for text in ("<<", "ENC[", "\ta\nb", "\t\n", "\ufeff", "\uffff")),
        pytest.param("\udc80", False, id="half-a-character"),
    ],
)
def test_which_texts_survive(text: str, survives: bool) -> None:  # noqa: FBT001  # a table
    """The others are stored as base64."""
    assert survives_as_text(text) is survives


@pytest.mark.parametrize("number", range(3))
def test_what_survives_does_so_in_sops(number: int, desk: Desk) -> None:
    """Decrypted by sops and encrypted by it again, and read from what it printed by our strict parse."""
    alphabet = "\n\n  \tab#-:|>\"'\\?&*!%@`{}[],0~=<.\r\xa0é"
    starts = [alphabet[(at * 7 + number * 3) % len(alphabet)] for at in range(40)]
    texts = [
        "".join(alphabet[(at * step + number * at * at + len(start)) % len(alphabet)] for at in range(1 + step % 9))
        for step, start in enumerate(starts)
    ]
    texts = [text for text in (*texts, *map("".join, zip(starts, texts, strict=True))) if survives_as_text(text)]
    plain = "secrets:\n" + "".join(f"    k{at}: {quoted(text)}\n" for at, text in enumerate(texts))
    expected = {f"k{at}": text for at, text in enumerate(texts)}
    shown = desk.shown(desk.ours(plain.encode())).encode()
    for data in (desk.theirs(shown), desk.ours(shown)):
        assert below(desk.read(data), "secrets") == expected
    assert desk.read(desk.theirs(desk.writer.plaintext(locked(desk.ours(shown))))) == {"secrets": expected}
