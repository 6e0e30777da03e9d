"""``edit``: a file as plain text in the editor of the user, and back.

The text stands in a private folder, in memory where there is such a place, and goes whatever happens. What somebody
typed does not go with it: unless it was saved, it is kept encrypted (`kept_edits`), after an invalid edit, a signal, an
editor that crashed. After a SIGKILL the folder is still there, and the next run does the same with it.
"""

import contextlib
import enum
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from reconciler import pysops
from reconciler.editing import private_folder, three_way
from reconciler.editing.draft import Draft
from reconciler.editing.edited_text import in_text, read_text
from reconciler.editing.editors import Editor, find_editor
from reconciler.editing.editors import run as run_editor
from reconciler.editing.kept_edits import Edit, Kept, drop, keep, kept_edits, open_kept
from reconciler.editing.new_file import check_new, template
from reconciler.editing.orderly import Signals, orderly
from reconciler.editing.places import place_of
from reconciler.editing.private_folder import About
from reconciler.editing.rescuing import rescue
from reconciler.errors import Interrupted, InvalidInput, ReconcilerError, Refused, UsageError, escaped
from reconciler.policy.sources import FOLDER, RULES_FILE, TARGETS_FILE
from reconciler.settings import Observer, Settings


class IfInvalid(enum.Enum):
    """What to do with an edit that breaks a rule."""

    AGAIN = "again"
    """Show it in the editor once more."""

    KEEP = "keep"
    """Keep it encrypted, for ``--resume``."""

    DROP = "drop"
    """Forget it."""


class IfKept(enum.Enum):
    """What to do with an edit that was kept by an earlier run."""

    RESUME = "resume"
    DROP = "drop"


class Asking(Protocol):
    """Who decides: somebody at a terminal, or options of the command."""

    def if_invalid(self, error: InvalidInput, *, same: bool) -> IfInvalid:
        """Tell what is wrong with an edit, and return what to do with it. May be interrupted: it is then kept.

        Args:
            error: What is wrong; it quotes nothing.
            same: Whether it was asked about this very text before.
        """
        ...

    def if_kept(self, kept: Kept) -> IfKept | None:
        """Return what to do with an earlier edit of the file; None: nobody can be asked."""
        ...


class Outcome(enum.Enum):
    """What became of an edit."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """A file as it is when it is shown."""

    file: str
    data: bytes | None = field(repr=False)
    """None for a new one."""

    locked: "pysops.LockedFile | None"
    text: bytes = field(repr=False)


def edit(
    settings: Settings,
    observer: Observer,
    path: Path,
    *,
    asking: Asking,
    has_terminal: bool,
    where: tuple[Path, ...] | None = None,
) -> Outcome:
    """Show a file in the editor, and save what comes back.

    Args:
        settings: The surroundings.
        observer: Told what is worth knowing besides.
        path: The file, as the shell sees it, or from the directory of the run. One that does not exist is begun.
        asking: Who decides.
        has_terminal: Whether an editor could be shown there.
        where: Where the text may stand, best first; None: see `private_folder.places`.

    Raises:
        UsageError: There is no such place for a file, no editor; or an earlier edit was kept, and nobody says what
            becomes of it.
        InvalidInput: The file breaks a rule that stops its being opened.
        CannotDecrypt: No identity opens it.
        Refused: It was changed meanwhile. The edit is kept.
        Interrupted: A signal came. The edit is kept.
        ReconcilerError: The editor failed, or the disk. What was typed is kept.
    """
    file = file_of(settings, path)
    editor = find_editor(settings.environ, has_terminal=has_terminal)
    draft = Draft(settings)
    where = private_folder.places(settings.environ) if where is None else where
    rescue(draft, observer, where)
    base = _base(draft, file)
    begun, kept = _earlier(draft, observer, base, asking)
    if editor.keeps:
        observer.say(
            f"note: {editor.name} {editor.keeps} of what it shows, on a disk; an editor in the terminal does not"
        )
    with orderly() as signals, _Editing(draft, observer, base, shown=begun, kept=kept, where=where) as editing:
        return editing.run(editor, asking, signals)


def file_of(settings: Settings, path: Path) -> str:
    """Return which file of the run is meant, as in `Sources.files`.

    Raises:
        UsageError: It is none that is encrypted.
    """
    file = place_of(settings, path)
    if file is None:
        advice = f"open {path.name} with any editor" if path.name == RULES_FILE else f"name a file below {FOLDER}/"
        raise UsageError(f"{escaped(str(path))} is no scope file", advice=advice)
    if file == TARGETS_FILE:
        raise UsageError(f"{file} is not encrypted", advice="open it with any editor, and run reconciler validate")
    return file


def _base(draft: Draft, file: str) -> _Base:
    """Return a file with its text."""
    data = draft.bytes_of(file)
    if data is None:
        check_new(draft, file)
        return _Base(file=file, data=None, locked=None, text=template(draft, file))
    locked = draft.locked(file)
    text = draft.told(file, lambda: draft.writer(file).plaintext(locked))
    return _Base(file=file, data=data, locked=locked, text=text)


def _earlier(draft: Draft, observer: Observer, base: _Base, asking: Asking) -> tuple[Edit, Kept | None]:
    """Return what to show: the file, or an edit of it that was kept, brought up to what the file is now.

    Raises:
        UsageError: One was kept, and nobody says what becomes of it.
    """
    fresh = Edit(before=base.text, edited=base.text)
    kept = kept_edits(draft, base.file)
    if not kept:
        return fresh, None
    match asking.if_kept(kept[0]):
        case IfKept.DROP:
            for one in kept:
                drop(one)
            return fresh, None
        case IfKept.RESUME:
            if len(kept) > 1:
                observer.say(f"note: {len(kept) - 1} more edits of {escaped(base.file)} are kept")
            return _brought_up(observer, base, open_kept(draft, kept[0])), kept[0]
        case None:
            raise UsageError(
                f"an edit of {escaped(base.file)} was kept that is not in the file",
                advice="go on with it by --resume, or forget it by --drop-kept",
            )


def _brought_up(observer: Observer, base: _Base, edit: Edit) -> Edit:
    """Return an earlier edit as one of the file as it is now."""
    if edit.before == base.text:
        return edit
    texts = [text.decode(errors="surrogateescape") for text in (edit.before, edit.edited, base.text)]
    joined = three_way.join(texts[0], mine=texts[1], theirs=texts[2])
    places = f"{joined.conflicts} place{'s' if joined.conflicts > 1 else ''}"
    observer.say(
        f"note: {escaped(base.file)} was changed since that edit, which was put on top of it"
        + (f"; both changed the same lines in {places}: look for <<<<<<<" if joined.conflicts else "")
    )
    return Edit(before=base.text, edited=joined.text.encode(errors="surrogateescape"))


class _Editing:
    """One text, from the first look at it until it is saved, kept or dropped. Takes the plain text away in the end."""

    def __init__(
        self,
        draft: Draft,
        observer: Observer,
        base: _Base,
        *,
        shown: Edit,
        kept: Kept | None,
        where: tuple[Path, ...],
    ) -> None:
        self._draft = draft
        self._observer = observer
        self._base = base
        self._shown = shown
        self._kept = kept
        self._leaves = False
        about = About(root=str(draft.settings.root.resolve()), file=base.file)
        self._folder = private_folder.make(about, where)

    def __enter__(self) -> Self:
        """Put the text into its folder."""
        folder = self._folder
        try:
            folder.write_before(self._shown.before)
            folder.write(self._shown.edited)
        except BaseException:
            self._end()
            raise
        if not folder.in_memory:
            _say(
                self._observer,
                f"warning: the text stands in {folder.path}, perhaps on a disk, until the editor ends: "
                "this machine has no folder in memory",
            )
        return self

    def __exit__(self, *_: object) -> None:
        """Take the folder away, unless what is in it could be put nowhere else."""
        self._end()

    def _end(self) -> None:
        if not self._leaves and not self._folder.remove():
            _say(self._observer, f"warning: {self._folder.path} cannot be removed, and holds plain text: delete it")
        self._folder.release()

    def run(self, editor: Editor, asking: Asking, signals: Signals) -> Outcome:
        """Show the text until it is fit, or given up.

        Raises:
            ReconcilerError: See `edit`. What was typed is kept.
        """
        try:
            return self._until_fit(editor, asking, signals)
        except KeyboardInterrupt:
            raise Interrupted("the edit was interrupted; nothing was written", advice=self._keep()) from None
        except Exception as error:
            if advice := self._keep():
                _say(self._observer, f"note: {advice}")
            raise error from None

    def _until_fit(self, editor: Editor, asking: Asking, signals: Signals) -> Outcome:
        refused: bytes | None = None
        while True:
            text = self._edited(editor, signals)
            if text == self._base.text:
                self._forget()
                return Outcome.UNCHANGED
            try:
                changed = self._save(text)
            except InvalidInput as error:
                with signals.waiting():
                    answer = asking.if_invalid(error, same=text == refused)
                refused = text
                if answer is not IfInvalid.AGAIN:
                    return self._given_up(answer)
            else:
                self._forget()
                return Outcome.WRITTEN if changed else Outcome.UNCHANGED

    def _edited(self, editor: Editor, signals: Signals) -> bytes:
        """Return the text as the editor leaves it.

        Raises:
            ReconcilerError: The editor failed, or took it away.
        """
        folder = self._folder
        with signals.waiting():
            ended = run_editor(editor, folder.text, environ=self._draft.settings.environ, lock=folder.lock)
        if ended.exit_code != 0:
            how = f"exit code {ended.exit_code}" if ended.exit_code > 0 else f"signal {-ended.exit_code}"
            raise ReconcilerError(f"the editor {escaped(editor.name)} ended by {how}; nothing was written")
        text = folder.read()
        if text is None:
            raise ReconcilerError(f"the editor {escaped(editor.name)} left no text; nothing was written")
        if ended.at_once and text == self._shown.edited:
            _say(
                self._observer,
                f"note: {escaped(editor.name)} ended at once; if it shows the text in a window of its own, it needs an "
                "option that makes it wait, as in VISUAL='code --wait'",
            )
        return text

    def _save(self, text: bytes) -> bool:
        """Encrypt the text and write the file, if all rules are kept; return whether that made a difference.

        Raises:
            InvalidInput: A rule is broken; where, is said by the lines of the text.
            Refused: Somebody changed the file meanwhile.
        """
        base = self._base
        document = read_text(base.file, text)
        # A new draft: rules and the other files may have changed since, by somebody who mended what was refused.
        draft = Draft(self._draft.settings)
        if draft.bytes_of(base.file) != base.data:
            raise Refused(
                f"{escaped(base.file)} was changed meanwhile, and was left as it is", advice="--resume joins both edits"
            )
        locked = base.locked
        if locked is None:
            draft.create(base.file, text)
        else:
            writer = self._draft.writer(base.file)
            draft.replace(base.file, draft.told(base.file, lambda: writer.reseal(locked, text, now=draft.now)))
        try:
            return bool(draft.save())
        except InvalidInput as error:
            problems = error.problems
        sealed = pysops.parse(draft.bytes_of(base.file) or b"")
        raise InvalidInput(in_text(problems, base.file, sealed=sealed, text=document))

    def _given_up(self, answer: IfInvalid) -> Outcome:
        if answer is IfInvalid.DROP:
            self._forget()
            return Outcome.DROPPED
        if advice := self._keep():
            _say(self._observer, f"note: {advice}")
        return Outcome.KEPT

    def _forget(self) -> None:
        """Take away the kept edit that this one went on with."""
        if self._kept is not None:
            drop(self._kept)

    def _keep(self) -> str | None:
        """Keep what was typed, if anything; return where it is. Never raises: it is done while something else fails."""
        base, folder = self._base, self._folder
        resume = f"go on with what was typed by: reconciler edit {shlex.quote(base.file)} --resume"
        try:
            text = folder.read()
            if text is None or text in (self._shown.edited, base.text):
                return resume if self._kept is not None else None
            edit = Edit(before=base.text, edited=text)
            self._kept = keep(self._draft, base.file, edit, locked=base.locked, instead=self._kept)
        except Exception:  # noqa: BLE001  # whatever it is, the text is worth more than why
            self._leaves = True
            return f"what was typed could not be encrypted, and is left in {folder.path}: take it out, and delete that"
        return resume


def _say(observer: Observer, text: str) -> None:
    # The terminal may be gone, which must not end what is left to do.
    with contextlib.suppress(OSError):
        observer.say(text)
