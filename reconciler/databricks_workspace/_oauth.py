"""The strategies of authentication that end in a token of Databricks' own: with a client secret, or with an id token.

They are the SDK's by name, variables and form (``databricks.sdk.credentials_provider`` 0.156), yet sent by `Exchange`.
The SDK's own keep the token for ``oauth-m2m``, ``env-oidc`` and ``file-oidc``; for ``github-oidc`` and
``azure-devops-oidc`` they ask for the endpoint, for an id token and for a token again with every request, and once more
for an id token at the start.

Documented at https://docs.databricks.com/dev-tools/auth/oauth-federation and, for the id tokens,
https://docs.github.com/actions/reference/security/oidc and
https://learn.microsoft.com/rest/api/azure/devops/distributedtask/oidctoken/create.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import quote, urlsplit

from reconciler.databricks_workspace._calls import CredentialFailure
from reconciler.databricks_workspace._exchange import Exchange, issued_by
from reconciler.databricks_workspace._tokens import Issued


if TYPE_CHECKING:
    from databricks.sdk.core import Config

Source: TypeAlias = Callable[[Exchange], Issued]
"""Gets a token, by one exchange."""

IdTokens: TypeAlias = Callable[[Exchange, str], object]
"""Gets an id token for an audience; whatever an answer held in its place is looked at by the caller."""

_DISCOVERY: Final = "the host's description of its token endpoint"
_ISSUER: Final = "the token endpoint"
_GITHUB: Final = "GitHub's issuer of id tokens"
_AZURE_DEVOPS: Final = "Azure DevOps' issuer of id tokens"

_WORKSPACE_DISCOVERY: Final = "/oidc/.well-known/oauth-authorization-server"
"""Where a workspace describes its endpoints; asked where the host names no other place."""

_JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
_EXCHANGE_GRANT: Final = "urn:ietf:params:oauth:grant-type:token-exchange"

_GITHUB_URL: Final = "ACTIONS_ID_TOKEN_REQUEST_URL"
_GITHUB_BEARER: Final = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"

_AZURE_DEVOPS_PARTS: Final = (
    "SYSTEM_ACCESSTOKEN",
    "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI",
    "SYSTEM_TEAMPROJECTID",
    "SYSTEM_PLANID",
    "SYSTEM_JOBID",
    "SYSTEM_HOSTTYPE",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """One way to a token."""

    name: str
    """As ``auth_type`` has it."""

    source: "Callable[[Config], Source | None]"
    """None where what it needs is not there. Asks nobody."""


def _with_secret(cfg: "Config") -> Source | None:
    if not (cfg.client_id and cfg.client_secret):
        return None
    endpoint = _Endpoint(cfg)

    def exchange(asking: Exchange) -> Issued:
        url = endpoint.url(asking)
        form = {"grant_type": "client_credentials", **_wishes(cfg)}
        login = (cfg.client_id, cfg.client_secret)
        return issued_by(_ISSUER, asking.ask(_ISSUER, "POST", url, form=form, login=login))

    return exchange


def _from_environment(cfg: "Config") -> Source | None:
    variable = cfg.oidc_token_env or "DATABRICKS_OIDC_TOKEN"
    if not os.environ.get(variable):
        return None
    return _with_id_token(cfg, lambda _asking, _audience: os.environ.get(variable))


def _from_file(cfg: "Config") -> Source | None:
    path = cfg.oidc_token_filepath
    if not path or not _text_of(path):
        return None
    # Read again for each exchange, as who puts it there replaces it before it expires.
    return _with_id_token(cfg, lambda _asking, _audience: _text_of(path))


def _text_of(path: str) -> str | None:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, ValueError):
        return None


def _from_github(cfg: "Config") -> Source | None:
    if not cfg.client_id or not all(os.environ.get(name) for name in (_GITHUB_URL, _GITHUB_BEARER)):
        return None

    def id_token(asking: Exchange, audience: str) -> object:
        url = f"{os.environ[_GITHUB_URL]}&audience={quote(audience, safe='')}"
        headers = {"Authorization": f"Bearer {os.environ[_GITHUB_BEARER]}"}
        return asking.ask(_GITHUB, "GET", url, headers=headers).get("value")

    return _with_id_token(cfg, id_token)


def _from_azure_devops(cfg: "Config") -> Source | None:
    said = {name: os.environ.get(name, "") for name in _AZURE_DEVOPS_PARTS}
    if not cfg.client_id or not all(said.values()):
        return None
    # The same as SYSTEM_OIDCREQUESTURI, which the SDK does not ask for.
    url = (
        f"{said['SYSTEM_TEAMFOUNDATIONCOLLECTIONURI']}{said['SYSTEM_TEAMPROJECTID']}/_apis/distributedtask/hubs/"
        f"{said['SYSTEM_HOSTTYPE']}/plans/{said['SYSTEM_PLANID']}/jobs/{said['SYSTEM_JOBID']}/oidctoken"
        "?api-version=7.2-preview.1"
    )
    headers = {"Authorization": f"Bearer {said['SYSTEM_ACCESSTOKEN']}", "Content-Type": "application/json"}

    def id_token(asking: Exchange, _audience: str) -> object:
        return asking.ask(_AZURE_DEVOPS, "POST", url, headers=headers).get("oidcToken")

    return _with_id_token(cfg, id_token)


STRATEGIES: Final[Mapping[str, Strategy]] = {
    strategy.name: strategy
    for strategy in (
        Strategy(name="oauth-m2m", source=_with_secret),
        Strategy(name="env-oidc", source=_from_environment),
        Strategy(name="file-oidc", source=_from_file),
        Strategy(name="github-oidc", source=_from_github),
        Strategy(name="azure-devops-oidc", source=_from_azure_devops),
    )
}
"""By name, each in place of the SDK's."""


def _with_id_token(cfg: "Config", id_tokens: IdTokens) -> Source:
    """Return what shows an id token to the token endpoint, a fresh one each time."""
    endpoint = _Endpoint(cfg)

    def exchange(asking: Exchange) -> Issued:
        url = endpoint.url(asking)
        shown = id_tokens(asking, cfg.token_audience or url)
        if not isinstance(shown, str) or not shown:
            raise CredentialFailure("no usable credential was found: there is no id token")
        form = {
            "grant_type": _EXCHANGE_GRANT,
            "subject_token_type": _JWT,
            "subject_token": shown,
            **({"client_id": cfg.client_id} if cfg.client_id else {}),
            **_wishes(cfg),
        }
        return issued_by(_ISSUER, asking.ask(_ISSUER, "POST", url, form=form))

    return exchange


def _wishes(cfg: "Config") -> dict[str, str]:
    """Return what a profile may say about the token that is wanted."""
    wishes = {"scope": cfg.get_scopes_as_string()}
    if cfg.authorization_details:
        wishes["authorization_details"] = cfg.authorization_details
    if cfg.group_id:
        wishes["assume_group"] = cfg.group_id
    return wishes


class _Endpoint:
    """Where tokens are issued: asked for once."""

    def __init__(self, cfg: "Config") -> None:
        self._host = cfg.host
        self._discovery = cfg.discovery_url or f"{cfg.host}{_WORKSPACE_DISCOVERY}"
        self._url: str | None = None

    def url(self, asking: Exchange) -> str:
        """Return the address.

        Raises:
            CredentialFailure: It is not known, or what is sent there could be read on the way.
        """
        if self._url is None:
            named = asking.ask(_DISCOVERY, "GET", self._discovery).get("token_endpoint")
            if not isinstance(named, str) or not self._may_have_secrets(named):
                raise CredentialFailure("no usable credential was found: the host names no token endpoint to trust")
            self._url = named
        return self._url

    def _may_have_secrets(self, url: str) -> bool:
        """Tell whether a secret may go there: not in the clear, unless to the loopback that we talk to anyway."""
        place = urlsplit(url)
        return place.scheme == "https" or place[:2] == urlsplit(self._host)[:2]
