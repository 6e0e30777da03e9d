"""How a value is written into a scope file, and how a new one begins."""

import base64
from collections.abc import Mapping, Sequence
from typing import Final

from reconciler import pysops
from reconciler.model import MAX_VALUE_BYTES, Acl, KeyName, Prune, ScopeName, SecretValue
from reconciler.policy.scope_values import EMPTY_TEXT, Form
from reconciler.pysops.writing.plain_yaml import key_text, quoted


_INDENT: Final = "    "
"""That of sops, so that the next change by the program moves nothing."""

_LOOKS_ENCRYPTED: Final = "ENC["
"""The sops program takes such a text for encrypted already, and refuses to encrypt the file."""


_TO_QUOTE: Final = frozenset(":#\"'\\")
"""What a rule may not have and stand without quotes."""


def written(value: SecretValue) -> str | Mapping[str, str]:
    """Return how a value stands in a file: as text, or ``{base64: …}`` for bytes, or ``{empty: "yes"}`` for none.

    Raises:
        ValueError: It is larger than the platform takes.
    """
    raw = value.reveal()
    if not raw:
        return {Form.EMPTY.value: EMPTY_TEXT}
    if len(raw) > MAX_VALUE_BYTES:
        raise ValueError("a value is larger than the platform takes")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = None
    if text is not None and pysops.survives_as_text(text) and not text.startswith(_LOOKS_ENCRYPTED):
        return text
    return {Form.BASE64.value: base64.b64encode(raw).decode("ascii")}


def plain_scope_file(
    scopes: Mapping[str, Mapping[ScopeName, Mapping[KeyName, SecretValue]]],
    *,
    acls: Sequence[Acl] | None = None,
    prune: Prune | None = None,
    rotation: Sequence[str] = (),
) -> bytes:
    """Return the text of a scope file before it is encrypted. Holds values: it goes to `Writer.encrypt`, nowhere else.

    Args:
        scopes: host key to scope to key to value; none of the mappings empty.
        acls: grants on all of its scopes; None leaves grants alone.
        prune: what happens to what git does not name; None leaves the field out.
        rotation: rules as they stand in a file, such as ``<90d *>``.
    """
    lines: list[str] = []
    if acls:
        lines += ["acls:", *(f"{_INDENT}- {rule_text(f'<{acl.permission.name} {acl.principal}>')}" for acl in acls)]
    if prune is not None:
        lines.append(f"prune: {prune.value}")
    if rotation:
        lines += ["rotation:", *(f"{_INDENT}- {rule_text(rule)}" for rule in rotation)]
    lines += ["version: 1", "secrets:"]
    for host_key, of_host in scopes.items():
        lines.append(f"{_INDENT}{key_text(host_key)}:")
        for scope, keys in of_host.items():
            lines.append(f"{_INDENT * 2}{key_text(scope)}:")
            for key, value in keys.items():
                lines.extend(_entry(key, written(value)))
    return ("\n".join(lines) + "\n").encode()


def _entry(key: KeyName, value: str | Mapping[str, str]) -> list[str]:
    indent = _INDENT * 3
    if isinstance(value, str):
        return [f"{indent}{key_text(key)}: {quoted(value)}"]
    inner = (f"{indent}{_INDENT}{word}: {quoted(text)}" for word, text in value.items())
    return [f"{indent}{key_text(key)}:", *inner]


def rule_text(text: str) -> str:
    """Return a grant or a rotation rule, such as ``<WRITE admins>``, as an item of a list.

    As sops writes it: without quotes where nothing within could be taken for anything but text.
    """
    is_plain = text.isascii() and text.isprintable() and _TO_QUOTE.isdisjoint(text)
    if text.startswith("<") and text.endswith(">") and is_plain:
        return text
    return quoted(text)
