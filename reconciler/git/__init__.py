"""Edges that read: the work tree, and git for the blobs of a commit and the state of the tree.

Git is asked through plumbing whose output is made for programs, as ``-z`` text or raw blobs: no filter, no textconv, no
external diff, no hook, no file system monitor, no replaced object, no fetch of what a partial clone left out. It gets
an allow-listed environment. ``safe.directory`` stays in force: where git distrusts the repository, so do we.
"""

import os
from pathlib import Path

from reconciler.errors import escaped
from reconciler.git._attributes import hidden_changes
from reconciler.git._commit import read_commit
from reconciler.git._history import ancestry, authors
from reconciler.git._places import from_root, nearest_rules
from reconciler.git._program import ask, prefix, repository
from reconciler.git._work_tree import read_work_tree, tracked
from reconciler.policy.sources import FOLDER


__all__ = [
    "ancestry",
    "authors",
    "head_commit",
    "hidden_changes",
    "is_repository",
    "is_tracked",
    "prefix",
    "read_commit",
    "read_work_tree",
    "uncommitted",
]


def head_commit(root: Path) -> str | None:
    """Return the full hash of HEAD; None outside a git repository, and before its first commit.

    Raises:
        Refused: there is a repository but git does not work on it.
    """
    where = repository(root)
    return None if where is None else where.commit


def is_tracked(root: Path, path: str) -> bool | None:
    """Tell whether ``path``, relative to ``root``, is in git's index; None where git could not be asked."""
    found = tracked(root, path)
    return None if found is None else path in found


def uncommitted(root: Path) -> tuple[str, ...]:
    """Return the names of what is not as in HEAD: changed, staged or untracked below ``secrets/``, and ``.sops.yaml``.

    Of the latter the one that counts, and what was nearer. Sorted, relative to ``root``, escaped. Empty outside a git
    repository. Files that git ignores do not count.

    Raises:
        Refused: git does not work on the repository.
    """
    where = repository(root)
    if where is None:
        return ()
    top = root.resolve()
    search = nearest_rules(where.prefix, lambda path: os.path.lexists(top / path))
    output = ask(
        root,
        "status",
        "--porcelain=v1",
        "-z",
        "--untracked-files=all",
        "--ignore-submodules=all",  # would start git within them; a submodule below secrets/ is refused on reading
        "--no-renames",
        "--",
        FOLDER,
        *(level.rules for level in search.visited),
    )
    # Each record is two letters of state, a space and the path from the top of the repository.
    names = (os.fsdecode(record[3:]) for record in output.split(b"\0") if record)
    return tuple(sorted({escaped(from_root(name, where.prefix)) for name in names}))


def is_repository(root: Path) -> bool:
    """Tell whether ``root`` lies in the work tree of a git repository, with a commit or without one yet.

    Raises:
        Refused: there is a repository but git does not work on it.
    """
    return repository(root) is not None
