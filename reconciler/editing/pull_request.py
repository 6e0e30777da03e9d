"""A pull request for a branch that was pushed, through ``gh`` where the user has it. It says names, never a value."""

import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from reconciler.errors import ReconcilerError, escaped
from reconciler.git import GitFailed, NewBranch
from reconciler.pysops.child import ChildFailed, Children


_TIMEOUT_S: Final = 120.0
_MAX_OUTPUT_BYTES: Final = 64 * 1024

_QUIETLY: Final[Mapping[str, str]] = {"GH_PROMPT_DISABLED": "1", "NO_COLOR": "1", "GH_NO_UPDATE_NOTIFIER": "1"}
"""Every answer is given by an option; a prompt would wait for one where nobody is."""


def by_hand(branch: NewBranch) -> str:
    """Return what the user runs to open the pull request of a branch; a branch has no name that a shell understands."""
    base = "" if branch.base is None else f" --base {_word(branch.base)}"
    return f"gh pr create --fill --head {_word(branch.name)}{base}"


def open_pull_request(branch: NewBranch, *, title: str, body: str) -> str | None:
    """Open a pull request; return its page, as far as ``gh`` names one.

    Args:
        branch: It was pushed. Its environment is that of the user: ``gh`` has its token from there, or from a file.
        title: One line.
        body: Text, in Markdown.

    Raises:
        NoProgram: There is no ``gh``.
        GitFailed: It refused. The branch stays pushed.
    """
    program = shutil.which("gh", path=branch.environ.get("PATH", ""))
    if program is None or not Path(program).is_absolute():
        raise NoProgram("gh is not installed", advice=by_hand(branch))
    words = [program, "pr", "create", f"--title={title}", "--body-file=-", f"--head={branch.name}"]
    if branch.base is not None:
        words.append(f"--base={branch.base}")
    said: tuple[str, ...] = ()
    try:
        done = Children().run(
            words,
            stdin=body.encode(),
            environ={**branch.environ, **_QUIETLY},
            timeout_s=_TIMEOUT_S,
            max_stdout=_MAX_OUTPUT_BYTES,
            in_terminal=True,
            cwd=branch.root,
        )
    except ChildFailed:
        reason = "did not come to its end"
    else:
        lines = done.stdout.decode(errors="replace").split()
        if done.exit_code == 0:
            return next(filter(_is_page, reversed(lines)), None)
        reason = f"failed with exit code {done.exit_code}"
        said = tuple(line for line in done.stderr.decode(errors="replace").splitlines() if line.strip())
    raise GitFailed(
        f"{escaped(branch.name)} is pushed, but gh {reason}, so there is no pull request yet",
        said=said,
        advice=f"open it by hand: {by_hand(branch)}",
    )


class NoProgram(ReconcilerError):
    """There is no ``gh``; the advice is what to run where there is one."""


def _is_page(text: str) -> bool:
    try:
        return urlsplit(text).scheme == "https" and text.isprintable()
    except ValueError:
        return False


def _word(text: str) -> str:
    """Return a name of a branch as a shell takes it for one word."""
    return shlex.quote(escaped(text))
