"""What doctor says of a repository, its keys and its workspaces, sound or broken."""

import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconciler.doctor.probing import Section
from reconciler.doctor.workspaces import scope_checks
from reconciler.errors import EXIT_WORKSPACE
from reconciler.model import LEDGER_SCOPE, Acl, KeyName, Permission, Principal, Prune, ScopeName, fold
from reconciler.policy import ScopePolicy
from reconciler.report.checkup import Check, Verdict
from reconciler.survey import ScopeState
from reconciler.workspace import Backend, SecretInfo
from tests.support.age_keys import AgeKey
from tests.support.cli import Cli, Result
from tests.support.secrets_repo import SecretsRepo
from tests.support.workspace_server import WorkspaceServer


@pytest.fixture
def fed(repo: SecretsRepo, workspace_server: WorkspaceServer) -> SecretsRepo:
    """Feed two scopes of a workspace."""
    secrets = {workspace_server.host_key: {"app": {"password": "Canary-4711"}, "edge": {"token": "Canary-4712"}}}
    repo.targets({"prod": workspace_server.fields}).scope_file("prod/app.yaml", secrets).commit()
    return repo


def check(found: Result, name: str, subject: str | None = None, section: str | None = None) -> Any:  # noqa: ANN401  # JSON
    """Return the only check of that name."""
    (one,) = [
        each
        for each in found.json["checks"]
        if each["name"] == name and subject in {None, each["subject"]} and section in {None, each["section"]}
    ]
    return one


def verdicts(found: Result) -> dict[str, str]:
    """Return name of each check to its verdict."""
    return {each["name"]: each["verdict"] for each in found.json["checks"]}


def test_a_sound_target_is_ok(run: Cli, fed: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Before the first apply and after it; nothing is written, and no value shows."""
    found = run("doctor", "-o", "json").expect()
    assert workspace_server.all_writes() == []
    assert verdicts(found) == {
        "commit": "ok",
        "shallow": "ok",
        "clean": "ok",
        "merge-driver": "warn",
        "targets": "ok",
        "rules": "ok",
        "scope-files": "ok",
        "identities": "ok",
        "recipient": "ok",
        "opens": "ok",
        "sops": "ok",
        "login": "ok",
        "clock": "ok",
        "limits": "ok",
        "ledger": "ok",
        "scope": "ok",
    }
    assert "does not exist yet" in check(found, "scope", "app")["text"]
    run("apply", "prod", "--yes").expect()
    again = run("doctor", "prod", "-o", "json").expect()
    assert "last apply of commit" in check(again, "ledger")["text"]
    assert "MANAGE; 1 key" in check(again, "scope", "edge")["text"]
    assert "Canary" not in found.stdout + again.stdout + found.stderr


def test_a_selector_limits_what_is_looked_at(run: Cli, fed: SecretsRepo) -> None:
    """A scope of a target; unknown ones are an error of usage."""
    found = run("doctor", "prod/EDGE", "-o", "json").expect()
    assert [each["subject"] for each in found.json["checks"] if each["name"] == "scope"] == ["edge"]
    run("doctor", "nowhere").expect(2)
    run("doctor", "prod/nowhere").expect(2)


def test_offline_asks_nobody(run: Cli, fed: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Everything else is looked at all the same."""
    workspace_server.traffic()
    found = run("doctor", "--offline", "-o", "json").expect()
    assert workspace_server.traffic() == []
    assert check(found, "opens")["verdict"] == "ok"
    assert "login" not in verdicts(found)


def test_a_workspace_that_does_not_answer_hides_nothing(run: Cli, repo: SecretsRepo) -> None:
    """The other target is looked at, too."""
    with WorkspaceServer(admin_token="dapi-there") as there, WorkspaceServer() as gone:
        repo.targets({"gone": gone.fields, "there": there.fields}).commit()
        gone.__exit__(None, None, None)
        found = run("doctor", "--timeout", "1", "-o", "json", env={"DATABRICKS_TOKEN": "dapi-there"}).expect(1)
        assert check(found, "login", section="target gone")["exit_code"] == EXIT_WORKSPACE
        assert check(found, "login", section="target gone")["advice"]
        assert check(found, "login", section="target there")["verdict"] == "ok"


def test_a_token_that_is_not_accepted_is_told_as_that(run: Cli, fed: SecretsRepo) -> None:
    """And is not shown."""
    found = run("doctor", "-o", "json", env={"DATABRICKS_TOKEN": "dapi-Canary-token"}).expect(1)
    assert check(found, "login")["verdict"] == "fail"
    assert "Canary" not in found.stdout + found.stderr


def test_who_may_only_read_is_told_so(run: Cli, fed: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """One scope they may read, of the other they see nothing; the ledger is hidden from them."""
    run("apply", "prod", "--yes").expect()
    workspace_server.call("POST", "acls/put", scope="app", principal="user@example.com", permission="READ")
    user = {"DATABRICKS_TOKEN": workspace_server.emulator.user_token}
    found = run("doctor", "-o", "json", env=user)
    assert check(found, "scope", "app")["verdict"] == "warn"
    assert check(found, "scope", "app")["text"].startswith("READ, perhaps WRITE")
    assert check(found, "scope", "edge")["text"]
    assert found.exit_code in {0, EXIT_WORKSPACE}


def test_who_is_no_operator_is_told_so(run: Cli, fed: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Before an apply is refused."""
    fed.targets({"prod": {**workspace_server.fields, "operators": ["deploy@example.com"]}}).commit()
    found = run("doctor", "--timeout", "5", "-o", "json").expect()
    assert check(found, "operator")["verdict"] == "warn"
    assert "deploy@example.com" in check(found, "operator")["advice"]


def test_a_ledger_that_somebody_else_can_write_to_is_a_failure(
    run: Cli, fed: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """An apply would be refused; what to do about it stands there."""
    run("apply", "prod", "--yes").expect()
    workspace_server.call("POST", "acls/put", scope=LEDGER_SCOPE, principal="user@example.com", permission="WRITE")
    found = run("doctor", "-o", "json").expect(6)
    assert check(found, "ledger")["verdict"] == "fail"
    assert "user@example.com" in check(found, "ledger")["text"] + check(found, "ledger")["advice"]


def test_a_profile_for_another_host_is_told_before_anything_is_asked(
    run: Cli, fed: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """On this machine alone it is wrong."""
    config = fed.root.parent / "databrickscfg"
    config.write_text("[mine]\nhost = https://adb-9.9.azuredatabricks.net\ntoken = dapi-Canary\n")
    fields = {"workspace": {"host": workspace_server.emulator.url, "profile": "mine"}}
    fed.targets({"prod": fields}).commit()
    workspace_server.traffic()
    found = run("doctor", "-o", "json", env={"DATABRICKS_CONFIG_FILE": str(config)}).expect(4)
    assert check(found, "profile")["verdict"] == "fail"
    assert workspace_server.traffic() == []
    assert "Canary" not in found.stdout


def test_a_file_that_does_not_open_is_named(run: Cli, fed: SecretsRepo) -> None:
    """With whose key it wants; the private key at hand shows nowhere."""
    other = AgeKey.generate()
    found = run("doctor", "--offline", "-o", "json", env={"SOPS_AGE_KEY": other.identity}).expect(5)
    one = check(found, "opens", "secrets/prod/app.yaml")
    assert fed.key.recipient in one["text"]
    assert check(found, "recipient")["subject"] == other.recipient
    assert "named by 0 of 1 file" in check(found, "recipient")["text"]
    assert other.identity not in found.stdout


def test_no_key_at_all_says_where_one_is_looked_for(run: Cli, fed: SecretsRepo) -> None:
    """On a new machine."""
    found = Cli(cwd=run.cwd)("doctor", "--offline", "-o", "json").expect(5)
    assert "SOPS_AGE_KEY_FILE" in check(found, "identities")["advice"]


def test_a_key_file_that_is_none_is_told(run: Cli, fed: SecretsRepo) -> None:
    """Beside the key that opens everything: no failure, and no line of it is quoted."""
    fed.write("broken.txt", "Canary-not-a-key\n")
    found = run("doctor", "--offline", "-o", "json", env={"SOPS_AGE_KEY_FILE": str(fed.root / "broken.txt")}).expect()
    assert [each["verdict"] for each in found.json["checks"] if each["name"] == "identities"] == ["ok", "warn"]
    assert "Canary" not in found.stdout


def test_files_that_ask_a_key_service_need_sops(run: Cli, fed: SecretsRepo, age_key: AgeKey) -> None:
    """It is not there: a failure where it is needed. Offline nobody is asked."""
    nowhere = {"SOPS_BINARY": "/nowhere/sops"}
    arn = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"
    text = fed.read("secrets/prod/app.yaml").decode()
    kms = f"    kms:\n        - arn: {arn}\n          created_at: '2026-01-01T00:00:00Z'\n          enc: AAAA\n    age:"
    fed.write("secrets/prod/app.yaml", text.replace("    age:", kms, 1))
    fed.write(
        ".sops.yaml", f"creation_rules:\n  - encrypted_regex: ^secrets$\n    kms: {arn}\n    age: {age_key.recipient}\n"
    )
    found = Cli(cwd=run.cwd)("doctor", "--offline", "-o", "json", env=nowhere).expect(5)
    assert "not tried offline" in check(found, "opens")["text"]
    assert check(found, "sops")["verdict"] == "fail"
    assert run("doctor", "--offline", "-o", "json", env=nowhere).expect().json["summary"]["fail"] == 0


def test_without_git_the_rest_is_looked_at(run: Cli, fed: SecretsRepo) -> None:
    """What it needs is said; files and keys need none."""
    found = run("doctor", "--offline", "-o", "json", env={"PATH": ""}).expect(6)
    assert check(found, "git")["advice"] == "install git"
    assert verdicts(found)["opens"] == "ok"


def test_invalid_files_are_told_and_the_rest_goes_on(run: Cli, fed: SecretsRepo) -> None:
    """Targets that are wrong, rules that are, and a file that is no document."""
    fed.write("secrets/prod/more.yaml", "a: [")
    fed.write(".sops.yaml", "creation_rules: 5\n")
    found = run("doctor", "--offline", "-o", "json").expect(4)
    assert verdicts(found)["targets"] == "ok"
    assert verdicts(found)["rules"] == "fail"
    assert verdicts(found)["scope-files"] == "fail"
    assert verdicts(found)["clean"] == "warn"
    assert verdicts(found)["opens"] == "ok"
    fed.write("secrets/targets.yaml", "targets: 5\n")
    broken = run("doctor", "-o", "json").expect(4)
    assert verdicts(broken)["targets"] == "fail"
    assert verdicts(broken)["commit"] == "ok"


def test_an_empty_directory_is_told_what_to_do(run: Cli, repo: SecretsRepo) -> None:
    """No repository, no file."""
    (repo.root / ".sops.yaml").unlink()
    found = run("doctor").expect(4)
    assert "git init" in found.stdout
    assert "fail" in found.stdout


def test_a_bad_variable_is_one_finding(run: Cli, fed: SecretsRepo) -> None:
    """It keeps the files from being read, and git from nothing."""
    found = run("doctor", "-o", "json", env={"RECONCILER_EXTRA_HOSTS": "https://"}).expect(4)
    assert verdicts(found)["commit"] == "ok"


def test_the_merge_driver_is_found(run: Cli, fed: SecretsRepo) -> None:
    """Named in attributes and known to this clone."""
    fed.write(".gitattributes", "secrets/**/*.yaml merge=reconciler\n")
    assert "does not know" in check(run("doctor", "--offline", "-o", "json"), "merge-driver")["text"]
    fed.git("config", "merge.reconciler.driver", "reconciler merge-driver -- %O %A %B %P %L")
    assert check(run("doctor", "--offline", "-o", "json"), "merge-driver")["verdict"] == "ok"


@pytest.fixture
def late() -> Iterator[WorkspaceServer]:
    """Run a workspace whose clock is two hours ahead."""

    def dated(app: ASGIApp) -> ASGIApp:
        async def answering(scope: Scope, receive: Receive, send: Send) -> None:
            async def with_date(message: Message) -> None:
                if message["type"] == "http.response.start":
                    date = formatdate(time.time() + 2 * 60 * 60, usegmt=True)
                    message["headers"] = [*message.get("headers", ()), (b"date", date.encode())]
                await send(message)

            await app(scope, receive, with_date)

        return answering

    with WorkspaceServer(middleware=[dated]) as server:
        yield server


def test_a_clock_that_is_wrong_is_told(run: Cli, repo: SecretsRepo, late: WorkspaceServer) -> None:
    """Tokens are refused by it, and ages are wrong."""
    repo.targets({"prod": late.fields}).commit()
    found = run("doctor", "-o", "json", env=late.env).expect()
    assert check(found, "clock")["verdict"] == "warn"
    assert "behind" in check(found, "clock")["text"]


def state(keys: int, *, backend: Backend = Backend.DATABRICKS) -> ScopeState:
    """Return a scope with so many keys."""
    listed = {fold(f"k{number}"): SecretInfo(key=KeyName(f"k{number}"), updated_ms=0) for number in range(keys)}
    acls = (Acl(principal=Principal("admins"), permission=Permission.MANAGE),)
    return ScopeState(scope=ScopeName("app"), backend=backend, listed=listed, acls=acls, evidence={})


@pytest.mark.parametrize(
    ("found", "names"),
    [
        pytest.param(state(899), ["scope"], id="enough room"),
        pytest.param(state(900), ["scope", "limits"], id="nearly full"),
        pytest.param(state(3, backend=Backend.AZURE_KEYVAULT), ["scope"], id="of a Key Vault"),
    ],
)
def test_a_scope_that_is_nearly_full_is_told(found: ScopeState, names: list[str]) -> None:
    """Before an apply fails half-way."""
    policy = ScopePolicy(scope=ScopeName("app"), files=(), keys=(), acls=None, prune=Prune.OWNED, rotation=())
    checks = list(scope_checks(Section("target prod"), policy, found))
    assert [one.name for one in checks] == names
    assert (checks[0].verdict is Verdict.WARN) == (found.backend is Backend.AZURE_KEYVAULT)


def test_a_defect_of_ours_is_one_finding_without_its_message() -> None:
    """It may quote a value."""

    def broken() -> Iterator[Check]:
        yield Section("x").ok("first", "fine")
        raise ValueError("Canary-4711")

    first, second = Section("x").probe("second", broken)
    assert (first.verdict, second.verdict, second.exit_code) == (Verdict.OK, Verdict.FAIL, EXIT_WORKSPACE)
    assert "ValueError" in second.text
    assert "Canary" not in repr(second)
