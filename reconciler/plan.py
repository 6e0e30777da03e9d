"""What a run would change, and what it only found: pure data, no values in it.

A `Plan` sorts itself, counts its changes and has a digest. It names scopes, keys and principals, never a value: whoever
carries it out looks the values up in `reconciler.desired`, so a report cannot leak one.

Order of changes within a plan (`Phase`): create scopes; revoke and lower ACLs, before a new value is written, so that
nobody reads it who should not; delete what must make room in a full scope; put secrets; grant and raise ACLs; delete
the rest last.
"""

import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from reconciler.model import FoldedName, KeyName, Permission, Principal, RequestId, ScopeName, fold


class Action(enum.StrEnum):
    """What kind of change it is, in the words of reports; in the order of a summary."""

    CREATE_SCOPE = "create-scope"
    DELETE_SCOPE = "delete-scope"
    PUT_ACL = "put-acl"
    DELETE_ACL = "delete-acl"
    PUT_SECRET = "put-secret"  # noqa: S105 - the word of an action
    DELETE_SECRET = "delete-secret"  # noqa: S105 - likewise


ACTIONS: Final = tuple(Action)
"""Every one of them, in that order."""


class PutReason(enum.Enum):
    """Why a value is written."""

    NEW = "new"
    """The scope has no such key."""

    CHANGED = "changed"
    """Git has another value than the one in the workspace."""

    DRIFTED = "drifted"
    """The workspace was changed behind git's back: the ledger says that git's value was there, and it no longer is."""

    UNVERIFIABLE = "unverifiable"
    """The value in the workspace cannot be read, so it is written to be sure."""


class DeleteReason(enum.Enum):
    """Why a key is deleted."""

    REMOVED = "removed"
    """Git once put it there and no longer names it."""

    UNMANAGED = "unmanaged"
    """Git does not name it and the file says ``prune: all``."""


class FindingKind(enum.Enum):
    """What a run reports and leaves alone."""

    UNMANAGED_KEY = "unmanaged-key"
    UNMANAGED_ACL = "unmanaged-acl"
    ORPHANED_SCOPE = "orphaned-scope"
    UNVERIFIABLE_VALUE = "unverifiable-value"
    ACLS_UNKNOWN = "acls-unknown"
    ROTATION_DUE = "rotation-due"
    ROLLED_BACK_FILE = "rolled-back-file"
    REKEYED_FILE = "rekeyed-file"


class Phase(enum.IntEnum):
    """Steps of a run; each begins when the one before it has ended."""

    CREATE_SCOPES = 1
    REVOKE = 2
    MAKE_ROOM = 3
    PUT = 4
    GRANT = 5
    DELETE = 6
    DELETE_SCOPES = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateScope:
    """Create an empty scope."""

    scope: ScopeName


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteScope:
    """Delete a scope with all that is in it."""

    scope: ScopeName


@dataclass(frozen=True, slots=True, kw_only=True)
class PutAcl:
    """Create or overwrite one grant."""

    scope: ScopeName
    principal: Principal
    permission: Permission
    before: Permission | None = None
    """What the principal has now; None for nothing."""

    @property
    def lowers(self) -> bool:
        """Tell whether the principal has more than this now."""
        return self.before is not None and self.permission < self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAcl:
    """Take one grant away."""

    scope: ScopeName
    principal: Principal
    permission: Permission
    """What the principal has now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PutSecret:
    """Create or overwrite one value, in place."""

    scope: ScopeName
    key: KeyName
    reason: PutReason
    creates: bool = False
    """The scope has no such key now, so that it takes up room of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteSecret:
    """Delete one key."""

    scope: ScopeName
    key: KeyName
    reason: DeleteReason
    makes_room: bool = False
    """The scope is full, so this one goes before the puts."""


Change = CreateScope | DeleteScope | PutAcl | DeleteAcl | PutSecret | DeleteSecret


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something to know that changes nothing."""

    kind: FindingKind
    scope: ScopeName
    key: KeyName | None = None
    """None where it is not about one key: for grants, whole scopes and files."""

    principal: Principal | None = None
    """Whose grant it is; None where it is not about one grant."""

    detail: str = ""
    """A sentence for people."""


def phase_of(change: Change) -> Phase:
    """Return the step in which ``change`` is carried out."""
    match change:
        case CreateScope():
            return Phase.CREATE_SCOPES
        case DeleteScope():
            return Phase.DELETE_SCOPES
        case PutAcl():
            return Phase.REVOKE if change.lowers else Phase.GRANT
        case DeleteAcl():
            return Phase.REVOKE
        case PutSecret():
            return Phase.PUT
        case DeleteSecret():
            return Phase.MAKE_ROOM if change.makes_room else Phase.DELETE
        case _:
            assert_never(change)


def action_of(change: Change) -> Action:
    """Return what kind of change it is."""
    match change:
        case CreateScope():
            return Action.CREATE_SCOPE
        case DeleteScope():
            return Action.DELETE_SCOPE
        case PutAcl():
            return Action.PUT_ACL
        case DeleteAcl():
            return Action.DELETE_ACL
        case PutSecret():
            return Action.PUT_SECRET
        case DeleteSecret():
            return Action.DELETE_SECRET
        case _:
            assert_never(change)


def subject_of(change: Change) -> str:
    """Return what within the scope ``change`` is about: a key, a principal, or nothing."""
    match change:
        case PutSecret() | DeleteSecret():
            return change.key
        case PutAcl() | DeleteAcl():
            return change.principal
        case CreateScope() | DeleteScope():
            return ""
        case _:
            assert_never(change)


def _order(change: Change) -> tuple[Phase, FoldedName, Action, FoldedName]:
    return phase_of(change), fold(change.scope), action_of(change), fold(subject_of(change))


def _finding_order(finding: Finding) -> tuple[FoldedName, str, FoldedName]:
    return fold(finding.scope), finding.kind.value, fold(finding.key or finding.principal or "")


def _facts(change: Change) -> dict[str, str]:
    """Return what tells ``change`` apart from any other, as flat text for the digest."""
    facts = {"action": action_of(change).value, "scope": fold(change.scope), "subject": fold(subject_of(change))}
    match change:
        case PutAcl():
            facts["permission"] = change.permission.name
            facts["before"] = "" if change.before is None else change.before.name
        case DeleteAcl():
            facts["permission"] = change.permission.name
        case PutSecret() | DeleteSecret():
            facts["reason"] = change.reason.value
        case CreateScope() | DeleteScope():
            pass
        case _:
            assert_never(change)
    return facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All changes of one target, in the order of their steps; and all findings, by scope."""

    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()
    unchanged: int = 0
    """Keys that hold what git says."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "changes", tuple(sorted(self.changes, key=_order)))
        object.__setattr__(self, "findings", tuple(sorted(self.findings, key=_finding_order)))

    def __bool__(self) -> bool:
        """Tell whether there is anything to do."""
        return bool(self.changes)

    def in_phase(self, phase: Phase) -> tuple[Change, ...]:
        """Return the changes of one step, in order."""
        return tuple(change for change in self.changes if phase_of(change) is phase)

    def summary(self) -> dict[str, int]:
        """Return how many changes there are of each action, with underscores as in reports, and what is unchanged."""
        counts = {action.replace("-", "_"): 0 for action in ACTIONS}
        for change in self.changes:
            counts[action_of(change).replace("-", "_")] += 1
        return {**counts, "unchanged": self.unchanged}


class Outcome(enum.Enum):
    """What became of a change."""

    PLANNED = "planned"
    """Not tried: the run only plans, or stopped before."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not tried because something it builds on failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeResult:
    """A change and what became of it."""

    change: Change
    outcome: Outcome
    error: str | None = None
    """Why it failed or was skipped: our own words, no value in them. None for every other outcome."""

    request_id: RequestId | None = None
    """What the platform calls the request in its audit log; None when it did not say, or when nothing was sent."""

    def __post_init__(self) -> None:
        needed = self.outcome in (Outcome.FAILED, Outcome.SKIPPED)
        if needed != bool(self.error) or self.error == "":
            raise ValueError(f"a change that is {self.outcome.value} says why exactly if it failed or was skipped")


def digest_of(plans: Mapping[tuple[str, str], Plan]) -> str:
    """Return what an approval of a run is bound to: equal exactly for runs that do the same to the same workspaces.

    Made of names only, never of values: a value that changes again between approval and run keeps the digest, as long
    as it is the same keys that are put for the same reasons. The commit is what binds values.

    Args:
        plans: By name of the target and host of its workspace, so that a target that was pointed elsewhere meanwhile
            needs a new approval.

    Returns:
        ``sha256:…``
    """
    material = [
        [*whose, [_facts(change) for change in plan.changes]] for whose, plan in sorted(plans.items(), key=_by_target)
    ]
    return f"sha256:{hashlib.sha256(json.dumps(material, sort_keys=True).encode()).hexdigest()}"


def _by_target(item: tuple[tuple[str, str], Plan]) -> tuple[str, str]:
    return item[0]
