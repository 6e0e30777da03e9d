"""To whom the data key of a file is encrypted: the key lists of its metadata. Needs no key.

A file has one group of recipients, any of whom can open it; or several ``key_groups``, whose parts make up the data key
together (Shamir's secret sharing). See https://getsops.io/docs/#key-groups.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, assert_never, get_args

from reconciler.pysops import document
from reconciler.pysops.document import Node
from reconciler.pysops.errors import Mark, MetadataError
from reconciler.pysops.timestamps import from_parsed_rfc3339
from reconciler.pysops.weak_types import REPAIR, fields_of, mappings_of, pairs_of, text_of


KeyKind = Literal["age", "pgp", "kms", "gcp_kms", "hckms", "azure_kv", "hc_vault"]
"""Kinds of recipients, by the names of their lists in the metadata, in the order in which sops tries them."""

KEY_KINDS: Final[tuple[KeyKind, ...]] = get_args(KeyKind)

_NAMING_FIELDS: Final[dict[KeyKind, tuple[str, ...]]] = {
    "age": ("recipient",),
    "pgp": ("fp",),
    "kms": ("arn", "role", "context", "aws_profile"),
    "gcp_kms": ("resource_id",),
    "hckms": ("key_id",),
    "azure_kv": ("vault_url", "name", "version"),
    "hc_vault": ("vault_address", "engine_path", "key_name"),
}
"""What names a recipient. sops misses none of them."""

_AGE_RECIPIENT: Final = r"age1[a-z0-9+._-]{1,4000}|ssh-(?:ed25519|rsa) [A-Za-z0-9+/=]{1,8000}(?: [\w@.+:,= -]*)?"

_AGE: Final = r"age1[a-z0-9]{20,70}"
_LONG_AGE: Final = r"(age1[a-z0-9]{20})[a-z0-9]+([a-z0-9]{8})"
_SSH: Final = r"(ssh-(?:ed25519|rsa)) (?:[A-Za-z0-9+/=]*)([A-Za-z0-9+/=]{24})(?: .*)?"
_TAME: Final = r"[A-Za-z0-9_:./+|~,=-]{1,300}"
"""What may be shown of other recipients: nothing with which one could pass for other text, no user of an address. Like
those above, compiled when it is needed."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Recipient:
    """Somebody or something that can open a file."""

    kind: KeyKind
    name: str
    """As sops prints it (``ToString`` of its key sources): an ``age1…`` or ``ssh-…`` recipient, a PGP fingerprint, an
    ARN with ``+ROLE``, ``|CONTEXT`` and ``|PROFILE`` behind it, a resource id, ``VAULT_URL/keys/NAME/VERSION``,
    ``VAULT_ADDRESS/v1/ENGINE_PATH/keys/KEY_NAME``."""

    @property
    def shown_name(self) -> str | None:
        """The name as a message may give it, shortened if it is as long as a page; None when it may be anything.

        The author of a file writes it: it must not pass for other text, nor hold a password, ``user:secret@host``.
        """
        if self.kind != "age":
            return self.name if re.fullmatch(_TAME, self.name) is not None else None
        if re.fullmatch(_AGE, self.name) is not None:
            return self.name
        match = re.fullmatch(_LONG_AGE, self.name)
        if match is not None:
            return f"{match[1]}…{match[2]}"
        match = re.fullmatch(_SSH, self.name)
        return None if match is None else f"{match[1]} …{match[2]}"

    @property
    def shown(self) -> str:
        """The recipient as a message names it."""
        name = self.shown_name
        return f"a recipient of {self.kind} with an unusual name (not shown)" if name is None else f"{self.kind} {name}"

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
    mixed_context: bool = False
    """Of AWS KMS: an encryption context of several values, for which sops before 3.3.0 did not ask KMS as it should."""


KeyGroup = tuple[WrappedKey, ...]
"""Any of them opens the group. In file order, kind by kind; a recipient may stand there twice."""


def is_age_recipient(name: str) -> bool:
    """Tell whether a program in ``SOPS_AGE_KEY_CMD`` may be asked for a recipient, by us or by sops.

    Stricter than sops: the author of a file writes them, and the program may be a script that evaluates what it gets.
    """
    return re.fullmatch(_AGE_RECIPIENT, name) is not None


def item_fields(kind: KeyKind) -> tuple[str, ...]:
    """Return the fields of an item in the list of a kind: what names the recipient, and what goes with it."""
    return (*_NAMING_FIELDS[kind], "enc") if kind == "age" else (*_NAMING_FIELDS[kind], "enc", "created_at")


def kms_name(arn: str, *, role: str = "", context: Iterable[tuple[str, str]] = (), profile: str = "") -> str:
    """Return the name of an AWS KMS recipient, ``ToString`` of kms/keysource.go: all that decides who is asked."""
    name = f"{arn}+{role}" if role else arn
    pairs = ",".join(f"{key}:{value}" for key, value in sorted(context))
    if profile:
        return f"{name}|{pairs}|{profile}"
    return f"{name}|{pairs}" if pairs else name


def read_key_group(fields: Mapping[str, Node], parent: str, *, used: bool = True) -> KeyGroup:
    """Read the key lists of ``sops`` or of one of its ``key_groups``.

    Args:
        fields: by name.
        parent: what they stand in, for messages.
        used: whether the group counts; sops looks less closely at one that does not.

    Raises:
        MetadataError: a list or an item is malformed.
    """
    keys: list[WrappedKey] = []
    for kind in KEY_KINDS:
        name = f"{parent}.{kind}"
        keys.extend(_wrapped_key(item, kind, name, used=used) for item in mappings_of(fields.get(kind), name))
    return tuple(keys)


def _wrapped_key(item: document.Mapping, kind: KeyKind, parent: str, *, used: bool) -> WrappedKey:
    names = _NAMING_FIELDS[kind]
    known = item_fields(kind)
    fields = fields_of(item, known, f"an item of {parent}")
    context = pairs_of(fields.pop("context", None), f"context of {parent}") if "context" in names else {}
    texts = {name: text_of(fields[name], f"{name} of {parent}") if name in fields else "" for name in (*names, "enc")}
    if "created_at" in known:
        node = fields.get("created_at")
        created_at = text_of(node, f"created_at of {parent}")
        if used and from_parsed_rfc3339(created_at) is None:
            mark = item.mark if node is None else node.mark
            raise MetadataError(
                f"created_at of {parent} is not a timestamp", mark=mark, expected="RFC 3339, in quotes", advice=REPAIR
            )
    if used and kind == "hckms" and not all(part.strip() for part in texts["key_id"].partition(":")):
        raise MetadataError(f"key_id of {parent} is none", mark=item.mark, expected="REGION:UUID", advice=REPAIR)
    return WrappedKey(
        recipient=Recipient(kind=kind, name=_name(kind, texts, context)),
        enc=texts["enc"],
        mark=item.mark,
        mixed_context=len(context) > 1 and (len(set(context.values())) > 1 or None in context.values()),
    )


def _name(kind: KeyKind, texts: Mapping[str, str], context: Mapping[str, str | None]) -> str:
    match kind:
        case "age" | "pgp" | "gcp_kms" | "hckms":
            return texts[_NAMING_FIELDS[kind][0]]
        case "kms":
            pairs = [(key, value or "") for key, value in context.items()]
            return kms_name(texts["arn"], role=texts["role"], context=pairs, profile=texts["aws_profile"])
        case "azure_kv":
            return f"{texts['vault_url']}/keys/{texts['name']}/{texts['version']}"
        case "hc_vault":
            return f"{texts['vault_address']}/v1/{texts['engine_path']}/keys/{texts['key_name']}"
        case _:
            assert_never(kind)
