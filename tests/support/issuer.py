"""An issuer of id tokens on the loopback: GitHub's, Azure DevOps', or one that leaves a token in the environment.

::

    with Issuer() as issuer, Emulator(service_principal=issuer.principal()) as emulator:
        # with issuer.github in the environment, auth_type github-oidc and client_id APPLICATION_ID
        assert len(issuer.asked) == 1
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

from reconciler.emulator import FederationPolicy, ServicePrincipal
from tests.support.hostile_server import Answer, HostileServer, Reaction, Seen, refusal


APPLICATION_ID: Final = "6f1c2a4e-0b7d-4c55-9a3e-2d1f0e8b7a66"
CLIENT_SECRET: Final = "canary-client-secret-77ab"

SUBJECT: Final = "repo:example/secrets:environment:prod"

REQUEST_TOKEN: Final = "canary-request-token-19d3"
"""What a job shows to get an id token."""

_KEY: Final = b"a key that issuer and policy share"

_GITHUB_PATH: Final = "/github/token"
_AZURE_DEVOPS_PATH: Final = "/org/project/_apis/distributedtask/hubs/build/plans/plan/jobs/job/oidctoken"
AZURE_DEVOPS_AUDIENCE: Final = "api://AzureADTokenExchange"


class Issuer:
    """Listens from ``with`` to its end; `asked` counts.

    Args:
        react: called instead of issuing, with each request and what would have been the answer.
        lifetime_s: of the id tokens.
    """

    def __init__(
        self, react: Callable[[Seen, Reaction], Reaction] = lambda _, answer: answer, *, lifetime_s: float = 300
    ) -> None:
        self._lifetime_s = lifetime_s
        self.issued: list[str] = []
        """Every id token so far."""

        self._server = HostileServer(lambda seen: react(seen, self._answer(seen)))

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, traceback)

    @property
    def asked(self) -> list[Seen]:
        """All requests for id tokens so far."""
        return self._server.seen

    def principal(
        self, audience: str | None = None, *, token_lifetime_s: float = 3600, is_admin: bool = True
    ) -> ServicePrincipal:
        """Return a service principal that gets tokens by its secret, or by an id token of this issuer."""
        policy = FederationPolicy(issuer=self._server.url, subject=SUBJECT, audience=audience, key=_KEY)
        return ServicePrincipal(
            application_id=APPLICATION_ID,
            client_secret=CLIENT_SECRET,
            policy=policy,
            is_admin=is_admin,
            token_lifetime_s=token_lifetime_s,
        )

    @property
    def github(self) -> Mapping[str, str]:
        """The environment of a job with ``id-token: write``."""
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self._server.url}{_GITHUB_PATH}?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": REQUEST_TOKEN,
        }

    @property
    def azure_devops(self) -> Mapping[str, str]:
        """The environment of a job that maps SYSTEM_ACCESSTOKEN."""
        return {
            "SYSTEM_ACCESSTOKEN": REQUEST_TOKEN,
            "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": f"{self._server.url}/org/",
            "SYSTEM_TEAMPROJECTID": "project",
            "SYSTEM_PLANID": "plan",
            "SYSTEM_JOBID": "job",
            "SYSTEM_HOSTTYPE": "build",
            "SYSTEM_OIDCREQUESTURI": f"{self._server.url}{_AZURE_DEVOPS_PATH}",
        }

    def id_token(self, audience: str) -> str:
        """Make a JWT for an audience."""
        now = time.time()
        claims = {
            "iss": self._server.url,
            "sub": SUBJECT,
            "aud": audience,
            "iat": int(now),
            "exp": now + self._lifetime_s,
            "jti": len(self.issued),
        }
        signed = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
        token = f"{signed}.{_encoded(hmac.digest(_KEY, signed.encode(), hashlib.sha256))}"
        self.issued.append(token)
        return token

    def _answer(self, seen: Seen) -> Reaction:
        if seen.headers.get("authorization") != f"Bearer {REQUEST_TOKEN}":
            return refusal(401, "UNAUTHENTICATED")
        match seen.method, seen.path:
            case "GET", path if path == _GITHUB_PATH:
                return Answer(body={"value": self.id_token(seen.query["audience"])})
            case "POST", path if path == _AZURE_DEVOPS_PATH:
                return Answer(body={"oidcToken": self.id_token(AZURE_DEVOPS_AUDIENCE)})
            case _:
                return refusal(404, "NOT_FOUND")


def _part(content: Mapping[str, object]) -> str:
    return _encoded(json.dumps(content).encode())


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
