"""Changing values of a file: what is meant changes, all else stays byte by byte, and sops reads the same."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from reconciler import pysops
from reconciler.pysops import ArgumentError, Edit, Put, Remove, Rename
from tests.pysops.writing.desk import NOW, PLAIN, WRITTEN, Desk, below, envelopes, locked


_FLOW = "secrets: {a: x, b: [y]}\n"


def test_a_value_is_replaced_where_it_stands(desk: Desk, theirs: bytes) -> None:
    """Three lines differ: its own, ``lastmodified`` and the MAC."""
    made = desk.change(theirs, Put(path=("secrets", "A"), value="new"))
    before, after = theirs.decode().splitlines(), made.decode().splitlines()
    differing = [line for line, other in zip(after, before, strict=True) if line != other]
    assert [line.split(":")[0].strip() for line in differing] == ["A", "lastmodified", "mac"]
    assert f'    lastmodified: "{WRITTEN}"' in after
    assert len(envelopes(made) & envelopes(theirs)) == len(envelopes(theirs)) - 1
    assert desk.shown(made) == desk.shown(theirs).replace("A: one", "A: new")


@pytest.mark.parametrize(
    ("edits", "replacements"),
    [
        pytest.param(
            [Put(path=("secrets", "C"), value="short")],
            {"C: |\n        several\n        lines\n": "C: short\n"},
            id="block-by-text",
        ),
        pytest.param([Put(path=("secrets", "E"), value="last")], {'- "y"\n': '- "y"\n    E: last\n'}, id="new-key"),
        pytest.param(
            [Put(path=("secrets", "E"), value="1"), Put(path=("secrets", "F"), value="yes")],
            {'- "y"\n': '- "y"\n    E: "1"\n    F: "yes"\n'},
            id="two-new-keys",
        ),
        pytest.param(
            [Put(path=("secrets", "E", "f", "g"), value="deep")],
            {'- "y"\n': '- "y"\n    E:\n        f:\n            g: deep\n'},
            id="keys-above",
        ),
        pytest.param(
            [Put(path=("secrets", "D", "empty"), value="yes")],
            {"base64: AAEC\n": 'base64: AAEC\n        empty: "yes"\n'},
            id="in-nested",
        ),
        pytest.param(
            [Put(path=("secrets", "D"), value="text")],
            {"D:\n        base64: AAEC\n": "D: text\n"},
            id="mapping-by-text",
        ),
        pytest.param(
            [Put(path=("secrets", "A"), value={"base64": "AA=="})],
            {"A: one\n": "A:\n        base64: AA==\n"},
            id="text-by-mapping",
        ),
        pytest.param(
            [Put(path=("secrets", "D"), value={"empty": "yes"})],
            {"base64: AAEC\n": 'empty: "yes"\n'},
            id="mapping-by-mapping",
        ),
        pytest.param(
            [Put(path=("secrets", "E"), value=["a", {"b": "c", "d": ["e"]}, [], {}])],
            {
                '- "y"\n': '- "y"\n    E:\n        - a\n        - b: c\n          d:\n            - e\n'
                "        - []\n        - {}\n"
            },
            id="list",
        ),
        pytest.param([Put(path=("secrets", "E"), value="")], {'- "y"\n': '- "y"\n    E: ""\n'}, id="empty-text"),
        pytest.param([Put(path=("secrets", "A"), value="")], {"A: one\n": 'A: ""\n'}, id="emptied-text"),
        pytest.param([Remove(path=("secrets", "A"))], {"    A: one\n": ""}, id="remove-first"),
        pytest.param(
            [Remove(path=("secrets", "D", "base64"))], {"    D:\n        base64: AAEC\n": ""}, id="remove-with-above"
        ),
        pytest.param(
            [Remove(path=("secrets", "D", "base64")), Put(path=("secrets", "D", "empty"), value="y")],
            {"base64: AAEC\n": 'empty: "y"\n'},
            id="remove-and-refill",
        ),
        pytest.param(
            [Remove(path=("secrets", "L"))],
            {'    L:\n        # of a list\n        - x\n        - "y"\n': ""},
            id="remove-list",
        ),
        pytest.param([Rename(path=("secrets", "A"), name="Z z")], {"    A: one": "    Z z: one"}, id="rename"),
        pytest.param([Rename(path=("secrets", "D"), name="no")], {"    D:\n": '    "no":\n'}, id="rename-mapping"),
        pytest.param([Rename(path=("secrets", "L"), name="M")], {"    L:\n": "    M:\n"}, id="rename-list"),
        pytest.param([Put(path=("scope",), value="other", plain=True)], {"scope: app": "scope: other"}, id="in-plain"),
        pytest.param(
            [Put(path=("acls",), value=[], plain=True)],
            {"acls:\n    - principal: readers\n      permission: READ\n": "acls: []\n"},
            id="list-by-empty",
        ),
        pytest.param(
            [Put(path=("note",), value="a: b\nc # d\n", plain=True)],
            {"      permission: READ\n": "      permission: READ\nnote: |\n    a: b\n    c # d\n"},
            id="block-in-plain",
        ),
    ],
)
def test_sops_reads_what_was_meant(
    edits: Sequence[Edit], replacements: dict[str, str], desk: Desk, theirs: bytes
) -> None:
    """Values, comments and their order; and nothing that is not spoken of gets another ciphertext."""
    made = desk.change(theirs, *edits)
    expected = desk.shown(theirs)
    for old, new in replacements.items():
        assert expected.count(old) == 1
        expected = expected.replace(old, new)
    assert desk.shown(made) == expected


@pytest.mark.parametrize(
    "edits",
    [
        pytest.param([], id="nothing"),
        pytest.param([Put(path=("secrets", "A"), value="one")], id="same-text"),
        pytest.param([Put(path=("secrets", "C"), value="several\nlines\n")], id="same-lines"),
        pytest.param([Put(path=("secrets", "D"), value={"base64": "AAEC"})], id="same-mapping"),
        pytest.param([Put(path=("secrets", "L"), value=["x", "y"])], id="same-list"),
        pytest.param([Remove(path=("secrets", "X"))], id="nothing-there"),
        pytest.param([Remove(path=("secrets", "A", "deeper"))], id="nothing-below-text"),
        pytest.param([Rename(path=("secrets", "A"), name="A")], id="same-name"),
        pytest.param(
            [Put(path=("secrets", "A"), value="two"), Put(path=("secrets", "A"), value="one")], id="back-and-forth"
        ),
    ],
)
def test_what_changes_nothing_returns_the_same_file(edits: Sequence[Edit], desk: Desk, theirs: bytes) -> None:
    """Not even ``lastmodified`` is touched, and the bytes are the same object."""
    file = locked(theirs)
    if edits and edits[-1] == Put(path=("secrets", "A"), value="one") and len(edits) > 1:
        assert desk.read(desk.writer.change(file, edits, now=NOW)) == desk.read(theirs)
        return
    assert desk.writer.change(file, edits, now=NOW) is file.document.data


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        pytest.param(Put(path=(), value="x"), "root", id="root"),
        pytest.param(Put(path=("sops", "mac"), value="x"), "metadata", id="metadata"),
        pytest.param(Put(path=("secret", "A"), value="x"), "in plain", id="misspelt"),
        pytest.param(Put(path=("secrets", "A", "b"), value="x"), "mapping would have to be", id="below-text"),
        pytest.param(Put(path=("secrets", "L", "b"), value="x"), "mapping would have to be", id="below-list"),
        pytest.param(Put(path=("secrets", "A"), value="\udc80"), "UTF-8", id="half-a-character"),
        pytest.param(Put(path=("secrets", "A"), value=5), "not text", id="number"),  # type: ignore[arg-type]
        pytest.param(Put(path=("secrets", "A"), value={"a": None}), "not text", id="null"),  # type: ignore[dict-item]
        pytest.param(Put(path=("secrets", "A"), value=b"x"), "not text", id="bytes"),  # type: ignore[arg-type]
        pytest.param(Remove(path=("secrets",)), "no encrypted value", id="all-secrets"),
        pytest.param(Rename(path=("secrets",), name="secret"), "no encrypted value", id="rename-to-plain"),
        pytest.param(Rename(path=("secrets", "A"), name="B"), "taken", id="taken"),
        pytest.param(Rename(path=("secrets", "X"), name="Y"), "no such key", id="nothing-to-rename"),
        pytest.param(Rename(path=("scope",), name="sops"), "metadata", id="to-metadata"),
    ],
)
def test_what_cannot_be_done_is_refused(edit: Edit, why: str, desk: Desk, theirs: bytes) -> None:
    """Before anything is written."""
    with pytest.raises(ArgumentError, match=why):
        desk.change(theirs, edit)


def test_the_last_secret_is_not_removed_silently(desk: Desk) -> None:
    """Nor key by key."""
    made = desk.ours(b"secrets:\n    a:\n        b: x\n    c: y\n")
    with pytest.raises(ArgumentError, match="no encrypted value"):
        desk.change(made, Remove(path=("secrets", "a", "b")), Remove(path=("secrets", "c")))


def test_a_field_in_plain_may_go(desk: Desk) -> None:
    """With the last thing in it."""
    made = desk.ours(b"rotation:\n    a:\n        days: x\nsecrets:\n    c: y\n")
    made = desk.change(made, Remove(path=("rotation", "a", "days")))
    assert desk.shown(made) == 'secrets:\n    c: "y"\n'


def test_a_renamed_mapping_takes_its_comments_along(desk: Desk) -> None:
    """Comments are bound to the keys above them as well: sops would warn of those that it cannot open."""
    text = (
        b"secrets:\n    # above\n    a: # beside\n        # within\n        b: x # value\n        # below\n    c: y\n"
    )
    made = desk.change(desk.theirs(text), Rename(path=("secrets", "a"), name="z"))
    assert desk.shown(made) == desk.shown(desk.theirs(text)).replace("a:", "z:")


def test_comments_below_what_is_removed_go_with_it(desk: Desk) -> None:
    """They are bound to keys that are no longer there."""
    text = b"secrets:\n    a:\n        b: x\n        # one\n\n        # two\n    # three\n    c: y\n"
    ours = desk.ours(text)
    assert desk.shown(desk.change(ours, Remove(path=("secrets", "a")))) == 'secrets:\n    # three\n    c: "y"\n'


def test_a_comment_beside_what_is_removed_goes_with_it(desk: Desk) -> None:
    """One above stays: it may be about more than the one key."""
    made = desk.change(desk.ours(), Remove(path=("secrets", "B")), Remove(path=("secrets", "A")))
    expected = desk.shown(desk.theirs(PLAIN)).replace("    # of two\n    B: two\n", "").replace("    A: one\n", "")
    assert desk.shown(made) == expected


@pytest.mark.parametrize("old", ["x", "", "[x, y]", "{x: y}"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_a_block_stands_behind_the_comment_beside_it(old: str, line_break: str, desk: Desk) -> None:
    """Or the comment would be part of its last line."""
    text = f"secrets:\n    a: b\nnote: {old} # of the note\nrest: z\n".replace("\n", line_break)
    made = desk.change(desk.ours(text.encode()), Put(path=("note",), value="one\ntwo\n", plain=True))
    assert f"note: | # of the note{line_break}    one{line_break}    two{line_break}rest: z".encode() in made.replace(
        b"|  #", b"| #"
    )
    assert desk.read(made)["note"] == "one\ntwo\n"
    made = desk.change(made, Put(path=("note",), value={"a": ["one\ntwo\n"]}, plain=True))
    assert desk.read(made)["note"] == {"a": ["one\ntwo\n"]}


def test_new_keys_stand_in_front_of_comments_of_what_follows(desk: Desk) -> None:
    """And behind comments of what they follow."""
    text = b"secrets:\n    a:\n        b: x\n        # below b\n# of d\nd: z\n"
    made = desk.change(desk.ours(text), Put(path=("secrets", "c"), value="new"))
    assert desk.shown(made) == text.decode().replace("# of d", "    c: new\n# of d")


@pytest.mark.parametrize(
    ("text", "edit", "expected"),
    [
        pytest.param(_FLOW, Put(path=("secrets", "a"), value="z"), {"a": "z", "b": ["y"]}, id="flow-put"),
        pytest.param(_FLOW, Put(path=("secrets", "c"), value="z"), {"a": "x", "b": ["y"], "c": "z"}, id="flow-new"),
        pytest.param(_FLOW, Remove(path=("secrets", "b")), {"a": "x"}, id="flow-remove"),
        pytest.param(_FLOW, Rename(path=("secrets", "b"), name="c d"), {"a": "x", "c d": ["y"]}, id="flow-rename"),
        pytest.param(
            "secrets:\n  a: {b: {c: x}}\n",
            Put(path=("secrets", "a", "b", "d"), value="y"),
            {"a": {"b": {"c": "x", "d": "y"}}},
            id="flow-below",
        ),
        pytest.param(
            "secrets:\r\n  a: x\r\n  b: |\r\n    y\r\n    z\r\n",
            Put(path=("secrets", "c"), value="w"),
            {"a": "x", "b": "y\nz\n", "c": "w"},
            id="crlf",
        ),
        pytest.param(
            "secrets:\n  a: x\n  b:\n  c: y",
            Put(path=("secrets", "b"), value="z"),
            {"a": "x", "b": "z", "c": "y"},
            id="null-and-no-line-break-at-the-end",
        ),
        pytest.param(
            "secrets:\n  a: x\n  b:\n",
            Put(path=("secrets", "b", "c"), value="z"),
            {"a": "x", "b": {"c": "z"}},
            id="below-null",
        ),
        pytest.param(
            "secrets:\n  ? a\n  : x\n  ? b\n  :\n    c: y\n",
            Put(path=("secrets", "a"), value="z"),
            {"a": "z", "b": {"c": "y"}},
            id="question-marks",
        ),
        pytest.param(
            "secrets:\n  ? a\n  : x\n",
            Put(path=("secrets", "b"), value="z"),
            {"a": "x", "b": "z"},
            id="behind-question-marks",
        ),
        pytest.param(
            'secrets:\n  ? "\\N"\n  : x\n  b: z\n',
            Rename(path=("secrets", "\x85"), name="c"),
            {"c": "x", "b": "z"},
            id="odd-key",
        ),
    ],
)
def test_layouts_that_sops_would_not_write(text: str, edit: Edit, expected: object, desk: Desk) -> None:
    """They stay, where nothing is put in or taken out, and are read as meant by sops and by us."""
    made = desk.change(desk.ours(text.encode()), edit)
    assert below(desk.read(made), "secrets") == expected
    assert desk.read(desk.theirs(desk.shown(made).encode())) == desk.read(made)


def test_numbers_keep_their_kind(desk: Desk) -> None:
    """Also below another name, where they are encrypted anew."""
    theirs = desk.theirs(b"secrets:\n    i: 5\n    f: 1.50\n    b: true\n    t: 2024-01-02\n    n: null\n    s: '5'\n")
    made = desk.change(theirs, *(Rename(path=("secrets", key), name=f"{key}{key}") for key in "ifbtns"))
    kept = [re.findall(rb"type:(\w+)", data) for data in (theirs, made)]
    assert kept[0] == kept[1]
    assert list(below(desk.read(made), "secrets").values()) == list(below(desk.read(theirs), "secrets").values())  # type: ignore[attr-defined]


def test_changes_of_sops_and_ours_take_turns(desk: Desk, theirs: bytes, tmp_path: Path) -> None:
    """Each goes on from what the other made."""
    file = tmp_path / "a.yaml"
    file.write_bytes(theirs)
    for number in range(2):
        file.write_bytes(desk.change(file.read_bytes(), Put(path=("secrets", f"ours{number}"), value=f"o{number}")))
        index, value = f'["secrets"]["theirs{number}"]', f'"t{number}"'
        desk.sops.run(("set", str(file), index, value), identity=desk.key.identity)
    secrets = below(desk.read(file.read_bytes()), "secrets")
    assert isinstance(secrets, dict)
    assert list(secrets)[-4:] == ["ours0", "theirs0", "ours1", "theirs1"]
    assert list(secrets.values())[-4:] == ["o0", "t0", "o1", "t1"]


def test_a_file_that_was_tampered_with_is_not_sealed_anew(desk: Desk, theirs: bytes) -> None:
    """Or what somebody moved or removed would be vouched for by our MAC."""
    with pytest.raises(pysops.MacMismatch):
        desk.change(theirs.replace(b"scope: app", b"scope: other"), Put(path=("secrets", "A"), value="x"))


def test_a_file_in_braces_as_a_whole_is_refused_plainly(desk: Desk) -> None:
    """There are no lines to add or take away; a value that is there can be changed. What sops writes anew has lines."""
    laid_out = yaml.load(desk.theirs(b"secrets: {A: one, B: two}\n"), Loader=yaml.BaseLoader)  # noqa: S506  # texts alone
    braces = json.dumps(laid_out, indent=2).encode()
    for edit in (Put(path=("secrets", "C"), value="three"), Remove(path=("secrets", "A"))):
        with pytest.raises(pysops.DocumentError, match="braces") as refused:
            desk.change(braces, edit)
        assert "sops rotate" in (refused.value.advice or "")
    assert b"new" in desk.shown(desk.change(braces, Put(path=("secrets", "A"), value="new"))).encode()
