"""What the documents promise is what there is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest

from reconciler import errors
from reconciler.cli import cli
from reconciler.plan import FindingKind
from tests.support.cli import PACKAGE_ROOT


OPERATIONS: Final = " ".join((PACKAGE_ROOT / "docs" / "operations.md").read_text(encoding="utf-8").split())
"""On one line, as long messages may be wrapped."""

_OF_RUNS: Final = frozenset({"bookkeeping", "execution", "session"})
"""Rooms that end a run for other reasons than what the platform answered."""

LIFTING: Final = (
    *("--allow-deletes", "--allow-rollback", "--allow-dirty"),
    *("--adopt", "--take-over", "--delete-scopes", "--expect-plan"),
)
"""Flags of apply that lift a guard, or set one."""

README: Final = (PACKAGE_ROOT / "README.md").read_text(encoding="utf-8")

ALIASES: Final = frozenset({"reconcile"})
"""Further names of a command, which the documents need mention only once."""

EXIT_CODES: Final = sorted(value for name, value in vars(errors).items() if name.startswith("EXIT_"))


@pytest.mark.parametrize("name", sorted(set(cli.commands) - ALIASES))
def test_readme_has_every_command(name: str) -> None:
    """Each command stands in the table of the README as it is typed."""
    assert re.search(rf"^\| `reconciler {name}\b", README, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(ALIASES))
def test_readme_mentions_aliases(name: str) -> None:
    """Somebody who meets the other name in a script finds it."""
    assert f"`{name}`" in README


def test_readme_names_no_command_that_is_not_there() -> None:
    """What the README tells people to type exists."""
    typed = set(re.findall(r"(?:^    +|[/`])reconciler ([a-z]+)(?=[ `\n])", README, re.MULTILINE))
    assert typed - set(cli.commands) == set()


def test_readme_has_every_exit_code_once_and_no_other() -> None:
    """The table of exit codes is that of ``errors.py``."""
    table = re.search(r"^\| exit code .*?(?=\n\n)", README, re.MULTILINE | re.DOTALL)
    assert table is not None
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", table[0], re.MULTILINE)] == EXIT_CODES


def test_help_has_every_exit_code() -> None:
    """So has the help."""
    assert cli.help is not None
    said = cli.help.partition("Exit codes:")[2].partition("\n\n")[0]
    assert [int(code) for code in re.findall(r"\b(\d+) ", said)] == EXIT_CODES


def test_readme_has_no_option_that_is_not_there() -> None:
    """Options in the README are options of some command."""
    params = [param for command in (cli, *cli.commands.values()) for param in command.params]
    known = {spelling for param in params if isinstance(param, click.Option) for spelling in param.opts}
    # Commands of other programs stand on lines of their own.
    ours = "\n".join(line for line in README.splitlines() if not re.search(r"\b(sops|age-keygen|uuidgen|git) ", line))
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", ours))
    assert used - known - {"--help"} == set()


def _refusals() -> Iterator[tuple[str, frozenset[str]]]:
    """Yield where each refusal of the package is made, and the fixed parts of its message.

    And those errors that runs end with of their own accord, as when another one has begun.
    """
    for file in sorted((PACKAGE_ROOT / "reconciler").rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        wanted = {"Refused", "WorkspaceError", "UnexpectedAnswer"} if file.stem in _OF_RUNS else {"Refused"}
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in wanted:
                    place = f"{file.relative_to(PACKAGE_ROOT).as_posix()}:{call.lineno}"
                    yield place, frozenset(_fixed_parts(call.args[0], function))


def _fixed_parts(message: ast.expr, function: ast.FunctionDef) -> Iterator[str]:
    """Yield what stands in a message whatever is filled in, as far as it is two words or more.

    Of a variable, whatever ``function`` may set it to.
    """
    match message:
        case ast.Constant(value=str(text)):
            if len(text.split()) > 1:
                yield text.strip()
        case ast.JoinedStr(values=parts):
            for part in parts:
                yield from _fixed_parts(part, function)
        case ast.FormattedValue(value=ast.Name(id=name)) | ast.Name(id=name):
            for node in ast.walk(function):
                if isinstance(node, ast.Assign) and any(_is_named(target, name) for target in node.targets):
                    yield from _fixed_parts(node.value, function)
        case ast.IfExp(body=body, orelse=orelse):
            yield from _fixed_parts(body, function)
            yield from _fixed_parts(orelse, function)
        case _:
            pass


def _is_named(target: ast.expr, name: str) -> bool:
    return isinstance(target, ast.Name) and target.id == name


@pytest.mark.parametrize(("place", "parts"), [pytest.param(*refusal, id=refusal[0]) for refusal in _refusals()])
def test_operations_has_the_message_of_each_refusal(place: str, parts: frozenset[str]) -> None:
    """Whoever searches for what a run said finds what to do about it."""
    assert parts, f"{place} has no words of its own"
    assert {part for part in parts if " ".join(part.split()) not in OPERATIONS} == set()


@pytest.mark.parametrize("flag", LIFTING)
def test_operations_says_when_to_pass_each_flag_that_lifts_a_guard(flag: str) -> None:
    """A flag that allows something is explained where its refusal is, with a command to copy."""
    assert any(flag in option.opts for option in cli.commands["apply"].params)
    assert re.search(rf"reconciler apply \S+ {flag}\b|`{flag}`|`{flag} ", OPERATIONS)


@pytest.mark.parametrize("kind", FindingKind, ids=lambda kind: kind.value)
def test_operations_has_each_finding(kind: FindingKind) -> None:
    """Findings change nothing, and somebody has to know what to do about each."""
    assert f"`{kind.value}`" in OPERATIONS


def _documents() -> list[Path]:
    return sorted((*PACKAGE_ROOT.glob("*.md"), *(PACKAGE_ROOT / "docs").rglob("*.md")))


@pytest.mark.parametrize("document", _documents(), ids=lambda path: path.relative_to(PACKAGE_ROOT).as_posix())
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    """A relative link names a file that is there."""
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []
