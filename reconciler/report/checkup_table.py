"""What ``doctor`` prints: text and JSON over one record."""

from collections.abc import Iterator
from itertools import groupby
from typing import assert_never

from reconciler.report.as_json import dump
from reconciler.report.checkup import Check, Checkup, Verdict
from reconciler.report.escape import escape_text
from reconciler.report.layout import Cell, Line, Tone, aligned, paint, sentence


def render_checkup(checkup: Checkup, *, color: bool, width: int | None = None) -> str:
    """Return what was looked at, section by section, each with what to do about it; counts at the end.

    Args:
        checkup: What was found.
        color: Use ANSI colours.
        width: Columns of the terminal, to wrap sentences; None leaves each on one line. Names are never cut.
    """
    lines: list[Line] = []
    rows = iter(aligned([_row(check) for check in checkup.checks]))
    for section, checks in groupby(checkup.checks, key=lambda check: check.section):
        lines.append(Line((Cell(section, Tone.TITLE),)))
        for check in checks:
            lines += _joined(next(rows), check, width)
        lines.append(Line())
    words = (f"{number} {verdict.value}" for verdict, number in checkup.counts().items())
    lines += sentence(", ".join(words), tone=Tone.TITLE, width=width)
    return paint(lines, color=color)


def _row(check: Check) -> Line:
    return Line((Cell(check.verdict.value, _tone(check.verdict)), Cell(check.name), Cell("")), 2)


def _joined(row: Line, check: Check, width: int | None) -> Iterator[Line]:
    """Yield the line of a check, its sentence behind its name, and what to do about it below."""
    subject = f"{escape_text(check.subject)}: " if check.subject else ""
    first, *rest = sentence(f"{subject}{check.text}", indent=_BEHIND, width=width)
    yield Line((*row.cells[:-1], *first.cells), row.indent)
    yield from rest
    if check.advice is not None and check.verdict is not Verdict.OK:
        yield from sentence(f"next: {check.advice}", indent=_BEHIND, width=width)


_BEHIND = 8
"""How far what follows a line is indented."""


def _tone(verdict: Verdict) -> Tone:
    match verdict:
        case Verdict.OK:
            return Tone.GOOD
        case Verdict.WARN:
            return Tone.CHANGE
        case Verdict.FAIL:
            return Tone.BAD
        case _:
            assert_never(verdict)


def render_checkup_json(checkup: Checkup) -> str:
    """Return the same as docs/doctor.md describes it; null where there is nothing."""
    return dump(
        {
            "checks": [_fields(check) for check in checkup.checks],
            "summary": {verdict.value: number for verdict, number in checkup.counts().items()},
        }
    )


def _fields(check: Check) -> dict[str, object]:
    return {
        "section": check.section,
        "name": check.name,
        "subject": check.subject or None,
        "verdict": check.verdict.value,
        "text": check.text,
        "advice": check.advice,
        "exit_code": check.exit_code,
    }
