"""Which way files are written, and who is asked for the data key."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler import pysops
from reconciler.pysops import (
    ArgumentError,
    BinaryError,
    Decryptor,
    Edit,
    Identities,
    LockedFile,
    MetadataError,
    NoIdentity,
    Put,
    Recipient,
    Remove,
    Rename,
    Writer,
)
from tests.pysops.writing.desk import NOW, PLAIN, Desk, envelopes, locked
from tests.support.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A folder with a ``.sops.yaml``, and whoever writes in it."""

    folder: Path
    environ: dict[str, str]

    @property
    def config(self) -> Path:
        return self.folder / ".sops.yaml"

    def rules(self, text: str) -> pysops.CreationRule:
        self.config.write_text(f"creation_rules:\n  - {text}\n")
        return pysops.parse_config(self.config.read_bytes()).rules[0]


@pytest.fixture
def place(desk: Desk, tmp_path: Path) -> _Place:
    """Make one, with the program and the key of the desk in the environment."""
    keys = tmp_path / "keys.txt"
    keys.write_text(f"{desk.key.identity}\n")
    environ = {"SOPS_BINARY": str(desk.sops.binary), "SOPS_AGE_KEY_FILE": str(keys), "PATH": os.environ["PATH"]}
    return _Place(folder=tmp_path, environ=environ)


@dataclass(frozen=True, slots=True, kw_only=True)
class _InVault:
    """A file whose key a Vault has, and nobody else."""

    vault: Vault
    rule: pysops.CreationRule
    writer: Writer
    file: LockedFile


@pytest.fixture
def in_vault(place: _Place) -> Iterator[_InVault]:
    """Run a Vault, and encrypt a file to it."""
    with Vault() as vault:
        rule = place.rules(f"hc_vault_transit_uri: {vault.key}\n    encrypted_regex: ^secrets$")
        writer = Writer(Identities.from_text("", "none"), environ={**place.environ, "VAULT_TOKEN": "t"})
        data = writer.encrypt(PLAIN, rule=rule, now=NOW, destination=place.folder / "a.yaml", config=place.config)
        vault.requests.clear()
        named = [Recipient(kind="hc_vault", name=vault.key)]
        yield _InVault(vault=vault, rule=rule, writer=writer, file=LockedFile.read(pysops.parse(data), named))


def test_the_key_of_a_file_in_a_vault_comes_through_sops(in_vault: _InVault) -> None:
    """And what is not meant stays as it stands there as well, the wrapped key included."""
    made = in_vault.writer.change(in_vault.file, [Put(path=("secrets", "A"), value="new")], now=NOW)
    before, after = in_vault.file.document.data.decode().splitlines(), made.decode().splitlines()
    differing = [line for line, other in zip(after, before, strict=True) if line != other]
    assert [line.split(":")[0].strip() for line in differing] == ["A", "lastmodified", "mac"]
    assert [request.path for request in in_vault.vault.requests] == ["/v1/transit/decrypt/dev"]
    opened = in_vault.writer.plaintext(LockedFile.read(pysops.parse(made), in_vault.file.named))
    assert b"    A: new\n" in opened
    assert in_vault.writer.reseal(in_vault.file, opened, now=NOW) != made


def test_a_file_in_a_vault_is_given_to_others(in_vault: _InVault, desk: Desk, place: _Place) -> None:
    """And back."""
    rule = desk.rule()
    where = {"destination": place.folder / "a.yaml", "config": place.config}
    made = in_vault.writer.rekey(in_vault.file, rule=rule, now=NOW, **where)
    assert desk.shown(made) == desk.shown(desk.theirs())
    back = desk_writer(desk, place, VAULT_TOKEN="t").rekey(locked(made), rule=in_vault.rule, now=NOW, **where)
    assert [recipient.kind for recipient in pysops.recipients(back)] == ["hc_vault"]
    assert envelopes(back).isdisjoint(envelopes(made))


def desk_writer(desk: Desk, place: _Place, decryptor: Decryptor = Decryptor.AUTO, **environ: str) -> Writer:
    """Return a writer that may start the program."""
    return Writer(desk.identities, decryptor=decryptor, environ={**place.environ, **environ})


def test_nobody_else_is_asked(in_vault: _InVault) -> None:
    """Whom ``.sops.yaml`` does not name is not asked for the data key."""
    unnamed = LockedFile.read(in_vault.file.document)
    with pytest.raises(pysops.DecryptionError, match=r"\.sops\.yaml does not"):
        in_vault.writer.change(unnamed, [Put(path=("secrets", "A"), value="new")], now=NOW)
    assert in_vault.vault.requests == []


def test_without_the_program(in_vault: _InVault, place: _Place) -> None:
    """``native`` starts nothing: what only the program can do is refused."""
    writer = Writer(Identities.from_text("", "none"), decryptor=Decryptor.NATIVE, environ=place.environ)
    with pytest.raises(NoIdentity):
        writer.change(in_vault.file, [Put(path=("secrets", "A"), value="new")], now=NOW)
    with pytest.raises(BinaryError, match="not to be started"):
        writer.encrypt(PLAIN, rule=in_vault.rule, now=NOW, destination=place.folder / "a.yaml", config=place.config)
    assert in_vault.vault.requests == []


def test_by_the_program_alone(desk: Desk, place: _Place, theirs: bytes) -> None:
    """``sops`` has the program open files with the keys that it finds, and make new ones."""
    nobody = Writer(Identities.from_text("", "none"), decryptor=Decryptor.SOPS, environ=place.environ)
    made = nobody.change(locked(theirs), [Put(path=("secrets", "A"), value="new")], now=NOW)
    assert desk.shown(made) == desk.shown(theirs).replace("A: one", "A: new")
    rule = place.rules(f"age: {desk.key.recipient}\n    {desk.selector}")
    made = nobody.encrypt(PLAIN, rule=rule, now=NOW, destination=place.folder / "a.yaml", config=place.config)
    assert desk.shown(made) == desk.shown(theirs)
    made = nobody.rekey(locked(theirs), rule=rule, now=NOW, destination=place.folder / "a.yaml", config=place.config)
    assert envelopes(made).isdisjoint(envelopes(theirs))
    assert desk.shown(made) == desk.shown(theirs)


def test_a_missing_program_is_said(desk: Desk, in_vault: _InVault) -> None:
    """With why it was needed at all."""
    writer = Writer(desk.identities, environ={"PATH": ""})
    with pytest.raises(BinaryError, match="no identity at hand"):
        writer.plaintext(in_vault.file)


_BY_COMMENT = b"# secret\na: one\nb:\n    c: two\n    # secret\n    d: three\n"


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        pytest.param(
            [Put(path=("a",), value="new", plain=True)], {"a": "new", "b": {"c": "two", "d": "three"}}, id="put"
        ),
        pytest.param([Remove(path=("b", "d"))], {"a": "one", "b": {"c": "two"}}, id="remove"),
        pytest.param([Remove(path=("b", "d")), Remove(path=("b", "x"))], {"a": "one", "b": {"c": "two"}}, id="two"),
    ],
)
def test_where_comments_select_sops_makes_the_change(
    edits: Sequence[Edit], expected: dict[str, object], desk: Desk, place: _Place
) -> None:
    """On a copy of the ciphertext."""
    rule = place.rules(f"age: {desk.key.recipient}\n    encrypted_comment_regex: secret")
    writer = desk_writer(desk, place)
    data = writer.encrypt(_BY_COMMENT, rule=rule, now=NOW, destination=place.folder / "a.yaml", config=place.config)
    made = writer.change(locked(data), edits, now=NOW)
    unlocker = pysops.Unlocker(desk.identities, environ=place.environ)
    assert unlocker.unlock(locked(made)) == expected
    with pytest.raises(MetadataError, match="selected by comment"):
        writer.plaintext(locked(data))


def test_where_comments_select_a_new_name_may_not_uncover_a_value(desk: Desk, place: _Place) -> None:
    """As the comment above the old one does not stand above the new one."""
    rule = place.rules(f"age: {desk.key.recipient}\n    encrypted_comment_regex: secret")
    writer = desk_writer(desk, place)
    data = writer.encrypt(_BY_COMMENT, rule=rule, now=NOW, destination=place.folder / "a.yaml", config=place.config)
    for edit, why in (
        (Rename(path=("b", "d"), name="e"), "in plain"),
        (Rename(path=("b", "x"), name="e"), "no such key"),
        (Rename(path=("b", "c"), name="d"), "taken"),
        (Put(path=("sops", "x"), value="e"), "metadata"),
    ):
        with pytest.raises(ArgumentError, match=why):
            writer.change(locked(data), [edit], now=NOW)
