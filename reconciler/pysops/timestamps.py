"""Timestamps as Go's ``time`` package reads and prints them, as text.

Text, as nothing here needs arithmetic and ``datetime`` has neither nanoseconds nor the year 0.
"""

import re
from typing import Final


_RFC3339: Final = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    r"T(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]+))?"
    r"(?P<zone>Z|[-+][0-9]{2}:[0-9]{2})"
)
"""https://www.rfc-editor.org/rfc/rfc3339#section-5.6, upper-case T and Z only."""

_PARSED: Final = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2}T)(?P<hour>[0-9]{1,2})(?P<clock>:[0-9]{2}:[0-9]{2})"
    r"(?:[.,](?P<fraction>[0-9]+))?(?P<zone>Z|[-+][0-9]{2}:[0-9]{2})"
)
"""What Go's ``time.Parse`` takes besides: an hour of one digit, a comma, and offsets up to 24 hours and 60 minutes."""

_YAML: Final = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})"
    r"(?:(?P<separator>[Tt ])(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{1,2}):(?P<second>[0-9]{1,2})"
    r"(?:[.,](?P<fraction>[0-9]+))?(?P<zone>Z|[-+][0-9]{2}:[0-9]{2})?)?"
)
"""The four layouts of yaml.v3's ``parseTimestamp`` in one."""

_FRACTION_DIGITS: Final = 9
"""Nanoseconds; Go drops the digits behind."""

_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def from_rfc3339(text: str) -> str | None:
    """Return ``text`` as Go prints it with nanoseconds, or None when it is no strict RFC 3339 timestamp.

    Trailing zeros of the fraction go, an offset of zero becomes ``Z``, other offsets stay.
    """
    match = _RFC3339.fullmatch(text)
    return None if match is None else _canonical(match)


def from_parsed_rfc3339(text: str) -> str | None:
    """Return what `from_rfc3339` does, of all that Go takes for RFC 3339, a little more than it is.

    That goes for ``time.Parse``, and for ``Time.UnmarshalText``, the strict parsing of which is not enabled.
    """
    match = _PARSED.fullmatch(text)
    if match is None:
        return None
    zone = "Z" if match["zone"] == "Z" else _offset(match["zone"])
    if zone is None:
        return None
    fraction = (match["fraction"] or "")[:_FRACTION_DIGITS].rstrip("0")
    at_utc = from_rfc3339(f"{match['date']}{match['hour']:0>2}{match['clock']}{'.' if fraction else ''}{fraction}Z")
    return None if at_utc is None else at_utc.removesuffix("Z") + zone


def from_yaml(text: str) -> str | None:
    """Return the plain YAML scalar ``text`` as RFC 3339 text, or None when yaml.v3 takes it for no timestamp.

    A date alone is midnight UTC, and so is a time without a zone. See `is_a_day_off` for what it cannot print again.
    """
    if text[4:5] != "-":
        return None
    match = _YAML.fullmatch(text)
    if match is None or (match["separator"] is not None and (match["separator"] == " ") != (match["zone"] is None)):
        return None
    zone = match["zone"] or "Z"
    offset = "Z" if zone == "Z" else _offset(zone)
    at_utc = None if offset is None else _canonical(match, zone="Z")
    return None if at_utc is None else f"{at_utc.removesuffix('Z')}{offset}"


def is_a_day_off(canonical: str) -> bool:
    """Tell whether a timestamp has an offset of 24 hours or more, which Go reads and does not print."""
    return canonical[-6] in "+-" and canonical[-5:] >= "24:00"


def without_fraction(canonical: str) -> str:
    """Return a result of `from_rfc3339` at the precision of seconds."""
    seconds, dot, rest = canonical.partition(".")
    return seconds + rest.lstrip("0123456789") if dot else canonical


def _offset(zone: str) -> str | None:
    # As loose as Go has it: "some people do write offsets of 24 hours or 60 minutes".
    hours, minutes = int(zone[1:3]), int(zone[4:])
    if hours > 24 or minutes > 60:  # noqa: PLR2004  # a clock
        return None
    hours, minutes = divmod(hours * 60 + minutes, 60)
    return f"{zone[0]}{hours:02}:{minutes:02}" if hours or minutes else "Z"


def _canonical(match: re.Match[str], zone: str | None = None) -> str | None:
    year, month, day = int(match["year"]), int(match["month"]), int(match["day"])
    hour, minute, second = (int(match[part] or "0") for part in ("hour", "minute", "second"))
    if not (1 <= month <= len(_DAYS) and 1 <= day <= _days_in(year, month)):
        return None
    if not (hour <= 23 and minute <= 59 and second <= 59):  # noqa: PLR2004  # a clock
        return None
    fraction = (match["fraction"] or "")[:_FRACTION_DIGITS].rstrip("0")
    zone = zone or match["zone"]
    if zone[1:] == "00:00":
        zone = "Z"
    elif zone != "Z" and not (int(zone[1:3]) <= 23 and int(zone[4:]) <= 59):  # noqa: PLR2004  # a clock
        return None
    text = f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    return f"{text}{'.' if fraction else ''}{fraction}{zone}"


def _days_in(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 28 if month == 2 and not leap else _DAYS[month - 1]  # noqa: PLR2004  # February
