"""What is written when git changes, or when somebody else changes the workspace; and in which order."""

import pytest

from reconciler.errors import EXIT_REFUSED
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

    def applied(self, *arguments: str) -> list[Call]:
        """Apply, and return what was written, in the order of its arrival, without the ledger."""
        self.server.traffic()
        self.run("apply", "prod", *arguments).expect()
        return self.server.writes()

    def planned(self, *, exit_code: int = 0) -> list[tuple[str, str, str]]:
        """Return action, key and reason of what a plan says, after a look at the exit code."""
        target = self.run("plan", "prod", "--detailed-exitcode", "-o", "json").expect(exit_code).target
        return [(change["action"], change.get("key", ""), change["reason"]) for change in target["changes"]]

    def values(self) -> dict[str, bytes]:
        """Return what the workspace holds."""
        return {key: self.server.value("app", key) for key in self.server.keys("app")}

    def settles(self) -> bool:
        """Tell whether a further run finds nothing to do and writes nothing, not even to the ledger."""
        self.server.traffic()
        return "no changes" in self.run("apply", "prod").expect().stdout and self.server.all_writes() == []


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
    assert app.server.all_writes() == []
    assert planned["status"] == "pending"
    assert [(change["key"], change["reason"], change["result"]) for change in planned["changes"]] == [
        ("a", "drifted", "planned")
    ]
    assert app.applied() == [_put("a")]
    assert app.values() == {"a": b"1", "b": b"2"}
    app.run("plan", "prod", "--detailed-exitcode").expect(0)
    assert app.settles()


def test_each_put_says_why(app: App) -> None:
    """What git changed, what git added and what somebody else changed are told apart, also in one run."""
    app.wish({"a": "1", "b": "2", "c": "3", "d": "4"})
    app.applied()
    app.server.put("app", "a", b"changed by hand")
    app.server.put("app", "b", b"changed by hand, and in git")
    app.server.put("app", "c", b"3")  # the same value at another time
    app.wish({"a": "1", "b": "two", "c": "3", "d": "four", "e": "5"})
    assert app.planned(exit_code=3) == [
        ("put-secret", "a", "drifted"),
        ("put-secret", "b", "changed"),
        ("put-secret", "d", "changed"),
        ("put-secret", "e", "new"),
    ]
    app.applied()
    assert app.settles()


def test_value_deleted_behind_our_back_comes_back(app: App) -> None:
    """A wanted key that is gone has drifted, and is put."""
    app.wish({"a": "1", "b": "2"})
    app.applied()
    app.server.delete("app", "b")
    assert app.planned(exit_code=3) == [("put-secret", "b", "drifted")]
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


def test_rename_under_prune_owned_deletes_what_git_once_put_there(app: App) -> None:
    """The ledger knows the old name: it goes after the new one is there, and what others put there stays."""
    app.wish({"old": "1", "other": "2"})
    app.applied()
    app.server.put("app", "theirs", b"x")
    app.wish({"new": "1", "other": "2"})
    assert app.planned(exit_code=3) == [("put-secret", "new", "new"), ("delete-secret", "old", "removed")]
    assert app.applied() == [_put("new"), _delete("old")]
    assert app.values() == {"new": b"1", "other": b"2", "theirs": b"x"}
    assert app.settles()


@pytest.mark.parametrize("recreate", [pytest.param(False, id="overwritten"), pytest.param(True, id="made anew")])
def test_old_key_that_somebody_else_wrote_since_is_reported_and_left(app: App, *, recreate: bool) -> None:
    """What is there now is not what git put there: it is named in every report until somebody deletes it."""
    app.wish({"old": "1", "other": "2"})
    app.applied()
    if recreate:
        app.server.delete("app", "old")
    app.server.put("app", "old", b"theirs")
    app.wish({"new": "1", "other": "2"})
    assert app.applied() == [_put("new")]
    assert app.values() == {"new": b"1", "old": b"theirs", "other": b"2"}
    again = app.run("apply", "prod", "-o", "json").expect().target
    assert (again["status"], again["changes"]) == ("clean", [])
    assert [(finding["kind"], finding["scope"], finding["key"]) for finding in again["findings"]] == [
        ("unmanaged-key", "app", "old")
    ]
    assert "unmanaged-key" in app.run("plan", "prod", "--detailed-exitcode").expect(0).stdout


def test_prune_none_says_nothing_of_other_keys(app: App) -> None:
    """Scopes that others write too need not be reported again and again; not even our own old key is deleted."""
    app.wish({"old": "1"}, prune="none")
    app.applied()
    app.server.put("app", "theirs", b"x")
    app.wish({"new": "1"}, prune="none")
    assert app.applied() == [_put("new")]
    assert app.run("plan", "prod", "-o", "json").expect().target["findings"] == []
    assert app.values() == {"new": b"1", "old": b"1", "theirs": b"x"}


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
    for spelling in ("App", "aPP"):
        repo.scope_file("prod/app.yaml", {workspace_server.host_key: {spelling: {"a": "1"}}}, prune="all")
        run("apply", "prod").expect()
        assert workspace_server.scopes() == ["App"]
    workspace_server.traffic()
    assert "no changes" in run("apply", "prod").expect().stdout
    assert workspace_server.all_writes() == []


def test_full_scope_makes_as_much_room_as_it_needs_and_deletes_the_rest_last(app: App) -> None:
    """With 999 strays and one wanted key there, two new keys fit only after one stray has gone."""
    app.wish({"a": "1"}, prune="all")
    app.applied()
    for number in range(999):
        app.server.put("app", f"stray-{number}", b"x")
    app.wish({"a": "1", "b": "2", "c": "3"}, prune="all")
    assert "--allow-deletes" in app.run("apply", "prod").expect(EXIT_REFUSED).stdout
    assert len(app.server.keys("app")) == 1000
    writes = app.applied("--allow-deletes=999")
    assert [call.operation for call in writes] == ["delete"] * 2 + ["put"] * 2 + ["delete"] * 997
    assert app.values() == {"a": b"1", "b": b"2", "c": b"3"}


def test_grants_are_lowered_and_revoked_before_a_new_value_and_raised_after_it(app: App) -> None:
    """Nobody reads the new value who should not; who gains access gains it last."""
    app.wish({"a": "1", "b": "x"}, acls=["<WRITE users>", "<READ user@example.com>"], prune="all")
    app.applied()
    app.server.grant("app", "admins", "MANAGE")
    app.wish({"a": "2", "b": "x"}, acls=["<READ users>", "<WRITE user@example.com>"], prune="all")
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
    app.wish({"a": "1", "b": "x"}, prune="all")
    app.applied()
    app.server.grant("app", "users", "MANAGE")
    app.wish({"a": "2", "b": "x"}, prune="all")
    assert app.applied() == [_put("a")]
    assert app.server.grants("app")["users"] == "MANAGE"


def test_grant_that_git_made_and_names_no_more_is_revoked_under_prune_owned(app: App) -> None:
    """It goes before the new value is written; what somebody granted by hand stays."""
    app.wish({"a": "1", "b": "x"}, acls=["<READ users>", "<READ user@example.com>"])
    app.applied()
    app.server.grant("app", "admins", "MANAGE")
    app.wish({"a": "2", "b": "x"}, acls=["<READ users>"])
    assert app.applied() == [_revoke("user@example.com"), _put("a")]
    assert app.server.grants("app") == {"admin@example.com": "MANAGE", "admins": "MANAGE", "users": "READ"}
    assert app.settles()


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
