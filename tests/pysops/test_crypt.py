"""Unlocking: known vectors, tampering, and what sops does with the same bytes."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reconciler.pysops import (
    DecryptionError,
    DocumentError,
    Identities,
    MacMismatch,
    NoIdentity,
    SopsError,
    TamperedValue,
    load,
    parse,
    parse_envelope,
    read_metadata,
)
from reconciler.pysops.crypt import open_envelope
from reconciler.pysops.leaves import MAX_PATH_BYTES
from reconciler.pysops.wrapped_keys import KeyGroup
from tests.pysops.handmade import DATA_KEY, SEALED_AT, handmade, seal, sops_reads, we_read
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsFailed, SopsTool


PLAINTEXT = b"""\
acls:
    - <READ users>
note: plain
secrets:
    first: canary-one
    second: canary-two
    below:
        first: canary-three
        items:
            - canary-four
            - canary-five
"""

VALUES: dict[str, object] = {
    "acls": ["<READ users>"],
    "note": "plain",
    "secrets": {
        "first": "canary-one",
        "second": "canary-two",
        "below": {"first": "canary-three", "items": ["canary-four", "canary-five"]},
    },
}

FIRST, SECOND = 5, 6
"""Lines of these values in the encrypted file."""


def identities(*keys: AgeKey) -> Identities:
    """Return the identities of ``keys``."""
    return Identities.from_text("\n".join(key.identity for key in keys), "test")


@pytest.fixture
def encrypted(sops: SopsTool, age_key: AgeKey) -> bytes:
    """Encrypt `PLAINTEXT` for the key of the test."""
    return sops.encrypt(PLAINTEXT, [age_key.recipient], encrypted_regex="^secrets$")


def data_key_of(file: bytes, key: AgeKey) -> bytes:
    """Return the data key of a file."""
    opened = identities(key).open_group(read_metadata(parse(file)).key_groups[0])
    assert opened is not None
    return opened


def test_vector_of_sops() -> None:
    """The vector of TestDecrypt in aes/cipher_test.go of sops; it must fail for other keys above it."""
    envelope = parse_envelope(
        "ENC[AES256_GCM,data:oYyi,iv:MyIDYbT718JRr11QtBkcj3Dwm4k1aCGZBVeZf0EyV8o=,tag:t5z2Z023Up0kxwCgw1gNxg==,type:str]"
    )
    assert envelope is not None
    cipher = AESGCM(b"f" * 32)
    assert open_envelope(cipher, envelope, b"bar:") == b"foo"
    assert open_envelope(cipher, envelope, b"") is None
    assert open_envelope(AESGCM(b"g" * 32), envelope, b"bar:") is None


def test_values_come_back(encrypted: bytes, age_key: AgeKey) -> None:
    """What was encrypted is what is read, metadata aside."""
    assert load(encrypted, identities(age_key)) == VALUES


def flip(text: str) -> str:
    """Return base64 text with its first character changed."""
    return ("B" if text[0] == "A" else "A") + text[1:]


def alter(line: int, field: str) -> Callable[[str], str]:
    """Alter a field of the envelope in a line."""

    def tamper(text: str) -> str:
        lines = text.split("\n")
        before = lines[line - 1]
        lines[line - 1] = re.sub(rf"(?<={field}:)[^,\]]+", lambda match: flip(match[0]), before)
        assert lines[line - 1] != before
        return "\n".join(lines)

    return tamper


def replace(old: str, new: str) -> Callable[[str], str]:
    """Replace the first match of a pattern."""

    def tamper(text: str) -> str:
        changed = re.sub(old, new, text, count=1, flags=re.MULTILINE)
        assert changed != text
        return changed

    return tamper


def swap_values(text: str) -> str:
    """Exchange the first two values, leaving their keys."""
    return re.sub(r"(first: )(.+)(\n    second: )(.+)", r"\1\4\3\2", text, count=1)


def swap_lines(text: str) -> str:
    """Exchange the first two entries."""
    return re.sub(r"^(    first: .+\n)(    second: .+\n)", r"\2\1", text, count=1, flags=re.MULTILINE)


def swap_items(text: str) -> str:
    """Exchange two items of a list: they are bound to the same keys, so only the MAC can tell."""
    return re.sub(r"^( +- ENC.+\n)( +- ENC.+\n)", r"\2\1", text, count=1, flags=re.MULTILINE)


TAMPERED = [
    pytest.param(alter(FIRST, "data"), TamperedValue, FIRST, id="ciphertext"),
    pytest.param(alter(FIRST, "iv"), TamperedValue, FIRST, id="iv"),
    pytest.param(alter(SECOND, "tag"), TamperedValue, SECOND, id="tag"),
    pytest.param(replace(r"type:str(?=\]$)", "type:int"), TamperedValue, FIRST, id="type"),
    pytest.param(swap_values, TamperedValue, FIRST, id="values exchanged"),
    pytest.param(replace("^    first:", "    third:"), TamperedValue, FIRST, id="key renamed"),
    pytest.param(replace("^    below:", "    above:"), TamperedValue, 8, id="key above renamed"),
    pytest.param(replace("^(    )first(: .+\n)", r"\g<0>\1third\2"), TamperedValue, SECOND, id="copied to a new key"),
    pytest.param(replace("^    first: .+\n", ""), MacMismatch, None, id="entry removed"),
    pytest.param(swap_lines, MacMismatch, None, id="entries exchanged"),
    pytest.param(swap_items, MacMismatch, None, id="items exchanged"),
    pytest.param(replace("^( +- ENC.+\n)", r"\1\1"), MacMismatch, None, id="item doubled"),
    pytest.param(replace("READ", "MANAGE"), MacMismatch, None, id="plain value"),
    pytest.param(replace("^note", "added: x\nnote"), MacMismatch, None, id="plain entry added"),
    pytest.param(replace('(?<=lastmodified: ")20', "19"), MacMismatch, None, id="lastmodified"),
    pytest.param(replace("(?<=mac: ENC.AES256_GCM,data:)....", "AAAA"), MacMismatch, None, id="MAC"),
    pytest.param(replace(r"(first: )(.+)([\s\S]+mac: ).+", r"\1\2\3\2"), MacMismatch, None, id="value as MAC"),
    pytest.param(replace(r"(first: ).+([\s\S]+mac: )(.+)", r"\1\3\2\3"), TamperedValue, FIRST, id="MAC as value"),
    pytest.param(replace("(?<=first: ).+", "in-the-clear"), DocumentError, FIRST, id="value in the clear"),
    pytest.param(replace("(?<=first: ).+", "5"), DocumentError, FIRST, id="number in the clear"),
    pytest.param(replace(r"\^secrets\$", "^nothing$"), MacMismatch, None, id="selector"),
    pytest.param(replace("encrypted_regex", "unencrypted_regex"), DocumentError, 2, id="selector turned round"),
    pytest.param(replace("^    mac:", "    mac_only_encrypted: 1\n    mac:"), MacMismatch, None, id="MAC mode"),
    pytest.param(replace(r"(?<=BEGIN AGE ENCRYPTED FILE-----\n)( +)....", r"\1AAAA"), NoIdentity, None, id="data key"),
    pytest.param(replace(r"-----BEGIN AGE", "-----BEGAN AGE"), NoIdentity, None, id="armor"),
]  # fmt: skip


@pytest.mark.parametrize(("tamper", "error", "line"), TAMPERED)
def test_tampering_is_noticed(
    encrypted: bytes,
    age_key: AgeKey,
    sops: SopsTool,
    tamper: Callable[[str], str],
    error: type[SopsError],
    line: int | None,
) -> None:
    """The error names the place of the value, and sops refuses the file as well."""
    tampered = tamper(encrypted.decode()).encode()
    with pytest.raises(error) as caught:
        load(tampered, identities(age_key))
    assert type(caught.value) is error
    assert line is None or (caught.value.mark is not None and caught.value.mark.line == line)
    with pytest.raises(SopsFailed):
        sops.decrypt(tampered, age_key.identity)


@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(replace("^note", "renamed"), id="plain key renamed"),
        pytest.param(replace("^note", "added: ''\nnote"), id="empty text added"),
        pytest.param(replace("^note", "added: null\nnote"), id="null added"),
        pytest.param(replace("<READ users>\nnote: plain", "<READ use\nnote: rs>plain"), id="bytes moved"),
        pytest.param(replace("(?<=first: )(.+)", r'["\1"]'), id="list around a value"),
        pytest.param(replace("(?<=- )(ENC.+)", r'["\1"]'), id="list around an item"),
        pytest.param(replace(r"below:\n +first:(.+)\n +items:", r"below:first:\1\n    below:items:"), id="keys joined"),
    ],
)
def test_what_the_mac_does_not_cover_reads_as_in_sops(
    encrypted: bytes, age_key: AgeKey, sops: SopsTool, tamper: Callable[[str], str]
) -> None:
    """What decrypts in sops decrypts here: plain fields, lists and keys with a colon need rules of their own."""
    tampered = tamper(encrypted.decode()).encode()
    ours = load(tampered, identities(age_key))
    assert re.findall("canary-[a-z]+", repr(ours)) == re.findall("canary-[a-z]+", repr(VALUES))
    sops.decrypt(tampered, age_key.identity)


def test_text_behind_an_envelope_is_refused_though_sops_reads_it(
    encrypted: bytes, age_key: AgeKey, sops: SopsTool
) -> None:
    """Stricter than the binary: nothing may ride along unauthenticated."""
    tampered = replace(r"type:str\]$", "type:str] trailing")(encrypted.decode()).encode()
    with pytest.raises(DocumentError, match="not whole"):
        load(tampered, identities(age_key))
    sops.decrypt(tampered, age_key.identity)


def test_any_of_several_recipients_opens_a_file(sops: SopsTool) -> None:
    """And so does a key among keys for other files; labels are not trusted."""
    keys = [AgeKey.generate() for _ in range(3)]
    file = sops.encrypt(PLAINTEXT, [key.recipient for key in keys], encrypted_regex="^secrets$")
    for key in keys:
        assert load(file, identities(AgeKey.generate(), key)) == VALUES
    mislabelled = file.replace(keys[0].recipient.encode(), AgeKey.generate().recipient.encode())
    assert load(mislabelled, identities(keys[0])) == VALUES


def test_blank_lines_around_the_data_key_do_not_matter(encrypted: bytes, age_key: AgeKey) -> None:
    """As in Go's reader."""
    spaced = replace(r"enc: \|\n", "enc: |\n\n")(encrypted.decode()).encode()
    assert load(spaced, identities(age_key)) == VALUES


def test_a_wrong_key_is_told_from_none(encrypted: bytes, age_key: AgeKey, tmp_path: Path) -> None:
    """The error says who could open the file, whose keys are at hand, and what was wrong with a source."""
    other = AgeKey.generate()
    with pytest.raises(NoIdentity, match="no identity at hand opens") as caught:
        load(encrypted, identities(other))
    assert age_key.recipient in (caught.value.expected or "")
    assert other.recipient in (caught.value.advice or "")
    with pytest.raises(NoIdentity, match="there is no identity") as caught:
        load(encrypted, Identities.from_environment({}, tmp_path))
    assert "SOPS_AGE_KEY" in (caught.value.advice or "")
    with pytest.raises(NoIdentity) as caught:
        load(encrypted, Identities.from_environment({"SOPS_AGE_KEY_FILE": "missing"}, tmp_path))
    assert "the file that SOPS_AGE_KEY_FILE names does not exist" in (caught.value.advice or "")


def test_a_recipient_that_is_none_is_not_quoted(encrypted: bytes, age_key: AgeKey) -> None:
    """Whatever stands in its place could be anything."""
    file = encrypted.replace(age_key.recipient.encode(), b"hunter2")
    with pytest.raises(NoIdentity) as caught:
        load(file, identities(AgeKey.generate()))
    assert caught.value.expected == "an age key"


def test_a_file_for_others_says_whom_it_asks(encrypted: bytes, age_key: AgeKey) -> None:
    """A file without age recipients is for none of the keys at hand."""
    pgp = b"    pgp: [{fp: x, created_at: '2024-01-02T03:04:05Z'}]\n"
    file = re.sub(rb"    age:\n(?:        .*\n)+", pgp, encrypted)
    with pytest.raises(NoIdentity, match="no identity at hand opens") as caught:
        load(file, identities(age_key))
    assert caught.value.expected == "a PGP key"


@pytest.mark.parametrize(
    ("kind", "plain"),
    [
        pytest.param("comment", b"canary", id="comment as the value of a key"),
        pytest.param("int", b"canary", id="no int"),
        pytest.param("bool", b"canary", id="no bool"),
        pytest.param("time", b"canary", id="no time"),
        pytest.param("float", b"\xff", id="no float"),
    ],
)
def test_a_value_must_be_what_it_says(encrypted: bytes, age_key: AgeKey, kind: str, plain: bytes) -> None:
    """Well encrypted and of the wrong type: refused at its place, without quoting it."""
    forged = seal(data_key_of(encrypted, age_key), plain, b"secrets:first:", kind)
    file = replace("(?<=first: ).+", forged)(encrypted.decode()).encode()
    with pytest.raises(TamperedValue) as caught:
        load(file, identities(age_key))
    assert caught.value.mark is not None
    assert caught.value.mark.line == FIRST
    assert "canary" not in str(caught.value)


def test_a_short_data_key_is_refused(encrypted: bytes, age_key: AgeKey) -> None:
    """Sixteen bytes would make AES-128 of it, silently."""
    short = pyrage.encrypt(b"k" * 16, [pyrage.x25519.Recipient.from_str(age_key.recipient)], armored=True)
    block = "enc: |\n" + "".join(f"            {line}\n" for line in short.decode().splitlines())
    file = re.sub(rb"enc: \|\n(?:            .*\n)+", block.encode(), encrypted)
    with pytest.raises(DecryptionError, match="256 bits"):
        load(file, identities(age_key))


def test_comments_in_lists_are_no_items(sops: SopsTool, age_key: AgeKey) -> None:
    """What sops writes as encrypted items is dropped; an empty comment becomes a text, as in sops."""
    file = sops.encrypt(b"a:\n  - x\n  # note\n  - y\n  #\n  - z\n", [age_key.recipient])
    assert b"type:comment]" in file
    assert load(file, identities(age_key)) == {"a": ["x", "y", "", "z"]}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\r\n\ttext\r\n\n", id="line breaks"),
        pytest.param("\x00\x01\x1f\x7f", id="control characters"),
        pytest.param("\ufefftext", id="byte order mark"),
        pytest.param("🔐 é 漢 \U0010ffff", id="unicode"),
        pytest.param("x" * 128 * 1024, id="128 KB"),
        pytest.param("ENC[AES256_GCM,data:", id="looks encrypted"),
        pytest.param("0123", id="looks like a number"),
    ],
)
def test_texts_come_back_byte_for_byte(sops: SopsTool, age_key: AgeKey, text: str) -> None:
    """No character is lost or normalised."""
    escaped = re.sub(r'[\x00-\x1f\x7f"\\\ufeff]', lambda match: f"\\u{ord(match[0]):04x}", text)
    file = sops.encrypt(f'a: "{escaped}"\n'.encode(), [age_key.recipient])
    assert load(file, identities(age_key)) == {"a": text}


def test_long_keys_above_a_value_are_refused_above_a_bound(age_key: AgeKey) -> None:
    """All that a value is bound to is read for each value; honest files stay far below."""
    for length, reads in ((MAX_PATH_BYTES - 3, True), (MAX_PATH_BYTES - 2, False)):
        key = "k" * length
        value = seal(DATA_KEY, b"x", f"{key}:a:".encode())
        mac = seal(DATA_KEY, hashlib.sha512(b"x").hexdigest().upper().encode(), SEALED_AT.encode())
        metadata = handmade(age_key.recipient, {"mac": mac}).partition(b"\n")[2].decode()
        file = f"? {key}\n: a: {value}\n{metadata}".encode()
        if reads:
            assert load(file, identities(age_key)) == {key: {"a": "x"}}
        else:
            with pytest.raises(DocumentError, match="keys above a value are too long"):
                load(file, identities(age_key))


@pytest.mark.parametrize("length", [16, 24])
def test_a_data_key_that_sops_never_makes_is_refused(length: int, sops: SopsTool, age_key: AgeKey) -> None:
    """Stricter than the binary, which would use AES-128 and AES-192 as well."""
    file = handmade(age_key.recipient, data_key=bytes(length))
    assert sops_reads(sops, file, age_key)
    assert not we_read(file, age_key)
    with pytest.raises(DecryptionError, match="256 bits"):
        load(file, identities(age_key))


class Faulty(Identities):
    """Identities that fail in a way that nobody foresaw, and say so in words that quote a secret."""

    failure: BaseException

    def open_group(self, group: KeyGroup) -> bytes | None:
        """Fail."""
        assert group
        raise self.failure


class Panic(BaseException):
    """As pyo3 raises where Rust code panics: no `Exception`."""


def faulty(failure: BaseException) -> Faulty:
    """Return identities that fail."""
    made = Faulty.from_text("", "test")
    made.failure = failure
    return made


@pytest.mark.parametrize(
    ("failure", "what"),
    [
        pytest.param(KeyError("canary"), "an unexpected KeyError at test_crypt.py:", id="defect"),
        pytest.param(MemoryError("canary"), "there is not enough memory", id="memory"),
        pytest.param(RecursionError("canary"), "an unexpected RecursionError at ", id="recursion"),
        pytest.param(UnicodeDecodeError("utf-8", b"canary", 0, 1, "x"), "an unexpected UnicodeDecodeError", id="codec"),
        pytest.param(Panic("canary"), "an unexpected Panic at test_crypt.py:", id="panic"),
    ],
)
def test_no_foreign_exception_leaves(encrypted: bytes, failure: BaseException, what: str) -> None:
    """Of a defect its kind and its place are told, not its text and not its frames."""
    with pytest.raises(DecryptionError, match=what) as caught:
        load(encrypted, faulty(failure))
    assert "canary" not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()], ids=repr)
def test_an_interrupt_leaves_as_it_is_without_our_frames(encrypted: bytes, failure: BaseException) -> None:
    """Whoever pressed a key wants an end, and no values in a crash report."""
    with pytest.raises(type(failure)) as caught:
        load(encrypted, faulty(failure))
    assert caught.value is failure
    assert Path(caught.traceback[-1].path).name == "leaving.py"
