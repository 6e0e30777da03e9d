"""What a review asks of git: names of commits that may be hostile, where two parted, what files were before."""

import subprocess
from pathlib import Path

import pytest

from reconciler import git
from tests.support.secrets_repo import SecretsRepo


PATH = "secrets/a/b.yaml"


@pytest.fixture
def history(repo: SecretsRepo) -> tuple[str, str, str]:
    """Make three commits on main: the file as one, two, and one again."""
    first = repo.commit("one")
    second = repo.write(PATH, "b: 2\n").commit("two")
    third = repo.write(PATH, "b: 1\n").write("README.md", "hello\n").commit("three")
    return first, second, third


@pytest.mark.parametrize("name", ["main", "HEAD", "HEAD~0", "refs/heads/main", "v1"])
def test_names_of_commits_are_resolved(repo: SecretsRepo, history: tuple[str, str, str], name: str) -> None:
    """Branches, tags and revisions, to the full hash."""
    repo.git("tag", "-m", "one", "v1")
    assert git.resolve(repo.root, name) == history[2]
    assert git.resolve(repo.root, history[0][:10]) == history[0]


@pytest.mark.parametrize(
    "name",
    [
        *("", "nothing", "-h", "--help", "--git-dir=/tmp", "--all", "--output=x", "--exec=touch x", "main\nmain"),
        *("main main", "main..HEAD", "HEAD:secrets", "0" * 40, "a\0b", "$(touch x)", "@{u}", "x" * 5_000),
    ],
)
def test_what_is_no_commit_is_none(repo: SecretsRepo, history: tuple[str, str, str], name: str) -> None:
    """Whatever somebody calls a branch: it is never an option, a path or a command."""
    before = sorted(repo.root.iterdir())
    assert git.resolve(repo.root, name) is None
    assert sorted(repo.root.iterdir()) == before


def test_the_usual_base_is_that_of_the_forge(repo: SecretsRepo, history: tuple[str, str, str]) -> None:
    """A local main may be months old."""
    assert git.usual_base(repo.root) == ("main", history[2])
    repo.git("update-ref", "refs/remotes/origin/main", history[0])
    assert git.usual_base(repo.root) == ("origin/main", history[0])
    repo.git("branch", "-m", "main", "trunk")
    repo.git("update-ref", "-d", "refs/remotes/origin/main")
    assert git.usual_base(repo.root) is None


def test_where_two_parted(repo: SecretsRepo, history: tuple[str, str, str]) -> None:
    """The last commit that both have; none where they have none in common."""
    repo.git("checkout", "--quiet", "-b", "side", history[0])
    side = repo.write(PATH, "b: 3\n").commit("side")
    assert git.merge_base(repo.root, history[2], side) == history[0]
    repo.git("checkout", "--quiet", "--orphan", "alone")
    assert git.merge_base(repo.root, history[2], repo.commit("alone")) is None
    with pytest.raises(ValueError, match="hexadecimal"):
        git.merge_base(repo.root, "--all", side)


def test_what_changed_between_commits(repo: SecretsRepo, history: tuple[str, str, str]) -> None:
    """In the whole repository, with odd names as they are."""
    repo.write("secrets/odd\nname.yaml", "x: 1\n")
    (repo.root / "secrets" / "targets.yaml").unlink()
    head = repo.commit("odd")
    found = {change.path: change.status for change in git.changed_paths(repo.root, history[0], head)}
    assert found == {"secrets/odd\nname.yaml": "A", "secrets/targets.yaml": "D"}


def test_what_changed_in_the_work_tree(repo: SecretsRepo, history: tuple[str, str, str]) -> None:
    """Untracked files among it, those that git ignores not; also from a directory below the top."""
    repo.write(".gitignore", "*.log\n").write("noise.log", "").write("Makefile", "all:\n").write(PATH, "b: 4\n")
    expected = {".gitignore": "A", "Makefile": "A", PATH: "M", "README.md": "A"}
    for root in (repo.root, repo.root / "secrets"):
        found = {change.path: change.status for change in git.changed_paths(root, history[1], None)}
        assert found == expected


def test_what_a_file_held_before(repo: SecretsRepo, history: tuple[str, str, str]) -> None:
    """Newest first, each with the commit that made it so; files that are gone, too."""
    past = git.past_of(repo.root, "", history[2], [PATH, "secrets/none.yaml"])
    assert past.complete
    assert [(each.commit, each.data) for each in past.files[PATH]] == [
        (history[2], b"b: 1\n"),
        (history[1], b"b: 2\n"),
        (history[0], b"b: 1\n"),
    ]
    (repo.root / PATH).unlink()
    gone = repo.commit("gone")
    assert [each.commit for each in git.past_of(repo.root, "", gone, [PATH]).files[PATH]] == [*reversed(history)]


def test_the_past_is_that_of_the_branch_from_any_directory(repo: SecretsRepo, history: tuple[str, str, str]) -> None:
    """Paths are those of the run; what stood on a merged branch meanwhile never stood there."""
    repo.git("checkout", "--quiet", "-b", "side")
    repo.write(PATH, "b: 5\n").commit("five")
    repo.write(PATH, "b: 6\n").commit("six")
    repo.git("checkout", "--quiet", "main")
    repo.git("merge", "--quiet", "--no-ff", "--message", "merge", "side")
    merged = repo.git("rev-parse", "HEAD").strip()
    past = git.past_of(repo.root / "secrets", "secrets/", merged, ["a/b.yaml"])
    assert [each.data for each in past.files["a/b.yaml"]] == [b"b: 6\n", b"b: 1\n", b"b: 2\n", b"b: 1\n"]
    assert past.files["a/b.yaml"][0].commit == merged


def test_settings_of_the_user_make_no_difference(repo: SecretsRepo, history: tuple[str, str, str]) -> None:
    """Some change what git log prints."""
    for name, value in (
        *(("log.follow", "true"), ("log.showSignature", "true"), ("log.diffMerges", "off"), ("log.showRoot", "false")),
        *(("diff.noprefix", "true"), ("color.ui", "always"), ("diff.external", "touch touched"), ("log.date", "raw")),
        *(("format.pretty", "full"), ("diff.relative", "true")),
    ):
        repo.git("config", name, value)
    assert len(git.past_of(repo.root, "", history[2], [PATH]).files[PATH]) == 3
    found = git.changed_paths(repo.root / "secrets", history[1], None)
    assert [change.path for change in found] == ["README.md", PATH]
    assert not (repo.root / "touched").exists()


@pytest.fixture
def shallow(repo: SecretsRepo, history: tuple[str, str, str], tmp_path: Path) -> Path:
    """Clone the last commit alone."""
    clone = tmp_path / "clone"
    subprocess.run(
        ("git", "clone", "--quiet", "--depth=1", repo.root.as_uri(), clone), check=True, capture_output=True, timeout=60
    )
    return clone


def test_a_shallow_clone_knows_that_it_does_not_know(shallow: Path, history: tuple[str, str, str]) -> None:
    """What it has is told; that there was more, too."""
    past = git.past_of(shallow, "", history[2], [PATH])
    assert [each.data for each in past.files[PATH]] == [b"b: 1\n"]
    assert not past.complete
    assert git.resolve(shallow, history[0]) is None
