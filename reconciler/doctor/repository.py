"""Git and the files: what can be told without any key. Reads the work tree, as that is what will be committed."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from reconciler import git, policy
from reconciler.doctor.probing import Section
from reconciler.errors import EXIT_INVALID_INPUT, Problem, escaped, some_of
from reconciler.git import merge_driver, unmerged
from reconciler.policy import Policy, Sources
from reconciler.policy.sources import FOLDER, RULES_FILE, TARGETS_FILE
from reconciler.report.checkup import Check


_REPOSITORY: Final = Section("repository")
_FILES: Final = Section("files")


class Directory:
    """The directory of the run. What stands in it is read once, when it is first asked for."""

    def __init__(self, root: Path, extra_hosts: str) -> None:
        """Read nothing yet.

        Args:
            root: Directory that has ``secrets/``.
            extra_hosts: What RECONCILER_EXTRA_HOSTS says.
        """
        self._root = root
        self._extra_hosts = extra_hosts

    @cached_property
    def _checkout(self) -> git.Checkout:
        return git.Checkout(self._root)

    @cached_property
    def sources(self) -> Sources:
        """The files of the work tree."""
        return self._checkout.read_work_tree()

    @cached_property
    def policy(self) -> Policy:
        """What they say.

        Raises:
            UsageError: RECONCILER_EXTRA_HOSTS is not a list of hosts.
        """
        return policy.load(self.sources, policy.parse_extra_hosts(self._extra_hosts))

    def repository_checks(self) -> Iterator[Check]:
        """Yield how git stands."""
        yield from _REPOSITORY.probe("git", self._git)

    def _git(self) -> Iterator[Check]:
        if not self._checkout.is_repository:
            text = "this is no git repository: real targets are fed from the work tree, and nobody reviews it"
            yield _REPOSITORY.warn("git", text, "git init, and commit the files")
            return
        commit = self._checkout.head_commit
        if commit is None:
            text = "there is no commit yet, and real targets are fed from commits"
            yield _REPOSITORY.warn("commit", text, "commit the files")
            return
        yield _REPOSITORY.ok("commit", f"HEAD is {commit[:12]}")
        for name, look in (("shallow", self._shallow), ("clean", self._clean), ("merge-driver", self._merge_driver)):
            yield from _REPOSITORY.probe(name, look)

    def _shallow(self) -> Iterator[Check]:
        if git.is_shallow(self._root):
            text = "this clone is shallow: whether a commit builds on the last one applied may not be known"
            yield _REPOSITORY.warn("shallow", text, "git fetch --unshallow; in a pipeline, fetch the whole history")
        else:
            yield _REPOSITORY.ok("shallow", "the whole history is here")

    def _clean(self) -> Iterator[Check]:
        names = self._checkout.uncommitted()
        if names:
            text = f"not as committed: {some_of(names)}"
            yield _REPOSITORY.warn("clean", text, "commit this before an apply of a real target, which refuses it")
        else:
            yield _REPOSITORY.ok("clean", f"{FOLDER}/ and {RULES_FILE} are as committed")

    def _merge_driver(self) -> Iterator[Check]:
        named = unmerged.merge_attribute(self._root, merge_driver.PROBES[0]) == merge_driver.DRIVER
        configured = unmerged.config(self._root, merge_driver.DRIVER_SETTING)
        if named and configured:
            yield _REPOSITORY.ok("merge-driver", "git merges scope files key by key")
            return
        missing = "this clone does not know the merge driver" if named else ".gitattributes names no merge driver"
        text = f"{missing}: branches that changed the same file conflict in its MAC"
        yield _REPOSITORY.warn("merge-driver", text, "reconciler merge-driver --install")

    def file_checks(self) -> Iterator[Check]:
        """Yield what is wrong with the files."""
        for name, look in (("targets", self._targets), ("rules", self._rules), ("scope-files", self._scope_files)):
            yield from _FILES.probe(name, look)

    def _targets(self) -> Iterator[Check]:
        found = self.policy.targets
        if TARGETS_FILE not in self.sources.files and not self.policy.source_problems:
            text = f"there is no {TARGETS_FILE} here"
            yield _FILES.fail("targets", text, "reconciler init, or -C DIRECTORY", code=EXIT_INVALID_INPUT)
        elif found.problems:
            yield _problems("targets", found.problems)
        elif found.targets:
            yield _FILES.ok("targets", f"{TARGETS_FILE} names {some_of([each.name for each in found.targets])}")
        else:
            text = f"{TARGETS_FILE} names no target"
            yield _FILES.fail("targets", text, "reconciler init, or -C DIRECTORY", code=EXIT_INVALID_INPUT)

    def _rules(self) -> Iterator[Check]:
        rules = self.policy.rules
        if rules.problems:
            yield _problems("rules", rules.problems)
        elif rules.config is None or rules.file is None:
            text = f"there is no {RULES_FILE} with a rule: nothing says who may open which files"
            yield _FILES.warn("rules", text, "reconciler init makes one")
        else:
            count = len(rules.config.rules)
            yield _FILES.ok("rules", f"{escaped(rules.file.path)} has {count} rule{'' if count == 1 else 's'}")

    def _scope_files(self) -> Iterator[Check]:
        told = {*self.policy.targets.problems, *self.policy.rules.problems}
        problems = [one for one in self.policy.problems() if one not in told]
        if problems:
            yield _problems("scope-files", problems)
        else:
            count = len(self.policy.files)
            yield _FILES.ok("scope-files", f"{count} scope file{'' if count == 1 else 's'} without a problem")
        # These keep no run from its work, though validate may fail by them.
        remarks = [one for one in self.policy.lint() if one not in told and one.rule != "sops-config-missing"]
        if remarks:
            yield _FILES.warn("remarks", _said(remarks), "reconciler validate shows all of it")


def _problems(name: str, problems: Sequence[Problem]) -> Check:
    return _FILES.fail(name, _said(problems), "reconciler validate shows all of it", code=EXIT_INVALID_INPUT)


def _said(problems: Sequence[Problem]) -> str:
    more = len(problems) - 1
    return f"{problems[0].where}: {problems[0].what}" + (f", and {more} more" if more else "")
