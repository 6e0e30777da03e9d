"""Bytes to text, as far as everybody sees the same in it: UTF-8 without hidden characters and odd line breaks."""

import re
from typing import Final

from reconciler.pysops.errors import DocumentError, Mark


_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff]|\r(?!\n)")

_FORBIDDEN_NAMES: Final = {
    "\r": "a carriage return without a line feed",
    "\x85": "the line break NEL (U+0085)",
    "\u2028": "the line separator (U+2028)",
    "\u2029": "the paragraph separator (U+2029)",
    "\ufeff": "a byte order mark (U+FEFF)",
}

_CONFLICT: Final = re.compile(r"^(?:<{7}|\|{7}|={7}|>{7})(?: |\r?$)", re.MULTILINE)
"""What git leaves behind, see git-merge(1), "How conflicts are presented"."""


def checked_text(data: bytes) -> str:
    """Decode a file.

    Raises:
        DocumentError: it is not UTF-8, holds characters that are not shown, or what git leaves of a conflict.
    """
    text = _decode(data)
    _check_characters(text)
    _check_conflict_markers(text)
    return text


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        offset = error.start
    # Raised outside the handler: the exception of the codec holds the whole file and would be chained.
    line_start = data.rfind(b"\n", 0, offset) + 1
    mark = Mark(line=data.count(b"\n", 0, offset) + 1, column=len(data[line_start:offset].decode()) + 1)
    raise DocumentError("the file is not UTF-8 text", mark=mark, expected="YAML as `sops encrypt` writes it")


def _check_characters(text: str) -> None:
    found = _FORBIDDEN.search(text)
    if found is None:
        return
    character = found[0]
    name = _FORBIDDEN_NAMES.get(character, f"the control character U+{ord(character):04X}")
    raise DocumentError(
        f"{name} stands in the file",
        mark=_mark_at(text, found.start()),
        expected="visible text, spaces, tabs, and line breaks LF or CRLF",
        advice="within double quotes it can be written as an escape",
    )


def _check_conflict_markers(text: str) -> None:
    found = _CONFLICT.search(text)
    if found is not None:
        raise DocumentError(
            "git conflict markers",
            mark=_mark_at(text, found.start()),
            advice="take one side as a whole (`git checkout --ours FILE` or `--theirs`) and make the change again",
        )


def _mark_at(text: str, offset: int) -> Mark:
    return Mark(line=text.count("\n", 0, offset) + 1, column=offset - text.rfind("\n", 0, offset))
