"""Build the SDK's client: nothing from the environment but secrets, and a session that keeps our rules.

Imports the SDK, so `preload` comes first.
"""

import math
import os
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import requests
from databricks.sdk import oauth
from databricks.sdk.config import ConfigAttribute
from databricks.sdk.core import ApiClient, Config
from databricks.sdk.credentials_provider import CredentialsStrategy
from databricks.sdk.oauth import HostMetadata
from databricks.sdk.service.workspace import SecretsAPI

from reconciler import __version__
from reconciler.databricks_workspace._calls import (
    Call,
    CredentialFailure,
    MalformedAnswer,
    Operation,
    TookTooLong,
    within,
)
from reconciler.databricks_workspace._client import DatabricksWorkspace
from reconciler.databricks_workspace._connection import Connection
from reconciler.databricks_workspace._credentials import BoundedCredentials, Headers
from reconciler.databricks_workspace._failures import (
    failure_of,
    patience_with,
    patience_with_first_question,
    request_id_of,
)
from reconciler.databricks_workspace._pace import Pace
from reconciler.databricks_workspace._profile import profile_of, profile_problem
from reconciler.databricks_workspace._quiet import silence_sdk_logging
from reconciler.databricks_workspace._retrying import Retrying
from reconciler.databricks_workspace._transport import RequestCounter, SdkClock, Transport
from reconciler.errors import InvalidInput, Throttled, UnexpectedAnswer, Unreachable, WorkspaceError


T = TypeVar("T")

_PRODUCT: Final = "databricks-secret-reconciler"

_FROM_ENVIRONMENT: Final = frozenset({"auth_type", "client_id", "token_audience", "azure_environment", "config_file"})
"""Settings without a secret that the environment or a profile may add, besides all that the SDK marks as belonging to a
strategy of authentication. Anything else would surprise: DATABRICKS_HOST and DATABRICKS_WORKSPACE_ID lead elsewhere
than git says, DATABRICKS_DISCOVERY_URL sends the secret elsewhere, DATABRICKS_DEBUG_HEADERS logs the token."""

_NEVER_ASKS: Final = -1
"""As ``retry_timeout_seconds``: the SDK's retry loop ends before its first attempt. Otherwise its configuration would
GET ``/.well-known/databricks-config`` by a client of its own that follows redirects, leads loopback through a proxy and
sleeps as long as ``Retry-After`` says. We ask in its place, once, and hand over what was said."""

_CONFIG_PATH: Final = "/.well-known/databricks-config"
_LISTS: Final = {
    "/api/2.0/secrets/scopes/list": "scopes",
    "/api/2.0/secrets/list": "secrets",
    "/api/2.0/secrets/acls/list": "items",
}
"""Path to the field that holds the list; the platform leaves it out when the list is empty."""

_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_OAUTH_METADATA_PATH: Final = "/.well-known/oauth-authorization-server"


def open_workspace(
    connection: Connection, *, timeout_s: float, concurrency: int, on_detail: Callable[[str], None] | None
) -> DatabricksWorkspace:
    """Do what `reconciler.databricks_workspace.connect` promises."""
    silence_sdk_logging()
    problem = profile_problem(connection, os.environ)
    if problem is not None:
        raise InvalidInput((problem,))
    if connection.token is None:
        # The SDK's exchanges of tokens go through `requests.get`, which would put a login from there over the token.
        os.environ["NETRC"] = os.devnull
        _refuse_redirects_of_exchanges()
        if connection.is_loopback:
            _keep_from_proxies(connection.hostname)
    call = Call(timeout_s)
    counter = RequestCounter()
    retrying = Retrying(call=call, pace=Pace(), patience=lambda error: patience_with(error, call))
    # One for both clients below, so that the second goes on over the connection of the first.
    transport = Transport(call=call, counter=counter, connections=concurrency)

    def client(config: Config) -> ApiClient:
        api = ApiClient(config)
        _harden(api, transport, loopback=connection.is_loopback)
        return api

    try:
        found = _ask_host(connection, client, call, retrying)
        credentials = BoundedCredentials(timeout_s)
        api = client(_configure(connection, found, credentials, call))
        _replace_refused_tokens(api, credentials)
    except BaseException:
        transport.close()
        raise
    return DatabricksWorkspace(
        host=connection.host,
        api=api,
        secrets=SecretsAPI(_Strict(api)),  # type: ignore[no-untyped-call]  # the SDK leaves it open
        call=call,
        counter=counter,
        retrying=retrying,
        wind_down=credentials.wind_down,
        explain=lambda operation, error: failure_of(operation, error, call),
        request_id_of=request_id_of,
        on_detail=on_detail,
        credentials=credentials,
    )


def _refuse_redirects_of_exchanges() -> None:
    """Keep exchanges of tokens from following a redirect: what they send is a client secret or an id token.

    Their sessions are out of our reach: some are made for each request, with the limit of requests, and some were made
    when the SDK was imported, as default arguments.
    """
    requests.sessions.DEFAULT_REDIRECT_LIMIT = 0
    for function in vars(oauth).values():
        for default in getattr(function, "__defaults__", None) or ():
            session = getattr(default, "_session", None)
            if isinstance(session, requests.Session):
                session.max_redirects = 0


def _keep_from_proxies(hostname: str) -> None:
    """Name the host in the variables that requests asks; the sessions of the exchanges are out of our reach."""
    for variable in ("no_proxy", "NO_PROXY"):
        named = os.environ.get(variable, "").split(",")
        os.environ[variable] = ",".join(filter(None, dict.fromkeys((*named, hostname))))


class _Anonymous(CredentialsStrategy):
    """No credential: what is asked before one is loaded needs none."""

    def auth_type(self) -> str:
        """Name it for the User-Agent."""
        return "none"

    def __call__(self, cfg: Config) -> Headers:  # noqa: ARG002  # the signature is the SDK's
        return dict


class _Strict:
    """What ``SecretsAPI`` needs of an ``ApiClient``; refuses answers that it would read as an empty listing."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._cfg = api._cfg  # noqa: SLF001  # SecretsAPI reads it by this name

    def do(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401  # as the SDK has it
        """Hand the request on.

        Raises:
            MalformedAnswer: Not an object, or a listing that holds something else than a list.
        """
        answer = self._api.do(method, path, **arguments)
        if not isinstance(answer, dict):
            raise MalformedAnswer("the answer is not the JSON object that the API documents")
        if "error_code" in answer:
            raise MalformedAnswer("the answer is an error under a status that says success")
        if path.endswith("/list"):
            field = _LISTS[path]
            if answer and not isinstance(answer.get(field, None), list):
                raise MalformedAnswer(f"the answer holds no list of {field}")
        return answer


def _ask_host(
    connection: Connection, client: Callable[[Config], ApiClient], call: Call, retrying: Retrying
) -> dict[str, Any]:
    """Ask the host for its own configuration, without a credential; this is also where an absent host shows.

    Returns:
        Settings that the connection leaves open, as ``Config`` takes them; empty when the host does not tell, as older
        ones do not.

    Raises:
        Unreachable, Throttled: The host does not answer.
    """
    nobody = _Anonymous()
    settings = {**_nothing_from_environment(), "host": connection.host, "auth_type": nobody.auth_type()}
    api = client(_config(settings, nobody, call.timeout_s))

    def ask() -> dict[str, Any]:
        try:
            answer = retrying.run(
                lambda: api.do("GET", _CONFIG_PATH, headers={"Accept": "application/json"}),
                patience=lambda error: patience_with_first_question(error, call),
            )
            return _settings_of(connection, answer)
        except Exception as error:  # noqa: BLE001  # the table decides
            failure = failure_of(operation, error, call)
        if isinstance(failure, Unreachable | Throttled) or call.status == requests.codes.service_unavailable:
            raise failure
        return {}

    operation = Operation(what=f"connecting to {connection.host}", quotable=False)
    return _in_time(operation, call, ask)


def _in_time(operation: Operation, call: Call, action: Callable[[], T]) -> T:
    """Return what ``action`` returns, or raise one of our errors."""
    failure: WorkspaceError
    try:
        # Its own limit comes first and says more; this one is for what has none, like name resolution.
        return within(call.timeout_s + 0.5, action)
    except WorkspaceError:
        raise
    except (TookTooLong, CredentialFailure) as error:
        failure = failure_of(operation, error, call)
    raise failure


def _settings_of(connection: Connection, answer: object) -> dict[str, Any]:
    """Pick from the host's configuration what the SDK would pick (``Config._resolve_host_metadata``)."""
    if not isinstance(answer, dict):
        return {}
    said = HostMetadata.from_dict(answer)
    settings: dict[str, Any] = {}
    account_id = connection.account_id or _plain(said.account_id)
    if account_id:
        settings["account_id"] = account_id
    if workspace_id := _plain(said.workspace_id):
        settings["workspace_id"] = workspace_id
    if said.cloud:
        settings["cloud"] = said.cloud
    endpoint: object = said.oidc_endpoint  # annotated as text, taken from the answer as it is
    if isinstance(endpoint, str) and (account_id or "{account_id}" not in endpoint):
        root = endpoint.replace("{account_id}", account_id or "").rstrip("/")
        # A secret is sent to what is named there: not in the clear, unless to the loopback that we talk to anyway.
        place = urlsplit(root)
        if place.scheme == "https" or (connection.is_loopback and place[:2] == urlsplit(connection.host)[:2]):
            settings["discovery_url"] = f"{root}{_OAUTH_METADATA_PATH}"
    audiences = said.token_federation_default_oidc_audiences
    if isinstance(audiences, list) and audiences and isinstance(audiences[0], str):
        settings["token_audience"] = audiences[0]
    elif account_id and not _plain(said.workspace_id):
        settings["token_audience"] = account_id
    return settings


def _plain(text: object) -> str | None:
    """Return ``text`` if it may stand in a header."""
    return text if isinstance(text, str) and _PLAIN_ID.fullmatch(text) else None


def _configure(connection: Connection, found: dict[str, Any], credentials: BoundedCredentials, call: Call) -> Config:
    """Load the credential.

    Raises:
        Unauthenticated: There is none that can be used.
        Unreachable, UnexpectedAnswer, Throttled: Whoever issues tokens does not answer, or fails.
    """
    embedded = connection.token is not None
    said = {
        "host": connection.host,
        "token": connection.token,
        "auth_type": "pat" if embedded else connection.auth_type,
        "profile": profile_of(connection, os.environ) or "",
        "workspace_id": connection.workspace_id,
        "account_id": connection.account_id,
        "client_id": connection.client_id,
        "token_audience": connection.token_audience,
        "azure_client_id": connection.azure_client_id,
        "azure_tenant_id": connection.azure_tenant_id,
        "azure_workspace_resource_id": connection.azure_workspace_resource_id,
    }
    base = {**_nothing_from_environment(), **found} if embedded else _secrets_from_environment(found)
    settings = {**base, **{name: value for name, value in said.items() if value is not None}}
    operation = Operation(what=f"authenticating to {connection.host}", quotable=False)
    return _in_time(operation, call, lambda: _config(settings, credentials, call.timeout_s))


def _nothing_from_environment() -> dict[str, Any]:
    """Return settings that keep the SDK from reading any variable: it leaves alone what is set, even to nothing."""
    return {attribute.name: _unset(attribute) for attribute in Config.attributes() if attribute.env}


def _secrets_from_environment(found: dict[str, Any]) -> dict[str, Any]:
    """Return settings that leave the SDK those variables and lines of a profile that authenticate, over ``found``."""
    settings: dict[str, Any] = {}
    for attribute in Config.attributes():
        allowed = attribute.auth or attribute.name in _FROM_ENVIRONMENT
        if attribute.name in found and not (allowed and os.environ.get(attribute.env)):
            settings[attribute.name] = found[attribute.name]
        elif attribute.env and not allowed:
            settings[attribute.name] = _unset(attribute)
    return settings


def _unset(attribute: ConfigAttribute) -> object:
    return 0 if attribute.transform is int else ""


def _config(settings: dict[str, Any], credentials: BoundedCredentials | _Anonymous, timeout_s: float) -> Config:
    """Build the SDK's configuration without a request by the SDK.

    Raises:
        CredentialFailure: The SDK does not accept the settings, as with two credentials at once.
    """
    try:
        config = Config(
            **settings,
            credentials_strategy=credentials,
            product=_PRODUCT,
            product_version=__version__,
            clock=SdkClock(),
            http_timeout_seconds=timeout_s,
            retry_timeout_seconds=_NEVER_ASKS,
        )
    except (CredentialFailure, TookTooLong):
        raise
    except Exception:  # noqa: BLE001  # its text lists what is set, and may quote a configuration file
        raise CredentialFailure from None
    # Only lets the SDK make a first attempt: its clock ends it there. Whole seconds, and 0 would mean 300.
    config.retry_timeout_seconds = math.ceil(timeout_s)
    return config


def _harden(api: ApiClient, transport: Transport, *, loopback: bool) -> None:
    """Put our transport under the SDK's session, which it keeps to itself.

    Raises:
        UnexpectedAnswer: This version of the SDK keeps it elsewhere; unhardened it is not used.
    """
    session = getattr(getattr(api, "_api_client", None), "_session", None)
    if not isinstance(session, requests.Session):
        raise UnexpectedAnswer(
            "the installed databricks-sdk hides its session, so redirects could not be refused",
            advice="install the version that requirements.txt pins",
        )
    session.max_redirects = 0
    session.mount("https://", transport)
    session.mount("http://", transport)
    if loopback:
        # Neither HTTP_PROXY nor any other variable; the session has its own credential, so netrc is not asked anyway.
        session.trust_env = False


def _replace_refused_tokens(api: ApiClient, credentials: BoundedCredentials) -> None:
    """Have a token that the platform does not accept any more replaced once, by what authenticates each request.

    Raises:
        UnexpectedAnswer: This version of the SDK authenticates otherwise.
    """
    session = api._api_client._session  # noqa: SLF001  # `_harden` has looked at it
    if not callable(session.auth):
        raise UnexpectedAnswer(
            "the installed databricks-sdk hides how it authenticates, so a token could not be replaced",
            advice="install the version that requirements.txt pins",
        )
    session.auth = credentials.renewing(session.auth)
