"""What ``audit`` and ``doctor`` have to tell about, one situation each; the golden files show how they do."""

from datetime import UTC, datetime, timedelta
from typing import Final

from reconciler.model import KeyName, ScopeName
from reconciler.report import (
    render_ages,
    render_ages_json,
    render_ages_markdown,
    render_checkup,
    render_checkup_json,
    render_revoked,
    render_revoked_json,
    render_revoked_markdown,
)
from reconciler.report.aged import AgedKey, AgeReport, AgeStanding, TargetAges
from reconciler.report.checkup import Check, Checkup, Verdict
from reconciler.report.revoked import Exposure, ReadAt, RevokedReport, RevokedValue, UnreadVersion
from reconciler.report.standings import Changed
from tests.report.situations import COMMIT, HOSTILE
from tests.report.standings import ADA, GONE


def aged(
    name: str,
    standing: AgeStanding,
    *,
    scope: str = "payments",
    changed: Changed | None = ADA,
    age: int | None = 30,
    limit: int | None = 90,
    detail: str = "",
) -> AgedKey:
    """Return one key."""
    is_dated = changed is not None and limit is not None
    return AgedKey(
        scope=ScopeName(scope),
        key=KeyName(name),
        standing=standing,
        changed=changed,
        age_days=None if changed is None else age,
        limit_days=limit,
        due=changed.at + timedelta(days=limit) if is_dated and changed and limit else None,
        detail=detail,
        step=None if standing in {AgeStanding.FRESH, AgeStanding.UNRULED} else f"reconciler rotate prod/{scope} {name}",
    )


def ages(*keys: AgedKey) -> AgeReport:
    """Return the report of one target."""
    target = TargetAges(
        target="prod",
        host="https://adb-4.2.azuredatabricks.net",
        identity="oncall@example.com",
        commit=COMMIT,
        keys=keys,
        looked_code=0,
    )
    return AgeReport(within_days=14, targets=(target,))


AGES: Final = {
    "ages-clean": ages(aged("api-token", AgeStanding.FRESH), aged("b", AgeStanding.UNRULED, limit=None)),
    "ages-everything": AgeReport(
        within_days=1,
        targets=(
            *ages(
                aged("api-token", AgeStanding.FRESH),
                aged("db-password", AgeStanding.OVERDUE, age=97),
                aged("edge-token", AgeStanding.OVERDUE, changed=GONE, age=700, detail="somebody has put another one"),
                aged("keystore.p12", AgeStanding.DUE, age=89),
                aged("new", AgeStanding.UNKNOWN, scope="edge", changed=None, detail="it was never applied"),
                aged("free", AgeStanding.UNRULED, limit=None),
                aged("untold", AgeStanding.UNRULED, changed=None, limit=None),
            ).targets,
            TargetAges(
                target="half",
                host="https://adb-5.2.azuredatabricks.net",
                identity="oncall@example.com",
                commit=None,
                ledger_detail="its ACL cannot be read (ask an operator for MANAGE)",
            ),
            TargetAges(
                target="gone",
                host="https://adb-6.2.azuredatabricks.net",
                identity=None,
                commit=COMMIT,
                error="no answer from adb-6.2.azuredatabricks.net (check the host in targets.yaml)",
            ),
        ),
    ),
    "ages-hostile": ages(
        *(
            aged(
                name,
                AgeStanding.OVERDUE,
                scope=name,
                changed=Changed(at=ADA.at, commit=COMMIT, author=name),
                detail=name,
            )
            for name in HOSTILE
        )
    ),
}


def value(name: str, exposure: Exposure, *, target: str | None = "prod", author: str = "Ada <ada@a>") -> RevokedValue:
    """Return one value."""
    return RevokedValue(
        exposure=exposure,
        path=f"secrets/prod/{name}.yaml",
        host="adb-4.2.azuredatabricks.net",
        target=target,
        scope="payments",
        key=name,
        read=ReadAt(commit=COMMIT, at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC), author=author),
        detail="why it is listed",
        step=None if target is None else f"reconciler rotate prod/payments {name}",
    )


def revoked(
    *values: RevokedValue, open_files: tuple[str, ...] = (), unread: tuple[UnreadVersion, ...] = ()
) -> RevokedReport:
    """Return the report of one recipient."""
    return RevokedReport(
        recipient="age age1leaver",
        commit=COMMIT,
        commits=412,
        versions=530,
        all_refs=bool(unread),
        open_files=open_files,
        values=values,
        changed=40,
        without_key=len(values),
        unread=unread,
    )


REVOKED: Final = {
    "revoked-nothing": revoked(),
    "revoked-everything": revoked(
        value("a", Exposure.READABLE),
        value("b", Exposure.UNCHANGED),
        value("c", Exposure.UNKNOWN),
        value("longer-name", Exposure.UNKNOWN, author=""),
        value("d", Exposure.REMOVED, target=None),
        open_files=("secrets/prod/a.yaml",),
        unread=(UnreadVersion(path="secrets/old.yaml", commit=COMMIT, versions=2),),
    ),
    "revoked-hostile": revoked(
        *(value(name, Exposure.UNKNOWN, author=name) for name in HOSTILE), open_files=tuple(HOSTILE)
    ),
}

CHECKUPS: Final = {
    "checkup-everything": Checkup(
        checks=(
            Check(section="repository", name="commit", text="HEAD is 3f2a9c1d5e7b"),
            Check(
                section="repository",
                name="merge-driver",
                verdict=Verdict.WARN,
                text=".gitattributes names no merge driver",
                advice="reconciler merge-driver --install",
            ),
            Check(
                section="keys",
                name="opens",
                subject="secrets/prod/app.yaml",
                verdict=Verdict.FAIL,
                text="no identity at hand opens the file; expected the key of age1…",
                advice="ask somebody",
                exit_code=5,
            ),
            *(
                Check(section="target prod", name="scope", subject=name, verdict=Verdict.FAIL, text=name, advice=name)
                for name in HOSTILE
            ),
        )
    ),
}

AUDITS: Final = {
    **{
        f"{name}.text": render_ages(found, color=False, every=name == "ages-everything") for name, found in AGES.items()
    },
    **{f"{name}.markdown": render_ages_markdown(found) for name, found in AGES.items()},
    **{f"{name}.json": render_ages_json(found) for name, found in AGES.items()},
    "ages-everything.colour": render_ages(AGES["ages-everything"], color=True, width=60),
    **{f"{name}.text": render_revoked(found, color=False) for name, found in REVOKED.items()},
    **{f"{name}.markdown": render_revoked_markdown(found) for name, found in REVOKED.items()},
    **{f"{name}.json": render_revoked_json(found) for name, found in REVOKED.items()},
    "revoked-everything.colour": render_revoked(REVOKED["revoked-everything"], color=True, width=60),
    **{f"{name}.text": render_checkup(found, color=False) for name, found in CHECKUPS.items()},
    **{f"{name}.json": render_checkup_json(found) for name, found in CHECKUPS.items()},
    "checkup-everything.colour": render_checkup(CHECKUPS["checkup-everything"], color=True, width=60),
}
