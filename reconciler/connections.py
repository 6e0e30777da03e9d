"""From a target to its workspace, and to its files unlocked: where it is, as whom, running it when it is embedded."""

import contextlib
import itertools
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, assert_never

from reconciler.databricks_workspace import Connection, connect, masked, preload, profile_problem
from reconciler.desired import Desired, unlock, unlocker_for
from reconciler.errors import Problem, Refused
from reconciler.ledger.records import NOBODY, place_tag
from reconciler.policy import EmbeddedSettings, Target, WorkspaceSettings
from reconciler.pysops.decryptor import Unlocker
from reconciler.settings import Chosen, Settings
from reconciler.survey import LedgerSpot
from reconciler.workspace import Workspace


STATE_FOLDER: Final = ".reconciler"
"""Where embedded workspaces keep their state, below the directory of the run; ignored by git."""

_MOST_DETAILS: Final = 10
"""Answers of a workspace that ``-v`` shows per target."""

Tell = Callable[[str], None]
"""Tells people something, one line."""

Connecting = Callable[[Target, Settings, Tell | None], contextlib.AbstractContextManager[Workspace]]
"""Opens the workspace of a target: `connected`, or a stand-in."""


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


def ledger_spot(chosen: Chosen) -> LedgerSpot:
    """Return where the ledger of a target is, and whose it should be."""
    target = chosen.selected.target
    return LedgerSpot(
        scope=target.ledger_scope,
        target=target.name,
        owner=NOBODY if chosen.owner is None else uuid.UUID(chosen.owner),
        place=place_tag(target.host_key),
        operators=target.operators,
        readers=target.ledger_readers,
    )


def local_problem(target: Target, settings: Settings) -> Problem | None:
    """Return what is wrong on this machine with the way to ``target``: a profile for another host, or none."""
    if isinstance(target.workspace, EmbeddedSettings):
        return None
    return profile_problem(_connection(target.workspace), settings.environ)


def state_file(settings: Settings, target: Target) -> Path:
    """Return where the embedded workspace of ``target`` keeps what it holds, in a folder for the owner alone.

    Raises:
        Refused: See `state_folder`.
    """
    return state_folder(settings) / f"{target.name}.sqlite3"


def state_folder(settings: Settings) -> Path:
    """Return the folder of what is kept on this machine alone, after making it for the owner alone.

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
    return folder


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


@contextlib.contextmanager
def opened(
    chosen: Chosen,
    settings: Settings,
    connecting: Connecting,
    on_detail: Tell | None,
    *,
    on_unlocked: Callable[[Desired], None],
) -> Iterator[Workspace]:
    """Connect in this thread, which can be interrupted, and unlock in another: neither waits for the other.

    Args:
        chosen: The target, and the files that are unlocked for it.
        settings: The surroundings.
        connecting: Opens the workspace.
        on_detail: Gets what the workspace says to failed requests.
        on_unlocked: Gets what git wants, also where the workspace cannot be reached: what does not unlock is told then.

    Raises:
        WorkspaceError: The workspace cannot be reached, or does not accept the credential.
        InvalidInput: The profile that targets.yaml names is for another host.
    """
    # First, as threads that only compute take turns: what unlocking can hide behind is the wait for an answer.
    preload()
    unlocker = unlocker_of(chosen, settings)
    with contextlib.ExitStack() as stack:
        with ThreadPoolExecutor(1, thread_name_prefix="unlock") as pool:
            unlocking = pool.submit(unlock, chosen.selected, unlocker)
            try:
                with _stopped_by_interrupt(unlocker):
                    workspace = stack.enter_context(connecting(chosen.selected.target, settings, on_detail))
            finally:
                with _stopped_by_interrupt(unlocker):
                    on_unlocked(unlocking.result())
        yield workspace


def unlocker_of(chosen: Chosen, settings: Settings) -> Unlocker:
    """Return what opens the files of a target in these surroundings."""
    return unlocker_for(
        chosen.selected.target,
        chosen.sources,
        root=settings.root,
        environ=settings.environ,
        home=settings.home,
        decryptor=settings.decryptor,
    )


@contextlib.contextmanager
def _stopped_by_interrupt(unlocker: Unlocker) -> Iterator[None]:
    """Stop the programs of ``unlocker`` when an interrupt, which only this thread gets, ends the block."""
    try:
        yield
    except Exception:
        raise
    except BaseException:
        unlocker.stop()
        raise


def masking(tell: Tell | None, values: Callable[[], Iterable[bytes]]) -> Tell | None:
    """Return what tells people the workspace's own words, with every value of the run masked; None for nobody.

    Args:
        tell: Who tells them; None without ``-v``.
        values: Returns every value that the run knows by then.
    """
    if tell is None:
        return None
    left = itertools.count(_MOST_DETAILS, -1)

    def show(text: str) -> None:
        # Masking a thousand values takes a second; a thousand failures say the same thing a thousand times.
        if (now := next(left)) > 0:
            tell(masked(text, values()))
        elif now == 0:
            tell("further answers are not shown")

    return show
