"""SOPS files made by hand, with a data key that the test knows, so that their metadata may be anything.

What sops would seal is sealed here: the value and the MAC. A file with nothing odd about it opens in sops as well.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

import pyrage
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reconciler import pysops
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsFailed, SopsTool


DATA_KEY: Final = hashlib.sha256(b"the data key of files made by hand").digest()

SEALED_AT: Final = "2024-01-02T03:04:05Z"

TEXT: Final = "canary of a file made by hand"

VALUES: Final = {"a": TEXT}
"""What such a file holds."""


def seal(data_key: bytes, plain: bytes, bound_to: bytes, kind: str = "str") -> str:
    """Make an envelope as sops would, of any kind."""
    iv = bytes(range(32))
    sealed = AESGCM(data_key).encrypt(iv, plain, bound_to)
    data, tag, nonce = (base64.b64encode(part).decode() for part in (sealed[:-16], sealed[-16:], iv))
    return f"ENC[AES256_GCM,data:{data},iv:{nonce},tag:{tag},type:{kind}]"


def wrap(plain: bytes, recipient: str) -> str:
    """Encrypt a data key, or a part of one, with age."""
    armored: bytes = pyrage.encrypt(plain, [pyrage.x25519.Recipient.from_str(recipient)], armored=True)
    return armored.decode()


def stanza(recipient: str, plain: bytes = DATA_KEY) -> dict[str, str]:
    """Return an item of the list ``age``."""
    return {"recipient": recipient, "enc": wrap(plain, recipient)}


def groups_of(parts: Sequence[tuple[str, bytes]]) -> str:
    """Return key groups of one recipient each, as YAML."""
    return json.dumps([{"age": [stanza(recipient, part)]} for recipient, part in parts])


def handmade(
    recipient: str | None,
    fields: Mapping[str, str | None] | None = None,
    *,
    data_key: bytes = DATA_KEY,
    sealed_at: str = SEALED_AT,
) -> bytes:
    """Make a file.

    Args:
        recipient: to whom the data key is encrypted; None: there is no list ``age`` unless it is among the fields.
        fields: of the metadata, as YAML of one line. None takes one away that stands there otherwise.
        data_key: what seals it.
        sealed_at: what the MAC is bound to: ``lastmodified`` as sops understands it.
    """
    mac = hashlib.sha512(TEXT.encode()).hexdigest().upper()
    defaults = {
        "age": None if recipient is None else json.dumps([stanza(recipient, data_key)]),
        "lastmodified": f'"{SEALED_AT}"',
        "mac": seal(data_key, mac.encode(), sealed_at.encode()),
        "version": "3.13.3",
    }
    lines = [f"    {name}: {text}\n" for name, text in {**defaults, **(fields or {})}.items() if text is not None]
    return f"a: {seal(data_key, TEXT.encode(), b'a:')}\nsops:\n{''.join(lines)}".encode()


def identities_of(*keys: AgeKey) -> pysops.Identities:
    """Return the identities of ``keys``."""
    return pysops.Identities.from_text("\n".join(key.identity for key in keys), "test")


@cache
def decodes_weakly(sops: SopsTool) -> bool:
    """Tell whether the binary decodes metadata as those of our day do: 3.11 still went by the tags of YAML."""
    key = AgeKey.generate()
    return sops_reads(sops, handmade(key.recipient, {"version": None, "VERSION": "3.13.3"}), key)


def sops_reads(sops: SopsTool, file: bytes, *keys: AgeKey) -> bool:
    """Tell whether the real sops opens a file and finds what it must hold."""
    try:
        text = sops.decrypt(file, "\n".join(key.identity for key in keys), output_type="json")
    except SopsFailed:
        return False
    assert json.loads(text) == VALUES
    return True


def we_read(file: bytes, *keys: AgeKey) -> bool:
    """Tell whether we open a file and find what it must hold."""
    try:
        values = pysops.load(file, identities_of(*keys))
    except pysops.SopsError:
        return False
    assert values == VALUES
    return True
