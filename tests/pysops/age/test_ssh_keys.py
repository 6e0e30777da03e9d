"""SSH keys as age identities, in every form that sops takes; the binary is the judge."""

import base64
import contextlib
import time
from math import lcm
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from reconciler.pysops import Identities, Mark, Recipient, WrappedKey, metadata
from reconciler.pysops.age.ssh_keys import MAX_SSH_KEY_BYTES, PassphraseNeeded, _is_sound, parse_ssh_key
from tests.support.age_judge import AgeJudge
from tests.support.age_keys import AgeKey, SshForm
from tests.support.age_writer import armor, dearmor, with_enc
from tests.support.sops_tool import SopsTool


RSA: Final = AgeKey.ssh_rsa("pkcs1")
ED25519: Final = AgeKey.ssh_ed25519()

PROTECTED: Final = """\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABBKJnkoRX
JTvhXk95SzgTv0AAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIHlSprIWLFgIZIUv
UVBm7l5FMtu1NdbNo+8eKBXJCKPXAAAAkCMmmYc1bpCgY08axKY+Q59eHuYVONxPkaJWBB
6m4SI6RtEhjO0DrTTVtQuYfboOlKJPZMtUgYIjINVlAS8bhHey7j3RelVIc3DN1htMP4X4
iH03vW1v2t1uP1EUAowyoRrznx403HmzFaHjL06rgzYKagPbgMRXblr40gP3pavzbbg2FM
t4Y35p5liSpDgmSA==
-----END OPENSSH PRIVATE KEY-----
"""
"""Made by ``ssh-keygen -t ed25519 -N pw``: `cryptography` writes none without another package."""

PROTECTED_RECIPIENT: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHlSprIWLFgIZIUvUVBm7l5FMtu1NdbNo+8eKBXJCKPX"


@pytest.fixture(scope="module")
def files(sops: SopsTool) -> dict[str, bytes]:
    """Encrypt a file to each key of this module."""
    return {key.recipient: sops.encrypt(b"a: canary\n", [key.recipient]) for key in (RSA, ED25519)}


@pytest.fixture
def judge(sops: SopsTool, tmp_path: Path) -> AgeJudge:
    """Provide a user with an empty home."""
    return AgeJudge(sops=sops, home=tmp_path)


def opens(judge: AgeJudge, file: bytes, text: str) -> bool:
    """Tell whether both open a file with the text of an SSH key."""
    path = judge.write("key", text)
    return judge.opens(file, {"SOPS_AGE_SSH_PRIVATE_KEY_FILE": str(path)})


@pytest.mark.parametrize("form", ["openssh", "pkcs1", "pkcs8"])
def test_rsa_keys_are_read_in_every_form(judge: AgeJudge, sops: SopsTool, form: SshForm) -> None:
    """As OpenSSH and OpenSSL write them."""
    key = AgeKey.ssh_rsa(form)
    assert opens(judge, sops.encrypt(b"a: 1\n", [key.recipient]), key.identity)


@pytest.mark.parametrize("form", ["openssh", "pkcs8"])
def test_ed25519_keys_are_read_in_every_form(judge: AgeJudge, sops: SopsTool, form: SshForm) -> None:
    """As OpenSSH and OpenSSL write them."""
    key = AgeKey.ssh_ed25519(form)
    assert opens(judge, sops.encrypt(b"a: 1\n", [key.recipient]), key.identity)


def test_long_rsa_keys_open_too(judge: AgeJudge, sops: SopsTool) -> None:
    """More than 4,096 bits, where the Rust implementation of age gives up."""
    key = AgeKey.ssh_rsa(bits=4608)
    assert opens(judge, sops.encrypt(b"a: 1\n", [key.recipient]), key.identity)


def test_a_comment_of_a_recipient_does_not_matter(sops: SopsTool, tmp_path: Path) -> None:
    """The recipient in the file is the line of the public key file, with whose key it is behind it."""
    file = sops.encrypt(b"a: 1\n", [f"{ED25519.recipient} somebody's laptop"])
    (wrapped,) = metadata(file).wrapped_keys
    assert wrapped.recipient.name.endswith(" laptop")
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id_ed25519").write_text(ED25519.identity)
    found = Identities.from_environment({}, tmp_path)
    assert found.open_group((wrapped,)) is not None
    assert found.recipients == (ED25519.recipient,)


@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("{key}", True, id="as it is"),
        pytest.param("{crlf}", True, id="CRLF"),
        pytest.param("{stripped}", True, id="no line end"),
        pytest.param("hello\n{key}", True, id="text before"),
        pytest.param("{key}hello\n", True, id="text behind"),
        pytest.param("{stripped} \t\n", True, id="blanks behind"),
        pytest.param("{key}{other}", True, id="another key behind"),
        pytest.param("-----BEGIN X-----\n!\n-----END X-----\n{key}", True, id="garbled block before"),
        pytest.param("{headers}", True, id="headers"),
        pytest.param("{one_line}", True, id="one line"),
        pytest.param("hello {key}", False, id="text on the first line"),
        pytest.param("{stripped} x\n", False, id="text on the last line"),
        pytest.param("{other}{key}", False, id="another key before"),
        pytest.param("{half}", False, id="cut off"),
        pytest.param("{encoded}", False, id="encoded part alone"),
        pytest.param("", False, id="empty"),
        pytest.param("\ufeff{key}", False, id="byte order mark"),
        pytest.param("-----BEGIN EC PRIVATE KEY-----\n{encoded}\n-----END EC PRIVATE KEY-----\n", False, id="misnamed"),
    ],
)
def test_key_files_are_read_as_sops_reads_them(
    judge: AgeJudge, files: dict[str, bytes], key: AgeKey, text: str, *, expected: bool
) -> None:
    """The first block that is one counts, whatever stands around it."""
    begin, *encoded, end = key.identity.strip().splitlines()
    text = text.format(
        key=key.identity,
        crlf=key.identity.replace("\n", "\r\n"),
        stripped=key.identity.strip(),
        other=AgeKey.ssh_ed25519().identity,
        half="\n".join((begin, *encoded[: len(encoded) // 2], end)),
        encoded="\n".join(encoded),
        headers="\n".join((begin, "Comment: mine", "", *encoded, end)),
        one_line="\n".join((begin, "".join(encoded), end)),
    )
    assert opens(judge, files[key.recipient], text) is expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PROTECTED, id="openssh"),
        pytest.param(
            load_pem_private_key(RSA.identity.encode(), None)
            .private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"pw"))
            .decode(),
            id="pkcs1",
        ),
    ],
)
def test_a_passphrase_is_not_asked_for(tmp_path: Path, text: str) -> None:
    """The problem says so, and that the sops program would ask; it does not for a key that a program prints."""
    with pytest.raises(PassphraseNeeded):
        parse_ssh_key(text.encode())
    (tmp_path / "key").write_text(text)
    found = Identities.from_environment({"SOPS_AGE_SSH_PRIVATE_KEY_FILE": str(tmp_path / "key")}, tmp_path)
    (problem,) = found.look_everywhere().problems
    assert problem.what.endswith("is an SSH key with a passphrase, which is not asked for here")
    assert found.needs_sops

    printed = Identities.from_environment({"SOPS_AGE_SSH_PRIVATE_KEY_CMD": "a"}, tmp_path, run=lambda *_: text.encode())
    wrapped = WrappedKey(
        recipient=Recipient(kind="age", name=PROTECTED_RECIPIENT), enc="x", mark=Mark(line=1, column=1)
    )
    assert printed.open_group((wrapped,)) is None
    (problem,) = printed.problems
    assert problem.what.startswith("what SOPS_AGE_SSH_PRIVATE_KEY_CMD prints is an SSH key with a passphrase")
    assert not printed.needs_sops


def test_a_protected_key_does_not_stop_another(judge: AgeJudge, files: dict[str, bytes]) -> None:
    """Most people have one in ~/.ssh."""
    judge.write(".ssh/id_ed25519", PROTECTED)
    judge.write(".ssh/id_rsa", RSA.identity)
    assert judge.opens(files[RSA.recipient], {})
    assert not judge.opens(files[ED25519.recipient], {})


def test_keys_of_other_kinds_are_a_problem(judge: AgeJudge, files: dict[str, bytes]) -> None:
    """ECDSA: age has no recipients of that kind."""
    key = generate_private_key(SECP256R1())
    for form in (PrivateFormat.OpenSSH, PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        text = key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
        assert not opens(judge, files[RSA.recipient], text)
        identities = judge.identities({"SOPS_AGE_SSH_PRIVATE_KEY_FILE": str(judge.home / "key")})
        (problem,) = identities.look_everywhere().problems
        assert problem.what.endswith("holds no SSH key that age can use")


NUMBERS: Final = ("n", "e", "d", "p", "q", "dmp1", "dmq1", "iqmp")


def numbers_of(key: AgeKey) -> dict[str, int]:
    """Return the numbers of an RSA key."""
    load = load_ssh_private_key if "OPENSSH" in key.identity else load_pem_private_key
    loaded = load(key.identity.encode(), None)
    assert isinstance(loaded, RSAPrivateKey)
    numbers = loaded.private_numbers()
    return {name: getattr(numbers.public_numbers if name in {"n", "e"} else numbers, name) for name in NUMBERS}


@pytest.fixture(scope="module", params=["openssh", "pkcs1", "pkcs8"])
def rsa(request: pytest.FixtureRequest) -> AgeKey:
    """Make an RSA key in each form."""
    return AgeKey.ssh_rsa(request.param)


FIRST_TO_CHECK_D: Final = (3, 13, 0)
"""The Go of sops 3.11 does not look whether the private exponent belongs to the rest; that of 3.13 does."""


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_of_an_rsa_key_that_does_not_fit_the_others_spoils_it(
    judge: AgeJudge, sops: SopsTool, rsa: AgeKey, name: str
) -> None:
    """As Go sees it: the form of OpenSSH lacks two of them, and the last one is made anew there."""
    begin, *encoded, end = rsa.identity.strip().splitlines()
    blob = base64.b64decode("".join(encoded))
    number = numbers_of(rsa)[name]
    before = number.to_bytes((number.bit_length() + 7) // 8)
    after = (number ^ 1 << number.bit_length() // 2).to_bytes(len(before))
    spoilt = base64.encodebytes(blob.replace(before, after)).decode()
    file = sops.encrypt(b"a: 1\n", [rsa.recipient])
    expected = "OPENSSH" in begin and name in {"dmp1", "dmq1", "iqmp"}
    text = f"{begin}\n{spoilt}{end}\n"
    if name == "d" and sops.version < FIRST_TO_CHECK_D:
        environ = {"SOPS_AGE_SSH_PRIVATE_KEY_FILE": str(judge.write("key", text))}
        assert not judge.we_open(file, environ)
    else:
        assert opens(judge, file, text) is expected


def made(p: int, q: int, e: int = 65537) -> RSAPrivateNumbers:
    """Make the numbers of a key of what need not be primes."""
    d = pow(e, -1, lcm(p - 1, q - 1))
    public = RSAPublicNumbers(e=e, n=p * q)
    return RSAPrivateNumbers(
        p=p, q=q, d=d, dmp1=d % (p - 1), dmq1=d % (q - 1), iqmp=pow(q, -1, p), public_numbers=public
    )


GOOD: Final = numbers_of(RSA)


@pytest.mark.parametrize(
    ("numbers", "sound"),
    [
        pytest.param(made(GOOD["p"], GOOD["q"]), True, id="sound"),
        pytest.param(made(GOOD["q"], GOOD["p"]), True, id="primes the other way round"),
        pytest.param(made(GOOD["p"], GOOD["q"], (1 << 24) + 43), False, id="large exponent"),
        pytest.param(made((1 << 1024) - 1, (1 << 1024) + 1), False, id="primes close to each other"),
        pytest.param(made((1 << 255) - 19, (1 << 256) - 189), False, id="short"),
    ],
)
def test_keys_that_go_does_not_compute_with_are_refused(numbers: RSAPrivateNumbers, *, sound: bool) -> None:
    """Some of these no tool makes; whoever has one cannot use it with sops either."""
    assert _is_sound(numbers, with_remainders=True) is sound


def test_an_rsa_key_is_looked_at_in_no_time() -> None:
    """OpenSSL takes seconds to find out whether primes are some; this is arithmetic alone."""
    numbers = made(GOOD["p"], GOOD["q"])
    started = time.process_time()
    for _ in range(100):
        assert _is_sound(numbers, with_remainders=True)
    assert time.process_time() - started < 1


@given(at=st.integers(0), bit=st.integers(0, 7))
def test_no_bit_of_a_file_for_an_rsa_key_can_be_flipped(files: dict[str, bytes], at: int, bit: int) -> None:
    """The file is refused, and nothing is raised."""
    key = parse_ssh_key(RSA.identity.encode())
    assert key is not None
    (wrapped,) = metadata(files[RSA.recipient]).wrapped_keys
    data = bytearray(dearmor(wrapped.enc))
    data[at % len(data)] ^= 1 << bit
    changed = with_enc(files[RSA.recipient], armor(bytes(data)))
    found = Identities.from_environment(
        {"SOPS_AGE_SSH_PRIVATE_KEY_CMD": "a"}, Path("/nowhere"), run=lambda *_: RSA.identity.encode()
    )
    assert found.open_group(metadata(changed).key_groups[0]) is None
    assert len(found.recipients) == 1


@given(st.binary(max_size=300), st.sampled_from(["OPENSSH PRIVATE KEY", "RSA PRIVATE KEY", "PRIVATE KEY"]))
def test_any_key_file_is_read_without_an_error(data: bytes, kind: str) -> None:
    """Neither as text nor as what a block encodes."""
    assert parse_ssh_key(data) is None
    lines = [line for line in armor(data).splitlines() if not line.startswith("-")]
    block = "\n".join((f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----", ""))
    with contextlib.suppress(PassphraseNeeded) if data.startswith(b"openssh-key-v1\0") else contextlib.nullcontext():
        assert parse_ssh_key(block.encode()) is None


def test_a_key_file_without_a_cipher_is_not_called_protected() -> None:
    """Cut off before it says whether it is: no key, and nobody is sent to look for a passphrase."""
    for end in (0, 3, 4, 6):
        data = b"openssh-key-v1\0\0\0\0\x08aes1"[: 15 + end]
        lines = [line for line in armor(data).splitlines() if not line.startswith("-")]
        block = "\n".join(("-----BEGIN OPENSSH PRIVATE KEY-----", *lines, "-----END OPENSSH PRIVATE KEY-----", ""))
        assert parse_ssh_key(block.encode()) is None


def test_a_huge_key_file_is_not_searched() -> None:
    """Thousands of blocks that never end."""
    assert parse_ssh_key(b"-----BEGIN A-----\n" * (MAX_SSH_KEY_BYTES // 18)) is None
    assert parse_ssh_key(b"\n" * MAX_SSH_KEY_BYTES + RSA.identity.encode()) is None
