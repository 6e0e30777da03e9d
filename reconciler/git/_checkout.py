"""One look at the repository for all that a run asks of it."""

import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from reconciler.errors import Refused, escaped
from reconciler.git import _commit, _work_tree
from reconciler.git._places import from_root, nearest_rules
from reconciler.git._program import Repository, ask, git_folder, repository, run
from reconciler.policy.sources import FOLDER, Sources


class Checkout:
    """The directory of a run, as git sees it.

    Git is asked once where it lies and what HEAD is, when that is first needed: so that one run is about one commit,
    whatever somebody checks out meanwhile. Make a new one for each run.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @cached_property
    def _repository(self) -> Repository | None:
        return repository(self._root)

    @property
    def is_repository(self) -> bool:
        """Whether it lies in the work tree of a git repository, with a commit or without one yet.

        Raises:
            Refused: there is a repository but git does not work on it.
        """
        return self._repository is not None

    @property
    def head_commit(self) -> str | None:
        """The full hash of HEAD; None outside a git repository, and before its first commit.

        Raises:
            Refused: there is a repository but git does not work on it.
        """
        return None if self._repository is None else self._repository.commit

    @property
    def prefix(self) -> str:
        """The path from the top of its repository, ending in a slash; empty at the top, and outside one.

        Where git does not work, from the nearest folder that has a ``.git``: what is above is not looked at then
        either.
        """
        try:
            where = self._repository
        except Refused:
            top = git_folder(self._root)
            return "" if top is None else "".join(f"{part}/" for part in self._root.resolve().relative_to(top).parts)
        return "" if where is None else where.prefix

    def read_work_tree(self) -> Sources:
        """Read the files below ``secrets/`` as they are now, and the ``.sops.yaml`` that counts for them.

        No link is followed; nothing is read past its cap.
        """
        return _work_tree.read_work_tree(self._root, self.prefix)

    def read_commit(self, commit: str | None = None) -> Sources:
        """Read the blobs below ``secrets/`` at a commit.

        Args:
            commit: full hash; None means `head_commit`.

        Raises:
            Refused: there is no repository or no commit, or git does not work on it.
        """
        return _commit.read_commit(self._root, self._repository, commit)

    def uncommitted(self) -> tuple[str, ...]:
        """Return the names of what is not as in `head_commit`: changed, staged or untracked in ``secrets/``, and rules.

        Of ``.sops.yaml`` the one that counts, and what was nearer. Sorted, relative to the directory of the run,
        escaped. Empty outside a git repository. Files that git ignores do not count.

        Raises:
            Refused: git does not work on the repository, or HEAD has moved since it was asked for.
        """
        where = self._repository
        if where is None:
            return ()
        top = self._root.resolve()
        search = nearest_rules(where.prefix, lambda path: os.path.lexists(top / path))
        output = ask(
            self._root,
            "status",
            "--porcelain=v2",
            "-z",
            "--branch",
            "--no-ahead-behind",
            "--untracked-files=all",
            "--ignore-submodules=all",  # would start git within them; a submodule below secrets/ is refused on reading
            "--no-renames",
            "--",
            FOLDER,
            *(level.rules for level in search.visited),
        )
        records = output.split(b"\0")
        if f"# branch.oid {where.commit or '(initial)'}".encode() not in records:
            raise Refused(
                "another commit was checked out while this run read the files", advice="run again when that has ended"
            )
        paths = (_path(record) for record in records)
        return tuple(sorted({escaped(from_root(os.fsdecode(path), where.prefix)) for path in paths if path}))

    def ignored(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Return those of ``paths`` that a commit would leave out, as somebody's ``.gitignore`` names them.

        Args:
            paths: relative to the directory of the run, none of which begins with a colon.

        Returns:
            Without those that git knows already; none where git cannot be asked.
        """
        names = "".join(f"{path}\0" for path in paths)
        # It refuses to take paths literally, and takes a colon in front for magic.
        command = ("--no-literal-pathspecs", "check-ignore", "-z", "--stdin")
        try:
            done = run(self._root, command, stdin=os.fsencode(names))
        except (FileNotFoundError, Refused):
            return ()
        # Exit code 1 means that it ignores none of them.
        return tuple(os.fsdecode(path) for path in done.stdout.split(b"\0") if path) if done.returncode == 0 else ()


def _path(record: bytes) -> bytes:
    """Return the path from the top of the repository that a record of ``status`` is about; empty for a header.

    See https://git-scm.com/docs/git-status, "Porcelain Format Version 2". Renames are not looked for.
    """
    match record[:2]:
        case b"1 ":
            return record.split(b" ", 8)[8]
        case b"u ":
            return record.split(b" ", 10)[10]
        case b"? ":
            return record[2:]
        case _:
            return b""
