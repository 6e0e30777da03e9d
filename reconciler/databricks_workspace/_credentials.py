"""Turn what the environment or a profile holds into headers, in bounded time.

The strategies are the SDK's own; which of them are tried is decided here. Its default chain also starts programs
(``az``, ``databricks``) that happen to be on PATH, and inside notebooks lets the runtime replace the host.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from databricks.sdk import credentials_provider as sdk

from reconciler.databricks_workspace._calls import CredentialFailure, TookTooLong, within


if TYPE_CHECKING:
    from databricks.sdk.core import Config

Headers = Callable[[], dict[str, str]]

_TRIED: Final = (
    sdk.pat_auth,
    sdk.metadata_service,
    sdk.oauth_service_principal,
    sdk.env_oidc,
    sdk.file_oidc,
    sdk.github_oidc,
    sdk.azure_service_principal,
    sdk.github_oidc_azure,
    sdk.azure_devops_oidc,
    sdk.google_credentials,
    sdk.google_id,
)
"""In the SDK's order. Each says no when what it needs is not there."""

_IF_NAMED: Final = (sdk.azure_cli, sdk.external_browser, sdk.databricks_cli)
"""They start a program or a browser, so the user's own profile or environment must name them; targets.yaml cannot."""


class BoundedCredentials(sdk.CredentialsStrategy):
    """The strategy given to the SDK's configuration. All that fails in it fails as CredentialFailure."""

    def __init__(self, timeout_s: float) -> None:
        """Allow ``timeout_s`` for one exchange of tokens."""
        self._timeout_s = timeout_s
        self._name = "none"

    def auth_type(self) -> str:
        """Return the name of the strategy that was found."""
        return self._name

    def __call__(self, cfg: "Config") -> Headers:
        """Return a function that makes the headers of one request.

        Raises:
            CredentialFailure: None of the strategies has what it needs.
        """
        for strategy in (*_TRIED, *(_IF_NAMED if cfg.auth_type else ())):
            name = strategy.auth_type()
            if cfg.auth_type and cfg.auth_type != name:
                continue
            try:
                headers = strategy(cfg)
            except Exception:  # noqa: BLE001  # its text may quote what a server said, or a file
                headers = None
            if headers:
                self._name = name
                return headers if name == "pat" else self._bounded(headers)
        raise CredentialFailure

    def _bounded(self, headers: Headers) -> Headers:
        """Return ``headers`` with a limit: the SDK exchanges tokens without a timeout."""

        def make() -> dict[str, str]:
            try:
                return within(self._timeout_s, headers)
            except TookTooLong:
                raise
            except Exception:  # noqa: BLE001  # as above
                raise CredentialFailure from None

        return make
