"""Parts of a text, replaced."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from reconciler.pysops.writing.layout import before_line_break


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Splice:
    """What stands in the place of a part of a text; an empty part is where something is put in."""

    start: int
    end: int
    text: str = field(repr=False, compare=False)


def spliced(text: str, splices: Iterable[Splice]) -> str:
    """Return a text with its parts replaced. What is put in at one place stays in the order in which it was given.

    Raises:
        ValueError: two parts overlap.
    """
    parts: list[str] = []
    at = 0
    for splice in sorted(splices):
        if splice.start < at:
            raise ValueError("parts of a text overlap")
        parts += (text[at : splice.start], splice.text)
        at = splice.end
    parts.append(text[at:])
    return "".join(parts)


def written_over(text: str, start: int, end: int, value: str) -> tuple[Splice, ...]:
    """Return what puts a value in the place of a part; the lines of a block stand behind a comment beside that."""
    first, line_break, rest = value.partition("\n")
    if not line_break:
        return (Splice(start=start, end=end, text=value),)
    stop = before_line_break(text, end)
    carriage = "\r" if first.endswith("\r") else ""
    return (
        Splice(start=start, end=end, text=first.removesuffix("\r")),
        Splice(start=stop, end=stop, text=f"{carriage}\n{rest}"),
    )
