"""A folder for plain text: in memory where the machine has such a place, for its owner alone, and gone afterwards.

Whoever works in it holds a lock on a file of it, the editor included. A folder that nobody holds was left by a run that
was killed: `left_behind` finds it, so that the next run can rescue what somebody typed, and take the folder away.
"""

import contextlib
import json
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.errors import ReconcilerError
from reconciler.pysops import MAX_FILE_BYTES, SopsError, read_file


if sys.platform != "win32":
    import fcntl

PREFIX: Final = "reconciler-edit-"

_ABOUT: Final = "about.json"
_LOCK: Final = "lock"
_BEFORE: Final = "before"
_TEXT: Final = "text"
"""Folder within the folder: what an editor leaves beside the text has no name in common with what is ours."""

_MOUNTS: Final = Path("/proc/self/mountinfo")
"""https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html"""

_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})

_ESCAPE: Final = re.compile(r"\\([0-7]{3})")
"""How a blank in the name of a mount point is written."""

_REMOVALS: Final = 5
_PAUSE_S: Final = 0.05
"""An editor that was told to end may write a last file while the folder goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is edited in a folder, for the run that finds it."""

    root: str
    """Directory of the run, absolute."""

    file: str
    """Path, as in `Sources.files`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateFolder:
    """A folder that exists."""

    path: Path
    about: About
    in_memory: bool
    """False where what stands in it may be found on a disk, also after it is gone."""

    lock: int | None
    """Descriptor that holds the lock; whoever inherits it holds it, too. None where there are no such locks."""

    @property
    def text(self) -> Path:
        """Where the text stands; named as the file, so that editors know what it is."""
        return self.path / _TEXT / Path(self.about.file).name

    def write(self, text: bytes) -> None:
        """Put a text there, in the place of another one.

        Raises:
            ReconcilerError: There is no room.
        """
        _write(self.text, text)

    def write_before(self, text: bytes) -> None:
        """Put beside it what it is an edit of.

        Raises:
            ReconcilerError: There is no room.
        """
        _write(self.path / _BEFORE, text)

    def read_before(self) -> bytes | None:
        """Return what the text is an edit of; None when there is nothing."""
        return _read(self.path / _BEFORE)

    def read(self) -> bytes | None:
        """Return the text as it is now; None when the editor took it away, or left something else there.

        Raises:
            ReconcilerError: It is larger than a file may be.
        """
        text = _read(self.text)
        if text is None and self.text.is_file() and self.text.stat().st_size > MAX_FILE_BYTES:
            raise ReconcilerError("the text is too large", advice=f"leave at most {MAX_FILE_BYTES // 1024**2} MiB")
        return text

    def remove(self) -> bool:
        """Take the folder away, with all that an editor left in it; tell whether it is gone."""
        for _ in range(_REMOVALS):
            shutil.rmtree(self.path, ignore_errors=True)
            if not os.path.lexists(self.path):
                return True
            time.sleep(_PAUSE_S)
        return False

    def release(self) -> None:
        """Give the lock back; to be called once."""
        if self.lock is not None:
            os.close(self.lock)


def _write(place: Path, text: bytes) -> None:
    fresh = place.with_name(f"{place.name}.new")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
            file.write(text)
        fresh.replace(place)
    except OSError:
        raise _no_place() from None


def _read(place: Path) -> bytes | None:
    try:
        return read_file(place)
    except SopsError:
        return None


def places(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return where a folder may be made, best first."""
    named = [environ.get("XDG_RUNTIME_DIR"), "/dev/shm", environ.get("TMPDIR")]  # noqa: S108  # in memory on Linux
    found = [Path(name) for name in named if name and Path(name).is_absolute() and Path(name).is_dir()]
    return tuple(dict.fromkeys((*found, Path(tempfile.gettempdir()))))


def is_in_memory(path: Path, mounts: str | None = None) -> bool:
    """Tell whether what is written below ``path`` stays in memory. The name says nothing: some ``/dev/shm`` are disks.

    Args:
        path: a folder, all links followed.
        mounts: what is mounted where, as Linux tells it; None reads that. Elsewhere nobody can tell: False.
    """
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text(errors="surrogateescape")
        except OSError:
            return False
    best, kind = Path(), ""
    for line in mounts.splitlines():
        before, _, behind = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) <= 4 or not behind:  # noqa: PLR2004  # the fifth is the mount point
            continue
        point = Path(_ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        # Of several on one another the last one counts.
        if path.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, behind.split(" ")[0]
    return kind in _IN_MEMORY


def make(about: About, where: Sequence[Path]) -> PrivateFolder:
    """Make a folder, in memory if any of the places is.

    Args:
        about: what is edited in it.
        where: as `places` returns them.

    Raises:
        ReconcilerError: It cannot be made anywhere.
    """
    rated = [(place, is_in_memory(place.resolve())) for place in where]
    for place, in_memory in sorted(rated, key=lambda rating: not rating[1]):
        try:
            path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))  # 0700
        except OSError:
            continue
        try:
            (path / _TEXT).mkdir(mode=0o700)
            _write(path / _ABOUT, json.dumps({"root": about.root, "file": about.file}).encode())
            return PrivateFolder(path=path, about=about, in_memory=in_memory, lock=_locked(path))
        except (OSError, ReconcilerError):
            shutil.rmtree(path, ignore_errors=True)
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise
    raise _no_place()


def _no_place() -> ReconcilerError:
    return ReconcilerError(
        "there is no private place for the text",
        advice="one of /dev/shm, XDG_RUNTIME_DIR and TMPDIR must be a folder in which you may write, with room in it",
    )


def _locked(path: Path) -> int | None:
    """Make the file that is locked, so that nobody ever sees it without its lock."""
    if sys.platform == "win32":
        return None
    early = path / f"{_LOCK}.new"
    descriptor = os.open(early, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        early.replace(path / _LOCK)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def left_behind(where: Sequence[Path]) -> Iterator[tuple[PrivateFolder, ...]]:
    """Yield folders of this user that nobody works in any more. While the block runs they are held by us."""
    found: list[PrivateFolder] = []
    try:
        for place in where:
            with contextlib.suppress(OSError):
                candidates = sorted(place.glob(f"{PREFIX}*"))
                found.extend(folder for path in candidates if (folder := _taken(path)) is not None)
        yield tuple(found)
    finally:
        for folder in found:
            folder.release()


def _taken(path: Path) -> PrivateFolder | None:
    """Return a folder if it is ours and nobody holds it. Others may have put anything under such a name."""
    if sys.platform == "win32":
        return None
    descriptor: int | None = None
    try:
        kind = path.lstat()
        if not stat.S_ISDIR(kind.st_mode) or kind.st_uid != os.getuid() or kind.st_mode & 0o077:
            return None
        descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        said = json.loads((path / _ABOUT).read_text())
        about = About(root=str(said["root"]), file=str(said["file"]))
        return PrivateFolder(path=path, about=about, in_memory=is_in_memory(path.resolve()), lock=descriptor)
    except (OSError, ValueError, KeyError, TypeError):
        if descriptor is not None:
            os.close(descriptor)
        return None
