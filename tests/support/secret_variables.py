"""Variables of the environment that hold credentials, as users and pipelines set them."""

from typing import Final


OURS: Final = (
    *("SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY_CMD", "SOPS_AGE_SSH_PRIVATE_KEY_FILE"),
    *("SOPS_AGE_SSH_PRIVATE_KEY_CMD", "OP_SERVICE_ACCOUNT_TOKEN", "OP_SESSION_abc", "BW_SESSION", "DOPPLER_TOKEN"),
    *("DATABRICKS_TOKEN", "DATABRICKS_PASSWORD", "DATABRICKS_CLIENT_SECRET", "DATABRICKS_OIDC_TOKEN", "MY_OIDC"),
    *("DATABRICKS_METADATA_SERVICE_URL", "ARM_CLIENT_SECRET", "ARM_OIDC_TOKEN", "ARM_OIDC_REQUEST_TOKEN"),
    *("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_PASSWORD", "IDENTITY_HEADER", "MSI_SECRET"),
    *("GOOGLE_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_OAUTH_ACCESS_TOKEN"),
    *("CLOUDSDK_AUTH_ACCESS_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("AWS_CONTAINER_AUTHORIZATION_TOKEN", "HUAWEICLOUD_SDK_SK", "VAULT_TOKEN", "BAO_TOKEN"),
    *("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_RUNTIME_TOKEN", "SYSTEM_ACCESSTOKEN"),
    *("CI_JOB_JWT_V2", "CIRCLE_OIDC_TOKEN", "BITBUCKET_STEP_OIDC_TOKEN", "BUILDKITE_AGENT_ACCESS_TOKEN"),
    *("RECONCILER_EMULATOR_ADMIN_TOKEN", "RECONCILER_EMULATOR_USER_TOKEN"),
)
"""No program of the user that is started gets these; ``MY_OIDC`` is the one that `SURROUNDINGS` names."""

OF_GIT: Final = (
    *("GH_TOKEN", "GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN", "GITLAB_TOKEN", "CI_JOB_TOKEN"),
    *("AZURE_DEVOPS_EXT_PAT", "SSH_AUTH_SOCK", "GIT_CONFIG_VALUE_0"),
)
"""git and gh get these."""

SURROUNDINGS: Final = {
    **dict.fromkeys((*OURS, *OF_GIT), "CANARY-of-a-credential"),
    "DATABRICKS_OIDC_TOKEN_ENV": "MY_OIDC",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "x.y",
    "MINE": "here",
}
"""An environment with all of them, and what else there may be."""


def names_in(printed: str) -> frozenset[str]:
    """Return which variables ``env`` has printed, a line for each."""
    return frozenset(line.partition("=")[0] for line in printed.splitlines())
