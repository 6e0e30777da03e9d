"""What must not happen even though a plan says so: each guard looks at facts and returns a refusal or None.

Pure. A refusal names what it protects, why, and the way to go on that is meant.
"""

from typing import Final

from reconciler.errors import Refused
from reconciler.survey import ScopeState
from reconciler.workspace import Backend


_MOST_NAMED: Final = 3
"""Files that a refusal names before it counts the rest."""


def key_vault(state: ScopeState) -> Refused | None:
    """Refuse a scope whose values live in an Azure Key Vault, as this API only reads them.

    Put and delete answer BAD_REQUEST: https://docs.databricks.com/api/workspace/secrets/putsecret and
    https://learn.microsoft.com/azure/databricks/security/secrets/workspace-secret-scopes.
    """
    if state.backend is Backend.DATABRICKS:
        return None
    return Refused(
        f"scope {state.scope} is backed by {state.backend.value}, which the Secrets API cannot write",
        advice="manage its values in the vault, or give the files another scope name",
    )


def uncommitted(paths: tuple[str, ...]) -> Refused | None:
    """Refuse to apply while ``secrets/`` or ``.sops.yaml`` differ from the commit: what was reviewed is the commit.

    Args:
        paths: What git status names, relative to the directory of the run.
    """
    if not paths:
        return None
    more = len(paths) - _MOST_NAMED
    named = ", ".join(paths[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    return Refused(
        f"uncommitted or untracked changes: {named}",
        advice="commit them, or pass --allow-dirty to apply the files as they are in the work tree",
    )
