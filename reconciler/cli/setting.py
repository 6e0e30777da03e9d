"""``set``, ``unset`` and ``rename``: one key in the files."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import click

from reconciler.cli.options import Context, unlocking
from reconciler.cli.values import Source, read_value, valued


if TYPE_CHECKING:
    from reconciler.editing.setting import Outcome
    from reconciler.pysops.decryptor import Decryptor

_SCOPES: Final = click.argument("selectors", nargs=-1, required=True, metavar="TARGET/SCOPE...")


@click.command(name="set")
@_SCOPES
@click.argument("key")
@valued
@click.option("--file", help="Scope file for a key that is new: secrets/TARGET/SCOPE.yaml, or the one that has others.")
@unlocking
@click.pass_obj
def set_(
    context: Context,
    /,
    *,
    selectors: tuple[str, ...],
    key: str,
    file: str | None,
    source: Source,
    decryptor: "Decryptor",
) -> None:
    """Set a value in the files.

    It is asked for unseen, or comes from a pipe or a file.

    Never as an argument, which others on the machine could see. Makes file, scope and key as far as they are missing;
    bytes that are not text are stored as base64. Writes to files alone: apply brings it to the workspace.

    \b
    Examples:
      reconciler set prod/payments db-password
      reconciler set dev/payments prod/payments smtp-host --from-file smtp-host.txt
      openssl rand -hex 32 | reconciler set prod/payments api-token --strip
      reconciler set prod/payments keystore.p12 --from-file keystore.p12
    """
    from reconciler.editing import Draft
    from reconciler.editing.setting import again, set_key, spots_of

    settings = context.settings(decryptor=decryptor)
    spots_of(Draft(settings), selectors)  # a misspelt target must show before somebody has typed a value
    value = read_value(f"Value of {key}", source)
    _tell(context, key, again(settings, lambda draft: set_key(draft, selectors, key, value, file=file)))


@click.command()
@_SCOPES
@click.argument("key")
@click.option("--if-exists", is_flag=True, help="Pass over scopes that do not have it.")
@unlocking
@click.pass_obj
def unset(
    context: Context, /, *, selectors: tuple[str, ...], key: str, if_exists: bool, decryptor: "Decryptor"
) -> None:
    """Take a key out of the files.

    The next apply deletes it from the workspace, if it is ours there.

    \b
    Examples:
      reconciler unset prod/payments db-password
      reconciler unset dev/payments prod/payments smtp-host --if-exists
    """
    from reconciler.editing.setting import again, unset_key

    settings = context.settings(decryptor=decryptor)
    found = again(settings, lambda draft: unset_key(draft, selectors, key, if_exists=if_exists))
    if not found:
        click.echo("no changes: no scope has that key")
    _tell(context, key, found)


@click.command()
@_SCOPES
@click.argument("old")
@click.argument("new")
@unlocking
@click.pass_obj
def rename(context: Context, /, *, selectors: tuple[str, ...], old: str, new: str, decryptor: "Decryptor") -> None:
    """Give a key another name in the files, with the same value.

    The next apply puts the new one, and then deletes the old one.

    \b
    Examples:
      reconciler rename prod/payments db-pass db-password
    """
    from reconciler.editing.setting import again, rename_key

    settings = context.settings(decryptor=decryptor)
    _tell(context, f"{old} -> {new}", again(settings, lambda draft: rename_key(draft, selectors, old, new)))


def _tell(context: Context, key: str, outcomes: "Iterable[Outcome]") -> None:
    """Print what became of a key in each scope, and what comes next."""
    from reconciler.report import escape_text

    found = tuple(outcomes)
    for one in found:
        click.echo(escape_text(f"{one.what}  {one.spot} {key}  {one.path}"))
        for remark in one.remarks:
            context.observer.say(f"note: {remark}")
    names = sorted({one.spot.target.name for one in found if one.what != "unchanged"})
    if names:
        is_embedded = all(one.spot.target.embedded for one in found)
        context.observer.say(f"next: {'' if is_embedded else 'commit, then '}reconciler plan {' '.join(names)}")


HEADING: Final = "Write"
COMMANDS: Final = (set_, unset, rename)
