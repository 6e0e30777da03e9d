"""Runs that a report has to tell about, one per situation; the golden files show how it does."""

from datetime import UTC, datetime
from typing import Final

from reconciler.errors import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_INVALID_INPUT,
    EXIT_REFUSED,
    EXIT_WORKSPACE,
)
from reconciler.model import KeyName, Permission, Principal, ScopeName
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
from reconciler.report.record import RunReport, Status, TargetReport
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
    principal: str, permission: Permission = Permission.READ, *, scope: str = "payments", lowers: bool = False
) -> PutAcl:
    """Return one grant."""
    return PutAcl(scope=ScopeName(scope), principal=Principal(principal), permission=permission, lowers=lowers)


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
    results = []
    for change in plan.changes:
        outcome, error = (fates or {}).get(change, (rest, None))
        results.append(ChangeResult(change=change, outcome=outcome, error=error))
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


def unreached(name: str, error: str) -> TargetReport:
    """Return the part of a target whose workspace was never asked anything."""
    return TargetReport(
        target=name,
        host="https://adb-6.2.azuredatabricks.net",
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
        digest=digest_of({target.target: target.plan for target in targets}),
        targets=targets,
        exit_code=exit_code,
    )


EVERY_CHANGE: Final[tuple[Change, ...]] = (
    CreateScope(scope=ScopeName("payments")),
    grant("users", lowers=True),
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
    Finding(
        kind=FindingKind.UNMANAGED_KEY,
        scope=ScopeName("payments"),
        key=KeyName("by-hand"),
        detail="no file names it; prune: owned leaves it alone",
    ),
    Finding(
        kind=FindingKind.UNMANAGED_ACL,
        scope=ScopeName("payments"),
        principal=Principal("data scientists"),
        detail="has READ, which no file grants",
    ),
    Finding(kind=FindingKind.ORPHANED_SCOPE, scope=ScopeName("attic")),
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
    delete("old-password"),
    errors=("scope payments: all 12 keys would be deleted (if that is meant, say --allow-deletes 12)",),
)

SITUATIONS: Final = {
    "clean": run(target_report("prod", Status.CLEAN)),
    "clean-with-findings": run(target_report("prod", Status.CLEAN, findings=FINDINGS)),
    "pending": run(target_report("prod", Status.PENDING, *EVERY_CHANGE, findings=FINDINGS)),
    "applied": run(target_report("prod", Status.APPLIED, *EVERY_CHANGE, rest=Outcome.DONE, writes=11)),
    "failed": run(_failed(), exit_code=EXIT_WORKSPACE),
    "refused": run(_REFUSED, exit_code=EXIT_REFUSED),
    "interrupted": run(
        target_report(
            "prod",
            Status.FAILED,
            put("a"),
            put("b"),
            fates={put("a"): (Outcome.DONE, None), put("b"): (Outcome.SKIPPED, "the run was interrupted")},
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
