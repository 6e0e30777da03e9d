"""How things stand between git, ledger and workspace, target by target. Needs no key, and writes nothing.

In: the settings of a run. Out: one `TargetStatus` per target; what it says is decided in `reconciler.sights`.
"""

from reconciler.choose import choose
from reconciler.errors import ReconcilerError, UsageError
from reconciler.report.record import UNKNOWN_HOST
from reconciler.report.standings import TargetStatus
from reconciler.settings import Observer, Settings
from reconciler.sights import standing_of, untold


def status(settings: Settings, observer: Observer) -> tuple[TargetStatus, ...]:
    """Return how the selected targets stand. One that cannot be looked at has an error, and does not stop the others.

    Raises:
        UsageError: An unknown target or scope, or none is named where one must be.
        InvalidInput: A selected file breaks a rule that shows without a key: what git names cannot be told.
        Refused: Git does not work on the repository, or it has no commit yet.
    """
    return tuple(standing_of(chosen, settings, observer) for chosen in choose(settings))


def failed_status(settings: Settings, error: ReconcilerError) -> tuple[TargetStatus, ...]:
    """Return what to tell, target by target, where ``error`` ended the command before it came to any."""
    try:
        names = dict.fromkeys(selector.partition("/")[0] for selector in settings.wanted()) or {"--all": None}
    except UsageError:  # no target is named, which is the error itself
        names = {"--all": None}
    return tuple(untold(name, UNKNOWN_HOST, None, error) for name in names)
