"""Files that a merge, a rebase or the like has left in conflict: what the index knows of them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.errors import Refused
from reconciler.git._program import ask, run
from reconciler.policy.sources import MAX_FILE_BYTES


_BASE, _OURS, _THEIRS = 1, 2, 3
_FILE_MODES: Final = frozenset({b"100644", b"100755"})
_HEADS: Final = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REBASE_HEAD", "REVERT_HEAD")


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
        mode, blob, stage = described.split(b" ")
        path = os.fsdecode(name)
        found.setdefault(path, {})[int(stage)] = _blob(root, path, mode, blob)
    return {
        path: Unmerged(base=stages.get(_BASE), ours=stages.get(_OURS), theirs=stages.get(_THEIRS))
        for path, stages in found.items()
    }


def _blob(root: Path, path: str, mode: bytes, blob: bytes) -> bytes:
    if mode not in _FILE_MODES:
        raise Refused(f"{path!a} is no regular file on one of the sides", advice="decide with git which one to keep")
    name = blob.decode("ascii")
    if int(ask(root, "cat-file", "-s", name)) > MAX_FILE_BYTES:
        raise Refused(f"{path!a} is larger than 16 MiB on one of the sides", advice="decide with git which one to keep")
    return ask(root, "cat-file", "blob", name)


def merge_under_way(root: Path) -> str | None:
    """Return the name of the head that is being merged, picked or applied, such as ``MERGE_HEAD``; None for none."""
    for head in _HEADS:
        if run(root, ("rev-parse", "--verify", "--quiet", head)).returncode == 0:
            return head
    return None


def unresolve(root: Path, path: str) -> None:
    """Bring the versions of a file back into the index that was added before its conflict was resolved.

    Git keeps them until the commit. Does nothing where it has none.
    """
    run(root, ("update-index", "--unresolve", "--", path))


def add(root: Path, path: str) -> None:
    """Put a file of the work tree into the index, which marks its conflict as resolved.

    Raises:
        Refused: git could not.
    """
    ask(root, "add", "--", path)
