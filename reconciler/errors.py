"""The errors of the reconciler: one root, a child per seam, each with its exit code and its advice.

::

    ReconcilerError                      1
    ├── UsageError                       2   the command line asks for something that does not exist
    ├── InputError                          what git holds is at fault; carries every problem at once
    │   ├── InvalidInput                 4   shows without a key
    │   └── CannotDecrypt                5   shows on unlocking: no key, tag, MAC
    ├── Refused                          6   a guard said no
    ├── Interrupted                    130   a signal ended the run before it had anything to tell
    └── WorkspaceError                   1   what the platform answered, or that it did not
        ├── Unreachable                      no answer within the time allowed
        ├── Unauthenticated                  no usable credential, or the platform did not accept it
        ├── PermissionDenied                 the identity may not do this
        ├── NotFound                         scope, key or ACL does not exist
        ├── AlreadyExists                    the scope exists
        ├── LimitExceeded                    a quota or a size limit
        ├── InvalidRequest                   the platform rejects the request as it stands
        ├── Throttled                        429 for longer than the time allowed
        ├── NotTried                         given up unasked, as the workspace had stopped answering
        └── UnexpectedAnswer                 5xx, HTML, a redirect, anything that is not the documented API

Messages are ours: text of the YAML parser, of sops, of the SDK and of a server may quote a secret value, so none of it
is passed on. Only ``cli`` turns an exit code into an exit.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Self


EXIT_DONE: Final = 0
EXIT_WORKSPACE: Final = 1
EXIT_USAGE: Final = 2
EXIT_PENDING: Final = 3
EXIT_INVALID_INPUT: Final = 4
EXIT_CANNOT_DECRYPT: Final = 5
EXIT_REFUSED: Final = 6
EXIT_INTERRUPTED: Final = 130

_PRECEDENCE: Final = (
    EXIT_INTERRUPTED,
    EXIT_INVALID_INPUT,
    EXIT_CANNOT_DECRYPT,
    EXIT_REFUSED,
    EXIT_WORKSPACE,
    EXIT_PENDING,
)
"""Which exit code wins when a run has earned several, first to last."""


def exit_code_of(codes: frozenset[int]) -> int:
    """Return the one exit code that stands for all of ``codes``; 0 when none of them is a complaint."""
    return next((code for code in _PRECEDENCE if code in codes), EXIT_DONE)


def escaped(path: str) -> str:
    """Return ``path`` with everything that does not print written as an escape, fit for a message on one line."""
    if path.isprintable():
        return path
    return "".join(char if char.isprintable() else _escape(char) for char in path)


def _escape(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # how Python carries a byte of a file name that is not UTF-8
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")


_MOST_NAMED: Final = 3


def some_of(names: Sequence[str]) -> str:
    """Return the first few of ``names`` and how many more there are, on one line: ``a, b, c and 2 more``."""
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


class Severity(enum.Enum):
    """How much a problem matters; the values are SARIF's levels."""

    ERROR = "error"
    """It makes the input invalid: exit code 4."""

    WARNING = "warning"
    """Worth a look, and no reason to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with one place of the input.

    Its parts answer what a reader asks: where, what, what was expected instead, what to do next. None of them may hold
    text from a position where a secret value can stand.
    """

    path: str
    """File, relative to the directory of the run, with forward slashes. As it is called: who shows it, escapes it."""

    line: int | None = None
    """From 1; None when the file as a whole is meant."""

    column: int | None = None
    """From 1, in characters."""

    what: str
    """What is wrong, as a sentence without a full stop."""

    expected: str | None = None
    """What should stand there."""

    advice: str | None = None
    """What to do next, as a sentence without a full stop."""

    scope: str | None = None
    """``target/scope`` that cannot be reconciled because of it; None where that is not just one, or is not known."""

    rule: str = "invalid-input"
    """Which rule it breaks, as a short name that stays the same whatever the words, such as ``not-encrypted``."""

    severity: Severity = Severity.ERROR

    @property
    def where(self) -> str:
        """``file:line:column`` as editors understand it, without the parts that are not known; escaped."""
        return ":".join(str(part) for part in (escaped(self.path), self.line, self.column) if part is not None)

    @property
    def text(self) -> str:
        """Everything but the place: what, expected, advice."""
        text = self.what
        if self.expected is not None:
            text += f"; expected {self.expected}"
        if self.advice is not None:
            text += f" ({self.advice})"
        return text

    def __str__(self) -> str:
        """One line: where, what, expected, advice."""
        return f"{self.where}: {self.text}"


class ReconcilerError(Exception):
    """Root of every error that the reconciler raises on purpose."""

    exit_code: ClassVar[int] = EXIT_WORKSPACE
    """What the process exits with when this ends the run."""

    def __init__(self, message: str, *, advice: str | None = None) -> None:
        super().__init__(message)
        self.advice = advice
        """What the reader can do about it; None when the message says it all."""

    def with_advice(self) -> str:
        """Return message and advice in one line."""
        return f"{self} ({self.advice})" if self.advice else str(self)


class UsageError(ReconcilerError):
    """The command line or the environment asks for something that does not exist."""

    exit_code = EXIT_USAGE


class InputError(ReconcilerError):
    """What git holds cannot be used. Carries all problems found, so that one run shows them all."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        if not problems:
            raise ValueError("an InputError needs at least one problem")
        self.problems = tuple(sorted(set(problems), key=_place))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def _place(problem: Problem) -> tuple[str, int, int, str]:
    return problem.path, problem.line or 0, problem.column or 0, problem.what


class InvalidInput(InputError):
    """A file breaks a rule that can be checked without any key."""

    exit_code = EXIT_INVALID_INPUT


class CannotDecrypt(InputError):
    """A file cannot be unlocked: no identity opens it, or a tag or the MAC does not fit."""

    exit_code = EXIT_CANNOT_DECRYPT


class Refused(ReconcilerError):
    """A guard refused to go on; nothing was written to what it protects."""

    exit_code = EXIT_REFUSED


class Interrupted(ReconcilerError):
    """A signal ended the run before it had anything to tell."""

    exit_code = EXIT_INTERRUPTED


class WorkspaceError(ReconcilerError):
    """The platform failed a request. The message names the operation, never what was in it."""

    request_id: str | None = None
    """What the platform calls the request in its own audit log (`reconciler.model.RequestId`); None if it did not say.
    Set by whoever raises it."""

    def told_as(self, text: str) -> Self:
        """Return this error with another message, and all else that is known of it."""
        error = type(self)(text, advice=self.advice)
        error.request_id = self.request_id
        return error


class Unreachable(WorkspaceError):
    """No answer within the time allowed: name resolution, connection, TLS, timeout."""


class Unauthenticated(WorkspaceError):
    """No usable credential was found, or the platform answered 401."""


class PermissionDenied(WorkspaceError):
    """The identity may not do this (403, PERMISSION_DENIED)."""


class NotFound(WorkspaceError):
    """The scope, key or ACL does not exist (404, RESOURCE_DOES_NOT_EXIST)."""


class AlreadyExists(WorkspaceError):
    """The scope, or a grant to that principal, exists already (RESOURCE_ALREADY_EXISTS)."""


class LimitExceeded(WorkspaceError):
    """A quota or a size limit is reached (RESOURCE_LIMIT_EXCEEDED, QUOTA_EXCEEDED, MAX_SECRET_SIZE_EXCEEDED)."""


class InvalidRequest(WorkspaceError):
    """The platform rejects the request as it stands (BAD_REQUEST, INVALID_PARAMETER_VALUE)."""


class Throttled(WorkspaceError):
    """The platform answered 429 for longer than the time allowed."""


class NotTried(WorkspaceError):
    """Given up unasked, because an earlier request showed that the workspace does not answer, or not for now."""


class UnexpectedAnswer(WorkspaceError):
    """5xx, an HTML page, a redirect: not an answer that the API documents."""
