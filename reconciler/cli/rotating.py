"""``rotate`` and ``retarget``: a new value in place of one that exists, and a workspace that moved."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import click

from reconciler import terminal
from reconciler.cli.options import Context, showing, unlocking
from reconciler.cli.values import Source, read_value
from reconciler.errors import UsageError


if TYPE_CHECKING:
    from reconciler.editing.rotating import Place, Rotated, Wishes
    from reconciler.model import SecretValue
    from reconciler.pysops.decryptor import Decryptor
    from reconciler.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

_OR_ELSE: Final = "give --generate LENGTH, --command CMD or --from-file FILE, or pipe the new value in"
"""Where nothing came from stdin, as in a pipeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """Where the new value comes from, as the options say."""

    generate: str | None
    weak: bool
    command_line: str | None = field(repr=False)
    command_env: tuple[str, ...]
    command_timeout: float
    exact: bool
    from_file: Path | None
    strip: bool


def _from_somewhere(command: F) -> F:
    """Add the options that say where the new value comes from; the command gets them as ``given``."""

    @functools.wraps(command)
    def with_given(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401  # whatever click hands over
        given = _Given(**{name: options.pop(name) for name in _Given.__slots__})
        return command(*arguments, given=given, **options)

    options = (
        click.option(
            "--generate",
            metavar="LENGTH[:ALPHABET]",
            help="Draw characters at random: alnum (the default; one of each kind), ascii, base64url, digits, hex, "
            "letters, lower, or the characters themselves.",
        ),
        click.option("--weak", is_flag=True, help="With --generate: also fewer than 64 bits, for a PIN."),
        click.option(
            "--command",
            "command_line",
            metavar="CMD",
            help="Take what a program prints. No shell; the line feed of a single line is left out.",
        ),
        click.option(
            "--command-env",
            multiple=True,
            metavar="NAME",
            help="A variable that the program gets besides the usual ones; NAME* for all that begin so. Repeatable.",
        ),
        click.option(
            "--command-timeout",
            type=click.FloatRange(0.1, 3600),
            default=60.0,
            show_default=True,
            help="Seconds that the program may take.",
        ),
        click.option("--exact", is_flag=True, help="With --command: keep the line feed of a single line, too."),
        click.option(
            "--from-file",
            type=click.Path(path_type=Path, allow_dash=True),
            help="Take the bytes of a file; - is stdin, as is a pipe.",
        ),
        click.option("--strip", is_flag=True, help="Leave out one line feed at the end, also of several lines."),
    )
    wrapped = cast("F", with_given)
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


@click.command()
@click.argument("selectors", nargs=-1, required=True, metavar="TARGET/SCOPE...")
@click.argument("key")
@_from_somewhere
@click.option("--everywhere", is_flag=True, help="Also wherever else the same value stands.")
@click.option(
    "--search/--no-search",
    default=True,
    help="Open all files to look for the same value (the default), or only those that have the key.",
)
@click.option("--commit", is_flag=True, help="Commit the files on a new branch, and stay on it.")
@click.option("--branch", metavar="NAME", help="Call that branch NAME; implies --commit.")
@click.option("--pr", is_flag=True, help="Push the branch, and open a pull request with gh; implies --commit.")
@unlocking
@showing
@click.pass_obj
def rotate(
    context: Context,
    /,
    *,
    selectors: tuple[str, ...],
    key: str,
    decryptor: "Decryptor",
    form: str,
    given: "_Given",
    **wishes: Any,  # noqa: ANN401  # passed on
) -> None:
    """Give a key that exists a new value in the files.

    The value is drawn, printed by a program, read from a pipe or a file, or asked for unseen. Every other place that
    holds the old one is named. Several scopes are rotated together if they have the same value.

    \b
    Examples:
      reconciler rotate prod/payments db-password --generate 32
      reconciler rotate prod/payments api-token --command 'op read op://prod/api/token' --everywhere
      reconciler rotate dev/app prod/app webhook-key --generate 64:hex --pr
    """
    from reconciler.editing import Draft
    from reconciler.editing.rotating import rotate as run
    from reconciler.report.as_json import dump

    settings = context.settings(decryptor=decryptor)
    new = _new_value(given, settings, f"New value of {key}")
    done = run(Draft(settings), selectors, key, new, wishes=_wishes(**wishes), observer=context.observer)
    terminal.show(form, text=partial(_text, done), json=lambda: dump(_fields(done)))
    if done.failure is not None:
        raise done.failure
    _say_next(context, done)


def _wishes(*, everywhere: bool, search: bool, commit: bool, branch: str | None, pr: bool) -> "Wishes":
    from reconciler.editing.rotating import Wishes

    if everywhere and not search:
        raise UsageError("--everywhere has to look for the same value", advice="leave out --no-search")
    commit = commit or pr or branch is not None
    return Wishes(everywhere=everywhere, search=search, commit=commit, branch=branch, pull_request=pr)


def _new_value(given: _Given, settings: "Settings", label: str) -> "Callable[[], SecretValue]":
    """Return what makes the new value, or asks for it.

    Raises:
        UsageError: The options do not go together, or one of them is of no use.
    """
    values = {"--generate": given.generate, "--command": given.command_line, "--from-file": given.from_file}
    ways = [name for name, value in values.items() if value is not None]
    if len(ways) > 1:
        raise UsageError(f"{' and '.join(ways)} are two values", advice="give one of them")
    way = ways[0] if ways else "--from-file"
    for name, is_set, needed in (
        ("--weak", given.weak, "--generate"),
        ("--exact", given.exact, "--command"),
        ("--command-env", bool(given.command_env), "--command"),
    ):
        if is_set and way != needed:
            raise UsageError(f"{name} is for {needed}", advice=f"leave it out, or give {needed}")
    if given.strip and (given.exact or given.generate is not None):
        raise UsageError("--strip is for what ends in a line feed", advice="leave it out")
    if given.generate is not None:
        from reconciler.editing.generating import generator_of

        return generator_of(given.generate, weak=given.weak)
    if given.command_line is not None:
        from reconciler.editing.commanding import command_of

        command = command_of(
            given.command_line,
            settings.environ,
            root=settings.root,
            more=given.command_env,
            timeout_s=given.command_timeout,
        )
        return partial(command, exact=given.exact, strip=given.strip)
    source = Source(from_file=given.from_file, strip=given.strip)
    return partial(read_value, label, source, if_empty=_OR_ELSE)


def _text(done: "Rotated", *, color: bool) -> str:  # noqa: ARG001  # what `terminal.show` hands to each renderer
    """Return a line for each place, as `set` prints them."""
    from reconciler.report import escape_text

    lines = [f"rotated  {place}  {place.path}" for place in done.places]
    lines += [f"same value, left  {place}  {place.path}" for place in done.left]
    lines += [f"not looked into  {file.path}: {file.reason}" for file in done.unopened]
    if done.branch is not None and done.commit is not None:
        lines.append(f"committed  {done.commit[:12]} on {done.branch.name}{', pushed' if done.pushed else ''}")
    if done.page is not None:
        lines.append(f"pull request  {done.page}")
    return "".join(f"{escape_text(line)}\n" for line in lines)


def _fields(done: "Rotated") -> dict[str, object]:
    def place(one: "Place") -> dict[str, object]:
        return {"target": one.spot.target.name, "scope": one.spot.scope, "key": one.key, "file": one.path}

    return {
        "rotated": [place(one) for one in done.places],
        "same_value": [place(one) for one in done.left],
        "not_opened": [{"file": file.path, "reason": file.reason} for file in done.unopened],
        "branch": done.branch.name if done.branch is not None and done.commit is not None else None,
        "commit": done.commit,
        "pushed": done.pushed,
        "pull_request": done.page,
        "error": None if done.failure is None else str(done.failure),
    }


def _say_next(context: Context, done: "Rotated") -> None:
    if done.branch is not None:
        context.observer.say(f"note: {done.branch.name} is checked out; {done.branch.way_back} goes back")
    names = " ".join(sorted({place.spot.target.name for place in done.places}))
    is_embedded = all(place.spot.target.embedded for place in done.places)
    first = "" if is_embedded or done.commit is not None else "commit, then "
    context.observer.say(f"next: {first}reconciler plan {names}")


@click.command()
@click.argument("target")
@click.option("--host", metavar="URL", help="Where the workspace is now, as https://adb-1.2.azuredatabricks.net.")
@click.option("--workspace-id", metavar="ID", help="Its new id, where several workspaces share the host.")
@click.option("--no-workspace-id", "without_id", is_flag=True, help="It shares its host no more.")
@click.option("--from", "old", metavar="HOST", help="The host that it had, where targets.yaml has the new one already.")
@unlocking
@click.pass_obj
def retarget(
    context: Context,
    /,
    *,
    target: str,
    host: str | None,
    workspace_id: str | None,
    without_id: bool,
    old: str | None,
    decryptor: "Decryptor",
) -> None:
    """Follow a workspace that moved.

    Binds every value of TARGET to the new host: changes host and workspace_id in targets.yaml, where comments and
    layout stay, and encrypts the values anew for the place where they belong now. Interrupted, the same command
    finishes what was begun.

    \b
    Examples:
      reconciler retarget prod --host https://adb-3.4.azuredatabricks.net
      reconciler retarget prod --workspace-id 1234567890
      reconciler retarget prod --from https://adb-1.2.azuredatabricks.net
    """
    from reconciler.editing import Draft
    from reconciler.editing.retargeting import Move, retarget_from
    from reconciler.editing.retargeting import retarget as run
    from reconciler.report import escape_text

    moves = host is not None or workspace_id is not None or without_id
    if moves == (old is not None) or (workspace_id is not None and without_id):
        raise UsageError(
            "say where the workspace is now, or where it was",
            advice="give --host, --workspace-id (or --no-workspace-id) or both; or --from, if targets.yaml is changed",
        )
    draft = Draft(context.settings(decryptor=decryptor))
    if old is None:
        done = run(draft, target, Move(host=host, workspace_id=workspace_id, without_id=without_id))
    else:
        done = retarget_from(draft, target, old)
    for path in done.paths:
        click.echo(escape_text(f"moved  {done.old_key} -> {done.target.host_key}  {path}"))
    if not done.paths:
        click.echo(escape_text(f"no changes: {target} is at {done.target.host_key}, and so are its values"))
    for remark in done.remarks:
        context.observer.say(f"note: {remark}")
    if done.paths:
        context.observer.say(f"next: commit, then reconciler plan {target}")


HEADING: Final = "Write"
COMMANDS: Final = (rotate, retarget)
