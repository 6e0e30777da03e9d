"""A tiny model of a workspace with a ledger, and of one run that follows the documented protocol, request by request.

For `tests.ledger.test_soundness`: between any two requests of a run there may be others' changes, another run, or the
end of it. The platform's clock is coarse: it stands still unless somebody lets it go on, and writes within
`GRAIN_MS` get one timestamp. No request costs any time, which is the worst case.
"""

import contextlib
import hashlib
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from reconciler.ledger.encoding import decode_entry, decode_head, encode_entry, encode_head
from reconciler.ledger.ownership import Allowed, Insiders, NotOurs, Sight, claim, is_ours, is_same, vouches
from reconciler.ledger.records import (
    RUN_ID_BYTES,
    SALT_BYTES,
    Entry,
    FoundEntry,
    FoundHead,
    Head,
    Missing,
    RunId,
    Stamp,
    new_entry,
)
from reconciler.ledger.settling import Aim, Seen, Wish, intending, settled
from reconciler.model import Acl, FoldedName, KeyName, Permission, Principal, SecretValue, fold
from reconciler.workspace import SecretInfo
from tests.ledger.samples import OURS, PLACE, SCOPE


GRAIN_MS: Final = 10
ROBOT: Final = Principal("robot")
MALLORY: Final = Principal("mallory")
INSIDERS: Final = Insiders(operators=(ROBOT,), acls=())


class Failed(Exception):
    """A request that had no effect, or whose answer was lost."""


@dataclass(slots=True, kw_only=True)
class Held:
    """One secret."""

    value: bytes
    updated_ms: int


@dataclass(slots=True, kw_only=True)
class Scope:
    """One life of the scope."""

    creator: Principal
    acls: dict[Principal, Permission]
    secrets: dict[FoldedName, Held] = field(default_factory=dict)

    def listed(self) -> dict[FoldedName, SecretInfo]:
        """Return every key with its timestamp."""
        return {name: SecretInfo(key=KeyName(name), updated_ms=held.updated_ms) for name, held in self.secrets.items()}

    def grants(self) -> tuple[Acl, ...]:
        """Return every grant."""
        return tuple(Acl(principal=principal, permission=permission) for principal, permission in self.acls.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A listing, with what it does not tell: for the test to judge by, not for the run."""

    listed: Mapping[FoldedName, SecretInfo]
    truth: Mapping[FoldedName, bytes]
    life: Scope

    def has(self, secret: SecretInfo) -> bool:
        """Tell whether a key still stands there with the same timestamp."""
        return self.listed.get(fold(secret.key)) == secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """Every grant, with which life of the scope it is: for the test to judge by."""

    acls: tuple[Acl, ...]
    life: Scope


class World:
    """The workspace."""

    def __init__(self) -> None:
        self.clock_ms = 1_000
        self.scope: Scope | None = None
        self.head: SecretValue | None = None
        self.entry: SecretValue | None = None
        self.requests: list[str] = []

    def create(self, creator: Principal) -> None:
        """Create the scope; whoever does gets MANAGE."""
        self.requests.append("create")
        if self.scope is not None:
            raise Failed
        self.scope = Scope(creator=creator, acls={creator: Permission.MANAGE})

    def put(self, name: FoldedName, value: bytes) -> None:
        """Put a value; its timestamp is the time, as coarse as the clock."""
        self.requests.append("put")
        stamp = self.clock_ms - self.clock_ms % GRAIN_MS
        self._there().secrets[name] = Held(value=value, updated_ms=stamp)

    def delete(self, name: FoldedName) -> None:
        """Delete a key."""
        self.requests.append("delete")
        self._there().secrets.pop(name, None)

    def get(self, name: FoldedName) -> SecretValue | None:
        """Return a value; None when there is no such key."""
        self.requests.append("get")
        held = self._there().secrets.get(name)
        return None if held is None else SecretValue(held.value)

    def look(self) -> Look | None:
        """Return the list of keys; None when there is no scope."""
        if self.scope is None:
            return None
        truth = {name: held.value for name, held in self.scope.secrets.items()}
        return Look(listed=self.scope.listed(), truth=truth, life=self.scope)

    def grants(self) -> "Grants | None":
        """Return every grant; None when there is no scope."""
        return None if self.scope is None else Grants(acls=self.scope.grants(), life=self.scope)

    def wait(self, ms: int) -> None:
        """Let time pass."""
        self.clock_ms += ms

    def found_entry(self) -> FoundEntry:
        """Return what stands in the ledger for the scope."""
        return Missing() if self.entry is None else decode_entry(self.entry)

    def found_head(self) -> FoundHead:
        """Return what stands in the ledger for us."""
        return Missing() if self.head is None else decode_head(self.head)

    def write_entry(self, entry: Entry) -> None:
        """Overwrite the entry, whatever stands there."""
        self.requests.append("entry")
        self.entry = encode_entry(entry)

    def write_head(self, head: Head) -> None:
        """Overwrite the head, whatever stands there."""
        self.requests.append("head")
        self.head = encode_head(head)

    def _there(self) -> Scope:
        if self.scope is None:
            raise Failed
        return self.scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How a run goes about it; anything but the defaults is wrong on purpose."""

    lists_first: bool = True
    pause_ms: int = 10
    intends: bool = True
    looks_who_may: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a run saw before it decided."""

    look: Look | None
    grants: Grants | None
    found: FoundEntry
    values: Mapping[FoldedName, SecretValue]

    @property
    def listed(self) -> Mapping[FoldedName, SecretInfo]:
        """Every key that is there."""
        return {} if self.look is None else self.look.listed


def _vouching(look: Look, grants: Grants | None, found: FoundEntry) -> Entry | None:
    acls = None if grants is None else grants.acls
    return found if isinstance(found, Entry) and vouches(found, look.listed, acls, INSIDERS) else None


Request = Callable[[], object]
Steps = Generator[Request, object, None]


@dataclass(slots=True, kw_only=True)
class Run:
    """One run: `steps` yields each request and is sent its answer, or `Failed` is thrown into it."""

    world: World
    number: int
    wish: Mapping[FoldedName, bytes]
    """What git wants: name -> value."""

    protocol: Protocol = field(default_factory=Protocol)
    refused: bool = False
    judged_in_sync: dict[FoldedName, bytes | None] = field(default_factory=dict)
    """Keys that were in sync without being read -> what they held as they were listed."""

    judged_ours: dict[FoldedName, bytes | None] = field(default_factory=dict)
    """Keys that were ours and not wanted -> what they held as they were read, or else as they were listed."""

    entered: list[Scope] = field(default_factory=list)
    """Lives of the scope that were taken for ours, as seen by list and grants alike."""

    @property
    def stamp(self) -> Stamp:
        """Of this run."""
        commit = hashlib.sha1(repr(sorted(self.wish.items())).encode(), usedforsecurity=False).hexdigest()
        return Stamp(at_ms=self.number, commit=commit)

    @property
    def values(self) -> dict[FoldedName, SecretValue]:
        """What git wants."""
        return {name: SecretValue(value) for name, value in self.wish.items()}

    def steps(self) -> Steps:
        """Survey, decide, and carry it out."""
        try:
            yield from self._steps()
        except Failed:
            return  # whatever has been done so far, the next run finds out

    def _steps(self) -> Steps:
        head = yield self.world.found_head
        assert isinstance(head, FoundHead)
        survey = yield from self._survey()
        entry = self._claimed(survey, head)
        if entry is None:
            self.refused = True
            return
        seen = Seen(listed=survey.listed, values=survey.values)
        entry = settled(entry, seen, Wish(values=self.values, acls=None), self.stamp)
        self._judge(entry, survey)
        puts = [name for name in self.wish if not self._is_in_sync(entry, name, survey)]
        deletes = list(self.judged_ours)
        changes = bool(puts or deletes or survey.look is None)
        if changes or entry != survey.found or not isinstance(head, Head) or head.commit != self.stamp.commit:
            yield partial(self.world.write_head, self._head())
        if changes:
            yield from self._change(entry, survey, puts, deletes)
        elif entry != survey.found and (yield from self._holds()):
            yield partial(self.world.write_entry, entry)

    def _survey(self) -> Generator[Request, object, Survey]:
        grants = yield self.world.grants
        assert grants is None or isinstance(grants, Grants)
        found = yield self.world.found_entry
        assert isinstance(found, FoundEntry)
        look, values = yield from self._look(partial(self._questions, grants, found))
        if look is not None and self.protocol.looks_who_may:
            by_pair = isinstance(found, Entry) and vouches(found, look.listed, None, INSIDERS)
            if not by_pair:
                grants = yield self.world.grants
                assert grants is None or isinstance(grants, Grants)
        return Survey(look=look, grants=grants, found=found, values=values)

    def _change(self, entry: Entry, survey: Survey, puts: list[FoldedName], deletes: list[FoldedName]) -> Steps:
        creates = survey.look is None
        aim = Aim(
            creates_scope=creates,
            puts={name: self.values[name] for name in puts},
            deletes=frozenset(deletes),
            strangers=() if survey.grants is None else INSIDERS.outsiders(survey.grants.acls),
        )
        intended = intending(entry, aim, self.stamp) if self.protocol.intends else entry
        yield partial(self.world.write_entry, intended)
        if not (yield from self._holds()):
            return
        if creates:
            yield partial(self.world.create, ROBOT)
            grants = yield self.world.grants
            if not isinstance(grants, Grants) or INSIDERS.outsiders(grants.acls):
                return
        batches: tuple[list[Request], ...] = (
            [partial(self.world.put, name, self.wish[name]) for name in puts],
            [partial(self.world.delete, name) for name in deletes],
        )
        for batch in batches:
            if batch and not (yield from self._holds()):
                return
            for request in batch:
                with contextlib.suppress(Failed):
                    yield request
        yield partial(self.world.wait, self.protocol.pause_ms)
        after, values = yield from self._look(lambda _: puts)
        if after is None or not (yield from self._is_same_scope(intended, after, frozenset({*puts, *deletes}))):
            return
        kept = {name: value for name, value in survey.values.items() if after.has(survey.listed[name])}
        seen = Seen(listed=after.listed, values={**kept, **values})
        final = settled(intended, seen, Wish(values=self.values, acls=None), self.stamp)
        if final != intended and (yield from self._holds()):
            yield partial(self.world.write_entry, final)

    def _is_same_scope(
        self, entry: Entry, after: Look, touched: frozenset[FoldedName]
    ) -> Generator[Request, object, bool]:
        """Tell whether what was written to is what was surveyed: by a pair that was left alone, or who may use it."""
        if not self.protocol.looks_who_may:
            return True
        if is_same(entry, after.listed, touched, None, INSIDERS):
            return True
        grants = yield self.world.grants
        return isinstance(grants, Grants) and is_same(entry, after.listed, touched, grants.acls, INSIDERS)

    def _look(
        self, questions: Callable[[Look | None], Iterable[FoldedName]]
    ) -> Generator[Request, object, tuple[Look | None, dict[FoldedName, SecretValue]]]:
        if self.protocol.lists_first:
            look = yield self.world.look
            assert look is None or isinstance(look, Look)
            yield partial(self.world.wait, self.protocol.pause_ms)
            return look, (yield from self._read(questions(look)))
        values = yield from self._read(questions(self.world.look()))
        yield partial(self.world.wait, self.protocol.pause_ms)
        look = yield self.world.look
        assert look is None or isinstance(look, Look)
        return look, {name: value for name, value in values.items() if look is not None and name in look.listed}

    def _read(self, names: Iterable[FoldedName]) -> Generator[Request, object, dict[FoldedName, SecretValue]]:
        values = {}
        for name in names:
            value = yield partial(self.world.get, name)
            if isinstance(value, SecretValue):
                values[name] = value
        return values

    def _questions(self, grants: Grants | None, found: FoundEntry, look: Look | None) -> list[FoldedName]:
        if look is None:
            return []
        entry = _vouching(look, grants, found)
        if entry is None:
            return [name for name in self.wish if name in look.listed]
        asked = []
        for name, secret in look.listed.items():
            record = entry.record(name)
            if name in self.wish:
                if record is None or record.seen_ms != secret.updated_ms:
                    asked.append(name)
            elif is_ours(entry, secret, None) is None:
                asked.append(name)
        return asked

    def _claimed(self, survey: Survey, head: FoundHead) -> Entry | None:
        new = new_entry(owner=OURS, place=PLACE, scope=SCOPE, salt=self.number.to_bytes(SALT_BYTES))
        look, grants = survey.look, survey.grants
        sight = None
        if look is not None:
            sight = Sight(
                scope=SCOPE,
                listed=look.listed,
                acls=None if grants is None else grants.acls,
                vouched=_vouching(look, grants, survey.found) is not None,
                equal=look.listed.keys() == self.wish.keys() and survey.values == self.values,
            )
        verdict = claim(sight, survey.found, head, INSIDERS, new, Allowed())
        if isinstance(verdict, NotOurs):
            return None
        if look is not None and grants is not None and grants.life is look.life:
            self.entered.append(look.life)
        return verdict.entry

    def _judge(self, entry: Entry, survey: Survey) -> None:
        if survey.look is None:
            return
        for name, secret in survey.listed.items():
            read, truth = survey.values.get(name), survey.look.truth[name]
            if name in self.wish:
                if read is None and self._is_in_sync(entry, name, survey):
                    self.judged_in_sync[name] = truth
            elif is_ours(entry, secret, read):
                self.judged_ours[name] = truth if read is None else read.reveal()

    def _is_in_sync(self, entry: Entry, name: FoldedName, survey: Survey) -> bool:
        if name not in survey.listed:
            return False
        if (read := survey.values.get(name)) is not None:
            return read.reveal() == self.wish[name]
        record = entry.record(name)
        return (
            record is not None
            and record.seen_ms == survey.listed[name].updated_ms
            and record.value == entry.value_tag(name, self.values[name])
        )

    def _holds(self) -> Generator[Request, object, bool]:
        head = yield self.world.found_head
        return isinstance(head, Head) and head.run == self._head().run

    def _head(self) -> Head:
        return Head(
            owner=OURS,
            place=PLACE,
            commit=self.stamp.commit,
            at_ms=self.number,
            run=RunId(self.number.to_bytes(RUN_ID_BYTES)),
            identity=ROBOT,
            scopes=frozenset({new_entry(owner=OURS, place=PLACE, scope=SCOPE, salt=bytes(SALT_BYTES)).scope}),
        )


class Process:
    """A run under way: its next request has not been sent yet."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._steps = run.steps()
        self.request: Request | None = next(self._steps, None)

    def step(self, *, sent: bool = True, answered: bool = True) -> None:
        """Send the next request, or lose it, or its answer."""
        if self.request is None:
            return
        answer: object = None
        try:
            if sent:
                answer = self.request()
        except Failed:
            answered = False
        try:
            self.request = self._steps.send(answer) if sent and answered else self._steps.throw(Failed())
        except StopIteration:
            self.request = None


def complete(run: Run) -> Run:
    """Carry out a run, undisturbed."""
    process = Process(run)
    while process.request is not None:
        process.step()
    return run
