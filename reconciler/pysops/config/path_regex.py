"""What can be said for sure about a ``path_regex`` by looking at it.

Whether one regular expression takes everything that another one takes is a question for which nobody wants to wait, or
read, the answer. Nearly all of those in use are plain text with a few simple forms behind it, and that is enough for
the mistakes people make. Of anything else nothing is said: RE2 decides what it matches.
"""

import re
from dataclasses import dataclass
from typing import Final


_LITERAL: Final = r"(?:[A-Za-z0-9_/-]|\\[./-])"
_CLASS: Final = r"\[\^?[A-Za-z0-9_/.-]+\]"
_GROUP: Final = rf"\((?:\?:)?{_LITERAL}*+(?:\|{_LITERAL}*+)*+\)"
_TAME: Final = re.compile(
    rf"(?P<front>\^|\.\*|)(?P<text>(?:{_LITERAL}(?![*+?{{]))*+)"
    rf"(?P<rest>(?:(?:{_LITERAL}|\.|{_CLASS}|{_GROUP})[*+?]?+)*+\$?)"
)
"""A row of atoms, each of which stands for itself whatever is around it, that of ``text`` exactly once. Possessive, so
that looking takes no longer than the expression is long."""

_ANYTHING: Final = frozenset({"", ".*", ".*$"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """The plain text that stands in every path that an expression matches."""

    text: str
    anchored: bool
    """Every path begins with it. If not, it stands anywhere."""

    alone: bool
    """Every path in which it stands so is matched, those with line breaks aside."""

    def covers(self, other: "Beginning") -> bool:
        """Tell whether this expression surely matches every path without line breaks that ``other`` matches."""
        if not self.alone:
            return False
        if self.anchored:
            return other.anchored and other.text.startswith(self.text)
        return self.text in other.text

    def is_within(self, folder: str) -> bool:
        """Tell whether the expression surely matches nothing but what stands below ``folder``.

        Args:
            folder: path from where paths begin, ending in a slash.
        """
        return self.anchored and self.text.startswith(folder)


_UNKNOWN: Final = Beginning(text="", anchored=False, alone=False)
"""What is true of every expression."""


def beginning_of(pattern: str) -> Beginning:
    """Return the plain text at the beginning of an RE2 expression; none of one that is not simple."""
    tame = _TAME.fullmatch(pattern)
    if tame is None:
        return _UNKNOWN
    return Beginning(
        text=tame["text"].replace("\\", ""), anchored=tame["front"] == "^", alone=tame["rest"] in _ANYTHING
    )
