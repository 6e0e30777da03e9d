"""Which files count, and what of them a run is about; everything that can be checked without key and workspace.

In: `Settings`. Out: `Chosen` targets, each with the files that were read for it; or the exception that ends the run.
Read are the work tree and, for targets that are not embedded, the commit.
"""

from dataclasses import replace
from functools import cached_property

from reconciler import git, policy
from reconciler.connections import local_problem
from reconciler.errors import InvalidInput, UsageError
from reconciler.policy import Policy, Sources, Target
from reconciler.pysops.config.fields import did_you_mean
from reconciler.settings import Chosen, Settings


def choose(settings: Settings) -> tuple[Chosen, ...]:
    """Return what the run is about, after everything that needs neither key nor workspace has been checked.

    Raises:
        UsageError: An unknown target or scope, or none is named where one must be.
        InvalidInput: A selected file breaks a rule that shows without a key, or a profile of this machine does not fit.
        Refused: Git does not work on the repository, or it has no commit yet.
    """
    chosen = Files(settings).choose(settings.wanted(), everything=settings.everything)
    problems = (local_problem(one.selected.target, settings) for one in chosen)
    if found := tuple(problem for problem in problems if problem is not None):
        raise InvalidInput(found)
    return chosen


class Files:
    """What git says: of embedded targets in the work tree, of the others at the commit.

    What was reviewed is the commit; an edit that nobody has seen must not reach a workspace. Outside git, and with
    ``--allow-dirty``, there is only the work tree.
    """

    def __init__(self, settings: Settings) -> None:
        """Read the work tree.

        Raises:
            UsageError: RECONCILER_EXTRA_HOSTS is not a list of hosts.
        """
        self._checkout = git.Checkout(settings.root)
        self._extra_hosts = policy.parse_extra_hosts(settings.environ.get("RECONCILER_EXTRA_HOSTS", ""))
        self._allow_dirty = settings.allow_dirty
        self._sources = self._checkout.read_work_tree()
        self.tree = policy.load(self._sources, self._extra_hosts)
        """The work tree."""

    @cached_property
    def committed(self) -> tuple[Policy, Sources] | None:
        """The commit; None where the work tree counts for every target.

        Raises:
            Refused: Git does not work on the repository, or it has no commit yet.
        """
        if self._allow_dirty or not self._checkout.is_repository:
            return None
        sources = self._checkout.read_commit()
        if replace(sources, commit=None, remarks=self._sources.remarks) == self._sources:
            # A pipeline's tree is as the commit says: reading a thousand values twice would cost 30 ms.
            return replace(self.tree, commit=sources.commit, remarks=sources.remarks), sources
        return policy.load(sources, self._extra_hosts), sources

    def is_in_tree(self, selector: str) -> bool:
        """Tell whether the target of ``selector`` is an embedded one.

        While targets.yaml has problems nobody can tell, unless the commit knows the target as a real one: the problems
        of the work tree are then shown for what would otherwise count as unknown, or be that of an older file.
        """
        name = selector.partition("/")[0]
        target = self.tree.targets.named(name)
        if target is None and self.tree.targets.problems and self.committed is not None:
            target = self.committed[0].targets.named(name)
            return target is None or target.embedded
        return target is not None and target.embedded

    def choose(self, selectors: tuple[str, ...], *, everything: bool) -> tuple[Chosen, ...]:
        """Return what a run is about.

        Raises:
            UsageError: An unknown target or scope.
            InvalidInput: The selection breaks a rule that shows without a key.
            Refused: Git does not work on the repository, or it has no commit yet.
        """
        in_tree = tuple(selector for selector in selectors if self.is_in_tree(selector))
        in_commit = tuple(selector for selector in selectors if selector not in in_tree)
        if not (in_commit or everything) or self.committed is None:
            return _chosen(self.tree, self._sources, selectors, everything=everything)
        committed, sources = self.committed
        dirty = self._checkout.uncommitted()
        chosen = _chosen(committed, sources, in_commit, everything=everything, dirty=dirty)
        if everything:
            chosen = tuple(one for one in chosen if not one.selected.target.embedded)
            embedded = (target for target in self.tree.targets.targets if target.embedded)
            in_tree = tuple(target.name for target in embedded if self.tree.scopes_of(target))
        return (*(_chosen(self.tree, self._sources, in_tree) if in_tree else ()), *chosen)

    def everything(self) -> tuple[str, ...]:
        """Return the names of all targets that have files, for a command that only looks at their workspaces.

        Raises:
            InvalidInput: targets.yaml breaks a rule.
        """
        rules = self.tree if self.committed is None else self.committed[0]
        for each in (self.tree, rules):
            if each.targets.problems:
                raise InvalidInput(each.targets.problems)
        embedded = (one.name for one in self.tree.targets.targets if one.embedded and self.tree.scopes_of(one))
        real = (one.name for one in rules.targets.targets if not one.embedded and rules.scopes_of(one))
        return (*embedded, *real)

    def target(self, name: str) -> Target:
        """Return a target for a command that only looks at its workspace; scope files may be as wrong as they like.

        Raises:
            UsageError: There is no such target.
            InvalidInput: targets.yaml breaks a rule.
        """
        rules = self.tree if self.is_in_tree(name) or self.committed is None else self.committed[0]
        if rules.targets.problems:
            raise InvalidInput(rules.targets.problems)
        if (target := rules.targets.named(name)) is None:
            known = [target.name for target in rules.targets.targets]
            raise UsageError(
                f"unknown target {name!r}", advice=did_you_mean(name, known) or f"known: {', '.join(known)}"
            )
        return target


def _chosen(
    rules: Policy,
    sources: Sources,
    selectors: tuple[str, ...],
    *,
    everything: bool = False,
    dirty: tuple[str, ...] = (),
) -> tuple[Chosen, ...]:
    selection = rules.select(selectors, everything=everything)
    return tuple(
        Chosen(selected=selected, sources=sources, owner=selection.owner, dirty=dirty) for selected in selection.targets
    )
