"""Directories from that of the run up to the top of the repository, and paths as seen from each."""

from collections.abc import Callable
from dataclasses import dataclass

from reconciler.policy.sources import RULES_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One directory, at that of the run or above it."""

    up: str
    """Path to it from the directory of the run: empty, ``../``, ``../../``."""

    prefix: str
    """Path from it to the directory of the run: empty, or ending in a slash."""

    folder: str
    """Path to it from the top: empty, or ending in a slash."""

    @property
    def rules(self) -> str:
        """Path of its ``.sops.yaml`` from the directory of the run."""
        return self.up + RULES_FILE


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Where ``.sops.yaml`` was looked for."""

    visited: tuple[Level, ...]
    """From the directory of the run upwards, no further than where one is."""

    found: Level | None
    """The last of them, if one is there: the one that counts."""


def nearest_rules(prefix: str, exists: Callable[[str], bool]) -> Search:
    """Return where the ``.sops.yaml`` is that counts: the nearest, whatever it is, within the repository.

    Args:
        prefix: see `levels`.
        exists: tells whether there is anything of that path, which is from the directory of the run.
    """
    places = levels(prefix)
    found = next((level for level in places if exists(level.rules)), None)
    return Search(visited=places if found is None else places[: places.index(found) + 1], found=found)


def from_root(path: str, prefix: str) -> str:
    """Return a path from the top as it is from the directory of the run."""
    level = next(level for level in levels(prefix) if path.startswith(level.folder))
    return level.up + path.removeprefix(level.folder)
