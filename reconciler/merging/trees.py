"""Merging what three versions of a scope file say: pure, on plaintext that is not written down anywhere.

Each thing that a file says has a place, a `Slot`: a value, a grant, the prune rule, a rotation rule. Of each place the
two sides are compared with what they have in common. What one side changed is taken, whatever the other did elsewhere;
what both changed in different ways is a conflict, and so is a change of what the other side took away.

Names compare without regard to case, as the platform has it: a key that one side respelt and the other changed is still
one key. How it is spelt is merged beside its value, and is never a conflict: the platform sees no difference.
"""

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeVar

from reconciler.model import Acl, FoldedName, SecretValue, fold
from reconciler.policy.scope_files import RotationRule
from reconciler.policy.scope_values import Form


class Kind(enum.Enum):
    """What a place of a file is about; the values are the first part of its name, where that is needed."""

    VALUE = "value"
    """A value: host, scope and key."""

    GRANT = "acls"
    """A grant: a principal. Without one, whether there are grants at all."""

    PRUNE = "prune"
    ROTATION = "rotation"
    """A rule: a key or ``*``."""

    RECIPIENTS = "recipients"
    """Who can open the file."""

    SECRETS = "secrets"
    """Whether there is any value."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Slot:
    """One place of a scope file; names in it are folded, hosts as they stand there."""

    group: str
    """The value of its `Kind`."""

    parts: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """What it is about."""
        return Kind(self.group)

    @property
    def name(self) -> str:
        """How people name it: ``HOST/SCOPE/KEY``, ``acls/PRINCIPAL``, ``prune``."""
        parts = self.parts if self.kind is Kind.VALUE else (self.group, *self.parts)
        return "/".join(parts)


def slot(kind: Kind, *parts: str) -> Slot:
    """Return a place."""
    return Slot(group=kind.value, parts=parts)


class Side(enum.Enum):
    """Which of two versions; as git calls them."""

    OURS = "ours"
    """Where one stands: in a merge the own branch; in a rebase or cherry-pick what is built upon."""

    THEIRS = "theirs"
    """What comes in: in a rebase or cherry-pick the commit that is applied."""

    @property
    def other(self) -> "Side":
        """The other one."""
        return Side.THEIRS if self is Side.OURS else Side.OURS


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What stands at a place of a value; not shown."""

    form: Form
    text: SecretValue
    """UTF-8 as it stands in the file once decrypted: of base64 the letters, not what they stand for."""


class Absent(enum.Enum):
    """What stands for something that is not there, or not known."""

    NOTHING = "nothing"
    """There is nothing."""

    UNKNOWN = "unknown"
    """What both sides come from could not be opened there: it equals nothing, so that any difference is a conflict."""


_Found = Value | Acl | RotationRule | str | Absent
"""What stands at a place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What one version of a file says."""

    values: Mapping[Slot, Value | Absent] = field(default_factory=dict)
    """In file order. Absent only of what both sides come from: see `Absent.UNKNOWN`."""

    spelling: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    """Folded host, scope, and key below it if any, to the last of them as the file spells it."""

    grants: Mapping[Slot, Acl] | None = None
    """In file order; None when the file leaves grants alone."""

    prune: str | None = None
    rotation: Mapping[Slot, RotationRule] = field(default_factory=dict)
    """In file order."""

    is_known: bool = True
    """Whether what does not stand here was not there. Only of what both sides come from can it be unknown."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))
        object.__setattr__(self, "spelling", MappingProxyType(dict(self.spelling)))
        object.__setattr__(self, "rotation", MappingProxyType(dict(self.rotation)))
        if self.grants is not None:
            object.__setattr__(self, "grants", MappingProxyType(dict(self.grants)))

    @property
    def missing(self) -> Absent:
        """What a place holds that does not stand here."""
        return Absent.NOTHING if self.is_known else Absent.UNKNOWN


EMPTY: Final = Tree()
"""What two sides have in common that both made the file."""

UNKNOWN: Final = Tree(is_known=False)
"""What two sides have in common, when nobody knows: whatever differs is a conflict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A place of which the two sides do not agree. Holds no value."""

    slot: Slot
    spelt: str
    """The name of the place as the file spells it."""

    ours: str
    """What our side did, in a word or two."""

    theirs: str

    @property
    def what(self) -> str:
        """What happened, as the end of a sentence."""
        if self.ours == self.theirs:
            return f"{self.ours} on both sides"
        return f"{self.ours} in ours, {self.theirs} in theirs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What came of merging three trees."""

    tree: Tree
    """Where there are conflicts, what our side says."""

    conflicts: tuple[Conflict, ...]
    """By place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Who is to win where both sides changed something."""

    each: Mapping[Slot, Side] = field(default_factory=dict)
    rest: Side | None = None
    """For the places that `each` does not name; None leaves them conflicts."""

    def of(self, place: Slot) -> Side | None:
        """Return who wins at a place; None leaves it a conflict."""
        return self.each.get(place, self.rest)


NO_CHOICES: Final = Choices()

T = TypeVar("T", bound=_Found)


def merge(base: Tree, ours: Tree, theirs: Tree, choices: Choices = NO_CHOICES) -> Merged:
    """Merge two versions of a file that come from a third one.

    Args:
        base: what both come from: `EMPTY` when both made the file, `UNKNOWN` when nobody knows.
        ours: one of them.
        theirs: the other one.
        choices: who wins where they do not agree.
    """
    merging = _Merging(base, ours, theirs, choices)
    values = merging.values()
    grants = merging.grants()
    rotation = merging.rotation()
    tree = Tree(
        values=values, spelling=merging.spelling(values), grants=grants, prune=merging.prune(), rotation=rotation
    )
    return Merged(tree=tree, conflicts=tuple(sorted(merging.conflicts, key=lambda one: one.slot)))


class _Merging:
    """One merge: decides place by place, and notes where the sides do not agree."""

    def __init__(self, base: Tree, ours: Tree, theirs: Tree, choices: Choices) -> None:
        self._base = base
        self._ours = ours
        self._theirs = theirs
        self._choices = choices
        self._spellings = _spellings(base, ours, theirs)
        self.conflicts: list[Conflict] = []

    def values(self) -> dict[Slot, Value | Absent]:
        merged: dict[Slot, Value | Absent] = {}
        for place in _in_order(self._ours.values, self._theirs.values, self._base.values):
            found = self._decide(place, *(tree.values.get(place, tree.missing) for tree in self._trees))
            if isinstance(found, Value):
                merged[place] = found
        if merged or self.conflicts:
            return merged
        # Each side took away what the other one left: a scope file without a value is none.
        side = self._note(slot(Kind.SECRETS), "some taken away", "the others taken away")
        return dict((self._ours if side is not Side.THEIRS else self._theirs).values)

    def grants(self) -> dict[Slot, Acl] | None:
        """Merge grants one by one where all three have some; else as a whole: no field means to leave them alone."""
        trees = self._trees
        whole = slot(Kind.GRANT)
        if self._base.is_known and all(tree.grants is not None for tree in trees):
            before = len(self.conflicts)
            merged = self._by_entry(*(tree.grants or {} for tree in trees))
            if merged or len(self.conflicts) > before:
                return merged
            side = self._note(whole, "some taken away", "the others taken away")
            return dict((self._ours if side is not Side.THEIRS else self._theirs).grants or {})
        ours, theirs = self._ours.grants, self._theirs.grants
        if _same_grants(ours, theirs) or (self._base.is_known and _same_grants(self._base.grants, theirs)):
            chosen = ours
        elif self._base.is_known and _same_grants(self._base.grants, ours):
            chosen = theirs
        else:
            base = self._base.grants
            side = self._note(whole, _deed(base, ours, self._base), _deed(base, theirs, self._base))
            chosen = theirs if side is Side.THEIRS else ours
        return None if chosen is None else dict(chosen)

    def rotation(self) -> dict[Slot, RotationRule]:
        """Merge rules one by one: each is about one key, so that their order says nothing but that ``*`` is last."""
        merged = self._by_entry(*(tree.rotation for tree in self._trees))
        return dict(sorted(merged.items(), key=lambda item: item[1].key is None))

    def prune(self) -> str | None:
        ours, theirs = self._ours.prune or Absent.NOTHING, self._theirs.prune or Absent.NOTHING
        base = self._base.prune or self._base.missing
        found = self._decide(slot(Kind.PRUNE), base, ours, theirs)
        return None if isinstance(found, Absent) else found

    def spelling(self, values: Iterable[Slot]) -> dict[tuple[str, ...], str]:
        """Return how the names of what was merged are spelt: as the side that changed it has it, else as ours."""
        merged: dict[tuple[str, ...], str] = {}
        for place in values:
            for name in (place.parts[:2], place.parts):
                base, ours, theirs = (tree.spelling.get(name) for tree in self._trees)
                merged[name] = (theirs if ours in {None, base} else ours) or ours or name[-1]
        return merged

    @property
    def _trees(self) -> tuple[Tree, Tree, Tree]:
        return self._base, self._ours, self._theirs

    def _by_entry(self, base: Mapping[Slot, T], ours: Mapping[Slot, T], theirs: Mapping[Slot, T]) -> dict[Slot, T]:
        merged: dict[Slot, T] = {}
        for place in _in_order(ours, theirs, base):
            there = base.get(place, self._base.missing)
            found = self._decide(place, there, ours.get(place, Absent.NOTHING), theirs.get(place, Absent.NOTHING))
            if not isinstance(found, Absent):
                merged[place] = found
        return merged

    def _decide(self, place: Slot, base: T | Absent, ours: T | Absent, theirs: T | Absent) -> T | Absent:
        """Return what stands at a place after the merge; note a conflict where the sides do not agree."""
        if _same(ours, theirs) or _same(base, theirs):
            return ours
        if _same(base, ours):
            return theirs
        side = self._note(place, _deed_of(base, ours), _deed_of(base, theirs))
        return theirs if side is Side.THEIRS else ours

    def _note(self, place: Slot, ours: str, theirs: str) -> Side | None:
        """Return who wins at a place; note a conflict when that was not said."""
        side = self._choices.of(place)
        if side is None:
            spelt = self._spellings.get(place, place.name)
            self.conflicts.append(Conflict(slot=place, spelt=spelt, ours=ours, theirs=theirs))
        return side


def _same(one: _Found, other: _Found) -> bool:
    """Tell whether two things that may stand at one place are the same."""
    if one is Absent.UNKNOWN or other is Absent.UNKNOWN:
        return False
    if isinstance(one, Acl) and isinstance(other, Acl):
        return one.permission is other.permission  # the place is the principal, however it is spelt
    if isinstance(one, RotationRule) and isinstance(other, RotationRule):
        return one.days == other.days
    return one == other


def _same_grants(one: Mapping[Slot, Acl] | None, other: Mapping[Slot, Acl] | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.keys() == other.keys() and all(_same(one[place], other[place]) for place in one)


def _deed_of(base: _Found, now: _Found) -> str:
    """Return what a side did to come from ``base`` to ``now``."""
    if base is Absent.UNKNOWN:
        return "absent" if now is Absent.NOTHING else "present"
    if base is Absent.NOTHING:
        return "added"
    return "deleted" if now is Absent.NOTHING else "changed"


def _deed(base: Mapping[Slot, Acl] | None, now: Mapping[Slot, Acl] | None, tree: Tree) -> str:
    if not tree.is_known:
        return "absent" if now is None else "present"
    if base is None:
        return "added"
    return "deleted" if now is None else "changed"


def _in_order(*mappings: Mapping[Slot, object]) -> Iterator[Slot]:
    """Yield each place once: those of the first mapping in its order, then the others'."""
    return iter(dict.fromkeys(place for mapping in mappings for place in mapping))


def _spellings(*trees: Tree) -> dict[Slot, str]:
    """Return how each place of a value is spelt in the first tree that has it."""
    found: dict[Slot, str] = {}
    for tree in trees[1:] + trees[:1]:
        for place in tree.values:
            host, scope, _ = place.parts
            names = (host, tree.spelling.get((host, scope), scope), tree.spelling.get(place.parts, place.parts[-1]))
            found.setdefault(place, "/".join(names))
        for grant_place, acl in (tree.grants or {}).items():
            found.setdefault(grant_place, f"{Kind.GRANT.value}/{acl.principal}")
        for rule_place, rule in tree.rotation.items():
            found.setdefault(rule_place, f"{Kind.ROTATION.value}/{rule.key or '*'}")
    return found


def secret_slot(host: str, scope: str, key: str) -> Slot:
    """Return the place of a value."""
    return slot(Kind.VALUE, host, fold(scope), fold(key))


def grant_slot(principal: str) -> Slot:
    """Return the place of a grant."""
    return slot(Kind.GRANT, fold(principal))


def rotation_slot(key: str | None) -> Slot:
    """Return the place of a rotation rule; None for ``*``."""
    return slot(Kind.ROTATION, FoldedName("*") if key is None else fold(key))
