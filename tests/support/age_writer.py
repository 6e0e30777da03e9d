"""Writes age files stanza by stanza, also such as age itself would not write. See https://age-encryption.org/v1."""

import base64
import hmac
import json
import re
import secrets
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PublicKey, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from reconciler.pysops.age import bech32
from reconciler.pysops.age.age_file import Stanza


def hybrid_stanza(recipient: str, file_key: bytes, *, info: bytes = b"age-encryption.org/mlkem768x25519") -> Stanza:
    """Encrypt a file key to a post-quantum recipient."""
    decoded = bech32.decode(recipient)
    assert decoded is not None
    public = decoded[1]
    key = MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(public[:1184]), X25519PublicKey.from_public_bytes(public[1184:])
    )
    sealed = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305).encrypt(file_key, key, info=info)
    return Stanza(kind="mlkem768x25519", arguments=(unpadded(sealed[:1120]),), body=sealed[1120:])


def write_age(plaintext: bytes, file_key: bytes, stanzas: Sequence[Stanza]) -> bytes:
    """Write a file, not armored."""
    header = b"age-encryption.org/v1\n" + b"".join(map(_lines, stanzas)) + b"---"
    mac = hmac.digest(_derive(file_key, b"", b"header"), header, "sha256")
    nonce = secrets.token_bytes(16)
    chunk = ChaCha20Poly1305(_derive(file_key, nonce, b"payload")).encrypt(bytes(11) + b"\x01", plaintext, None)
    return header + b" " + unpadded(mac).encode() + b"\n" + nonce + chunk


def armor(data: bytes) -> str:
    """Write a file as text."""
    text = base64.b64encode(data).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(("-----BEGIN AGE ENCRYPTED FILE-----", *lines, "-----END AGE ENCRYPTED FILE-----", ""))


def dearmor(text: str) -> bytes:
    """Undo `armor`."""
    return base64.b64decode("".join(text.strip().splitlines()[1:-1]))


def unpadded(data: bytes) -> str:
    """Encode as stanzas hold it."""
    return base64.b64encode(data).decode().rstrip("=")


def with_enc(file: bytes, enc: str) -> bytes:
    """Put another wrapped key in the place of the only one of a SOPS file."""
    changed, count = re.subn(
        rb"enc: \|\n(?: {12}.*\n)+", lambda _: b"enc: " + json.dumps(enc, ensure_ascii=False).encode() + b"\n", file
    )
    assert count == 1
    return changed


def _lines(stanza: Stanza) -> bytes:
    body = unpadded(stanza.body)
    lines = [body[at : at + 64] for at in range(0, len(body) + 1, 64)]
    return "\n".join((" ".join(("->", stanza.kind, *stanza.arguments)), *lines, "")).encode()


def _derive(file_key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(file_key)
