"""A review for people at a terminal: what is to be looked at first stands first."""

from collections.abc import Iterator
from typing import Final

from reconciler.errors import Severity
from reconciler.report.layout import Cell, Line, Tone, paint, sentence
from reconciler.report.review_items import Item, Items
from reconciler.report.review_wording import FROM_REKEYED, Name, extent, shortened, span
from reconciler.report.reviewed import Rank, ReviewReport


_TITLES: Final = {
    Rank.FIRST: ("look at these first", Tone.BAD),
    Rank.GONE: ("gone", Tone.CHANGE),
    Rank.ALSO: ("also changed, outside of what is read", Tone.CHANGE),
    Rank.CHANGE: ("changes", Tone.PLAIN),
}

_MAX_ITEMS: Final = 200
"""Lines of one rank; whoever wants all of more than that asks for JSON."""

_MAX_PLACES: Final = 4
_MAX_NAME_CHARS: Final = 600


def render_review(report: ReviewReport, *, color: bool, width: int | None = None) -> str:
    """Return a review as text.

    Args:
        report: What to tell.
        color: Use ANSI colours.
        width: Columns of the terminal, to wrap sentences; None leaves each on one line.
    """
    items = Items(report)
    base, name, head = span(report)
    named = f"{base} ({_short(name)})" if name is not None else base
    lines = [Line((Cell(f"{named} -> {head}", Tone.TITLE), Cell(extent(report), Tone.QUIET)))]
    for remark in report.remarks:
        lines += sentence(remark, indent=2, tone=Tone.CHANGE, width=width)
    lines += _problems(report)
    for rank in _TITLES:
        lines += _section(items, rank, width)
    lines += [Line(), *sentence(items.headline(), tone=Tone.TITLE, width=width)]
    return paint(lines, color=color)


def _problems(report: ReviewReport) -> Iterator[Line]:
    if not report.problems:
        return
    yield from (Line(), Line((Cell("problems of the head", Tone.BAD),)))
    for found in report.problems[:_MAX_ITEMS]:
        problem = found.problem
        mark = "" if found.is_new else " (not new)"
        warning = problem.severity is Severity.WARNING
        text = f"{problem.where}: {'warning: ' if warning else ''}{problem.text}{mark}"
        # Not wrapped: a command in it can be copied.
        yield Line((Cell(text, Tone.CHANGE if warning else Tone.BAD), Cell(f"[{problem.rule}]", Tone.QUIET)), 2)
    yield from _more(len(report.problems))


def _section(items: Items, rank: Rank, width: int | None) -> Iterator[Line]:
    if not items.number(rank):
        return
    title, tone = _TITLES[rank]
    yield from (Line(), Line((Cell(title, tone),)))
    for item in items.of_rank(rank, _MAX_ITEMS):
        # Colour is for what is to be looked at first: where all is red, nothing is.
        yield from sentence(
            _sentence(item), indent=2, tone=Tone.CHANGE if rank is Rank.FIRST else Tone.PLAIN, width=width
        )
    yield from _more(items.number(rank))


def _more(found: int) -> Iterator[Line]:
    if found > _MAX_ITEMS:
        yield Line((Cell(f"and {found - _MAX_ITEMS:,} more, see -o json", Tone.CHANGE),), 2)


def _sentence(item: Item) -> str:
    words = "".join(_short(part.text) if isinstance(part, Name) else part for part in item.phrase)
    parts = [f"{item.symbol} {words}", *item.places(_short, _MAX_PLACES)]
    if item.rekeyed:
        parts.append(f"[{FROM_REKEYED}]")
    return " ".join(parts)


def _short(text: str) -> str:
    return shortened(text, _MAX_NAME_CHARS)
