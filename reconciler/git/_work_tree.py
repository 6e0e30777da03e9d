"""Reading the files of the work tree."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from reconciler.errors import Problem, Refused
from reconciler.git._places import Level, nearest_rules
from reconciler.git._program import ask
from reconciler.policy import sources
from reconciler.policy.sources import FOLDER, TARGETS_FILE, RulesFile, Sources


def read_work_tree(root: Path, prefix: str) -> Sources:
    """Read the files below ``secrets/`` as they are now, and the ``.sops.yaml`` that counts for them.

    No link is followed; nothing is read past its cap.

    Args:
        root: the directory of the run.
        prefix: path to it from the top of its repository: empty, or ending in a slash.
    """
    files: dict[str, bytes] = {}
    problems: list[Problem] = []
    total = 0
    for path, mode in _walk(root):
        if total > sources.MAX_TOTAL_BYTES and path != TARGETS_FILE:
            continue
        found = _file(root, path, mode)
        if isinstance(found, bytes):
            files[path] = found
            total += len(found)
        elif found is not None:
            problems.append(found)
    if total > sources.MAX_TOTAL_BYTES:
        problems.append(sources.TOO_LARGE_TOGETHER.about(FOLDER))
    rules, remarks = _rules(root, prefix)
    if isinstance(rules, Problem):
        problems.append(rules)
        rules = None
    return Sources(
        files=files,
        problems=tuple(problems),
        tracked=tracked(root, FOLDER),
        rules=rules,
        remarks=remarks,
    )


def tracked(root: Path, path: str) -> frozenset[str] | None:
    """Return what git's index holds at or below ``path``, relative to ``root``; None where git could not be asked."""
    try:
        output = ask(root, "ls-files", "-z", "--cached", "--", path)
    except Refused:
        return None
    return frozenset(os.fsdecode(name) for name in output.split(b"\0") if name)


def _rules(root: Path, prefix: str) -> tuple[RulesFile | Problem | None, tuple[Problem, ...]]:
    """Return the nearest ``.sops.yaml``, or what is wrong with it; and remarks about files of a similar name."""
    top = root.resolve()
    search = nearest_rules(prefix, lambda path: os.path.lexists(top / path))
    found = None if search.found is None else _rules_file(top, search.found)
    others = (f"{level.up}{sources.MISNAMED_RULES_FILE}" for level in search.visited)
    return found, tuple(
        sources.misnamed_rules(path, found=found is not None) for path in others if os.path.lexists(top / path)
    )


def _rules_file(top: Path, level: Level) -> RulesFile | Problem:
    path = level.rules
    try:
        regular = stat.S_ISREG((top / path).lstat().st_mode)
    except OSError:
        return sources.UNREADABLE.about(path)
    data = _read_file(top / path, path, sources.MAX_RULES_BYTES) if regular else sources.RULES_IRREGULAR.about(path)
    if isinstance(data, bytes):
        return RulesFile(path=path, data=data, prefix=level.prefix)
    return sources.RULES_TOO_LARGE.about(path) if data is None or data.rule == "file-size" else data


def _file(root: Path, path: str, mode: int) -> bytes | Problem | None:
    """Return the bytes of a file, what is wrong with it, or None for one that is none of our business."""
    problem = sources.name_problem(path)
    if problem is not None:
        return problem
    if stat.S_ISREG(mode):
        return _read_file(root / path, path, sources.max_bytes(path))
    return sources.LINK.about(path) if stat.S_ISLNK(mode) else sources.IRREGULAR.about(path)


def _walk(root: Path) -> Iterator[tuple[str, int]]:
    """Yield the path and mode of everything below ``secrets/`` that is not a directory, links as links."""
    pending = [FOLDER]
    while pending:
        path = pending.pop()
        try:
            mode = (root / path).lstat().st_mode
            if stat.S_ISDIR(mode):
                pending.extend(
                    f"{path}/{name}" for name in sorted((entry.name for entry in (root / path).iterdir()), reverse=True)
                )
                continue
        except OSError:
            # Gone meanwhile, or not for us to read: a regular file that then fails to open says so in its problem.
            if path == FOLDER:
                return
            mode = stat.S_IFREG
        yield path, mode


def _read_file(file: Path, path: str, cap: int) -> bytes | Problem | None:
    """Return the bytes of a regular file, what is wrong with it, or None for a large one that is none of our business.

    The checks are made on the open file, as a name can be exchanged between a look at it and its opening; and
    O_NONBLOCK, as opening a pipe would otherwise wait for somebody to write to it.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(file, flags)
        with os.fdopen(descriptor, "rb") as opened:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return sources.IRREGULAR.about(path)
            data = opened.read(cap + 1)
    except OSError:
        return sources.UNREADABLE.about(path)
    if len(data) <= cap:
        return data
    return sources.TOO_LARGE.about(path) if sources.is_yaml(path) else None
