"""Which way a file is opened: in-process, or by the sops program for what only it can ask.

In-process wherever an age identity opens the file: that is quicker, starts nothing and tells places. The program knows
PGP, the key services of the clouds, Vault, plugins and passphrases; it is given only files whose key sources
``.sops.yaml`` names (see `key_sources`). What it says is read by the same strict rules. A value or a MAC that was found
to be wrong in-process is wrong: nobody else is asked.
"""

import enum
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self, assert_never

from reconciler.pysops.child import Children
from reconciler.pysops.crypt import decrypt
from reconciler.pysops.document import Document, parse
from reconciler.pysops.errors import BinaryError, DecryptionError, NoIdentity, SopsError
from reconciler.pysops.identities import Identities
from reconciler.pysops.key_groups import recover_data_key
from reconciler.pysops.leaving import bare, frameless
from reconciler.pysops.sops_metadata import Metadata, read_metadata
from reconciler.pysops.wrapped_keys import Recipient


if TYPE_CHECKING:
    from reconciler.pysops.binary import SopsBinary

MAX_AT_ONCE: Final = 3
"""Programs that run side by side: each is a process, and asks the same key services."""


class Decryptor(enum.Enum):
    """Which way to open files."""

    AUTO = "auto"
    """In-process when an age identity opens the file, else the sops program."""

    NATIVE = "native"
    """In-process only."""

    SOPS = "sops"
    """The sops program only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedFile:
    """A file to open. Made by `read`."""

    document: Document = field(repr=False)
    metadata: Metadata
    """Of the document."""

    named: frozenset[Recipient] = frozenset()
    """Whom ``.sops.yaml`` names for the file, at the commit that it is from."""

    @classmethod
    def read(cls, document: Document, named: Collection[Recipient] = ()) -> Self:
        """Return a file that was parsed.

        Raises:
            MetadataError: its metadata is missing or malformed.
        """
        return cls(document=document, metadata=read_metadata(document), named=frozenset(named))


@dataclass(frozen=True, slots=True, kw_only=True)
class _ForSops:
    """What could not be opened in-process, for a reason that the program may overcome."""

    why: NoIdentity | None
    """None when nothing was tried."""


class Unlocker:
    """Opens files with the keys of one target. Threads may share it."""

    def __init__(
        self,
        identities: Identities,
        *,
        decryptor: Decryptor = Decryptor.AUTO,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Start nothing yet: the program is looked for when it is needed.

        Args:
            identities: the age keys that are tried in-process.
            decryptor: which way to open files.
            environ: where the program is found, and where it finds its keys. For the same result either way it holds
                what ``identities`` were made of.
        """
        self.identities = identities
        self._decryptor = decryptor
        self._environ: Mapping[str, str] = MappingProxyType(dict(environ or {}))
        self._children = Children()
        self._lock = threading.Lock()
        self._binary: SopsBinary | BinaryError | None = None

    def stop(self) -> None:
        """End the programs that run, for an interrupt of the main thread. Calls that wait for them fail."""
        self._children.stop()
        self.identities.stop()

    @frameless
    def unlock(self, file: LockedFile) -> dict[str, object]:
        """Open one file.

        Returns:
            The values, as `crypt.decrypt` returns them, whichever way it was opened.

        Raises:
            SopsError: as for `crypt.decrypt` and `SopsBinary.decrypt`. NoIdentity says why the program was not asked.
        """
        opened = self._in_process(file)
        if isinstance(opened, _ForSops):
            opened = self._by_sops(file, opened.why)
        if isinstance(opened, SopsError):
            raise opened
        return opened

    @frameless
    def unlock_all(self, files: Sequence[LockedFile]) -> tuple[dict[str, object] | SopsError, ...]:
        """Open several files; return the values of each, or why it does not open, in the same order.

        In-process one after the other, as threads that compute take turns; by the program a few at a time, or one by
        one if it may ask for a passphrase.
        """
        opened = [self._in_process(file) for file in files]
        waiting = [(index, one.why) for index, one in enumerate(opened) if isinstance(one, _ForSops)]
        if not waiting:
            return tuple(_settled(opened))
        at_once = 1 if self._asks else min(MAX_AT_ONCE, len(waiting))
        with ThreadPoolExecutor(at_once, thread_name_prefix="sops") as pool:
            try:
                futures = [(index, pool.submit(self._by_sops, files[index], why)) for index, why in waiting]
                for index, future in futures:
                    opened[index] = future.result()
            except BaseException:
                self.stop()
                raise
        return tuple(_settled(opened))

    @property
    def _asks(self) -> bool:
        """Whether the program may have to ask for a passphrase, or for a touch of a token."""
        return self.identities.look_everywhere().needs_sops

    @frameless
    def data_key(self, file: LockedFile) -> bytes:
        """Return the data key of a file, for whoever writes it anew with the same one.

        The program never tells it: it is asked to encrypt it to a recipient that exists for this alone, in memory.

        Raises:
            SopsError: as for `unlock`; the MAC is not looked at.
        """
        why: NoIdentity | None = None
        if self._decryptor is not Decryptor.SOPS:
            try:
                return recover_data_key(file.metadata, self.identities)
            except NoIdentity as error:
                if not self._may_ask_program(file):
                    raise
                why = bare(error)
        return self._data_key_by_sops(file, why)

    def _data_key_by_sops(self, file: LockedFile, why: NoIdentity | None) -> bytes:
        from pyrage import x25519

        own = x25519.Identity.generate()
        try:
            given = self.program().give_to(file.document, str(own.to_public()), named=file.named)
            return recover_data_key(
                read_metadata(parse(given)), Identities.from_text(str(own), "a key that was made for this")
            )
        except SopsError as error:
            raise bare(_joined(why, error) if why is not None and _is_about_keys(error) else error) from None

    def _may_ask_program(self, file: LockedFile) -> bool:
        others = any(recipient.kind != "age" for recipient in file.metadata.recipients)
        return self._decryptor is Decryptor.AUTO and (others or self._asks)

    def _in_process(self, file: LockedFile) -> dict[str, object] | SopsError | _ForSops:
        """Open a file without the program, or say that the program has to."""
        match self._decryptor:
            case Decryptor.SOPS:
                return _ForSops(why=None)
            case Decryptor.AUTO if file.metadata.selects_by_comment:
                return _ForSops(why=None)
            case Decryptor.NATIVE | Decryptor.AUTO:
                pass
            case _:
                assert_never(self._decryptor)
        try:
            return decrypt(file.document, self.identities)
        except NoIdentity as error:
            failure: SopsError = error
            if self._may_ask_program(file):
                return _ForSops(why=error)
        except SopsError as error:
            failure = error
        return bare(failure)

    def _by_sops(self, file: LockedFile, why: NoIdentity | None) -> dict[str, object] | SopsError:
        """Let the program open a file, if it may be asked.

        Args:
            file: the file.
            why: why it was not opened in-process, if that was tried.
        """
        try:
            return self.program().decrypt(file.document, named=file.named)
        except SopsError as error:
            failure = error
        if why is not None and _is_about_keys(failure):
            failure = _joined(why, failure)
        return bare(failure)

    def program(self) -> "SopsBinary":
        """Return the sops program, which is looked for once.

        Raises:
            BinaryError: there is none that is fit for use.
        """
        # Imported only here: nearly all files are opened in-process, and it takes a tenth of the start-up of a plan.
        from reconciler.pysops.binary import SopsBinary

        with self._lock:
            if self._binary is None:
                try:
                    # What a command prints later may need more, but where there is one, age recipients have to be
                    # named anyway.
                    self._binary = SopsBinary.find(self._environ, asks=self._asks, children=self._children)
                except BinaryError as error:
                    self._binary = error
            found = self._binary
        if isinstance(found, BinaryError):  # a new one each time: threads would write each other's frames into it
            raise BinaryError(found.what, expected=found.expected, advice=found.advice)
        return found


def _settled(opened: Iterable[dict[str, object] | SopsError | _ForSops]) -> Iterable[dict[str, object] | SopsError]:
    return (one for one in opened if not isinstance(one, _ForSops))


def _is_about_keys(failure: SopsError) -> bool:
    return isinstance(failure, NoIdentity | BinaryError) or type(failure) is DecryptionError


def _joined(why: NoIdentity, failure: SopsError) -> SopsError:
    """Return one error of why a file was not opened in-process, and why the program did not open it either."""
    advice = "; ".join(dict.fromkeys(part for part in (failure.advice, why.advice) if part))
    kind = BinaryError if isinstance(failure, BinaryError) else NoIdentity
    return kind(
        f"{why.what}; {failure.what}",
        mark=failure.mark or why.mark,
        expected=failure.expected or why.expected,
        advice=advice or None,
    )
