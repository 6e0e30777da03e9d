"""How one target stands between git, ledger and workspace, for `status` and `audit`. Needs no key, and writes nothing.

In: a chosen target. Out: its `TargetStatus`::

    look (survey of what the ledger does not know) -> judged (pure)

What a key should hold is known from the ledger alone, as a tag of what was last written; values whose timestamp has
moved since are read and compared with it. A new value in git that nobody applied yet is not seen: `plan` sees it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, assert_never

from reconciler import git, guard
from reconciler.connections import connected, ledger_spot, shown_host
from reconciler.decision import orphans, seen
from reconciler.errors import ReconcilerError, Refused, WorkspaceError
from reconciler.ledger.ownership import Allowed, NotOurs, Owned, claim, is_ours
from reconciler.ledger.records import (
    SALT_BYTES,
    Entry,
    Garbled,
    Head,
    KeyRecord,
    Missing,
    Stamp,
    new_entry,
)
from reconciler.ledger.settling import Wish, settled
from reconciler.ledger.trust import Foreign, Hidden, Trusted, Unwritten
from reconciler.model import Acl, FoldedName, KeyName, ScopeName, fold
from reconciler.report.standings import (
    Changed,
    HeadStatus,
    KeyStanding,
    KeyStatus,
    LedgerStanding,
    ScopeStanding,
    ScopeStatus,
    TargetStatus,
)
from reconciler.report.wording import minute
from reconciler.settings import Chosen, Observer, Settings
from reconciler.survey import (
    LedgerSpot,
    MissingScope,
    ScopeState,
    ScopeSurvey,
    Survey,
    UnknownScope,
    Want,
    sight_of,
    take,
)
from reconciler.workers import Workers
from reconciler.workspace import SecretInfo, Workspace


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_NEVER: Final = Stamp(at_ms=0, commit=None)
"""Stands in for this run where an entry is settled only to be looked at: nothing becomes ours by a look."""


def standing_of(chosen: Chosen, settings: Settings, observer: Observer) -> TargetStatus:
    """Return how a target stands. Where it cannot be looked at, that says why."""
    target = chosen.selected.target
    try:
        with connected(target, settings, observer.detail) as workspace, Workers(settings.concurrency) as workers:
            sights = look(chosen, workspace, workers)
        authors = git.authors(settings.root, commits_in(sights)) if git.is_repository(settings.root) else {}
    except (Refused, WorkspaceError) as error:
        return untold(target.name, shown_host(target), chosen.sources.commit, error)
    return judged(sights, authors)


def untold(target: str, host: str, commit: str | None, error: ReconcilerError) -> TargetStatus:
    """Return what to tell of a target where ``error`` kept us from looking at it."""
    return TargetStatus(
        target=target,
        host=host,
        identity=None,
        commit=commit,
        ledger=None,
        error=error.with_advice(),
        error_code=error.exit_code,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sights:
    """What was seen of one target."""

    chosen: Chosen
    spot: LedgerSpot
    survey: Survey
    """Of the scopes that git names."""

    orphans: Mapping[FoldedName, ScopeSurvey]
    """Scopes that were ours, and that git no longer names."""


def look(chosen: Chosen, workspace: Workspace, workers: Workers) -> Sights:
    """Look at one target.

    No key counts as wanted by the survey: without git's values there is nothing to compare where the ledger knows none,
    and what it does know is read where it has to be.

    Raises:
        WorkspaceError: Nothing at all can be said.
        Refused: A newer version of this tool wrote the ledger.
    """
    spot = ledger_spot(chosen)
    wants = {policy.scope: Want(keys=frozenset(), acls=policy.acls) for policy in chosen.selected.scopes}
    survey = take(workspace, workers, wants, spot)
    adrift = {info.name: Want(keys=frozenset()) for info in orphans(survey, chosen.selected, spot.place)}
    # Which scopes these are is known only now, from the head: whoever has none pays nothing for it.
    found = take(workspace, workers, adrift, spot).scopes if adrift else {}
    return Sights(chosen=chosen, spot=spot, survey=survey, orphans=found)


def commits_in(sights: Sights) -> frozenset[str]:
    """Return every commit that the ledger names."""
    stamps = [record.changed for entry in _entries(sights) for record in entry.keys.values()]
    stamps += [intents.stamp for entry in _entries(sights) for intents in entry.intents]
    head = sights.survey.head
    commits = {stamp.commit for stamp in stamps} | {head.commit if isinstance(head, Head) else None}
    return frozenset(commit for commit in commits if commit is not None)


def _entries(sights: Sights) -> Iterator[Entry]:
    for state in (*sights.survey.scopes.values(), *sights.orphans.values()):
        if not isinstance(state, UnknownScope) and isinstance(state.found, Entry):
            yield state.found


def judged(sights: Sights, authors: Mapping[str, str]) -> TargetStatus:
    """Return how a target stands.

    Args:
        sights: What was seen.
        authors: Commit to author, as far as git knows them.
    """
    selected, survey = sights.chosen.selected, sights.survey
    judge = _Judge(sights, authors)
    ledger, detail = _ledger(survey)
    scopes = [
        *(judge.scope(policy.scope, policy.keys, policy.acls) for policy in selected.scopes),
        *(judge.orphan(state) for state in sights.orphans.values()),
        *judge.strangers(),
    ]
    head = None
    if isinstance(survey.head, Head):
        stamp = Stamp(at_ms=survey.head.at_ms, commit=survey.head.commit)
        head = HeadStatus(changed=judge.changed(stamp), identity=survey.head.identity)
    return TargetStatus(
        target=selected.target.name,
        host=shown_host(selected.target),
        identity=survey.identity.name,
        commit=sights.chosen.sources.commit,
        ledger=ledger,
        ledger_detail=detail,
        head=head,
        scopes=tuple(sorted(scopes, key=lambda scope: fold(scope.scope))),
    )


def _ledger(survey: Survey) -> tuple[LedgerStanding, str]:
    """Return whether the ledger says anything, and what is odd about it."""
    match survey.standing:
        case Unwritten():
            why = "nothing was applied here yet, or nobody but users may manage a scope, as without the premium plan"
            return LedgerStanding.ABSENT, why
        case Hidden(refusal=refusal):
            return LedgerStanding.HIDDEN, refusal.with_advice()
        case Foreign(refusal=refusal):
            return LedgerStanding.FOREIGN, refusal.with_advice()
        case Trusted():
            lost = "so it cannot be told which commit was applied last, nor which scopes git no longer names"
            match survey.head:
                case Head():
                    return LedgerStanding.COUNTS, ""
                case Missing():
                    return LedgerStanding.COUNTS, f"it has no head of this owner, {lost}"
                case Garbled(why=why):
                    return LedgerStanding.COUNTS, f"its head cannot be used ({why}), {lost}"
                case _:
                    assert_never(survey.head)
        case _:
            assert_never(survey.standing)


class _Judge:
    """Decides how scopes and keys of one target stand."""

    def __init__(self, sights: Sights, authors: Mapping[str, str]) -> None:
        self._sights = sights
        self._survey = sights.survey
        self._authors = authors
        self._counts = isinstance(sights.survey.standing, Trusted | Unwritten)

    def changed(self, stamp: Stamp) -> Changed:
        """Return a stamp as it is told."""
        author = None if stamp.commit is None else self._authors.get(stamp.commit)
        return Changed(at=_moment(stamp.at_ms), commit=stamp.commit, author=author)

    def scope(self, name: ScopeName, wanted: tuple[KeyName, ...], acls: tuple[Acl, ...] | None) -> ScopeStatus:
        """Return how a scope stands that git names."""
        state = self._survey.scopes[fold(name)]
        match state:
            case UnknownScope(error=error):
                return ScopeStatus(scope=name, standing=ScopeStanding.UNKNOWN, error=error.with_advice())
            case MissingScope(found=found):
                return self._missing(name, wanted, found if isinstance(found, Entry) else None)
            case ScopeState() if not self._counts:
                return _told(name, ScopeStanding.UNKNOWN, wanted, state, KeyStanding.UNKNOWN)
            case ScopeState():
                return self._existing(name, wanted, acls, state)
            case _:
                assert_never(state)

    def orphan(self, state: ScopeSurvey) -> ScopeStatus:
        """Return how a scope stands that was ours, and that git no longer names."""
        match state:
            case UnknownScope(scope=scope, error=error):
                return ScopeStatus(scope=scope, standing=ScopeStanding.UNKNOWN, error=error.with_advice())
            case MissingScope(scope=scope):
                return ScopeStatus(scope=scope, standing=ScopeStanding.MISSING, detail="it has just been deleted")
            case ScopeState(scope=scope):
                found = self._existing(scope, (), None, state)
                if found.standing is not ScopeStanding.MANAGED:
                    return found
                return ScopeStatus(scope=scope, standing=ScopeStanding.ORPHANED, keys=found.keys, detail=found.detail)
            case _:
                assert_never(state)

    def strangers(self) -> Iterator[ScopeStatus]:
        """Yield the scopes that neither git nor the ledger names, unless only some of git's were asked for."""
        if not self._sights.chosen.selected.whole:
            return
        named = {*self._survey.scopes, *self._sights.orphans, fold(self._sights.spot.scope)}
        standing = ScopeStanding.UNMANAGED if self._counts else ScopeStanding.UNKNOWN
        for info in self._survey.there:
            if fold(info.name) not in named:
                yield ScopeStatus(scope=info.name, standing=standing, keys=None)

    def _missing(self, name: ScopeName, wanted: tuple[KeyName, ...], entry: Entry | None) -> ScopeStatus:
        """Return how a scope stands that does not exist."""
        ours = entry if entry is not None and entry.owner == self._sights.spot.owner else None
        keys: list[KeyStatus] = []
        for key in wanted:
            record = None if ours is None else ours.record(key)
            if not self._counts:
                keys.append(KeyStatus(key=key, standing=KeyStanding.UNKNOWN))
            elif record is None:
                keys.append(KeyStatus(key=key, standing=KeyStanding.PENDING))
            else:
                keys.append(KeyStatus(key=key, standing=KeyStanding.DRIFTED, changed=self.changed(record.changed)))
        detail = "it was there, and somebody has deleted it" if ours is not None and ours.keys else ""
        return ScopeStatus(scope=name, standing=ScopeStanding.MISSING, keys=_by_name(keys), detail=detail)

    def _existing(
        self, name: ScopeName, wanted: tuple[KeyName, ...], acls: tuple[Acl, ...] | None, state: ScopeState
    ) -> ScopeStatus:
        """Return how a scope stands that exists, where the ledger counts."""
        if (refusal := guard.key_vault(state)) is not None:
            unmanaged = KeyStanding.UNMANAGED
            return _told(name, ScopeStanding.UNMANAGED, wanted, state, unmanaged, detail=refusal.with_advice())
        spot, identity = self._sights.spot, self._survey.identity.name
        insiders = spot.insiders(identity, acls)
        # It is never written, so its salt need not be random.
        new = new_entry(owner=spot.owner, place=spot.place, scope=name, salt=bytes(SALT_BYTES))
        # Without git's values nobody can tell whether they are equal: a scope is not ours before it was adopted.
        sight = replace(sight_of({}, state), equal=False)
        verdict = claim(sight, state.found, self._survey.head, insiders, new, Allowed())
        match verdict:
            case NotOurs(refusal=refusal):
                detail = refusal.with_advice()
                if isinstance(state.found, Missing) and state.acls is not None and not insiders.outsiders(state.acls):
                    detail = "the ledger has no entry for it: apply adopts it if it holds just what git says"
                return _told(name, ScopeStanding.UNMANAGED, wanted, state, KeyStanding.UNMANAGED, detail=detail)
            case Owned(entry=entry) if entry != state.entry:
                detail = f"{_loss(state)}: the next apply reads every value and begins a new one"
                return _told(name, ScopeStanding.MANAGED, wanted, state, KeyStanding.UNKNOWN, detail=detail)
            case Owned(entry=entry):
                keys = self._keys(entry, wanted, state)
                return ScopeStatus(scope=name, standing=ScopeStanding.MANAGED, keys=_by_name(keys))
            case _:
                assert_never(verdict)

    def _keys(self, entry: Entry, wanted: tuple[KeyName, ...], state: ScopeState) -> Iterator[KeyStatus]:
        """Yield how each key of a scope of ours stands."""
        now_there = seen(state)
        # What an interrupted run put, and did not come to note, is ours all the same.
        now = settled(entry, now_there, Wish(values={}, acls=None), _NEVER)
        names = {fold(key): key for key in wanted}
        for name in names.keys() | state.listed.keys():
            secret = state.listed.get(name)
            if secret is None:
                yield self._gone(names[name], entry)
            else:
                mine = is_ours(now, secret, now_there.values.get(name))
                yield self._there(secret, now.record(name), mine=mine, wanted=name in names)

    def _gone(self, key: KeyName, entry: Entry) -> KeyStatus:
        """Return how a key stands that git names and that is not there."""
        record = entry.record(key)
        if record is None:
            return KeyStatus(key=key, standing=KeyStanding.PENDING)
        changed = self.changed(record.changed)
        if any(entry.name_tag(key) in intents.deletes for intents in entry.intents):
            # Deleted by ourselves, in a run that was interrupted, before git named it again.
            return KeyStatus(key=key, standing=KeyStanding.PENDING, changed=changed)
        return KeyStatus(key=key, standing=KeyStanding.DRIFTED, changed=changed, detail="somebody has deleted it")

    def _there(self, secret: SecretInfo, record: KeyRecord | None, *, mine: bool | None, wanted: bool) -> KeyStatus:
        """Return how a key stands that is there.

        Args:
            secret: As it is listed.
            record: What we know of it.
            mine: Whether it holds what we wrote; None when that cannot be told.
            wanted: Whether git names it.
        """
        at = _moment(secret.updated_ms)
        changed = None if record is None else self.changed(record.changed)
        if record is None:
            standing, detail = KeyStanding.UNMANAGED, ""
            if wanted:
                standing, detail = KeyStanding.PENDING, "somebody else's value is there, which apply puts git's over"
        elif mine is None:
            standing = KeyStanding.UNKNOWN
            detail = f"written to since, {minute(at)}, and its value may not be read"
        elif mine:
            standing, detail = KeyStanding.MANAGED if wanted else KeyStanding.ORPHANED, ""
        elif wanted:
            standing, detail = KeyStanding.DRIFTED, f"somebody has put another value there, {minute(at)}"
        else:
            standing, changed = KeyStanding.UNMANAGED, None
            detail = f"it was ours until somebody put another value there, {minute(at)}"
        return KeyStatus(key=secret.key, standing=standing, changed=changed, updated=at, detail=detail)


def _told(
    name: ScopeName,
    standing: ScopeStanding,
    wanted: tuple[KeyName, ...],
    state: ScopeState,
    there: KeyStanding,
    *,
    detail: str = "",
) -> ScopeStatus:
    """Return a scope about whose keys nothing is recorded: all that are there stand as ``there``."""
    keys = [
        KeyStatus(key=secret.key, standing=there, updated=_moment(secret.updated_ms))
        for secret in state.listed.values()
    ]
    absent = KeyStanding.UNKNOWN if there is KeyStanding.UNKNOWN else KeyStanding.PENDING
    keys += [KeyStatus(key=key, standing=absent) for key in wanted if fold(key) not in state.listed]
    return ScopeStatus(scope=name, standing=standing, keys=_by_name(keys), detail=detail)


def _loss(state: ScopeState) -> str:
    match state.found:
        case Garbled(why=why):
            return f"its entry in the ledger cannot be used ({why})"
        case Missing() | Entry():
            return "its entry in the ledger is lost"
        case _:
            assert_never(state.found)


def _by_name(keys: "Iterator[KeyStatus] | list[KeyStatus]") -> tuple[KeyStatus, ...]:
    return tuple(sorted(keys, key=lambda key: fold(key.key)))


def _moment(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)
