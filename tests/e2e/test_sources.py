"""Which files count: those of the commit for a real workspace, those of the work tree for an embedded one."""

import pytest

from tests.support.cli import Cli
from tests.support.secrets_repo import SecretsRepo
from tests.support.workspace_server import WorkspaceServer


@pytest.fixture
def committed(repo: SecretsRepo, workspace_server: WorkspaceServer) -> str:
    """Commit a scope with the value "committed" for a real and an embedded target; return the hash of the commit."""
    repo.targets({"prod": workspace_server.fields, "demo": repo.embedded("demo")})
    _write(repo, workspace_server, "committed")
    return repo.commit("first")


def _write(repo: SecretsRepo, server: WorkspaceServer, value: str) -> None:
    hosts = (server.host_key, "demo")
    repo.scope_file("app.yaml", {host: {"app": {"key": value}} for host in hosts})


def test_commit_is_applied_and_named(committed: str, run: Cli, workspace_server: WorkspaceServer) -> None:
    """The report of a real target names the commit in full; people see its first letters."""
    target = run("apply", "prod", "-o", "json").expect().target
    assert (target["commit"], target["status"]) == (committed, "applied")
    assert workspace_server.value("app", "key") == b"committed"
    assert committed[:7] in run("plan", "prod").expect().stdout


@pytest.mark.usefixtures("committed")
def test_uncommitted_change_is_refused_before_anything_is_contacted(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """``apply`` exits with 6, names the file and the way out, and sends no request at all."""
    _write(repo, workspace_server, "edited")
    refused = run("apply", "prod").expect(6)
    assert "secrets/app.yaml" in refused.stdout
    assert "--allow-dirty" in refused.stdout
    assert workspace_server.traffic() == []


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("name", ["secrets/new.yaml", ".sops.yaml", "secrets/targets.yaml"])
def test_other_files_that_matter_make_the_tree_dirty_too(
    name: str, run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """An untracked file below secrets/, the rules of sops, the list of targets: whatever review should have seen."""
    repo.write(name, (repo.read(name) if (repo.root / name).exists() else b"") + b"# edited\n")
    assert name in run("apply", "prod").expect(6).stdout
    assert workspace_server.traffic() == []


def test_plan_warns_of_a_dirty_tree_and_plans_the_commit(
    committed: str, run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """The warning goes to stderr, so that the report stays what programs expect."""
    run("apply", "prod").expect()
    _write(repo, workspace_server, "edited")
    planned = run("plan", "prod", "-o", "json").expect()
    assert (planned.target["status"], planned.target["commit"]) == ("clean", committed)
    assert "secrets/app.yaml" in planned.stderr
    assert "commit" in planned.stderr


@pytest.mark.usefixtures("committed")
def test_allow_dirty_uses_the_work_tree(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Who says so applies what is in the tree, and the report then names no commit."""
    _write(repo, workspace_server, "edited")
    assert run("apply", "prod", "--allow-dirty", "-o", "json").expect().target["commit"] is None
    assert workspace_server.value("app", "key") == b"edited"


@pytest.mark.usefixtures("committed")
def test_embedded_target_uses_the_work_tree(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Trying something out needs no commit; the real target beside it still does."""
    _write(repo, workspace_server, "edited")
    run("apply", "demo").expect()
    assert run("get", "demo/app", "key").expect().stdout == "edited"
    report = run("apply", "--all", "-o", "json").expect(6).json
    assert {target["target"]: target["status"] for target in report["targets"]} == {"demo": "clean", "prod": "refused"}


@pytest.mark.usefixtures("committed")
def test_change_outside_the_secrets_is_nobodys_business(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """Only what decides over secrets has to be committed."""
    repo.write("notes.txt", "anything")
    run("apply", "prod").expect()
    assert workspace_server.value("app", "key") == b"committed"


def test_repository_within_a_larger_one(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """The folder that has ``secrets/`` need not be the top of the git repository."""
    repo.git("init", "--quiet")
    inner = SecretsRepo(repo.root / "deploy" / "secrets repo", sops=repo._sops, key=repo.key)
    inner.targets({"prod": workspace_server.fields})
    inner.scope_file("app.yaml", {workspace_server.host_key: {"app": {"key": "inner"}}})
    repo.git("add", "--all", "deploy")
    repo.git("commit", "--quiet", "--message", "first")
    target = run("apply", "prod", "-o", "json", cwd=inner.root).expect().target
    assert target["commit"] == repo.git("rev-parse", "HEAD").strip()
    assert workspace_server.value("app", "key") == b"inner"
    inner.write("secrets/app.yaml", b"not encrypted")
    run("apply", "prod", cwd=inner.root).expect(6)


@pytest.mark.usefixtures("committed")
def test_pipeline_must_name_its_target(run: Cli, workspace_server: WorkspaceServer) -> None:
    """With CI set a default would hide a mistake: exit 2, with the ways to say what is meant."""
    for command in ("plan", "apply", "list"):
        refused = run(command, env={"CI": "true"}).expect(2)
        assert refused.stdout == ""
        assert "--all" in refused.stderr
        assert "RECONCILER_TARGET" in refused.stderr
    assert workspace_server.traffic() == []
    run("plan", "prod", env={"CI": "true"}).expect()
    run("plan", env={"CI": "true", "RECONCILER_TARGET": "prod/app"}).expect()
    run("plan", "--all", env={"CI": "true"}).expect()


@pytest.mark.usefixtures("committed")
def test_default_target_is_demo_unless_the_environment_names_one(run: Cli) -> None:
    """RECONCILER_TARGET replaces the default; what the command line names wins over it."""
    assert run("plan", "-o", "json").expect().target["target"] == "demo"
    assert run("plan", "-o", "json", env={"RECONCILER_TARGET": "prod"}).expect().target["target"] == "prod"
    assert run("plan", "demo", "-o", "json", env={"RECONCILER_TARGET": "prod"}).expect().target["target"] == "demo"


@pytest.mark.usefixtures("committed")
def test_branch_without_a_commit_does_not_open_the_work_tree(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """Nothing was reviewed there, so a real target is refused; --allow-dirty says that it is meant."""
    repo.git("checkout", "--quiet", "--orphan", "nothing-yet")
    _write(repo, workspace_server, "edited")

    refused = run("apply", "prod").expect(6)

    assert "--allow-dirty" in refused.stderr
    assert workspace_server.traffic() == []
    assert run("apply", "prod", "--allow-dirty").expect().exit_code == 0


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_without_rules_of_sops_people_are_told_once(
    command: str, run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """Nobody compares recipients then; of an embedded target, which everybody can open anyway, nothing is said."""
    repo.targets({"prod": workspace_server.fields, "demo": repo.embedded("demo")})
    _write(repo, workspace_server, "value")
    (repo.root / ".sops.yaml").unlink()
    said = "prod: there is no .sops.yaml, so nobody checks who can open the files"
    assert run(command, "--all").expect().stderr.splitlines().count(said) == 1
    assert ".sops.yaml" not in run(command, "demo").expect().stderr
