"""Runs that a report has to tell about, one per situation; the golden files show how it does."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from reconciler.errors import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_INVALID_INPUT,
    EXIT_REFUSED,
    EXIT_WORKSPACE,
)
from reconciler.model import KeyName, Permission, Principal, RequestId, ScopeName
from reconciler.plan import (
    Change,
    ChangeResult,
    CreateScope,
    DeleteAcl,
    DeleteReason,
    DeleteScope,
    DeleteSecret,
    Finding,
    FindingKind,
    Outcome,
    Plan,
    PutAcl,
    PutReason,
    PutSecret,
    digest_of,
)
from reconciler.report.record import UNKNOWN_HOST, RunReport, Status, TargetReport
from reconciler.workspace import RequestCount


COMMIT: Final = "3f2a9c1d5e7b8a9c0d1e2f3a4b5c6d7e8f9a0b1c"

HOSTILE: Final = (
    "\x1b[31mred\x1b]0;title\x07",
    "line\nbreak\r\n| fake | row |",
    "[bold red]markup[/bold red]",
    "<img src=x onerror=alert(1)> &amp; `code` | pipe",
    "@everyone [click](https://evil.example) #1 <!-- -->",
    "\u202egnp.exe\u2066 zero\u200bwidth \ufeff\u2028",
    "\u0301combining first",
    "\ud800 surrogate \U000e0041 tag",
    "\u540d\u524d wide",
)
"""Names as a hostile workspace might send them."""


def put(key: str, reason: PutReason = PutReason.NEW, *, scope: str = "payments") -> PutSecret:
    """Return the put of one secret."""
    return PutSecret(scope=ScopeName(scope), key=KeyName(key), reason=reason)


def delete(key: str, reason: DeleteReason = DeleteReason.UNMANAGED, *, scope: str = "payments") -> DeleteSecret:
    """Return the deletion of one secret."""
    return DeleteSecret(scope=ScopeName(scope), key=KeyName(key), reason=reason)


def grant(
    principal: str,
    permission: Permission = Permission.READ,
    *,
    scope: str = "payments",
    before: Permission | None = None,
) -> PutAcl:
    """Return one grant."""
    return PutAcl(scope=ScopeName(scope), principal=Principal(principal), permission=permission, before=before)


def target_report(
    name: str,
    status: Status,
    *changes: Change,
    findings: tuple[Finding, ...] = (),
    errors: tuple[str, ...] = (),
    fates: dict[Change, tuple[Outcome, str | None]] | None = None,
    rest: Outcome = Outcome.PLANNED,
    writes: int = 0,
) -> TargetReport:
    """Return a target's part of a run; ``fates`` says what became of some changes, ``rest`` of the others."""
    plan = Plan(changes=changes, findings=findings, unchanged=41)
    results: list[ChangeResult] = []
    for change in plan.changes:
        outcome, error = (fates or {}).get(change, (rest, None))
        was_sent = outcome is Outcome.DONE and not isinstance(change, PutAcl)
        request_id = RequestId(f"request-{len(results)}") if was_sent else None
        results.append(ChangeResult(change=change, outcome=outcome, error=error, request_id=request_id))
    return TargetReport(
        target=name,
        host=f"https://adb-{len(name)}.2.azuredatabricks.net",
        identity="deploy@example.com",
        commit=COMMIT,
        status=status,
        plan=plan,
        results=tuple(results),
        requests=RequestCount(read=5, write=writes),
        errors=errors,
    )


def unreached(name: str, error: str, host: str = "https://adb-6.2.azuredatabricks.net") -> TargetReport:
    """Return the part of a target whose workspace was never asked anything."""
    return TargetReport(
        target=name,
        host=host,
        identity=None,
        commit=None,
        status=Status.FAILED,
        plan=Plan(),
        results=(),
        requests=RequestCount(read=0, write=0),
        errors=(error,),
    )


def run(*targets: TargetReport, exit_code: int = EXIT_DONE) -> RunReport:
    """Return a run of 1.25 seconds over ``targets``."""
    return RunReport(
        tool_version="0.1.0",
        started=datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC),
        finished=datetime(2026, 1, 2, 3, 4, 6, 928_000, tzinfo=UTC),
        run_url="https://ci.example/runs/7" if exit_code else None,
        digest=digest_of({(target.target, target.host): target.plan for target in targets}),
        targets=targets,
        exit_code=exit_code,
    )


EVERY_CHANGE: Final[tuple[Change, ...]] = (
    CreateScope(scope=ScopeName("payments")),
    grant("users", before=Permission.WRITE),
    DeleteAcl(scope=ScopeName("payments"), principal=Principal("former team"), permission=Permission.MANAGE),
    put("db-password"),
    put("api-token", PutReason.CHANGED),
    put("a-rather-long-name.which-must-never-be.cut", PutReason.UNVERIFIABLE),
    put("edge-key", PutReason.DRIFTED, scope="edge"),
    grant("admins", Permission.MANAGE),
    delete("old-password"),
    delete("older-password", DeleteReason.REMOVED, scope="edge"),
    DeleteScope(scope=ScopeName("attic")),
)

FINDINGS: Final = (
    *(
        Finding(
            kind=FindingKind.UNMANAGED_KEY,
            scope=ScopeName("payments"),
            key=KeyName(key),
            detail="no file names it; prune: owned leaves it alone",
        )
        for key in ("by-hand", "by-hand-too")
    ),
    Finding(
        kind=FindingKind.UNMANAGED_ACL,
        scope=ScopeName("payments"),
        principal=Principal("data scientists"),
        detail="has READ, which no file grants",
    ),
    Finding(kind=FindingKind.ORPHANED_SCOPE, scope=ScopeName("attic")),
)

REMARKS: Final = (
    Finding(
        kind=FindingKind.UNVERIFIABLE_VALUE,
        scope=ScopeName("payments"),
        key=KeyName("sealed"),
        detail="put to be sure, as the value there cannot be read: the platform hands it out to notebooks alone",
    ),
    Finding(kind=FindingKind.ACLS_UNKNOWN, scope=ScopeName("payments")),
    Finding(
        kind=FindingKind.ROTATION_DUE,
        scope=ScopeName("payments"),
        key=KeyName("db-password"),
        detail="changed 97 days ago, at most 90",
    ),
    Finding(
        kind=FindingKind.ROLLED_BACK_FILE,
        scope=ScopeName("payments"),
        detail="secrets/prod/payments.yaml was written 2025-01-02T03:04:05Z, and what stood there at the commit "
        "applied last 2026-01-01T00:00:00Z",
    ),
    Finding(
        kind=FindingKind.REKEYED_FILE,
        scope=ScopeName("payments"),
        detail="secrets/prod/payments.yaml has another data key than at the commit applied last, and no ciphertext "
        "that stood there",
    ),
)


def _failed() -> TargetReport:
    first, second = put("db-password"), put("api-token", PutReason.CHANGED, scope="edge")
    scope = CreateScope(scope=ScopeName("payments"))
    return target_report(
        "prod",
        Status.FAILED,
        scope,
        first,
        second,
        fates={
            scope: (Outcome.FAILED, "creating scope payments: the workspace is full (delete a scope or ask support)"),
            first: (Outcome.SKIPPED, "scope payments was not created"),
        },
        rest=Outcome.DONE,
        errors=("scope locked: listing its keys was denied (ask its owner for READ)",),
        writes=2,
    )


def _hostile() -> TargetReport:
    changes: list[Change] = [put(name, scope=name) for name in HOSTILE]
    changes += [grant(name, scope="payments") for name in HOSTILE]
    findings = tuple(
        Finding(kind=FindingKind.UNMANAGED_ACL, scope=ScopeName(name), principal=Principal(name), detail=name)
        for name in HOSTILE
    )
    return target_report("prod", Status.FAILED, *changes, findings=findings, errors=HOSTILE)


_REFUSED: Final = target_report(
    "prod",
    Status.REFUSED,
    put("db-password", PutReason.CHANGED),
    delete("old-password", DeleteReason.REMOVED),
    errors=(
        (
            "commit 3f2a9c1d5e7b is older than 9abcdef01234, which deploy@example.com applied last: it would undo what "
            "came since (run the newest commit; or pass --allow-rollback)"
        ),
    ),
)

_DELETIONS: Final = target_report(
    "prod",
    Status.REFUSED,
    put("cert", PutReason.CHANGED, scope="edge"),
    fates={put("cert", PutReason.CHANGED, scope="edge"): (Outcome.DONE, None)},
    errors=(
        (
            "scope payments would lose 12 of 30 keys (40 %, and more than 30 % may be a mistake): nothing was changed "
            "in it (see what git no longer names there; if that is meant, pass --allow-deletes 12)"
        ),
    ),
    writes=1,
)

_ORPHANED: Final = target_report(
    "prod",
    Status.CLEAN,
    findings=(
        Finding(
            kind=FindingKind.ORPHANED_SCOPE,
            scope=ScopeName("attic"),
            detail="git no longer names it; left alone, --delete-scopes deletes it",
        ),
    ),
)


def _interrupted() -> TargetReport:
    scope, done, failed = CreateScope(scope=ScopeName("payments")), put("a"), put("b")
    return target_report(
        "prod",
        Status.FAILED,
        scope,
        done,
        failed,
        *(put(key) for key in "cde"),
        fates={
            scope: (Outcome.DONE, None),
            done: (Outcome.DONE, None),
            failed: (Outcome.FAILED, "writing secret b: no answer within 60 s (run again)"),
            **{put(key): (Outcome.SKIPPED, "not tried: interrupted") for key in "cde"},
        },
        writes=3,
    )


SITUATIONS: Final = {
    "clean": run(target_report("prod", Status.CLEAN)),
    "clean-with-findings": run(target_report("prod", Status.CLEAN, findings=FINDINGS)),
    "pending": run(target_report("prod", Status.PENDING, *EVERY_CHANGE, findings=FINDINGS)),
    "applied": run(target_report("prod", Status.APPLIED, *EVERY_CHANGE, rest=Outcome.DONE, writes=11)),
    "failed": run(_failed(), exit_code=EXIT_WORKSPACE),
    "refused": run(_REFUSED, exit_code=EXIT_REFUSED),
    "refused-deletions": run(_DELETIONS, exit_code=EXIT_REFUSED),
    "drifted": run(
        target_report(
            "prod",
            Status.PENDING,
            put("db-password", PutReason.DRIFTED),
            put("api-token", PutReason.CHANGED),
            grant("users", before=Permission.MANAGE),
        )
    ),
    "orphaned-scope": run(_ORPHANED),
    "worth-a-look": run(target_report("prod", Status.CLEAN, findings=REMARKS)),
    "adopted": run(
        replace(target_report("prod", Status.CLEAN, writes=2), adopted=(ScopeName("payments"),)),
        replace(
            target_report("stage", Status.APPLIED, put("a"), rest=Outcome.DONE, writes=5),
            adopted=(ScopeName("a"), ScopeName("b")),
        ),
    ),
    "to-adopt": replace(
        run(
            replace(target_report("prod", Status.CLEAN), adopted=(ScopeName("payments"),)),
            replace(target_report("stage", Status.PENDING, put("a")), adopted=(ScopeName("a"), ScopeName("b"))),
        ),
        selectors=("prod", "stage/a", "stage/b"),
        options=("--adopt", "--allow-deletes", "3"),
    ),
    "interrupted": run(_interrupted(), exit_code=EXIT_INTERRUPTED),
    "interrupted-before": run(
        target_report("prod", Status.PENDING, put("a"), put("b")),
        exit_code=EXIT_INTERRUPTED,
    ),
    "cut-off": run(
        unreached(
            "prod",
            host=UNKNOWN_HOST,
            error="interrupted before there was a report: it is not known what was done until then (run the same "
            "command again: it finds out, and goes on with what is left)",
        ),
        exit_code=EXIT_INTERRUPTED,
    ),
    "several": run(
        target_report("prod", Status.PENDING, put("db-password")),
        target_report("stage", Status.CLEAN),
        target_report("test", Status.PENDING, delete("old-password")),
        unreached(
            "broken", "secrets/broken/x.yaml:3:9: unknown field ruls; expected acls, prune, rotation (write rotation)"
        ),
        exit_code=EXIT_INVALID_INPUT,
    ),
    "hostile": run(_hostile(), exit_code=EXIT_WORKSPACE),
}
