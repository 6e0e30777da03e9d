"""The wrapper of the sops program, with real programs of two versions and one that does what a real one never does."""

import json
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler import pysops
from reconciler.pysops.binary.wrapper import SopsBinary
from reconciler.pysops.child import MAX_STDERR_BYTES
from reconciler.pysops.wrapped_keys import KeyKind, Recipient
from tests.support import sops_tool
from tests.support.age_keys import AgeKey
from tests.support.fake_sops import FakeSops
from tests.support.sops_tool import SopsTool, find_sops


CANARY = "canary-5e1f"


@pytest.fixture(params=["found", "oldest"])
def real(request: pytest.FixtureRequest) -> Path:
    """Provide a real program: the one that the tests find, and the oldest that is taken, from the wheel."""
    path = find_sops() if request.param == "found" else sops_tool._in_wheel()
    assert path is not None
    return path


@pytest.fixture
def environ(real: Path, age_key: AgeKey, tmp_path: Path) -> dict[str, str]:
    """Make an environment in which the program and one age key are found."""
    keys = tmp_path / "keys.txt"
    keys.write_text(f"{age_key.identity}\n")
    return {"SOPS_BINARY": str(real), "SOPS_AGE_KEY_FILE": str(keys)}


@pytest.fixture
def binary(environ: dict[str, str]) -> SopsBinary:
    """Find the program."""
    return SopsBinary.find(environ)


@pytest.fixture
def folder(tmp_path: Path, age_key: AgeKey) -> Path:
    """Make a folder with a ``.sops.yaml`` that has a rule for one place, and says how far to indent."""
    place = tmp_path / "folder"
    (place / "secrets").mkdir(parents=True)
    rules = f"creation_rules:\n  - path_regex: (?s)^secrets/.*\\.yaml$\n    age: {age_key.recipient}\n"
    (place / ".sops.yaml").write_text(f"{rules}stores:\n  yaml:\n    indent: 2\n")
    return place


def _file(binary: SopsBinary, folder: Path, text: bytes = b"a: old\nb: {c: other}\n", name: str = "a.yaml") -> Path:
    path = folder / "secrets" / name
    path.write_bytes(binary.encrypt(text, destination=path, config=folder / ".sops.yaml", named=()))
    return path


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _locked(sops: SopsTool, key: AgeKey, text: bytes = b"a: old\nm: 1\n") -> bytes:
    return sops.encrypt(text, [key.recipient])


# --- finding it


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


# --- commands, with real programs


def test_every_command_does_its_work(binary: SopsBinary, folder: Path, age_key: AgeKey) -> None:
    """From plain text to a file whose key was changed twice."""
    rules = folder / ".sops.yaml"
    path = _file(binary, folder)
    assert binary.filestatus(path)
    assert not binary.filestatus(rules)
    assert binary.set(path, ["b", "c"], f'{CANARY} "\\ \U0001f511', config=rules)
    assert binary.set(path, ["new", "below"], {"x": ["one", "two"]}, config=rules)
    assert binary.unset(path, ["a"], config=rules)
    expected = {"b": {"c": f'{CANARY} "\\ \U0001f511'}, "new": {"below": {"x": ["one", "two"]}}}
    assert binary.decrypt(path.read_bytes()) == expected
    assert b"\n  c: ENC" in path.read_bytes()  # indented as .sops.yaml says
    wrapped = pysops.metadata(path).wrapped_keys
    binary.rotate(path, config=rules)
    assert pysops.metadata(path).wrapped_keys != wrapped
    other = AgeKey.generate()
    rules.write_text(rules.read_text().replace(age_key.recipient, f"{age_key.recipient},{other.recipient}"))
    assert binary.updatekeys(path, config=rules)
    assert [recipient.name for recipient in pysops.recipients(path)] == [age_key.recipient, other.recipient]
    assert binary.decrypt(path.read_bytes()) == expected
    assert _names(path.parent) == ["a.yaml"]


def test_what_changes_nothing_leaves_the_file_untouched(binary: SopsBinary, folder: Path) -> None:
    """Neither its bytes nor its time: a commit without a change would be one to review."""
    path = _file(binary, folder)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    assert not binary.set(path, ["a"], "old")
    assert not binary.unset(path, ["nothing"])
    assert not binary.updatekeys(path, config=folder / ".sops.yaml")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize("name", ["-i", "--help", "--ignore-mac", "-", "a\nb", "é $(x)"])
def test_no_file_name_is_taken_for_an_option(
    name: str, binary: SopsBinary, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor by a shell; relative names are those of the current folder."""
    path = _file(binary, folder, name=name + ".yaml").rename(folder / "secrets" / name)
    monkeypatch.chdir(path.parent)
    relative = Path(name)
    assert binary.set(relative, ["a"], "new")
    binary.rotate(relative)
    assert binary.unset(relative, ["b"])
    assert binary.filestatus(relative)
    assert binary.decrypt(path.read_bytes()) == {"a": "new"}
    override = binary.encrypt(b"x: y\n", destination=Path(f"{name}.yaml"), config=folder / ".sops.yaml", named=())
    assert binary.decrypt(override) == {"x": "y"}
    assert _names(path.parent) == [name]


def test_no_configuration_is_found_by_accident(
    binary: SopsBinary, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken ``.sops.yaml`` above the current folder stops sops itself; relative key files of the user still work."""
    data = _file(binary, folder).read_bytes()
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".sops.yaml").write_text("no: [yaml")
    binary.environ["SOPS_AGE_KEY_FILE"] = "keys.txt"  # type: ignore[index]
    assert binary.decrypt(data) == {"a": "old", "b": {"c": "other"}}


def test_the_rule_for_the_place_counts(binary: SopsBinary, folder: Path) -> None:
    """Where no rule matches, nothing is encrypted, or given other keys."""
    rules = folder / ".sops.yaml"
    with pytest.raises(pysops.ConfigError, match=r"no rule of \.sops\.yaml matches"):
        binary.encrypt(b"a: b\n", destination=folder / "elsewhere.yaml", config=rules, named=())
    path = _file(binary, folder).rename(folder / "moved.yaml")
    with pytest.raises(pysops.ConfigError, match=r"no rule of \.sops\.yaml matches"):
        binary.updatekeys(path, config=rules)
    with pytest.raises(pysops.ConfigError, match="not below the folder"):
        binary.updatekeys(path, config=folder / "secrets" / ".sops.yaml")


def test_an_encrypted_text_is_not_encrypted_again(binary: SopsBinary, folder: Path) -> None:
    """Exit code 203."""
    path = _file(binary, folder)
    with pytest.raises(pysops.DocumentError, match="encrypted already"):
        binary.encrypt(path.read_bytes(), destination=path, config=folder / ".sops.yaml", named=())


def test_a_selector_that_sops_ignores_does_not_make_plain_text(
    binary: SopsBinary, folder: Path, age_key: AgeKey
) -> None:
    """It writes everything in plain, and says that it went well."""
    rules = folder / ".sops.yaml"
    rules.write_text(f"creation_rules:\n  - age: {age_key.recipient}\n    encrypted_regex: ^(?!x)\n")
    with pytest.raises(pysops.SopsError, match=r"not a regular expression|could not be read again") as caught:
        binary.encrypt(f"a: {CANARY}\n".encode(), destination=folder / "a.yaml", config=rules, named=())
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        pytest.param(lambda text: text.replace("data:", "data:A", 1), pysops.DocumentError, id="not-whole"),
        pytest.param(lambda text: text.replace("\nm: ", "\nk: "), pysops.TamperedValue, id="renamed"),
        pytest.param(lambda text: text.replace("type:str", "type:int", 1), pysops.TamperedValue, id="type"),
        pytest.param(lambda text: f"new: plain\n{text}", pysops.DocumentError, id="not-encrypted"),
        pytest.param(lambda text: f"new: [{{x: 5}}]\n{text}", pysops.DocumentError, id="not-encrypted-below"),
        pytest.param(lambda text: text[text.index("m: ") :], pysops.MacMismatch, id="removed"),
        pytest.param(lambda text: text.replace('lastmodified: "2', 'lastmodified: "1'), pysops.MacMismatch, id="date"),
    ],
)
def test_tampering_is_told_apart(
    damage: Callable[[str], str], kind: type[pysops.SopsError], binary: SopsBinary, age_key: AgeKey, sops: SopsTool
) -> None:
    """The same errors as in-process."""
    data = _locked(sops, age_key).decode()
    damaged = damage(data).encode()
    assert damaged != data.encode()
    with pytest.raises(kind):
        binary.decrypt(damaged)
    with pytest.raises(kind):
        pysops.load_bytes(damaged, pysops.Identities.from_text(age_key.identity, "test"))


def test_nobody_who_opens_it(binary: SopsBinary, sops: SopsTool) -> None:
    """Exit code 128."""
    with pytest.raises(pysops.NoIdentity):
        binary.decrypt(_locked(sops, AgeKey.generate()))


@pytest.mark.parametrize(
    "index",
    [pytest.param([], id="root"), pytest.param(["sops", "mac"], id="metadata"), pytest.param(["a[0"], id="bracket")],
)
def test_places_that_cannot_be_named_are_refused(index: list[str], binary: SopsBinary, folder: Path) -> None:
    """The version 3.11 would write a second ``sops`` mapping, which nobody can read any more."""
    path = _file(binary, folder)
    before = path.read_bytes()
    with pytest.raises(pysops.BinaryError):
        binary.set(path, index, "x")
    assert path.read_bytes() == before


@pytest.mark.parametrize("key", ['"', "a]b", "", "--help", "\\ ä", "0"])
def test_any_other_key_can_be_named(key: str, binary: SopsBinary, folder: Path) -> None:
    """It comes out as it went in."""
    path = _file(binary, folder, b"a: old\n")
    binary.set(path, [key], "new")
    assert binary.decrypt(path.read_bytes()) == {"a": "old", key: "new"}


@pytest.mark.parametrize("value", [5, True, None, {"a": 1.5}, "\ud800", {"\udfff": "x"}, b"x"])
def test_values_that_sops_would_change_are_refused(value: object, binary: SopsBinary, folder: Path) -> None:
    """A number becomes a float, half a character U+FFFD."""
    path = _file(binary, folder)
    with pytest.raises(pysops.DocumentError):
        binary.set(path, ["a"], value)  # type: ignore[arg-type]


# --- the file that is changed


def test_mode_stays_and_links_are_refused(binary: SopsBinary, folder: Path) -> None:
    """A link could lead out of the repository."""
    path = _file(binary, folder)
    path.chmod(0o640)
    binary.set(path, ["a"], "new")
    assert path.stat().st_mode & 0o777 == 0o640
    link = folder / "secrets" / "link.yaml"
    link.symlink_to(path)
    for call in (lambda: binary.set(link, ["a"], "x"), lambda: binary.rotate(link), lambda: binary.filestatus(link)):
        with pytest.raises(pysops.DocumentError, match="is a link"):
            call()
    assert link.is_symlink()


def _with_fake(sops: SopsTool, key: AgeKey, tmp_path: Path, **wishes: object) -> tuple[SopsBinary, Path]:
    fake = FakeSops(tmp_path / "fake", **wishes)  # type: ignore[arg-type]
    path = tmp_path / "a.yaml"
    path.write_bytes(_locked(sops, key))
    return SopsBinary.find(fake.environ, timeout_s=20), path


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
def test_a_program_that_fails_leaves_the_file_as_it_was(
    wishes: dict[str, object], sops: SopsTool, age_key: AgeKey, tmp_path: Path
) -> None:
    """Whatever it did to its copy."""
    binary, path = _with_fake(sops, age_key, tmp_path, **wishes)
    before = path.read_bytes()
    for call in (lambda: binary.set(path, ["a"], "x"), lambda: binary.unset(path, ["a"]), lambda: binary.rotate(path)):
        with pytest.raises(pysops.SopsError):
            call()
    assert path.read_bytes() == before
    assert _names(tmp_path) == ["a.yaml", "fake"]


def test_the_copy_is_private_and_gone_afterwards(sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> None:
    """It holds what the file holds, which is encrypted; still nobody else may put another one in its place."""
    binary, path = _with_fake(sops, age_key, tmp_path)
    binary.rotate(path)
    log = [json.loads(line) for line in (tmp_path / "fake" / "calls").read_text().splitlines()]
    copy = Path(log[-1][0][-1])
    assert copy.is_absolute()
    assert not copy.parent.exists()
    assert copy.parent != path.parent


def test_a_file_that_changed_meanwhile_is_left_alone(sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> None:
    """Whoever edits it at the same time must not lose what they wrote."""
    other = _locked(sops, age_key, b"a: newer\n").decode()
    binary, path = _with_fake(sops, age_key, tmp_path, writes=other, sleep_s=0.5)
    timer = threading.Timer(0.2, lambda: path.write_text("edited"))
    timer.start()
    with pytest.raises(pysops.DocumentError, match="changed meanwhile"):
        binary.rotate(path)
    timer.join()
    assert path.read_text() == "edited"


# --- what it is told


_LEAKY = {
    "DATABRICKS_TOKEN": CANARY,
    "GITHUB_TOKEN": CANARY,
    "SOPS_KEYSERVICE": f"tcp://{CANARY}",
    "SOPS_ENABLE_LOCAL_KEYSERVICE": "false",
    "SOPS_CONFIG": CANARY,
    "SOPS_AGE_RECIPIENTS": CANARY,
    "SOPS_PGP_FP": CANARY,
    "SOPS_KMS_ARN": CANARY,
    "SOPS_VAULT_URIS": CANARY,
    "LD_PRELOAD": CANARY,
    "GODEBUG": CANARY,
}

_OF_KIND: dict[KeyKind, dict[str, str]] = {
    "age": {
        "SOPS_AGE_KEY": "x",
        "SOPS_AGE_KEY_FILE": "x",
        "SOPS_AGE_KEY_CMD": "x",
        "SOPS_AGE_SSH_PRIVATE_KEY_CMD": "x",
    },
    "pgp": {"GNUPGHOME": "x", "SOPS_GPG_EXEC": "x"},
    "kms": {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_ENDPOINT_URL": "x"},
    "gcp_kms": {"GOOGLE_CREDENTIALS": "x", "CLOUDSDK_CONFIG": "x"},
    "hckms": {"HUAWEICLOUD_SDK_SK": "x"},
    "azure_kv": {"AZURE_CLIENT_SECRET": "x", "MSI_SECRET": "x"},
    "hc_vault": {"VAULT_TOKEN": "x", "VAULT_NAMESPACE": "x"},
}
_SHARED = {"GPG_TTY": "x", "HOME": "/home", "LANG": "C", "HTTPS_PROXY": "x", "SSL_CERT_FILE": "x", "NO_PROXY": "x"}

_ITEMS: dict[KeyKind, tuple[str, str]] = {
    "pgp": ("fp: 85D77543B3D624B63CEA9E6DBC17301B491B3F21", "85D77543B3D624B63CEA9E6DBC17301B491B3F21"),
    "kms": ("arn: arn:aws:kms:us-east-1:1:key/x", "arn:aws:kms:us-east-1:1:key/x"),
    "gcp_kms": ("resource_id: projects/p", "projects/p"),
    "hckms": ("key_id: r:x", "r:x"),
    "azure_kv": ("vault_url: https://v.example\n          name: n\n          version: v", "https://v.example/keys/n/v"),
    "hc_vault": (
        "vault_address: https://v.example\n          engine_path: t\n          key_name: k",
        "https://v.example/v1/t/keys/k",
    ),
}


def _with_key(data: bytes, kind: KeyKind) -> tuple[bytes, frozenset[Recipient]]:
    """Return a file with another key source, and whom ``.sops.yaml`` has to name for it."""
    if kind == "age":
        return data, frozenset()
    item, name = _ITEMS[kind]
    text = f'sops:\n    {kind}:\n        - {item}\n          created_at: "2026-01-01T00:00:00Z"\n          enc: eA==\n'
    return data.decode().replace("sops:\n", text).encode(), frozenset({Recipient(kind=kind, name=name)})


@pytest.mark.parametrize("kind", list(_OF_KIND))
def test_only_what_a_key_source_needs_is_passed_on(
    kind: KeyKind, sops: SopsTool, age_key: AgeKey, tmp_path: Path
) -> None:
    """An allow-list: the token of Databricks is none of its business, nor AWS credentials for a Vault."""
    fake = FakeSops(tmp_path, stdout='{"a": "old", "m": 1}')
    everything = {name: value for values in _OF_KIND.values() for name, value in values.items()}
    binary = SopsBinary.find({**_LEAKY, **everything, **_SHARED, **fake.environ, "PATH": f"rel{os.pathsep}/abs"})
    data, named = _with_key(_locked(sops, age_key), kind)
    binary.decrypt(data, named=named)
    environ = fake.calls[-1].environ
    expected = {**_SHARED, **_OF_KIND["age"], **_OF_KIND[kind], "PATH": "/abs", "SOPS_DISABLE_VERSION_CHECK": "1"}
    if kind == "hc_vault":
        expected["SOPS_HC_VAULT_ALLOWLIST"] = "https://v.example"
    assert {name: value for name, value in environ.items() if name != "LC_CTYPE"} == expected  # Python sets that one
    assert not _OF_KIND["age"].items() & fake.calls[0].environ.items()


@pytest.mark.parametrize("kind", [kind for kind in _OF_KIND if kind != "age"])
def test_whom_nobody_names_is_not_asked(kind: KeyKind, sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> None:
    """By no command that needs the data key; the program is not even started."""
    fake = FakeSops(tmp_path / "fake")
    binary = SopsBinary.find(fake.environ)
    data, named = _with_key(_locked(sops, age_key), kind)
    (name,) = named
    almost = {Recipient(kind=kind, name=f"{name.name}x"), Recipient(kind="age", name=name.name)}
    path, rules = tmp_path / "a.yaml", tmp_path / ".sops.yaml"
    path.write_bytes(data)
    rules.write_text("")
    for call in (
        lambda: binary.decrypt(data, named=almost),
        lambda: binary.set(path, ["a"], "x", named=almost),
        lambda: binary.unset(path, ["a"], named=almost),
        lambda: binary.rotate(path, named=almost),
        lambda: binary.updatekeys(path, config=rules, named=almost),
    ):
        with pytest.raises(pysops.DecryptionError, match=f"the file names {kind} .*nobody is asked") as caught:
            call()
        assert caught.value.mark is not None
    assert len(fake.calls) == 1


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(
            lambda text: text.replace("sops:\n", "sops:\n    openbao:\n        - address: x\n"), id="new-kind"
        ),
        pytest.param(
            lambda text: text.replace("- enc:", "- Stanza: x\n          enc:"),
            id="field-of-a-key",
        ),
        pytest.param(
            lambda text: text.replace("sops:\n", "sops:\n    \u212ams:\n        - arn: x\n"), id="kelvin-sign"
        ),
        pytest.param(lambda text: text.replace("sops:\n", "sops:\n    km\u017f:\n        - arn: x\n"), id="long-s"),
        pytest.param(lambda text: text.replace("sops:\n", "sops:\n    HC_VAULT: []\n"), id="upper-case"),
        pytest.param(
            lambda text: text.replace("sops:\n", "sops:\n    key_groups:\n        - later: []\n"), id="field-of-a-group"
        ),
    ],
)
def test_metadata_that_is_not_known_to_the_letter_is_not_given_to_the_program(
    edit: Callable[[str], str], sops: SopsTool, age_key: AgeKey, tmp_path: Path
) -> None:
    """To sops, or to a later version of it, the field may be a key source."""
    fake = FakeSops(tmp_path)
    text = _locked(sops, age_key).decode()
    edited = edit(text)
    assert edited != text
    with pytest.raises(pysops.MetadataError):
        SopsBinary.find(fake.environ).decrypt(edited.encode())
    assert len(fake.calls) == 1


def test_no_value_and_no_key_stands_in_an_argument(sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> None:
    """Every user of the machine sees arguments. Values and files come by stdin."""
    fake = FakeSops(tmp_path / "fake")
    binary = SopsBinary.find({**fake.environ, "SOPS_AGE_KEY": age_key.identity})
    path, rules = tmp_path / "a.yaml", tmp_path / ".sops.yaml"
    data = _locked(sops, age_key)
    path.write_bytes(data)
    rules.write_text("")
    assert not binary.set(path, ["a"], CANARY)
    assert fake.calls[-1].stdin == b'"canary-5e1f"'
    with pytest.raises(pysops.SopsError):
        binary.encrypt(CANARY.encode(), destination=path, config=rules, named=())
    assert fake.calls[-1].stdin == CANARY.encode()
    with pytest.raises(pysops.SopsError):
        binary.decrypt(data)
    assert fake.calls[-1].stdin == data
    for call in (lambda: binary.unset(path, ["a"]), lambda: binary.rotate(path)):
        call()
    binary.updatekeys(path, config=rules)
    said = json.dumps([call.arguments for call in fake.calls])
    assert CANARY not in said
    assert "AGE-SECRET" not in said
    assert "keyservice" not in said
    assert "ignore-mac" not in said
    commands = [call.arguments[:2] for call in fake.calls[1:]]
    assert [option for option, _ in commands] == ["--config"] * len(commands)


# --- how it fails


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
    code: int, stderr: str, kind: type[pysops.SopsError], words: str, sops: SopsTool, age_key: AgeKey, tmp_path: Path
) -> None:
    """What the program says may quote values: nothing of it comes through, not even to a crash reporter."""
    said = f"{CANARY}-loud {stderr}"
    fake = FakeSops(tmp_path, exit_code=code, stderr=said, stdout=f'{{"a": "{CANARY}", "m": 1}}')
    binary = SopsBinary.find(fake.environ)
    with pytest.raises(kind) as caught:
        binary.decrypt(_locked(sops, age_key))
    error = caught.value
    assert words in f"{error.what} {error.advice}"
    assert CANARY not in _everything(error)


def _everything(error: BaseException) -> str:
    """Return all that a crash reporter could find in an exception: words, frames with locals, and what is chained."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    outside = [frame for frame in shown.stack if frame.filename != __file__]
    return "\n".join(
        (
            *map(str, vars(error).values()),
            *(repr(frame.locals) for frame in outside),
            repr(error),
            repr(error.__cause__),
            repr(error.__context__),
        )
    )


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
def test_what_is_not_the_file_stays_inside(printed: str, sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> None:
    """No JSON, or not that of the file: the exception holds nothing of it."""
    fake = FakeSops(tmp_path, stdout=json.dumps(printed) if printed == "\ud800" else printed)
    binary = SopsBinary.find(fake.environ)
    with pytest.raises(pysops.SopsError) as caught:
        binary.decrypt(_locked(sops, age_key))
    assert CANARY not in _everything(caught.value)
    assert caught.value.__context__ is None


def test_a_flood_on_stderr_neither_blocks_nor_fills_memory(sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> None:
    """16 MiB of it are read and dropped."""
    fake = FakeSops(tmp_path, exit_code=128, stderr="x" * 1024, times=16 * 1024)
    started = time.monotonic()
    with pytest.raises(pysops.NoIdentity):
        SopsBinary.find(fake.environ).decrypt(_locked(sops, age_key))
    assert time.monotonic() - started < 10
    assert MAX_STDERR_BYTES < 2**20


def test_more_output_than_the_file_can_hold_ends_the_program(sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> None:
    """It is killed at the bound, not read to its end."""
    fake = FakeSops(tmp_path, stdout="x" * 1024, times=64 * 1024, sleep_s=60)
    with pytest.raises(pysops.BinaryError, match="far more than"):
        SopsBinary.find(fake.environ).decrypt(_locked(sops, age_key))
    _ends(fake.calls[-1].pid)


def test_a_program_that_does_not_read_does_not_block(sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> None:
    """It may have failed before it came to that."""
    fake = FakeSops(tmp_path, exit_code=128, reads=False)
    big = _locked(sops, age_key, b"a: " + b"x" * 300_000 + b"\n")
    with pytest.raises(pysops.NoIdentity):
        SopsBinary.find(fake.environ).decrypt(big)


def _ends(pid: int) -> None:
    """Wait for the end of a process that was killed."""
    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        state = Path(f"/proc/{pid}/stat")
        if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
            return  # ended, and waits for whoever adopted it
        time.sleep(0.01)
    raise AssertionError(f"{pid} still runs")


def test_what_hangs_is_killed_with_all_that_it_started(sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> None:
    """Both gpg and plugins of age are programs of their own."""
    child = tmp_path / "child"
    fake = FakeSops(tmp_path / "fake", sleep_s=60, children=(child,))
    with pytest.raises(pysops.BinaryError, match="did not end in time"):
        SopsBinary.find(fake.environ, timeout_s=1.5).decrypt(_locked(sops, age_key))
    _ends(fake.calls[-1].pid)
    _ends(int(child.read_text()))


def test_what_it_leaves_behind_is_killed(sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> None:
    """A program that holds the pipes could still write into them: what came so far is not the whole for certain."""
    child = tmp_path / "child"
    fake = FakeSops(tmp_path / "fake", stdout='{"a": "old", "m": 1}', children=(child,))
    with pytest.raises(pysops.BinaryError, match="left a program running"):
        SopsBinary.find(fake.environ).decrypt(_locked(sops, age_key))
    _ends(int(child.read_text()))


def test_an_interrupt_ends_it(sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> None:
    """Ctrl-C reaches only our own group of processes: the program is ended by us."""
    fake = FakeSops(tmp_path, sleep_s=60)
    binary = SopsBinary.find(fake.environ)
    data = _locked(sops, age_key)
    timer = threading.Timer(0.5, lambda: signal.raise_signal(signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        binary.decrypt(data)
    _ends(fake.calls[-1].pid)


def test_stopping_ends_what_other_threads_wait_for(sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> None:
    """And nothing starts any more."""
    fake = FakeSops(tmp_path, sleep_s=60)
    binary = SopsBinary.find(fake.environ)
    data = _locked(sops, age_key)
    timer = threading.Timer(0.5, binary.stop)
    timer.start()
    for _ in range(2):
        with pytest.raises(pysops.BinaryError, match="interrupted"):
            binary.decrypt(data)
    _ends(fake.calls[-1].pid)
    assert len(fake.calls) == 2


def test_the_version_that_fails_on_comments_in_lists_is_refused_for_them_alone(
    sops: SopsTool, age_key: AgeKey, tmp_path: Path
) -> None:
    """3.13.2 finds a wrong MAC in every such file."""
    faulty = SopsBinary.find(FakeSops(tmp_path / "a", version="sops 3.13.2", stdout='{"l": ["x"]}').environ)
    fine = SopsBinary.find(FakeSops(tmp_path / "b", version="sops 3.13.3", stdout='{"l": ["x"]}').environ)
    commented, plain = (_locked(sops, age_key, text) for text in (b"l:\n  # why\n  - x\n", b"l:\n  - x\n"))
    assert faulty.decrypt(plain) == fine.decrypt(plain) == fine.decrypt(commented) == {"l": ["x"]}
    with pytest.raises(pysops.BinaryError, match=r"3\.13\.2") as caught:
        faulty.decrypt(commented)
    assert caught.value.mark is not None
