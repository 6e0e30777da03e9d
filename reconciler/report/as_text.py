"""The text report: what somebody reads at night. What changes, what failed, what to do next."""

from collections.abc import Iterator, Sequence
from typing import assert_never

from reconciler.plan import ChangeResult, Finding, Outcome, action_of, subject_of
from reconciler.report.layout import Cell, Line, Tone, aligned, paint, sentence
from reconciler.report.record import RunReport, Status, TargetReport
from reconciler.report.wording import (
    adopted_words,
    by_scope,
    circumstances,
    evidence,
    explained,
    is_left_alone,
    is_untried,
    next_step,
    place_of,
    symbol_of,
    total,
    was_tried,
    why,
)


def render_text(
    report: RunReport, *, color: bool, width: int | None = None, asking: bool = False, verbose: bool = False
) -> str:
    """Return the report for people.

    Args:
        report: What to tell.
        color: Use ANSI colours.
        width: Columns of the terminal, to wrap sentences; None leaves each on one line. Names are never cut.
        asking: A question follows, so that there is no need to say what to do next.
        verbose: Also tell what the platform calls each request in its audit log.
    """
    lines = [line for target in report.targets for line in (*_target(target, width, verbose=verbose), Line())]
    if not asking and any(target.status is Status.PENDING for target in report.targets):
        lines += sentence(f"digest: {report.digest}", tone=Tone.QUIET)
    if verbose or was_tried(report):
        lines += sentence(evidence(report), tone=Tone.QUIET, width=width)
    lines += sentence(total(report), tone=Tone.TITLE, width=width)
    step = None if asking else next_step(report)
    if step is not None:
        lines += sentence(f"next: {step}", width=width)
    return paint(lines, color=color)


def _target(target: TargetReport, width: int | None, *, verbose: bool) -> Iterator[Line]:
    title = (
        Cell(target.target, Tone.TITLE),
        *map(Cell, circumstances(target.host, target.identity, target.commit)),
        Cell(target.status.value, _tone_of_status(target.status)),
    )
    yield Line(title)
    if target.adopted:
        yield from (Line(), *sentence(adopted_words(target), indent=2, tone=Tone.CHANGE, width=width))
    changes = _changes(target, width, verbose=verbose)
    if target.status is Status.REFUSED:
        # First thing, as whoever reads on has to know that none of it was done.
        yield from _errors("refused", target, width)
        if is_untried(target):
            yield from (Line(), Line((Cell("would have been done", Tone.TITLE),), 2))
        yield from changes
        yield from _all_findings(target, width)
    else:
        yield from changes
        yield from _all_findings(target, width)
        yield from _errors("errors", target, width)


def _changes(target: TargetReport, width: int | None, *, verbose: bool) -> list[Line]:
    """Return the changes by scope, in columns that run through all scopes of the target."""
    groups = by_scope(target.results)
    rows = iter(aligned([_row(result) for group in groups.values() for result in group]))
    lines: list[Line] = []
    for group in groups.values():
        lines += [Line(), Line((Cell(group[0].change.scope, Tone.TITLE),), 2)]
        for result, after in zip(group, (*group[1:], None), strict=True):
            lines.append(next(rows))
            # Of hundreds that were skipped for one reason, it stands below the last one.
            if result.error is not None and not _is_alike(result, after):
                lines += sentence(result.error, indent=8, tone=Tone.BAD, width=width)
            if verbose and result.request_id is not None:
                lines += sentence(f"request {result.request_id}", indent=8, tone=Tone.QUIET)
    return lines


def _is_alike(result: ChangeResult, after: ChangeResult | None) -> bool:
    """Tell whether what comes next was skipped for the same reason."""
    skipped = result.outcome is Outcome.SKIPPED
    return skipped and after is not None and after.outcome is Outcome.SKIPPED and after.error == result.error


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


def _all_findings(target: TargetReport, width: int | None) -> Iterator[Line]:
    yield from _findings("found, and left alone", [one for one in target.findings if is_left_alone(one)], width)
    yield from _findings("worth a look", [one for one in target.findings if not is_left_alone(one)], width)


def _findings(title: str, findings: Sequence[Finding], width: int | None) -> Iterator[Line]:
    if not findings:
        return
    yield from (Line(), Line((Cell(title, Tone.TITLE),), 2))
    rows = aligned([Line((Cell(one.kind.value, Tone.CHANGE), Cell(place_of(one))), 4) for one in findings])
    for row, finding, after in zip(rows, findings, (*findings[1:], None), strict=True):
        yield row
        text = explained(finding)
        if after is None or after.kind is not finding.kind or explained(after) != text:
            yield from sentence(text, indent=8, tone=Tone.QUIET, width=width)


def _errors(title: str, target: TargetReport, width: int | None) -> Iterator[Line]:
    if not target.errors:
        return
    yield from (Line(), Line((Cell(title, Tone.BAD),), 2))
    for error in target.errors:
        yield from sentence(error, indent=4, width=width)


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
