"""The guide to forgeries is what the tables of the tests say."""

import os
from typing import Final

from tests.support.cli import PACKAGE_ROOT
from tests.support.forgery_page import page


_PAGE: Final = PACKAGE_ROOT / "docs" / "forgeries.md"

# Read at import, as each test runs with an empty environment.
_UPDATE: Final = os.environ.get("RECONCILER_UPDATE_GOLDEN") == "1"


def test_guide_to_forgeries() -> None:
    """Written by ``make golden``, so that it names every forgery, and none that is not tried."""
    if _UPDATE:
        _PAGE.write_text(page(), encoding="utf-8", newline="\n")
    assert _PAGE.read_text(encoding="utf-8") == page(), "docs/forgeries.md is stale: look at it, then `make golden`"
