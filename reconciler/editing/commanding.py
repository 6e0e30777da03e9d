"""A new value from a program: ``--command CMD``, such as ``openssl rand -base64 32``.

It is started without a shell, in the directory of the run. It stays at the terminal, where it may ask for a passphrase
by itself. What it prints goes into a file encrypted and nowhere else; its stderr goes nowhere, as it may quote what it
prints. It gets the part of the environment that programs which print keys get, see docs/adr/0013, and what is named to
it besides; never a key of the files.
"""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Final

from reconciler.errors import ReconcilerError, UsageError, escaped
from reconciler.model import MAX_VALUE_BYTES, SecretValue
from reconciler.pysops.age.key_environment import MORE, command_environment
from reconciler.pysops.child import ChildFailed, Children, WhyFailed


DEFAULT_TIMEOUT_S: Final = 60.0
"""How long a program may take; one that asks a person for something may need more."""

_KEYS: Final = "SOPS_"
"""Variables with a key of the files, or the way to one."""

_IN_WORDS: Final[Mapping[WhyFailed, str]] = {
    WhyFailed.NOT_STARTED: "cannot be started",
    WhyFailed.TOO_SLOW: "did not finish in time; --command-timeout gives it longer",
    WhyFailed.LEFT_RUNNING: "left a program running that holds its output open",
    WhyFailed.TOO_MUCH: "prints more than a workspace takes as one value, 128 KB",
    WhyFailed.STOPPED: "was stopped",
}


class Command:
    """A program that prints a value."""

    def __init__(self, words: Sequence[str], environ: Mapping[str, str], *, root: Path, timeout_s: float) -> None:
        """Keep what is needed to run it; see `command_of`."""
        self._words = tuple(words)
        self._environ = environ
        self._root = root
        self._timeout_s = timeout_s

    def __call__(self, *, exact: bool = False, strip: bool = False) -> SecretValue:
        """Run it and return what it printed.

        Args:
            exact: Keep a line feed at the end of a single line. Without this it is taken off, as nearly every program
                ends its line and hardly any password does. Several lines, as of a certificate, and bytes that are no
                text are kept as they are either way.
            strip: Leave out one line feed at the end, of whatever it is.

        Raises:
            ReconcilerError: It failed, or printed nothing.
        """
        try:
            finished = Children().run(
                self._words,
                stdin=b"",
                environ=self._environ,
                timeout_s=self._timeout_s,
                max_stdout=MAX_VALUE_BYTES + len(b"\r\n"),
                in_terminal=True,
                cwd=self._root,
            )
        except ChildFailed as failed:
            reason = _IN_WORDS[failed.reason]
        else:
            if finished.exit_code == 0:
                return _value_of(finished.stdout, exact=exact, strip=strip)
            ended = f"exit code {finished.exit_code}" if finished.exit_code > 0 else f"signal {-finished.exit_code}"
            reason = f"failed ({ended})"
        raise ReconcilerError(
            f"--command: {self._name} {reason}; nothing was written",
            advice="run it by itself to see what it says; if it misses a variable, name that by --command-env",
        )

    @property
    def _name(self) -> str:
        # The name alone: what is behind it may be a secret, in spite of everything.
        return escaped(PurePath(self._words[0]).name)


def command_of(
    text: str,
    environ: Mapping[str, str],
    *,
    root: Path,
    more: Sequence[str] = (),
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> Command:
    """Return the program that ``--command`` names.

    Args:
        text: Words as a shell would split them; nothing else of a shell is there: no variables, no pipes.
        environ: That of the user.
        root: Directory of the run: it runs there, and a path such as ``./new-password`` is meant from there.
        more: Names of further variables that it gets, with ``*`` at the end for all that begin so.
        timeout_s: How long it may take.

    Raises:
        UsageError: It is no command, its program is not found, or a variable would hand it a key.
    """
    try:
        words = shlex.split(text)
    except ValueError:  # its message says no more, and a traceback would show the text
        words = []
    if not words:
        raise UsageError(
            "--command is empty, or a quote in it is not closed",
            advice="write a program and its arguments; for pipes and the like: --command \"sh -c '…'\"",
        )
    kept = _environment(environ, more)
    program = _program(words[0], kept.get("PATH", ""), root)
    if program is None:
        raise UsageError(
            f"--command: there is no program {escaped(words[0])}",
            advice="give its path, or look at PATH; --command takes no shell syntax",
        )
    return Command((program, *words[1:]), kept, root=root, timeout_s=timeout_s)


def _environment(environ: Mapping[str, str], more: Sequence[str]) -> dict[str, str]:
    for name in more:
        stem = name.removesuffix("*").upper()
        if stem.startswith(_KEYS) or (name.endswith("*") and _KEYS.startswith(stem)):
            raise UsageError(
                f"--command-env {escaped(name)} would hand the command a key of the files",
                advice="name the variables that it needs, without those of sops",
            )
    return command_environment({**environ, MORE: ",".join(more)}, sys.platform)


def _program(word: str, path: str, root: Path) -> str | None:
    """Return where a program is; None when it is nowhere.

    As with key commands, none is found by its bare name in the current directory, which may be a stranger's repository.
    """
    if PurePath(word).name != word:
        return shutil.which(os.path.abspath(root / word))  # noqa: PTH100  # no link followed: a program may go by its name
    found = shutil.which(word, path=path)
    return found if found is not None and PurePath(found).is_absolute() else None


def _value_of(output: bytes, *, exact: bool, strip: bool) -> SecretValue:
    value = output if exact else _without_line_end(output)
    if strip and value == output:
        value = output.removesuffix(b"\n").removesuffix(b"\r")
    if not value:
        raise ReconcilerError("--command printed nothing; nothing was written", advice="run it by itself to see why")
    if len(value) > MAX_VALUE_BYTES:
        raise ReconcilerError(f"--command {_IN_WORDS[WhyFailed.TOO_MUCH]}; nothing was written")
    return SecretValue(value)


def _without_line_end(output: bytes) -> bytes:
    try:
        output.decode()
    except UnicodeDecodeError:
        return output
    line, feed, rest = output.partition(b"\n")
    if not feed or rest:
        return output
    return line.removesuffix(b"\r")
