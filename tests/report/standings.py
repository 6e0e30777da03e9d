"""What ``status`` has to tell about, one situation each; the golden files show how it does."""

from datetime import UTC, datetime
from typing import Final

from reconciler.model import KeyName, Principal, ScopeName
from reconciler.report.standings import (
    Changed,
    HeadStatus,
    KeyStanding,
    KeyStatus,
    LedgerStanding,
    ScopeStanding,
    ScopeStatus,
    TargetStatus,
)
from tests.report.situations import COMMIT, HOSTILE


OLDER: Final = "9abcdef01234567890abcdef01234567890abcde"

ADA: Final = Changed(
    at=datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC), commit=COMMIT, author="Ada Lovelace <ada@example.com>"
)
GONE: Final = Changed(at=datetime(2025, 11, 30, 23, 59, 59, tzinfo=UTC), commit=OLDER, author=None)
BY_HAND: Final = Changed(at=datetime(2025, 12, 1, tzinfo=UTC), commit=None, author=None)


def key(
    name: str, standing: KeyStanding = KeyStanding.MANAGED, changed: Changed | None = ADA, detail: str = ""
) -> KeyStatus:
    """Return how one key stands."""
    is_there = standing is not KeyStanding.PENDING
    updated = datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC) if is_there else None
    return KeyStatus(key=KeyName(name), standing=standing, changed=changed, updated=updated, detail=detail)


def scope(
    name: str, *keys: KeyStatus, standing: ScopeStanding = ScopeStanding.MANAGED, detail: str = ""
) -> ScopeStatus:
    """Return how one scope stands."""
    return ScopeStatus(scope=ScopeName(name), standing=standing, keys=keys, detail=detail)


def stranger(name: str) -> ScopeStatus:
    """Return a scope that does not concern git."""
    return ScopeStatus(scope=ScopeName(name), standing=ScopeStanding.UNMANAGED, keys=None)


def target(
    *scopes: ScopeStatus,
    ledger: LedgerStanding = LedgerStanding.COUNTS,
    ledger_detail: str = "",
    head: HeadStatus | None = None,
    name: str = "prod",
) -> TargetStatus:
    """Return how one target stands."""
    return TargetStatus(
        target=name,
        host="https://adb-4.2.azuredatabricks.net",
        identity="oncall@example.com",
        commit=COMMIT,
        ledger=ledger,
        ledger_detail=ledger_detail,
        head=head,
        scopes=scopes,
    )


HEAD: Final = HeadStatus(changed=ADA, identity=Principal("deploy@example.com"))

STANDINGS: Final = {
    "status-clean": (target(scope("payments", key("api-token"), key("db-password", changed=GONE)), head=HEAD),),
    "status-everything": (
        target(
            scope("edge", key("cert"), key("tls-key", KeyStanding.PENDING, None)),
            scope(
                "payments",
                key("api-token"),
                key("db-password", KeyStanding.DRIFTED, detail="somebody put another value there, 2026-01-05T01:02Z"),
                key("edge-token", KeyStanding.DRIFTED, detail="it is gone"),
                key("by-hand", KeyStanding.UNMANAGED, None),
                key("keystore.p12", changed=BY_HAND),
                key("new-password", KeyStanding.PENDING, None),
                key("old-password", KeyStanding.ORPHANED, GONE),
                key("sealed", KeyStanding.UNKNOWN, detail="it was put anew, and its value may not be read"),
            ),
            scope("reports", key("token", KeyStanding.PENDING, None), standing=ScopeStanding.MISSING),
            scope(
                "shared",
                key("token", KeyStanding.UNMANAGED, None),
                standing=ScopeStanding.UNMANAGED,
                detail="the ledger has no entry for it",
            ),
            scope("attic", key("token", KeyStanding.ORPHANED, GONE), standing=ScopeStanding.ORPHANED),
            *(stranger(f"team-{number}") for number in range(12)),
            head=HeadStatus(changed=GONE, identity=Principal("deploy@example.com")),
        ),
    ),
    "status-hidden": (
        target(
            scope("payments", key("api-token", KeyStanding.UNKNOWN, None), standing=ScopeStanding.UNKNOWN),
            ledger=LedgerStanding.HIDDEN,
            ledger_detail="its ACL cannot be read (ask an operator for MANAGE on scope reconciler-ledger)",
        ),
        target(
            scope("payments", key("api-token", KeyStanding.PENDING, None), standing=ScopeStanding.MISSING),
            ledger=LedgerStanding.ABSENT,
            ledger_detail="nothing was ever applied here, or this workspace lets nobody but users manage a scope",
            name="stage",
        ),
        TargetStatus(
            target="gone",
            host="https://adb-6.2.azuredatabricks.net",
            identity=None,
            commit=COMMIT,
            ledger=None,
            error="no answer from adb-6.2.azuredatabricks.net (check the host in targets.yaml)",
        ),
        target(
            ScopeStatus(
                scope=ScopeName("payments"),
                standing=ScopeStanding.UNKNOWN,
                error="listing its keys was denied (ask its owner for READ)",
            ),
            name="half",
        ),
    ),
    "status-hostile": (
        target(
            *(
                scope(name, key(name, KeyStanding.DRIFTED, ADA, name), detail=name, standing=ScopeStanding.ORPHANED)
                for name in HOSTILE
            ),
            *map(stranger, HOSTILE),
            head=HeadStatus(
                changed=Changed(at=ADA.at, commit=COMMIT, author=HOSTILE[0]), identity=Principal(HOSTILE[1])
            ),
        ),
    ),
    "status-nothing": (),
}
