"""The identity of whoever starts, where sops looks for it; and the one that an embedded target keeps in git."""

import contextlib
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from reconciler.errors import ReconcilerError, UsageError, escaped
from reconciler.pysops import Identities
from reconciler.pysops.age.key_places import default_key_file
from reconciler.pysops.age.key_texts import TIMEOUT_S, KeysFound, keys_of_text, read_key_file
from reconciler.scaffold import templates
from reconciler.scaffold.questions import EXISTING, GENERATE, split


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIdentity:
    """An identity that was made; in a file once `put` has put it there."""

    recipient: str
    data: bytes = field(repr=False)
    """Its key file."""

    @classmethod
    def make(cls, now: datetime, *, public: bool = False) -> "NewIdentity":
        """Make one, X25519.

        Args:
            now: When, aware.
            public: It will be committed, and its file says so.
        """
        from pyrage import x25519

        identity = x25519.Identity.generate()
        recipient = str(identity.to_public())
        created = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return cls(recipient=recipient, data=templates.key_file(str(identity), recipient, created, public=public))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipients:
    """Who will be able to open the files, and the identity that is to be put somewhere for it."""

    names: tuple[str, ...]
    new: NewIdentity | None = None
    path: Path | None = None
    """Where ``new`` goes."""

    taken: str | None = None
    """The one that was there where a new one was asked for: no second one is made."""


class OwnKeys:
    """The identities of whoever runs this, as sops would find them."""

    def __init__(self, environ: Mapping[str, str], home: Path, *, platform: str = sys.platform) -> None:
        self._place = default_key_file(environ, home, platform)
        # Programs that print a key are not started for a question, nor are SSH keys taken that happen to be there.
        self.identities: Final = Identities.from_environment(environ, home, platform=platform)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Public halves of what is at hand."""
        return self.identities.recipients

    @property
    def place(self) -> str:
        """The key file of the user, or why there is none, to be shown."""
        return str(self._place)

    def resolve(self, text: str, now: datetime) -> Recipients:
        """Return whom ``text`` names.

        Args:
            text: `GENERATE`, `EXISTING` and recipients, separated by commas.
            now: What a new key file says of when it was made.

        Raises:
            UsageError: There is not exactly one identity where one is asked for, or no place for a new one.
        """
        found: list[str] = []
        made: NewIdentity | None = None
        taken: str | None = None
        for word in split(text):
            if word == EXISTING:
                found.append(self._existing())
            elif word == GENERATE:
                present = self._in_place()
                taken = present
                if present is None:
                    made = NewIdentity.make(now)
                found.append(made.recipient if present is None and made is not None else present or "")
            else:
                found.append(word)
        path = self._place if made is not None and isinstance(self._place, Path) else None
        return Recipients(names=tuple(dict.fromkeys(found)), new=made, path=path, taken=taken)

    def _existing(self) -> str:
        if len(self.recipients) == 1:
            return self.recipients[0]
        if self.recipients:
            raise UsageError(
                f"there are {len(self.recipients)} identities: {', '.join(self.recipients)}",
                advice="name those that are meant, with --age-key AGE1… for each",
            )
        problems = "; ".join(problem.what for problem in self.identities.problems)
        raise UsageError(
            "no identity of age was found where sops looks for one" + (f": {problems}" if problems else ""),
            advice=f"--age-key {GENERATE} makes one, --age-key AGE1… names the recipient of one that is kept elsewhere",
        )

    def _in_place(self) -> str | None:
        """Return the recipient of the user's key file; None where there is no such file yet.

        Raises:
            UsageError: There is one without a usable identity, or with several; or there is no place for one.
        """
        if isinstance(self._place, str):
            raise UsageError(f"there is no place for a key file: {self._place}", advice="set HOME or XDG_CONFIG_HOME")
        if not os.path.lexists(self._place):
            return None
        return _recipient_in(read_key_file(self._place, escaped(self.place), timeout_s=TIMEOUT_S), self.place)


def _recipient_in(data: bytes | KeysFound, place: str) -> str:
    found = data if isinstance(data, KeysFound) else keys_of_text(data, escaped(place))
    if len(found.keys) == 1:
        return found.keys[0].recipient
    why = f"it has {len(found.keys)} identities" if found.keys else "; ".join(one.what for one in found.problems)
    raise UsageError(
        f"{escaped(place)} is there already, and is left as it is: {why}",
        advice="name the recipients that are meant, with --age-key AGE1… for each",
    )


def recipient_of(data: bytes, place: str) -> str:
    """Return the recipient of a key file.

    Raises:
        UsageError: It has no usable identity, or several.
    """
    return _recipient_in(data, place)


def put(path: Path, data: bytes) -> None:
    """Put a new key file at ``path``, readable for its user alone, as are the folders made for it.

    Killed at any moment, there is the whole file or none of that name.

    Raises:
        UsageError: Something of that name is there by now, and is left as it is.
        ReconcilerError: It could not be written.
    """
    staged = path.with_name(f".{path.name}.{secrets.token_hex(6)}.new")
    try:
        for folder in reversed([one for one in path.parents if not one.exists()]):
            folder.mkdir(mode=0o700, exist_ok=True)
        try:
            _write(staged, data)
            _name(staged, path, data)
        finally:
            staged.unlink(missing_ok=True)
    except FileExistsError:
        raise UsageError(f"{escaped(str(path))} is there by now, and is left as it is", advice="run again") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "unknown reason"
        advice = "put that right, or name the recipient of an identity that is kept elsewhere with --age-key"
        raise ReconcilerError(f"{escaped(str(path))} could not be written: {reason}", advice=advice) from None


def _name(staged: Path, path: Path, data: bytes) -> None:
    """Give a finished file its name by a second link, as a rename would write over what is there.

    Raises:
        FileExistsError: The name is taken.
    """
    try:
        os.link(staged, path, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        _write(path, data)
    with contextlib.suppress(OSError):  # where folders cannot be opened there is nothing to be done
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
