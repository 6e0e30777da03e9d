"""What people and programs get to see: reports on stdout, talk on stderr, and the one question.

In: what there is to tell. Out: text on the streams of the process. Used by `cli` alone. Names from git and from a
workspace are made harmless before they reach a terminal.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

import click

from reconciler.errors import InputError, Interrupted, ReconcilerError, Refused, UsageError


if TYPE_CHECKING:
    from reconciler.report import RunReport
    from reconciler.settings import Settings


_MOST_PROBLEMS: Final = 1_000
"""Lines about the input that are printed; whoever has more than that reads them no more."""


class Terminal:
    """An `Observer` that writes to stderr."""

    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose

    def say(self, text: str) -> None:
        """Print a line."""
        from reconciler.report import escape_text

        click.echo(escape_text(text), err=True)

    @property
    def detail(self) -> Callable[[str], None] | None:
        """What prints a line under ``-v``."""
        return self.say if self._verbose else None

    @contextlib.contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """Draw a bar, on a terminal and when it takes a while."""
        from reconciler.report import ProgressBar

        with ProgressBar(what, total=total) as bar:
            yield bar.advance


def lines_of(error: ReconcilerError) -> tuple[str, ...]:
    """Return what to print for an error that ends the command."""
    if isinstance(error, InputError):
        found = len(error.problems)
        shown = (*map(str, error.problems[:_MOST_PROBLEMS]), *(["…"] if found > _MOST_PROBLEMS else []))
        return (*shown, f"error: {found} problem{'s' if found > 1 else ''}; nothing was written")
    return (f"error: {error}", *((f"  {error.advice}",) if error.advice else ()))


def crash_lines(error: Exception) -> tuple[str, ...]:
    """Return where a bug showed, without the message and the source lines of the traceback."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)[-5:]
    places = (f"  at {Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames)
    return (
        f"error: internal error, {type(error).__name__}; this is a bug of the reconciler",
        *places,
        "  please report it with the lines above: they hold no value",
    )


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether people look at ``stream``; it is None where the process was started without it."""
    return stream is not None and stream.isatty()


def colored(stream: TextIO | None) -> bool:
    """Tell whether ``stream`` gets colours: a terminal, and no NO_COLOR (https://no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def show(form: str, *, text: Callable[..., str], output_file: Path | None = None, **others: Callable[[], str]) -> None:
    """Print what a command found; with ``output_file`` write it there, and print the text.

    Args:
        form: ``text``, or the name of one of ``others``.
        text: Renders it for people, given ``color``.
        output_file: Where a pipeline keeps it.
        others: Render it for programs.

    Raises:
        ReconcilerError: It could not be written; see `print_report`.
    """
    if output_file is None:
        _emit(text(color=colored(sys.stdout)) if form == "text" else others[form]())
    else:
        _keep(text(color=False) if form == "text" else others[form](), output_file, text(color=colored(sys.stdout)))


def _keep(report: str, output_file: Path, shown: str) -> None:
    """Write ``report`` to a file and ``shown`` to stdout: also when the file is full.

    Raises:
        ReconcilerError: Either could not be written.
    """
    try:
        output_file.write_text(report, encoding="utf-8")
    except OSError as error:
        _emit(shown)
        # Not an error of usage, as which it would have been told before the run.
        raise ReconcilerError(
            f"the report could not be written to {output_file}: {_reason(error)}",
            advice="the command has done its work, and its report is on stdout; do not count on the file",
        ) from None
    _emit(shown)


def _reason(error: OSError) -> str:
    """Return why a file could not be written, without its name."""
    return os.strerror(error.errno) if error.errno else "unknown reason"


def _emit(text: str) -> None:
    """Write ``text`` to stdout, and make sure that it got there.

    Raises:
        ReconcilerError: It did not.
        BrokenPipeError: Nobody reads any more.
    """
    try:
        click.echo(text, nl=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # What is still in the buffer would fail once more, and worse, when Python ends.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise ReconcilerError(f"the report could not be written to stdout: {_reason(error)}") from None


def rendered(report: "RunReport", form: str, stream: TextIO | None, *, verbose: bool = False) -> str:
    """Return ``report`` as ``stream`` can show it, in detail if asked to."""
    from reconciler.report import Format, render

    return render(report, Format(form), color=colored(stream), width=columns(stream), verbose=verbose)


def columns(stream: TextIO | None) -> int | None:
    """Return how wide ``stream`` is; None where nobody looks at it."""
    return shutil.get_terminal_size().columns if is_terminal(stream) else None


def print_report(report: "RunReport", form: str, output_file: Path | None, *, verbose: bool = False) -> None:
    """Print the report; with ``output_file`` write it there, and print the text one, in detail if asked to.

    Raises:
        ReconcilerError: It could not be written. What the run did stays done.
    """
    if output_file is None:
        _emit(rendered(report, form, sys.stdout, verbose=verbose))
        return
    from reconciler.report import Format, render

    kept = render(report, Format(form), verbose=verbose)
    _keep(kept, output_file, rendered(report, "text", sys.stdout, verbose=verbose))


def check_output_file(path: Path | None, root: Path) -> None:
    """Make sure that a report can be written to ``path``, before there is anything to report.

    Args:
        path: As the shell sees it; None is fine.
        root: Directory that has ``secrets/``.

    Raises:
        UsageError: It cannot, or would go where secrets, their keys, their rules or the embedded workspaces are kept.
    """
    if path is None:
        return
    from reconciler.connections import STATE_FOLDER
    from reconciler.policy.sources import FOLDER, RULES_FILE

    for name in (FOLDER, RULES_FILE, STATE_FOLDER):
        if _leads_into(path, root / name):
            raise UsageError(
                f"{path} is kept for what {name} is for, not for reports", advice="write the report somewhere else"
            )
    try:
        path.open("a", encoding="utf-8").close()
    except OSError as error:
        raise UsageError(f"the report could not be written to {path}: {_reason(error)}") from None


def _leads_into(path: Path, place: Path) -> bool:
    """Tell whether ``path`` is ``place`` or below it, by its words or by the links and names of the file system."""
    there = place.resolve()
    for absolute in (Path(os.path.abspath(path)), path.resolve()):  # noqa: PTH100  # the words, no link followed
        for part in (absolute, *absolute.parents):
            # The same file under another spelling, where case does not count.
            if part in (there, Path(os.path.abspath(place))) or _is_same(part, place):  # noqa: PTH100  # likewise
                return True
    return False


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False  # one of them is not there


@contextlib.contextmanager
def reported_failure(
    settings: "Settings",
    form: str,
    output_file: Path | None,
    *,
    writes: bool = False,
    document: "Callable[[Settings, ReconcilerError], str] | None" = None,
) -> Iterator[None]:
    """Give programs a document, too, when a command ends without its report; people get the lines on stderr.

    Args:
        settings: Of the command.
        form: Of its report.
        output_file: Where that goes; None means stdout.
        writes: Whether the command may have changed something before it was interrupted.
        document: Returns the document; None means that of a run.

    Raises:
        InputError, Refused, UsageError, KeyboardInterrupt: As it was raised inside, once the document is written.
        ReconcilerError: It could not be written.
    """
    try:
        yield
    except (InputError, Refused, UsageError) as error:
        _report_failure(settings, error, form, output_file, document)
        raise
    except KeyboardInterrupt:
        _report_failure(settings, _cut_off(writes=writes), form, output_file, document)
        raise


def _cut_off(*, writes: bool) -> Interrupted:
    """Return how a run ended that was not let come to its report.

    While changes are made the first interrupt ends the run with a report of its own. This one came before, or it is the
    second one, and then values may have been put.
    """
    if not writes:
        return Interrupted("interrupted before there was a report", advice="run the same command again")
    return Interrupted(
        "interrupted before there was a report: it is not known what was done until then",
        advice="run the same command again: it finds out, and goes on with what is left",
    )


def _report_failure(
    settings: "Settings",
    error: ReconcilerError,
    form: str,
    output_file: Path | None,
    document: "Callable[[Settings, ReconcilerError], str] | None",
) -> None:
    if form == "text" and output_file is None:
        return
    if document is not None:
        if form != "json" and output_file is None:
            return  # people read it on stderr
        told = document(settings, error) if form == "json" else _indented(lines_of(error))
        _emit(told) if output_file is None else _keep(told, output_file, "")
        return
    from reconciler.reconcile import failed_report

    try:
        settings.wanted()
    except UsageError:  # no target is named, which is the error itself
        settings = replace(settings, everything=True)
    print_report(failed_report(settings, error), form, output_file)


def _indented(lines: tuple[str, ...]) -> str:
    """Return lines as text, which in Markdown is a block of code: what is quoted in them stays what it is."""
    from reconciler.report import escape_text

    return "".join(f"    {escape_text(line)}\n" for line in lines)


def ask(planned: "RunReport") -> bool | None:
    """Show a plan and ask whether to carry it out; None, without asking, where nobody could answer."""
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        return None
    from reconciler.report import render_text

    width = shutil.get_terminal_size().columns
    click.echo(render_text(planned, color=colored(sys.stderr), width=width, asking=True), nl=False, err=True)
    try:
        return click.confirm("Apply these changes?", err=True)
    except click.Abort:  # Ctrl-C and Ctrl-D are a no, too
        click.echo(err=True)
        return False


def fit_for_terminal(raw: bytes) -> bytes:
    """Return ``raw`` fit for a terminal: a value with control characters could take it over.

    Raises:
        UsageError: It is not printable text.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = "\0"
    if not all(char.isprintable() or char in "\n\t" for char in text):
        raise UsageError("the value is not printable text", advice="send it to a file or a program: … > FILE")
    return raw if raw.endswith(b"\n") else raw + b"\n"
