"""Writing files, one class whoever can open them.

In-process wherever the data key can be had, which is everywhere but where comments select what is encrypted: so all
that is not meant stays as it stands. Where no age identity opens the file, the sops program gives the data key (see
`Unlocker.data_key`). New files are made in-process for recipients of age, and by the program for all others.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from reconciler.pysops.age.wrapping import CannotWrap
from reconciler.pysops.config.creation_rules import CreationRule
from reconciler.pysops.decryptor import Decryptor, LockedFile, Unlocker
from reconciler.pysops.document import parse
from reconciler.pysops.errors import BinaryError
from reconciler.pysops.identities import Identities
from reconciler.pysops.leaving import frameless
from reconciler.pysops.writing.changing import changed
from reconciler.pysops.writing.edits import Edit
from reconciler.pysops.writing.new_files import encrypted, rekeyed
from reconciler.pysops.writing.sealing import Sealer
from reconciler.pysops.writing.texts import opened, resealed


class Writer:
    """Writes files with the keys of one target. Touches no file itself; threads may share it.

    Whatever it returns was read again first, by the same strict rules as any file: it unlocks with the data key, its
    MAC fits, it holds the values that were meant, and is for whom it should be. Nothing of values leaves in errors.
    """

    def __init__(
        self,
        identities: Identities,
        *,
        decryptor: Decryptor = Decryptor.AUTO,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            identities: the age keys that are tried in-process.
            decryptor: which way to get at the data key; with `Decryptor.NATIVE` the program is never started, with
                `Decryptor.SOPS` it also makes the new files.
            environ: where the program is found, and where it finds its keys.
        """
        self._decryptor = decryptor
        self._unlocker = Unlocker(identities, decryptor=decryptor, environ=environ)

    def stop(self) -> None:
        """End the programs that run, for an interrupt of the main thread. Calls that wait for them fail."""
        self._unlocker.stop()

    @frameless
    def change(self, file: LockedFile, edits: Sequence[Edit], *, now: datetime) -> bytes:
        """Change values of a file, with the same data key, for the same recipients.

        Args:
            file: the file.
            edits: what to change, in this order. All of them, or none.
            now: what to write as ``lastmodified``.

        Returns:
            The file; ``file.document.data`` itself if nothing changes. Other values keep their ciphertext, and
            comments, order and layout stay as they stand.

        Raises:
            ArgumentError: an edit cannot be done, a value would stand in plain, or no encrypted value would be left.
            SopsError: the file does not unlock, as for `Unlocker.unlock`.
        """
        if file.metadata.selects_by_comment and self._decryptor is not Decryptor.NATIVE:
            from reconciler.pysops.writing.by_sops import changed_by_sops

            return changed_by_sops(self._unlocker.program(), file, edits)
        return changed(file, self._sealer(file), edits, written_at(now))

    @frameless
    def encrypt(self, plaintext: bytes, *, rule: CreationRule, now: datetime, destination: Path, config: Path) -> bytes:
        """Encrypt a YAML text as a new file, with a new data key.

        Args:
            plaintext: the text, without metadata.
            rule: for whom, and what of it is encrypted.
            now: what to write as ``lastmodified``.
            destination: where it will be written; only for the program.
            config: the ``.sops.yaml`` that has the rule; likewise.

        Raises:
            DocumentError: the text is not what can be read again.
            MetadataError: the rule selects by comment and names recipients of age alone, see `selectors`.
            BinaryError: the program is needed, and missing, not allowed, or failed.
        """
        document = parse(plaintext)
        if self._decryptor is not Decryptor.SOPS and not _selects_by_comment(rule):
            try:
                return encrypted(document, rule, written_at(now))
            except CannotWrap:
                pass
        return self._encrypted_by_sops(plaintext, rule, destination, config)

    @frameless
    def plaintext(self, file: LockedFile) -> bytes:
        """Return a file as YAML text for an editor: the same text, opened, with comments and without the metadata.

        Raises:
            DecryptionError: it cannot be shown so that the same values can be read from it.
            SopsError: it does not unlock, or comments select what is encrypted.
        """
        return opened(file, self._sealer(file))

    @frameless
    def reseal(self, file: LockedFile, plaintext: bytes, *, now: datetime) -> bytes:
        """Encrypt what an editor made of the text that `plaintext` returned, with the same data key.

        Args:
            file: the file as it was.
            plaintext: the edited text.
            now: what to write as ``lastmodified``.

        Returns:
            The file; ``file.document.data`` itself if nothing was edited. Values and comments that are the same below
            the same keys keep their ciphertext.

        Raises:
            DocumentError: the text is not what can be read again.
            SopsError: the file does not unlock, or comments select what is encrypted.
        """
        return resealed(file, self._sealer(file), parse(plaintext), written_at(now))

    @frameless
    def rekey(self, file: LockedFile, *, rule: CreationRule, now: datetime, destination: Path, config: Path) -> bytes:
        """Encrypt a file anew, with a new data key, for the recipients of a rule and by its selector.

        Args:
            file: the file.
            rule: for whom it will be.
            now: what to write as ``lastmodified``.
            destination: where it will be written; only for the program.
            config: the ``.sops.yaml`` that has the rule; likewise.

        Raises:
            ArgumentError: a value that was encrypted would stand in plain, by the selector of the rule.
            SopsError: the file does not unlock; or as for `encrypt`.
        """
        sealer = self._sealer(file)
        if self._decryptor is not Decryptor.SOPS and not _selects_by_comment(rule):
            try:
                return rekeyed(file, sealer, rule, written_at(now))
            except CannotWrap:
                pass
        return self._encrypted_by_sops(opened(file, sealer), rule, destination, config)

    def _sealer(self, file: LockedFile) -> Sealer:
        return Sealer(self._unlocker.data_key(file), file.metadata.mark)

    def _encrypted_by_sops(self, plaintext: bytes, rule: CreationRule, destination: Path, config: Path) -> bytes:
        if self._decryptor is Decryptor.NATIVE:
            raise BinaryError(
                "the rule names recipients for whom only the sops program encrypts, which is not to be started",
                expected="recipients of age",
                advice="allow the program (--decryptor auto)",
            )
        program = self._unlocker.program()
        return program.encrypt(plaintext, destination=destination, config=config, named=rule.recipients)


def written_at(now: datetime) -> str:
    """Return a point in time as sops writes ``lastmodified``."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _selects_by_comment(rule: CreationRule) -> bool:
    return rule.encrypted_comment_regex is not None or rule.unencrypted_comment_regex is not None
