"""The platform's id of a request gets into reports only if it is one."""

import base64

import pytest
from requests.structures import CaseInsensitiveDict

from reconciler.databricks_workspace._request_id import request_id, request_id_in


ID = "4f2d9c1e-7a3b-4c5d-8e6f-0a1b2c3d4e5f"


@pytest.mark.parametrize("header", ["x-request-id", "X-Request-Id", "x-databricks-request-id"])
def test_is_found_in_either_header(header: str) -> None:
    """Whatever the case."""
    assert request_id_in(CaseInsensitiveDict({header: ID})) == ID


def test_is_none_where_there_is_none() -> None:
    """An answer need not have one."""
    assert request_id_in(CaseInsensitiveDict()) is None
    assert request_id(None, ()) is None


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("", id="empty"),
        pytest.param("x" * 129, id="long"),
        pytest.param("a b", id="space"),
        pytest.param("a\nb", id="line break"),
        pytest.param("\x1b[31m", id="escape"),
        pytest.param("\u00e9", id="beyond ASCII"),
        pytest.param(5, id="number"),
    ],
)
def test_is_none_where_it_may_not_be_shown(said: object) -> None:
    """It is what a server says, and goes to terminals and logs."""
    assert request_id(said, ()) is None


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("hunter22", id="the value"),
        pytest.param("id-hunter22-1", id="the value within"),
        pytest.param("hunter", id="a part of the value"),
        pytest.param(base64.b64encode(b"hunter22").decode(), id="its base64"),
    ],
)
def test_is_none_where_it_is_the_value_that_was_sent(said: str) -> None:
    """A server may put into it what it got."""
    assert request_id(said, (b"token-of-mine", b"hunter22")) is None


def test_is_not_lost_to_a_value_that_occurs_in_it_by_chance() -> None:
    """A value of one character occurs in most ids."""
    assert request_id(ID, (b"4", b"token-of-mine")) == ID
