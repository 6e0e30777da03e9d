"""Comments that sops takes for values.

Comments are dropped here, and in sops they are no values either, with two exceptions (tried on 3.13.3):

- ``#ENC[…]`` of another type than ``comment`` counts in the MAC, and is an item where it stands in a list. Refused.
- An empty comment, ``#`` alone, in a list that is encrypted is an item, the empty text. sops leaves none there itself:
  when it encrypts, the empty text takes its place. Only found here, as whether a list is encrypted shows later; among
  the keys of a mapping it means nothing.

Where yaml.v3 attaches a comment to a key or to an item is not followed to the last: in doubt the list has it.
"""

import re
from dataclasses import dataclass
from typing import Final

from yaml.events import (
    CollectionEndEvent,
    CollectionStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from reconciler.pysops.errors import DocumentError, Mark


_SUSPECT: Final = re.compile(
    r"#(?:(?P<sealed>ENC\[)(?!AES256_GCM,data:[^,\]\s]+,iv:[^,\]\s]+,tag:[^,\]\s]+,type:comment\][ \t]*\r?$)|(?=\r?$))",
    re.MULTILINE,
)

MAX_EMPTY_COMMENTS: Final = 100_000
"""Most of them in a row; the largest file could hold eight million."""


def search_of(text: str) -> "CommentSearch | None":
    """Return the search through the comments of a file; None where none is worth it."""
    return CommentSearch(text) if _SUSPECT.search(text) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suspect:
    """Where such a comment stands, unless that is within a scalar or a longer comment."""

    index: int
    """In characters, from 0."""

    mark: Mark
    sealed: bool
    """Whether it is of the first sort."""


@dataclass(slots=True, kw_only=True)
class _Open:
    """A mapping or list that has begun and not ended."""

    mark: Mark
    is_list: bool
    flow: bool
    key_line: int | None = None
    """Of a mapping: the line of the key whose value comes next; None when a key comes next."""


class CommentSearch:
    """Takes the events of a file, and tells where between them its comments stand. In time linear in the file."""

    def __init__(self, text: str) -> None:
        self._lists: dict[Mark, Mark] = {}
        """From the places of lists to that of the first empty comment in each."""
        self._text = text
        self._next = _SUSPECT.search(text)
        self._waiting: list[_Suspect] = []
        """Those the place of which is not known yet."""
        self._counted, self._line = 0, 1
        """Up to where lines have been counted."""
        self._open: list[_Open] = []
        self._end = 0
        """Where what was taken last ends, in characters."""
        self._scalar_line = 0
        """Where the last scalar ends."""

    def take(self, event: Event) -> None:
        """Look at the comments in front of an event.

        Raises:
            DocumentError: one is an encrypted value, and no encrypted comment; or there are too many.
        """
        start, end = event.start_mark, event.end_mark
        if start is None or end is None or not isinstance(event, NodeEvent | CollectionEndEvent):
            return
        mark = Mark(line=start.line + 1, column=start.column + 1)
        self._place(start.index, event, mark)
        if isinstance(event, ScalarEvent):
            if event.style in {"|", ">"}:  # beside the sign of a block there may be a comment
                line_end = self._text.find("\n", start.index)
                self._place(end.index if line_end < 0 else line_end, event, mark)
            if self._next is not None and self._next.start() < end.index:
                self._next = _SUSPECT.search(self._text, end.index)
            self._scalar_line = end.line + 1
        self._end = end.index
        self._follow(event, mark)

    def empty_comment_in(self, list_mark: Mark) -> Mark | None:
        """Return where the first empty comment in a list stands, once the end of the list was taken."""
        return self._lists.get(list_mark)

    def _place(self, end: int, event: Event, mark: Mark) -> None:
        # Looks at the comments up to ``end``, now that ``event`` is the first thing behind them.
        while self._next is not None and self._next.start() < end:
            suspect = self._suspect(self._next)
            # What follows on the line belongs to the same comment.
            line_end = self._text.find("\n", suspect.index)
            self._next = None if line_end < 0 else _SUSPECT.search(self._text, line_end)
            if self._is_comment(suspect):
                if len(self._waiting) >= MAX_EMPTY_COMMENTS:
                    raise DocumentError("too many empty comments in a row", mark=suspect.mark)
                self._waiting.append(suspect)
        if self._waiting:
            self._waiting = [left for left in self._waiting if not self._is_placed(left, event, mark)]

    def _suspect(self, match: re.Match[str]) -> _Suspect:
        start = match.start()
        self._line += self._text.count("\n", self._counted, start)
        self._counted = start
        mark = Mark(line=self._line, column=start - self._text.rfind("\n", 0, start))
        return _Suspect(index=start, mark=mark, sealed=match["sealed"] is not None)

    def _is_comment(self, suspect: _Suspect) -> bool:
        # Or one has begun before it.
        line_start = suspect.index - suspect.mark.column + 1
        return "#" not in self._text[max(self._end, line_start) : suspect.index]

    def _is_placed(self, found: _Suspect, event: Event, mark: Mark) -> bool:
        if found.sealed:
            raise DocumentError(
                "an encrypted value in a comment",
                mark=found.mark,
                advice="remove the comment: sops counts it in the MAC",
            )
        if not self._open:
            return True
        inner = self._open[-1]
        if isinstance(event, MappingEndEvent):
            return inner.flow or found.mark.column >= inner.mark.column or found.mark.line == self._scalar_line
        if isinstance(event, SequenceEndEvent) and not inner.flow and not self._is_below(found.mark, mark):
            return False
        if inner.is_list:
            self._lists.setdefault(inner.mark, found.mark)
        elif isinstance(event, SequenceStartEvent) and inner.key_line not in {None, found.mark.line}:
            self._lists.setdefault(mark, found.mark)
        return True

    def _is_below(self, found: Mark, following: Mark) -> bool:
        # Whether a comment at the end of the innermost list is further to the right than what the list stands in, or as
        # far as that but not in front of a part of it.
        above = self._open[-2].mark.column if len(self._open) > 1 else 0
        return found.column > above or (found.column == above and following.column != above)

    def _follow(self, event: Event, mark: Mark) -> None:
        if isinstance(event, CollectionEndEvent):
            self._open.pop()
        elif self._open and not self._open[-1].is_list:
            inner = self._open[-1]
            inner.key_line = mark.line if inner.key_line is None else None
        if isinstance(event, CollectionStartEvent):
            is_list = not isinstance(event, MappingStartEvent)
            self._open.append(_Open(mark=mark, is_list=is_list, flow=bool(event.flow_style)))
