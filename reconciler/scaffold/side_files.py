"""Files beside the secrets: what git ignores, how it merges, what runs before a commit. Theirs first, ours added."""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.editing.saving import put_file
from reconciler.errors import ReconcilerError, escaped
from reconciler.scaffold import templates
from reconciler.scaffold.outcome import Outcome


_MOST_BYTES: Final = 1024 * 1024
"""Largest file to which lines are added."""

HOOKS_FILE: Final = ".pre-commit-config.yaml"

_LINES: Final = (
    (".gitignore", templates.GITIGNORE_NOTE, templates.IGNORED),
    (".gitattributes", templates.GITATTRIBUTES_NOTE, templates.ATTRIBUTES),
)
"""Files of lines: name, a comment for what is added, and the lines that must be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Present:
    """A file that is there."""

    data: bytes


def complete(root: Path, prefix: str, outcome: Outcome) -> None:
    """Write the files, or add the lines that they lack.

    Args:
        root: Directory of the run.
        prefix: Its path from the top of the repository: empty, or ending in a slash.
        outcome: Where to note what was done.

    Raises:
        ReconcilerError: One could not be written.
    """
    for name, note, lines in _LINES:
        _complete_lines(root, name, note, lines, outcome)
    _complete_hooks(root, prefix, outcome)


def _complete_lines(root: Path, name: str, note: str, lines: tuple[str, ...], outcome: Outcome) -> None:
    there = _read(root / name)
    if there is None:
        put_file(root, name, None, "".join(f"{line}\n" for line in (note, *lines)).encode())
        outcome.written.append(name)
        return
    if isinstance(there, str):
        outcome.notices.append(_by_hand(name, there, "\n".join(lines)))
        return
    known = {line.strip() for line in there.data.decode(errors="replace").splitlines()}
    missing = [line for line in lines if line not in known]
    if not missing:
        outcome.left.append(name)
        return
    end = "\r\n" if b"\r\n" in there.data else "\n"
    gap = "" if not there.data or there.data.endswith(b"\n") else end
    added = gap + "".join(f"{line}{end}" for line in (note, *missing))
    put_file(root, name, there.data, there.data + added.encode())
    outcome.completed.append(name)


def _complete_hooks(root: Path, prefix: str, outcome: Outcome) -> None:
    if prefix:
        # pre-commit looks at the top of the repository alone, which is not ours to write to from down here.
        top = "../" * prefix.count("/") + HOOKS_FILE
        above = _read(root / top)
        if not (isinstance(above, _Present) and templates.HOOK_ID.encode() in above.data):
            why = "it stands above the directory of the run"
            outcome.notices.append(_by_hand(top, why, f"repos:\n{templates.hook(prefix)}"))
        return
    there = _read(root / HOOKS_FILE)
    if there is None:
        put_file(root, HOOKS_FILE, None, templates.pre_commit().encode())
        outcome.written.append(HOOKS_FILE)
    elif isinstance(there, _Present) and templates.HOOK_ID.encode() in there.data:
        outcome.left.append(HOOKS_FILE)
    else:
        why = there if isinstance(there, str) else "it is there already"
        outcome.notices.append(_by_hand(HOOKS_FILE, why, f"repos:\n{templates.hook()}"))


def _by_hand(name: str, why: str, lines: str) -> str:
    shown = "\n".join(f"    {line}" for line in lines.rstrip("\n").split("\n"))
    return f"{name} is left as it is, as {why}; it should have:\n{shown}"


def _read(path: Path) -> _Present | str | None:
    """Return a file, why it cannot be added to, or None where there is nothing of that name.

    Raises:
        ReconcilerError: It cannot be read.
    """
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            return "it is no regular file"
        if found.st_size > _MOST_BYTES:
            return "it is larger than 1 MiB"
        return _Present(data=path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError:
        raise ReconcilerError(f"{escaped(path.name)} cannot be read", advice="check its permissions") from None
