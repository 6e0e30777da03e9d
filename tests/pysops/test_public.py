"""The room as others see it: `load`, cheap imports, and silence about secrets."""

import doctest
import re
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler import pysops
from reconciler.pysops import Recipient, SopsError, files, load, load_bytes
from tests.pysops.test_crypt import PLAINTEXT, TAMPERED, VALUES, data_key_of, identities
from tests.support.age_keys import AgeKey
from tests.support.cli import PACKAGE_ROOT
from tests.support.sops_tool import SopsTool


def test_load_finds_file_and_key_as_sops_does(
    sops: SopsTool, age_key: AgeKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Path, text of a path or bytes; keys from the environment when none are given."""
    path = tmp_path / "secrets.yaml"
    path.write_bytes(sops.encrypt(PLAINTEXT, [age_key.recipient], encrypted_regex="^secrets$"))
    monkeypatch.setenv("SOPS_AGE_KEY", age_key.identity)
    assert load(path) == load(str(path)) == load(path.read_bytes()) == VALUES


def test_bytes_are_loaded_without_a_file(sops: SopsTool, age_key: AgeKey) -> None:
    """For somebody who has read the file from a commit."""
    encrypted = sops.encrypt(PLAINTEXT, [age_key.recipient], encrypted_regex="^secrets$")
    assert load_bytes(encrypted, identities(age_key)) == VALUES


def test_who_can_open_a_file_shows_without_a_key(sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> None:
    """Recipients in the order of the file, and the rest of what sops wrote about it."""
    other = AgeKey.generate()
    encrypted = sops.encrypt(PLAINTEXT, [other.recipient, age_key.recipient], encrypted_regex="^secrets$")
    path = tmp_path / "secrets.yaml"
    path.write_bytes(encrypted)
    expected = tuple(Recipient(kind="age", name=name) for name in (other.recipient, age_key.recipient))
    assert pysops.recipients(path) == pysops.recipients(encrypted) == expected
    assert pysops.metadata(path).encrypted_regex == "^secrets$"


def test_the_examples_in_the_documentation_run() -> None:
    """The docstring of the package is true."""
    results = doctest.testmod(pysops)
    assert (results.attempted, results.failed) == (3, 0)


def test_the_examples_of_the_guide_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """What docs/pysops.md shows is what happens; its file and its key are those of the demo."""
    monkeypatch.chdir(PACKAGE_ROOT)
    results = doctest.testfile("docs/pysops.md", module_relative=False, optionflags=doctest.ELLIPSIS)
    assert results.attempted >= 10
    assert results.failed == 0


def test_what_needs_no_key_imports_no_cryptography() -> None:
    """Checking files without unlocking them must stay quick to start."""
    program = (
        "import sys; from reconciler import pysops; pysops.parse(b'a: x')\n"
        "print(*sorted(sys.modules.keys() & {'cryptography', 'pyrage', 're2'}))"
    )
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, check=True, text=True)
    assert (done.stdout, done.stderr) == ("\n", "")


def test_all_is_sorted_out() -> None:
    """What is exported exists."""
    assert all(hasattr(pysops, name) for name in pysops.__all__)


def everything_an_exception_tells(error: BaseException) -> str:
    """Return what a crash reporter would send: messages, attributes, chained exceptions, local variables of pysops."""
    inside = error.__traceback__
    while inside is not None and "pysops" not in Path(inside.tb_frame.f_code.co_filename).parent.name:
        inside = inside.tb_next
    while inside is not None and "tests" in Path(inside.tb_frame.f_code.co_filename).parts:
        inside = inside.tb_next
    report = traceback.TracebackException(type(error), error, inside, capture_locals=True)
    parts = ["".join(report.format()), str(error), repr(error), repr(error.args), repr(vars(error))]
    chained = (error.__cause__, error.__context__)
    parts.extend(everything_an_exception_tells(link) for link in chained if link is not None)
    return "\n".join(parts)


@pytest.mark.parametrize(("tamper", "error", "line"), TAMPERED)
def test_no_error_tells_a_secret(
    sops: SopsTool,
    age_key: AgeKey,
    tamper: Callable[[str], str],
    error: type[SopsError],
    line: int | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither values, nor the data key, nor the identity, even with local variables printed."""
    encrypted = sops.encrypt(PLAINTEXT, [age_key.recipient], encrypted_regex="^secrets$")
    data_key = data_key_of(encrypted, age_key)
    keys = identities(age_key)
    with caplog.at_level(0), pytest.raises(error) as caught:
        load(tamper(encrypted.decode()).encode(), keys)
    told = everything_an_exception_tells(caught.value) + caplog.text
    assert "leaving.py" in told
    assert not re.search("canary|in-the-clear", told.replace(repr(tamper(encrypted.decode()).encode()), ""))
    for secret in (age_key.identity, data_key.hex(), repr(data_key)[2:-1]):
        assert secret not in told


UNENCRYPTED = {
    "no sops": PLAINTEXT,
    "not UTF-8": PLAINTEXT + b"\xff",
    "control character": PLAINTEXT + b"\x00",
    "conflict markers": PLAINTEXT + b"<<<<<<< HEAD\n",
    "not YAML": PLAINTEXT + b"]",
    "a tag": PLAINTEXT + b"x: !canary y\n",
    "a key twice": PLAINTEXT + PLAINTEXT,
    "a single value": b"canary",
    "a list": b"- canary",
    "sops without contents": PLAINTEXT + b"sops: {}\n",
}


@pytest.mark.parametrize("case", UNENCRYPTED)
def test_an_unencrypted_file_is_not_quoted(case: str, age_key: AgeKey, tmp_path: Path) -> None:
    """Somebody forgot to encrypt: the complaint shows nothing of it, whichever way the file was handed over."""
    data, keys, path = UNENCRYPTED[case], identities(age_key), tmp_path / "secrets.yaml"
    path.write_bytes(data)
    ways: list[Callable[[], object]] = [
        lambda: load(path, keys),
        lambda: load(data, keys),
        lambda: load_bytes(data, keys),
        lambda: pysops.decrypt(pysops.parse(data), keys),
        lambda: pysops.metadata(data),
        lambda: pysops.metadata(path),
        lambda: pysops.recipients(data),
        lambda: pysops.recipients(path),
    ]
    for way in ways:
        with pytest.raises(SopsError) as caught:
            way()
        told = everything_an_exception_tells(caught.value)
        assert "leaving.py" in told
        assert "canary" not in told


def test_a_value_that_was_left_in_plain_is_not_quoted(sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> None:
    """Beside encrypted ones, which stay as unknown; whichever way the file was handed over."""
    encrypted = sops.encrypt(PLAINTEXT, [age_key.recipient], encrypted_regex="^secrets$")
    data, path = encrypted.replace(b"secrets:\n", b"secrets:\n    z: canary\n"), tmp_path / "secrets.yaml"
    assert data != encrypted
    path.write_bytes(data)
    keys = identities(age_key)
    ways: list[Callable[[], object]] = [
        lambda: load(path, keys),
        lambda: load(data, keys),
        lambda: load_bytes(data, keys),
    ]
    for way in ways:
        with pytest.raises(SopsError, match="not encrypted") as caught:
            way()
        assert "canary" not in everything_an_exception_tells(caught.value)


def test_a_file_that_is_too_large_is_not_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not held by a frame either."""
    path = tmp_path / "secrets.yaml"
    path.write_bytes(b"canary")
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 5)
    with pytest.raises(SopsError, match="too large") as caught:
        pysops.read_file(path)
    assert "canary" not in everything_an_exception_tells(caught.value)
