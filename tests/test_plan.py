"""Results say what they must; everything else about plans is tested where they are made (`tests/test_diff.py`)."""

import pytest

from reconciler.model import ScopeName
from reconciler.plan import ChangeResult, CreateScope, Outcome


CHANGE = CreateScope(scope=ScopeName("app"))


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        pytest.param(Outcome.PLANNED, None, id="planned"),
        pytest.param(Outcome.DONE, None, id="done"),
        pytest.param(Outcome.FAILED, "the workspace is full", id="failed"),
        pytest.param(Outcome.SKIPPED, "the scope could not be created", id="skipped"),
    ],
)
def test_a_result_says_why_exactly_where_there_is_a_why(outcome: Outcome, error: str | None) -> None:
    """A report must not leave its reader alone with "failed", nor give a reason for what went well."""
    assert ChangeResult(change=CHANGE, outcome=outcome, error=error).error == error
    for wrong in ("", None) if error else ("", "a reason"):
        with pytest.raises(ValueError, match="why"):
            ChangeResult(change=CHANGE, outcome=outcome, error=wrong)
