"""The private keys at hand, gathered from where sops looks for them.

All sources add up. What is wrong with one of them is kept and shown only when nothing opens the file, as sops does it:
a stale key file must not stop somebody whose key stands in the environment.

https://getsops.io/docs/#encrypting-using-age names the sources. Read here: ``SOPS_AGE_KEY``, ``SOPS_AGE_KEY_FILE`` and
the key file of the user. SSH keys, post-quantum keys, plugins and commands that print a key are not read.
"""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Never, Self

from reconciler.pysops.errors import IdentityError, Mark
from reconciler.pysops.wrapped_keys import KeyGroup, WrappedKey


if TYPE_CHECKING:
    from pyrage import x25519

MAX_KEY_FILE_BYTES: Final = 1024 * 1024
"""Largest key file that is read: nobody has ten thousand identities, but somebody may name the wrong file."""

_X25519: Final = "AGE-SECRET-KEY-1"
_UNSUPPORTED: Final = {"AGE-SECRET-KEY-PQ-1": "a post-quantum key", "AGE-PLUGIN-": "a key of a plugin"}
_ENCRYPTED_FILE: Final = ("age-encryption", "-----BEGIN AGE")
_ARMOR: Final = "-----BEGIN AGE ENCRYPTED FILE-----"
_UNREAD_VARIABLES: Final = ("SOPS_AGE_KEY_CMD", "SOPS_AGE_SSH_PRIVATE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_CMD")
_LINE_END: Final = re.compile(r"\r?\n")


class Identities:
    """Age identities, parsed once for any number of files. Never show a key: not printed, pickled or copied."""

    __slots__ = ("__keys", "problems", "sources")

    def __init__(self, keys: "Iterable[tuple[str, x25519.Identity]]", sources: Sequence[str] = ()) -> None:
        self.__keys = dict(keys)
        self.sources: tuple[str, ...] = tuple(sources)
        """Where identities were found."""
        self.problems: tuple[IdentityError, ...] = ()
        """What is wrong with other sources."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], home: Path, *, platform: str = sys.platform) -> Self:
        """Gather the identities that sops would find.

        Args:
            environ: the environment of the process.
            home: the home directory of the user.
            platform: as `sys.platform`; decides where the key file of the user is.

        Returns:
            Possibly none; then `problems` may say why.
        """
        found = cls(())
        if "SOPS_AGE_KEY" in environ:
            found._add(environ["SOPS_AGE_KEY"], "SOPS_AGE_KEY", words=True)
        if "SOPS_AGE_KEY_FILE" in environ:
            found._add_file(Path(environ["SOPS_AGE_KEY_FILE"]), "the file that SOPS_AGE_KEY_FILE names")
        default = _default_key_file(environ, home, platform)
        if default is None:
            found._complain("the key file of the user cannot be located: XDG_CONFIG_HOME is not an absolute path")
        else:
            found._add_file(default, str(default), optional=True)
        for name in _UNREAD_VARIABLES:
            if name in environ:
                found._complain(f"{name} is set, which is not supported yet")
        return found

    @classmethod
    def from_text(cls, text: str, source: str) -> Self:
        """Read the text of one key file.

        Args:
            text: one identity a line; empty lines and lines that start with ``#`` are skipped.
            source: what to call it in messages.

        Returns:
            No identities when a single line is bad; then `problems` says which.
        """
        found = cls(())
        found._add(text, source, words=False)
        return found

    @property
    def recipients(self) -> tuple[str, ...]:
        """The public halves, ``age1…``."""
        return tuple(self.__keys)

    def open_group(self, group: KeyGroup) -> bytes | None:
        """Decrypt what a key group wraps: the data key, or a part of it.

        The wrapped keys that name one of our recipients are tried first: in a file for twelve people that saves most of
        the work. The others follow, in file order, as one may be labelled wrongly.

        Returns:
            None when no identity opens any of them.
        """
        for wrapped in sorted(group, key=lambda wrapped: wrapped.recipient.name not in self.__keys):
            opened = self._open(wrapped) if wrapped.recipient.kind == "age" else None
            if opened is not None:
                return opened
        return None

    def _open(self, wrapped: WrappedKey) -> bytes | None:
        armored = wrapped.enc.strip()  # Go's reader skips blank lines in front, pyrage does not
        if not self.__keys or not armored.startswith(_ARMOR):
            return None
        from pyrage import DecryptError, decrypt

        try:
            opened: bytes = decrypt(armored.encode(), list(self.__keys.values()))
        except DecryptError:
            return None
        return opened

    def _add(self, text: str, source: str, *, words: bool) -> None:
        if text.startswith(_ENCRYPTED_FILE):
            self._complain(f"{source} is encrypted with a passphrase, which is not supported", source)
            return
        keys = {}
        unsupported = []
        for number, line in enumerate(_LINE_END.split(text), start=1):
            if not line or line.startswith("#"):
                continue
            for word in line.split() if words else (line,):
                kind = next((kind for prefix, kind in _UNSUPPORTED.items() if word.startswith(prefix)), None)
                if kind is not None:
                    unsupported.append(f"{source} holds {kind}, which is not supported yet")
                    continue
                key = _parse_key(word)
                if key is None:
                    self._complain(f"{source} is not used: line {number} is no age identity", source, number)
                    return
                keys[str(key.to_public())] = key
        if not keys and not unsupported:
            self._complain(f"{source} holds no age identity", source)
            return
        self.__keys |= keys
        self.sources += (source,) if keys else ()
        for what in dict.fromkeys(unsupported):
            self._complain(what, source)

    def _add_file(self, path: Path, source: str, *, optional: bool = False) -> None:
        # Messages name the variable and not its content: somebody may have put the key itself there.
        try:
            with path.open("rb") as file:
                data = file.read(MAX_KEY_FILE_BYTES + 1)
        except FileNotFoundError:
            if not optional:
                self._complain(f"{source} does not exist")
        except (OSError, ValueError):  # ValueError: a NUL in the name
            self._complain(f"{source} cannot be read")
        else:
            self._add_bytes(data, source)

    def _add_bytes(self, data: bytes, source: str) -> None:
        if len(data) > MAX_KEY_FILE_BYTES:
            self._complain(f"{source} is too large for a key file")
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self._complain(f"{source} is not text")
        else:
            self._add(text, source, words=False)

    def _complain(self, what: str, source: str | None = None, line: int | None = None) -> None:
        mark = None if line is None else Mark(line=line, column=1)
        expected = None if source is None else f"one {_X25519}… a line"
        self.problems += (IdentityError(what, mark=mark, expected=expected),)

    def __len__(self) -> int:
        return len(self.__keys)

    def __repr__(self) -> str:
        return f"Identities({len(self)} from {', '.join(self.sources) or 'nowhere'})"

    def __reduce__(self) -> Never:
        raise TypeError("identities are not pickled or copied")


def _parse_key(text: str) -> "x25519.Identity | None":
    from pyrage import IdentityError as ForeignIdentityError
    from pyrage import x25519

    if not text.startswith(_X25519):
        return None
    try:
        return x25519.Identity.from_str(text)
    except ForeignIdentityError:
        return None


def _default_key_file(environ: Mapping[str, str], home: Path, platform: str) -> Path | None:
    configured = environ.get("AppData" if platform == "win32" else "XDG_CONFIG_HOME")
    if configured:
        folder = Path(configured)
        if not folder.is_absolute():
            return None
    elif platform == "darwin":
        folder = home / "Library" / "Application Support"
    else:
        folder = home / ".config"
    return folder / "sops" / "age" / "keys.txt"
