"""What programs get when a run ends before it has a report."""

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import Interrupted, InvalidInput, Problem, ReconcilerError, Refused, UsageError
from reconciler.settings import Settings
from reconciler.terminal import reported_failure


def settings(*selectors: str, **environ: str) -> Settings:
    """Return the settings of a run."""
    return Settings(root=Path(), selectors=selectors, environ=environ, home=Path())


def document(text: str) -> Any:  # noqa: ANN401  # JSON
    """Return the only target of a report."""
    (target,) = json.loads(text)["targets"]
    return target


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param(UsageError("unknown target 'x'", advice="did you mean 'y'?"), "failed", id="usage"),
        pytest.param(Refused("git does not work here"), "refused", id="refused"),
        pytest.param(InvalidInput((Problem(path="a.yaml", what="empty"),)), "failed", id="invalid"),
    ],
)
def test_failure_before_the_run_is_a_document_for_programs(
    capsys: pytest.CaptureFixture[str], error: ReconcilerError, status: str
) -> None:
    """Whatever the exit code, ``-o json`` prints one document; the error goes on to those who read stderr."""
    with pytest.raises(type(error)), reported_failure(settings("prod/app"), "json", None):
        raise error
    target = document(capsys.readouterr().out)
    assert (target["target"], target["status"]) == ("prod", status)
    assert len(target["errors"]) == 1


def test_interrupt_before_there_was_a_report_is_a_document_too(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A pipeline that is cancelled while it plans finds a document that says so, also in its file."""
    kept = tmp_path / "report.json"
    for file in (None, kept):
        with pytest.raises(KeyboardInterrupt), reported_failure(settings("prod"), "json", file):
            raise KeyboardInterrupt
        target = document(capsys.readouterr().out if file is None else file.read_text(encoding="utf-8"))
        assert target["status"] == "failed"
        assert "interrupted" in target["errors"][0]
        assert "not known" not in target["errors"][0]
    assert Interrupted.exit_code == 130


def test_second_interrupt_of_an_apply_leaves_open_what_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    """Values may have been put before it; the document must not deny that."""
    with pytest.raises(KeyboardInterrupt), reported_failure(settings("prod"), "json", None, writes=True):
        raise KeyboardInterrupt
    (told,) = document(capsys.readouterr().out)["errors"]
    assert "it is not known what was done until then" in told
    assert "it finds out" in told


def test_command_can_have_a_document_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """That of ``status`` has other fields than that of a run."""
    refusal = Refused("git does not work here", advice="install it")
    with (
        pytest.raises(Refused),
        reported_failure(settings(), "json", None, document=lambda _, error: error.with_advice()),
    ):
        raise refusal
    assert capsys.readouterr().out == "git does not work here (install it)"


def test_nobody_is_told_twice(capsys: pytest.CaptureFixture[str]) -> None:
    """People get the lines on stderr alone."""
    with pytest.raises(UsageError), reported_failure(settings("prod"), "text", None):
        raise UsageError("no")
    assert capsys.readouterr().out == ""


def test_run_without_a_target_is_a_document_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """That no target is named is itself the error."""
    nameless = settings(CI="true")
    with pytest.raises(UsageError), reported_failure(nameless, "json", None):
        nameless.wanted()
    assert "no target is named" in document(capsys.readouterr().out)["errors"][0]
