"""What ``audit --revoked`` prints: text, Markdown and JSON over one record."""

import shlex
from collections.abc import Iterator
from itertools import groupby
from typing import Final, assert_never

from reconciler.errors import ReconcilerError
from reconciler.report.as_json import dump, instant
from reconciler.report.escape import code_span, escape_text
from reconciler.report.layout import Cell, Line, Tone, aligned, paint, sentence
from reconciler.report.revoked import Exposure, RevokedReport, RevokedValue
from reconciler.report.wording import COMMIT_CHARS, count, minute


_TITLES: Final = {
    Exposure.READABLE: "They can read it now; rekey the file first, then change the value",
    Exposure.UNCHANGED: "The same value that they could read",
    Exposure.UNKNOWN: "Not known to have changed since they could read it",
    Exposure.REMOVED: "In no file any more; revoke it at its source",
}


def render_revoked(report: RevokedReport, *, color: bool, width: int | None = None) -> str:
    """Return as text what somebody could read that may be the same: what is worst first, counts at the end.

    Args:
        report: What was found.
        color: Use ANSI colours.
        width: Columns of the terminal, to wrap sentences; None leaves each on one line. Names are never cut.
    """
    lines = [Line((Cell(_title(report), Tone.TITLE),))]
    for text in _remarks(report):
        lines += sentence(text, indent=2, tone=Tone.BAD, width=width)
    rows = iter(aligned([_row(value) for value in report.values]))
    for exposure, values in groupby(report.values, key=lambda value: value.exposure):
        lines += (Line(), *sentence(_TITLES[exposure], indent=2, tone=_tone(exposure), width=width))
        # Hundreds of values may be listed for one reason: it is said once.
        for detail, alike in groupby(values, key=lambda value: value.detail):
            lines += sentence(detail, indent=4, tone=Tone.QUIET, width=width)
            lines += [next(rows) for _ in alike]
    lines += (Line(), *sentence(_total(report), tone=Tone.TITLE, width=width))
    return paint(lines, color=color)


def _title(report: RevokedReport) -> str:
    return f"{report.recipient}  commit {report.commit[:COMMIT_CHARS]}"


def _remarks(report: RevokedReport) -> Iterator[str]:
    """Yield what holds for whole files."""
    for path in map(escape_text, report.open_files):
        yield f"{path} names them: take them out of .sops.yaml, then reconciler rekey {shlex.quote(path)}"
    for unread in report.unread:
        yield (
            f"{count(unread.versions, 'version')} of {escape_text(unread.path)} could not be read, and may have held "
            f"what they could read: git show {unread.commit[:COMMIT_CHARS]}"
        )


def _place(value: RevokedValue) -> str:
    """Return where a value is, each part escaped by itself."""
    return "/".join(map(escape_text, (value.target or value.host, value.scope, value.key)))


def _row(value: RevokedValue) -> Line:
    cells = (Cell(_place(value)), Cell(value.path, Tone.QUIET), *(Cell(text, Tone.QUIET) for text in _read(value)))
    return Line((*cells, Cell(f"next: {value.step}" if value.step else "")), 6)


def _read(value: RevokedValue) -> tuple[str, str, str]:
    """Return when, at which commit and by whom the newest version was written that they could read."""
    at = "" if value.read.at is None else minute(value.read.at)
    return at, value.read.commit[:COMMIT_CHARS], value.read.author.partition(" <")[0]


def _total(report: RevokedReport) -> str:
    listed = report.counts()
    words = [f"{listed[exposure]} {exposure.value}" for exposure in Exposure if listed[exposure]]
    where = "all branches and tags" if report.all_refs else "what this commit builds on"
    found = "nothing to change or revoke"
    if words:
        found = f"{count(len(report.values), 'value')} to change or revoke ({', '.join(words)})"
    unkeyed = f"; {report.without_key} judged without a key at hand" if report.without_key else ""
    return (
        f"{found}; {report.changed} changed since{unkeyed}; {count(report.versions, 'version')} of files in "
        f"{count(report.commits, 'commit')} looked at: {where}"
    )


def _tone(exposure: Exposure) -> Tone:
    match exposure:
        case Exposure.READABLE | Exposure.UNCHANGED:
            return Tone.BAD
        case Exposure.UNKNOWN | Exposure.REMOVED:
            return Tone.CHANGE
        case _:
            assert_never(exposure)


def render_revoked_markdown(report: RevokedReport) -> str:
    """Return the same in GitHub-flavoured Markdown; every text that is not ours stands in a code span."""
    blocks = [f"### {code_span(report.recipient)}, commit {code_span(report.commit[:COMMIT_CHARS])}"]
    if remarks := "\n".join(f"- {code_span(text)}" for text in _remarks(report)):
        blocks.append(remarks)
    for exposure, values in groupby(report.values, key=lambda value: value.exposure):
        head = ("| value | file | read at | why | next |", "|---|---|---|---|---|")
        blocks += [f"**{_TITLES[exposure]}**", "\n".join((*head, *map(_markdown_row, values)))]
    return "\n\n".join((*blocks, f"**{_total(report)}**")) + "\n"


def _markdown_row(value: RevokedValue) -> str:
    cells = (
        code_span(_place(value)),
        code_span(value.path),
        ", ".join(map(code_span, filter(None, _read(value)))),
        code_span(value.detail),
        code_span(value.step) if value.step else "",
    )
    return f"| {' | '.join(cells)} |"


def render_revoked_json(report: RevokedReport) -> str:
    """Return all of it, as docs/audit.md describes it; null where there is nothing."""
    return dump(
        {
            "recipient": report.recipient,
            "commit": report.commit,
            "all_refs": report.all_refs,
            "commits": report.commits,
            "versions": report.versions,
            "open_files": list(report.open_files),
            "unread": [{"path": one.path, "commit": one.commit, "versions": one.versions} for one in report.unread],
            "values": [_value_fields(value) for value in report.values],
            "summary": {
                **{exposure.value: number for exposure, number in report.counts().items()},
                "changed": report.changed,
                "without_key": report.without_key,
            },
        }
    )


def render_error_json(error: ReconcilerError) -> str:
    """Return what programs get where an error ended the command: ``{"format_version", "error"}``."""
    return dump({"error": error.with_advice()})


def render_error_markdown(error: ReconcilerError) -> str:
    """Return the same in Markdown."""
    return f"Error: {code_span(error.with_advice())}\n"


def _value_fields(value: RevokedValue) -> dict[str, object]:
    read = value.read
    return {
        "status": value.exposure.value,
        "path": value.path,
        "host": value.host,
        "target": value.target,
        "scope": value.scope,
        "key": value.key,
        "read_at": {
            "commit": read.commit,
            "at": None if read.at is None else instant(read.at),
            "author": read.author,
        },
        "detail": value.detail,
        "next": value.step,
    }
