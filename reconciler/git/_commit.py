"""Reading the files of a commit."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import Problem, Refused
from reconciler.git._history import checked_hash
from reconciler.git._places import Level, from_root, levels, nearest_rules
from reconciler.git._plumbing import FILE_MODES, LINK_MODE, SUBMODULE_MODE, blobs_of, raw_changes, sizes_of
from reconciler.git._program import Repository, ask
from reconciler.policy import sources
from reconciler.policy.sources import FOLDER, TARGETS_FILE, RulesFile, Sources


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
        changes = [one for one in raw_changes(output) if one.path in paths and FILE_MODES.issuperset(one.modes)]
        before = {one.path: one.blobs[0] for one in changes}  # what ``head`` has comes first
        found = blobs_of(root, _small(root, frozenset(before.values())))
    except Refused:
        return {}
    return {path: found[blob] for path, blob in before.items() if blob in found}


def _small(root: Path, blobs: frozenset[str]) -> frozenset[str]:
    """Return those that are no larger than a scope file may be; none where git does not have all of them."""
    names = tuple(blobs)
    sizes = sizes_of(root, names)
    if None in sizes:
        return frozenset()
    return frozenset(
        name for name, size in zip(names, sizes, strict=True) if size is not None and size <= sources.MAX_FILE_BYTES
    )


def _rules(beside: Mapping[str, _TreeEntry], prefix: str) -> tuple[tuple[Level, _TreeEntry] | None, Problem | None]:
    """Return the ``.sops.yaml`` that counts and where it is; or, in its place, what is wrong with it."""
    found = nearest_rules(prefix, lambda path: any(f"{name}/".startswith(f"{path}/") for name in beside)).found
    if found is None:
        return None, None
    entry = beside.get(found.rules)
    # A directory of that name with files in it, a link, or a submodule.
    if entry is None or entry.mode in {LINK_MODE, SUBMODULE_MODE}:
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
    if entry.mode == LINK_MODE:
        return sources.LINK.about(entry.path)
    if entry.mode == SUBMODULE_MODE or entry.path == FOLDER:
        return sources.IRREGULAR.about(entry.path)
    if sources.is_yaml(entry.path) and entry.size > sources.MAX_FILE_BYTES:
        return sources.TOO_LARGE.about(entry.path)
    return sources.name_problem(entry.path)
