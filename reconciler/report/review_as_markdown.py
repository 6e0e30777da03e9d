"""A review for a pull request: read in ten seconds, safe to post whatever things are called."""

from collections.abc import Iterator
from typing import Final

from reconciler.errors import Severity
from reconciler.report.escape import code_span
from reconciler.report.review_items import Item, Items
from reconciler.report.review_wording import FROM_REKEYED, Name, extent, shortened, span
from reconciler.report.reviewed import HeadProblem, Rank, ReviewReport


_TITLES: Final = {
    Rank.FIRST: "Look at these first",
    Rank.GONE: "Gone",
    Rank.ALSO: "Also changed, outside of what the reconciler reads",
    Rank.CHANGE: "Changes",
}

_MAX_ITEMS: Final = {Rank.FIRST: 50, Rank.GONE: 30, Rank.ALSO: 20, Rank.CHANGE: 60}
"""Lines of each rank: nobody reads more in a comment."""

_OPEN: Final = 15
"""So many lines of changes stand open; more are folded."""

_MAX_PROBLEMS: Final = 20
_MAX_PLACES: Final = 3
_MAX_NAME_CHARS: Final = 300
_MAX_TEXT_CHARS: Final = 500

MAX_CHARS: Final = 60_000
"""GitHub takes 65,536 in a comment, and whoever posts it may add a few."""


def render_review_markdown(report: ReviewReport) -> str:
    """Return a review in GitHub-flavoured Markdown, ended by a line feed.

    Every text that is not ours stands in a code span (`code_span`). It is cut, with counts, where it gets too long for
    a comment: from the end, so that what is to be looked at first stays.
    """
    items = Items(report)
    base, name, head = span(report)
    named = _code(name) + f" ({code_span(base)})" if name is not None else code_span(base)
    blocks = [f"### Secrets: {items.headline()}", f"{named} → {code_span(head)}, {extent(report)}"]
    blocks += [f"> [!WARNING]\n> {code_span(remark)}" for remark in report.remarks]
    budget = _Budget(sum(map(len, blocks)))
    blocks += _first(items, budget)
    blocks += _problems(report.problems, budget)
    for rank in (Rank.GONE, Rank.ALSO, Rank.CHANGE):
        blocks += _section(items, rank, budget)
    return "\n\n".join(blocks) + "\n"


class _Budget:
    """How many characters are left."""

    def __init__(self, used: int) -> None:
        self._left = MAX_CHARS - 2_000 - used  # for titles, and what says how much was cut

    def take(self, lines: Iterator[str]) -> list[str]:
        """Return the first of ``lines`` for which there is room."""
        taken: list[str] = []
        for line in lines:
            if len(line) + 1 > self._left:
                self._left = 0
                break
            self._left -= len(line) + 1
            taken.append(line)
        return taken


def _first(items: Items, budget: _Budget) -> Iterator[str]:
    found = items.number(Rank.FIRST)
    if not found:
        return
    lines = budget.take(f"> - {_sentence(item)}" for item in items.of_rank(Rank.FIRST, _MAX_ITEMS[Rank.FIRST]))
    more = _more(found - len(lines))
    yield "\n".join(["> [!CAUTION]", f"> **{_TITLES[Rank.FIRST]}**", ">", *lines, *(f"> - {one}" for one in more)])


def _problems(problems: tuple[HeadProblem, ...], budget: _Budget) -> Iterator[str]:
    if not problems:
        return
    lines = budget.take(_problem(found) for found in problems[:_MAX_PROBLEMS])
    yield "**Problems**"
    yield "\n".join([*lines, *(f"- {one}" for one in _more(len(problems) - len(lines)))])


def _problem(found: HeadProblem) -> str:
    problem = found.problem
    warning = "warning: " if problem.severity is Severity.WARNING else ""
    old = "" if found.is_new else " (not new)"
    return f"- {warning}{_code(problem.where)}: {_code(problem.text, _MAX_TEXT_CHARS)}{old}"


def _section(items: Items, rank: Rank, budget: _Budget) -> Iterator[str]:
    found = items.number(rank)
    if not found:
        return
    lines = budget.take(f"- {_sentence(item)}" for item in items.of_rank(rank, _MAX_ITEMS[rank]))
    lines += [f"- {one}" for one in _more(found - len(lines))]
    if rank is Rank.CHANGE and len(lines) > _OPEN:
        yield f"<details><summary>{_TITLES[rank]} ({found:,})</summary>"
        yield "\n".join(lines)
        yield "</details>"
        return
    yield f"**{_TITLES[rank]}**"
    yield "\n".join(lines)


def _more(left: int) -> Iterator[str]:
    if left > 0:
        yield f"and {left:,} more, which `reconciler review` shows"


def _sentence(item: Item) -> str:
    sign = "" if item.symbol == "!" else f"{code_span(item.symbol)} "
    words = [_code(part.text) if isinstance(part, Name) else part.replace("->", "→") for part in item.phrase]
    lead, colon, rest = words[0].partition(": ")
    if item.symbol == "!" and colon:
        words[0] = f"**{lead}:** {rest}"
    parts = [f"{sign}{''.join(words)}", *item.places(_code, _MAX_PLACES)]
    if item.rekeyed:
        parts.append(f"**{FROM_REKEYED}**")
    return " ".join(parts)


def _code(text: str, most: int = _MAX_NAME_CHARS) -> str:
    return code_span(shortened(text, most))
