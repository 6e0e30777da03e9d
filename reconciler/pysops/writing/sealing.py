"""Sealing values with the data key of a file, ``Cipher.Encrypt`` of sops, and opening them again."""

import base64
import os
from typing import TYPE_CHECKING, Final, Self

from reconciler.pysops.crypt import DATA_KEY_BYTES, cipher_of, open_envelope
from reconciler.pysops.envelope import Envelope, EnvelopeKind
from reconciler.pysops.errors import Mark


if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

IV_BYTES: Final = 32
"""As sops writes it, not the 12 that are usual with GCM. Random: a data key seals far less than 2**32 values."""

_TAG_BYTES: Final = 16


class Sealer:
    """Seals and opens with one data key. Never shows it."""

    __slots__ = ("__data_key", "cipher")

    def __init__(self, data_key: bytes, mark: Mark | None = None) -> None:
        """Take a data key; ``mark`` is the place of the metadata that it is from."""
        self.cipher: AESGCM = cipher_of(data_key, mark)
        self.__data_key = data_key

    @classmethod
    def new(cls) -> Self:
        """Make one with a new data key."""
        return cls(os.urandom(DATA_KEY_BYTES))

    def reveal(self) -> bytes:
        """Return the data key, to be encrypted to recipients."""
        return self.__data_key

    def seal(self, plain: bytes, bound_to: str, kind: EnvelopeKind = "str") -> str:
        """Encrypt one value.

        Args:
            plain: the value, not empty.
            bound_to: the keys above it, with a colon behind each.
            kind: its type.

        Returns:
            ``ENC[…]``.
        """
        iv = os.urandom(IV_BYTES)
        sealed = self.cipher.encrypt(iv, plain, bound_to.encode())
        data, tag = sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:]
        return f"ENC[AES256_GCM,data:{_text(data)},iv:{_text(iv)},tag:{_text(tag)},type:{kind}]"

    def open(self, envelope: Envelope, bound_to: str) -> bytes | None:
        """Decrypt one value; None when it does not authenticate."""
        return open_envelope(self.cipher, envelope, bound_to.encode())


def bound_to(path: tuple[str, ...]) -> str:
    """Return what values below mapping keys are bound to."""
    return ":".join((*path, ""))


def comment_bound_to(path: tuple[str, ...]) -> str:
    """Return what comments between the entries of a mapping are bound to, by the keys above it."""
    return ":".join(path) + ":"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
