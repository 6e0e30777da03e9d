"""What ``targets``, ``list`` and ``validate`` print, each as text and as JSON."""

from collections.abc import Iterator
from datetime import UTC, datetime

from reconciler.errors import Problem, Severity, escaped
from reconciler.model import Acl
from reconciler.report.as_json import dump, instant
from reconciler.report.layout import Cell, Line, Tone, aligned, paint, sentence
from reconciler.report.record import ListedKey, ListedScope, TargetListing, TargetRow
from reconciler.report.wording import count, who_ran


def render_targets(rows: tuple[TargetRow, ...], *, color: bool) -> str:
    """Return one line per target: name, host, how many files feed it, which scopes."""
    if not rows:
        return paint([Line((Cell("no targets"),))], color=color)
    head = Line(tuple(Cell(word, Tone.TITLE) for word in ("target", "host", "files", "scopes")))
    lines = [
        Line(
            (
                Cell(row.target),
                Cell(f"{row.host} (embedded)" if row.embedded else row.host),
                Cell(str(row.files)),
                Cell(" ".join(row.scopes) or "-"),
            )
        )
        for row in rows
    ]
    return paint(aligned([head, *lines]), color=color)


def render_targets_json(rows: tuple[TargetRow, ...]) -> str:
    """Return ``{"format_version", "targets": [{"target", "host", "embedded", "files", "scopes"}]}``."""
    return dump(
        {
            "targets": [
                {
                    "target": row.target,
                    "host": row.host,
                    "embedded": row.embedded,
                    "files": row.files,
                    "scopes": list(row.scopes),
                }
                for row in rows
            ]
        }
    )


def render_listing(listings: tuple[TargetListing, ...], *, color: bool) -> str:
    """Return the scopes of each workspace with grants and keys, and when each key was last put."""
    lines: list[Line] = []
    for listing in listings:
        lines.append(Line((Cell(listing.target, Tone.TITLE), Cell(listing.host), Cell(who_ran(listing.identity)))))
        if listing.error is not None:
            lines += sentence(listing.error, indent=2, tone=Tone.BAD)
        for scope in listing.scopes:
            lines += [Line(), *_listed_scope(scope)]
        lines.append(Line())
    keys = sum(len(scope.keys) for listing in listings for scope in listing.scopes)
    scopes = sum(len(listing.scopes) for listing in listings)
    lines += sentence(f"{count(scopes, 'scope')}, {count(keys, 'key')}", tone=Tone.TITLE)
    return paint(lines, color=color)


def _listed_scope(scope: ListedScope) -> Iterator[Line]:
    yield Line((Cell(scope.scope, Tone.TITLE), Cell(scope.backend.value, Tone.QUIET)), 2)
    if scope.error is not None:
        yield from sentence(scope.error, indent=4, tone=Tone.BAD)
        return
    yield from _grants(scope.acls)
    yield from aligned([Line((Cell("key"), Cell(key.key), Cell(_updated(key), Tone.QUIET)), 4) for key in scope.keys])


def _grants(acls: tuple[Acl, ...] | None) -> tuple[Line, ...]:
    if acls is None:
        return sentence("ACLs unknown: the identity may not read them", indent=4, tone=Tone.CHANGE)
    return aligned([Line((Cell("ACL"), Cell(acl.principal), Cell(acl.permission.name)), 4) for acl in acls])


def render_listing_json(listings: tuple[TargetListing, ...]) -> str:
    """Return ``{"format_version", "targets": [{"target", "host", "identity", "scopes": […], "error"}]}``.

    The error of a target is null when its workspace could be listed. A scope has ``scope``, ``backend``, ``acls``
    (``principal``, ``permission``; null where they may not be read), ``keys`` (``key``, ``updated``) and ``error``
    (null when its keys could be listed).
    """
    return dump(
        {
            "targets": [
                {
                    "target": listing.target,
                    "host": listing.host,
                    "identity": listing.identity,
                    "scopes": [_scope_fields(scope) for scope in listing.scopes],
                    "error": listing.error,
                }
                for listing in listings
            ]
        }
    )


def _scope_fields(scope: ListedScope) -> dict[str, object]:
    acls = scope.acls
    return {
        "scope": scope.scope,
        "backend": scope.backend.value,
        "acls": None
        if acls is None
        else [{"principal": acl.principal, "permission": acl.permission.name} for acl in acls],
        "keys": [{"key": key.key, "updated": _updated(key)} for key in scope.keys],
        "error": scope.error,
    }


def render_problems(problems: tuple[Problem, ...], *, files: int, color: bool) -> str:
    """Return one line per problem, as compilers print them, and a last line with their number.

    Lines are not wrapped: a command in them can be copied, and `grep` finds a problem whole.

    Args:
        problems: What was found, in the order in which it is shown.
        files: How many files were looked at.
        color: Use ANSI colours.
    """
    warnings = sum(problem.severity is Severity.WARNING for problem in problems)
    errors = len(problems) - warnings
    found = count(errors, "problem") if errors else "no problems"
    if warnings:
        found += f", {count(warnings, 'warning')}"
    tone = Tone.BAD if errors else Tone.CHANGE if warnings else Tone.GOOD
    lines = [*map(_problem, problems), *sentence(f"{found} in {count(files, 'file')}", tone=tone)]
    return paint(lines, color=color)


def _problem(problem: Problem) -> Line:
    rule = Cell(f"[{problem.rule}]", Tone.QUIET)
    if problem.severity is Severity.WARNING:
        return Line((Cell(f"{problem.where}: warning: {problem.text}", Tone.CHANGE), rule))
    return Line((Cell(str(problem)), rule))


def render_problems_json(problems: tuple[Problem, ...], *, files: int) -> str:
    """Return ``{"format_version", "files", "problems": […]}``; each with all fields of `Problem`, null if unknown."""
    return dump(
        {
            "files": files,
            "problems": [
                {
                    "path": escaped(problem.path),
                    "line": problem.line,
                    "column": problem.column,
                    "what": problem.what,
                    "expected": problem.expected,
                    "advice": problem.advice,
                    "scope": problem.scope,
                    "rule": problem.rule,
                    "severity": problem.severity.value,
                }
                for problem in problems
            ],
        }
    )


def _updated(key: ListedKey) -> str:
    return instant(datetime.fromtimestamp(key.updated_ms / 1000, tz=UTC))
