"""`reconciler.workspace.Workspace` over the SDK's ``SecretsAPI``.

Nothing of the SDK leaves here: its response objects print the value that they hold. No plain value is a local variable
of a frame that an exception could show: it is encoded within the expression that hands it to the SDK.
"""

import base64
import binascii
import json
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, TypeVar

from reconciler.databricks_workspace._calls import Call, MalformedAnswer, Operation
from reconciler.databricks_workspace._masking import masked
from reconciler.databricks_workspace._request_id import request_id
from reconciler.errors import AlreadyExists, NotFound, Unreachable, WorkspaceError
from reconciler.model import Acl, KeyName, Permission, Principal, RequestId, ScopeName, SecretValue, fold
from reconciler.workspace import Backend, Identity, RequestCount, ScopeInfo, SecretInfo


if TYPE_CHECKING:
    from databricks.sdk.core import ApiClient
    from databricks.sdk.service.workspace import AclItem, AclPermission, SecretMetadata, SecretsAPI, SecretScope

    from reconciler.databricks_workspace._credentials import BoundedCredentials
    from reconciler.databricks_workspace._retrying import Retrying
    from reconciler.databricks_workspace._transport import RequestCounter

T = TypeVar("T")

_ME_PATH: Final = "/api/2.0/preview/scim/v2/Me"
"""What ``CurrentUserAPI.me`` asks. By path, as ``service.iam`` would cost another 25 ms of start-up for one field."""

_END_OF_TIME_MS: Final = 253_402_300_800_000
"""The year 10000, which neither Python nor a report can show."""

_DOUBTED: Final = "the token is wrong or has expired, or the identity has no access to this workspace"
"""The platform answers an unknown token with 403 as well, so a denial of what everybody may do is about the token."""

_READ_ONLY: Final = "a scope backed by a Key Vault cannot be written"
_KEPT_BACK: Final = (
    "the platform hands this value to notebooks alone, or cannot get it from the Key Vault behind the scope: "
    "read it there"
)
_PRINCIPALS: Final = "a principal is a user name, the display name of a group, or a service principal's application id"


class DatabricksWorkspace:
    """One workspace under one identity. Made by `reconciler.databricks_workspace.connect`; safe in several threads."""

    def __init__(  # noqa: PLR0913  # called in one place, with names
        self,
        *,
        host: str,
        api: "ApiClient",
        secrets: "SecretsAPI",
        call: Call,
        counter: "RequestCounter",
        retrying: "Retrying",
        wind_down: Callable[[], None],
        explain: Callable[[Operation, Exception], WorkspaceError],
        request_id_of: Callable[[Exception], str | None],
        on_detail: Callable[[str], None] | None,
        credentials: "BoundedCredentials",
    ) -> None:
        """Take over a client that is ready to be used."""
        self._host = host
        self._api = api
        self._secrets = secrets
        self._call = call
        self._counter = counter
        self._retrying = retrying
        self._wind_down = wind_down
        self._explain = explain
        self._request_id_of = request_id_of
        self._on_detail = on_detail
        self._credentials = credentials
        self._closed = threading.Event()

    @property
    def host(self) -> str:
        """``https://…`` as reports name it."""
        return self._host

    def whoami(self) -> Identity:
        """Return the user name; for a service principal SCIM says its application id there, as ACLs do."""
        return self._run(
            Operation(what=f"asking {self._host} who we are", denied_advice=_DOUBTED),
            lambda: _identity_of(self._ask_me()),
        )

    def _ask_me(self) -> object:
        return self._api.do("GET", _ME_PATH, headers={"Accept": "application/json", **self._routing()})

    def _routing(self) -> dict[str, str]:
        """Return the header by which hosts of several workspaces choose one; ``SecretsAPI`` adds it by itself."""
        workspace_id = self._api._cfg.workspace_id  # noqa: SLF001  # ApiClient has no public name for it
        return {"X-Databricks-Workspace-Id": workspace_id} if workspace_id else {}

    def list_scopes(self) -> tuple[ScopeInfo, ...]:
        """Return the scopes that the identity can see."""
        return self._run(
            Operation(what="listing the scopes", denied_advice=_DOUBTED),
            lambda: tuple(map(_scope_of, self._secrets.list_scopes())),
        )

    def create_scope(self, scope: ScopeName) -> RequestId | None:
        """Create an empty scope. One that exists after a lost answer is ours."""
        return self._write(
            Operation(what=f"creating scope {scope}", denied_advice="the identity may not create scopes"),
            lambda: self._secrets.create_scope(scope),
            done=AlreadyExists,
        )

    def delete_scope(self, scope: ScopeName) -> RequestId | None:
        """Delete a scope with all that is in it. One that is missing after a lost answer is deleted."""
        return self._write(
            _on(scope, f"deleting scope {scope}", Permission.MANAGE),
            lambda: self._secrets.delete_scope(scope),
            done=NotFound,
        )

    def list_secrets(self, scope: ScopeName) -> tuple[SecretInfo, ...]:
        """Return keys and times of all secrets of the scope."""
        return self._run(
            _on(scope, f"listing the keys of scope {scope}", Permission.READ),
            lambda: tuple(map(_secret_of, self._secrets.list_secrets(scope))),
        )

    def get_secret(self, scope: ScopeName, key: KeyName) -> SecretValue:
        """Return the value of one secret."""
        return self._run(
            _on(
                scope,
                f"reading {scope}/{key}",
                Permission.READ,
                missing=_no_key(scope),
                rejected=_KEPT_BACK,
                # A server may quote the value that it holds, which we do not know and so could not mask.
                quotable=False,
            ),
            lambda: self._read(scope, key),
        )

    def _read(self, scope: ScopeName, key: KeyName) -> SecretValue:
        """Return the bytes behind the base64 of the answer; its object goes no further."""
        answer = self._secrets.get_secret(scope, key)
        if not isinstance(answer.key, str) or fold(answer.key) != fold(key):
            raise MalformedAnswer("the answer is about another key")
        if not isinstance(answer.value, str):
            raise MalformedAnswer("the answer holds no value")
        try:
            return SecretValue(base64.b64decode(answer.value, validate=True))
        except (binascii.Error, ValueError):
            raise MalformedAnswer("the value in the answer is not base64") from None

    def put_secret(self, scope: ScopeName, key: KeyName, value: SecretValue) -> RequestId | None:
        """Create or overwrite one secret in place.

        Always as ``bytes_value``: it holds any bytes, while ``string_value`` would have to be UTF-8 text; what is read
        back by ``secrets/get`` and by DBUtils is the same.
        """
        return self._write(
            _on(
                scope,
                f"putting {scope}/{key}",
                Permission.WRITE,
                missing=_no_key(scope),
                rejected=_READ_ONLY,
            ),
            lambda: self._secrets.put_secret(scope, key, bytes_value=base64.b64encode(value.reveal()).decode("ascii")),
            value=value,
        )

    def delete_secret(self, scope: ScopeName, key: KeyName) -> RequestId | None:
        """Delete one secret. One that is missing after a lost answer is deleted."""
        return self._write(
            _on(
                scope,
                f"deleting {scope}/{key}",
                Permission.WRITE,
                missing=_no_key(scope),
                rejected=_READ_ONLY,
            ),
            lambda: self._secrets.delete_secret(scope, key),
            done=NotFound,
        )

    def list_acls(self, scope: ScopeName) -> tuple[Acl, ...]:
        """Return all grants on the scope."""
        return self._run(
            _on(scope, f"listing the grants on scope {scope}", Permission.MANAGE),
            lambda: tuple(map(_acl_of, self._secrets.list_acls(scope))),
        )

    def put_acl(self, scope: ScopeName, principal: Principal, permission: Permission) -> RequestId | None:
        """Create or overwrite one grant."""
        return self._write(
            _on(
                scope,
                f"granting {permission.name} on scope {scope} to {principal}",
                Permission.MANAGE,
                missing=f"the scope or the principal does not exist; {_PRINCIPALS}",
                rejected=f"check that the principal exists; {_PRINCIPALS}",
            ),
            lambda: self._secrets.put_acl(scope, principal, _permission_of(permission)),
        )

    def delete_acl(self, scope: ScopeName, principal: Principal) -> RequestId | None:
        """Delete one grant. One that is missing after a lost answer is deleted."""
        return self._write(
            _on(
                scope,
                f"taking the grant on scope {scope} from {principal}",
                Permission.MANAGE,
                missing="the scope or the grant does not exist",
            ),
            lambda: self._secrets.delete_acl(scope, principal),
            done=NotFound,
        )

    def wind_down(self) -> None:
        """Make no further attempt of a request that fails; who waits before one fails at once."""
        self._retrying.wind_down()
        self._credentials.wind_down()
        self._wind_down()

    def request_count(self) -> RequestCount:
        """Return how many attempts were sent, the SDK's first question to the host included."""
        return self._counter.total()

    def clock_offset_s(self) -> float | None:
        """Return how far ahead of ours the clock of the workspace is, by its last answer."""
        return self._counter.ahead_s

    def close(self) -> None:
        """Give the connections back. Later calls raise Unreachable."""
        self._closed.set()
        self._api._api_client._session.close()  # noqa: SLF001  # checked when it was built

    def _write(
        self,
        operation: Operation,
        request: Callable[[], object],
        *,
        value: SecretValue | None = None,
        done: type[AlreadyExists | NotFound] | None = None,
    ) -> RequestId | None:
        """Make one call that writes, and return the platform's id of its last attempt.

        Args:
            operation: As `_run` has it.
            request: Likewise.
            value: Likewise.
            done: No failure if an earlier attempt, whose answer was lost, did the work already.
        """
        try:
            self._run(operation, request, value=value)
        except WorkspaceError as error:
            if done is None or not isinstance(error, done) or not self._call.lost:
                raise
        return request_id(self._call.request_id, self._known(value))

    def _run(self, operation: Operation, request: Callable[[], T], *, value: SecretValue | None = None) -> T:
        """Make one call, and translate what goes wrong.

        Args:
            operation: What is done, in words.
            request: Calls the SDK and takes its answer apart, listings included: a late error must not slip past.
            value: What is sent, to be masked in what the server says.
        """
        if self._closed.is_set():
            raise Unreachable(f"{operation.what}: the connection to {self._host} is closed")
        try:
            return self._retrying.run(request)
        except Exception as error:  # noqa: BLE001  # the table decides; nothing of the SDK gets past
            failure = self._explain(operation, error)
            said_id = self._call.request_id or self._request_id_of(error)
        if operation.quotable:
            # Nor is an id shown where it may be the value that was asked for.
            failure.request_id = request_id(said_id, self._known(value))
            self._tell_detail(operation, value)
        # Outside of the `except`: an exception raised within it would carry the SDK's, with request and answer in it.
        raise failure

    def _tell_detail(self, operation: Operation, value: SecretValue | None) -> None:
        """Hand on what the server said, without the value and the credential."""
        if self._on_detail is None or not self._call.body:
            return
        shown = masked(_words_of(self._call.body), self._known(value))
        self._on_detail(f"{operation.what}: the server said: {shown}")

    def _known(self, value: SecretValue | None) -> Iterator[bytes]:
        for credential in self._call.credentials:
            yield credential.rpartition(" ")[2].encode()
        # The workspace may issue tokens as well, and then knows what they were issued for.
        yield from self._credentials.secrets()
        if value is not None:
            yield value.reveal()


def _words_of(body: bytes) -> str:
    """Return code and message of an error of the API, or the text of whatever else came."""
    text = body.decode("utf-8", errors="replace")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):  # the latter for brackets by the thousand
        return text
    if not isinstance(said, dict) or "message" not in said:
        return text
    return f"{said.get('error_code', '')} {said['message']}".strip()


def _on(  # called with names
    scope: ScopeName,
    what: str,
    needed: Permission,
    *,
    missing: str | None = None,
    rejected: str | None = None,
    quotable: bool = True,
) -> Operation:
    """Return an operation within a scope; ``missing`` and ``rejected`` are advice where the usual one does not fit."""
    return Operation(
        what=what,
        denied_advice=f"the identity needs {needed.name} on scope {scope}",
        missing_advice=missing or f"scope {scope} does not exist, or the identity may not see it",
        rejected_advice=rejected,
        quotable=quotable,
    )


def _no_key(scope: ScopeName) -> str:
    return f"scope {scope} or the key does not exist"


def _identity_of(answer: object) -> Identity:
    said = answer if isinstance(answer, dict) else {}
    name, groups = said.get("userName"), said.get("groups")
    if not isinstance(name, str) or not _is_text(name):
        raise MalformedAnswer("the answer names nobody")
    shown = (group.get("display") for group in (groups if isinstance(groups, list) else ()) if isinstance(group, dict))
    return Identity(
        name=Principal(name),
        groups=frozenset(Principal(one) for one in shown if isinstance(one, str) and _is_text(one)),
    )


def _is_text(name: str) -> bool:
    """Tell whether ``name`` is one. JSON can also hold half of a character (a lone surrogate), which has no bytes."""
    return bool(name) and not any("\ud800" <= char <= "\udfff" for char in name)


def _scope_of(scope: "SecretScope") -> ScopeInfo:
    if not isinstance(scope.name, str) or not _is_text(scope.name):
        raise MalformedAnswer("the answer holds a scope without a name")
    # The SDK leaves out a kind that it does not know. If it cannot be written, the platform says so to the first put,
    # which fails that scope alone; refusing here would fail the whole workspace for a scope that nobody asked about.
    kind = "DATABRICKS" if scope.backend_type is None else scope.backend_type.value
    return ScopeInfo(name=ScopeName(scope.name), backend=Backend(kind))


def _secret_of(secret: "SecretMetadata") -> SecretInfo:
    if not isinstance(secret.key, str) or not _is_text(secret.key):
        raise MalformedAnswer("the answer holds a key without a name")
    if secret.last_updated_timestamp is None:
        raise MalformedAnswer(f"the answer does not say when {secret.key!r} was updated")
    if not 0 <= secret.last_updated_timestamp < _END_OF_TIME_MS:
        raise MalformedAnswer(f"the answer says that {secret.key!r} was updated at a time that is none")
    return SecretInfo(key=KeyName(secret.key), updated_ms=secret.last_updated_timestamp)


def _acl_of(item: "AclItem") -> Acl:
    principal: object = item.principal  # the SDK's annotation promises text, its code does not
    if not isinstance(principal, str) or not _is_text(principal):
        raise MalformedAnswer("the answer holds a grant to nobody")
    # The SDK reads a permission that it does not know as None. Left out, somebody would hold a grant that no plan
    # shows.
    if item.permission is None:
        raise MalformedAnswer(f"the grant to {principal!r} is of a kind that this version does not know")
    return Acl(principal=Principal(principal), permission=Permission[item.permission.value])


def _permission_of(permission: Permission) -> "AclPermission":
    from databricks.sdk.service.workspace import AclPermission

    return AclPermission(permission.name)
