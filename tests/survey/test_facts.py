"""What a survey says of a scope to whoever decides whose it is."""

from collections.abc import Mapping

import pytest

from reconciler.model import FoldedName, KeyName, ScopeName, SecretValue, fold
from reconciler.survey import Absent, Evidence, Fingerprint, Known, ScopeState, Unreadable, sight_of
from reconciler.workspace import Backend, SecretInfo
from tests.support.recorded import blank, recording


def _state(
    evidence: Mapping[str, Evidence], *, listed: tuple[str, ...] = ("a", "b"), vouched: bool = False
) -> ScopeState:
    entry = recording(blank(), {"a": b"1"})
    return ScopeState(
        scope=ScopeName("app"),
        backend=Backend.DATABRICKS,
        listed={fold(key): SecretInfo(key=KeyName(key), updated_ms=1) for key in listed},
        acls=(),
        evidence={fold(key): one for key, one in evidence.items()},
        found=entry,
        entry=entry if vouched else None,
    )


def _values(**values: bytes) -> Mapping[FoldedName, SecretValue]:
    return {fold(key): SecretValue(value) for key, value in values.items()}


ONE, TWO = Known(value=SecretValue(b"1")), Known(value=SecretValue(b"2"))
TAG = blank().value_tag("b", SecretValue(b"2"))


@pytest.mark.parametrize(
    ("desired", "state", "equal"),
    [
        pytest.param(_values(a=b"1", b=b"2"), _state({"a": ONE, "b": TWO}), True, id="the same"),
        pytest.param(_values(a=b"1", b=b"3"), _state({"a": ONE, "b": TWO}), False, id="another value"),
        pytest.param(_values(a=b"1"), _state({"a": ONE}), False, id="a key too many"),
        pytest.param(
            _values(a=b"1", b=b"2"), _state({"a": ONE, "b": Absent()}, listed=("a",)), False, id="one missing"
        ),
        pytest.param(_values(a=b"1", b=b"2"), _state({"a": ONE, "b": Absent()}), False, id="one vanished"),
        pytest.param(_values(a=b"1", b=b"2"), _state({"a": ONE, "b": Unreadable(why="no")}), False, id="not readable"),
        pytest.param(_values(a=b"1", b=b"2"), _state({"a": ONE, "b": Fingerprint(tag=TAG)}), False, id="not read"),
        pytest.param(_values(), _state({}, listed=()), True, id="nothing wanted, nothing there"),
    ],
)
def test_a_scope_is_equal_only_if_every_value_was_read_and_is_gits(
    desired: Mapping[FoldedName, SecretValue], state: ScopeState, *, equal: bool
) -> None:
    """It is adopted without a word because of that."""
    assert sight_of(desired, state).equal is equal


def test_an_entry_that_does_not_vouch_is_told() -> None:
    """Both are told, as each leads to another refusal."""
    for vouched in (True, False):
        state = _state({}, vouched=vouched)
        sight = sight_of({}, state)

        assert sight.vouched is vouched
        assert (sight.scope, sight.listed, sight.acls) == (state.scope, state.listed, state.acls)
