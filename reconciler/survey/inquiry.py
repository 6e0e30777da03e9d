"""Which values have to be read, and what is known of the others. Pure."""

from collections.abc import Mapping

from reconciler.ledger.ownership import is_ours
from reconciler.ledger.records import Entry
from reconciler.model import FoldedName, KeyName, Prune
from reconciler.survey.facts import Absent, Evidence, Fingerprint, Want
from reconciler.workspace import SecretInfo


def questions(
    want: Want, listed: Mapping[FoldedName, SecretInfo], entry: Entry | None, *, verify_values: bool = False
) -> tuple[KeyName, ...]:
    """Return the keys whose values must be read to decide, sorted.

    Without an entry that vouches for the scope those are all that are wanted and exist. With one:

    * of the wanted keys those that have been written to since the ledger saw their value, or that it never saw;
    * of the others those that we put, or were about to put, and that have been written to since: by their value alone
      can it be told whether they are still ours to delete. Not where git wants nothing to be deleted.

    Args:
        want: What git names of the scope.
        listed: Every key that is there.
        entry: What the ledger says, if it vouches for the scope.
        verify_values: Ask for all wanted values, whatever the ledger says.
    """
    asked: list[KeyName] = []
    for name, secret in sorted(listed.items()):
        if name in want.keys:
            if verify_values or fingerprint_of(secret, entry) is None:
                asked.append(secret.key)
        elif entry is not None and want.prune is not Prune.NONE and is_ours(entry, secret, None) is None:
            asked.append(secret.key)
    return tuple(asked)


def fingerprint_of(secret: SecretInfo, entry: Entry | None) -> Fingerprint | None:
    """Return what the ledger says of the value that is there now; None if it does not know it.

    Args:
        secret: A key as it is listed.
        entry: What the ledger says, if it vouches for the scope.
    """
    record = None if entry is None else entry.record(secret.key)
    if record is None or record.seen_ms != secret.updated_ms:
        return None
    return Fingerprint(tag=record.value)


def unasked(want: Want, listed: Mapping[FoldedName, SecretInfo], entry: Entry | None) -> dict[FoldedName, Evidence]:
    """Return what is known of the wanted keys without reading a value; nothing of those that must be read."""
    known: dict[FoldedName, Evidence] = {}
    for name in want.keys:
        evidence = fingerprint_of(listed[name], entry) if name in listed else Absent()
        if evidence is not None:
            known[name] = evidence
    return known
