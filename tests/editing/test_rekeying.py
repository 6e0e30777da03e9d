"""``rekey``: who may open files has changed."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler import pysops
from reconciler.errors import EXIT_CANNOT_DECRYPT, EXIT_INTERRUPTED, EXIT_INVALID_INPUT, EXIT_USAGE
from tests.support.age_keys import AgeKey
from tests.support.cli import Cli, program
from tests.support.secrets_repo import SecretsRepo, yaml_of
from tests.support.sops_tool import SopsTool
from tests.support.terminal import Terminal


HOST = "https://adb-1.2.azuredatabricks.net"
HOST_KEY = "adb-1.2.azuredatabricks.net"


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A repository with two files for two people; and a third one, who is not yet among them."""

    repo: SecretsRepo
    sops: SopsTool
    stays: AgeKey
    leaves: AgeKey
    joins: AgeKey
    run: Cli

    def rules(self, *keys: AgeKey) -> None:
        """Have ``.sops.yaml`` name these."""
        rule = yaml_of({"age": [key.recipient for key in keys], "encrypted_regex": "^secrets$"})
        text = "".join(f"      {line}\n" for line in rule.splitlines())
        self.repo.write(".sops.yaml", f"creation_rules:\n    - {text.lstrip()}")

    def opens(self, file: str, key: AgeKey) -> bool:
        """Tell whether the program opens a file with a key."""
        try:
            self.sops.decrypt(self.repo.read(f"secrets/prod/{file}"), key.identity)
        except Exception:  # noqa: BLE001  # whatever it says
            return False
        return True


def _data_key(team: Team, file: str) -> bytes:
    """Return the data key of a file."""
    from reconciler.pysops.key_groups import recover_data_key

    metadata = pysops.metadata(team.repo.root / f"secrets/prod/{file}")
    return recover_data_key(metadata, pysops.Identities.from_text(team.stays.identity, "test"))


@pytest.fixture
def team(tmp_path: Path, sops: SopsTool) -> Team:
    """Provide files that two people can open."""
    stays, leaves, joins = AgeKey.generate(), AgeKey.generate(), AgeKey.generate()
    repo = SecretsRepo(tmp_path, sops=sops, key=stays)
    repo.targets({"prod": {"workspace": {"host": HOST}}})
    made = Team(
        repo=repo,
        sops=sops,
        stays=stays,
        leaves=leaves,
        joins=joins,
        run=Cli(cwd=tmp_path, env={"SOPS_AGE_KEY": stays.identity}),
    )
    made.rules(stays, leaves)
    both = (stays.recipient, leaves.recipient)
    repo.scope_file("prod/app.yaml", {HOST_KEY: {"app": {"a": "One", "b": b"\0bytes"}}}, recipients=both)
    repo.scope_file("prod/web.yaml", {HOST_KEY: {"web": {"c": "Two"}}}, acls=["<READ users>"], recipients=both)
    return made


def test_after_somebody_left_files_have_another_data_key_and_the_same_values(team: Team) -> None:
    """Who left opens nothing any more, not even with a data key that they kept; a second run does nothing."""
    before = {file: _data_key(team, file) for file in ("app.yaml", "web.yaml")}
    old = team.repo.read("secrets/prod/web.yaml").decode().splitlines()
    team.rules(team.stays, team.joins)
    done = team.run("rekey", "--yes").expect()
    assert f"  + age {team.joins.recipient}" in done.stdout
    assert f"  - age {team.leaves.recipient}" in done.stdout
    assert f"\n+ age {team.joins.recipient}  in 2 files\n" in done.stdout
    assert "2 files written" in done.stdout
    assert f"audit --revoked {team.leaves.recipient}" in done.stderr
    for file, key in before.items():
        assert team.opens(file, team.stays)
        assert team.opens(file, team.joins)
        assert not team.opens(file, team.leaves)
        assert _data_key(team, file) != key
    assert b"One" in team.sops.decrypt(team.repo.read("secrets/prod/app.yaml"), team.joins.identity)
    new = team.repo.read("secrets/prod/web.yaml").decode().splitlines()
    assert new[:4] == old[:4]
    team.run("validate").expect()
    assert "no changes" in team.run("rekey").expect().stdout


def test_nothing_is_done_where_the_rules_are_kept(team: Team) -> None:
    """Not even a question is asked."""
    before = team.repo.read("secrets/prod/app.yaml")
    assert "no changes: 2 files" in team.run("rekey").expect().stdout
    assert team.repo.read("secrets/prod/app.yaml") == before


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        pytest.param(("secrets/prod/app.yaml",), ["app.yaml"], id="file"),
        pytest.param(("secrets/prod",), ["app.yaml", "web.yaml"], id="folder"),
        pytest.param(("--all",), ["app.yaml", "web.yaml"], id="all"),
    ],
)
def test_a_new_data_key_can_be_asked_for(team: Team, arguments: tuple[str, ...], written: list[str]) -> None:
    """After updatekeys alone recipients are right, and the data key is the old one."""
    before = {file: _data_key(team, file) for file in ("app.yaml", "web.yaml")}
    done = team.run("rekey", "--yes", *arguments).expect()
    assert "a new data key" in done.stdout
    assert [file for file, key in before.items() if _data_key(team, file) != key] == written


def test_a_dry_run_shows_and_writes_nothing(team: Team) -> None:
    """It needs no key either."""
    team.rules(team.stays)
    before = team.repo.read("secrets/prod/app.yaml")
    done = team.run("rekey", "--dry-run", env={"SOPS_AGE_KEY": ""}).expect()
    assert f"  - age {team.leaves.recipient}" in done.stdout
    assert team.repo.read("secrets/prod/app.yaml") == before


def test_without_a_terminal_nobody_is_asked(team: Team) -> None:
    """The error names the option."""
    team.rules(team.stays)
    assert "--yes" in team.run("rekey").expect(EXIT_USAGE).stderr


def test_files_that_no_identity_opens_are_told_and_the_others_written(team: Team) -> None:
    """Exit code 5, as for whatever shows on unlocking."""
    team.repo.scope_file("prod/theirs.yaml", {HOST_KEY: {"theirs": {"d": "x"}}}, recipients=(team.leaves.recipient,))
    theirs = team.repo.read("secrets/prod/theirs.yaml")
    team.rules(team.stays, team.joins)
    done = team.run("rekey", "--yes").expect(EXIT_CANNOT_DECRYPT)
    assert "secrets/prod/theirs.yaml" in done.stderr
    assert "2 files written" in done.stdout
    assert team.repo.read("secrets/prod/theirs.yaml") == theirs
    assert team.opens("app.yaml", team.joins)


def test_files_that_no_rule_is_for_are_told(team: Team) -> None:
    """Exit code 4; the others are compared."""
    rule = yaml_of({"path_regex": "app", "age": [team.stays.recipient], "encrypted_regex": "^secrets$"})
    text = "".join(f"      {line}\n" for line in rule.splitlines())
    team.repo.write(".sops.yaml", f"creation_rules:\n    - {text.lstrip()}")
    done = team.run("rekey", "--dry-run").expect(EXIT_INVALID_INPUT)
    assert "secrets/prod/web.yaml" in done.stderr
    assert "secrets/prod/app.yaml" in done.stdout


@pytest.mark.parametrize("path", ["secrets/prod/none.yaml", "elsewhere", "secrets/targets.yaml"])
def test_paths_without_scope_files_are_an_error_of_usage(team: Team, path: str) -> None:
    """A misspelt path must not pass for one where there is nothing to do."""
    assert path in team.run("rekey", path).expect(EXIT_USAGE).stderr


def test_on_a_terminal_somebody_is_asked_after_seeing_for_whom(team: Team) -> None:
    """No is a no."""
    team.rules(team.stays, team.joins)
    before = team.repo.read("secrets/prod/app.yaml")
    with Terminal(program("rekey"), cwd=team.repo.root, env=team.run.environ()) as terminal:
        assert team.joins.recipient in terminal.wait_for("Write 2 files?")
        terminal.type("n\n")
        assert terminal.end() == EXIT_INTERRUPTED
    assert team.repo.read("secrets/prod/app.yaml") == before
