"""Comments that sops takes for values.

Comments are dropped here, and in sops they are no values either, with two exceptions (tried on 3.13.3):

- ``#ENC[…]`` of another type than ``comment`` counts in the MAC, and is an item where it stands in a list. Refused.
- An empty comment, ``#`` alone, in a list that is encrypted is an item, the empty text. When sops encrypts a list, the
  empty text takes the place of the comment; but as yaml.v3 may attach a comment elsewhere when it reads again what was
  written, sops itself can leave one that it then takes for an item. Only found here, as whether a list is encrypted
  shows later; in a mapping it means nothing.

Where yaml.v3 attaches a comment depends on how far its scanner is ahead of its parser, and is not followed. An empty
comment is passed over only where it is a mapping's for certain: beside a key or a value of a mapping; above a key, as
far to the right as that, with nothing else between (`_Above`); or where no list is near. Otherwise it may be an item of
any list that is open in front of it or begins behind it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from yaml.events import (
    CollectionEndEvent,
    CollectionStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from reconciler.pysops.errors import DocumentError, Mark


_SUSPECT: Final = re.compile(
    r"#(?:(?P<sealed>ENC\[)(?!AES256_GCM,data:[^,\]\s]+,iv:[^,\]\s]+,tag:[^,\]\s]+,type:comment\][ \t]*\r?$)|(?=\r?$))",
    re.MULTILINE,
)

MAX_EMPTY_COMMENTS: Final = 100_000
"""Most of them in a row; the largest file could hold eight million."""

_MAX_SPACE: Final = 200
"""Most white space in front of a comment, in characters: yaml.v3 looks ahead for 512 bytes."""

_CLOSING: Final = re.compile(r"[\s,\]}]*")
_COMMENTS: Final = re.compile(r"(?:\s+|(?<=\s)#[^\n]*)*+")
_NO_KEY: Final = re.compile(r"[-?:](?:\s|\Z)|---|\.\.\.|\Z")
_BLANK_LINE: Final = re.compile(r"\n[ \t\r]*(?=\n)")
_UNUSUAL: Final = re.compile(rf"\r|\s{{{_MAX_SPACE}}}")
"""To yaml.v3, CR LF is two line breaks here, with an empty line between."""


def search_of(text: str) -> "CommentSearch | None":
    """Return the search through the comments of a file; None where none is worth it."""
    return CommentSearch(text) if _SUSPECT.search(text) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Above:
    """The comments between two parts of a file, the second of which is a key of a block mapping and no first one."""

    start: int
    """From where on they are those of the key, in characters of the file."""

    @classmethod
    def of(cls, text: str, start: int, end: int) -> Self | None:
        """Look at what stands between the parts.

        Returns:
            None when any of it may belong to something else.
        """
        line_start = text.rfind("\n", 0, end) + 1
        indent = text[line_start:end]
        if line_start <= start or indent.strip(" ") or _UNUSUAL.search(text, start, end):
            return None
        own_lines = start if text[start - 1 : start] in {"", "\n"} else text.find("\n", start) + 1
        # One further to the left or right ends the run, and is read as one at the end of the part above it.
        if re.compile(rf"^(?!{indent}#|[ \t\r]*$)", re.MULTILINE).search(text, own_lines, line_start):
            return None
        # So are those above the first empty line.
        blank = own_lines
        for found in _BLANK_LINE.finditer(text, max(0, own_lines - 1), line_start):
            blank = found.end()
        return cls(start=blank)


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
    at_key: bool = True
    """Of a mapping: whether a key comes next, not a value."""


class CommentSearch:
    """Takes the events of a file, and tells where between them its comments stand. In time linear in the file."""

    def __init__(self, text: str) -> None:
        self._lists: dict[Mark, Mark] = {}
        """From the places of lists to that of the first empty comment that may be in each."""
        self._text = text
        self._next = _SUSPECT.search(text)
        self._counted, self._line = 0, 1
        """Up to where lines have been counted."""
        self._open: list[_Open] = []
        self._doubtful: Mark | None = None
        """An empty comment since the last scalar that may be in a list which begins before the next."""
        self._end = 0
        """Where what was taken last ends, in characters."""
        self._after_scalar = False
        """Whether that was a scalar."""

    def take(self, event: Event) -> None:
        """Look at the comments in front of an event.

        Raises:
            DocumentError: one is an encrypted value, and no encrypted comment; or there are too many.
        """
        start, end = event.start_mark, event.end_mark
        if start is None or end is None or not isinstance(event, NodeEvent | CollectionEndEvent):
            return
        if self._next is not None and self._next.start() < start.index:
            self._look(start.index, event)
        if isinstance(event, ScalarEvent) and start.index < end.index:  # one that is not written takes no comment
            self._doubtful = None
            self._look_into(event, start.index, end.index)
        self._after_scalar = isinstance(event, ScalarEvent) and start.index < end.index
        self._end = end.index
        self._follow(event, Mark(line=start.line + 1, column=start.column + 1))

    def empty_comment_in(self, list_mark: Mark) -> Mark | None:
        """Return where the first empty comment that may be in a list stands, once the end of the list was taken."""
        return self._lists.get(list_mark)

    def _look(self, end: int, event: Event) -> None:
        # Looks at the comments up to ``end``, where ``event`` begins.
        block = bool(self._open) and not self._open[-1].flow
        beside = self._end  # up to where comments stand beside a key or a value of a block mapping
        if block and not self._open[-1].is_list and self._after_scalar and self._text[self._end - 1] != "\n":
            line_end = self._text.find("\n", self._end)
            beside = min(end if line_end < 0 else line_end, self._end + _MAX_SPACE)
        above = _Above.of(self._text, self._end, end) if block and self._is_key(event, end) else None
        for found in self._comments(end):
            if found.index >= beside and (above is None or found.index < above.start):
                self._doubt(found.mark)

    def _is_key(self, event: Event | None, index: int) -> bool:
        # Whether a key of a block mapping begins there, and no first one. Where blocks end, ``event`` is the end of the
        # innermost, and has the place of what comes next.
        if not isinstance(event, ScalarEvent | CollectionEndEvent | None) or _NO_KEY.match(self._text, index):
            return False
        column = index - self._text.rfind("\n", 0, index)
        # A list that begins in this column is no longer open there: its items begin with a dash.
        outer = next((outer for outer in reversed(self._open) if outer.mark.column + outer.is_list <= column), None)
        return outer is not None and not outer.is_list and outer.at_key and outer.mark.column == column

    def _look_into(self, event: ScalarEvent, start: int, end: int) -> None:
        # Beside the sign of a block there may be a comment; any other # is part of the scalar.
        if event.style in {"|", ">"}:
            line_end = self._text.find("\n", start)
            for found in self._comments(end if line_end < 0 else line_end):
                if not self._open or self._open[-1].is_list:
                    self._doubt(found.mark)
            self._doubtful = None
        if self._next is not None and self._next.start() < end:
            self._next = _SUSPECT.search(self._text, end)

    def _look_behind(self, ended: Mark) -> None:
        # What follows a list in brackets may be in it, and whoever asks for it asks now.
        if self._next is None:
            return
        index, inner = self._next.start(), bool(self._open) and self._open[-1].flow
        found = (_CLOSING if inner else _COMMENTS).match(self._text, self._end)
        end = self._end if found is None else found.end()  # it matches anywhere
        if index >= end and not (inner and self._text[end : end + 1] == "#"):
            return
        above = _Above.of(self._text, self._end, end) if not inner and self._is_key(None, end) else None
        if above is None or index < above.start:
            self._lists.setdefault(ended, self._suspect(self._next).mark)

    def _comments(self, end: int) -> Iterator[_Suspect]:
        # Yields the empty ones.
        number = 0
        while self._next is not None and self._next.start() < end:
            found = self._suspect(self._next)
            # What follows on the line belongs to the same comment.
            line_end = self._text.find("\n", found.index)
            self._next = None if line_end < 0 else _SUSPECT.search(self._text, line_end)
            if not self._is_comment(found):
                continue
            if found.sealed:
                raise DocumentError(
                    "an encrypted value in a comment",
                    mark=found.mark,
                    advice="remove the comment: sops counts it in the MAC",
                )
            number += 1
            if number > MAX_EMPTY_COMMENTS:
                raise DocumentError("too many empty comments in a row", mark=found.mark)
            yield found

    def _doubt(self, found: Mark) -> None:
        # It may be in any list that is open, or begins before the next scalar.
        if self._doubtful is None:
            self._doubtful = found
            for outer in self._open:
                if outer.is_list:
                    self._lists.setdefault(outer.mark, found)

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

    def _follow(self, event: Event, mark: Mark) -> None:
        if isinstance(event, CollectionEndEvent):
            ended = self._open.pop()
            if ended.is_list and ended.flow:
                self._look_behind(ended.mark)
        elif self._open:
            self._open[-1].at_key = not self._open[-1].at_key
        if isinstance(event, CollectionStartEvent):
            is_list = not isinstance(event, MappingStartEvent)
            self._open.append(_Open(mark=mark, is_list=is_list, flow=bool(event.flow_style)))
            if self._doubtful is not None and isinstance(event, SequenceStartEvent):
                self._lists.setdefault(mark, self._doubtful)
