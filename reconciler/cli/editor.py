"""``edit`` and ``rekey``: a file in the editor of the user, and files for others than before."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from reconciler import terminal
from reconciler.cli.options import Context, leave, unlocking
from reconciler.errors import (
    EXIT_CANNOT_DECRYPT,
    EXIT_INVALID_INPUT,
    Interrupted,
    Problem,
    UsageError,
    escaped,
    exit_code_of,
)


if TYPE_CHECKING:
    from reconciler.editing.kept_edits import Kept
    from reconciler.editing.rekeying import Plan
    from reconciler.editing.with_editor import IfInvalid, IfKept
    from reconciler.errors import InvalidInput
    from reconciler.pysops import Recipient
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
        answer = click.prompt(
            "Go on with it (g), or delete it (d)?",
            type=click.Choice(("g", "d"), case_sensitive=False),
            default="g",
            err=True,
        )
        return IfKept.RESUME if answer.lower() == "g" else IfKept.DROP


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


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option("--all", "everything", is_flag=True, help="All files, also those that are for the right people already.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@unlocking
@click.pass_obj
def rekey(
    context: Context,
    /,
    *,
    paths: tuple[Path, ...],
    everything: bool,
    dry_run: bool,
    yes: bool,
    decryptor: "Decryptor",
) -> None:
    """Encrypt files anew for whom .sops.yaml names.

    After somebody joined or left: change .sops.yaml, then run this. Files that are for others than it says get the
    right recipients and a new data key, as sops updatekeys leaves the one that who left may have kept. Files below a
    PATH, or --all, get a new data key in any case.

    \b
    Examples:
      reconciler rekey --dry-run
      reconciler rekey --yes
      reconciler rekey secrets/prod
    """
    from reconciler.editing import Draft
    from reconciler.editing.rekeying import plan_rekey
    from reconciler.editing.rekeying import rekey as run

    draft = Draft(context.settings(decryptor=decryptor))
    plan = plan_rekey(draft, paths, everything=everything)
    _show_plan(plan)
    failed = {EXIT_INVALID_INPUT} if _tell_problems(plan.problems) else set()
    if not plan.files or dry_run:
        leave(exit_code_of(frozenset(failed)))
        return
    if not yes:
        _confirm(plan)
    done = run(draft, plan, context.observer)
    click.echo(f"{_count(len(done.written))} written")
    if _tell_problems(done.problems):
        failed.add(EXIT_CANNOT_DECRYPT)
    for recipient in done.removed:
        context.observer.say(_revoked(recipient))
    if done.written:
        context.observer.say("next: commit; workspaces are not touched, as values stay the same")
    leave(exit_code_of(frozenset(failed)))


def _show_plan(plan: "Plan") -> None:
    """Print per file who can open it afterwards, and who no more."""
    if not plan.files:
        click.echo(f"no changes: {_count(plan.agreeing)} looked at, all for whom .sops.yaml names")
    for one in plan.files:
        click.echo(escaped(one.path))
        for mark, recipients in ("+", one.added), ("-", one.removed):
            for recipient in recipients:
                click.echo(f"  {mark} {recipient.shown}")
        if one.regrouped:
            click.echo("  key groups as .sops.yaml has them")
        if one.agrees:
            click.echo("  the same recipients, a new data key")
    if len(plan.files) > 1:
        # Who matters more than where, and would otherwise have left the screen before the question.
        for mark, totals in ("+", plan.added), ("-", plan.removed):
            for recipient, files in totals.items():
                click.echo(f"{mark} {recipient.shown}  in {_count(files)}")


def _confirm(plan: "Plan") -> None:
    """Ask whether to go on.

    Raises:
        UsageError: Nobody can be asked.
        Interrupted: The answer is no.
    """
    if not _has_terminal():
        raise UsageError("nobody can be asked whether to write the files", advice="give --yes, or --dry-run")
    try:
        wanted = click.confirm(f"Write {_count(len(plan.files))}?", err=True)
    except click.Abort:
        click.echo(err=True)
        wanted = False
    if not wanted:
        raise Interrupted("nothing was written")


def _revoked(recipient: "Recipient") -> str:
    """Return what is left to do about somebody who can open fewer files now."""
    name = recipient.shown_name
    # A name that is not shown may be anything, a password of a URL among it.
    word = "ITS-NAME" if name is None or "…" in name else shlex.quote(name)
    return (
        f"{recipient.shown} could read these values until now, and can in what was kept of git: rotate those that are "
        f"listed by: reconciler audit --revoked {word}"
    )


def _count(files: int) -> str:
    from reconciler.report.wording import count

    return count(files, "file")


def _tell_problems(problems: tuple[Problem, ...]) -> bool:
    """Print problems to stderr; tell whether there are any."""
    from reconciler.report import escape_text

    for problem in problems:
        click.echo(escape_text(str(problem)), err=True)
    return bool(problems)


HEADING: Final = "Write"
COMMANDS: Final = (edit, rekey)
