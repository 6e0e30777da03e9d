"""The Markdown report, for pull requests and job summaries: safe to post whatever a workspace calls things."""

from collections.abc import Sequence

from reconciler.plan import ChangeResult, Finding, action_of, subject_of
from reconciler.report.escape import code_span
from reconciler.report.record import RunReport, Status, TargetReport
from reconciler.report.wording import (
    actions_in_words,
    adopted_words,
    by_scope,
    circumstances,
    deletes,
    evidence,
    explained,
    is_left_alone,
    is_untried,
    next_step,
    place_of,
    symbol_of,
    total,
    why,
)


def render_markdown(report: RunReport) -> str:
    """Return the report in GitHub-flavoured Markdown, ended by a line feed.

    Every text that is not ours stands in a code span (`code_span`). The platform's request ids are left to the JSON
    report, which is what is kept and searched: here they would make tables too wide to read, for nobody who reviews.
    """
    blocks = [block for target in report.targets for block in _target(target)]
    blocks.append(f"**{total(report)}**")
    if any(target.status is Status.PENDING for target in report.targets):
        blocks.append(f"Digest: {code_span(report.digest)}")
    step = next_step(report)
    if step is not None:
        blocks.append(f"Next: {code_span(step) if step.startswith('reconciler ') else step}")
    blocks.append(code_span(evidence(report)))
    return "\n\n".join(blocks) + "\n"


def _target(target: TargetReport) -> list[str]:
    blocks = [f"### {code_span(target.target)}: {target.status.value}"]
    if known := circumstances(target.host, target.identity, target.commit):
        blocks.append(", ".join(map(code_span, known)))
    if target.errors:
        title = "**Refused**" if target.status is Status.REFUSED else "Errors"
        blocks += [f"{title}:", "\n".join(f"- {code_span(error)}" for error in target.errors)]
    if target.adopted:
        blocks.append(code_span(adopted_words(target)))
    if target.status is Status.REFUSED and is_untried(target):
        blocks.append("What would have been done:")
    gone = actions_in_words([result.change for result in target.results if deletes(result.change)])
    if gone:
        blocks.append(f"> **To look at first: {gone}**")
    for group in by_scope(target.results).values():
        blocks += [f"Scope {code_span(group[0].change.scope)}", _table(group)]
    blocks += _findings("Found, and left alone:", [one for one in target.findings if is_left_alone(one)])
    blocks += _findings("Worth a look:", [one for one in target.findings if not is_left_alone(one)])
    return blocks


def _findings(title: str, findings: Sequence[Finding]) -> list[str]:
    return [title, "\n".join(map(_finding, findings))] if findings else []


def _finding(finding: Finding) -> str:
    """Return a list item."""
    return f"- {finding.kind.value} {code_span(place_of(finding))}: {code_span(explained(finding))}"


def _table(results: list[ChangeResult]) -> str:
    """Return a table of the changes of one scope."""
    head = ["|  | action | key or principal | reason | result |", "|---|---|---|---|---|"]
    return "\n".join(head + [_row(result) for result in results])


def _row(result: ChangeResult) -> str:
    change = result.change
    outcome = result.outcome.value if result.error is None else f"{result.outcome.value}: {code_span(result.error)}"
    cells = (symbol_of(change), action_of(change), code_span(subject_of(change)), why(change), outcome)
    return f"| {' | '.join(cells)} |"
