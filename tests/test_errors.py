"""Every error has its exit code, and of several codes one wins."""

import itertools

import pytest

from reconciler import errors
from reconciler.errors import CannotDecrypt, InvalidInput, Problem, ReconcilerError, exit_code_of


def test_several_exit_codes_give_the_documented_one() -> None:
    """The first of 130, 4, 5, 6, 1, 3 wins, whatever else happened."""
    order = (130, 4, 5, 6, 1, 3)
    for size in range(1, len(order) + 1):
        for codes in itertools.combinations(order, size):
            assert exit_code_of(frozenset(codes)) == codes[0]


def test_a_run_without_complaint_exits_with_zero() -> None:
    """Nothing, or only zeros, is zero."""
    assert exit_code_of(frozenset()) == 0
    assert exit_code_of(frozenset({0})) == 0


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        pytest.param(errors.UsageError, 2, id="usage"),
        pytest.param(errors.InvalidInput, 4, id="invalid input"),
        pytest.param(errors.CannotDecrypt, 5, id="cannot decrypt"),
        pytest.param(errors.Refused, 6, id="refused"),
        pytest.param(errors.Interrupted, 130, id="interrupted"),
        pytest.param(errors.WorkspaceError, 1, id="workspace"),
        pytest.param(errors.NotFound, 1, id="below workspace"),
    ],
)
def test_each_class_has_the_exit_code_of_the_contract(kind: type[ReconcilerError], code: int) -> None:
    """Pipelines branch on these numbers."""
    assert kind.exit_code == code


def test_a_problem_reads_as_one_line_that_editors_can_follow() -> None:
    """Where, what, expected, advice."""
    problem = Problem(path="a.yaml", line=3, column=5, what="not text", expected="text", advice="put it in quotes")

    assert str(problem) == "a.yaml:3:5: not text; expected text (put it in quotes)"
    assert str(Problem(path="a.yaml", what="empty")) == "a.yaml: empty"


def test_an_input_error_shows_each_problem_once_by_place() -> None:
    """Problems are sorted by file and line, and repeated ones are not repeated."""
    late = Problem(path="a.yaml", line=10, what="late")
    early = Problem(path="a.yaml", line=9, what="early")

    error = InvalidInput((late, early, late))

    assert error.problems == (early, late)
    assert str(error).splitlines() == ["a.yaml:9: early", "a.yaml:10: late"]


def test_an_input_error_without_problems_cannot_be_made() -> None:
    """An error that names nothing would help nobody."""
    with pytest.raises(ValueError, match="at least one problem"):
        CannotDecrypt(())
