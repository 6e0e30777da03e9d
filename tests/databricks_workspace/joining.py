"""Connect to a server of a test."""

import contextlib
from collections.abc import Callable, Iterator

from reconciler.databricks_workspace import Connection, DatabricksWorkspace, connect
from tests.support.hostile_server import HostileServer, Reaction


TOKEN = "dapi-canary-token-5f1e"


@contextlib.contextmanager
def joined(
    url: str,
    *,
    token: str | None = TOKEN,
    timeout_s: float = 5.0,
    concurrency: int = 4,
    on_detail: Callable[[str], None] | None = None,
) -> Iterator[DatabricksWorkspace]:
    """Connect to ``url`` for the time of the ``with``."""
    workspace = connect(
        Connection(host=url, token=token), timeout_s=timeout_s, concurrency=concurrency, on_detail=on_detail
    )
    with contextlib.closing(workspace):
        yield workspace


@contextlib.contextmanager
def facing(
    *reactions: Reaction, timeout_s: float = 5.0, on_detail: Callable[[str], None] | None = None
) -> Iterator[tuple[DatabricksWorkspace, HostileServer]]:
    """Connect to a server that gives ``reactions`` one by one, then the last for ever."""
    with (
        HostileServer.saying(*reactions) as server,
        joined(server.url, timeout_s=timeout_s, on_detail=on_detail) as workspace,
    ):
        yield workspace, server
