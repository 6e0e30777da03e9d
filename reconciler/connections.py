"""From a target to its workspace: where it is, as whom, and running it first when it is embedded."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, assert_never

from reconciler.databricks_workspace import Connection, connect, profile_problem
from reconciler.errors import Problem, Refused
from reconciler.policy import EmbeddedSettings, Target, WorkspaceSettings
from reconciler.settings import Settings
from reconciler.workspace import Workspace


STATE_FOLDER: Final = ".reconciler"
"""Where embedded workspaces keep their state, below the directory of the run; ignored by git."""


def shown_host(target: Target) -> str:
    """Return the host as reports name it; an embedded workspace has another port each time."""
    match target.workspace:
        case EmbeddedSettings():
            return f"embedded://{target.name}"
        case WorkspaceSettings(host=host):
            return host
        case _:
            assert_never(target.workspace)


def _connection(place: WorkspaceSettings) -> Connection:
    return Connection(
        host=place.host,
        profile=place.profile,
        workspace_id=place.workspace_id,
        account_id=place.account_id,
        client_id=place.client_id,
        token_audience=place.token_audience,
        azure_client_id=place.azure_client_id,
        azure_tenant_id=place.azure_tenant_id,
        azure_workspace_resource_id=place.azure_workspace_resource_id,
        auth_type=place.auth_type,
    )


def local_problem(target: Target, settings: Settings) -> Problem | None:
    """Return what is wrong on this machine with the way to ``target``: a profile for another host, or none."""
    if isinstance(target.workspace, EmbeddedSettings):
        return None
    return profile_problem(_connection(target.workspace), settings.environ)


def state_file(settings: Settings, target: Target) -> Path:
    """Return where the embedded workspace of ``target`` keeps what it holds, in a folder for the owner alone.

    Raises:
        Refused: The folder is a link, as a branch may have committed one that leads anywhere; or it cannot be made.
    """
    folder = settings.root / STATE_FOLDER
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink():
            raise Refused(f"{folder} is a link, and values would be written where it leads", advice="remove the link")
        folder.chmod(0o700)
    except OSError:
        raise Refused(f"{folder} cannot be made a folder of ours", advice="check its permissions") from None
    return folder / f"{target.name}.sqlite3"


@contextlib.contextmanager
def connected(target: Target, settings: Settings, on_detail: Callable[[str], None] | None) -> Iterator[Workspace]:
    """Connect to the workspace of ``target``, running it first when it is embedded.

    Args:
        target: Where to.
        settings: The surroundings.
        on_detail: Gets what the workspace says to failed requests, as far as the request at hand is masked in it.

    Raises:
        WorkspaceError: It cannot be reached, or does not accept the credential.
        InvalidInput: The profile that targets.yaml names is for another host.
    """
    with contextlib.ExitStack() as stack:
        match target.workspace:
            case EmbeddedSettings():
                # Loaded only here: a server costs 0.1 s of start-up that real targets need not pay.
                from reconciler.emulator import Emulator

                emulator = stack.enter_context(Emulator(state_file(settings, target)))
                connection = Connection(host=emulator.url, token=emulator.admin_token)
            case WorkspaceSettings() as place:
                connection = _connection(place)
            case _:
                assert_never(target.workspace)
        workspace = connect(
            connection,
            timeout_s=settings.timeout_s,
            concurrency=settings.concurrency,
            on_detail=on_detail,
        )
        stack.callback(workspace.close)
        yield workspace
