"""Everything that can be checked without a key and without a workspace, for `validate`.

In: a directory. Out: what is wrong with the files of its work tree. Reads nothing else, and starts nothing but git.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler import git, policy
from reconciler.errors import Problem, Severity, UsageError
from reconciler.policy.rules import RULES
from reconciler.policy.sources import FOLDER, RULES_FILE, TARGETS_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What was found."""

    problems: tuple[Problem, ...]
    """By place."""

    files: int
    """How many were looked at."""

    rules: Mapping[str, str]
    """Each rule that was checked, id to a sentence about it."""

    prefix: str
    """Path of the directory from the top of its repository: empty, or ending in a slash."""

    @property
    def is_valid(self) -> bool:
        """Tell whether nothing has to be put right: warnings do not."""
        return all(problem.severity is not Severity.ERROR for problem in self.problems)


def validate(root: Path, environ: Mapping[str, str], paths: tuple[Path, ...] = ()) -> Validation:
    """Check the files of the work tree.

    Args:
        root: The directory that has ``secrets/``.
        environ: Where RECONCILER_EXTRA_HOSTS stands.
        paths: Files or folders, as the shell sees them, to which the answer is limited; none means all. Everything is
            read all the same, as some rules span several files.

    Raises:
        UsageError: A path does not exist, or is neither below ``secrets/`` nor ``.sops.yaml``; or the variable names
            what is no host.
    """
    limits = _limits(root, paths)
    checkout = git.Checkout(root)
    sources = checkout.read_work_tree()
    tree = policy.load(sources, policy.parse_extra_hosts(environ.get("RECONCILER_EXTRA_HOSTS", "")))
    read = [TARGETS_FILE, *(file.path for file in tree.files), *(file.path for file in tree.unreadable)]
    if sources.rules is not None:
        read.append(sources.rules.path)
    hidden = git.hidden_changes(root, sorted(read))

    def is_meant(file: str) -> bool:
        return limits is None or any(file == limit or file.startswith(f"{limit}/") for limit in limits)

    found = {problem for problem in (*tree.problems(), *tree.lint(), *hidden) if is_meant(problem.path)}
    return Validation(
        problems=tuple(sorted(found, key=_place)),
        files=sum(map(is_meant, read)),
        rules=RULES,
        prefix=checkout.prefix,
    )


def _place(problem: Problem) -> tuple[str, int, int, str]:
    return problem.path, problem.line or 0, problem.column or 0, problem.what


def _limits(root: Path, paths: tuple[Path, ...]) -> frozenset[str] | None:
    """Return what is meant, relative to ``root``; None means everything."""
    top = root.resolve()
    limits: set[str] = set()
    for path in paths:
        # Not resolved to the end: a link below secrets/ is itself what the complaint is about.
        place = top if path.resolve() == top else path.parent.resolve() / path.name
        is_rules = place.name == RULES_FILE and top.is_relative_to(place.parent)
        if not os.path.lexists(path) or not (place == top or is_rules or place.is_relative_to(top / FOLDER)):
            raise UsageError(f"no such file below {FOLDER}/, and no {RULES_FILE}: {path}")
        limits.add(Path(os.path.relpath(place, top)).as_posix())
    return None if not limits or "." in limits else frozenset(limits)
