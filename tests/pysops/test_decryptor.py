"""Which way a file is opened, and that either way gives the same values."""

import json
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler import pysops
from reconciler.pysops.binary.output import MAX_EXTRACTED
from reconciler.pysops.binary.wrapper import SopsBinary
from reconciler.pysops.decryptor import MAX_AT_ONCE, Decryptor, LockedFile, Unlocker
from reconciler.pysops.wrapped_keys import Recipient
from tests.support.age_keys import AgeKey
from tests.support.fake_sops import FakeSops
from tests.support.sops_tool import SopsTool
from tests.support.vault import Ear, Vault


CANARY = "canary-90cd"

ALL_SORTS = """
# above
text: "a < b & c > d \U0001f511 \\u2028 \\x85 \\\\ \\" '"
empty: ""
nothing: null
list: [one, 2, 3.5, true, null, "", [nested, [deeper]], {k: v}, {}, []]
map: {a: {b: {c: d}}, empty: {}, none: []}
commented:
  - first
  # between
  - second
  # at the end
numbers: [0, -0, 1, -1, 9223372036854775807, -9223372036854775808, 0x1F, 0o17, 1_000]
floats: [0.0, 1.0, 1.5, 1e22, 1e-7, 1.7976931348623157e308, 5e-324, 123456789012345678901234567890]
times: [2024-01-02, 2024-01-02T03:04:05Z, 2024-01-02T03:04:05.123456789+05:30, 2024-01-02 03:04:05]
bools: [true, false, yes, "true"]
"odd key: [x] ": {"": "no name", "a\\"b": 1}
kept_unencrypted: ["plain <&>", 16, 1.0, 1e22, 2024-01-02T03:04:05.5+01:00, true, null, {a: [b]}]
"""


@pytest.fixture
def environ(sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> dict[str, str]:
    """Make an environment in which the real program and one age key are found."""
    keys = tmp_path / "keys.txt"
    keys.write_text(f"{age_key.identity}\n")
    return {"SOPS_BINARY": str(sops.binary), "SOPS_AGE_KEY_FILE": str(keys), "PATH": os.environ["PATH"]}


def _locked(data: bytes, named: Sequence[Recipient] = ()) -> LockedFile:
    return LockedFile(data=data, document=pysops.parse(data), named=named)


def _unlocker(key: AgeKey | None, decryptor: Decryptor, environ: dict[str, str]) -> Unlocker:
    identities = pysops.Identities.from_text("" if key is None else key.identity, "test")
    return Unlocker(identities, decryptor=decryptor, environ=environ)


def _exact(value: object) -> object:
    """Return ``value`` so that ``==`` tells types apart, and 0.0 from -0.0."""
    match value:
        case dict():
            return [(key, _exact(below)) for key, below in value.items()]
        case list():
            return [_exact(item) for item in value]
        case _:
            return (type(value).__name__, repr(value))


# --- either way the same


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param((), id="default"),
        pytest.param(("--encrypted-regex", "^(list|map|a)$"), id="encrypted-regex"),
        pytest.param(("--unencrypted-regex", "^(list|floats|c)$"), id="unencrypted-regex"),
        pytest.param(("--encrypted-suffix", "s"), id="encrypted-suffix"),
        pytest.param(("--unencrypted-suffix", "s"), id="unencrypted-suffix"),
    ],
)
def test_the_program_gives_what_is_read_in_process(
    flags: tuple[str, ...], sops: SopsTool, age_key: AgeKey, environ: dict[str, str]
) -> None:
    """Value by value, with types, in order."""
    file = _locked(sops.encrypt(ALL_SORTS.encode(), [age_key.recipient], extra_args=flags))
    native = _unlocker(age_key, Decryptor.NATIVE, {}).unlock(file)
    by_sops = _unlocker(None, Decryptor.SOPS, environ).unlock(file)
    assert _exact(by_sops) == _exact(native)


_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What JSON leaves as it is and YAML takes for a line break or refuses."""

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
)
_TREES = st.recursive(
    _LEAVES,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
    max_leaves=20,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(tree=st.dictionaries(st.text().filter(lambda key: key not in {"sops", "<<"}), _TREES, min_size=1, max_size=4))
def test_random_trees_come_out_the_same_either_way(
    tree: dict[str, object], sops: SopsTool, age_key: AgeKey, environ: dict[str, str]
) -> None:
    """Whatever text and numbers there are: JSON is YAML, as far as we read it."""
    text = _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(tree, ensure_ascii=False))
    data = sops.encrypt(text.encode(), [age_key.recipient])
    try:
        file = _locked(data)
    except pysops.DocumentError:
        return  # what sops wrote is against a rule of strict reading, such as a key `<<` further down
    native = _unlocker(age_key, Decryptor.NATIVE, {}).unlock(file)
    assert _exact(_unlocker(None, Decryptor.SOPS, environ).unlock(file)) == _exact(native)


def test_text_that_is_not_utf8_comes_out_exactly(sops: SopsTool, age_key: AgeKey, environ: dict[str, str]) -> None:
    """JSON cannot hold it: it is fetched by itself."""
    text = b'a: !!binary /////w==\nlist: [x, !!binary /3g=]\n"b\\"c": {d: !!binary gICA}\nfine: "\\ufffd"\n'
    file = _locked(sops.encrypt(text, [age_key.recipient]))
    expected = {"a": b"\xff" * 4, "list": ["x", b"\xffx"], 'b"c': {"d": b"\x80" * 3}, "fine": "\ufffd"}
    assert _unlocker(age_key, Decryptor.NATIVE, {}).unlock(file) == expected
    assert _unlocker(None, Decryptor.SOPS, environ).unlock(file) == expected


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        pytest.param("a: .inf\n", pysops.BinaryError, "not finite", id="infinity"),
        pytest.param("a: [.nan]\n", pysops.BinaryError, "not finite", id="nan"),
        pytest.param('"[": !!binary /////w==\n', pysops.BinaryError, "not UTF-8", id="bytes-below-a-bracket"),
        pytest.param(
            "".join(f"k{n}: !!binary /w==\n" for n in range(MAX_EXTRACTED + 1)),
            pysops.BinaryError,
            "not UTF-8",
            id="too-many-bytes",
        ),
    ],
)
def test_what_the_program_cannot_say_fails_clearly(  # a table and fixtures
    text: str, kind: type[pysops.SopsError], words: str, sops: SopsTool, age_key: AgeKey, environ: dict[str, str]
) -> None:
    """Never with another value instead."""
    file = _locked(sops.encrypt(text.encode(), [age_key.recipient]))
    with pytest.raises(kind, match=words):
        _unlocker(None, Decryptor.SOPS, environ).unlock(file)


@pytest.mark.parametrize(
    ("field", "expected_plain"),
    [
        pytest.param("encrypted_comment_regex", "left", id="encrypted"),
        pytest.param("unencrypted_comment_regex", "right", id="un"),
    ],
)
@pytest.mark.parametrize("decryptor", [Decryptor.AUTO, Decryptor.SOPS])
def test_selecting_by_comment_is_left_to_the_program(  # a table and fixtures
    field: str, expected_plain: str, decryptor: Decryptor, age_key: AgeKey, environ: dict[str, str], tmp_path: Path
) -> None:
    """In-process it is refused."""
    rules = tmp_path / ".sops.yaml"
    rules.write_text(f"creation_rules:\n  - age: {age_key.recipient}\n    {field}: secret\n")
    text = b"left: [a, 1]\nright:\n  # secret\n  below: {x: y, n: 5}\n  list:\n    - one\n    # secret too\n    - two\n"
    destination = tmp_path / "a.yaml"
    data = SopsBinary.find(environ).encrypt(text, destination=destination, config=rules, named=())
    assert f"{expected_plain}: ENC" not in data.decode()
    file = _locked(data)
    expected = {"left": ["a", 1], "right": {"below": {"x": "y", "n": 5}, "list": ["one", "two"]}}
    assert _unlocker(age_key, decryptor, environ).unlock(file) == expected
    with pytest.raises(pysops.MetadataError, match="by comment"):
        _unlocker(age_key, Decryptor.NATIVE, environ).unlock(file)


# --- the file decides what there is


@pytest.mark.parametrize(
    "printed",
    [
        pytest.param('{"a": "long", "b": 1, "c": [true, "p"]}', id="longer-text"),
        pytest.param('{"a": "ol", "b": 1, "c": [true, "p"]}', id="shorter-text"),
        pytest.param('{"a": 123, "b": 1, "c": [true, "p"]}', id="number-for-text"),
        pytest.param('{"a": null, "b": 1, "c": [true, "p"]}', id="null-for-text"),
        pytest.param('{"a": ["old"], "b": 1, "c": [true, "p"]}', id="list-for-text"),
        pytest.param('{"a": "old", "b": "1", "c": [true, "p"]}', id="text-for-number"),
        pytest.param('{"a": "old", "b": 1.5, "c": [true, "p"]}', id="float-for-int"),
        pytest.param('{"a": "old", "b": true, "c": [true, "p"]}', id="bool-for-int"),
        pytest.param('{"a": "old", "b": 9223372036854775808, "c": [true, "p"]}', id="int-too-large"),
        pytest.param('{"a": "old", "b": NaN, "c": [true, "p"]}', id="nan"),
        pytest.param('{"a": "old", "b": 1, "c": ["true", "p"]}', id="text-for-bool"),
        pytest.param('{"a": "old", "b": 1, "c": [1, "p"]}', id="int-for-bool"),
        pytest.param('{"a": "old", "b": 1, "c": [true]}', id="shorter-list"),
        pytest.param('{"a": "old", "b": 1, "c": [true, "p", "p"]}', id="longer-list"),
        pytest.param('{"a": "old", "b": 1, "c": {"0": true}}', id="mapping-for-list"),
        pytest.param('{"a": "old", "c": [true, "p"]}', id="key-missing"),
        pytest.param('{"a": "old", "b": 1, "c": [true, "p"], "d": 1}', id="key-added"),
        pytest.param('{"b": 1, "a": "old", "c": [true, "p"]}', id="other-order"),
        pytest.param('{"a": "old", "b": 1, "b": 1, "c": [true, "p"]}', id="key-twice"),
        pytest.param('{"A": "old", "b": 1, "c": [true, "p"]}', id="key-renamed"),
        pytest.param('["a", "b", "c"]', id="list-at-the-top"),
        pytest.param('{"a": "o\\ud800", "b": 1, "c": [true, "p"]}', id="half-a-character"),
    ],
)
def test_what_is_not_what_the_file_holds_is_refused(
    printed: str, sops: SopsTool, age_key: AgeKey, tmp_path: Path
) -> None:
    """Keys, their order, types and lengths stand in the file; a program that says otherwise is not believed."""
    file = _locked(sops.encrypt(b'a: "old"\nb: 1\nc: [true, p]\n', [age_key.recipient]))
    fake = FakeSops(tmp_path, stdout=printed)
    with pytest.raises(pysops.DecryptionError, match="not what the file holds") as caught:
        _unlocker(None, Decryptor.SOPS, fake.environ).unlock(file)
    assert type(caught.value) is pysops.DecryptionError
    assert caught.value.mark is not None


@pytest.mark.parametrize("printed", ['{"p": "Plain"}', '{"p": "plain "}', '{"p": 1}', '{"p": "ENC[x]"}'])
def test_what_stands_in_plain_is_what_the_file_says(
    printed: str, sops: SopsTool, age_key: AgeKey, tmp_path: Path
) -> None:
    """The program cannot change what every reviewer sees."""
    file = _locked(sops.encrypt(b"p: plain\n", [age_key.recipient], extra_args=("--encrypted-regex", "^x$")))
    with pytest.raises(pysops.DecryptionError, match="not what the file holds"):
        _unlocker(None, Decryptor.SOPS, FakeSops(tmp_path, stdout=printed).environ).unlock(file)


# --- who is asked


def _foreign(data: bytes, address: str) -> bytes:
    """Return a file that names a Vault besides; nothing protects the metadata."""
    text = (
        f"sops:\n    hc_vault:\n        - vault_address: {address}\n          engine_path: transit\n"
        '          key_name: dev\n          created_at: "2026-01-01T00:00:00Z"\n          enc: vault:v1:eA==\n'
    )
    return data.decode().replace("sops:\n", text).encode()


@pytest.mark.parametrize("decryptor", list(Decryptor))
def test_a_vault_that_nobody_names_is_never_connected_to(
    decryptor: Decryptor, sops: SopsTool, environ: dict[str, str]
) -> None:
    """And does not get the token; the message says who is not named, and where."""
    with Ear() as ear:
        file = _locked(_foreign(sops.encrypt(b"a: b\n", [AgeKey.generate().recipient]), f"http://{ear.address}"))
        unlocker = _unlocker(AgeKey.generate(), decryptor, {**environ, "VAULT_TOKEN": CANARY})
        with pytest.raises(pysops.DecryptionError) as caught:
            unlocker.unlock(file)
        if decryptor is not Decryptor.NATIVE:
            assert f"hc_vault http://{ear.address}/v1/transit/keys/dev" in caught.value.what
            assert ".sops.yaml does not" in caught.value.what
        assert ear.heard == []
        # What is proved here: the program itself does connect.
        subprocess.run(
            (sops.binary, "decrypt", "--input-type", "yaml"),
            input=file.data,
            env={"VAULT_TOKEN": CANARY, "VAULT_MAX_RETRIES": "0"},
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert any(CANARY.encode() in heard for heard in ear.heard)


def test_a_foreign_vault_beside_one_that_is_named_makes_the_file_unfit(sops: SopsTool, environ: dict[str, str]) -> None:
    """Nobody is asked, not even who is named: sops would try one after the other."""
    with Ear() as good, Ear() as bad:
        data = sops.encrypt(b"a: b\n", [AgeKey.generate().recipient])
        data = _foreign(data, f"http://{good.address}")
        data = data.replace(
            b"        - vault_address",
            b"        - vault_address: http://%b\n          engine_path: transit\n          key_name: dev\n"
            b'          created_at: "2026-01-01T00:00:00Z"\n          enc: vault:v1:eA==\n        - vault_address'
            % bad.address.encode(),
            1,
        )
        named = [Recipient(kind="hc_vault", name=f"http://{good.address}/v1/transit/keys/dev")]
        for decryptor in (Decryptor.AUTO, Decryptor.SOPS):
            with pytest.raises(pysops.DecryptionError, match=bad.address):
                _unlocker(None, decryptor, environ).unlock(_locked(data, named))
        assert good.heard == bad.heard == []


@dataclass(frozen=True, slots=True, kw_only=True)
class _InVault:
    """A file whose key a Vault has."""

    vault: Vault
    data: bytes
    named: tuple[Recipient, ...]
    environ: dict[str, str]


@pytest.fixture
def in_vault(environ: dict[str, str], tmp_path: Path) -> Iterator[_InVault]:
    """Run a Vault, and encrypt a file to it."""
    with Vault() as vault:
        named = (Recipient(kind="hc_vault", name=vault.key),)
        environ["VAULT_TOKEN"] = CANARY
        rules = tmp_path / ".sops.yaml"
        rules.write_text(f"creation_rules:\n  - hc_vault_transit_uri: {vault.key}\n")
        binary = SopsBinary.find(environ)
        data = binary.encrypt(b"a: b\n", destination=tmp_path / "a.yaml", config=rules, named=named)
        vault.requests.clear()
        yield _InVault(vault=vault, data=data, named=named, environ=environ)


@pytest.mark.parametrize("decryptor", [Decryptor.AUTO, Decryptor.SOPS])
def test_a_vault_that_is_named_is_asked(decryptor: Decryptor, in_vault: _InVault) -> None:
    """With the token of the user; so what is refused elsewhere is not refused for want of a way."""
    unlocker = _unlocker(AgeKey.generate(), decryptor, in_vault.environ)
    assert unlocker.unlock(_locked(in_vault.data, in_vault.named)) == {"a": "b"}
    assert [(request.path, request.token) for request in in_vault.vault.requests] == [
        ("/v1/transit/decrypt/dev", CANARY)
    ]


def test_in_process_alone_never_asks(in_vault: _InVault) -> None:
    """Not even who is named."""
    with pytest.raises(pysops.NoIdentity):
        _unlocker(AgeKey.generate(), Decryptor.NATIVE, in_vault.environ).unlock(_locked(in_vault.data, in_vault.named))
    assert in_vault.vault.requests == []


def test_nothing_is_asked_where_an_age_identity_opens_the_file(sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> None:
    """The program is not even looked for, whatever else the file names."""
    file = _locked(_foreign(sops.encrypt(b"a: b\n", [age_key.recipient]), "https://vault.example"))
    fake = FakeSops(tmp_path)
    assert _unlocker(age_key, Decryptor.AUTO, fake.environ).unlock(file) == {"a": "b"}
    assert fake.calls == []


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        pytest.param(lambda text: text.replace("\nb: ", "\nc: "), pysops.TamperedValue, id="value"),
        pytest.param(lambda text: text[text.index("b: ") :], pysops.MacMismatch, id="mac"),
    ],
)
def test_what_was_found_wrong_is_wrong(
    damage: Callable[[str], str], kind: type[pysops.SopsError], sops: SopsTool, age_key: AgeKey, tmp_path: Path
) -> None:
    """No second opinion: another program might be more lenient."""
    data = damage(sops.encrypt(b"a: x\nb: y\n", [age_key.recipient]).decode()).encode()
    fake = FakeSops(tmp_path, stdout='{"a": "x", "b": "y"}')
    with pytest.raises(kind):
        _unlocker(age_key, Decryptor.AUTO, fake.environ).unlock(_locked(data))
    assert fake.calls == []


def test_a_file_for_somebody_else_is_not_given_to_the_program_in_vain(
    sops: SopsTool, age_key: AgeKey, tmp_path: Path
) -> None:
    """Where age keys are all that there is, it could do no more than we."""
    fake = FakeSops(tmp_path)
    with pytest.raises(pysops.NoIdentity, match="no identity at hand opens the file"):
        _unlocker(age_key, Decryptor.AUTO, fake.environ).unlock(
            _locked(sops.encrypt(b"a: b\n", [AgeKey.generate().recipient]))
        )
    assert fake.calls == []


def test_without_the_program_the_message_says_what_it_was_needed_for(in_vault: _InVault) -> None:
    """And how to get it."""
    unlocker = _unlocker(AgeKey.generate(), Decryptor.AUTO, {})
    with pytest.raises(
        pysops.BinaryError, match="no identity at hand opens the file; there is no sops program"
    ) as caught:
        unlocker.unlock(_locked(in_vault.data, in_vault.named))
    assert "https://getsops.io" in str(caught.value.advice)


def _plugin_identities() -> pysops.Identities:
    return pysops.Identities.from_text("AGE-PLUGIN-YUBIKEY-1QQQSYSUAKS4", "test")


def test_keys_of_plugins_are_for_the_program_and_for_recipients_that_are_named(
    sops: SopsTool, age_key: AgeKey, tmp_path: Path
) -> None:
    """A plugin is a program, and may ask for a touch of a token: not for any file that comes along."""
    identities = _plugin_identities()
    assert identities.needs_sops
    data = sops.encrypt(b"a: b\n", [age_key.recipient])
    fake = FakeSops(tmp_path, stdout='{"a": "b"}')
    unlocker = Unlocker(identities, environ=fake.environ)
    with pytest.raises(pysops.NoIdentity, match="the file names age"):
        unlocker.unlock(_locked(data))
    assert fake.calls == []
    assert unlocker.unlock(_locked(data, [Recipient(kind="age", name=age_key.recipient)])) == {"a": "b"}


# --- several at once


def test_several_files_are_opened_side_by_side_and_come_back_in_order(
    sops: SopsTool, age_key: AgeKey, tmp_path: Path
) -> None:
    """One that fails does not stop the others."""
    good, bad = sops.encrypt(b"a: b\n", [age_key.recipient]), sops.encrypt(b"c: d\n", [age_key.recipient])
    fake = FakeSops(tmp_path, stdout='{"a": "b"}', sleep_s=0.5)
    unlocker = _unlocker(None, Decryptor.SOPS, fake.environ)
    started = time.monotonic()
    opened = unlocker.unlock_all([_locked(data) for data in (good, bad, *[good] * (MAX_AT_ONCE - 2))])
    assert time.monotonic() - started < 0.5 * MAX_AT_ONCE
    assert [isinstance(one, dict) for one in opened] == [True, False, *[True] * (MAX_AT_ONCE - 2)]
    assert isinstance(opened[1], pysops.DecryptionError)
    assert opened[1].__traceback__ is None


def test_stopping_ends_all_of_them(sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> None:
    """As an interrupt does, which only the main thread gets."""
    data = sops.encrypt(b"a: b\n", [age_key.recipient])
    unlocker = _unlocker(None, Decryptor.SOPS, FakeSops(tmp_path, sleep_s=60).environ)
    timer = threading.Timer(1.0, unlocker.stop)
    timer.start()
    started = time.monotonic()
    opened = unlocker.unlock_all([_locked(data)] * (MAX_AT_ONCE * 2))
    assert time.monotonic() - started < 10
    assert all(isinstance(one, pysops.BinaryError) for one in opened)


# --- PGP


@pytest.fixture
def gnupg(environ: dict[str, str]) -> Iterator[str]:
    """Make a PGP key without passphrase, in a home of its own; gpg is needed as git is. Yields its fingerprint."""
    # In the system's own folder of temporary files: the name of a socket has room for some hundred characters only.
    with tempfile.TemporaryDirectory(prefix="gpg") as home:
        environ["GNUPGHOME"] = home
        env = {"GNUPGHOME": home, "PATH": environ["PATH"], "HOME": home}

        def gpg(*arguments: str) -> str:
            return subprocess.run(
                ("gpg", "--batch", "--passphrase", "", *arguments), env=env, capture_output=True, check=True, timeout=60
            ).stdout.decode()

        try:
            gpg("--quick-generate-key", "Tester <tester@example.com>", "future-default", "default", "never")
            listed = [line.split(":") for line in gpg("--list-keys", "--with-colons").splitlines()]
            yield next(fields[9] for fields in listed if fields[0] == "fpr")
        finally:
            subprocess.run(("gpgconf", "--kill", "all"), env=env, check=False, timeout=60, capture_output=True)


def test_a_pgp_key_opens_a_file_that_names_it(gnupg: str, environ: dict[str, str], tmp_path: Path) -> None:
    """Through gpg, which the program starts; only where ``.sops.yaml`` names the key."""
    named = (Recipient(kind="pgp", name=gnupg),)
    rules = tmp_path / ".sops.yaml"
    rules.write_text(f"creation_rules:\n  - pgp: {gnupg}\n")
    data = SopsBinary.find(environ).encrypt(b"a: b\n", destination=tmp_path / "a.yaml", config=rules, named=named)
    unlocker = _unlocker(AgeKey.generate(), Decryptor.AUTO, environ)
    assert unlocker.unlock(_locked(data, named)) == {"a": "b"}
    with pytest.raises(pysops.NoIdentity, match="the file names pgp"):
        unlocker.unlock(_locked(data))
