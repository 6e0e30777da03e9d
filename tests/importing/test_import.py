"""The command ``import``, from an empty repository to a plan without changes."""

import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.emulator import Rules
from reconciler.model import LEDGER_SCOPE
from tests.importing.states import PROVIDER, grant, resource, scope, scope_in, secret, secret_in, state
from tests.support.age_keys import AgeKey
from tests.support.cli import Cli
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsTool
from tests.support.workspace_server import WorkspaceServer


VALUES = {
    "text": b"plain",
    "empty": b"",
    "number": b"0123",
    "bool": b"true",
    "null": b"null",
    "json": b'{"a": ["b", 1]}',
    "dash": b"-leading",
    "enc": b"ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]",
    "newline": b"two\nlines\n",
    "crlf": b"two\r\nlines\r\n",
    "blank": b" ",
    "tab": b"\ta",
    "comment": b"a # b: c",
    "quotes": b"'\"\\\\",
    "emoji": "\U0001f511 ключ \u2028 \x85 \ufeff".encode(),
    "nul": b"a\x00b",
    "binary": bytes(range(256)),
    "large-text": b"x" * 131_072,
    "large-binary": os.urandom(131_072),
    "base64": b"aGVsbG8=",
    "template": b"${env:PATH} {{ x }}",
    ".": b"1",
    "..": b"2",
    "-": b"3",
    "_": b"4",
    "0123": b"5",
    "true": b"6",
    "No": b"7",
    "1e3": b"8",
    "Case-Key.Pem": b"9",
    "k" * 128: b"10",
}
"""Key to value: whatever could become something else on its way through YAML, sops and the API."""


@pytest.fixture
def server() -> Iterator[WorkspaceServer]:
    """Run a workspace."""
    with WorkspaceServer(principals=("data team",)) as running:
        yield running


@pytest.fixture
def repo(tmp_path: Path, sops: SopsTool, age_key: AgeKey) -> SecretsRepo:
    """Make a repository with targets to come, and without a scope file."""
    return SecretsRepo(tmp_path, sops=sops, key=age_key)


@pytest.fixture
def run(repo: SecretsRepo, server: WorkspaceServer) -> Cli:
    """Return the command line in that repository, as the admin of the workspace, which is the target prod."""
    repo.targets({"prod": server.fields}).commit()
    return Cli(cwd=repo.root, env={**server.env, "SOPS_AGE_KEY": repo.key.identity})


def files(repo: SecretsRepo) -> list[str]:
    """Return all files below secrets/ but targets.yaml."""
    found = (path.relative_to(repo.root).as_posix() for path in (repo.root / "secrets").rglob("*") if path.is_file())
    return sorted(set(found) - {"secrets/targets.yaml"})


def changes(run: Cli, *arguments: str) -> list[Any]:
    """Return what a plan of the work tree would change."""
    return list(run("plan", *arguments, "--allow-dirty", "-o", "json").target["changes"])


def test_plan_after_an_import_changes_nothing(run: Cli, repo: SecretsRepo, server: WorkspaceServer) -> None:
    """Bytes, names and grants are those of the workspace; applying them writes nothing but the ledger."""
    server.create_scope("App@Team")
    for key, value in VALUES.items():
        server.put("App@Team", key, value)
    server.grant("App@Team", "data team", "WRITE")
    server.grant("App@Team", "users", "READ")
    server.traffic()
    done = run("import", "prod").expect(0)
    assert server.all_writes() == []
    assert files(repo) == ["secrets/prod/App@Team.yaml"]
    assert f"imported  prod/App@Team: {len(VALUES)} keys, 3 grants, into secrets/prod/App@Team.yaml" in done.stdout
    assert "next: reconciler plan prod --allow-dirty" in done.stdout
    run("validate").expect(0)
    planned = run("plan", "prod", "--allow-dirty", "--detailed-exitcode", "-o", "json").expect(0)
    assert (planned.target["status"], planned.target["changes"], planned.target["findings"]) == ("clean", [], [])
    repo.commit("adopt")
    run("apply", "prod", "--yes").expect(0)
    assert server.writes() == []
    assert {key: server.value("App@Team", key) for key in server.keys("App@Team")} == VALUES


def test_real_sops_opens_what_was_imported(
    run: Cli, repo: SecretsRepo, server: WorkspaceServer, sops: SopsTool
) -> None:
    """Nobody needs this tool to read the files."""
    server.create_scope("app")
    server.put("app", "password", b"opened by sops")
    run("import", "prod").expect(0)
    plain = sops.decrypt(repo.read("secrets/prod/app.yaml"), repo.key.identity)
    assert b"opened by sops" in plain
    assert b"<MANAGE admin@example.com>" in plain


def test_what_is_nothing_to_import_is_said(run: Cli, repo: SecretsRepo, server: WorkspaceServer) -> None:
    """Key-Vault-backed, empty and reserved scopes are passed over, and named; by name they are refused."""
    vault = {
        "resource_id": "/subscriptions/x/resourceGroups/y/providers/Microsoft.KeyVault/vaults/v",
        "dns_name": "https://v.vault.azure.net/",
    }
    made = server.call(
        "POST", "scopes/create", scope="vault", scope_backend_type="AZURE_KEYVAULT", backend_azure_keyvault=vault
    )
    assert made.status == 200, made.text
    server.create_scope("hollow")
    server.create_scope(LEDGER_SCOPE)
    shown = run("import", "prod").expect(0).stdout
    assert "skipped   prod/vault: its values are in an Azure Key Vault" in shown
    assert "skipped   prod/hollow: it holds no secret" in shown
    assert f"skipped   prod/{LEDGER_SCOPE}: it is reserved" in shown
    assert "no file was written" in shown
    assert files(repo) == []
    run("import", "prod/vault").expect(6)
    run("import", "prod/nowhere").expect(2)


def test_value_that_cannot_be_read_leaves_its_scope_out(repo: SecretsRepo) -> None:
    """Half a scope in git would be a scope with keys that nobody manages."""
    with WorkspaceServer(rules=Rules(values_outside_notebooks=False)) as server:
        repo.targets({"prod": server.fields})
        server.create_scope("app")
        server.put("app", "a", b"1")
        run = Cli(cwd=repo.root, env={**server.env, "SOPS_AGE_KEY": repo.key.identity})
        shown = run("import", "prod").expect(1).stdout
        assert "failed    prod/app: not all of it can be taken; --skip-unreadable takes the rest" in shown
        assert "left out: key a: its value cannot be read" in shown
        assert "skipped" in run("import", "prod", "--skip-unreadable").expect(0).stdout
    assert files(repo) == []


def test_what_git_feeds_is_not_touched_without_merge(run: Cli, repo: SecretsRepo, server: WorkspaceServer) -> None:
    """It is passed over among all scopes, and refused by name; --merge adds what is missing."""
    repo.scope_file("app.yaml", {server.host_key: {"app": {"Same": "1", "other": "git"}}}, acls=["<READ users>"])
    before = repo.read("secrets/app.yaml")
    server.create_scope("APP")
    for key, value in {"same": b"1", "OTHER": b"theirs", "fresh": b"\xff"}.items():
        server.put("APP", key, value)
    assert "skipped   prod/APP: git feeds it already" in run("import", "prod").expect(0).stdout
    assert "refused   prod/APP" in run("import", "prod/app").expect(6).stdout
    assert repo.read("secrets/app.yaml") == before
    shown = run("import", "prod/app", "--merge").expect(0).stdout
    assert "merged    prod/APP: 1 new, 1 replaced, 1 as they were, in secrets/app.yaml" in shown
    assert "replaced: other" in shown
    assert "its grants are others than the acls of its files" in shown
    after = repo.read("secrets/app.yaml")
    assert [line for line in before.splitlines() if b"Same" in line] == [
        line for line in after.splitlines() if b"Same" in line
    ]
    assert {change["action"] for change in changes(run, "prod")} == {"put-acl"}
    assert "unchanged prod/APP: git has 3 keys of it" in run("import", "prod/app", "--merge").expect(0).stdout
    assert repo.read("secrets/app.yaml") == after


def test_file_of_the_usual_name_that_feeds_something_else_is_kept(
    run: Cli, repo: SecretsRepo, server: WorkspaceServer
) -> None:
    """Also where its name differs in case alone, as some disks would take it for the same."""
    repo.scope_file("prod/App.yaml", {server.host_key: {"else": {"a": "1"}}})
    server.create_scope("app")
    server.put("app", "a", b"1")
    refused = run("import", "prod/app").expect(6).stdout
    assert "secrets/prod/App.yaml feeds something else; say with --file where to put it" in refused
    run("import", "prod/app", "--file", "secrets/prod/app-2.yaml").expect(0)
    assert files(repo) == ["secrets/prod/App.yaml", "secrets/prod/app-2.yaml"]
    run("import", "prod", "--file", "secrets/x.yaml").expect(2)
    run("import", "prod/app", "prod/else", "--file", "secrets/x.yaml").expect(2)


@pytest.mark.parametrize(
    "place",
    [
        "app.yaml",
        "secrets/../app.yaml",
        "/secrets/app.yaml",
        "secrets/app.txt",
        "secrets/x/.sops.yaml",
        "secrets/targets.yaml",
    ],
)
def test_file_that_would_not_be_a_scope_file_is_refused(
    run: Cli, repo: SecretsRepo, server: WorkspaceServer, place: str
) -> None:
    """Elsewhere it would not be read, and under some names as something else."""
    server.create_scope("app")
    server.put("app", "a", b"1")
    assert "is no place for a scope file" in run("import", "prod/app", "--file", place).expect(2).stderr
    assert files(repo) == []


def test_scope_that_is_called_like_the_rules_of_sops_needs_a_file(
    run: Cli, repo: SecretsRepo, server: WorkspaceServer
) -> None:
    """Its file would say who may open the others."""
    server.create_scope(".SOPS")
    server.put(".SOPS", "a", b"1")
    assert "would be taken for the rules of sops" in run("import", "prod").expect(6).stdout
    assert files(repo) == []
    run("import", "prod/.sops", "--file", "secrets/prod/dot-sops.yaml").expect(0)
    assert changes(run, "prod") == []


def test_new_keys_of_a_scope_that_several_files_feed_need_a_file(
    run: Cli, repo: SecretsRepo, server: WorkspaceServer
) -> None:
    """Which team's file is meant nobody can tell; keys that git has are found in either."""
    repo.scope_file("one.yaml", {server.host_key: {"app": {"a": "old"}}})
    repo.scope_file("two.yaml", {server.host_key: {"App": {"b": "2"}, "else": {"x": "1"}}})
    server.create_scope("app")
    server.put("app", "a", b"1")
    server.put("app", "b", b"2")
    assert "1 replaced, 1 as they were, in secrets/one.yaml" in run("import", "prod/app", "--merge").expect(0).stdout
    server.put("app", "c", b"3")
    refused = run("import", "prod/app", "--merge").expect(6).stdout
    assert "secrets/one.yaml, secrets/two.yaml feed it; say with --file which gets new keys" in refused
    run("import", "prod/app", "--merge", "--file", "secrets/targets.yaml").expect(2)
    shown = run("import", "prod/app", "--merge", "--file", "secrets/two.yaml").expect(0).stdout
    assert "1 new, 0 replaced, 2 as they were, in secrets/two.yaml" in shown
    server.put("app", "d", b"4")
    shown = run("import", "prod/app", "--merge", "--file", "secrets/three.yaml").expect(0).stdout
    assert "1 new, 0 replaced, 3 as they were, in secrets/three.yaml" in shown
    assert changes(run, "prod/app") == []


def test_file_that_does_not_unlock_stops_a_merge(run: Cli, repo: SecretsRepo, server: WorkspaceServer) -> None:
    """What differs cannot be told without the key, and nothing is written."""
    repo.scope_file("one.yaml", {server.host_key: {"app": {"a": "old"}}})
    server.create_scope("app")
    server.put("app", "a", b"1")
    before = repo.read("secrets/one.yaml")
    run("import", "prod/app", "--merge", env={"SOPS_AGE_KEY": AgeKey.generate().identity}).expect(5)
    assert repo.read("secrets/one.yaml") == before


def test_file_without_a_rule_of_sops_is_not_made(run: Cli, repo: SecretsRepo, server: WorkspaceServer) -> None:
    """Nothing would say who may open it."""
    repo.write(".sops.yaml", f"creation_rules:\n    - path_regex: ^secrets/dev/\n      age: {repo.key.recipient}\n")
    server.create_scope("app")
    server.put("app", "a", b"1")
    assert "no rule of .sops.yaml is for secrets/prod/app.yaml" in run("import", "prod").expect(2).stderr
    assert files(repo) == []


def test_embedded_workspace_is_imported_with_its_own_key(run: Cli, repo: SecretsRepo) -> None:
    """A demo opens with the identity that stands beside it, and with no other."""
    repo.targets({"demo": repo.embedded("demo")}, owner=None).commit()
    alone = Cli(cwd=repo.root)
    data = state(secret("a", "app", "a", "1"))
    alone("import", "demo", "--from-tfstate", "-", stdin=data).expect(0)
    alone("apply", "demo").expect(0)
    alone("import", "demo", "--merge").expect(0)
    assert "unchanged demo/app" in alone("import", "demo/app", "--merge").expect(0).stdout


def test_nothing_is_written_before_all_has_been_read(run: Cli, repo: SecretsRepo, server: WorkspaceServer) -> None:
    """One workspace that does not answer leaves the repository as it was."""
    repo.targets({"prod": server.fields, "gone": {"workspace": {"host": "http://127.0.0.1:9"}}})
    server.create_scope("app")
    server.put("app", "a", b"1")
    run("import", "prod", "gone", "--timeout", "0.2").expect(1)
    assert files(repo) == []


# From Terraform's state


STATE = state(
    scope("App"),
    resource(
        "databricks_secret",
        "all",
        *(secret_in("App", key, f"value of {key}", index_key=key) for key in ("a", "B.c")),
        module='module.m["eu"]',
    ),
    grant("g", "App", "users", "READ"),
    resource("databricks_secret_scope", "vault", scope_in("vault", backend_type="AZURE_KEYVAULT")),
)


def test_state_becomes_files_without_asking_anybody(run: Cli, repo: SecretsRepo, server: WorkspaceServer) -> None:
    """Values, names and grants are those of the state, and stdout is a configuration that has Terraform forget them."""
    server.traffic()
    done = run("import", "prod", "--from-tfstate", "-", stdin=STATE).expect(0)
    assert server.traffic() == []
    assert "imported  prod/App: 2 keys, 1 grant, into secrets/prod/App.yaml" in done.stdout
    outside = "\n".join(line for line in done.stdout.splitlines() if not line.startswith("#"))
    assert " ".join(outside.split()) == (
        "removed { from = databricks_secret_acl.g lifecycle { destroy = false } } "
        "removed { from = databricks_secret_scope.this lifecycle { destroy = false } } "
        "removed { from = module.m.databricks_secret.all lifecycle { destroy = false } }"
    )
    server.create_scope("App")
    for key in ("a", "B.c"):
        server.put("App", key, f"value of {key}".encode())
    server.grant("App", "users", "READ")
    assert changes(run, "prod", "--adopt") == []


def test_blocks_go_into_a_file_of_their_own(run: Cli, repo: SecretsRepo, tmp_path: Path) -> None:
    """Stdout is then the report; a file that exists is never written over."""
    place = tmp_path / "removed.tf"
    source = tmp_path / "x.tfstate"
    source.write_bytes(STATE)
    done = run("import", "prod", "--from-tfstate", str(source), "--removed-file", str(place)).expect(0)
    assert "removed {" not in done.stdout
    assert place.read_text().count("removed {") == 3
    again = run("import", "prod", "--merge", "--from-tfstate", str(source), "--removed-file", str(place)).expect(2)
    assert "removed.tf exists" in again.stderr
    found = run("import", "prod", "--merge", "--from-tfstate", str(source), "-o", "json").expect(0).json
    assert found["terraform"]["removed"] == [
        "databricks_secret_acl.g",
        "databricks_secret_scope.this",
        "module.m.databricks_secret.all",
    ]
    assert [one["result"] for one in found["scopes"]] == ["unchanged", "skipped"]


def test_value_that_is_not_in_the_state_stays_with_terraform(run: Cli, repo: SecretsRepo) -> None:
    """A write-only value would otherwise be nowhere but in the workspace."""
    data = state(scope("app"), secret("a", "app", "a", "1"), secret("b", "app", "b", None))
    refused = run("import", "prod", "--from-tfstate", "-", stdin=data).expect(1)
    assert "left out: key b: its value is not in the state (databricks_secret.b)" in refused.stdout
    assert "removed {" not in refused.stdout
    assert files(repo) == []
    taken = run("import", "prod", "--from-tfstate", "-", "--skip-unreadable", stdin=data).expect(0).stdout
    assert "from = databricks_secret.a\n" in taken
    assert taken.count("removed {") == 1


@pytest.mark.parametrize(
    ("arguments", "exit_code", "what"),
    [
        pytest.param(("prod", "--provider", "eu"), 2, "--from-tfstate", id="provider-without-state"),
        pytest.param(("prod", "--removed-file", "x.tf"), 2, "--from-tfstate", id="blocks-without-state"),
        pytest.param(("prod", "--from-tfstate", "nowhere.tfstate"), 2, "cannot be read", id="no-such-file"),
        pytest.param(("prud", "--from-tfstate", "-"), 2, "did you mean 'prod'", id="no-such-target"),
        pytest.param(("prod/zzz", "--from-tfstate", "-"), 2, "about zzz", id="no-such-scope"),
        pytest.param(
            ("prod", "--from-tfstate", "-", "--provider", "eu"), 2, "no secrets in the state belong", id="provider"
        ),
        pytest.param((), 2, "SELECTOR", id="no-target"),
    ],
)
def test_misuse_is_told_before_anything_is_done(
    run: Cli, repo: SecretsRepo, arguments: tuple[str, ...], exit_code: int, what: str
) -> None:
    """Each names what to say instead."""
    done = run("import", *arguments, stdin=STATE).expect(exit_code)
    assert what in done.stderr
    assert files(repo) == []


def test_state_of_several_workspaces_is_imported_one_at_a_time(run: Cli, repo: SecretsRepo) -> None:
    """What belongs to another configuration of the provider is neither imported nor forgotten."""
    data = state(secret("a", "app", "a", "1"), secret("b", "app", "a", "2", provider=f"{PROVIDER}.eu"))
    run("import", "prod", "--from-tfstate", "-", stdin=data).expect(2)
    taken = run("import", "prod", "--from-tfstate", "-", "--provider", "eu", stdin=data).expect(0).stdout
    assert "from = databricks_secret.b\n" in taken
    assert "from = databricks_secret.a\n" not in taken
    assert "# 1 instance of its resources about secrets stay with Terraform." in taken


def test_state_of_400_secrets_takes_seconds(run: Cli, repo: SecretsRepo) -> None:
    """Not minutes, whether they are in a few scopes or each in one of its own."""
    few = (secret(f"k{number}", f"scope-{number % 20}", f"key-{number}", "x" * 60) for number in range(300))
    many = (secret(f"m{number}", f"own-{number}", "key", "x" * 60) for number in range(100))
    data = state(*few, *many)
    begun = time.monotonic()
    run("import", "prod", "--from-tfstate", "-", stdin=data).expect(0)
    assert time.monotonic() - begun < 10
    assert len(files(repo)) == 120


def test_no_value_shows(run: Cli, repo: SecretsRepo, server: WorkspaceServer, tmp_path: Path) -> None:
    """Neither on stdout nor on stderr, nor in a file."""
    canary = "canary-93aa51-value"
    server.create_scope("app")
    server.put("app", "a", canary.encode())
    data = state(secret("b", "other", "b", canary), secret("c", "third", "c@d", canary))
    outputs = [
        run("-v", "import", "prod"),
        run("-v", "import", "prod", "--merge"),
        run("-v", "import", "prod", "--from-tfstate", "-", stdin=data),
        run("-v", "import", "prod", "--from-tfstate", "-", "-o", "json", stdin=data),
        run("-v", "import", "prod", "--from-tfstate", "-", stdin=data[:-9]),
    ]
    assert all(canary not in text for done in outputs for text in (done.stdout, done.stderr))
    assert all(canary.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    modes = {stat.S_IMODE((repo.root / path).stat().st_mode) for path in files(repo)}
    assert modes == {0o644 & ~_umask()}


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


def test_report_for_programs(run: Cli, server: WorkspaceServer) -> None:
    """One JSON document says the same."""
    server.create_scope("app")
    server.put("app", "a", b"1")
    found = run("import", "prod", "-o", "json").expect(0).json
    assert json.loads(json.dumps(found)) == {
        "format_version": 1,
        "scopes": [
            {
                "target": "prod",
                "scope": "app",
                "result": "imported",
                "why": None,
                "files": ["secrets/prod/app.yaml"],
                "added": 1,
                "replaced": [],
                "unchanged": 0,
                "grants": [{"principal": "admin@example.com", "permission": "MANAGE"}],
                "left_out": [],
                "notes": [],
            }
        ],
        "written": ["secrets/prod/app.yaml"],
        "notes": [],
        "terraform": None,
    }
