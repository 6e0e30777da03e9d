"""Whatever level anybody sets, nothing that the SDK and the layers below log is printed. In processes of their own."""

import subprocess
import sys
import textwrap

import pytest

from tests.databricks_workspace.joining import TOKEN
from tests.support.hostile_server import Answer, HostileServer, refusal


VALUE = "canary-value-7c9e"


@pytest.mark.parametrize(
    "setting",
    [
        pytest.param("logging.basicConfig(level=logging.DEBUG)", id="root at DEBUG"),
        pytest.param(
            """
            logging.basicConfig(level=logging.DEBUG)
            for name in ("databricks.sdk", "databricks.sdk.retries", "urllib3", "urllib3.connectionpool", "requests"):
                logging.getLogger(name).setLevel(logging.DEBUG)
                logging.getLogger(name).addHandler(logging.StreamHandler())
            """,
            id="each at DEBUG with a handler",
        ),
        pytest.param("", id="nothing set, where Python prints warnings by itself"),
    ],
)
def test_prints_nothing(setting: str) -> None:
    """Put, get and a refusal, with headers and bodies in the log if it were up to the SDK."""
    code = f"""
        import logging
        from reconciler.databricks_workspace import Connection, connect
        SETTING
        from reconciler.errors import WorkspaceError
        from reconciler.model import SecretValue
        import sys
        workspace = connect(Connection(host=sys.argv[1], token={TOKEN!r}), timeout_s=2, concurrency=2)
        for act in (
            lambda: workspace.put_secret("scope", "key", SecretValue({VALUE.encode()!r})),
            lambda: workspace.get_secret("scope", "key"),
            lambda: workspace.list_secrets("scope"),
        ):
            try:
                act()
            except WorkspaceError:
                print("refused")
        logging.getLogger("ours").warning("ours is heard")
        """
    program = textwrap.dedent(code).replace("SETTING", textwrap.dedent(setting))
    refused = refusal(400, "BAD_REQUEST", f"no {VALUE} here", Retry_After=VALUE)
    throttled = refusal(429, "X", VALUE, Retry_After="0" if setting else VALUE)
    with HostileServer.saying(throttled, refused, refused, Answer(status=400, body=VALUE.encode())) as server:
        ran = subprocess.run(
            [sys.executable, "-c", program, server.url],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={"DATABRICKS_DEBUG_HEADERS": "true", "DATABRICKS_DEBUG_TRUNCATE_BYTES": "10000"},
        )

    assert ran.stdout.split() == ["refused"] * 3
    assert VALUE not in ran.stderr
    assert TOKEN not in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert "ours is heard" in ran.stderr
