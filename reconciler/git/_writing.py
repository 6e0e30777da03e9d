"""A commit on a branch of its own: what is asked for by ``--commit`` and ``--pr``.

Reading takes nothing from the user's configuration (`_program`); a commit is theirs. It has their name, is signed as
they sign, passes their hooks, and is pushed with their credentials. So git is run here as they would run it, with their
environment but for the keys and tokens that are ours to use, see docs/adr/0023. What decides whether there is anything
to write to is still asked the strict way, and first.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from reconciler.credentials import without_credentials
from reconciler.errors import ReconcilerError, Refused, UsageError, escaped, some_of
from reconciler.git._program import ask, repository, run


_TIMEOUT_S: Final = 600.0
"""For one command: hooks may run a test suite, and whoever signs may have to look for a token."""

_GRACE_S: Final = 5.0
"""How long git may take to end once it was told to."""

_MAX_SAID_BYTES: Final = 64 * 1024
"""Of what git and hooks said, the last ones: that is where they say why."""

_MOST_LINES: Final = 40
"""Of those, too."""

_PLACES: Final = frozenset(
    {
        *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_NAMESPACE"),
        *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_LITERAL_PATHSPECS"),
    }
)
"""Which repository it is, says where the files stand; a hook that started us has set these for its own."""

_BUSY: Final[Mapping[str, str]] = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
}
"""File in git's folder to what is under way while it is there."""

_HEADS: Final = "refs/heads/"
_NO_LETTER: Final = re.compile(r"[^A-Za-z0-9_.]+", re.ASCII)


def branch_name(kind: str, *parts: str) -> str:
    """Return a name for a branch, such as ``rotate/prod-payments-db-password-20260131``.

    Args:
        kind: Stands before the slash.
        parts: Names of ours; what git would refuse in them becomes a dash.
    """
    text = "-".join(_NO_LETTER.sub("-", part) for part in parts)
    # Git refuses two dots in a row, one at either end, and ``.lock`` at the end.
    text = re.sub(r"\.{2,}", ".", text).strip(".-")
    return f"{kind}/{text.removesuffix('.lock') or 'change'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """A git that has ended."""

    exit_code: int
    lines: tuple[str, ...]
    """What it, its hooks and a server said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBranch:
    """A branch that can be made, as all was found in order when `prepare` looked."""

    root: Path
    environ: Mapping[str, str] = field(repr=False)
    name: str
    commit: str
    """Full hash of the one that it will begin with."""

    origin: str | None
    """Full name of the branch that is checked out; None for a detached HEAD."""

    remote: str | None = None
    """Where it can be pushed to."""

    base: str | None = None
    """Branch of `remote` that `origin` follows: what a pull request is compared with; None: what the server thinks."""

    def record(self, message: str, written: Mapping[str, bytes]) -> str:
        """Make the branch, check it out, and commit files on it, and nothing else.

        Other changes stay as they are, staged or not: the branch begins where HEAD is, so no file has to be touched.

        Args:
            message: All of it.
            written: Path, relative to the directory of the run, to what was written there.

        Returns:
            Full hash of the commit.

        Raises:
            ReconcilerError: Git or a hook refused. The files are as they were written; the branch is gone, and what was
                checked out is so again. Or the commit holds something else than was written, and stands.
        """
        self._call("the branch could not be made", "switch", "--quiet", "--no-track", "--create", self.name)
        try:
            paths = (f":(literal){path}" for path in written)
            self._call(
                "git or one of its hooks refused the commit",
                *("commit", "--quiet", "--only", "--cleanup=whitespace", "--file=-", "--", *paths),
                stdin=message.encode(),
            )
        except BaseException:
            self._take_back()
            raise
        for path, data in written.items():
            # Line ends aside, which git may turn on purpose; values do not depend on them.
            if _feeds(ask(self.root, "cat-file", "blob", f"HEAD:./{path}")) != _feeds(data):
                raise ReconcilerError(
                    f"the commit on {escaped(self.name)} has not what was written to {escaped(path)}: a hook or a "
                    "filter changed it",
                    advice="nothing was pushed; keep hooks and filters from encrypted files, then commit again",
                )
        return ask(self.root, "rev-parse", "HEAD").decode().strip()

    def push(self) -> tuple[str, ...]:
        """Push the branch, and have it follow what it was pushed to; return what the server said, line by line.

        Raises:
            ReconcilerError: It was not taken. The commit stands.
        """
        ref = _HEADS + self.name
        done = self._call(
            f"the branch {escaped(self.name)} is committed, and could not be pushed",
            *("push", "--quiet", "--set-upstream", "--", self.remote or "origin", f"{ref}:{ref}"),
        )
        return tuple(line.removeprefix("remote:").strip() for line in done.lines if line.startswith("remote:"))

    @property
    def way_back(self) -> str:
        """What the user types to get back to where they were."""
        if self.origin is None:
            return f"git switch --detach {self.commit}"
        return f"git switch {escaped(self.origin.removeprefix(_HEADS))}"

    def _take_back(self) -> None:
        """Check out again what was, which touches no file as both are the same commit, and delete the empty branch."""
        back = ("--detach", self.commit) if self.origin is None else (self.origin.removeprefix(_HEADS),)
        if _git(self.root, self.environ, "switch", "--quiet", *back).exit_code == 0:
            # Only if it is still where it began: a commit that was made in spite of everything is not lost.
            _git(self.root, self.environ, "update-ref", "-d", _HEADS + self.name, self.commit)

    def _call(self, failed: str, *arguments: str, stdin: bytes = b"") -> "_Done":
        done = _git(self.root, self.environ, *arguments, stdin=stdin)
        if done.exit_code != 0:
            raise GitFailed(f"{failed} (git {arguments[0]}: exit code {done.exit_code})", said=done.lines)
        return done


class GitFailed(ReconcilerError):
    """Git, a hook or a server refused."""

    def __init__(self, message: str, *, said: tuple[str, ...], advice: str | None = None) -> None:
        super().__init__(message, advice=advice)
        self.said = said
        """What they said, line by line: of files whose values are encrypted, as whoever runs git by hand sees it."""


def prepare(
    root: Path, environ: Mapping[str, str], *, name: str, paths: Iterable[str], to_push: bool = False
) -> NewBranch:
    """Look whether files can be committed on a new branch, before they are changed.

    Args:
        root: Directory of the run.
        environ: That of the user.
        name: Of the branch.
        paths: Of the files, relative to ``root``.
        to_push: Look for a remote, too.

    Raises:
        UsageError: No branch can be called that.
        Refused: There is no repository or no commit, something is under way in it, the branch exists, a file is not as
            in HEAD or git does not know it, the user has no name or address, or there is no remote.
    """
    where = repository(root)
    if where is None or where.commit is None:
        lacking = "this is no git repository" if where is None else "the repository has no commit yet"
        raise Refused(f"--commit: {lacking}; nothing was written", advice="run git init and commit what is there first")
    _check_not_busy(root)
    _check_clean(root, tuple(paths))
    _check_free(root, name)
    kept = without_credentials(environ, for_git=True)
    withheld = {variable: text for variable, text in kept.items() if variable not in _PLACES}
    for variable in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
        if _git(root, withheld, "var", variable).exit_code != 0:
            raise Refused(
                "git does not know who commits; nothing was written",
                advice="git config user.name NAME, git config user.email ADDRESS, then run this again",
            )
    head = run(root, ("symbolic-ref", "--quiet", "HEAD"))
    origin = os.fsdecode(head.stdout.strip()) if head.returncode == 0 else None
    remote, base = _remote(root, origin) if to_push else (None, None)
    return NewBranch(
        root=root, environ=withheld, name=name, commit=where.commit, origin=origin, remote=remote, base=base
    )


def _check_not_busy(root: Path) -> None:
    asked = (argument for name in _BUSY for argument in ("--git-path", name))
    places = os.fsdecode(ask(root, "rev-parse", *asked)).splitlines()
    for place, what in zip(places, _BUSY.values(), strict=False):
        if os.path.lexists(root / place):
            raise Refused(
                f"{what} is under way in this repository; nothing was written", advice="finish it or abort it first"
            )


def _check_clean(root: Path, paths: tuple[str, ...]) -> None:
    options = ("--porcelain=v2", "-z", "--untracked-files=all", "--ignore-submodules=all", "--no-renames")
    dirty = [path for path in paths if ask(root, "status", *options, "--", path)]
    if dirty:
        raise Refused(
            f"--commit: {some_of([escaped(path) for path in dirty])} had changes that are not committed; nothing was "
            "written",
            advice="commit them first or take them back, so that the commit is about the new value alone",
        )
    unknown = [path for path in paths if not ask(root, "ls-files", "-z", "--cached", "--", path)]
    if unknown:
        raise Refused(
            f"--commit: git ignores {some_of([escaped(path) for path in unknown])}; nothing was written",
            advice="git check-ignore -v FILE shows why",
        )


def _check_free(root: Path, name: str) -> None:
    ref = _HEADS + name
    if name.startswith("-") or name == "HEAD" or run(root, ("check-ref-format", ref)).returncode != 0:
        raise UsageError(f"no branch can be called {escaped(name)!r}", advice="see git check-ref-format")
    parts = name.split("/")
    above = {_HEADS + "/".join(parts[:count]) for count in range(1, len(parts) + 1)}
    for line in os.fsdecode(ask(root, "for-each-ref", "--format=%(refname)", *sorted(above))).splitlines():
        if line in above or line.startswith(f"{ref}/"):
            raise Refused(
                f"there is a branch {escaped(line.removeprefix(_HEADS))} already; nothing was written",
                advice="name another one with --branch, or delete that one",
            )


def _remote(root: Path, origin: str | None) -> tuple[str, str | None]:
    """Return where to push, and what of it the branch that is checked out follows.

    Raises:
        Refused: There is no remote, or several and none that git would push to.
    """
    names = os.fsdecode(ask(root, "remote")).splitlines()
    branch = "" if origin is None else origin.removeprefix(_HEADS)
    followed, merged = _config(root, f"branch.{branch}.remote"), _config(root, f"branch.{branch}.merge")
    wishes = (_config(root, f"branch.{branch}.pushRemote"), _config(root, "remote.pushDefault"), followed, "origin")
    only = names if len(names) == 1 else []
    found = next((wish for wish in (*wishes, *only) if wish in names), None)
    if found is None:
        several = "there are several remotes, and nothing says which to push to"
        lacking = several if names else "there is no remote to push to"
        raise Refused(
            f"--pr: {lacking}; nothing was written",
            advice="add one with git remote add, or say which with git config remote.pushDefault NAME",
        )
    base = merged.removeprefix(_HEADS) if merged is not None and followed == found else None
    return found, base


def _config(root: Path, key: str) -> str | None:
    done = run(root, ("config", "--get", key))
    return os.fsdecode(done.stdout).removesuffix("\n") if done.returncode == 0 else None


def _git(root: Path, environ: Mapping[str, str], *arguments: str, stdin: bytes = b"") -> "_Done":
    """Run git as the user would.

    Raises:
        Refused: It is not installed.
        ReconcilerError: It did not finish in time.
    """
    program = shutil.which("git", path=environ.get("PATH", ""))
    if program is None or not Path(program).is_absolute():
        raise Refused("git is not installed", advice="install git")
    # As with reading: a bare repository that was committed as ordinary files has a configuration of its own.
    command = (program, "--no-pager", "-c", "safe.bareRepository=explicit", *arguments)
    # Files, not pipes: a daemon that git or a hook leaves behind may hold its output open for as long as it lives.
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(  # noqa: S603  # an absolute path, no shell
            command, stdin=given, stdout=said, stderr=subprocess.STDOUT, env=dict(environ), cwd=root
        )
        try:
            exit_code = process.wait(_TIMEOUT_S)
        except BaseException as error:
            _end(process)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise ReconcilerError(
                f"git {arguments[0]} did not finish within {_TIMEOUT_S:.0f} s",
                advice="run git status to see how far it came",
            ) from None
        said.seek(max(0, said.seek(0, os.SEEK_END) - _MAX_SAID_BYTES))
        lines = (line.rstrip() for line in said.read().decode(errors="replace").splitlines())
        return _Done(exit_code=exit_code, lines=tuple(line for line in lines if line)[-_MOST_LINES:])


def _feeds(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End git so that it can take its locks away: a stale ``index.lock`` would stop whatever the user does next."""
    process.terminate()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
