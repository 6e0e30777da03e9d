"""The ``sops`` mapping of a file: who can open it, what is encrypted, how it is sealed. Needs no key.

As strict as sops in what it demands, and as weak in the types that it takes, see `weak_types`. Stricter where a field
stands in two spellings, where the MAC could not be one, and where more key groups are needed than there are.
"""

import re
from dataclasses import dataclass
from typing import Final

from reconciler.pysops.document import Document, Mapping, Node
from reconciler.pysops.envelope import Envelope, parse_envelope
from reconciler.pysops.errors import Mark, MetadataError
from reconciler.pysops.timestamps import from_parsed_rfc3339
from reconciler.pysops.weak_types import REPAIR, bool_of, fields_of, int_of, mappings_of, text_of
from reconciler.pysops.wrapped_keys import KEY_KINDS, KeyGroup, Recipient, WrappedKey, read_key_group


METADATA_KEY: Final = "sops"

SELECTORS: Final = (
    "unencrypted_suffix",
    "encrypted_suffix",
    "unencrypted_regex",
    "encrypted_regex",
    "unencrypted_comment_regex",
    "encrypted_comment_regex",
)
"""Fields that say which values are encrypted, at most one of them; the same in ``.sops.yaml``."""

METADATA_FIELDS: Final = frozenset(
    {
        *SELECTORS,
        *KEY_KINDS,
        "key_groups",
        "shamir_threshold",
        "lastmodified",
        "mac",
        "version",
        "mac_only_encrypted",
    }
)
"""Every field that sops writes, up to 3.13 (stores/stores.go)."""

_NUMBER: Final = "(?:0|[1-9][0-9]{0,19})"
_WORDS: Final = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*+"
_VERSION: Final = re.compile(
    rf"v?(?P<release>{_NUMBER}\.{_NUMBER}\.{_NUMBER})(?:-(?P<before>{_WORDS}))?(?:\+{_WORDS})?"
)
"""https://semver.org, with a ``v`` in front or not, as ``AIsNewerThanB`` of version/version.go takes it."""

_FIRST_VERSIONS: Final = "1."
"""What begins so is taken for an old version unread."""

_CONTEXT_REPAIRED: Final = (3, 3, 0, 1)
"""``KMS_ENC_CTX_BUG_FIXED_VERSION`` of cmd/sops/common/common.go."""

_MAX_UINT64: Final = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What sops wrote about a file."""

    mark: Mark
    """Where ``sops`` stands."""

    lastmodified: str
    """RFC 3339 as Go prints it, with its fraction if any; part of what the MAC is bound to."""

    mac: Envelope
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

    selector_mark: Mark
    """Where the selector stands; `mark` when there is none."""

    mac_only_encrypted: bool
    """Whether the MAC leaves out what is not encrypted."""

    @property
    def selects_by_comment(self) -> bool:
        """Whether comments decide what is encrypted; they are not read here, but by the sops program alone."""
        return self.encrypted_comment_regex is not None or self.unencrypted_comment_regex is not None

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
    fields = fields_of(entry.value, METADATA_FIELDS, METADATA_KEY)
    groups = _key_groups(fields, mark)
    mac, mac_mark = _mac(fields, mark)
    selectors = _selectors(fields, mark)
    return Metadata(
        mark=mark,
        lastmodified=_lastmodified(fields, mark),
        mac=mac,
        mac_mark=mac_mark,
        version=_version(fields, mark, groups),
        key_groups=groups,
        shamir_threshold=_shamir_threshold(fields.get("shamir_threshold"), len(groups)),
        **{name: selectors.get(name) for name in SELECTORS},
        selector_mark=next((fields[name].mark for name in selectors), mark),
        mac_only_encrypted=bool_of(fields.get("mac_only_encrypted"), "mac_only_encrypted"),
    )


def _key_groups(fields: dict[str, Node], mark: Mark) -> tuple[KeyGroup, ...]:
    # As sops has it: any list at the top makes one group, and key_groups is only looked at for the types it holds.
    top = read_key_group(fields, METADATA_KEY)
    name = "sops.key_groups"
    groups = tuple(
        read_key_group(fields_of(item, KEY_KINDS, f"an item of {name}"), name, used=not top)
        for item in mappings_of(fields.get("key_groups"), name)
    )
    if top:
        return (top,)
    if not groups:
        raise MetadataError("no key source: nobody could open the file", mark=mark, advice=REPAIR)
    return groups


def _shamir_threshold(node: Node | None, groups: int) -> int:
    threshold = int_of(node, "shamir_threshold")
    if node is not None and 1 < groups < threshold:
        raise MetadataError(
            "shamir_threshold is above the number of key groups: nobody could open the file",
            mark=node.mark,
            expected=f"at most {groups}",
            advice=REPAIR,
        )
    return max(threshold, 0)


def _required(fields: dict[str, Node], name: str, mark: Mark) -> tuple[str, Mark]:
    node = fields.get(name)
    text = text_of(node, name)
    if node is None or not text:
        raise MetadataError(f"sops has no {name}", mark=mark if node is None else node.mark, advice=REPAIR)
    return text, node.mark


def _mac(fields: dict[str, Node], mark: Mark) -> tuple[Envelope, Mark]:
    text, place = _required(fields, "mac", mark)
    envelope = parse_envelope(text)
    if envelope is None or envelope.kind != "str":
        raise MetadataError("the MAC is not an encrypted text", mark=place, advice=REPAIR)
    return envelope, place


def _lastmodified(fields: dict[str, Node], mark: Mark) -> str:
    text, place = _required(fields, "lastmodified", mark)
    canonical = from_parsed_rfc3339(text)
    if canonical is None:
        raise MetadataError(
            "lastmodified is not a timestamp", mark=place, expected="RFC 3339, in quotes", advice=REPAIR
        )
    return canonical


def _version(fields: dict[str, Node], mark: Mark, groups: tuple[KeyGroup, ...]) -> str:
    text, place = _required(fields, "version", mark)
    numbers = () if text.startswith(_FIRST_VERSIONS) else _version_order(text)
    if numbers is None:
        raise MetadataError(
            "version is not a version", mark=place, expected="such as 3.13.3, in quotes or not", advice=REPAIR
        )
    if numbers < _CONTEXT_REPAIRED and any(key.mixed_context for group in groups for key in group):
        # sops would ask KMS in every way that the old version might have done.
        raise MetadataError(
            "AWS KMS with an encryption context of several values, written by a sops older than 3.3.0",
            mark=place,
            advice="decrypt the file with sops, and encrypt it again",
        )
    return text


def _version_order(text: str) -> tuple[int, ...] | None:
    """Return major, minor and patch number, and 0 for what comes before a release, else 1; None for no version."""
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    before = match["before"]
    counted = [part for part in (before or "").split(".") if part.isdigit()]
    if not all(re.fullmatch(_NUMBER, part) for part in counted):
        return None
    release = tuple(int(number) for number in match["release"].split("."))
    return None if max(*release, *map(int, counted)) > _MAX_UINT64 else (*release, int(before is None))


def _selectors(fields: dict[str, Node], mark: Mark) -> dict[str, str]:
    texts = {name: text_of(fields.get(name), name) for name in SELECTORS}
    selectors = {name: text for name, text in texts.items() if text}
    if len(selectors) > 1:
        raise MetadataError(
            f"more than one selector: {', '.join(selectors)}", mark=mark, expected="at most one", advice=REPAIR
        )
    return selectors
