"""Reading the files of a commit."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.errors import Problem, Refused
from reconciler.git._history import checked_hash
from reconciler.git._places import Level, from_root, levels, nearest_rules
from reconciler.git._program import Repository, ask
from reconciler.policy import sources
from reconciler.policy.sources import FOLDER, TARGETS_FILE, RulesFile, Sources


_LINK: Final = "120000"
_SUBMODULE: Final = "160000"
_FILES: Final = frozenset({b":100644", b":100755", b"100644", b"100755"})
"""Modes of regular files as ``git diff-tree`` prints them, before and after."""


def read_commit(root: Path, where: Repository | None, commit: str | None) -> Sources:
    """Read the blobs below ``secrets/`` at a commit.

    Args:
        root: the directory of the run.
        where: how it lies in a repository.
        commit: full hash; None means that of ``where``.

    Raises:
        Refused: there is no repository or no commit, or git does not work on it.
    """
    if where is None or where.commit is None:
        raise Refused(
            f"{root} has no commit that could be read",
            advice="commit the files; only embedded targets and --allow-dirty read the work tree",
        )
    commit = where.commit if commit is None else checked_hash(commit)
    files: list[_TreeEntry] = []
    problems: list[Problem] = []
    names = set[str]()
    beside: dict[str, _TreeEntry] = {}
    for entry in _tree(root, commit, where.prefix):
        if not (entry.path == FOLDER or entry.path.startswith(f"{FOLDER}/")):
            beside[entry.path] = entry
            continue
        names.add(entry.path)
        problem = _entry_problem(entry)
        if problem is not None:
            problems.append(problem)
        elif entry.size <= sources.max_bytes(entry.path):
            files.append(entry)
    if sum(entry.size for entry in files) > sources.MAX_TOTAL_BYTES:
        problems.append(sources.TOO_LARGE_TOGETHER.about(FOLDER))
        files = [entry for entry in files if entry.path == TARGETS_FILE]
    rules, problem = _rules(beside, where.prefix)
    problems.extend(() if problem is None else (problem,))
    blobs = blobs_of(root, frozenset(entry.blob for entry in (*files, *(() if rules is None else (rules[1],)))))
    return Sources(
        files={entry.path: blobs[entry.blob] for entry in files},
        problems=tuple(problems),
        commit=commit,
        tracked=frozenset(names),
        rules=None
        if rules is None
        else RulesFile(path=rules[1].path, data=blobs[rules[1].blob], prefix=rules[0].prefix),
    )


def read_before(root: Path, *, commit: str, head: str, paths: Collection[str]) -> Mapping[str, bytes]:
    """Return what stood in files that changed since another commit: path to bytes, as committed.

    Args:
        root: the directory of the run, within a repository.
        commit: full hash, of the commit that the run is about.
        head: full hash, of the other one.
        paths: which files matter, relative to the directory of the run.

    Returns:
        Those of ``paths`` that are regular files at both commits, other ones at each, and not too large. Nothing where
        git does not have all of them, as in a partial clone: nothing is fetched to tell.

    Raises:
        ValueError: one of the commits is no full hash.
    """
    try:
        output = ask(
            root,
            "diff-tree",
            "-r",
            "-z",
            "--raw",
            "--no-renames",
            "--no-abbrev",
            "--relative",
            checked_hash(head),
            checked_hash(commit),
            "--",
            FOLDER,
        )
        fields = output.split(b"\0")
        # Each is ":MODE MODE HASH HASH STATUS", a NUL, and the path; mode and hash of ``head`` come first.
        changes = zip((record.split() for record in fields[0::2]), map(os.fsdecode, fields[1::2]), strict=False)
        before = {path: facts[2].decode() for facts, path in changes if path in paths and _FILES.issuperset(facts[:2])}
        found = blobs_of(root, _small(root, frozenset(before.values())))
    except Refused:
        return {}
    return {path: found[blob] for path, blob in before.items() if blob in found}


def _small(root: Path, blobs: frozenset[str]) -> frozenset[str]:
    """Return those that are no larger than a scope file may be."""
    if not blobs:
        return blobs
    names = "".join(f"{name}\n" for name in blobs).encode()
    output = ask(root, "cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=names).decode("ascii")
    sizes = (line.split() for line in output.splitlines())
    return frozenset(name for name, size in sizes if int(size) <= sources.MAX_FILE_BYTES)


def _rules(beside: Mapping[str, _TreeEntry], prefix: str) -> tuple[tuple[Level, _TreeEntry] | None, Problem | None]:
    """Return the ``.sops.yaml`` that counts and where it is; or, in its place, what is wrong with it."""
    found = nearest_rules(prefix, lambda path: any(f"{name}/".startswith(f"{path}/") for name in beside)).found
    if found is None:
        return None, None
    entry = beside.get(found.rules)
    # A directory of that name with files in it, a link, or a submodule.
    if entry is None or entry.mode in {_LINK, _SUBMODULE}:
        return None, sources.RULES_IRREGULAR.about(found.rules)
    if entry.size > sources.MAX_RULES_BYTES:
        return None, sources.RULES_TOO_LARGE.about(found.rules)
    return (found, entry), None


@dataclass(frozen=True, slots=True, kw_only=True)
class _TreeEntry:
    """One line of ``git ls-tree --long``."""

    mode: str
    blob: str
    size: int
    """Bytes; 0 for a submodule."""

    path: str
    """Relative to the directory of the run."""


def _tree(root: Path, commit: str, prefix: str) -> Iterator[_TreeEntry]:
    """Yield what is below ``secrets/``, and every ``.sops.yaml`` that could count."""
    paths = (f"{prefix}{FOLDER}", *(f"{level.folder}{sources.RULES_FILE}" for level in levels(prefix)))
    output = ask(root, "ls-tree", "-r", "-z", "--long", "--full-tree", commit, "--", *paths)
    for record in output.split(b"\0"):
        if not record:
            continue
        facts, _, name = record.partition(b"\t")
        mode, _, blob, size = facts.decode("ascii").split()
        yield _TreeEntry(
            mode=mode,
            blob=blob,
            size=0 if size == "-" else int(size),
            path=from_root(os.fsdecode(name), prefix),
        )


def _entry_problem(entry: _TreeEntry) -> Problem | None:
    if entry.mode == _LINK:
        return sources.LINK.about(entry.path)
    if entry.mode == _SUBMODULE or entry.path == FOLDER:
        return sources.IRREGULAR.about(entry.path)
    if sources.is_yaml(entry.path) and entry.size > sources.MAX_FILE_BYTES:
        return sources.TOO_LARGE.about(entry.path)
    return sources.name_problem(entry.path)


def blobs_of(root: Path, wanted: frozenset[str]) -> dict[str, bytes]:
    """Return hash to content, exactly as committed: ``cat-file`` applies no filter and no line ending rule."""
    if not wanted:
        return {}
    names = sorted(wanted)
    output = memoryview(ask(root, "cat-file", "--batch", stdin="".join(f"{name}\n" for name in names).encode()))
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
