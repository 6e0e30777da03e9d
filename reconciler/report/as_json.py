"""The JSON report: one document, for programs. Field names and their order are a promise (``format_version``)."""

import json
from datetime import datetime
from typing import Final, assert_never

from reconciler.plan import (
    ChangeResult,
    CreateScope,
    DeleteAcl,
    DeleteScope,
    DeleteSecret,
    Finding,
    PutAcl,
    PutSecret,
    action_of,
)
from reconciler.report.record import RunReport, TargetReport


FORMAT_VERSION: Final = 1
"""Raised when a field is renamed, removed or changes its meaning; new fields leave it."""


def render_json(report: RunReport) -> str:
    """Return the report as JSON in ASCII, indented, ended by a line feed."""
    return dump(
        {
            "tool_version": report.tool_version,
            "started": instant(report.started),
            "finished": instant(report.finished),
            "run_url": report.run_url,
            "digest": report.digest,
            "targets": [_target(target) for target in report.targets],
        }
    )


def dump(fields: dict[str, object]) -> str:
    """Return a document with ``format_version`` in front, as every JSON output has it.

    ASCII only, so that no terminal, pipe or code page can spoil it and no invisible character hides in it.
    """
    return json.dumps({"format_version": FORMAT_VERSION, **fields}, indent=2, ensure_ascii=True) + "\n"


def instant(moment: datetime) -> str:
    """Return an aware UTC time as RFC 3339 with milliseconds: ``2026-01-02T03:04:05.678Z``."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _target(target: TargetReport) -> dict[str, object]:
    return {
        "target": target.target,
        "host": target.host,
        "identity": target.identity,
        "commit": target.commit,
        "status": target.status.value,
        "changes": [_change(result) for result in target.results],
        "findings": [_finding(finding) for finding in target.findings],
        "summary": target.plan.summary(),
        "requests": {"read": target.requests.read, "write": target.requests.write},
        "errors": list(target.errors),
        "adopted": list(target.adopted),
    }


def _change(result: ChangeResult) -> dict[str, object]:
    return {
        "action": action_of(result.change),
        "scope": result.change.scope,
        **_subject(result),
        "result": result.outcome.value,
        "error": result.error,
        "request_id": result.request_id,
    }


def _subject(result: ChangeResult) -> dict[str, str | None]:
    """Return what within the scope is changed, and why; a change of the scope itself has null for both."""
    match result.change:
        case PutSecret(key=key, reason=put_reason):
            return {"key": key, "reason": put_reason.value}
        case DeleteSecret(key=key, reason=delete_reason):
            return {"key": key, "reason": delete_reason.value}
        case PutAcl(principal=principal, permission=permission) | DeleteAcl(principal=principal, permission=permission):
            return {"principal": principal, "permission": permission.name, "reason": None}
        case CreateScope() | DeleteScope():
            return {"key": None, "reason": None}
        case _:
            assert_never(result.change)


def _finding(finding: Finding) -> dict[str, str | None]:
    fields = {"kind": finding.kind.value, "scope": finding.scope, "key": finding.key, "detail": finding.detail}
    return fields if finding.principal is None else {**fields, "principal": finding.principal}
