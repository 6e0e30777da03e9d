"""Ten thousand malformed files, and bombs as large as the largest file that is read: `make fuzz`.

Each bomb is read by a program of its own, so that its memory can be told. Where that needs nothing, the quick part of
the same is in ``tests/pysops/test_malformed.py``.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from reconciler.pysops import MAX_FILE_BYTES
from tests.pysops.bombs import BOMBS
from tests.pysops.malformed_inputs import Source
from tests.pysops.test_malformed import PLAINTEXT, check_malformed, check_mutants
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsTool


SEED: Final = int(os.environ.get("RECONCILER_FUZZ_SEED", "0"))
"""Read on import, as the tests run without environment."""

CASES: Final = 20
FILES_PER_CASE: Final = 400
MUTATIONS_PER_CASE: Final = 100

MOST_SECONDS: Final = 60
"""Of the processor; the longest takes about nine, on a machine that does nothing else."""

MOST_MEMORY_KIB: Final = 600 * 1024
"""The file itself and its text are an eighth of it."""

_ROOT: Final = Path(__file__).resolve().parents[2]


@pytest.mark.fuzz
@pytest.mark.parametrize("case", range(CASES))
def test_malformed_files_are_read_or_refused(
    case: int, sops: SopsTool, age_key: AgeKey, record_property: Callable[[str, object], None]
) -> None:
    """With an error of ours; and a mutant yields no other values than the file that it was made of."""
    genuine = sops.encrypt(PLAINTEXT, [age_key.recipient])
    first = (SEED + 1) * 1_000_000 + case * FILES_PER_CASE
    source = Source(recipient=age_key.recipient, genuine=genuine)
    record_property("longest_s", check_malformed(source, age_key, range(first, first + FILES_PER_CASE)))
    check_mutants(genuine, age_key, range(first, first + MUTATIONS_PER_CASE))


@pytest.mark.fuzz
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_of_the_largest_size_stays_within_bounds(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    """Of time and of memory."""
    done = subprocess.run(
        (sys.executable, "-m", "tests.pysops.bombs", name, str(MAX_FILE_BYTES - 4096)),
        capture_output=True,
        check=True,
        cwd=_ROOT,
        timeout=600,
    )
    took = json.loads(done.stdout)
    record_property("bomb", {"name": name, **took})
    assert took["seconds"] < MOST_SECONDS
    assert took["KiB"] < MOST_MEMORY_KIB
