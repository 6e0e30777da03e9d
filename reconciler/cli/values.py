"""Taking a value from somebody: typed unseen, from a pipe, or from a file. Never from an argument."""

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar, cast

import click

from reconciler import terminal
from reconciler.errors import UsageError, escaped


if TYPE_CHECKING:
    from reconciler.model import SecretValue

F = TypeVar("F", bound=Callable[..., Any])

_CUT_BYTES: Final = 1_023 if sys.platform == "darwin" else 4_095
"""Where a terminal cuts a line off (termios(3), "Canonical and noncanonical mode"): what is as long may have been
longer."""

_STDIN: Final = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a value comes from, as the options of a command say."""

    from_file: Path | None = None
    """A file; ``-`` is stdin. None: stdin where it is no terminal, else somebody is asked."""

    empty: bool = False
    """No bytes, on purpose."""

    strip: bool = False
    """Leave out one line feed at the end."""


def valued(command: F) -> F:
    """Add the options that say where a value comes from; the command gets one ``source``."""

    @functools.wraps(command)
    def with_source(*arguments: Any, from_file: Path | None, empty: bool, strip: bool, **options: Any) -> Any:  # noqa: ANN401
        return command(*arguments, source=Source(from_file=from_file, empty=empty, strip=strip), **options)

    options = (
        click.option(
            "--from-file",
            type=click.Path(path_type=Path, allow_dash=True),
            help="Take the bytes of a file; - is stdin, as is a pipe.",
        ),
        click.option("--empty", is_flag=True, help="An empty value, which is otherwise taken for a mistake."),
        click.option("--strip", is_flag=True, help="Leave out one line feed at the end, which echo and editors add."),
    )
    wrapped = cast("F", with_source)
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


_OR_EMPTY: Final = "a command before a pipe may have failed; if it is meant: --empty"


def read_value(label: str, source: Source, *, if_empty: str = _OR_EMPTY) -> "SecretValue":
    """Return a value, byte for byte.

    Args:
        label: What it is, for the question.
        source: Where it comes from.
        if_empty: What to advise where there is none.

    Raises:
        UsageError: There is none, it is empty and should not be, or is larger than the platform takes.
    """
    from reconciler.model import MAX_VALUE_BYTES, SecretValue

    if source.empty:
        if source.from_file is not None:
            raise UsageError("--empty and --from-file are two values", advice="give one of them")
        return SecretValue(b"")
    raw = _raw(label, source, MAX_VALUE_BYTES + 2)
    if source.strip:
        raw = raw.removesuffix(b"\n").removesuffix(b"\r")
    elif raw.endswith(b"\n"):
        click.echo("note: the value ends in a line feed, which is kept; --strip leaves it out", err=True)
    if not raw:
        raise UsageError("the value is empty", advice=if_empty)
    if len(raw) > MAX_VALUE_BYTES:
        raise UsageError(
            "the value is larger than the platform takes",
            advice=f"at most {MAX_VALUE_BYTES // 1024} KB; store a reference instead, or split it over several keys",
        )
    return SecretValue(raw)


def _raw(label: str, source: Source, most: int) -> bytes:
    if source.from_file is not None and str(source.from_file) != _STDIN:
        return _of_file(source.from_file, most)
    if source.from_file is None and terminal.is_terminal(sys.stdin):
        return _typed(label)
    if sys.stdin is None:
        raise UsageError("there is nothing to read a value from", advice="give --from-file FILE")
    stream: BinaryIO = sys.stdin.buffer
    return stream.read(most)


def _typed(label: str) -> bytes:
    try:
        text: str = click.prompt(
            label, hide_input=True, confirmation_prompt="Once more", err=True, default="", show_default=False
        )
        raw = text.encode(errors="surrogateescape")
    except UnicodeDecodeError:  # its message quotes what was typed
        raise UsageError(
            "what was typed is not text in UTF-8", advice="give it through a pipe, or by --from-file FILE"
        ) from None
    if len(raw) >= _CUT_BYTES:
        raise UsageError(
            "the value is too long to be typed: a terminal cuts off a line without a word",
            advice="give it through a pipe, or by --from-file FILE",
        )
    return raw


def _of_file(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "unknown reason"
        raise UsageError(f"{escaped(str(path))} cannot be read: {reason}", advice="check the name") from None
