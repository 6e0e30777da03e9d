"""Post-quantum identities: what opens with them, and that nothing altered does; the binary is the judge."""

import secrets
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.pysops import Identities, Mark, Recipient, WrappedKey, metadata
from reconciler.pysops.age.age_file import MAX_ARMOR_LENGTH, Stanza
from reconciler.pysops.age.hybrid import parse_hybrid_key
from tests.support.age_judge import AgeJudge
from tests.support.age_keys import AgeKey
from tests.support.age_writer import armor, dearmor, hybrid_stanza, unpadded, with_enc, write_age
from tests.support.sops_tool import SopsTool


KEY: Final = AgeKey.hybrid()
OTHER: Final = AgeKey.hybrid()
FILE_KEY: Final = secrets.token_bytes(16)
DATA_KEY: Final = secrets.token_bytes(32)
OURS: Final = hybrid_stanza(KEY.recipient, FILE_KEY)
THEIRS: Final = hybrid_stanza(OTHER.recipient, FILE_KEY)
GREASE: Final = Stanza(kind="x-grease", arguments=("a", "b"), body=bytes(48))


@pytest.fixture(scope="module")
def encrypted(sops: SopsTool) -> tuple[bytes, bytes]:
    """Provide a file that sops encrypted to the key, and its data key."""
    file = sops.encrypt(b"a: canary\n", [KEY.recipient])
    data_key = Identities.from_text(KEY.identity, "the key file").open_group(metadata(file).key_groups[0])
    assert data_key is not None
    return file, data_key


@pytest.fixture
def judge(sops: SopsTool, tmp_path: Path) -> AgeJudge:
    """Provide a user with an empty home."""
    return AgeJudge(sops=sops, home=tmp_path)


def opened(enc: str, identity: str = KEY.identity) -> bytes | None:
    """Open one wrapped key."""
    recipient = Recipient(kind="age", name=KEY.recipient)
    wrapped = WrappedKey(recipient=recipient, enc=enc, mark=Mark(line=1, column=1))
    return Identities.from_text(identity, "the key file").open_group((wrapped,))


def test_the_identity_of_the_tests_of_sops_is_read() -> None:
    """`mockHybridIdentity` of age/keysource_test.go; its recipient is what the Go library of age 1.3.1 makes of it."""
    found = Identities.from_text(
        "AGE-SECRET-KEY-PQ-1JPDDEMSK6G9MG0VNJRSA0QKZ05CF4H6TK50YZGDKZKTRGC5Z7KEQUDUPG6", "the key file"
    )
    (recipient,) = found.recipients
    assert (found.problems, len(recipient)) == ((), 1959)
    assert (recipient[:40], recipient[-20:]) == ("age1pq12e4satcyh89gfzvmw7d0cjrqu0mp7978f", "0dk9ef02pga78gqc8cnn")


@pytest.mark.parametrize(
    ("stanzas", "expected"),
    [
        pytest.param([OURS], True, id="ours"),
        pytest.param([THEIRS], False, id="theirs"),
        pytest.param([THEIRS, OURS], True, id="ours second"),
        pytest.param([GREASE, OURS, GREASE], True, id="unknown kinds around it"),
        pytest.param([], False, id="none"),
        pytest.param(
            [Stanza(kind=OURS.kind, arguments=(*OURS.arguments, "x"), body=OURS.body), OURS],
            False,
            id="one argument too many, before ours",
        ),
        pytest.param([Stanza(kind=OURS.kind, arguments=(), body=OURS.body), OURS], False, id="no argument"),
        pytest.param(
            [Stanza(kind=OURS.kind, arguments=("A" * 1494,), body=OURS.body)], False, id="argument of the right length"
        ),
        pytest.param(
            [Stanza(kind=OURS.kind, arguments=(OURS.arguments[0][:-4],), body=OURS.body), OURS],
            False,
            id="short argument, before ours",
        ),
        pytest.param(
            [OURS, Stanza(kind=OURS.kind, arguments=("!",), body=OURS.body)], True, id="malformed, but behind ours"
        ),
        pytest.param(
            [Stanza(kind=OURS.kind, arguments=OURS.arguments, body=OURS.body[:-1]), OURS], False, id="short body"
        ),
        pytest.param([Stanza(kind="X25519", arguments=OURS.arguments, body=OURS.body)], False, id="another kind"),
        pytest.param([hybrid_stanza(KEY.recipient, FILE_KEY, info=b"other")], False, id="another purpose"),
        pytest.param([hybrid_stanza(KEY.recipient, secrets.token_bytes(16))], False, id="another file key"),
    ],
)
def test_stanzas_are_taken_as_sops_takes_them(
    judge: AgeJudge, encrypted: tuple[bytes, bytes], stanzas: list[Stanza], *, expected: bool
) -> None:
    """The first that opens counts; a malformed one of this kind before it spoils the file."""
    file, data_key = encrypted
    changed = with_enc(file, armor(write_age(data_key, FILE_KEY, stanzas)))
    assert judge.opens(changed, {"SOPS_AGE_KEY": KEY.identity}) is expected


ENC: Final = armor(write_age(DATA_KEY, FILE_KEY, [OURS]))


@pytest.mark.parametrize("identity", [KEY, AgeKey.generate()], ids=["hybrid", "x25519"])
@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param("", "", True, id="as it is"),
        pytest.param("\n \t\r\n\n", "", True, id="blank lines in front"),
        pytest.param(" ", "", False, id="indented"),
        pytest.param("x\n", "", False, id="text in front"),
        pytest.param("\n" * 1100, "", False, id="too many lines in front"),
        pytest.param("", " \n\n\t", True, id="blank lines behind"),
        pytest.param("", "x", False, id="text behind"),
        pytest.param("", " " * 1100, False, id="too many blanks behind"),
        pytest.param("", "-----END AGE ENCRYPTED FILE-----\n", False, id="two ends"),
    ],
)
def test_blanks_around_the_armor_are_taken_as_sops_takes_them(
    judge: AgeJudge, sops: SopsTool, identity: AgeKey, before: str, after: str, *, expected: bool
) -> None:
    """Blank lines are allowed, up to a point; for our own reader and for pyrage alike."""
    file = sops.encrypt(b"a: canary\n", [identity.recipient])
    enc = metadata(file).wrapped_keys[0].enc
    assert judge.opens(with_enc(file, before + enc + after), {"SOPS_AGE_KEY": identity.identity}) is expected


@pytest.mark.parametrize("identity", [KEY, AgeKey.generate()], ids=["hybrid", "x25519"])
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param("\n", "\r\n", True, id="CRLF"),
        pytest.param("-----\n", "-----", False, id="first line joined"),
        pytest.param("-----\n", "----- \n", False, id="blank behind the first line"),
        pytest.param("\n-----END", "-----END", False, id="last line joined"),
        pytest.param("\n-----END", "\n\n-----END", False, id="empty line"),
        pytest.param("\n-----END", "\n -----END", False, id="last line indented"),
        pytest.param("-----END AGE ENCRYPTED FILE-----", "-----END AGE-----", False, id="another last line"),
        pytest.param("AGE ENCRYPTED FILE", "age encrypted file", False, id="lower case"),
    ],
)
def test_the_armor_is_read_as_strictly_as_by_sops(
    judge: AgeJudge, sops: SopsTool, identity: AgeKey, old: str, new: str, *, expected: bool
) -> None:
    """One text for each file, but for CRLF; for our own reader and for pyrage alike."""
    file = sops.encrypt(b"a: canary\n", [identity.recipient])
    enc = metadata(file).wrapped_keys[0].enc
    assert judge.opens(with_enc(file, enc.replace(old, new)), {"SOPS_AGE_KEY": identity.identity}) is expected


@given(at=st.integers(0), bit=st.integers(0, 7))
def test_no_bit_of_a_file_can_be_flipped(at: int, bit: int) -> None:
    """Stanzas, MAC, nonce and payload: the file is refused, and nothing is raised."""
    data = bytearray(dearmor(ENC))
    data[at % len(data)] ^= 1 << bit
    assert opened(armor(bytes(data))) is None


@given(end=st.integers(0, len(dearmor(ENC)) - 1), behind=st.binary(max_size=20))
def test_a_file_cut_short_is_refused(end: int, behind: bytes) -> None:
    """Also with something else behind."""
    data = dearmor(ENC)[:end] + behind
    assert opened(armor(data)) == (DATA_KEY if data == dearmor(ENC) else None)


@given(at=st.integers(0, len(ENC) - 1), text=st.text(max_size=3), removed=st.integers(0, 3))
def test_the_armor_has_one_text(at: int, text: str, removed: int) -> None:
    """Whatever is exchanged, inserted or removed: refused, or nothing but blanks around it or CRLF."""
    changed = ENC[:at] + text + ENC[at + removed :]
    before, found, behind = changed.replace("\r\n", "\n").partition(ENC.rstrip("\n"))
    blank = not (before + behind).strip(" \t\n\v\f\r")
    apart = (not before or before.endswith("\n")) and (not behind or behind.startswith("\n"))
    assert opened(changed) == (DATA_KEY if found and blank and apart else None)


@given(header=st.text(st.characters(max_codepoint=126), max_size=400), payload=st.binary(max_size=40))
def test_any_header_is_read_without_an_error(header: str, payload: bytes) -> None:
    """Only files that authenticate open, whatever the header looks like."""
    assert opened(armor(b"age-encryption.org/v1\n" + header.encode() + payload)) is None


@given(st.text(max_size=300))
def test_any_text_is_read_without_an_error(text: str) -> None:
    """Also what is no age file."""
    assert opened(text) is None
    assert opened(f"-----BEGIN AGE ENCRYPTED FILE-----\n{text}\n-----END AGE ENCRYPTED FILE-----") is None


def test_a_huge_file_is_not_read() -> None:
    """A wrapped key takes 2 KB."""
    stanzas = [Stanza(kind="x", arguments=("a" * 700_000,), body=b""), OURS]
    enc = armor(write_age(DATA_KEY, FILE_KEY, stanzas))
    assert len(enc) < MAX_ARMOR_LENGTH
    assert opened(enc) == DATA_KEY
    stanzas.insert(0, stanzas[0])
    assert opened(armor(write_age(DATA_KEY, FILE_KEY, stanzas))) is None


@given(st.text(alphabet="QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L1", min_size=10, max_size=80))
def test_identities_with_a_wrong_checksum_are_refused(letters: str) -> None:
    """Nothing is raised, whatever stands behind the prefix."""
    assert parse_hybrid_key(f"AGE-SECRET-KEY-PQ-1{letters}") is None


def test_an_argument_is_base64_in_one_form_only() -> None:
    """Spare bits that are not zero, or padding, would give another text for the same file."""
    argument = OURS.arguments[0]
    assert unpadded(b"x" * 1120)[-1] in "AEIMQUYcgkosw048"
    for changed in (argument[:-1] + chr(ord(argument[-1]) + 1), argument + "=="):
        stanza = Stanza(kind=OURS.kind, arguments=(changed,), body=OURS.body)
        assert opened(armor(write_age(DATA_KEY, FILE_KEY, [stanza]))) is None
