"""What a change does to scope files as files: who can open them, whether they are old ones, or written anew."""

import base64
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from reconciler.policy import ScopeFile
from reconciler.policy.scope_files import read_scope_file
from reconciler.policy.sources import TARGETS_FILE, is_yaml
from reconciler.pysops import Metadata
from reconciler.pysops.sops_metadata import SELECTORS
from reconciler.report.reviewed import Difference, Kind, Rank
from reconciler.review.contents import Side, Value, values_of
from reconciler.review.rules import groups_shown


_SEALED: Final = re.compile(rb"iv:([A-Za-z0-9+/=]{8,200}),tag:([A-Za-z0-9+/=]{24}),")
"""Nonce and tag of an encrypted value, wherever it stands in a file."""

Sealed = tuple[bytes, bytes]
"""Nonce and tag of an encrypted value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What a file held at a commit before the base."""

    commit: str
    data: bytes = field(repr=False)


Past = Mapping[str, Sequence[Version]]
"""Path to what it held before the base, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePair:
    """A file at the head, and the one at the base that it was."""

    path: str
    """At the head."""

    now: ScopeFile
    then_path: str | None
    """At the base; None for a new file."""

    then: ScopeFile | None
    """None for a new file, and for one that could not be read."""

    rekeyed: bool
    """It has another data key than before, and none of its ciphertexts is left."""

    @property
    def is_changed(self) -> bool:
        """Tell whether anything of it differs."""
        return self.then is None or self.path != self.then_path or self.then.document.data != self.now.document.data


def pairs_of(base: Side, head: Side) -> Mapping[str, FilePair]:
    """Return the path of each file of the head to what it was before.

    A file that is gone, and most of whose keys stand in a new one, was moved.
    """
    moved = _moves(base, head)
    known = {*base.files, *(file.path for file in base.policy.unreadable)}
    pairs: dict[str, FilePair] = {}
    for path, now in head.files.items():
        old_path = path if path in known else moved.get(path)
        then = None if old_path is None else base.files.get(old_path)
        pairs[path] = FilePair(path=path, now=now, then_path=old_path, then=then, rekeyed=_is_rekeyed(then, now))
    return pairs


def _moves(base: Side, head: Side) -> dict[str, str]:
    """Return new path to old path of files that were moved."""
    there = {*head.files, *(file.path for file in head.policy.unreadable)}
    found: dict[str, Counter[str]] = {}
    sizes = Counter[str]()
    for spot, value in head.values.items():
        if value.path in base.files:
            continue
        sizes[value.path] += 1
        before = base.values.get(spot)
        if before is not None and before.path not in there:
            found.setdefault(value.path, Counter())[before.path] += 1
    moves: dict[str, str] = {}
    for path in sorted(found):
        for old_path, number in found[path].most_common():
            if number * 2 >= sizes[path] and old_path not in moves.values():
                moves[path] = old_path
                break
    return moves


def _is_rekeyed(then: ScopeFile | None, now: ScopeFile) -> bool:
    """Tell whether a file was written anew, from public keys alone for all that can be seen.

    As long as the data key, encrypted to each recipient, stood in the old file, too, its values were written by
    somebody who has it: changing the only value of a file is no reason to look up.
    """
    if then is None or now.metadata is None or then.metadata is None or then.document.data == now.document.data:
        return False
    values, others = _sealed_in(now), _sealed_in(then)
    return bool(values and others) and not values & others and not _wrapped(now.metadata) <= _wrapped(then.metadata)


def _sealed_in(file: ScopeFile) -> frozenset[Sealed]:
    return frozenset(value.sealed_by for value in values_of(file) if value.sealed_by is not None)


def _wrapped(metadata: Metadata) -> frozenset[str]:
    """Return the data key as it is encrypted to each recipient."""
    return frozenset(key.enc for key in metadata.wrapped_keys)


def file_differences(
    base: Side, head: Side, pairs: Mapping[str, FilePair], past: "PastSeals", differing: Collection[str]
) -> Iterator[Difference]:
    """Yield what differs between files as files.

    Args:
        base: one of the trees.
        head: the other one.
        pairs: see `pairs_of`.
        past: what the base had before.
        differing: paths of files that are not the same, to the byte.
    """
    for pair in pairs.values():
        if pair.is_changed:
            yield from _file(pair, past)
    for file in head.policy.unreadable:
        if file.path in differing:
            yield Difference(kind=Kind.FILE_UNREADABLE, rank=Rank.FIRST, path=file.path)
    kept = {pair.then_path for pair in pairs.values()} | {file.path for file in head.policy.unreadable}
    for path in base.files.keys() - kept:
        yield Difference(kind=Kind.FILE_REMOVED, rank=Rank.CHANGE, path=path)


def plain_in_history(branch: Past, files: Mapping[str, bytes]) -> Iterator[Difference]:
    """Tell of files that were not encrypted at a commit of the branch: nobody sees it in what is left of them.

    Args:
        branch: what files held there.
        files: path to bytes at the head, of which it is told elsewhere.
    """
    for path, versions in branch.items():
        for version in versions:
            if version.data == files.get(path) or not is_yaml(path) or path == TARGETS_FILE:
                continue
            file = read_scope_file(path, version.data)
            number = sum(value.envelope is None for value in values_of(file)) if isinstance(file, ScopeFile) else 0
            if number:
                yield Difference(
                    kind=Kind.PLAIN_IN_HISTORY, rank=Rank.FIRST, path=path, commit=version.commit, count=number
                )
                break


def _file(pair: FilePair, past: "PastSeals") -> Iterator[Difference]:
    path, now, then = pair.path, pair.now, pair.then
    if pair.then_path is None:
        yield Difference(kind=Kind.FILE_ADDED, rank=Rank.CHANGE, path=path)
        yield from _rolled_back(pair, past)
        return
    if path != pair.then_path:
        # Whoever has to review a folder may not be the one who has to review another.
        is_elsewhere = path.rpartition("/")[0] != pair.then_path.rpartition("/")[0]
        rank = Rank.FIRST if is_elsewhere else Rank.CHANGE
        yield Difference(kind=Kind.FILE_MOVED, rank=rank, path=path, before=pair.then_path, after=path)
    if then is None:
        return
    if _is_unsealed(then, now):
        yield Difference(
            kind=Kind.FILE_UNSEALED,
            rank=Rank.FIRST,
            path=path,
            line=None if now.metadata is None else now.metadata.mac_mark.line,
        )
    if pair.rekeyed:
        yield Difference(
            kind=Kind.FILE_REKEYED,
            rank=Rank.FIRST,
            path=path,
            line=None if now.metadata is None else now.metadata.mark.line,
            count=len(_sealed_in(now)),
        )
    yield from _rolled_back(pair, past)
    if now.metadata is not None and then.metadata is not None:
        yield from _metadata(pair, then.metadata, now.metadata)


def _is_unsealed(then: ScopeFile, now: ScopeFile) -> bool:
    """Tell whether what a file says differs and its MAC does not.

    The MAC covers all values in their order, plain ones too, and the time; and it has a random nonce. One that fits
    all the same, as where two secrets give way to an old one whose text is theirs, joined, is the work of somebody who
    cannot make a new one.
    """
    if then.metadata is None or now.metadata is None or then.metadata.mac != now.metadata.mac:
        return False
    return then.metadata.lastmodified != now.metadata.lastmodified or _sayings(then) != _sayings(now)


def _sayings(file: ScopeFile) -> tuple[object, ...]:
    values = tuple((one.host_key, one.scope, one.key, one.form, one.envelope) for one in values_of(file))
    return file.acls, file.prune, file.rotation, values


def _metadata(pair: FilePair, then: Metadata, now: Metadata) -> Iterator[Difference]:
    lines = {key.recipient: key.mark.line for key in now.wrapped_keys}
    for recipient in now.recipients:
        if recipient not in then.recipients:
            yield Difference(
                kind=Kind.RECIPIENT_ADDED,
                rank=Rank.FIRST,
                path=pair.path,
                line=lines[recipient],
                subject=recipient.shown,
                rekeyed=pair.rekeyed,
            )
    for recipient in then.recipients:
        if recipient not in now.recipients:
            yield Difference(
                kind=Kind.RECIPIENT_REMOVED,
                rank=Rank.FIRST,
                path=pair.path,
                line=now.mark.line,
                subject=recipient.shown,
                rekeyed=pair.rekeyed,
            )
    before, after = _settings(then), _settings(now)
    for name in before:
        if before[name] != after[name]:
            yield Difference(
                kind=Kind.FILE_SETTING_CHANGED,
                rank=Rank.FIRST,
                path=pair.path,
                line=now.mark.line,
                field=name,
                before=before[name],
                after=after[name],
                rekeyed=pair.rekeyed,
            )


def _settings(metadata: Metadata) -> dict[str, str | None]:
    selectors: dict[str, str | None] = {name: getattr(metadata, name) for name in SELECTORS}
    groups = [[key.recipient for key in group] for group in metadata.key_groups]
    return selectors | {
        "mac_only_encrypted": "true" if metadata.mac_only_encrypted else None,
        "key_groups": groups_shown(groups),
        "shamir_threshold": str(metadata.shamir_threshold or len(groups)) if len(groups) > 1 else None,
    }


def _rolled_back(pair: FilePair, past: "PastSeals") -> Iterator[Difference]:
    """Tell of a file that went back, by what it held before or by its own account."""
    data, then = pair.now.document.data, pair.then
    commit = past.commit_of_file(pair.path, pair.then_path, data)
    before = None if then is None or then.metadata is None else then.metadata.lastmodified
    after = None if pair.now.metadata is None else pair.now.metadata.lastmodified
    is_older = before is not None and after is not None and _is_before(after, before)
    if is_older or (commit is not None and (then is None or then.document.data != data)):
        yield Difference(
            kind=Kind.FILE_ROLLED_BACK, rank=Rank.FIRST, path=pair.path, before=before, after=after, commit=commit
        )


def _is_before(one: str, other: str) -> bool:
    """Compare two times; not those few that Go reads and Python does not, as sops writes none."""
    try:
        return datetime.fromisoformat(one) < datetime.fromisoformat(other)
    except ValueError:
        return False


class PastSeals:
    """Ciphertexts of the past, to be recognised when they come back.

    Args:
        past: what files held before the base.
    """

    def __init__(self, past: Past) -> None:
        self._past = past
        self._commits: dict[str, dict[tuple[bytes, bytes], str]] = {}
        """Path to nonce and tag, as they are written, to the newest commit that had them."""

    def commit_of_file(self, path: str, then_path: str | None, data: bytes) -> str | None:
        """Return the newest commit at which a file was, to the byte, as it is now; None for none."""
        versions = (*self._past.get(path, ()), *(self._past.get(then_path or path, ()) if then_path != path else ()))
        return next((version.commit for version in versions if version.data == data), None)

    def commit_of(self, value: Value, then_path: str | None) -> str | None:
        """Return the newest commit at which a file had the ciphertext of ``value``; None for none.

        Args:
            value: at the head.
            then_path: where its file was at the base.
        """
        if value.envelope is None:
            return None
        seal = (base64.b64encode(value.envelope.iv), base64.b64encode(value.envelope.tag))
        for path in dict.fromkeys((value.path, then_path)):
            commit = None if path is None else self._of_path(path).get(seal)
            if commit is not None:
                return commit
        return None

    def _of_path(self, path: str) -> dict[tuple[bytes, bytes], str]:
        if path not in self._commits:
            found: dict[tuple[bytes, bytes], str] = {}
            for version in self._past.get(path, ()):
                for match in _SEALED.finditer(version.data):
                    found.setdefault((match[1], match[2]), version.commit)
            self._commits[path] = found
        return self._commits[path]
