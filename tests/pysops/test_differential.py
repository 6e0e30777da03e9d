"""Our reader against the real sops: random documents and mutants of them, value by value and refusal by refusal.

docs/fuzzing.md says how to look at a failure. `make fuzz` does the same with ten thousand documents.
Here it is two hundred, each as sops wrote it and once altered: four hundred files.
"""

import pytest

from tests.pysops.differential import compare_documents
from tests.support.sops_tool import QUICK, SopsTool, find_sops


CASES = 10
DOCUMENTS_PER_CASE = 20


@pytest.mark.parametrize("case", range(CASES))
def test_random_documents_and_mutants_are_read_as_sops_reads_them(case: int) -> None:
    """Every value is the one that was encrypted and the one that sops decrypts; every other refusal has its reason."""
    sops = SopsTool(binary=find_sops(), environment=QUICK)
    tally = compare_documents(case, documents=DOCUMENTS_PER_CASE, mutants_each=1, honest_one_in=10, sops=sops)
    assert tally.documents >= DOCUMENTS_PER_CASE
