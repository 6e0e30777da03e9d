"""Reading the blobs of a commit, and what there is outside one."""

import subprocess

import pytest

from reconciler import git
from reconciler.errors import Refused
from tests.support.secrets_repo import SecretsRepo


def test_outside_git_there_is_no_commit(repo: SecretsRepo) -> None:
    """No guard applies, and the work tree is all there is."""
    assert git.head_commit(repo.root) is None
    assert git.uncommitted(repo.root) == ()
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
    assert git.uncommitted(repo.root) == (".sops.yaml", "secrets/a/b.yaml", "secrets/targets.yaml")
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
    assert git.uncommitted(repo.root) == ()
    repo.write("secrets/a/b.yaml", "changed")
    assert git.head_commit(repo.root) == commit
    assert set(git.read_commit(repo.root).files) == {"secrets/a/b.yaml", "secrets/targets.yaml"}
    assert git.read_commit(repo.root).files["secrets/a/b.yaml"] == b"b: 1\n"
    assert git.uncommitted(repo.root) == ("secrets/a/b.yaml",)
    assert git.is_tracked(repo.root, "secrets/a/b.yaml") is True
    assert git.read_work_tree(repo.root).tracked == frozenset({"secrets/a/b.yaml", "secrets/targets.yaml"})


def test_a_replaced_object_is_not_read(repo: SecretsRepo) -> None:
    """A replacement ref, which a fetch can bring along, would show other bytes than were committed."""
    repo.commit()
    blob = repo.git("rev-parse", "HEAD:secrets/a/b.yaml").strip()
    repo.write("other", "evil: 1\n")
    other = repo.git("hash-object", "-w", "other").strip()
    repo.git("replace", blob, other)
    assert git.read_commit(repo.root).files["secrets/a/b.yaml"] == b"b: 1\n"
