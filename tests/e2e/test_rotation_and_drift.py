"""What is written when git changes, or when somebody else changes the workspace; and in which order."""

import pytest

from tests.support.cli import Cli
from tests.support.secrets_repo import SecretsRepo
from tests.support.workspace_server import Call, WorkspaceServer


class App:
    """The scope ``app`` of the target ``prod``, fed by one file; each `wish` is a new version of that file."""

    def __init__(self, run: Cli, repo: SecretsRepo, server: WorkspaceServer) -> None:
        self.run = run
        self.server = server
        self._repo = repo.targets({"prod": server.fields})

    def wish(self, keys: dict[str, str], *, acls: list[str] | None = None, prune: str | None = None) -> None:
        """Say in git what the scope should hold."""
        self._repo.scope_file("prod/app.yaml", {self.server.host_key: {"app": keys}}, acls=acls, prune=prune)

    def applied(self) -> list[Call]:
        """Apply, and return what was written, in the order of its arrival."""
        self.server.traffic()
        self.run("apply", "prod").expect()
        return self.server.writes()

    def values(self) -> dict[str, bytes]:
        """Return what the workspace holds."""
        return {key: self.server.value("app", key) for key in self.server.keys("app")}

    def settles(self) -> bool:
        """Tell whether a further run finds nothing to do and writes nothing."""
        self.server.traffic()
        return "no changes" in self.run("apply", "prod").expect().stdout and self.server.writes() == []


@pytest.fixture
def app(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> App:
    """Feed one scope, without git's history."""
    return App(run, repo, workspace_server)


def _put(key: str) -> Call:
    return Call("POST", "put", "app", key)


def _delete(key: str) -> Call:
    return Call("POST", "delete", "app", key)


def _grant(principal: str) -> Call:
    return Call("POST", "acls/put", "app", principal)


def _revoke(principal: str) -> Call:
    return Call("POST", "acls/delete", "app", principal)


def test_drift_is_seen_by_plan_and_repaired_by_apply(app: App) -> None:
    """A value that was changed behind git's back is planned (exit 3), and put back with one request."""
    app.wish({"a": "1", "b": "2"})
    app.applied()
    app.server.put("app", "a", b"changed")
    app.server.traffic()
    planned = app.run("plan", "prod", "--detailed-exitcode", "-o", "json").expect(3).target
    assert app.server.writes() == []
    assert planned["status"] == "pending"
    assert [(change["key"], change["reason"], change["result"]) for change in planned["changes"]] == [
        ("a", "changed", "planned")
    ]
    assert app.applied() == [_put("a")]
    assert app.values() == {"a": b"1", "b": b"2"}
    app.run("plan", "prod", "--detailed-exitcode").expect(0)


def test_value_deleted_behind_our_back_comes_back(app: App) -> None:
    """A wanted key that is gone is put as a new one."""
    app.wish({"a": "1", "b": "2"})
    app.applied()
    app.server.delete("app", "b")
    assert app.applied() == [_put("b")]
    assert app.settles()


def test_scope_deleted_behind_our_back_comes_back(app: App) -> None:
    """A scope that is gone is created anew, with its grants."""
    app.wish({"a": "1"}, acls=["<READ users>"])
    app.applied()
    app.server.call("POST", "scopes/delete", scope="app")
    assert app.applied() == [Call("POST", "scopes/create", "app"), _put("a"), _grant("users")]
    assert app.settles()


def test_rename_under_prune_all_puts_the_new_key_before_it_deletes_the_old(app: App) -> None:
    """Whoever reads during the run finds the old name, both, or the new one: never neither."""
    app.wish({"old": "1", "other": "2"}, prune="all")
    app.applied()
    app.wish({"new": "1", "other": "2"}, prune="all")
    assert app.applied() == [_put("new"), _delete("old")]
    assert app.values() == {"new": b"1", "other": b"2"}
    assert app.settles()


def test_rename_under_prune_owned_reports_the_old_key_and_leaves_it(app: App) -> None:
    """Nothing shows yet that git put it there: it is named in every report until somebody deletes it."""
    app.wish({"old": "1"})
    app.applied()
    app.wish({"new": "1"})
    assert app.applied() == [_put("new")]
    assert app.values() == {"old": b"1", "new": b"1"}
    again = app.run("apply", "prod", "-o", "json").expect().target
    assert (again["status"], again["changes"]) == ("clean", [])
    assert [(finding["kind"], finding["scope"], finding["key"]) for finding in again["findings"]] == [
        ("unmanaged-key", "app", "old")
    ]
    assert "unmanaged-key" in app.run("plan", "prod", "--detailed-exitcode").expect(0).stdout


def test_prune_none_says_nothing_of_other_keys(app: App) -> None:
    """Scopes that others write too need not be reported again and again."""
    app.wish({"new": "1"}, prune="none")
    app.server.create_scope("app")
    app.server.put("app", "theirs", b"x")
    app.applied()
    assert app.run("plan", "prod", "-o", "json").expect().target["findings"] == []
    assert app.values() == {"new": b"1", "theirs": b"x"}


@pytest.mark.parametrize("prune", ["owned", "all", "none"])
@pytest.mark.parametrize(("value", "puts"), [pytest.param("1", 0, id="alone"), pytest.param("2", 1, id="and-value")])
def test_rename_by_case_alone_loses_nothing_and_settles(app: App, prune: str, value: str, puts: int) -> None:
    """The platform keeps the old spelling for ever: the names are the same one, so nothing is deleted or put again."""
    app.wish({"Case-Key": "1"}, prune=prune)
    app.applied()
    app.wish({"case-key": value}, prune=prune)
    assert app.applied() == [_put("case-key")] * puts
    assert app.values() == {"Case-Key": value.encode()}
    assert app.settles()


def test_scope_renamed_by_case_alone_settles(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """A scope, too, is the same one in another spelling."""
    repo.targets({"prod": workspace_server.fields})
    workspace_server.create_scope("App")
    repo.scope_file("prod/app.yaml", {workspace_server.host_key: {"aPP": {"a": "1"}}}, prune="all")
    run("apply", "prod").expect()
    assert workspace_server.scopes() == ["App"]
    workspace_server.traffic()
    assert "no changes" in run("apply", "prod").expect().stdout
    assert workspace_server.writes() == []


def test_full_scope_makes_as_much_room_as_it_needs_and_deletes_the_rest_last(app: App) -> None:
    """With 999 strays and one wanted key there, two new keys fit only after one stray has gone."""
    app.server.create_scope("app")
    for number in range(999):
        app.server.put("app", f"stray-{number}", b"x")
    app.server.put("app", "a", b"1")
    app.wish({"a": "1", "b": "2", "c": "3"}, prune="all")
    writes = app.applied()
    assert [call.operation for call in writes] == ["delete"] * 2 + ["put"] * 2 + ["delete"] * 997
    assert app.values() == {"a": b"1", "b": b"2", "c": b"3"}


def test_grants_are_lowered_and_revoked_before_a_new_value_and_raised_after_it(app: App) -> None:
    """Nobody reads the new value who should not; who gains access gains it last."""
    app.wish({"a": "1"}, acls=["<WRITE users>", "<READ user@example.com>"], prune="all")
    app.applied()
    app.server.grant("app", "admins", "MANAGE")
    app.wish({"a": "2"}, acls=["<READ users>", "<WRITE user@example.com>"], prune="all")
    writes = app.applied()
    assert set(writes[:2]) == {_revoke("admins"), _grant("users")}
    assert writes[2:] == [_put("a"), _grant("user@example.com")]
    expected = {"admin@example.com": "MANAGE", "users": "READ", "user@example.com": "WRITE"}
    assert app.server.grants("app") == expected
    assert app.settles()


def test_own_manage_is_kept_whatever_git_says(app: App) -> None:
    """Neither a list without the running identity nor one that grants it less takes its MANAGE away."""
    app.wish({"a": "1"}, acls=["<READ admin@example.com>"], prune="all")
    app.applied()
    assert app.server.grants("app") == {"admin@example.com": "MANAGE"}
    assert app.settles()
    app.wish({"a": "1"}, acls=["<READ users>"], prune="all")
    assert app.applied() == [_grant("users")]
    assert app.server.grants("app") == {"admin@example.com": "MANAGE", "users": "READ"}
    assert app.settles()


def test_without_acls_in_git_grants_are_left_alone(app: App) -> None:
    """An absent field says nothing; not even ``prune: all`` then touches a grant."""
    app.server.create_scope("app")
    app.server.grant("app", "users", "MANAGE")
    app.wish({"a": "1"}, prune="all")
    assert app.applied() == [_put("a")]
    assert app.server.grants("app")["users"] == "MANAGE"


def test_foreign_grant_under_prune_owned_is_reported_and_left(app: App) -> None:
    """Who was granted something by hand keeps it, and every report says so."""
    app.wish({"a": "1"}, acls=["<READ users>"])
    app.applied()
    app.server.grant("app", "user@example.com", "WRITE")
    assert app.settles()
    (finding,) = app.run("plan", "prod", "-o", "json").expect().target["findings"]
    assert (finding["kind"], finding["scope"], finding["principal"]) == ("unmanaged-acl", "app", "user@example.com")


def test_grant_of_an_operator_and_of_a_protected_principal_survives_prune_all(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """Operators get MANAGE on a scope that is created; what a protected principal has, such as an App, is not ours."""
    host = workspace_server.host_key
    repo.targets(
        {
            "prod": {
                **workspace_server.fields,
                "operators": ["admin@example.com", "admins"],
                "protected_principals": ["user@example.com"],
            }
        }
    )
    repo.scope_file("prod/app.yaml", {host: {"app": {"a": "1"}}}, acls=["<READ users>"], prune="all")
    run("apply", "prod").expect()
    workspace_server.grant("app", "user@example.com", "READ")
    run("apply", "prod").expect()
    kept = {"admin@example.com": "MANAGE", "admins": "MANAGE", "user@example.com": "READ", "users": "READ"}
    assert workspace_server.grants("app") == kept
    assert "no changes" in run("apply", "prod").expect().stdout
