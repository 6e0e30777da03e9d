"""Files that a merge, a rebase or the like has left in conflict: what the index knows of them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.errors import Refused
from reconciler.git._plumbing import FILE_MODES
from reconciler.git._program import ask, run
from reconciler.policy.sources import MAX_FILE_BYTES


_BASE, _OURS, _THEIRS = 1, 2, 3
_HEADS: Final = ("MERGE_HEAD", "REBASE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD")
"""A rebase may have the head of a cherry-pick besides its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmerged:
    """The three versions of a file in conflict; None where a side does not have it."""

    base: bytes | None
    ours: bytes | None
    theirs: bytes | None


def unmerged(root: Path, folder: str) -> Mapping[str, Unmerged]:
    """Return the files at or below ``folder`` that are in conflict, by their path from ``root``.

    Raises:
        Refused: git does not work here; or a version is no regular file, or too large to be one of ours.
    """
    found: dict[str, dict[int, bytes]] = {}
    for record in ask(root, "ls-files", "--unmerged", "-z", "--", folder).split(b"\0"):
        if not record:
            continue
        described, _, name = record.partition(b"\t")
        mode, blob, stage = described.decode("ascii").split(" ")
        path = os.fsdecode(name)
        found.setdefault(path, {})[int(stage)] = _blob(root, path, mode, blob)
    return {
        path: Unmerged(base=stages.get(_BASE), ours=stages.get(_OURS), theirs=stages.get(_THEIRS))
        for path, stages in found.items()
    }


def unmerged_paths(root: Path) -> frozenset[str]:
    """Return everything that is in conflict, in the whole repository, as paths from its top.

    Raises:
        Refused: git does not work here.
    """
    records = ask(root, "diff-files", "--name-only", "--diff-filter=U", "-z").split(b"\0")
    return frozenset(os.fsdecode(record) for record in records if record)


def _blob(root: Path, path: str, mode: str, blob: str) -> bytes:
    if mode not in FILE_MODES:
        raise Refused(f"{path!a} is no regular file on one of the sides", advice="decide with git which one to keep")
    if int(ask(root, "cat-file", "-s", blob)) > MAX_FILE_BYTES:
        raise Refused(f"{path!a} is larger than 16 MiB on one of the sides", advice="decide with git which one to keep")
    return ask(root, "cat-file", "blob", blob)


def merge_under_way(root: Path) -> str | None:
    """Return the name of the head that is being merged, picked or applied, such as ``MERGE_HEAD``; None for none."""
    for head in _HEADS:
        if run(root, ("rev-parse", "--verify", "--quiet", head)).returncode == 0:
            return head
    return None


def unresolve(root: Path, path: str) -> None:
    """Bring the versions of a file back into the index that was added before its conflict was resolved.

    Git keeps them until the commit. Does nothing where it has none.

    Args:
        root: directory of the run.
        path: below ``secrets/``, so that it is no option: what follows this one git takes for paths, also ``--``.
    """
    run(root, ("update-index", "--unresolve", path))


def add(root: Path, path: str) -> None:
    """Put a file of the work tree into the index, which marks its conflict as resolved.

    Raises:
        Refused: git could not.
    """
    ask(root, "add", "--", path)


def merge_lines(root: Path, ours: Path, base: Path, theirs: Path, marker_size: int) -> int:
    """Merge plain files line by line, as git does by itself; the result goes into that of our side.

    Returns:
        How many conflicts there are, 127 at most.

    Raises:
        Refused: git could not.
    """
    labels = ("-L", "ours", "-L", "base", "-L", "theirs")
    arguments = ("merge-file", "-q", f"--marker-size={marker_size}", *labels, "--", str(ours), str(base), str(theirs))
    done = run(root, arguments)
    if done.returncode > _MOST_CONFLICTS:
        raise Refused("git merge-file failed", advice="look at the file with git status and git diff")
    return done.returncode


_MOST_CONFLICTS: Final = 127


def marker_size(root: Path, path: str) -> int | None:
    """Return how large conflict markers are to be in a file, as its attributes say; None when they do not.

    Raises:
        Refused: git could not be asked.
    """
    value = ask(root, "check-attr", "-z", "conflict-marker-size", "--", path).split(b"\0")[2:3]
    return int(value[0]) if value and value[0].isdigit() else None


def merge_attribute(root: Path, path: str) -> str:
    """Return the merge driver that attributes name for a file; ``unspecified`` when they name none.

    Raises:
        Refused: git could not be asked.
    """
    return os.fsdecode(ask(root, "check-attr", "-z", "merge", "--", path).split(b"\0")[2])


def config(root: Path, name: str) -> str | None:
    """Return a setting of the repository alone, without those of the user; None when there is none."""
    done = run(root, ("config", "--local", "--get", name))
    return os.fsdecode(done.stdout.removesuffix(b"\n")) if done.returncode == 0 else None


def set_config(root: Path, name: str, value: str) -> None:
    """Write a setting into the configuration of the repository.

    Raises:
        Refused: git could not.
    """
    ask(root, "config", "--local", name, value)
