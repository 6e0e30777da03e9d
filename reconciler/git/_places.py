"""Directories from that of the run up to the top of the repository, and paths as seen from each."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One directory, at that of the run or above it."""

    up: str
    """Path to it from the directory of the run: empty, ``../``, ``../../``."""

    prefix: str
    """Path from it to the directory of the run: empty, or ending in a slash."""

    folder: str
    """Path to it from the top: empty, or ending in a slash."""


def levels(prefix: str) -> tuple[Level, ...]:
    """Return the directories from that of the run to the top.

    Args:
        prefix: path of the directory of the run from the top: empty, or ending in a slash.
    """
    parts = [f"{part}/" for part in prefix.split("/")[:-1]]
    return tuple(
        Level(up="../" * (len(parts) - depth), prefix="".join(parts[depth:]), folder="".join(parts[:depth]))
        for depth in range(len(parts), -1, -1)
    )


def from_root(path: str, prefix: str) -> str:
    """Return a path from the top as it is from the directory of the run."""
    level = next(level for level in levels(prefix) if path.startswith(level.folder))
    return level.up + path.removeprefix(level.folder)
