"""Edges: the work tree, and git for the blobs of a commit, the state of the tree, the history; and a commit of ours.

To read, git is asked through plumbing whose output is made for programs, as ``-z`` text or raw blobs: no filter, no
textconv, no external diff, no hook, no file system monitor, no replaced object, no fetch of what a partial clone left
out. It gets an allow-listed environment. ``safe.directory`` stays in force: where git distrusts the repository, so do
we. What commits, `prepare`, runs it as the user would, see docs/adr/0023.

A run makes one `Checkout`. The functions of the same names are for whoever asks a single question.
"""

from pathlib import Path

from reconciler.git._attributes import hidden_changes
from reconciler.git._checkout import Checkout
from reconciler.git._commit import read_before
from reconciler.git._file_history import Commit, FileHistory, FileVersion, contents, file_history
from reconciler.git._history import ancestry, authors, is_shallow
from reconciler.git._places import from_root
from reconciler.git._review import (
    ChangedPath,
    Past,
    PastFile,
    changed_paths,
    merge_base,
    past_of,
    resolve,
    usual_base,
    versions_between,
)
from reconciler.git._work_tree import tracked
from reconciler.git._writing import GitFailed, NewBranch, branch_name, prepare
from reconciler.policy.sources import Sources


__all__ = [
    "ChangedPath",
    "Checkout",
    "Commit",
    "FileHistory",
    "FileVersion",
    "GitFailed",
    "NewBranch",
    "Past",
    "PastFile",
    "ancestry",
    "authors",
    "branch_name",
    "changed_paths",
    "contents",
    "file_history",
    "from_root",
    "head_commit",
    "hidden_changes",
    "is_repository",
    "is_shallow",
    "is_tracked",
    "merge_base",
    "past_of",
    "prefix",
    "prepare",
    "read_before",
    "read_commit",
    "read_work_tree",
    "resolve",
    "uncommitted",
    "usual_base",
    "versions_between",
]


def head_commit(root: Path) -> str | None:
    """Return `Checkout.head_commit`."""
    return Checkout(root).head_commit


def is_repository(root: Path) -> bool:
    """Return `Checkout.is_repository`."""
    return Checkout(root).is_repository


def is_tracked(root: Path, path: str) -> bool | None:
    """Tell whether ``path``, relative to ``root``, is in git's index; None where git could not be asked."""
    found = tracked(root, path)
    return None if found is None else path in found


def prefix(root: Path) -> str:
    """Return `Checkout.prefix`."""
    return Checkout(root).prefix


def read_commit(root: Path, commit: str | None = None) -> Sources:
    """Return what `Checkout.read_commit` does."""
    return Checkout(root).read_commit(commit)


def read_work_tree(root: Path) -> Sources:
    """Return what `Checkout.read_work_tree` does."""
    return Checkout(root).read_work_tree()


def uncommitted(root: Path) -> tuple[str, ...]:
    """Return what `Checkout.uncommitted` does."""
    return Checkout(root).uncommitted()
