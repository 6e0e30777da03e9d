"""Programs that print a key: ``SOPS_AGE_KEY_CMD`` and ``SOPS_AGE_SSH_PRIVATE_KEY_CMD``.

Started without a shell, with the recipient in question in ``SOPS_AGE_RECIPIENT``, ``getOutputFromCmd`` of
age/keysource.go. What the variables and the programs say never stands in a message: it may be the key.
"""

import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from reconciler.pysops.age.key_environment import MORE
from reconciler.pysops.age.key_texts import MAX_KEY_FILE_BYTES, KeysFound
from reconciler.pysops.child import ChildFailed, Children, WhyFailed
from reconciler.pysops.wrapped_keys import is_age_recipient


MAX_RUNS: Final = 64
"""How often a program is started, each time for another recipient: the author of a file decides how many it names."""

_IN_WORDS: Final[Mapping[WhyFailed, str]] = {
    WhyFailed.NOT_STARTED: "names a program that cannot be started",
    WhyFailed.TOO_SLOW: "did not finish in time",
    WhyFailed.LEFT_RUNNING: "left a program running that holds its output open",
    WhyFailed.TOO_MUCH: "prints more than a key",
    WhyFailed.STOPPED: "was stopped, as the run was interrupted",
}


_FAILED: Final = f"failed; if it misses a variable of the environment, name that in {MORE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed:
    """Why a program printed nothing of use."""

    reason: str


Runner = Callable[[tuple[str, ...], Mapping[str, str], float], bytes | RunFailed]
"""Runs a program: its words, its environment, how many seconds it may take; returns what it printed."""


class KeyCommand:
    """A program, and what it has printed so far. Threads may share it: a second one waits for the answer."""

    __slots__ = ("__answers", "__environ", "__lock", "__run", "__words", "_name", "_read", "_timeout_s")

    def __init__(
        self,
        name: str,
        words: tuple[str, ...],
        environ: Mapping[str, str],
        *,
        read: Callable[[bytes, str], KeysFound],
        run: Runner,
        timeout_s: float,
    ) -> None:
        self._name = name
        self._read = read
        self._timeout_s = timeout_s
        self.__words = words
        self.__environ = dict(environ)
        self.__run = run
        self.__answers: Mapping[str, KeysFound] = {}
        self.__lock = threading.Lock()

    def knows(self, recipient: str) -> bool:
        """Tell whether the program has been asked for a recipient."""
        return recipient in self.__answers

    def keys_for(self, recipient: str) -> KeysFound:
        """Ask for the key of a recipient, or recall what the program printed when it was asked before."""
        if not is_age_recipient(recipient):
            return KeysFound.nothing(f"{self._name} is not asked for a recipient that is none of age")
        with self.__lock:
            if recipient not in self.__answers:
                if len(self.__answers) >= MAX_RUNS:
                    return KeysFound.nothing(f"{self._name} is not asked for more than {MAX_RUNS} recipients")
                # A new one each time, so that nobody has to wait for a program who only looks.
                self.__answers = {**self.__answers, recipient: self._ask(recipient)}
            return self.__answers[recipient]

    @property
    def found(self) -> KeysFound:
        """What it has printed so far."""
        return KeysFound.all_of(self.__answers.values())

    def _ask(self, recipient: str) -> KeysFound:
        output = self.__run(self.__words, {**self.__environ, "SOPS_AGE_RECIPIENT": recipient}, self._timeout_s)
        if isinstance(output, RunFailed):
            return KeysFound.nothing(f"{self._name} {output.reason}")
        return self._read(output, f"what {self._name} prints")


class Programs:
    """Runs programs that print a key. Threads may share it."""

    __slots__ = ("_children",)

    def __init__(self) -> None:
        self._children = Children()

    def stop(self) -> None:
        """End what runs, and start nothing any more."""
        self._children.stop()

    def run(self, words: tuple[str, ...], environ: Mapping[str, str], timeout_s: float) -> bytes | RunFailed:
        """Run a program, without input, and return what it prints; not more than a key file may hold.

        It stays at our terminal, where it may ask for something. Its stderr goes nowhere.
        """
        program = shutil.which(words[0], path=environ.get("PATH", ""))
        # As Go: nothing is run from the current directory, which may be a stranger's repository, by its bare name.
        if program is None or (PurePath(words[0]).name == words[0] and not PurePath(program).is_absolute()):
            return RunFailed(reason="names a program that is not found")
        try:
            finished = self._children.run(
                (program, *words[1:]),
                stdin=b"",
                environ=environ,
                timeout_s=timeout_s,
                max_stdout=MAX_KEY_FILE_BYTES,
                in_terminal=True,
            )
        except ChildFailed as failed:
            return RunFailed(reason=_IN_WORDS[failed.reason])
        return finished.stdout if finished.exit_code == 0 else RunFailed(reason=_FAILED)


def split_words(text: str) -> tuple[str, ...] | None:
    r"""Split a command into words as the Go package google/shlex does, which differs from `shlex` in many ways.

    Quotes as in a shell, except that ``\`` stands for the next character within double quotes too, whatever that is;
    ``#`` starts a comment where a word could start.

    Returns:
        None when a quote is not closed or a ``\`` ends the text.
    """
    words: list[str] = []
    word: str | None = None
    at = 0
    while at < len(text):
        character = text[at]
        at += 1
        if character in " \t\r\n":
            if word is not None:
                words.append(word)
            word = None
        elif character == "#" and word is None:
            end = text.find("\n", at)
            at = len(text) if end < 0 else end + 1
        elif character in "'\"":
            quoted, at = _quoted(text, at, character)
            if quoted is None:
                return None
            word = (word or "") + quoted
        elif character == "\\" and at == len(text):
            return None
        elif character == "\\":
            word = (word or "") + text[at]
            at += 1
        else:
            word = (word or "") + character
    return tuple(words) if word is None else (*words, word)


def _quoted(text: str, at: int, quote: str) -> tuple[str | None, int]:
    quoted = ""
    while at < len(text):
        character = text[at]
        at += 1
        if character == quote:
            return quoted, at
        if character == "\\" and quote == '"':
            if at == len(text):
                break
            character = text[at]
            at += 1
        quoted += character
    return None, at
