"""``plan`` and ``apply``."""

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from reconciler import terminal
from reconciler.cli.options import Context, Run, all_targets, allowing, leave, reporting, requesting, unlocking
from reconciler.errors import EXIT_PENDING


if TYPE_CHECKING:
    from reconciler.report import RunReport

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


def _digest(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse what is no digest, before anything is asked of anybody."""
    if value is not None and re.fullmatch("sha256:[0-9a-f]{64}", value, re.ASCII) is None:
        raise click.BadParameter("a digest is sha256: and 64 hexadecimal digits, as plan reports it")
    return value


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


@click.command(cls=Run, epilog=_PLAN_EXAMPLES)
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@all_targets
@requesting
@unlocking
@reporting
@allowing
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 3 when there is something to do.")
@click.pass_obj
def plan(
    context: Context,
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
    leave(report.exit_code or (EXIT_PENDING if pending else 0))


@click.command(cls=Run, epilog=_APPLY_EXAMPLES)
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@all_targets
@requesting
@unlocking
@reporting
@allowing
@click.option("--expect-plan", metavar="DIGEST", callback=_digest, help="Refuse any plan but the one with this digest.")
@click.option("--yes", is_flag=True, help="Do not ask. Without a terminal, and for embedded targets, nothing is asked.")
@click.pass_obj
def apply(
    context: Context,
    /,
    *,
    selectors: tuple[str, ...],
    form: str,
    output_file: Path | None,
    yes: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Make workspaces hold what git says."""
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
    leave(report.exit_code)


HEADING: Final = "Run"
COMMANDS: Final = (plan, apply)
