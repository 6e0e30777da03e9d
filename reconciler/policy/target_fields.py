"""The allow-list of targets.yaml: which fields there are, how each must look, and why others are refused."""

import re
from typing import Final

from reconciler.policy import zones


AUTH_TYPES: Final = (
    "pat",
    "oauth-m2m",
    "github-oidc",
    "github-oidc-azure",
    "azure-devops-oidc",
    "env-oidc",
    "file-oidc",
    "azure-client-secret",
    "google-credentials",
    "google-id",
    "metadata-service",
)
"""Strategies of the SDK (``credentials_provider.py``) that may be chosen here.

Their secrets, files and addresses come from the environment alone: ``file-oidc`` reads the file that
DATABRICKS_OIDC_TOKEN_FILEPATH names, never one named in git.
"""

REFUSED_AUTH_TYPES: Final = {
    "azure-cli": "it runs a program",
    "databricks-cli": "it runs a program",
    "external-browser": "it starts a browser and waits for a person",
    "basic": "Databricks ended password authentication in 2024",
    "runtime": "inside a notebook the runtime decides on the host, not this file",
    "runtime-oauth": "inside a notebook the runtime decides on the host, not this file",
    "model-serving": "it works only inside model serving, which has no use for it",
}
"""Strategies of the SDK that may not be chosen here, and why. A profile of the user's own may still use them."""

_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
DIGITS: Final = re.compile(r"[0-9]{1,64}")
PLAIN: Final = re.compile(r"[!-~]{1,512}")
_PROFILE: Final = re.compile(r"[A-Za-z0-9_.@][A-Za-z0-9_.@ -]{0,127}")
UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

WORKSPACE_FIELDS: Final[dict[str, tuple[re.Pattern[str], str]]] = {
    "host": (re.compile(r"(?s:.{1,512})"), zones.EXPECTED_HOST),  # what is odd about it is said by zones
    "auth_type": (PLAIN, f"one of {', '.join(AUTH_TYPES)}"),
    "profile": (_PROFILE, "the name of a profile of ~/.databrickscfg"),
    "workspace_id": (_ID, "the workspace id: letters, digits and -"),
    "account_id": (_ID, "the account id: letters, digits and -"),
    "client_id": (_ID, "the application id of a service principal"),
    "token_audience": (PLAIN, "an audience: printable ASCII without spaces"),
    "azure_client_id": (_ID, "the client id of an Entra application"),
    "azure_tenant_id": (PLAIN, "the id of an Entra tenant"),
    "azure_workspace_resource_id": (
        re.compile(r"/subscriptions/[A-Za-z0-9_.()/-]{1,500}"),
        "/subscriptions/…/providers/Microsoft.Databricks/workspaces/NAME",
    ),
}
"""What ``workspace`` takes, how it must look, and how to say so."""

SECRET_FIELDS: Final = {
    "token": "DATABRICKS_TOKEN",
    "password": "DATABRICKS_PASSWORD",
    "client_secret": "DATABRICKS_CLIENT_SECRET",
    "azure_client_secret": "ARM_CLIENT_SECRET",
    "google_credentials": "GOOGLE_CREDENTIALS",
}
"""Settings of the SDK that are secrets, and the variable each is read from."""

PLACE_FIELD: Final = re.compile(r"\w*(?:path|file|url)", re.ASCII)
"""Settings that name a program, a file or an address: ``azure_cli_path``, ``config_file``, ``metadata_service_url``…"""

TOP_FIELDS: Final = ("owner", "targets")
TARGET_FIELDS: Final = (
    "embedded",
    "age_key_file",
    "workspace",
    "operators",
    "ledger_readers",
    "protected_principals",
    "ledger_scope",
)


def other_level(name: str) -> str | None:
    """Return advice for a field that stands on the wrong level of the file."""
    if name in WORKSPACE_FIELDS:
        return "it belongs below workspace"
    if name in TARGET_FIELDS:
        return "it belongs to the target, one level up"
    return None
