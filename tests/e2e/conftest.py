"""A repository of secrets, a workspace that counts, and the command line between them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.age_keys import AgeKey
from tests.support.cli import Cli
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsTool
from tests.support.workspace_server import WorkspaceServer


@pytest.fixture
def repo(tmp_path: Path, sops: SopsTool, age_key: AgeKey) -> SecretsRepo:
    """Make an empty repository of secrets with a key of its own, outside git until something is committed."""
    root = tmp_path / "repo"
    root.mkdir()
    return SecretsRepo(root, sops=sops, key=age_key)


@pytest.fixture
def workspace_server() -> Iterator[WorkspaceServer]:
    """Run a workspace in memory that is not embedded in the command: its requests can be counted."""
    with WorkspaceServer() as server:
        yield server


@pytest.fixture
def run(repo: SecretsRepo, age_key: AgeKey, workspace_server: WorkspaceServer) -> Cli:
    """Run commands in the repository, with its key and the token of ``workspace_server`` in the environment.

    ``run(…)`` within this process, ``run.process(…)`` as a program of its own.
    """
    return Cli(cwd=repo.root, env={"SOPS_AGE_KEY": age_key.identity, **workspace_server.env})
