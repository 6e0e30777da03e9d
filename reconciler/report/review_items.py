"""Which differences of a review are told together in one line, and which go without saying."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from reconciler.errors import Severity
from reconciler.report.review_wording import Name, Phrase, enumerated, symbol_of, told
from reconciler.report.reviewed import Difference, Kind, Rank, ReviewReport
from reconciler.report.wording import count


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What is told in one line: differences that are the same but for their place."""

    symbol: str
    """``+`` for what appears, ``~`` for what changes, ``-`` for what goes, ``!`` for what is to be looked at first."""

    phrase: Phrase
    scopes: tuple[str, ...]
    """``target/scope`` that it is about, each once; none where the phrase says it all."""

    files: tuple[str, ...]
    """``path:line`` or ``path``, each once."""

    rekeyed: bool

    @property
    def counts_files(self) -> bool:
        """Whether its files are told by their number: its scopes say enough, and nobody has to go there."""
        return bool(self.scopes) and len(self.files) > 1 and self.symbol != "!"

    def places(self, shown: Callable[[str], str], most: int) -> Iterator[str]:
        """Yield where it is, in which scopes and in which files, as pieces of a sentence.

        Args:
            shown: makes a name fit to be shown.
            most: how many scopes, and how many files, are named.
        """
        if self.scopes:
            yield f"in {enumerated(self.scopes, shown, most)}"
        if self.counts_files:
            yield f"({count(len(self.files), 'file')})"
        elif self.files:
            yield f"({enumerated(self.files, shown, most)})"


_ScopeName = tuple[str | None, str]
"""Target and scope, as names compare."""

_MAX_LISTED_KEYS: Final = 5

_SCOPES: Final = {Kind.SCOPE_ADDED: Kind.KEY_ADDED, Kind.SCOPE_REMOVED: Kind.KEY_REMOVED}
"""What is told of a whole scope, to what is told of its keys."""

_WITH_SCOPE: Final = {
    Kind.KEY_ADDED: Kind.SCOPE_ADDED,
    Kind.ROTATION_CHANGED: Kind.SCOPE_ADDED,
    Kind.KEY_REMOVED: Kind.SCOPE_REMOVED,
    Kind.ACL_REMOVED: Kind.SCOPE_REMOVED,
}
"""What goes without saying, to the kind of change to its scope that says it."""


class Items:
    """The lines of one review. Made once for each: a hostile change may have a hundred thousand differences.

    Args:
        report: what there is to tell.
    """

    def __init__(self, report: ReviewReport) -> None:
        self._report = report

    @cached_property
    def _scopes(self) -> dict[Kind, dict[_ScopeName, list[str]]]:
        """Kind of change to a whole scope, to each such scope with its keys."""
        found: dict[Kind, dict[_ScopeName, list[str]]] = {kind: {} for kind in _SCOPES}
        for one in self._report.differences:
            if one.kind in _SCOPES:
                found[one.kind][_scope_of(one)] = []
        for one in self._report.differences:
            if one.key is not None and one.kind in _WITH_SCOPE:
                keys = found[_WITH_SCOPE[one.kind]].get(_scope_of(one))
                if keys is not None:
                    keys.append(one.key)
        return found

    @cached_property
    def _groups(self) -> dict[Rank, list[list[Difference]]]:
        """Rank to what is told of it, most urgent first."""
        groups: dict[tuple[object, ...], list[Difference]] = {}
        for one in self._report.differences:
            scope = _WITH_SCOPE.get(one.kind)
            if scope is None or _scope_of(one) not in self._scopes[scope]:
                groups.setdefault((one.rank, *_sense(one)), []).append(one)
        found: dict[Rank, list[list[Difference]]] = {rank: [] for rank in Rank}
        for group in groups.values():
            found[group[0].rank].append(group)
        return found

    def number(self, rank: Rank) -> int:
        """Return how many lines there are of one rank."""
        return len(self._groups[rank])

    def of_rank(self, rank: Rank, most: int) -> tuple[Item, ...]:
        """Return the first lines of one rank, most urgent first."""
        return tuple(map(self._item, self._groups[rank][:most]))

    def headline(self) -> str:
        """Return the review in one line."""
        first, gone, also, change = (self.number(rank) for rank in Rank)
        warnings = sum(found.problem.severity is Severity.WARNING for found in self._report.problems)
        problems = len(self._report.problems) - warnings
        words = (
            count(problems, "problem") if problems else "",
            "" if first or gone or also or change else "no changes",
            f"{first:,} to look at first" if first else "",
            count(gone, "deletion") if gone else "",
            count(change, "change") if change else "",
            f"{count(also, 'file')} outside" if also else "",
            count(warnings, "warning") if warnings else "",
        )
        return ", ".join(filter(None, words))

    def _item(self, group: Sequence[Difference]) -> Item:
        first = group[0]
        scopes = (f"{one.target}/{one.scope}" for one in group if one.scope is not None)
        files = (one.path if one.line is None else f"{one.path}:{one.line}" for one in group)
        return Item(
            symbol=symbol_of(first),
            phrase=(*told(first), *self._keys(first)),
            scopes=() if first.kind in _SCOPES else tuple(dict.fromkeys(scopes)),
            files=() if first.kind is Kind.OTHER_FILE else tuple(dict.fromkeys(files)),
            rekeyed=first.rekeyed and first.rank is Rank.FIRST,
        )

    def _keys(self, one: Difference) -> Phrase:
        """Return the first few keys of a scope that comes or goes."""
        keys = self._scopes[one.kind][_scope_of(one)] if one.kind in _SCOPES else []
        if not keys:
            return ()
        more = len(keys) - _MAX_LISTED_KEYS
        return (": ", *_listed(keys[:_MAX_LISTED_KEYS]), f" and {more:,} more" if more > 0 else "")


def _scope_of(one: Difference) -> _ScopeName:
    return one.target, (one.scope or "").lower()


def _listed(names: Sequence[str]) -> Iterator[str | Name]:
    for index, name in enumerate(names):
        if index:
            yield ", "
        yield Name(name)


def _sense(one: Difference) -> tuple[object, ...]:
    """Return what two differences have in common that are told together."""
    if one.kind in {Kind.SCOPE_ADDED, Kind.SCOPE_REMOVED, Kind.VALUES_REBOUND}:
        return one.kind, one.target, one.scope, one.path
    place: tuple[str | None, ...]
    if one.kind in _OF_FILES:
        place = () if one.kind in _MANY_FILES else (one.path,)
        return one.kind, *place, one.subject, one.field, one.before, one.after, one.commit, one.rekeyed, one.sight
    place = () if one.scope is not None else (one.target, one.path)
    return one.kind, *place, one.key, one.subject, one.field, one.before, one.after, one.commit, one.rekeyed


_MANY_FILES: Final = frozenset(
    {
        Kind.RECIPIENT_ADDED,
        Kind.RECIPIENT_REMOVED,
        Kind.FILE_SETTING_CHANGED,
        Kind.FILE_UNDER_OTHER_RULE,
        Kind.FILE_ADDED,
        Kind.FILE_REMOVED,
        Kind.FILE_REWRITTEN,
    }
)
"""Of files, and told of several of them in one line."""

_OF_FILES: Final = _MANY_FILES | {
    Kind.FILE_UNREADABLE,
    Kind.FILE_UNSEALED,
    Kind.PLAIN_IN_HISTORY,
    Kind.FILE_ROLLED_BACK,
    Kind.FILE_REKEYED,
    Kind.FILE_MOVED,
    Kind.OTHER_FILE,
}
