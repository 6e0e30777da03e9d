"""What the changes to an encrypted file have in common."""

import re
from collections.abc import Callable
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn


Change = Callable[[DrawFn, str], str]
"""From a text to another one; the same one where there is nothing to change."""

Weighted = tuple[str, int, Change]
"""Name, how often compared with others, and the change."""

ENVELOPE: Final = re.compile(r"ENC\[AES256_GCM,data:([^,\]\s]+),iv:([^,\]\s]+),tag:([^,\]\s]+),type:([a-z]+)\]")
BASE64: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
ENTRY: Final = re.compile(
    r"^(?P<indent> *(?:- +)*)(?P<key>[^\s'\"#|>{\[][^:\n]*|\"[^\"\n]*\"):(?P<value> [^\n]+)$", re.MULTILINE
)


def pick(draw: DrawFn, pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Choose one of the matches."""
    found = list(pattern.finditer(text))
    return draw(st.sampled_from(found)) if found else None


def replace(text: str, span: tuple[int, int], new: str) -> str:
    """Put something else into a span of a text."""
    return text[: span[0]] + new + text[span[1] :]
