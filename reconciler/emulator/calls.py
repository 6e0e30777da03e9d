"""What each call of the Secrets API does, and when it refuses.

Rules are those of https://docs.databricks.com/api/workspace/secrets and
https://docs.databricks.com/aws/en/security/secrets/; what these leave open is decided here and listed in
``docs/emulator.md``. Every call checks in this order: parameters, scope, permission, plan, backend, limits.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NewType

from reconciler.emulator.fields import Fields
from reconciler.emulator.identities import Directory, Identity
from reconciler.emulator.refusals import Code, Refusal, bad_request, denied, invalid, malformed, missing
from reconciler.emulator.rules import KEY_VAULT_FINE, Rules
from reconciler.emulator.store import KeyVault, Store, StoredScope
from reconciler.model import MAX_VALUE_BYTES, USERS, Permission, Principal, fold, is_key_name, is_scope_name
from reconciler.workspace import Backend


Answer = NewType("Answer", dict[str, object])
"""A JSON object. Empty lists are left out, as the platform does."""

_INTERNAL_PREFIX: Final = "__databricks_internal"
"""Begin of scope names that stand for those reserved for the platform; which these are is not documented."""

_KEY_VAULT_NAME: Final = re.compile(r"[0-9A-Za-z-]{1,127}", re.ASCII)
"""Names of Azure Key Vault: https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates."""

_MAX_PRINCIPAL_CHARS: Final = 255
"""Longest principal. Ours: the platform documents no limit, only that there are invalid ones."""

_FORBIDDEN: Final = 403
"""HTTP status by which a Key Vault says that it does not let the platform in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One endpoint."""

    method: str
    path: str
    run: "Callable[[SecretsApi, Identity, Fields], Answer]"


class SecretsApi:
    """The Secrets API 2.0 over a store."""

    def __init__(self, *, store: Store, directory: Directory, rules: Rules) -> None:
        self._store = store
        self._directory = directory
        self._rules = rules

    def list_scopes(self, _caller: Identity, _fields: Fields) -> Answer:
        """``scopes/list``: all scopes, whoever asks, as their names are readable by all users in the workspace."""
        with self._store.reading():
            scopes = self._store.scopes()
        return _listing("scopes", [_scope_answer(scope) for scope in scopes])

    def create_scope(self, caller: Identity, fields: Fields) -> Answer:
        """``scopes/create``: any user of the workspace may."""
        name = fields.text("scope")
        manager = fields.optional_text("initial_manage_principal")
        backend, key_vault = _backend(fields)
        if _is_internal(name):
            raise Refusal(Code.CUSTOMER_UNAUTHORIZED, "This scope name is reserved for internal use.")
        if not is_scope_name(name):
            raise invalid(
                "Scope name must consist of alphanumeric characters, dashes, underscores, @ and periods, and may not "
                "exceed 128 characters."
            )
        if manager and fold(manager) != fold(USERS):
            raise bad_request("The only supported initial_manage_principal is the group users.")
        if not manager and not self._rules.premium:
            raise bad_request(
                "Premium Tier is disabled in this workspace. Secret scopes can only be created with "
                'initial_manage_principal "users".'
            )
        if backend is Backend.AZURE_KEYVAULT and not caller.is_admin:
            raise Refusal(Code.UNAUTHENTICATED, "Unable to verify your permission on the Azure Key Vault.")
        with self._store.writing():
            existing = self._store.find_scope(name)
            if existing is not None:
                raise Refusal(Code.RESOURCE_ALREADY_EXISTS, f"Scope {existing.name} already exists!")
            if self._store.count_scopes() >= self._rules.max_scopes:
                limit = self._rules.max_scopes
                raise Refusal(Code.RESOURCE_LIMIT_EXCEEDED, f"The workspace has its {limit} scopes already.")
            self._store.add_scope(name, backend=backend, key_vault=key_vault, manager=USERS if manager else caller.name)
        return Answer({})

    def delete_scope(self, caller: Identity, fields: Fields) -> Answer:
        """``scopes/delete``: needs MANAGE."""
        name = fields.text("scope")
        if _is_internal(name):
            raise bad_request("An internal scope cannot be deleted.")
        with self._store.writing():
            self._store.delete_scope(self._scope(caller, name, Permission.MANAGE))
        return Answer({})

    def list_secrets(self, caller: Identity, fields: Fields) -> Answer:
        """``list``: needs READ."""
        name = fields.text("scope")
        with self._store.reading():
            scope = self._scope(caller, name, Permission.READ)
            secrets = self._store.secrets(scope)
        return _listing(
            "secrets", [{"key": secret.key, "last_updated_timestamp": secret.updated_ms} for secret in secrets]
        )

    def get_secret(self, caller: Identity, fields: Fields) -> Answer:
        """``get``: needs READ; the value comes as base64."""
        name, key = fields.text("scope"), fields.text("key")
        with self._store.reading():
            scope = self._scope(caller, name, Permission.READ)
            if not self._rules.values_outside_notebooks:
                raise bad_request("Secret values can only be read from within a notebook.")
            if scope.backend is Backend.AZURE_KEYVAULT and not _KEY_VAULT_NAME.fullmatch(key):
                raise invalid("The name of a Key Vault secret has up to 127 alphanumeric characters and dashes.")
            self._check_key_vault(scope)
            found = self._store.find_secret(scope, key)
        if found is None:
            raise missing(f"Secret does not exist with this key in scope {scope.name}.")
        return Answer({"key": found[0], "value": base64.b64encode(found[1]).decode("ascii")})

    def put_secret(self, caller: Identity, fields: Fields) -> Answer:
        """``put``: needs WRITE; overwrites."""
        name, key = fields.text("scope"), fields.text("key")
        value = fields.secret_bytes()
        if not is_key_name(key):
            raise invalid(
                "Secret key must consist of alphanumeric characters, dashes, underscores and periods, and may not "
                "exceed 128 characters."
            )
        if len(value) > MAX_VALUE_BYTES:
            raise invalid(f"The maximum allowed secret value size is {MAX_VALUE_BYTES} bytes.")
        with self._store.writing():
            scope = self._scope(caller, name, Permission.WRITE)
            _refuse_read_only(scope)
            full = self._store.count_secrets(scope) >= self._rules.max_keys_per_scope
            if full and not self._store.has_secret(scope, key):
                limit = self._rules.max_keys_per_scope
                raise Refusal(Code.RESOURCE_LIMIT_EXCEEDED, f"Scope {scope.name} has its {limit} secrets already.")
            self._store.put_secret(scope, key, value)
        return Answer({})

    def delete_secret(self, caller: Identity, fields: Fields) -> Answer:
        """``delete``: needs WRITE."""
        name, key = fields.text("scope"), fields.text("key")
        if _is_internal(name):
            raise bad_request("An internal secret cannot be deleted.")
        with self._store.writing():
            scope = self._scope(caller, name, Permission.WRITE)
            _refuse_read_only(scope)
            if not self._store.delete_secret(scope, key):
                raise missing(f"Secret does not exist with this key in scope {scope.name}.")
        return Answer({})

    def put_acl(self, caller: Identity, fields: Fields) -> Answer:
        """``acls/put``: needs MANAGE; overwrites."""
        name = fields.text("scope")
        principal, permission = self._principal(fields), _permission(fields)
        with self._store.writing():
            scope = self._managed(caller, name)
            if self._rules.existing_acls_refused and principal in self._store.grants(scope):
                raise Refusal(Code.RESOURCE_ALREADY_EXISTS, "A permission for the principal already exists.")
            self._store.put_grant(scope, principal, permission)
        return Answer({})

    def get_acl(self, caller: Identity, fields: Fields) -> Answer:
        """``acls/get``: needs MANAGE."""
        name, principal = fields.text("scope"), self._principal(fields)
        with self._store.reading():
            scope = self._managed(caller, name)
            permission = self._store.grants(scope).get(principal)
        if permission is None:
            raise missing(f"The principal has no ACL on scope {scope.name}.")
        return Answer({"principal": principal, "permission": permission.name})

    def list_acls(self, caller: Identity, fields: Fields) -> Answer:
        """``acls/list``: needs MANAGE."""
        name = fields.text("scope")
        with self._store.reading():
            grants = self._store.grants(self._managed(caller, name))
        return _listing(
            "items", [{"principal": who, "permission": permission.name} for who, permission in grants.items()]
        )

    def delete_acl(self, caller: Identity, fields: Fields) -> Answer:
        """``acls/delete``: needs MANAGE. A principal that does not exist has no ACL, and is told so."""
        name, wanted = fields.text("scope"), fields.text("principal")
        if len(wanted) > _MAX_PRINCIPAL_CHARS:
            raise invalid("The principal is not valid.")
        principal = self._directory.find(wanted)
        with self._store.writing():
            scope = self._managed(caller, name)
            if principal is None or not self._store.delete_grant(scope, principal):
                raise missing(f"The principal has no ACL on scope {scope.name}.")
        return Answer({})

    def _scope(self, caller: Identity, name: str, needed: Permission) -> StoredScope:
        """Return a scope on which the caller has at least ``needed``."""
        scope = self._store.find_scope(name)
        if scope is None:
            raise missing("The scope does not exist.")
        if caller.is_admin:
            return scope
        held = (
            permission for principal, permission in self._store.grants(scope).items() if caller.answers_to(principal)
        )
        if max(held, default=0) < needed:
            raise denied(
                f"{caller.name} does not have {needed.name} permission on scope {scope.name} to perform this action."
            )
        return scope

    def _managed(self, caller: Identity, name: str) -> StoredScope:
        """Return a scope whose ACLs the caller may read and change."""
        scope = self._scope(caller, name, Permission.MANAGE)
        if not self._rules.premium:
            raise denied("ACL is not supported in your workspace.")
        return scope

    def _principal(self, fields: Fields) -> Principal:
        principal = self._directory.find(fields.text("principal"))
        if principal is None:
            raise invalid("The principal does not exist in this workspace.")
        return principal

    def _check_key_vault(self, scope: StoredScope) -> None:
        """Refuse what needs the Key Vault while that keeps the platform out."""
        status = self._rules.key_vault_status
        if scope.backend is not Backend.AZURE_KEYVAULT or status == KEY_VAULT_FINE:
            return
        message = f"The Key Vault of scope {scope.name} answered {status}."
        raise denied(message) if status == _FORBIDDEN else malformed(message)


def _listing(name: str, items: list[dict[str, object]]) -> Answer:
    return Answer({name: items} if items else {})


def _scope_answer(scope: StoredScope) -> dict[str, object]:
    answer: dict[str, object] = {"name": scope.name, "backend_type": scope.backend.value}
    if scope.key_vault is not None:
        answer["keyvault_metadata"] = scope.key_vault.fields()
    return answer


def _is_internal(scope: str) -> bool:
    return fold(scope).startswith(_INTERNAL_PREFIX)


def _permission(fields: Fields) -> Permission:
    text = fields.text("permission")
    if text not in Permission.__members__:
        raise invalid("The permission must be READ, WRITE or MANAGE.")
    return Permission[text]


def _backend(fields: Fields) -> tuple[Backend, KeyVault | None]:
    """Return where a new scope keeps its values. The reference writes the type in lower case, the SDK in upper."""
    text = (fields.optional_text("scope_backend_type") or Backend.DATABRICKS.value).upper()
    if text not in Backend.__members__:
        raise invalid("scope_backend_type must be DATABRICKS or AZURE_KEYVAULT.")
    backend = Backend[text]
    if backend is Backend.DATABRICKS:
        if fields.has("backend_azure_keyvault"):
            raise bad_request("backend_azure_keyvault may only be given for a scope of type AZURE_KEYVAULT.")
        return backend, None
    metadata = fields.inner("backend_azure_keyvault")
    return backend, KeyVault(resource_id=metadata.text("resource_id"), dns_name=metadata.text("dns_name"))


def _refuse_read_only(scope: StoredScope) -> None:
    if scope.backend is Backend.AZURE_KEYVAULT:
        raise bad_request(f"Scope {scope.name} is backed by Azure Key Vault and cannot be written through this API.")


CALLS: Final = (
    Call(method="GET", path="/api/2.0/secrets/scopes/list", run=SecretsApi.list_scopes),
    Call(method="POST", path="/api/2.0/secrets/scopes/create", run=SecretsApi.create_scope),
    Call(method="POST", path="/api/2.0/secrets/scopes/delete", run=SecretsApi.delete_scope),
    Call(method="GET", path="/api/2.0/secrets/list", run=SecretsApi.list_secrets),
    Call(method="GET", path="/api/2.0/secrets/get", run=SecretsApi.get_secret),
    Call(method="POST", path="/api/2.0/secrets/put", run=SecretsApi.put_secret),
    Call(method="POST", path="/api/2.0/secrets/delete", run=SecretsApi.delete_secret),
    Call(method="POST", path="/api/2.0/secrets/acls/put", run=SecretsApi.put_acl),
    Call(method="GET", path="/api/2.0/secrets/acls/get", run=SecretsApi.get_acl),
    Call(method="GET", path="/api/2.0/secrets/acls/list", run=SecretsApi.list_acls),
    Call(method="POST", path="/api/2.0/secrets/acls/delete", run=SecretsApi.delete_acl),
)
"""Every endpoint of the Secrets API 2.0."""
