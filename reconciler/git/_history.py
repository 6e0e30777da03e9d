"""How commits stand to each other, and who wrote them: facts, nothing is decided here.

Git answers from the commits themselves. What could make them look different is off: replaced objects, grafts and the
commit graph, see `reconciler.git._program`. Relied on is that nobody but the user writes below ``.git``; a fetch brings
none of these along but replaced objects. That the clone is shallow stands in ``.git/shallow``, and is asked for.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from reconciler.errors import Refused
from reconciler.git._program import ask, failure, run
from reconciler.model import Ancestry


_HASH: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)
"""A full hash, of SHA-1 or SHA-256. Nothing else reaches a command line: it could be an option, or a branch."""

_NO: Final = 1
"""What ``merge-base --is-ancestor`` exits with instead of 0; anything else is a failure."""


def checked_hash(commit: str) -> str:
    """Return ``commit``.

    Raises:
        ValueError: It is no full hash.
    """
    if _HASH.fullmatch(commit) is None:
        raise ValueError(f"a commit is 40 or 64 hexadecimal digits, not {commit[:80]!r}")
    return commit


def ancestry(root: Path, *, commit: str, head: str) -> Ancestry:
    """Return how ``commit`` stands to the one that was applied last.

    A yes holds in a shallow clone, too: what it has of the history is true. A no does not, as the way from one commit
    to the other may lead through what was left out.

    Args:
        root: The directory of the run, within a repository.
        commit: Full hash of the commit that the run is about.
        head: Full hash of the commit that was applied last; the repository need not have it.

    Raises:
        ValueError: One of them is no full hash.
        Refused: Git does not work on the repository, or does not have ``commit``.
    """
    if checked_hash(commit) == checked_hash(head):
        return Ancestry.SAME
    # Of a repository with another kind of hash. Git would take it for a part of one, or for the name of a branch.
    is_known = len(commit) == len(head)
    later = _is_ancestor(root, head, commit) if is_known else None
    if later:
        return Ancestry.DESCENDANT
    if later is None:
        if is_known and _exists(root, head):
            raise failure(root, "merge-base")
        return Ancestry.UNKNOWN_SHALLOW if is_known and is_shallow(root) else Ancestry.UNKNOWN_GONE
    older = _is_ancestor(root, commit, head)
    if older is None:
        raise failure(root, "merge-base")
    if older:
        return Ancestry.OLDER
    return Ancestry.UNKNOWN_SHALLOW if is_shallow(root) else Ancestry.DIVERGED


def _is_ancestor(root: Path, old: str, new: str) -> bool | None:
    """Tell whether ``new`` builds on ``old``; None where git does not have one of them, or what lies between."""
    code = _run(root, "merge-base", "--is-ancestor", old, new)
    return None if code not in {0, _NO} else code == 0


def _exists(root: Path, commit: str) -> bool:
    return _run(root, "cat-file", "-e", f"{commit}^{{commit}}") == 0


def is_shallow(root: Path) -> bool:
    """Tell whether older commits were left out of the clone.

    Raises:
        Refused: Git does not work on the repository.
    """
    return ask(root, "rev-parse", "--is-shallow-repository") == b"true\n"


def _run(root: Path, *arguments: str) -> int:
    """Return the exit code.

    Raises:
        Refused: Git is not installed, does not finish in time, or distrusts the repository.
    """
    try:
        done = run(root, arguments)
    except FileNotFoundError:
        raise Refused("git is not installed", advice="install git") from None
    if b"dubious ownership" in done.stderr or b"not a git repository" in done.stderr:
        raise failure(root, arguments[0], done.stderr)
    return done.returncode


def authors(root: Path, commits: Iterable[str]) -> Mapping[str, str]:
    """Return commit to ``Name <mail>`` of its author, as they wrote it; without those that the repository lacks.

    It may hold anything but line breaks: whoever prints it, escapes it. One call of git, however many there are; none
    for none.

    Raises:
        Refused: Git does not work on the repository.
    """
    wanted = sorted({commit for commit in commits if _HASH.fullmatch(commit) is not None})
    if not wanted:
        return {}
    # %an and %ae, not %aN and %aE: .mailmap is a file that any branch can change.
    output = ask(
        root,
        "rev-list",
        "--no-walk=unsorted",
        "--ignore-missing",
        "--encoding=UTF-8",
        "--format=%an <%ae>",
        "--stdin",
        stdin="".join(f"{commit}\n" for commit in wanted).encode(),
    )
    lines = output.decode(errors="replace").split("\n")
    known = frozenset(wanted)
    found = zip(lines[0::2], lines[1::2], strict=False)
    return {name: author for line, author in found if (name := line.removeprefix("commit ")) in known}
