"""What holds for every test: no environment, an empty home, real sops, fresh keys."""

import itertools
import os
from typing import Final

import hypothesis
import pytest

from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsTool, find_sops


_KEPT: Final = frozenset({"PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP"})
"""What a program needs to run at all."""

_KEPT_PREFIXES: Final = ("PYTEST_", "PYTHON", "COVERAGE_", "COV_CORE_", "HYPOTHESIS_")
"""What belongs to the tools that run the tests."""

_home_numbers = itertools.count()

# Deadlines fail on a busy machine for no fault of the code; the database would be written into the work tree.
hypothesis.settings.register_profile("reconciler", deadline=None, database=None, print_blob=True)
hypothesis.settings.load_profile("reconciler")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Run the test without the environment of whoever started it, with an empty home of its own.

    An allow-list: keys, tokens, profiles, proxies and settings of CI come under too many names to list.
    """
    for name in tuple(os.environ):
        if name not in _KEPT and not name.startswith(_KEPT_PREFIXES):
            monkeypatch.delenv(name)
    home = tmp_path_factory.getbasetemp() / "homes" / str(next(_home_numbers))
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture(scope="session")
def sops() -> SopsTool:
    """Provide the real sops binary."""
    return SopsTool(binary=find_sops())


@pytest.fixture
def age_key() -> AgeKey:
    """Make an age identity that no file knows yet."""
    return AgeKey.generate()
