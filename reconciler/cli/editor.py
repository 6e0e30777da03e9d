"""``edit`` and ``rekey``: a file in the editor of the user, and files for others than before."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from reconciler import terminal
from reconciler.cli.options import Context, leave, unlocking
from reconciler.errors import EXIT_INVALID_INPUT, escaped


if TYPE_CHECKING:
    from reconciler.editing.kept_edits import Kept
    from reconciler.editing.with_editor import IfInvalid, IfKept
    from reconciler.errors import InvalidInput
    from reconciler.pysops.decryptor import Decryptor

_LETTERS: Final = {"e": "again", "k": "keep", "d": "drop"}


def _has_terminal() -> bool:
    return terminal.is_terminal(sys.stdin) and terminal.is_terminal(sys.stderr)


class _Asking:
    """Asks somebody at the terminal what no option has said."""

    def __init__(self, *, invalid: str | None, kept: str | None) -> None:
        self._invalid = invalid
        self._kept = kept

    def if_invalid(self, error: "InvalidInput", *, same: bool) -> "IfInvalid":
        """Show what is wrong, and ask."""
        from reconciler.editing.with_editor import IfInvalid
        from reconciler.report import escape_text

        for line in terminal.lines_of(error):
            click.echo(escape_text(line), err=True)
        if self._invalid is not None:
            # A program that writes the same again would do so for ever.
            return IfInvalid.KEEP if same and self._invalid == IfInvalid.AGAIN.value else IfInvalid(self._invalid)
        if not _has_terminal():
            return IfInvalid.KEEP
        try:
            answer = click.prompt(
                "Edit again (e), keep the text encrypted for later (k), or drop it (d)?",
                type=click.Choice(tuple(_LETTERS), case_sensitive=False),
                default="e",
                err=True,
            )
        except click.Abort:  # Ctrl-C, Ctrl-D, a terminal that is gone: nothing that was typed is lost by that
            return IfInvalid.KEEP
        return IfInvalid(_LETTERS[answer.lower()])

    def if_kept(self, kept: "Kept") -> "IfKept | None":
        """Tell of an edit that was kept, and ask."""
        from reconciler.editing.with_editor import IfKept

        if self._kept is not None:
            return IfKept(self._kept)
        if not _has_terminal():
            return None
        click.echo(f"An edit of {escaped(kept.file)} was kept on {kept.since:%Y-%m-%d %H:%M} UTC.", err=True)
        wanted = click.confirm("Go on with it? If not, it is deleted.", default=True, err=True)
        return IfKept.RESUME if wanted else IfKept.DROP


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--resume", "kept", flag_value="resume", help="Go on with an edit that was kept.")
@click.option("--drop-kept", "kept", flag_value="drop", help="Forget an edit that was kept, and begin anew.")
@click.option(
    "--if-invalid",
    type=click.Choice(["again", "keep", "drop"]),
    help="What to do with an edit that breaks a rule; asked on a terminal, kept without one.",
)
@unlocking
@click.pass_obj
def edit(context: Context, /, *, path: Path, kept: str | None, if_invalid: str | None, decryptor: "Decryptor") -> None:
    """Open a scope file in your editor, decrypted.

    The editor is that of VISUAL or EDITOR. The text stands in memory where there is such a folder, and goes
    afterwards; values that stay the same keep their ciphertext. What breaks a rule is not written, and what was typed
    is never lost: it is kept encrypted, for --resume. A file that does not exist is begun.

    \b
    Examples:
      reconciler edit secrets/prod/payments.yaml
      VISUAL='code --wait' reconciler edit secrets/prod/payments.yaml
      reconciler edit secrets/prod/payments.yaml --resume
    """
    from reconciler.editing.with_editor import Outcome
    from reconciler.editing.with_editor import edit as run

    outcome = run(
        context.settings(decryptor=decryptor),
        context.observer,
        path,
        asking=_Asking(invalid=if_invalid, kept=kept),
        has_terminal=_has_terminal(),
    )
    unchanged = outcome is Outcome.UNCHANGED
    click.echo("no changes" if unchanged else f"{outcome.value}  {escaped(str(path))}")
    if outcome is Outcome.WRITTEN:
        context.observer.say("next: reconciler plan, then commit")
    leave(EXIT_INVALID_INPUT if outcome in (Outcome.KEPT, Outcome.DROPPED) else 0)


HEADING: Final = "Write as a whole"
COMMANDS: Final = (edit,)
