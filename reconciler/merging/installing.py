"""Telling git of the merge driver: a line in ``.gitattributes`` for everybody, the program in the clone's own settings.

Git takes no program from what was cloned, with good reason: each clone is told once.
"""

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.errors import Refused, escaped
from reconciler.git import Checkout, unmerged
from reconciler.git.merge_driver import (
    ATTRIBUTES_FILE,
    BY_KEYS,
    DRIVER,
    DRIVER_SETTING,
    PROBES,
    SCOPE_FILES,
    TARGETS_BY_LINES,
)


__all__ = ["ATTRIBUTES", "ATTRIBUTES_FILE", "SetUp", "setup"]


ATTRIBUTES: Final = (*(f"{pattern} {BY_KEYS}" for pattern in SCOPE_FILES), TARGETS_BY_LINES)
"""Lines of `ATTRIBUTES_FILE`, in the directory that has ``secrets/``."""

_COMMENT: Final = "# Encrypted files are merged value by value: reconciler merge-driver --install tells a clone how."

_ARGUMENTS: Final = "merge-driver -- %O %A %B %P %L"
"""Git quotes the path for the shell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """What was set up."""

    driver: str
    """The command that git will run."""

    configured: bool
    """Whether the settings of the clone were changed."""

    attributes: bool
    """Whether `ATTRIBUTES_FILE` was changed: to be committed, as it is for everybody."""


def setup(root: Path, *, find: Callable[[str], str | None] = shutil.which) -> SetUp:
    """Have git merge the scope files of a clone by the driver. Does nothing twice.

    Args:
        root: the directory that has ``secrets/``.
        find: looks for a program on the path.

    Raises:
        Refused: there is no repository, or git does not work on it; or ``.gitattributes`` cannot be written.
    """
    if not Checkout(root).is_repository:
        raise Refused(f"{escaped(str(root))} is in no git repository", advice="run git init there first")
    settings = {
        f"merge.{DRIVER}.name": "Databricks secrets, value by value",
        DRIVER_SETTING: f"{_program(find)} {_ARGUMENTS}",
    }
    configured = False
    for name, value in settings.items():
        if unmerged.config(root, name) != value:
            unmerged.set_config(root, name, value)
            configured = True
    return SetUp(driver=settings[DRIVER_SETTING], configured=configured, attributes=_add_attributes(root))


def _program(find: Callable[[str], str | None]) -> str:
    """Return how git's shell finds this program: by its name, or where that is not on the path, by this interpreter."""
    return "reconciler" if find("reconciler") else f"{shlex.quote(sys.executable)} -m reconciler"


def _add_attributes(root: Path) -> bool:
    """Add what is missing at the end of ``.gitattributes``, where it overrides what stands above; leave the rest."""
    if all(unmerged.merge_attribute(root, path) == DRIVER for path in PROBES):
        return False
    place = root / ATTRIBUTES_FILE
    if place.is_symlink():
        raise Refused(f"{ATTRIBUTES_FILE} is a symbolic link, which git does not follow", advice="make it a file")
    try:
        before = place.read_bytes() if place.exists() else b""
        text = b"" if not before or before.endswith(b"\n") else b"\n"
        text += "".join(f"{line}\n" for line in (_COMMENT, *ATTRIBUTES)).encode()
        # Appended in one step: whoever is killed here leaves the lines or none of them.
        descriptor = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        with os.fdopen(descriptor, "ab", buffering=0) as file:
            file.write(text)
    except OSError:
        raise Refused(f"{ATTRIBUTES_FILE} cannot be written", advice="check its permissions") from None
    return True
