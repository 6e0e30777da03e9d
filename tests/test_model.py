"""Names fold as the platform compares them, and a secret value never shows itself."""

import copy
import json
import pickle
import traceback
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import Permission, SecretValue, fold, is_key_name, is_scope_name


CANARY = b"canary-7f3a-value"


@pytest.mark.parametrize(
    "show",
    [
        pytest.param(repr, id="repr"),
        pytest.param(str, id="str"),
        pytest.param(lambda value: f"{value}", id="f-string"),
        pytest.param(lambda value: f"{value:>40}", id="format spec"),
        pytest.param(lambda value: f"{value!r}", id="f-string repr"),
        pytest.param(lambda value: "%s %r" % (value, value), id="percent"),  # noqa: UP031  # the point of the case
        pytest.param(lambda value: repr([value, {"key": value}]), id="in a container"),
    ],
)
def test_showing_a_secret_value_masks_it(show: Callable[[SecretValue], str]) -> None:
    """No way of turning a value into text yields its bytes."""
    shown = show(SecretValue(CANARY))

    assert "***" in shown
    assert CANARY.decode() not in shown


@pytest.mark.parametrize(
    "leak",
    [
        pytest.param(pickle.dumps, id="pickle"),
        pytest.param(copy.copy, id="copy"),
        pytest.param(copy.deepcopy, id="deepcopy"),
        pytest.param(json.dumps, id="json"),
        pytest.param(hash, id="hash"),
        pytest.param(vars, id="vars"),
    ],
)
def test_a_secret_value_refuses_what_would_carry_it_off(leak: Callable[[SecretValue], object]) -> None:
    """Pickling, copying, serialising and hashing fail, and the failure does not quote the value."""
    with pytest.raises(TypeError) as caught:
        leak(SecretValue(CANARY))

    assert CANARY.decode() not in "".join(traceback.format_exception(caught.value))


def test_a_traceback_with_locals_masks_a_secret_value() -> None:
    """A crash report that prints local variables prints the mask."""

    def crash(value: SecretValue) -> None:
        raise RuntimeError(f"boom with {value}")

    with pytest.raises(RuntimeError) as caught:
        crash(SecretValue(CANARY))
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())

    assert "SecretValue(***)" in shown
    assert CANARY.decode() not in shown


@given(st.binary(), st.binary())
def test_secret_values_are_equal_exactly_if_their_bytes_are(left: bytes, right: bytes) -> None:
    """Equality is that of the bytes, and nothing else is equal to a secret value."""
    assert (SecretValue(left) == SecretValue(right)) is (left == right)
    assert SecretValue(left) != left


def test_a_secret_value_is_made_of_bytes_only() -> None:
    """Text has no one meaning as bytes, so whoever makes a value must have encoded it."""
    with pytest.raises(TypeError, match="made of bytes, not of str"):
        SecretValue("text")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "is_key", "is_scope"),
    [
        pytest.param("db-password_1.2", True, True, id="all kinds of characters"),
        pytest.param("a" * 128, True, True, id="longest"),
        pytest.param("a" * 129, False, False, id="too long"),
        pytest.param("", False, False, id="empty"),
        pytest.param("user@example.com", False, True, id="at sign in scopes only"),
        pytest.param("a/b", False, False, id="slash"),
        pytest.param("a b", False, False, id="space"),
        pytest.param("schlüssel", False, False, id="not ASCII"),
        pytest.param("key\n", False, False, id="line feed at the end"),
        pytest.param("\N{ARABIC-INDIC DIGIT ONE}", False, False, id="digit of another script"),
    ],
)
def test_names_follow_the_rules_of_the_platform(name: str, *, is_key: bool, is_scope: bool) -> None:
    """A key has letters, digits, ``-_.``; a scope may have ``@`` too; up to 128 of them."""
    assert is_key_name(name) is is_key
    assert is_scope_name(name) is is_scope


def test_names_that_differ_by_case_alone_are_one() -> None:
    """The platform overwrites ``Case-Key`` when ``case-key`` is put."""
    assert fold("Case-Key") == fold("case-key")


def test_a_higher_permission_includes_the_lower_ones() -> None:
    """The order of permissions is READ, WRITE, MANAGE."""
    assert Permission.READ < Permission.WRITE < Permission.MANAGE
