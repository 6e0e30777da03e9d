"""Telling git of the driver: once, and without touching what is there."""

import os
from pathlib import Path

import pytest

from reconciler.errors import Refused
from reconciler.git import unmerged
from reconciler.merging.installing import ATTRIBUTES, setup
from tests.support.age_keys import AgeKey
from tests.support.cli import Cli
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsTool


@pytest.fixture
def repo(tmp_path: Path, sops: SopsTool, age_key: AgeKey) -> SecretsRepo:
    """Make a repository with nothing but rules."""
    repo = SecretsRepo(tmp_path, sops=sops, key=age_key)
    repo.git("init", "--quiet")
    return repo


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(b"", id="none"),
        pytest.param(b"*.yaml diff=sopsdiffer\nsecrets/**/*.yaml text eol=lf", id="no-line-feed-at-the-end"),
        pytest.param(b"*.yaml merge=union -diff\r\n", id="another-driver-and-cr"),
    ],
)
def test_lines_are_added_behind_what_is_there(repo: SecretsRepo, before: bytes) -> None:
    """Attributes of other kinds stay in force, byte for byte; the driver counts, but for targets."""
    if before:
        repo.write(".gitattributes", before)
    asked = ("check-attr", "diff", "text", "eol", "--", "secrets/a/b.yaml", "secrets/targets.yaml")
    others = repo.git(*asked)
    done = setup(repo.root)
    assert done.attributes
    assert repo.read(".gitattributes").startswith(before)
    assert repo.git(*asked) == others
    assert unmerged.merge_attribute(repo.root, "secrets/a/b.yaml") == "reconciler"
    assert unmerged.merge_attribute(repo.root, "secrets/c.yml") == "reconciler"
    assert unmerged.merge_attribute(repo.root, "secrets/targets.yaml") == "unspecified"


def test_nothing_is_done_twice(repo: SecretsRepo) -> None:
    """Neither to the attributes nor to the settings."""
    first = setup(repo.root)
    assert (first.configured, first.attributes) == (True, True)
    files = {name: repo.read(name) for name in (".gitattributes", ".git/config")}
    second = setup(repo.root)
    assert (second.configured, second.attributes) == (False, False)
    assert {name: repo.read(name) for name in files} == files
    assert repo.read(".gitattributes").decode().splitlines()[1:] == list(ATTRIBUTES)


@pytest.mark.parametrize(
    ("found", "start"), [("/usr/bin/reconciler", "reconciler merge-driver -- "), (None, " -m reconciler merge-driver ")]
)
def test_the_program_is_one_that_git_finds(repo: SecretsRepo, found: str | None, start: str) -> None:
    """By its name where that is on the path, else by the interpreter that runs it now."""
    assert start in setup(repo.root, find=lambda _: found).driver
    assert repo.git("config", "merge.reconciler.driver").strip().endswith("%O %A %B %P %L")


def test_a_clone_is_told_by_the_command(repo: SecretsRepo) -> None:
    """The command says what it did, and what is to be committed."""
    run = Cli(cwd=repo.root)
    said = run("merge-driver", "--install").expect().stdout
    assert "git merges scope files by: " in said
    assert "commit that file" in said
    assert run("merge-driver", "--install").expect().stdout == "git knows the driver already\n"
    assert "git calls this with" in run("merge-driver").expect(2).stderr


def test_what_cannot_be_set_up_is_said(tmp_path: Path, repo: SecretsRepo) -> None:
    """Outside a repository; and through a link, which git does not follow."""
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    with pytest.raises(Refused, match="no git repository"):
        setup(outside)
    (repo.root / ".gitattributes").symlink_to("elsewhere")
    with pytest.raises(Refused, match="symbolic link"):
        setup(repo.root)
    assert not os.path.lexists(repo.root / "elsewhere")
