"""What was made is read again, by the same strict rules as any file, before anybody gets to see it."""

from collections import Counter
from collections.abc import Iterable

from reconciler.pysops.crypt import values_of
from reconciler.pysops.document import parse
from reconciler.pysops.errors import DecryptionError, SopsError
from reconciler.pysops.selectors import selector_of
from reconciler.pysops.sops_metadata import SELECTORS, Metadata, read_metadata
from reconciler.pysops.wrapped_keys import Recipient
from reconciler.pysops.writing.sealing import Sealer


Groups = Iterable[frozenset[Recipient]]
"""Recipients by key group."""


def verify(made: bytes, sealer: Sealer, values: dict[str, object], groups: Groups, selectors: dict[str, str]) -> None:
    """Make sure that a file is what was meant.

    Args:
        made: the file.
        sealer: opens it.
        values: what it should hold, in order.
        groups: for whom it should be encrypted.
        selectors: what it should say about which values are encrypted.

    Raises:
        DecryptionError: it is not: a defect here.
    """
    try:
        document = parse(made)
        metadata = read_metadata(document)
        found = values_of(document, metadata, selector_of(metadata), sealer.cipher)
    except SopsError as error:
        raise _not_as_meant(f"it cannot be read again: {error.what}") from None
    if not is_same(found, values):
        raise _not_as_meant("it does not hold the values that it should")
    if Counter(groups_of(metadata)) != Counter(groups):
        raise _not_as_meant("it is encrypted to others than it should be")
    if selectors_of(metadata) != selectors:
        raise _not_as_meant("it has another selector than it should have")


def groups_of(metadata: Metadata) -> Groups:
    """Return for whom a file is encrypted."""
    return tuple(frozenset(key.recipient for key in group) for group in metadata.key_groups)


def selectors_of(metadata: Metadata) -> dict[str, str]:
    """Return the selectors that a file has."""
    found = {name: getattr(metadata, name) for name in SELECTORS}
    return {name: text for name, text in found.items() if text is not None}


def _not_as_meant(why: str) -> DecryptionError:
    return DecryptionError(
        f"what was made of the file is not what was meant: {why}",
        advice="nothing was written; this is a defect of the program: please report it, and edit the file with sops",
    )


def is_same(one: object, other: object) -> bool:
    """Tell whether two values are equal, in kind and in the order of keys as well."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return repr(one) == repr(other) if isinstance(one, float) else one == other
