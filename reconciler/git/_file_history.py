"""Every version that a scope file ever had, at any commit that can be reached: for whoever asks what was readable once.

Three calls of git, however long the history is, and one more for each batch of contents. Whole commits are never
checked out, and the commits are not asked one by one.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.errors import Refused
from reconciler.git._history import checked_hash, is_shallow
from reconciler.git._plumbing import FILE_MODES, blobs_of, raw_changes, sizes_of
from reconciler.git._program import ask
from reconciler.policy.sources import FOLDER, MAX_FILE_BYTES, TARGETS_FILE, is_yaml


_BATCH_BYTES: Final = 32 * 1024 * 1024
"""How much is held at a time of what files were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit, as far as people want to know it."""

    name: str
    """Full hash."""

    at: str
    """When it was committed, RFC 3339 with its own offset; as its author says."""

    author: str
    """``Name <mail>`` as they wrote it; whoever prints it, escapes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileVersion:
    """What a commit made of a file."""

    path: str
    """From the directory of the run."""

    blob: str
    """Full hash of the content."""

    commit: Commit


@dataclass(frozen=True, slots=True, kw_only=True)
class FileHistory:
    """All versions of the scope files of a repository."""

    commit: str
    """Full hash of the commit that is now."""

    now: Mapping[str, str]
    """Path to blob, of every scope file at that commit."""

    versions: tuple[FileVersion, ...]
    """Each commit with each file that it changed, a merge with what differs from any of its parents; a commit stands
    behind those that it builds on."""

    commits: int
    """How many commits changed any scope file."""


def file_history(root: Path, commit: str, *, all_refs: bool) -> FileHistory:
    """Return every version of every scope file.

    Args:
        root: The directory of the run, within a repository.
        commit: Full hash, of the commit that is now.
        all_refs: Look at the commits of all branches, tags and stashes, not only at those that this one builds on.

    Raises:
        Refused: Git does not work on the repository, or the clone is shallow, which leaves older versions out.
    """
    if is_shallow(root):
        raise Refused(
            "this clone is shallow: what could be read at the commits that it leaves out cannot be told",
            advice="git fetch --unshallow, and run again",
        )
    commits = {one.name: one for one in _commits(root, checked_hash(commit), all_refs=all_refs)}
    versions = tuple(_versions(root, commits))
    return FileHistory(commit=commit, now=dict(_now(root, commit)), versions=versions, commits=len(commits))


def _commits(root: Path, commit: str, *, all_refs: bool) -> Iterator[Commit]:
    """Yield the commits that changed anything below ``secrets/``, older ones first."""
    # Without --full-history, git leaves out side branches whose changes did not survive the merge.
    output = ask(
        root,
        "rev-list",
        "--full-history",
        "--topo-order",
        "--reverse",
        "--encoding=UTF-8",
        "--format=%cI%n%an <%ae>",
        *(("--all",) if all_refs else ()),
        commit,
        "--",
        FOLDER,
    )
    lines = output.decode(errors="replace").split("\n")
    for line, at, author in zip(lines[0::3], lines[1::3], lines[2::3], strict=False):
        yield Commit(name=checked_hash(line.removeprefix("commit ")), at=at, author=author)


def _versions(root: Path, commits: Mapping[str, Commit]) -> Iterator[FileVersion]:
    if not commits:
        return
    output = ask(
        root,
        "diff-tree",
        "--stdin",
        "--root",
        "-m",  # each parent by itself: what a merge made of two versions stands in neither of them
        "-r",
        "-z",
        "--raw",
        "--no-renames",
        "--no-abbrev",
        "--relative",
        "--",
        FOLDER,
        stdin="".join(f"{name}\n" for name in commits).encode(),
    )
    for one in raw_changes(output):
        if one.modes[1] in FILE_MODES and _is_scope_file(one.path):
            yield FileVersion(path=one.path, blob=checked_hash(one.blobs[1]), commit=commits[one.commit])


def _now(root: Path, commit: str) -> Iterator[tuple[str, str]]:
    for record in ask(root, "ls-tree", "-r", "-z", commit, "--", FOLDER).split(b"\0"):
        facts, _, name = record.partition(b"\t")
        path = os.fsdecode(name)
        if facts and facts[:6].decode("ascii") in FILE_MODES and _is_scope_file(path):
            yield path, facts.split()[2].decode("ascii")


def _is_scope_file(path: str) -> bool:
    return is_yaml(path) and path != TARGETS_FILE


def contents(root: Path, blobs: Sequence[str]) -> Iterator[tuple[str, bytes | None]]:
    """Yield each blob with its content; None for one that is larger than a scope file may be.

    Raises:
        Refused: Git does not have all of them, as in a partial clone.
    """
    if not blobs:
        return
    batch: list[str] = []
    total = 0
    for name, size in zip(blobs, _sizes(root, blobs), strict=True):
        if size > MAX_FILE_BYTES:
            yield name, None
            continue
        if batch and total + size > _BATCH_BYTES:
            yield from blobs_of(root, frozenset(batch)).items()
            batch, total = [], 0
        batch.append(name)
        total += size
    yield from blobs_of(root, frozenset(batch)).items()


def _sizes(root: Path, blobs: Sequence[str]) -> list[int]:
    """Return how large blobs are, in bytes."""
    try:
        sizes = [size for size in sizes_of(root, blobs) if size is not None]
    except Refused:
        sizes = []  # by now git works, so that what it did not find is the reason: it would have to fetch it
    if len(sizes) != len(blobs):
        raise Refused(
            "git does not have all versions of the files",
            advice="fetch them: this may be a partial clone, or a damaged one",
        )
    return sizes
