"""What a server says about when to come back, in all forms that there are."""

import pytest
from requests.structures import CaseInsensitiveDict

from reconciler.databricks_workspace._retry_after import retry_after_s


NOON_S = 1_445_428_800.0
"""Wed, 21 Oct 2015 12:00:00 GMT."""


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        pytest.param("0", 0.0, id="at once"),
        pytest.param("7", 7.0, id="seconds"),
        pytest.param(" 120 ", 120.0, id="spaces"),
        pytest.param("86400", 86_400.0, id="a day"),
        pytest.param("86401", None, id="more than a day"),
        pytest.param("9" * 400, None, id="for ever"),
        pytest.param("-5", None, id="negative"),
        pytest.param("1.5", None, id="fraction"),
        pytest.param("inf", None, id="infinity"),
        pytest.param("nan", None, id="nan"),
        pytest.param("\u0663", None, id="digit of another script"),
        pytest.param("soon", None, id="word"),
        pytest.param("", None, id="nothing"),
        pytest.param("Wed, 21 Oct 2015 12:00:30 GMT", 30.0, id="date"),
        pytest.param("Wednesday, 21-Oct-15 12:00:30 GMT", 30.0, id="date as of RFC 850"),
        pytest.param("Wed Oct 21 12:00:30 2015", 30.0, id="date as of asctime"),
        pytest.param("Wed, 21 Oct 2015 11:00:00 GMT", 0.0, id="date in the past"),
        pytest.param("Wed, 21 Oct 2099 07:28:00 GMT", None, id="date of another century"),
        pytest.param("Wed, 99 Oct 2015 12:00:30 GMT", None, id="no date"),
    ],
)
def test_reads_seconds_and_dates(said: str, seconds: float | None) -> None:
    """Nonsense counts as saying nothing."""
    assert retry_after_s({"Retry-After": said}, now=lambda: NOON_S) == seconds


def test_holds_a_date_against_the_servers_own_time() -> None:
    """The two clocks may differ by an hour."""
    headers = CaseInsensitiveDict(
        {"retry-after": "Wed, 21 Oct 2015 12:00:30 GMT", "date": "Wed, 21 Oct 2015 12:00:10 GMT"}
    )

    assert retry_after_s(headers, now=lambda: NOON_S - 3600) == 20.0


def test_is_silent_where_the_server_is() -> None:
    """Most answers say nothing of it."""
    assert retry_after_s({}) is None
