"""What an attacker can do around an encrypted file, and what a pipeline then does with the commit."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.age_keys import AgeKey
from tests.support.cli import Cli
from tests.support.forgeries_tree import FILE, TREE
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsTool
from tests.support.workshop import Workshop
from tests.support.workspace_server import WorkspaceServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A repository with two honest files committed, and the workspace that they are for, which is empty."""

    repo: SecretsRepo
    server: WorkspaceServer

    @property
    def run(self) -> Cli:
        """Run commands in the repository."""
        return Cli(cwd=self.repo.root, env={"SOPS_AGE_KEY": self.repo.key.identity, **self.server.env})


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory, sops: SopsTool) -> Iterator[Place]:
    """Make one, of which each test gets a copy: making them all would take most of the time."""
    with WorkspaceServer() as server:
        root = tmp_path_factory.mktemp("honest")
        repo = SecretsRepo(root, sops=sops, key=AgeKey.generate())
        repo.targets({"prod": server.fields})
        repo.scope_file("prod/other.yaml", {server.host_key: {"other": {"key": "fine"}}})
        repo.write(FILE, Workshop(sops=sops, key=repo.key, host_key=server.host_key).genuine())
        repo.commit()
        yield Place(repo=repo, server=server)


@pytest.fixture
def place(honest: Place, tmp_path: Path, sops: SopsTool) -> Iterator[Place]:
    """Copy the honest one, and empty the workspace afterwards, the ledger too: the next copy has another history."""
    shutil.copytree(honest.repo.root, tmp_path / "repo")
    repo = SecretsRepo(tmp_path / "repo", sops=sops, key=honest.repo.key)
    honest.server.traffic()
    yield Place(repo=repo, server=honest.server)
    for scope in honest.server.all_scopes():
        honest.server.delete_scope(scope)


@pytest.mark.parametrize("name", TREE)
def test_forgery(name: str, place: Place) -> None:
    """Refused before any request is made, or applied as if nothing had been done, or for review to see."""
    forgery = TREE[name]
    forgery.make(place.repo)
    place.repo.git("add", "--all")
    place.repo.git("commit", "--quiet", "--message", "Forged")
    done = place.run("apply", "prod").expect(forgery.exit_code)
    if forgery.exit_code:
        assert forgery.words in done.stdout + done.stderr
        assert place.server.traffic() == []
    assert place.server.scopes() == sorted(forgery.applied)
    if "app" in forgery.applied:
        assert place.server.value("app", "first") == b"first value"
        assert place.server.grants("app").get("users") == "READ"


def test_rules_of_another_name_or_none_are_told(place: Place) -> None:
    """What keeps no run from its work is said by ``validate``, which fails where nothing else says who may read."""
    TREE["rules of another name"].make(place.repo)
    told = place.run("validate").expect()
    assert "sops ignores this file" in told.stdout + told.stderr
    (place.repo.root / ".sops.yaml").unlink()
    told = place.run("validate").expect(4)
    assert "nothing says who may open the files" in told.stdout + told.stderr
