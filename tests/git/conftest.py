"""A repository to read from."""

from pathlib import Path

import pytest

from tests.support.age_keys import AgeKey
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsTool


@pytest.fixture
def repo(tmp_path: Path, sops: SopsTool, age_key: AgeKey) -> SecretsRepo:
    """Make a repository without a commit; nothing in it needs sops."""
    made = SecretsRepo(tmp_path / "repo", sops=sops, key=age_key)
    return made.write("secrets/targets.yaml", "targets: {}\n").write("secrets/a/b.yaml", "b: 1\n")
