"""Strict reading: what is refused, whatever it would decrypt to, and where."""

import pytest

from reconciler.pysops import MAX_FILE_BYTES, DocumentError, Mapping, Mark, Scalar, ScalarKind, Sequence, parse
from reconciler.pysops.document import MAX_DEPTH
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsFailed, SopsTool


@pytest.mark.parametrize(
    ("data", "complaint", "line", "column"),
    [
        pytest.param(b"a: x\n---\nb: y\n", "a second document", 2, 1, id="second document"),
        pytest.param(b"a: x\n---\n", "a second document", 2, 1, id="second document without content"),
        pytest.param(b"a: x\n...\n---\n", "a second document", 3, 1, id="second document after an end"),
        pytest.param(b"a: x\nb: y\na: z\n", "a key that stands twice", 3, 1, id="duplicate key"),
        pytest.param(b"a: x\n'a': z\n", "a key that stands twice", 2, 1, id="duplicate key in quotes"),
        pytest.param(b"a: {b: {c: x, c: y}}\n", "a key that stands twice", 1, 15, id="nested duplicate key"),
        pytest.param(b"a: &x y\n", "an anchor", 1, 4, id="anchor"),
        pytest.param(b"a: &x\n  b: y\n", "an anchor", 1, 4, id="anchor of a mapping"),
        pytest.param(b"a: &x [y]\n", "an anchor", 1, 4, id="anchor of a list"),
        pytest.param(b"a: *x\n", "an alias", 1, 4, id="alias"),
        pytest.param(b"*x : a\n", "an alias", 1, 1, id="alias as key"),
        pytest.param(b"<<: {a: x}\n", "a merge key", 1, 1, id="merge key"),
        pytest.param(b"'<<': {a: x}\n", "a merge key", 1, 1, id="merge key in quotes"),
        pytest.param(b"a: !!str x\n", "a tag", 1, 4, id="tag"),
        pytest.param(b"a: ! x\n", "a tag", 1, 4, id="non-specific tag"),
        pytest.param(b"a: !!map {b: x}\n", "a tag", 1, 4, id="tag of a mapping"),
        pytest.param(b"a: !<tag:yaml.org,2002:str> x\n", "a tag", 1, 4, id="verbatim tag"),
        pytest.param(b"!!str a: x\n", "a tag", 1, 1, id="tag of a key"),
        pytest.param(b"%YAML 1.1\n---\na: x\n", "a directive", 1, 1, id="version directive"),
        pytest.param(b"%TAG ! tag:x,2024:\n---\na: x\n", "a directive", 1, 1, id="tag directive"),
        pytest.param(b"\xef\xbb\xbfa: x\n", "a byte order mark", 1, 1, id="byte order mark"),
        pytest.param("a: x\ufeff\n".encode(), "a byte order mark", 1, 5, id="byte order mark inside"),
        pytest.param("a: x\n".encode("utf-16"), "not UTF-8", 1, 1, id="UTF-16"),
        pytest.param(b"a: x\nb: \xc3\xa9\xff\n", "not UTF-8", 2, 5, id="Latin-1"),
        pytest.param(b"a: x\x00\n", r"U\+0000", 1, 5, id="NUL"),
        pytest.param(b"a: x # \x1b[2K\n", r"U\+001B", 1, 8, id="escape in a comment"),
        pytest.param(b"a: x\x7f\n", r"U\+007F", 1, 5, id="DEL"),
        pytest.param("a: x # é\u0085b: y\n".encode(), "NEL", 1, 9, id="NEL"),
        pytest.param("a: x\u2028\n".encode(), "line separator", 1, 5, id="line separator"),
        pytest.param("a: x\u2029\n".encode(), "paragraph separator", 1, 5, id="paragraph separator"),
        pytest.param(b"a: x # c\rb: y\n", "carriage return", 1, 9, id="lone CR"),
        pytest.param(b"1: x\n", "a key that is not text", 1, 1, id="int key"),
        pytest.param(b"a:\n  true: x\n", "a key that is not text", 2, 3, id="bool key"),
        pytest.param(b"~: x\n", "a key that is not text", 1, 1, id="null key"),
        pytest.param(b"2024-01-02: x\n", "a key that is not text", 1, 1, id="timestamp key"),
        pytest.param(b"? [a]\n: x\n", "a key that is not text", 1, 3, id="list as key"),
        pytest.param(b"{a: x}: y\n", "a key that is not text", 1, 1, id="mapping as key"),
        pytest.param(b"a: ENC[AES256_GCM,data:\n", "not whole", 1, 4, id="envelope cut off"),
        pytest.param(b"a: [x, 'ENC[] trailing']\n", "not whole", 1, 8, id="text behind an envelope"),
        pytest.param(b"a: 9223372036854775808\n", "an integer above", 1, 4, id="unsigned integer"),
        pytest.param(b"- a\n", "a list at the top", 1, 1, id="list at the top"),
        pytest.param(b"hunter2\n", "a single value at the top", 1, 1, id="scalar at the top"),
        pytest.param(b"---\n", "holds nothing", 2, 1, id="empty document"),
        pytest.param(b"", "the file is empty", None, None, id="empty file"),
        pytest.param(b"# nothing\n\n", "the file is empty", None, None, id="comments alone"),
        pytest.param(b"a: x\n<<<<<<< HEAD\nb: y\n=======\n", "git conflict markers", 2, 1, id="conflict"),
        pytest.param(b"a: x\r\n=======\r\nb: y\r\n", "git conflict markers", 2, 1, id="half a conflict, CRLF"),
        pytest.param(b"a: x\n||||||| 1234567\n", "git conflict markers", 2, 1, id="conflict of three"),
        pytest.param(b"a: 'x\n", "not valid YAML", 2, 1, id="open quote"),
        pytest.param(b"a: [x\n", "not valid YAML", 2, 1, id="open list"),
        pytest.param(b'a: "x\\/y"\n', r"not valid YAML to sops: \\/", 1, 4, id="escaped slash"),
        pytest.param(b'a: x\nb: ["\\\\\\/"]\n', r"not valid YAML to sops: \\/", 2, 5, id="slash behind two escapes"),
        pytest.param(b"a: [x?y]\n", "not valid YAML to sops: a question", 1, 5, id="question mark in a list"),
        pytest.param(b"a: {d: e?}\n", "not valid YAML to sops: a question", 1, 8, id="question mark in braces"),
        pytest.param(b"a: {d?: e}\n", "not valid YAML to sops: a question", 1, 5, id="question mark in a key"),
        pytest.param(b"a:\n\tb: x\n", "not valid YAML", 2, 1, id="tab as indentation"),
        pytest.param(b"a: x: y\n", "not valid YAML", 1, 5, id="two colons"),
        pytest.param("a: x\ufffe\n".encode(), "not valid YAML", None, None, id="noncharacter"),
        pytest.param(b"[" * 1_000_000, "nested too deeply", 1, MAX_DEPTH + 1, id="deep list"),
        pytest.param(b'{"a":' * 1_000_000, "nested too deeply", 1, 1 + 5 * MAX_DEPTH, id="deep mapping"),
        pytest.param(b"- " * 100_000, "nested too deeply", 1, 1 + 2 * MAX_DEPTH, id="deep block"),
        pytest.param(b"#" * (MAX_FILE_BYTES + 1), "too large", None, None, id="too large"),
    ],
)
def test_refused(data: bytes, complaint: str, line: int | None, column: int | None) -> None:
    """The error says what is wrong and where, and chains nothing that quotes the file."""
    with pytest.raises(DocumentError, match=complaint) as caught:
        parse(data)
    mark = caught.value.mark
    assert (mark and mark.line) == line
    assert column is None or (mark is not None and mark.column == column)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"---\na: x\n...\n", id="explicit start and end"),
        pytest.param(b"a: x\r\n", id="CRLF"),
        pytest.param(b"? a\n: x\n", id="question mark"),
        pytest.param(b"a?: x?y\nb:\n- ?z\n", id="question marks outside of brackets"),
        pytest.param(b"a: ['x?', \"y?\"]\n", id="question marks in quotes"),
        pytest.param(b'a: "/\\\\/"\n', id="slash behind an escaped backslash"),
        pytest.param(b"'1': x\n", id="number in quotes"),
        pytest.param(b"yes: x\n", id="yes is text"),
        pytest.param(b"a: <<\n", id="merge sign as value"),
        pytest.param(b"a: |\n  <<<<<<< not a marker\n", id="indented marker"),
        pytest.param(b"a: ========\n", id="many equals signs"),
        pytest.param(b'a: "\\0\\uFEFF\\L"\n', id="escapes"),
        pytest.param(b"{}\n", id="empty mapping"),
        pytest.param(b"a: {sops: x}\nsops: y\n", id="same key at another place"),
        pytest.param(b"a: " + b"[" * 99 + b"]" * 99, id="deepest"),
    ],
)
def test_accepted(data: bytes) -> None:
    """What is unusual and harmless is read."""
    assert isinstance(parse(data).root, Mapping)


@pytest.mark.parametrize("data", [b"a:\n\tb: x\n", b"a:\n    b: x\n  \tc: y\n"])
def test_a_tab_as_indentation_is_named(data: bytes) -> None:
    """It does not show in most editors."""
    with pytest.raises(DocumentError, match="not valid YAML") as caught:
        parse(data)
    assert caught.value.advice == "indent with spaces, not with tabs"


@pytest.mark.parametrize("data", [b'a: "x\\/y"\n', b"a: [x?y]\n", b"a: {d: e?}\n", b"a: {d?: e}\n"])
def test_what_only_libyaml_reads_is_nothing_to_sops(sops: SopsTool, age_key: AgeKey, data: bytes) -> None:
    """It fails: so do we."""
    metadata = sops.encrypt(b"b: x\n", [age_key.recipient], encrypted_regex="^b$")
    with pytest.raises(SopsFailed):
        sops.decrypt(metadata + data, age_key.identity)


def test_the_text_of_a_node_does_not_show() -> None:
    """A file that somebody forgot to encrypt is parsed too: its values stay out of crash reports."""
    assert "hunter2" not in repr(parse(b"password: hunter2\nlist: [hunter2]\n"))


def test_every_node_knows_its_place() -> None:
    """Lines and columns count from 1, columns in characters; quoted scalars are text."""
    root = parse('é: "5"\nb:\n  - 5\n  - [~]\n'.encode()).root
    first, second = root.entries
    assert (first.key.text, first.key.mark) == ("é", Mark(line=1, column=1))
    assert first.value == Scalar(text="5", kind=ScalarKind.STR, mark=Mark(line=1, column=4))
    assert isinstance(second.value, Sequence)
    assert second.value.items == (
        Scalar(text="5", kind=ScalarKind.INT, mark=Mark(line=3, column=5)),
        Sequence(
            items=(Scalar(text="~", kind=ScalarKind.NULL, mark=Mark(line=4, column=6)),),
            mark=Mark(line=4, column=5),
            empty_comment=None,
        ),
    )


def test_a_list_knows_of_an_empty_comment_in_it() -> None:
    """Whoever decrypts it has to: sops takes it for an item."""
    root = parse(b"a:\n  - x\n  #\n  - y\nb: [x]\nc: # no empty one\n  - [p, q] #\n").root
    found = {entry.key.text: entry.value.empty_comment for entry in root.entries if isinstance(entry.value, Sequence)}
    assert found == {"a": Mark(line=3, column=3), "b": None, "c": Mark(line=7, column=12)}


def test_documents_can_be_compared_and_kept_in_sets() -> None:
    """By what they hold: the bytes are at hand, but two ways to write the same do not differ by them."""
    first, second = parse(b"a: [x]"), parse(b"a: [x] ")
    assert (first.data, second.data) == (b"a: [x]", b"a: [x] ")
    assert len({first, second, parse(b"a: [y]")}) == 2
    assert "x" not in repr(first)
