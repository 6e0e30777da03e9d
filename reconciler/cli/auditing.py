"""Commands that look for what is due and what is wrong: ``audit``."""

import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from reconciler import terminal
from reconciler.cli.options import Context, all_targets, leave, reporting, requesting
from reconciler.errors import ReconcilerError


if TYPE_CHECKING:
    from reconciler.settings import Settings


@click.command()
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@all_targets
@requesting
@reporting
@click.option(
    "--within",
    "within_days",
    type=click.IntRange(0, 36_500),
    metavar="DAYS",
    default=14,
    show_default=True,
    help="Also list what will be overdue in so many days.",
)
@click.option("--all-keys", is_flag=True, help="Also list what is within its limit, or has no rotation rule.")
@click.pass_obj
def audit(
    context: Context,
    /,
    *,
    selectors: tuple[str, ...],
    form: str,
    output_file: Path | None,
    within_days: int,
    all_keys: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Show which values are due for another one.

    By age: values older than the rotation rules of their scope allow, due soon, or of unknown age. Needs no key of the
    files. Exit code 3 when something is overdue.

    \b
    Examples:
      reconciler audit prod
      reconciler audit --all --within 30 -o markdown --output-file audit.md
    """
    from reconciler import report
    from reconciler.auditing.ages import audit as run
    from reconciler.auditing.ages import failed_audit

    def document(settings: "Settings", error: ReconcilerError) -> str:
        failed = failed_audit(settings, error, within_days=within_days)
        return report.render_ages_markdown(failed) if form == "markdown" else report.render_ages_json(failed)

    settings = context.settings(selectors, **options)
    terminal.check_output_file(output_file, context.root)
    with terminal.reported_failure(settings, form, output_file, document=document):
        found = run(settings, context.observer, within_days=within_days, now=datetime.now(UTC))
    terminal.show(
        form,
        output_file=output_file,
        text=partial(report.render_ages, found, every=all_keys, width=terminal.columns(sys.stdout)),
        markdown=partial(report.render_ages_markdown, found, every=all_keys),
        json=partial(report.render_ages_json, found),
    )
    leave(found.exit_code)


HEADING: Final = "Check"
COMMANDS: Final = (audit,)
