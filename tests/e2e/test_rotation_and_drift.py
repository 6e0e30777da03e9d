"""What changes when git changes, or when somebody else changes the workspace."""

from tests.support.cli import Cli
from tests.support.secrets_repo import SecretsRepo
from tests.support.workspace_server import Call, WorkspaceServer


def test_drift_is_seen_and_repaired(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """A value that was changed behind git's back is planned (exit 3) and put back by apply."""
    repo.targets({"prod": workspace_server.fields})
    repo.scope_file("prod/app.yaml", {workspace_server.host_key: {"app": {"a": "1", "b": "2"}}}).commit()
    run("apply", "prod").expect()
    workspace_server.put("app", "a", b"changed")
    workspace_server.traffic()
    planned = run("plan", "prod", "--detailed-exitcode").expect(3)
    assert workspace_server.writes() == []
    assert "put-secret" in planned.stdout
    run("apply", "prod").expect()
    assert workspace_server.value("app", "a") == b"1"
    assert workspace_server.writes() == [Call("POST", "put", "app", "a")]
