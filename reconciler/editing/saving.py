"""Putting files into the work tree, each in one step: whoever looks, or is killed, finds the old one or the new one.

Several at once are all written beside their places first, so that a full disk or a folder that must not be written
shows before the first of them is exchanged. What is ours takes turns by a lock on the directory of the run, which the
system takes back when a process is killed. Others, such as the sops program, know no lock: each file is compared once
more right before it is exchanged.
"""

import contextlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from reconciler.errors import ReconcilerError, Refused, escaped, some_of
from reconciler.policy.sources import FOLDER


try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_NEW_MODE: Final = 0o644
"""What is in them is encrypted, or plain on purpose; the umask of the user takes away from it."""

_STAGED: Final = re.compile(r"\..+\.[a-z0-9_]{8}\.new")
"""What a killed command has left: names as `tempfile.mkstemp` makes them."""


class ChangedMeanwhile(Refused):
    """Somebody changed a file since it was read; it was left as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """What becomes of one file."""

    path: str
    """Relative to the directory of the run, with forward slashes."""

    before: bytes | None = field(repr=False)
    """What must stand there still; None: nothing may."""

    after: bytes | None = field(repr=False)
    """What will; None: nothing."""


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Keep other commands of ours from writing files of the same directory meanwhile; wait for one that does.

    Not reentrant. Where the file system has no locks, nobody waits.
    """
    try:
        descriptor = os.open(root, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        if fcntl is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def put_file(root: Path, path: str, before: bytes | None, after: bytes) -> None:
    """Write one file, with the lock; see `put_files`."""
    with locked(root):
        put_files(root, [FileChange(path=path, before=before, after=after)])


def put_files(root: Path, changes: Sequence[FileChange]) -> None:
    """Write and delete files, in the order given. Call it with the lock.

    Args:
        root: directory of the run.
        changes: what becomes of each.

    Raises:
        ChangedMeanwhile: somebody changed a file. It is as they left it; says which others were written.
        Refused: a folder above a file is a link. Nothing was written.
        ReconcilerError: the disk or its permissions do not allow it; as a rule nothing was written, else it says what.
    """
    for change in changes:
        check_folders(root, change.path)
    _sweep(root, changes)
    staged: dict[str, Path] = {}
    done: list[str] = []
    try:
        for change in changes:
            if change.after is not None:
                staged[change.path] = _staged(root, change, change.after)
        for change in changes:
            _check_still(root, change)
        for change in changes:
            _exchange(root, change, staged.pop(change.path, None))
            done.append(escaped(change.path))
    except ReconcilerError as error:
        if done:
            raise type(error)(
                f"{error}; already written: {some_of(done)}",
                advice=f"{error.advice}; git diff shows what is written, git restore takes it back",
            ) from None
        raise
    finally:
        for left in staged.values():
            left.unlink(missing_ok=True)
    _settle({(root / change.path).parent for change in changes})


def check_folders(root: Path, path: str) -> None:
    """Refuse a path that leads through a link: a branch may have committed one that leads anywhere."""
    folder = root
    for part in Path(path).parts[:-1]:
        folder = folder / part
        try:
            mode = folder.lstat().st_mode
        except OSError:
            return  # not there yet, as is nothing below it
        if not stat.S_ISDIR(mode):
            raise Refused(
                f"{escaped(str(folder))} is no folder", advice="files are written below real folders, not through links"
            )


def _sweep(root: Path, changes: Sequence[FileChange]) -> None:
    """Take away what killed commands have left: with the lock, nobody of ours is about to put it in its place."""
    folders = {root, *((root / change.path).parent for change in changes)}
    left = [place for folder in folders for place in folder.glob(".*.new")]
    for place in {*left, *(root / FOLDER).rglob(".*.new")}:
        if _STAGED.fullmatch(place.name) is not None and place.is_file() and not place.is_symlink():
            with contextlib.suppress(OSError):
                place.unlink()


def _staged(root: Path, change: FileChange, data: bytes) -> Path:
    """Write the new content beside its place, on the disk for good; return where."""
    place = root / change.path
    staged: Path | None = None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        mode = _NEW_MODE & ~_umask() if change.before is None else stat.S_IMODE(place.stat().st_mode) & 0o777
        descriptor, name = tempfile.mkstemp(prefix=f".{place.name[:100]}.", suffix=".new", dir=place.parent)
        staged = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        staged.chmod(mode)
    except OSError:
        if staged is not None:
            staged.unlink(missing_ok=True)
        _check_still(root, change)  # a file that is gone is not a folder that cannot be written
        raise _unwritable(change.path) from None
    return staged


def _exchange(root: Path, change: FileChange, staged: Path | None) -> None:
    """Put a staged file in its place, or take the one there away, if that is still as it was."""
    place = root / change.path
    _check_still(root, change)
    try:
        if staged is None:
            place.unlink()
        elif change.before is not None:
            staged.replace(place)
        else:
            _link(staged, place)
    except FileExistsError:
        raise _exists(change.path) from None
    except OSError:
        raise _unwritable(change.path) from None
    finally:
        if staged is not None:
            staged.unlink(missing_ok=True)


def _link(staged: Path, place: Path) -> None:
    """Give a staged file its name; by a link, as a rename would write over what somebody put there meanwhile."""
    try:
        os.link(staged, place, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(place):
            raise FileExistsError from None
        staged.replace(place)


def _check_still(root: Path, change: FileChange) -> None:
    place = root / change.path
    if change.before is None:
        if os.path.lexists(place):
            raise _exists(change.path)
        return
    try:
        unchanged = not place.is_symlink() and place.read_bytes() == change.before
    except OSError:
        unchanged = False
    if not unchanged:
        raise ChangedMeanwhile(
            f"{escaped(change.path)} was changed meanwhile, and was left as it is", advice="run the command again"
        )


def _settle(folders: set[Path]) -> None:
    """Have the new names survive a power cut as well."""
    for folder in folders:
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _exists(path: str) -> ChangedMeanwhile:
    return ChangedMeanwhile(f"{escaped(path)} exists by now, and was left as it is", advice="run the command again")


def _unwritable(path: str) -> ReconcilerError:
    return ReconcilerError(
        f"{escaped(path)} cannot be written", advice="check the permissions of its folder, and the disk"
    )


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current
