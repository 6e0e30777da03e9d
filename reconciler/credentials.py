"""Which variables of the environment hold credentials: one list for every program of the user that is started here.

An editor has plugins and git has hooks that others wrote, and each of them can read the environment. Programs that need
less than these (sops, key commands) get an allow-list of their own. See docs/adr/0023.
"""

from collections.abc import Mapping
from typing import Final

from reconciler.policy.target_fields import SECRET_FIELDS


_WORKSPACES: Final = frozenset(
    {
        *SECRET_FIELDS.values(),
        # Where the SDK has the token of an identity from; the URL hands tokens to whoever asks.
        *("DATABRICKS_OIDC_TOKEN", "DATABRICKS_METADATA_SERVICE_URL"),
        # The SDK's own ways to a token in pipelines: of GitHub, and of Azure DevOps.
        *("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "SYSTEM_ACCESSTOKEN"),
        *("RECONCILER_EMULATOR_ADMIN_TOKEN", "RECONCILER_EMULATOR_USER_TOKEN"),
    }
)
"""What logs in to a workspace."""

_KEYS: Final = frozenset(
    {
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"),
        *("AWS_SECRET_KEY", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"),
        *("GOOGLE_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_OAUTH_ACCESS_TOKEN"),
        *("CLOUDSDK_AUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"),
        *("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_PASSWORD"),
        *("ARM_CLIENT_SECRET", "ARM_CLIENT_CERTIFICATE_PASSWORD", "ARM_ACCESS_KEY", "ARM_SAS_TOKEN"),
        *("ARM_OIDC_TOKEN", "ARM_OIDC_REQUEST_TOKEN", "IDENTITY_HEADER", "MSI_SECRET"),
        *("HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_SECURITY_TOKEN"),
        *("VAULT_TOKEN", "BAO_TOKEN"),
        # Password managers that key commands ask, as in docs/adr/0013.
        *("OP_SERVICE_ACCOUNT_TOKEN", "OP_CONNECT_TOKEN", "BW_SESSION", "BW_PASSWORD", "BW_CLIENTSECRET"),
        *("DOPPLER_TOKEN", "INFISICAL_TOKEN", "CONJUR_AUTHN_API_KEY", "AKEYLESS_ACCESS_KEY"),
    }
)
"""What opens files, or asks the services that do: those of sops, and those that print an age key."""

_KEY_PREFIXES: Final = ("SOPS_AGE_KEY", "SOPS_AGE_SSH_", "OP_SESSION_")
"""Keys, the files that hold them, and the commands that print them, of which the words may hold a password."""

_PIPELINES: Final = frozenset(
    {
        "ACTIONS_RUNTIME_TOKEN",
        "CI_JOB_JWT",
        "CI_JOB_JWT_V1",
        "CI_JOB_JWT_V2",
        "CIRCLE_OIDC_TOKEN",
        "CIRCLE_OIDC_TOKEN_V2",
    }
    | {"BITBUCKET_STEP_OIDC_TOKEN", "BUILDKITE_AGENT_ACCESS_TOKEN"}
)
"""What pipelines give to jobs, as whom others take them in."""

_GIT: Final = frozenset(
    {
        *("GH_TOKEN", "GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"),
        *("GITLAB_TOKEN", "CI_JOB_TOKEN", "AZURE_DEVOPS_EXT_PAT", "SSH_AUTH_SOCK"),
        *("GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"),
    }
)
"""What pushes and opens pull requests. SSH signs commits, too."""

_GIT_PREFIXES: Final = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")
"""A configuration by variables, where pipelines put a header with a token; git refuses its count without its values."""

_NAMES_A_VARIABLE: Final = "DATABRICKS_OIDC_TOKEN_ENV"
"""Says which variable holds the token, if it is not that of the SDK."""


def without_credentials(environ: Mapping[str, str], *, for_git: bool = False) -> dict[str, str]:
    """Return an environment without what logs in, opens files or signs.

    Args:
        environ: that of the run.
        for_git: leave what git and gh push with, and sign with.
    """
    names = _WORKSPACES | _KEYS | _PIPELINES | {environ.get(_NAMES_A_VARIABLE, "")}
    prefixes: tuple[str, ...] = _KEY_PREFIXES
    if for_git:
        names -= _GIT  # also when one of these is what an identity is had from
    else:
        names |= _GIT
        prefixes += _GIT_PREFIXES
    return {name: text for name, text in environ.items() if name not in names and not name.startswith(prefixes)}
