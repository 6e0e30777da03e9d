"""Where the sops program is, of which version, and whether that is fit for a file."""

import os
import re
import sys
from collections.abc import Mapping as AbstractMapping
from pathlib import Path
from typing import Final

from reconciler.pysops.binary.key_sources import search_path
from reconciler.pysops.document import Document
from reconciler.pysops.errors import BinaryError, Mark
from reconciler.pysops.leaves import leaves


Version = tuple[int, int, int]

MIN_VERSION: Final = (3, 11, 0)
"""The first that takes values for ``set`` by stdin."""

_FAULTY_VERSION: Final = (3, 13, 2)
"""Finds a MAC mismatch in every file with an encrypted comment in a list, see https://github.com/getsops/sops/pull/2245."""

_VERSION: Final = re.compile(rb"sops v?([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})(?![0-9.])")

_NAME: Final = "sops.exe" if sys.platform == "win32" else "sops"

_INSTALL: Final = "install it, see https://getsops.io/docs/#download, or name it in SOPS_BINARY"


def version_of(printed: bytes) -> Version:
    """Return the version in what ``sops --version`` printed.

    Raises:
        BinaryError: it is older than `MIN_VERSION`, or it is not what sops prints.
    """
    match = _VERSION.match(printed)
    if match is None:
        raise BinaryError(
            "what SOPS_BINARY or PATH leads to does not say which version of sops it is",
            expected=f"sops {_dotted(MIN_VERSION)} or later",
            advice=_INSTALL,
        )
    version = (int(match[1]), int(match[2]), int(match[3]))
    if version < MIN_VERSION:
        raise BinaryError(
            f"the sops program is of version {_dotted(version)}",
            expected=f"{_dotted(MIN_VERSION)} or later, which takes values by stdin",
            advice=_INSTALL,
        )
    return version


def check_fit(version: Version, document: Document) -> None:
    """Make sure that a version has no fault that matters for a file.

    Raises:
        BinaryError: it has.
        DocumentError: a value stands below keys that are too long.
    """
    if version == _FAULTY_VERSION and (mark := _list_comment(document)) is not None:
        raise BinaryError(
            "sops 3.13.2 takes every file with an encrypted comment in a list for tampered with",
            mark=mark,
            expected="another version of sops",
            advice="install 3.13.3 or later, or take the comment out",
        )


def locate(environ: AbstractMapping[str, str]) -> Path:
    """Return the program that SOPS_BINARY names or, without it, the first on PATH.

    Raises:
        BinaryError: there is none.
    """
    if named := environ.get("SOPS_BINARY"):
        path = Path(named)
        if path.is_absolute() and _is_program(path):
            return path
        what = "is not an absolute path" if not path.is_absolute() else "is no program that can be run"
        raise BinaryError(f"what SOPS_BINARY names {what}", expected="the absolute path of sops", advice=_INSTALL)
    for folder in search_path(environ):
        path = Path(folder) / _NAME
        if _is_program(path):
            return path
    raise BinaryError(
        "there is no sops program", expected=f"sops {_dotted(MIN_VERSION)} or later on PATH", advice=_INSTALL
    )


def _is_program(path: Path) -> bool:
    try:
        return path.is_file() and os.access(path, os.X_OK)
    except (OSError, ValueError):
        return False


def _dotted(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))


def _list_comment(document: Document) -> Mark | None:
    """Return where an encrypted comment stands in a list, if anywhere."""
    for leaf in leaves(document, None):
        if leaf.envelope is not None and leaf.envelope.kind == "comment" and isinstance(leaf.path[-1], int):
            return leaf.node.mark
    return None
