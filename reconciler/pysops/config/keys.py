"""Recipients as ``.sops.yaml`` writes them, to the names that the metadata of files gives them.

Each kind of key source has its own way of being written down; ``config.go`` and the ``keysource.go`` of each, of sops
3.13.3, say how it is read. Refused is what sops refuses, and a few oddities on which it stumbles or which it would
write to every file as they are: an empty name, credentials in the address of a Vault.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final, NoReturn

from reconciler.pysops.config.fields import Fields, items_of, text_of, texts_of
from reconciler.pysops.document import Node, Scalar
from reconciler.pysops.errors import ConfigError, Mark
from reconciler.pysops.scalars import ScalarKind
from reconciler.pysops.wrapped_keys import Recipient, kms_name


KeyGroupNames = tuple[Recipient, ...]
"""One group of a rule, each recipient once."""

RULE_KEYS: Final = ("age", "pgp", "kms", "aws_profile", "gcp_kms", "hckms", "azure_keyvault", "hc_vault_transit_uri")
"""Fields of a rule that name recipients without groups."""

_GROUP_KEYS: Final = ("merge", "kms", "gcp_kms", "hckms", "azure_keyvault", "hc_vault", "age", "pgp")

_AGE: Final = re.compile(r"age1[a-z0-9.+_-]{6,5000}|ssh-(?:ed25519|rsa) [!-~]+(?: .*)?")
_AZURE_URL: Final = re.compile(r"(https://[^/]+)/keys/([^/]+)(?:/([^/]*))?")
_VAULT_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([A-Za-z0-9._:\[\]-]+)((?:/[A-Za-z0-9._~-]+)+)/*")
_VAULT_VERSION: Final = re.compile("v[0-9]+")
_MIN_VAULT_PARTS: Final = 4

_MAX_MERGE_DEPTH: Final = 50


def key_group_of_rule(fields: Fields) -> KeyGroupNames:
    """Return the one group of a rule without ``key_groups``.

    Raises:
        ConfigError: a field is not what it must be.
    """
    profile = text_of(fields, "aws_profile")
    found: list[Recipient] = []
    readers: tuple[tuple[str, Callable[[str, Mark], Recipient]], ...] = (
        ("age", _age),
        ("pgp", _pgp),
        ("kms", lambda text, mark: _kms_of_rule(text, mark, profile)),
        ("gcp_kms", _gcp),
        ("hckms", lambda text, mark: _hckms(text.strip(), mark)),
        ("azure_keyvault", _azure),
        ("hc_vault_transit_uri", _vault),
    )
    for name, read in readers:
        found.extend(_each(fields, name, read))
    return tuple(dict.fromkeys(found))


def _each(fields: Fields, name: str, read: Callable[[str, Mark], Recipient]) -> Iterable[Recipient]:
    """Yield the recipients of a text with commas, or of a list of such texts."""
    entry = fields.get(name)
    if entry is None:
        return
    if isinstance(entry.value, Scalar):
        if name == "hckms" and entry.value.kind is not ScalarKind.NULL:
            raise ConfigError(f"{name} is not a list", mark=entry.value.mark)
        for part in texts_of(entry.value, name, entry.value.mark):
            if part.strip():  # sops leaves out what is empty between commas
                yield read(part.strip(), entry.value.mark)
        return
    for item in items_of(entry.value, name):
        for part in texts_of(item, name, item.mark):
            if part.strip() or name not in {"hckms", "hc_vault_transit_uri"}:
                yield read(part, item.mark)


def key_group_of(node: Node, depth: int = 0) -> KeyGroupNames:
    """Return one of the ``key_groups`` of a rule, with what it merges.

    Raises:
        ConfigError: it is not what it must be.
    """
    if depth > _MAX_MERGE_DEPTH:
        raise ConfigError("key groups merge each other too deeply", mark=node.mark)
    fields = Fields.read(node, _GROUP_KEYS, "a key group")
    found: list[Recipient] = []
    for item in fields.items("merge"):
        found.extend(key_group_of(item, depth + 1))
    for item in fields.items("age"):
        found.extend(_age(part, item.mark) for part in texts_of(item, "age", item.mark))
    found.extend(_pgp(_text(item, "pgp"), item.mark) for item in fields.items("pgp"))
    found.extend(_kms_of_group(item) for item in fields.items("kms"))
    found.extend(_gcp(_only(item, "resource_id", "gcp_kms"), item.mark) for item in fields.items("gcp_kms"))
    found.extend(_hckms(_only(item, "key_id", "hckms"), item.mark) for item in fields.items("hckms"))
    found.extend(_azure_of_group(item) for item in fields.items("azure_keyvault"))
    found.extend(_vault(_text(item, "hc_vault"), item.mark) for item in fields.items("hc_vault"))
    return tuple(dict.fromkeys(found))


def _only(item: Node, name: str, kind: str) -> str:
    """Return the one field that an item of a list of ``kind`` has."""
    return text_of(Fields.read(item, (name,), f"an item of {kind}"), name)


def _text(node: Node, name: str) -> str:
    if not isinstance(node, Scalar) or node.kind is ScalarKind.NULL:
        raise ConfigError(f"an item of {name} is not text", mark=node.mark)
    return node.text


def _refuse(what: str, mark: Mark, expected: str) -> NoReturn:
    raise ConfigError(what, mark=mark, expected=expected)


def _age(text: str, mark: Mark) -> Recipient:
    name = text.strip()
    if _AGE.fullmatch(name) is None:
        _refuse("not a recipient of age", mark, "age1…, ssh-ed25519 … or ssh-rsa …")
    return Recipient(kind="age", name=name)


def _pgp(text: str, mark: Mark) -> Recipient:
    name = text.replace(" ", "")
    if not name:
        _refuse("an empty recipient of pgp", mark, "a fingerprint")
    return Recipient(kind="pgp", name=name)


def _kms_of_rule(text: str, mark: Mark, profile: str) -> Recipient:
    whole = text.replace(" ", "")
    arn, separator, role = whole.partition("+arn:")
    if not arn:
        _refuse("an empty recipient of kms", mark, "an ARN, with +ARN of a role behind it when one is to be assumed")
    name = kms_name(arn, role=f"arn:{role}" if separator else "", profile=profile)
    return Recipient(kind="kms", name=name)


def _kms_of_group(item: Node) -> Recipient:
    fields = Fields.read(item, ("arn", "role", "context", "aws_profile"), "an item of kms")
    arn = text_of(fields, "arn")
    if not arn:
        _refuse("an item of kms has no arn", item.mark, "arn")
    entry = fields.get("context")
    context: list[tuple[str, str]] = []
    if entry is not None and not (isinstance(entry.value, Scalar) and entry.value.kind is ScalarKind.NULL):
        pairs = Fields.read(entry.value, None, "context")
        context = [(name, _text(pair.value, "context")) for name, pair in pairs.entries.items()]
    name = kms_name(arn, role=text_of(fields, "role"), context=context, profile=text_of(fields, "aws_profile"))
    return Recipient(kind="kms", name=name)


def _gcp(text: str, mark: Mark) -> Recipient:
    name = text.replace(" ", "")
    if not name:
        _refuse("an empty recipient of gcp_kms", mark, "a resource id")
    return Recipient(kind="gcp_kms", name=name)


def _hckms(text: str, mark: Mark) -> Recipient:
    region, _, uuid = text.partition(":")
    if not region.strip() or not uuid.strip():
        _refuse("not a recipient of hckms", mark, "REGION:KEY_UUID")
    return Recipient(kind="hckms", name=text)


def _azure(text: str, mark: Mark) -> Recipient:
    match = _AZURE_URL.fullmatch(text.strip())
    if match is None:
        _refuse("not a recipient of azure_keyvault", mark, "https://VAULT/keys/NAME, or with /VERSION behind it")
    return _azure_name(match[1], match[2], match[3] or "")


def _azure_of_group(item: Node) -> Recipient:
    fields = Fields.read(item, ("vaultUrl", "key", "version"), "an item of azure_keyvault")
    url, key = text_of(fields, "vaultUrl"), text_of(fields, "key")
    if not url or not key:
        _refuse("an item of azure_keyvault has no vaultUrl or no key", item.mark, "vaultUrl and key")
    return _azure_name(url, key, text_of(fields, "version"))


def _azure_name(url: str, key: str, version: str) -> Recipient:
    return Recipient(kind="azure_kv", name=f"{url}/keys/{key}/{version}")


def _vault(text: str, mark: Mark) -> Recipient:
    match = _VAULT_URL.fullmatch(text)
    parts = [] if match is None else match[3].strip("/").split("/")
    # sops looks for /vN/… with nothing in front of it, and takes the last part and those between for key and engine.
    fits = len(parts) >= _MIN_VAULT_PARTS and _VAULT_VERSION.fullmatch(parts[0]) is not None
    if match is None or not fits or not {".", ".."}.isdisjoint(parts):
        _refuse("not a recipient of Vault's transit engine", mark, "https://vault.example.com:8200/v1/transit/keys/KEY")
    address = f"{match[1].lower()}://{match[2]}"
    return Recipient(kind="hc_vault", name=f"{address}/v1/{'/'.join(parts[1:-2])}/keys/{parts[-1]}")
