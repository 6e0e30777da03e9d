"""What is not as in HEAD."""

import pytest

from reconciler import git
from tests.support.secrets_repo import SecretsRepo


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
def test_what_counts_as_uncommitted(repo: SecretsRepo, path: str, *, staged: bool, dirty: bool) -> None:
    """Whatever below secrets/ and in .sops.yaml is not as in HEAD, ignored files aside."""
    repo.write(".gitignore", "*.tmp\n").commit()
    repo.write(path, "changed")
    if staged:
        repo.git("add", path)
    assert git.uncommitted(repo.root) == ((path,) if dirty else ())


def test_a_deleted_file_is_uncommitted(repo: SecretsRepo) -> None:
    """It would be missed by a look at what is there."""
    repo.commit()
    (repo.root / "secrets/a/b.yaml").unlink()
    assert git.uncommitted(repo.root) == ("secrets/a/b.yaml",)


def test_a_renamed_file_is_reported_under_both_names(repo: SecretsRepo) -> None:
    """Git's guess that one became the other is not made."""
    repo.commit()
    repo.git("mv", "secrets/a/b.yaml", "secrets/c d.yaml")
    assert git.uncommitted(repo.root) == ("secrets/a/b.yaml", "secrets/c d.yaml")
