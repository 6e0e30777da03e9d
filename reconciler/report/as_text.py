"""The text report: what somebody reads at night. What changes, what failed, what to do next."""

from typing import assert_never

from reconciler.plan import ChangeResult, Outcome, action_of, subject_of
from reconciler.report.layout import Cell, Line, Tone, aligned, paint, sentence
from reconciler.report.record import RunReport, Status, TargetReport
from reconciler.report.wording import (
    by_scope,
    commit_words,
    next_step,
    place_of,
    symbol_of,
    total,
    who_ran,
    why,
)


def render_text(report: RunReport, *, color: bool, width: int | None = None, asking: bool = False) -> str:
    """Return the report for people.

    Args:
        report: What to tell.
        color: Use ANSI colours.
        width: Columns of the terminal, to wrap sentences; None leaves each on one line. Names are never cut.
        asking: A question follows, so that there is no need to say what to do next.
    """
    lines = [line for target in report.targets for line in (*_target(target, width=width), Line())]
    if not asking and any(target.status is Status.PENDING for target in report.targets):
        lines += sentence(f"digest: {report.digest}", tone=Tone.QUIET)
    lines += sentence(total(report), tone=Tone.TITLE, width=width)
    step = None if asking else next_step(report)
    if step is not None:
        lines += sentence(f"next: {step}", width=width)
    return paint(lines, color=color)


def _target(target: TargetReport, *, width: int | None) -> list[Line]:
    title = (
        Cell(target.target, Tone.TITLE),
        Cell(target.host),
        Cell(who_ran(target.identity)),
        Cell(commit_words(target.commit)),
        Cell(target.status.value, _tone_of_status(target.status)),
    )
    return [Line(title), *_changes(target, width=width), *_findings(target, width=width), *_errors(target, width=width)]


def _changes(target: TargetReport, *, width: int | None) -> list[Line]:
    """Return the changes by scope, in columns that run through all scopes of the target."""
    groups = by_scope(target.results)
    rows = iter(aligned([_row(result) for group in groups.values() for result in group]))
    lines: list[Line] = []
    for group in groups.values():
        lines += [Line(), Line((Cell(group[0].change.scope, Tone.TITLE),), 2)]
        for result in group:
            lines.append(next(rows))
            if result.error is not None:
                lines += sentence(result.error, indent=8, tone=Tone.BAD, width=width)
    return lines


def _row(result: ChangeResult) -> Line:
    symbol = symbol_of(result.change)
    tone = {"+": Tone.GOOD, "~": Tone.CHANGE, "-": Tone.BAD}[symbol]
    cells = (
        Cell(symbol, tone),
        Cell(action_of(result.change), tone),
        Cell(subject_of(result.change)),
        Cell(why(result.change)),
        Cell(result.outcome.value, _tone_of_outcome(result.outcome)),
    )
    return Line(cells, 4)


def _findings(target: TargetReport, *, width: int | None) -> list[Line]:
    if not target.findings:
        return []
    lines = [Line(), Line((Cell("found, and left alone", Tone.TITLE),), 2)]
    for finding in target.findings:
        lines.append(Line((Cell(finding.kind.value, Tone.CHANGE), Cell(place_of(finding))), 4))
        lines += sentence(finding.detail, indent=8, tone=Tone.QUIET, width=width) if finding.detail else ()
    return list(aligned(lines))


def _errors(target: TargetReport, *, width: int | None) -> list[Line]:
    if not target.errors:
        return []
    lines = [Line(), Line((Cell("errors", Tone.BAD),), 2)]
    for error in target.errors:
        lines += sentence(error, indent=4, width=width)
    return lines


def _tone_of_status(status: Status) -> Tone:
    match status:
        case Status.CLEAN | Status.APPLIED:
            return Tone.GOOD
        case Status.PENDING:
            return Tone.CHANGE
        case Status.FAILED | Status.REFUSED:
            return Tone.BAD
        case _:
            assert_never(status)


def _tone_of_outcome(outcome: Outcome) -> Tone:
    match outcome:
        case Outcome.DONE:
            return Tone.GOOD
        case Outcome.PLANNED:
            return Tone.QUIET
        case Outcome.SKIPPED:
            return Tone.CHANGE
        case Outcome.FAILED:
            return Tone.BAD
        case _:
            assert_never(outcome)
