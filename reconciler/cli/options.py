"""What the commands share: the surroundings of a run, and the options of several commands."""

import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from reconciler import terminal


if TYPE_CHECKING:
    from reconciler.pysops.decryptor import Decryptor
    from reconciler.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])


class Context:
    """What all commands share: where to run and whom to tell."""

    def __init__(self, root: Path, *, verbose: bool) -> None:
        self.root = root
        self.verbose = verbose
        self.observer = terminal.Terminal(verbose=verbose)

    def settings(self, selectors: tuple[str, ...] = (), **options: Any) -> "Settings":  # noqa: ANN401  # passed on
        """Return the settings of a run in these surroundings."""
        from reconciler.settings import Settings

        environ = dict(os.environ)
        # Whatever program may be started later, by the SDK for one, has no use for the key of the files.
        os.environ.pop("SOPS_AGE_KEY", None)
        return Settings(root=self.root, selectors=selectors, environ=environ, home=_home(), **options)


def _home() -> Path:
    """Return the home of the user; a user without one has no key files there."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(os.devnull)


def _seconds(_ctx: click.Context, _parameter: click.Parameter, value: float) -> float:
    """Refuse what is a float and no time; comparisons with it are all false, so a range lets it through."""
    if math.isnan(value):
        raise click.BadParameter("nan is not a number of seconds")
    return value


all_targets = click.option("--all", "everything", is_flag=True, help="All targets that have files.")


def requesting(command: F) -> F:
    """Add the options of every command that talks to workspaces."""
    options = (
        click.option(
            "--concurrency", type=click.IntRange(1, 64), default=16, show_default=True, help="Requests at once."
        ),
        click.option(
            "--timeout",
            "timeout_s",
            type=click.FloatRange(0.1, 3600),
            callback=_seconds,
            default=60.0,
            show_default=True,
            help="Seconds for which one request is retried.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


to_file = click.option(
    "--output-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report there, and the text report to stdout.",
)


def reporting(command: F) -> F:
    """Add the options of commands that report a run."""
    options = (
        click.option(
            "-o",
            "--output",
            "form",
            type=click.Choice(["text", "markdown", "json"]),
            default="text",
            show_default=True,
            help="Form of the report.",
        ),
        to_file,
    )
    for option in reversed(options):
        command = option(command)
    return command


class _Allowance(click.Option):
    """Lets through what is refused, or left alone, without it."""


_allow = partial(click.option, cls=_Allowance)


def allowing(command: F) -> F:
    """Add the options of runs that lift guards, or look closer."""
    options = (
        click.option("--verify-values", is_flag=True, help="Read every value, also those that the ledger knows."),
        _allow("--allow-dirty", is_flag=True, help="Use the files of the work tree, not those of the commit."),
        _allow(
            "--allow-deletes",
            type=click.IntRange(min=0),
            metavar="N",
            help="Delete up to N keys in the whole run, however many of one scope.",
        ),
        _allow("--allow-rollback", is_flag=True, help="Use a commit that does not build on the one applied last."),
        _allow("--adopt", is_flag=True, help="Manage scopes that somebody created by other means."),
        _allow("--take-over", is_flag=True, help="Manage scopes that another owner manages."),
        _allow("--delete-scopes", is_flag=True, help="Delete scopes of ours that git no longer names."),
    )
    for option in reversed(options):
        command = option(command)
    return command


class Run(click.Command):
    """Shows under a heading of its own what lifts guards."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options into the help."""
        options = [one for one in self.get_params(ctx) if isinstance(one, click.Option)]
        for heading, lifts in ("Options", False), ("To allow what is otherwise refused or left alone", True):
            records = (one.get_help_record(ctx) for one in options if isinstance(one, _Allowance) is lifts)
            with formatter.section(heading):
                formatter.write_dl([record for record in records if record is not None])


def _decryptor(_ctx: click.Context, _parameter: click.Parameter, value: str) -> "Decryptor":
    """Return what the word stands for; loaded only here, as ``--help`` needs no more than the words."""
    from reconciler.pysops.decryptor import Decryptor

    return Decryptor(value)


unlocking = click.option(
    "--decryptor",
    type=click.Choice(["auto", "native", "sops"]),
    callback=_decryptor,
    default="auto",
    show_default=True,
    help="What opens the files: age keys in-process, else the sops program (auto); or only one of them.",
)


showing = click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of what is shown.",
)


def leave(exit_code: int) -> None:
    """End the command with an exit code; not by an exception of ours, as it has told all that it has to tell."""
    click.get_current_context().exit(exit_code)
