"""Files beside the secrets: whose lines were there first keep their place."""

import subprocess
from pathlib import Path

import pytest
import yaml

from reconciler.scaffold import Outcome
from reconciler.scaffold.side_files import complete


def completed(root: Path, prefix: str = "") -> Outcome:
    """Complete the files of a folder."""
    outcome = Outcome()
    complete(root, prefix, outcome)
    return outcome


def attribute(root: Path, name: str, path: str) -> str:
    """Return what git makes of an attribute of a path."""
    subprocess.run(("git", "init", "--quiet"), cwd=root, check=True, timeout=60)
    asked = ("git", "check-attr", name, "--", path)
    done = subprocess.run(asked, cwd=root, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip().rpartition(": ")[2]


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        pytest.param("secrets/prod/app.yaml", "merge", "reconciler", id="scope-file"),
        pytest.param("secrets/app.yml", "merge", "reconciler", id="scope-file-with-a-short-ending"),
        pytest.param("secrets/targets.yaml", "merge", "unspecified", id="targets-merge-as-text"),
        pytest.param("docs/app.yaml", "merge", "unspecified", id="other-file"),
        pytest.param("secrets/prod/app.yaml", "eol", "lf", id="line-ending"),
        pytest.param("secrets/prod/app.yaml", "diff", "unspecified", id="reviews-see-it"),
    ],
)
def test_git_takes_the_attributes_as_meant(tmp_path: Path, path: str, name: str, value: str) -> None:
    """Git itself says what applies."""
    completed(tmp_path)
    assert attribute(tmp_path, name, path) == value


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"*.pyc\n", b"*.pyc\n", id="line"),
        pytest.param(b"*.pyc", b"*.pyc\n", id="no-line-feed-at-the-end"),
        pytest.param(b"", b"", id="empty"),
        pytest.param(b"a\r\nb\r\n", b"a\r\nb\r\n", id="line-ends-of-windows"),
        pytest.param(b"\xff\xfe\n", b"\xff\xfe\n", id="no-utf-8"),
    ],
)
def test_lines_are_added_behind_those_that_are_there(tmp_path: Path, before: bytes, after: bytes) -> None:
    """Nothing that stood there changes, and a second time nothing is added."""
    (tmp_path / ".gitignore").write_bytes(before)
    assert ".gitignore" in completed(tmp_path).completed
    found = (tmp_path / ".gitignore").read_bytes()
    assert found.startswith(after)
    assert found.splitlines()[-4:] == [b".reconciler/", b"*.tfstate", b"*.tfstate.*", b".*.new"]
    assert (b"\r\n" in before) is found.endswith(b"\r\n")
    assert ".gitignore" in completed(tmp_path).left
    assert (tmp_path / ".gitignore").read_bytes() == found


def test_line_that_is_there_is_not_added(tmp_path: Path) -> None:
    """Wherever it stands."""
    (tmp_path / ".gitignore").write_text("  .reconciler/  \nother\n.*.new\n*.tfstate.*\n*.tfstate\n")
    assert ".gitignore" in completed(tmp_path).left


def test_permissions_of_a_file_stay(tmp_path: Path) -> None:
    """Adding lines does not open a file to others, nor close it."""
    (tmp_path / ".gitignore").write_text("x\n")
    (tmp_path / ".gitignore").chmod(0o640)
    completed(tmp_path)
    assert (tmp_path / ".gitignore").stat().st_mode & 0o777 == 0o640


def test_link_is_left_alone_and_the_lines_are_shown(tmp_path: Path) -> None:
    """Where it leads may belong to somebody else."""
    (tmp_path / "elsewhere").write_text("x\n")
    (tmp_path / ".gitignore").symlink_to("elsewhere")
    outcome = completed(tmp_path)
    assert any(".gitignore is left as it is, as it is no regular file" in notice for notice in outcome.notices)
    assert (tmp_path / "elsewhere").read_text() == "x\n"


def test_new_hook_runs_what_the_published_one_runs(tmp_path: Path) -> None:
    """Same files, same command; but the reconciler that is installed."""
    completed(tmp_path)
    (repo,) = yaml.safe_load((tmp_path / ".pre-commit-config.yaml").read_text())["repos"]
    (hook,) = repo["hooks"]
    assert repo["repo"] == "local"
    assert (hook["id"], hook["entry"], hook["language"]) == ("reconciler-validate", "reconciler validate", "system")
    assert hook["files"] == r"^(secrets/|\.sops\.ya?ml$)"
    assert hook["pass_filenames"] is False


def test_configuration_of_hooks_is_left_alone(tmp_path: Path) -> None:
    """Lists in it cannot be added to without reading it; what it should have is shown, as YAML that can be copied."""
    (tmp_path / ".pre-commit-config.yaml").write_text("repos: []\n")
    (notice,) = completed(tmp_path).notices
    assert notice.startswith(".pre-commit-config.yaml is left as it is, as it is there already")
    assert yaml.safe_load(notice.partition("\n")[2])["repos"][0]["hooks"][0]["id"] == "reconciler-validate"
    assert (tmp_path / ".pre-commit-config.yaml").read_text() == "repos: []\n"


def test_configuration_that_has_the_hook_is_in_order(tmp_path: Path) -> None:
    """Be it the local one or the published one."""
    (tmp_path / ".pre-commit-config.yaml").write_text("repos: [{hooks: [{id: reconciler-validate}]}]\n")
    outcome = completed(tmp_path)
    assert ".pre-commit-config.yaml" in outcome.left
    assert outcome.notices == []
