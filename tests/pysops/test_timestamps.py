"""Timestamps read and printed as Go does."""

import pytest

from reconciler.pysops.timestamps import from_rfc3339, from_yaml, without_fraction


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        pytest.param("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z", id="as is"),
        pytest.param("2024-01-02T03:04:05.500Z", "2024-01-02T03:04:05.5Z", id="zeros of the fraction go"),
        pytest.param("2024-01-02T03:04:05.000Z", "2024-01-02T03:04:05Z", id="fraction of zeros"),
        pytest.param("2024-01-02T03:04:05.1234567899Z", "2024-01-02T03:04:05.123456789Z", id="nanoseconds"),
        pytest.param("2024-01-02T03:04:05+00:00", "2024-01-02T03:04:05Z", id="offset of zero"),
        pytest.param("2024-01-02T03:04:05-05:30", "2024-01-02T03:04:05-05:30", id="offset stays"),
        pytest.param("2024-01-02t03:04:05Z", None, id="lower-case t"),
        pytest.param("2024-01-02T03:04:05z", None, id="lower-case z"),
        pytest.param("2024-01-02T3:04:05Z", None, id="one digit"),
        pytest.param("2024-01-02T03:04:05", None, id="no zone"),
        pytest.param("2024-01-02T24:00:00Z", None, id="hour 24"),
        pytest.param("2024-01-02T03:04:60Z", None, id="leap second"),
        pytest.param("2024-01-02T03:04:05+24:00", None, id="offset of a day"),
        pytest.param("2023-02-29T03:04:05Z", None, id="no leap year"),
        pytest.param("2000-02-29T03:04:05Z", "2000-02-29T03:04:05Z", id="leap year of a century"),
        pytest.param("1900-02-29T03:04:05Z", None, id="century without leap day"),
        pytest.param("2024-04-31T03:04:05Z", None, id="April 31"),
        pytest.param("2024-00-01T03:04:05Z", None, id="month 0"),
        pytest.param("2024-01-02T03:04:05Z\n", None, id="line break behind"),
    ],
)
def test_rfc3339_is_strict(text: str, canonical: str | None) -> None:
    """Only RFC 3339 is read, and printed as Go prints it."""
    assert from_rfc3339(text) == canonical


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        pytest.param("2024-1-2", "2024-01-02T00:00:00Z", id="date"),
        pytest.param("2024-1-2 3:4:5", "2024-01-02T03:04:05Z", id="blank and no zone"),
        pytest.param("2024-1-2t3:4:5,25+01:00", "2024-01-02T03:04:05.25+01:00", id="comma, lower-case t"),
        pytest.param("2024-1-2 3:4:5Z", None, id="blank and zone"),
        pytest.param("2024-1-2T3:4:5", None, id="T and no zone"),
        pytest.param("24-1-2", None, id="short year"),
    ],
)
def test_yaml_timestamps_are_those_of_yaml_v3(text: str, canonical: str | None) -> None:
    """The layouts of yaml.v3 are read, and no other."""
    assert from_yaml(text) == canonical


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-01-02T03:04:05.5Z", "2024-01-02T03:04:05Z"),
        ("2024-01-02T03:04:05.5+01:00", "2024-01-02T03:04:05+01:00"),
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
    ],
)
def test_fraction_is_dropped(text: str, seconds: str) -> None:
    """The MAC is bound to lastmodified at the precision of seconds, in its own offset."""
    assert without_fraction(text) == seconds
