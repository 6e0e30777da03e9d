"""Lines of aligned cells for a terminal or a pipe. Every text is escaped as it becomes a cell, so none is forgotten."""

import enum
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from reconciler.report.escape import escape_text


GAP: Final = 2
"""Blanks between two columns."""


class Tone(enum.Enum):
    """What a text means to the reader; only `_style` knows which colour that is."""

    PLAIN = enum.auto()
    TITLE = enum.auto()
    GOOD = enum.auto()
    CHANGE = enum.auto()
    BAD = enum.auto()
    QUIET = enum.auto()


@dataclass(frozen=True, slots=True)
class Cell:
    """A text, escaped, with its tone."""

    text: str
    tone: Tone = Tone.PLAIN

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", escape_text(self.text))


@dataclass(frozen=True, slots=True)
class Line:
    """Cells beside each other, indented by a number of blanks."""

    cells: tuple[Cell, ...] = ()
    indent: int = 0


def sentence(text: str, *, indent: int = 0, tone: Tone = Tone.PLAIN, width: int | None = None) -> tuple[Line, ...]:
    """Return ``text`` as lines of at most ``width`` columns, or as one line when there is no width.

    Words are never cut: names stay whole, so that they can be searched for and copied.
    """
    text = escape_text(text)
    if width is None:
        return (Line((Cell(text, tone),), indent),)
    pieces = textwrap.wrap(
        text, max(width - indent, 20), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return tuple(Line((Cell(piece, tone),), indent) for piece in pieces)


def aligned(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Return ``lines`` with their cells padded, so that cells of equal position and indent start in one column.

    The last cell of a line takes no part: it may be as long as it likes.
    """
    widths: dict[tuple[int, int], int] = {}
    for line in lines:
        for position, cell in enumerate(line.cells[:-1]):
            place = line.indent, position
            widths[place] = max(widths.get(place, 0), _columns(cell.text))
    return tuple(
        Line(
            tuple(
                Cell(cell.text + " " * (widths[line.indent, position] - _columns(cell.text)), cell.tone)
                for position, cell in enumerate(line.cells[:-1])
            )
            + line.cells[-1:],
            line.indent,
        )
        for line in lines
    )


def paint(lines: Sequence[Line], *, color: bool) -> str:
    """Return the text of ``lines``, each ended by a line feed; with ANSI colours only when asked for."""
    return "".join(f"{_paint_line(line, color=color)}\n" for line in lines)


def _paint_line(line: Line, *, color: bool) -> str:
    if not color:
        return (" " * line.indent + (" " * GAP).join(cell.text for cell in line.cells)).rstrip(" ")
    return " " * line.indent + (" " * GAP).join(_paint_cell(cell) for cell in line.cells)


def _paint_cell(cell: Cell) -> str:
    style = _style(cell.tone)
    if not style:
        return cell.text
    from rich.color import ColorSystem
    from rich.style import Style

    return Style.parse(style).render(cell.text, color_system=ColorSystem.STANDARD)


def _style(tone: Tone) -> str:
    match tone:
        case Tone.PLAIN:
            return ""
        case Tone.TITLE:
            return "bold"
        case Tone.GOOD:
            return "green"
        case Tone.CHANGE:
            return "yellow"
        case Tone.BAD:
            return "bold red"
        case Tone.QUIET:
            return "dim"
        case _:
            assert_never(tone)


def _columns(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes: East Asian characters and emoji take two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
