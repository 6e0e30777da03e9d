"""How many requests a run makes, and over how many connections: what speed rests on, counted instead of timed."""

from collections import Counter
from collections.abc import Iterator

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support.cli import Cli
from tests.support.secrets_repo import SecretsRepo
from tests.support.workspace_server import Call, WorkspaceServer


GREETING = Counter({"/.well-known/databricks-config": 1, "/api/2.0/preview/scim/v2/Me": 1, "scopes/list": 1})
"""What each run asks a workspace, whatever it holds."""


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


def _operations(traffic: list[Call]) -> Counter[str]:
    return Counter(call.operation for call in traffic)


@pytest.mark.parametrize("keys", [pytest.param(1, id="one key"), pytest.param(40, id="more keys than connections")])
def test_a_run_makes_no_more_requests_than_it_must(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer, keys: int
) -> None:
    """Each value is put once and read back once; a no-op reads lists and values; one rotation adds one put."""
    _wish(repo, workspace_server, keys)
    values = Counter({"get": keys})
    lists = Counter({"list": 1, "acls/list": 1})

    run("plan", "prod").expect()
    assert _operations(workspace_server.traffic()) == GREETING

    run("apply", "prod").expect()
    writes = Counter({"scopes/create": 1, "acls/put": 1, "put": keys})
    assert _operations(workspace_server.traffic()) == GREETING + writes + lists + values

    run("apply", "prod").expect()
    assert _operations(workspace_server.traffic()) == GREETING + lists + values

    _wish(repo, workspace_server, keys, first="rotated")
    run("apply", "prod").expect()
    one_put = Counter({"put": 1, "list": 1, "get": 1})
    assert _operations(workspace_server.traffic()) == GREETING + lists + values + one_put


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
