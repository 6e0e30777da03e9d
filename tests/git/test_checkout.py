"""One look at the repository for all that a run asks of it."""

import pytest

from reconciler import git
from reconciler.errors import Refused
from tests.git.tracing import traced
from tests.support.secrets_repo import SecretsRepo


def test_a_run_asks_once_where_it_is(repo: SecretsRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process costs milliseconds, and a no-op has few."""
    repo.commit()
    checkout = git.Checkout(repo.root)
    with traced(repo.root, monkeypatch) as calls:
        checkout.read_work_tree()
        assert checkout.is_repository
        checkout.read_commit()
        assert checkout.uncommitted() == ()
        assert checkout.prefix == ""
        assert calls() == ["rev-parse", "ls-files", "ls-tree", "cat-file", "status"]


def test_a_run_is_about_one_commit(repo: SecretsRepo) -> None:
    """Whatever is checked out meanwhile, what was looked at first is what is read."""
    first = repo.commit()
    checkout = git.Checkout(repo.root)
    assert checkout.head_commit == first
    second = repo.write("secrets/a/b.yaml", "later").commit()
    sources = checkout.read_commit()
    assert (sources.commit, sources.files["secrets/a/b.yaml"]) == (first, b"b: 1\n")
    assert git.Checkout(repo.root).head_commit == second


def test_a_commit_made_meanwhile_is_noticed(repo: SecretsRepo) -> None:
    """The tree would be clean against another commit than the one that is applied."""
    repo.commit()
    checkout = git.Checkout(repo.root)
    assert checkout.head_commit is not None
    repo.write("secrets/a/b.yaml", "later").commit()
    with pytest.raises(Refused, match="another commit was checked out") as refused:
        checkout.uncommitted()
    assert refused.value.advice is not None


def test_the_first_commit_made_meanwhile_is_noticed(repo: SecretsRepo) -> None:
    """From none to one is a move, too."""
    repo.git("init", "--quiet")
    checkout = git.Checkout(repo.root)
    assert checkout.head_commit is None
    repo.commit()
    with pytest.raises(Refused, match="another commit was checked out"):
        checkout.uncommitted()


def test_branches_of_the_same_commit_are_the_same(repo: SecretsRepo) -> None:
    """What matters is the commit, not what it is called; and an upstream is not compared with."""
    commit = repo.commit()
    checkout = git.Checkout(repo.root)
    assert checkout.head_commit == commit
    repo.git("checkout", "--quiet", "-b", "other", "--track", "main")
    assert checkout.uncommitted() == ()


def test_a_conflict_is_uncommitted(repo: SecretsRepo) -> None:
    """In the middle of a merge nothing is as it was reviewed."""
    base = repo.commit()
    repo.write("secrets/a/b.yaml", "ours").commit()
    repo.git("checkout", "--quiet", "-b", "side", base)
    repo.write("secrets/a/b.yaml", "theirs").commit()
    with pytest.raises(Exception, match="merge"):
        repo.git("merge", "main")
    assert git.Checkout(repo.root).uncommitted() == ("secrets/a/b.yaml",)
