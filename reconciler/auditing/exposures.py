"""Which values somebody could read, and which of them are not known to have changed since. Pure.

They could read whatever stands in a version that names them, and in every version with the same data key
(`lineages`). A value that is in a file now is listed

* where its version is one of those;
* where it is equal to one that they could read: both are opened and compared, if a key at hand opens both;
* where nothing proves that it changed. Without a key, another length alone proves it. A new ciphertext proves nothing,
  under the same data key either: whoever unsets a value and sets it again, renames it there and back, or changes it and
  changes it back gets a new one of the same value, and a commit does not show how it was made.

What was in a version that they could read, and is in no file now, is listed as removed.
"""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from reconciler.auditing.archive import Archive
from reconciler.auditing.lineages import Lineage, Opener, lineages, unlock
from reconciler.auditing.versions import Place, Sealed
from reconciler.errors import escaped
from reconciler.model import FoldedName, is_key_name, is_scope_name
from reconciler.pysops import Envelope, Recipient
from reconciler.report.revoked import Exposure, ReadAt, RevokedValue
from reconciler.report.wording import rotate_command


_MIN_COMMON: Final = 2
"""So many values with new ciphertexts at once are a file that was encrypted anew. One alone may have been changed, and
the names of those who can open the file with it, which leaves the data key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """One value in one version."""

    position: int
    """Of the version."""

    sealed: Sealed
    digest: bytes | None
    """What stands for it where it could be opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    exposure: Exposure
    detail: str
    read: int
    """Position of the newest version which they could read."""


class Exposures:
    """Decides what becomes of each value."""

    def __init__(self, archive: Archive, meant: frozenset[Recipient], opener: Opener) -> None:
        self._versions = archive.versions
        self._now = archive.now
        self._meant = meant
        self._opener = opener
        contents = [version.contents for version in archive.versions]
        found = lineages(contents)
        for lineage in found:
            unlock(lineage, contents, opener)
        self._lineages = {position: lineage for lineage in found for position in lineage.members}
        self._open = self._exposed(found)
        self._digests: dict[tuple[tuple[str, ...], Envelope], bytes | None] = {}
        self._could: dict[Place, dict[Envelope | str, _Found]] = {}
        """Place -> what they could read there, each as it stood in its file, oldest first."""
        self._theirs: dict[str, list[int]] = {}
        """Path -> positions of versions whose data key they could get, oldest first."""
        self._places: dict[bytes, tuple[Place, int]] = {}
        """Digest -> where they could read that value, and in which version last."""
        for position in range(len(contents)):
            self._note(position)
        there = {place for position in self._now for place in contents[position].values}
        self._gone = {place: could for place, could in self._could.items() if place not in there}
        self._gone_by_key: dict[FoldedName, list[Place]] = {}
        for place in self._gone:
            self._gone_by_key.setdefault(place.key, []).append(place)
        self.changed = 0
        self.without_key = 0

    def _exposed(self, found: Iterable[Lineage]) -> frozenset[int]:
        """Return the positions of versions whose data key they could get."""
        named = [lineage for lineage in found if any(map(self._names, lineage.members))]
        marks = {lineage.key.mark for lineage in named if lineage.key is not None}
        same = (lineage for lineage in found if lineage.key is not None and lineage.key.mark in marks)
        return frozenset(position for lineage in (*named, *same) for position in lineage.members)

    def _names(self, position: int) -> bool:
        return not self._meant.isdisjoint(self._versions[position].contents.recipients)

    def _note(self, position: int) -> None:
        """Note what they could read in one version."""
        version = self._versions[position]
        is_open = position in self._open
        if is_open:
            self._theirs.setdefault(version.path, []).append(position)
        for place, sealed in version.contents.values.items():
            if is_open or sealed.envelope is None:  # what stands in plain, everybody could read
                found = self._found(position, sealed)
                could = self._could.setdefault(place, {})
                as_it_stood = sealed.envelope or sealed.plain
                could.pop(as_it_stood, None)  # so that what they could read last comes last
                could[as_it_stood] = found
                if found.digest is not None:
                    self._places[found.digest] = place, position

    def _found(self, position: int, sealed: Sealed) -> _Found:
        return _Found(position=position, sealed=sealed, digest=self._digest(position, sealed))

    def _digest(self, position: int, sealed: Sealed) -> bytes | None:
        if sealed.envelope is None:
            return self._opener.plain(sealed)
        if (key := self._lineages[position].key) is None:
            return None
        # Most values stay as they are from one version to the next.
        known = sealed.names, sealed.envelope
        if known not in self._digests:
            self._digests[known] = key.digest(sealed)
        return self._digests[known]

    def open_files(self) -> tuple[str, ...]:
        """Return the files that name them now."""
        return tuple(sorted(self._versions[position].path for position in self._now if self._names(position)))

    def values(self, hosts: Mapping[str, str], is_wanted: Callable[[Place], bool]) -> Iterator[RevokedValue]:
        """Yield what is listed.

        Args:
            hosts: Host key to name of the target.
            is_wanted: Tells what is asked for.
        """
        now: dict[bytes, list[Place]] = {}
        for position in self._now:
            for place, sealed in self._versions[position].contents.values.items():
                found = self._found(position, sealed)
                if found.digest is not None:
                    now.setdefault(found.digest, []).append(place)
                if is_wanted(place) and (verdict := self._verdict(place, found)) is not None:
                    yield self._told(verdict, place, sealed, self._versions[position].path, hosts)
        for place, could in self._gone.items():
            if is_wanted(place):
                last = _last(could)
                path = self._versions[last.position].path
                copies = [] if last.digest is None else now.get(last.digest, [])
                yield self._told(self._removed(last, copies), place, last.sealed, path, hosts)

    def _removed(self, last: _Found, copies: list[Place]) -> _Verdict:
        detail = "no file has it any more; unless it was revoked at its source, it is valid to this day"
        if copies:
            detail = f"it is gone from here, and is still the value of {_shown(copies[0])}"
        return _Verdict(exposure=Exposure.REMOVED, detail=detail, read=last.position)

    def _verdict(self, place: Place, found: _Found) -> _Verdict | None:
        """Return how a value stands that is in a file now; None for one that need not be listed."""
        version = self._versions[found.position]
        if found.sealed.envelope is None:
            detail = f"it stands in plain in {version.path}"
            return _Verdict(exposure=Exposure.READABLE, detail=detail, read=found.position)
        if found.position in self._open:
            detail = "the file names them"
            if not self._names(found.position):
                path = shlex.quote(escaped(version.path))
                detail = f"the file still has a data key that they could get: reconciler rekey {path} changes it"
            return _Verdict(exposure=Exposure.READABLE, detail=detail, read=found.position)
        if found.digest is not None and found.digest in self._places:
            other, read = self._places[found.digest]
            where = "it is" if other == place else f"it is the value of {_shown(other)}, and"
            return _Verdict(exposure=Exposure.UNCHANGED, detail=f"{where} the one that they could read", read=read)
        if (could := self._could.get(place)) is None:
            return self._perhaps_moved(place, found)
        why = self._doubt(found, could)
        if why is None:
            self.changed += 1
            return None
        return _Verdict(exposure=Exposure.UNKNOWN, detail=why, read=_last(could).position)

    def _doubt(self, found: _Found, could: Mapping[Envelope | str, _Found]) -> str | None:
        """Return why a value cannot be said to have changed; None where it has."""
        if not self._has_new_key(found):
            self.without_key += 1
            return "its file may still have the data key that they could get, and no key at hand opens it to tell"
        if not any(_may_be_same(one, found) for one in could.values()):
            return None
        self.without_key += 1
        return "it was encrypted anew, which proves no change, and no key at hand opens both versions"

    def _has_new_key(self, found: _Found) -> bool:
        """Tell whether the data key of a version is none that they could get from earlier versions of the file."""
        path = self._versions[found.position].path
        theirs = self._theirs.get(path, [])
        key = self._lineages[found.position].key
        if key is not None and all(self._lineages[position].key is not None for position in theirs):
            return True  # and another one, or it would be among those that they could get
        first = next(
            position for position in self._lineages[found.position].members if self._versions[position].path == path
        )
        before = [position for position in theirs if position < first]
        if not before:
            return not theirs
        values = self._versions[before[-1]].contents.values.keys()
        return len(values & self._versions[first].contents.values.keys()) >= _MIN_COMMON

    def _perhaps_moved(self, place: Place, found: _Found) -> _Verdict | None:
        """Return the verdict on a value that they could never read under this name, but perhaps under another.

        Without a key that is told by the name of the key, and by its length, of what has gone from elsewhere.
        """
        for other in self._gone_by_key.get(place.key, ()):
            last = _last(self._gone[other])
            if _may_be_same(last, found):
                self.without_key += 1
                detail = f"it may be the value of {_shown(other)}, which is gone, and no key at hand opens both"
                return _Verdict(exposure=Exposure.UNKNOWN, detail=detail, read=last.position)
        return None

    def _told(
        self, verdict: _Verdict, place: Place, sealed: Sealed, path: str, hosts: Mapping[str, str]
    ) -> RevokedValue:
        target = hosts.get(place.host)
        can_rotate = verdict.exposure is not Exposure.REMOVED and is_scope_name(sealed.scope)
        step = None
        if target is not None and can_rotate and is_key_name(sealed.key):
            step = rotate_command(target, sealed.scope, sealed.key)
        commit = self._versions[verdict.read].commit
        return RevokedValue(
            exposure=verdict.exposure,
            path=path,
            host=place.host,
            target=target,
            scope=sealed.scope,
            key=sealed.key,
            read=ReadAt(commit=commit.name, at=_moment(commit.at), author=commit.author),
            detail=verdict.detail,
            step=step,
        )


def _last(could: Mapping[Envelope | str, _Found]) -> _Found:
    return tuple(could.values())[-1]


def _may_be_same(one: _Found, other: _Found) -> bool:
    """Tell whether two values may be the same, by what was opened of them, or else by their length."""
    if one.digest is not None and other.digest is not None:
        return one.digest == other.digest
    return one.sealed.may_equal(other.sealed)


def _shown(place: Place) -> str:
    return f"{place.host}/{place.scope}/{place.key}"


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
