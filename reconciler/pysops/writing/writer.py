"""Writing files: in-process wherever the data key is at hand, so that all that is not meant stays as it stands."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from reconciler.pysops.config.creation_rules import CreationRule
from reconciler.pysops.decryptor import Decryptor, LockedFile
from reconciler.pysops.document import parse
from reconciler.pysops.identities import Identities
from reconciler.pysops.key_groups import recover_data_key
from reconciler.pysops.leaving import frameless
from reconciler.pysops.writing.changing import change_text, new_file, opened_text, resealed
from reconciler.pysops.writing.edits import Edit
from reconciler.pysops.writing.sealing import Sealer


class Writer:
    """Writes files with the keys of one target. Threads may share it."""

    def __init__(
        self,
        identities: Identities,
        *,
        decryptor: Decryptor = Decryptor.AUTO,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Start nothing yet; the same as for `Unlocker`."""
        self.identities = identities
        self._decryptor = decryptor
        self._environ = dict(environ or {})

    def stop(self) -> None:
        """End the programs that run, for an interrupt of the main thread."""
        self.identities.stop()

    @frameless
    def change(self, file: LockedFile, edits: Sequence[Edit], *, now: datetime) -> bytes:
        """Change values of a file, for the same recipients and with the same data key."""
        return change_text(file, self._sealer(file), edits, written_at(now))

    @frameless
    def encrypt(self, plaintext: bytes, *, rule: CreationRule, now: datetime, destination: Path, config: Path) -> bytes:
        """Encrypt a YAML text for the recipients of a rule, as a new file."""
        del destination, config
        return new_file(parse(plaintext), rule, written_at(now))

    @frameless
    def plaintext(self, file: LockedFile) -> bytes:
        """Return a file as text for an editor."""
        return opened_text(file, self._sealer(file))

    @frameless
    def reseal(self, file: LockedFile, plaintext: bytes, *, now: datetime) -> bytes:
        """Encrypt the text that an editor made of what `plaintext` returned."""
        return resealed(file, self._sealer(file), parse(plaintext), written_at(now))

    @frameless
    def rekey(self, file: LockedFile, *, rule: CreationRule, now: datetime, destination: Path, config: Path) -> bytes:
        """Encrypt a file anew, with a new data key, for the recipients of a rule."""
        del destination, config
        text = opened_text(file, self._sealer(file))
        return new_file(parse(text), rule, written_at(now))

    def _sealer(self, file: LockedFile) -> Sealer:
        data_key = recover_data_key(file.metadata, self.identities)
        return Sealer(data_key, file.metadata.mark)


def written_at(now: datetime) -> str:
    """Return a point in time as sops writes ``lastmodified``."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
