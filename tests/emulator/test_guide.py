"""What the platform's own guide teaches, with the unmodified SDK."""

import base64
from collections.abc import Iterator

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound, PermissionDenied, ResourceAlreadyExists
from databricks.sdk.service.workspace import (
    AclItem,
    AclPermission,
    AzureKeyVaultSecretScopeMetadata,
    ScopeBackendType,
    SecretScope,
)

from reconciler.emulator import Emulator
from reconciler.workspace import RequestCount
from tests.emulator.sdk import sdk_client


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Run a workspace in memory."""
    with Emulator() as running:
        yield running


@pytest.fixture
def admin(emulator: Emulator) -> WorkspaceClient:
    """Return the SDK as the admin, with a scope ``secrets`` that users may read."""
    client = sdk_client(emulator, emulator.admin_token)
    client.secrets.create_scope("secrets")
    client.secrets.put_acl("secrets", "users", AclPermission.READ)
    return client


@pytest.fixture
def user(emulator: Emulator) -> WorkspaceClient:
    """Return the SDK as the plain user."""
    return sdk_client(emulator, emulator.user_token)


def test_scopes_are_listed_and_secrets_is_among_them(admin: WorkspaceClient, user: WorkspaceClient) -> None:
    """Anybody finds the scope by listing the scopes, through the API and through dbutils."""
    listed = list(user.secrets.list_scopes())
    assert listed == [SecretScope(name="secrets", backend_type=ScopeBackendType.DATABRICKS)]
    assert [scope.name for scope in user.dbutils.secrets.listScopes()] == ["secrets"]


def test_secret_that_an_admin_puts_is_what_a_user_gets_from_dbutils(
    admin: WorkspaceClient, user: WorkspaceClient
) -> None:
    """The line that the guide teaches, `dbutils.secrets.get(scope, key)`, returns the admin's value."""
    admin.secrets.put_secret("secrets", "secret-name", string_value="grüße")
    assert user.dbutils.secrets.get(scope="secrets", key="secret-name") == "grüße"
    assert user.dbutils.secrets.getBytes(scope="secrets", key="secret-name") == "grüße".encode()
    assert [secret.key for secret in user.dbutils.secrets.list("secrets")] == ["secret-name"]
    assert user.secrets.get_secret("secrets", "secret-name").value == base64.b64encode("grüße".encode()).decode()


def test_put_of_a_user_is_refused(admin: WorkspaceClient, user: WorkspaceClient) -> None:
    """READ does not let a user put, and the SDK raises its PermissionDenied with the platform's code."""
    with pytest.raises(PermissionDenied, match="does not have WRITE permission on scope secrets") as refused:
        user.secrets.put_secret("secrets", "secret-name", string_value="x")
    assert refused.value.error_code == "PERMISSION_DENIED"


def test_user_with_write_puts_and_deletes(admin: WorkspaceClient, user: WorkspaceClient) -> None:
    """WRITE lets a user put and delete."""
    admin.secrets.put_acl("secrets", "user@example.com", AclPermission.WRITE)
    user.secrets.put_secret("secrets", "key", bytes_value=base64.b64encode(b"\0\xff\r\n").decode())
    assert user.dbutils.secrets.getBytes("secrets", "key") == b"\0\xff\r\n"
    user.secrets.delete_secret("secrets", "key")
    with pytest.raises(NotFound):
        user.dbutils.secrets.get("secrets", "key")


def test_acls_are_put_read_listed_and_deleted(admin: WorkspaceClient) -> None:
    """The creator has MANAGE; a grant can be overwritten, read back, listed and taken away."""
    admin.secrets.put_acl("secrets", "users", AclPermission.MANAGE)
    assert admin.secrets.get_acl("secrets", "users") == AclItem(principal="users", permission=AclPermission.MANAGE)
    admin.secrets.delete_acl("secrets", "users")
    only = AclItem(principal="admin@example.com", permission=AclPermission.MANAGE)
    assert list(admin.secrets.list_acls("secrets")) == [only]


def test_scope_that_exists_is_not_created_twice(admin: WorkspaceClient) -> None:
    """The SDK raises its ResourceAlreadyExists, whatever the case of the name."""
    with pytest.raises(ResourceAlreadyExists):
        admin.secrets.create_scope("SECRETS")


def test_deleted_scope_is_gone(admin: WorkspaceClient) -> None:
    """Deleting a scope takes its secrets and ACLs along."""
    admin.secrets.put_secret("secrets", "key", string_value="x")
    admin.secrets.delete_scope("secrets")
    admin.secrets.create_scope("secrets")
    assert list(admin.secrets.list_secrets("secrets")) == []
    assert len(list(admin.secrets.list_acls("secrets"))) == 1


def test_key_vault_backed_scope_shows_its_vault(admin: WorkspaceClient) -> None:
    """A Key-Vault-backed scope is listed with what it was created with."""
    vault = AzureKeyVaultSecretScopeMetadata(resource_id="/vaults/v", dns_name="https://v.vault.azure.net/")
    admin.secrets.create_scope(
        "vault", scope_backend_type=ScopeBackendType.AZURE_KEYVAULT, backend_azure_keyvault=vault
    )
    listed = {scope.name: scope for scope in admin.secrets.list_scopes()}["vault"]
    assert listed.backend_type is ScopeBackendType.AZURE_KEYVAULT
    assert listed.keyvault_metadata == vault
    assert list(admin.secrets.list_secrets("vault")) == []


def test_sdk_learns_who_is_calling(admin: WorkspaceClient, user: WorkspaceClient) -> None:
    """``current_user.me`` gives user name and groups."""
    me, other = admin.current_user.me(), user.current_user.me()
    assert (me.user_name, [group.display for group in me.groups or ()]) == ("admin@example.com", ["admins", "users"])
    assert (other.user_name, [group.display for group in other.groups or ()]) == ("user@example.com", ["users"])
    assert me.id != other.id


def test_sdk_takes_the_host_for_a_workspace(emulator: Emulator, user: WorkspaceClient) -> None:
    """The discovery document gives the SDK a workspace id and OIDC on this host, and costs one reading request."""
    assert emulator.requests == RequestCount(read=1, write=0)
    assert user.config.workspace_id == "1"
    assert user.get_workspace_id() == 1
    assert user.config.discovery_url == f"{emulator.url}/oidc/.well-known/oauth-authorization-server"
