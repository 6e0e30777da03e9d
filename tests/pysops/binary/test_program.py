"""Where the sops program is, of which version, and whether that is fit for a file."""

import os
from pathlib import Path

import pytest

from reconciler import pysops
from reconciler.pysops.binary.program import check_fit
from reconciler.pysops.binary.wrapper import SopsBinary
from tests.pysops.conftest import Locksmith
from tests.support.fake_sops import FakeSops


def test_the_program_that_the_environment_names_comes_first(tmp_path: Path) -> None:
    """SOPS_BINARY, then PATH."""
    named, other = FakeSops(tmp_path / "named"), FakeSops(tmp_path / "other", version="sops 3.12.1 (latest)")
    path = str(other.path.parent)
    assert SopsBinary.find({"SOPS_BINARY": str(named.path), "PATH": path}).path == named.path
    found = SopsBinary.find({"PATH": f"{tmp_path}{os.pathsep}{path}"})
    assert (found.path, found.version) == (other.path, (3, 12, 1))


def test_the_version_is_asked_once_and_without_network(tmp_path: Path) -> None:
    """``sops --version`` looks for a newer release on the network unless told not to."""
    fake = FakeSops(tmp_path)
    SopsBinary.find(fake.environ)
    (call,) = fake.calls
    assert call.arguments == ["--disable-version-check", "--version"]
    assert call.environ["SOPS_DISABLE_VERSION_CHECK"] == "1"


@pytest.mark.parametrize("path", [".", "", "bin", f"{os.pathsep}{os.pathsep}", f".{os.pathsep}bin"])
def test_nothing_is_run_that_stands_in_the_current_folder(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repository must not bring its own sops: relative entries of PATH are passed over."""
    fakes = [FakeSops(tmp_path), FakeSops(tmp_path / "bin")]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pysops.BinaryError, match="there is no sops program") as caught:
        SopsBinary.find({"PATH": path})
    assert "https://getsops.io" in str(caught.value.advice)
    assert [fake.calls for fake in fakes] == [[], []]


@pytest.mark.parametrize(
    ("version", "words"),
    [
        pytest.param("sops 3.10.2", "is of version 3.10.2", id="too-old"),
        pytest.param("sops 1.0", "does not say which version", id="no-version"),
        pytest.param("gnu sops", "does not say which version", id="another-program"),
        pytest.param("", "does not say which version", id="silent"),
        pytest.param("sops 3.11.0.5", "does not say which version", id="four-numbers"),
    ],
)
def test_a_program_that_is_not_fit_is_refused(version: str, words: str, tmp_path: Path) -> None:
    """With what was expected, and what to do."""
    with pytest.raises(pysops.BinaryError, match=words) as caught:
        SopsBinary.find(FakeSops(tmp_path, version=version).environ)
    assert "3.11.0" in str(caught.value.expected)
    assert caught.value.advice is not None


@pytest.mark.parametrize("name", ["sops", "nowhere/sops", "", "."])
def test_what_the_environment_names_must_be_an_absolute_path_of_a_program(name: str, tmp_path: Path) -> None:
    """Not a folder, not a text file, not something in the current folder."""
    (tmp_path / "sops").write_text("no program")
    for named in filter(None, (name, str(tmp_path / name))):
        with pytest.raises(pysops.BinaryError, match="SOPS_BINARY names"):
            SopsBinary.find({"SOPS_BINARY": named})


def test_a_program_that_cannot_be_started_is_told_as_such(tmp_path: Path) -> None:
    """Of another architecture, for one."""
    path = tmp_path / "sops"
    path.write_bytes(b"\x7fELF garbage")
    path.chmod(0o755)
    with pytest.raises(pysops.BinaryError, match="cannot be started"):
        SopsBinary.find({"SOPS_BINARY": str(path)})


def test_the_version_that_fails_on_comments_in_lists_is_refused_for_them_alone(locksmith: Locksmith) -> None:
    """3.13.2 finds a wrong MAC in every such file."""
    commented = pysops.parse(locksmith.lock(b"l:\n  # why\n  - x\n"))
    check_fit((3, 13, 2), pysops.parse(locksmith.lock()))
    check_fit((3, 13, 3), commented)
    with pytest.raises(pysops.BinaryError, match=r"3\.13\.2") as caught:
        check_fit((3, 13, 2), commented)
    assert caught.value.mark is not None
