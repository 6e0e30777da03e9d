"""Identities: where they are looked for, what is wrong with a source, and that they never show."""

import copy
import os
import pickle
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.pysops import Identities, KeyGroup, Mark, Recipient, WrappedKey, metadata
from reconciler.pysops.age.key_texts import MAX_KEY_FILE_BYTES
from tests.support.age_judge import AgeJudge
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsTool


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A key of each kind, and a file for it that the real sops wrote."""

    keys: dict[str, AgeKey]
    files: dict[str, bytes]


@pytest.fixture(scope="module")
def locked(sops: SopsTool) -> Locked:
    """Make a key of each kind and encrypt a file to it."""
    keys = {
        "x25519": AgeKey.generate(),
        "hybrid": AgeKey.hybrid(),
        "ssh-ed25519": AgeKey.ssh_ed25519(),
        "ssh-rsa": AgeKey.ssh_rsa(),
    }
    return Locked(keys=keys, files={kind: sops.encrypt(b"a: canary\n", [key.recipient]) for kind, key in keys.items()})


@pytest.fixture
def judge(sops: SopsTool, tmp_path: Path) -> AgeJudge:
    """Provide a user with an empty home."""
    return AgeJudge(sops=sops, home=tmp_path)


def group_of(file: bytes) -> KeyGroup:
    """Return the one key group of a file."""
    return metadata(file).key_groups[0]


def relabelled(file: bytes, label: str) -> KeyGroup:
    """Return the one key group of a file, with another recipient written on it."""
    return tuple(
        WrappedKey(recipient=Recipient(kind="age", name=label), enc=key.enc, mark=key.mark) for key in group_of(file)
    )


@pytest.mark.parametrize(
    ("kind", "place", "environ"),
    [
        pytest.param("x25519", None, {"SOPS_AGE_KEY": "{key}"}, id="SOPS_AGE_KEY"),
        pytest.param("x25519", None, {"SOPS_AGE_KEY": "# a\r\n \t{key} \r\n"}, id="SOPS_AGE_KEY, white space"),
        pytest.param("x25519", "my.keys", {"SOPS_AGE_KEY_FILE": "{home}/my.keys"}, id="SOPS_AGE_KEY_FILE"),
        pytest.param("x25519", "a b.keys", {"SOPS_AGE_KEY_CMD": "cat '{home}/a b.keys'"}, id="SOPS_AGE_KEY_CMD"),
        pytest.param("x25519", ".config/sops/age/keys.txt", {}, id="keys.txt"),
        pytest.param("x25519", "xdg/sops/age/keys.txt", {"XDG_CONFIG_HOME": "{home}/xdg"}, id="XDG keys.txt"),
        pytest.param("hybrid", None, {"SOPS_AGE_KEY": "{key}"}, id="hybrid, SOPS_AGE_KEY"),
        pytest.param("hybrid", ".config/sops/age/keys.txt", {}, id="hybrid, keys.txt"),
        pytest.param("hybrid", "pq", {"SOPS_AGE_KEY_CMD": "cat {home}/pq"}, id="hybrid, SOPS_AGE_KEY_CMD"),
        *(
            param
            for kind in ("ssh-ed25519", "ssh-rsa")
            for param in (
                pytest.param(kind, ".ssh/id_ed25519", {}, id=f"{kind}, id_ed25519"),
                pytest.param(kind, ".ssh/id_rsa", {}, id=f"{kind}, id_rsa"),
                pytest.param(kind, "my", {"SOPS_AGE_SSH_PRIVATE_KEY_FILE": "{home}/my"}, id=f"{kind}, FILE"),
                pytest.param(kind, "my", {"SOPS_AGE_SSH_PRIVATE_KEY_CMD": "cat {home}/my"}, id=f"{kind}, CMD"),
            )
        ),
    ],
)
def test_each_source_opens_as_it_does_for_sops(
    judge: AgeJudge, locked: Locked, kind: str, place: str | None, environ: dict[str, str]
) -> None:
    """Alone, a source is enough; and without it nothing opens."""
    key = locked.keys[kind]
    assert not judge.opens(locked.files[kind], {})
    if place is not None:
        judge.write(place, key.identity)
    told = {name: text.format(home=judge.home, key=key.identity) for name, text in environ.items()}
    assert judge.opens(locked.files[kind], told)


def test_all_sources_add_up(judge: AgeJudge, sops: SopsTool) -> None:
    """Eight sources with a key each: each opens its file, and a key that stands twice counts once."""
    keys = [AgeKey.generate() for _ in range(4)]
    ssh = [AgeKey.ssh_ed25519() for _ in range(4)]
    judge.write(".config/sops/age/keys.txt", f"{keys[0].identity}\n{keys[1].identity}\n")
    judge.write(".ssh/id_ed25519", ssh[0].identity)
    judge.write(".ssh/id_rsa", ssh[1].identity)
    environ = {
        "SOPS_AGE_KEY": f"{keys[1].identity} {keys[1].identity}\n",
        "SOPS_AGE_KEY_FILE": str(judge.write("named.txt", keys[2].identity)),
        "SOPS_AGE_KEY_CMD": f"cat {judge.write('printed.txt', keys[3].identity)}",
        "SOPS_AGE_SSH_PRIVATE_KEY_FILE": str(judge.write("named", ssh[2].identity)),
        "SOPS_AGE_SSH_PRIVATE_KEY_CMD": f"cat {judge.write('printed', ssh[3].identity)}",
    }
    for key in (*keys, *ssh):
        assert judge.opens(sops.encrypt(b"a: 1\n", [key.recipient]), environ)
    found = judge.identities(environ)
    assert (len(found.recipients), len(found.sources), found.problems) == (3, 3, ())
    assert found.look_everywhere() is found
    assert (len(found.recipients), len(found.sources), found.problems) == (6, 6, ())
    assert found.open_group(group_of(sops.encrypt(b"a: 1\n", [ssh[3].recipient]))) is not None
    assert set(found.recipients) == {key.recipient for key in (*keys, *ssh)}
    assert (len(found.sources), found.problems, found.needs_sops) == (8, (), False)


def test_several_recipients_of_several_kinds(judge: AgeJudge, locked: Locked, sops: SopsTool) -> None:
    """A file for four people, each with another kind of key: each of them opens it."""
    file = sops.encrypt(b"a: canary\n", [key.recipient for key in locked.keys.values()])
    assert not judge.opens(file, {"SOPS_AGE_KEY": AgeKey.generate().identity})
    for kind, key in locked.keys.items():
        place = "ssh" if kind.startswith("ssh-") else "age"
        environ = {"ssh": "SOPS_AGE_SSH_PRIVATE_KEY_FILE", "age": "SOPS_AGE_KEY_FILE"}
        assert judge.opens(file, {environ[place]: str(judge.write(place, key.identity))})


@pytest.mark.parametrize("kind", ["x25519", "hybrid", "ssh-ed25519", "ssh-rsa"])
@pytest.mark.parametrize("label", ["other", "age1", "ssh-rsa", "", "ssh-ed25519 AAAA comment"])
def test_labels_that_lie_do_not_matter(locked: Locked, kind: str, label: str, tmp_path: Path) -> None:
    """What opens a wrapped key is the key, not the recipient that stands beside it."""
    (tmp_path / "ssh").write_text(locked.keys[kind].identity)
    name = "SOPS_AGE_SSH_PRIVATE_KEY_FILE" if kind.startswith("ssh-") else "SOPS_AGE_KEY_FILE"
    found = Identities.from_environment({name: str(tmp_path / "ssh")}, tmp_path)
    decoy = relabelled(locked.files["x25519" if kind != "x25519" else "hybrid"], locked.keys[kind].recipient)
    assert found.open_group((*decoy, *relabelled(locked.files[kind], label))) is not None
    assert found.open_group(decoy) is None


@pytest.mark.parametrize(
    ("platform", "place", "variables"),
    [
        pytest.param("linux", ".config/sops/age/keys.txt", {}, id="linux"),
        pytest.param("linux", ".config/sops/age/keys.txt", {"XDG_CONFIG_HOME": ""}, id="linux, empty variable"),
        pytest.param("linux", "xdg/sops/age/keys.txt", {"XDG_CONFIG_HOME": "{home}/xdg"}, id="linux, XDG"),
        pytest.param("linux", ".config/sops/age/keys.txt", {"AppData": "{home}/roaming"}, id="linux, AppData"),
        pytest.param("darwin", "Library/Application Support/sops/age/keys.txt", {}, id="macos"),
        pytest.param("darwin", "xdg/sops/age/keys.txt", {"XDG_CONFIG_HOME": "{home}/xdg"}, id="macos, XDG"),
        pytest.param("win32", "roaming/sops/age/keys.txt", {"AppData": "{home}/roaming"}, id="windows"),
        pytest.param("win32", "roaming/sops/age/keys.txt", {"APPDATA": "{home}/roaming"}, id="windows, upper case"),
        pytest.param(
            "win32",
            "roaming/sops/age/keys.txt",
            {"APPDATA": "{home}/roaming", "XDG_CONFIG_HOME": "{home}/xdg"},
            id="windows, XDG",
        ),
    ],
)
def test_the_key_file_of_the_user_is_read(
    age_key: AgeKey, judge: AgeJudge, platform: str, place: str, variables: dict[str, str]
) -> None:
    """It is where sops has it on each platform."""
    judge.write(place, f"# created: today\n# public key: {age_key.recipient}\n\n{age_key.identity}\r\n")
    environ = {name: text.format(home=judge.home) for name, text in variables.items()}
    found = Identities.from_environment(environ, judge.home, platform=platform)
    assert (found.recipients, found.problems) == ((age_key.recipient,), ())


@pytest.mark.parametrize(
    ("platform", "environ", "complaint"),
    [
        pytest.param("linux", {"XDG_CONFIG_HOME": "xdg"}, "XDG_CONFIG_HOME is not an absolute path", id="relative"),
        pytest.param("win32", {}, "AppData is not set", id="windows without AppData"),
    ],
)
def test_a_key_file_that_cannot_be_located_is_a_problem(
    age_key: AgeKey, judge: AgeJudge, platform: str, environ: dict[str, str], complaint: str
) -> None:
    """As in Go: it would depend on the current directory."""
    judge.write("xdg/sops/age/keys.txt", age_key.identity)
    (problem,) = Identities.from_environment(environ, judge.home, platform=platform).problems
    assert problem.what == f"the key file of the user cannot be located: {complaint}"


def test_a_relative_config_directory_is_not_looked_into(judge: AgeJudge, locked: Locked) -> None:
    """Neither by sops, though the file stands there."""
    judge.write("xdg/sops/age/keys.txt", locked.keys["x25519"].identity)
    assert not judge.opens(locked.files["x25519"], {"XDG_CONFIG_HOME": "xdg"})


def test_nothing_set_is_no_problem(tmp_path: Path) -> None:
    """No identities, and nothing to complain about."""
    found = Identities.from_environment({}, tmp_path)
    assert (found.recipients, found.problems, repr(found)) == ((), (), "Identities(0 from nowhere)")
    assert found.look_everywhere().problems == ()
    assert not found.needs_sops


PLUGIN = "AGE-PLUGIN-YUBIKEY-1QQQSYSUAKS4"
"""Well-formed; made with `bech32.encode`, no plugin knows it."""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("", "holds no age identity", id="empty"),
        pytest.param("# only a comment\n", "holds no age identity", id="comment"),
        pytest.param("{key}\nhunter2\n", "line 2 is no age identity", id="bad line"),
        pytest.param("\ufeff{key}\n", "line 1 is no age identity", id="byte order mark"),
        pytest.param(" {key}\n", "line 1 is no age identity", id="indented"),
        pytest.param("{key} \n", "line 1 is no age identity", id="blank behind"),
        pytest.param("{key} {key}\n", "line 1 is no age identity", id="two on a line"),
        pytest.param("{key}\r\r\n", "line 1 is no age identity", id="two carriage returns"),
        pytest.param("{key}\r{key}\n", "line 1 is no age identity", id="lone carriage return"),
        pytest.param(" # {key}\n", "line 1 is no age identity", id="indented comment"),
        pytest.param("{key},{key}\n", "line 1 is no age identity", id="comma"),
        pytest.param("{lower}\n", "line 1 is no age identity", id="lower case"),
        pytest.param("AGE-SECRET-KEY-1QQQQ\n", "line 1 is no age identity", id="bad checksum"),
        pytest.param("{key}\nAGE-SECRET-KEY-PQ-1QQ\n", "line 2 is no age identity", id="bad post-quantum"),
        pytest.param("{key}\nAGE-PLUGIN-YUBIKEY-1QQ\n", "line 2 is no age identity", id="bad plugin"),
        pytest.param("-----BEGIN AGE ENCRYPTED FILE-----\n", "encrypted with a passphrase", id="passphrase"),
        pytest.param("age-encryption.org/v1\n", "encrypted with a passphrase", id="binary passphrase"),
    ],
)
def test_a_bad_source_is_left_out_as_a_whole(judge: AgeJudge, locked: Locked, text: str, complaint: str) -> None:
    """As sops does: a bad line rejects its source, and the complaint waits until it matters."""
    key = locked.keys["x25519"].identity
    text = text.format(key=key, lower=key.lower())
    found = Identities.from_text(text, "the key file")
    assert found.recipients == ()
    (problem,) = found.problems
    assert complaint in problem.what
    assert key not in repr(problem)
    assert found.needs_sops is ("passphrase" in complaint)
    path = judge.write("keys", text.encode())
    assert not judge.opens(locked.files["x25519"], {"SOPS_AGE_KEY_FILE": str(path)})


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{key}", id="no line end"),
        pytest.param("{key}\r", id="carriage return at the end"),
        pytest.param("\r\n\n{key}\r\n\r\n", id="empty lines"),
        pytest.param("#{other}\n{key}\n{other}\n{key}\n", id="twice"),
        pytest.param("{hybrid}\n{key}\n", id="another kind"),
    ],
)
def test_odd_but_good_texts_are_read(judge: AgeJudge, locked: Locked, text: str) -> None:
    """What sops takes, we take."""
    key, hybrid = locked.keys["x25519"].identity, locked.keys["hybrid"].identity
    path = judge.write("keys", text.format(key=key, hybrid=hybrid, other=AgeKey.generate().identity).encode())
    assert judge.opens(locked.files["x25519"], {"SOPS_AGE_KEY_FILE": str(path)})


def test_comments_may_be_in_any_encoding(judge: AgeJudge, locked: Locked) -> None:
    """A comment in Latin-1 does not spoil a key file, as sops does not look at it."""
    key = locked.keys["x25519"].identity
    environ = {"SOPS_AGE_KEY_FILE": str(judge.write("keys", b"# J\xf6rg\n" + key.encode()))}
    assert judge.opens(locked.files["x25519"], environ)


def test_a_good_key_beside_one_for_the_program_counts(age_key: AgeKey) -> None:
    """A key file for here and for a hardware token goes on working."""
    found = Identities.from_text(f"{PLUGIN}\n{age_key.identity}\n", "the key file")
    assert found.recipients == (age_key.recipient,)
    assert [problem.what for problem in found.problems] == [
        "the key file holds a key of a plugin, which only the sops program starts"
    ]
    assert found.needs_sops


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        pytest.param("missing.txt", "does not exist", id="missing"),
        pytest.param("", "does not exist", id="empty name"),
        pytest.param("folder", "cannot be read", id="directory"),
        pytest.param("file/below", "does not exist", id="below a file"),
        pytest.param("binary", "is not text", id="not text"),
        pytest.param("huge", "too large", id="huge"),
        pytest.param("nul\0", "cannot be read", id="NUL in the name"),
        pytest.param("n" * 5000, "cannot be read", id="long name"),
        pytest.param("../../../../../../../../../dev/zero", "too large", id="endless"),
        pytest.param("../../../../../../../../../dev/null", "holds no age identity", id="nothing"),
        pytest.param("fifo", "is a pipe from which no key came", id="pipe without a writer"),
    ],
)
def test_an_unusable_key_file_does_not_stop_other_sources(
    tmp_path: Path, age_key: AgeKey, name: str, complaint: str
) -> None:
    """The key from the variable counts, and the complaint names the variable, not its content."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MAX_KEY_FILE_BYTES + 1)
    environ = {"SOPS_AGE_KEY": age_key.identity, "SOPS_AGE_KEY_FILE": str(tmp_path / name) if name else ""}
    found = Identities.from_environment(environ, tmp_path, timeout_s=0.05)
    assert found.recipients == (age_key.recipient,)
    (problem,) = found.problems
    assert problem.what.startswith("the file that SOPS_AGE_KEY_FILE names")
    assert complaint in problem.what


@pytest.mark.parametrize("place", [".ssh/id_ed25519", ".ssh/id_rsa", ".config/sops/age/keys.txt"])
def test_an_unusable_default_file_does_not_stop_other_sources(judge: AgeJudge, locked: Locked, place: str) -> None:
    """A directory in its place is a problem that shows only when nothing opens the file."""
    (judge.home / place).mkdir(parents=True)
    environ = {"SOPS_AGE_KEY": locked.keys["x25519"].identity}
    assert judge.opens(locked.files["x25519"], environ)
    (problem,) = judge.identities(environ).look_everywhere().problems
    assert problem.what == f"{judge.home / place} cannot be read"


def test_a_key_may_come_through_a_pipe(tmp_path: Path, age_key: AgeKey) -> None:
    """As from SOPS_AGE_KEY_FILE=<(pass show key), also in pieces."""
    reader, writer = os.pipe()
    half = len(age_key.identity) // 2

    def write() -> None:
        os.write(writer, age_key.identity[:half].encode())
        os.write(writer, age_key.identity[half:].encode())
        os.close(writer)

    threading.Timer(0.05, write).start()
    found = Identities.from_environment({"SOPS_AGE_KEY_FILE": f"/dev/fd/{reader}"}, tmp_path, timeout_s=30)
    os.close(reader)
    assert (found.recipients, found.problems) == ((age_key.recipient,), ())


def test_a_pipe_from_which_nothing_comes_is_given_up(tmp_path: Path) -> None:
    """Somebody holds it open and writes nothing."""
    reader, writer = os.pipe()
    found = Identities.from_environment({"SOPS_AGE_KEY_FILE": f"/dev/fd/{reader}"}, tmp_path, timeout_s=0.05)
    os.close(reader)
    os.close(writer)
    (problem,) = found.problems
    assert problem.what == "the file that SOPS_AGE_KEY_FILE names is a pipe from which no key came"


@pytest.mark.parametrize("name", ["SOPS_AGE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_FILE", "SOPS_AGE_KEY_CMD"])
def test_a_key_in_the_wrong_variable_does_not_show(tmp_path: Path, locked: Locked, name: str) -> None:
    """Somebody puts the key itself where a path or a command belongs: it is not quoted."""
    key = locked.keys["x25519"].identity
    found = Identities.from_environment({name: key}, tmp_path)
    assert found.open_group(group_of(locked.files["x25519"])) is None
    (problem,) = found.problems
    assert name in problem.what
    assert key not in str((problem.args, problem.what, problem.expected, problem.advice))


def test_ssh_keys_are_read_only_when_needed(tmp_path: Path, locked: Locked) -> None:
    """Where another key opens the file, whatever stands in ~/.ssh costs nothing."""
    os.mkfifo(tmp_path / "fifo")
    writer = os.open(tmp_path / "fifo", os.O_RDWR)
    environ = {
        "SOPS_AGE_KEY": locked.keys["x25519"].identity,
        "SOPS_AGE_SSH_PRIVATE_KEY_FILE": str(tmp_path / "fifo"),
    }
    found = Identities.from_environment(environ, tmp_path, timeout_s=0.1)
    assert found.open_group(group_of(locked.files["x25519"])) is not None
    os.write(writer, b"hunter2\n")
    assert found.open_group(group_of(locked.files["hybrid"])) is None
    os.close(writer)
    (problem,) = found.problems
    assert problem.what == "the file that SOPS_AGE_SSH_PRIVATE_KEY_FILE names is a pipe from which no key came"


def test_looking_at_identities_reads_nothing(tmp_path: Path) -> None:
    """Neither a debugger that prints them nor `if identities:` waits for a pipe, or takes no SSH keys for none."""
    os.mkfifo(tmp_path / "fifo")
    writer = os.open(tmp_path / "fifo", os.O_RDWR)
    os.write(writer, b"hunter2\n")
    environ = {"SOPS_AGE_SSH_PRIVATE_KEY_FILE": str(tmp_path / "fifo")}
    found = Identities.from_environment(environ, tmp_path, timeout_s=0.05)
    assert bool(found)
    assert (repr(found), found.recipients, found.sources) == ("Identities(0 from nowhere)", (), ())
    assert (found.problems, found.needs_sops) == ((), False)
    assert os.read(writer, 100) == b"hunter2\n"
    (problem,) = found.look_everywhere().problems
    assert "is a pipe from which no key came" in problem.what
    os.close(writer)


def test_wrapped_keys_of_other_kinds_are_not_tried(locked: Locked) -> None:
    """An age file in the list of another kind of key is not age's business."""
    found = Identities.from_text(locked.keys["x25519"].identity, "the key file")
    (wrapped,) = group_of(locked.files["x25519"])
    other = WrappedKey(recipient=Recipient(kind="pgp", name="x"), enc=wrapped.enc, mark=Mark(line=1, column=1))
    assert found.open_group((other,)) is None
    assert found.open_group((other, wrapped)) is not None
    assert found.open_group(()) is None


def test_identities_do_not_show_themselves(age_key: AgeKey) -> None:
    """Neither printed, formatted, pickled nor copied."""
    found = Identities.from_text(age_key.identity, "the key file")
    assert repr(found) == str(found) == f"{found}" == "Identities(1 from the key file)"
    leaks: tuple[Callable[[object], object], ...] = (pickle.dumps, copy.copy, copy.deepcopy)
    for leak in leaks:
        with pytest.raises(TypeError, match="not pickled or copied"):
            leak(found)
    assert not hasattr(found, "__dict__")


@pytest.mark.parametrize("kind", ["x25519", "hybrid", "ssh-ed25519", "ssh-rsa"])
def test_nothing_inside_shows_a_key(locked: Locked, tmp_path: Path, kind: str) -> None:
    """Whatever a debugger or a traceback with locals would print of what is inside."""
    key = locked.keys[kind].identity
    name = "SOPS_AGE_SSH_PRIVATE_KEY_FILE" if kind.startswith("ssh-") else "SOPS_AGE_KEY_FILE"
    (tmp_path / "key").write_text(key)
    found = Identities.from_environment({name: str(tmp_path / "key"), "SOPS_AGE_KEY_CMD": key}, tmp_path)
    assert found.open_group(group_of(locked.files[kind])) is not None
    inside = [repr(getattr(found, name)) for name in dir(found) if not name.startswith("__")]
    secret = key.splitlines()[-3:-1] or [key]  # SSH keys hold the public half further up
    assert not [text for text in inside if any(line in text for line in secret)]
