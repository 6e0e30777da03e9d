"""What the exit codes of the sops program mean; what it says itself never comes through."""

import json
from pathlib import Path

import pytest

from reconciler import pysops
from tests.pysops.binary.faked import faked
from tests.pysops.conftest import Locksmith
from tests.pysops.test_leaks import crash_report


CANARY = "canary-5e1f"


@pytest.mark.parametrize(
    ("code", "stderr", "kind", "words"),
    [
        pytest.param(128, "No secret |\n   | key", pysops.NoIdentity, "gpg has no secret key", id="no-key"),
        pytest.param(128, "what\nelse", pysops.NoIdentity, "by hand", id="no-key-for-unknown-reasons"),
        pytest.param(25, "", pysops.TamperedValue, "does not authenticate", id="tag"),
        pytest.param(51, "", pysops.MacMismatch, "MAC", id="mac"),
        pytest.param(203, "", pysops.DocumentError, "encrypted already", id="encrypted"),
        pytest.param(1, "no matching creation rules found", pysops.ConfigError, "no rule", id="no-rule"),
        pytest.param(1, "", pysops.BinaryError, "exit code 1", id="generic"),
        pytest.param(2, "", pysops.BinaryError, "exit code 2", id="panic"),
        pytest.param(4, "", pysops.BinaryError, "not finite", id="dump"),
        pytest.param(200, "", pysops.BinaryError, "exit code 200", id="unchanged"),
        pytest.param(77, "", pysops.BinaryError, "unknown way", id="unknown"),
    ],
)
def test_exit_codes_become_our_own_words(  # a table
    code: int, stderr: str, kind: type[pysops.SopsError], words: str, locksmith: Locksmith, tmp_path: Path
) -> None:
    """What the program says may quote values: nothing of it comes through, not even to a crash reporter."""
    said = f"{CANARY}-loud {stderr}"
    binary, _ = faked(tmp_path, exit_code=code, stderr=said, stdout=f'{{"a": "{CANARY}", "m": 1}}')
    with pytest.raises(kind) as caught:
        binary.decrypt(pysops.parse(locksmith.lock()))
    error = caught.value
    assert words in f"{error.what} {error.advice}"
    assert CANARY not in crash_report(error)


@pytest.mark.parametrize(
    "printed",
    [
        f'{{"a": "{CANARY}"',
        f'"{CANARY}"',
        f"[{CANARY}]",
        f'{{"a": "{CANARY}", "m": 1, "x": 2}}',
        "[" * 100_000,
        "\ud800",
    ],
)
def test_what_is_not_the_file_stays_inside(printed: str, locksmith: Locksmith, tmp_path: Path) -> None:
    """No JSON, or not that of the file: the exception holds nothing of it."""
    binary, _ = faked(tmp_path, stdout=json.dumps(printed) if printed == "\ud800" else printed)
    with pytest.raises(pysops.SopsError) as caught:
        binary.decrypt(pysops.parse(locksmith.lock()))
    assert CANARY not in crash_report(caught.value)
    assert caught.value.__context__ is None
