"""To whom the data key of a file is encrypted: the key lists of its metadata. Needs no key.

A file has one group of recipients, any of whom can open it; or several ``key_groups``, whose parts make up the data key
together (Shamir's secret sharing). See https://getsops.io/docs/#key-groups.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, assert_never, get_args

from reconciler.pysops.document import Entry, Mapping, Node, Scalar, Sequence
from reconciler.pysops.errors import Mark, MetadataError
from reconciler.pysops.scalars import ScalarKind
from reconciler.pysops.timestamps import from_rfc3339


KeyKind = Literal["age", "pgp", "kms", "gcp_kms", "hckms", "azure_kv", "hc_vault"]
"""Kinds of recipients, by the names of their lists in the metadata, in the order in which sops tries them."""

KEY_KINDS: Final[tuple[KeyKind, ...]] = get_args(KeyKind)

REPAIR: Final = "restore the file from git, or encrypt it again with sops"

_IDENTIFYING: Final[dict[KeyKind, tuple[str, ...]]] = {
    "age": ("recipient",),
    "pgp": ("fp",),
    "kms": ("arn",),
    "gcp_kms": ("resource_id",),
    "hckms": ("key_id",),
    "azure_kv": ("vault_url", "name", "version"),
    "hc_vault": ("vault_address", "engine_path", "key_name"),
}
"""Fields that every item of a list must have, besides ``enc``. The version of an Azure key may be empty."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Recipient:
    """Somebody or something that can open a file."""

    kind: KeyKind
    name: str
    """As sops prints it (``ToString`` of its key sources): an ``age1…`` or ``ssh-…`` recipient, a PGP fingerprint, an
    ARN with ``+ROLE``, ``|CONTEXT`` and ``|PROFILE`` behind it, a resource id, ``VAULT_URL/keys/NAME/VERSION``,
    ``VAULT_ADDRESS/v1/ENGINE_PATH/keys/KEY_NAME``."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKey:
    """The data key, or a part of it, encrypted to one recipient."""

    recipient: Recipient
    """As the file says; nothing proves that ``enc`` is encrypted to it."""

    enc: str = field(repr=False)
    """For age an armored age file."""

    mark: Mark


KeyGroup = tuple[WrappedKey, ...]
"""Any of them opens the group. In file order, kind by kind; a recipient may stand there twice."""


def kms_name(arn: str, *, role: str = "", context: Iterable[tuple[str, str]] = (), profile: str = "") -> str:
    """Return the name of an AWS KMS recipient, ``ToString`` of kms/keysource.go: all that decides who is asked."""
    name = f"{arn}+{role}" if role else arn
    pairs = ",".join(f"{key}:{value}" for key, value in sorted(context))
    if profile:
        return f"{name}|{pairs}|{profile}"
    return f"{name}|{pairs}" if pairs else name


def read_key_group(fields: dict[str, Entry], parent: str) -> KeyGroup:
    """Read the key lists of ``sops`` or of one of its ``key_groups``.

    Args:
        fields: by name.
        parent: what they stand in, for messages.

    Raises:
        MetadataError: a list or an item is malformed.
    """
    keys: list[WrappedKey] = []
    for kind in KEY_KINDS:
        for item in list_items(fields.get(kind), f"{parent}.{kind}"):
            if not isinstance(item, Mapping):
                raise MetadataError(f"an item of {parent}.{kind} is not a mapping", mark=item.mark, advice=REPAIR)
            keys.append(_wrapped_key(item, kind, f"an item of {parent}.{kind}"))
    return tuple(keys)


def list_items(entry: Entry | None, name: str) -> tuple[Node, ...]:
    """Return the items of a list that may be missing or null.

    Raises:
        MetadataError: it is something else.
    """
    if entry is None or is_null(entry.value):
        return ()
    if not isinstance(entry.value, Sequence):
        raise MetadataError(f"{name} is not a list", mark=entry.value.mark, advice=REPAIR)
    return entry.value.items


def is_null(node: Node) -> bool:
    """Tell whether ``node`` is null."""
    return isinstance(node, Scalar) and node.kind is ScalarKind.NULL


def required_text(fields: dict[str, Entry], name: str, mark: Mark, *, parent: str = "sops") -> Scalar:
    """Return a text of the metadata that must be there and not be empty.

    Raises:
        MetadataError: it is missing, empty or no text.
    """
    scalar = optional_text(fields, name)
    if scalar is None:
        raise MetadataError(f"{parent} has no {name}", mark=mark, advice=REPAIR)
    return scalar


def optional_text(fields: dict[str, Entry], name: str) -> Scalar | None:
    """Return a text of the metadata; None when it is missing, null or empty.

    Raises:
        MetadataError: it is no text.
    """
    entry = fields.get(name)
    if entry is None or is_null(entry.value):
        return None
    value = entry.value
    if not isinstance(value, Scalar) or value.kind is not ScalarKind.STR:
        raise MetadataError(f"{name} is not text", mark=value.mark, advice=REPAIR)
    return value if value.text else None


def _wrapped_key(item: Mapping, kind: KeyKind, parent: str) -> WrappedKey:
    fields = {field.key.text: field for field in item.entries}

    def text(name: str) -> str:
        return required_text(fields, name, item.mark, parent=parent).text

    def or_empty(name: str) -> str:
        scalar = optional_text(fields, name)
        return "" if scalar is None else scalar.text

    parts = [or_empty(name) if name == "version" else text(name) for name in _IDENTIFYING[kind]]
    if kind != "age" and from_rfc3339(text("created_at")) is None:
        raise MetadataError(f"created_at of {parent} is not a timestamp", mark=item.mark, expected="RFC 3339")
    match kind:
        case "age" | "pgp" | "gcp_kms" | "hckms":
            name = parts[0]
        case "kms":
            role, profile = or_empty("role"), or_empty("aws_profile")
            name = kms_name(parts[0], role=role, context=_context(fields.get("context"), parent), profile=profile)
        case "azure_kv":
            name = f"{parts[0]}/keys/{parts[1]}/{parts[2]}"
        case "hc_vault":
            name = f"{parts[0]}/v1/{parts[1]}/keys/{parts[2]}"
        case _:
            assert_never(kind)
    return WrappedKey(recipient=Recipient(kind=kind, name=name), enc=text("enc"), mark=item.mark)


def _context(entry: Entry | None, parent: str) -> list[tuple[str, str]]:
    if entry is None or is_null(entry.value):
        return []
    pairs: list[tuple[str, str]] = []
    for field_ in entry.value.entries if isinstance(entry.value, Mapping) else ():
        if not isinstance(field_.value, Scalar) or field_.value.kind is not ScalarKind.STR:
            raise MetadataError(f"the context of {parent} is not text", mark=field_.value.mark, advice=REPAIR)
        pairs.append((field_.key.text, field_.value.text))
    if not isinstance(entry.value, Mapping):
        raise MetadataError(f"the context of {parent} is not a mapping", mark=entry.value.mark, advice=REPAIR)
    return pairs
