"""What is wrong with an edited text, and where."""

import pytest

from reconciler import pysops
from reconciler.editing.edited_text import in_text, read_text
from reconciler.errors import InvalidInput, Problem


FILE = "secrets/demo/app.yaml"


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        pytest.param("secrets: [hunter2", "2:1", "not valid YAML", id="yaml"),
        pytest.param("secrets:\n    a: hunter2\n    a: other\n", "3:5", "", id="twice"),
        pytest.param("secrets:\n    h:\n        a: 5432\n", "3:12", "no text", id="number"),
        pytest.param("secrets:\n    - hunter2\n    - true\n", "3:7", "no text", id="in-a-list"),
        pytest.param("secrets:\n    a: 2024-01-02\n", "2:8", "no text", id="date"),
        pytest.param("sops: {}\n", "1:1", "metadata of sops", id="metadata"),
    ],
)
def test_what_is_wrong_is_told_by_place_and_never_quoted(text: str, place: str, what: str) -> None:
    """The text may be a value, wherever it stands."""
    with pytest.raises(InvalidInput) as caught:
        read_text(FILE, text.encode())
    assert f"{FILE}:{place}" in str(caught.value)
    assert what in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "5432" not in str(caught.value).replace('"5432"', "")


def test_what_looks_like_no_text_is_fine_in_quotes_and_outside_secrets() -> None:
    """The version is a number, and is not encrypted."""
    document = read_text(FILE, b'version: 1\nsecrets:\n    a: "5432"\n    b: yes\n')
    version, secrets = document.root.entries
    assert (version.key.text, secrets.key.text) == ("version", "secrets")
    assert isinstance(secrets.value, pysops.Mapping)
    values = {entry.key.text: entry.value for entry in secrets.value.entries}
    assert {key: (value.kind, value.text) for key, value in values.items() if isinstance(value, pysops.Scalar)} == {
        "a": (pysops.ScalarKind.STR, "5432"),
        "b": (pysops.ScalarKind.STR, "yes"),
    }


def test_problems_are_moved_to_the_lines_of_the_text() -> None:
    """Keys, values and items alike; what is not in the text has no line, and other files keep theirs."""
    text = b"acls:\n    - <READ a>\nsecrets:\n    long: |\n        1\n        2\n    short:\n        - x\n"
    sealed = b"acls:\n    - <READ a>\nsecrets:\n    long: one line\n    short:\n        - y\nsops:\n    a: b\n"

    def moved(line: int, column: int, path: str = FILE) -> tuple[int | None, int | None]:
        problem = Problem(path=path, line=line, column=column, what="wrong")
        (found,) = in_text((problem,), FILE, sealed=pysops.parse(sealed), text=pysops.parse(text))
        return found.line, found.column

    assert moved(2, 7) == (2, 7)
    assert moved(4, 5) == (4, 5)
    assert moved(5, 5) == (7, 5)
    assert moved(6, 11) == (8, 11)
    assert moved(8, 5) == (None, None)
    assert moved(5, 5, "secrets/other.yaml") == (5, 5)
