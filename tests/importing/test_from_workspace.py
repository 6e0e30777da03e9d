"""Reading scopes from a workspace."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.errors import InvalidRequest, NotFound, PermissionDenied, UsageError, WorkspaceError
from reconciler.importing.found import Asked, Found, FoundScope, Passed, Standing
from reconciler.importing.from_workspace import look
from reconciler.model import LEDGER_SCOPE, FoldedName, Permission, Principal, fold
from reconciler.policy import Target, WorkspaceSettings
from reconciler.settings import Settings
from reconciler.workspace import Backend, Workspace
from tests.fakes import Call, FakeWorkspace


TARGET = Target(
    name="prod",
    workspace=WorkspaceSettings(host="https://fake.cloud.databricks.com"),
    operators=(Principal("admin@example.com"), Principal("pipeline")),
)


class Quiet:
    """Hears nothing, and counts the steps of what is in progress."""

    detail = None

    def __init__(self) -> None:
        self.steps = 0
        self.total = 0

    def say(self, text: str) -> None:
        """Pass over what is said."""

    @contextlib.contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """Count."""
        self.total += total

        def step() -> None:
            self.steps += 1

        yield step


def seen(
    workspace: FakeWorkspace, *names: str, spared: dict[FoldedName, str] | None = None, observer: Quiet | None = None
) -> tuple[Found, ...]:
    """Return what is found in a workspace, in scopes of these names or in all."""
    settings = Settings(root=Path("/nowhere"), environ={}, home=Path("/nowhere"))

    @contextlib.contextmanager
    def connecting(*_: object) -> Iterator[Workspace]:
        yield workspace

    asked = Asked(names=frozenset(map(fold, names)) or None)
    return look(TARGET, asked, spared or {}, settings, observer or Quiet(), connecting=connecting)


def only(workspace: FakeWorkspace) -> FoundScope:
    """Return the one scope of a workspace."""
    (found,) = seen(workspace)
    assert isinstance(found, FoundScope)
    return found


def passed(found: Found) -> Passed:
    """Return a scope that was passed over."""
    assert isinstance(found, Passed)
    return found


def test_values_names_and_grants_come_as_they_are() -> None:
    """Bytes and spelling are those of the workspace, and nothing is written to it."""
    workspace = FakeWorkspace()
    workspace.add("App", {"Db.Pw": b"\x00\xff", "empty": b"", "a": b"x" * 131_072})
    workspace.grant("App", "Data Team", Permission.READ)
    observer = Quiet()
    (found,) = seen(workspace, observer=observer)
    assert isinstance(found, FoundScope)
    assert found.scope == "App"
    assert {key: value.reveal() for key, value in found.keys.items()} == workspace.values("App")
    assert {acl.principal: acl.permission for acl in found.acls or ()} == workspace.grants("App")
    assert workspace.writes == []
    assert (observer.steps, observer.total) == (3, 3)


def test_scopes_that_no_file_can_feed_are_passed_over_unread() -> None:
    """Key-Vault-backed scopes, the ledger's, odd names and those that were spared cost no request."""
    workspace = FakeWorkspace()
    workspace.add("vault", {"a": b"1"}, backend=Backend.AZURE_KEYVAULT)
    workspace.add(LEDGER_SCOPE, {"a": b"1"})
    workspace.add("a/b", {"a": b"1"})
    workspace.add("fed", {"a": b"1"})
    found = [passed(one) for one in seen(workspace, spared={fold("fed"): "git feeds it"})]
    assert [one.scope for one in found] == ["a/b", "fed", "reconciler-ledger", "vault"]
    assert {one.standing for one in found} == {Standing.SKIPPED}
    assert [call.operation for call in workspace.calls if call.scope] == []
    assert passed(seen(workspace, "vault")[0]).standing is Standing.REFUSED


def test_unknown_scope_is_told_before_anything_is_read() -> None:
    """A misspelt name shows at once."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"1"})
    with pytest.raises(UsageError, match="prod has no scope ap"):
        seen(workspace, "app", "ap")
    assert all(not call.scope for call in workspace.calls)


@pytest.mark.parametrize("key", ["a/b", "a@b", "a b", "k" * 129])
def test_key_that_no_file_can_hold_is_a_flaw_and_not_read(key: str) -> None:
    """What the provider of Terraform lets through does not fit into a file."""
    workspace = FakeWorkspace()
    workspace.add("app", {key: b"1", "ok": b"2"})
    found = only(workspace)
    assert list(found.keys) == ["ok"]
    assert [(flaw.key, "does not fit" in flaw.why) for flaw in found.flaws] == [(key, True)]
    assert Call("get_secret", "app", key) not in workspace.calls


@pytest.mark.parametrize("error", [InvalidRequest("not outside notebooks"), PermissionDenied("no READ")])
def test_value_that_cannot_be_read_is_a_flaw(error: WorkspaceError) -> None:
    """It is neither absent nor empty."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"1", "b": b"2"})

    def refuse(call: Call) -> None:
        if call.operation == "get_secret" and call.subject == "a":
            raise error

    workspace.faults.append(refuse)
    found = only(workspace)
    assert list(found.keys) == ["b"]
    (flaw,) = found.flaws
    assert flaw.key == "a"
    assert str(error) in flaw.why


def test_key_that_was_deleted_meanwhile_is_not_there() -> None:
    """What is gone is nothing to import."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"1", "b": b"2"})

    def delete(call: Call) -> None:
        if call.operation == "get_secret" and call.subject == "a":
            raise NotFound("gone")

    workspace.faults.append(delete)
    found = only(workspace)
    assert (list(found.keys), found.flaws) == (["b"], ())


def test_key_that_was_put_meanwhile_is_a_flaw() -> None:
    """Left out in silence, it would be the one that nobody finds in git."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"1"})
    lists: list[Call] = []

    def put(call: Call) -> None:
        if call.operation == "list_secrets":
            lists.append(call)
            if len(lists) > 1:
                workspace.put("app", "late", b"2")

    workspace.faults.append(put)
    (flaw,) = only(workspace).flaws
    assert (flaw.key, "while the scope was read" in flaw.why) == ("late", True)


def test_scope_that_cannot_be_listed_fails_alone() -> None:
    """The others are read all the same."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"1"})
    workspace.add("theirs", {"a": b"1"})

    def refuse(call: Call) -> None:
        if call.operation == "list_secrets" and call.scope == "theirs":
            raise PermissionDenied("no READ on scope theirs")

    workspace.faults.append(refuse)
    one, other = seen(workspace)
    assert isinstance(one, FoundScope)
    assert passed(other).standing is Standing.FAILED
    assert "no READ" in passed(other).why


def test_grants_that_cannot_be_read_are_left_alone() -> None:
    """Without MANAGE, or on a plan without grants, values can be adopted all the same; what that means is said."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"1"})

    def refuse(call: Call) -> None:
        if call.operation == "list_acls":
            raise PermissionDenied("no MANAGE")

    workspace.faults.append(refuse)
    found = only(workspace)
    assert found.acls is None
    assert "--adopt" in found.notes[0]


def test_operators_who_lack_manage_are_named() -> None:
    """The plan right after would show that they get it."""
    workspace = FakeWorkspace()
    workspace.add("app", {"a": b"1"})
    assert "MANAGE to operators of the target who lack it: pipeline" in only(workspace).notes[0]
    workspace.grant("app", "Pipeline", Permission.MANAGE)
    assert only(workspace).notes == ()
