"""The command that tells what a change does, before anybody applies it."""

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from reconciler import terminal
from reconciler.cli.options import Context, leave, reporting
from reconciler.errors import ReconcilerError


if TYPE_CHECKING:
    from reconciler.settings import Settings


@click.command()
@click.argument("base", required=False)
@click.option("--head", metavar="REF", help="Last commit of the change.  [default: HEAD]")
@click.option("--work-tree", is_flag=True, help="Look at the files as they are now, before they are committed.")
@reporting
@click.pass_obj
def review(
    context: Context,
    /,
    base: str | None,
    form: str,
    output_file: Path | None,
    *,
    head: str | None,
    work_tree: bool,
) -> None:
    """Tell what a change does, without a key and offline.

    Compares HEAD with the commit at which it left BASE, a branch, tag or hash; by default origin's main branch, else
    main. First what to look at first: hosts, recipients, authentication, widened grants, files that went back or were
    encrypted anew as a whole; then deletions; then keys and values. Exit code 4 when the files have problems, as
    validate says.

    \b
    Examples:
      reconciler review
      reconciler review --work-tree
      reconciler review origin/release --head feature -o markdown
      reconciler review "$BASE_SHA" --head "$HEAD_SHA" -o json --output-file review.json
    """
    from reconciler import report
    from reconciler.review import review as run

    def document(_: "Settings", error: ReconcilerError) -> str:
        return report.render_error_markdown(error) if form == "markdown" else report.render_error_json(error)

    terminal.check_output_file(output_file, context.root)
    with terminal.reported_failure(context.settings(), form, output_file, document=document):
        found = run(context.root, os.environ, base=base, head=head, work_tree=work_tree)
    terminal.show(
        form,
        output_file=output_file,
        text=partial(report.render_review, found, width=terminal.columns(sys.stdout)),
        markdown=partial(report.render_review_markdown, found),
        json=partial(report.render_review_json, found),
    )
    leave(found.exit_code)


HEADING: Final = "Look"
COMMANDS: Final = (review,)
