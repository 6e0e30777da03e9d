"""The ASGI application: front door, tokens, routes.

What is answered here rather than by the Secrets API: the discovery document that the SDK asks for first
(``/.well-known/databricks-config``), SCIM ``Me``, the token endpoint if there is somebody to ask it, and the refusals
that all APIs of the platform share.
"""

import hmac
import json
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NewType, TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reconciler.emulator.calls import CALLS, Answer, Call, SecretsApi
from reconciler.emulator.fields import Fields
from reconciler.emulator.identities import Identity
from reconciler.emulator.refusals import Code, Refusal, denied, malformed
from reconciler.emulator.rules import Rules
from reconciler.emulator.token_endpoint import METADATA_PATH, TOKEN_PATH, RefusedGrant, TokenEndpoint


Token = NewType("Token", str)
"""A bearer token. Never shown, compared in constant time."""

Tokens: TypeAlias = tuple[tuple[Token, Identity], ...]
"""Whose token is which."""

WELL_KNOWN_PATH: Final = "/.well-known/databricks-config"
ME_PATH: Final = "/api/2.0/preview/scim/v2/Me"

PATHS: Final = frozenset({WELL_KNOWN_PATH, ME_PATH, METADATA_PATH, TOKEN_PATH, *(call.path for call in CALLS)})
"""All paths that there are, so that a log need not quote any other."""

WORKSPACE_ID: Final = "1"
"""Id of the embedded workspace in the discovery document; without one the SDK takes the host for an account console."""

_MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""Longest body that is read. Far above 128 KB, so that a value that is too long is told so, not cut off."""


def build_app(
    *, api: SecretsApi, tokens: Tokens, rules: Rules, url: str, endpoint: TokenEndpoint | None = None
) -> Starlette:
    """Return the application for a workspace that is reached at ``url``; without ``endpoint`` it issues no tokens."""
    door = _Door(tokens=tokens, rules=rules, endpoint=endpoint)

    async def well_known(_request: Request) -> Response:
        return _json({"oidc_endpoint": f"{url}/oidc", "workspace_id": WORKSPACE_ID})

    async def me(request: Request) -> Response:
        return _json(_scim_user(door.caller(request)))

    routes = [Route(call.path, _endpoint(call, api=api, door=door), methods=[call.method]) for call in CALLS]
    routes += [Route(WELL_KNOWN_PATH, well_known, methods=["GET"]), Route(ME_PATH, me, methods=["GET"])]
    routes += [] if endpoint is None else _token_routes(endpoint)
    app = Starlette(
        routes=routes,
        exception_handlers={
            Refusal: _answer_refusal,
            HTTPException: _answer_unknown_path,
            sqlite3.OperationalError: _answer_busy,
            Exception: _answer_bug,
        },
    )
    app.router.redirect_slashes = False  # the platform does not redirect, and clients must not follow if it did
    return app


class _Door:
    """Finds out who is calling."""

    def __init__(self, *, tokens: Tokens, rules: Rules, endpoint: TokenEndpoint | None) -> None:
        self._tokens = tuple((token.encode("utf-8"), identity) for token, identity in tokens)
        self._rules = rules
        self._endpoint = endpoint

    def caller(self, request: Request) -> Identity:
        """Return whose token came with the request.

        Raises:
            Refusal: 401 when none came, 403 when it is nobody's (both as the platform's front door puts it, with the
                status in place of a code), PERMISSION_DENIED when its owner has no access to the workspace.
        """
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not sent:
            raise Refusal(Code.NO_CREDENTIAL, "Credential was not sent or was of an unsupported type for this API.")
        given = sent.strip().encode("latin-1")  # header bytes, as starlette decoded them
        found = None if self._endpoint is None else self._endpoint.whose(given)
        for token, identity in self._tokens:
            if hmac.compare_digest(given, token):
                found = identity
        if found is None:
            raise Refusal(Code.UNKNOWN_TOKEN, "Invalid access token.")
        if found.name in self._rules.without_access:
            raise denied(f"{found.name} does not have access to this workspace.")
        return found


def _token_routes(endpoint: TokenEndpoint) -> list[Route]:
    """Return the routes of OAuth, which need no token."""

    async def metadata(_request: Request) -> Response:
        return _json(endpoint.metadata)

    async def issue(request: Request) -> Response:
        try:
            answer = endpoint.issue(request.headers.get("authorization", ""), await _body(request))
        except RefusedGrant as refused:
            return _json(refused.body, refused.status)
        return _json(answer, headers={"Cache-Control": "no-store"})  # RFC 6749, section 5.1

    return [Route(METADATA_PATH, metadata, methods=["GET"]), Route(TOKEN_PATH, issue, methods=["POST"])]


def _endpoint(call: Call, *, api: SecretsApi, door: _Door) -> Callable[[Request], Awaitable[Response]]:
    # SQLite is called right here: a call takes about 0.1 ms, a hop to a thread and back would double that.
    async def answer(request: Request) -> Response:
        caller = door.caller(request)
        is_get = call.method == "GET"
        fields = Fields(values=request.query_params) if is_get else Fields.of_body(await _body(request))
        return _json(call.run(api, caller, fields))

    return answer


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise malformed(f"The body of the request is longer than {_MAX_BODY_BYTES} bytes.")
    return bytes(body)


def _json(answer: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(answer), status_code=status, headers=headers, media_type="application/json")


async def _answer_refusal(_request: Request, refusal: Exception) -> Response:
    if not isinstance(refusal, Refusal):
        raise refusal
    return _json(refusal.body, refusal.status)


async def _answer_unknown_path(request: Request, _exc: Exception) -> Response:
    return await _answer_refusal(request, Refusal(Code.ENDPOINT_NOT_FOUND, "There is no API of this method and path."))


async def _answer_bug(request: Request, _exc: Exception) -> Response:
    return await _answer_refusal(request, Refusal(Code.INTERNAL_ERROR, "The embedded workspace has a bug."))


async def _answer_busy(request: Request, _exc: Exception) -> Response:
    refusal = Refusal(Code.TEMPORARILY_UNAVAILABLE, "Another process is using the state of the embedded workspace.")
    return await _answer_refusal(request, refusal)


def _scim_user(identity: Identity) -> Answer:
    """Return a SCIM user (RFC 7643) with what the platform's ``Me`` holds."""
    return Answer(
        {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": identity.user_id,
            "userName": identity.name,
            "displayName": identity.name,
            "active": True,
            "emails": [{"type": "work", "value": identity.name, "primary": True}],
            "groups": [{"type": "direct", "display": group, "value": group} for group in identity.groups],
        }
    )
