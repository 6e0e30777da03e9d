"""What the tests of writing share: files that are encrypted once."""

import pytest

from tests.pysops.writing.desk import Desk
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import QUICK, SopsTool


@pytest.fixture(scope="session")
def desk(sops: SopsTool) -> Desk:
    """Provide a desk with a key of its own."""
    return Desk(sops=SopsTool(binary=sops.binary, environment=QUICK), key=AgeKey.generate())


@pytest.fixture(scope="session")
def theirs(desk: Desk) -> bytes:
    """Provide a file that sops made."""
    return desk.theirs()
