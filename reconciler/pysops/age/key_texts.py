"""What a source of age identities holds: a text with one a line, or an SSH key; read from a variable, a file or a pipe.

As ``unwrapIdentities`` and ``parseIdentities`` of age/keysource.go have it. Whatever is wrong with a source is an
`IdentityError` to be kept, never one to be raised: other sources count all the same.
"""

import os
import re
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from reconciler.pysops.age.age_keys import X25519, AgeKey, PluginKey, parse_age_key
from reconciler.pysops.age.hybrid import HybridUnsupported
from reconciler.pysops.age.ssh_keys import PassphraseNeeded, parse_ssh_key
from reconciler.pysops.errors import IdentityError, Mark


TIMEOUT_S: Final = 60.0
"""How long a source may take: a person may have to touch a token before a program prints a key."""

MAX_KEY_FILE_BYTES: Final = 1024 * 1024
"""Largest key file that is read: nobody has ten thousand identities, but somebody may name the wrong file."""

_ENCRYPTED_FILE: Final = ("age-encryption", "-----BEGIN AGE")
_LINE_END: Final = re.compile(r"\r?(?:\n|\Z)")
_WORD: Final = re.compile("[^\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
"""With white space as ``isSpace`` of Go's bufio/scan.go has it: `str.split` also parts at the controls from 0x1C on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysFound:
    """What one or several sources hold."""

    keys: tuple[AgeKey, ...] = field(default=(), repr=False)
    sources: tuple[str, ...] = ()
    """Those that hold keys."""

    problems: tuple[IdentityError, ...] = ()
    needs_sops: bool = False
    """Whether there are keys that only the sops program can use, as it asks for a passphrase or starts a plugin."""

    @classmethod
    def all_of(cls, found: "Iterable[KeysFound]") -> Self:
        """Add up what several sources hold."""
        parts = tuple(found)
        return cls(
            keys=tuple(key for part in parts for key in part.keys),
            sources=tuple(dict.fromkeys(source for part in parts for source in part.sources)),
            problems=tuple({problem.what: problem for part in parts for problem in part.problems}.values()),
            needs_sops=any(part.needs_sops for part in parts),
        )

    @classmethod
    def nothing(
        cls, why: str, *, mark: Mark | None = None, expected: str | None = None, needs_sops: bool = False
    ) -> Self:
        """Say why a source holds nothing of use."""
        return cls(problems=(IdentityError(why, mark=mark, expected=expected),), needs_sops=needs_sops)


def keys_of_text(data: bytes, source: str, *, words: bool = False) -> KeysFound:
    """Read a text of age identities: one a line; empty lines and lines that start with ``#`` are skipped.

    Args:
        data: the text.
        source: what to call it in messages.
        words: whether a line may hold several, with white space between them.

    Returns:
        No keys when a single line is bad; then the problem says which.
    """
    text = data.decode(errors="replace")  # sops does not look at comments, which may be in any encoding
    if text.startswith(_ENCRYPTED_FILE):
        what = f"{source} is encrypted with a passphrase, for which only the sops program asks"
        return KeysFound.nothing(what, needs_sops=True)
    expected = f"one {X25519}… a line"
    keys: list[AgeKey] = []
    unused: dict[str, None] = {}
    for number, line in enumerate(_LINE_END.split(text), start=1):
        if not line or line.startswith("#"):
            continue
        for word in _WORD.findall(line) if words else (line,):
            try:
                key = parse_age_key(word)
            except HybridUnsupported:
                what = "a post-quantum key, which needs a cryptography with ML-KEM, such as the wheels from 48 on"
                unused[f"{source} holds {what}"] = None
                continue
            if isinstance(key, PluginKey):
                unused[f"{source} holds a key of a plugin, which only the sops program starts"] = None
            elif key is not None:
                keys.append(key)
            else:
                what = "is not text in UTF-8" if "\ufffd" in line else f"is not used: line {number} is no age identity"
                return KeysFound.nothing(f"{source} {what}", mark=Mark(line=number, column=1), expected=expected)
    if not keys and not unused:
        return KeysFound.nothing(f"{source} holds no age identity", expected=expected)
    return KeysFound(
        keys=tuple(keys),
        sources=(source,) if keys else (),
        problems=tuple(IdentityError(what) for what in unused),
        needs_sops=bool(unused),
    )


def keys_of_ssh(data: bytes, source: str, *, asks: bool = True) -> KeysFound:
    """Read one private SSH key.

    Args:
        data: the text of the key file.
        source: what to call it in messages.
        asks: whether the sops program asks for the passphrase of a key of this source.
    """
    try:
        key = parse_ssh_key(data)
    except PassphraseNeeded:
        what = f"{source} is an SSH key with a passphrase, which is not asked for here"
        return KeysFound.nothing(what, needs_sops=asks)
    if key is None:
        expected = "an ssh-ed25519 or ssh-rsa key, in the form of OpenSSH, PKCS#1 or PKCS#8"
        return KeysFound.nothing(f"{source} holds no SSH key that age can use", expected=expected)
    return KeysFound(keys=(key,), sources=(source,))


def read_key_file(path: str | Path, source: str, *, timeout_s: float, optional: bool = False) -> bytes | KeysFound:
    """Read a key file, which may be a pipe, as in ``SOPS_AGE_KEY_FILE=<(pass show key)``.

    Args:
        path: the file.
        source: what to call it in messages. These never quote the path that a variable holds: somebody may have put the
            key itself there.
        timeout_s: how long a pipe may take.
        optional: whether it may be missing.

    Returns:
        Its bytes, or why there are none.
    """
    try:
        data = _read(path, timeout_s)
    except (FileNotFoundError, NotADirectoryError):
        return KeysFound() if optional else KeysFound.nothing(f"{source} does not exist")
    except TimeoutError:
        return KeysFound.nothing(f"{source} is a pipe from which no key came")
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return KeysFound.nothing(f"{source} cannot be read")
    if len(data) > MAX_KEY_FILE_BYTES:
        return KeysFound.nothing(f"{source} is too large for a key file")
    return data


def _read(path: str | Path, timeout_s: float) -> bytes:
    # Not blocking: opening a FIFO would otherwise wait for somebody to write to it.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb", buffering=0) as file:
        is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        deadline = time.monotonic() + timeout_s
        data = bytearray()
        while len(data) <= MAX_KEY_FILE_BYTES:
            if not is_file:
                _await_readable(file.fileno(), deadline)
            part = file.read(MAX_KEY_FILE_BYTES + 1 - len(data))
            if part is not None:
                data += part
            if part == b"":
                break
        return bytes(data)


def _await_readable(descriptor: int, deadline: float) -> None:
    import select

    if hasattr(select, "poll"):  # not on Windows, where nothing but a file is read by its path
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
