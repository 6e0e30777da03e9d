"""What an attacker can do around an encrypted file, and what a pipeline then does with the commit."""

import pytest

from tests.support.cli import Cli
from tests.support.forgeries_tree import FILE, TREE
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsTool
from tests.support.workshop import Workshop
from tests.support.workspace_server import WorkspaceServer


@pytest.fixture
def workshop(repo: SecretsRepo, sops: SopsTool, workspace_server: WorkspaceServer) -> Workshop:
    """Commit two honest files."""
    workshop = Workshop(sops=sops, key=repo.key, host_key=workspace_server.host_key)
    repo.targets({"prod": workspace_server.fields})
    repo.scope_file("prod/other.yaml", {workspace_server.host_key: {"other": {"key": "fine"}}})
    repo.write(FILE, workshop.genuine())
    repo.commit()
    return workshop


@pytest.mark.parametrize("name", TREE)
def test_forgery(name: str, run: Cli, repo: SecretsRepo, workshop: Workshop, workspace_server: WorkspaceServer) -> None:
    """Refused before any request is made, or applied as if nothing had been done, or for review to see."""
    forgery = TREE[name]
    forgery.make(repo, workshop)
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--message", "Forged")
    done = run("apply", "prod").expect(forgery.exit_code)
    assert workspace_server.scopes() == sorted(forgery.applied)
    if forgery.exit_code:
        assert forgery.words in done.stdout + done.stderr
        assert workspace_server.traffic() == []
    elif "app" in forgery.applied:
        assert workspace_server.value("app", "first") == b"first value"
        assert workspace_server.grants("app").get("users") == "READ"


def test_rules_of_another_name_or_none_are_told(run: Cli, repo: SecretsRepo, workshop: Workshop) -> None:
    """What keeps no run from its work is said by ``validate``, which fails where nothing else says who may read."""
    TREE["rules of another name"].make(repo, workshop)
    told = run("validate").expect()
    assert "sops ignores this file" in told.stdout + told.stderr
    (repo.root / ".sops.yaml").unlink()
    told = run("validate").expect(4)
    assert "nothing says who may open the files" in told.stdout + told.stderr
