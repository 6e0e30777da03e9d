"""Collecting what is wrong with one file, so that one run shows it all."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from reconciler.errors import Problem, Severity
from reconciler.model import FoldedName, fold
from reconciler.pysops import Entry, Mapping, Mark, Node, Scalar, Sequence, SopsError
from reconciler.pysops.config.fields import did_you_mean


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


MAX_LISTED: Final = 100
"""How many problems of one file are listed: nobody reads more, and a file can be made to have a million."""


class Findings:
    """The problems of one file, in the order in which they were found; the first `MAX_LISTED` of them."""

    def __init__(self, path: str, *, rule: str = "field-form") -> None:
        self._path = path
        self._rule = rule
        self._problems: list[Problem] = []
        self._left_out = 0

    @property
    def path(self) -> str:
        """The file that all of it is about."""
        return self._path

    def add(
        self,
        mark: Mark | None,
        what: str,
        *,
        expected: str | None = None,
        advice: str | None = None,
        rule: str | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Note one problem.

        Args:
            mark: where; None for the file as a whole.
            what: see `Problem`, as with the others.
            expected: what should stand there.
            advice: what to do next.
            rule: one of `rules.RULES`; None: that of this object.
            severity: whether it is a reason to stop.
        """
        if len(self._problems) >= MAX_LISTED:
            self._left_out += 1
            return
        self._problems.append(
            Problem(
                path=self._path,
                line=None if mark is None else mark.line,
                column=None if mark is None else mark.column,
                what=what,
                expected=expected,
                advice=advice,
                rule=rule or self._rule,
                severity=severity,
            )
        )

    def guess(self, name: str, known: Iterable[str]) -> str | None:
        """Return what `did_you_mean` does, while the problem that it is for will be listed."""
        return did_you_mean(name, known) if len(self._problems) < MAX_LISTED else None

    def add_hidden(self, data: bytes) -> None:
        """Note the first character of the file that cannot be seen and turns or joins the text around it.

        In a comment, say, it makes a grant look like another one in a review.
        """
        text = data.decode(errors="replace")
        if (found := _HIDDEN.search(text)) is not None:
            start = text.rfind("\n", 0, found.start()) + 1
            mark = Mark(line=text.count("\n", 0, found.start()) + 1, column=found.start() - start + 1)
            what = f"the character U+{ord(found[0]):04X} is invisible, and changes how the text around it looks"
            self.add(
                mark, what, expected="text that looks like what it says", advice="take it out", rule="invisible-text"
            )

    def add_error(self, error: SopsError, *, rule: str) -> None:
        """Note what `pysops` has to say."""
        self.add(error.mark, error.what, expected=error.expected, advice=error.advice, rule=rule)

    def __iter__(self) -> Iterator[Problem]:
        yield from self._problems
        if self._left_out:
            yield Problem(
                path=self._path, what=f"{self._left_out:,} more problems are not listed", rule="more-problems"
            )

    def __len__(self) -> int:
        """Return how many there are, those included that are not listed."""
        return len(self._problems) + self._left_out


def quoted(name: str) -> str:
    """Return ``name`` in quotes where it is tame, else nothing of it: what is no name may be a value gone astray."""
    return f"'{name}'" if _TAME.fullmatch(name) else "of unusual text (not shown)"


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
                rule="duplicate-name",
            )
