"""The Markdown report, for pull requests and job summaries: safe to post whatever a workspace calls things."""

from reconciler.plan import ChangeResult, Finding, action_of, subject_of
from reconciler.report.escape import code_span
from reconciler.report.record import RunReport, Status, TargetReport
from reconciler.report.wording import (
    actions_in_words,
    by_scope,
    commit_words,
    deletes,
    next_step,
    place_of,
    symbol_of,
    total,
    who_ran,
    why,
)


def render_markdown(report: RunReport) -> str:
    """Return the report in GitHub-flavoured Markdown, ended by a line feed.

    Every text that is not ours stands in a code span (`code_span`).
    """
    blocks = [block for target in report.targets for block in _target(target)]
    blocks.append(f"**{total(report)}**")
    if any(target.status is Status.PENDING for target in report.targets):
        blocks.append(f"Digest: {code_span(report.digest)}")
    step = next_step(report)
    if step is not None:
        blocks.append(f"Next: {code_span(step) if step.startswith('reconciler ') else step}")
    return "\n\n".join(blocks) + "\n"


def _target(target: TargetReport) -> list[str]:
    blocks = [
        f"### {code_span(target.target)}: {target.status.value}",
        ", ".join(map(code_span, (target.host, who_ran(target.identity), commit_words(target.commit)))),
    ]
    gone = actions_in_words([result.change for result in target.results if deletes(result.change)])
    if gone:
        blocks.append(f"> **To look at first: {gone}**")
    for group in by_scope(target.results).values():
        blocks += [f"Scope {code_span(group[0].change.scope)}", _table(group)]
    if target.findings:
        blocks += ["Found, and left alone:", "\n".join(_finding(finding) for finding in target.findings)]
    if target.errors:
        blocks += ["Errors:", "\n".join(f"- {code_span(error)}" for error in target.errors)]
    return blocks


def _finding(finding: Finding) -> str:
    """Return a list item."""
    line = f"- {finding.kind.value} {code_span(place_of(finding))}"
    return f"{line}: {code_span(finding.detail)}" if finding.detail else line


def _table(results: list[ChangeResult]) -> str:
    """Return a table of the changes of one scope."""
    head = ["|  | action | key or principal | reason | result |", "|---|---|---|---|---|"]
    return "\n".join(head + [_row(result) for result in results])


def _row(result: ChangeResult) -> str:
    change = result.change
    outcome = result.outcome.value if result.error is None else f"{result.outcome.value}: {code_span(result.error)}"
    cells = (symbol_of(change), action_of(change), code_span(subject_of(change)), why(change), outcome)
    return f"| {' | '.join(cells)} |"
