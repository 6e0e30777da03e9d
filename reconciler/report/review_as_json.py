"""A review for programs, as docs/review.md describes it. All of it: nothing is cut."""

from reconciler.errors import escaped
from reconciler.report.as_json import dump
from reconciler.report.reviewed import Difference, HeadProblem, ReviewReport


def render_review_json(report: ReviewReport) -> str:
    """Return ``{"format_version", "base", "head", "differences": […], …}``; null where there is nothing."""
    return dump(
        {
            "base": {"commit": report.base, "name": report.base_name},
            "head": {"commit": report.head},
            "prefix": escaped(report.prefix),
            "valid": report.exit_code == 0,
            "summary": {**report.summary(), "files": report.files, "other_files": report.other_files},
            "differences": [_difference(one) for one in report.differences],
            "problems": [_problem(found) for found in report.problems],
            "remarks": list(report.remarks),
        }
    )


def _difference(one: Difference) -> dict[str, object]:
    return {
        "rank": one.rank.value,
        "kind": one.kind.value,
        "path": escaped(one.path),
        "line": one.line,
        "target": one.target,
        "scope": one.scope,
        "key": one.key,
        "subject": one.subject,
        "field": one.field,
        "before": one.before,
        "after": one.after,
        "commit": one.commit,
        "count": one.count,
        "rekeyed": one.rekeyed,
        "sight": None if one.sight is None else one.sight.value,
    }


def _problem(found: HeadProblem) -> dict[str, object]:
    problem = found.problem
    return {
        "path": escaped(problem.path),
        "line": problem.line,
        "column": problem.column,
        "what": problem.what,
        "expected": problem.expected,
        "advice": problem.advice,
        "scope": problem.scope,
        "rule": problem.rule,
        "severity": problem.severity.value,
        "new": found.is_new,
    }
