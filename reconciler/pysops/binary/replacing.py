"""Putting another content in the place of a file, in one step."""

import os
import tempfile
from pathlib import Path

from reconciler.pysops.errors import DocumentError
from reconciler.pysops.files import read_file


def replace_file(path: Path, before: bytes, after: bytes) -> None:
    """Put ``after`` in the place of a file that is still as it was read, in one step, keeping its mode.

    Raises:
        DocumentError: it changed meanwhile, became a link, or the folder cannot be written. It is then as it was.
    """
    if read_file(path) != before:
        raise DocumentError("the file was changed meanwhile, and was left as it is", advice="run the command again")
    staged = None
    try:
        mode = path.stat().st_mode & 0o777
        descriptor, staged = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".new", dir=path.parent)  # 0600
        with os.fdopen(descriptor, "wb") as file:
            file.write(after)
            file.flush()
            os.fsync(file.fileno())
        Path(staged).chmod(mode)
        Path(staged).replace(path)
        staged = None
    except OSError:
        failed = True
    else:
        failed = False
    finally:
        if staged is not None:
            Path(staged).unlink(missing_ok=True)
    if failed:
        raise DocumentError("the file cannot be replaced", advice="check the permissions of its folder, and the disk")


def write_private(path: Path, data: bytes) -> None:
    """Make a file that only its owner can read.

    Raises:
        FileExistsError: there is one already.
    """
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123  # a descriptor
        file.write(data)
