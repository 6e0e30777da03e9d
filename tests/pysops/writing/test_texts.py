"""A file as text for an editor, and the edited text encrypted again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import pysops
from reconciler.pysops import ArgumentError, DecryptionError, DocumentError, Put
from tests.pysops.writing.desk import NOW, PLAIN, WRITTEN, Desk, below, envelopes, locked


COMMENTS = {
    "above": "secrets:\n    # c\n    a: x\n",
    "above-and-blank": "secrets:\n\n    # c\n\n    # d\n    a: x\n",
    "less-indented": "secrets:\n  # c\n    a: x\n",
    "not-indented": "secrets:\n# c\n    a: x\n",
    "beside": "secrets:\n    a: x # c\n    b: z\n",
    "beside-key": "secrets: # c\n    a: x # d\n",
    "below": "secrets:\n    a: x\n    # c\nz: w\n",
    "below-not-indented": "secrets:\n    a: x\n# c\nz: w\n",
    "at-the-end": "secrets:\n    a: x\n    # c\n# d\n",
    "of-each-level": "secrets:\n    t:\n        a: x\n        # c\n    # d\n    u: z\n    # e\n# f\n",
    "block": "secrets:\n    a: | # c\n        x\n        y\n    # d\n    b: z\n",
    "quotes": 'secrets:\n    a: "x # no comment" # c\n    # it\'s "quoted"\n    b: \'#\'\n',
    "list": "secrets:\n    l:\n        # c\n        - x\n        # d\n        - z # e\n        # f\n    # g\n    b: w",
    "list-beside-key": "secrets:\n    l: # c\n        - x\n    # d\n    b: z\n",
    "list-not-indented": "secrets:\n    l:\n    # c\n    - x\n    # d\n    b: z\n",
    "list-of-mappings": "secrets:\n    l:\n        - a: x # c\n          # d\n          b: z\n          # e\n"
    "        # f\n        - a: w\n",
    "null": "secrets:\n    l: # c\n    m: # d\n    # e\n    o: x\n",
    "own-line-of-value": "secrets:\n    a:\n        # c\n        x\n    b: z\n",
    "odd": "secrets:\n    a: x #c\n    #d\n    b: z # # e\n    #\n    # ENC[f]\n    c: w\n",
    "white-space": "secrets:\n    # c  \n    # \n    a: x  # d \n",
}

_UNIQUE = [text for text in COMMENTS.values() if "\nz: w" not in text]
"""Those that can stand in one file."""


@pytest.mark.parametrize("text", COMMENTS.values(), ids=COMMENTS.keys())
@pytest.mark.parametrize("selector", ["encrypted_regex: ^secrets$", ""], ids=["some", "all"])
def test_comments_are_encrypted_as_sops_does(text: str, selector: str, desk: Desk) -> None:
    """What sops prints of our file is what it prints of its own, comments, their places and all."""
    here = Desk(sops=desk.sops, key=desk.key, selector=selector)
    ours = here.ours(text.encode())
    assert here.shown(ours) == here.shown(here.theirs(text.encode()))
    shown_in_plain = ours.partition(b"\nsops:")[0].replace(b"#ENC[", b"").count(b"#")
    assert shown_in_plain == here.theirs(text.encode()).replace(b"#ENC[", b"").count(b"#")


@pytest.mark.parametrize("text", COMMENTS.values(), ids=COMMENTS.keys())
def test_what_is_opened_is_sealed_as_it_was(text: str, desk: Desk) -> None:
    """Not edited: the same bytes. Edited: all that was not keeps its ciphertext, comments included."""
    data = desk.ours(text.encode())
    file = locked(data)
    opened = desk.writer.plaintext(file)
    assert desk.writer.reseal(file, opened, now=NOW) is file.document.data
    edited = opened.rstrip(b"\n") + b"\nnote: new\n"
    made = desk.writer.reseal(file, edited, now=NOW)
    assert desk.shown(made) == desk.shown(desk.theirs(edited))
    assert envelopes(made) == envelopes(data)


def test_what_sops_made_is_sealed_as_it_was(desk: Desk) -> None:
    """Also as it lays out comments in lists of lists."""
    cases = [text.rstrip("\n").replace("secrets:", f"secrets{number}:") for number, text in enumerate(_UNIQUE)]
    here = Desk(sops=desk.sops, key=desk.key, selector="encrypted_regex: ^secrets")
    text = "\n".join((*cases, "secrets:\n    -\n      # c\n      - x\n      - - z\n"))
    file = locked(here.theirs(text.encode()))
    opened = here.writer.plaintext(file)
    assert here.shown(here.theirs(opened)) == here.shown(file.document.data)
    assert here.writer.reseal(file, opened, now=NOW) is file.document.data
    made = here.writer.reseal(file, opened + b"note: new\n", now=NOW)
    assert envelopes(made) == envelopes(file.document.data)


def test_the_text_of_an_own_file_is_that_of_which_it_was_made(desk: Desk) -> None:
    """But for how texts are quoted: empty lines, comments beside values and the order stay."""
    text = PLAIN.replace(b"    B:", b"\n    # spaced\n\n    B:").replace(b"- y", b"- z")
    assert desk.writer.plaintext(locked(desk.ours(text))) == text


def test_an_edited_text(desk: Desk, theirs: bytes) -> None:
    """Values that were touched are encrypted anew, those that moved as well, the rest is not."""
    opened = desk.writer.plaintext(locked(theirs))
    edited = opened.replace(b"A: one", b"A: changed").replace(b"base64: AAEC", b"text: AAEC")
    edited = edited.replace(b"# the first", b"# the very first")
    made = desk.writer.reseal(locked(theirs), edited, now=NOW)
    assert desk.read(made) == {**desk.read(theirs), **desk.read(desk.theirs(edited))}
    assert desk.shown(made) == desk.shown(desk.theirs(edited))
    assert len(envelopes(theirs) - envelopes(made)) == 3
    assert f'lastmodified: "{WRITTEN}"'.encode() in made
    assert pysops.metadata(made).wrapped_keys[0].enc == pysops.metadata(theirs).wrapped_keys[0].enc


def test_a_comment_beside_brackets_moves_above_the_key(desk: Desk) -> None:
    """Sops takes it to be within the list, where it would be an item."""
    ours = desk.ours(b"secrets:\n    m: [x, z] # c\n    # d\n    o: v\n")
    assert desk.shown(ours) == "secrets:\n    # c\n    m:\n        - x\n        - z\n    # d\n    o: v\n"


def test_equal_items_of_a_list_do_not_share_a_ciphertext(desk: Desk) -> None:
    """Or everybody could see that they are equal."""
    data = desk.ours(b"secrets:\n    - x\n")
    made = desk.writer.reseal(locked(data), b"secrets:\n    - x\n    - x\n", now=NOW)
    assert len(envelopes(made)) == 2
    assert envelopes(data) < envelopes(made)


def test_numbers_are_shown_as_numbers(desk: Desk) -> None:
    """And texts that look like one in quotes."""
    text = b'secrets:\n    i: 5\n    s: "5"\n    f: 1.5\n    b: true\n    t: 2024-01-02T00:00:00Z\n    z: null\n'
    data = desk.theirs(text)
    opened = desk.writer.plaintext(locked(data))
    assert opened == text
    made = desk.writer.reseal(locked(data), opened.replace(b"i: 5", b"i: 6"), now=NOW)
    assert below(desk.read(made), "secrets", "i") == 6


def test_a_float_that_yaml_takes_for_an_integer_is_not_shown(desk: Desk) -> None:
    """Saving would make it one. sops does that silently."""
    data = desk.theirs(b"secrets:\n    f: 5.0\n")
    with pytest.raises(DecryptionError, match="same values"):
        desk.writer.plaintext(locked(data))
    assert below(desk.read(desk.change(data, Put(path=("secrets", "g"), value="x"))), "secrets", "f") == 5.0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"a: [", "YAML", id="no-yaml"),
        pytest.param(b"secrets:\n    a: &x y\n", "anchor", id="anchor"),
        pytest.param(b"secrets:\n    a: x\nsops: {}\n", "key sops", id="metadata"),
        pytest.param(b"{secrets: {a: x}}\n", "braces", id="braces"),
        pytest.param(b"secrets: [a, # c\n    b]\n", "comment in brackets", id="comment-in-brackets"),
    ],
)
def test_texts_that_are_refused(text: bytes, why: str, desk: Desk, theirs: bytes) -> None:
    """With a reason, and whether a new file is to be made of them or not."""
    with pytest.raises(DocumentError, match=why):
        desk.writer.reseal(locked(theirs), text, now=NOW)
    with pytest.raises(DocumentError, match=why):
        desk.ours(text)


def test_a_secret_that_is_moved_out_is_not_left_in_plain(desk: Desk, theirs: bytes) -> None:
    """As by a misspelt key, which nobody notices in an editor."""
    theirs = desk.change(theirs, Put(path=("secrets", "D", "base64"), value="a long secret"))
    opened = desk.writer.plaintext(locked(theirs))
    with pytest.raises(ArgumentError, match="no encrypted value"):
        desk.writer.reseal(locked(theirs), opened.replace(b"secrets:", b"secret:"), now=NOW)
    with pytest.raises(ArgumentError, match="would stand in plain"):
        desk.writer.reseal(locked(theirs), opened.replace(b"    D:", b"secret:\n    D:"), now=NOW)


_TEXT = st.text(
    st.sampled_from("ab \t\n\r:#-?{}[]&*!|>%@`,\"'\\\x00\x07\x1b\x7f\x85\u2028\ufeff\ufffeé漢🔐0~<=."), max_size=9
)


@settings(max_examples=25)
@given(st.lists(_TEXT, min_size=1, max_size=12))
def test_any_text_is_shown_so_that_it_is_read_again(texts: list[str]) -> None:
    """By us and by sops, whatever is in it, in keys as well."""
    desk = _DESK[0]
    edits = [Put(path=("secrets", f"k{number}"), value=text) for number, text in enumerate(texts)]
    data = desk.change(_DESK_FILE[0], *edits)
    assert below(desk.read(data), "secrets") == {"a": "x", **{edit.path[1]: edit.value for edit in edits}}
    if any(text.startswith("ENC[") for text in texts):
        return
    opened = desk.writer.plaintext(locked(data))
    assert desk.writer.reseal(locked(data), opened, now=NOW) == data
    assert desk.read(desk.theirs(opened)) == desk.read(data)


_DESK: list[Desk] = []
_DESK_FILE: list[bytes] = []


@pytest.fixture(autouse=True, scope="module")
def _at_hand(desk: Desk) -> None:
    # Hypothesis has no fixtures of a session.
    _DESK[:] = [desk]
    _DESK_FILE[:] = [desk.ours(b"secrets:\n    a: x\n")]
