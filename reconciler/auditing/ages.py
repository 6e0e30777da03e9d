"""How old values are, and which have to be rotated. Needs no key of the files, and writes nothing.

In: the settings of a run. Out: an `AgeReport`. The age of a value counts from when the reconciler first saw it as
another one than before, as the ledger has it: a repaired drift is no change, and a scope that was adopted begins anew.
A new value in git counts once it is applied.
"""

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from reconciler.choose import choose
from reconciler.errors import ReconcilerError, UsageError
from reconciler.history import age_limits
from reconciler.model import FoldedName, KeyName, fold
from reconciler.policy import ScopePolicy, SelectedTarget
from reconciler.report.aged import AgedKey, AgeReport, AgeStanding, TargetAges
from reconciler.report.record import UNKNOWN_HOST
from reconciler.report.standings import KeyStanding, KeyStatus, LedgerStanding, ScopeStatus, TargetStatus
from reconciler.report.wording import rotate_command
from reconciler.settings import Observer, Settings
from reconciler.sights import standing_of, untold


_DAY: Final = timedelta(days=1)


def audit(settings: Settings, observer: Observer, *, within_days: int, now: datetime) -> AgeReport:
    """Return how old the values of the selected targets are. One that cannot be looked at does not stop the others.

    Args:
        settings: The surroundings.
        observer: Whom to tell how it goes.
        within_days: What will be overdue after so many days counts as due.
        now: Aware.

    Raises:
        UsageError: An unknown target or scope, or none is named where one must be.
        InvalidInput: A selected file breaks a rule that shows without a key.
        Refused: Git does not work on the repository, or it has no commit yet.
    """
    return AgeReport(
        within_days=within_days,
        targets=tuple(
            ages_of(chosen.selected, standing_of(chosen, settings, observer), within=within_days * _DAY, now=now)
            for chosen in choose(settings)
        ),
    )


def failed_audit(settings: Settings, error: ReconcilerError, *, within_days: int) -> AgeReport:
    """Return what to tell, target by target, where ``error`` ended the command before it came to any."""
    try:
        names = dict.fromkeys(selector.partition("/")[0] for selector in settings.wanted()) or {"--all": None}
    except UsageError:  # no target is named, which is the error itself
        names = {"--all": None}
    return AgeReport(
        within_days=within_days,
        targets=tuple(_target(untold(name, UNKNOWN_HOST, None, error), ()) for name in names),
    )


def ages_of(selected: SelectedTarget, status: TargetStatus, *, within: timedelta, now: datetime) -> TargetAges:
    """Return how old the values of a target are. Pure.

    Args:
        selected: What git says of it.
        status: How it stands.
        within: What will be overdue after this time counts as due.
        now: Aware.
    """
    if status.error is not None:
        return _target(status, ())
    scopes = {fold(scope.scope): scope for scope in status.scopes}
    judge = _Judge(status.target, within, now)
    keys = (key for policy in selected.scopes for key in judge.keys(policy, scopes.get(fold(policy.scope))))
    return _target(status, tuple(keys))


def _target(status: TargetStatus, keys: tuple[AgedKey, ...]) -> TargetAges:
    return TargetAges(
        target=status.target,
        host=status.host,
        identity=status.identity,
        commit=status.commit,
        keys=keys,
        ledger_detail="" if status.ledger is LedgerStanding.COUNTS else status.ledger_detail,
        error=status.error,
        looked_code=status.exit_code,
    )


class _Judge:
    """Decides how the values of one target stand to their limits."""

    def __init__(self, target: str, within: timedelta, now: datetime) -> None:
        self._target = target
        self._within = within
        self._now = now

    def keys(self, policy: ScopePolicy, status: ScopeStatus | None) -> Iterator[AgedKey]:
        """Yield how old the values of one scope are, by name."""
        limits = age_limits(policy.rotation)
        found: dict[FoldedName, KeyStatus] = {}
        if status is not None:
            found = {fold(key.key): key for key in status.keys or ()}
        for key in sorted(policy.keys, key=fold):
            yield self._key(policy, key, limits.days_of(key), found.get(fold(key)), status)

    def _key(
        self, policy: ScopePolicy, key: KeyName, limit: int | None, known: KeyStatus | None, scope: ScopeStatus | None
    ) -> AgedKey:
        changed = None if known is None else known.changed
        if changed is None:
            standing = AgeStanding.UNRULED if limit is None else AgeStanding.UNKNOWN
            place = f"{self._target}/{policy.scope}"
            return AgedKey(
                scope=policy.scope,
                key=key,
                standing=standing,
                limit_days=limit,
                detail="" if limit is None else _why_unknown(known, scope),
                step=None if limit is None else f"reconciler plan {place}",
            )
        age = max(self._now - changed.at, timedelta())  # somebody's clock may be ahead of ours
        due = None if limit is None else _later(changed.at, limit)
        standing = self._standing(limit, due)
        needed = standing in {AgeStanding.OVERDUE, AgeStanding.DUE}
        return AgedKey(
            scope=policy.scope,
            key=key,
            standing=standing,
            changed=changed,
            age_days=math.ceil(age / _DAY),
            limit_days=limit,
            due=due,
            detail="" if known is None else known.detail,
            step=rotate_command(self._target, policy.scope, key) if needed else None,
        )

    def _standing(self, limit: int | None, due: datetime | None) -> AgeStanding:
        if limit is None:
            return AgeStanding.UNRULED
        if due is None:
            return AgeStanding.FRESH
        if self._now > due:
            return AgeStanding.OVERDUE
        return AgeStanding.DUE if self._now + self._within > due else AgeStanding.FRESH


def _later(moment: datetime, days: int) -> datetime | None:
    """Return ``moment`` so many days later; None beyond the last year that there is a name for."""
    try:
        return moment + timedelta(days=days)
    except OverflowError:
        return None


def _why_unknown(key: KeyStatus | None, scope: ScopeStatus | None) -> str:
    """Return why nothing says how old a value is."""
    if scope is not None and scope.error is not None:
        return f"its scope could not be looked at: {scope.error}"
    if key is not None and key.detail:
        return key.detail
    if scope is not None and scope.detail:
        return scope.detail
    if key is not None and key.standing is KeyStanding.PENDING:
        return "it was never applied"
    return "the ledger does not say when it changed"
