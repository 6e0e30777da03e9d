"""Encrypting a data key to age recipients, armored, as ``MasterKey.Encrypt`` of age/keysource.go does.

By pyrage for X25519 and SSH; the post-quantum stanza, which it does not know, and the file around it, are written here.
"""

import base64
import hmac
import os
import re
from typing import Final

from reconciler.pysops.age import bech32
from reconciler.pysops.age.age_file import (
    ARMOR,
    ARMOR_END,
    FILE_KEY_BYTES,
    FIRST_AND_LAST_CHUNK,
    INTRO,
    LINE_LENGTH,
    NONCE_BYTES,
    derive,
    encode_unpadded,
)
from reconciler.pysops.age.hybrid import ENCAPSULATED_BYTES
from reconciler.pysops.age.hybrid import INFO as HYBRID_INFO
from reconciler.pysops.age.hybrid import STANZA as HYBRID_STANZA


X25519_RECIPIENT: Final = re.compile(r"age1[02-9a-z]{58}")
HYBRID_RECIPIENT: Final = re.compile(r"age1pq1[02-9a-z]{1000,4000}")
_MLKEM_PUBLIC_BYTES: Final = 1184

SSH_RECIPIENT: Final = re.compile(r"(ssh-(?:ed25519|rsa) [A-Za-z0-9+/=]+)(?: .*)?")


class CannotWrap(Exception):
    """A recipient for whom only the sops program encrypts, or one that is none. Never leaves pysops."""


def wrap(data_key: bytes, recipient: str) -> str:
    """Encrypt a data key, or a part of it.

    Args:
        data_key: what to encrypt.
        recipient: ``age1…``, ``age1pq1…``, ``ssh-ed25519 …`` or ``ssh-rsa …``.

    Returns:
        An armored age file, with a line break at its end.

    Raises:
        CannotWrap: it is a recipient of another kind, or none.
    """
    if HYBRID_RECIPIENT.fullmatch(recipient) is not None:
        return _wrap_hybrid(data_key, recipient)
    from pyrage import RecipientError, encrypt, ssh, x25519

    found = SSH_RECIPIENT.fullmatch(recipient)
    try:
        if found is not None:
            parsed: x25519.Recipient | ssh.Recipient = ssh.Recipient.from_str(found[1])
        elif X25519_RECIPIENT.fullmatch(recipient) is not None:
            parsed = x25519.Recipient.from_str(recipient)
        else:
            raise CannotWrap
    except RecipientError:
        raise CannotWrap from None
    armored: bytes = encrypt(data_key, [parsed], armored=True)
    return armored.decode().rstrip("\n") + "\n"


def _wrap_hybrid(data_key: bytes, recipient: str) -> str:
    # https://age-encryption.org/v1 (C2SP), "The mlkem768x25519 recipient type".
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
        from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PublicKey, Suite
    except ImportError:
        raise CannotWrap from None
    decoded = bech32.decode(recipient)
    if decoded is None or decoded[0] != "age1pq" or len(decoded[1]) != _MLKEM_PUBLIC_BYTES + 32:
        raise CannotWrap
    public = decoded[1]
    try:
        key = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public[:_MLKEM_PUBLIC_BYTES]),
            X25519PublicKey.from_public_bytes(public[_MLKEM_PUBLIC_BYTES:]),
        )
    except (ValueError, UnsupportedAlgorithm):
        raise CannotWrap from None
    file_key = os.urandom(FILE_KEY_BYTES)
    suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
    sealed = suite.encrypt(file_key, key, info=HYBRID_INFO)
    argument, body = encode_unpadded(sealed[:ENCAPSULATED_BYTES]), encode_unpadded(sealed[ENCAPSULATED_BYTES:])
    stanza = b"-> " + HYBRID_STANZA.encode() + b" " + argument + b"\n" + body + b"\n"
    return _armored(_file(data_key, file_key, stanza))


def _file(plaintext: bytes, file_key: bytes, stanza: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    header = INTRO + stanza + b"---"
    mac = hmac.digest(derive(file_key, b"", b"header"), header, "sha256")
    nonce = os.urandom(NONCE_BYTES)
    chunk = ChaCha20Poly1305(derive(file_key, nonce, b"payload")).encrypt(FIRST_AND_LAST_CHUNK, plaintext, None)
    return header + b" " + encode_unpadded(mac) + b"\n" + nonce + chunk


def _armored(file: bytes) -> str:
    text = base64.b64encode(file).decode()
    lines = [text[at : at + LINE_LENGTH] for at in range(0, len(text), LINE_LENGTH)]
    return "\n".join((ARMOR, *lines, ARMOR_END, ""))
