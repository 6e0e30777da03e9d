"""The workspace over the real databricks-sdk 0.156; nothing else imports the SDK.

Parts, in the order in which they are used:

* `_sdk_import` imports the SDK in 0.2 instead of 1.1 seconds;
* `_quiet` keeps the logs of the SDK and below from quoting requests and answers;
* `_profile` reads a profile of the user's own and holds its host against the target's;
* `_session` builds the SDK's client: what the environment may say, no redirect, no proxy for loopback, a fitting pool;
* `_credentials` chooses a strategy of authentication and turns what it finds into headers, in bounded time; `_oauth`
  has those that end in a token of Databricks' own, `_exchange` asks for it, `_tokens` keeps it for its lifetime;
* `_transport` sends, counts and bounds each single attempt; `_retrying` decides on the next one, and `_pace` when
  anybody may start; `_retry_after` reads what the workspace says of that, `_request_id` what it calls a request;
* `_client` is the `reconciler.workspace.Workspace`;
* `_failures` is the one table from foreign exceptions to ours, and to how long they are worth a retry;
* `_masking` makes server text fit to be shown.

Importing this package is cheap; the SDK loads with `preload` or `connect`.
"""

from collections.abc import Callable

from reconciler.databricks_workspace._client import DatabricksWorkspace
from reconciler.databricks_workspace._connection import Connection
from reconciler.databricks_workspace._masking import masked
from reconciler.databricks_workspace._profile import profile_problem
from reconciler.databricks_workspace._sdk_import import preload


__all__ = ("Connection", "DatabricksWorkspace", "connect", "masked", "preload", "profile_problem")


def connect(
    connection: Connection, *, timeout_s: float, concurrency: int, on_detail: Callable[[str], None] | None = None
) -> DatabricksWorkspace:
    """Load the SDK and the credential, and make sure that the host answers at all.

    One request goes to the host (``/.well-known/databricks-config``); token exchanges come on top.

    Args:
        connection: Where to and as whom.
        timeout_s: How long one request is retried and, at most, waited for, in seconds.
        concurrency: How many threads will call at once: so many connections are kept.
        on_detail: Called with what the server said to a failed request, one line, the value at hand and the token
            masked. For ``-v``; None shows nothing.

    Raises:
        InvalidInput: The profile is for another host.
        Unreachable: No answer within ``timeout_s``.
        Unauthenticated: No usable credential.
        WorkspaceError: Another child, see `reconciler.errors`.
    """
    preload()
    # Imported late: it needs the SDK.
    from reconciler.databricks_workspace._session import open_workspace

    return open_workspace(connection, timeout_s=timeout_s, concurrency=concurrency, on_detail=on_detail)
