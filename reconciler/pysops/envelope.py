"""``ENC[AES256_GCM,…]``: the form in which sops writes an encrypted value. Needs no key."""

import binascii
import re
from dataclasses import dataclass
from typing import Final, Literal, cast


EnvelopeKind = Literal["str", "int", "float", "bool", "time", "comment"]
"""The type that the value had. Not authenticated: whoever can write the file can change it."""

ENVELOPE_START: Final = "ENC["
"""What looks like an encrypted value, whole or not."""

_ENVELOPE: Final = re.compile(
    r"ENC\[AES256_GCM,data:([A-Za-z0-9+/]+={0,2}),iv:([A-Za-z0-9+/]+={0,2}),tag:([A-Za-z0-9+/]{22}==)"
    r",type:(str|int|float|bool|time|comment)\]"
)

_NONCE_BYTES: Final = range(8, 129)
"""What `cryptography` takes. sops always writes 32, not the 12 that are usual with GCM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One encrypted value, taken apart."""

    data: bytes
    """Ciphertext, as long as the plaintext."""

    iv: bytes
    tag: bytes
    """16 bytes."""

    kind: EnvelopeKind

    @property
    def size(self) -> int:
        """Length of the plaintext in bytes."""
        return len(self.data)


def parse_envelope(text: str) -> Envelope | None:
    """Take apart an encrypted value.

    Stricter than sops, which accepts text behind the closing bracket, and bytes moved from the tag to the data.

    Returns:
        None when ``text`` is anything but one whole envelope.
    """
    match = _ENVELOPE.fullmatch(text)
    if match is None:
        return None
    data, iv, tag, kind = match.groups()
    if len(data) % 4 or len(iv) % 4:
        return None
    nonce = binascii.a2b_base64(iv)
    if len(nonce) not in _NONCE_BYTES:
        return None
    return Envelope(
        data=binascii.a2b_base64(data), iv=nonce, tag=binascii.a2b_base64(tag), kind=cast("EnvelopeKind", kind)
    )
