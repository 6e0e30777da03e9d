"""What a survey brings home: lists, grants, what the ledger holds, and evidence on values. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from reconciler.errors import WorkspaceError
from reconciler.ledger.ownership import Insiders, Sight
from reconciler.ledger.records import Entry, FoundEntry, FoundHead, Missing, Tag
from reconciler.ledger.trust import Circle, Standing
from reconciler.model import Acl, FoldedName, Principal, Prune, ScopeName, SecretValue
from reconciler.workspace import Backend, Identity, ScopeInfo, SecretInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSpot:
    """Where the ledger of a target is, and whose it should be."""

    scope: ScopeName
    """The ledger's scope."""

    target: str
    """Name of the target, for what people are told."""

    owner: UUID
    """Whose head and entries are ours."""

    place: Tag
    """The workspace, see `reconciler.ledger.records.place_tag`."""

    operators: tuple[Principal, ...] = ()
    """Who may run this target; empty: whoever runs it first, alone."""

    readers: tuple[Principal, ...] = ()
    """Who may read the ledger besides."""

    def circle(self, identity: Principal) -> Circle:
        """Return who may do what with the ledger while ``identity`` runs."""
        return Circle(
            scope=self.scope,
            target=self.target,
            identity=identity,
            operators=self.operators,
            readers=self.readers,
        )

    def insiders(self, identity: Principal, acls: tuple[Acl, ...] | None) -> Insiders:
        """Return whose grants on a scope say nothing against its being ours, given what git grants there."""
        return Insiders(operators=(identity, *self.operators), acls=acls or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What git names of a scope, as far as a survey has to know: no value."""

    keys: frozenset[FoldedName]
    """Keys whose values matter."""

    acls: tuple[Acl, ...] | None = None
    """What git grants; None when it leaves grants alone."""

    prune: Prune = Prune.OWNED


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The value was read."""

    value: SecretValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The value was not read, as nobody has written to the key since the ledger saw its value."""

    tag: Tag
    """Of that value, under the salt of the scope's entry (`reconciler.ledger.records.Entry.value_tag`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """The key is there, but the platform does not hand out its value to this identity."""

    why: str
    """The platform's reason in our words."""


@dataclass(frozen=True, slots=True)
class Absent:
    """There is no such key."""


Evidence = Known | Fingerprint | Unreadable | Absent
"""What is known of one key. "Unreadable" is not "absent" and not "empty": each leads to another change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeState:
    """A scope that exists and could be listed."""

    scope: ScopeName
    """As the platform spells it."""

    backend: Backend
    listed: Mapping[FoldedName, SecretInfo]
    """Every key that was there, wanted or not."""

    acls: tuple[Acl, ...] | None
    """Every grant; None when the identity may not read them."""

    evidence: Mapping[FoldedName, Evidence]
    """One for each wanted key, and one for each other key whose value had to be read."""

    found: FoundEntry = field(default_factory=Missing)
    """What the ledger holds for it, whoever wrote it; `Missing` too where the ledger does not count."""

    entry: Entry | None = None
    """The same, if our owner wrote it and it is about the scope that is there now; fingerprints are by its salt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingScope:
    """A scope that does not exist."""

    scope: ScopeName
    """As git spells it."""

    found: FoundEntry = field(default_factory=Missing)
    """What the ledger holds for it all the same."""


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
    standing: Standing
    """Whether the ledger counts. Nothing of one that is not `Trusted` stands anywhere in here."""

    head: FoundHead
    """Where our owner stands."""

    there: tuple[ScopeInfo, ...]
    """Every scope that the identity can see, wanted or not."""

    scopes: Mapping[FoldedName, ScopeSurvey]
    """One for each wanted scope."""


def sight_of(desired: Mapping[FoldedName, SecretValue], state: ScopeState) -> Sight:
    """Return what `reconciler.ledger.ownership.claim` has to know of a scope that exists.

    Args:
        desired: Git's values, of every key that was wanted when the scope was surveyed.
        state: What was seen.
    """
    equal = state.listed.keys() == desired.keys() and all(
        isinstance(evidence := state.evidence[name], Known) and evidence.value == value
        for name, value in desired.items()
    )
    return Sight(
        scope=state.scope,
        listed=state.listed,
        acls=state.acls,
        vouched=state.entry is not None,
        equal=equal,
    )
