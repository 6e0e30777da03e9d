"""The token endpoint of the embedded workspace: who gets a token, and for how long it is somebody's."""

import base64
import urllib.parse
from collections.abc import Callable, Iterator

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config

from reconciler.emulator import Emulator, Exchanges, ServicePrincipal
from reconciler.emulator.token_endpoint import METADATA_PATH, TOKEN_PATH, RefusedGrant, TokenEndpoint
from tests.emulator.caller import Answer, Caller
from tests.support.issuer import APPLICATION_ID, CLIENT_SECRET, Issuer


URL = "http://127.0.0.1:1"
EXCHANGE = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "client_id": APPLICATION_ID,
}
BY_SECRET = {"grant_type": "client_credentials", "client_id": APPLICATION_ID, "client_secret": CLIENT_SECRET}


class Clock:
    """A clock that a test sets."""

    def __init__(self, at_s: float) -> None:
        self.at_s = at_s

    def __call__(self) -> float:
        """Return the time."""
        return self.at_s


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """Run an issuer of id tokens."""
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def emulator(issuer: Issuer) -> Iterator[Emulator]:
    """Run a workspace with a service principal that trusts the issuer."""
    with Emulator(service_principal=issuer.principal()) as emulator:
        yield emulator


def _post(emulator: Emulator, form: dict[str, str], **headers: str) -> Answer:
    with Caller(emulator, None) as caller:
        return caller.send("POST", TOKEN_PATH, urllib.parse.urlencode(form).encode(), headers)


def _name(emulator: Emulator, token: str) -> Answer:
    with Caller(emulator, token) as caller:
        return caller.send("GET", "/api/2.0/preview/scim/v2/Me")


def test_gives_a_token_for_the_secret(emulator: Emulator) -> None:
    """By header or in the form, as RFC 6749 has both; the token is the service principal's."""
    login = base64.b64encode(f"{APPLICATION_ID}:{CLIENT_SECRET}".encode()).decode()
    answers = (
        _post(emulator, BY_SECRET),
        _post(emulator, {"grant_type": "client_credentials"}, Authorization=f"Basic {login}"),
    )

    for answer in answers:
        assert answer.status == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 3600)
        assert _name(emulator, answer.json["access_token"]).json["userName"] == APPLICATION_ID
    assert emulator.exchanges == Exchanges(issued=2, refused=0)


def test_gives_a_token_for_an_id_token(emulator: Emulator, issuer: Issuer) -> None:
    """One that the issuer of the policy made for this endpoint."""
    shown = issuer.id_token(f"{emulator.url}{TOKEN_PATH}")

    answer = _post(emulator, {**EXCHANGE, "subject_token": shown})

    assert answer.status == 200, answer.text
    assert _name(emulator, answer.json["access_token"]).json["userName"] == APPLICATION_ID


def test_announces_itself_as_the_platform_does(emulator: Emulator) -> None:
    """From the host's configuration to its OAuth metadata to the endpoint, none of which needs a token."""
    with Caller(emulator, None) as caller:
        root = caller.send("GET", "/.well-known/databricks-config").json["oidc_endpoint"]
        metadata = caller.send("GET", METADATA_PATH).json

    assert f"{root}/.well-known/oauth-authorization-server" == f"{emulator.url}{METADATA_PATH}"
    assert metadata["token_endpoint"] == f"{emulator.url}{TOKEN_PATH}"


def test_serves_the_unmodified_sdk(emulator: Emulator) -> None:
    """``WorkspaceClient`` with client id and secret works against it."""
    config = Config(
        host=emulator.url,
        client_id=APPLICATION_ID,
        client_secret=CLIENT_SECRET,
        auth_type="oauth-m2m",
        http_timeout_seconds=5,
        retry_timeout_seconds=5,
    )

    assert WorkspaceClient(config=config).current_user.me().user_name == APPLICATION_ID


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        pytest.param({"client_secret": "wrong"}, 401, "invalid_client", id="secret"),
        pytest.param({"client_id": "wrong"}, 401, "invalid_client", id="client id"),
        pytest.param({"grant_type": "password"}, 400, "unsupported_grant_type", id="another grant"),
        pytest.param({"grant_type": ""}, 400, "unsupported_grant_type", id="no grant"),
        pytest.param({**EXCHANGE, "subject_token": "a.b.c"}, 400, "invalid_grant", id="no JWT"),
        pytest.param({**EXCHANGE, "subject_token": "\U0001f511"}, 400, "invalid_grant", id="no text of a JWT"),
        pytest.param(EXCHANGE, 400, "invalid_request", id="no id token"),
    ],
)
def test_refuses(emulator: Emulator, change: dict[str, str], status: int, code: str) -> None:
    """As RFC 6749, section 5.2, has it; what was sent is not repeated."""
    answer = _post(emulator, {**BY_SECRET, **change})

    assert (answer.status, answer.json["error"]) == (status, code)
    assert "wrong" not in answer.text
    assert emulator.exchanges == Exchanges(issued=0, refused=1)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda token: token[:-4] + "AAAA", id="another signature"),
        pytest.param(lambda token: f"eyJhbGciOiAibm9uZSJ9.{token.split('.')[1]}.", id="none"),
        pytest.param(lambda token: f"x{token}", id="another header"),
    ],
)
def test_refuses_an_id_token_that_somebody_else_made(spoil: Callable[[str], str], issuer: Issuer) -> None:
    """The signature is that of the issuer, or there is no token."""
    endpoint = TokenEndpoint(issuer.principal(), url=URL)
    genuine = issuer.id_token(f"{URL}{TOKEN_PATH}")
    forged = urllib.parse.urlencode({**EXCHANGE, "subject_token": spoil(genuine)}).encode()

    assert endpoint.issue("", urllib.parse.urlencode({**EXCHANGE, "subject_token": genuine}).encode())
    with pytest.raises(RefusedGrant, match="not signed by the issuer"):
        endpoint.issue("", forged)


def test_refuses_an_id_token_for_somebody_else(issuer: Issuer) -> None:
    """One for another audience, or one whose time is over."""
    today = Clock(0)
    endpoint = TokenEndpoint(issuer.principal(), url=URL, today=today)
    late = issuer.id_token(f"{URL}{TOKEN_PATH}")

    with pytest.raises(RefusedGrant, match="audience"):
        endpoint.issue("", urllib.parse.urlencode({**EXCHANGE, "subject_token": issuer.id_token("other")}).encode())
    today.at_s = 1e12
    with pytest.raises(RefusedGrant, match="expired"):
        endpoint.issue("", urllib.parse.urlencode({**EXCHANGE, "subject_token": late}).encode())


def test_forgets_a_token_that_has_expired_or_was_revoked(emulator: Emulator) -> None:
    """Afterwards it is nobody's, which the front door answers with 403."""
    clock = Clock(0)
    principal = ServicePrincipal(application_id=APPLICATION_ID, client_secret=CLIENT_SECRET, token_lifetime_s=60)
    endpoint = TokenEndpoint(principal, url=URL, now=clock)
    token = str(endpoint.issue("", urllib.parse.urlencode(BY_SECRET).encode())["access_token"]).encode()
    clock.at_s = 59.9
    assert endpoint.whose(token) == principal.identity
    clock.at_s = 60.0
    assert endpoint.whose(token) is None

    issued = _post(emulator, BY_SECRET).json["access_token"]
    emulator.revoke_tokens()
    assert (_name(emulator, issued).status, _name(emulator, issued).code) == (403, 403)


def test_is_not_there_without_a_service_principal() -> None:
    """By default the workspace has two identities and no OAuth."""
    with Emulator() as emulator:
        answer = _post(emulator, BY_SECRET)

        assert (answer.status, answer.code) == (404, "ENDPOINT_NOT_FOUND")
        assert emulator.exchanges == Exchanges()


def test_shows_no_secret(issuer: Issuer) -> None:
    """Neither secret nor key stand in a repr."""
    shown = repr(issuer.principal())

    assert CLIENT_SECRET not in shown
    assert "share" not in shown
