"""What a run has to tell, before anyone decides how it looks.

Built by ``reconcile``, drawn by the renderers of this room. Holds no secret value: changes name scopes, keys and
principals only, errors are in our own words.
"""

import enum
from dataclasses import dataclass
from datetime import datetime

from reconciler.plan import ChangeResult, Finding, Plan
from reconciler.workspace import RequestCount


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
    """What failed as a whole (a file, a scope, the connection), advice included, one line each."""

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
