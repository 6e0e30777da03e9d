"""SSH keys as age identities: ``ssh-ed25519`` and ``ssh-rsa``, from the forms in which OpenSSH and OpenSSL keep them.

As ``agessh`` of age, of which sops makes use (``ssh.ParseRawPrivateKey`` of golang.org/x/crypto): the first PEM block
counts, in the form of OpenSSH, PKCS#1 or PKCS#8, without a passphrase. pyrage reads no PKCS#8, and opens nothing with
an RSA key of more than 4,096 bits: `cryptography` reads keys, and uses those of RSA too, whatever their size.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from reconciler.pysops.age.age_file import MalformedAgeFile, Stanza, encode_unpadded


if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers
    from pyrage import ssh

MAX_SSH_KEY_BYTES: Final = 64 * 1024
"""Largest SSH key that is read; one of 8,192 bits takes 7 KB."""

_BEGIN: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_ENCRYPTED_PEM: Final = b"Proc-Type: 4,ENCRYPTED"
_OPENSSH: Final = b"OPENSSH PRIVATE KEY"
_OPENSSH_MAGIC: Final = b"openssh-key-v1\0"
_MIN_RSA_BITS: Final = 1024
_MAX_RSA_BITS: Final = 8192
_MAX_EXPONENT_BITS: Final = 24
"""Of the Go libraries, which refuse to compute with others. That of SSH bounds the exponent, also of public keys."""

_RSA_LABEL: Final = b"age-encryption.org/v1/ssh-rsa"


@dataclass(frozen=True, slots=True, kw_only=True)
class SshEd25519Key:
    """An ``ssh-ed25519`` key."""

    recipient: str
    """``ssh-ed25519 AAAA…``, without a comment."""

    identity: "ssh.Identity" = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SshRsaKey:
    """An ``ssh-rsa`` key."""

    recipient: str
    """``ssh-rsa AAAA…``, without a comment."""

    key: "RSAPrivateKey" = field(repr=False)

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """Return the file key; None when the stanza is for somebody else.

        See https://age-encryption.org/v1 (C2SP), "The ssh-rsa recipient type".

        Raises:
            MalformedAgeFile: the stanza names this key, which does not open it.
        """
        from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
        from cryptography.hazmat.primitives.hashes import SHA256

        if stanza.kind != "ssh-rsa":
            return None
        if len(stanza.arguments) != 1:
            raise MalformedAgeFile
        if stanza.arguments[0] != self._tag:
            return None
        try:
            return self.key.decrypt(stanza.body, OAEP(mgf=MGF1(SHA256()), algorithm=SHA256(), label=_RSA_LABEL))
        except ValueError:
            raise MalformedAgeFile from None

    @property
    def _tag(self) -> str:
        wire = base64.b64decode(self.recipient.split(" ")[1])
        return encode_unpadded(hashlib.sha256(wire).digest()[:4]).decode()


SshKey = SshEd25519Key | SshRsaKey


class PassphraseNeeded(Exception):
    """A key is protected by a passphrase. Never leaves pysops."""


def parse_ssh_key(data: bytes) -> SshKey | None:
    """Read a private key.

    Args:
        data: the text of the key file.

    Returns:
        None when it is none that sops takes.

    Raises:
        PassphraseNeeded: it is protected.
    """
    if len(data) > MAX_SSH_KEY_BYTES:
        return None
    for kind, lines in _pem_blocks(data):
        headers = next((number for number, line in enumerate(lines) if b":" not in line), len(lines))
        try:
            decoded = binascii.a2b_base64(b"".join(b"".join(lines[headers:]).split()), strict_mode=True)
        except binascii.Error:
            continue  # as Go does, on to the next block
        if _ENCRYPTED_PEM in lines[:headers] or (kind == _OPENSSH and _names_a_cipher(decoded)):
            raise PassphraseNeeded
        return _load(kind, b"-----BEGIN %b-----\n%b-----END %b-----\n" % (kind, base64.encodebytes(decoded), kind))
    return None


def _pem_blocks(data: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    """Find the PEM blocks of a text: their names, and the lines within."""
    kind: bytes | None = None
    lines: list[bytes] = []
    for line in (line.rstrip(b" \t\r") for line in data.split(b"\n")):
        begin = _BEGIN.fullmatch(line)
        if begin is not None:
            kind, lines = begin[1], []
        elif kind is not None and line == b"-----END %b-----" % kind:
            yield kind, lines
            kind = None
        else:
            lines.append(line)


def _names_a_cipher(decoded: bytes) -> bool:
    """Tell whether a key in the form of OpenSSH is encrypted; see PROTOCOL.key of OpenSSH."""
    if not decoded.startswith(_OPENSSH_MAGIC):
        return False
    rest = decoded[len(_OPENSSH_MAGIC) :]
    length = int.from_bytes(rest[:4])
    name = rest[4 : 4 + length]
    return len(name) == length > 0 and name != b"none"


def _load(kind: bytes, pem: bytes) -> SshKey | None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    # What OpenSSL checks of an RSA key, that its primes are some above all, takes seconds; see `_is_sound`.
    try:
        if kind == _OPENSSH:
            key: object = load_ssh_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
        elif kind in {b"RSA PRIVATE KEY", b"PRIVATE KEY"}:
            key = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
        else:
            return None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if isinstance(key, Ed25519PrivateKey):
        return SshEd25519Key(recipient=_recipient(key), identity=_to_pyrage(key))
    if isinstance(key, RSAPrivateKey) and _is_sound(key.private_numbers(), with_remainders=kind != _OPENSSH):
        return SshRsaKey(recipient=_recipient(key), key=key)
    return None


def _is_sound(key: "RSAPrivateNumbers", *, with_remainders: bool) -> bool:
    """Tell whether the numbers of a key belong together, as far as Go looks before it computes with them.

    That is ``checkPrivateKey`` of crypto/internal/fips140/rsa of Go 1.26, and the bounds of golang.org/x/crypto/ssh.

    Args:
        key: all numbers.
        with_remainders: whether to look at ``d`` modulo both primes, and at the inverse of one modulo the other: Go
            reads them in the forms of OpenSSL and makes them anew in that of OpenSSH.
    """
    p, q, d = key.p, key.q, key.d
    n, e = key.public_numbers.n, key.public_numbers.e
    half = n.bit_length() // 2
    if not (_MIN_RSA_BITS <= n.bit_length() <= _MAX_RSA_BITS and n % 2 and e % 2 and 1 < e < 1 << _MAX_EXPONENT_BITS):
        return False
    if p * q != n or min(p, q) <= 1 or d >= n or e * d % (p - 1) != 1 or e * d % (q - 1) != 1:
        return False
    # Keys that can be found out: by factoring as Fermat did, and by a small exponent.
    if abs(p - q).bit_length() <= half - 100 or d.bit_length() <= half:
        return False
    made = (d % (p - 1), d % (q - 1))
    return not with_remainders or ((key.dmp1, key.dmq1) == made and 0 < key.iqmp < p and key.iqmp * q % p == 1)


def _recipient(key: "Ed25519PrivateKey | RSAPrivateKey") -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _to_pyrage(key: "Ed25519PrivateKey") -> "ssh.Identity":
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from pyrage import ssh

    return ssh.Identity.from_buffer(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
