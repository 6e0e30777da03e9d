"""From records of a state to scopes to import, and to what Terraform may forget."""

from typing import Any

import pytest

from reconciler.errors import Refused, UsageError
from reconciler.importing.found import Asked, FoundScope, Passed, Standing
from reconciler.importing.from_state import InGit, as_configuration, forgettable, of_provider, scopes_in
from reconciler.importing.tfstate import Record, read_state
from reconciler.model import Acl, FoldedName, Permission, Principal, ScopeName, fold
from reconciler.policy import Target, WorkspaceSettings
from tests.importing.states import PROVIDER, grant, resource, scope, secret, secret_in, state


TARGET = Target(name="prod", workspace=WorkspaceSettings(host="https://adb-1.2.azuredatabricks.net", workspace_id="12"))
ALL = Asked()


def records(*resources: dict[str, Any]) -> tuple[Record, ...]:
    """Return the records of a state."""
    return read_state(state(*resources), "x.tfstate")


def scopes(*resources: dict[str, Any], asked: Asked = ALL) -> tuple[Any, ...]:
    """Return what is found in a state."""
    return scopes_in(records(*resources), TARGET, asked)


def values(found: FoundScope) -> dict[str, bytes]:
    """Return keys and values of a scope."""
    return {key: value.reveal() for key, value in found.keys.items()}


def test_scope_has_its_secrets_and_grants() -> None:
    """They are joined by the scope's name, without regard to case, and spelt as the scope itself is."""
    (found,) = scopes(
        secret("b", "app", "B", "2"),
        secret("a", "app", "a", "1"),
        scope("App"),
        grant("g", "APP", "Data Team", "WRITE"),
    )
    assert found.scope == "App"
    assert values(found) == {"a": b"1", "B": b"2"}
    assert found.acls == (Acl(principal=Principal("Data Team"), permission=Permission.WRITE),)
    assert found.flaws == ()


def test_scope_without_grants_in_the_state_leaves_grants_alone() -> None:
    """Terraform may manage secrets of a scope whose grants somebody else manages."""
    (found,) = scopes(secret("a", "app", "a", "1"))
    assert found.acls is None


def test_first_manager_is_a_grant_unless_a_later_one_says_otherwise() -> None:
    """initial_manage_principal got MANAGE when the scope was created."""
    (one,) = scopes(scope("app", initial_manage_principal="users"), secret("a", "app", "a", "1"))
    assert one.acls == (Acl(principal=Principal("users"), permission=Permission.MANAGE),)
    (other,) = scopes(scope("app", initial_manage_principal="users"), grant("g", "app", "Users", "READ"))
    assert other.acls == (Acl(principal=Principal("Users"), permission=Permission.READ),)


@pytest.mark.parametrize(
    ("resources", "key", "why"),
    [
        pytest.param([secret("a", "app", "a/b", "1")], "a/b", "does not fit", id="slash"),
        pytest.param([secret("a", "app", "a@b", "1")], "a@b", "does not fit", id="at"),
        pytest.param(
            [secret("a", "app", "a", None)], "a", "is not in the state (databricks_secret.a)", id="write-only"
        ),
        pytest.param([secret("a", "app", "a", "x" * 131_073)], "a", "larger than 128 KB", id="large"),
        pytest.param(
            [secret("a", "app", "a", "1"), secret("b", "app", "a", "2")],
            "a",
            "different values: databricks_secret.a and databricks_secret.b",
            id="clash",
        ),
        pytest.param([secret("a", "app", "a", "1"), secret("b", "app", "A", "1")], "A", "in case alone", id="twins"),
    ],
)
def test_what_no_file_can_hold_is_a_flaw(resources: list[dict[str, Any]], key: str, why: str) -> None:
    """Each is told with its key, and none of them is in what would be imported."""
    (found,) = scopes(*resources, secret("ok", "app", "ok", "1"))
    assert why in next(flaw.why for flaw in found.flaws if flaw.key == key)
    assert values(found) == {"ok": b"1"}


def test_same_value_in_two_resources_is_no_clash() -> None:
    """Two modules may both put what they need."""
    (found,) = scopes(secret("a", "app", "a", "1"), secret("b", "app", "a", "1"))
    assert (values(found), found.flaws) == ({"a": b"1"}, ())


@pytest.mark.parametrize(
    ("principal", "permission", "why"),
    [
        pytest.param("a<b>", "READ", "does not fit", id="brackets"),
        pytest.param("a", "OWN", "none of READ", id="permission"),
    ],
)
def test_grant_that_no_file_can_hold_is_a_flaw(principal: str, permission: str, why: str) -> None:
    """A grant left out in silence would be one that nobody reviews."""
    (found,) = scopes(secret("a", "app", "a", "1"), grant("g", "app", principal, permission))
    ((flaw,), acls) = found.flaws, found.acls
    assert flaw.principal == principal
    assert why in flaw.why
    assert acls is None


@pytest.mark.parametrize(
    ("resources", "why"),
    [
        pytest.param(
            [scope("s", backend_type="AZURE_KEYVAULT"), secret("a", "s", "a", "1")], "Key Vault", id="key-vault"
        ),
        pytest.param([secret("a", "reconciler-ledger", "a", "1")], "reserved", id="ledger"),
        pytest.param([secret("a", "a/b", "a", "1")], "does not fit", id="slash"),
    ],
)
def test_scope_that_no_file_can_feed_is_passed_over(resources: list[dict[str, Any]], why: str) -> None:
    """Among all scopes it is skipped; whoever asks for it by name is refused."""
    for asked, standing in (
        (ALL, Standing.SKIPPED),
        (Asked(names=frozenset({fold("s"), fold("reconciler-ledger"), fold("a/b")})), Standing.REFUSED),
    ):
        (found,) = scopes(*resources, asked=asked)
        assert isinstance(found, Passed)
        assert found.standing is standing
        assert why in found.why


def test_several_providers_need_a_word() -> None:
    """One state may be about several workspaces, and values of one must not get under the host of another."""
    both = records(secret("a", "app", "a", "1"), secret("b", "app", "a", "2", provider=f"{PROVIDER}.eu"))
    with pytest.raises(UsageError, match=r"2 configurations of the provider.*: default, eu") as caught:
        of_provider(both, TARGET, ALL, None)
    assert caught.value.advice is not None
    assert "--provider" in caught.value.advice
    (one,) = of_provider(both, TARGET, ALL, "eu")
    assert one.source.address.resource == "databricks_secret.b"
    with pytest.raises(UsageError, match="'us'"):
        of_provider(both, TARGET, ALL, "us")


def test_scopes_that_were_named_decide_which_providers_matter() -> None:
    """Another workspace's secrets do not matter to whoever asks for one scope."""
    both = records(secret("a", "app", "a", "1"), secret("b", "other", "a", "2", provider=f"{PROVIDER}.eu"))
    (one,) = of_provider(both, TARGET, Asked(names=frozenset({fold("OTHER")})), None)
    assert one.scope == "other"
    with pytest.raises(UsageError, match="nothing about nowhere"):
        of_provider(both, TARGET, Asked(names=frozenset({fold("nowhere"), fold("app")})), None)


def test_workspace_of_another_target_is_refused() -> None:
    """A resource that names its workspace belongs to the target of that workspace."""

    def of(workspace_id: str) -> tuple[Record, ...]:
        attributes = secret_in("s", "k", "v", provider_config=[{"workspace_id": workspace_id}])
        return of_provider(records(resource("databricks_secret", "a", attributes)), TARGET, ALL, None)

    assert len(of("12")) == 1
    with pytest.raises(Refused, match="of workspace 13, and prod is workspace 12"):
        of("13")


def test_state_without_secrets_says_so() -> None:
    """A wrong state is the likeliest mistake."""
    with pytest.raises(UsageError, match="the state has no databricks_secret"):
        of_provider((), TARGET, ALL, None)


def done(*acls: Acl, flawed: str = "", standing: Standing = Standing.IMPORTED) -> InGit:
    """Return a scope that is in git."""
    return InGit(standing=standing, flawed=frozenset({fold(flawed)} if flawed else ()), acls=acls)


def forgotten(all_records: tuple[Record, ...], **in_git: InGit) -> Any:  # noqa: ANN401  # a short name
    """Return what Terraform may forget after an import of all records."""
    folded: dict[FoldedName, InGit] = {fold(name): one for name, one in in_git.items()}
    return forgettable(all_records, all_records, folded)


def test_what_is_in_git_may_be_forgotten() -> None:
    """One address for each resource, whatever its instances."""
    many = resource(
        "databricks_secret",
        "all",
        secret_in("s", "a", "1", index_key="a"),
        secret_in("s", "b", "2", index_key="b"),
        module="module.m[0]",
    )
    found = forgotten(
        records(scope("s"), many, grant("g", "s", "users", "READ")),
        s=done(Acl(principal=Principal("Users"), permission=Permission.READ)),
    )
    assert found.whole == ("databricks_secret_acl.g", "databricks_secret_scope.this", "module.m.databricks_secret.all")
    assert (found.parts, found.kept) == ({}, 0)


def test_resource_that_holds_something_else_is_forgotten_in_part() -> None:
    """A removed block forgets all instances, also those that are not in git: of those nobody would know any more."""
    many = resource(
        "databricks_secret", "all", secret_in("s", "a", "1", index_key="a"), secret_in("t", "b", "2", index_key="b")
    )
    found = forgotten(records(many), s=done())
    assert found.whole == ()
    assert found.parts == {"databricks_secret.all": ('databricks_secret.all["a"]',)}
    assert found.kept == 1
    text = as_configuration(found, ["Said."])
    assert "removed {" not in text
    assert """terraform state rm 'databricks_secret.all["a"]'""" in text
    assert all(line.startswith("#") for line in text.splitlines())


@pytest.mark.parametrize(
    "in_git",
    [
        pytest.param(done(flawed="A"), id="key-left-out"),
        pytest.param(done(standing=Standing.FAILED), id="failed"),
        pytest.param(done(standing=Standing.REFUSED), id="refused"),
        pytest.param(done(standing=Standing.SKIPPED), id="skipped"),
    ],
)
def test_what_is_not_in_git_stays_with_terraform(in_git: InGit) -> None:
    """Neither the secret nor the scope that it is in."""
    found = forgotten(records(scope("s"), secret("a", "s", "a", "1")), s=in_git)
    assert (found.whole, found.parts, found.kept) == ((), {}, 2)


def test_grant_that_git_does_not_make_stays_with_terraform() -> None:
    """A merge leaves the acls of files alone."""
    made = records(grant("g", "s", "users", "READ"), grant("h", "s", "team", "READ"))
    found = forgotten(made, s=done(Acl(principal=Principal("users"), permission=Permission.WRITE)))
    assert found.whole == ()
    assert found.kept == 2


def test_scope_found_is_a_scope_to_place() -> None:
    """What a scope without secrets is, is for whoever places it to say."""
    (found,) = scopes(scope("empty"))
    assert found == FoundScope(scope=ScopeName("empty"), keys={}, acls=None)
