"""What the text report says, beyond how it looks."""

import subprocess
import sys

import pytest

from reconciler.errors import EXIT_INTERRUPTED, EXIT_INVALID_INPUT
from reconciler.model import ScopeName
from reconciler.plan import Finding, FindingKind
from reconciler.report import Format, Status, render, render_text
from reconciler.report.wording import explained
from tests.report.situations import SITUATIONS, put, run, target_report, unreached


@pytest.mark.parametrize("situation", [pytest.param(name, id=name) for name in SITUATIONS])
def test_no_changes_is_said_only_when_that_is_known(situation: str) -> None:
    """Scripts look for the words "no changes", so they stand there exactly when every target is clean."""
    statuses = {target.status for target in SITUATIONS[situation].targets}
    assert ("no changes" in render_text(SITUATIONS[situation], color=False)) == (statuses == {Status.CLEAN})


def test_target_that_failed_before_its_survey_is_not_called_unchanged() -> None:
    """Without a survey nobody knows whether there are changes."""
    report = run(unreached("prod", "no route"), exit_code=1)
    assert "no changes" not in render_text(report, color=False)


def test_run_that_ended_early_is_not_called_unchanged() -> None:
    """A clean target says nothing of those that the run did not come to."""
    clean = target_report("prod", Status.CLEAN)
    for exit_code in (EXIT_INTERRUPTED, EXIT_INVALID_INPUT):
        for report in (run(clean, exit_code=exit_code), run(exit_code=exit_code)):
            assert "no changes" not in render_text(report, color=False)


@pytest.mark.parametrize("form", [Format.TEXT, Format.MARKDOWN])
def test_run_that_was_cut_off_does_not_claim_that_nothing_was_written(form: Format) -> None:
    """After a second signal values may have been put, of which the report knows nothing."""
    told = render(SITUATIONS["cut-off"], form)
    assert "not known what was done" in told
    for claim in ("nothing was", "no change", "0 write", "0 unchanged", "not reached"):
        assert claim not in told


def test_next_step_is_an_apply_of_what_was_planned() -> None:
    """Without its selectors it would do more than was looked at, and without its options be refused, or do less."""
    told = render_text(SITUATIONS["to-adopt"], color=False)
    assert "next: reconciler apply stage/a stage/b --adopt --allow-deletes 3\n" in told


@pytest.mark.parametrize("width", [None, 1, 40])
def test_names_are_never_cut(width: int | None) -> None:
    """However narrow the terminal, a name of 128 characters can be searched for and copied."""
    name = "n" * 128
    report = run(target_report(name, Status.FAILED, put(name, scope=name), errors=(f"key {name}: denied",)))
    assert render_text(report, color=False, width=width).count(name) == 4


def test_refusal_stands_above_what_it_kept_from_being_done() -> None:
    """Whoever reads on has to know that none of it was done."""
    for form in (Format.TEXT, Format.MARKDOWN):
        told = render(SITUATIONS["refused"], form)
        assert told.index("is older than") < told.lower().index("would have been done") < told.index("db-password")


def test_reason_of_many_skipped_changes_is_told_once() -> None:
    """An interrupted run may have skipped hundreds for one reason."""
    told = render_text(SITUATIONS["interrupted"], color=False)
    assert told.count("skipped\n") == 3
    assert told.count("not tried: interrupted") == 1


def test_request_ids_are_told_to_those_who_ask() -> None:
    """The platform's audit log is searched by them; without ``-v`` nobody needs them."""
    applied = SITUATIONS["applied"]
    assert "request-0" not in render(applied, Format.TEXT)
    assert "    request request-0\n" in render(applied, Format.TEXT, verbose=True)
    assert "request-0" in render(applied, Format.JSON)


@pytest.mark.parametrize("form", [pytest.param(form, id=form.value) for form in Format])
def test_report_of_changes_is_evidence(form: Format) -> None:
    """Who did it, at which commit, with which version, from when to when, in which run of a pipeline."""
    told = render(SITUATIONS["failed"], form)
    for fact in (
        "deploy@example.com",
        "3f2a9c1d5e7b",
        "0.1.0",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:06",
        "https://ci.example/runs/7",
    ):
        assert fact in told


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.value) for kind in FindingKind])
@pytest.mark.parametrize("form", [pytest.param(form, id=form.value) for form in (Format.TEXT, Format.MARKDOWN)])
def test_finding_that_says_nothing_of_itself_is_explained(kind: FindingKind, form: Format) -> None:
    """Nobody has to look up what a kind of finding means."""
    bare = Finding(kind=kind, scope=ScopeName("app"))
    told = render(run(target_report("prod", Status.CLEAN, findings=(bare,))), form)
    (line,) = [line for line in told.splitlines() if explained(bare) in line]
    assert len(explained(bare).split()) > 3
    assert line


def test_only_what_is_drawn_imports_rich() -> None:
    """JSON, Markdown and plain text do without rich, which costs more than all of this room."""
    program = """
import sys
from tests.report.situations import SITUATIONS
from reconciler.errors import EXIT_INTERRUPTED, EXIT_INVALID_INPUT
from reconciler.report import Format, render
for form in Format:
    render(SITUATIONS["pending"], form)
print([name for name in sys.modules if name.partition(".")[0] in ("rich", "click", "databricks")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_colours_add_nothing_but_colours() -> None:
    """Without its colours a coloured report reads as the plain one."""
    for report in SITUATIONS.values():
        coloured = render(report, Format.TEXT, color=True)
        assert "\x1b[" in coloured
        assert "\x1b[" not in render(report, Format.TEXT)
