"""What can be set about the embedded workspace, so that every documented error can be provoked."""

from dataclasses import dataclass
from typing import Final

from reconciler.model import MAX_KEYS_PER_SCOPE, MAX_SCOPES_PER_WORKSPACE


KEY_VAULT_FINE: Final = 200
"""Answer of a Key Vault that lets the platform in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How strict the workspace is where the platform can be either way. The defaults are the platform's."""

    max_scopes: int = MAX_SCOPES_PER_WORKSPACE
    """Most scopes; one more is refused with RESOURCE_LIMIT_EXCEEDED."""

    max_keys_per_scope: int = MAX_KEYS_PER_SCOPE
    """Most secrets of a scope; one more is refused with RESOURCE_LIMIT_EXCEEDED."""

    values_outside_notebooks: bool = True
    """Whether `get` hands out values. False: BAD_REQUEST, which the API documents for calls from outside a notebook."""

    existing_acls_refused: bool = False
    """Whether `acls/put` refuses a principal that has an entry (RESOURCE_ALREADY_EXISTS) instead of overwriting it.

    The API reference says both; the platform's own tools rely on overwriting.
    """

    key_vault_status: int = KEY_VAULT_FINE
    """What the Key Vault behind a Key-Vault-backed scope answers: 200, 403 (PERMISSION_DENIED), other 4xx
    (MALFORMED_REQUEST)."""

    premium: bool = True
    """Whether the workspace is of the premium plan. False: scopes are created for the group `users` alone
    (BAD_REQUEST, as reported in https://github.com/MicrosoftDocs/azure-docs/issues/92584), and calls about ACLs are
    denied (PERMISSION_DENIED, as reported in https://github.com/Azure/azure-databricks-operator/issues/99)."""

    without_access: frozenset[str] = frozenset()
    """Users whose token is good, but who have no access to the workspace: PERMISSION_DENIED for every call."""
