"""Words that the text and the Markdown report share."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final, assert_never

from reconciler.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_PENDING
from reconciler.model import FoldedName, Permission, fold
from reconciler.plan import (
    ACTIONS,
    Change,
    ChangeResult,
    CreateScope,
    DeleteAcl,
    DeleteScope,
    DeleteSecret,
    Finding,
    FindingKind,
    Outcome,
    PutAcl,
    PutReason,
    PutSecret,
    action_of,
)
from reconciler.report.escape import escape_text
from reconciler.report.record import UNKNOWN_HOST, RunReport, Status, TargetReport


COMMIT_CHARS: Final = 12
"""How much of a commit's hash is shown to people; git finds it again."""

_NOUNS: Final = {"scope": "scope", "acl": "ACL", "secret": "secret"}

_LEFT_ALONE: Final = frozenset({FindingKind.UNMANAGED_KEY, FindingKind.UNMANAGED_ACL, FindingKind.ORPHANED_SCOPE})
"""What the run could have taken away, and did not; the other kinds are about something to look at."""


_TRIED: Final = frozenset({Outcome.DONE, Outcome.FAILED})


def is_left_alone(finding: Finding) -> bool:
    """Tell whether a finding is about something of somebody else that stays as it is."""
    return finding.kind in _LEFT_ALONE


_MEANINGS: Final = {
    FindingKind.UNMANAGED_KEY: "no file names it, and it is not known to be ours",
    FindingKind.UNMANAGED_ACL: "no file grants it",
    FindingKind.ORPHANED_SCOPE: "git no longer names it",
    FindingKind.UNVERIFIABLE_VALUE: "its value may not be read, so it could not be compared",
    FindingKind.ACLS_UNKNOWN: "its grants may not be read, so they could not be compared",
    FindingKind.ROTATION_DUE: "its value is older than its rotation rule allows",
    FindingKind.ROLLED_BACK_FILE: "a file that feeds it is older than the one that was applied last",
    FindingKind.REKEYED_FILE: "a file that feeds it was encrypted anew, each value of it",
}
"""What a kind of finding means, for one that says no more of itself."""

_TO_DO: Final = {
    FindingKind.ROTATION_DUE: "put a new value into git",
    FindingKind.ROLLED_BACK_FILE: "make sure that it was meant to go back: its values are old ones",
    FindingKind.REKEYED_FILE: "have somebody compare its values with the old ones: it may be by somebody who never "
    "could read them",
}
"""What to do about a finding that nothing else settles."""


def explained(finding: Finding) -> str:
    """Return what a finding says, and what to do about it; as it stands, not escaped."""
    text = finding.detail or _MEANINGS[finding.kind]
    advice = _TO_DO.get(finding.kind)
    return text if advice is None else f"{text} ({advice})"


def symbol_of(change: Change) -> str:
    """Return ``+`` for what appears, ``~`` for what is overwritten, ``-`` for what goes."""
    match change:
        case CreateScope():
            return "+"
        case PutAcl():
            return "+" if change.before is None else "~"
        case PutSecret():
            return "+" if change.creates or change.reason is PutReason.NEW else "~"
        case DeleteScope() | DeleteAcl() | DeleteSecret():
            return "-"
        case _:
            assert_never(change)


def why(change: Change) -> str:
    """Return the reason for a put or delete of a secret, the permissions of an ACL, nothing for a scope."""
    match change:
        case PutSecret(reason=put_reason):
            return put_reason.value
        case DeleteSecret(reason=delete_reason):
            return delete_reason.value
        case PutAcl(before=Permission() as before):
            return f"{before.name} -> {change.permission.name}"
        case PutAcl() | DeleteAcl():
            return change.permission.name
        case CreateScope() | DeleteScope():
            return ""
        case _:
            assert_never(change)


def deletes(change: Change) -> bool:
    """Tell whether ``change`` takes something away."""
    return symbol_of(change) == "-"


def by_scope(results: tuple[ChangeResult, ...]) -> dict[FoldedName, list[ChangeResult]]:
    """Return the results by scope, scopes sorted, the order within a scope kept."""
    groups: dict[FoldedName, list[ChangeResult]] = {}
    for result in results:
        groups.setdefault(fold(result.change.scope), []).append(result)
    return dict(sorted(groups.items()))


def place_of(finding: Finding) -> str:
    """Return ``scope``, ``scope/key``, or ``scope: principal``, each part escaped by itself."""
    scope = escape_text(finding.scope)
    if finding.principal is not None:
        return f"{scope}: {escape_text(finding.principal)}"
    return scope if finding.key is None else f"{scope}/{escape_text(finding.key)}"


def circumstances(host: str, identity: str | None, commit: str | None) -> tuple[str, ...]:
    """Return where, by whom and at which commit, each escaped by itself; nothing where none of it is known."""
    return () if host == UNKNOWN_HOST else (escape_text(host), who_ran(identity), commit_words(commit))


def who_ran(identity: str | None) -> str:
    """Return ``as NAME``, escaped, or that nobody got as far as the workspace."""
    return "not reached" if identity is None else f"as {escape_text(identity)}"


def commit_words(commit: str | None) -> str:
    """Return ``commit 3f2a9c1d…`` shortened, or that the files of the work tree were used."""
    return "work tree" if commit is None else f"commit {commit[:COMMIT_CHARS]}"


def minute(moment: datetime) -> str:
    """Return a UTC time as ISO 8601 without the seconds: who looks at a table needs no more."""
    return moment.strftime("%Y-%m-%dT%H:%MZ")


def rotate_command(target: str, scope: str, key: str) -> str:
    """Return what to type to give one key another value."""
    return f"reconciler rotate {target}/{scope} {'-- ' if key.startswith('-') else ''}{key}"


def adopted_words(target: TargetReport) -> str:
    """Return which scopes become ours, each escaped by itself; of a run that wrote nothing, which would."""
    names, is_one = ", ".join(map(escape_text, target.adopted)), len(target.adopted) == 1
    if target.requests.write == 0:
        return f"would be adopted: {names} ({'it is' if is_one else 'they are'} there, and not ours)"
    return f"adopted: {names} ({'it was' if is_one else 'they were'} there, and not ours before)"


def count(number: int, noun: str) -> str:
    """Return ``1 read``, ``2 reads``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def actions_in_words(changes: list[Change]) -> str:
    """Return ``create 1 scope, put 2 secrets`` for ``changes``, in the order of a summary; nothing for none."""
    counts = Counter(action_of(change) for change in changes)
    words: list[str] = []
    for action in ACTIONS:
        verb, thing = action.split("-")
        if counts[action]:
            words.append(f"{verb} {count(counts[action], _NOUNS[thing])}")
    return ", ".join(words)


def outcomes_in_words(results: list[ChangeResult]) -> str:
    """Return ``3 done, 1 failed, 1 skipped`` without what did not occur."""
    counts = Counter(result.outcome for result in results)
    return ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome])


def evidence(report: RunReport) -> str:
    """Return what an audit asks of a run besides its changes: which tool, from when to when, on which page."""
    times = (moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in (report.started, report.finished))
    page = "" if report.run_url is None else f"; {escape_text(report.run_url)}"
    return f"reconciler {report.tool_version}; {' to '.join(times)}{page}"


def was_tried(report: RunReport) -> bool:
    """Tell whether any change was begun, so that the report is evidence of more than a look."""
    return any(result.outcome in _TRIED for target in report.targets for result in target.results)


def is_untried(target: TargetReport) -> bool:
    """Tell whether there are changes of which none was begun."""
    return bool(target.results) and all(result.outcome is Outcome.PLANNED for result in target.results)


def total(report: RunReport) -> str:
    """Return the run in one line: what is to do or was done, what is unchanged, requests, seconds."""
    if _is_cut_off(report):
        return _verdict(report)
    unchanged = sum(target.plan.unchanged for target in report.targets)
    reads = sum(target.requests.read for target in report.targets)
    writes = sum(target.requests.write for target in report.targets)
    seconds = (report.finished - report.started).total_seconds()
    return (
        f"{_verdict(report)}; {unchanged} unchanged; {count(reads, 'read')}, {count(writes, 'write')}; {seconds:.1f} s"
    )


def _verdict(report: RunReport) -> str:
    """Return what a run came to. "no changes" only when nothing is to do and nothing kept us from knowing that."""
    results = [result for target in report.targets for result in target.results]
    trouble = _trouble(report)
    if not results:
        return trouble or "no changes"
    planned = all(result.outcome is Outcome.PLANNED for result in results)
    changes = [result.change for result in results]
    if planned:
        words = f"{'would' if trouble == Status.REFUSED.value else 'to do:'} {actions_in_words(changes)}"
    else:
        words = outcomes_in_words(results)
    return f"{trouble}; {words}" if trouble else words


def _trouble(report: RunReport) -> str:
    """Return one word for what went wrong; nothing when all went well."""
    statuses = {target.status for target in report.targets}
    if report.exit_code == EXIT_INTERRUPTED:
        return "interrupted"
    if Status.FAILED in statuses:
        return Status.FAILED.value
    if Status.REFUSED in statuses:
        return Status.REFUSED.value
    return "" if report.exit_code in {EXIT_DONE, EXIT_PENDING} else Status.FAILED.value


def next_step(report: RunReport) -> str | None:
    """Return what the reader should do now; None when there is nothing to do."""
    statuses = {target.status for target in report.targets}
    if report.exit_code == EXIT_INTERRUPTED:
        return _after_an_interrupt(report)
    if _trouble(report) == Status.FAILED.value:
        return "mend what the errors name and run the same command again; what is done stays done"
    if Status.REFUSED in statuses:
        done = "what was not refused is done" if was_tried(report) else "nothing was changed"
        return f"{done}; each refusal names what would allow it"
    if Status.PENDING in statuses:
        return " ".join(("reconciler apply", *_pending(report), *report.options))
    return None


def _after_an_interrupt(report: RunReport) -> str:
    if _is_cut_off(report):
        return "run the same command again: it finds out what was done until then"
    if not was_tried(report):
        return "no change was begun; run the same command again when they should be made"
    return "run the same command again: it goes on with what is left"


def _is_cut_off(report: RunReport) -> bool:
    """Tell whether a signal ended the run at once: what it had done by then, its report does not know."""
    return report.exit_code == EXIT_INTERRUPTED and all(target.identity is None for target in report.targets)


def _pending(report: RunReport) -> Iterator[str]:
    """Yield what selects the targets that wait for an apply, no more of them than was looked at."""
    for target in report.targets:
        if target.status is Status.PENDING:
            named = tuple(one for one in report.selectors if one.partition("/")[0] == target.target)
            yield from named or (target.target,)
