"""The command line itself: help, completion, what it loads, what it says to mistakes."""

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import click
import pytest

from reconciler import __version__
from reconciler.cli import cli, main
from reconciler.errors import EXIT_INVALID_INPUT, EXIT_REFUSED, EXIT_USAGE
from tests.support.cli import PACKAGE_ROOT, Cli


COMMANDS: Final = sorted(cli.commands)

HEAVY: Final = frozenset(
    {"databricks", "requests", "rich", "yaml", "cryptography", "pyrage", "re2", "starlette", "uvicorn", "sqlite3"}
)
"""What ``--help`` and completion must not wait for; each costs 20 to 1,000 ms."""


@pytest.fixture
def run(tmp_path: Path) -> Cli:
    """Run commands in a copy of the demo, outside git."""
    shutil.copytree(PACKAGE_ROOT / "secrets", tmp_path / "secrets")
    return Cli(cwd=tmp_path)


def test_commands_are_those_of_the_contract() -> None:
    """The names that scripts rely on."""
    assert " ".join(COMMANDS) == (
        "apply audit doctor edit emulator get import init list merge merge-driver plan reconcile rekey rename retarget "
        "review rotate set status targets unset validate"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str, run: Cli) -> None:
    """``--help`` says what a command is for, explains every option, and shows it in use; ``-h`` does the same."""
    shown = run(name, "--help").expect().stdout
    assert "Examples:" in shown
    assert f"  reconciler {'apply' if name == 'reconcile' else name}" in shown
    assert run(name, "-h").expect().stdout == shown
    command = cli.commands[name]
    unexplained = [option.name for option in command.params if isinstance(option, click.Option) and not option.help]
    assert unexplained == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_in_100_columns(name: str, run: Cli) -> None:
    """Examples are not wrapped by click, so they have to fit."""
    assert [line for line in run(name, "--help").stdout.splitlines() if len(line) > 100] == []


def test_examples_of_the_help_are_commands_that_parse() -> None:
    """What the help shows can be typed: every option in it exists."""
    for name, command in cli.commands.items():
        texts = "\n".join(filter(None, (command.help, command.epilog)))
        known = {spelling for option in command.params for spelling in (*option.opts, *option.secondary_opts)}
        lines = [line.split("  ")[0] for line in map(str.strip, texts.splitlines()) if line.startswith("reconciler ")]
        used = {word for line in lines for word in line.split("|")[0].split() if word.startswith("-")}
        assert used - {"-C"} <= known, name


def test_help_of_the_whole_names_commands_and_exit_codes(run: Cli) -> None:
    """Somebody who knows nothing but the program's name finds the commands, the codes, and completion."""
    shown = run("--help").expect().stdout
    named = {name for line in shown.splitlines() for name in line[:28].replace(",", " ").split()}
    assert named.issuperset(COMMANDS)
    assert all(f"{code} " in shown for code in (0, 1, 2, 3, 4, 5, 6, 130))
    assert "_RECONCILER_COMPLETE" in shown
    assert [line for line in shown.splitlines() if len(line) > 110] == []


def test_version_is_that_of_the_package(run: Cli) -> None:
    """``--version`` names program and version."""
    assert run("--version").expect().stdout == f"reconciler, version {__version__}\n"


_MODULES: Final = """
import json, sys
from reconciler.cli import cli, main
try:
    cli.main(sys.argv[1:], prog_name="reconciler")
except SystemExit:
    pass
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        pytest.param(("--help",), {}, id="help"),
        pytest.param(("apply", "--help"), {}, id="help-of-a-command"),
        pytest.param(("--version",), {}, id="version"),
        pytest.param(("plann",), {}, id="mistake"),
        pytest.param(
            (),
            {"_RECONCILER_COMPLETE": "bash_complete", "COMP_WORDS": "reconciler pl", "COMP_CWORD": "1"},
            id="completion",
        ),
    ],
)
def test_what_needs_no_files_loads_nothing_heavy(
    run: Cli, arguments: tuple[str, ...], variables: dict[str, str]
) -> None:
    """Help, mistakes and completion answer at once: SDK, server, crypto, YAML and rich stay unloaded."""
    done = subprocess.run(
        (sys.executable, "-c", _MODULES, *arguments),
        # Without coverage, which would load modules of its own.
        env={name: value for name, value in run.environ(variables).items() if not name.startswith("COV")},
        capture_output=True,
        check=True,
        timeout=60,
    )
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    assert "reconciler" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("command", ["validate", "targets"])
def test_what_works_offline_does_not_load_the_sdk_or_the_server(run: Cli, command: str) -> None:
    """Commands for editors and hooks stay quick."""
    done = subprocess.run(
        (sys.executable, "-c", _MODULES, command),
        cwd=run.cwd,
        env=run.environ(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert set(json.loads(done.stderr.splitlines()[-1])) & {"databricks", "starlette", "uvicorn", "rich"} == set()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param("reconciler ", COMMANDS, id="commands"),
        pytest.param("reconciler rec", ["reconcile"], id="one"),
        pytest.param("reconciler plan --detailed", ["--detailed-exitcode"], id="option"),
        pytest.param("reconciler plan -o ", ["text", "markdown", "json"], id="choice"),
    ],
)
def test_shell_completion_offers_what_fits(run: Cli, words: str, expected: list[str]) -> None:
    """Commands, options and choices are completed, as click gives it."""
    position = len(words.split()) if words.endswith(" ") else len(words.split()) - 1
    variables = {"_RECONCILER_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(position)}
    offered = run.process(env=variables).stdout.split()
    assert [line.partition(",")[2] for line in offered] == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_can_be_installed(run: Cli, shell: str) -> None:
    """The line of the help prints a script for the shell that is asked for."""
    script = run.process(env={"_RECONCILER_COMPLETE": f"{shell}_source"}).expect().stdout
    assert f"_RECONCILER_COMPLETE={shell}_complete" in script


MISTAKES: Final = [
    pytest.param(("plan", "demoo"), "did you mean 'demo'?", id="target"),
    pytest.param(("plan", "demo/secret"), "did you mean 'demo/secrets'?", id="scope"),
    pytest.param(("get", "demoo/secrets", "x"), "demo", id="target-of-get"),
    pytest.param(("get", "demo", "x"), "TARGET/SCOPE", id="get-without-scope"),
    pytest.param(("list", "demoo"), "demo", id="target-of-list"),
    pytest.param(("list", "demo/other"), "demo has no scope other", id="scope-that-is-not-there"),
    pytest.param(("emulator", "demoo"), "demo", id="target-of-emulator"),
    pytest.param(("validate", "nowhere.yaml"), "nowhere.yaml", id="path"),
    pytest.param(("plann",), "Did you mean 'plan'?", id="command"),
    pytest.param(("plan", "--detailled-exitcode"), "--detailed-exitcode", id="option"),
    pytest.param(("plan", "-o", "xml"), "'json'", id="choice"),
    pytest.param(("plan", "--concurrency", "0"), "1<=x<=64", id="range"),
    pytest.param(("apply", "--allow-deletes", "-1"), "x>=0", id="deletes-below-none"),
    pytest.param(("apply", "--allow-deletes", "all"), "valid integer", id="deletes-without-a-number"),
    pytest.param(("apply", "--expect-plan", "latest"), "sha256:", id="digest-of-another-form"),
    pytest.param(("apply", "--expect-plan", f"sha256:{'A' * 64}"), "sha256:", id="digest-in-upper-case"),
    pytest.param(("apply", "--expect-plan", f"sha256:{'0' * 64}\n"), "sha256:", id="digest-and-a-line-feed"),
    pytest.param(("apply", "--expect-plan", ""), "sha256:", id="no-digest-where-a-variable-was-empty"),
    pytest.param(("plan", "--expect-plan", f"sha256:{'0' * 64}"), "--expect-plan", id="digest-of-what-is-only-planned"),
    pytest.param(("get", "demo/secrets"), "KEY", id="missing-argument"),
    pytest.param(("apply", "demo", "--all"), "not both", id="all-and-a-target"),
]


@pytest.mark.parametrize(("arguments", "said"), MISTAKES)
def test_mistake_is_usage_and_says_what_is_meant(run: Cli, arguments: tuple[str, ...], said: str) -> None:
    """Exit 2, nothing on stdout, and on stderr what would have been right."""
    done = run(*arguments).expect(EXIT_USAGE)
    assert said in done.stderr
    assert done.stdout == ""


ALLOWANCES: Final = (
    "--allow-dirty",
    "--allow-deletes",
    "--allow-rollback",
    "--adopt",
    "--take-over",
    "--delete-scopes",
)
"""What lifts guards; the same for planning and for applying, so that a plan shows what will be applied."""


@pytest.mark.parametrize("name", ["plan", "apply", "reconcile"])
def test_what_lifts_guards_stands_apart_in_the_help(name: str, run: Cli) -> None:
    """Somebody who looks for an option does not come across these by chance."""
    usual, _, lifting = run(name, "--help").stdout.partition("To allow what is otherwise refused")
    listed = [line.split()[0] for line in lifting.splitlines() if line.startswith("  --")]
    assert listed == list(ALLOWANCES)
    assert not any(f"  {option} " in usual for option in ALLOWANCES)


@pytest.mark.parametrize("name", ["plan", "apply"])
def test_what_lifts_guards_is_taken_where_there_is_nothing_to_lift(name: str, run: Cli) -> None:
    """A pipeline may give all of them always, though it had better not."""
    given = [word for option in ALLOWANCES for word in ((option, "3") if option == "--allow-deletes" else (option,))]
    done = run(name, *given, "--verify-values", "-o", "json").expect()
    assert done.target["status"] == ("pending" if name == "plan" else "applied")


def test_only_the_plan_that_was_approved_is_applied(run: Cli) -> None:
    """Another digest than that of the plan writes nothing, and says what to do; the plan's own applies it, once."""
    digest = json.loads(run("plan", "-o", "json").expect().stdout)["digest"]
    refused = run("apply", "--expect-plan", f"sha256:{'0' * 64}", "-o", "json").expect(EXIT_REFUSED)
    assert digest in str(refused.target["errors"])
    assert refused.target["requests"]["write"] == 0
    assert run("apply", "--expect-plan", digest, "-o", "json").expect().target["summary"]["put_secret"] == 7
    again = run("apply", "--expect-plan", digest, "-o", "json").expect(EXIT_REFUSED)
    assert again.target["requests"]["write"] == 0


def test_selector_twice_is_one_run(run: Cli) -> None:
    """Naming a target twice, or with its scope, is no mistake and does nothing twice."""
    for arguments in (("demo", "demo"), ("demo", "demo/secrets"), ("--all",)):
        assert run("plan", *arguments, "-o", "json").expect().target["summary"]["put_secret"] == 7


def test_without_a_command_help_is_shown_as_a_mistake(run: Cli) -> None:
    """A script that forgot the command must not pass for success."""
    done = run.process().expect(EXIT_USAGE)
    assert "Look:" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("command", [("plan",), ("apply",), ("targets",), ("list",), ("emulator",), ("validate",)])
def test_directory_without_secrets_says_what_is_missing_and_how_to_go_elsewhere(
    run: Cli, command: tuple[str, ...], tmp_path: Path
) -> None:
    """Started in the wrong directory, every command exits with 4 and names the file and ``-C``."""
    empty = tmp_path / "empty"
    empty.mkdir()
    done = run(*command, cwd=empty).expect(EXIT_INVALID_INPUT)
    assert "secrets/targets.yaml" in done.stdout + done.stderr
    assert "-C DIR" in done.stdout + done.stderr
    assert list(empty.iterdir()) == []


def test_directory_option_runs_as_if_started_there(run: Cli, tmp_path: Path) -> None:
    """``-C`` decides over files and state, and a directory that does not exist is a usage error."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert run.process("-C", str(run.cwd), "apply", cwd=elsewhere).expect().stdout.count("put-secret") == 7
    assert (run.cwd / ".reconciler").is_dir()
    assert list(elsewhere.iterdir()) == []
    assert "no-such-dir" in run.process("-C", "no-such-dir", "plan").expect(EXIT_USAGE).stderr


def test_relative_paths_of_validate_are_those_of_the_shell(run: Cli) -> None:
    """A path is looked up where the user stands, also when ``-C`` leads elsewhere."""
    shown = run.process("validate", "secrets/demo/secrets.yaml").expect().stdout
    assert "1 file" in shown
    inner = run.cwd / "secrets" / "demo"
    assert "1 file" in run.process("-C", "../..", "validate", "secrets.yaml", cwd=inner).expect().stdout


def test_console_script_is_the_same_program() -> None:
    """``reconciler`` runs what ``python -m reconciler`` runs."""
    project = tomllib.loads((PACKAGE_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"reconciler": "reconciler.cli:main"}
    assert callable(main)
    assert project["version"] == __version__
