"""``merge`` and ``merge-driver``: what two branches changed in one file."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from reconciler import terminal
from reconciler.cli.options import Context, leave, unlocking
from reconciler.errors import UsageError, escaped, exit_code_of


if TYPE_CHECKING:
    from reconciler.merging.solving import Ask
    from reconciler.merging.trees import Conflict, Side
    from reconciler.pysops.decryptor import Decryptor


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option(
    "--ours", multiple=True, metavar="NAME", help="Where both sides changed it, take ours; * stands for any text."
)
@click.option("--theirs", multiple=True, metavar="NAME", help="Take theirs.")
@click.option("--all-ours", "rest", flag_value="ours", help="Take ours wherever both sides changed something.")
@click.option("--all-theirs", "rest", flag_value="theirs", help="Take theirs there; together with --ours NAME, too.")
@click.option("--no-add", is_flag=True, help="Write the merged files, and leave git add to you.")
@unlocking
@click.pass_obj
def merge(
    context: Context,
    /,
    paths: tuple[Path, ...],
    ours: tuple[str, ...],
    theirs: tuple[str, ...],
    rest: str | None,
    decryptor: "Decryptor",
    *,
    no_add: bool,
) -> None:
    """Merge files below secrets/ that git has left in conflict.

    Value by value, in memory. What was merged is written and added, as git mergetool does. Without PATH: all of them.

    Where both sides changed the same, the place is named, never the value, and the file is left as it is: say who wins
    by its NAME as it is shown (TARGET/SCOPE/KEY, acls/PRINCIPAL, prune, rotation/KEY, recipients), or answer on a
    terminal. In a rebase or cherry-pick, ours is what is built upon, and theirs the commit that is applied.

    \b
    Exit codes: 0 all merged, 3 conflicts are left, 5 no key opens a file.

    \b
    Examples:
      reconciler merge
      reconciler merge secrets/prod/payments.yaml --theirs prod/payments/db-password
      reconciler merge --ours 'prod/payments/*' --all-theirs
    """
    from reconciler.merging.solving import Wishes, solve
    from reconciler.merging.trees import Side
    from reconciler.report import escape_text

    wishes = Wishes(ours=ours, theirs=theirs, rest=None if rest is None else Side(rest), ask=_ask_if(rest is None))
    solved = solve(context.settings(decryptor=decryptor), paths, wishes, add=not no_add)
    for line in (line for one in solved.files for line in one.lines):
        click.echo(escape_text(line))
    if not solved.files:
        click.echo("nothing below secrets/ is in conflict")
    if solved.problems:
        click.echo(
            "next: reconciler validate; something is wrong with the tree, see what came from which side", err=True
        )
    if solved.next_step is not None:
        click.echo(f"{'then' if solved.problems else 'next'}: {solved.next_step}", err=True)
    leave(exit_code_of(frozenset(one.exit_code for one in solved.files)))


def _ask_if(wanted: bool) -> "Ask | None":  # noqa: FBT001  # one fact, one function
    """Return what asks at the terminal, if there is one."""
    if not wanted or not (terminal.is_terminal(sys.stdin) and terminal.is_terminal(sys.stderr)):
        return None
    return _ask


def _ask(path: str, name: str, conflict: "Conflict") -> "Side | None":
    """Ask who wins at one place."""
    from reconciler.merging.trees import Side
    from reconciler.report import escape_text

    answer = click.prompt(
        escape_text(f"{escaped(path)}: {escaped(name)}: {conflict.what}. Take ours (o), theirs (t), or leave it (l)?"),
        type=click.Choice(("o", "t", "l"), case_sensitive=False),
        default="l",
        err=True,
    )
    return {"o": Side.OURS, "t": Side.THEIRS}.get(answer.lower())


@click.command(name="merge-driver")
@click.argument("base", type=click.Path(path_type=Path), required=False, metavar="%O")
@click.argument("ours", type=click.Path(path_type=Path), required=False, metavar="%A")
@click.argument("theirs", type=click.Path(path_type=Path), required=False, metavar="%B")
@click.argument("path", required=False, metavar="%P")
@click.argument("marker_size", type=click.IntRange(1, 1000), default=7, metavar="[%L]")
@click.option("--install", is_flag=True, help="Tell this clone of the driver, and .gitattributes if need be.")
@click.pass_obj
def merge_driver(
    context: Context,
    /,
    base: Path | None,
    ours: Path | None,
    theirs: Path | None,
    path: str | None,
    marker_size: int,
    *,
    install: bool,
) -> None:
    """Merge for git: branches that changed different keys of a file.

    Git runs it, once it is told: --install writes that into the settings of the clone, which git does not clone, and
    the attribute into .gitattributes, which is to be committed. Needs a key that opens the files.

    What both branches changed is a conflict: the file is left as it is in ours, and reconciler merge solves it.

    \b
    Exit codes, as git wants them: 0 merged, 1 to 127 a conflict.

    \b
    Examples:
      reconciler merge-driver --install
      git config merge.reconciler.driver
    """
    if install:
        _install(context.root)
        return
    if base is None or ours is None or theirs is None or path is None:
        raise UsageError("git calls this with %O %A %B %P", advice="reconciler merge-driver --install tells it to")
    from reconciler.merging.driver import Files, drive
    from reconciler.report import escape_text

    settings = context.settings()
    top = context.root
    told = drive(
        top,
        Files(base=top / base, ours=top / ours, theirs=top / theirs),
        path,
        environ=settings.environ,
        home=settings.home,
        now=datetime.now(UTC),
        marker_size=marker_size,
    )
    for line in told.lines:
        click.echo(escape_text(line), err=True)
    leave(told.exit_code)


def _install(root: Path) -> None:
    from reconciler.merging.installing import ATTRIBUTES_FILE, setup

    done = setup(root)
    click.echo(f"git merges scope files by: {done.driver}" if done.configured else "git knows the driver already")
    if done.attributes:
        click.echo(f"{ATTRIBUTES_FILE} names it for secrets/: commit that file")


HEADING: Final = "Write"
COMMANDS: Final = (merge, merge_driver)
