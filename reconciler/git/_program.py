"""Running git, and finding the repository of a directory."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.errors import Refused


_TIMEOUT_S: Final = 60.0
"""How long one git command may take. Generous: a status of a large tree on a cold disk takes seconds."""

_PASSED_ON: Final = ("PATH", "HOME", "XDG_CONFIG_HOME", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP")
"""What git gets of our environment. HOME, as ``safe.directory`` stands in the user's own configuration. Not GIT_DIR and
the like, which a hook sets: the repository is the one that the files stand in."""

_SETTINGS: Final = {
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_PAGER": "cat",
}

"""Git before 2.45 does not know GIT_NO_LAZY_FETCH: there a fetch is begun, and no protocol is allowed to it."""

_OPTIONS: Final = (
    "--no-pager",
    "--literal-pathspecs",
    "-c",
    "core.fsmonitor=false",
    "-c",
    f"core.hooksPath={os.devnull}",
    "-c",
    "core.quotePath=false",
    "-c",
    "core.commitGraph=false",
    "-c",
    "safe.bareRepository=explicit",
)
"""Before every command. A file system monitor and a hook are programs that the repository's configuration names. A bare
repository can be committed as ordinary files, with a configuration of its own: it is never found by looking around."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """Where the directory of the run lies in a git repository, and what its HEAD is."""

    prefix: str
    """Path of the directory of the run from the top of the repository: empty, or ending in a slash."""

    commit: str | None
    """Full hash of HEAD; None while there is no commit."""


def repository(root: Path) -> Repository | None:
    """Return where ``root`` lies in a repository; None outside one."""
    try:
        done = run(root, ("rev-parse", "--absolute-git-dir", "--show-prefix", "HEAD^{commit}"))
        if done.returncode == 0:
            folder, _, rest = done.stdout.removesuffix(b"\n").partition(b"\n")
            prefix, _, commit = rest.rpartition(b"\n")
            _check_not_within(root, folder)
            return Repository(prefix=os.fsdecode(prefix), commit=commit.decode("ascii"))
        # The whole phrase: "not a git repository: PATH" is said of a worktree whose repository is gone.
        if b"not a git repository (or any" in done.stderr:
            if git_folder(root) is not None:
                raise failure(root, "rev-parse", done.stderr)  # damaged, which must not pass for being outside
            return None
        output = ask(root, "rev-parse", "--absolute-git-dir", "--show-prefix")
        folder, _, prefix = output.removesuffix(b"\n").partition(b"\n")
        _check_not_within(root, folder)
        # HEAD is a branch, and no such branch is there yet. A HEAD that points to a missing object is damage.
        if run(root, ("rev-parse", "--verify", "--quiet", "HEAD")).returncode == 0:
            raise failure(root, "rev-parse")
    except FileNotFoundError:
        if git_folder(root) is not None:
            raise Refused("git is not installed, but this is a git repository", advice="install git") from None
        return None
    return Repository(prefix=os.fsdecode(prefix), commit=None)


def _check_not_within(root: Path, folder: bytes) -> None:
    """Refuse a directory that git takes for the inside of a repository, as a branch may have planted one.

    Such a repository says what is committed, and which programs run. Git before 2.38 does not know
    ``safe.bareRepository``, which would have kept it from being found.
    """
    if root.resolve().is_relative_to(Path(os.fsdecode(folder))):
        raise _planted(root)


def _planted(root: Path) -> Refused:
    return Refused(
        f"{root} looks like the inside of a git repository",
        advice="a branch may have planted one: look for the files HEAD, config, objects and refs there",
    )


def git_folder(root: Path) -> Path | None:
    """Return the nearest folder, at or above ``root``, that has a ``.git``, if only an empty one."""
    here = root.resolve()
    return next((folder for folder in (here, *here.parents) if os.path.lexists(folder / ".git")), None)


def ask(root: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Return what a git command prints.

    Raises:
        Refused: it failed. Its own text is not passed on, it may quote what stands in files.
    """
    try:
        done = run(root, arguments, stdin=stdin)
    except FileNotFoundError:
        raise Refused("git is not installed", advice="install git") from None
    if done.returncode != 0:
        raise failure(root, arguments[0], done.stderr)
    return done.stdout


def failure(root: Path, command: str, stderr: bytes = b"") -> Refused:
    """Return why a command failed, as far as its text is one that we know."""
    if b"bare repository" in stderr:
        return _planted(root)
    if b"dubious ownership" in stderr:
        return Refused(
            f"git does not trust {root}, as it belongs to another user",
            advice="if you do: git config --global --add safe.directory DIRECTORY",
        )
    return Refused(
        f"git {command} failed in {root}", advice="run git status and git fsck there to see what is wrong with it"
    )


def run(root: Path, arguments: tuple[str, ...], *, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run git in ``root``.

    Raises:
        FileNotFoundError: git is not installed.
        Refused: it did not finish in time, or ``root`` is no directory.
    """
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | _SETTINGS
    if not root.is_dir():
        raise Refused(f"{root} is not a directory")
    try:
        return subprocess.run(  # noqa: S603  # a fixed program, arguments of ours, no shell
            ("git", *_OPTIONS, *arguments),  # noqa: S607  # the git that the user uses
            input=stdin,
            capture_output=True,
            check=False,
            cwd=root,
            env=environment,
            timeout=_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise Refused(f"git {arguments[0]} did not finish within {_TIMEOUT_S:.0f} s in {root}") from None
