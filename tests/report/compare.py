"""Golden files: what a renderer printed when somebody last looked and found it good."""

import os
from pathlib import Path
from typing import Final


_FOLDER: Final = Path(__file__).parent / "golden"

# Read at import, as each test runs with an empty environment.
_UPDATE: Final = os.environ.get("RECONCILER_UPDATE_GOLDEN") == "1"


def check_golden(name: str, actual: str) -> None:
    """Compare ``actual`` with the golden file ``name``; ``make golden`` writes the file instead."""
    path = _FOLDER / f"{name}.golden"
    if _UPDATE:
        path.write_text(actual, encoding="utf-8", newline="\n")
    assert actual == path.read_text(encoding="utf-8"), f"{path.name} differs: look at it, then `make golden`"


def golden_names() -> set[str]:
    """Return the names of all golden files there are."""
    return {path.name.removesuffix(".golden") for path in _FOLDER.iterdir()}
