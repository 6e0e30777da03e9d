"""What can be said for sure about a ``path_regex`` by looking at its beginning.

Whether one regular expression takes everything that another one takes is a question for which nobody wants to wait, or
read, the answer. Nearly all of those in use begin with plain text, and that is enough for the mistakes people make.
"""

from dataclasses import dataclass
from typing import Final


_META: Final = frozenset(r"\.[](){}*+?|^$")
_OPTIONAL: Final = frozenset("*?{")
"""What may take away the character in front of it."""

_ANYTHING: Final = frozenset({"", ".*", ".*$"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """The plain text that stands in every path that an expression matches."""

    text: str
    anchored: bool
    """Every path begins with it. If not, it stands anywhere."""

    alone: bool
    """Every path in which it stands so is matched."""

    def covers(self, other: "Beginning") -> bool:
        """Tell whether this expression surely matches every path that ``other`` matches."""
        if not self.alone:
            return False
        if self.anchored:
            return other.anchored and other.text.startswith(self.text)
        return self.text in other.text

    def is_within(self, folder: str) -> bool:
        """Tell whether the expression is about what stands below ``folder``, or a folder of that name elsewhere.

        Args:
            folder: path from where paths begin, ending in a slash.
        """
        if self.anchored:
            return self.text.startswith(folder)
        return folder.rpartition("/")[0].rpartition("/")[2] + "/" in self.text


def beginning_of(pattern: str) -> Beginning:
    """Return the plain text at the beginning of an RE2 expression; none where there are alternatives."""
    anchored = pattern.startswith("^")
    rest = pattern[1:] if anchored else pattern.removeprefix(".*")
    text, rest = _plain_text(rest)
    if _has_alternatives(rest):
        return Beginning(text="", anchored=False, alone=False)
    return Beginning(text=text, anchored=anchored, alone=rest in _ANYTHING)


def _plain_text(pattern: str) -> tuple[str, str]:
    """Return the plain text at the beginning, escapes undone, and what follows."""
    characters: list[str] = []
    starts: list[int] = []
    index = 0
    while index < len(pattern):
        start = index
        character = pattern[index]
        if character == "\\" and index + 1 < len(pattern) and not pattern[index + 1].isalnum():
            index += 1
            character = pattern[index]
        elif character in _META:
            break
        index += 1
        characters.append(character)
        starts.append(start)
    if characters and index < len(pattern) and pattern[index] in _OPTIONAL:
        characters.pop()
        index = starts.pop()
    return "".join(characters), pattern[index:]


def _has_alternatives(pattern: str) -> bool:
    """Tell whether there is a ``|`` outside all parentheses. May say yes too often, never too seldom."""
    depth = 0
    in_class = False
    escaped = False
    for character in pattern:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif in_class:
            in_class = character != "]"
        elif character == "[":
            in_class = True
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "|" and depth <= 0:
            return True
    return False
