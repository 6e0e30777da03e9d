"""Ten thousand random documents and mutants of each: `make fuzz`.

The seed of a case is that of the run and its number, so that workers never make the same documents.
"""

import dataclasses
import os
from collections.abc import Callable
from typing import Final

import pytest

from tests.pysops.differential import compare_documents
from tests.support.sops_tool import QUICK, SopsTool, find_sops


SEED: Final = int(os.environ.get("RECONCILER_FUZZ_SEED", "0"))
DOCUMENTS: Final = int(os.environ.get("RECONCILER_FUZZ_DOCUMENTS", "10000"))
"""Read on import, as the tests run without environment."""

DOCUMENTS_PER_CASE: Final = 50
MUTANTS_PER_DOCUMENT: Final = 3
MOST_CASES: Final = 1_000_000


@pytest.mark.fuzz
@pytest.mark.parametrize("case", range(-(-DOCUMENTS // DOCUMENTS_PER_CASE)))
def test_random_documents_and_mutants_are_read_as_sops_reads_them(
    case: int, record_property: Callable[[str, object], None]
) -> None:
    """Values are equal and refusals are equal, or ours has one of the reasons for which we are stricter."""
    tally = compare_documents(
        SEED * MOST_CASES + case,
        documents=DOCUMENTS_PER_CASE,
        mutants_each=MUTANTS_PER_DOCUMENT,
        honest_one_in=1,
        sops=SopsTool(binary=find_sops(), environment=QUICK),
    )
    counts = {field.name: getattr(tally, field.name) for field in dataclasses.fields(tally)}
    # Workers can send plain dicts only.
    record_property(
        "tally", {name: dict(value) if isinstance(value, dict) else value for name, value in counts.items()}
    )
