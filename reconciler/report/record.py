"""What a run has to tell, before anyone decides how it looks.

`RunReport` is built by ``reconcile``; the smaller records at the end carry what ``targets`` and ``list`` print. All are
drawn by the renderers of this room. None holds a secret value: they name scopes, keys and principals only, and errors
are in our own words.
"""

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from reconciler.model import Acl, KeyName, ScopeName
from reconciler.plan import ChangeResult, Finding, Plan
from reconciler.workspace import Backend, RequestCount


UNKNOWN_HOST: Final = "unknown"
"""Host of a target of which no more is known than its name, as the command ended before it came to it or at once."""


class Status(enum.Enum):
    """How a target fared."""

    CLEAN = "clean"
    """Nothing to do."""

    PENDING = "pending"
    """Planned changes wait for an apply."""

    APPLIED = "applied"
    """Every change is done."""

    FAILED = "failed"
    """At least one scope or change failed."""

    REFUSED = "refused"
    """A guard refused, and nothing failed besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetReport:
    """One target's part of a run."""

    target: str
    host: str
    identity: str | None
    """Who ran, as ACLs name them; None when the workspace was not reached."""

    commit: str | None
    """Full hash of the commit whose files were applied; None outside git or from the work tree."""

    status: Status
    plan: Plan
    results: tuple[ChangeResult, ...]
    """One per change of the plan, in the plan's order."""

    requests: RequestCount
    errors: tuple[str, ...] = ()
    """What failed or was refused as a whole (a file, a scope, the connection), advice included, one line each; what is
    most to the point comes first."""

    adopted: tuple[ScopeName, ...] = ()
    """Scopes that were there, were not ours, and are from this run on."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found and left alone."""
        return self.plan.findings


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """One run over one or more targets."""

    tool_version: str
    started: datetime
    """Aware, UTC."""

    finished: datetime
    """Aware, UTC."""

    run_url: str | None
    """Page of the pipeline run, from the CI's variables; None elsewhere."""

    digest: str
    """Of the planned changes, see `reconciler.plan.digest_of`."""

    targets: tuple[TargetReport, ...]
    exit_code: int
    selectors: tuple[str, ...] = ()
    """As they were typed; empty where none were, or all targets were meant."""

    options: tuple[str, ...] = ()
    """Of a plan, as they were typed: those without which an apply would be of another plan."""

    def __post_init__(self) -> None:
        if any(moment.utcoffset() != timedelta(0) for moment in (self.started, self.finished)):
            raise ValueError("the times of a run are aware and UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRow:
    """A target as ``targets`` prints it: what git says of it, nothing asked of a workspace."""

    target: str
    host: str
    embedded: bool
    files: int
    """Scope files that feed it."""

    scopes: tuple[ScopeName, ...]
    """Scopes that those files feed, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedKey:
    """A key that a workspace holds."""

    key: KeyName
    updated_ms: int
    """When it was last put, by the platform: milliseconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedScope:
    """A scope that a workspace holds."""

    scope: ScopeName
    backend: Backend
    keys: tuple[ListedKey, ...]
    acls: tuple[Acl, ...] | None
    """None where the identity may not read them."""

    error: str | None = None
    """Why the keys could not be listed, advice included; None when they could."""

    is_hidden_ledger: bool = False
    """It is the ledger's, which most people may not read: nothing is missing from what they asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetListing:
    """What one workspace holds, as ``list`` prints it."""

    target: str
    host: str
    identity: str | None
    """None when the workspace was not reached."""

    scopes: tuple[ListedScope, ...]
    error: str | None = None
    """Why nothing could be listed, advice included; None when something could."""

    @property
    def complete(self) -> bool:
        """Tell whether everything could be listed that was asked for. Grants may be hidden, as from who has READ."""
        return self.error is None and all(scope.error is None or scope.is_hidden_ledger for scope in self.scopes)
