"""What a run has to tell is well-formed before any renderer sees it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.report.situations import SITUATIONS


@pytest.mark.parametrize("field", ["started", "finished"])
@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).replace(tzinfo=None), id="naive"),
        pytest.param(datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1))), id="another zone"),
    ],
)
def test_times_are_utc(field: str, moment: datetime) -> None:
    """The JSON writes them with a ``Z``, which must not be a lie."""
    with pytest.raises(ValueError, match="UTC"):
        replace(SITUATIONS["clean"], **{field: moment})  # type: ignore[arg-type]  # both fields are times
