"""Edits that a killed run has left as plain text: kept encrypted by the next run, and their folders taken away."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from reconciler import pysops
from reconciler.editing.draft import Draft
from reconciler.editing.kept_edits import Edit, keep
from reconciler.editing.private_folder import PrivateFolder, left_behind
from reconciler.errors import ReconcilerError, escaped
from reconciler.settings import Observer


def rescue(draft: Draft, observer: Observer, where: Sequence[Path]) -> None:
    """Look for folders of runs that were killed, keep what was typed in them, and remove them. Says what it did.

    Args:
        draft: Of the tree; an edit in another one is only told.
        observer: Told.
        where: Where folders may be.
    """
    root = str(draft.settings.root.resolve())
    with left_behind(where) as folders:
        for folder in folders:
            if folder.about.root != root:
                observer.say(
                    f"note: {folder.path} was left by an edit elsewhere that was killed, and holds plain text; "
                    + _way_out(folder)
                )
                continue
            observer.say(f"note: an edit of {escaped(folder.about.file)} was killed; {_rescued(draft, folder)}")


def _way_out(folder: PrivateFolder) -> str:
    """Return what to do with a folder that is about another tree."""
    about = folder.about
    if not Path(about.root).is_dir():
        return "the directory that it is about is gone: delete it"
    return f"to keep it encrypted: reconciler -C {shlex.quote(about.root)} edit {shlex.quote(about.file)}"


def _rescued(draft: Draft, folder: PrivateFolder) -> str:
    """Keep what is in a folder, remove it, and return what was done."""
    file = folder.about.file
    try:
        before, text = folder.read_before(), folder.read()
        was_typed = before is not None and text is not None and text != before
        if before is not None and text is not None and was_typed:
            locked = None if draft.bytes_of(file) is None else draft.locked(file)
            keep(draft, file, Edit(before=before, edited=text), locked=locked, instead=None)
    except (ReconcilerError, pysops.SopsError):
        return f"what was typed could not be encrypted, and is left in {folder.path}: take it out, and delete that"
    if not folder.remove():
        return f"{folder.path} cannot be removed, and holds plain text: delete it"
    if not was_typed:
        return "nothing had been typed, and its plain text was removed"
    return f"what was typed is kept encrypted: reconciler edit {shlex.quote(file)} --resume"
