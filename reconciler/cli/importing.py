"""``import``: what exists becomes files."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from reconciler import terminal
from reconciler.cli.options import Context, leave, requesting, showing, unlocking
from reconciler.errors import ReconcilerError, UsageError, escaped


if TYPE_CHECKING:
    from reconciler.importing import Imported

_STDIN: Final = "-"


@click.command(name="import")
@click.argument("selectors", nargs=-1, required=True, metavar="SELECTOR...")
@click.option("--merge", is_flag=True, help="Also into files that feed a scope: what is found wins over what they say.")
@click.option(
    "--skip-unreadable", is_flag=True, help="Leave out keys and grants that cannot be read, or that no file can hold."
)
@click.option("--file", help="Scope file for the one scope that is named, instead of secrets/TARGET/SCOPE.yaml.")
@click.option(
    "--from-tfstate",
    "state",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Take all from a state of Terraform, and ask no workspace; - is stdin.",
)
@click.option("--provider", help="Which configuration of the provider is TARGET, if the state has several: its alias.")
@click.option(
    "--removed-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write there what has Terraform forget what was imported, not to stdout. A new file.",
)
@requesting
@unlocking
@showing
@click.pass_obj
def import_(  # noqa: PLR0913  # one parameter an option, all of them named
    context: Context,
    /,
    *,
    selectors: tuple[str, ...],
    merge: bool,
    skip_unreadable: bool,
    file: str | None,
    state: Path | None,
    provider: str | None,
    removed_file: Path | None,
    form: str,
    **options: Any,  # noqa: ANN401
) -> None:
    """Adopt scopes that exist: write files that say what they hold.

    Values byte for byte, grants included. Key-Vault-backed scopes are passed over. What git feeds already is left alone
    without --merge. Writes files alone, when all has been read; plan then shows no changes.

    With --from-tfstate nothing is asked of a workspace, and stdout is a configuration for Terraform: it forgets what
    was imported, and leaves it where it is.

    \b
    Examples:
      reconciler import prod
      reconciler import prod/payments --merge
      terraform state pull | reconciler import prod --from-tfstate - --removed-file removed.tf
    """
    from reconciler import importing

    wish = importing.Wish(merge=merge, skip_unreadable=skip_unreadable, file=file)
    settings = context.settings(selectors, **options)
    if state is None:
        if provider is not None or removed_file is not None:
            raise UsageError("--provider and --removed-file are about a state", advice="name it with --from-tfstate")
        imported = importing.import_scopes(settings, context.observer, wish)
    else:
        _check_new(removed_file)
        path = "stdin" if str(state) == _STDIN else str(state)
        imported = importing.import_state(settings, wish, _state(context, state), path=path, provider=provider)
    _show(imported, form, removed_file)
    leave(imported.exit_code)


def _state(context: Context, path: Path) -> bytes:
    from reconciler.importing import read_bytes

    if str(path) == _STDIN:
        if terminal.is_terminal(sys.stdin):
            context.observer.say("waiting for a state: paste it, or pipe terraform state pull into this command")
        return read_bytes(sys.stdin.buffer)
    try:
        with path.open("rb") as source:
            return read_bytes(source)
    except OSError:
        pass
    raise UsageError(f"{escaped(str(path))} cannot be read", advice="check that it exists and its permissions")


def _check_new(path: Path | None) -> None:
    """Refuse a file that is there, before anything is written: it is part of a configuration that Terraform runs."""
    if path is not None and (path.exists() or path.is_symlink()):
        raise UsageError(f"{escaped(str(path))} exists", advice="name a new file for --removed-file")


def _show(imported: "Imported", form: str, removed_file: Path | None) -> None:
    from reconciler import importing

    if removed_file is not None:
        try:
            with removed_file.open("x", encoding="utf-8") as target:
                target.write(importing.configuration(imported, with_report=False))
        except OSError:
            terminal.show("text", text=lambda *, color: importing.configuration(imported, with_report=True))  # noqa: ARG005
            raise ReconcilerError(
                f"{escaped(str(removed_file))} cannot be written; the files below secrets/ are",
                advice="what it was to hold is on stdout",
            ) from None
    in_one = imported.forgetting is not None and removed_file is None

    def text(*, color: bool) -> str:  # noqa: ARG001  # it is the same in black and white
        return importing.configuration(imported, with_report=True) if in_one else importing.render_import(imported)

    terminal.show(form, text=text, json=lambda: importing.render_import_json(imported))


HEADING: Final = "Begin"
COMMANDS: Final = (import_,)
