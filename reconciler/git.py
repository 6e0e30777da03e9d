"""Edges that read: the work tree, and git for the blobs of a commit and the state of the tree.

Git is asked through plumbing whose output is made for programs, as ``-z`` text or raw blobs: no filter, no textconv, no
external diff, no hook, no file system monitor, no replaced object, no fetch of what a partial clone left out. It gets
an allow-listed environment. ``safe.directory`` stays in force: where git distrusts the repository, so do we.
"""

import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.errors import Problem, Refused
from reconciler.policy import sources
from reconciler.policy.sources import FOLDER, Sources


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
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_PAGER": "cat",
}

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
    "safe.bareRepository=explicit",
)
"""Before every command. A file system monitor and a hook are programs that the repository's configuration names. A bare
repository can be committed as ordinary files, with a configuration of its own: it is never found by looking around."""

_LINK: Final = "120000"
_SUBMODULE: Final = "160000"

_RULES_FILE: Final = ".sops.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repository:
    """Where the directory of the run lies in a git repository, and what its HEAD is."""

    prefix: str
    """Path of the directory of the run from the top of the repository: empty, or ending in a slash."""

    commit: str | None
    """Full hash of HEAD; None while there is no commit."""


def head_commit(root: Path) -> str | None:
    """Return the full hash of HEAD; None outside a git repository, and before its first commit.

    Raises:
        Refused: there is a repository but git does not work on it.
    """
    repository = _repository(root)
    return None if repository is None else repository.commit


def is_tracked(root: Path, path: str) -> bool | None:
    """Tell whether ``path``, relative to ``root``, is in git's index; None where git could not be asked."""
    tracked = _tracked(root, path)
    return None if tracked is None else path in tracked


def is_dirty(root: Path) -> tuple[str, ...]:
    """Return the names of what is not as in HEAD: changed, staged or untracked below ``secrets/``, and ``.sops.yaml``.

    Sorted, relative to ``root``, escaped. Empty outside a git repository. Files that git ignores do not count.

    Raises:
        Refused: git does not work on the repository.
    """
    repository = _repository(root)
    if repository is None:
        return ()
    output = _git(
        root,
        "status",
        "--porcelain=v1",
        "-z",
        "--untracked-files=all",
        "--ignore-submodules=all",  # would start git within them; a submodule below secrets/ is refused on reading
        "--no-renames",
        "--",
        FOLDER,
        _RULES_FILE,
    )
    # Each record is two letters of state, a space and the path from the top of the repository.
    names = (os.fsdecode(record[3:]) for record in output.split(b"\0") if record)
    return tuple(sorted({sources.escaped(name.removeprefix(repository.prefix)) for name in names}))


def read_commit(root: Path, commit: str | None = None) -> Sources:
    """Read the blobs below ``secrets/`` at a commit.

    Args:
        root: the directory of the run, anywhere within the work tree of a repository.
        commit: full hash; None means HEAD.

    Raises:
        Refused: there is no repository or no commit, or git does not work on it.
    """
    repository = _repository(root)
    if repository is None or repository.commit is None:
        raise Refused(
            f"{root} has no commit that could be read",
            advice="commit the files; only embedded targets and --allow-dirty read the work tree",
        )
    commit = commit or repository.commit
    wanted: dict[str, str] = {}
    problems: list[Problem] = []
    names = set[str]()
    for entry in _tree(root, commit, repository.prefix):
        names.add(entry.path)
        problem = _entry_problem(entry)
        if problem is not None:
            problems.append(problem)
        elif entry.size <= sources.max_bytes(entry.path):
            wanted[entry.path] = entry.blob
    blobs = _blobs(root, frozenset(wanted.values()))
    return Sources(
        files={path: blobs[blob] for path, blob in wanted.items()},
        problems=tuple(problems),
        commit=commit,
        tracked=frozenset(names),
    )


def read_work_tree(root: Path) -> Sources:
    """Read the files below ``secrets/`` as they are now. No link is followed; nothing is read past its cap."""
    files: dict[str, bytes] = {}
    problems: list[Problem] = []
    for path, mode in _walk(root):
        problem = sources.name_problem(path)
        if problem is None and stat.S_ISREG(mode):
            found = _read_file(root / path, path)
            if isinstance(found, bytes):
                files[path] = found
            elif found is not None:
                problems.append(found)
        elif problem is None:
            problem = sources.link_problem(path) if stat.S_ISLNK(mode) else sources.irregular_problem(path)
        if problem is not None:
            problems.append(problem)
    return Sources(files=files, problems=tuple(problems), tracked=_tracked(root, FOLDER))


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


def _read_file(file: Path, path: str) -> bytes | Problem | None:
    """Return the bytes of a regular file, what is wrong with it, or None for a large one that is none of our business.

    The checks are made on the open file, as a name can be exchanged between a look at it and its opening; and
    O_NONBLOCK, as opening a pipe would otherwise wait for somebody to write to it.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    cap = sources.max_bytes(path)
    try:
        descriptor = os.open(file, flags)
        with os.fdopen(descriptor, "rb") as opened:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return sources.irregular_problem(path)
            data = opened.read(cap + 1)
    except OSError:
        return sources.unreadable_problem(path)
    if len(data) <= cap:
        return data
    return sources.size_problem(path) if sources.is_yaml(path) else None


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
    output = _git(root, "ls-tree", "-r", "-z", "--long", "--full-tree", commit, "--", f"{prefix}{FOLDER}")
    for record in output.split(b"\0"):
        if not record:
            continue
        facts, _, name = record.partition(b"\t")
        mode, _, blob, size = facts.decode("ascii").split()
        yield _TreeEntry(
            mode=mode,
            blob=blob,
            size=0 if size == "-" else int(size),
            path=os.fsdecode(name).removeprefix(prefix),
        )


def _entry_problem(entry: _TreeEntry) -> Problem | None:
    if entry.mode == _LINK:
        return sources.link_problem(entry.path)
    if entry.mode == _SUBMODULE or entry.path == FOLDER:
        return sources.irregular_problem(entry.path)
    if sources.is_yaml(entry.path) and entry.size > sources.MAX_FILE_BYTES:
        return sources.size_problem(entry.path)
    return sources.name_problem(entry.path)


def _blobs(root: Path, wanted: frozenset[str]) -> dict[str, bytes]:
    """Return hash to content, exactly as committed: ``cat-file`` applies no filter and no line ending rule."""
    if not wanted:
        return {}
    names = sorted(wanted)
    output = memoryview(_git(root, "cat-file", "--batch", stdin="".join(f"{name}\n" for name in names).encode()))
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


def _tracked(root: Path, path: str) -> frozenset[str] | None:
    """Return what git's index holds at or below ``path``, relative to ``root``; None where git could not be asked."""
    try:
        output = _git(root, "ls-files", "-z", "--cached", "--", path)
    except Refused:
        return None
    return frozenset(os.fsdecode(name) for name in output.split(b"\0") if name)


def _repository(root: Path) -> _Repository | None:
    """Return where ``root`` lies in a repository; None outside one."""
    try:
        done = _run(root, ("rev-parse", "--absolute-git-dir", "--show-prefix", "HEAD^{commit}"))
        if done.returncode == 0:
            folder, _, rest = done.stdout.removesuffix(b"\n").partition(b"\n")
            prefix, _, commit = rest.rpartition(b"\n")
            _check_not_within(root, folder)
            return _Repository(prefix=os.fsdecode(prefix), commit=commit.decode("ascii"))
        # The whole phrase: "not a git repository: PATH" is said of a worktree whose repository is gone.
        if b"not a git repository (or any" in done.stderr:
            if _has_git_folder(root):
                raise _failed(root, "rev-parse", done.stderr)  # damaged, which must not pass for being outside
            return None
        output = _git(root, "rev-parse", "--absolute-git-dir", "--show-prefix")
        folder, _, prefix = output.removesuffix(b"\n").partition(b"\n")
        _check_not_within(root, folder)
        # HEAD is a branch, and no such branch is there yet. A HEAD that points to a missing object is damage.
        if _run(root, ("rev-parse", "--verify", "--quiet", "HEAD")).returncode == 0:
            raise _failed(root, "rev-parse")
    except FileNotFoundError:
        if _has_git_folder(root):
            raise Refused("git is not installed, but this is a git repository", advice="install git") from None
        return None
    return _Repository(prefix=os.fsdecode(prefix), commit=None)


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


def _has_git_folder(root: Path) -> bool:
    return any(os.path.lexists(folder / ".git") for folder in (root.resolve(), *root.resolve().parents))


def is_repository(root: Path) -> bool:
    """Tell whether ``root`` lies in the work tree of a git repository, with a commit or without one yet.

    Raises:
        Refused: there is a repository but git does not work on it.
    """
    return _repository(root) is not None


def _git(root: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Return what a git command prints.

    Raises:
        Refused: it failed. Its own text is not passed on, it may quote what stands in files.
    """
    try:
        done = _run(root, arguments, stdin=stdin)
    except FileNotFoundError:
        raise Refused("git is not installed", advice="install git") from None
    if done.returncode != 0:
        raise _failed(root, arguments[0], done.stderr)
    return done.stdout


def _failed(root: Path, command: str, stderr: bytes = b"") -> Refused:
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


def _run(root: Path, arguments: tuple[str, ...], *, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
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
