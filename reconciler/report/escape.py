r"""Make text from elsewhere harmless before it is shown.

A principal is whatever somebody called a group, and a hostile workspace answers with whatever it likes: terminal
escapes, line breaks that fake a line of the report, marks that turn the reading direction, characters that nobody sees.
All of them become visible as Python would write them (``\x1b``, ``\u202e``). The result is for reading: two texts may
look alike, so it is never parsed again.
"""

import re
import unicodedata
from typing import Final


_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Characters that draw nothing although `str.isprintable` accepts them.

The letters and marks among Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt, and the empty Braille
pattern. Format characters, separators and what is unassigned are not printable anyway.
"""


def escape_text(text: str) -> str:
    r"""Return ``text`` with every character visible and on one line.

    Control and format characters, all white space but the plain blank, surrogates, private and unassigned code points
    are written as escapes, and so is a combining mark at the start, where it would cling to what stands before it.
    """
    if text.isascii() and text.isprintable():
        return text
    escaped = "".join(char if char.isprintable() and not _INVISIBLE.match(char) else _escape(char) for char in text)
    if escaped and unicodedata.category(escaped[0]).startswith("M"):
        return _escape(escaped[0]) + escaped[1:]
    return escaped


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def code_span(text: str) -> str:
    r"""Return ``text`` as a Markdown code span that shows it and does nothing else, in a table cell too.

    Within a code span no renderer looks for links, HTML, emphasis, mentions or issue numbers. What could end the span
    or the cell, a backtick or a pipe, is written as an escape: renderers disagree on how to quote those two.
    """
    harmless = escape_text(text).replace("`", r"\x60").replace("|", r"\x7c")
    return f"`{harmless}`" if harmless.strip() else ""
