"""Putting files into the work tree, each in one step: whoever looks, or is killed, finds the old one or the new one."""

import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from reconciler.errors import ReconcilerError, Refused, escaped
from reconciler.pysops import DocumentError
from reconciler.pysops.binary.replacing import replace_file


_NEW_MODE: Final = 0o644
"""What is in them is encrypted, or plain on purpose; the umask of the user takes away from it."""


def put_file(root: Path, path: str, before: bytes | None, after: bytes) -> None:
    """Write one file.

    Args:
        root: directory of the run.
        path: of the file, relative to it, with forward slashes.
        before: what must stand there still; None: nothing may.
        after: what will.

    Raises:
        Refused: somebody changed the file meanwhile, or a folder above it is a link. It is as it was.
        ReconcilerError: the disk or its permissions do not allow it. It is as it was.
    """
    check_folders(root, path)
    if before is None:
        _create(root / path, path, after)
        return
    if not _is_still(root / path, before):
        raise _changed(path)
    try:
        replace_file(root / path, before, after)
    except DocumentError:
        raise _unwritable(path) if _is_still(root / path, before) else _changed(path) from None


def remove_file(root: Path, path: str, before: bytes) -> None:
    """Delete a file that is still as it was read.

    Raises:
        Refused: it is not.
        ReconcilerError: it cannot be deleted.
    """
    check_folders(root, path)
    if not _is_still(root / path, before):
        raise _changed(path)
    try:
        (root / path).unlink()
    except OSError:
        raise ReconcilerError(
            f"{escaped(path)} cannot be deleted", advice="check the permissions of its folder"
        ) from None


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


def _create(place: Path, path: str, data: bytes) -> None:
    staged = None
    taken = False
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, staged = tempfile.mkstemp(prefix=f".{place.name[:100]}.", suffix=".new", dir=place.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(staged).chmod(_NEW_MODE & ~_umask())
        try:
            # A link, as a rename would write over what somebody put there meanwhile.
            os.link(staged, place, follow_symlinks=False)
        except FileExistsError:
            taken = True
        except OSError:  # a file system without hard links
            taken = os.path.lexists(place)
            if not taken:
                Path(staged).replace(place)
                staged = None
    except OSError:
        raise _unwritable(path) from None
    finally:
        if staged is not None:
            Path(staged).unlink(missing_ok=True)
    if taken:
        raise Refused(f"{escaped(path)} exists by now, and was left as it is", advice="run the command again")


def _is_still(place: Path, before: bytes) -> bool:
    try:
        return not place.is_symlink() and place.read_bytes() == before
    except OSError:
        return False


def _changed(path: str) -> Refused:
    return Refused(f"{escaped(path)} was changed meanwhile, and was left as it is", advice="run the command again")


def _unwritable(path: str) -> ReconcilerError:
    return ReconcilerError(
        f"{escaped(path)} cannot be written", advice="check the permissions of its folder, and the disk"
    )


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current
