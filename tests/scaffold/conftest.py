"""A folder that is still empty, and a home without keys."""

from pathlib import Path

import pytest

from tests.scaffold.starts import Starter


@pytest.fixture
def start(tmp_path: Path) -> Starter:
    """Start in an empty folder, outside git."""
    root, home = tmp_path / "repo", tmp_path / "home"
    root.mkdir()
    home.mkdir()
    return Starter(root=root, home=home)
