"""The edges that read: links, odd names, blobs of the commit, and what counts as dirty."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from reconciler import git
from reconciler.errors import Refused, Severity
from reconciler.git import _program, _work_tree
from reconciler.policy.sources import MAX_FILE_BYTES, MAX_OTHER_BYTES, MAX_RULES_BYTES, MAX_TOTAL_BYTES, Sources
from tests.support.age_keys import AgeKey
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsTool


@pytest.fixture
def repo(tmp_path: Path, sops: SopsTool, age_key: AgeKey) -> SecretsRepo:
    """Make a repository without a commit; nothing in it needs sops."""
    made = SecretsRepo(tmp_path / "repo", sops=sops, key=age_key)
    return made.write("secrets/targets.yaml", "targets: {}\n").write("secrets/a/b.yaml", "b: 1\n")


def _what(sources: Sources) -> dict[str, str]:
    return {problem.path: problem.what for problem in sources.problems}


LINK = "this is a symbolic link, and links are not followed"
ODD_NAME = "the name of this file has characters that do not print"
IRREGULAR = "this is neither a regular file nor a directory"
TOO_LARGE = "the file is larger than 16 MiB and was not read"


def test_outside_git_there_is_no_commit(repo: SecretsRepo) -> None:
    """No guard applies, and the work tree is all there is."""
    assert git.head_commit(repo.root) is None
    assert git.is_dirty(repo.root) == ()
    assert git.is_tracked(repo.root, "secrets/targets.yaml") is None
    tree = git.read_work_tree(repo.root)
    assert dict(tree.files) == {"secrets/a/b.yaml": b"b: 1\n", "secrets/targets.yaml": b"targets: {}\n"}
    assert (tree.commit, tree.tracked, tree.problems) == (None, None, ())
    with pytest.raises(Refused, match="no commit"):
        git.read_commit(repo.root)


def test_before_the_first_commit_there_is_none(repo: SecretsRepo) -> None:
    """A repository alone does not make a commit."""
    repo.git("init", "--quiet")
    repo.git("add", "secrets/targets.yaml")
    assert git.head_commit(repo.root) is None
    assert git.is_dirty(repo.root) == (".sops.yaml", "secrets/a/b.yaml", "secrets/targets.yaml")
    assert git.read_work_tree(repo.root).tracked == frozenset({"secrets/targets.yaml"})
    with pytest.raises(Refused, match="no commit"):
        git.read_commit(repo.root)


def test_a_commit_is_read_as_it_was_committed(repo: SecretsRepo) -> None:
    """Edits, additions and deletions in the work tree change nothing; neither do line ending rules."""
    repo.write("secrets/crlf.yaml", b"a: 1\r\n").write("secrets/key.agekey", b"\x00\xff")
    commit = repo.commit()
    repo.write(".gitattributes", "* text eol=lf\n").write("secrets/a/b.yaml", "changed").write("secrets/new.yaml", "x")
    (repo.root / "secrets/targets.yaml").unlink()
    sources = git.read_commit(repo.root)
    assert dict(sources.files) == {
        "secrets/a/b.yaml": b"b: 1\n",
        "secrets/crlf.yaml": b"a: 1\r\n",
        "secrets/key.agekey": b"\x00\xff",
        "secrets/targets.yaml": b"targets: {}\n",
    }
    assert (sources.commit, sources.problems) == (commit, ())
    assert sources.is_tracked("secrets/key.agekey")
    assert git.head_commit(repo.root) == commit


def test_an_older_commit_can_be_read(repo: SecretsRepo) -> None:
    """As what the ledger's head says was applied last."""
    first = repo.commit()
    repo.write("secrets/a/b.yaml", "later").commit()
    assert git.read_commit(repo.root, first).files["secrets/a/b.yaml"] == b"b: 1\n"
    assert git.read_commit(repo.root).files["secrets/a/b.yaml"] == b"later"


def test_a_commit_that_does_not_exist_is_refused(repo: SecretsRepo) -> None:
    """Without git's own words, which may quote anything."""
    repo.commit()
    with pytest.raises(Refused, match="git ls-tree failed"):
        git.read_commit(repo.root, "0" * 40)


def test_the_root_may_be_a_subdirectory_of_a_repository(repo: SecretsRepo) -> None:
    """A monorepo: names are relative to the directory of the run, and what is beside it does not count."""
    top = repo.root.parent
    subprocess.run(["git", "init", "--quiet", str(top)], check=True)
    (top / "secrets").mkdir()
    (top / "secrets/other.yaml").write_text("x")
    repo.git("add", ".")
    repo.git("commit", "--quiet", "--message", "first")
    commit = repo.git("rev-parse", "HEAD").strip()
    assert git.is_dirty(repo.root) == ()
    repo.write("secrets/a/b.yaml", "changed")
    assert git.head_commit(repo.root) == commit
    assert set(git.read_commit(repo.root).files) == {"secrets/a/b.yaml", "secrets/targets.yaml"}
    assert git.read_commit(repo.root).files["secrets/a/b.yaml"] == b"b: 1\n"
    assert git.is_dirty(repo.root) == ("secrets/a/b.yaml",)
    assert git.is_tracked(repo.root, "secrets/a/b.yaml") is True
    assert git.read_work_tree(repo.root).tracked == frozenset({"secrets/a/b.yaml", "secrets/targets.yaml"})


@pytest.mark.parametrize(
    ("path", "staged", "dirty"),
    [
        pytest.param("secrets/a/b.yaml", False, True, id="changed"),
        pytest.param("secrets/a/b.yaml", True, True, id="changed-and-staged"),
        pytest.param("secrets/new.yaml", False, True, id="untracked"),
        pytest.param("secrets/deep/er/new.yaml", False, True, id="untracked-directory"),
        pytest.param("secrets/new.yaml", True, True, id="added"),
        pytest.param(".sops.yaml", False, True, id="rules"),
        pytest.param("README.md", False, False, id="elsewhere"),
        pytest.param("secrets/ignored.tmp", False, False, id="ignored"),
    ],
)
def test_what_counts_as_dirty(repo: SecretsRepo, path: str, *, staged: bool, dirty: bool) -> None:
    """Whatever below secrets/ and in .sops.yaml is not as in HEAD, ignored files aside."""
    repo.write(".gitignore", "*.tmp\n").commit()
    repo.write(path, "changed")
    if staged:
        repo.git("add", path)
    assert git.is_dirty(repo.root) == ((path,) if dirty else ())


def test_a_deleted_file_is_dirty(repo: SecretsRepo) -> None:
    """It would be missed by a look at what is there."""
    repo.commit()
    (repo.root / "secrets/a/b.yaml").unlink()
    assert git.is_dirty(repo.root) == ("secrets/a/b.yaml",)


def test_a_renamed_file_is_reported_under_both_names(repo: SecretsRepo) -> None:
    """Git's guess that one became the other is not made."""
    repo.commit()
    repo.git("mv", "secrets/a/b.yaml", "secrets/c d.yaml")
    assert git.is_dirty(repo.root) == ("secrets/a/b.yaml", "secrets/c d.yaml")


def test_hostile_names_are_refused_and_escaped(repo: SecretsRepo) -> None:
    """A line break in a name could forge a line of the report; text that turns around passes for another name."""
    for name in ("secrets/a\nb.yaml", "secrets/\u202elmay.yaml", os.fsdecode(b"secrets/\xff.yaml"), "secrets/\x1b[31m"):
        repo.write(name, "x: 1\n")
    expected = {
        "secrets/a\\nb.yaml": ODD_NAME,
        "secrets/\\u202elmay.yaml": ODD_NAME,
        "secrets/\\xff.yaml": ODD_NAME,
        "secrets/\\x1b[31m": ODD_NAME,
    }
    assert _what(git.read_work_tree(repo.root)) == expected
    repo.commit()
    assert _what(git.read_commit(repo.root)) == expected
    repo.write("secrets/a\nb.yaml", "y")
    assert git.is_dirty(repo.root) == ("secrets/a\\nb.yaml",)


def test_links_are_refused(repo: SecretsRepo, tmp_path: Path) -> None:
    """To files, to directories, to nothing: what they point at was not reviewed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.yaml").write_text("stolen: 1\n")
    (repo.root / "secrets/file.yaml").symlink_to(outside / "x.yaml")
    (repo.root / "secrets/folder").symlink_to(outside)
    (repo.root / "secrets/dangling.yaml").symlink_to("nowhere")
    expected = dict.fromkeys(("secrets/dangling.yaml", "secrets/file.yaml", "secrets/folder"), LINK)
    tree = git.read_work_tree(repo.root)
    assert _what(tree) == expected
    repo.commit()
    commit = git.read_commit(repo.root)
    assert _what(commit) == expected
    assert set(tree.files) == set(commit.files) == {"secrets/a/b.yaml", "secrets/targets.yaml"}


def test_secrets_itself_may_not_be_a_link(repo: SecretsRepo, tmp_path: Path) -> None:
    """Nor anything else but a directory."""
    (repo.root / "secrets").rename(tmp_path / "moved")
    (repo.root / "secrets").symlink_to(tmp_path / "moved")
    assert _what(git.read_work_tree(repo.root)) == {"secrets": LINK}
    repo.commit()
    assert _what(git.read_commit(repo.root)) == {"secrets": LINK}


def test_a_missing_folder_holds_nothing(tmp_path: Path) -> None:
    """That targets.yaml is missing is said by whoever needs it."""
    assert git.read_work_tree(tmp_path).files == {}


def test_submodules_and_devices_are_refused(repo: SecretsRepo) -> None:
    """What is in a submodule is not in the commit; reading a pipe would wait forever."""
    os.mkfifo(repo.root / "secrets/pipe.yaml")
    with socket.socket(socket.AF_UNIX) as sock:
        here = Path.cwd()
        os.chdir(repo.root / "secrets")  # the path of a socket is limited to some 100 characters
        try:
            sock.bind("s.yaml")
        finally:
            os.chdir(here)
        assert _what(git.read_work_tree(repo.root)) == {"secrets/pipe.yaml": IRREGULAR, "secrets/s.yaml": IRREGULAR}
    (repo.root / "secrets/pipe.yaml").unlink()
    (repo.root / "secrets/s.yaml").unlink()
    commit = repo.commit()
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{commit},secrets/sub")
    repo.git("commit", "--quiet", "--message", "submodule")
    assert _what(git.read_commit(repo.root)) == {"secrets/sub": IRREGULAR}


def test_files_are_read_up_to_a_cap(repo: SecretsRepo) -> None:
    """Large YAML is refused; large files that are none of our business are passed over."""
    for name, size in (
        ("big.yaml", MAX_FILE_BYTES + 1),
        ("full.yaml", MAX_FILE_BYTES),
        ("photo.png", MAX_OTHER_BYTES + 1),
    ):
        with (repo.root / "secrets" / name).open("wb") as file:
            file.truncate(size)
    for sources in (git.read_work_tree(repo.root), (repo.commit(), git.read_commit(repo.root))[1]):
        assert _what(sources) == {"secrets/big.yaml": TOO_LARGE}
        assert set(sources.files) == {"secrets/a/b.yaml", "secrets/full.yaml", "secrets/targets.yaml"}


def test_an_unreadable_file_is_a_problem(repo: SecretsRepo) -> None:
    """A file that another process takes away, or that we may not read, is not passed over."""
    problem = _work_tree._read_file(repo.root / "secrets/gone.yaml", "secrets/gone.yaml", 100)
    assert problem is not None
    assert not isinstance(problem, bytes)
    assert problem.what == "the file cannot be read"


def test_a_replaced_object_is_not_read(repo: SecretsRepo) -> None:
    """A replacement ref, which a fetch can bring along, would show other bytes than were committed."""
    repo.commit()
    blob = repo.git("rev-parse", "HEAD:secrets/a/b.yaml").strip()
    repo.write("other", "evil: 1\n")
    other = repo.git("hash-object", "-w", "other").strip()
    repo.git("replace", blob, other)
    assert git.read_commit(repo.root).files["secrets/a/b.yaml"] == b"b: 1\n"


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
    assert git.is_dirty(repo.root) == ("secrets/a/b.yaml",)
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
    assert git.is_dirty(repo.root) == ()


def test_a_damaged_repository_is_refused_and_not_taken_for_none(repo: SecretsRepo) -> None:
    """Otherwise damage would switch off every guard that asks git."""
    commit = repo.commit()
    (repo.root / ".git/objects" / commit[:2] / commit[2:]).unlink()
    with pytest.raises(Refused, match="git rev-parse failed"):
        git.head_commit(repo.root)


def test_a_worktree_whose_repository_is_gone_is_refused(repo: SecretsRepo) -> None:
    """It is no directory outside git, though git's message begins alike."""
    repo.write(".git", "gitdir: /nowhere/at/all\n")
    with pytest.raises(Refused):
        git.head_commit(repo.root)


def test_without_git_a_repository_is_refused(repo: SecretsRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no repository git is not needed."""
    monkeypatch.setenv("PATH", str(repo.root))
    assert git.head_commit(repo.root) is None
    assert git.is_dirty(repo.root) == ()
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
    refused = _program.failed(Path("/x"), "status", b"fatal: detected dubious ownership in repository at '/x'")
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

    for ask in (git.head_commit, git.is_dirty, git.read_commit, git.is_repository):
        with pytest.raises(Refused, match="looks like the inside of a git repository"):
            ask(folder)


@pytest.mark.parametrize("part", ["objects", "refs", "HEAD"])
def test_damaged_repository_does_not_pass_for_none(part: str, repo: SecretsRepo) -> None:
    """Outside git the work tree counts; beside a repository that does not work it must not."""
    repo.commit()
    victim = repo.root / ".git" / part
    if victim.is_dir():
        shutil.rmtree(victim)
    else:
        victim.unlink()

    for ask in (git.head_commit, git.is_dirty, git.is_repository):
        with pytest.raises(Refused):
            ask(repo.root)


RULES = b"creation_rules: []\n"


def _rules(sources: Sources) -> tuple[str, bytes, str] | None:
    return None if sources.rules is None else (sources.rules.path, sources.rules.data, sources.rules.prefix)


@pytest.mark.parametrize(
    ("place", "path", "prefix", "beside"),
    [
        pytest.param("team/deploy/.sops.yaml", ".sops.yaml", "", {".sops.yaml"}, id="in-the-directory-of-the-run"),
        pytest.param("team/.sops.yaml", "../.sops.yaml", "deploy/", {".sops.yaml", "README.md"}, id="above"),
        pytest.param(
            ".sops.yaml",
            "../../.sops.yaml",
            "team/deploy/",
            {".sops.yaml", "team/README.md", "secrets/targets.yaml", "secrets/a/b.yaml"},
            id="at-the-top",
        ),
    ],
)
def test_the_nearest_rules_of_sops_count(
    repo: SecretsRepo, place: str, path: str, prefix: str, beside: set[str]
) -> None:
    """From the directory of the run upwards to the top of the repository, at the commit and in the work tree."""
    inner = repo.root / "team/deploy"
    repo.write("team/deploy/secrets/targets.yaml", "targets: {}\n").write("team/README.md", "x")
    repo.write(".sops.yaml", "further: up\n").write(place, RULES)
    repo.commit()
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--message", "inner")
    tree, commit = git.read_work_tree(inner), git.read_commit(inner)
    assert _rules(tree) == _rules(commit) == (path, RULES, prefix)
    assert tree.tracked == commit.tracked == frozenset({"secrets/targets.yaml"})
    assert tree.neighbours == frozenset(beside)
    repo.write(place, "changed: yes\n")
    assert _rules(git.read_commit(inner)) == (path, RULES, prefix)
    assert git.is_dirty(inner) == (path,)


def test_rules_above_the_repository_do_not_count(repo: SecretsRepo) -> None:
    """Whoever owns the folder above could name recipients that no review sees."""
    (repo.root / ".sops.yaml").unlink()
    (repo.root.parent / ".sops.yaml").write_bytes(RULES)
    assert git.read_work_tree(repo.root).rules is None  # outside git, too
    repo.git("init", "--quiet")
    assert git.read_work_tree(repo.root).rules is None


def test_rules_are_a_regular_file_of_some_size(repo: SecretsRepo) -> None:
    """A link could lead out of the repository, where no review looks."""
    rules = repo.root / ".sops.yaml"
    repo.write("real.yaml", RULES)

    def found() -> tuple[dict[str, str], dict[str, str]]:
        repo.git("add", "--all", ".")
        repo.git("commit", "--quiet", "--allow-empty", "--message", "next")
        tree, commit = git.read_work_tree(repo.root), git.read_commit(repo.root)
        assert tree.rules is commit.rules is None
        return _what(tree), _what(commit)

    repo.commit()
    rules.unlink()
    rules.symlink_to("real.yaml")
    kind = {".sops.yaml": "the rules of sops are no regular file"}
    assert found() == (kind, kind)
    rules.unlink()
    repo.write(".sops.yaml/nested.yaml", RULES)
    assert found() == (kind, kind)
    shutil.rmtree(rules)
    repo.write(".sops.yaml", b"#" * (MAX_RULES_BYTES + 1))
    size = {".sops.yaml": "the file is larger than 1 MiB and was not read"}
    assert found() == (size, size)


def test_rules_in_a_file_that_sops_ignores_are_a_remark(repo: SecretsRepo) -> None:
    """A .sops.yml is surely meant to be read: an error where nothing else is, else a warning."""
    repo.write(".sops.yml", RULES)
    (remark,) = git.read_work_tree(repo.root).remarks
    assert (remark.path, remark.severity) == (".sops.yml", Severity.WARNING)
    (repo.root / ".sops.yaml").unlink()
    (remark,) = git.read_work_tree(repo.root).remarks
    assert (remark.path, remark.severity) == (".sops.yml", Severity.ERROR)


@pytest.mark.parametrize("name", ["a.yaml ", "a.yml.", "a.YAML . "])
def test_names_that_only_look_like_yaml_are_not_passed_over(repo: SecretsRepo, name: str) -> None:
    """Nobody would see why what stands in the file is not applied."""
    repo.write(f"secrets/{name}", b"x").write("secrets/b.yaml.txt", b"x")
    repo.commit()
    for sources in (git.read_work_tree(repo.root), git.read_commit(repo.root)):
        assert [(problem.path, problem.rule) for problem in sources.problems] == [(f"secrets/{name}", "file-name")]


def test_all_files_together_are_read_up_to_a_cap(repo: SecretsRepo) -> None:
    """One push cannot fill the memory with many files either; targets.yaml is read in any case."""
    for number in range(5):
        with (repo.root / f"secrets/a/full-{number}.yaml").open("wb") as file:
            file.truncate(MAX_FILE_BYTES)
    for sources in (git.read_work_tree(repo.root), (repo.commit(), git.read_commit(repo.root))[1]):
        assert [(problem.path, problem.rule) for problem in sources.problems] == [("secrets", "file-size")]
        assert "secrets/targets.yaml" in sources.files
        assert sum(map(len, sources.files.values())) <= MAX_TOTAL_BYTES + MAX_FILE_BYTES
