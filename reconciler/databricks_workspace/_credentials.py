"""Turn what the environment or a profile holds into headers, in bounded time.

The strategies are the SDK's own; which of them are tried is decided here. Its default chain also starts programs
(``az``, ``databricks``) that happen to be on PATH, and inside notebooks lets the runtime replace the host.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import requests
from databricks.sdk import credentials_provider as sdk

from reconciler.databricks_workspace._calls import CredentialFailure, SilentTokenEndpoint, TookTooLong, within


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


_NO_ANSWER: Final = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_MOST_LAYERS: Final = 10
"""Exceptions around one another that are looked at: the SDK has three."""


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
            SilentTokenEndpoint: None of the strategies came to an end, and one of them because nobody answered.
            CredentialFailure: None of the strategies has what it needs.
        """
        failure: type[CredentialFailure] = CredentialFailure
        for strategy in (*_TRIED, *(_IF_NAMED if cfg.auth_type else ())):
            name = strategy.auth_type()
            if cfg.auth_type and cfg.auth_type != name:
                continue
            try:
                headers = strategy(cfg)
            except Exception as error:  # noqa: BLE001  # its text may quote what a server said, or a file
                headers = None
                if _is_about_transport(error):
                    failure = SilentTokenEndpoint
            if headers:
                self._name = name
                return headers if name == "pat" else self._bounded(headers)
        raise failure

    def _bounded(self, headers: Headers) -> Headers:
        """Return ``headers`` with a limit: the SDK exchanges tokens without a timeout."""

        def make() -> dict[str, str]:
            try:
                return within(self._timeout_s, headers)
            except TookTooLong:
                raise
            except Exception as error:  # noqa: BLE001  # as above
                failure = SilentTokenEndpoint if _is_about_transport(error) else CredentialFailure
            # Outside of the `except`, so that nothing chains to it.
            raise failure

        return make


def _is_about_transport(error: BaseException | None) -> bool:
    """Tell whether an exchange failed for want of an answer; the SDK puts exceptions of its own around that."""
    for _ in range(_MOST_LAYERS):
        if isinstance(error, _NO_ANSWER):
            return True
        if error is None:
            break
        error = error.__cause__ or error.__context__
    return False
