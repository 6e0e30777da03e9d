"""Comments that sops takes for values: what it does with each is tried, not assumed."""

import json
import re
from collections.abc import Callable

import pytest

from reconciler.pysops import DocumentError, load, parse
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
