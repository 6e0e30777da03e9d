"""How two trees differ, as far as that shows without a key. Pure: it decides on what it is handed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.errors import Problem, Severity
from reconciler.policy import Policy, Sources
from reconciler.policy.sources import TARGETS_FILE
from reconciler.report.reviewed import Difference, HeadProblem, Kind, Rank, in_order
from reconciler.review.contents import side_of
from reconciler.review.files import FilePair, PastSeals, Version, file_differences, pairs_of, plain_in_history
from reconciler.review.outside import outside_differences
from reconciler.review.rules import rerouted, rule_differences
from reconciler.review.scopes import ScopeComparison
from reconciler.review.targets import names_of, target_differences
from reconciler.review.targets import pairs_of as target_pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One of the two trees: what was handed in, and what it says."""

    sources: Sources
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class GitFacts:
    """What only git knows."""

    past: Mapping[str, Sequence[Version]] = field(default_factory=dict)
    """Path to what the file held before the base, newest first."""

    branch: Mapping[str, Sequence[Version]] = field(default_factory=dict)
    """Path to what the file held at commits between base and head, newest first."""

    changes: Sequence[tuple[str, str, str]] = ()
    """Of each file that changed, in the whole repository: its path from the top, that from the directory of the run,
    and ``A``, ``D``, ``M`` or ``T``."""

    hidden: Sequence[Problem] = ()
    """Remarks about attributes that hide what changed from whoever reviews it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How two trees differ."""

    differences: tuple[Difference, ...]
    """In the order in which they are shown."""

    problems: tuple[HeadProblem, ...]
    """Of the head, by place: everything that is wrong, and warnings that are new."""

    files: int
    """How many files differ that the reconciler reads."""

    other_files: int
    """How many others differ of which nothing is said."""

    remarks: tuple[str, ...]
    """What the comparison could not see."""


def compare(base: Tree, head: Tree, facts: GitFacts) -> Comparison:
    """Compare two trees.

    Args:
        base: what the change starts from.
        head: what it makes of it.
        facts: what git knows besides.
    """
    names_before, names_now = names_of(target_pairs(base.policy, head.policy))
    before, now = side_of(base.policy, names_before), side_of(head.policy, names_now)
    pairs = pairs_of(before, now)
    past = PastSeals(facts.past)
    read = _read(base) | _read(head)
    differing = frozenset(path for path in read if _bytes_of(base, path) != _bytes_of(head, path))
    found = [
        *_targets(base, head),
        *rule_differences(base.policy, head.policy),
        *rerouted(base.policy, head.policy),
        *file_differences(before, now, pairs, past, differing),
        *plain_in_history(facts.branch, head.sources.files),
        *ScopeComparison(before, now, pairs, past).differences(),
    ]
    found = [*_without_repetition(found)]
    found += _rewritten(found, pairs)
    outside, others = outside_differences(facts.changes, read)
    return Comparison(
        differences=in_order(iter((*found, *outside))),
        problems=_problems(base.policy, head.policy, facts.hidden),
        files=len(differing),
        other_files=others,
        remarks=tuple(_remarks(base)),
    )


def _targets(base: Tree, head: Tree) -> Iterator[Difference]:
    found = tuple(target_differences(base.policy, head.policy, base.sources, head.sources))
    if head.policy.targets.problems and _bytes_of(base, TARGETS_FILE) != _bytes_of(head, TARGETS_FILE):
        # A target with a problem is left out of what was read: it has not gone.
        yield Difference(kind=Kind.FILE_UNREADABLE, rank=Rank.FIRST, path=TARGETS_FILE)
        found = tuple(one for one in found if one.kind is not Kind.TARGET_REMOVED)
    yield from found
    if (
        not found
        and not head.policy.targets.problems
        and _bytes_of(base, TARGETS_FILE) != _bytes_of(head, TARGETS_FILE)
    ):
        yield Difference(kind=Kind.FILE_REWRITTEN, rank=Rank.CHANGE, path=TARGETS_FILE)


def _without_repetition(found: Sequence[Difference]) -> Iterator[Difference]:
    """Leave out what goes without saying of a file that went back as a whole: it is known to the byte."""
    whole = {one.path for one in found if one.kind is Kind.FILE_ROLLED_BACK and one.commit is not None}
    for one in found:
        if not (one.kind in {Kind.VALUE_ROLLED_BACK, Kind.FILE_REKEYED} and one.path in whole):
            yield one


def _rewritten(found: Sequence[Difference], pairs: Mapping[str, FilePair]) -> Iterator[Difference]:
    """Tell of files of which there is nothing else to tell, and that differ all the same."""
    told = {one.path for one in found}
    told |= {one.before for one in found if one.kind is Kind.KEY_MOVED and one.before is not None}
    for pair in pairs.values():
        if pair.is_changed and pair.path not in told:
            yield Difference(kind=Kind.FILE_REWRITTEN, rank=Rank.CHANGE, path=pair.path)


def _read(tree: Tree) -> frozenset[str]:
    """Return the paths of what the reconciler reads of a tree."""
    policy = tree.policy
    paths = {TARGETS_FILE, *(file.path for file in policy.files), *(file.path for file in policy.unreadable)}
    if policy.rules.file is not None:
        paths.add(policy.rules.file.path)
    return frozenset(paths)


def _bytes_of(tree: Tree, path: str) -> bytes | None:
    rules = tree.sources.rules
    return rules.data if rules is not None and rules.path == path else tree.sources.files.get(path)


def _problems(base: Policy, head: Policy, hidden: Sequence[Problem]) -> tuple[HeadProblem, ...]:
    """Return all that is wrong with the head, and what of the rest is new; lines may have moved."""
    known = {_sense(problem) for problem in (*base.problems(), *base.lint())}
    found = {problem: _sense(problem) not in known for problem in (*head.problems(), *head.lint(), *hidden)}
    return tuple(
        HeadProblem(problem=problem, is_new=is_new)
        for problem, is_new in sorted(found.items(), key=lambda each: _place(each[0]))
        if is_new or problem.severity is Severity.ERROR
    )


def _sense(problem: Problem) -> tuple[str, str, str]:
    return problem.path, problem.rule, problem.what


def _place(problem: Problem) -> tuple[str, int, int, str]:
    return problem.path, problem.line or 0, problem.column or 0, problem.what


def _remarks(base: Tree) -> Iterator[str]:
    """Yield what could not be compared, as the base is not in order."""
    if base.policy.targets.problems and _bytes_of(base, TARGETS_FILE) is not None:
        yield f"{TARGETS_FILE} of the base has problems: what a change does to it shows only in part"
    if base.policy.unreadable:
        number = len(base.policy.unreadable)
        files = "a file of the base is" if number == 1 else f"{number} files of the base are"
        yield f"{files} no readable YAML: all that stands there now counts as new"
