"""``status``: how everything stands, seen by somebody who has no key of the files."""

import hashlib
from typing import Any

import pytest

from reconciler.model import LEDGER_SCOPE
from tests.support.cli import Cli, Result
from tests.support.secrets_repo import SecretsRepo
from tests.support.workspace_server import WorkspaceServer


AUTHOR = "Tester <tester@example.com>"


@pytest.fixture
def keyless(run: Cli, workspace_server: WorkspaceServer) -> Cli:
    """Run commands with the token of the workspace alone."""
    return Cli(cwd=run.cwd, env=workspace_server.env)


def standings(result: Result, scope: str) -> dict[str, str]:
    """Return key to status in a scope."""
    return {key["key"]: key["status"] for key in told(result, scope)["keys"]}


def told(result: Result, scope: str) -> Any:  # noqa: ANN401  # JSON
    """Return what is told of a scope."""
    (found,) = [each for each in result.target["scopes"] if each["scope"] == scope]
    return found


def key_of(result: Result, scope: str, key: str) -> Any:  # noqa: ANN401  # JSON
    """Return what is told of a key."""
    (found,) = [each for each in told(result, scope)["keys"] if each["key"] == key]
    return found


def feed(repo: SecretsRepo, server: WorkspaceServer, **scopes: dict[str, str | bytes]) -> str:
    """Commit one file for each scope, and return the commit."""
    repo.targets({"prod": server.fields})
    for scope, keys in scopes.items():
        repo.scope_file(f"prod/{scope}.yaml", {server.host_key: {scope: keys}})
    return repo.commit()


def test_nothing_applied_yet_is_all_pending(keyless: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Before the first apply there is no ledger, and that is no failure."""
    commit = feed(repo, workspace_server, app={"a": "1", "b": "2"})
    found = keyless("status", "prod", "-o", "json").expect()
    assert found.target["commit"] == commit
    assert found.target["ledger"]["state"] == "absent"
    assert found.target["head"] is None
    assert told(found, "app")["status"] == "missing"
    assert standings(found, "app") == {"a": "pending", "b": "pending"}
    assert workspace_server.writes() == []


def test_every_state_is_told_with_commit_and_author(
    run: Cli, keyless: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """Drifted, gone, orphaned, pending, somebody else's, as they were left: each key says what became of it."""
    first = feed(
        repo,
        workspace_server,
        app={"kept": "1", "drifted": "2", "gone": "3", "dropped": "4", "taken": "5"},
        attic={"old": "6"},
    )
    run("apply", "prod", "--yes").expect()
    (repo.root / "secrets" / "prod" / "attic.yaml").unlink()
    second = feed(repo, workspace_server, app={"kept": "1", "drifted": "2", "gone": "3", "new": "7", "NEXT": "8"})
    workspace_server.put("app", "drifted", b"changed behind git's back")
    workspace_server.put("app", "taken", b"somebody else's now")
    workspace_server.put("app", "by-hand", b"x")
    workspace_server.put("app", "next", b"y")
    workspace_server.delete("app", "gone")
    workspace_server.create_scope("stranger")
    workspace_server.traffic()

    found = keyless("status", "prod", "-o", "json").expect()
    assert workspace_server.writes() == []
    target = found.target
    assert target["commit"] == second
    assert target["head"]["commit"] == first
    assert target["head"]["author"] == AUTHOR
    assert {scope["scope"]: scope["status"] for scope in target["scopes"]} == {
        "app": "managed",
        "attic": "orphaned",
        "stranger": "unmanaged",
    }
    assert standings(found, "app") == {
        "by-hand": "unmanaged",
        "drifted": "drifted",
        "dropped": "orphaned",
        "gone": "drifted",
        "kept": "managed",
        "new": "pending",
        "next": "pending",
        "taken": "unmanaged",
    }
    assert standings(found, "attic") == {"old": "orphaned"}
    assert told(found, "stranger")["keys"] is None
    for key in ("kept", "drifted", "gone", "dropped"):
        assert key_of(found, "app", key)["changed"]["commit"] == first
        assert key_of(found, "app", key)["changed"]["author"] == AUTHOR
    assert "another value" in key_of(found, "app", "drifted")["detail"]
    assert "deleted" in key_of(found, "app", "gone")["detail"]
    assert key_of(found, "app", "gone")["updated"] is None
    assert target["summary"] == {
        "drifted": 2,
        "orphaned": 2,
        "unknown": 0,
        "pending": 2,
        "unmanaged": 2,
        "managed": 1,
    }

    text = keyless("status", "prod").expect().stdout
    lines = text.splitlines()
    assert lines[1].startswith(f"  last apply: commit {first[:12]}, {AUTHOR}, begun 2")
    assert text.index("drifted  ") < text.index("orphaned  ") < text.index("managed    kept")
    assert "2 scopes (1 orphaned, 1 managed); 9 keys (2 drifted, 2 orphaned, 2 pending, 2 unmanaged, 1 managed)" in text
    assert lines[-1] == "next: reconciler plan prod"


def test_only_values_in_question_are_read(
    run: Cli, keyless: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """No value is read, unless its timestamp moved; the same value put once more is no drift."""
    feed(repo, workspace_server, app={"a": "1", "b": "2", "c": "3"})
    run("apply", "prod", "--yes").expect()
    workspace_server.traffic()
    assert set(standings(keyless("status", "prod", "-o", "json").expect(), "app").values()) == {"managed"}
    calm = workspace_server.traffic()
    assert [call.scope for call in calm if call.operation == "get"] == [LEDGER_SCOPE] * 2  # head and entry
    assert len(calm) <= 8
    workspace_server.put("app", "b", b"2")
    workspace_server.traffic()
    assert set(standings(keyless("status", "prod", "-o", "json").expect(), "app").values()) == {"managed"}
    assert len([call for call in workspace_server.traffic() if call.operation == "get"]) == 3


def test_scope_that_was_deleted_is_missing_and_its_keys_have_drifted(
    run: Cli, keyless: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """The ledger remembers what was there."""
    feed(repo, workspace_server, app={"a": "1"})
    run("apply", "prod", "--yes").expect()
    workspace_server.call("POST", "scopes/delete", scope="app")
    found = keyless("status", "prod", "-o", "json").expect()
    assert told(found, "app")["status"] == "missing"
    assert "somebody has deleted it" in told(found, "app")["detail"]
    assert standings(found, "app") == {"a": "drifted"}


def test_scope_of_somebody_else_is_unmanaged_and_says_why(
    keyless: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """A scope that exists and was never adopted: what is there is somebody else's, what is not there waits."""
    feed(repo, workspace_server, app={"a": "1", "b": "2"})
    workspace_server.create_scope("app")
    workspace_server.put("app", "a", b"1")
    found = keyless("status", "prod", "-o", "json").expect()
    assert told(found, "app")["status"] == "unmanaged"
    assert "apply adopts it if" in told(found, "app")["detail"]
    assert standings(found, "app") == {"a": "unmanaged", "b": "pending"}
    workspace_server.grant("app", "users", "READ")
    found = keyless("status", "prod", "-o", "json").expect()
    assert "users has READ" in told(found, "app")["detail"]


def test_one_scope_can_be_asked_for(
    run: Cli, keyless: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """``TARGET/SCOPE`` shows that scope alone, and nothing that git does not name."""
    feed(repo, workspace_server, app={"a": "1"}, other={"b": "2"})
    run("apply", "prod", "--yes").expect()
    workspace_server.create_scope("stranger")
    found = keyless("status", "prod/app", "-o", "json").expect()
    assert [scope["scope"] for scope in found.target["scopes"]] == ["app"]


def test_ledger_that_is_hidden_is_said_and_nothing_is_claimed(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """A READ-only identity cannot tell who writes to the ledger: all is unknown, and that is no failure."""
    feed(repo, workspace_server, app={"a": "1"})
    run("apply", "prod", "--yes").expect()
    for scope in ("app", "reconciler-ledger"):
        workspace_server.grant(scope, "users", "READ")
    reader = {"DATABRICKS_TOKEN": workspace_server.emulator.user_token}
    found = run("status", "prod", "-o", "json", env=reader).expect()
    assert found.target["ledger"]["state"] == "hidden"
    assert found.target["ledger"]["detail"]
    assert told(found, "app")["status"] == "unknown"
    assert standings(found, "app") == {"a": "unknown"}
    text = run("status", "prod", env=reader).expect().stdout
    assert "the ledger does not count" in text
    assert "could not be looked at completely" not in text


def test_scope_that_may_not_be_listed_is_a_failure(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """Unlike grants, keys are what was asked for."""
    feed(repo, workspace_server, app={"a": "1"})
    run("apply", "prod", "--yes").expect()
    reader = {"DATABRICKS_TOKEN": workspace_server.emulator.user_token}
    assert told(run("status", "prod", "-o", "json", env=reader).expect(1), "app")["error"]


@pytest.mark.parametrize("secret", ["head", "scope"])
def test_ledger_of_a_newer_version_is_a_refusal(
    run: Cli, keyless: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer, secret: str
) -> None:
    """Exit code 6, as plan and apply have it, and a document all the same."""
    feed(repo, workspace_server, app={"a": "1"})
    run("apply", "prod", "--yes").expect()
    (name,) = [one for one in workspace_server.keys(LEDGER_SCOPE) if one.startswith(secret)]
    raw = workspace_server.value(LEDGER_SCOPE, name)
    assert raw is not None
    newer = raw[:4] + b"\2" + raw[5:-16]
    workspace_server.put(LEDGER_SCOPE, name, newer + hashlib.sha256(newer).digest()[:16])
    found = keyless("status", "prod", "-o", "json").expect(6)
    assert "newer version" in found.target["error"]
    run("plan", "prod").expect(6)


def test_head_with_a_time_that_nobody_can_be_told_is_garbled(
    run: Cli, keyless: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """The year 10889 was once an OverflowError of status and of apply."""
    feed(repo, workspace_server, app={"a": "1"})
    run("apply", "prod", "--yes").expect()
    (name,) = [one for one in workspace_server.keys(LEDGER_SCOPE) if one.startswith("head")]
    raw = workspace_server.value(LEDGER_SCOPE, name)
    assert raw is not None
    later = raw[:54] + (2**48 - 2).to_bytes(6) + raw[60:-16]
    workspace_server.put(LEDGER_SCOPE, name, later + hashlib.sha256(later).digest()[:16])
    assert "time that is none" in keyless("status", "prod", "-o", "json").expect().target["ledger"]["detail"]
    run("apply", "prod", "--yes").expect()
    assert keyless("status", "prod", "-o", "json").expect().target["head"] is not None


@pytest.mark.parametrize(
    ("selector", "code"),
    [
        pytest.param("nowhere", 2, id="usage"),
        pytest.param("prod", 4, id="invalid"),
    ],
)
def test_command_that_comes_to_no_target_prints_a_document(
    keyless: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer, selector: str, code: int
) -> None:
    """Whatever the exit code, ``-o json`` prints one document."""
    feed(repo, workspace_server, app={"a": "1"})
    repo.write("secrets/prod/broken.yaml", b"version: 2\n")
    repo.commit()
    found = keyless("status", selector, "-o", "json").expect(code)
    assert found.target["target"] == selector
    assert found.target["error"]
    assert found.target["scopes"] == []


def test_repository_without_a_commit_is_refused_with_a_document(
    keyless: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """So with refusals, here of a repository whose HEAD leads nowhere."""
    feed(repo, workspace_server, app={"a": "1"})
    repo.git("symbolic-ref", "HEAD", "refs/heads/nowhere")
    assert "no commit" in keyless("status", "prod", "-o", "json").expect(6).target["error"]


def test_ledger_to_which_somebody_else_can_write_does_not_count(
    run: Cli, keyless: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """What stands in it could be theirs."""
    feed(repo, workspace_server, app={"a": "1"})
    run("apply", "prod", "--yes").expect()
    workspace_server.grant("reconciler-ledger", "users", "WRITE")
    found = keyless("status", "prod", "-o", "json").expect(1)
    assert found.target["ledger"]["state"] == "foreign"
    assert standings(found, "app") == {"a": "unknown"}


def test_workspace_that_does_not_answer_is_an_error_of_its_target(keyless: Cli, repo: SecretsRepo) -> None:
    """The other targets are told all the same."""
    with WorkspaceServer() as gone:
        fields = gone.fields
        host_key = gone.host_key
    repo.targets({"prod": fields, "demo": repo.embedded("demo")})
    repo.scope_file("x.yaml", {host_key: {"app": {"a": "1"}}, "demo": {"app": {"a": "1"}}})
    repo.commit()
    done = keyless("status", "--all", "--timeout", "0.2", "-o", "json").expect(1)
    by_name = {target["target"]: target for target in done.json["targets"]}
    assert by_name["prod"]["error"]
    assert by_name["prod"]["ledger"] is None
    assert by_name["demo"]["error"] is None


def test_work_tree_has_no_commit_and_no_author(run: Cli, repo: SecretsRepo) -> None:
    """An embedded target takes its files from the work tree."""
    repo.targets({"demo": repo.embedded("demo")}, owner=None)
    repo.scope_file("demo/app.yaml", {"demo": {"app": {"a": "1"}}})
    run("apply", "demo").expect()
    found = run("status", "-o", "json").expect()
    changed = key_of(found, "app", "a")["changed"]
    assert (changed["commit"], changed["author"]) == (None, None)
    assert "work tree" in run("status").expect().stdout


def test_commit_that_git_does_not_know_is_said(
    run: Cli, keyless: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """Its branch is gone: the hash is all that is left."""
    feed(repo, workspace_server, app={"a": "1"})
    run("apply", "prod", "--yes").expect()
    repo.git("checkout", "--quiet", "--orphan", "fresh")
    repo.git("commit", "--quiet", "--message", "Begin anew")
    repo.git("branch", "--quiet", "-D", "main")
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "--quiet", "--prune=now")
    found = keyless("status", "prod", "-o", "json").expect()
    assert key_of(found, "app", "a")["changed"]["author"] is None
    assert "unknown commit" in keyless("status", "prod").expect().stdout


def test_no_value_is_ever_told(run: Cli, keyless: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Neither git's, which it does not know, nor the workspace's, which it reads where it has to."""
    feed(repo, workspace_server, app={"a": "canary-of-git"})
    run("apply", "prod", "--yes").expect()
    workspace_server.put("app", "a", b"canary-of-the-workspace")
    for form in ("text", "json"):
        done = keyless.process("-v", "status", "prod", "-o", form).expect()
        assert "canary" not in done.stdout + done.stderr
