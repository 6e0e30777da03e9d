"""Files that the sops program makes and changes: as they were meant, or as they were."""

import json
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler import pysops
from reconciler.pysops.binary.wrapper import SopsBinary
from tests.pysops.binary.faked import faked
from tests.pysops.conftest import Locksmith
from tests.pysops.test_leaks import crash_report
from tests.support.age_keys import AgeKey
from tests.support.canaries import Canaries


CANARY = "canary-5e1f"


def test_mode_stays_and_links_are_refused(binary: SopsBinary, file: Path) -> None:
    """A link could lead out of the repository."""
    file.chmod(0o640)
    binary.set(file, ["a"], "new")
    assert file.stat().st_mode & 0o777 == 0o640
    link = file.with_name("link.yaml")
    link.symlink_to(file)
    for call in (lambda: binary.set(link, ["a"], "x"), lambda: binary.rotate(link), lambda: binary.filestatus(link)):
        with pytest.raises(pysops.DocumentError, match="is a link"):
            call()
    assert link.is_symlink()


@pytest.fixture
def path(locksmith: Locksmith, tmp_path: Path) -> Path:
    """Make a file in a folder of its own, with a ``.sops.yaml`` beside it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / ".sops.yaml").write_text(f"creation_rules:\n  - age: {locksmith.key.recipient}\n")
    (folder / "a.yaml").write_bytes(locksmith.lock())
    return folder / "a.yaml"


def _calls(binary: SopsBinary, path: Path) -> tuple[Callable[[], object], ...]:
    """Return calls of all commands that change a file."""
    return (
        lambda: binary.set(path, ["a"], "x"),
        lambda: binary.unset(path, ["a"]),
        lambda: binary.rotate(path),
        lambda: binary.updatekeys(path, config=path.with_name(".sops.yaml")),
    )


@pytest.mark.parametrize(
    "wishes",
    [
        pytest.param({"exit_code": 3, "writes": ""}, id="fails-after-truncating"),
        pytest.param({"exit_code": 1, "writes": "a: plain\n"}, id="fails-after-writing"),
        pytest.param({"writes": ""}, id="truncates"),
        pytest.param({"writes": "a: plain\n"}, id="writes-plain-text"),
        pytest.param({"writes": "a: [\n"}, id="writes-garbage"),
    ],
)
def test_a_program_that_fails_leaves_the_file_as_it_was(wishes: dict[str, Any], path: Path, tmp_path: Path) -> None:
    """Whatever it did to its copy."""
    binary, _ = faked(tmp_path / "fake", **wishes)
    before = path.read_bytes()
    for call in _calls(binary, path):
        with pytest.raises(pysops.SopsError):
            call()
    assert path.read_bytes() == before
    assert sorted(one.name for one in path.parent.iterdir()) == [".sops.yaml", "a.yaml"]


def _with_plain_value(locksmith: Locksmith) -> str:
    return f"new: {CANARY}\n{locksmith.lock().decode()}"


@pytest.mark.parametrize(
    ("make", "words", "line"),
    [
        pytest.param(_with_plain_value, "a value that is not encrypted", 1, id="value-in-plain"),
        pytest.param(
            lambda locksmith: locksmith.sops.encrypt(
                b"a: old\n", [locksmith.key.recipient, AgeKey.generate().recipient]
            ).decode(),
            "encrypted to others than it should be",
            2,
            id="one-more-recipient",
        ),
        pytest.param(
            lambda locksmith: locksmith.sops.encrypt(b"a: old\n", [AgeKey.generate().recipient]).decode(),
            "encrypted to others than it should be",
            2,
            id="another-recipient",
        ),
        pytest.param(
            lambda locksmith: locksmith.lock(b"a: 1\nb: 2\n", "--encrypted-regex", "^(?!x)").decode(),
            "not a regular expression",
            None,
            id="selector-that-is-none",
        ),
    ],
)
def test_what_is_not_what_was_meant_is_not_written(
    make: Callable[[Locksmith], str],
    words: str,
    line: int | None,
    locksmith: Locksmith,
    path: Path,
    tmp_path: Path,
) -> None:
    """Every value encrypted, and to whom the rule names, or to whom the file was encrypted before; with the place."""
    made = make(locksmith)
    binary, _ = faked(tmp_path / "fake", writes=made, stdout=made)
    before = path.read_bytes()
    config = path.with_name(".sops.yaml")
    calls: tuple[Callable[[], object], ...] = (
        *_calls(binary, path),
        lambda: binary.encrypt(b"a: old\n", destination=path, config=config, named=()),
    )
    for call in calls:
        with pytest.raises(pysops.SopsError, match=words) as caught:
            call()
        assert caught.value.mark is not None
        assert line is None or caught.value.mark.line == line
        assert caught.value.expected is not None
        assert CANARY not in str(caught.value)
    assert path.read_bytes() == before


def test_a_selector_that_sops_ignores_does_not_make_plain_text(binary: SopsBinary, path: Path) -> None:
    """It would write everything in plain, and say that it went well."""
    rules = path.with_name(".sops.yaml")
    rules.write_text(f"{rules.read_text()}    encrypted_regex: ^(?!x)\n")
    with pytest.raises(pysops.ConfigError, match="encrypted_regex is not a regular expression") as caught:
        binary.encrypt(f"a: {CANARY}\n".encode(), destination=path, config=rules, named=())
    assert caught.value.mark is not None
    assert Canaries(by_name={"value": CANARY.encode()}).found_in(crash_report(caught.value)) == []


def test_the_copy_is_private_and_gone_afterwards(path: Path, tmp_path: Path) -> None:
    """It holds what the file holds, which is encrypted; still nobody else may put another one in its place."""
    binary, fake = faked(tmp_path / "fake")
    binary.rotate(path)
    copy = Path(fake.calls[-1].arguments[-1])
    assert copy.is_absolute()
    assert not copy.parent.exists()
    assert copy.parent != path.parent


def test_a_file_that_changed_meanwhile_is_left_alone(locksmith: Locksmith, path: Path, tmp_path: Path) -> None:
    """Whoever edits it at the same time must not lose what they wrote."""
    other = locksmith.lock(b"a: newer\n").decode()
    binary, _ = faked(tmp_path / "fake", writes=other, sleep_s=0.4)
    timer = threading.Timer(0.1, lambda: path.write_text("edited"))
    timer.start()
    with pytest.raises(pysops.DocumentError, match="changed meanwhile"):
        binary.rotate(path)
    timer.join()
    assert path.read_text() == "edited"


def test_without_a_place_for_the_copy_nothing_is_done_and_nothing_shows(
    locksmith: Locksmith, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of ours, in whose frames neither the value nor the key is found."""
    binary, fake = faked(tmp_path / "fake", {"SOPS_AGE_KEY": locksmith.key.identity})
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    canaries = Canaries(by_name={"value": CANARY.encode(), "identity": locksmith.key.identity.encode()})
    for call in (lambda: binary.set(path, ["a"], CANARY), *_calls(binary, path)):
        with pytest.raises(pysops.BinaryError, match="no place for a private copy") as caught:
            call()
        assert "TMPDIR" in str(caught.value.advice)
        assert canaries.found_in(crash_report(caught.value)) == []
        assert caught.value.__context__ is None
    assert fake.calls == []
    assert json.dumps(canaries.by_name["value"].decode()) not in path.read_text()
