"""Which way a file is opened, and who is asked for its key."""

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler import pysops
from reconciler.pysops.binary.wrapper import SopsBinary
from reconciler.pysops.decryptor import MAX_AT_ONCE, Decryptor, LockedFile, Unlocker
from reconciler.pysops.wrapped_keys import Recipient
from tests.pysops.conftest import Locksmith
from tests.pysops.test_leaks import crash_report
from tests.support.age_keys import AgeKey
from tests.support.canaries import Canaries
from tests.support.fake_sops import FakeSops
from tests.support.sops_tool import SopsTool
from tests.support.vault import Ear, Vault


CANARY = "canary-90cd"


@pytest.fixture
def environ(sops: SopsTool, locksmith: Locksmith, tmp_path: Path) -> dict[str, str]:
    """Make an environment in which the real program and one age key are found."""
    keys = tmp_path / "keys.txt"
    keys.write_text(f"{locksmith.key.identity}\n")
    return {"SOPS_BINARY": str(sops.binary), "SOPS_AGE_KEY_FILE": str(keys), "PATH": os.environ["PATH"]}


def _locked(data: bytes, named: Sequence[Recipient] = ()) -> LockedFile:
    return LockedFile.read(pysops.parse(data), named)


def _unlocker(key: AgeKey | None, decryptor: Decryptor, environ: dict[str, str]) -> Unlocker:
    identities = pysops.Identities.from_text("" if key is None else key.identity, "test")
    return Unlocker(identities, decryptor=decryptor, environ=environ)


@pytest.mark.parametrize(
    ("field", "expected_plain"),
    [
        pytest.param("encrypted_comment_regex", "left", id="encrypted"),
        pytest.param("unencrypted_comment_regex", "right", id="un"),
    ],
)
def test_selecting_by_comment_is_left_to_the_program(
    field: str, expected_plain: str, locksmith: Locksmith, environ: dict[str, str], tmp_path: Path
) -> None:
    """In-process it is refused."""
    rules = tmp_path / ".sops.yaml"
    rules.write_text(f"creation_rules:\n  - age: {locksmith.key.recipient}\n    {field}: secret\n")
    text = b"left: [a, 1]\nright:\n  # secret\n  below: {x: y, n: 5}\n  list:\n    - one\n    # secret too\n    - two\n"
    destination = tmp_path / "a.yaml"
    data = SopsBinary.find(environ).encrypt(text, destination=destination, config=rules, named=())
    assert f"{expected_plain}: ENC" not in data.decode()
    file = _locked(data)
    expected = {"left": ["a", 1], "right": {"below": {"x": "y", "n": 5}, "list": ["one", "two"]}}
    for decryptor in (Decryptor.AUTO, Decryptor.SOPS):
        assert _unlocker(locksmith.key, decryptor, environ).unlock(file) == expected
    with pytest.raises(pysops.MetadataError, match="by comment"):
        _unlocker(locksmith.key, Decryptor.NATIVE, environ).unlock(file)


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
            input=file.document.data,
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


@pytest.mark.parametrize("decryptor", list(Decryptor))
def test_beside_a_vault_that_is_named_no_command_is_told_what_the_author_wrote(
    decryptor: Decryptor, in_vault: _InVault, locksmith: Locksmith, tmp_path: Path
) -> None:
    """The Vault is reason enough to start the program, which would tell the command what the file calls a recipient."""
    told, script = tmp_path / "told", tmp_path / "script"
    script.write_text(f'#!/bin/sh\necho "$SOPS_AGE_RECIPIENT" >>{told}\n')
    script.chmod(0o755)
    environ = {**in_vault.environ, "SOPS_AGE_KEY_CMD": str(script)}
    del environ["SOPS_AGE_KEY_FILE"]
    rules = tmp_path / ".sops.yaml"
    rules.write_text(
        f"creation_rules: [{{hc_vault_transit_uri: {in_vault.vault.key}, age: {locksmith.key.recipient}}}]"
    )
    named = (*in_vault.named, Recipient(kind="age", name=locksmith.key.recipient))
    data = SopsBinary.find(in_vault.environ).encrypt(
        b"a: b\n", destination=tmp_path / "a.yaml", config=rules, named=named
    )
    forged = data.replace(locksmith.key.recipient.encode(), b'"$(id)"')
    assert forged != data
    in_vault.vault.requests.clear()
    for whom in (named, (*in_vault.named, Recipient(kind="age", name="$(id)"))):
        unlocker = Unlocker(pysops.Identities.from_environment(environ, tmp_path), decryptor=decryptor, environ=environ)
        with pytest.raises(pysops.DecryptionError):
            unlocker.unlock(_locked(forged, whom))
    assert not told.exists()
    assert in_vault.vault.requests == []
    if decryptor is not Decryptor.NATIVE:  # while a recipient that is one is told, and the Vault asked
        unlocker = Unlocker(pysops.Identities.from_environment(environ, tmp_path), decryptor=decryptor, environ=environ)
        assert unlocker.unlock(_locked(data, named)) == {"a": "b"}
        assert set(told.read_text().split()) <= {locksmith.key.recipient}
        assert in_vault.vault.requests != []


def test_in_process_alone_never_asks(in_vault: _InVault) -> None:
    """Not even who is named."""
    with pytest.raises(pysops.NoIdentity):
        _unlocker(AgeKey.generate(), Decryptor.NATIVE, in_vault.environ).unlock(_locked(in_vault.data, in_vault.named))
    assert in_vault.vault.requests == []


def test_nothing_is_asked_where_an_age_identity_opens_the_file(locksmith: Locksmith, tmp_path: Path) -> None:
    """The program is not even looked for, whatever else the file names."""
    file = _locked(_foreign(locksmith.lock(b"a: b\n"), "https://vault.example"))
    fake = FakeSops(tmp_path)
    assert _unlocker(locksmith.key, Decryptor.AUTO, fake.environ).unlock(file) == {"a": "b"}
    assert fake.calls == []


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        pytest.param(lambda text: text.replace("\nb: ", "\nc: "), pysops.TamperedValue, id="value"),
        pytest.param(lambda text: text[text.index("b: ") :], pysops.MacMismatch, id="mac"),
    ],
)
def test_what_was_found_wrong_is_wrong(
    damage: Callable[[str], str], kind: type[pysops.SopsError], locksmith: Locksmith, tmp_path: Path
) -> None:
    """No second opinion: another program might be more lenient."""
    data = damage(locksmith.lock(b"a: x\nb: y\n").decode()).encode()
    fake = FakeSops(tmp_path, stdout='{"a": "x", "b": "y"}')
    with pytest.raises(kind):
        _unlocker(locksmith.key, Decryptor.AUTO, fake.environ).unlock(_locked(data))
    assert fake.calls == []


def test_a_file_for_somebody_else_is_not_given_to_the_program_in_vain(
    sops: SopsTool, locksmith: Locksmith, tmp_path: Path
) -> None:
    """Where age keys are all that there is, it could do no more than we."""
    fake = FakeSops(tmp_path)
    with pytest.raises(pysops.NoIdentity, match="no identity at hand opens the file"):
        _unlocker(locksmith.key, Decryptor.AUTO, fake.environ).unlock(
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
    locksmith: Locksmith, tmp_path: Path
) -> None:
    """A plugin is a program, and may ask for a touch of a token: not for any file that comes along.

    For whatever reason the program is asked: as nothing else opens the file, as it was said, or as comments select.
    """
    identities = _plugin_identities()
    assert identities.needs_sops
    data = locksmith.lock(b"a: b\n")
    rules = f"creation_rules: [{{age: {locksmith.key.recipient}, encrypted_comment_regex: x}}]"
    by_comment = locksmith.sops.encrypt_by_config(b"# x\na: b\n", rules.encode())
    fake = FakeSops(tmp_path, stdout='{"a": "b"}')
    for decryptor, file in ((Decryptor.AUTO, data), (Decryptor.SOPS, data), (Decryptor.AUTO, by_comment)):
        unlocker = Unlocker(identities, decryptor=decryptor, environ=fake.environ)
        with pytest.raises(pysops.DecryptionError, match=r"the file names age age1\w+, .*nobody is asked"):
            unlocker.unlock(_locked(file))
        assert all("--version" in call.arguments for call in fake.calls)
    for decryptor, file in ((Decryptor.AUTO, data), (Decryptor.SOPS, data), (Decryptor.AUTO, by_comment)):
        unlocker = Unlocker(identities, decryptor=decryptor, environ=fake.environ)
        assert unlocker.unlock(_locked(file, [Recipient(kind="age", name=locksmith.key.recipient)])) == {"a": "b"}


# --- several at once


def test_several_files_are_opened_side_by_side_and_come_back_in_order(locksmith: Locksmith, tmp_path: Path) -> None:
    """One that fails does not stop the others."""
    good, bad = locksmith.lock(b"a: b\n"), locksmith.lock(b"c: d\n")
    fake = FakeSops(tmp_path, stdout='{"a": "b"}', sleep_s=0.5)
    unlocker = _unlocker(None, Decryptor.SOPS, fake.environ)
    started = time.monotonic()
    opened = unlocker.unlock_all([_locked(data) for data in (good, bad, *[good] * (MAX_AT_ONCE - 2))])
    assert time.monotonic() - started < 0.5 * MAX_AT_ONCE
    assert [isinstance(one, dict) for one in opened] == [True, False, *[True] * (MAX_AT_ONCE - 2)]
    assert isinstance(opened[1], pysops.DecryptionError)
    assert opened[1].__traceback__ is None


def test_stopping_ends_all_of_them(locksmith: Locksmith, tmp_path: Path) -> None:
    """As an interrupt does, which only the main thread gets."""
    data = locksmith.lock(b"a: b\n")
    unlocker = _unlocker(None, Decryptor.SOPS, FakeSops(tmp_path, sleep_s=60).environ)
    timer = threading.Timer(0.6, unlocker.stop)
    timer.start()
    started = time.monotonic()
    opened = unlocker.unlock_all([_locked(data)] * (MAX_AT_ONCE * 2))
    assert time.monotonic() - started < 10
    assert all(isinstance(one, pysops.BinaryError) for one in opened)


def test_an_interrupt_leaves_without_what_was_opened(locksmith: Locksmith, tmp_path: Path) -> None:
    """Some files are open by then: neither values nor keys stand in a frame; and no program stays behind."""
    environ = {**FakeSops(tmp_path, sleep_s=60).environ, "SOPS_AGE_KEY": locksmith.key.identity}
    named = [Recipient(kind="hc_vault", name="https://vault.example/v1/transit/keys/dev")]
    opens = _locked(locksmith.lock(f"a: {CANARY}\n".encode()))
    stays = _locked(
        _foreign(locksmith.sops.encrypt(b"a: b\n", [AgeKey.generate().recipient]), "https://vault.example"), named
    )
    unlocker = _unlocker(locksmith.key, Decryptor.AUTO, environ)
    main = threading.get_ident()  # a signal to another thread would not wake this one
    timer = threading.Timer(0.5, lambda: signal.pthread_kill(main, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        unlocker.unlock_all([opens, stays])
    canaries = Canaries(by_name={"value": CANARY.encode(), "identity": locksmith.key.identity.encode()})
    assert canaries.found_in(crash_report(caught.value)) == []


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
