"""Values are put where they are told, and never in plain by accident; whatever is refused leaves the file as it was."""

from pathlib import Path
from typing import Any

import pytest

from reconciler import pysops
from reconciler.pysops.binary.arguments import TextTree, index_of
from reconciler.pysops.binary.wrapper import SopsBinary
from tests.pysops.binary.faked import faked
from tests.pysops.conftest import Locksmith
from tests.pysops.test_leaks import crash_report
from tests.support.canaries import Canaries


CANARY = "canary-5e1f"

_TEXT = b"p: plain\nsecrets:\n  a: text\n  l: [x, y]\n  m: {}\n"


@pytest.fixture
def scopes(locksmith: Locksmith, tmp_path: Path) -> Path:
    """Make a file that is encrypted below ``secrets`` alone."""
    path = tmp_path / "scopes.yaml"
    path.write_bytes(locksmith.lock(_TEXT, "--encrypted-regex", "^secrets$"))
    return path


def _values(path: Path, locksmith: Locksmith) -> dict[str, object]:
    return pysops.load(path, pysops.Identities.from_text(locksmith.key.identity, "test"))


@pytest.mark.parametrize(
    ("index", "value"),
    [
        pytest.param(["secrts", "a"], CANARY, id="misspelt-key"),
        pytest.param(["Secrets", "a"], CANARY, id="another-case"),
        pytest.param(["p"], CANARY, id="plain-before"),
        pytest.param(["p", "x"], CANARY, id="below-what-is-plain"),
        pytest.param(["other"], {"secrets": "fine", "x": [CANARY]}, id="one-of-several"),
    ],
)
def test_what_would_stand_in_plain_is_refused(
    index: list[str], value: TextTree, scopes: Path, locksmith: Locksmith, tmp_path: Path
) -> None:
    """Before the program is started, and without showing the value."""
    binary, fake = faked(tmp_path / "fake", {"SOPS_AGE_KEY": locksmith.key.identity})
    before = scopes.read_bytes()
    with pytest.raises(pysops.ArgumentError, match="would stand in plain") as caught:
        binary.set(scopes, index, value)
    assert fake.calls == []
    assert scopes.read_bytes() == before
    canaries = Canaries(by_name={"value": CANARY.encode(), "identity": locksmith.key.identity.encode()})
    assert canaries.found_in(crash_report(caught.value)) == []


def test_what_may_stand_in_plain_does(either_binary: SopsBinary, scopes: Path, locksmith: Locksmith) -> None:
    """Where the caller says so; and what the selector speaks of is encrypted nevertheless."""
    assert either_binary.set(scopes, ["note", "x"], "no secret", plain=True)
    assert either_binary.set(scopes, ["secrets", "b"], CANARY, plain=True)
    assert either_binary.set(scopes, ["other"], {"secrets": CANARY, "empty": {}})
    assert b"x: no secret" in scopes.read_bytes()
    assert CANARY.encode() not in scopes.read_bytes()
    expected: dict[str, Any] = {"p": "plain", "note": {"x": "no secret"}, "other": {"secrets": CANARY, "empty": {}}}
    expected["secrets"] = {"a": "text", "l": ["x", "y"], "m": {}, "b": CANARY}
    assert _values(scopes, locksmith) == expected


def test_by_default_what_ends_in_unencrypted_is_refused(binary: SopsBinary, file: Path) -> None:
    """The selector of sops where the file has none."""
    with pytest.raises(pysops.ArgumentError, match="would stand in plain"):
        binary.set(file, ["b", "c_unencrypted"], CANARY)
    assert binary.set(file, ["b", "c_encrypted"], CANARY)


def test_where_comments_select_what_was_made_is_looked_at(
    binary: SopsBinary, locksmith: Locksmith, tmp_path: Path
) -> None:
    """Nobody knows beforehand what the program will encrypt."""
    path, rules = tmp_path / "comments.yaml", tmp_path / ".sops.yaml"
    rules.write_text(f"creation_rules: [{{age: {locksmith.key.recipient}, encrypted_comment_regex: sops:enc}}]\n")
    text = b"# sops:enc\na: old\nb: plain\n"
    path.write_bytes(binary.encrypt(text, destination=path, config=rules, named=()))
    before = path.read_bytes()
    with pytest.raises(pysops.ArgumentError, match="would stand in plain") as caught:
        binary.set(path, ["b"], CANARY)
    assert path.read_bytes() == before
    assert Canaries(by_name={"value": CANARY.encode()}).found_in(crash_report(caught.value)) == []
    assert binary.set(path, ["a"], CANARY)
    assert CANARY.encode() not in path.read_bytes()


def test_a_program_that_puts_a_value_nowhere_is_not_believed(
    locksmith: Locksmith, scopes: Path, tmp_path: Path
) -> None:
    """It made something that is in order, and is not what was meant."""
    made = locksmith.lock(b"secrets: {a: text}\n", "--encrypted-regex", "^secrets$").decode()
    binary, _ = faked(tmp_path / "fake", writes=made)
    before = scopes.read_bytes()
    for plain in (False, True):
        with pytest.raises(pysops.BinaryError, match="did not put the value"):
            binary.set(scopes, ["secrets", "new"], CANARY, plain=plain)
    assert scopes.read_bytes() == before


@pytest.mark.parametrize(
    "index",
    [
        pytest.param([0], id="position-at-the-root"),
        pytest.param(["secrets", 0], id="position-in-a-mapping"),
        pytest.param(["secrets", "m", 0], id="position-in-an-empty-mapping"),
        pytest.param(["secrets", "l", "x"], id="key-in-a-list"),
        pytest.param(["secrets", "l", 3], id="behind-the-next-position"),
        pytest.param(["secrets", "new", 1], id="second-of-a-new-list"),
    ],
)
def test_a_place_that_cannot_be_is_refused(index: list[str | int], binary: SopsBinary, scopes: Path) -> None:
    """Told a position where a mapping stands, sops puts nothing and says that it went well."""
    before = scopes.read_bytes()
    for plain in (False, True):
        with pytest.raises(pysops.ArgumentError, match="no such place"):
            binary.set(scopes, index, CANARY, plain=plain)
    assert not binary.unset(scopes, index)
    assert scopes.read_bytes() == before


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        pytest.param(["secrets", "l", 1], {"l": ["x", "new"]}, id="item"),
        pytest.param(["secrets", "l", 2], {"l": ["x", "y", "new"]}, id="next-item"),
        pytest.param(["secrets", "l", 0, "z"], {"l": [{"z": "new"}, "y"]}, id="below-an-item"),
        pytest.param(["secrets", "n", 0], {"n": ["new"]}, id="new-list"),
        pytest.param(["secrets", "a", "b"], {"a": {"b": "new"}}, id="below-a-text"),
        pytest.param(["secrets", "m", "u"], {"m": {"u": "new"}}, id="in-an-empty-mapping"),
    ],
)
def test_a_place_that_can_be_is_made(
    index: list[str | int],
    expected: dict[str, object],
    either_binary: SopsBinary,
    scopes: Path,
    locksmith: Locksmith,
) -> None:
    """With what is missing above it."""
    assert either_binary.set(scopes, index, "new")
    secrets = {"a": "text", "l": ["x", "y"], "m": {}, **expected}
    assert _values(scopes, locksmith) == {"p": "plain", "secrets": secrets}


@pytest.mark.parametrize(
    "index",
    [
        pytest.param(["secrets", "a", "b"], id="below-a-text"),
        pytest.param(["p", "x"], id="below-a-plain-text"),
        pytest.param(["secrets", "a", 0], id="position-below-a-text"),
        pytest.param(["secrets", "l", 0, "z"], id="below-an-item"),
        pytest.param(["secrets", "l", 2], id="behind-the-last"),
        pytest.param(["nothing", "at", "all"], id="nothing"),
    ],
)
def test_what_is_not_there_cannot_be_removed(index: list[str | int], scopes: Path, tmp_path: Path) -> None:
    """The program is not even asked."""
    binary, fake = faked(tmp_path / "fake")
    before = scopes.read_bytes()
    assert binary.unset(scopes, index) is False
    assert fake.calls == []
    assert scopes.read_bytes() == before


@pytest.mark.parametrize("part", [True, False, -1, 1.0, None, b"a"])
def test_a_part_that_is_neither_key_nor_position_is_refused(part: object, binary: SopsBinary, scopes: Path) -> None:
    """True would replace the second item of a list."""
    index: Any = ["secrets", "l", part]
    before = scopes.read_bytes()
    for call in (
        lambda: index_of(index),
        lambda: binary.set(scopes, index, CANARY),
        lambda: binary.unset(scopes, index),
    ):
        with pytest.raises(pysops.ArgumentError, match="neither a key nor a position"):
            call()
    assert scopes.read_bytes() == before
