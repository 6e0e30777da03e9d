"""The requests of a survey: rounds of them, each at once, whatever the number of scopes and keys.

::

    A  who are we | which scopes are there | the ledger's grants | its head
    B  per scope that is there: its keys | its grants; per wanted scope: its entry in the ledger
    C  the values in question

Round B begins as soon as it is known which scopes are there, round C `SETTLE_S` after the last answer of round B.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Final

from reconciler.errors import InvalidRequest, NotFound, NotTried, PermissionDenied, WorkspaceError
from reconciler.ledger.ownership import Insiders, vouches
from reconciler.ledger.records import Entry, FoundEntry, Missing
from reconciler.model import Acl, FoldedName, KeyName, Principal, ScopeName, fold
from reconciler.survey.facts import (
    Absent,
    Evidence,
    Known,
    LedgerSpot,
    MissingScope,
    ScopeState,
    ScopeSurvey,
    Survey,
    UnknownScope,
    Unreadable,
    Want,
)
from reconciler.survey.inquiry import questions, unasked
from reconciler.survey.ledger_reader import UNHEARD, LedgerReader, LedgerSays
from reconciler.workers import Workers
from reconciler.workspace import Identity, ScopeInfo, SecretInfo, Workspace


SETTLE_S: Final = 0.01
"""Seconds between a listing and the first value that is read. Timestamps are whole milliseconds of the platform's own
clock: a value that is read this much later belongs to the listed timestamp for good, as whoever puts another one
afterwards gets another timestamp (`reconciler.ledger.records.KeyRecord.seen_ms`)."""

Wants = Mapping[ScopeName, Want]
"""Scope -> what git names of it."""

Pause = Callable[[float], None]
"""Waits for so many seconds."""


def take(
    workspace: Workspace,
    workers: Workers,
    wants: Wants,
    spot: LedgerSpot | None = None,
    *,
    verify_values: bool = False,
    pause: Pause = time.sleep,
    on_read: Callable[[], None] = lambda: None,
) -> Survey:
    """Look at the wanted scopes of a workspace and at what its ledger says of them.

    A scope that cannot be looked at becomes an `UnknownScope` and does not disturb the others.

    Args:
        workspace: Where to look.
        workers: Threads to ask with.
        wants: Scopes that git names, and what of them.
        spot: Where the ledger is; None looks as if there were none.
        verify_values: Read every wanted value, whatever the ledger says.
        pause: Called with `SETTLE_S` before values are read, and not at all when none is.
        on_read: Called after each value read, for a progress bar.

    Raises:
        WorkspaceError: Nothing at all can be said: who we are, which scopes exist, or whether the ledger counts.
        Refused: A newer version of this tool wrote the ledger.
    """
    asking, listing = workers.begin([workspace.whoami]), workers.begin([workspace.list_scopes])
    reader = None if spot is None else LedgerReader(workspace, workers, spot)
    if reader is not None:
        reader.begin()
    (infos,) = listing()
    if isinstance(infos, WorkspaceError):
        (identity,) = asking()
        raise _complaint(identity, infos)
    by_name = {fold(info.name): info for info in infos}
    hearing = _begin_lists(
        workspace, workers, [by_name[fold(scope)] for scope in wants if fold(scope) in by_name], with_acls=True
    )
    if reader is not None:
        reader.begin_entries(tuple(wants), infos)
    (identity,) = asking()
    if isinstance(identity, WorkspaceError):
        raise identity
    says = UNHEARD if reader is None else reader.hear(identity.name)
    lists = hearing()
    joined = [
        _joined(scope, want, lists.get(fold(scope)), says, _ours(spot, identity.name, want))
        for scope, want in wants.items()
    ]
    heard = [one for one in joined if isinstance(one, _Heard)]
    scopes: dict[FoldedName, ScopeSurvey] = {fold(one.scope): one for one in joined if not isinstance(one, _Heard)}
    doubtful = [one for one in heard if one.is_known_by_grants_alone]
    granting = workers.begin([partial(workspace.list_acls, one.lists.info.name) for one in doubtful])
    scopes.update(_read(workspace, workers, heard, _Manner(verify_values=verify_values, pause=pause, on_read=on_read)))
    for one, acls in zip(doubtful, granting(), strict=True):
        name = fold(one.lists.info.name)
        scopes[name] = _looked_at_again(scopes[name], one, acls)
    return Survey(
        identity=identity,
        standing=says.standing,
        head=says.head,
        there=infos,
        scopes=MappingProxyType(scopes),
    )


def look_into(
    workspace: Workspace,
    workers: Workers,
    wanted: Mapping[ScopeInfo, frozenset[FoldedName]],
    *,
    with_acls: bool,
    pause: Pause = time.sleep,
    on_read: Callable[[], None] = lambda: None,
) -> dict[FoldedName, ScopeSurvey]:
    """Survey scopes that exist, without a ledger: their lists at once, then all wanted values at once.

    Args:
        workspace: Where to look.
        workers: Threads to ask with.
        wanted: Existing scope -> keys whose values matter. These are read, as far as they are there, and no others.
        with_acls: Whether grants matter; without, they count as unknown and cost no request.
        pause: Called with `SETTLE_S` before values are read, and not at all when none is.
        on_read: Called after each value read.
    """
    lists = _begin_lists(workspace, workers, tuple(wanted), with_acls=with_acls)()
    states: dict[FoldedName, ScopeSurvey] = {}
    heard: list[_Heard] = []
    for info, keys in wanted.items():
        said = lists[fold(info.name)]
        if isinstance(said, UnknownScope):
            states[fold(info.name)] = said
        else:
            heard.append(_Heard(lists=said, want=Want(keys=keys), found=Missing(), entry=None))
    states.update(_read(workspace, workers, heard, _Manner(verify_values=False, pause=pause, on_read=on_read)))
    return states


def introduce(workspace: Workspace, workers: Workers) -> tuple[Identity, tuple[ScopeInfo, ...]]:
    """Ask who we are and which scopes exist, at the same time.

    Raises:
        WorkspaceError: Either cannot be told.
    """
    asking = workers.begin([workspace.whoami])
    listing = workers.begin([workspace.list_scopes])
    (identity,), (scopes,) = asking(), listing()
    if isinstance(identity, WorkspaceError) or isinstance(scopes, WorkspaceError):
        raise _complaint(identity, scopes)
    return identity, scopes


def _complaint(*answers: object) -> WorkspaceError:
    """Return the error among ``answers`` that explains most: not that of a request given up because of another."""
    errors = [answer for answer in answers if isinstance(answer, WorkspaceError)]
    return next((error for error in errors if not isinstance(error, NotTried)), errors[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lists:
    """What one scope told of itself: everything but the values."""

    info: ScopeInfo
    listed: Mapping[FoldedName, SecretInfo]
    acls: tuple[Acl, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """A scope after round B."""

    lists: _Lists
    want: Want
    found: FoundEntry
    entry: Entry | None
    ours: "_Ours | None" = None
    """None where whose the scope is does not matter."""

    @property
    def is_known_by_grants_alone(self) -> bool:
        """Tell whether nothing but who has a grant speaks for the scope's being ours, or to be adopted.

        The list may be of a scope that somebody created after the grants of the one before it were told.
        """
        if self.ours is None or self.lists.acls is None:
            return False
        return self.ours.vouching(self.found, replace(self.lists, acls=None)) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manner:
    """How values are read."""

    verify_values: bool
    pause: Pause
    on_read: Callable[[], None]


def _begin_lists(
    workspace: Workspace, workers: Workers, infos: Sequence[ScopeInfo], *, with_acls: bool
) -> Callable[[], dict[FoldedName, _Lists | UnknownScope]]:
    """Start asking scopes for keys and grants; the returned function waits for the answers."""
    listing = workers.begin([partial(workspace.list_secrets, info.name) for info in infos])
    granting = workers.begin([partial(workspace.list_acls, info.name) for info in infos if with_acls])

    def collect() -> dict[FoldedName, _Lists | UnknownScope]:
        grants = granting() if with_acls else (None,) * len(infos)
        found: dict[FoldedName, _Lists | UnknownScope] = {}
        for info, secrets, acls in zip(infos, listing(), grants, strict=True):
            if isinstance(secrets, WorkspaceError):
                found[fold(info.name)] = UnknownScope(scope=info.name, error=secrets)
            elif isinstance(acls, WorkspaceError) and not isinstance(acls, PermissionDenied):
                found[fold(info.name)] = UnknownScope(scope=info.name, error=acls)
            else:
                found[fold(info.name)] = _Lists(
                    info=info,
                    listed=MappingProxyType({fold(secret.key): secret for secret in secrets}),
                    acls=None if isinstance(acls, PermissionDenied) else acls,
                )
        return found

    return collect


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ours:
    """What makes an entry ours."""

    spot: LedgerSpot
    insiders: Insiders

    def vouching(self, found: FoundEntry, lists: _Lists) -> Entry | None:
        """Return an entry that our owner wrote and that is about the scope that is there now."""
        if not isinstance(found, Entry) or found.owner != self.spot.owner:
            return None
        return found if vouches(found, lists.listed, lists.acls, self.insiders) else None


def _ours(spot: LedgerSpot | None, identity: Principal, want: Want) -> _Ours | None:
    if spot is None:
        return None
    return _Ours(spot=spot, insiders=spot.insiders(identity, want.acls))


def _joined(
    scope: ScopeName, want: Want, lists: _Lists | UnknownScope | None, says: LedgerSays, ours: _Ours | None
) -> _Heard | MissingScope | UnknownScope:
    """Return what is known of one scope by its lists, None where it does not exist, and by the ledger."""
    found = says.entries.get(fold(scope), Missing())
    if isinstance(lists, UnknownScope):
        return lists
    if isinstance(found, WorkspaceError):
        return UnknownScope(scope=scope, error=found)
    if lists is None:
        return MissingScope(scope=scope, found=found)
    entry = None if ours is None else ours.vouching(found, lists)
    return _Heard(lists=lists, want=want, found=found, entry=entry, ours=ours)


def _looked_at_again(state: ScopeSurvey, heard: _Heard, acls: tuple[Acl, ...] | WorkspaceError) -> ScopeSurvey:
    """Return a scope with the grants that it told after its list."""
    if not isinstance(state, ScopeState) or heard.ours is None:
        return state
    if isinstance(acls, WorkspaceError) and not isinstance(acls, PermissionDenied):
        return UnknownScope(scope=state.scope, error=acls)
    lists = replace(heard.lists, acls=None if isinstance(acls, PermissionDenied) else acls)
    return replace(state, acls=lists.acls, entry=heard.ours.vouching(heard.found, lists))


def _read(
    workspace: Workspace, workers: Workers, heard: Sequence[_Heard], manner: _Manner
) -> Iterator[tuple[FoldedName, ScopeSurvey]]:
    """Read the values that are in question, of all scopes at once."""
    asked = [questions(one.want, one.lists.listed, one.entry, verify_values=manner.verify_values) for one in heard]
    if any(asked):
        manner.pause(SETTLE_S)
    answers = iter(
        workers.each(
            [
                partial(_evidence_on, workspace, one.lists.info.name, key)
                for one, keys in zip(heard, asked, strict=True)
                for key in keys
            ],
            on_done=manner.on_read,
        )
    )
    for one, keys in zip(heard, asked, strict=True):
        read = dict(zip(keys, itertools.islice(answers, len(keys)), strict=True))
        yield fold(one.lists.info.name), _state(one, read)


def _state(heard: _Heard, read: Mapping[KeyName, Evidence | WorkspaceError]) -> ScopeSurvey:
    """Return what is known of one scope in the end."""
    info = heard.lists.info
    errors = [answer for answer in read.values() if isinstance(answer, WorkspaceError)]
    if errors:
        return UnknownScope(scope=info.name, error=_complaint(*errors))
    evidence = unasked(heard.want, heard.lists.listed, heard.entry)
    evidence.update((fold(key), answer) for key, answer in read.items() if not isinstance(answer, WorkspaceError))
    return ScopeState(
        scope=info.name,
        backend=info.backend,
        listed=heard.lists.listed,
        acls=heard.lists.acls,
        evidence=MappingProxyType(dict(sorted(evidence.items()))),
        found=heard.found,
        entry=heard.entry,
    )


def _evidence_on(workspace: Workspace, scope: ScopeName, key: KeyName) -> Evidence:
    try:
        return Known(value=workspace.get_secret(scope, key))
    except (InvalidRequest, PermissionDenied) as error:
        return Unreadable(why=str(error))
    except NotFound:
        return Absent()  # deleted since the list was made
