"""The editor of the user: which one it is, how it is kept from leaving copies of the text, and running it.

An editor saves more than the file: swap files, backups, undo histories, lists of what was searched for. Those that run
in the terminal are told not to, or to do so in the private folder, which goes. What others keep is said.
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.credentials import without_credentials
from reconciler.errors import UsageError


_DEFAULTS: Final = ("vi", "vim", "nano")

_VIM_OFF: Final = "set nobackup nowritebackup noswapfile noundofile"

_VIM: Final = ("-n", "-i", "NONE", "-c", _VIM_OFF)
"""No swap file, no history in ``.viminfo`` or shada, and what users set in their own file undone after that was read.
https://vimhelp.org/starting.txt.html"""

_EMACS: Final = (
    "--eval",
    "(setq make-backup-files nil auto-save-default nil auto-save-list-file-prefix nil create-lockfiles nil)",
)

_NANO: Final = ("--ignorercfiles",)
"""Backups and the list of searches are options that people set there; by itself nano keeps nothing.
https://www.nano-editor.org/dist/latest/nano.html"""

_IN_TERMINAL: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("vim", "nvim", "rvim", "vimx", "vim.basic", "vim.tiny", "vim.nox", "vim.gtk3"), _VIM),
    "nano": _NANO,
    "rnano": _NANO,
    "emacs": _EMACS,
}
"""Program to what it is told before the name of the file."""

_IN_WINDOWS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    **dict.fromkeys(("code", "code-insiders", "codium", "cursor", "windsurf"), (("--wait", "-w"), "keeps copies")),
    **dict.fromkeys(("subl", "zed", "zeditor", "atom", "pulsar"), (("--wait", "-w"), "may keep copies")),
    **dict.fromkeys(("gvim", "mvim"), (("--nofork", "-f"), "")),
    "gedit": (("--wait", "-w"), ""),
    "gnome-text-editor": (("--standalone", "-s"), "keeps drafts"),
    "kate": (("--block", "-b"), "may keep copies"),
    "mate": (("--wait", "-w"), ""),
    "emacsclient": ((), ""),
}
"""Program to the options that make it wait until the file is closed, of which the first is added; and what it keeps."""

_LOOK_S: Final = 0.5
_GRACE_S: Final = 1.0
_AT_ONCE_S: Final = 1.0
"""Nobody reads a text in less: an editor that ends so soon has only told another process to show it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Editor:
    """A program that edits a file."""

    command: tuple[str, ...]
    """Without the file. The first word is the path of a program."""

    in_terminal: bool = False
    """It is known, and shows the text in the terminal itself."""

    keeps: str = ""
    """What it is known to keep elsewhere, as the end of a sentence; empty when nothing."""

    @property
    def name(self) -> str:
        """The program, without its path."""
        return Path(self.command[0]).name


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an editor ended."""

    exit_code: int
    """Negative: the number of the signal that ended it."""

    at_once: bool
    """It can have shown the text to nobody."""


def find_editor(environ: Mapping[str, str], *, has_terminal: bool) -> Editor:
    """Return the editor that the user wants: of VISUAL, EDITOR, else one that is there.

    Args:
        environ: the environment.
        has_terminal: whether one could be shown there.

    Raises:
        UsageError: There is none, or the variable names what is no program.
    """
    for variable in "VISUAL", "EDITOR":
        if text := environ.get(variable, "").strip():
            return _editor_of(text, variable, environ)
    if not has_terminal:
        raise UsageError("there is no terminal for an editor", advice="name one in VISUAL or EDITOR that needs none")
    for name in _DEFAULTS:
        if found := shutil.which(name, path=environ.get("PATH")):
            return _tuned((found,))
    raise UsageError("there is no editor", advice="name one in VISUAL or EDITOR")


def _editor_of(text: str, variable: str, environ: Mapping[str, str]) -> Editor:
    path = environ.get("PATH")
    if whole := shutil.which(text, path=path):  # a path with blanks in it
        return _tuned((whole,))
    try:
        words = shlex.split(text)
    except ValueError:
        raise UsageError(f"{variable} is not a command: a quote is not closed") from None
    program = shutil.which(words[0], path=path) if words else None
    if program is None:
        raise UsageError(
            f"{variable} names no program that can be run", advice="name one on PATH, or by its whole path"
        )
    return _tuned((program, *words[1:]))


def _tuned(command: tuple[str, ...]) -> Editor:
    """Return an editor with the options that it needs here, if it is one that is known."""
    name = Path(command[0]).name
    real = Path(command[0]).resolve().name  # Debian's vi is a link to the vim of its user
    if real == "pico":  # macOS calls it nano, and it ends when it is told what nano is
        return Editor(command=command, in_terminal=True)
    if options := _IN_TERMINAL.get(name) or (_IN_TERMINAL.get(real) if name in _DEFAULTS else None):
        return Editor(command=(*command, *options), in_terminal=True)
    waits, keeps = _IN_WINDOWS.get(name, ((), ""))
    if waits and not set(waits).intersection(command):
        command = (*command, waits[0])
    if name in ("gvim", "mvim"):
        command = (*command, *_VIM)
    return Editor(command=command, keeps=keeps)


def run(editor: Editor, file: Path, *, environ: Mapping[str, str], lock: int | None) -> Ended:
    """Show a file in an editor, and wait for its end. Ctrl-C meanwhile is for the editor.

    Args:
        editor: the editor.
        file: what it shows.
        environ: of the run; credentials are not passed on.
        lock: a descriptor that the editor holds, too.

    Raises:
        UsageError: It cannot be started.
        BaseException: Whatever a signal handler raised. The editor was ended first.
    """
    passed_on = without_credentials(environ)
    if editor.in_terminal:
        # Where vim keeps what it pipes through programs. Others find their running selves there, and need the old one.
        passed_on |= dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(file.parent))
    begun = time.monotonic()
    with _no_core_files(), _without_interrupts(), _terminal_as_before():
        try:
            process = subprocess.Popen(  # noqa: S603  # what the user named, no shell
                (*editor.command, str(file)),
                env=passed_on,
                pass_fds=() if lock is None else (lock,),
                # What it draws must not get into a report that goes to a file or a program.
                stdout=None if _is_terminal(1) else 2,
            )
        except (OSError, ValueError):
            raise UsageError(f"the editor {editor.name} cannot be started", advice="set VISUAL or EDITOR") from None
        try:
            exit_code = _wait(process)
        except BaseException:
            _end(process)
            raise
    return Ended(exit_code=exit_code, at_once=time.monotonic() - begun < _AT_ONCE_S)


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def _wait(process: "subprocess.Popen[bytes]") -> int:
    # With pauses: a signal that comes in the moment before a wait without end would be noticed at the next one.
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_LOOK_S)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End an editor that would go on showing, and writing, a text that is taken away."""
    for end in process.terminate, process.kill:
        end()
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):  # a second signal: at once
            process.wait(_GRACE_S)
            return


@contextlib.contextmanager
def _no_core_files() -> Iterator[None]:
    """Let no program that is started meanwhile, nor us, write its memory to a disk when it crashes."""
    if sys.platform == "win32":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@contextlib.contextmanager
def _terminal_as_before() -> Iterator[None]:
    """Undo what a killed editor has left of the terminal: without echo, say, or without line ends."""
    if sys.platform == "win32":
        yield
        return
    import termios

    before = None
    with contextlib.suppress(OSError, ValueError, termios.error):
        before = termios.tcgetattr(0)
    try:
        yield
    finally:
        if before is not None:
            with contextlib.suppress(OSError, termios.error):
                termios.tcsetattr(0, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Leave the keys that interrupt to the editor, as git does; it starts with them as they are by default."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGQUIT") if hasattr(signal, name)]
    nothing: Callable[[int, object], None] = lambda _number, _frame: None  # noqa: E731  # not SIG_IGN, which is inherited
    before = {}
    try:
        for number in numbers:
            before[number] = signal.signal(number, nothing)
    except ValueError:  # Python hands signals to the main thread alone
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
