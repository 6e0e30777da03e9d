"""What a workspace holds, as far as the files in git care: lists, grants, and evidence on every wanted value.

In: which keys are wanted in which scopes. Out: a `Survey`. Used before applying, to plan, and after, to see what came
of it. Three round trips lie between asking and knowing, whatever the number of keys: who we are and which scopes there
are; their lists and grants; values. Scopes that are known to exist take the last two (`look_into`).

`questions` is where a ledger may say that it knows a value already; as there is none yet, all wanted values are read.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from reconciler.errors import InvalidRequest, NotFound, NotTried, PermissionDenied, WorkspaceError
from reconciler.model import Acl, FoldedName, KeyName, ScopeName, SecretValue, fold
from reconciler.workers import Workers
from reconciler.workspace import Backend, Identity, ScopeInfo, SecretInfo, Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The value was read."""

    value: SecretValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """The key is there, but the platform does not hand out its value to this identity."""

    why: str
    """The platform's reason in our words."""


@dataclass(frozen=True, slots=True)
class Absent:
    """There is no such key."""


Evidence = Known | Unreadable | Absent
"""What is known of one wanted key. "Unreadable" is not "absent" and not "empty": each leads to another change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeState:
    """A scope that exists and could be listed."""

    scope: ScopeName
    """As the platform spells it."""

    backend: Backend
    listed: Mapping[FoldedName, SecretInfo]
    """Every key that is there, wanted or not."""

    acls: tuple[Acl, ...] | None
    """Every grant; None when the identity may not read them."""

    evidence: Mapping[FoldedName, Evidence]
    """One for each wanted key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingScope:
    """A scope that does not exist."""

    scope: ScopeName
    """As git spells it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownScope:
    """A scope that could not be surveyed, so nothing may be decided about it."""

    scope: ScopeName
    """As git spells it."""

    error: WorkspaceError


ScopeSurvey = ScopeState | MissingScope | UnknownScope


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What one identity saw of one workspace."""

    identity: Identity
    scopes: Mapping[FoldedName, ScopeSurvey]
    """One for each wanted scope."""


Wanted = Mapping[ScopeName, frozenset[FoldedName]]
"""Scope -> keys whose values matter."""


def questions(wanted: frozenset[FoldedName], listed: Mapping[FoldedName, SecretInfo]) -> tuple[KeyName, ...]:
    """Return the keys whose values must be read to decide: those that are wanted and exist."""
    return tuple(listed[name].key for name in sorted(wanted & listed.keys()))


def take(
    workspace: Workspace, workers: Workers, wanted: Wanted, *, on_read: Callable[[], None] = lambda: None
) -> Survey:
    """Look at the wanted scopes of a workspace.

    A scope that cannot be looked at becomes an `UnknownScope` and does not disturb the others.

    Args:
        workspace: Where to look.
        workers: Threads to ask with.
        wanted: Scopes and keys that git names.
        on_read: Called after each value read, for a progress bar.

    Raises:
        WorkspaceError: Nothing at all can be said: who we are, or which scopes exist.
    """
    identity, infos = introduce(workspace, workers)
    by_name = {fold(info.name): info for info in infos}
    there: dict[ScopeInfo, frozenset[FoldedName]] = {}
    scopes: dict[FoldedName, ScopeSurvey] = {}
    for scope, keys in wanted.items():
        if (info := by_name.get(fold(scope))) is None:
            scopes[fold(scope)] = MissingScope(scope=scope)
        else:
            there[info] = keys
    scopes.update(look_into(workspace, workers, there, with_acls=True, on_read=on_read))
    return Survey(identity=identity, scopes=MappingProxyType(scopes))


def look_into(
    workspace: Workspace,
    workers: Workers,
    wanted: Mapping[ScopeInfo, frozenset[FoldedName]],
    *,
    with_acls: bool,
    on_read: Callable[[], None] = lambda: None,
) -> dict[FoldedName, ScopeSurvey]:
    """Survey scopes that exist: their lists at once, then all values at once.

    Args:
        workspace: Where to look.
        workers: Threads to ask with.
        wanted: Existing scope -> keys whose values matter.
        with_acls: Whether grants matter; without, they count as unknown and cost no request.
        on_read: Called after each value read.
    """
    infos = tuple(wanted)
    listing = workers.begin([partial(workspace.list_secrets, info.name) for info in infos])
    granting = workers.begin([partial(workspace.list_acls, info.name) for info in infos if with_acls])
    lists, grants = listing(), granting() if with_acls else (None,) * len(infos)
    states: dict[FoldedName, ScopeSurvey] = {}
    heard: list[_Lists] = []
    for info, secrets, acls in zip(infos, lists, grants, strict=True):
        if isinstance(secrets, WorkspaceError):
            states[fold(info.name)] = UnknownScope(scope=info.name, error=secrets)
        elif isinstance(acls, WorkspaceError) and not isinstance(acls, PermissionDenied):
            states[fold(info.name)] = UnknownScope(scope=info.name, error=acls)
        else:
            heard.append(
                _Lists(
                    info=info,
                    listed=MappingProxyType({fold(secret.key): secret for secret in secrets}),
                    acls=None if isinstance(acls, PermissionDenied) else acls,
                    wanted=wanted[info],
                )
            )
    for scope_state in _read(workspace, workers, heard, on_read):
        states[fold(scope_state.scope)] = scope_state
    return states


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lists:
    """A scope after the first round: everything but the values."""

    info: ScopeInfo
    listed: Mapping[FoldedName, SecretInfo]
    acls: tuple[Acl, ...] | None
    wanted: frozenset[FoldedName]


def introduce(workspace: Workspace, workers: Workers) -> tuple[Identity, tuple[ScopeInfo, ...]]:
    """Ask who we are and which scopes exist, at the same time.

    Raises:
        WorkspaceError: Either cannot be told.
    """
    asking = workers.begin([workspace.whoami])
    listing = workers.begin([workspace.list_scopes])
    (identity,), (scopes,) = asking(), listing()
    if isinstance(identity, WorkspaceError):
        raise identity
    if isinstance(scopes, WorkspaceError):
        raise scopes
    return identity, scopes


def _read(
    workspace: Workspace, workers: Workers, heard: list[_Lists], on_read: Callable[[], None]
) -> Iterator[ScopeSurvey]:
    """Read the values that are in question, of all scopes at once."""
    asked = [questions(lists.wanted, lists.listed) for lists in heard]
    answers = iter(
        workers.each(
            [
                partial(_evidence_on, workspace, lists.info.name, key)
                for lists, keys in zip(heard, asked, strict=True)
                for key in keys
            ],
            on_done=on_read,
        )
    )
    for lists, keys in zip(heard, asked, strict=True):
        scope = lists.info.name
        found: dict[FoldedName, Evidence] = dict.fromkeys(lists.wanted, Absent())
        error: WorkspaceError | None = None
        for key, answer in zip(keys, itertools.islice(answers, len(keys)), strict=True):
            if isinstance(answer, WorkspaceError):
                # The first real complaint explains more than those that were given up because of it.
                error = answer if error is None or isinstance(error, NotTried) else error
            else:
                found[fold(key)] = answer
        if error is not None:
            yield UnknownScope(scope=scope, error=error)
        else:
            yield ScopeState(
                scope=scope,
                backend=lists.info.backend,
                listed=lists.listed,
                acls=lists.acls,
                evidence=MappingProxyType(found),
            )


def _evidence_on(workspace: Workspace, scope: ScopeName, key: KeyName) -> Evidence:
    try:
        return Known(value=workspace.get_secret(scope, key))
    except (InvalidRequest, PermissionDenied) as error:
        return Unreadable(why=str(error))
    except NotFound:
        return Absent()  # deleted since the list was made
