"""Every error of the documented API, and how to provoke it: the table of ``docs/emulator.md``, as code.

``test_refusals.py`` runs each row, compares the rows with the documentation, and with what the SDK's own docstrings
say is thrown.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from reconciler.emulator import Emulator, Rules
from tests.emulator.caller import Answer, as_admin, as_user


VAULT: Final = {"resource_id": "/subscriptions/x/vaults/v", "dns_name": "https://v.vault.azure.net/"}

CANARY: Final = "canary-5f1d-value"
"""Sent as a value wherever one fits; no answer may hold it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One documented error of one call."""

    call: str
    """Below ``/api/2.0/secrets/``; ``every call`` for the front door."""
    code: str | int
    status: int
    how: str
    """As the documentation says it, in Markdown."""
    provoke: Callable[[Emulator], Answer]
    rules: Rules = field(default_factory=Rules)

    @property
    def markdown(self) -> str:
        """The row as it stands in the documentation."""
        call = self.call if self.call == EVERY else f"`{self.call}`"
        return f"| {call} | `{self.code}` | {self.status} | {self.how} |"

    @property
    def name(self) -> str:
        """Name of the test."""
        return f"{self.call} {self.code}: {self.how}"


EVERY: Final = "every call"


def setup(emulator: Emulator) -> None:
    """Fill the workspace: ``open`` (READ for users) with ``key``, ``closed``, and Key-Vault-backed ``vault``."""
    with as_admin(emulator) as admin:
        steps = (
            admin.post("scopes/create", scope="open"),
            admin.post("acls/put", scope="open", principal="users", permission="READ"),
            admin.post("put", scope="open", key="key", string_value=CANARY),
            admin.post("scopes/create", scope="closed"),
            admin.post(
                "scopes/create", scope="vault", scope_backend_type="AZURE_KEYVAULT", backend_azure_keyvault=VAULT
            ),
        )
    assert [step.text for step in steps] == ["{}"] * len(steps)


def _post(path: str, /, *, user: bool = False, **body: object) -> Callable[[Emulator], Answer]:
    def provoke(emulator: Emulator) -> Answer:
        with as_user(emulator) if user else as_admin(emulator) as caller:
            return caller.post(path, **body)

    return provoke


def _get(path: str, /, *, user: bool = False, **query: str) -> Callable[[Emulator], Answer]:
    def provoke(emulator: Emulator) -> Answer:
        with as_user(emulator) if user else as_admin(emulator) as caller:
            return caller.get(path, **query)

    return provoke


def _without_premium(method: str, path: str, /, **fields: str) -> Callable[[Emulator], Answer]:
    """Ask about ACLs of a scope that only everybody can manage."""

    def provoke(emulator: Emulator) -> Answer:
        with as_admin(emulator) as caller:
            caller.post("scopes/create", scope="ours", initial_manage_principal="users")
            return (
                caller.post(path, scope="ours", **fields)
                if method == "POST"
                else caller.get(path, scope="ours", **fields)
            )

    return provoke


def _raw(method: str, target: str, body: bytes | None = None) -> Callable[[Emulator], Answer]:
    def provoke(emulator: Emulator) -> Answer:
        with as_admin(emulator) as caller:
            return caller.send(method, target, body)

    return provoke


def _credential(header: str | None) -> Callable[[Emulator], Answer]:
    def provoke(emulator: Emulator) -> Answer:
        with as_admin(emulator) as caller:
            return caller.send("GET", "/api/2.0/secrets/scopes/list", headers={"Authorization": header or ""})

    return provoke


_NOT_PREMIUM: Final = Rules(premium=False)
_NO_ACCESS: Final = Rules(without_access=frozenset({"user@example.com"}))

_DOOR: Final = (
    Row(call=EVERY, code=401, status=401, how="send no bearer token", provoke=_credential(None)),
    Row(call=EVERY, code=403, status=403, how="send a token that is nobody's", provoke=_credential("Bearer wrong")),
    Row(
        call=EVERY,
        code="PERMISSION_DENIED",
        status=403,
        how="`Rules(without_access=…)` names the caller",
        provoke=_get("list", user=True, scope="open"),
        rules=_NO_ACCESS,
    ),
    Row(
        call=EVERY,
        code="ENDPOINT_NOT_FOUND",
        status=404,
        how="use a path or a method that the API does not have",
        provoke=_raw("GET", "/api/2.0/secrets/put"),
    ),
    Row(
        call=EVERY,
        code="BAD_REQUEST",
        status=400,
        how="send a Host header other than `127.0.0.1:PORT` or `localhost:PORT` (ours: the platform has no such rule)",
        provoke=lambda emulator: _with_host(emulator, "evil.example.com"),
    ),
    Row(
        call=EVERY,
        code="MALFORMED_REQUEST",
        status=400,
        how="POST a body that is not a JSON object",
        provoke=_raw("POST", "/api/2.0/secrets/put", b'{"string_value": "canary-5f1d-value",'),
    ),
    Row(
        call=EVERY,
        code="INVALID_PARAMETER_VALUE",
        status=400,
        how="leave out a required parameter, or send a number for text",
        provoke=_post("put", scope="open", key=5, string_value=CANARY),
    ),
)

_SCOPES: Final = (
    Row(
        call="scopes/list",
        code="PERMISSION_DENIED",
        status=403,
        how="`Rules(without_access=…)` names the caller",
        provoke=_get("scopes/list", user=True),
        rules=_NO_ACCESS,
    ),
    Row(
        call="scopes/create",
        code="RESOURCE_ALREADY_EXISTS",
        status=400,
        how="create a scope twice, in any case",
        provoke=_post("scopes/create", scope="OPEN"),
    ),
    Row(
        call="scopes/create",
        code="RESOURCE_LIMIT_EXCEEDED",
        status=400,
        how="create scope 1,001 (`Rules(max_scopes=…)` for fewer)",
        provoke=_post("scopes/create", scope="fourth"),
        rules=Rules(max_scopes=3),
    ),
    Row(
        call="scopes/create",
        code="INVALID_PARAMETER_VALUE",
        status=400,
        how="a name with a character outside `A-Za-z0-9-_@.` or of more than 128; an unknown `scope_backend_type`",
        provoke=_post("scopes/create", scope="a/b"),
    ),
    Row(
        call="scopes/create",
        code="BAD_REQUEST",
        status=400,
        how="`initial_manage_principal` other than `users`; `backend_azure_keyvault` for a scope of another type",
        provoke=_post("scopes/create", scope="new", initial_manage_principal="admins"),
    ),
    Row(
        call="scopes/create",
        code="BAD_REQUEST",
        status=400,
        how="`Rules(premium=False)`, unless `initial_manage_principal` is `users`",
        provoke=_post("scopes/create", scope="new"),
        rules=_NOT_PREMIUM,
    ),
    Row(
        call="scopes/create",
        code="CUSTOMER_UNAUTHORIZED",
        status=401,
        how="a name that begins with `__databricks_internal`",
        provoke=_post("scopes/create", scope="__databricks_internal_x"),
    ),
    Row(
        call="scopes/create",
        code="UNAUTHENTICATED",
        status=401,
        how="`AZURE_KEYVAULT` as the plain user, who is taken to have no permission on any vault",
        provoke=_post(
            "scopes/create",
            user=True,
            scope="new",
            scope_backend_type="AZURE_KEYVAULT",
            backend_azure_keyvault=VAULT,
        ),
    ),
    Row(
        call="scopes/delete",
        code="RESOURCE_DOES_NOT_EXIST",
        status=404,
        how="a scope that does not exist",
        provoke=_post("scopes/delete", scope="nowhere"),
    ),
    Row(
        call="scopes/delete",
        code="PERMISSION_DENIED",
        status=403,
        how="without MANAGE on the scope",
        provoke=_post("scopes/delete", user=True, scope="open"),
    ),
    Row(
        call="scopes/delete",
        code="BAD_REQUEST",
        status=400,
        how="a name that begins with `__databricks_internal`",
        provoke=_post("scopes/delete", scope="__databricks_internal_x"),
    ),
)

_SECRETS: Final = (
    Row(
        call="list",
        code="RESOURCE_DOES_NOT_EXIST",
        status=404,
        how="a scope that does not exist",
        provoke=_get("list", scope="nowhere"),
    ),
    Row(
        call="list",
        code="PERMISSION_DENIED",
        status=403,
        how="without READ on the scope",
        provoke=_get("list", user=True, scope="closed"),
    ),
    Row(
        call="get",
        code="RESOURCE_DOES_NOT_EXIST",
        status=404,
        how="a scope or a key that does not exist",
        provoke=_get("get", scope="open", key="nothing"),
    ),
    Row(
        call="get",
        code="PERMISSION_DENIED",
        status=403,
        how="without READ on the scope",
        provoke=_get("get", user=True, scope="closed", key="key"),
    ),
    Row(
        call="get",
        code="PERMISSION_DENIED",
        status=403,
        how="a Key-Vault-backed scope with `Rules(key_vault_status=403)`",
        provoke=_get("get", scope="vault", key="key"),
        rules=Rules(key_vault_status=403),
    ),
    Row(
        call="get",
        code="BAD_REQUEST",
        status=400,
        how="`Rules(values_outside_notebooks=False)`",
        provoke=_get("get", scope="open", key="key"),
        rules=Rules(values_outside_notebooks=False),
    ),
    Row(
        call="get",
        code="INVALID_PARAMETER_VALUE",
        status=400,
        how="a Key-Vault-backed scope with a key that is not 1 to 127 letters, digits and dashes",
        provoke=_get("get", scope="vault", key="under_score"),
    ),
    Row(
        call="get",
        code="MALFORMED_REQUEST",
        status=400,
        how="a Key-Vault-backed scope with `Rules(key_vault_status=…)` of another 4xx",
        provoke=_get("get", scope="vault", key="key"),
        rules=Rules(key_vault_status=404),
    ),
    Row(
        call="put",
        code="RESOURCE_DOES_NOT_EXIST",
        status=404,
        how="a scope that does not exist",
        provoke=_post("put", scope="nowhere", key="key", string_value=CANARY),
    ),
    Row(
        call="put",
        code="RESOURCE_LIMIT_EXCEEDED",
        status=400,
        how="put key 1,001 (`Rules(max_keys_per_scope=…)` for fewer)",
        provoke=_post("put", scope="open", key="second", string_value=CANARY),
        rules=Rules(max_keys_per_scope=1),
    ),
    Row(
        call="put",
        code="INVALID_PARAMETER_VALUE",
        status=400,
        how="a key with a character outside `A-Za-z0-9-_.` or of more than 128; a value of more than 131,072 bytes, "
        "that is not base64, or that is missing",
        provoke=_post("put", scope="open", key="key", bytes_value=f"{CANARY}!"),
    ),
    Row(
        call="put",
        code="PERMISSION_DENIED",
        status=403,
        how="without WRITE on the scope",
        provoke=_post("put", user=True, scope="open", key="key", string_value=CANARY),
    ),
    Row(
        call="put",
        code="MALFORMED_REQUEST",
        status=400,
        how="both `string_value` and `bytes_value`",
        provoke=_post("put", scope="open", key="key", string_value=CANARY, bytes_value="YQ=="),
    ),
    Row(
        call="put",
        code="BAD_REQUEST",
        status=400,
        how="a Key-Vault-backed scope",
        provoke=_post("put", scope="vault", key="key", string_value=CANARY),
    ),
    Row(
        call="delete",
        code="RESOURCE_DOES_NOT_EXIST",
        status=404,
        how="a scope or a key that does not exist",
        provoke=_post("delete", scope="open", key="nothing"),
    ),
    Row(
        call="delete",
        code="PERMISSION_DENIED",
        status=403,
        how="without WRITE on the scope",
        provoke=_post("delete", user=True, scope="open", key="key"),
    ),
    Row(
        call="delete",
        code="BAD_REQUEST",
        status=400,
        how="a Key-Vault-backed scope; a scope name that begins with `__databricks_internal`",
        provoke=_post("delete", scope="vault", key="key"),
    ),
)

_ACLS: Final = (
    Row(
        call="acls/put",
        code="RESOURCE_DOES_NOT_EXIST",
        status=404,
        how="a scope that does not exist",
        provoke=_post("acls/put", scope="nowhere", principal="users", permission="READ"),
    ),
    Row(
        call="acls/put",
        code="RESOURCE_ALREADY_EXISTS",
        status=400,
        how="a principal that has an ACL, with `Rules(existing_acls_refused=True)`",
        provoke=_post("acls/put", scope="open", principal="admin@example.com", permission="READ"),
        rules=Rules(existing_acls_refused=True),
    ),
    Row(
        call="acls/put",
        code="INVALID_PARAMETER_VALUE",
        status=400,
        how="a principal that does not exist; a permission other than READ, WRITE, MANAGE",
        provoke=_post("acls/put", scope="open", principal="nobody@example.com", permission="READ"),
    ),
    Row(
        call="acls/put",
        code="PERMISSION_DENIED",
        status=403,
        how="without MANAGE on the scope",
        provoke=_post("acls/put", user=True, scope="open", principal="users", permission="MANAGE"),
    ),
    Row(
        call="acls/put",
        code="PERMISSION_DENIED",
        status=403,
        how="`Rules(premium=False)`",
        provoke=_without_premium("POST", "acls/put", principal="users", permission="READ"),
        rules=_NOT_PREMIUM,
    ),
    Row(
        call="acls/get",
        code="RESOURCE_DOES_NOT_EXIST",
        status=404,
        how="a scope that does not exist; a principal without an ACL on it",
        provoke=_get("acls/get", scope="open", principal="admins"),
    ),
    Row(
        call="acls/get",
        code="PERMISSION_DENIED",
        status=403,
        how="without MANAGE on the scope",
        provoke=_get("acls/get", user=True, scope="open", principal="users"),
    ),
    Row(
        call="acls/get",
        code="PERMISSION_DENIED",
        status=403,
        how="`Rules(premium=False)`",
        provoke=_without_premium("GET", "acls/get", principal="users"),
        rules=_NOT_PREMIUM,
    ),
    Row(
        call="acls/get",
        code="INVALID_PARAMETER_VALUE",
        status=400,
        how="a principal that does not exist",
        provoke=_get("acls/get", scope="open", principal="nobody@example.com"),
    ),
    Row(
        call="acls/list",
        code="RESOURCE_DOES_NOT_EXIST",
        status=404,
        how="a scope that does not exist",
        provoke=_get("acls/list", scope="nowhere"),
    ),
    Row(
        call="acls/list",
        code="PERMISSION_DENIED",
        status=403,
        how="without MANAGE on the scope",
        provoke=_get("acls/list", user=True, scope="open"),
    ),
    Row(
        call="acls/list",
        code="PERMISSION_DENIED",
        status=403,
        how="`Rules(premium=False)`",
        provoke=_without_premium("GET", "acls/list"),
        rules=_NOT_PREMIUM,
    ),
    Row(
        call="acls/delete",
        code="RESOURCE_DOES_NOT_EXIST",
        status=404,
        how="a scope or a principal that does not exist; a principal without an ACL on the scope",
        provoke=_post("acls/delete", scope="open", principal="nobody@example.com"),
    ),
    Row(
        call="acls/delete",
        code="PERMISSION_DENIED",
        status=403,
        how="without MANAGE on the scope",
        provoke=_post("acls/delete", user=True, scope="open", principal="users"),
    ),
    Row(
        call="acls/delete",
        code="PERMISSION_DENIED",
        status=403,
        how="`Rules(premium=False)`",
        provoke=_without_premium("POST", "acls/delete", principal="users"),
        rules=_NOT_PREMIUM,
    ),
    Row(
        call="acls/delete",
        code="INVALID_PARAMETER_VALUE",
        status=400,
        how="a principal of more than 255 characters",
        provoke=_post("acls/delete", scope="open", principal="x" * 256),
    ),
)

ROWS: Final = (*_DOOR, *_SCOPES, *_SECRETS, *_ACLS)


def _with_host(emulator: Emulator, host: str) -> Answer:
    with as_admin(emulator) as caller:
        return caller.send("GET", "/api/2.0/secrets/scopes/list", headers={"Host": host})
