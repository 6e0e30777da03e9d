"""What a run is asked to do, in which surroundings, about which targets, and whom it tells: plain data.

Filled in by `cli`, read by whoever takes part in a run.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from reconciler.errors import UsageError
from reconciler.policy import SelectedTarget, Sources
from reconciler.pysops.decryptor import Decryptor


DEFAULT_TARGET: Final = "demo"


class Observer(Protocol):
    """Whom a run tells how it goes. Never told a value."""

    def say(self, text: str) -> None:
        """Tell people something that is not part of the report."""
        ...

    @property
    def detail(self) -> Callable[[str], None] | None:
        """What tells people who asked for it (``-v``) what the workspace said, values masked; None if nobody did."""
        ...

    def progress(self, what: str, total: int) -> contextlib.AbstractContextManager[Callable[[], None]]:
        """Show that ``total`` steps of work begin; call what it yields after each, from any thread."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run is asked to do, and in which surroundings."""

    root: Path
    """Directory that has ``secrets/``."""

    selectors: tuple[str, ...] = ()
    """``TARGET`` or ``TARGET/SCOPE``; none means the default target, unless ``everything``."""

    everything: bool = False
    """All targets that have files."""

    environ: Mapping[str, str]
    home: Path
    concurrency: int = 16
    timeout_s: float = 60.0
    """How long one request is retried, and an ACL waited for."""

    allow_dirty: bool = False
    """Use the files of the work tree for every target, not those of the commit."""

    decryptor: Decryptor = Decryptor.AUTO
    """Which way files are opened."""

    verify_values: bool = False
    """Read every value, also those that the ledger knows."""

    allow_deletes: int | None = None
    """How many keys the run may delete in all; None leaves it to the guards of each scope."""

    allow_rollback: bool = False
    """Apply a commit that is no descendant of the one that was applied last."""

    adopt: bool = False
    """Take charge of scopes that exist and are not ours."""

    take_over: bool = False
    """Take charge of scopes that another owner's entry is about."""

    delete_scopes: bool = False
    """Delete scopes that are ours and that git no longer names."""

    expect_plan: str | None = None
    """Digest of the plan that was approved; any other one is refused."""

    def wanted(self) -> tuple[str, ...]:
        """Return the selectors, with the default filled in.

        Raises:
            UsageError: Nothing is named in a pipeline, where a default would hide a mistake.
        """
        if self.selectors or self.everything:
            return self.selectors
        if named := self.environ.get("RECONCILER_TARGET"):
            return (named,)
        if self.environ.get("CI"):
            raise UsageError("no target is named", advice="name one, set RECONCILER_TARGET, or give --all")
        return (DEFAULT_TARGET,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A target that the run is about, with the files that were read for it."""

    selected: SelectedTarget
    sources: Sources
    dirty: tuple[str, ...] = ()
    """Files whose state in the work tree is not that of the commit which is applied."""

    @property
    def name(self) -> str:
        """Name of the target."""
        return self.selected.target.name
