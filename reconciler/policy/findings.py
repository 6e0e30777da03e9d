"""Collecting what is wrong with one file, so that one run shows it all."""

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Final

from reconciler.errors import Problem
from reconciler.model import FoldedName, fold
from reconciler.policy.sources import escaped
from reconciler.pysops import Entry, Mapping, Mark, Node, Scalar, Sequence, SopsError


_TAME: Final = re.compile(r"[\w.@?=/*-]{1,128}")
"""What a message may quote of a name: nothing with which it could pass for other text, and no whole paragraph."""

_HIDDEN: Final = re.compile("[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069]")
"""Marks of direction, and joiners: see Unicode's report 36 on security."""

KINDS: Final = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "time": "a date",
    "timestamp": "a date",
    "null": "null",
    "comment": "a comment",
}
"""What is not text, by the words of SOPS and of YAML."""


class Findings:
    """The problems of one file, in the order in which they were found."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._problems: list[Problem] = []

    @property
    def path(self) -> str:
        """The file that all of it is about."""
        return self._path

    def add(self, mark: Mark | None, what: str, *, expected: str | None = None, advice: str | None = None) -> None:
        """Note one problem at ``mark``; None for the file as a whole."""
        self._problems.append(
            Problem(
                path=escaped(self._path),
                line=None if mark is None else mark.line,
                column=None if mark is None else mark.column,
                what=what,
                expected=expected,
                advice=advice,
            )
        )

    def add_hidden(self, data: bytes) -> None:
        """Note the first character of the file that cannot be seen and turns or joins the text around it.

        In a comment, say, it makes a grant look like another one in a review.
        """
        text = data.decode(errors="replace")
        if (found := _HIDDEN.search(text)) is not None:
            start = text.rfind("\n", 0, found.start()) + 1
            mark = Mark(line=text.count("\n", 0, found.start()) + 1, column=found.start() - start + 1)
            what = f"the character U+{ord(found[0]):04X} is invisible, and changes how the text around it looks"
            self.add(mark, what, expected="text that looks like what it says", advice="take it out")

    def add_error(self, error: SopsError) -> None:
        """Note what `pysops` has to say."""
        self.add(error.mark, error.what, expected=error.expected, advice=error.advice)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._problems)

    def __len__(self) -> int:
        return len(self._problems)


def quoted(name: str) -> str:
    """Return ``name`` in quotes where it is tame, else nothing of it: what is no name may be a value gone astray."""
    return f"'{name}'" if _TAME.fullmatch(name) else "of unusual text (not shown)"


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return advice that names the closest of ``known``; None when nothing is close."""
    by_fold = {fold(each): each for each in known}
    close = difflib.get_close_matches(fold(name), [str(each) for each in by_fold], n=1)
    return f"did you mean '{by_fold[FoldedName(close[0])]}'?" if close else None


def article_of(node: Node) -> str:
    """Return what ``node`` is, for "this is …": never its text."""
    match node:
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case Scalar():
            return "a single value"


def mapping_of(node: Node, findings: Findings, what: str, expected: str) -> tuple[Entry, ...]:
    """Return the entries of a mapping; note a problem and return none where ``node`` is none, or is empty."""
    if isinstance(node, Mapping) and node.entries:
        return node.entries
    if isinstance(node, Mapping):
        findings.add(node.mark, f"{what} is an empty mapping", expected=expected, advice="leave it out, or fill it")
    elif isinstance(node, Scalar) and not node.text:
        findings.add(node.mark, f"{what} is empty", expected=expected)
    else:
        findings.add(node.mark, f"{what} is {article_of(node)}", expected=expected)
    return ()


def note_twins(names: Iterable[Scalar], findings: Findings, what: str) -> None:
    """Note names that the platform takes for one, as it does not tell upper from lower case."""
    seen: dict[FoldedName, Scalar] = {}
    for name in names:
        first = seen.setdefault(fold(name.text), name)
        if first is not name:
            findings.add(
                name.mark,
                f"the {what} {quoted(name.text)} is the same as {quoted(first.text)} in line {first.mark.line}: "
                "names are compared without regard to case",
                expected="one of them",
            )
