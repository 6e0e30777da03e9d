"""Edits that could not be saved: kept encrypted, to whom the file is encrypted, until somebody goes on with them.

One is a SOPS file of its own in ``.reconciler/edits/``, made and opened by what makes and opens the file it is about:
nobody can read it who could not read that, and the sops program opens it as well. Git ignores the folder.
"""

import base64
import binascii
import hashlib
import os
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from reconciler import pysops
from reconciler.connections import state_folder
from reconciler.editing.draft import Draft
from reconciler.errors import InvalidInput, Problem, ReconcilerError, escaped


FOLDER: Final = "edits"

_MOST: Final = 100
"""Kept edits of one file. Whoever has so many makes them by a program."""

_BEFORE: Final = "before"
_EDITED: Final = "edited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What somebody made of a text. Holds values."""

    before: bytes = field(repr=False)
    """The text that they were shown."""

    edited: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A kept edit, still closed."""

    place: Path
    file: str
    """Which file it is about, as in `Sources.files`."""

    since: datetime


def kept_edits(draft: Draft, file: str) -> tuple[Kept, ...]:
    """Return the kept edits of a file, oldest first.

    Raises:
        Refused: The folder of what is kept here cannot be used.
    """
    folder = state_folder(draft.settings) / FOLDER
    found = [place for number in range(_MOST) if (place := folder / _name(file, number)).is_file()]
    since = ((place, datetime.fromtimestamp(place.stat().st_mtime, UTC)) for place in found)
    return tuple(sorted((Kept(place=place, file=file, since=at) for place, at in since), key=lambda kept: kept.since))


def _name(file: str, number: int) -> str:
    """Return how a kept edit is called: for people by the file, for the system by the whole path of that."""
    digest = hashlib.sha256(file.encode(errors="surrogateescape")).hexdigest()[:16]
    return f"{Path(file).stem[:60]}-{digest}-{number}.yaml"


def keep(draft: Draft, file: str, edit: Edit, *, locked: "pysops.LockedFile | None", instead: Kept | None) -> Kept:
    """Keep an edit.

    Args:
        draft: of the tree, for the keys of the file and the rules.
        file: what it is about.
        edit: the edit.
        locked: the file as it was; None when it was to be a new one.
        instead: a kept edit that this one goes on with, and whose place it takes.

    Raises:
        ReconcilerError: It cannot be encrypted, or not be written. Nothing was.
    """
    sealed = _sealed(draft, file, edit, locked)
    folder = state_folder(draft.settings) / FOLDER
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink():
            raise ReconcilerError(f"{folder} is a link", advice="remove it")
        descriptor, staged = tempfile.mkstemp(prefix=".", suffix=".new", dir=folder)  # 0600
        with os.fdopen(descriptor, "wb") as out:
            out.write(sealed)
            out.flush()
            os.fsync(out.fileno())
        place = _placed(Path(staged), folder, file, instead)
    except OSError:
        raise ReconcilerError(f"{folder} cannot be written", advice="check its permissions, and the disk") from None
    return Kept(place=place, file=file, since=datetime.now(UTC))


def _placed(staged: Path, folder: Path, file: str, instead: Kept | None) -> Path:
    """Give a finished file its name, in the place of none but ``instead``; return where it is."""
    if instead is not None:
        staged.replace(instead.place)
        return instead.place
    try:
        for number in range(_MOST):
            place = folder / _name(file, number)
            try:
                place.hardlink_to(staged)
            except FileExistsError:
                continue
            return place
    finally:
        staged.unlink(missing_ok=True)
    raise ReconcilerError(f"{_MOST} edits of {escaped(file)} are kept already", advice="resume or drop them")


def open_kept(draft: Draft, kept: Kept) -> Edit:
    """Open a kept edit.

    Raises:
        CannotDecrypt: No identity opens it any more.
        InvalidInput: It is none.
    """
    shown = _relative(draft, kept.place)

    def work() -> bytes:
        document = pysops.parse(pysops.read_file(kept.place))
        rule = draft.policy.rules.rule_for(kept.file)
        locked = pysops.LockedFile.read(document, frozenset() if rule is None else rule.recipients)
        return draft.writer(kept.file).plaintext(locked)

    root = pysops.parse(draft.told(shown, work)).root
    texts = {
        entry.key.text: entry.value.text
        for each in root.entries
        if each.key.text == "secrets" and isinstance(each.value, pysops.Mapping)
        for entry in each.value.entries
        if isinstance(entry.value, pysops.Scalar)
    }
    try:
        return Edit(before=_unpacked(texts, _BEFORE), edited=_unpacked(texts, _EDITED))
    except (KeyError, binascii.Error, ValueError, zlib.error):
        pass
    raise InvalidInput((Problem(path=shown, what="this is no edit that was kept here", advice="delete the file"),))


def drop(kept: Kept) -> None:
    """Delete a kept edit; one that is gone already is fine."""
    kept.place.unlink(missing_ok=True)


def _relative(draft: Draft, place: Path) -> str:
    return place.relative_to(draft.settings.root).as_posix()


def _sealed(draft: Draft, file: str, edit: Edit, locked: "pysops.LockedFile | None") -> bytes:
    """Return an edit, encrypted with the data key of its file; of a new file, to whom the rule names."""
    text = (
        f'version: 1\nsecrets:\n    {_BEFORE}: "{_packed(edit.before)}"\n    {_EDITED}: "{_packed(edit.edited)}"\n'
    ).encode()
    now = datetime.now(UTC)
    writer = draft.writer(file)

    def work() -> bytes:
        if locked is not None:
            return writer.reseal(locked, text, now=now)
        rule, destination = draft.rule(file), draft.settings.root / file
        return writer.encrypt(text, rule=rule, now=now, destination=destination, config=draft.rules_place)

    sealed = draft.told(file, work)
    # A file with another selector would leave it plain: this is no scope file, whose rules are checked by policy.
    entries = next(each.value for each in pysops.parse(sealed).root.entries if each.key.text == "secrets")
    values = [entry.value for entry in entries.entries] if isinstance(entries, pysops.Mapping) else []
    if not values or not all(isinstance(value, pysops.Scalar) and value.envelope is not None for value in values):
        raise ReconcilerError(f"what is below secrets is not encrypted in {escaped(file)}")
    return sealed


def _packed(text: bytes) -> str:
    # Smaller, and never empty: sops does not encrypt empty text.
    return base64.b64encode(zlib.compress(text)).decode("ascii")


def _unpacked(texts: Mapping[str, str], name: str) -> bytes:
    data = base64.b64decode(texts[name], validate=True)
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(data, pysops.MAX_FILE_BYTES)
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise ValueError("longer than a file may be")
    return text
