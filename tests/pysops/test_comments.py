"""Comments that sops takes for values: what it does with each is tried, not assumed."""

import json
import random
import re
from collections.abc import Callable

import pytest
import yaml

from reconciler.pysops import DocumentError, Mapping, Sequence, load, parse
from tests.pysops.test_crypt import identities
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsFailed, SopsTool


PLAINTEXT = b"# top\na:\n  - x\n  - y\nb:\n  # note\n  c: d\n  e: [f]\nz_unencrypted:\n  - p\n  - q\n"
VALUES = {"a": ["x", "y"], "b": {"c": "d", "e": ["f"]}, "z_unencrypted": ["p", "q"]}

SEALED_AS_TEXT = "an encrypted value in a comment"
EMPTY_IN_LIST = "an empty comment in an encrypted list"


def replace(old: str, new: str) -> Callable[[str], str]:
    """Replace the first match of a pattern."""

    def change(text: str) -> str:
        changed = re.sub(old, new, text, count=1, flags=re.MULTILINE)
        assert changed != text
        return changed

    return change


@pytest.mark.parametrize(
    ("change", "complaint", "theirs"),
    [
        pytest.param(replace("type:comment", "type:str"), SEALED_AS_TEXT, 51, id="comment turned into a text"),
        pytest.param(
            replace(r"(b:\n    #ENC.*)type:comment", r"\1type:str"), SEALED_AS_TEXT, 51, id="comment in a mapping"
        ),
        pytest.param(replace("- ENC", "#ENC"), SEALED_AS_TEXT, VALUES, id="item turned into a comment"),
        pytest.param(replace("(#ENC.*)", r"\1 behind"), SEALED_AS_TEXT, VALUES, id="text behind an encrypted comment"),
        pytest.param(replace("^a:", "a:\n    #"), EMPTY_IN_LIST, ["", "x", "y"], id="above the first item"),
        pytest.param(replace(r"(^    - ENC.*\n)", r"\1  #\n"), EMPTY_IN_LIST, ["x", "", "y"], id="between items"),
        pytest.param(replace("(^    - ENC.*)", r"\1 #"), EMPTY_IN_LIST, ["", "x", "y"], id="beside an item"),
        pytest.param(replace("^b:", "    #\nb:"), EMPTY_IN_LIST, ["x", "y", ""], id="below the last item"),
        pytest.param(replace("^b:", " #\nb:"), EMPTY_IN_LIST, ["x", "y", ""], id="below, less to the right"),
    ],
)
def test_comments_that_sops_reads_as_values_are_refused(
    sops: SopsTool, age_key: AgeKey, change: Callable[[str], str], complaint: str, theirs: object
) -> None:
    """The binary makes items of them, or finds the MAC wrong."""
    file = change(sops.encrypt(PLAINTEXT, [age_key.recipient]).decode()).encode()
    with pytest.raises(DocumentError, match=complaint):
        load(file, identities(age_key))
    try:
        read = json.loads(sops.decrypt(file, age_key.identity, output_type="json"))
    except SopsFailed as failure:
        assert failure.exit_code == theirs  # noqa: PT017  # the exit code is one of what is compared
    else:
        assert theirs in (read, read["a"])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(replace("(#ENC.AES256_GCM,data:)", r"\1AAAA"), id="encrypted comment that does not authenticate"),
        pytest.param(replace("^b:", "#\n# Section\n#\nb:"), id="between keys"),
        pytest.param(replace("^    c:", "    #\n    c:"), id="in a mapping"),
        pytest.param(replace("(c: ENC.*)", r"\1 #"), id="beside a value of a mapping"),
        pytest.param(replace("^a:", "a: #"), id="beside the key of a list"),
        pytest.param(replace("^    - q", "    #\n    - q"), id="in a list that is not encrypted"),
        pytest.param(replace("(^    - ENC.*\n)", "\\1    ##\n    # \n    # note\n    # #\n"), id="not empty"),
        pytest.param(replace("(#ENC.*)", "# \\1\n# #\n#"), id="within a comment"),
        pytest.param(replace("enc: [|]", "enc: | #"), id="beside the sign of a block"),
    ],
)
def test_other_comments_mean_nothing(sops: SopsTool, age_key: AgeKey, change: Callable[[str], str]) -> None:
    """Also to sops."""
    file = change(sops.encrypt(PLAINTEXT, [age_key.recipient]).decode()).encode()
    assert load(file, identities(age_key)) == VALUES
    assert json.loads(sops.decrypt(file, age_key.identity, output_type="json")) == VALUES


def test_a_hash_within_a_value_is_no_comment(sops: SopsTool, age_key: AgeKey) -> None:
    """Plain texts may hold it, at the end of a line too."""
    plaintext = 'a_unencrypted:\n  - "x #"\n  - |\n    #\n    y\n  - z#\nb: |-\n  #\n'
    file = sops.encrypt(plaintext.encode(), [age_key.recipient])
    assert load(file, identities(age_key)) == {"a_unencrypted": ["x #", "#\ny\n", "z#"], "b": "#"}


@pytest.mark.parametrize("file", [b"- x\n#\n", b"- - x\n #\n", b"[x #\n]", b"x\n#\n", b"#\n", b"---\n- x\n#\n---\n"])
def test_comments_of_what_is_no_mapping_are_no_trouble(file: bytes) -> None:
    """The error is the one about the document."""
    with pytest.raises(DocumentError, match=r"list at the top|single value|empty|second document"):
        parse(file)


@pytest.mark.parametrize(
    ("plaintext", "theirs"),
    [
        pytest.param("s:\n    q:\n        k:\n            - x\n    #\n", ["x", ""], id="two levels to the left"),
        pytest.param("s:\n    q:\n        k:\n            - x\n    #\n    # c\n", ["x", ""], id="above another"),
        pytest.param("s:\n    q:\n        k:\n            - x\n    # c\n    #\n", ["x", ""], id="below another"),
        pytest.param(
            "s:\n    q:\n        k:\n            - e: x\n              # a\n    #\n", [{"e": "x"}], id="doubt"
        ),
    ],
)
def test_what_sops_itself_leaves_behind_a_list_is_refused(
    sops: SopsTool, age_key: AgeKey, plaintext: str, theirs: object
) -> None:
    """It reads an item more than it encrypted; in doubt it counts as one."""
    file = sops.encrypt(plaintext.encode(), [age_key.recipient], encrypted_regex="^s$")
    assert json.loads(sops.decrypt(file, age_key.identity, output_type="json"))["s"]["q"]["k"] == theirs
    with pytest.raises(DocumentError, match=EMPTY_IN_LIST) as caught:
        load(file, identities(age_key))
    assert caught.value.advice is not None


@pytest.mark.parametrize(
    "plaintext",
    [
        pytest.param("a:\n  - x\n#\n# Section\n#\nb: y\n", id="above a key behind a list"),
        pytest.param("a:\n  - x\n\n#\n\n# Section\n#\nb: y\n", id="empty lines around"),
        pytest.param("a:\n  b: [x]\n  #\n  c: []\n  #\n  d:\n  - y\n#\ne: z\n", id="at each level"),
        pytest.param("a:\n  - b: x\n    #\n    c: y\n", id="above a key in an item"),
        pytest.param("a: #\n  #\n  b: x #\n  #\n", id="no list near"),
    ],
)
def test_an_empty_comment_of_a_mapping_is_no_trouble(sops: SopsTool, age_key: AgeKey, plaintext: str) -> None:
    """As people write them, and sops writes them again."""
    file = sops.encrypt(plaintext.encode(), [age_key.recipient])
    assert "#\n" in file.decode()
    assert load(file, identities(age_key)) == json.loads(sops.decrypt(file, age_key.identity, output_type="json"))


def some_tree(chance: random.Random, depth: int) -> object:
    """Make mappings and lists in each other, without empty texts."""
    kind = chance.randrange(4 if depth else 1)
    if kind == 0:
        return chance.choice(("x", "x", [], {}))
    parts = [some_tree(chance, depth - 1) for _ in range(chance.randint(1, 3))]
    return parts if kind == 1 else dict(zip("abc", parts, strict=False))


def with_comments(chance: random.Random, file: str) -> str:
    """Put comments, half of them empty, beside and between lines, more or less where they seem to belong."""
    lines: list[str] = []
    for line in file.splitlines():
        indent = len(line) - len(line.lstrip(" "))
        while chance.random() < 0.2:
            column = max(0, chance.choice((indent, indent, indent - 4, indent + 2, indent + 4, chance.randrange(12))))
            lines.append(chance.choice((" " * column + "#", " " * column + "#", " " * column + "# note", "", "  ")))
        lines.append(line + chance.choice((" #", " # note")) if chance.random() < 0.05 else line)
    return "\n".join(lines) + "\n"


def assert_told(node: object, theirs: object) -> int:
    """Make sure that every list in which sops reads more items knows of an empty comment; return how many there are."""
    match node:
        case Mapping():
            assert isinstance(theirs, dict)
            return sum(assert_told(entry.value, theirs.get(entry.key.text)) for entry in node.entries)
        case Sequence():
            assert isinstance(theirs, list)
            items = [item for item in node.items if not getattr(item, "text", "").endswith("type:comment]")]
            if len(theirs) > len(items):  # sops makes an item of one when it encrypts, but then it is in the file
                assert node.empty_comment is not None
                return 1
            return sum(assert_told(item, value) for item, value in zip(items, theirs, strict=True))
        case _:
            return 0


@pytest.mark.parametrize("edited", [False, True], ids=["written by sops", "edited"])
@pytest.mark.parametrize("seed", range(3))
def test_no_item_that_sops_reads_is_overlooked(sops: SopsTool, age_key: AgeKey, seed: int, *, edited: bool) -> None:
    """With comments at every place; empty ones do not show in the MAC."""
    chance = random.Random(seed)  # noqa: S311  # no secret depends on it
    tree = {f"k{number}": some_tree(chance, 4) for number in range(200)}
    plaintext = yaml.safe_dump(tree, sort_keys=False, indent=4)
    if not edited:
        plaintext = with_comments(chance, plaintext)
    values, separator, metadata = sops.encrypt(plaintext.encode(), [age_key.recipient]).decode().partition("\nsops:\n")
    file = ((with_comments(chance, values) if edited else values) + separator + metadata).encode()
    theirs = json.loads(sops.decrypt(file, age_key.identity, output_type="json"))
    entries = [entry for entry in parse(file).root.entries if entry.key.text != "sops"]
    assert sum(assert_told(entry.value, theirs[entry.key.text]) for entry in entries) >= 1
