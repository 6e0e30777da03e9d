"""Which ``.sops.yaml`` counts."""

import shutil

import pytest

from reconciler import git
from reconciler.errors import Severity
from reconciler.policy.sources import MAX_RULES_BYTES, Sources
from tests.git.complaints import what
from tests.support.secrets_repo import SecretsRepo


RULES = b"creation_rules: []\n"


def _rules(sources: Sources) -> tuple[str, bytes, str] | None:
    return None if sources.rules is None else (sources.rules.path, sources.rules.data, sources.rules.prefix)


@pytest.mark.parametrize(
    ("place", "path", "prefix"),
    [
        pytest.param("team/deploy/.sops.yaml", ".sops.yaml", "", id="in-the-directory-of-the-run"),
        pytest.param("team/.sops.yaml", "../.sops.yaml", "deploy/", id="above"),
        pytest.param(".sops.yaml", "../../.sops.yaml", "team/deploy/", id="at-the-top"),
    ],
)
def test_the_nearest_rules_of_sops_count(repo: SecretsRepo, place: str, path: str, prefix: str) -> None:
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
    repo.write(place, "changed: yes\n")
    assert _rules(git.read_commit(inner)) == (path, RULES, prefix)
    assert git.uncommitted(inner) == (path,)


def test_rules_above_the_repository_do_not_count(repo: SecretsRepo) -> None:
    """Whoever owns the folder above could name recipients that no review sees."""
    (repo.root / ".sops.yaml").unlink()
    (repo.root.parent / ".sops.yaml").write_bytes(RULES)
    assert git.read_work_tree(repo.root).rules is None  # outside git, too
    repo.git("init", "--quiet")
    assert git.read_work_tree(repo.root).rules is None


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "of-a-repository"])
def test_an_empty_git_folder_is_not_the_top_of_a_repository(repo: SecretsRepo, *, empty: bool) -> None:
    """Git passes it over and goes by what is above; the work tree and the commit must not disagree on that."""
    inner = repo.root / "team"
    repo.write("team/secrets/targets.yaml", "targets: {}\n").write(".sops.yaml", RULES)
    repo.commit()
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--message", "inner")
    (inner / ".git").mkdir()
    if not empty:
        repo.git("init", "--quiet", "team")
        assert (_rules(git.read_work_tree(inner)), git.prefix(inner)) == (None, "")
        return
    expected = ("../.sops.yaml", RULES, "team/")
    assert _rules(git.read_work_tree(inner)) == _rules(git.read_commit(inner)) == expected
    assert git.prefix(inner) == "team/"


def test_without_git_the_top_is_where_its_folder_is(repo: SecretsRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what validate says does not depend on whether git is installed."""
    repo.write("team/secrets/targets.yaml", "targets: {}\n").write(".sops.yaml", RULES).commit()
    monkeypatch.setenv("PATH", str(repo.root))
    assert _rules(git.read_work_tree(repo.root / "team")) == ("../.sops.yaml", RULES, "team/")


def test_rules_are_a_regular_file_of_some_size(repo: SecretsRepo) -> None:
    """A link could lead out of the repository, where no review looks."""
    rules = repo.root / ".sops.yaml"
    repo.write("real.yaml", RULES)

    def found() -> tuple[dict[str, str], dict[str, str]]:
        repo.git("add", "--all", ".")
        repo.git("commit", "--quiet", "--allow-empty", "--message", "next")
        tree, commit = git.read_work_tree(repo.root), git.read_commit(repo.root)
        assert tree.rules is commit.rules is None
        return what(tree), what(commit)

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
