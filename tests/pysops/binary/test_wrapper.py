"""Every command of the sops program, with real programs of two versions."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler import pysops
from reconciler.pysops.binary.wrapper import SopsBinary
from tests.pysops.conftest import Locksmith
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsTool


CANARY = "canary-5e1f"


def _read(path: Path, locksmith: Locksmith) -> dict[str, object]:
    return pysops.load(path, pysops.Identities.from_text(locksmith.key.identity, "test"))


def test_every_command_does_its_work(either_binary: SopsBinary, folder: Path, locksmith: Locksmith) -> None:
    """From plain text to a file whose key was changed twice."""
    binary, rules, path = either_binary, folder / ".sops.yaml", folder / "secrets" / "a.yaml"
    path.write_bytes(binary.encrypt(b"a: old\nb: {c: other}\n", destination=path, config=rules, named=()))
    assert binary.filestatus(path)
    assert not binary.filestatus(rules)
    assert binary.set(path, ["b", "c"], f'{CANARY} "\\ \U0001f511', config=rules)
    assert binary.set(path, ["new", "below"], {"x": ["one", "two"]}, config=rules)
    assert binary.unset(path, ["a"], config=rules)
    expected = {"b": {"c": f'{CANARY} "\\ \U0001f511'}, "new": {"below": {"x": ["one", "two"]}}}
    assert binary.decrypt(pysops.parse(path.read_bytes())) == expected
    assert b"\n  c: ENC" in path.read_bytes()  # indented as .sops.yaml says
    wrapped = pysops.metadata(path).wrapped_keys
    binary.rotate(path, config=rules)
    assert pysops.metadata(path).wrapped_keys != wrapped
    key, other = locksmith.key, AgeKey.generate()
    rules.write_text(rules.read_text().replace(key.recipient, f"{key.recipient},{other.recipient}"))
    assert binary.updatekeys(path, config=rules)
    assert [recipient.name for recipient in pysops.recipients(path)] == [key.recipient, other.recipient]
    assert _read(path, locksmith) == expected
    assert [one.name for one in path.parent.iterdir()] == ["a.yaml"]


def test_what_changes_nothing_leaves_the_file_untouched(either_binary: SopsBinary, file: Path, folder: Path) -> None:
    """Neither its bytes nor its time: a commit without a change would be one to review."""
    before = (file.read_bytes(), file.stat().st_mtime_ns)
    assert not either_binary.set(file, ["a"], "old")
    assert not either_binary.unset(file, ["nothing"])
    assert not either_binary.updatekeys(file, config=folder / ".sops.yaml")
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before


@pytest.mark.parametrize("name", ["-i", "--help", "-", "a\nb", "é $(x)"])
def test_no_file_name_is_taken_for_an_option(
    name: str, binary: SopsBinary, file: Path, locksmith: Locksmith, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor by a shell; relative names are those of the current folder."""
    path = file.rename(file.with_name(name))
    monkeypatch.chdir(path.parent)
    assert binary.set(Path(name), ["a"], "new")
    assert binary.filestatus(Path(name))
    assert _read(path, locksmith) == {"a": "new", "b": {"c": "other"}}
    config = path.parents[1] / ".sops.yaml"
    override = binary.encrypt(b"x: y\n", destination=Path(f"{name}.yaml"), config=config, named=())
    assert pysops.parse(override).root.entries[0].key.text == "x"
    assert [one.name for one in path.parent.iterdir()] == [name]


def test_no_command_takes_a_file_name_for_an_option(
    either_binary: SopsBinary, file: Path, locksmith: Locksmith, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever it is, in either version."""
    name = Path("--ignore-mac")
    path = file.rename(file.with_name(str(name)))
    monkeypatch.chdir(path.parent)
    assert either_binary.set(name, ["a"], "new")
    either_binary.rotate(name)
    assert either_binary.unset(name, ["b"])
    assert either_binary.filestatus(name)
    assert _read(path, locksmith) == {"a": "new"}


def test_no_configuration_is_found_by_accident(
    either_binary: SopsBinary, locksmith: Locksmith, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken ``.sops.yaml`` above the current folder stops sops itself; relative key files of the user still work."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".sops.yaml").write_text("no: [yaml")
    binary = SopsBinary(
        path=either_binary.path, version=either_binary.version, environ={"SOPS_AGE_KEY_FILE": "keys.txt"}
    )
    assert binary.decrypt(pysops.parse(locksmith.lock())) == {"a": "old", "m": 1}


def test_the_rule_for_the_place_counts(binary: SopsBinary, file: Path, folder: Path) -> None:
    """Where no rule matches, nothing is encrypted, or given other keys."""
    rules = folder / ".sops.yaml"
    with pytest.raises(pysops.ConfigError, match=r"no rule of \.sops\.yaml matches"):
        binary.encrypt(b"a: b\n", destination=folder / "elsewhere.yaml", config=rules, named=())
    path = file.rename(folder / "moved.yaml")
    with pytest.raises(pysops.ConfigError, match=r"no rule of \.sops\.yaml matches"):
        binary.updatekeys(path, config=rules)
    with pytest.raises(pysops.ConfigError, match="not below the folder"):
        binary.updatekeys(path, config=folder / "secrets" / ".sops.yaml")
    with pytest.raises(pysops.ConfigError, match="does not exist"):
        binary.updatekeys(path, config=folder / "none.yaml")


def test_an_encrypted_text_is_not_encrypted_again(binary: SopsBinary, file: Path, folder: Path) -> None:
    """Exit code 203."""
    with pytest.raises(pysops.DocumentError, match="encrypted already"):
        binary.encrypt(file.read_bytes(), destination=file, config=folder / ".sops.yaml", named=())


_DAMAGES: dict[str, tuple[Callable[[str], str], type[pysops.SopsError]]] = {
    "renamed": (lambda text: text.replace("\nm: ", "\nk: "), pysops.TamperedValue),
    "removed": (lambda text: text[text.index("m: ") :], pysops.MacMismatch),
    "type": (lambda text: text.replace("type:str", "type:int", 1), pysops.TamperedValue),
    "date": (lambda text: text.replace('lastmodified: "2', 'lastmodified: "1'), pysops.MacMismatch),
}


def _check_damage(name: str, binary: SopsBinary, locksmith: Locksmith) -> None:
    damage, kind = _DAMAGES[name]
    data = locksmith.lock().decode()
    damaged = damage(data).encode()
    assert damaged != data.encode()
    with pytest.raises(kind):
        binary.decrypt(pysops.parse(damaged))
    with pytest.raises(kind):
        pysops.load_bytes(damaged, pysops.Identities.from_text(locksmith.key.identity, "test"))


@pytest.mark.parametrize("name", ["renamed", "removed"])
def test_tampering_is_told_apart(name: str, either_binary: SopsBinary, locksmith: Locksmith) -> None:
    """The same errors as in-process: exit codes 25 and 51, in either version."""
    _check_damage(name, either_binary, locksmith)


@pytest.mark.parametrize("name", ["type", "date"])
def test_tampering_with_what_is_not_a_value_is_told_apart(name: str, binary: SopsBinary, locksmith: Locksmith) -> None:
    """Likewise."""
    _check_damage(name, binary, locksmith)


def test_nobody_who_opens_it(either_binary: SopsBinary, sops: SopsTool) -> None:
    """Exit code 128."""
    document = pysops.parse(sops.encrypt(b"a: b\n", [AgeKey.generate().recipient]))
    with pytest.raises(pysops.NoIdentity):
        either_binary.decrypt(document)


def test_any_key_without_an_opening_bracket_can_be_named(
    either_binary: SopsBinary, file: Path, locksmith: Locksmith
) -> None:
    """It comes out as it went in."""
    keys = ('"', "a]b", "", "--help", "\\ ä", "0")
    for key in keys:
        either_binary.set(file, [key], "new")
    assert _read(file, locksmith) == {"a": "old", "b": {"c": "other"}, **dict.fromkeys(keys, "new")}
