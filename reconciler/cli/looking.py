"""Commands that look: at files without a key, at what workspaces hold; and the embedded workspace itself."""

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from reconciler import __version__, terminal
from reconciler.cli.options import Context, all_targets, leave, requesting, showing, to_file
from reconciler.errors import EXIT_INVALID_INPUT, EXIT_WORKSPACE, ReconcilerError, exit_code_of


if TYPE_CHECKING:
    from reconciler.settings import Settings


@click.command()
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
@to_file
@click.pass_obj
def validate(context: Context, /, paths: tuple[Path, ...], form: str, output_file: Path | None) -> None:
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
    leave(0 if found.is_valid else EXIT_INVALID_INPUT)


@click.command()
@showing
@click.pass_obj
def targets(context: Context, /, form: str) -> None:
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


@click.command(name="list")
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@all_targets
@requesting
@showing
@click.pass_obj
def list_(context: Context, /, selectors: tuple[str, ...], form: str, **options: Any) -> None:  # noqa: ANN401
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
    leave(0 if all(listing.complete for listing in found) else EXIT_WORKSPACE)


@click.command()
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@all_targets
@requesting
@showing
@click.pass_obj
def status(context: Context, /, selectors: tuple[str, ...], form: str, **options: Any) -> None:  # noqa: ANN401
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
    leave(exit_code_of(frozenset(target.exit_code for target in found)))


@click.command()
@click.argument("selector", metavar="TARGET/SCOPE")
@click.argument("key")
@requesting
@click.pass_obj
def get(context: Context, /, selector: str, key: str, **options: Any) -> None:  # noqa: ANN401
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


@click.command()
@click.argument("target", default="demo")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1; 0 takes a free one.")
@click.pass_obj
def emulator(context: Context, /, target: str, port: int) -> None:
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


HEADING: Final = "Look"
COMMANDS: Final = (validate, targets, list_, status, get, emulator)
