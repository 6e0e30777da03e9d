"""Post-quantum identities of age: ``AGE-SECRET-KEY-PQ-1…`` opens what is encrypted to ``age1pq1…``.

ML-KEM-768 and X25519 together (X-Wing), as HPKE in base mode wraps the file key with them; stanza ``mlkem768x25519`` of
https://age-encryption.org/v1 (C2SP), "The mlkem768x25519 recipient type". The cryptography is that of `cryptography`.
"""

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from reconciler.pysops.age import bech32
from reconciler.pysops.age.age_file import FILE_KEY_BYTES, MalformedAgeFile, Stanza, decode_argument


if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey

PREFIX: Final = "AGE-SECRET-KEY-PQ-1"
STANZA: Final = "mlkem768x25519"

INFO: Final = b"age-encryption.org/mlkem768x25519"
_SEED_BYTES: Final = 32
_MLKEM_SEED_BYTES: Final = 64
ENCAPSULATED_BYTES: Final = 1088 + 32
"""A ciphertext of ML-KEM-768 and a public key of X25519."""

_TAG_BYTES: Final = 16


class HybridUnsupported(Exception):
    """The installed `cryptography`, or what it is built on, has no ML-KEM. Never leaves pysops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HybridKey:
    """A post-quantum identity."""

    recipient: str
    """``age1pq1…``."""

    key: "MLKEM768X25519PrivateKey" = field(repr=False)

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """Return the file key; None when the stanza is for somebody else.

        Raises:
            MalformedAgeFile: a stanza of this kind cannot look like this.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

        if stanza.kind != STANZA:
            return None
        if len(stanza.arguments) != 1 or len(stanza.body) != FILE_KEY_BYTES + _TAG_BYTES:
            raise MalformedAgeFile
        encapsulated = decode_argument(stanza.arguments[0])
        if len(encapsulated) != ENCAPSULATED_BYTES:
            raise MalformedAgeFile
        suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
        try:
            return suite.decrypt(encapsulated + stanza.body, self.key, info=INFO)
        except InvalidTag:
            return None


def parse_hybrid_key(text: str) -> HybridKey | None:
    """Read an identity.

    Returns:
        None when it is none.

    Raises:
        HybridUnsupported: this machine cannot use it.
    """
    decoded = bech32.decode(text)
    if decoded is None or f"{decoded[0]}1" != PREFIX or len(decoded[1]) != _SEED_BYTES:
        return None
    return _expand(decoded[1])


def _expand(seed: bytes) -> HybridKey:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
        from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey
    except ImportError:
        raise HybridUnsupported from None
    expanded = hashlib.shake_256(seed).digest(_MLKEM_SEED_BYTES + 32)
    try:
        mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:_MLKEM_SEED_BYTES])
    except UnsupportedAlgorithm:
        raise HybridUnsupported from None
    x25519 = X25519PrivateKey.from_private_bytes(expanded[_MLKEM_SEED_BYTES:])
    public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
    return HybridKey(recipient=bech32.encode("age1pq", public), key=MLKEM768X25519PrivateKey(mlkem, x25519))
