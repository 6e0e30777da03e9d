"""Everything that git says without any key, and which part of it a run is about."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from reconciler.errors import InvalidInput, Problem, UsageError
from reconciler.model import Acl, FoldedName, KeyName, Prune, ScopeName, fold
from reconciler.policy.crossing import Contributions, CrossProblem, ScopeId, keys_of, meant_hosts, scope_id, spelling_of
from reconciler.policy.findings import quoted
from reconciler.policy.lint import Surroundings, lint_rules, lint_targets
from reconciler.policy.scope_files import RotationRule, ScopeFile, UnreadableFile
from reconciler.policy.sops_rules import SopsRules
from reconciler.policy.targets import Target, Targets
from reconciler.pysops.config.fields import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopePolicy:
    """What git says about one scope of one workspace, values aside."""

    scope: ScopeName
    files: tuple[ScopeFile, ...]
    """Those that feed it, by path; free of problems."""

    keys: tuple[KeyName, ...]
    """All of them, as names sort."""

    acls: tuple[Acl, ...] | None
    """Grants; None leaves them alone."""

    prune: Prune
    rotation: tuple[RotationRule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedTarget:
    """One target that the run is about."""

    target: Target
    scopes: tuple[ScopePolicy, ...]
    """Sorted by name. Empty for a target that was named but that no file feeds."""

    whole: bool
    """All scopes of the target are selected, so that what is not among them is not in git."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a run is about; every keyless check of it has passed."""

    owner: str | None
    """UUID of who owns what is written; None only when all targets are embedded."""

    commit: str | None
    """Full hash of the commit that the files are from; None for the work tree."""

    targets: tuple[SelectedTarget, ...]
    """In the order of targets.yaml."""


_Wanted = dict[str, set[FoldedName] | None]
"""Target name to the scopes that were asked for; None means all of them."""

_EXPECTED: Final = "TARGET or TARGET/SCOPE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All of ``secrets/`` as far as it can be read without a key. Made by `reconciler.policy.load`."""

    targets: Targets
    files: tuple[ScopeFile, ...]
    """By path, those with problems included."""

    unreadable: tuple[UnreadableFile, ...]
    source_problems: tuple[Problem, ...]
    """Of collecting the files: links, names, sizes; and a ``.sops.yaml`` that cannot be used."""

    contributions: Contributions
    cross_problems: tuple[CrossProblem, ...]
    rules: SopsRules
    surroundings: Surroundings
    remarks: tuple[Problem, ...]
    """Of collecting the files, too, but they keep nothing from being read."""

    commit: str | None

    def problems(self) -> tuple[Problem, ...]:
        """Return everything that is wrong with any file, by place."""
        within = (problem for file in self.files for problem in file.problems)
        across = (cross.problem for cross in self.cross_problems)
        return _sorted((*self._of_all(), *within, *across))

    def lint(self) -> tuple[Problem, ...]:
        """Return what keeps no run from its work, and is worth a look all the same, by place."""
        found = [*self.remarks]
        unusable = any(problem.rule in {"file-kind", "file-size", "sops-config"} for problem in self.source_problems)
        found.extend(lint_rules(self.rules, self.surroundings, unusable=unusable))
        if not self.unreadable and all(file.complete for file in self.files) and not self.targets.problems:
            hosts = frozenset(scope.host_key for scope in self.contributions)
            # Where a host is misspelt, that is said of it, and not of its target as well.
            found.extend(lint_targets(self.targets, hosts.union(meant_hosts(sorted(hosts), self.targets).values())))
        return _sorted(found)

    def scopes_of(self, target: Target) -> tuple[ScopePolicy, ...]:
        """Return what git says about each scope of ``target``, sorted by name, problems or not."""
        return tuple(self._scope(scope) for scope in self.contributions if scope.host_key == target.host_key)

    def select(self, selectors: tuple[str, ...], *, everything: bool = False) -> Selection:
        """Return the part of it that a run is about.

        Args:
            selectors: each ``TARGET`` or ``TARGET/SCOPE``. Scopes compare without regard to case.
            everything: every target that any file feeds. Targets without files are selected only by name.

        Raises:
            UsageError: a target or scope is unknown, or nothing is asked for, or both names and everything.
            InvalidInput: something that the selection touches has problems; carries all of them. What could be about
                any scope touches every selection: targets.yaml, a file that is no document, a name that does not fit.
        """
        if bool(selectors) == everything:
            raise UsageError("say which targets are meant", advice=f"name {_EXPECTED}, or give --all, not both")
        if self.targets.problems:
            # Without targets nobody can tell what a selector means; show whatever else waits to be repaired, too.
            raise InvalidInput(self.problems())
        wanted = self._everything() if everything else self._wanted(selectors)
        problems = self._touching(wanted)
        if problems:
            raise InvalidInput(problems)
        self._check_scopes(wanted)
        return Selection(
            owner=self.targets.owner,
            commit=self.commit,
            targets=tuple(
                SelectedTarget(
                    target=target,
                    scopes=tuple(
                        self._scope(scope) for scope in self.contributions if _is_wanted(scope, target, wanted)
                    ),
                    whole=wanted[target.name] is None,
                )
                for target in self.targets.targets
                if target.name in wanted
            ),
        )

    def _everything(self) -> _Wanted:
        fed = {scope.host_key for scope in self.contributions}
        return {target.name: None for target in self.targets.targets if target.host_key in fed}

    def _wanted(self, selectors: tuple[str, ...]) -> _Wanted:
        wanted: _Wanted = {}
        unknown: list[str] = []
        for selector in selectors:
            name, slash, scope = selector.partition("/")
            if self.targets.named(name) is None:
                unknown.append(name)
            elif not slash:
                wanted[name] = None
            else:
                scopes = wanted.setdefault(name, set())
                if scopes is not None:
                    scopes.add(fold(scope))
        if unknown:
            raise _unknown("target", unknown, [target.name for target in self.targets.targets])
        return wanted

    def _check_scopes(self, wanted: _Wanted) -> None:
        unknown: list[str] = []
        known: list[str] = []
        for target in self.targets.targets:
            there = {scope.scope for scope in self.contributions if scope.host_key == target.host_key}
            known.extend(f"{target.name}/{scope}" for scope in sorted(there))
            unknown.extend(f"{target.name}/{scope}" for scope in sorted((wanted.get(target.name) or set()) - there))
        if unknown:
            raise _unknown("scope", unknown, known)

    def _touching(self, wanted: _Wanted) -> tuple[Problem, ...]:
        """Return the problems of whatever ``wanted`` touches."""
        touched = {
            scope
            for target in self.targets.targets
            for scope in self.contributions
            if _is_wanted(scope, target, wanted)
        }
        within = (
            problem
            for file in self.files
            if file.complete and any(scope_id(feed) in touched for feed in file.feeds)
            for problem in file.problems
        )
        across = (cross.problem for cross in self.cross_problems if cross.scope is None or cross.scope in touched)
        return _sorted((*self._of_all(), *within, *across))

    def _of_all(self) -> Iterator[Problem]:
        """Yield the problems that touch every selection."""
        yield from self.targets.problems
        yield from self.source_problems
        for unreadable in self.unreadable:
            yield from unreadable.problems
        for file in self.files:
            if not file.complete:
                yield from file.problems

    def _scope(self, scope: ScopeId) -> ScopePolicy:
        parts = self.contributions[scope]
        ruling = next((part.file for part in parts if part.file.policy_mark is not None), None)
        return ScopePolicy(
            scope=spelling_of(parts),
            files=tuple({part.file.path: part.file for part in parts}.values()),
            keys=keys_of(parts),
            acls=None if ruling is None else ruling.acls,
            prune=Prune.OWNED if ruling is None or ruling.prune is None else ruling.prune,
            rotation=() if ruling is None or ruling.rotation is None else ruling.rotation,
        )


def _is_wanted(scope: ScopeId, target: Target, wanted: _Wanted) -> bool:
    if scope.host_key != target.host_key or target.name not in wanted:
        return False
    scopes = wanted[target.name]
    return scopes is None or scope.scope in scopes


def _unknown(kind: str, names: list[str], known: list[str]) -> UsageError:
    text = ", ".join(quoted(name) for name in dict.fromkeys(names))
    advice = did_you_mean(names[0], known)
    if advice is None:
        advice = f"known: {', '.join(known)}" if known else f"there is none; see the README for how to add a {kind}"
    return UsageError(f"unknown {kind} {text}", advice=advice)


def _sorted(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(set(problems), key=lambda each: (each.path, each.line or 0, each.column or 0, each.what)))
