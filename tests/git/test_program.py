"""Asking git: what must not lead it elsewhere, what it must not start, and a repository that does not work."""

import shutil
from pathlib import Path

import pytest

from reconciler import git
from reconciler.errors import Refused
from reconciler.git import _program
from tests.support.secrets_repo import SecretsRepo


def test_programs_that_the_configuration_names_are_not_run(repo: SecretsRepo, tmp_path: Path) -> None:
    """File system monitor and hooks stay off, whatever the repository is set to."""
    repo.commit()
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho x >> {ran}\n")
    program.chmod(0o755)
    hooks = repo.root / ".git/hooks"
    (hooks / "post-index-change").write_text(program.read_text())
    (hooks / "post-index-change").chmod(0o755)
    repo.git("config", "core.fsmonitor", str(program))
    repo.git("config", "core.pager", str(program))
    repo.write("secrets/a/b.yaml", "changed")
    assert git.uncommitted(repo.root) == ("secrets/a/b.yaml",)
    git.read_commit(repo.root)
    git.read_work_tree(repo.root)
    assert not ran.exists()
    repo.git("status")
    assert ran.exists(), "the trap is not set"


def test_variables_of_git_do_not_lead_elsewhere(
    repo: SecretsRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook that starts us sets GIT_DIR and GIT_INDEX_FILE; the repository is the one that the files stand in."""
    commit = repo.commit()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert git.head_commit(repo.root) == commit
    assert git.uncommitted(repo.root) == ()


def test_a_damaged_repository_is_refused_and_not_taken_for_none(repo: SecretsRepo) -> None:
    """Otherwise damage would switch off every guard that asks git."""
    commit = repo.commit()
    (repo.root / ".git/objects" / commit[:2] / commit[2:]).unlink()
    with pytest.raises(Refused, match="git rev-parse failed"):
        git.head_commit(repo.root)


@pytest.mark.parametrize("part", ["objects", "refs", "HEAD"])
def test_damaged_repository_does_not_pass_for_none(part: str, repo: SecretsRepo) -> None:
    """Outside git the work tree counts; beside a repository that does not work it must not."""
    repo.commit()
    victim = repo.root / ".git" / part
    if victim.is_dir():
        shutil.rmtree(victim)
    else:
        victim.unlink()

    for ask in (git.head_commit, git.uncommitted, git.is_repository):
        with pytest.raises(Refused):
            ask(repo.root)


def test_a_worktree_whose_repository_is_gone_is_refused(repo: SecretsRepo) -> None:
    """It is no directory outside git, though git's message begins alike."""
    repo.write(".git", "gitdir: /nowhere/at/all\n")
    with pytest.raises(Refused):
        git.head_commit(repo.root)


def test_without_git_a_repository_is_refused(repo: SecretsRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no repository git is not needed."""
    monkeypatch.setenv("PATH", str(repo.root))
    assert git.head_commit(repo.root) is None
    assert git.uncommitted(repo.root) == ()
    assert git.read_work_tree(repo.root).tracked is None
    (repo.root / ".git").mkdir()
    with pytest.raises(Refused, match="git is not installed"):
        git.head_commit(repo.root)


def test_the_root_must_be_a_directory(tmp_path: Path) -> None:
    """A typing mistake behind -C."""
    with pytest.raises(Refused, match="is not a directory"):
        git.head_commit(tmp_path / "nothing")


def test_git_distrust_has_advice() -> None:
    """In containers the files often belong to somebody else; git says how to trust them, and we do not override it."""
    refused = _program.failure(Path("/x"), "status", b"fatal: detected dubious ownership in repository at '/x'")
    assert "belongs to another user" in str(refused)
    assert refused.advice is not None
    assert "safe.directory" in refused.advice


def test_repository_that_a_branch_planted_is_refused(repo: SecretsRepo) -> None:
    """A bare repository is made of files that can be committed; its configuration would run programs."""
    repo.commit()
    folder = repo.root / "infra"
    folder.mkdir()
    repo.git("init", "--quiet", "--bare", "infra")
    repo.git("--git-dir=infra", "config", "core.bare", "false")
    repo.git("--git-dir=infra", "config", "core.worktree", ".")

    for ask in (git.head_commit, git.uncommitted, git.read_commit, git.is_repository):
        with pytest.raises(Refused, match="looks like the inside of a git repository"):
            ask(folder)
