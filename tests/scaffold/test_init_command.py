"""`reconciler init` as it is typed, on a terminal and in a pipe."""

from pathlib import Path

import pytest

from tests.scaffold.starts import HOST, RECIPIENT, git
from tests.support.cli import Cli, program
from tests.support.terminal import Terminal, interrupt


@pytest.fixture
def run(tmp_path: Path) -> Cli:
    """Run commands in an empty folder."""
    root = tmp_path / "repo"
    root.mkdir()
    return Cli(cwd=root)


ANSWERS = ("prod", "--host", HOST, "--age-key", RECIPIENT)


def test_everything_is_asked_on_a_terminal(run: Cli) -> None:
    """A wrong answer is asked for again, with what is wrong with it; an empty one is the default."""
    with Terminal(program("init"), cwd=run.cwd, env=run.environ()) as terminal:
        for question, reply in (
            ("to try things out): ", "https://evil.example"),
            ("in none of Databricks' own zones", HOST),
            ("Name of the target [prod]: ", ""),
            ("How pipelines log in", "github-oidc"),
            ("Who may run it", "me@example.com, ops"),
            ("First scope [secrets]: ", "payments"),
            ("Its first key", ""),
            ("keys.txt) [generate]: ", ""),
        ):
            terminal.wait_for(question)
            terminal.type(f"{reply}\n")
        assert terminal.end() == 0
    assert "keep a copy" in terminal.said
    assert "AGE-SECRET-KEY" not in terminal.said
    assert "auth_type: github-oidc" in (run.cwd / "secrets/targets.yaml").read_text()
    run("validate").expect(0)


def test_nothing_is_written_when_somebody_changes_their_mind(run: Cli) -> None:
    """Ctrl-C at any question."""
    with Terminal(program("init"), cwd=run.cwd, env=run.environ()) as terminal:
        terminal.wait_for("to try things out): ")
        terminal.type(f"{HOST}\n")
        terminal.wait_for("Name of the target")
        interrupt(terminal.process)
        assert terminal.end() == 130
    assert "nothing was written" in terminal.said
    assert list(run.cwd.iterdir()) == []


def test_pipe_needs_answers_on_the_command_line(run: Cli) -> None:
    """It says which, and exits with 2."""
    done = run("init").expect(2)
    assert "error: --host is missing" in done.stderr
    assert "--embedded" in done.stderr
    assert list(run.cwd.iterdir()) == []


def test_report_goes_to_stdout_and_says_what_comes_next(run: Cli) -> None:
    """What was written, then commands to copy."""
    done = run("init", *ANSWERS).expect(0)
    assert done.stderr == ""
    assert "wrote           secrets/prod/secrets.yaml" in done.stdout
    assert done.stdout.endswith("  reconciler plan prod\n")


def test_second_time_it_says_that_there_is_nothing_to_do(run: Cli) -> None:
    """With the same options or without any."""
    run("init", *ANSWERS).expect(0)
    for again in (ANSWERS, ()):
        assert "nothing to do: everything is there" in run("init", *again).expect(0).stdout


def test_git_gets_to_know_the_merge_driver(run: Cli) -> None:
    """Where it is a repository; once."""
    git(run.cwd, "init", "--quiet")
    done = run("init", *ANSWERS).expect(0)
    assert "reconciler merge-driver --install" in done.stdout
    assert "merge-driver" in git(run.cwd, "config", "merge.reconciler.driver")
    before = (run.cwd / ".gitattributes").read_bytes()
    assert "git merges" not in run("init").expect(0).stdout
    assert (run.cwd / ".gitattributes").read_bytes() == before
