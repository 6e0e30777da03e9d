r"""Two edits of one text, joined line by line: pure. Where both changed the same lines, somebody has to choose.

>>> join("a\nb\nc\n", mine="A\nb\nc\n", theirs="a\nb\nC\n").text
'A\nb\nC\n'
"""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final


MARKERS: Final = ("<<<<<<< your edit\n", "=======\n", ">>>>>>> the file as it is now\n")
"""No YAML, wherever they stand: at the beginning of a line they end any block, and are no key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What came of it."""

    text: str = field(repr=False)
    conflicts: int
    """Places with markers in them."""


def join(before: str, *, mine: str, theirs: str) -> Joined:
    """Apply to ``theirs`` what makes ``mine`` of ``before``."""
    base, ours, others = (text.splitlines(keepends=True) for text in (before, mine, theirs))
    made: list[str] = []
    conflicts = 0
    at = our_at = other_at = 0
    for base_at, our_next, other_next, size in _in_common(base, ours, others):
        old, new, other = base[at:base_at], ours[our_at:our_next], others[other_at:other_next]
        if old in (new, other) or new == other:
            made += other if new == old else new
        else:
            conflicts += 1
            made += [MARKERS[0], *_ended(new), MARKERS[1], *_ended(other), MARKERS[2]]
        made += base[base_at : base_at + size]
        at, our_at, other_at = base_at + size, our_next + size, other_next + size
    return Joined(text="".join(made), conflicts=conflicts)


def _in_common(base: list[str], ours: list[str], others: list[str]) -> Iterator[tuple[int, int, int, int]]:
    """Yield runs of lines that all three have, as positions in each and a length; at last an empty one at the end."""
    with_ours = _matches(base, ours)
    with_others = _matches(base, others)
    at = 0
    while at < len(base):
        if at not in with_ours or at not in with_others:
            at += 1
            continue
        size = 1
        while with_ours.get(at + size) == with_ours[at] + size and with_others.get(at + size) == with_others[at] + size:
            size += 1
        yield at, with_ours[at], with_others[at], size
        at += size
    yield len(base), len(ours), len(others), 0


def _matches(base: list[str], other: list[str]) -> dict[int, int]:
    """Return line of ``base`` to the same line of ``other``."""
    blocks = difflib.SequenceMatcher(None, base, other, autojunk=False).get_matching_blocks()
    return {block.a + step: block.b + step for block in blocks for step in range(block.size)}


def _ended(lines: list[str]) -> list[str]:
    """Return lines of which the last one ends as well, so that a marker begins a line of its own."""
    return [*lines[:-1], lines[-1] if lines[-1].endswith("\n") else f"{lines[-1]}\n"] if lines else []
