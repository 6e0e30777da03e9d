"""Turn what the environment or a profile holds into headers, in bounded time.

Which strategies are tried is decided here. The SDK's default chain also starts programs (``az``, ``databricks``) that
happen to be on PATH, and inside notebooks lets the runtime replace the host. Those that end in a token of Databricks'
own are ours (`_oauth`), one exchange for the lifetime of a token (`_tokens`). The others are the SDK's:

* ``metadata-service``, ``azure-client-secret``, ``github-oidc-azure``, the command lines and the browser keep their
  token themselves;
* ``google-credentials`` and ``google-id`` exchange for each request, so what they give is kept here as well.
"""

import base64
import binascii
import json
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import requests
from databricks.sdk import credentials_provider as sdk

from reconciler.databricks_workspace._calls import CredentialFailure, SilentTokenEndpoint, TookTooLong, within
from reconciler.databricks_workspace._exchange import Exchange, ExchangeCall, retrying_exchanges
from reconciler.databricks_workspace._oauth import STRATEGIES, Source
from reconciler.databricks_workspace._tokens import Issued, Tokens


if TYPE_CHECKING:
    from databricks.sdk.core import Config

Headers = Callable[[], dict[str, str]]

Authenticate: TypeAlias = Callable[[requests.PreparedRequest], requests.PreparedRequest]
"""What requests calls to have a request authenticated."""

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

_EXCHANGING_EACH_TIME: Final = frozenset({"google-credentials", "google-id"})

_NO_ANSWER: Final = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_MOST_LAYERS: Final = 10
"""Exceptions around one another that are looked at: the SDK has three."""

_MOST_SECRETS: Final = 64
"""That are masked, the latest. An exchange adds two or three, so these are those of a day."""

_MOST_REFUSAL_BYTES: Final = 64 * 1024
_FRONT_DOOR: Final = (requests.codes.forbidden, str(requests.codes.forbidden))
"""What stands as ``error_code`` where the front door does not know a token, or not any more. A denial of what the owner
of the token may not do has a word there, such as PERMISSION_DENIED."""


class BoundedCredentials(sdk.CredentialsStrategy):
    """The strategy given to the SDK's configuration. All that fails in it fails as CredentialFailure."""

    def __init__(self, timeout_s: float, *, now: Callable[[], float] = time.monotonic) -> None:
        """Allow ``timeout_s`` for one exchange of tokens; ``now`` is the clock by which they expire, in seconds."""
        self._timeout_s = timeout_s
        self._now = now
        self._name = "none"
        self._tokens: Tokens | None = None
        self._lock = threading.Lock()
        self._secrets: tuple[str, ...] = ()
        self._call = ExchangeCall(timeout_s)
        self._retrying = retrying_exchanges(self._call)

    def auth_type(self) -> str:
        """Return the name of the strategy that was found."""
        return self._name

    def __call__(self, cfg: "Config") -> Headers:
        """Return a function that makes the headers of one request.

        Raises:
            TookTooLong: The first exchange still runs when its time is over.
            SilentTokenEndpoint: None of the strategies came to an end, and one of them because nobody answered.
            CredentialFailure: None of the strategies has what it needs, or the first exchange fails.
        """
        failure: type[CredentialFailure] = CredentialFailure
        for strategy in (*_TRIED, *(_IF_NAMED if cfg.auth_type else ())):
            name = strategy.auth_type()
            if cfg.auth_type and cfg.auth_type != name:
                continue
            if name in STRATEGIES:
                source = STRATEGIES[name].source(cfg)
                if source is not None:
                    return self._exchanged(name, source)
                continue
            try:
                headers = strategy(cfg)
            except Exception as error:  # noqa: BLE001  # its text may quote what a server said, or a file
                headers = None
                if _is_about_transport(error):
                    failure = SilentTokenEndpoint
            if headers:
                return self._of_the_sdk(name, headers)
        raise failure

    def secrets(self) -> tuple[bytes, ...]:
        """Return what was sent for a token, and the tokens, to be masked in what a server says."""
        return tuple(secret.encode("utf-8", "surrogateescape") for secret in self._secrets)

    def wind_down(self) -> None:
        """Make no further attempt of an exchange that fails."""
        self._retrying.wind_down()

    def _note_secret(self, secret: str) -> None:
        with self._lock:
            if secret not in self._secrets:
                self._secrets = (*self._secrets, secret)[-_MOST_SECRETS:]

    def renewing(self, authenticate: Authenticate) -> Authenticate:
        """Return what does as ``authenticate`` does, and replaces a token that the platform refuses, once."""
        if self._tokens is None:
            return authenticate
        return _Renewing(authenticate, self._tokens)

    def _exchanged(self, name: str, source: Source) -> Headers:
        def exchange() -> Issued:
            with Exchange(call=self._call, retrying=self._retrying, on_secret=self._note_secret) as asking:
                issued = source(asking)
            self._note_secret(issued.headers["Authorization"].rpartition(" ")[2])
            return issued

        self._name = name
        self._tokens = Tokens(exchange, timeout_s=self._timeout_s, now=self._now)
        # Now, so that what fails is told as authenticating, before anything is asked of the workspace.
        self._tokens.headers()
        return self._tokens.headers

    def _of_the_sdk(self, name: str, headers: Headers) -> Headers:
        self._name = name
        if name == "pat":
            return headers
        bounded = self._bounded(headers)
        if name not in _EXCHANGING_EACH_TIME:
            return bounded

        def exchange() -> Issued:
            made = bounded()
            return Issued(headers=made, lifetime_s=_lifetime_of(made.get("Authorization", "")))

        self._tokens = Tokens(exchange, timeout_s=self._timeout_s, now=self._now)
        return self._tokens.headers

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


class _Renewing:
    """Authenticates requests, and sends one again, with another token, if its token is refused.

    By a hook of requests, as `requests.auth.HTTPDigestAuth` has it, so that both attempts are one to whoever retries.
    """

    def __init__(self, authenticate: Authenticate, tokens: Tokens) -> None:
        self._authenticate = authenticate
        self._tokens = tokens

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request = self._authenticate(request)
        request.register_hook("response", self._renew)  # type: ignore[no-untyped-call]  # requests leaves it open
        return request

    def _renew(self, response: requests.Response, **sending: Any) -> requests.Response:  # noqa: ANN401  # as requests has it
        """Return ``response``, or what is answered with another token.

        A refused request had no effect, so sending it again is safe. Its body is text, which does not run out.
        """
        if not _is_refused(response) or not self._tokens.drop(_authorization_of(response.request)):
            return response
        request = self._authenticate(response.request.copy())
        again = response.connection.send(request, **sending)
        if _is_refused(again):
            self._tokens.give_up(_authorization_of(request))
        return again


def _authorization_of(request: requests.PreparedRequest) -> str:
    return str(request.headers.get("Authorization", ""))


def _is_refused(response: requests.Response) -> bool:
    """Tell whether the platform does not accept the token: 401, or 403 from its front door.

    It says 403 of a token of OAuth that has expired (https://github.com/n8n-io/n8n/issues/34147), and 401 of one of
    Entra ID (https://github.com/databrickslabs/splunk-integration/issues/55).
    """
    if response.status_code == requests.codes.unauthorized:
        return True
    if response.status_code != requests.codes.forbidden or len(response.content) > _MOST_REFUSAL_BYTES:
        return False
    try:
        said = json.loads(response.content)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("error_code") in _FRONT_DOOR


def _lifetime_of(authorization: str) -> float:
    """Return the lifetime that a JWT states (RFC 7519, section 4.1), in seconds; 0 where it is none.

    Its own two times, as a clock of ours may be wrong. It is not verified: only its issuer could be fooled by that.
    """
    try:
        _, claims, _ = authorization.rpartition(" ")[2].split(".")
        said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        return min(float(said["exp"]) - float(said["iat"]), 3600.0)
    except (ValueError, TypeError, LookupError, binascii.Error, RecursionError):
        return 0.0


def _is_about_transport(error: BaseException | None) -> bool:
    """Tell whether an exchange failed for want of an answer; the SDK puts exceptions of its own around that."""
    for _ in range(_MOST_LAYERS):
        if isinstance(error, _NO_ANSWER):
            return True
        if error is None:
            break
        error = error.__cause__ or error.__context__
    return False
