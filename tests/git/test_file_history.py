"""Every version that scope files ever had, whatever their repository looks like."""

from pathlib import Path

import pytest

from reconciler import git
from reconciler.errors import Refused
from reconciler.git import FileHistory
from tests.git.tracing import traced
from tests.support.secrets_repo import SecretsRepo


PATH = "secrets/a/b.yaml"


def history(root: Path, *, all_refs: bool = False) -> FileHistory:
    """Return what git has."""
    commit = git.head_commit(root)
    assert commit is not None
    return git.file_history(root, commit, all_refs=all_refs)


def told(root: Path, path: str = PATH, *, all_refs: bool = False) -> list[bytes]:
    """Return what a file held, oldest first, each content once."""
    blobs = dict.fromkeys(one.blob for one in history(root, all_refs=all_refs).versions if one.path == path)
    data = dict(git.contents(root, list(blobs)))
    return [data[blob] or b"" for blob in blobs]


def test_each_version_is_told_oldest_first_with_its_commit(repo: SecretsRepo) -> None:
    """A content that comes back is told twice; a deleted file stays told."""
    commits = [repo.write(PATH, text).commit() for text in ("b: 1\n", "b: 2\n", "b: 1\n")]
    (repo.root / PATH).unlink()
    last = repo.commit()
    found = history(repo.root)
    assert [one.commit.name for one in found.versions] == commits
    assert [one.commit.author for one in found.versions] == ["Tester <tester@example.com>"] * 3
    assert found.versions[0].commit.at.startswith("2026-01-01T00:00:00")
    assert (found.commit, dict(found.now), found.commits) == (last, {}, 4)
    assert told(repo.root) == [b"b: 1\n", b"b: 2\n"]


def test_what_is_now_is_that_of_the_commit(repo: SecretsRepo) -> None:
    """Not of the work tree; targets.yaml and what is no YAML are no scope files."""
    repo.write("secrets/key.agekey", "x").commit()
    repo.write(PATH, "b: 2\n").write("secrets/new.yaml", "x: 1\n")
    found = history(repo.root)
    assert list(found.now) == [PATH]
    assert dict(git.contents(repo.root, list(found.now.values()))) == {found.now[PATH]: b"b: 1\n"}


def test_side_branches_count_whose_changes_did_not_survive(repo: SecretsRepo) -> None:
    """Git leaves them out of a simplified history."""
    repo.commit()
    repo.git("checkout", "--quiet", "-b", "side")
    repo.write(PATH, "b: side\n").commit()
    repo.git("checkout", "--quiet", "-")
    repo.git("merge", "--quiet", "--strategy", "ours", "--no-edit", "side")
    assert told(repo.root) == [b"b: 1\n", b"b: side\n"]


def test_what_a_merge_itself_made_counts(repo: SecretsRepo) -> None:
    """It stands in neither parent."""
    repo.commit()
    repo.git("checkout", "--quiet", "-b", "side")
    repo.write("secrets/other.yaml", "x: 1\n").commit()
    repo.git("checkout", "--quiet", "-")
    repo.git("merge", "--quiet", "--no-ff", "--no-commit", "side")
    repo.write(PATH, "b: made by the merge\n").commit()
    repo.write(PATH, "b: later\n").commit()
    assert told(repo.root) == [b"b: 1\n", b"b: made by the merge\n", b"b: later\n"]


def test_other_refs_count_when_asked_for(repo: SecretsRepo) -> None:
    """Branches that were never merged, and tags."""
    repo.commit()
    repo.git("checkout", "--quiet", "-b", "side")
    repo.write(PATH, "b: side\n").commit()
    repo.git("checkout", "--quiet", "-")
    assert told(repo.root) == [b"b: 1\n"]
    assert told(repo.root, all_refs=True) == [b"b: 1\n", b"b: side\n"]


def test_the_directory_of_the_run_need_not_be_the_top(repo: SecretsRepo) -> None:
    """Paths are from there; files of the same name elsewhere are others."""
    repo.write("team/secrets/a/b.yaml", "b: team\n").commit()
    repo.git("add", "team")
    repo.commit()
    assert told(repo.root / "team") == [b"b: team\n"]
    assert list(history(repo.root / "team").now) == [PATH]


def test_settings_of_the_user_and_odd_names_make_no_difference(repo: SecretsRepo) -> None:
    """Renames are not followed, roots are shown, and names stand as they are."""
    odd = "secrets/ä \n.yaml"
    repo.write(odd, "x: 1\n").commit()
    for name, value in (("log.showRoot", "false"), ("log.follow", "true"), ("core.quotePath", "true")):
        repo.git("config", name, value)
    repo.git("config", "diff.renames", "copies")
    repo.git("mv", PATH, "secrets/moved.yaml")
    repo.commit()
    assert told(repo.root, odd) == [b"x: 1\n"]
    assert told(repo.root, "secrets/moved.yaml") == told(repo.root) == [b"b: 1\n"]


def test_a_link_is_no_version(repo: SecretsRepo) -> None:
    """Nor is a file that is too large told."""
    (repo.root / "secrets" / "link.yaml").symlink_to("targets.yaml")
    repo.write("secrets/large.yaml", b"#" * (16 * 1024 * 1024 + 1)).commit()
    found = history(repo.root)
    assert {one.path for one in found.versions} == {PATH, "secrets/large.yaml"}
    assert [data for _, data in git.contents(repo.root, [one.blob for one in found.versions])].count(None) == 1


def test_a_shallow_clone_is_refused(repo: SecretsRepo, tmp_path: Path) -> None:
    """What it left out was readable, too."""
    repo.commit()
    repo.commit()
    repo.git("clone", "--quiet", "--depth", "1", repo.root.as_uri(), str(tmp_path / "shallow"))
    with pytest.raises(Refused, match="shallow"):
        history(tmp_path / "shallow")


def test_a_partial_clone_is_refused(repo: SecretsRepo, tmp_path: Path) -> None:
    """Nothing is fetched to tell."""
    repo.commit()
    repo.write(PATH, "b: 2\n").commit()
    repo.git("config", "uploadpack.allowFilter", "true")
    repo.git("clone", "--quiet", "--filter=blob:none", "--no-checkout", repo.root.as_uri(), str(tmp_path / "partial"))
    with pytest.raises(Refused, match="all versions"):
        told(tmp_path / "partial")


def test_git_is_called_as_often_whatever_there_is(repo: SecretsRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once per commit."""
    for number in range(12):
        repo.write(PATH, f"b: {number}\n").commit()
    with traced(repo.root, monkeypatch) as calls:
        assert len(told(repo.root)) == 12
        assert sorted(calls()) == ["cat-file", "cat-file", "diff-tree", "ls-tree", "rev-list", "rev-parse", "rev-parse"]
