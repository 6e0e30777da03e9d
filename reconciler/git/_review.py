"""What a review asks of git: which commit is meant, where two parted, what changed, and what files were before.

Names of commits come from the command line, and in a pipeline whoever opened a pull request may have chosen them: they
reach git as one revision, never as an option or a path.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from reconciler.errors import Refused
from reconciler.git._history import checked_hash, is_shallow
from reconciler.git._places import from_root
from reconciler.git._plumbing import FILE_MODES, blobs_of, raw_changes, sizes_of
from reconciler.git._program import ask, run
from reconciler.policy.sources import FOLDER


_USUAL_BASES: Final = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
"""Where a change is usually merged to. Not the upstream of the branch: for one that was pushed that is itself."""

_MAX_NAME_CHARS: Final = 1_000

MAX_PAST_COMMITS: Final = 500
"""How many older commits are looked at for ciphertexts that come back."""

MAX_PAST_BYTES: Final = 64 * 1024 * 1024
"""How much of what they held is read."""

MAX_BRANCH_BYTES: Final = 8 * 1024 * 1024
"""How much is read of what files held at the commits of a branch: all of it is parsed."""

_MAX_PAST_PATHS: Final = 500

_UNTRACKED: Final = "A"

_AS_SHIPPED: Final = tuple(
    part
    for setting in ("log.follow=false", "log.diffMerges=separate", "log.showRoot=true", "diff.relative=false")
    for part in ("-c", setting)
)
"""Before commands that people use, too, and whose output they can change by settings of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedPath:
    """A file that two trees do not have in common."""

    path: str
    """From the top of the repository."""

    status: str
    """``A`` added, ``D`` deleted, ``M`` changed, ``T`` of another kind, such as a link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastFile:
    """What a file held at an earlier commit."""

    commit: str
    """Full hash: the one that made it so."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What files held before."""

    files: Mapping[str, tuple[PastFile, ...]]
    """Path, relative to the directory of the run, to what it held; newest first, without what it holds at the end."""

    complete: bool
    """All of the history was looked at that there is."""


def resolve(root: Path, name: str) -> str | None:
    """Return the full hash of the commit that ``name`` stands for; None where there is none.

    Args:
        root: the directory of the run, within a repository.
        name: a branch, a tag, a hash or any other revision.

    Raises:
        Refused: git does not work on the repository.
    """
    # --end-of-options is enough by itself; a name that begins so is none that git would give to anything, though.
    if not name or name.startswith("-") or len(name) > _MAX_NAME_CHARS or not name.isprintable():
        return None
    try:
        done = run(root, ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"))
    except FileNotFoundError:
        raise Refused("git is not installed", advice="install git") from None
    found = done.stdout.decode("ascii", errors="replace").strip()
    return checked_hash(found) if done.returncode == 0 else None


def usual_base(root: Path) -> tuple[str, str] | None:
    """Return name and full hash of what changes are usually merged to; None where nothing is called so.

    Raises:
        Refused: git does not work on the repository.
    """
    for name in _USUAL_BASES:
        found = resolve(root, f"refs/remotes/{name}" if "/" in name else f"refs/heads/{name}")
        if found is not None:
            return name, found
    return None


def merge_base(root: Path, one: str, other: str) -> str | None:
    """Return the commit at which two parted; None where git does not know of one, as in a shallow clone.

    Args:
        root: the directory of the run, within a repository.
        one: full hash.
        other: full hash.

    Raises:
        ValueError: one of them is no full hash.
        Refused: git is not installed, or does not answer.
    """
    try:
        done = run(root, ("merge-base", checked_hash(one), checked_hash(other)))
    except FileNotFoundError:
        raise Refused("git is not installed", advice="install git") from None
    if done.returncode != 0:
        return None
    return checked_hash(done.stdout.decode("ascii").split("\n", 1)[0])


def changed_paths(root: Path, base: str, head: str | None) -> tuple[ChangedPath, ...]:
    """Return what differs in the whole repository, by path.

    Args:
        root: the directory of the run, within a repository.
        base: full hash.
        head: full hash; None for the work tree, with files that git does not track and does not ignore.

    Raises:
        ValueError: one of them is no full hash.
        Refused: git does not work on the repository.
    """
    shape = ("-z", "--name-status", "--no-renames")
    if head is not None:
        output = ask(root, "diff-tree", "-r", *shape, checked_hash(base), checked_hash(head), "--")
        return tuple(_changes(output))
    output = ask(
        root,
        *_AS_SHIPPED,
        "diff",
        *shape,
        "--no-ext-diff",
        "--no-textconv",
        "--ignore-submodules=all",
        checked_hash(base),
        "--",
    )
    top = Path(os.fsdecode(ask(root, "rev-parse", "--show-toplevel").removesuffix(b"\n")))
    untracked = ask(top, "ls-files", "-z", "--others", "--exclude-standard", "--", ".")
    names = (os.fsdecode(name) for name in untracked.split(b"\0") if name)
    found = (*_changes(output), *(ChangedPath(path=name, status=_UNTRACKED) for name in names))
    return tuple(sorted(found, key=lambda change: change.path))


def _changes(output: bytes) -> Iterator[ChangedPath]:
    fields = output.split(b"\0")
    for status, name in zip(fields[0::2], fields[1::2], strict=False):
        yield ChangedPath(path=os.fsdecode(name), status=status.decode("ascii")[:1])


def past_of(root: Path, prefix: str, commit: str, paths: Collection[str]) -> Past:
    """Return what files held before ``commit``, along the branch that it is on.

    Args:
        root: the directory of the run, within a repository.
        prefix: path to it from the top: empty, or ending in a slash.
        commit: full hash.
        paths: which files, relative to the directory of the run.

    Returns:
        At most `MAX_PAST_COMMITS` commits and `MAX_PAST_BYTES`, the newest; nothing where git does not have all of
        it, as in a partial clone.

    Raises:
        ValueError: ``commit`` is no full hash.
        Refused: git does not work on the repository.
    """
    wanted = sorted(paths)[:_MAX_PAST_PATHS]
    if not wanted:
        return Past(files={}, complete=True)
    # By the first parent: what the branch held, merge by merge, and not what stood meanwhile on those merged to it.
    found = _past(root, prefix, ("--first-parent", checked_hash(commit)), wanted, MAX_PAST_BYTES)
    is_all = found.complete and len(wanted) == len(paths)
    return Past(files=found.files, complete=is_all and not is_shallow(root))


def versions_between(root: Path, prefix: str, base: str, head: str) -> Past:
    """Return what files below ``secrets/`` held at any commit of a branch, its end included.

    Args:
        root: the directory of the run, within a repository.
        prefix: path to it from the top: empty, or ending in a slash.
        base: full hash of the commit that it left.
        head: full hash of its last one.

    Returns:
        At most `MAX_PAST_COMMITS` commits and `MAX_BRANCH_BYTES`, the newest.

    Raises:
        ValueError: one of them is no full hash.
    """
    return _past(root, prefix, (checked_hash(head), f"^{checked_hash(base)}"), [FOLDER], MAX_BRANCH_BYTES)


def _past(root: Path, prefix: str, revisions: tuple[str, ...], paths: list[str], most_bytes: int) -> Past:
    try:
        output = _log(root, revisions, paths)
        found = [
            (one.commit, from_root(one.path, prefix), one.blobs[1])
            for one in raw_changes(output)
            if one.modes[1] in FILE_MODES
        ]
        commits = list(dict.fromkeys(name for name, _, _ in found))
        known = frozenset(commits[:MAX_PAST_COMMITS])
        found = [each for each in found if each[0] in known]
        kept, is_all = _affordable(root, [blob for _, _, blob in found], most_bytes)
        data = blobs_of(root, kept)
    except Refused:  # a history too long to be searched in time, or one that is not all there
        return Past(files={}, complete=False)
    files: dict[str, list[PastFile]] = {}
    for name, path, blob in found:
        if blob in data:
            files.setdefault(path, []).append(PastFile(commit=name, data=data[blob]))
    complete = is_all and len(commits) <= MAX_PAST_COMMITS
    return Past(files={path: tuple(versions) for path, versions in files.items()}, complete=complete)


def _log(root: Path, revisions: tuple[str, ...], paths: list[str]) -> bytes:
    return ask(
        root,
        *_AS_SHIPPED,
        "log",
        "-z",
        "--format=%H",
        "--raw",
        "--no-abbrev",
        "--no-renames",
        "-m",
        "--no-show-signature",
        f"--max-count={MAX_PAST_COMMITS + 1}",
        *revisions,
        "--",
        *paths,
    )


def _affordable(root: Path, blobs: list[str], most_bytes: int) -> tuple[frozenset[str], bool]:
    """Return the first of ``blobs`` that are not too large together, and whether that is all of them."""
    names = list(dict.fromkeys(blobs))
    kept: list[str] = []
    total = 0
    for name, size in zip(names, sizes_of(root, names), strict=True):
        if size is None:
            return frozenset(kept), False
        total += size
        if total > most_bytes:
            return frozenset(kept), False
        kept.append(name)
    return frozenset(kept), True
