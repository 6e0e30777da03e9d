"""Rules that no file breaks alone: who feeds which scope, and whether there is such a host."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from reconciler.errors import Problem, escaped
from reconciler.model import MAX_KEYS_PER_SCOPE, FoldedName, KeyName, ScopeName, fold
from reconciler.policy.findings import MAX_LISTED, Findings, quoted
from reconciler.policy.scope_files import ScopeFile
from reconciler.policy.scope_values import Feed, KeyEntry
from reconciler.policy.targets import Target, Targets
from reconciler.pysops import Mark
from reconciler.pysops.config.fields import closest


_MAX_GUESSES: Final = 20
"""For how many unknown hosts a similar one is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ScopeId:
    """One scope of one workspace, as names compare."""

    host_key: str
    scope: FoldedName


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What one file gives to one scope."""

    file: ScopeFile
    feed: Feed


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossProblem:
    """A problem of several files, and the scope that it is about."""

    scope: ScopeId | None
    """None when it may be about any scope."""

    problem: Problem


Contributions = Mapping[ScopeId, tuple[Contribution, ...]]
"""Scope to what each file gives to it, by path."""


def scope_id(feed: Feed) -> ScopeId:
    """Return which scope ``feed`` feeds."""
    return ScopeId(host_key=feed.host_key, scope=fold(feed.scope))


def contributions_of(files: Iterable[ScopeFile]) -> Contributions:
    """Return scope to contributions, sorted by scope and, within one, by path."""
    found: dict[ScopeId, list[Contribution]] = {}
    for file in sorted(files, key=lambda file: file.path):
        for feed in file.feeds:
            found.setdefault(scope_id(feed), []).append(Contribution(file=file, feed=feed))
    return {scope: tuple(found[scope]) for scope in sorted(found)}


def cross_problems(contributions: Contributions, targets: Targets) -> tuple[CrossProblem, ...]:
    """Return what is wrong between files. Unknown hosts are looked for only while targets.yaml itself is fine."""
    problems: list[CrossProblem] = []
    by_host = {target.host_key: target for target in targets.targets}
    unknown: dict[tuple[str, str], Contribution] = {}
    for scope, parts in contributions.items():
        target = by_host.get(scope.host_key)
        found: list[Problem] = []
        found.extend(_twice_fed(parts))
        found.extend(_policy_twice(parts))
        found.extend(_too_many(parts))
        if target is not None and scope.scope == fold(target.ledger_scope):
            found.extend(_ledger(parts, target))
        place = None if target is None else f"{target.name}/{spelling_of(parts)}"
        problems.extend(CrossProblem(scope=scope, problem=replace(one, scope=place)) for one in _listed(found))
        if target is None and not targets.problems:
            for part in parts:
                unknown.setdefault((part.file.path, scope.host_key), part)
    # A misspelt host takes keys away from a scope that it does not name, so it is about any of them.
    problems.extend(CrossProblem(scope=None, problem=problem) for problem in _unknown_hosts(unknown.values(), targets))
    return tuple(problems)


def _listed(problems: list[Problem]) -> list[Problem]:
    """Return the first of many problems, and how many more there are."""
    more = len(problems) - MAX_LISTED
    if more <= 0:
        return problems
    what = f"{more:,} more problems are not listed"
    return [*problems[:MAX_LISTED], Problem(path=problems[0].path, what=what, rule="more-problems")]


def _one(path: str, mark: Mark, rule: str, what: str, *, expected: str, advice: str | None = None) -> Problem:
    findings = Findings(path, rule=rule)
    findings.add(mark, what, expected=expected, advice=advice)
    return next(iter(findings))


def _twice_fed(parts: tuple[Contribution, ...]) -> Iterator[Problem]:
    seen: dict[FoldedName, tuple[Contribution, KeyEntry]] = {}
    for part in parts:
        for key in part.feed.keys:
            first, first_key = seen.setdefault(fold(key.name), (part, key))
            if first.file is not part.file:
                yield _one(
                    part.file.path,
                    key.mark,
                    "key-fed-twice",
                    f"the key '{key.name}' of scope '{part.feed.scope}' is also fed by "
                    f"{escaped(first.file.path)}:{first_key.mark.line}:{first_key.mark.column}",
                    expected="each key in one file only",
                )


def _policy_twice(parts: tuple[Contribution, ...]) -> Iterator[Problem]:
    with_policy = [part for part in parts if part.file.policy_mark is not None]
    for part in with_policy[1:]:
        mark, first_mark = part.file.policy_mark, with_policy[0].file.policy_mark
        if part.file is not with_policy[0].file and mark is not None and first_mark is not None:
            yield _one(
                part.file.path,
                mark,
                "policy-twice",
                f"acls, prune or rotation of scope '{part.feed.scope}' stand in "
                f"{escaped(with_policy[0].file.path)}:{first_mark.line}:{first_mark.column} too",
                expected="per scope at most one file with any of them",
            )


def _too_many(parts: tuple[Contribution, ...]) -> Iterator[Problem]:
    keys = [(part, key) for part in parts for key in part.feed.keys]
    if len(keys) > MAX_KEYS_PER_SCOPE:
        part, key = keys[MAX_KEYS_PER_SCOPE]
        yield _one(
            part.file.path,
            key.mark,
            "too-many-keys",
            f"the scope '{part.feed.scope}' gets {len(keys):,} keys",
            expected=f"at most {MAX_KEYS_PER_SCOPE:,}, the platform's limit",
            advice="split them over several scopes",
        )


def _ledger(parts: tuple[Contribution, ...], target: Target) -> Iterator[Problem]:
    for part in parts:
        yield _one(
            part.file.path,
            part.feed.mark,
            "reserved-scope",
            f"the scope '{part.feed.scope}' is reserved for the ledger of target '{target.name}'",
            expected="another scope",
        )


def meant_hosts(host_keys: Iterable[str], targets: Targets) -> Mapping[str, str]:
    """Return host without target to the host that is probably meant, for the first of them."""
    by_name = {target.name: target.host_key for target in targets.targets}
    known = frozenset(by_name.values())
    unknown = tuple(host for host in dict.fromkeys(host_keys) if host not in known)
    named = {host: by_name[host] for host in unknown if host in by_name}
    guessed = islice((host for host in unknown if host not in by_name), _MAX_GUESSES)
    guesses = ((host, closest(host, by_name.values())) for host in guessed)
    return named | {host: meant for host, meant in guesses if meant is not None}


def _unknown_hosts(parts: Iterable[Contribution], targets: Targets) -> Iterator[Problem]:
    """Yield the complaints about hosts without target: so many of each file, and advice for so many hosts."""
    parts = tuple(parts)
    meant = meant_hosts((part.feed.host_key for part in parts), targets)
    by_file: dict[str, Findings] = {}
    for part in parts:
        host_key = part.feed.host_key
        findings = by_file.setdefault(part.file.path, Findings(part.file.path, rule="unknown-host"))
        advice = f"did you mean '{meant[host_key]}'?" if host_key in meant else None
        if targets.named(host_key) is not None:
            advice = f"write the host of target '{host_key}': '{meant[host_key]}'"
        findings.add(
            part.feed.host_mark,
            f"no target has the host {quoted(host_key)}",
            expected="the host of a target",
            advice=advice,
        )
    for findings in by_file.values():
        yield from findings


def keys_of(parts: tuple[Contribution, ...]) -> tuple[KeyName, ...]:
    """Return all keys that ``parts`` give to a scope, as names sort."""
    return tuple(sorted((key.name for part in parts for key in part.feed.keys), key=fold))


def spelling_of(parts: tuple[Contribution, ...]) -> ScopeName:
    """Return how the scope is spelt: as most files spell it, else as the first of them by path does."""
    return Counter(part.feed.scope for part in parts).most_common(1)[0][0]
