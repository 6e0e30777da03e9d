"""Commits on a branch of their own, made as the user would make them."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import ReconcilerError, Refused, UsageError
from reconciler.git._program import run
from reconciler.git._writing import GitFailed, NewBranch, branch_name, prepare
from tests.support.secrets_repo import SecretsRepo


_FILE = "secrets/a/b.yaml"
_TOKEN = "CANARY-of-a-token"


@pytest.fixture
def environ() -> Mapping[str, str]:
    """Provide what a user has: a name, an address, and a few secrets."""
    who = {
        f"GIT_{role}_{what}": f"{what}@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    ours = {"SOPS_AGE_KEY": _TOKEN, "DATABRICKS_TOKEN": _TOKEN, "ARM_CLIENT_SECRET": _TOKEN}
    return {**os.environ, **who, **ours}


def _prepare(
    repo: SecretsRepo, environ: Mapping[str, str], name: str = "rotate/x", *, to_push: bool = False
) -> NewBranch:
    return prepare(repo.root, environ, name=name, paths=(_FILE,), to_push=to_push)


def _hook(repo: SecretsRepo, name: str, script: str) -> None:
    repo.write(f".git/hooks/{name}", f"#!/bin/sh\n{script}\n")
    (repo.root / ".git/hooks" / name).chmod(0o755)


def _record(repo: SecretsRepo, branch: NewBranch, message: str = "Rotate prod/a b\n") -> str:
    repo.write(_FILE, "b: 2\n")
    return branch.record(message, {_FILE: b"b: 2\n"})


def test_the_files_are_committed_on_a_new_branch_which_stays(repo: SecretsRepo, environ: Mapping[str, str]) -> None:
    """Whoever rotates goes on from there: a plan would otherwise show nothing of it."""
    first = repo.commit()
    branch = _prepare(repo, environ)
    commit = _record(repo, branch, "Rotate prod/a b\n\n- prod/a b\n")
    assert repo.git("rev-parse", "HEAD", "HEAD^").split() == [commit, first]
    assert repo.git("symbolic-ref", "HEAD").strip() == "refs/heads/rotate/x"
    assert repo.git("log", "-1", "--format=%B%an").strip() == "Rotate prod/a b\n\n- prod/a b\nNAME@example.com"
    assert repo.git("rev-parse", "main").strip() == first
    assert branch.way_back == "git switch main"


def test_other_changes_stay_as_they_are(repo: SecretsRepo, environ: Mapping[str, str]) -> None:
    """Staged, unstaged, untracked: none gets into the commit, none is touched."""
    repo.write("staged", "1").write("changed", "1").git("init", "--quiet")
    repo.git("add", "staged", "changed")
    repo.commit()
    repo.write("staged", "2").write("changed", "2").write("new", "2").write("secrets/other.yaml", "x: 1\n")
    repo.git("add", "staged")
    before = repo.git("status", "--porcelain")
    _record(repo, _prepare(repo, environ))
    assert repo.git("status", "--porcelain") == before
    assert repo.git("show", "--name-only", "--format=", "HEAD").split() == [_FILE]


def test_it_works_below_the_top_and_with_odd_names(repo: SecretsRepo, environ: Mapping[str, str]) -> None:
    """Paths are from the directory of the run, and are no patterns."""
    odd = "secrets/:(top)*[a] b.yaml"
    repo.write("sub/secrets/a.yaml", "x: 1\n").write(f"sub/{odd}", "x: 1\n").git("init", "--quiet")
    repo.git("add", ".")
    repo.commit()
    repo.write(f"sub/{odd}", "x: 2\n").write("sub/secrets/a.yaml", "x: 3\n")
    with pytest.raises(Refused, match="had changes"):
        prepare(repo.root / "sub", environ, name="x", paths=(odd,))
    repo.write(f"sub/{odd}", "x: 1\n")
    branch = prepare(repo.root / "sub", environ, name="x", paths=(odd,))
    repo.write(f"sub/{odd}", "x: 2\n")
    branch.record("Rotate\n", {odd: b"x: 2\n"})
    assert repo.git("show", "-z", "--name-only", "--format=", "HEAD").strip("\0") == f"sub/{odd}"


def test_a_hook_that_refuses_leaves_the_file_and_takes_the_branch_back(
    repo: SecretsRepo, environ: Mapping[str, str]
) -> None:
    """What the hook said is told, and the new value is not lost."""
    first = repo.commit()
    _hook(repo, "pre-commit", "echo said by the hook; exit 1")
    with pytest.raises(GitFailed, match="hooks refused the commit") as failed:
        _record(repo, _prepare(repo, environ))
    assert failed.value.said == ("said by the hook",)
    assert failed.value.exit_code == 1
    assert repo.git("symbolic-ref", "HEAD").strip() == "refs/heads/main"
    assert repo.git("for-each-ref", "--format=%(refname)").split() == ["refs/heads/main"]
    assert repo.git("rev-parse", "HEAD").strip() == first
    assert repo.read(_FILE) == b"b: 2\n"


def test_a_detached_head_is_taken_back_to(repo: SecretsRepo, environ: Mapping[str, str]) -> None:
    """As pipelines check out."""
    first = repo.commit()
    repo.git("checkout", "--quiet", "--detach")
    _hook(repo, "pre-commit", "exit 1")
    branch = _prepare(repo, environ)
    assert branch.way_back == f"git switch --detach {first}"
    with pytest.raises(GitFailed):
        _record(repo, branch)
    assert repo.git("rev-parse", "--abbrev-ref", "HEAD").strip() == "HEAD"
    _hook(repo, "pre-commit", "exit 0")
    repo.write(_FILE, "b: 1\n")
    assert _record(repo, _prepare(repo, environ)) != first


def test_hooks_run_with_the_environment_of_the_user_but_without_keys(
    repo: SecretsRepo, environ: Mapping[str, str]
) -> None:
    """They need whatever they need; the keys of the files and of workspaces they do not."""
    repo.commit()
    _hook(repo, "pre-commit", "env > .git/seen")
    _record(repo, _prepare(repo, {**environ, "MINE": "here", "GIT_DIR": "/nowhere", "GIT_INDEX_FILE": "/nowhere"}))
    seen = (repo.root / ".git/seen").read_text()
    assert "MINE=here" in seen
    assert _TOKEN not in seen
    assert "GIT_LITERAL_PATHSPECS" not in seen


def test_what_a_hook_or_filter_makes_of_a_file_is_noticed(repo: SecretsRepo, environ: Mapping[str, str]) -> None:
    """An encrypted file that was made prettier has no valid MAC any more."""
    repo.write(".gitattributes", "*.yaml filter=pretty\n").git("init", "--quiet")
    repo.git("add", ".gitattributes")
    repo.git("config", "filter.pretty.clean", "tr a-z A-Z")
    repo.commit()
    with pytest.raises(ReconcilerError, match="a hook or a filter changed it"):
        _record(repo, _prepare(repo, environ))


def test_what_is_in_the_way_is_refused_before_anything_is_written(
    repo: SecretsRepo, environ: Mapping[str, str], tmp_path: Path
) -> None:
    """One after the other, as a repository grows; each says that nothing was written."""
    with pytest.raises(Refused, match="no git repository; nothing was written"):
        _prepare(repo, environ)
    repo.git("init", "--quiet")
    with pytest.raises(Refused, match="no commit yet; nothing was written"):
        _prepare(repo, environ)
    repo.commit()
    repo.write(_FILE, "b: changed\n")
    with pytest.raises(Refused, match="had changes that are not committed; nothing was written"):
        _prepare(repo, environ)
    repo.git("add", _FILE)
    with pytest.raises(Refused, match="had changes"):
        _prepare(repo, environ)
    repo.git("reset", "--quiet", "--hard")
    nobody = {name: text for name, text in environ.items() if not name.startswith("GIT_")}
    anonymous = {
        **nobody,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "user.useConfigOnly",
        "GIT_CONFIG_VALUE_0": "true",
    }
    with pytest.raises(Refused, match="does not know who commits; nothing was written"):
        _prepare(repo, anonymous)
    with pytest.raises(Refused, match="there is no remote to push to; nothing was written"):
        _prepare(repo, environ, to_push=True)
    repo.write(".git/MERGE_HEAD", repo.git("rev-parse", "HEAD"))
    with pytest.raises(Refused, match="a merge is under way in this repository; nothing was written"):
        _prepare(repo, environ)


def test_a_file_that_git_ignores_is_refused(repo: SecretsRepo, environ: Mapping[str, str]) -> None:
    """It would look like one that has no changes."""
    repo.commit()
    repo.write(".gitignore", "secrets/hidden.yaml\n").write("secrets/hidden.yaml", "x: 1\n")
    with pytest.raises(Refused, match=r"git ignores secrets/hidden\.yaml"):
        prepare(repo.root, environ, name="x", paths=("secrets/hidden.yaml",))


@pytest.mark.parametrize(
    ("taken", "wanted"),
    [
        pytest.param("rotate/x", "rotate/x", id="itself"),
        pytest.param("rotate", "rotate/x", id="where-its-folder-would-be"),
        pytest.param("rotate/x/y", "rotate/x", id="below-it"),
    ],
)
def test_a_branch_that_exists_is_not_taken(
    repo: SecretsRepo, environ: Mapping[str, str], taken: str, wanted: str
) -> None:
    """Git keeps branches as files: one cannot stand where another needs a folder."""
    repo.commit()
    repo.git("branch", taken)
    with pytest.raises(Refused, match=f"there is a branch {taken} already; nothing was written"):
        _prepare(repo, environ, wanted)
    _prepare(repo, environ, "rotate-y")


@pytest.mark.parametrize("name", ["-x", "a..b", "a b", "x.lock", "@{-1}", "", "a/", "HEAD", "a\nb", "*"])
def test_a_name_that_is_none_of_a_branch_is_refused(repo: SecretsRepo, environ: Mapping[str, str], name: str) -> None:
    """Nor is it taken for an option or for another branch."""
    repo.commit()
    with pytest.raises(UsageError, match="no branch can be called"):
        _prepare(repo, environ, name)


@settings(max_examples=50)
@given(parts=st.lists(st.text(max_size=12), min_size=1, max_size=4))
def test_any_names_make_the_name_of_a_branch(parts: list[str]) -> None:
    """Whatever a scope or a key is called, git takes it."""
    name = branch_name("rotate", *parts)
    assert name.startswith("rotate/")
    assert run(Path(), ("check-ref-format", f"refs/heads/{name}")).returncode == 0


def test_the_name_of_a_branch_can_be_read() -> None:
    """It is for people."""
    assert branch_name("rotate", "prod", "payments", "db-password", "20260131") == (
        "rotate/prod-payments-db-password-20260131"
    )
    assert branch_name("rotate", "prod", "a@b", "x..y.lock") == "rotate/prod-a-b-x.y"


def test_a_branch_is_pushed_to_where_the_user_pushes(
    repo: SecretsRepo, environ: Mapping[str, str], tmp_path: Path
) -> None:
    """And follows what it was pushed to; the branch that one came from is what it is compared with."""
    repo.commit()
    repo.git("init", "--quiet", "--bare", str(tmp_path / "server"))
    repo.git("remote", "add", "upstream", str(tmp_path / "server"))
    assert _prepare(repo, environ, to_push=True).base is None
    repo.git("push", "--quiet", "--set-upstream", "upstream", "main:trunk")
    _hook(repo, "../../../server/hooks/post-receive", "echo https://example.com/new-pull-request")
    branch = _prepare(repo, environ, to_push=True)
    assert (branch.remote, branch.base) == ("upstream", "trunk")
    commit = _record(repo, branch)
    assert branch.push() == ("https://example.com/new-pull-request",)
    assert repo.git("--git-dir", str(tmp_path / "server"), "rev-parse", "rotate/x").strip() == commit
    assert repo.git("rev-parse", "--abbrev-ref", "@{upstream}").strip() == "upstream/rotate/x"


def test_a_push_that_is_refused_leaves_the_commit(
    repo: SecretsRepo, environ: Mapping[str, str], tmp_path: Path
) -> None:
    """It can be pushed by hand."""
    repo.commit()
    repo.git("remote", "add", "origin", str(tmp_path / "gone"))
    branch = _prepare(repo, environ, to_push=True)
    commit = _record(repo, branch)
    with pytest.raises(GitFailed, match="is committed, and could not be pushed") as failed:
        branch.push()
    assert failed.value.said
    assert repo.git("rev-parse", "rotate/x").strip() == commit


def test_several_remotes_need_a_word_which_one(repo: SecretsRepo, environ: Mapping[str, str]) -> None:
    """A value that was rotated is not pushed just anywhere."""
    repo.commit()
    for name in ("one", "two"):
        repo.git("remote", "add", name, f"https://{name}.example.com")
    with pytest.raises(Refused, match="several remotes, and nothing says which"):
        _prepare(repo, environ, to_push=True)
    repo.git("config", "remote.pushDefault", "two")
    assert _prepare(repo, environ, to_push=True).remote == "two"
