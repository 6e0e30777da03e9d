"""Files are read as a whole, or not at all."""

import os
from pathlib import Path

import pytest

from reconciler.pysops import MAX_FILE_BYTES, DocumentError, load, read_file


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    """The bytes come back as they are."""
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: \xff\r\n")
    assert read_file(path) == b"a: \xff\r\n"
    assert read_file(str(path)) == b"a: \xff\r\n"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("missing.yaml", "the file does not exist"),
        ("link.yaml", "the file is a link"),
        ("dangling.yaml", "the file is a link"),
        ("folder", "the file is not a regular file"),
        ("pipe", "the file is not a regular file"),
        ("huge.yaml", "the file is too large"),
        ("nul\0.yaml", "the file cannot be read"),
        ("long" * 5000, "the file cannot be read"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, name: str, complaint: str) -> None:
    """Links lead out of the repository, pipes wait for ever, and the rest is no file."""
    (tmp_path / "file.yaml").write_bytes(b"a: x\n")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "file.yaml")
    (tmp_path / "dangling.yaml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(DocumentError, match=complaint) as caught:
        load(tmp_path / name)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("text", ["canary: x\n", "canary: x\nb: y", "canary: x\n" * 10_000, "canary\0\n"])
def test_text_where_bytes_are_meant_is_told(text: str) -> None:
    """As `Path.read_text` returns it: a str is a path. What it holds is not quoted."""
    with pytest.raises(DocumentError, match="a text of several lines as the path") as caught:
        load(text)
    assert "a str is taken for a path" in (caught.value.advice or "")
    assert "canary" not in str(vars(caught.value))


def test_a_name_may_have_a_line_break(tmp_path: Path) -> None:
    """As long as a file is called that."""
    path = tmp_path / "a\nb"
    path.write_bytes(b"a: x\n")
    assert read_file(str(path)) == b"a: x\n"
    with pytest.raises(DocumentError, match="does not exist"):
        read_file(tmp_path / "c\nd")
