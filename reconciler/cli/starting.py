"""The command with which a repository of secrets begins."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from reconciler import terminal
from reconciler.cli.options import Context
from reconciler.errors import Interrupted, Refused


if TYPE_CHECKING:
    from reconciler.scaffold import Outcome, Question


@click.command()
@click.argument("target", required=False)
@click.option("--host", metavar="URL", help="The workspace, as https://adb-1.2.azuredatabricks.net.")
@click.option("--embedded", is_flag=True, help="A workspace that the reconciler runs itself, to try things out.")
@click.option("--auth-type", metavar="WORD", help="How to log in, as the SDK calls it, such as github-oidc.")
@click.option("--client-id", metavar="ID", help="Application id of the service principal that logs in.")
@click.option("--profile", metavar="NAME", help="Profile of ~/.databrickscfg to log in with.")
@click.option("--workspace-id", metavar="ID", help="Where several workspaces share the host.")
@click.option("--operator", "operators", multiple=True, metavar="PRINCIPAL", help="Who may run the target. Repeatable.")
@click.option(
    "--age-key",
    "age_keys",
    multiple=True,
    metavar="AGE1…|existing|generate",
    help="Who can open the files: a recipient; the identity at hand; a new one, made where sops looks for it. "
    "Repeatable.",
)
@click.option("--scope", metavar="SCOPE", help="The first scope (secrets).")
@click.option("--key", metavar="KEY", help="Its first key (secret-name).")
@click.option("--no-scope", "without_scope", is_flag=True, help="No first scope: import those that exist next.")
@click.pass_obj
def init(context: Context, /, *, embedded: bool, without_scope: bool, **given: "str | tuple[str, ...] | None") -> None:
    """Make a repository of secrets, or complete one.

    Writes .sops.yaml, secrets/targets.yaml and a first encrypted file for TARGET; .gitignore, .gitattributes and a hook
    of pre-commit; and has git merge encrypted files key by key. What is there already is left as it is.

    What no option says is asked on a terminal. Without one, --host (or --embedded) and --age-key have to say it, the
    latter unless there is exactly one identity.

    \b
    Examples:
      reconciler init
      reconciler init demo --embedded
      reconciler init prod --host https://adb-1.2.azuredatabricks.net --age-key generate
      reconciler init prod --host https://acme.cloud.databricks.com --auth-type github-oidc \\
        --client-id 6f1c0a52-7f54-4c0b-9a55-6b5f3e0d9c11 --age-key age1… --age-key age1…
    """
    from reconciler.scaffold import Answers, Outcome, Surroundings, render
    from reconciler.scaffold import init as run

    settings = context.settings()
    here = Surroundings(
        root=settings.root,
        environ=settings.environ,
        home=settings.home,
        now=datetime.now(UTC),
        ask=_ask if terminal.is_terminal(sys.stdin) and terminal.is_terminal(sys.stderr) else None,
    )
    outcome = Outcome()
    try:
        run(here, Answers(embedded=embedded, without_scope=without_scope, **given), outcome)  # type: ignore[arg-type]  # as the options are called
        _have_git_merge(settings.root, outcome)
    finally:
        # Also where it went no further: nobody must be left with a new key of which they were not told.
        if outcome.is_something():
            terminal.show("text", text=lambda **_: render(outcome))


def _have_git_merge(root: Path, outcome: "Outcome") -> None:
    """Tell this clone of the merge driver, if it is one: git takes no program from what was cloned."""
    from reconciler.merging.installing import setup

    if not outcome.is_repository:
        return
    try:
        done = setup(root)
    except Refused as error:
        outcome.notices.append(f"git does not merge encrypted files yet: {error.with_advice()}")
        return
    if done.configured:
        outcome.notices.append(
            "git merges encrypted files value by value here; other clones need, once:\n"
            "    reconciler merge-driver --install"
        )


def _ask(question: "Question") -> str:
    """Ask on the terminal until the answer does."""

    def checked(text: str) -> str:
        problem = question.problem(text)
        if problem is not None:
            raise click.UsageError(problem)
        return text

    shown = bool(question.default)
    try:
        text = click.prompt(question.text, default=question.default, show_default=shown, value_proc=checked, err=True)
    except click.Abort:
        click.echo(err=True)
        raise Interrupted("no answer was given; nothing was written") from None
    return str(text)


HEADING: Final = "Begin"
COMMANDS: Final = (init,)
