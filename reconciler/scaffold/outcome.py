"""What `init` did, and how it is told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from reconciler.report import escape_text


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """An identity that was made for whoever runs this."""

    path: str
    recipient: str


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What was done so far; filled in step by step, as a later step may fail."""

    written: list[str] = field(default_factory=list)
    """Paths of new files."""

    completed: list[str] = field(default_factory=list)
    """Paths of files that had to get lines more."""

    left: list[str] = field(default_factory=list)
    """Paths of files that were there already, and stay as they are."""

    notices: list[str] = field(default_factory=list)
    """What somebody has to look at, each with lines to copy behind it, perhaps."""

    new_key: NewKey | None = None
    is_repository: bool = False
    """Whether all this happens in a git repository."""

    next_steps: tuple[str, ...] = ()
    """Commands; none where it was not finished."""

    def is_something(self) -> bool:
        """Tell whether there is anything to tell."""
        return bool(self.written or self.new_key or self.next_steps)


_KEY_ADVICE: Final = (
    "  It stays on this machine: keep a copy where you keep passwords. Without it, or another recipient's,\n"
    "  nobody can read the files; whoever has it can.\n"
)


def render(outcome: Outcome) -> str:
    """Return what was done as text for people, ended by a line feed."""
    parts = [
        *_lines("wrote", outcome.written),
        *_lines("added lines to", outcome.completed),
        *_lines("left as it is", outcome.left),
    ]
    if outcome.next_steps and not outcome.written and not outcome.completed:
        parts.append("nothing to do: everything is there\n")
    if outcome.new_key is not None:
        place = escape_text(outcome.new_key.path)
        parts.append(f"\nmade an identity in {place}\n  its recipient: {outcome.new_key.recipient}\n")
        parts.append(_KEY_ADVICE)
    parts.extend(f"\n{_escaped(notice)}\n" for notice in outcome.notices)
    if outcome.next_steps:
        parts.append("\nnext:\n" + "".join(f"  {step}\n" for step in outcome.next_steps))
    return "".join(parts)


def _lines(word: str, paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{word:14}  {escape_text(path)}\n" for path in paths)


def _escaped(text: str) -> str:
    return "\n".join(escape_text(line) for line in text.split("\n"))
