"""What several readers of git share: kinds of entries, listings of changes, sizes and contents of blobs."""

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.errors import Refused
from reconciler.git._program import ask


FILE_MODES: Final = frozenset({"100644", "100755"})
"""Modes of regular files, as trees and the index have them."""

LINK_MODE: Final = "120000"
SUBMODULE_MODE: Final = "160000"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawChange:
    """One record of ``--raw -z``: what became of one path."""

    commit: str
    """Full hash of the commit that it is listed under; empty where git compared two trees that were named."""

    modes: tuple[str, str]
    """Before and after; zeros where there is nothing."""

    blobs: tuple[str, str]
    """Full hashes, before and after; zeros where there is nothing."""

    path: str
    """As git gave it: from the top, or with ``--relative`` from where it ran."""


def raw_changes(output: bytes) -> Iterator[RawChange]:
    """Yield the changes that ``diff-tree`` or ``log`` listed with ``--raw -z --no-renames --no-abbrev``.

    Args:
        output: records of ``:MODE MODE HASH HASH STATUS``, a NUL, and the path; before those of a commit its hash.
    """
    commit = ""
    facts: list[str] | None = None
    for part in output.split(b"\0"):
        if facts is not None:
            modes, blobs = (facts[0].removeprefix(":"), facts[1]), (facts[2], facts[3])
            yield RawChange(commit=commit, modes=modes, blobs=blobs, path=os.fsdecode(part))
            facts = None
            continue
        text = part.strip().decode("ascii")  # log ends the hash with a line feed of its own
        if text.startswith(":"):
            facts = text.split()
        elif text:
            commit = text


def sizes_of(root: Path, blobs: Sequence[str]) -> list[int | None]:
    """Return how large blobs are, in bytes; None for one that git does not have.

    Raises:
        Refused: git does not work on the repository, or would have to fetch one.
    """
    if not blobs:
        return []
    output = ask(root, "cat-file", "--batch-check=%(objecttype) %(objectsize)", stdin=_lines(blobs))
    lines = output.splitlines()
    return [int(line[5:]) if line.startswith(b"blob ") else None for line in lines]


def blobs_of(root: Path, wanted: frozenset[str]) -> dict[str, bytes]:
    """Return hash to content, exactly as committed: ``cat-file`` applies no filter and no line ending rule.

    Raises:
        Refused: git does not work on the repository, or does not have all of them.
    """
    if not wanted:
        return {}
    names = sorted(wanted)
    output = memoryview(ask(root, "cat-file", "--batch", stdin=_lines(names)))
    blobs: dict[str, bytes] = {}
    start = 0
    for name in names:
        # "HASH blob SIZE", a line feed, the content, a line feed.
        end = _index(output, start)
        header = bytes(output[start:end]).split()
        if len(header) != 3 or header[1] != b"blob":  # noqa: PLR2004  # the three words above
            raise Refused(
                "git does not have all files of the commit",
                advice="fetch them: this may be a partial clone, or a damaged one",
            )
        size = int(header[2])
        blobs[name] = bytes(output[end + 1 : end + 1 + size])
        start = end + 1 + size + 1
    return blobs


def _index(output: memoryview, start: int) -> int:
    # A header is a hash, a word and a number; looking no further keeps the search from copying whole blobs.
    found = bytes(output[start : start + 256]).find(b"\n")
    return start + found if found >= 0 else len(output)


def _lines(names: Collection[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()
