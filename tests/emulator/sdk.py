"""The unmodified SDK, pointed at an emulator."""

from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config

from reconciler.emulator import Emulator


def sdk_client(emulator: Emulator, token: str) -> WorkspaceClient:
    """Return a client that takes nothing from environment or files (``conftest`` has emptied both)."""
    config = Config(host=emulator.url, token=token, auth_type="pat", http_timeout_seconds=5, retry_timeout_seconds=5)
    return WorkspaceClient(config=config)
