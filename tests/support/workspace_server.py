"""A workspace on the loopback that is not the reconciler's own: it counts, and can be changed behind git's back.

::

    with WorkspaceServer() as server:
        repo.targets({"prod": server.fields})
        repo.scope_file("prod/app.yaml", {server.host_key: {"app": {"password": "x"}}}).commit()
        run("apply", "prod", env=server.env)
        assert server.value("app", "password") == b"x"
"""

import base64
import contextlib
import json
import urllib.parse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconciler.emulator import Emulator, Middleware, Rules
from reconciler.model import LEDGER_SCOPE
from tests.emulator.caller import Answer, Caller


class Call(NamedTuple):
    """One request as it arrived; no value in it."""

    method: str
    operation: str
    """Of the Secrets API, such as ``put``, ``acls/list``; else the path."""

    scope: str = ""
    subject: str = ""
    """Key or principal."""


_API = "/api/2.0/secrets/"


class WorkspaceServer:
    """Listens from ``with`` to its end.

    Args:
        rules: limits and modes of the workspace.
        middleware: what stands between the log and the application, to inject faults.
        principals: further users and groups that there are.
        latency_s: seconds that each request takes longer.
        admin_token: of the admin; None makes one. Two servers of one run need the same, as there is one environment.
        state: file for what is in it; None keeps that in memory.
    """

    def __init__(  # all of them optional and named
        self,
        *,
        rules: Rules | None = None,
        middleware: Sequence[Middleware] = (),
        principals: Sequence[str] = (),
        latency_s: float = 0.0,
        admin_token: str | None = None,
        state: Path | None = None,
    ) -> None:
        self._calls: list[Call] = []
        self._stack = contextlib.ExitStack()
        self.emulator = Emulator(
            state,
            middleware=(self._noting, *middleware),
            rules=rules,
            principals=principals,
            latency_s=latency_s,
            admin_token=admin_token,
        )

    def __enter__(self) -> Self:
        self._stack.enter_context(self.emulator)
        self._admin = self._stack.enter_context(Caller(self.emulator, self.emulator.admin_token))
        self._user = self._stack.enter_context(Caller(self.emulator, self.emulator.user_token))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def host_key(self) -> str:
        """The host as a scope file spells it: ``127.0.0.1_PORT``."""
        return self.emulator.url.removeprefix("http://").replace(":", "_")

    @property
    def fields(self) -> Mapping[str, Mapping[str, str]]:
        """The fields of a target that is this workspace."""
        return {"workspace": {"host": self.emulator.url}}

    @property
    def env(self) -> Mapping[str, str]:
        """What a command needs in its environment to be the admin here."""
        return {"DATABRICKS_TOKEN": self.emulator.admin_token}

    def traffic(self) -> list[Call]:
        """Return the requests since the last question, in the order of their arrival, without those of the test."""
        taken = list(self._calls)
        del self._calls[: len(taken)]
        return taken

    def operations(self) -> tuple[Counter[str], Counter[str]]:
        """Count the `traffic` by operation: apart from the ledger, and to the ledger."""
        traffic = self.traffic()
        return (
            Counter(call.operation for call in traffic if call.scope != LEDGER_SCOPE),
            Counter(call.operation for call in traffic if call.scope == LEDGER_SCOPE),
        )

    def all_writes(self) -> list[Call]:
        """Return the writing requests among the `traffic`, those to the ledger as well."""
        return [call for call in self.traffic() if call.method != "GET"]

    def writes(self) -> list[Call]:
        """Return the writing requests among the `traffic`, without those to the ledger."""
        return [call for call in self.all_writes() if call.scope != LEDGER_SCOPE]

    # What a test does, or wants to know, without leaving a trace in the traffic.

    def call(self, method: str, operation: str, **fields: object) -> Answer:
        """Call the Secrets API as the admin, and hand out whatever comes back."""
        before = len(self._calls)
        if method == "GET":
            answer = self._admin.get(operation, **{name: str(value) for name, value in fields.items()})
        else:
            answer = self._admin.post(operation, **fields)
        del self._calls[before:]
        return answer

    def call_as_user(self, operation: str, **fields: object) -> None:
        """Write as somebody who is no administrator, such as one who makes a scope before us."""
        before = len(self._calls)
        answer = self._user.post(operation, **fields)
        del self._calls[before:]
        assert answer.status == 200, answer.text

    def delete_scope(self, scope: str) -> None:
        """Delete a scope behind git's back."""
        self._done("scopes/delete", scope=scope)

    def put(self, scope: str, key: str, value: bytes) -> None:
        """Put a secret behind git's back."""
        self._done("put", scope=scope, key=key, bytes_value=base64.b64encode(value).decode())

    def delete(self, scope: str, key: str) -> None:
        """Delete a secret behind git's back."""
        self._done("delete", scope=scope, key=key)

    def create_scope(self, scope: str) -> None:
        """Create a scope behind git's back."""
        self._done("scopes/create", scope=scope)

    def grant(self, scope: str, principal: str, permission: str) -> None:
        """Grant behind git's back."""
        self._done("acls/put", scope=scope, principal=principal, permission=permission)

    def revoke(self, scope: str, principal: str) -> None:
        """Take a grant away behind git's back."""
        self._done("acls/delete", scope=scope, principal=principal)

    def listed(self, scope: str) -> list[Any]:
        """Return what the listing of a scope says: keys and timestamps."""
        return list(self._asked("list", scope=scope).get("secrets", []))

    def value(self, scope: str, key: str) -> bytes:
        """Return the bytes that a reader of the API gets."""
        return base64.b64decode(self._asked("get", scope=scope, key=key)["value"], validate=True)

    def keys(self, scope: str) -> list[str]:
        """Return the keys of a scope as the workspace spells them, sorted."""
        return sorted(secret["key"] for secret in self._asked("list", scope=scope).get("secrets", []))

    def scopes(self) -> list[str]:
        """Return the names of all scopes but the ledger's, sorted."""
        return sorted(set(self.all_scopes()) - {LEDGER_SCOPE})

    def all_scopes(self) -> list[str]:
        """Return the names of all scopes."""
        return [scope["name"] for scope in self._asked("scopes/list").get("scopes", [])]

    def grants(self, scope: str) -> dict[str, str]:
        """Return who has which permission on a scope."""
        return {acl["principal"]: acl["permission"] for acl in self._asked("acls/list", scope=scope)["items"]}

    def _done(self, operation: str, **fields: object) -> None:
        answer = self.call("POST", operation, **fields)
        assert answer.status == 200, answer.text

    def _asked(self, operation: str, **fields: object) -> Any:  # noqa: ANN401  # JSON
        answer = self.call("GET", operation, **fields)
        assert answer.status == 200, answer.text
        return answer.json

    def _noting(self, app: ASGIApp) -> ASGIApp:
        """Wrap the application so that each request is noted when its body is there."""

        async def noting(scope: Scope, receive: Receive, send: Send) -> None:
            body = bytearray()

            async def receive_noting() -> Message:
                message = await receive()
                body.extend(message.get("body", b""))
                if message["type"] == "http.request" and not message.get("more_body"):
                    self._note(scope, bytes(body))
                return message

            if scope["method"] == "GET":
                self._note(scope, b"")
                await app(scope, receive, send)
            else:
                await app(scope, receive_noting, send)

        return noting

    def _note(self, scope: Scope, body: bytes) -> None:
        path = str(scope["path"])
        fields = json.loads(body) if body else dict(urllib.parse.parse_qsl(scope["query_string"].decode()))
        subject = str(fields.get("key", fields.get("principal", "")))
        self._calls.append(
            Call(scope["method"], path.removeprefix(_API), str(fields.get("scope", "")), subject),
        )
