"""Reviews as they occur, and one that somebody made to do harm."""

from typing import Final

from reconciler.errors import Problem, Severity
from reconciler.report.reviewed import Difference, HeadProblem, Kind, Rank, ReviewReport, Sight, in_order


BASE: Final = "3f2a9c1d5e7b3f2a9c1d5e7b3f2a9c1d5e7b3f2a"
HEAD: Final = "9abcdef012349abcdef012349abcdef012349abc"
OLD: Final = "77aa0c1d2e3f77aa0c1d2e3f77aa0c1d2e3f77aa"
FILE: Final = "secrets/prod/payments.yaml"
RECIPIENT: Final = "age age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"


def of(kind: Kind, rank: Rank, path: str = FILE, **fields: str | int | bool | None) -> Difference:
    """Return a difference."""
    return Difference(kind=kind, rank=rank, path=path, **fields)  # type: ignore[arg-type]  # one of each type


def in_scope(kind: Kind, rank: Rank, scope: str = "payments", **fields: str | int | bool | None) -> Difference:
    """Return a difference of a scope of the target prod."""
    return of(kind, rank, **{"target": "prod", "scope": scope, **fields})  # type: ignore[arg-type]  # likewise


_TARGETS: Final = "secrets/targets.yaml"

EVERYTHING: Final = (
    in_scope(
        Kind.ACL_RAISED, Rank.FIRST, subject="users", before="READ", after="WRITE", broad=True, rekeyed=True, line=1
    ),
    in_scope(Kind.ACL_ADDED, Rank.FIRST, subject="contractors", after="READ", line=1),
    *(
        in_scope(
            Kind.ACL_RAISED, Rank.FIRST, f"edge-{number}", subject="ops", before="READ", after="MANAGE", broad=True
        )
        for number in range(1, 7)
    ),
    in_scope(Kind.ACLS_UNMANAGED, Rank.FIRST, "mail"),
    in_scope(Kind.VALUE_PLAIN, Rank.FIRST, key="forgotten", line=9),
    in_scope(Kind.VALUE_COPIED, Rank.FIRST, key="db", before="prod/edge db", line=10),
    in_scope(Kind.VALUE_ROLLED_BACK, Rank.FIRST, key="token", commit=OLD, line=11),
    of(Kind.SCOPE_FED_BY_FILE, Rank.FIRST, "secrets/free/x.yaml", target="prod", scope="payments"),
    in_scope(Kind.PRUNE_CHANGED, Rank.FIRST, before="owned", after="all"),
    of(Kind.RECIPIENT_ADDED, Rank.FIRST, subject=RECIPIENT, rekeyed=True, line=20),
    of(Kind.RECIPIENT_REMOVED, Rank.FIRST, subject="pgp ABCDEF", line=20),
    of(Kind.FILE_SETTING_CHANGED, Rank.FIRST, field="encrypted_regex", before="^secrets$", after="^secret$", line=20),
    of(Kind.PLAIN_IN_HISTORY, Rank.FIRST, "secrets/prod/d.yaml", count=2, commit=OLD),
    of(Kind.FILE_UNSEALED, Rank.FIRST, "secrets/prod/d.yaml", line=30),
    of(Kind.FILE_REKEYED, Rank.FIRST, count=3, line=15),
    of(Kind.FILE_ROLLED_BACK, Rank.FIRST, "secrets/prod/a.yaml", commit=OLD),
    of(
        Kind.FILE_ROLLED_BACK,
        Rank.FIRST,
        "secrets/prod/b.yaml",
        before="2026-01-02T03:04:05Z",
        after="2025-01-02T03:04:05Z",
    ),
    of(Kind.FILE_MOVED, Rank.FIRST, "secrets/free/b.yaml", before="secrets/prod/b.yaml", after="secrets/free/b.yaml"),
    of(Kind.FILE_UNREADABLE, Rank.FIRST, "secrets/prod/c.yaml"),
    of(
        Kind.HOST_CHANGED,
        Rank.FIRST,
        _TARGETS,
        target="prod",
        before="https://adb-1.2.azuredatabricks.net",
        after="https://adb-3.4.azuredatabricks.net",
        line=4,
    ),
    of(Kind.TARGET_ADDED, Rank.FIRST, _TARGETS, target="new", after="https://adb-5.6.azuredatabricks.net", line=9),
    of(Kind.TARGET_RENAMED, Rank.FIRST, _TARGETS, target="live", before="prod2", after="live"),
    of(Kind.TARGET_FIELD_CHANGED, Rank.FIRST, _TARGETS, field="owner", before="123e4567", after="223e4567"),
    of(Kind.TARGET_FIELD_CHANGED, Rank.FIRST, _TARGETS, target="prod", field="client_id", before=None, after="6f1c"),
    of(Kind.TARGET_FIELD_CHANGED, Rank.FIRST, _TARGETS, target="prod", field="ledger_scope", before="a", after="b"),
    of(Kind.TARGET_ENTRY_ADDED, Rank.FIRST, _TARGETS, target="prod", field="operators", subject="eve@example.com"),
    of(Kind.TARGET_ENTRY_REMOVED, Rank.FIRST, _TARGETS, target="prod", field="ledger_readers", subject="audit"),
    of(Kind.AGE_KEY_CHANGED, Rank.FIRST, "secrets/demo/demo.agekey", target="demo"),
    of(Kind.RULES_FILE_CHANGED, Rank.FIRST, ".sops.yaml", before="../.sops.yaml", after=".sops.yaml"),
    of(Kind.RULE_RECIPIENT_ADDED, Rank.FIRST, ".sops.yaml", subject="^secrets/prod/", after=RECIPIENT, line=3),
    of(Kind.RULE_RECIPIENT_REMOVED, Rank.FIRST, ".sops.yaml", subject="^secrets/prod/", after="pgp ABCDEF", line=3),
    of(Kind.RULE_ADDED, Rank.FIRST, ".sops.yaml", subject="any file", line=9),
    of(Kind.RULE_REMOVED, Rank.FIRST, ".sops.yaml", subject="^secrets/old/"),
    of(
        Kind.RULE_CHANGED, Rank.FIRST, ".sops.yaml", subject="^x", field="mac_only_encrypted", before=None, after="true"
    ),
    of(Kind.RULES_REORDERED, Rank.FIRST, ".sops.yaml"),
    of(Kind.FILE_UNDER_OTHER_RULE, Rank.FIRST, before="^secrets/", after="any file"),
    of(Kind.TARGET_REMOVED, Rank.GONE, _TARGETS, target="old", before="https://adb-7.8.azuredatabricks.net"),
    in_scope(Kind.SCOPE_REMOVED, Rank.GONE, "spare", count=2),
    *(in_scope(Kind.KEY_REMOVED, Rank.GONE, "spare", key=key) for key in ("one", "two")),
    in_scope(Kind.KEY_REMOVED, Rank.GONE, key="db-password"),
    in_scope(Kind.KEY_RENAMED, Rank.GONE, key="api-token", before="token", after="api-token", line=12),
    in_scope(Kind.ACL_REMOVED, Rank.GONE, subject="interns", before="READ"),
    *(
        Difference(kind=Kind.OTHER_FILE, rank=Rank.ALSO, path=path, subject=state, sight=sight)
        for path, state, sight in (
            (".github/workflows/apply.yml", "changed", Sight.PIPELINE),
            ("CODEOWNERS", "deleted", Sight.REVIEWERS),
            (".gitattributes", "added", Sight.ATTRIBUTES),
            ("Makefile", "changed", Sight.TOOLING),
            ("a/.sops.yaml", "added", Sight.RULES),
            ("secrets/a.txt", "added", Sight.BESIDE),
        )
    ),
    in_scope(Kind.ACL_LOWERED, Rank.CHANGE, subject="ops", before="MANAGE", after="READ"),
    in_scope(Kind.ACLS_MANAGED, Rank.CHANGE),
    in_scope(Kind.PRUNE_CHANGED, Rank.CHANGE, "mail", before="owned", after="none"),
    in_scope(Kind.ROTATION_CHANGED, Rank.CHANGE, before="90d *", after=None),
    in_scope(Kind.SCOPE_ADDED, Rank.CHANGE, "fresh", count=7, line=4),
    *(in_scope(Kind.KEY_ADDED, Rank.CHANGE, "fresh", key=f"key-{number}") for number in range(7)),
    *(
        of(Kind.KEY_CHANGED, Rank.CHANGE, f"secrets/{target}/shared.yaml", target=target, scope="shared", key="license")
        for target in ("prod-1", "prod-2", "prod-3", "prod-4", "prod-5")
    ),
    in_scope(Kind.KEY_CHANGED, Rank.CHANGE, key="keystore", before="text", after="base64", line=13),
    in_scope(Kind.KEY_ADDED, Rank.CHANGE, key="brand-new", line=14),
    in_scope(Kind.KEY_MOVED, Rank.CHANGE, key="moved", before="secrets/prod/edge.yaml", after=FILE),
    in_scope(Kind.KEY_RESPELT, Rank.CHANGE, key="Case", before="case", after="Case"),
    in_scope(Kind.VALUES_REBOUND, Rank.CHANGE, count=1),
    of(Kind.FILE_ADDED, Rank.CHANGE, "secrets/prod/fresh.yaml"),
    of(Kind.FILE_REMOVED, Rank.CHANGE, "secrets/prod/spare.yaml"),
    of(Kind.FILE_REWRITTEN, Rank.CHANGE, "secrets/prod/tidy.yaml"),
)
"""At least one of each kind."""

_PROBLEMS: Final = (
    HeadProblem(
        problem=Problem(path="secrets/prod/c.yaml", line=1, column=3, what="not valid YAML", rule="strict-reading"),
        is_new=True,
    ),
    HeadProblem(
        problem=Problem(
            path=".sops.yaml",
            line=7,
            column=5,
            what="the rule matches no file",
            expected="a path_regex that is found in the path of a file",
            advice="correct it, or take it out",
            rule="unused-rule",
            severity=Severity.WARNING,
        ),
        is_new=False,
    ),
)

HOSTILE: Final = "x`](https://evil.example)<img src=x>\n::set-output name=a::b\r\x1b[2J\u202e|@team #1 **b**"

REVIEWS: Final = {
    "review-everything": ReviewReport(
        base=BASE,
        base_name="origin/main",
        head=HEAD,
        differences=in_order(iter(EVERYTHING)),
        problems=_PROBLEMS,
        files=11,
        other_files=3,
        remarks=("not all of the history is there: what went back further than that passes unnoticed",),
    ),
    "review-rotation": ReviewReport(
        base=BASE,
        base_name=None,
        head=None,
        differences=(in_scope(Kind.KEY_CHANGED, Rank.CHANGE, key="db-password", line=9),),
        files=1,
    ),
    "review-nothing": ReviewReport(base=BASE, base_name="main", head=HEAD, other_files=1),
    "review-hostile": ReviewReport(
        base=BASE,
        base_name=HOSTILE,
        head=HEAD,
        differences=in_order(
            iter(
                (
                    in_scope(Kind.ACL_ADDED, Rank.FIRST, HOSTILE, subject=HOSTILE, after="READ"),
                    in_scope(Kind.KEY_REMOVED, Rank.GONE, key=HOSTILE),
                    of(Kind.OTHER_FILE, Rank.ALSO, f".github/workflows/{HOSTILE}", subject="added"),
                    of(Kind.FILE_ADDED, Rank.CHANGE, f"secrets/{HOSTILE}"),
                    in_scope(Kind.KEY_ADDED, Rank.CHANGE, key="k" * 5_000 + "end"),
                )
            )
        ),
        problems=(HeadProblem(problem=Problem(path=HOSTILE, what="the file is empty"), is_new=True),),
        files=2,
    ),
}
