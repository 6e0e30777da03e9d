"""Watches a workspace during a run and afterwards: whatever must never happen, and what must be so in the end."""

import contextlib
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from reconciler.errors import Refused
from reconciler.ledger.encoding import decode_entry, decode_head
from reconciler.ledger.records import Entry, Head, entry_name, head_name, managed_tag, place_tag
from reconciler.model import LEDGER_SCOPE, Permission, SecretValue, fold
from tests.faults.meddling import Trace
from tests.faults.story import RUNNER, Wish, grants_of
from tests.faults.world import Held, Picture, SeenScope, World
from tests.support.faults import Asked
from tests.support.secrets_repo import OWNER


BEFORE: Final = -1
"""Since when something is there that was there before the run."""

_LOOKING: Final = frozenset({"list", "get", "acls/list"})

Key = tuple[str, str]
"""Scope and key, or scope and principal; folded."""


@dataclass(slots=True, kw_only=True)
class Foreign:
    """What is not ours, as it has to stay, and since which request of the run it is so."""

    keys: dict[Key, tuple[Held, int]] = field(default_factory=dict)
    grants: dict[Key, tuple[Permission, int]] = field(default_factory=dict)
    scopes: dict[str, tuple[SeenScope, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, picture: Picture, ours: tuple[Wish, ...]) -> "Foreign":
        """Return what of ``picture`` none of our commits explains."""
        found = cls()
        fed = {scope for wish in ours for scope in wish.scopes}
        keys = {(scope, key) for wish in ours for scope, keys in wish.scopes.items() for key in keys}
        people = {RUNNER, *(fold(name) for wish in ours for name in wish.acls)}
        for scope, seen in picture.items():
            if scope == fold(LEDGER_SCOPE):
                continue
            if scope not in fed:
                found.scopes[scope] = (seen, BEFORE)
                continue
            for key, held in seen.secrets.items():
                if (scope, key) not in keys:
                    found.keys[scope, key] = (held, BEFORE)
            for principal, permission in seen.grants.items():
                if principal not in people:
                    found.grants[scope, principal] = (permission, BEFORE)
        return found


class Judge:
    """Of one case, from its first run to its last.

    Args:
        world: What is judged.
        wish: What git wants.
        foreign: What is not ours at the beginning.
    """

    def __init__(self, world: World, wish: Wish, foreign: Foreign) -> None:
        self._world = world
        self._wish = wish
        self._foreign = foreign
        self._last = world.picture()
        self._looked: dict[tuple[str, str], int] = {}
        """Which request of this run last showed something: of which kind, of which scope."""
        self._is_surveying = False
        self._started = 0
        self.losses: list[str] = []
        """What must never happen, and did."""
        self.raced: Counter[str] = Counter()
        """Harm to what somebody else made after the run had last looked: no request could have told it."""

    @property
    def foreign(self) -> Foreign:
        """What is not ours."""
        return self._foreign

    def want(self, wish: Wish) -> None:
        """Git wants something else from now on."""
        self._wish = wish
        foreign = self._foreign
        foreign.keys = {place: it for place, it in foreign.keys.items() if wish.value(*place) is None}
        foreign.grants = {place: it for place, it in foreign.grants.items() if place[1] not in wish.acls}

    def let_go(self, scope: str) -> None:
        """Somebody has deleted a scope of theirs."""
        self._foreign.scopes.pop(scope, None)

    @contextlib.contextmanager
    def within(self, number: int) -> Iterator[None]:
        """Judge a run that begins and ends between two requests of another one: it has seen nothing of that."""
        before = self._looked, self._is_surveying, self._started
        self._looked, self._is_surveying, self._started = {}, False, number
        yield
        self._looked, self._is_surveying, self._started = before

    def begin(self) -> None:
        """A run begins; whatever others did, they did before."""
        self._last = self._world.picture()
        self._looked.clear()
        self._is_surveying = False
        foreign = self._foreign
        foreign.keys = {name: (held, BEFORE) for name, (held, _) in foreign.keys.items()}
        foreign.grants = {name: (permission, BEFORE) for name, (permission, _) in foreign.grants.items()}
        foreign.scopes = {name: (seen, BEFORE) for name, (seen, _) in foreign.scopes.items()}

    def meddled(self, trace: Trace, number: int) -> None:
        """Somebody else has changed something before request ``number``."""
        now = self._last = self._world.picture()
        foreign = self._foreign
        for scope in trace.scopes:
            foreign.scopes[scope] = (now[fold(scope)], number)
        for place in trace.keys:
            foreign.keys[place] = (now[fold(place[0])].secrets[fold(place[1])], number)
        for place in trace.grants:
            foreign.grants[place] = (now[fold(place[0])].grants[fold(place[1])], number)
        # What they changed of their own is right; what they removed, or have a whole scope around, is done with.
        foreign.scopes = {scope: (now[scope], since) for scope, (_, since) in foreign.scopes.items() if scope in now}
        foreign.keys = {
            (scope, key): (now[scope].secrets[key], since)
            for (scope, key), (_, since) in foreign.keys.items()
            if scope in now and scope not in foreign.scopes and key in now[scope].secrets
        }
        foreign.grants = {
            (scope, principal): (now[scope].grants[principal], since)
            for (scope, principal), (_, since) in foreign.grants.items()
            if scope in now and scope not in foreign.scopes and principal in now[scope].grants
        }

    def served(self, number: int, asked: Asked, *, answered: bool) -> None:
        """Look at the workspace after a request of the run."""
        now = self._world.picture()
        if now is not self._last:
            what = f"request {number}, {asked.operation} {asked.fields.get('scope', '')}"
            for subject in ("key", "principal"):
                what += f" {asked.fields[subject]}" if subject in asked.fields else ""
            self._watch_wanted(self._last, now, what)
            self._watch_foreign(now, what)
            self._last = now
        if answered:
            self._note_look(number, asked.operation, fold(asked.fields.get("scope", "")))

    def _note_look(self, number: int, operation: str, scope: str) -> None:
        self._looked[operation, scope] = number
        # Grants are read back after each write, but what to do about them was decided before the first.
        if operation == "scopes/list":
            self._is_surveying = True
        elif operation == "acls/list" and self._is_surveying:
            self._looked["surveyed grants", scope] = number
        elif operation not in _LOOKING:
            self._is_surveying = False

    def _watch_wanted(self, before: Picture, now: Picture, what: str) -> None:
        for scope, keys in self._wish.scopes.items():
            was, there = before.get(fold(scope)), now.get(fold(scope))
            if scope in self._foreign.scopes or was is None:
                continue
            for key in keys:
                if fold(key) in was.secrets and (there is None or fold(key) not in there.secrets):
                    self.losses.append(f"{what}: the wanted key {scope}/{key} is gone")

    def _watch_foreign(self, now: Picture, what: str) -> None:
        foreign = self._foreign
        for (scope, key), (held, since) in tuple(foreign.keys.items()):
            there = now.get(fold(scope))
            if there is None or there.secrets.get(fold(key)) != held:
                self._harm(f"{what}: {scope}/{key} is not ours", since, (("list", scope),))
                del foreign.keys[scope, key]
        for (scope, principal), (permission, since) in tuple(foreign.grants.items()):
            there = now.get(fold(scope))
            if there is None or there.grants.get(fold(principal)) != permission:
                self._harm(
                    f"{what}: the grant on {scope} to {principal} is not ours", since, (("surveyed grants", scope),)
                )
                del foreign.grants[scope, principal]
        for scope, (seen, since) in tuple(foreign.scopes.items()):
            if _harmed(seen, now.get(fold(scope))):
                self._harm_scope(f"{what}: scope {scope} is not ours", scope, since)
                if fold(scope) in now:
                    foreign.scopes[scope] = (now[fold(scope)], since)
                else:
                    del foreign.scopes[scope]

    def _harm_scope(self, what: str, scope: str, since: int) -> None:
        """Judge harm to a scope that somebody else made, perhaps in the place of ours.

        A scope of secrets can be told from ours only when both its keys and its grants have been seen; whose the ledger
        is, its grants tell alone.
        """
        keys, grants = self._looked_at("list", scope), self._looked_at("acls/list", scope)
        seen = grants if scope == fold(LEDGER_SCOPE) else min(keys, grants)
        if since < self._started or max(seen, self._looked_at("scopes/create", scope)) >= since:
            self.losses.append(what)
        else:
            self.raced[f"scope {scope} is not ours"] += 1

    def _harm(self, what: str, since: int, looks: tuple[tuple[str, str], ...]) -> None:
        looked = max(self._looked_at(operation, scope) for operation, scope in looks)
        if since < self._started or looked >= since:
            self.losses.append(what)
        else:
            self.raced[what.rpartition(": ")[2]] += 1

    def _looked_at(self, operation: str, scope: str) -> int:
        return self._looked.get((operation, fold(scope)), BEFORE - 1)

    # In the end.

    def overfull(self, limit: int) -> bool:
        """Tell whether what git wants in some scope and what is not ours there are too many keys together."""
        theirs = Counter(scope for scope, _ in self._foreign.keys)
        return any(len(keys) + theirs[scope] > limit for scope, keys in self._wish.scopes.items())

    def differences(self, *, leftovers: tuple[Wish, ...] = (), orphans: frozenset[str] = frozenset()) -> list[str]:
        """Return where the workspace is not what git says, plus what is not ours.

        Args:
            leftovers: Earlier wishes of which something may be left.
            orphans: Scopes that may be left, whatever is in them.
        """
        now = self._world.picture()
        found = list(self._unwanted_scopes(now, orphans | {scope for wish in leftovers for scope in wish.scopes}))
        for scope, values in self._wish.scopes.items():
            if scope in self._foreign.scopes:
                continue
            there = now.get(fold(scope))
            if there is None:
                found.append(f"scope {scope} is missing")
                continue
            keys = {key: held.value for (where, key), (held, _) in self._foreign.keys.items() if where == scope}
            old = {key for wish in leftovers for key in wish.scopes.get(scope, {})}
            found += _differing(f"{scope}/", there.values(), {**values, **keys}, old)
            grants = {who: what for (where, who), (what, _) in self._foreign.grants.items() if where == scope}
            people = {name for wish in leftovers for name in wish.acls}
            found += _differing(f"grant on {scope} to ", there.grants, {**grants_of(self._wish), **grants}, people)
        return found

    def _unwanted_scopes(self, now: Picture, known: frozenset[str]) -> Iterator[str]:
        expected = {*map(fold, self._wish.scopes), *map(fold, self._foreign.scopes), *map(fold, known)}
        for scope in now.keys() - expected - {fold(LEDGER_SCOPE)}:
            yield f"scope {scope} is there"

    def ledger_problems(self, host_key: str, commit: str, *, with_grants: bool = True) -> list[str]:
        """Return what is wrong with the ledger, held against what is there."""
        now = self._world.picture()
        ledger = now.get(fold(LEDGER_SCOPE))
        if ledger is None:
            return ["there is no ledger"]
        found: list[str] = []
        if ledger.grants != {RUNNER: Permission.MANAGE}:
            found.append(f"the ledger is granted to {sorted(ledger.grants)}")
        place = place_tag(host_key)
        head = _decoded(ledger.secrets.get(fold(head_name(uuid.UUID(OWNER)))), decode_head)
        if not isinstance(head, Head):
            found.append(f"the head is {head}")
        else:
            if head.commit != commit:
                found.append("the head has another commit")
            unnamed = [scope for scope in self._wish.scopes if managed_tag(place, scope) not in head.scopes]
            found += [f"the head does not name {scope}" for scope in unnamed]
        for scope in self._wish.scopes:
            entry = _decoded(ledger.secrets.get(fold(entry_name(place, scope))), decode_entry)
            if isinstance(entry, Entry):
                found += self._entry_problems(scope, entry, now[fold(scope)], with_grants=with_grants)
            else:
                found.append(f"the entry of {scope} is {entry}")
        return found

    def _entry_problems(self, scope: str, entry: Entry, there: SeenScope, *, with_grants: bool) -> Iterator[str]:
        if str(entry.owner) != OWNER:
            yield f"the entry of {scope} is another owner's"
        if entry.intents:
            yield f"the entry of {scope} has open intents"
        wanted = {entry.name_tag(key): key for key in self._wish.scopes[scope]}
        # While somebody else holds a key that was ours, its record stays, so that the next run looks again.
        theirs = {entry.name_tag(key) for where, key in self._foreign.keys if where == scope}
        for tag in entry.keys.keys() - wanted.keys() - theirs:
            yield f"the entry of {scope} records a key that git does not name ({tag.hex()})"
        for tag, key in wanted.items():
            record, held = entry.keys.get(tag), there.secrets[fold(key)]
            if record is None:
                yield f"the entry of {scope} does not record {key}"
            elif record.value != entry.value_tag(key, SecretValue(held.value)):
                yield f"the entry of {scope} records another value of {key}"
            elif record.seen_ms != held.updated_ms:
                yield f"the entry of {scope} records another time of {key}: {record.seen_ms}, not {held.updated_ms}"
        granted = {entry.principal_tag(name): permission for name, permission in self._wish.acls.items()}
        if with_grants and dict(entry.grants) != granted:
            yield f"the entry of {scope} records other grants: {sorted(map(int, entry.grants.values()))}"

    def unseen(self, target: Mapping[str, object]) -> list[str]:
        """Return the differences that a plan does not show, be it as a change, a finding or a refusal of the scope."""
        now = self._world.picture()
        told = repr(target.get("errors"))
        shown = [*_rows(target.get("changes")), *_rows(target.get("findings"))]
        subjects = {
            (str(row.get("scope")), str(row.get(kind)))
            for row in shown
            for kind in ("key", "principal")
            if row.get(kind)
        }
        created = {str(row.get("scope")) for row in shown if row.get("action") in ("create-scope", "delete-scope")}
        created |= {str(row.get("scope")) for row in shown if row.get("kind") == "orphaned-scope"}
        missed: list[str] = []
        for scope in {*self._wish.scopes, *self._foreign.scopes} & {*self._wish.scopes}:
            if scope in told or "ledger" in told:
                continue
            there = now.get(fold(scope))
            if there is None:
                missed += [] if scope in created else [f"scope {scope} is missing"]
                continue
            wanted, grants = self._wish.scopes[scope], grants_of(self._wish)
            keys = {key for key in wanted.keys() | there.secrets.keys() if wanted.get(key) != there.values().get(key)}
            # The runner's own grant is nothing that git says.
            everybody = (grants.keys() | there.grants.keys()) - {RUNNER}
            people = {who for who in everybody if grants.get(who) != there.grants.get(who)}
            missed += [f"{scope}/{key}" for key in keys if (scope, key) not in subjects]
            missed += [f"grant on {scope} to {who}" for who in people if (scope, str(who)) not in subjects]
        return missed


def _harmed(was: SeenScope, there: SeenScope | None) -> bool:
    """Tell whether anything was written to a scope, or taken from it. A grant more opens theirs, not ours."""
    if there is None or there.secrets != was.secrets:
        return True
    return any(there.grants.get(who) != permission for who, permission in was.grants.items())


def _rows(rows: object) -> list[Mapping[str, object]]:
    return rows if isinstance(rows, list) else []


def _differing(
    what: str, there: Mapping[str, object], wanted: Mapping[str, object], allowed: set[str]
) -> Iterator[str]:
    for name in sorted({*there, *wanted}):
        found, expected = there.get(name), wanted.get(name)
        if expected is None and name not in allowed:
            yield f"{what}{name} is there"
        elif expected is not None and found is None:
            yield f"{what}{name} is missing"
        elif expected is not None and found != expected:
            yield f"{what}{name} is another one"


def _decoded(held: Held | None, decode: object) -> object:
    if held is None:
        return "missing"
    assert callable(decode)
    try:
        return decode(SecretValue(held.value))
    except Refused as error:
        return error
