"""What ``audit`` prints about ages: text, Markdown and JSON over one record."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, assert_never

from reconciler.model import fold
from reconciler.report.aged import AgedKey, AgeReport, AgeStanding, TargetAges
from reconciler.report.as_json import dump, instant
from reconciler.report.escape import code_span, escape_text
from reconciler.report.layout import Cell, Line, Tone, aligned, paint, sentence
from reconciler.report.status_table import changed_fields, shown_author
from reconciler.report.wording import COMMIT_CHARS, circumstances, count, minute


_URGENCY: Final = {standing: place for place, standing in enumerate(AgeStanding)}

_QUIET: Final = frozenset({AgeStanding.FRESH, AgeStanding.UNRULED})
"""What is counted only, unless everything was asked for."""


def render_ages(report: AgeReport, *, color: bool, every: bool = False, width: int | None = None) -> str:
    """Return how old values are as text: what is overdue first, counts at the end.

    Args:
        report: What was found.
        color: Use ANSI colours.
        every: Also list what is within its limit, or has none.
        width: Columns of the terminal, to wrap sentences; None leaves each on one line. Names are never cut.
    """
    lines = [line for target in report.targets for line in (*_target(target, every=every, width=width), Line())]
    lines += sentence(_total(report), tone=Tone.TITLE, width=width)
    return paint(lines, color=color)


def _target(target: TargetAges, *, every: bool, width: int | None) -> Iterator[Line]:
    yield Line(
        (Cell(target.target, Tone.TITLE), *map(Cell, circumstances(target.host, target.identity, target.commit)))
    )
    if target.error is not None:
        yield from sentence(target.error, indent=2, tone=Tone.BAD, width=width)
        return
    if target.ledger_detail:
        yield from sentence(f"the ledger: {target.ledger_detail}", indent=2, tone=Tone.CHANGE, width=width)
    keys = list(_listed(target.keys, every=every))
    for row, key in zip(aligned([_row(key) for key in keys]), keys, strict=True):
        yield row
        for text, tone in ((key.detail, Tone.QUIET), (f"next: {key.step}" if key.step else "", Tone.PLAIN)):
            yield from sentence(text, indent=6, tone=tone, width=width) if text else ()


def _listed(keys: Iterable[AgedKey], *, every: bool) -> list[AgedKey]:
    """Return what is listed one by one: what is oldest over its limit first."""
    listed = (key for key in keys if every or key.standing not in _QUIET)
    return sorted(listed, key=lambda key: (_URGENCY[key.standing], _days_left(key), fold(key.scope), fold(key.key)))


def _days_left(key: AgedKey) -> int:
    return 0 if key.age_days is None or key.limit_days is None else key.limit_days - key.age_days


def _row(key: AgedKey) -> Line:
    """Return one key: how it stands, where, how old, of how many days, when it is due, when it changed and by whom."""
    cells = [Cell(key.standing.value, _tone(key.standing)), Cell(f"{escape_text(key.scope)}/{escape_text(key.key)}")]
    cells += [Cell(text) for text in (_age(key), _due(key))]
    cells += [Cell(text, Tone.QUIET) for text in _changed(key)]
    return Line((*cells, Cell("")), 2)


def _age(key: AgedKey) -> str:
    if key.age_days is None:
        return "age unknown" if key.limit_days is None else f"age unknown, of {count(key.limit_days, 'day')}"
    return count(key.age_days, "day") if key.limit_days is None else f"{key.age_days} of {count(key.limit_days, 'day')}"


def _due(key: AgedKey) -> str:
    return "" if key.due is None else f"due {key.due:%Y-%m-%d}"


def _changed(key: AgedKey) -> tuple[str, ...]:
    """Return when, by which commit and by whom a value was last changed; without mail addresses, which JSON has."""
    if key.changed is None:
        return ()
    commit = "work tree" if key.changed.commit is None else key.changed.commit[:COMMIT_CHARS]
    return minute(key.changed.at), commit, shown_author(key.changed).partition(" <")[0]


def _total(report: AgeReport) -> str:
    """Return how many keys stand how."""
    counts = Counter(key.standing for target in report.targets for key in target.keys)
    words = [
        f"{counts[AgeStanding.OVERDUE]} overdue",
        f"{counts[AgeStanding.DUE]} due within {count(report.within_days, 'day')}",
        f"{counts[AgeStanding.UNKNOWN]} of unknown age",
        f"{counts[AgeStanding.FRESH]} within their limits",
        f"{counts[AgeStanding.UNRULED]} without a rotation rule",
    ]
    incomplete = sum(target.looked_code != 0 for target in report.targets)
    if incomplete:
        words.append(f"{count(incomplete, 'target')} could not be looked at completely")
    return f"{count(counts.total(), 'key')}: {', '.join(words)}"


def _tone(standing: AgeStanding) -> Tone:
    match standing:
        case AgeStanding.OVERDUE:
            return Tone.BAD
        case AgeStanding.DUE | AgeStanding.UNKNOWN:
            return Tone.CHANGE
        case AgeStanding.FRESH:
            return Tone.GOOD
        case AgeStanding.UNRULED:
            return Tone.QUIET
        case _:
            assert_never(standing)


def render_ages_markdown(report: AgeReport, *, every: bool = False) -> str:
    """Return the same in GitHub-flavoured Markdown; every text that is not ours stands in a code span."""
    blocks = [block for target in report.targets for block in _target_blocks(target, every=every)]
    return "\n\n".join((*blocks, f"**{_total(report)}**")) + "\n"


def _target_blocks(target: TargetAges, *, every: bool) -> Iterator[str]:
    yield f"### {code_span(target.target)}"
    if known := circumstances(target.host, target.identity, target.commit):
        yield ", ".join(map(code_span, known))
    if target.error is not None:
        yield f"Error: {code_span(target.error)}"
        return
    if target.ledger_detail:
        yield f"The ledger: {code_span(target.ledger_detail)}"
    if keys := _listed(target.keys, every=every):
        head = ("|  | scope | key | age | due | last changed | next |", "|---|---|---|---|---|---|---|")
        yield "\n".join((*head, *map(_markdown_row, keys)))


def _markdown_row(key: AgedKey) -> str:
    changed = ", ".join(map(code_span, _changed(key)))
    detail = code_span(key.detail) if key.detail else ""
    cells = (
        key.standing.value,
        code_span(key.scope),
        code_span(key.key),
        _age(key),
        "" if key.due is None else f"{key.due:%Y-%m-%d}",
        "; ".join(filter(None, (changed, detail))),
        code_span(key.step) if key.step else "",
    )
    return f"| {' | '.join(cells)} |"


def render_ages_json(report: AgeReport) -> str:
    """Return every key, as docs/audit.md describes it; null where there is nothing."""
    return dump({"within_days": report.within_days, "targets": [_target_fields(target) for target in report.targets]})


def _target_fields(target: TargetAges) -> dict[str, object]:
    return {
        "target": target.target,
        "host": target.host,
        "identity": target.identity,
        "commit": target.commit,
        "ledger": target.ledger_detail or None,
        "keys": [_key_fields(key) for key in target.keys],
        "summary": {standing.value: number for standing, number in target.counts().items()},
        "error": target.error,
    }


def _key_fields(key: AgedKey) -> dict[str, object]:
    return {
        "scope": key.scope,
        "key": key.key,
        "status": key.standing.value,
        "age_days": key.age_days,
        "limit_days": key.limit_days,
        "due": None if key.due is None else instant(key.due),
        "changed": None if key.changed is None else changed_fields(key.changed),
        "detail": key.detail or None,
        "next": key.step,
    }
