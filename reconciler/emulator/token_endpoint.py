"""Issues tokens to one service principal, as the platform does for OAuth between machines.

Two grants, documented at https://docs.databricks.com/dev-tools/auth/oauth-m2m and
https://docs.databricks.com/dev-tools/auth/oauth-federation: a client secret (RFC 6749, section 4.4), or an id token of
an issuer that a federation policy names (RFC 8693). Errors are those of RFC 6749, section 5.2.

Where it deviates: the platform gets the public keys of an issuer from the issuer; here issuer and policy share a key,
and id tokens are signed with HS256 (RFC 7518, section 3.2).
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from reconciler.emulator.identities import Identity
from reconciler.model import ADMINS, USERS, Principal


TOKEN_PATH: Final = "/oidc/v1/token"  # noqa: S105  # a path
METADATA_PATH: Final = "/oidc/.well-known/oauth-authorization-server"

_CLIENT_GRANT: Final = "client_credentials"
_EXCHANGE_GRANT: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
_JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
_TOKEN_BYTES: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationPolicy:
    """Whose id tokens stand for the service principal."""

    issuer: str
    subject: str
    key: bytes = field(repr=False)
    """By which the issuer signs, HS256."""

    audience: str | None = None
    """Whom the id token must be for; None: the address of the token endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePrincipal:
    """Somebody who gets a token only by exchange."""

    application_id: str
    """A UUID: client id, and the name in ACLs."""

    client_secret: str | None = field(default=None, repr=False)
    """None: there is none, so no token for one."""

    policy: FederationPolicy | None = None
    """None: no token for an id token."""

    is_admin: bool = True
    """Whether the group of admins holds it."""

    token_lifetime_s: float = 3600
    """How long a token is accepted. Answers hold whole seconds of it."""

    @property
    def identity(self) -> Identity:
        """The caller that its tokens stand for."""
        groups = (ADMINS, USERS) if self.is_admin else (USERS,)
        return Identity(user_id="1003", name=Principal(self.application_id), groups=groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanges:
    """What the token endpoint was asked so far."""

    issued: int = 0
    refused: int = 0


class RefusedGrant(Exception):
    """A request without a token in return."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": code, "error_description": message}


class TokenEndpoint:
    """The tokens of one service principal. Used by one thread; `exchanges` and `revoke` by any."""

    def __init__(
        self,
        principal: ServicePrincipal,
        *,
        url: str,
        now: Callable[[], float] = time.monotonic,
        today: Callable[[], float] = time.time,
    ) -> None:
        """Issue tokens at ``url``.

        Args:
            principal: To whom.
            url: Of the workspace, without a path.
            now: The clock of the tokens that are issued, in seconds.
            today: The clock of id tokens, in seconds since the epoch.
        """
        self._principal = principal
        self._url = url
        self._now = now
        self._today = today
        self._valid_until: dict[bytes, float] = {}
        self._exchanges = Exchanges()

    @property
    def exchanges(self) -> Exchanges:
        """How many requests there were. Replaced as a whole, so that other threads never see half a step."""
        return self._exchanges

    @property
    def metadata(self) -> dict[str, object]:
        """What ``/oidc/.well-known/oauth-authorization-server`` says (RFC 8414)."""
        return {
            "issuer": f"{self._url}/oidc",
            "authorization_endpoint": f"{self._url}/oidc/v1/authorize",
            "token_endpoint": f"{self._url}{TOKEN_PATH}",
        }

    def revoke(self) -> None:
        """Accept no token any more that was issued so far."""
        self._valid_until = {}

    def whose(self, given: bytes) -> Identity | None:
        """Return who a token stands for; None when it was not issued here, has expired or was revoked."""
        found = None
        for token, until in tuple(self._valid_until.items()):
            if hmac.compare_digest(given, token) and self._now() < until:
                found = self._principal.identity
        return found

    def issue(self, authorization: str, body: bytes) -> dict[str, object]:
        """Answer a request for a token.

        Args:
            authorization: Header of that name, empty if there is none.
            body: The form.

        Raises:
            RefusedGrant: There is none.
        """
        try:
            self._check(authorization, body)
        except RefusedGrant:
            self._exchanges = Exchanges(issued=self._exchanges.issued, refused=self._exchanges.refused + 1)
            raise
        self._exchanges = Exchanges(issued=self._exchanges.issued + 1, refused=self._exchanges.refused)
        token = secrets.token_hex(_TOKEN_BYTES)
        lifetime_s = self._principal.token_lifetime_s
        self._valid_until = {**self._valid_until, token.encode("ascii"): self._now() + lifetime_s}
        return {"access_token": token, "token_type": "Bearer", "expires_in": int(lifetime_s), "scope": "all-apis"}

    def _check(self, authorization: str, body: bytes) -> None:
        form = _form(body)
        match form.get("grant_type"):
            case grant if grant == _CLIENT_GRANT:
                self._check_secret(*_login(authorization, form))
            case grant if grant == _EXCHANGE_GRANT:
                self._check_id_token(form)
            case None:
                raise RefusedGrant("invalid_request", "grant_type is missing")
            case _:
                raise RefusedGrant("unsupported_grant_type", "there is no such grant here")

    def _check_secret(self, client_id: str, given: str) -> None:
        expected = self._principal.client_secret
        # Both are compared, whatever comes of the first: time must not tell which one is wrong.
        right_id = _equal(client_id, self._principal.application_id)
        right_secret = _equal(given, expected or "")
        if not (right_id and right_secret and expected):
            raise RefusedGrant("invalid_client", "client authentication failed", status=401)

    def _check_id_token(self, form: Mapping[str, str]) -> None:
        if form.get("subject_token_type") != _JWT or "subject_token" not in form:
            raise RefusedGrant("invalid_request", "subject_token must be a JWT and subject_token_type say so")
        if not _equal(form.get("client_id", ""), self._principal.application_id):
            raise RefusedGrant("invalid_client", "there is no service principal of this client_id", status=401)
        policy = self._principal.policy
        if policy is None:
            raise RefusedGrant("invalid_grant", "the service principal has no federation policy")
        claims = _claims(form["subject_token"], policy.key)
        audience = policy.audience or f"{self._url}{TOKEN_PATH}"
        expected = {"iss": policy.issuer, "sub": policy.subject, "aud": audience}
        if any(claims.get(name) != value for name, value in expected.items()):
            raise RefusedGrant("invalid_grant", "issuer, subject or audience are not those of the federation policy")
        ends = claims.get("exp")
        if not isinstance(ends, int | float) or ends <= self._today():
            raise RefusedGrant("invalid_grant", "the id token has expired")


def _form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise RefusedGrant("invalid_request", "the body is not a form") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise RefusedGrant("invalid_request", "a parameter is given twice")
    return form


def _login(authorization: str, form: Mapping[str, str]) -> tuple[str, str]:
    """Return client id and secret, of the header or of the form (RFC 6749, section 2.3.1)."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        client_id, _, client_secret = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except ValueError:
        raise RefusedGrant("invalid_request", "the Authorization header cannot be read") from None
    return client_id, client_secret


def _claims(token: str, key: bytes) -> Mapping[str, object]:
    """Return what a JWT claims, once its signature has been verified (RFC 7519)."""
    refused = RefusedGrant("invalid_grant", "the id token is not signed by the issuer of the federation policy")
    try:
        signed, _, signature = token.rpartition(".")
        header, _, claims = signed.partition(".")
        algorithm = json.loads(_decoded(header))["alg"]
        expected = hmac.digest(key, signed.encode("ascii"), hashlib.sha256)
        genuine = hmac.compare_digest(_decoded(signature), expected)
        said = json.loads(_decoded(claims)) if genuine and algorithm == "HS256" else None
    except (ValueError, TypeError, LookupError, binascii.Error, RecursionError):
        raise refused from None
    if not isinstance(said, dict):
        raise refused
    return said


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass"))
