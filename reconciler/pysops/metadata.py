"""The ``sops`` mapping of a file: who can open it, what is encrypted, how it is sealed. Needs no key.

As strict as sops in what it demands, and stricter where sops guesses: names are taken by their exact spelling, and one
that differs in case alone is refused rather than ignored, as sops would honour it.
"""

import re
from dataclasses import dataclass
from typing import Final

from reconciler.pysops.document import Document, Entry, Mapping, Node, Scalar, Sequence
from reconciler.pysops.envelope import parse_envelope
from reconciler.pysops.errors import Mark, MetadataError
from reconciler.pysops.scalars import ScalarKind
from reconciler.pysops.timestamps import from_rfc3339


METADATA_KEY: Final = "sops"

_SELECTORS: Final = (
    "unencrypted_suffix",
    "encrypted_suffix",
    "unencrypted_regex",
    "encrypted_regex",
    "unencrypted_comment_regex",
    "encrypted_comment_regex",
)
_OTHER_SOURCES: Final = ("kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", "pgp")
_FIELDS: Final = frozenset(
    {
        *_SELECTORS,
        *_OTHER_SOURCES,
        "age",
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

_REPAIR: Final = "restore the file from git, or encrypt it again with sops"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeStanza:
    """The data key, encrypted to one age recipient."""

    recipient: str
    """As the file says; nothing proves that ``enc`` is encrypted to it."""

    enc: str
    """An armored age file."""

    mark: Mark


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

    age: tuple[AgeStanza, ...]
    """In file order; a recipient may stand there twice."""

    other_sources: tuple[str, ...]
    """Names of the further key sources with at least one entry: ``kms``, ``pgp`` and so on."""

    unencrypted_suffix: str | None
    encrypted_suffix: str | None
    unencrypted_regex: str | None
    encrypted_regex: str | None
    unencrypted_comment_regex: str | None
    encrypted_comment_regex: str | None
    """Selectors: at most one of the six is set. Without any, what ends in `_unencrypted` is plain."""

    mac_only_encrypted: bool
    """Whether the MAC leaves out what is not encrypted."""


def read_metadata(document: Document) -> Metadata:
    """Read the ``sops`` mapping.

    Raises:
        MetadataError: it is missing or malformed, holds no MAC, or asks for what is not supported (key groups).
    """
    entry = next((entry for entry in document.root.entries if entry.key.text == METADATA_KEY), None)
    if entry is None:
        raise MetadataError(
            "the file is not encrypted: it has no sops metadata", advice="encrypt it with `sops encrypt -i FILE`"
        )
    mark = entry.key.mark
    if not isinstance(entry.value, Mapping):
        raise MetadataError("sops is not a mapping", mark=mark, advice=_REPAIR)
    fields = _fields(entry.value)
    _check_key_groups(fields)
    age = _age(fields.get("age"))
    others = tuple(name for name in _OTHER_SOURCES if _list(fields.get(name), name))
    if not age and not others:
        raise MetadataError("no key source: nobody could open the file", mark=mark, advice=_REPAIR)
    selectors = _selectors(fields, mark)
    mac = _text(fields, "mac", mark)
    return Metadata(
        mark=mark,
        lastmodified=_lastmodified(fields, mark),
        mac=_mac(mac),
        mac_mark=mac.mark,
        version=_version(fields, mark),
        age=age,
        other_sources=others,
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
                "a field of sops in another spelling", mark=entry.key.mark, expected="lower case", advice=_REPAIR
            )
    return fields


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.kind is ScalarKind.NULL


def _list(entry: Entry | None, name: str) -> tuple[Node, ...]:
    if entry is None or _is_null(entry.value):
        return ()
    if not isinstance(entry.value, Sequence):
        raise MetadataError(f"sops.{name} is not a list", mark=entry.value.mark, advice=_REPAIR)
    return entry.value.items


def _check_key_groups(fields: dict[str, Entry]) -> None:
    groups = fields.get("key_groups")
    if groups is not None and _list(groups, "key_groups"):
        raise MetadataError(
            "key groups are not supported yet",
            mark=groups.key.mark,
            expected="the recipients in sops.age",
            advice="encrypt the file without key_groups and shamir_threshold",
        )
    threshold = fields.get("shamir_threshold")
    if threshold is None or _is_null(threshold.value):
        return
    if not (isinstance(threshold.value, Scalar) and threshold.value.text in {"0", "1"}):
        raise MetadataError("a Shamir threshold is not supported yet", mark=threshold.key.mark, expected="0 or 1")


def _age(entry: Entry | None) -> tuple[AgeStanza, ...]:
    stanzas = []
    for item in _list(entry, "age"):
        if not isinstance(item, Mapping):
            raise MetadataError("an item of sops.age is not a mapping", mark=item.mark, advice=_REPAIR)
        fields = {field.key.text: field for field in item.entries}
        stanzas.append(
            AgeStanza(
                recipient=_text(fields, "recipient", item.mark, parent="an item of sops.age").text,
                enc=_text(fields, "enc", item.mark, parent="an item of sops.age").text,
                mark=item.mark,
            )
        )
    return tuple(stanzas)


def _text(fields: dict[str, Entry], name: str, mark: Mark, *, parent: str = "sops") -> Scalar:
    entry = fields.get(name)
    if entry is None or _is_null(entry.value):
        raise MetadataError(f"{parent} has no {name}", mark=mark, advice=_REPAIR)
    value = entry.value
    if not isinstance(value, Scalar) or value.kind is not ScalarKind.STR or not value.text:
        raise MetadataError(f"{name} is not text", mark=value.mark, advice=_REPAIR)
    return value


def _mac(scalar: Scalar) -> str:
    envelope = parse_envelope(scalar.text)
    if envelope is None or envelope.kind != "str":
        raise MetadataError("the MAC is not an encrypted text", mark=scalar.mark, advice=_REPAIR)
    return scalar.text


def _lastmodified(fields: dict[str, Entry], mark: Mark) -> str:
    scalar = _text(fields, "lastmodified", mark)
    canonical = from_rfc3339(scalar.text)
    if canonical is None:
        raise MetadataError(
            "lastmodified is not a timestamp", mark=scalar.mark, expected="RFC 3339, in quotes", advice=_REPAIR
        )
    return canonical


def _version(fields: dict[str, Entry], mark: Mark) -> str:
    scalar = _text(fields, "version", mark)
    if _VERSION.fullmatch(scalar.text) is None:
        raise MetadataError("version is not a version", mark=scalar.mark, expected="such as 3.13.3", advice=_REPAIR)
    return scalar.text


def _selectors(fields: dict[str, Entry], mark: Mark) -> dict[str, str]:
    selectors = {}
    for name in _SELECTORS:
        entry = fields.get(name)
        if entry is None or _is_null(entry.value):
            continue
        if not isinstance(entry.value, Scalar) or entry.value.kind is not ScalarKind.STR:
            raise MetadataError(f"{name} is not text", mark=entry.value.mark, advice=_REPAIR)
        if entry.value.text:
            selectors[name] = entry.value.text
    if len(selectors) > 1:
        raise MetadataError(
            f"more than one selector: {', '.join(selectors)}", mark=mark, expected="at most one", advice=_REPAIR
        )
    return selectors


def _mac_only_encrypted(entry: Entry | None) -> bool:
    if entry is None or _is_null(entry.value):
        return False
    value = entry.value
    if isinstance(value, Scalar) and value.kind in {ScalarKind.BOOL, ScalarKind.STR, ScalarKind.INT}:
        if value.text in _TRUE:
            return True
        if value.text in _FALSE:
            return False
    raise MetadataError("mac_only_encrypted is neither true nor false", mark=value.mark, advice=_REPAIR)
