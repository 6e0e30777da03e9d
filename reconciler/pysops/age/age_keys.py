"""Age identities, and how they open a wrapped key: by pyrage where it knows the kind, by ours where it does not."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, assert_never

from reconciler.pysops.age import bech32
from reconciler.pysops.age.age_file import MalformedAgeFile, Stanza, open_payload, read_age_file, trim_armor
from reconciler.pysops.age.hybrid import PREFIX as HYBRID
from reconciler.pysops.age.hybrid import HybridKey, parse_hybrid_key
from reconciler.pysops.age.ssh_keys import SshEd25519Key, SshRsaKey
from reconciler.pysops.wrapped_keys import WrappedKey


if TYPE_CHECKING:
    from pyrage import ssh, x25519

X25519: Final = "AGE-SECRET-KEY-1"
PLUGIN: Final = "AGE-PLUGIN-"

_PLUGIN_PREFIX: Final = re.compile(r"AGE-PLUGIN-[A-Z0-9+._-]+-")


@dataclass(frozen=True, slots=True, kw_only=True)
class X25519Key:
    """An ``AGE-SECRET-KEY-1…``."""

    recipient: str
    """``age1…``."""

    identity: "x25519.Identity" = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginKey:
    """An ``AGE-PLUGIN-…``, for a program that sops would start. Nothing is opened with it here."""


AgeKey = X25519Key | HybridKey | SshEd25519Key | SshRsaKey
"""What opens a wrapped key."""


def parse_age_key(text: str) -> AgeKey | PluginKey | None:
    """Read one identity, ``parseIdentity`` of age/keysource.go.

    Returns:
        None when it is none.

    Raises:
        HybridUnsupported: it is a post-quantum one, and this machine cannot use it.
    """
    if text.startswith(PLUGIN):
        return PluginKey() if _is_plugin_key(text) else None
    if text.startswith(HYBRID):
        return parse_hybrid_key(text)
    return _parse_x25519(text) if text.startswith(X25519) else None


def _parse_x25519(text: str) -> X25519Key | None:
    from pyrage import IdentityError as ForeignIdentityError
    from pyrage import x25519

    try:
        identity = x25519.Identity.from_str(text)
    except ForeignIdentityError:
        return None
    return X25519Key(recipient=str(identity.to_public()), identity=identity)


def _is_plugin_key(text: str) -> bool:
    decoded = bech32.decode(text)
    return decoded is not None and _PLUGIN_PREFIX.fullmatch(decoded[0]) is not None


class Keyring:
    """Identities, sorted by who opens wrapped keys with them."""

    __slots__ = ("__by_pyrage", "__by_us", "recipients")

    def __init__(self, keys: Iterable[AgeKey]) -> None:
        by_recipient = {key.recipient: key for key in keys}
        self.recipients: frozenset[str] = frozenset(by_recipient)
        by_pyrage: list[x25519.Identity | ssh.Identity] = []
        by_us: list[Callable[[Stanza], bytes | None]] = []
        for key in by_recipient.values():
            match key:
                case X25519Key() | SshEd25519Key():
                    by_pyrage.append(key.identity)
                case HybridKey() | SshRsaKey():
                    by_us.append(key.unwrap)
                case _:
                    assert_never(key)
        self.__by_pyrage = by_pyrage
        self.__by_us = by_us

    def open_any(self, wrapped_keys: Sequence[WrappedKey]) -> bytes | None:
        """Decrypt the first that can be decrypted, in file order, as sops does.

        Not those first that are labelled with one of our recipients, though that would be quicker: labels are written
        by whoever wrote the file, and a stanza that somebody put in would then decide otherwise than with sops.
        """
        if not self.recipients:
            return None
        return next((opened for wrapped in wrapped_keys if (opened := self._open(wrapped.enc)) is not None), None)

    def _open(self, enc: str) -> bytes | None:
        armored = trim_armor(enc)
        if armored is None:
            return None
        opened = _open_by_pyrage(armored, self.__by_pyrage) if self.__by_pyrage else None
        if opened is None and self.__by_us:
            opened = _open_by_us(armored, self.__by_us)
        return opened


def _open_by_pyrage(armored: str, identities: "Sequence[x25519.Identity | ssh.Identity]") -> bytes | None:
    from pyrage import DecryptError, decrypt

    try:
        opened: bytes = decrypt(armored.encode(), identities)
    except DecryptError:
        return None
    return opened


def _open_by_us(armored: str, openers: Sequence[Callable[[Stanza], bytes | None]]) -> bytes | None:
    try:
        file = read_age_file(armored)
        for unwrap in openers:
            for stanza in file.stanzas:
                file_key = unwrap(stanza)
                if file_key is not None:
                    return open_payload(file, file_key)
    except MalformedAgeFile:
        pass
    return None
