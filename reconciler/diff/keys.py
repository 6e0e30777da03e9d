"""Decides about values and keys. Pure."""

import hmac
from collections.abc import Container
from dataclasses import dataclass
from typing import assert_never

from reconciler.desired import DesiredKey, DesiredScope
from reconciler.ledger.ownership import is_ours
from reconciler.ledger.records import Entry, Tag
from reconciler.model import MAX_KEYS_PER_SCOPE, FoldedName, KeyName, Prune, fold
from reconciler.plan import DeleteReason, DeleteSecret, Finding, FindingKind, Plan, PutReason, PutSecret
from reconciler.survey import Absent, Evidence, Fingerprint, Known, ScopeState, Unreadable
from reconciler.workspace import SecretInfo


def diff_new_keys(desired: DesiredScope, entry: Entry | None) -> Plan:
    """Return the puts into a scope that does not exist.

    Args:
        desired: What git says.
        entry: What the ledger remembers of a scope of that name: it tells what was lost from what never was.
    """
    return Plan(
        changes=tuple(
            PutSecret(scope=desired.scope, key=key.name, reason=_reason_to_create(key, entry), creates=True)
            for key in desired.keys.values()
        )
    )


def diff_keys(desired: DesiredScope, state: ScopeState, entry: Entry | None) -> Plan:
    """Return what must change about the keys of a scope that exists.

    Args:
        desired: What git says.
        state: What is there, with evidence on every desired key.
        entry: What the ledger says; None where there is none.
    """
    puts: list[PutSecret] = []
    findings: list[Finding] = []
    for name, key in desired.keys.items():
        evidence = state.evidence[name]
        reason = _reason_to_put(key, evidence, state, entry)
        if reason is not None:
            creates = isinstance(evidence, Absent)
            puts.append(PutSecret(scope=desired.scope, key=key.name, reason=reason, creates=creates))
        if isinstance(evidence, Unreadable):
            findings.append(_unverified(desired, key, evidence, reason))
    extras = _extras(desired.keys, state, entry)
    if desired.prune is Prune.OWNED:
        findings.extend(_unmanaged(desired, extra, entry) for extra in extras if not extra.is_ours)
    gone = tuple(extra for extra in extras if _goes(extra, desired.prune))
    # A put of a new key into a full scope fails (RESOURCE_LIMIT_EXCEEDED, as
    # https://docs.databricks.com/api/workspace/secrets/putsecret says), and a wanted key must not be absent for a
    # moment: so as many of the unwanted ones as the new ones need room go first, and the rest last.
    vanished = sum(isinstance(state.evidence.get(name), Absent) for name in state.listed)
    room = len(state.listed) - vanished + sum(put.creates for put in puts) - MAX_KEYS_PER_SCOPE
    deletes = (
        DeleteSecret(
            scope=desired.scope,
            key=extra.secret.key,
            reason=DeleteReason.REMOVED if extra.is_ours else DeleteReason.UNMANAGED,
            makes_room=index < room,
        )
        for index, extra in enumerate(gone)
    )
    return Plan(changes=(*puts, *deletes), findings=tuple(findings), unchanged=len(desired.keys) - len(puts))


def owned_keys(state: ScopeState, entry: Entry | None, desired: DesiredScope) -> int:
    """Return of how many of the keys that are there git disposes: those that it could delete if it named none of them.

    Deletions are measured against this. Under ``prune: all`` these are all keys, under ``none`` none. Under ``owned``
    they are those that git does not name and that are ours, and those that it names and that the ledger records;
    whatever somebody else wrote there meanwhile, git's value will be in them.

    Args:
        state: What is there.
        entry: What the ledger says; None where there is none.
        desired: What git says.
    """
    match desired.prune:
        case Prune.ALL:
            return len(state.listed)
        case Prune.OWNED:
            if entry is None:
                return 0
            named = sum(entry.record(name) is not None for name in desired.keys.keys() & state.listed.keys())
            return named + sum(extra.is_ours for extra in _extras(desired.keys, state, entry))
        case Prune.NONE:
            return 0
        case _:
            assert_never(desired.prune)


def foreign_keys(state: ScopeState, entry: Entry) -> tuple[KeyName, ...]:
    """Return the keys that are there and not ours, sorted, in a scope that was surveyed as if git named none."""
    return tuple(extra.secret.key for extra in _extras((), state, entry) if not extra.is_ours)


def _reason_to_put(key: DesiredKey, evidence: Evidence, state: ScopeState, entry: Entry | None) -> PutReason | None:
    """Return why a value must be written, or None where it is there already."""
    match evidence:
        case Known(value=value):
            if value == key.value:
                return None
            return PutReason.DRIFTED if _is_recorded(key, entry) else PutReason.CHANGED
        case Fingerprint(tag=tag):
            return None if _fits(key, tag, entry) else PutReason.CHANGED
        case Unreadable():
            record = None if entry is None else entry.record(key.name)
            if record is None or record.seen_ms != state.listed[fold(key.name)].updated_ms:
                return PutReason.UNVERIFIABLE
            return None if _fits(key, record.value, entry) else PutReason.CHANGED
        case Absent():
            return _reason_to_create(key, entry)
        case _:
            assert_never(evidence)


def _reason_to_create(key: DesiredKey, entry: Entry | None) -> PutReason:
    if entry is None or entry.record(key.name) is None:
        return PutReason.NEW
    return PutReason.DRIFTED if _is_recorded(key, entry) else PutReason.CHANGED


def _is_recorded(key: DesiredKey, entry: Entry | None) -> bool:
    """Tell whether the ledger says that git's value was there: then git has not changed, and somebody else has."""
    record = None if entry is None else entry.record(key.name)
    return record is not None and _fits(key, record.value, entry)


def _fits(key: DesiredKey, tag: Tag, entry: Entry | None) -> bool:
    return entry is not None and hmac.compare_digest(entry.value_tag(key.name, key.value), tag)


def _unverified(desired: DesiredScope, key: DesiredKey, evidence: Unreadable, reason: PutReason | None) -> Finding:
    match reason:
        case PutReason.UNVERIFIABLE:
            detail = f"put to be sure, as the value there cannot be read: {evidence.why}"
        case None:
            detail = f"left as it is, as nobody has written to it since git did; it cannot be read: {evidence.why}"
        case _:
            detail = f"put as git has another value than before; the one there cannot be read: {evidence.why}"
    return Finding(kind=FindingKind.UNVERIFIABLE_VALUE, scope=desired.scope, key=key.name, detail=detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extra:
    """A key that is there and that git does not name."""

    secret: SecretInfo
    evidence: Evidence | None
    """None where its value did not have to be read."""

    is_ours: bool


def _extras(named: Container[FoldedName], state: ScopeState, entry: Entry | None) -> tuple[_Extra, ...]:
    """Return the keys that are there and not among ``named``, sorted, without those that vanished meanwhile."""
    extras: list[_Extra] = []
    for name, secret in sorted(state.listed.items()):
        evidence = state.evidence.get(name)
        if name not in named and not isinstance(evidence, Absent):
            value = evidence.value if isinstance(evidence, Known) else None
            ours = entry is not None and is_ours(entry, secret, value) is True
            extras.append(_Extra(secret=secret, evidence=evidence, is_ours=ours))
    return tuple(extras)


def _goes(extra: _Extra, prune: Prune) -> bool:
    match prune:
        case Prune.ALL:
            return True
        case Prune.OWNED:
            return extra.is_ours
        case Prune.NONE:
            return False
        case _:
            assert_never(prune)


def _unmanaged(desired: DesiredScope, extra: _Extra, entry: Entry | None) -> Finding:
    key = extra.secret.key
    if entry is None:
        detail = "not in git; left alone, as nothing shows that git put it there"
    elif entry.record(key) is None:
        detail = "not in git; left alone, as somebody else put it there"
    elif isinstance(extra.evidence, Unreadable):
        detail = (
            "no longer in git; left alone, as it was written to since git put it there, and its value cannot be read "
            f"to tell by whom: {extra.evidence.why}"
        )
    else:
        detail = "no longer in git; left alone, as somebody else has written to it since git put it there"
    return Finding(kind=FindingKind.UNMANAGED_KEY, scope=desired.scope, key=key, detail=detail)
