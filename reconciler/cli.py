"""The command line: click wiring only.

Each command builds `Settings`, calls one function (of `reconcile`, `validate` or `status`), and prints one report.
Stdout carries the report, stderr the talk. Rooms are imported by the commands that need them, so that ``--help``
starts at once.
"""

import gc
import math
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import click

from reconciler import __version__, terminal
from reconciler.errors import (
    EXIT_INTERRUPTED,
    EXIT_INVALID_INPUT,
    EXIT_PENDING,
    EXIT_WORKSPACE,
    ReconcilerError,
    exit_code_of,
)


if TYPE_CHECKING:
    from reconciler.pysops.decryptor import Decryptor
    from reconciler.report import RunReport
    from reconciler.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

_PLAN_EXAMPLES: Final = """
\b
Examples:
  reconciler plan                        the default target (demo, or RECONCILER_TARGET)
  reconciler plan prod                   one target
  reconciler plan prod/payments          one scope of it
  reconciler plan --all -o json          everything, for programs
  reconciler plan prod --detailed-exitcode    exit code 3 when there is something to do
"""

_APPLY_EXAMPLES: Final = """
\b
Examples:
  reconciler apply                       the default target (demo, or RECONCILER_TARGET)
  reconciler apply prod --yes            without a question, as a pipeline does
  reconciler apply prod/payments dev     one scope of one target, all of another
  reconciler apply --all -o markdown --output-file report.md
"""


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
    """Turns whatever a command raises into lines on stderr and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  # click's own signature
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ReconcilerError as error:
            raise _Failure(terminal.lines_of(error), error.exit_code) from None
        except KeyboardInterrupt:
            raise _Failure(("interrupted; run again to finish what was begun",), EXIT_INTERRUPTED) from None
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001  # a bug must not print values: messages may quote them
            raise _Failure(terminal.crash_lines(error), EXIT_WORKSPACE) from None


class _Context:
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


def _digest(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse what is no digest, before anything is asked of anybody."""
    if value is not None and re.fullmatch("sha256:[0-9a-f]{64}", value, re.ASCII) is None:
        raise click.BadParameter("a digest is sha256: and 64 hexadecimal digits, as plan reports it")
    return value


_everything = click.option("--all", "everything", is_flag=True, help="All targets that have files.")


def _requesting(command: F) -> F:
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


_to_file = click.option(
    "--output-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report there, and the text report to stdout.",
)


def _reporting(command: F) -> F:
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
        _to_file,
    )
    for option in reversed(options):
        command = option(command)
    return command


class _Allowance(click.Option):
    """Lets through what is refused, or left alone, without it."""


_allow = partial(click.option, cls=_Allowance)


def _allowing(command: F) -> F:
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


class _Run(click.Command):
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


_unlocking = click.option(
    "--decryptor",
    type=click.Choice(["auto", "native", "sops"]),
    callback=_decryptor,
    default="auto",
    show_default=True,
    help="What opens the files: age keys in-process, else the sops program (auto); or only one of them.",
)


_showing = click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of what is shown.",
)


_OF_PLANS: Final = frozenset({"everything", "form", "output_file", "detailed_exitcode"})
"""Options of plan that make no difference to what an apply would do; which targets are meant is told by name."""


def _shared_with_apply() -> Iterator[str]:
    """Yield the options of this plan that its apply needs as well, as they were typed."""
    ctx = click.get_current_context()
    for option in ctx.command.params:
        name = option.name or ""
        is_typed = ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if isinstance(option, click.Option) and is_typed and name not in _OF_PLANS:
            value = ctx.params[name]
            yield option.opts[0]
            if not option.is_flag:
                yield str(getattr(value, "value", value))


def _leave(exit_code: int) -> None:
    click.get_current_context().exit(exit_code)


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
    ctx.obj = _Context(directory, verbose=verbose)


@cli.command(cls=_Run, epilog=_PLAN_EXAMPLES)
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@_everything
@_requesting
@_unlocking
@_reporting
@_allowing
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 3 when there is something to do.")
@click.pass_obj
def plan(
    context: _Context,
    /,
    *,
    selectors: tuple[str, ...],
    form: str,
    output_file: Path | None,
    detailed_exitcode: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Show what apply would do. Sends no write request."""
    from reconciler.reconcile import plan_run

    settings = context.settings(selectors, **options)
    terminal.check_output_file(output_file, context.root)
    with terminal.reported_failure(settings, form, output_file):
        report = plan_run(settings, context.observer)
    report = replace(report, selectors=selectors, options=tuple(_shared_with_apply()))
    pending = detailed_exitcode and any(target.plan for target in report.targets)
    terminal.print_report(report, form, output_file, verbose=context.verbose)
    _leave(report.exit_code or (EXIT_PENDING if pending else 0))


@cli.command(cls=_Run, epilog=_APPLY_EXAMPLES)
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@_everything
@_requesting
@_unlocking
@_reporting
@_allowing
@click.option("--expect-plan", metavar="DIGEST", callback=_digest, help="Refuse any plan but the one with this digest.")
@click.option("--yes", is_flag=True, help="Do not ask. Without a terminal, and for embedded targets, nothing is asked.")
@click.pass_obj
def apply(
    context: _Context,
    /,
    *,
    selectors: tuple[str, ...],
    form: str,
    output_file: Path | None,
    yes: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Make workspaces hold what git says (also called reconcile)."""
    from reconciler.reconcile import Approval, apply_run

    declined = False

    def confirm(planned: "RunReport") -> Approval:
        nonlocal declined
        agreed = None if yes else terminal.ask(planned)
        declined = agreed is False
        return Approval.ASSUMED if agreed is None else Approval.GIVEN if agreed else Approval.DECLINED

    settings = context.settings(selectors, **options)
    terminal.check_output_file(output_file, context.root)
    with terminal.reported_failure(settings, form, output_file, writes=True):
        report = apply_run(settings, context.observer, confirm)
    if declined and form == "text" and output_file is None and terminal.is_terminal(sys.stdout):
        click.echo("nothing was written", err=True)  # the plan stands above the question
    else:
        terminal.print_report(report, form, output_file, verbose=context.verbose)
    _leave(report.exit_code)


cli.add_command(apply, "reconcile")


@cli.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["text", "json", "sarif"]),
    default="text",
    show_default=True,
    help="Form of what is shown.",
)
@_to_file
@click.pass_obj
def validate(context: _Context, /, paths: tuple[Path, ...], form: str, output_file: Path | None) -> None:
    """Check all that shows without a key, offline.

    Targets, scope files, .sops.yaml, names, limits; exit code 4 for problems, 0 when there are only warnings.

    With PATHs only their problems are shown, but all files are read, as some rules span several.

    \b
    Examples:
      reconciler validate
      reconciler validate secrets/prod/payments.yaml
      reconciler -C ../secrets-repository validate -o json
      reconciler validate -o sarif --output-file reconciler.sarif
    """
    from reconciler import report
    from reconciler.validate import validate as run

    terminal.check_output_file(output_file, context.root)
    found = run(context.root, os.environ, paths)
    terminal.show(
        form,
        output_file=output_file,
        text=partial(report.render_problems, found.problems, files=found.files),
        json=partial(report.render_problems_json, found.problems, files=found.files),
        sarif=partial(
            report.render_problems_sarif,
            found.problems,
            rules=found.rules,
            prefix=found.prefix,
            tool_version=__version__,
        ),
    )
    _leave(0 if found.is_valid else EXIT_INVALID_INPUT)


@cli.command()
@_showing
@click.pass_obj
def targets(context: _Context, /, form: str) -> None:
    """Show the targets and which scopes git feeds them, offline.

    \b
    Examples:
      reconciler targets
      reconciler targets -o json | jq -r '.targets[].target'
    """
    from reconciler import report
    from reconciler.reconcile import targets as run

    rows = run(context.settings())
    terminal.show(form, text=partial(report.render_targets, rows), json=partial(report.render_targets_json, rows))


@cli.command(name="list")
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@_everything
@_requesting
@_showing
@click.pass_obj
def list_(context: _Context, /, selectors: tuple[str, ...], form: str, **options: Any) -> None:  # noqa: ANN401
    """Show what workspaces hold, values aside.

    Scopes, grants, keys and when they were last put.

    \b
    Examples:
      reconciler list
      reconciler list prod/payments -o json
    """
    from reconciler import report
    from reconciler.reconcile import listing as run

    found = run(context.settings(selectors, **options), context.observer)
    terminal.show(form, text=partial(report.render_listing, found), json=partial(report.render_listing_json, found))
    _leave(0 if all(listing.complete for listing in found) else EXIT_WORKSPACE)


@cli.command()
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@_everything
@_requesting
@_showing
@click.pass_obj
def status(context: _Context, /, selectors: tuple[str, ...], form: str, **options: Any) -> None:  # noqa: ANN401
    """Show how workspaces stand to git and to what was applied.

    Per scope and key: managed, drifted, orphaned, unmanaged, pending; when it changed, by which commit and author.
    Needs no key of the files; values that nobody applied yet are seen by plan.

    \b
    Examples:
      reconciler status
      reconciler status prod/payments
      reconciler status --all -o json | jq '.targets[].summary'
    """
    from reconciler import report
    from reconciler.status import failed_status
    from reconciler.status import status as run

    def document(settings: "Settings", error: ReconcilerError) -> str:
        return report.render_status_json(failed_status(settings, error))

    settings = context.settings(selectors, **options)
    with terminal.reported_failure(settings, form, None, document=document):
        found = run(settings, context.observer)
    terminal.show(
        form,
        text=partial(report.render_status, found, width=terminal.columns(sys.stdout)),
        json=partial(report.render_status_json, found),
    )
    _leave(exit_code_of(frozenset(target.exit_code for target in found)))


@cli.command()
@click.argument("selector", metavar="TARGET/SCOPE")
@click.argument("key")
@_requesting
@click.pass_obj
def get(context: _Context, /, selector: str, key: str, **options: Any) -> None:  # noqa: ANN401
    """Print one value as the workspace holds it.

    Byte for byte; on a terminal with a line feed, and only if it is printable text.

    \b
    Examples:
      reconciler get demo/secrets secret-name
      reconciler get prod/payments keystore.p12 > keystore.p12
    """
    from reconciler.reconcile import get as run

    raw = run(context.settings(**options), context.observer, selector=selector, key=key).reveal()
    if terminal.is_terminal(sys.stdout):
        raw = terminal.fit_for_terminal(raw)
    click.echo(raw, nl=False)


@cli.command()
@click.argument("target", default="demo")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1; 0 takes a free one.")
@click.pass_obj
def emulator(context: _Context, /, target: str, port: int) -> None:
    """Serve the embedded workspace to SDK, CLI and notebooks.

    It is that of TARGET (demo), and is served until interrupted.

    Prints host and tokens of its admin and its plain user as shell assignments. Tokens are new each time, unless
    RECONCILER_EMULATOR_ADMIN_TOKEN and RECONCILER_EMULATOR_USER_TOKEN set them.

    \b
    Examples:
      reconciler emulator --port 8080 > emulator.env &
      . ./emulator.env && databricks secrets list-scopes
    """
    from reconciler.reconcile import serve

    def ready(url: str, admin_token: str, user_token: str) -> None:
        click.echo(f"export DATABRICKS_HOST={url}")
        click.echo(f"export DATABRICKS_TOKEN={admin_token}")
        click.echo(f"export DATABRICKS_USER_TOKEN={user_token}")
        click.echo(
            "Serving; DATABRICKS_TOKEN is admin@example.com, the other one user@example.com. Ctrl-C ends it.", err=True
        )

    serve(context.settings((target,)), port=port, ready=ready)


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
