"""What the documents promise is what there is."""

import re
from pathlib import Path
from typing import Final

import click
import pytest

from reconciler import errors
from reconciler.cli import cli
from tests.support.cli import PACKAGE_ROOT


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


def _documents() -> list[Path]:
    return sorted((*PACKAGE_ROOT.glob("*.md"), *(PACKAGE_ROOT / "docs").rglob("*.md")))


@pytest.mark.parametrize("document", _documents(), ids=lambda path: path.relative_to(PACKAGE_ROOT).as_posix())
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    """A relative link names a file that is there."""
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []
