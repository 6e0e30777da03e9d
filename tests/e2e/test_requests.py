"""How many requests a run makes, and over how many connections: what speed rests on, counted instead of timed."""

from collections import Counter
from collections.abc import Iterator, Mapping

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support.cli import Cli
from tests.support.secrets_repo import SecretsRepo
from tests.support.workspace_server import WorkspaceServer


GREETING = Counter({"/.well-known/databricks-config": 1, "/api/2.0/preview/scim/v2/Me": 1, "scopes/list": 1})
"""What each run asks a workspace, whatever it holds; the first one is the SDK's own."""

LEDGER_GREETING = Counter({"acls/list": 1, "get": 1})
"""What each run asks about the ledger: who may do what with it, and for its head. With `GREETING` 5 requests."""


class Connections:
    """Middleware that remembers which connections requests came on."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def __call__(self, app: ASGIApp) -> ASGIApp:
        """Wrap the application."""

        async def noting(scope: Scope, receive: Receive, send: Send) -> None:
            self.seen.add(scope["client"][1])
            await app(scope, receive, send)

        return noting

    def taken(self) -> int:
        """Return how many there were since the last question."""
        count = len(self.seen)
        self.seen.clear()
        return count


@pytest.fixture
def connections() -> Connections:
    """Count the connections of ``workspace_server``."""
    return Connections()


@pytest.fixture
def workspace_server(connections: Connections) -> Iterator[WorkspaceServer]:
    """Run a workspace whose connections are counted, too; answers take a moment, so that requests overlap."""
    with WorkspaceServer(middleware=(connections,), latency_s=0.002) as server:
        yield server


def _wish(repo: SecretsRepo, server: WorkspaceServer, keys: int, *, first: str = "as it was") -> None:
    values = {f"key-{number}": f"value {number}" for number in range(keys)} | {"key-0": first}
    repo.targets({"prod": server.fields})
    repo.scope_file("prod/app.yaml", {server.host_key: {"app": values}}, acls=["<READ users>"])


def _scopes(repo: SecretsRepo, server: WorkspaceServer, scopes: int, **changed: str) -> Mapping[str, str]:
    """Say what so many scopes should hold, all of them the same; return what that is."""
    keys = {"a": "x", "b": "y"}
    wish = {f"scope-{number}": keys for number in range(scopes)} | {"scope-0": {**keys, **changed}}
    repo.targets({"prod": server.fields})
    repo.scope_file("prod/app.yaml", {server.host_key: wish})
    return keys


@pytest.mark.parametrize("keys", [pytest.param(1, id="one key"), pytest.param(40, id="more keys than connections")])
def test_a_run_makes_no_more_requests_than_it_must(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer, keys: int
) -> None:
    """Each value is put once and read back once; a no-op reads no value (8 requests); one rotation adds 8."""
    _wish(repo, workspace_server, keys)

    run("plan", "prod").expect()
    assert workspace_server.operations() == (GREETING, LEDGER_GREETING)

    run("apply", "prod").expect()
    writes = Counter({"scopes/create": 1, "acls/put": 1, "put": keys})
    # Who has a grant on what was created: before a value is put, after granting, and, as no key is there that this run
    # did not touch, once more in the end: somebody may have made the scope anew meanwhile.
    back = Counter({"acls/list": 3, "list": 1, "get": keys})
    # The ledger: made, looked who has a grant on it and whether another run has written its head, head, intents; the
    # head before scopes, puts and grants, and before what came of it is written down.
    ledger = Counter({"scopes/create": 1, "acls/list": 1, "put": 3, "get": 5})
    assert workspace_server.operations() == (GREETING + writes + back, LEDGER_GREETING + ledger)

    no_op = GREETING + Counter({"list": 1, "acls/list": 1}), LEDGER_GREETING + Counter({"get": 1})
    for command in ("apply", "plan"):
        run(command, "prod").expect()
        traffic = workspace_server.operations()
        assert traffic == no_op
        assert sum(map(Counter.total, traffic)) == 8

    _wish(repo, workspace_server, keys, first="rotated")
    run("apply", "prod").expect()
    # Where the one key of a scope is rotated, only grants tell that the scope is still the same one.
    grants = Counter({"acls/list": 1 if keys == 1 else 0})
    traffic = workspace_server.operations()
    assert traffic == (
        no_op[0] + Counter({"put": 1, "list": 1, "get": 1}) + grants,
        no_op[1] + Counter({"put": 3, "get": 2}),  # head, intents, head?, the put, head?, entry
    )
    assert sum(map(Counter.total, traffic)) == 16 + grants.total()


def test_a_no_op_costs_three_requests_for_each_scope_and_five_for_all(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """Thirty scopes cost 95 requests; none of them reads a value."""
    keys = _scopes(repo, workspace_server, 30)
    for number in range(30):  # there before, and so adopted: that is quicker than to have them made
        workspace_server.create_scope(f"scope-{number}")
        for key, value in keys.items():
            workspace_server.put(f"scope-{number}", key, value.encode())
    run("apply", "prod").expect()
    assert workspace_server.writes() == []

    report = run("apply", "prod", "-o", "json").expect().target

    each = Counter({"list": 30, "acls/list": 30})
    assert workspace_server.operations() == (GREETING + each, LEDGER_GREETING + Counter({"get": 30}))
    assert report["requests"] == {"read": 3 * 30 + 5, "write": 0}


def test_a_scope_more_costs_nothing_where_nothing_changes(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """One rotation in one of five scopes writes and reads back in that scope alone, and one entry."""
    _scopes(repo, workspace_server, 5)
    run("apply", "prod").expect()
    _scopes(repo, workspace_server, 5, a="rotated")
    workspace_server.traffic()

    run("apply", "prod").expect()

    rotation = Counter({"put": 1, "list": 1, "get": 1}), Counter({"put": 3, "get": 2})
    no_op = GREETING + Counter({"list": 5, "acls/list": 5}), LEDGER_GREETING + Counter({"get": 5})
    assert workspace_server.operations() == (no_op[0] + rotation[0], no_op[1] + rotation[1])


def test_a_new_commit_that_changes_nothing_writes_the_head_alone(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """On the same commit nothing is written at all."""
    _wish(repo, workspace_server, 2)
    repo.commit("first")
    run("apply", "prod").expect()
    for expected in ([], ["put"], []):
        if expected:
            repo.commit("changes no secret")
        workspace_server.traffic()
        run("apply", "prod").expect()
        writes = workspace_server.all_writes()
        assert [call.operation for call in writes] == expected
        assert all(call.subject.startswith("head-") for call in writes)


def test_verifying_reads_each_value_once(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """``--verify-values`` asks for what the ledger would have known."""
    _wish(repo, workspace_server, 40)
    run("apply", "prod").expect()
    workspace_server.traffic()

    run("plan", "prod", "--verify-values").expect()

    lists = Counter({"list": 1, "acls/list": 1, "get": 40})
    assert workspace_server.operations() == (GREETING + lists, LEDGER_GREETING + Counter({"get": 1}))


def test_one_value_that_somebody_wrote_is_the_only_one_that_is_read(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """Its timestamp says that it may be another one."""
    _wish(repo, workspace_server, 40)
    run("apply", "prod").expect()
    workspace_server.put("app", "key-7", b"changed by hand")
    workspace_server.traffic()

    run("plan", "prod", "--detailed-exitcode").expect(3)

    lists = Counter({"list": 1, "acls/list": 1, "get": 1})
    assert workspace_server.operations() == (GREETING + lists, LEDGER_GREETING + Counter({"get": 1}))


@pytest.mark.parametrize("concurrency", [pytest.param(1, id="one at a time"), pytest.param(8, id="eight at once")])
def test_connections_are_kept_alive(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer, connections: Connections, concurrency: int
) -> None:
    """However many requests there are, they share as many connections as there are threads."""
    _wish(repo, workspace_server, 40)

    run("apply", "prod", "--concurrency", str(concurrency)).expect()
    assert len(workspace_server.traffic()) > 80
    assert connections.taken() <= concurrency

    run("apply", "prod", "--concurrency", str(concurrency)).expect()
    assert connections.taken() <= concurrency
