"""What the past says about the present: files that went back, or were written anew, and values that got old. Pure.

Nothing here keeps a run from its work. MAC and ancestry of commits do not notice a file of last year that is committed
once more, nor one that somebody wrote anew from public keys alone; nor does a review see it in ciphertext.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reconciler.ledger.records import Entry
from reconciler.model import FoldedName, KeyName, fold
from reconciler.plan import Finding, FindingKind
from reconciler.policy import ScopeFile, ScopePolicy
from reconciler.policy.scope_files import RotationRule, read_scope_file
from reconciler.pysops import Envelope, Metadata, Scalar, Sequence


_DAY_MS: Final = 24 * 60 * 60 * 1000


def read_files(before: Mapping[str, bytes]) -> Mapping[str, ScopeFile]:
    """Return those of the files of an earlier commit that are documents, by path.

    Args:
        before: Path to bytes; of files that have not changed there is nothing to tell (`reconciler.git.read_before`).
    """
    read = (read_scope_file(path, data) for path, data in before.items())
    return {file.path: file for file in read if isinstance(file, ScopeFile)}


def file_findings(now: Iterable[ScopePolicy], then: Mapping[str, ScopeFile]) -> tuple[Finding, ...]:
    """Return what is odd about files, compared with the commit that was applied last; one for each scope they feed.

    ``rolled-back-file``: by its own account it was written before what stood there. ``rekeyed-file``: no value of it
    stood there, nor did the key that they are encrypted with: whoever wrote it need not have been able to open the old
    one.

    Args:
        now: What the run is about.
        then: Path to file, of the commit that was applied last; see `read_files`. A file that is not there says
            nothing, and nor does one without usable metadata.
    """
    told: dict[str, tuple[tuple[FindingKind, str], ...]] = {}
    found: list[Finding] = []
    for policy in now:
        for file in policy.files:
            if file.path not in told:
                told[file.path] = tuple(_remarks(file, then.get(file.path)))
            found.extend(Finding(kind=kind, scope=policy.scope, detail=text) for kind, text in told[file.path])
    return tuple(found)


def _remarks(now: ScopeFile, then: ScopeFile | None) -> Iterator[tuple[FindingKind, str]]:
    if then is None or now.document.data == then.document.data or now.metadata is None or then.metadata is None:
        return
    written, before = now.metadata.lastmodified, then.metadata.lastmodified
    if _is_before(written, before):
        what = f"{now.path} was written {written}, and what stood there at the commit applied last {before}"
        yield FindingKind.ROLLED_BACK_FILE, what
    values, others = _ciphertexts(now), _ciphertexts(then)
    if values and others and not values & others and not _wrapped(now.metadata) <= _wrapped(then.metadata):
        what = f"{now.path} has another data key than at the commit applied last, and no ciphertext that stood there"
        yield FindingKind.REKEYED_FILE, what


def _is_before(one: str, other: str) -> bool:
    """Compare two times; not those few that Go reads and Python does not, as sops writes none."""
    try:
        return datetime.fromisoformat(one) < datetime.fromisoformat(other)
    except ValueError:
        return False


def _ciphertexts(file: ScopeFile) -> frozenset[Envelope]:
    """Return all encrypted values of a file. Each has a random nonce, so that two of them are equal only as copies."""
    pending = [entry.value for entry in file.document.root.entries if entry.key.text == "secrets"]
    found = set()
    while pending:
        node = pending.pop()
        if isinstance(node, Scalar):
            if node.envelope is not None:
                found.add(node.envelope)
        else:
            pending.extend(node.items if isinstance(node, Sequence) else (entry.value for entry in node.entries))
    return frozenset(found)


def _wrapped(metadata: Metadata) -> frozenset[str]:
    """Return the data key as it is encrypted to each recipient.

    Where all of these stood in the old file, too, the data key is the old one, and the file does not open unless its
    values were written by somebody who has it: changing the only value of a file is no reason to look up.
    """
    return frozenset(key.enc for key in metadata.wrapped_keys)


def rotation_findings(policy: ScopePolicy, entry: Entry, now_ms: int) -> tuple[Finding, ...]:
    """Return which values are older than the rotation rules of their scope allow. The first rule that fits counts.

    Args:
        policy: The scope, as git has it.
        entry: What the ledger knows of it: keys that it does not know have no age.
        now_ms: Milliseconds since the epoch.
    """
    limits = age_limits(policy.rotation)
    found: list[Finding] = []
    for key in policy.keys if policy.rotation else ():
        days, record = limits.days_of(key), entry.record(key)
        if days is None or record is None:
            continue
        age_ms = now_ms - record.changed.at_ms
        if age_ms > days * _DAY_MS:
            # Rounded up: 90 days and an hour, of 90, is not "changed 90 days ago".
            detail = f"changed {math.ceil(age_ms / _DAY_MS)} days ago, at most {days}"
            found.append(Finding(kind=FindingKind.ROTATION_DUE, scope=policy.scope, key=key, detail=detail))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeLimits:
    """How old the values of one scope may get."""

    named: Mapping[FoldedName, int]
    """Key to days."""

    others: int | None
    """Days for all other keys; None where nothing is said of them."""

    def days_of(self, key: KeyName) -> int | None:
        """Return how many days old the value of ``key`` may get; None where no rule says."""
        return self.named.get(fold(key), self.others)


def age_limits(rules: Iterable[RotationRule]) -> AgeLimits:
    """Return what rotation rules come to: the first that fits a key counts."""
    named: dict[FoldedName, int] = {}
    for rule in rules:
        if rule.key is None:
            return AgeLimits(named=named, others=rule.days)
        named.setdefault(fold(rule.key), rule.days)
    return AgeLimits(named=named, others=None)
