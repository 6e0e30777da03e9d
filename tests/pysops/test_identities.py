"""Identities: where they are looked for, what is wrong with a source, and that they never show."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.pysops import Identities
from reconciler.pysops.identities import MAX_KEY_FILE_BYTES
from tests.support.age_keys import AgeKey


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a file below the temporary directory."""

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write_file


@pytest.mark.parametrize(
    ("platform", "place", "variables"),
    [
        pytest.param("linux", ".config/sops/age/keys.txt", {}, id="linux"),
        pytest.param("linux", ".config/sops/age/keys.txt", {"XDG_CONFIG_HOME": ""}, id="linux, empty variable"),
        pytest.param("linux", "xdg/sops/age/keys.txt", {"XDG_CONFIG_HOME": "{home}/xdg"}, id="linux, XDG"),
        pytest.param("darwin", "Library/Application Support/sops/age/keys.txt", {}, id="macos"),
        pytest.param("darwin", "xdg/sops/age/keys.txt", {"XDG_CONFIG_HOME": "{home}/xdg"}, id="macos, XDG"),
        pytest.param("win32", "roaming/sops/age/keys.txt", {"AppData": "{home}/roaming"}, id="windows"),
    ],
)
def test_the_key_file_of_the_user_is_read(
    tmp_path: Path,
    age_key: AgeKey,
    write: Callable[[str, str], Path],
    platform: str,
    place: str,
    variables: dict[str, str],
) -> None:
    """It is where sops has it on each platform."""
    write(place, f"# created: today\n# public key: {age_key.recipient}\n\n{age_key.identity}\r\n")
    environ = {name: text.format(home=tmp_path) for name, text in variables.items()}
    found = Identities.from_environment(environ, tmp_path, platform=platform)
    assert (found.recipients, found.problems) == ((age_key.recipient,), ())


def test_all_sources_add_up(tmp_path: Path, write: Callable[[str, str], Path]) -> None:
    """Variable, named file and the file of the user count together, a key that stands twice once."""
    keys = [AgeKey.generate() for _ in range(4)]
    named = write("named.txt", keys[2].identity)
    write(".config/sops/age/keys.txt", f"{keys[3].identity}\n{keys[0].identity}\n")
    environ = {"SOPS_AGE_KEY": f"{keys[0].identity} {keys[1].identity}\n", "SOPS_AGE_KEY_FILE": str(named)}
    found = Identities.from_environment(environ, tmp_path)
    assert found.recipients == tuple(key.recipient for key in keys)
    assert len(found.sources) == 3


def test_nothing_set_is_no_problem(tmp_path: Path) -> None:
    """No identities, and nothing to complain about."""
    found = Identities.from_environment({}, tmp_path)
    assert (len(found), found.problems, repr(found)) == (0, (), "Identities(0 from nowhere)")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("", "holds no age identity", id="empty"),
        pytest.param("# only a comment\n", "holds no age identity", id="comment"),
        pytest.param("{key}\nhunter2\n", "line 2 is no age identity", id="bad line"),
        pytest.param("\ufeff{key}\n", "line 1 is no age identity", id="byte order mark"),
        pytest.param(" {key}\n", "line 1 is no age identity", id="indented"),
        pytest.param("{key} \n", "line 1 is no age identity", id="blank behind"),
        pytest.param("{key},{key}\n", "line 1 is no age identity", id="comma"),
        pytest.param("{lower}\n", "line 1 is no age identity", id="lower case"),
        pytest.param("AGE-SECRET-KEY-1QQQQ\n", "line 1 is no age identity", id="bad checksum"),
        pytest.param("AGE-SECRET-KEY-PQ-1QQ\n", "holds a post-quantum key", id="post-quantum"),
        pytest.param("AGE-PLUGIN-YUBIKEY-1QQ\n", "holds a key of a plugin", id="plugin"),
        pytest.param("-----BEGIN AGE ENCRYPTED FILE-----\n", "encrypted with a passphrase", id="passphrase"),
        pytest.param("age-encryption.org/v1\n", "encrypted with a passphrase", id="binary passphrase"),
    ],
)
def test_a_bad_source_is_left_out_as_a_whole(age_key: AgeKey, text: str, complaint: str) -> None:
    """As sops does: a bad line rejects its source, and the complaint waits until it matters."""
    found = Identities.from_text(text.format(key=age_key.identity, lower=age_key.identity.lower()), "the key file")
    assert len(found) == 0
    (problem,) = found.problems
    assert complaint in problem.what
    assert age_key.identity not in repr(problem)


def test_a_good_key_beside_an_unsupported_one_counts(age_key: AgeKey) -> None:
    """A key file for old and new recipients goes on working."""
    found = Identities.from_text(f"AGE-SECRET-KEY-PQ-1QQ\n{age_key.identity}\n", "the key file")
    assert found.recipients == (age_key.recipient,)
    assert len(found.problems) == 1


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        pytest.param("missing.txt", "does not exist", id="missing"),
        pytest.param("", "cannot be read", id="empty name"),
        pytest.param("folder", "cannot be read", id="directory"),
        pytest.param("binary", "is not text", id="not text"),
        pytest.param("huge", "too large", id="huge"),
        pytest.param("nul\0", "cannot be read", id="NUL in the name"),
    ],
)
def test_an_unusable_key_file_does_not_stop_other_sources(
    tmp_path: Path, age_key: AgeKey, name: str, complaint: str
) -> None:
    """The key from the variable counts, and the complaint names the variable, not its content."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MAX_KEY_FILE_BYTES + 1)
    environ = {"SOPS_AGE_KEY": age_key.identity, "SOPS_AGE_KEY_FILE": str(tmp_path / name) if name else ""}
    found = Identities.from_environment(environ, tmp_path)
    assert found.recipients == (age_key.recipient,)
    (problem,) = found.problems
    assert problem.what.startswith("the file that SOPS_AGE_KEY_FILE names")
    assert complaint in problem.what


def test_a_key_in_the_wrong_variable_does_not_show(tmp_path: Path, age_key: AgeKey) -> None:
    """Somebody puts the key itself into SOPS_AGE_KEY_FILE: it is not quoted."""
    found = Identities.from_environment({"SOPS_AGE_KEY_FILE": age_key.identity}, tmp_path)
    assert age_key.identity not in str(found.problems)


@pytest.mark.parametrize("name", ["SOPS_AGE_KEY_CMD", "SOPS_AGE_SSH_PRIVATE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_CMD"])
def test_sources_that_are_not_read_are_named(tmp_path: Path, name: str) -> None:
    """Nobody has to guess why sops opens what we do not."""
    (problem,) = Identities.from_environment({name: "echo hunter2"}, tmp_path).problems
    assert problem.what == f"{name} is set, which is not supported yet"


def test_a_relative_config_directory_is_a_problem(tmp_path: Path) -> None:
    """As in Go: it would depend on the current directory."""
    (problem,) = Identities.from_environment({"XDG_CONFIG_HOME": "config"}, tmp_path).problems
    assert "XDG_CONFIG_HOME" in problem.what


def test_identities_do_not_show_themselves(age_key: AgeKey) -> None:
    """Neither printed, formatted, pickled nor copied."""
    found = Identities.from_text(age_key.identity, "the key file")
    assert repr(found) == str(found) == f"{found}" == "Identities(1 from the key file)"
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled or copied"):
            leak(found)
    assert not hasattr(found, "__dict__")
