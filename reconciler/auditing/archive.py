"""All versions of all scope files, read, in the order in which they came to be. Pure but for the reading."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from reconciler import git
from reconciler.auditing.versions import Contents, read_contents
from reconciler.git import Commit, FileHistory
from reconciler.pysops import Recipient
from reconciler.report.revoked import UnreadVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One content that a file had."""

    path: str
    contents: Contents
    commit: Commit
    """The newest that made it so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """What git has of the scope files."""

    versions: tuple[Version, ...]
    """Oldest first, each content of each file once."""

    now: tuple[int, ...]
    """Positions of those that stand in files now."""

    unread: tuple[UnreadVersion, ...]
    """Versions that may have been about the recipient, and that could not be read."""

    @classmethod
    def read(cls, root: Path, history: FileHistory, mention: str) -> Self:
        """Read all versions.

        Args:
            root: The directory of the run.
            history: What git has.
            mention: Name of the recipient, or the beginning of it: what tells whether a version that cannot be read
                may be about them.

        Raises:
            Refused: Git does not have all of them.
        """
        newest: dict[tuple[str, str], Commit] = {}
        for version in history.versions:
            newest[version.path, version.blob] = version.commit
        read = _contents(root, {blob for _, blob in newest}, mention.encode())
        known = [place for place in newest if isinstance(read[place[1]], Contents)]
        positions = {place: position for position, place in enumerate(known)}
        return cls(
            versions=tuple(_versions(known, newest, read)),
            now=tuple(positions[place] for place in history.now.items() if place in positions),
            unread=tuple(_unread(newest, read, history.now)),
        )

    def recipients(self) -> frozenset[Recipient]:
        """Return everybody whom any version names."""
        return frozenset[Recipient]().union(*(version.contents.recipients for version in self.versions))


_Read = Contents | bool
"""What a version held; or, for one that cannot be read, whether it may be about the recipient."""


def _contents(root: Path, blobs: Iterable[str], mention: bytes) -> Mapping[str, _Read]:
    read: dict[str, _Read] = {}
    for blob, data in git.contents(root, sorted(blobs)):
        found = None if data is None else read_contents(data)
        # What is not encrypted could be read by everybody.
        read[blob] = (data is None or mention in data or b"sops:" not in data) if found is None else found
    return read


def _versions(
    known: Iterable[tuple[str, str]], newest: Mapping[tuple[str, str], Commit], read: Mapping[str, _Read]
) -> Iterator[Version]:
    for path, blob in known:
        contents = read[blob]
        if isinstance(contents, Contents):
            yield Version(path=path, contents=contents, commit=newest[path, blob])


def _unread(
    newest: Mapping[tuple[str, str], Commit], read: Mapping[str, _Read], now: Mapping[str, str]
) -> Iterator[UnreadVersion]:
    found: dict[str, list[Commit]] = {}
    for (path, blob), commit in newest.items():
        # What stands there now matters whoever it is about: it may hold any value that they could read.
        if read[blob] is True or (read[blob] is False and now.get(path) == blob):
            found.setdefault(path, []).append(commit)
    for path, commits in sorted(found.items()):
        yield UnreadVersion(path=path, commit=commits[-1].name, versions=len(commits))
