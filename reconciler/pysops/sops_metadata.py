"""The ``sops`` mapping of a file: who can open it, what is encrypted, how it is sealed. Needs no key.

As strict as sops in what it demands, and stricter where sops guesses: names are taken by their exact spelling, and one
that differs in case alone is refused rather than ignored, as sops would honour it.
"""

import re
from dataclasses import dataclass
from typing import Final

from reconciler.pysops.document import Document, Entry, Mapping, Node, Scalar
from reconciler.pysops.envelope import parse_envelope
from reconciler.pysops.errors import Mark, MetadataError
from reconciler.pysops.scalars import ScalarKind
from reconciler.pysops.timestamps import from_rfc3339
from reconciler.pysops.wrapped_keys import (
    KEY_KINDS,
    REPAIR,
    KeyGroup,
    Recipient,
    WrappedKey,
    is_null,
    list_items,
    read_key_group,
    required_text,
)


METADATA_KEY: Final = "sops"

_SELECTORS: Final = (
    "unencrypted_suffix",
    "encrypted_suffix",
    "unencrypted_regex",
    "encrypted_regex",
    "unencrypted_comment_regex",
    "encrypted_comment_regex",
)
_FIELDS: Final = frozenset(
    {
        *_SELECTORS,
        *KEY_KINDS,
        "key_groups",
        "shamir_threshold",
        "lastmodified",
        "mac",
        "version",
        "mac_only_encrypted",
    }
)

_VERSION: Final = re.compile(r"v?[0-9]+\.[0-9]+(?:\.[0-9]+)?(?:[-+][0-9A-Za-z.+-]+)?")

_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"", "0", "f", "F", "FALSE", "false", "False"})
"""Go's ``strconv.ParseBool``, and empty text, as mapstructure has it."""

_MAX_THRESHOLD: Final = 255
"""Parts of a secret are numbered by one byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What sops wrote about a file."""

    mark: Mark
    """Where ``sops`` stands."""

    lastmodified: str
    """RFC 3339 as Go prints it, with its fraction if any; part of what the MAC is bound to."""

    mac: str
    """An envelope, see `parse_envelope`."""

    mac_mark: Mark
    version: str
    """Of the sops that wrote the file."""

    key_groups: tuple[KeyGroup, ...]
    """At least one. With several, each holds a part of the data key; one without keys is never opened."""

    shamir_threshold: int
    """How many groups have to be opened when there are several; 0 when the file does not say."""

    unencrypted_suffix: str | None
    encrypted_suffix: str | None
    unencrypted_regex: str | None
    encrypted_regex: str | None
    unencrypted_comment_regex: str | None
    encrypted_comment_regex: str | None
    """Selectors: at most one of the six is set. Without any, what ends in `_unencrypted` is plain."""

    mac_only_encrypted: bool
    """Whether the MAC leaves out what is not encrypted."""

    @property
    def wrapped_keys(self) -> tuple[WrappedKey, ...]:
        """Those of all groups."""
        return tuple(key for group in self.key_groups for key in group)

    @property
    def recipients(self) -> tuple[Recipient, ...]:
        """Whom the file names, each once, in file order."""
        return tuple(dict.fromkeys(key.recipient for key in self.wrapped_keys))


def read_metadata(document: Document) -> Metadata:
    """Read the ``sops`` mapping.

    Raises:
        MetadataError: it is missing or malformed, or holds no MAC.
    """
    entry = next((entry for entry in document.root.entries if entry.key.text == METADATA_KEY), None)
    if entry is None:
        raise MetadataError(
            "the file is not encrypted: it has no sops metadata", advice="encrypt it with `sops encrypt -i FILE`"
        )
    mark = entry.key.mark
    if not isinstance(entry.value, Mapping):
        raise MetadataError("sops is not a mapping", mark=mark, advice=REPAIR)
    fields = _fields(entry.value)
    groups = _key_groups(fields, mark)
    selectors = _selectors(fields, mark)
    mac = required_text(fields, "mac", mark)
    return Metadata(
        mark=mark,
        lastmodified=_lastmodified(fields, mark),
        mac=_mac(mac),
        mac_mark=mac.mark,
        version=_version(fields, mark),
        key_groups=groups,
        shamir_threshold=_shamir_threshold(fields.get("shamir_threshold"), len(groups)),
        mac_only_encrypted=_mac_only_encrypted(fields.get("mac_only_encrypted")),
        unencrypted_suffix=selectors.get("unencrypted_suffix"),
        encrypted_suffix=selectors.get("encrypted_suffix"),
        unencrypted_regex=selectors.get("unencrypted_regex"),
        encrypted_regex=selectors.get("encrypted_regex"),
        unencrypted_comment_regex=selectors.get("unencrypted_comment_regex"),
        encrypted_comment_regex=selectors.get("encrypted_comment_regex"),
    )


def _fields(node: Mapping) -> dict[str, Entry]:
    fields: dict[str, Entry] = {}
    for entry in node.entries:
        name = entry.key.text
        if name in _FIELDS:
            fields[name] = entry
        elif name.lower() in _FIELDS:
            raise MetadataError(
                "a field of sops in another spelling", mark=entry.key.mark, expected="lower case", advice=REPAIR
            )
    return fields


def _key_groups(fields: dict[str, Entry], mark: Mark) -> tuple[KeyGroup, ...]:
    # As sops has it: any list at the top makes one group, and key_groups is not looked at.
    top = read_key_group(fields, "sops")
    if top:
        return (top,)
    groups = tuple(_key_group(item) for item in list_items(fields.get("key_groups"), "sops.key_groups"))
    if not groups:
        raise MetadataError("no key source: nobody could open the file", mark=mark, advice=REPAIR)
    return groups


def _key_group(item: Node) -> KeyGroup:
    if not isinstance(item, Mapping):
        raise MetadataError("an item of sops.key_groups is not a mapping", mark=item.mark, advice=REPAIR)
    return read_key_group({entry.key.text: entry for entry in item.entries}, "sops.key_groups")


def _shamir_threshold(entry: Entry | None, groups: int) -> int:
    if entry is None or is_null(entry.value):
        return 0
    value = entry.value
    if isinstance(value, Scalar) and value.kind is ScalarKind.INT and re.fullmatch("[0-9]{1,3}", value.text):
        threshold = int(value.text)
        if threshold <= min(_MAX_THRESHOLD, max(groups, 1)):
            return threshold
    raise MetadataError("shamir_threshold is not a number of key groups", mark=value.mark, advice=REPAIR)


def _mac(scalar: Scalar) -> str:
    envelope = parse_envelope(scalar.text)
    if envelope is None or envelope.kind != "str":
        raise MetadataError("the MAC is not an encrypted text", mark=scalar.mark, advice=REPAIR)
    return scalar.text


def _lastmodified(fields: dict[str, Entry], mark: Mark) -> str:
    scalar = required_text(fields, "lastmodified", mark)
    canonical = from_rfc3339(scalar.text)
    if canonical is None:
        raise MetadataError(
            "lastmodified is not a timestamp", mark=scalar.mark, expected="RFC 3339, in quotes", advice=REPAIR
        )
    return canonical


def _version(fields: dict[str, Entry], mark: Mark) -> str:
    scalar = required_text(fields, "version", mark)
    if _VERSION.fullmatch(scalar.text) is None:
        raise MetadataError("version is not a version", mark=scalar.mark, expected="such as 3.13.3", advice=REPAIR)
    return scalar.text


def _selectors(fields: dict[str, Entry], mark: Mark) -> dict[str, str]:
    selectors = {}
    for name in _SELECTORS:
        entry = fields.get(name)
        if entry is None or is_null(entry.value):
            continue
        if not isinstance(entry.value, Scalar) or entry.value.kind is not ScalarKind.STR:
            raise MetadataError(f"{name} is not text", mark=entry.value.mark, advice=REPAIR)
        if entry.value.text:
            selectors[name] = entry.value.text
    if len(selectors) > 1:
        raise MetadataError(
            f"more than one selector: {', '.join(selectors)}", mark=mark, expected="at most one", advice=REPAIR
        )
    return selectors


def _mac_only_encrypted(entry: Entry | None) -> bool:
    if entry is None or is_null(entry.value):
        return False
    value = entry.value
    if isinstance(value, Scalar) and value.kind in {ScalarKind.BOOL, ScalarKind.STR, ScalarKind.INT}:
        if value.text in _TRUE:
            return True
        if value.text in _FALSE:
            return False
    raise MetadataError("mac_only_encrypted is neither true nor false", mark=value.mark, advice=REPAIR)
