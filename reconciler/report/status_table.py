"""What ``status`` prints, as text and as JSON."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, assert_never

from reconciler.model import ScopeName, fold
from reconciler.report.as_json import dump, instant
from reconciler.report.escape import escape_text
from reconciler.report.layout import Cell, Line, Tone, aligned, paint, sentence
from reconciler.report.standings import (
    Changed,
    KeyStanding,
    KeyStatus,
    LedgerStanding,
    ScopeStanding,
    ScopeStatus,
    TargetStatus,
)
from reconciler.report.wording import COMMIT_CHARS, circumstances, commit_words, count, minute


UNKNOWN_COMMIT: Final = "unknown commit"
"""In place of an author: git does not have the commit, as after its branch was deleted."""

_MOST_STRANGERS: Final = 8
"""Scopes that do not concern git and are named one by one; a workspace may have a thousand of them."""

_URGENCY: Final = {standing: place for place, standing in enumerate(KeyStanding)}

_SCOPE_URGENCY: Final = {standing: place for place, standing in enumerate(ScopeStanding)}


def render_status(targets: Sequence[TargetStatus], *, color: bool, width: int | None = None) -> str:
    """Return how scopes and keys stand: what needs a look first, counts at the end.

    Args:
        targets: What was found.
        color: Use ANSI colours.
        width: Columns of the terminal, to wrap sentences; None leaves each on one line. Names are never cut.
    """
    lines = [line for target in targets for line in (*_target(target, width=width), Line())]
    lines += sentence(_total(targets), tone=Tone.TITLE, width=width)
    step = _next_step(targets)
    if step is not None:
        lines += sentence(f"next: {step}", width=width)
    return paint(lines, color=color)


def _target(target: TargetStatus, *, width: int | None) -> Iterator[Line]:
    title = circumstances(target.host, target.identity, target.commit)
    yield Line((Cell(target.target, Tone.TITLE), *map(Cell, title)))
    if target.error is not None:
        yield from sentence(target.error, indent=2, tone=Tone.BAD, width=width)
        return
    for text, tone in _standing_of_target(target):
        yield from sentence(text, indent=2, tone=tone, width=width)
    scopes = sorted((scope for scope in target.scopes if scope.keys is not None), key=_loudness)
    rows = iter(aligned([_row(key) for scope in scopes for key in _by_urgency(scope)]))
    for scope in scopes:
        yield from (Line(), Line((Cell(scope.scope, Tone.TITLE), Cell(scope.standing.value, _scope_tone(scope))), 2))
        for text, tone in ((scope.error or "", Tone.BAD), (scope.detail, Tone.QUIET)):
            yield from sentence(text, indent=4, tone=tone, width=width) if text else ()
        for key in _by_urgency(scope):
            yield next(rows)
            yield from sentence(key.detail, indent=8, tone=Tone.QUIET, width=width) if key.detail else ()
    if strangers := [scope.scope for scope in target.scopes if scope.keys is None]:
        yield Line()
        yield from sentence(_strangers(strangers), indent=2, tone=Tone.QUIET, width=width)


def _standing_of_target(target: TargetStatus) -> Iterator[tuple[str, Tone]]:
    """Yield what there is to say about the whole target: which apply was the last, and whether the ledger counts."""
    if (head := target.head) is not None:
        commit = head.changed.commit
        author, identity = escape_text(shown_author(head.changed)), escape_text(head.identity)
        words = [commit_words(commit), author, f"begun {minute(head.changed.at)}", f"as {identity}"]
        if commit is not None and commit == target.commit:
            words[0] = f"this {words[0]}"
        # Begun is all that the head knows: it is written before the first change.
        yield f"last apply: {', '.join(filter(None, words))}", Tone.PLAIN
    match target.ledger:
        case LedgerStanding.COUNTS | None:
            if target.ledger_detail:
                yield f"ledger: {target.ledger_detail}", Tone.CHANGE
        case LedgerStanding.ABSENT:
            yield f"no ledger: {target.ledger_detail}", Tone.CHANGE
        case LedgerStanding.HIDDEN | LedgerStanding.FOREIGN:
            yield f"the ledger does not count: {target.ledger_detail}", Tone.BAD
        case _:
            assert_never(target.ledger)


def _by_urgency(scope: ScopeStatus) -> list[KeyStatus]:
    return sorted(scope.keys or (), key=lambda key: (_URGENCY[key.standing], fold(key.key)))


def _loudness(scope: ScopeStatus) -> tuple[int, int, str]:
    """Return what sorts scopes: those with a drifted or orphaned key first, then those that stand badly themselves."""
    loudest = min((_URGENCY[key.standing] for key in scope.keys or ()), default=len(KeyStanding))
    quiet = _URGENCY[KeyStanding.UNKNOWN]
    return min(loudest, quiet), _SCOPE_URGENCY[scope.standing], fold(scope.scope)


def _row(key: KeyStatus) -> Line:
    changed = key.changed
    cells = (Cell(key.standing.value, _tone(key.standing)), Cell(key.key))
    if changed is None:
        return Line((*cells, Cell("")), 4)
    commit = "work tree" if changed.commit is None else changed.commit[:COMMIT_CHARS]
    # Without the mail address, for which 80 columns are too few; JSON has it.
    name = shown_author(changed).partition(" <")[0]
    return Line((*cells, Cell(minute(changed.at), Tone.QUIET), Cell(commit, Tone.QUIET), Cell(name, Tone.QUIET)), 4)


def shown_author(changed: Changed) -> str:
    """Return who wrote a commit; nothing for a work tree, which has none. Not escaped."""
    if changed.commit is None:
        return ""
    return UNKNOWN_COMMIT if changed.author is None else changed.author


def _strangers(names: Sequence[ScopeName]) -> str:
    shown = sorted(names, key=fold)[:_MOST_STRANGERS]
    more = len(names) - len(shown)
    also = f" and {more} more (reconciler list shows them)" if more else ""
    return f"{count(len(names), 'further scope')}, which git does not name: {', '.join(map(escape_text, shown))}{also}"


def _total(targets: Sequence[TargetStatus]) -> str:
    """Return how many scopes and keys were looked at, and how they stand."""
    scopes = [scope for target in targets for scope in target.scopes if scope.keys is not None]
    keys = Counter(key.standing for target in targets for key in target.all_keys())
    standings = Counter(scope.standing for scope in scopes)
    words = [
        f"{count(len(scopes), 'scope')}{_in_brackets((each.value, standings[each]) for each in ScopeStanding)}",
        f"{count(keys.total(), 'key')}{_in_brackets((each.value, keys[each]) for each in KeyStanding)}",
    ]
    incomplete = sum(not target.complete for target in targets)
    if incomplete:
        words.append(f"{count(incomplete, 'target')} could not be looked at completely")
    return "; ".join(words)


def _in_brackets(found: Iterable[tuple[str, int]]) -> str:
    """Return how many of each there are, without what does not occur."""
    parts = [f"{number} {word}" for word, number in found if number]
    return f" ({', '.join(parts)})" if parts else ""


def _next_step(targets: Sequence[TargetStatus]) -> str | None:
    """Return the command that shows what would be done about what is not as it should be."""
    loud = {KeyStanding.DRIFTED, KeyStanding.ORPHANED, KeyStanding.PENDING}
    names = [
        target.target
        for target in targets
        if any(key.standing in loud for key in target.all_keys())
        or any(scope.standing in {ScopeStanding.ORPHANED, ScopeStanding.MISSING} for scope in target.scopes)
    ]
    return f"reconciler plan {' '.join(names)}" if names else None


def _tone(standing: KeyStanding) -> Tone:
    match standing:
        case KeyStanding.DRIFTED | KeyStanding.ORPHANED:
            return Tone.BAD
        case KeyStanding.UNKNOWN | KeyStanding.PENDING:
            return Tone.CHANGE
        case KeyStanding.UNMANAGED:
            return Tone.QUIET
        case KeyStanding.MANAGED:
            return Tone.GOOD
        case _:
            assert_never(standing)


def _scope_tone(scope: ScopeStatus) -> Tone:
    match scope.standing:
        case ScopeStanding.ORPHANED | ScopeStanding.MISSING:
            return Tone.BAD
        case ScopeStanding.UNKNOWN | ScopeStanding.UNMANAGED:
            return Tone.CHANGE
        case ScopeStanding.MANAGED:
            return Tone.GOOD
        case _:
            assert_never(scope.standing)


def render_status_json(targets: Sequence[TargetStatus]) -> str:
    """Return ``{"format_version", "targets": […]}`` as docs/status.md describes it; null where there is nothing."""
    return dump({"targets": [_target_fields(target) for target in targets]})


def _target_fields(target: TargetStatus) -> dict[str, object]:
    head = target.head
    ledger = None if target.ledger is None else {"state": target.ledger.value, "detail": target.ledger_detail or None}
    return {
        "target": target.target,
        "host": target.host,
        "identity": target.identity,
        "commit": target.commit,
        "ledger": ledger,
        "head": None if head is None else {**changed_fields(head.changed), "identity": head.identity},
        "scopes": [_scope_fields(scope) for scope in target.scopes],
        "summary": {standing.value: number for standing, number in target.counts().items()},
        "error": target.error,
    }


def _scope_fields(scope: ScopeStatus) -> dict[str, object]:
    return {
        "scope": scope.scope,
        "status": scope.standing.value,
        "detail": scope.detail or None,
        "keys": None if scope.keys is None else [_key_fields(key) for key in scope.keys],
        "error": scope.error,
    }


def _key_fields(key: KeyStatus) -> dict[str, object]:
    return {
        "key": key.key,
        "status": key.standing.value,
        "changed": None if key.changed is None else changed_fields(key.changed),
        "updated": None if key.updated is None else instant(key.updated),
        "detail": key.detail or None,
    }


def changed_fields(changed: Changed) -> dict[str, object]:
    """Return when something changed, as JSON has it."""
    return {"at": instant(changed.at), "commit": changed.commit, "author": changed.author}
