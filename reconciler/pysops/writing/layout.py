"""Where in the text of a file its keys and values stand, so that parts can be replaced and the rest stays as it is.

libyaml is asked a second time, as positions are of use to nobody else: the strict parse has read the file before.
All positions are in characters of the text, from 0.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, assert_never

from yaml import CLoader
from yaml import parse as yaml_events
from yaml.events import (
    CollectionEndEvent,
    CollectionStartEvent,
    ScalarEvent,
)

from reconciler.pysops.document import Document, Mapping, Node, Scalar, Sequence
from reconciler.pysops.sops_metadata import METADATA_KEY


_TO_COLON: Final = re.compile(r"\s*:")
_REST_OF_LINE: Final = re.compile(r"[^\r\n]*")
_BLOCK_STYLES: Final = frozenset({"|", ">"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LaidScalar:
    """A key or a value."""

    node: Scalar
    start: int
    """Where it begins, its quote or the sign of a block included."""

    end: int
    """Behind its last character, without the line break behind a block; where nothing is written, the same as start."""

    flow: bool
    """Whether it stands in brackets or braces."""

    style: str | None
    """A quote, ``|``, ``>``; None for plain text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaidEntry:
    """One ``key: value``."""

    key: LaidScalar
    value: "LaidNode"
    colon: int
    """Behind the colon."""

    @property
    def end(self) -> int:
        """Behind all that is written of it."""
        return max(self.colon, self.value.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaidMapping:
    """A mapping."""

    entries: tuple[LaidEntry, ...]
    start: int
    end: int
    flow: bool
    """Whether it is written in braces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaidSequence:
    """A list."""

    items: tuple["LaidNode", ...]
    start: int
    end: int
    flow: bool
    """Whether it is written in brackets."""


LaidNode = LaidScalar | LaidMapping | LaidSequence


@dataclass(slots=True, kw_only=True)
class _Span:
    start: int
    end: int
    flow: bool
    style: str | None = None


def lay_out(document: Document, text: str) -> LaidMapping:
    """Return the tree of a file with its positions.

    Args:
        document: the parsed file.
        text: its text.
    """
    root = _laid(document.root, text, iter(_spans(text)), flow=False)
    assert isinstance(root, LaidMapping)  # noqa: S101  # as the root of a document is a mapping
    return root


def metadata_in(root: LaidMapping) -> LaidEntry:
    """Return the metadata of a file that has some."""
    return next(entry for entry in root.entries if entry.key.node.text == METADATA_KEY)


def line_break_of(text: str) -> str:
    """Return how the lines of a text end."""
    return "\r\n" if "\r\n" in text else "\n"


def _spans(text: str) -> list[_Span]:
    """Return the spans of all nodes, in the order in which they begin."""
    spans: list[_Span] = []
    waiting: list[_Span] = []
    for event in yaml_events(text, Loader=CLoader):
        start, end = event.start_mark, event.end_mark
        if start is None or end is None:
            continue
        if isinstance(event, ScalarEvent):
            style = event.style or None
            stop = end.index if style not in _BLOCK_STYLES else _end_of_block(text, start.index, end.index)
            spans.append(_Span(start=start.index, end=stop, flow=False, style=style))
        elif isinstance(event, CollectionStartEvent):
            span = _Span(start=start.index, end=start.index, flow=bool(event.flow_style))
            spans.append(span)
            waiting.append(span)
        elif isinstance(event, CollectionEndEvent):
            waiting.pop().end = end.index
    return spans


def _end_of_block(text: str, start: int, end: int) -> int:
    """Return the place behind the last line of a block; libyaml goes on to the next thing that stands in the file.

    Empty lines behind belong to nobody, unless the sign says that they are kept. Lines of white space may be content.
    """
    first_line = text.find("\n", start)
    keeps = "+" in text[start : end if first_line < 0 else first_line].partition("#")[0]
    line = line_start(text, end)
    if line > start and not text[line:end].strip(" "):
        end = line
    while not keeps and text.endswith(("\n\n", "\n\r\n"), start, end):
        end -= 2 if text.endswith("\r\n", start, end) else 1
    if text.endswith("\n", start, end):
        end -= 2 if text.endswith("\r\n", start, end) else 1
    return end


def _laid(node: Node, text: str, spans: Iterator[_Span], *, flow: bool) -> LaidNode:
    span = next(spans)
    match node:
        case Scalar():
            return LaidScalar(node=node, start=span.start, end=span.end, flow=flow, style=span.style)
        case Mapping():
            entries: list[LaidEntry] = []
            for entry in node.entries:
                key = _laid(entry.key, text, spans, flow=span.flow)
                assert isinstance(key, LaidScalar)  # noqa: S101  # as the key of an entry is a scalar
                value = _laid(entry.value, text, spans, flow=span.flow)
                found = _TO_COLON.match(text, key.end)
                entries.append(LaidEntry(key=key, value=value, colon=key.end if found is None else found.end()))
            end = span.end if span.flow or not entries else entries[-1].end
            return LaidMapping(entries=tuple(entries), start=span.start, end=end, flow=span.flow)
        case Sequence():
            items = tuple(_laid(item, text, spans, flow=span.flow) for item in node.items)
            end = span.end if span.flow or not items else items[-1].end
            return LaidSequence(items=items, start=span.start, end=end, flow=span.flow)
        case _:
            assert_never(node)


def line_start(text: str, at: int) -> int:
    """Return where the line of a position begins."""
    return text.rfind("\n", 0, at) + 1


def line_end(text: str, at: int) -> int:
    """Return the place behind the line break of the line of a position."""
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def before_space(text: str, at: int) -> int:
    """Return where the spaces and tabs in front of a position begin."""
    while at > 0 and text[at - 1] in " \t":
        at -= 1
    return at


def before_line_break(text: str, at: int) -> int:
    """Return the end of the line of a position, its line break not included."""
    found = _REST_OF_LINE.match(text, at)
    return at if found is None else found.end()


def column_of(text: str, at: int) -> int:
    """Return how far to the right a position is, from 0."""
    return at - line_start(text, at)


def whole_lines(text: str, entry: LaidEntry) -> tuple[int, int]:
    """Return from where to where the lines of an entry of a block mapping go.

    With comments behind it that stand further to the right than its key, as these are about what is below it.
    """
    column = column_of(text, entry.key.start)
    end = line_end(text, entry.end)
    return line_start(text, entry.key.start), behind_comments(text, end, column)


def behind_comments(text: str, at: int, column: int) -> int:
    """Return the place behind the comments that follow a place at the start of a line, further right than a column.

    With the empty lines between them.
    """
    deeper = re.compile(rf"(?:[ \t]*\r?\n)*+ {{{column + 1},}}#[^\n]*(?:\n|\Z)")
    while (found := deeper.match(text, at)) is not None:
        at = found.end()
    return at
