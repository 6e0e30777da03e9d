"""The command line: click wiring only.

Each command builds `Settings`, calls one function of a room, and prints one report. Stdout carries the report, stderr
the talk. Rooms are imported by the commands that need them, so that ``--help`` starts at once. Commands stand in the
modules of this package by what they are about.
"""

import errno
import gc
import signal
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from reconciler import __version__, terminal
from reconciler.cli import auditing, editor, importing, looking, merging, reviewing, rotating, runs, setting, starting
from reconciler.cli.options import Context
from reconciler.errors import EXIT_INTERRUPTED, EXIT_WORKSPACE, ReconcilerError


_FULL: Final = (
    "error: what the command had to say could not be written: no space left",
    "  what it was to do may be done; look with git status, or reconciler plan",
)


class _Failure(click.ClickException):
    """Carries an error of ours to click, which shows it and exits."""

    def __init__(self, lines: tuple[str, ...], exit_code: int) -> None:
        super().__init__("\n".join(lines))
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance

    def show(self, file: Any = None) -> None:  # noqa: ANN401  # click's own signature
        """Print to stderr, with names from git and from the workspace made harmless."""
        from reconciler.report import escape_text

        for line in self.message.split("\n"):
            click.echo(escape_text(line), err=file is None, file=file)


class _Commands(click.Group):
    """Turns whatever a command raises into lines on stderr and an exit code; shows commands by what they are about."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the commands into the help, under the headings of their modules."""
        for heading in dict.fromkeys(room.HEADING for room in _ROOMS):
            commands = [one for room in _ROOMS if heading == room.HEADING for one in room.COMMANDS]
            with formatter.section(heading):
                formatter.write_dl(
                    [(self._names_of(one), one.get_short_help_str(formatter.width - 20)) for one in commands]
                )

    def _names_of(self, command: click.Command) -> str:
        return ", ".join(name for name, known in self.commands.items() if known is command)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  # click's own signature
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ReconcilerError as error:
            raise _Failure(terminal.lines_of(error), error.exit_code) from None
        except (KeyboardInterrupt, click.Abort):
            raise _Failure(("interrupted; run again to finish what was begun",), EXIT_INTERRUPTED) from None
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise
        except OSError as error:
            if error.errno != errno.ENOSPC or error.filename is not None:
                raise _Failure(terminal.crash_lines(error), EXIT_WORKSPACE) from None
            raise _Failure(_FULL, EXIT_WORKSPACE) from None
        except Exception as error:  # noqa: BLE001  # a bug must not print values: messages may quote them
            raise _Failure(terminal.crash_lines(error), EXIT_WORKSPACE) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "-C",
    "directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="Run as if started there, as git and make do.",
)
@click.option(
    "-v", "verbose", is_flag=True, help="Say what failed requests were answered, values masked, and the id of each."
)
@click.version_option(__version__, prog_name="reconciler")
@click.pass_context
def cli(ctx: click.Context, directory: Path, *, verbose: bool) -> None:
    """Make Databricks secret scopes hold what SOPS-encrypted files in git say.

    A SELECTOR is TARGET or TARGET/SCOPE. Targets stand in secrets/targets.yaml.

    \b
    Exit codes: 0 done or clean, 1 the workspace failed part of it, 2 usage, 3 something to do,
    4 invalid input, 5 cannot decrypt, 6 refused, 130 interrupted.

    \b
    Shell completion: eval "$(_RECONCILER_COMPLETE=bash_source reconciler)"  (or zsh_source, fish_source)
    """
    ctx.obj = Context(directory, verbose=verbose)


_ROOMS = (starting, importing, runs, looking, reviewing, auditing, setting, rotating, editor, merging)
"""Modules with commands, in the order in which ``--help`` shows them. Each has a HEADING, which several may share, and
its COMMANDS."""

for _room in _ROOMS:
    for _command in _room.COMMANDS:
        cli.add_command(_command)
cli.add_command(runs.apply, "reconcile")


def main() -> NoReturn:
    """Entry point of the console script."""
    # Pipelines end a run by SIGTERM, closed terminals by SIGHUP: both are an interrupt, with its words and exit code.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        cli.main(prog_name="reconciler")
    finally:
        # The process ends and gives everything back at once; Python would first search it all for cycles, for 50 ms.
        gc.freeze()
    raise AssertionError("click exits by itself")
