"""Reading a file as a whole, or not at all."""

import os
import stat
from pathlib import Path
from typing import Final

from reconciler.pysops.document import MAX_FILE_BYTES
from reconciler.pysops.errors import DocumentError
from reconciler.pysops.leaving import frameless


_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Without O_NONBLOCK, opening a named pipe would wait for somebody who writes to it."""


@frameless
def read_file(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        DocumentError: it does not exist, cannot be read, is a link, a directory or anything else but a regular file, or
            is larger than `MAX_FILE_BYTES`. A link could point out of the repository, where no review looks.
    """
    if isinstance(path, str) and _is_text(path):
        raise DocumentError(
            "a text of several lines as the path of a file",
            expected="a path, or bytes",
            advice="a str is taken for a path: to hand over what a file holds, read it as bytes",
        )
    data = _read(path)
    if isinstance(data, str):
        raise DocumentError(data, expected="a regular file")
    if len(data) > MAX_FILE_BYTES:
        raise DocumentError("the file is too large", expected=f"at most {MAX_FILE_BYTES // 1024**2} MiB")
    return data


def _is_text(path: str) -> bool:
    # Somebody has handed over what a file holds. A name may have line breaks, but where nothing is called that, it is
    # no name; of one that is too long to be a name, the system says so.
    return "\n" in path and not os.path.lexists(path)


def _read(path: str | os.PathLike[str]) -> bytes | str:
    # Returns what is wrong instead of raising it, so that no exception of the system is chained.
    try:
        if Path(path).is_symlink():
            return "the file is a link"
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError:
        return "the file does not exist"
    except (OSError, ValueError):
        return "the file cannot be read"
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return "the file is not a regular file"
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError:
        return "the file cannot be read"
    finally:
        os.close(descriptor)
