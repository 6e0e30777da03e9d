"""The workspace over the SDK: what it asks, what it understands, and what it makes of answers that are wrong."""

import base64
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from reconciler import errors
from reconciler.databricks_workspace import DatabricksWorkspace
from reconciler.emulator import Emulator
from reconciler.model import MAX_VALUE_BYTES, Acl, KeyName, Permission, Principal, ScopeName, SecretValue
from reconciler.workspace import Backend, RequestCount, ScopeInfo, SecretInfo
from tests.databricks_workspace.joining import facing, joined
from tests.support.hostile_server import Answer, HostileServer, Reset, Seen, refusal


SCOPE = ScopeName("payments")
KEY = KeyName("db-password")
ANNA = Principal("anna@example.com")


class TestAgainstTheEmbeddedWorkspace:
    """The good days."""

    def test_does_all_that_the_reconciler_needs(self) -> None:
        """Scopes, grants and secrets are created, seen, changed and deleted."""
        with Emulator() as emulator, joined(emulator.url, token=emulator.admin_token) as workspace:
            me = workspace.whoami().name
            workspace.create_scope(SCOPE)
            workspace.put_acl(SCOPE, Principal("users"), Permission.READ)
            workspace.put_secret(SCOPE, KEY, SecretValue(b"one"))

            assert workspace.host == emulator.url
            assert workspace.list_scopes() == (ScopeInfo(name=SCOPE, backend=Backend.DATABRICKS),)
            assert set(workspace.list_acls(SCOPE)) == {
                Acl(principal=me, permission=Permission.MANAGE),
                Acl(principal=Principal("users"), permission=Permission.READ),
            }
            assert [secret.key for secret in workspace.list_secrets(SCOPE)] == [KEY]
            assert workspace.get_secret(SCOPE, KEY) == SecretValue(b"one")

            workspace.delete_acl(SCOPE, Principal("users"))
            workspace.delete_secret(SCOPE, KEY)

            assert [acl.principal for acl in workspace.list_acls(SCOPE)] == [me]
            assert workspace.list_secrets(SCOPE) == ()

    @pytest.mark.parametrize(
        "raw",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"\x00\x01\xfe\xff", id="no text"),
            pytest.param(b"a\r\nb\n", id="line breaks"),
            pytest.param("\ufeff\U0001f511".encode(), id="bom and emoji"),
            pytest.param(bytes(range(256)) * (MAX_VALUE_BYTES // 256), id="128 KB"),
        ],
    )
    def test_hands_values_over_byte_for_byte(self, raw: bytes) -> None:
        """What is put is what is read, whatever bytes it is made of."""
        with Emulator() as emulator, joined(emulator.url, token=emulator.admin_token) as workspace:
            workspace.create_scope(SCOPE)
            workspace.put_secret(SCOPE, KEY, SecretValue(raw))

            assert workspace.get_secret(SCOPE, KEY).reveal() == raw

    def test_counts_what_the_server_counts(self) -> None:
        """The first question to the host is a read, each change a write."""
        with Emulator() as emulator, joined(emulator.url, token=emulator.admin_token) as workspace:
            workspace.whoami()
            workspace.create_scope(SCOPE)
            workspace.put_secret(SCOPE, KEY, SecretValue(b"one"))

            assert workspace.request_count() == RequestCount(read=2, write=2)

    def test_says_who_may_not_do_what(self) -> None:
        """A user without a grant learns what is missing, and existing names are told from unknown ones."""
        with (
            Emulator() as emulator,
            joined(emulator.url, token=emulator.admin_token) as admin,
            joined(emulator.url, token=emulator.user_token) as user,
        ):
            admin.create_scope(SCOPE)
            with pytest.raises(errors.PermissionDenied, match=r"putting payments/db-password: .*PERMISSION_DENIED"):
                user.put_secret(SCOPE, KEY, SecretValue(b"one"))
            with pytest.raises(errors.AlreadyExists):
                admin.create_scope(SCOPE)
            with pytest.raises(errors.NotFound):
                admin.get_secret(SCOPE, KEY)
            with pytest.raises(errors.NotFound):
                admin.delete_secret(SCOPE, KEY)

    def test_does_not_accept_a_wrong_token(self) -> None:
        """Connecting alone proves nothing; the first question does, with 401 or 403."""
        with (
            Emulator() as emulator,
            joined(emulator.url, token="wrong") as workspace,
            pytest.raises((errors.Unauthenticated, errors.PermissionDenied)),
        ):
            workspace.whoami()


def test_keeps_one_connection_per_thread() -> None:
    """16 threads reuse 16 connections over plain http too, where requests would keep 10 and drop the others."""
    together = threading.Barrier(16)

    def react(seen: Seen) -> Answer:
        if seen.path.endswith("/put"):
            together.wait(5)
        return Answer()

    with HostileServer(react) as server, joined(server.url, concurrency=16) as workspace:
        with ThreadPoolExecutor(16) as pool:
            for _ in range(5):
                list(pool.map(lambda n: workspace.put_secret(SCOPE, KeyName(f"k{n}"), SecretValue(b"1")), range(16)))

        puts = [seen.connection for seen in server.seen if seen.path.endswith("/put")]
        assert len(puts) == 80
        assert len(set(puts)) == 16


def test_sends_values_as_base64_alone() -> None:
    """One way for all values, so that no text needs to be told from bytes."""
    with facing(Answer()) as (workspace, server):
        workspace.put_secret(SCOPE, KEY, SecretValue(b"plain text"))

        assert server.seen[-1].json == {
            "scope": SCOPE,
            "key": KEY,
            "bytes_value": base64.b64encode(b"plain text").decode(),
        }


def test_names_a_service_principal_as_grants_do() -> None:
    """SCIM gives the application id of a service principal as its user name."""
    said = {"id": "1", "userName": "6f1c0000-0000-4000-8000-000000000001", "displayName": "deployer"}
    with facing(Answer(body=said)) as (workspace, _):
        assert workspace.whoami().name == said["userName"]


def test_reads_what_the_platform_leaves_out() -> None:
    """Empty lists are left out of answers, a kind of scope may be new."""
    scopes = {
        "scopes": [{"name": "a", "backend_type": "AZURE_KEYVAULT"}, {"name": "b", "backend_type": "NEW"}, {"name": "c"}]
    }
    with facing(Answer(), Answer(body={"secrets": []}), Answer(body=scopes)) as (workspace, _):
        assert workspace.list_acls(SCOPE) == ()
        assert workspace.list_secrets(SCOPE) == ()
        assert [scope.backend.name for scope in workspace.list_scopes()] == [
            "AZURE_KEYVAULT",
            "DATABRICKS",
            "DATABRICKS",
        ]


def test_reads_times_given_as_text() -> None:
    """The reference shows the time in quotes, answers hold a number."""
    said = {"secrets": [{"key": "a", "last_updated_timestamp": "1520467595000"}]}
    with facing(Answer(body=said)) as (workspace, _):
        assert workspace.list_secrets(SCOPE) == (SecretInfo(key=KeyName("a"), updated_ms=1520467595000),)


def _list_keys(workspace: DatabricksWorkspace) -> object:
    return workspace.list_secrets(SCOPE)


def _list_acls(workspace: DatabricksWorkspace) -> object:
    return workspace.list_acls(SCOPE)


def _list_scopes(workspace: DatabricksWorkspace) -> object:
    return workspace.list_scopes()


def _get(workspace: DatabricksWorkspace) -> object:
    return workspace.get_secret(SCOPE, KEY)


def _who(workspace: DatabricksWorkspace) -> object:
    return workspace.whoami().name


def _put(workspace: DatabricksWorkspace) -> None:
    workspace.put_secret(SCOPE, KEY, SecretValue(b"one"))


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        pytest.param(_list_keys, Answer(body=[]), id="a list at the top"),
        pytest.param(_list_keys, Answer(body="text"), id="a text at the top"),
        pytest.param(_list_keys, Answer(body={"secrets": {"a": 1}}), id="a mapping for a list"),
        pytest.param(_list_keys, Answer(body={"secrets": None}), id="null for a list"),
        pytest.param(_list_keys, Answer(body={"scopes": []}), id="another list"),
        pytest.param(_list_keys, Answer(body={"secrets": ["a"]}), id="entries that are no objects"),
        pytest.param(_list_keys, Answer(body={"secrets": [{"last_updated_timestamp": 1}]}), id="no key"),
        pytest.param(_list_keys, Answer(body={"secrets": [{"key": 5, "last_updated_timestamp": 1}]}), id="key 5"),
        pytest.param(_list_keys, Answer(body={"secrets": [{"key": "a"}]}), id="no time"),
        pytest.param(_list_keys, Answer(body={"secrets": [{"key": "a", "last_updated_timestamp": "now"}]}), id="time"),
        pytest.param(_list_acls, Answer(body={"items": [{"permission": "READ"}]}), id="no principal"),
        pytest.param(_list_acls, Answer(body={"items": [{"principal": "a", "permission": "OWN"}]}), id="permission"),
        pytest.param(_list_scopes, Answer(body={"scopes": [{}]}), id="no name"),
        pytest.param(_list_scopes, Answer(body={"error_code": "BAD_REQUEST", "message": "x"}), id="error under 200"),
        pytest.param(_get, Answer(body={"key": KEY}), id="no value"),
        pytest.param(_get, Answer(body={"key": KEY, "value": 5}), id="value 5"),
        pytest.param(_get, Answer(body={"key": KEY, "value": "b25l!"}), id="not base64"),
        pytest.param(_get, Answer(body={"key": KEY, "value": "b25"}), id="half base64"),
        pytest.param(_get, Answer(body={"key": "other", "value": "b25l"}), id="another key"),
        pytest.param(_who, Answer(body={}), id="nobody"),
        pytest.param(_put, Answer(status=307, headers={"Location": "/elsewhere"}), id="redirect"),
        pytest.param(_list_keys, Answer(status=302), id="redirect to nowhere"),
        pytest.param(_list_keys, Answer(status=304, body=b""), id="304"),
        pytest.param(_list_keys, refusal(404, "ENDPOINT_NOT_FOUND"), id="no such API"),
        pytest.param(_list_keys, Answer(status=418, body={"error_code": 418, "message": ["x"]}), id="418"),
    ],
)
def test_refuses_what_is_no_answer_of_the_api(ask: Callable[[DatabricksWorkspace], object], answer: Answer) -> None:
    """Nothing undocumented is taken for an empty listing, a missing secret or a success; it is asked for once."""
    with facing(answer) as (workspace, server):
        with pytest.raises(errors.UnexpectedAnswer):
            ask(workspace)

        assert len(server.paths()) == 1


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        pytest.param(_list_keys, Answer(body=b""), id="nothing"),
        pytest.param(_list_keys, Answer(body=b"<html>log in</html>"), id="a page"),
        pytest.param(_list_keys, Answer(body=b'{"secrets": ['), id="half"),
        pytest.param(_list_keys, Answer(body=b"\xff\xfe\xfd"), id="no text"),
        pytest.param(_put, Answer(body=b"<html>fine</html>"), id="a page after a put"),
        pytest.param(_list_keys, Answer(status=500, body={"error_code": "INTERNAL_ERROR"}), id="500"),
        pytest.param(_list_keys, Answer(status=502, body=b"<html>Bad Gateway</html>"), id="502"),
        pytest.param(_list_keys, Answer(status=403, body=b"<html>Forbidden</html>"), id="a page with 403"),
        pytest.param(_list_keys, Answer(status=404, body=b"not here"), id="text with 404"),
    ],
)
def test_refuses_for_good_what_is_no_answer_of_the_api_again_and_again(
    ask: Callable[[DatabricksWorkspace], object], answer: Answer
) -> None:
    """What may have come from something on the way is asked for again, and then is as little an answer as before."""
    # The last attempt may come too late for an answer, where the machine is busy.
    kinds = (errors.UnexpectedAnswer, errors.Unreachable)
    with facing(answer, timeout_s=0.4) as (workspace, _), pytest.raises(kinds, match="tried"):
        ask(workspace)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(refusal(401, "UNAUTHENTICATED"), errors.Unauthenticated, id="401"),
        pytest.param(Answer(status=401, body=b"<html>log in</html>"), errors.Unauthenticated, id="a page with 401"),
        pytest.param(Answer(status=403, body=b""), errors.PermissionDenied, id="403 alone"),
        pytest.param(refusal(403, "PERMISSION_DENIED"), errors.PermissionDenied, id="403"),
        pytest.param(Answer(status=403, body={"error_code": 403}), errors.PermissionDenied, id="403 as a number"),
        pytest.param(refusal(404, "RESOURCE_DOES_NOT_EXIST"), errors.NotFound, id="404"),
        pytest.param(refusal(400, "RESOURCE_DOES_NOT_EXIST"), errors.NotFound, id="the code beats the status"),
        pytest.param(refusal(400, "BAD_REQUEST"), errors.InvalidRequest, id="Key Vault"),
        pytest.param(refusal(400, "INVALID_PARAMETER_VALUE"), errors.InvalidRequest, id="parameter"),
        pytest.param(refusal(400, "NEVER_HEARD_OF"), errors.InvalidRequest, id="unknown code"),
        pytest.param(refusal(400, "RESOURCE_LIMIT_EXCEEDED"), errors.LimitExceeded, id="limit"),
        pytest.param(refusal(400, "QUOTA_EXCEEDED"), errors.LimitExceeded, id="quota"),
        pytest.param(refusal(400, "MAX_SECRET_SIZE_EXCEEDED"), errors.LimitExceeded, id="size"),
        pytest.param(refusal(400, "RESOURCE_ALREADY_EXISTS"), errors.AlreadyExists, id="exists"),
    ],
)
def test_tells_refusals_apart(answer: Answer, error: type[errors.WorkspaceError]) -> None:
    """The error says by its class what was refused, with one request."""
    with facing(answer) as (workspace, server):
        with pytest.raises(errors.WorkspaceError) as caught:
            workspace.put_secret(SCOPE, KEY, SecretValue(b"one"))

        assert type(caught.value) is error
        assert "putting payments/db-password" in str(caught.value)
        assert f"({answer.status})" in str(caught.value)
        assert len(server.paths()) == 1


@pytest.mark.parametrize(
    ("lost", "code", "act"),
    [
        pytest.param(Reset(), "RESOURCE_ALREADY_EXISTS", lambda w: w.create_scope(SCOPE), id="create, reset"),
        pytest.param(
            refusal(503, "X", Retry_After="0"), "RESOURCE_ALREADY_EXISTS", lambda w: w.create_scope(SCOPE), id="create"
        ),
        pytest.param(
            refusal(503, "X", Retry_After="0"),
            "RESOURCE_DOES_NOT_EXIST",
            lambda w: w.delete_secret(SCOPE, KEY),
            id="delete",
        ),
        pytest.param(
            refusal(503, "X", Retry_After="0"),
            "RESOURCE_DOES_NOT_EXIST",
            lambda w: w.delete_acl(SCOPE, ANNA),
            id="delete grant",
        ),
    ],
)
def test_takes_its_own_lost_success_for_success(
    lost: Answer | Reset, code: str, act: Callable[[DatabricksWorkspace], None]
) -> None:
    """When the answer to the first attempt was lost, "exists already" or "does not exist" is what it did."""
    with facing(lost, refusal(400, code)) as (workspace, server):
        act(workspace)

        assert len(server.paths()) == 2


def test_does_not_take_anothers_work_for_its_own() -> None:
    """After 429 nothing was done, so a scope that exists was created by somebody else."""
    with (
        facing(refusal(429, "X", Retry_After="0"), refusal(400, "RESOURCE_ALREADY_EXISTS")) as (workspace, _),
        pytest.raises(errors.AlreadyExists),
    ):
        workspace.create_scope(SCOPE)


def test_repeats_what_is_throttled_or_unavailable() -> None:
    """429 and 503 are tried again, and every attempt is counted."""
    slow = refusal(429, "REQUEST_LIMIT_EXCEEDED", Retry_After="0")
    with facing(slow, refusal(503, "TEMPORARILY_UNAVAILABLE", Retry_After="0"), Answer()) as (workspace, server):
        workspace.put_secret(SCOPE, KEY, SecretValue(b"one"))

        assert len(server.paths()) == 3
        assert workspace.request_count().write == 3


def test_raises_once_it_is_closed() -> None:
    """A closed workspace sends nothing."""
    with facing(Answer()) as (workspace, server):
        workspace.close()
        with pytest.raises(errors.Unreachable, match="closed"):
            workspace.list_scopes()

        assert server.paths() == []
