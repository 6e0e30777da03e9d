"""Fresh age identities, so that no test depends on a key that is lying around."""

import secrets
from dataclasses import dataclass
from typing import Final, Literal, Self

import pyrage
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from reconciler.pysops.age import bech32
from reconciler.pysops.age.hybrid import parse_hybrid_key


SshForm = Literal["openssh", "pkcs1", "pkcs8"]
"""How the file of an SSH key is written."""

_FORMATS: Final = {
    "openssh": PrivateFormat.OpenSSH,
    "pkcs1": PrivateFormat.TraditionalOpenSSL,
    "pkcs8": PrivateFormat.PKCS8,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeKey:
    """One identity, made for one test."""

    identity: str
    """``AGE-SECRET-KEY-1…`` or ``AGE-SECRET-KEY-PQ-1…``, as a key file holds it; or the text of an SSH key."""

    recipient: str
    """``age1…`` or ``ssh-…``, as sops is told it."""

    @classmethod
    def generate(cls) -> Self:
        """Make a new one, X25519."""
        identity = pyrage.x25519.Identity.generate()
        return cls(identity=str(identity), recipient=str(identity.to_public()))

    @classmethod
    def hybrid(cls) -> Self:
        """Make a new post-quantum one."""
        identity = bech32.encode("age-secret-key-pq-", secrets.token_bytes(32)).upper()
        key = parse_hybrid_key(identity)
        assert key is not None
        return cls(identity=identity, recipient=key.recipient)

    @classmethod
    def ssh_ed25519(cls, form: SshForm = "openssh") -> Self:
        """Make a new SSH key."""
        return cls._ssh(Ed25519PrivateKey.generate(), form)

    @classmethod
    def ssh_rsa(cls, form: SshForm = "openssh", *, bits: int = 2048) -> Self:
        """Make a new RSA key for SSH; the more bits, the longer it takes."""
        return cls._ssh(generate_private_key(65537, bits), form)

    @classmethod
    def _ssh(cls, key: Ed25519PrivateKey | RSAPrivateKey, form: SshForm) -> Self:
        recipient = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        identity = key.private_bytes(Encoding.PEM, _FORMATS[form], NoEncryption()).decode()
        return cls(identity=identity, recipient=recipient)
