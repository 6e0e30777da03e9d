"""The age file format, as far as a wrapped data key needs it: armor, header, one chunk of payload.

For the recipients that pyrage does not know. Strict: what is read is what age itself would write, byte by byte, so
there is one text for each file. See https://age-encryption.org/v1 (C2SP), "File format" and "ASCII armor".
"""

import base64
import binascii
import hmac
import re
from dataclasses import dataclass, field
from typing import Final


ARMOR: Final = "-----BEGIN AGE ENCRYPTED FILE-----"
ARMOR_END: Final = "-----END AGE ENCRYPTED FILE-----"

MAX_ARMOR_LENGTH: Final = 1024 * 1024
"""Longest armored file that is read, in characters. A wrapped key takes 400, with a post-quantum recipient 2,200."""

_BLANKS: Final = " \t\n\v\f\r"
_MAX_BLANK: Final = 1024
"""White space allowed before and behind the armor, as age has it."""

FILE_KEY_BYTES: Final = 16

INTRO: Final = b"age-encryption.org/v1\n"
LINE_LENGTH: Final = 64
_MAC_BYTES: Final = 32
_ARGUMENT: Final = re.compile(rb"[!-~]+")
NONCE_BYTES: Final = 16
_CHUNK_BYTES: Final = 64 * 1024
_TAG_BYTES: Final = 16
FIRST_AND_LAST_CHUNK: Final = bytes(11) + b"\x01"


class MalformedAgeFile(Exception):
    """It is not an age file, or a part of it is not what its kind demands. Says no more, and never leaves pysops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stanza:
    """The file key, encrypted to one recipient."""

    kind: str
    arguments: tuple[str, ...]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeFile:
    """A file, taken apart; nothing of it is authenticated yet."""

    stanzas: tuple[Stanza, ...]
    header: bytes = field(repr=False)
    """What the MAC of the header is over."""

    mac: bytes
    payload: bytes = field(repr=False)


def trim_armor(text: str) -> str | None:
    """Take away the blank lines around an armored file that age allows.

    Returns:
        From the first line of the armor to its last; None when it is not armored.
    """
    before, begin, rest = text.partition(ARMOR)
    body, end, behind = rest.rpartition(ARMOR_END)
    if not (begin and end) or len(text) > MAX_ARMOR_LENGTH:
        return None
    if (before and not before.endswith("\n")) or (behind and not behind.startswith(("\n", "\r\n"))):
        return None
    if before.strip(_BLANKS) or behind.strip(_BLANKS) or max(len(before), len(behind)) > _MAX_BLANK:
        return None
    return f"{begin}{body}{end}\n"


def read_age_file(armored: str) -> AgeFile:
    """Take an armored file apart.

    Args:
        armored: as `trim_armor` returns it.

    Raises:
        MalformedAgeFile: it is not what age writes.
    """
    first, *lines, last, rest = armored.replace("\r\n", "\n").split("\n")
    data = _decode_base64("".join(lines).encode())
    canonical = base64.b64encode(data).decode()
    if lines != [canonical[at : at + LINE_LENGTH] for at in range(0, len(canonical), LINE_LENGTH)]:
        raise MalformedAgeFile
    if (first, last, rest) != (ARMOR, ARMOR_END, "") or not data.startswith(INTRO):
        raise MalformedAgeFile
    stanzas = []
    at = len(INTRO)
    while not data.startswith(b"---", at):
        stanza, at = _read_stanza(data, at)
        stanzas.append(stanza)
    line, payload_at = _read_line(data, at)
    mac = _decode_unpadded(line[4:])
    if not line.startswith(b"--- ") or len(mac) != _MAC_BYTES:
        raise MalformedAgeFile
    return AgeFile(stanzas=tuple(stanzas), header=data[: at + 3], mac=mac, payload=data[payload_at:])


def open_payload(file: AgeFile, file_key: bytes) -> bytes:
    """Check the header with the file key, and decrypt the payload.

    Raises:
        MalformedAgeFile: header or payload do not authenticate, or the payload is longer than a data key ever is.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    if len(file_key) != FILE_KEY_BYTES:
        raise MalformedAgeFile
    if not hmac.compare_digest(hmac.digest(derive(file_key, b"", b"header"), file.header, "sha256"), file.mac):
        raise MalformedAgeFile
    nonce, chunk = file.payload[:NONCE_BYTES], file.payload[NONCE_BYTES:]
    if len(nonce) != NONCE_BYTES or not _TAG_BYTES <= len(chunk) <= _CHUNK_BYTES + _TAG_BYTES:
        raise MalformedAgeFile
    try:
        return ChaCha20Poly1305(derive(file_key, nonce, b"payload")).decrypt(FIRST_AND_LAST_CHUNK, chunk, None)
    except InvalidTag:
        raise MalformedAgeFile from None


def decode_argument(text: str) -> bytes:
    """Decode an argument of a stanza.

    Raises:
        MalformedAgeFile: it is not base64 without padding, as age writes it.
    """
    return _decode_unpadded(text.encode())


def _decode_unpadded(text: bytes) -> bytes:
    data = _decode_base64(text + b"=" * (-len(text) % 4))
    if encode_unpadded(data) != text:  # spare bits that are not zero, or padding
        raise MalformedAgeFile
    return data


def _decode_base64(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        raise MalformedAgeFile from None


def encode_unpadded(data: bytes) -> bytes:
    """Encode as stanzas hold it."""
    return base64.b64encode(data).rstrip(b"=")


def _read_stanza(data: bytes, at: int) -> tuple[Stanza, int]:
    line, at = _read_line(data, at)
    arrow, *words = line.split(b" ")
    if arrow != b"->" or not words or not all(_ARGUMENT.fullmatch(word) for word in words):
        raise MalformedAgeFile
    kind, *arguments = (word.decode() for word in words)
    body = []
    while True:
        line, at = _read_line(data, at)
        if len(line) > LINE_LENGTH:
            raise MalformedAgeFile
        body.append(_decode_unpadded(line))
        if len(line) < LINE_LENGTH:  # a short line, perhaps an empty one, ends a stanza
            return Stanza(kind=kind, arguments=tuple(arguments), body=b"".join(body)), at


def _read_line(data: bytes, at: int) -> tuple[bytes, int]:
    end = data.find(b"\n", at)
    if end < 0:
        raise MalformedAgeFile
    return data[at:end], end + 1


def derive(file_key: bytes, salt: bytes, info: bytes) -> bytes:
    """Return one of the keys of a file."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(file_key)
