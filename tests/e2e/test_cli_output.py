"""What commands print, and where: one report on stdout, the talk on stderr, one document for programs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import EXIT_CANNOT_DECRYPT, EXIT_PENDING, EXIT_REFUSED, EXIT_WORKSPACE
from reconciler.model import LEDGER_SCOPE
from tests.support.age_keys import AgeKey
from tests.support.cli import Cli
from tests.support.secrets_repo import SecretsRepo
from tests.support.workspace_server import WorkspaceServer


@pytest.fixture
def fed(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> Cli:
    """Feed one scope of a real and of an embedded target; return the command line."""
    repo.targets({"prod": workspace_server.fields, "demo": repo.embedded("demo")})
    repo.scope_file("app.yaml", {host: {"app": {"a": "1"}} for host in (workspace_server.host_key, "demo")})
    return run


JSON_COMMANDS = [
    pytest.param(("plan", "prod"), id="plan"),
    pytest.param(("apply", "prod"), id="apply"),
    pytest.param(("apply", "--all"), id="apply-all"),
    pytest.param(("validate",), id="validate"),
    pytest.param(("targets",), id="targets"),
    pytest.param(("list", "prod"), id="list"),
]


@pytest.mark.parametrize("arguments", JSON_COMMANDS)
def test_json_is_one_ascii_document_with_a_version(fed: Cli, arguments: tuple[str, ...]) -> None:
    """Stdout is a single JSON object, whatever the command, and stderr is silent when all is well."""
    done = fed(*arguments, "-o", "json").expect()
    assert done.json["format_version"] == 1
    assert done.stdout.isascii()
    assert done.stdout.endswith("}\n")
    assert done.stderr == ""


@pytest.mark.parametrize("command", ["plan", "apply"])
@pytest.mark.parametrize(
    ("content", "exit_code"),
    [pytest.param("secrets: [", 4, id="invalid"), pytest.param(None, 4, id="no-targets")],
)
def test_json_is_a_document_even_when_the_run_ends_before_it_began(
    fed: Cli, repo: SecretsRepo, command: str, content: str | None, exit_code: int
) -> None:
    """A program that reads the report must not have to read stderr: status and errors are in the document."""
    if content is None:
        (repo.root / "secrets" / "targets.yaml").unlink()
    else:
        repo.write("secrets/bad.yaml", content)
    done = fed(command, "prod", "-o", "json").expect(exit_code)
    assert done.target["target"] == "prod"
    assert done.target["status"] == "failed"
    assert done.target["errors"]
    assert all(error in done.stderr for error in done.target["errors"])


def test_output_file_gets_the_report_and_stdout_the_text(fed: Cli, tmp_path: Path) -> None:
    """A pipeline keeps the document and shows people the text, in one run."""
    file = tmp_path / "report"
    done = fed("plan", "prod", "-o", "json", "--output-file", str(file)).expect()
    assert json.loads(file.read_text())["targets"][0]["status"] == "pending"
    assert "to do: create 1 scope, put 1 secret" in done.stdout
    fed("plan", "prod", "-o", "markdown", "--output-file", str(file)).expect()
    assert file.read_text().startswith("### `prod`: pending")


def test_output_file_that_turns_out_to_be_full_is_said_after_the_report(fed: Cli) -> None:
    """What was applied is shown all the same; then the exit code says that something failed, not that nothing ran."""
    done = fed("apply", "prod", "--output-file", "/dev/full").expect(1)
    assert "2 done" in done.stdout
    assert "the report could not be written to /dev/full: No space left on device" in done.stderr
    assert "the command has done its work" in done.stderr


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_plan_prints_the_same_twice(fed: Cli, form: str) -> None:
    """But for times, two plans of the same state are equal to the letter: they can be compared and approved."""

    def untimed(report: str) -> str:
        return re.sub(r'"(started|finished)": "[^"]*"|[0-9.]+ s\b|[0-9-]{10}T[0-9:]{8}Z', "T", report)

    first, second = (untimed(fed("plan", "prod", "-o", form).expect().stdout) for _ in range(2))
    assert first == second


def test_approved_plan_and_its_apply_have_one_digest(fed: Cli) -> None:
    """The digest names the changes: the same for plan and apply, another one for other changes."""
    planned = fed("plan", "prod", "-o", "json").expect().json["digest"]
    assert fed("apply", "prod", "-o", "json").expect().json["digest"] == planned
    assert fed("plan", "prod", "-o", "json").expect().json["digest"] != planned


def test_commands_that_look_show_names_and_no_values(fed: Cli, workspace_server: WorkspaceServer) -> None:
    """``targets`` says what git feeds, ``list`` what a workspace holds: the same scope and key, and the ledger."""
    fed("apply", "prod").expect()
    assert "prod" in fed("targets").expect().stdout
    listed = fed("list", "prod", "-o", "json").expect().json
    (target,) = listed["targets"]
    scope, ledger = target["scopes"]
    assert (target["target"], target["host"], scope["scope"]) == ("prod", workspace_server.emulator.url, "app")
    assert [key["key"] for key in scope["keys"]] == ["a"]
    assert ledger["scope"] == LEDGER_SCOPE
    assert len(ledger["keys"]) == 2
    only = fed("list", "prod/app", "-o", "json").expect().json["targets"][0]["scopes"]
    assert only == [scope]
    assert "no problems in 3 files" in fed("validate").expect().stdout


def _status_of(report: Any) -> dict[str, str]:  # noqa: ANN401  # JSON
    return {target["target"]: target["status"] for target in report["targets"]}


def test_failing_target_does_not_stop_the_others(
    fed: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """One workspace that is gone, one file that nobody can open: the rest is applied, the worse code is returned."""
    with WorkspaceServer() as gone:
        unreachable = (gone.fields, gone.host_key)
    with WorkspaceServer(admin_token=workspace_server.emulator.admin_token) as locked:
        repo.targets({"gone": unreachable[0], "locked": locked.fields, "prod": workspace_server.fields})
        repo.scope_file("app.yaml", {host: {"app": {"a": "1"}} for host in (unreachable[1], workspace_server.host_key)})
        foreign = [AgeKey.generate().recipient]
        repo.scope_file("locked.yaml", {locked.host_key: {"app": {"a": "1"}}}, recipients=foreign)
        done = fed("apply", "gone", "prod", "-o", "json", "--timeout", "0.5").expect(EXIT_WORKSPACE)
        assert _status_of(done.json) == {"gone": "failed", "prod": "applied"}
        assert workspace_server.keys("app") == ["a"]
        done = fed("apply", "--all", "-o", "json", "--timeout", "0.5").expect(EXIT_CANNOT_DECRYPT)
        assert _status_of(done.json) == {"gone": "failed", "locked": "failed", "prod": "clean"}
        assert locked.scopes() == []


def test_list_shows_what_can_be_listed_and_fails_for_the_rest(
    fed: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """A workspace that is gone has its error in the place of its scopes; the others are there; exit 1."""
    with WorkspaceServer() as gone:
        targets = {"gone": gone.fields, "prod": workspace_server.fields, "unfed": {"workspace": _NOWHERE}}
    repo.targets(targets)
    repo.scope_file("app.yaml", {host: {"app": {"a": "1"}} for host in (gone.host_key, workspace_server.host_key)})
    workspace_server.create_scope("app")
    done = fed("list", "--all", "--timeout", "0.5", "-o", "json").expect(EXIT_WORKSPACE)
    found = {target["target"]: target for target in done.json["targets"]}
    assert found.keys() == {"gone", "prod"}
    assert (found["gone"]["scopes"], found["prod"]["error"]) == ([], None)
    assert found["gone"]["error"]
    assert [scope["scope"] for scope in found["prod"]["scopes"]] == ["app"]
    shown = fed("list", "--all", "--timeout", "0.5").expect(EXIT_WORKSPACE).stdout
    tries = re.compile(r"tried \d+ times? in [\d.]+ s")
    assert tries.sub("tried", found["gone"]["error"]) in tries.sub("tried", shown)


def test_list_of_who_has_read_is_no_failure(fed: Cli, workspace_server: WorkspaceServer) -> None:
    """Grants they may not see, nor what is in the ledger: nothing is missing, unless the ledger is what they asked for.

    A scope that they may not list is missing, whosever it is.
    """
    fed("apply", "prod").expect()
    workspace_server.grant("app", "users", "READ")
    reader = {"DATABRICKS_TOKEN": workspace_server.emulator.user_token}
    scope, ledger = fed("list", "prod", "-o", "json", env=reader).expect().target["scopes"]
    assert ([key["key"] for key in scope["keys"]], scope["acls"]) == (["a"], None)
    assert ledger["error"]
    fed("list", f"prod/{LEDGER_SCOPE}", env=reader).expect(EXIT_WORKSPACE)
    workspace_server.create_scope("closed")
    fed("list", "prod", env=reader).expect(EXIT_WORKSPACE)
    fed("list", "prod/app", env=reader).expect()


def test_plan_names_its_apply_with_what_it_was_given(fed: Cli) -> None:
    """Whoever copies the last line applies what was looked at; options of the report alone are left out."""
    options = ("--adopt", "--allow-deletes", "0", "--decryptor", "native", "--detailed-exitcode")
    lines = fed("plan", "prod/app", *options).expect(EXIT_PENDING).stdout.splitlines()
    assert lines[-1] == "next: reconciler apply prod/app --decryptor native --allow-deletes 0 --adopt"
    shown = fed("plan", "--all").expect().stdout.splitlines()
    assert shown[-1] == "next: reconciler apply prod demo"


_NOWHERE = {"host": "https://adb-1.2.azuredatabricks.net"}


def test_list_of_everything_where_targets_have_problems_is_no_empty_list(fed: Cli, repo: SecretsRepo) -> None:
    """Broken targets.yaml: exit 4 with the problems, not "0 scopes"; and --all beside a name is a mistake."""
    assert "not both" in fed("list", "prod", "--all").expect(2).stderr
    repo.write("secrets/targets.yaml", "targets: {}\n")
    done = fed("list", "--all").expect(4)
    assert done.stdout == ""
    assert "secrets/targets.yaml" in done.stderr


def test_worst_exit_code_wins(fed: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Refused (6) and pending (3) at once make 6; what can be planned is planned."""
    fed("apply", "prod").expect()
    workspace_server.call(
        "POST",
        "scopes/create",
        scope="vault",
        scope_backend_type="AZURE_KEYVAULT",
        backend_azure_keyvault={"resource_id": "/vaults/v", "dns_name": "https://v.vault.azure.net/"},
    )
    repo.scope_file("app.yaml", {workspace_server.host_key: {"app": {"a": "2"}, "vault": {"b": "1"}}})
    done = fed("plan", "prod", "--detailed-exitcode", "-o", "json").expect(EXIT_REFUSED)
    assert done.target["status"] == "refused"
    assert [(change["scope"], change["key"]) for change in done.target["changes"]] == [("app", "a")]
    assert fed("apply", "prod").expect(EXIT_REFUSED).stdout.count("done") >= 1
    assert workspace_server.value("app", "a") == b"2"


def test_names_from_the_workspace_cannot_forge_a_report(run: Cli, repo: SecretsRepo) -> None:
    """A principal is free text: its control characters and line feeds are shown as escapes."""
    name = "evil\x1b[2J\n    + all is well"
    with WorkspaceServer(principals=[name]) as server:
        repo.targets({"prod": server.fields})
        repo.scope_file("app.yaml", {server.host_key: {"app": {"a": "1"}}}, acls=["<READ users>"])
        server.create_scope("app")
        server.grant("app", name, "READ")
        plan = ("plan", "prod")
        for arguments, exit_code in (
            (("list", "prod"), 0),
            (plan, EXIT_REFUSED),  # as somebody whom git does not name has a grant
            ((*plan, "--adopt"), 0),  # with the grant as a finding
            (("status", "prod"), 0),
        ):
            for form in ("text", "json") if arguments[0] in ("list", "status") else ("text", "json", "markdown"):
                shown = run(*arguments, "-o", form, env=server.env).expect(exit_code).stdout
                assert "\x1b" not in shown
                assert "\n    + all" not in shown
                assert "evil" in shown
