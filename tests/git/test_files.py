"""Which files are handed in: links, odd names, devices and sizes, in the work tree and at the commit alike."""

import os
import socket
from pathlib import Path

import pytest

from reconciler import git
from reconciler.git import _work_tree
from reconciler.policy.sources import MAX_FILE_BYTES, MAX_OTHER_BYTES, MAX_TOTAL_BYTES
from tests.git.complaints import IRREGULAR, LINK, ODD_NAME, TOO_LARGE, what
from tests.support.secrets_repo import SecretsRepo


def test_hostile_names_are_refused_and_escaped(repo: SecretsRepo) -> None:
    """A line break in a name could forge a line of the report; text that turns around passes for another name."""
    names = {"secrets/a\nb.yaml", "secrets/\u202elmay.yaml", os.fsdecode(b"secrets/\xff.yaml"), "secrets/\x1b[31m"}
    for name in names:
        repo.write(name, "x: 1\n")
    expected = {
        "secrets/a\\nb.yaml": ODD_NAME,
        "secrets/\\u202elmay.yaml": ODD_NAME,
        "secrets/\\xff.yaml": ODD_NAME,
        "secrets/\\x1b[31m": ODD_NAME,
    }
    assert what(git.read_work_tree(repo.root)) == expected
    repo.commit()
    sources = git.read_commit(repo.root)
    assert what(sources) == expected
    assert {problem.path for problem in sources.problems} == names, "who shows a path escapes it, and nobody before"
    repo.write("secrets/a\nb.yaml", "y")
    assert git.uncommitted(repo.root) == ("secrets/a\\nb.yaml",)


@pytest.mark.parametrize("name", ["a.yaml ", "a.yml.", "a.YAML . "])
def test_names_that_only_look_like_yaml_are_not_passed_over(repo: SecretsRepo, name: str) -> None:
    """Nobody would see why what stands in the file is not applied."""
    repo.write(f"secrets/{name}", b"x").write("secrets/b.yaml.txt", b"x")
    repo.commit()
    for sources in (git.read_work_tree(repo.root), git.read_commit(repo.root)):
        assert [(problem.path, problem.rule) for problem in sources.problems] == [(f"secrets/{name}", "file-name")]


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
    assert what(tree) == expected
    repo.commit()
    commit = git.read_commit(repo.root)
    assert what(commit) == expected
    assert set(tree.files) == set(commit.files) == {"secrets/a/b.yaml", "secrets/targets.yaml"}


def test_secrets_itself_may_not_be_a_link(repo: SecretsRepo, tmp_path: Path) -> None:
    """Nor anything else but a directory."""
    (repo.root / "secrets").rename(tmp_path / "moved")
    (repo.root / "secrets").symlink_to(tmp_path / "moved")
    assert what(git.read_work_tree(repo.root)) == {"secrets": LINK}
    repo.commit()
    assert what(git.read_commit(repo.root)) == {"secrets": LINK}


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
        assert what(git.read_work_tree(repo.root)) == {"secrets/pipe.yaml": IRREGULAR, "secrets/s.yaml": IRREGULAR}
    (repo.root / "secrets/pipe.yaml").unlink()
    (repo.root / "secrets/s.yaml").unlink()
    commit = repo.commit()
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{commit},secrets/sub")
    repo.git("commit", "--quiet", "--message", "submodule")
    assert what(git.read_commit(repo.root)) == {"secrets/sub": IRREGULAR}


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
        assert what(sources) == {"secrets/big.yaml": TOO_LARGE}
        assert set(sources.files) == {"secrets/a/b.yaml", "secrets/full.yaml", "secrets/targets.yaml"}


def test_all_files_together_are_read_up_to_a_cap(repo: SecretsRepo) -> None:
    """One push cannot fill the memory with many files either; targets.yaml is read in any case."""
    for number in range(5):
        with (repo.root / f"secrets/a/full-{number}.yaml").open("wb") as file:
            file.truncate(MAX_FILE_BYTES)
    for sources in (git.read_work_tree(repo.root), (repo.commit(), git.read_commit(repo.root))[1]):
        assert [(problem.path, problem.rule) for problem in sources.problems] == [("secrets", "file-size")]
        assert "secrets/targets.yaml" in sources.files
        assert sum(map(len, sources.files.values())) <= MAX_TOTAL_BYTES + MAX_FILE_BYTES


def test_an_unreadable_file_is_a_problem(repo: SecretsRepo) -> None:
    """A file that another process takes away, or that we may not read, is not passed over."""
    problem = _work_tree._read_file(repo.root / "secrets/gone.yaml", "secrets/gone.yaml", 100)
    assert problem is not None
    assert not isinstance(problem, bytes)
    assert problem.what == "the file cannot be read"
