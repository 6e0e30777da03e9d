"""Commands that look for what is due, and for what is wrong: ``audit`` and ``doctor``."""

import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from reconciler import terminal
from reconciler.cli.options import Context, all_targets, leave, reporting, requesting, showing, unlocking
from reconciler.errors import ReconcilerError, UsageError


if TYPE_CHECKING:
    from reconciler.settings import Settings


_ABOUT_AGES: Final = {
    "within_days": "--within",
    "all_keys": "--all-keys",
    "everything": "--all",
    "concurrency": "--concurrency",
    "timeout_s": "--timeout",
}
"""Options that mean nothing with ``--revoked``."""


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
@click.option(
    "--revoked",
    metavar="RECIPIENT",
    help="Instead, offline: what this recipient could ever read and is not known to have changed since.",
)
@click.option("--all-refs", is_flag=True, help="With --revoked: look at all branches and tags, not only at HEAD.")
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
    revoked: str | None,
    **options: Any,  # noqa: ANN401
) -> None:
    """Show which values are due for another one.

    By age: values older than the rotation rules of their scope allow, due soon, or of unknown age. Needs no key of the
    files. Exit code 3 when something is overdue.

    By who left: with --revoked every value that a recipient could read at any commit, and that is not known to have
    changed since. Keys of the files, where there are any, are used to compare. Exit code 3 when anything is listed.

    \b
    Examples:
      reconciler audit prod
      reconciler audit --all --within 30 -o markdown --output-file audit.md
      reconciler audit --revoked age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq
    """
    from reconciler import report
    from reconciler.auditing.ages import audit as run
    from reconciler.auditing.ages import failed_audit

    def document(settings: "Settings", error: ReconcilerError) -> str:
        failed = failed_audit(settings, error, within_days=within_days)
        if form == "text":
            return report.render_ages(failed, color=False)
        return report.render_ages_markdown(failed) if form == "markdown" else report.render_ages_json(failed)

    all_refs = options.pop("all_refs")
    if revoked is not None:
        _check_about_history()
    settings = context.settings(selectors, **options)
    terminal.check_output_file(output_file, context.root)
    if revoked is not None:
        _show_revoked(context, settings, revoked, form, output_file, all_refs=all_refs)
        return
    if all_refs:
        raise UsageError("--all-refs is about the history of files", advice="give --revoked RECIPIENT with it")
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


def _check_about_history() -> None:
    """Refuse options of the other audit, which would do nothing.

    Raises:
        UsageError: One is given.
    """
    current = click.get_current_context()
    for name, option in _ABOUT_AGES.items():
        if current.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"{option} does nothing with --revoked, which asks no workspace", advice="leave it out")


def _show_revoked(
    context: Context, settings: "Settings", recipient: str, form: str, output_file: Path | None, *, all_refs: bool
) -> None:
    """Print what a recipient could read, and end the command."""
    from reconciler import report
    from reconciler.auditing.revoked import revoked as run

    def document(_settings: "Settings", error: ReconcilerError) -> str:
        return report.render_error_json(error) if form == "json" else report.render_error_markdown(error)

    with terminal.reported_failure(settings, form, output_file, document=document):
        found = run(settings, context.observer, recipient, all_refs=all_refs)
    terminal.show(
        form,
        output_file=output_file,
        text=partial(report.render_revoked, found, width=terminal.columns(sys.stdout)),
        markdown=partial(report.render_revoked_markdown, found),
        json=partial(report.render_revoked_json, found),
    )
    leave(found.exit_code)


@click.command()
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@click.option("--offline", is_flag=True, help="Ask no workspace and no key service.")
@requesting
@unlocking
@showing
@click.pass_obj
def doctor(context: Context, /, selectors: tuple[str, ...], form: str, *, offline: bool, **options: Any) -> None:  # noqa: ANN401
    """Look at everything that a run depends on.

    Git, files, keys and which files they open, the sops program; of each target (all of them, without SELECTOR) login,
    clock, limits, ledger and permissions. Each line says ok, warn or fail, and what to do. Writes nothing.

    \b
    Examples:
      reconciler doctor --offline
      reconciler doctor prod/payments
      reconciler doctor -o json | jq -r '.checks[] | select(.verdict == "fail") | .text'
    """
    from reconciler import report
    from reconciler.doctor import examine as run

    found = run(context.settings(selectors, **options), context.observer, offline=offline)
    terminal.show(
        form,
        text=partial(report.render_checkup, found, width=terminal.columns(sys.stdout)),
        json=partial(report.render_checkup_json, found),
    )
    leave(found.exit_code)


HEADING: Final = "Look"
COMMANDS: Final = (audit, doctor)
