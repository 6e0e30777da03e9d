"""``retarget``: a workspace moved. Host, or id, stand above every value, so each is encrypted anew for its new place.

Files are written first, targets.yaml last, each in one step. Killed in between, some files name a host that no target
has, which ``validate`` says of each; targets.yaml still has the old one. The same command then goes on with the files
that are left, and with targets.yaml: those that are done hold the old host no more, and are not touched.
"""

from dataclasses import dataclass
from typing import Final

from reconciler import policy, pysops
from reconciler.editing.draft import Draft
from reconciler.editing.targets_text import with_workspace
from reconciler.errors import InvalidInput, Refused, UsageError, escaped, some_of
from reconciler.policy import Target, WorkspaceSettings
from reconciler.policy.sources import TARGETS_FILE
from reconciler.policy.target_fields import WORKSPACE_FIELDS
from reconciler.policy.zones import host_key_of, host_problem
from reconciler.pysops.config.fields import did_you_mean


_SECRETS: Final = "secrets"
"""Field of a scope file below which hosts stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Where the workspace of a target is now. None leaves a field as it is."""

    host: str | None = None
    """``https://…``"""

    workspace_id: str | None = None
    without_id: bool = False
    """Take the field workspace_id away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retargeted:
    """What was done."""

    target: Target
    """As it is now."""

    old_key: str
    """What stood above its values."""

    paths: tuple[str, ...]
    """The files that were written, targets.yaml among them if it was."""

    remarks: tuple[str, ...]
    """What else somebody should know: a sentence each."""


def retarget(draft: Draft, name: str, move: Move) -> Retargeted:
    """Give a target another host or workspace id, in targets.yaml and above all of its values; write the files.

    Raises:
        UsageError: There is no such target, it is embedded, or this is no host or id.
        InvalidInput: A file breaks a rule, or would: two targets would share a workspace, for one.
        CannotDecrypt: A file of the target does not unlock.
        Refused: A file has both hosts, or targets.yaml cannot be changed in place.
    """
    target, workspace = _remote(draft, name)
    host = workspace.host if move.host is None else _checked_host(draft, move.host)
    workspace_id = workspace.workspace_id if move.workspace_id is None else _checked_id(move.workspace_id)
    if move.without_id:
        workspace_id = None
    old_key, new_key = target.host_key, host_key_of(host, workspace_id)
    _check_nobodys(draft, new_key, but=target)
    _rename(draft, old_key, new_key)
    if (host, workspace_id) != (workspace.host, workspace.workspace_id):
        before = (draft.bytes_of(TARGETS_FILE) or b"").decode()
        after = with_workspace(before, target.name, host=host, workspace_id=workspace_id)
        others = _others(draft, target.name)
        draft.replace(TARGETS_FILE, after.encode())
        if problems := draft.policy.targets.problems:
            raise InvalidInput(problems)
        # Looked at as it will be read, whatever was made of its text.
        now = draft.target(target.name)
        if now.host_key != new_key or _others(draft, target.name) != others:
            raise Refused(
                f"{TARGETS_FILE} cannot be changed in place; nothing was written",
                advice=f"change it by hand, then run: reconciler retarget {target.name} --from {old_key}",
            )
    return _saved(draft, target.name, old_key)


def retarget_from(draft: Draft, name: str, old: str) -> Retargeted:
    """Move the values of a host that is no target's any more to where a target is now, as targets.yaml says already.

    Args:
        draft: The files.
        name: Of the target.
        old: The host that it had: as a URL, or as it stands above the values.

    Raises:
        UsageError: There is no such target, it is embedded, or no file has that host.
        InvalidInput: A file breaks a rule, or would.
        CannotDecrypt: A file with the host does not unlock.
        Refused: The host is another target's, or a file has both.
    """
    target, _ = _remote(draft, name)
    old_key = _host_key_in(old)
    if old_key == target.host_key:
        raise UsageError(
            f"{escaped(old_key)} is what target {target.name} has in {TARGETS_FILE}",
            advice="name the host that it had before; --host changes both at once",
        )
    _check_nobodys(draft, old_key, but=None)
    hosts = {feed.host_key for file in draft.policy.files for feed in file.feeds}
    if old_key not in hosts and target.host_key not in hosts:
        unknown = sorted(hosts - {each.host_key for each in draft.policy.targets.targets})
        known = f"hosts of no target are {some_of([escaped(host) for host in unknown])}" if unknown else None
        raise UsageError(f"no file has a value for {escaped(old_key)}", advice=did_you_mean(old_key, unknown) or known)
    _rename(draft, old_key, target.host_key)
    return _saved(draft, target.name, old_key)


def _remote(draft: Draft, name: str) -> tuple[Target, WorkspaceSettings]:
    target = draft.target(name)
    if not isinstance(target.workspace, WorkspaceSettings):
        raise UsageError(f"target {target.name} is an embedded one, and has no host", advice="name another target")
    return target, target.workspace


def _checked_host(draft: Draft, host: str) -> str:
    extra = policy.parse_extra_hosts(draft.settings.environ.get("RECONCILER_EXTRA_HOSTS", ""))
    if (problem := host_problem(host, extra)) is not None:
        raise UsageError(f"--host: {problem[0]}", advice=problem[1])
    return host


def _checked_id(text: str) -> str:
    pattern, expected = WORKSPACE_FIELDS["workspace_id"]
    if not pattern.fullmatch(text):
        raise UsageError("--workspace-id does not look as it must", advice=f"expected {expected}")
    return text


def _host_key_in(old: str) -> str:
    """Return a host as it stands above values, however somebody names it."""
    name = old.partition("://")[2] if "://" in old else old
    host, mark, rest = name.partition("?")
    return host.rstrip("/").replace(":", "_") + mark + rest


def _check_nobodys(draft: Draft, key: str, *, but: Target | None) -> None:
    """Refuse a host that another target has: its values would become those of this one, or the other way round."""
    for other in draft.policy.targets.targets:
        if other.host_key == key and (but is None or other.name != but.name):
            raise Refused(
                f"{escaped(key)} is the workspace of target {other.name}; nothing was written",
                advice=f"name another host, or take {other.name} out of {TARGETS_FILE} first",
            )


def _rename(draft: Draft, old_key: str, new_key: str) -> None:
    if draft.policy.unreadable:
        # Nobody can tell whether the host stands in there.
        raise InvalidInput(tuple(problem for file in draft.policy.unreadable for problem in file.problems))
    if old_key == new_key:
        return
    edits: dict[str, list[pysops.Edit]] = {}
    for file in draft.policy.files:
        hosts = {feed.host_key for feed in file.feeds}
        if old_key not in hosts:
            continue
        if new_key in hosts:
            raise Refused(
                f"{escaped(file.path)} has values for both {escaped(old_key)} and {escaped(new_key)}; nothing was "
                "written",
                advice="take out with reconciler edit what is not meant to stay, then run this again",
            )
        edits[file.path] = [pysops.Rename(path=(_SECRETS, old_key), name=new_key)]
    draft.edit_all(edits)


def _others(draft: Draft, name: str) -> tuple[Target, ...]:
    return tuple(target for target in draft.policy.targets.targets if target.name != name)


def _saved(draft: Draft, name: str, old_key: str) -> Retargeted:
    target = draft.target(name)
    paths = draft.save()
    return Retargeted(target=target, old_key=old_key, paths=paths, remarks=tuple(_remarks(draft, target, paths)))


def _remarks(draft: Draft, target: Target, paths: tuple[str, ...]) -> list[str]:
    workspace = target.workspace
    found: list[str] = []
    if paths and isinstance(workspace, WorkspaceSettings):
        if workspace.profile is not None:
            found.append(f"profile {workspace.profile} of whoever runs the target must name the new host, too")
        if workspace.azure_workspace_resource_id is not None:
            found.append(f"azure_workspace_resource_id in {TARGETS_FILE} is as it was; change it if that moved, too")
        if workspace.workspace_id is not None:
            found.append(f"workspace_id is {workspace.workspace_id}; --workspace-id changes it")
        found.append(
            "the ledger stays in the workspace that it was made in; where scopes were copied to the new one, the "
            "first apply needs --adopt; nothing is deleted from the old one"
        )
    known = {each.host_key for each in draft.policy.targets.targets}
    stray = sorted({feed.host_key for file in draft.policy.files for feed in file.feeds} - known)
    if stray:
        names = some_of([escaped(host) for host in stray])
        found.append(f"files name hosts of no target: {names}; if one is the old host: retarget TARGET --from HOST")
    return found
