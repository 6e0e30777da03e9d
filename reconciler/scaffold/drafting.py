"""The files as they will be: nothing is written before all of it was checked together."""

import dataclasses
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from reconciler import policy
from reconciler.editing.saving import FileChange, locked, put_files
from reconciler.errors import InvalidInput
from reconciler.policy import Policy, Sources, Target
from reconciler.policy.sources import RULES_FILE, TARGETS_FILE, RulesFile
from reconciler.scaffold.outcome import Outcome


class Draft:
    """What there is, and what is added to it. Never changes what a file says already."""

    def __init__(self, root: Path, before: Sources, environ: Mapping[str, str]) -> None:
        """Begin with the files of the work tree.

        Args:
            root: Directory of the run.
            before: What is there.
            environ: Where RECONCILER_EXTRA_HOSTS stands.

        Raises:
            InvalidInput: targets.yaml or ``.sops.yaml`` is there and breaks a rule.
            UsageError: The variable names what is no host.
        """
        self._root = root
        self.extra_hosts = policy.parse_extra_hosts(environ.get("RECONCILER_EXTRA_HOSTS", ""))
        # Git knows nothing yet of what will be committed in the end, and need not.
        self._sources = dataclasses.replace(before, tracked=None)
        self._new: dict[str, bytes] = {}
        self._before: dict[str, bytes | None] = {}
        of_targets = self.policy.targets.problems if self.has(TARGETS_FILE) else ()
        if stopping := (*self.policy.source_problems, *of_targets):
            raise InvalidInput(stopping)

    @cached_property
    def policy(self) -> Policy:
        """What the files say, as drafted so far."""
        return policy.load(self._sources, self.extra_hosts)

    @property
    def rules(self) -> RulesFile | None:
        """The ``.sops.yaml`` that counts."""
        return self._sources.rules

    def has(self, path: str) -> bool:
        """Tell whether there is a file, or will be."""
        return path in self._sources.files

    def bytes_of(self, path: str) -> bytes:
        """Return a file below ``secrets/``."""
        return self._sources.files[path]

    def add(self, path: str, data: bytes) -> None:
        """Add a file, or put one with more lines in place of one that is there."""
        if path == RULES_FILE:
            self._before[path] = None if self.rules is None or self.rules.path != path else self.rules.data
        else:
            self._before[path] = self._sources.files.get(path)
        self._new[path] = data
        if path == RULES_FILE:
            self._sources = dataclasses.replace(self._sources, rules=RulesFile(path=path, data=data))
        else:
            self._sources = dataclasses.replace(self._sources, files={**self._sources.files, path: data})
        vars(self).pop("policy", None)

    def target(self, name: str) -> Target:
        """Return a target that was added.

        Raises:
            InvalidInput: Its fields do not go together.
        """
        found = self.policy.targets.named(name)
        if found is None:
            raise InvalidInput(self.policy.targets.problems)
        return found

    def check(self) -> None:
        """Make sure that `validate` will find nothing.

        Raises:
            InvalidInput: It would.
        """
        if problems := self.policy.problems():
            raise InvalidInput(problems)

    def write(self, outcome: Outcome) -> None:
        """Put what was added in place, in the order in which it was.

        Raises:
            Refused: Something of that name is there by now.
            ReconcilerError: It cannot be written.
        """
        changes = [FileChange(path=path, before=self._before[path], after=data) for path, data in self._new.items()]
        with locked(self._root):
            put_files(self._root, changes)  # also without any: it takes away what a killed run has left
        for path in self._new:
            (outcome.written if self._before[path] is None else outcome.completed).append(path)
        known = (TARGETS_FILE, *(() if self.rules is None else (self.rules.path,)))
        outcome.left.extend(path for path in known if path not in self._new)
