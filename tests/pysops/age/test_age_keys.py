"""The vectors of sops, and what is an identity at all."""

from typing import Final

import pytest

from reconciler.pysops import Identities, Mark, Recipient, WrappedKey
from reconciler.pysops.age import bech32
from reconciler.pysops.age.age_keys import PluginKey, parse_age_key
from reconciler.pysops.age.key_texts import keys_of_ssh
from tests.support.age_keys import AgeKey


# From age/keysource_test.go of sops 3.13.3, to which the names belong; made by its authors with age.
MOCK_RECIPIENT: Final = "age1lzd99uklcjnc0e7d860axevet2cz99ce9pq6tzuzd05l5nr28ams36nvun"
MOCK_IDENTITY: Final = "AGE-SECRET-KEY-1G0Q5K9TV4REQ3ZSQRMTMG8NSWQGYT0T7TZ33RAZEE0GZYVZN0APSU24RK7"
MOCK_OTHER_IDENTITY: Final = "AGE-SECRET-KEY-1432K5YRNSC44GC4986NXMX6GVZ52WTMT9C79CLUVWYY4DKDHD5JSNDP4MC"
MOCK_HYBRID_IDENTITY: Final = "AGE-SECRET-KEY-PQ-1JPDDEMSK6G9MG0VNJRSA0QKZ05CF4H6TK50YZGDKZKTRGC5Z7KEQUDUPG6"
MOCK_ENCRYPTED_KEY: Final = """\
-----BEGIN AGE ENCRYPTED FILE-----
YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBvY2t2NkdLUGRvY3l2OGNy
MVJWcUhCOEZrUG8yeCtnRnhxL0I5NFk4YjJFCmE4SVQ3MEdyZkFqRWpSa2F0NVhF
VDUybzBxdS9nSGpHSVRVMUI0UEVqZkkKLS0tIGJjeGhNQ0Y5L2VZRVVYSm90djFF
bzdnQ3UwTGljMmtrbWNMV1MxYkFzUFUK4xjOZOTGdcbzuwUY/zeBXhcF+Md3e5PQ
EylloI7MNGbadPGb
-----END AGE ENCRYPTED FILE-----"""
MOCK_SSH_RECIPIENT: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID+Wi8WZw2bXfBpcs/WECttCzP39OkenS6pHWHWGFJvN Test"
MOCK_SSH_IDENTITY: Final = """\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACA/lovFmcNm13waXLP1hArbQsz9/TpHp0uqR1h1hhSbzQAAAIgCXDMIAlwz
CAAAAAtzc2gtZWQyNTUxOQAAACA/lovFmcNm13waXLP1hArbQsz9/TpHp0uqR1h1hhSbzQ
AAAEBJdWTJ8dC0OnMcwy4gQ96sp6KG8GE9EiyhFGhKldKiST+Wi8WZw2bXfBpcs/WECttC
zP39OkenS6pHWHWGFJvNAAAABFRlc3QB
-----END OPENSSH PRIVATE KEY-----"""
MOCK_ENCRYPTED_SSH_KEY: Final = """\
-----BEGIN AGE ENCRYPTED FILE-----
YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNzaC1lZDI1NTE5IDJjd0R4dyB2R3Ns
VUNHaXBiTEJaNU5BMFFQZUpCYWJqODFyTTZ4WWZoRVpUd2M2aTBFCkduUFJHb1U2
K3RqWVQrLzE4anZKZ3h2T3c2MFpZTHlGaHprcElXenByWTAKLS0tIG56MHFSZERl
em9PWmRMMTY4aytYTnVZN04yeER5Z2E3TWxWT3JTZWR2ekUKp/HZLy4MzQqoszGk
+P0hSPPNhOhvFwv4AqCw1+A+WyeHGQPq
-----END AGE ENCRYPTED FILE-----"""
MOCK_ENCRYPTED_IDENTITY: Final = """\
-----BEGIN AGE ENCRYPTED FILE-----
YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBMN2FXZW9xSFViYjdNeW5D
-----END AGE ENCRYPTED FILE-----"""


def opened(found: Identities, enc: str, recipient: str = "") -> bytes | None:
    """Open one wrapped key."""
    wrapped = WrappedKey(recipient=Recipient(kind="age", name=recipient), enc=enc, mark=Mark(line=1, column=1))
    return found.open_group((wrapped,))


@pytest.mark.parametrize(
    ("text", "recipients", "expected"),
    [
        pytest.param(MOCK_IDENTITY, 1, b"data", id="identity"),
        pytest.param(f"{MOCK_OTHER_IDENTITY}\n{MOCK_IDENTITY}", 2, b"data", id="two identities"),
        pytest.param(f"{MOCK_OTHER_IDENTITY}\n{MOCK_HYBRID_IDENTITY}\n{MOCK_IDENTITY}", 3, b"data", id="three"),
        pytest.param(MOCK_OTHER_IDENTITY, 1, None, id="no matching identity"),
        pytest.param(MOCK_HYBRID_IDENTITY, 1, None, id="another kind"),
        pytest.param(f"{MOCK_IDENTITY}\ninvalid", 0, None, id="parsing error"),
        pytest.param(MOCK_ENCRYPTED_IDENTITY, 0, None, id="passphrase"),
    ],
)
def test_the_vectors_of_sops(text: str, recipients: int, expected: bytes | None) -> None:
    """`TestMasterKey_Decrypt` and `TestParsedIdentities_Import`."""
    found = Identities.from_text(text, "the key file")
    assert opened(found, MOCK_ENCRYPTED_KEY, MOCK_RECIPIENT) == expected
    assert opened(found, "invalid") is None
    assert len(found.recipients) == recipients
    assert (MOCK_RECIPIENT in found.recipients) is (expected is not None)


def test_the_ssh_vectors_of_sops() -> None:
    """The same for its SSH key."""
    found = Identities(keys_of_ssh(MOCK_SSH_IDENTITY.encode(), "the key file"))
    assert opened(found, MOCK_ENCRYPTED_SSH_KEY, MOCK_SSH_RECIPIENT) == b"data"
    assert opened(found, MOCK_ENCRYPTED_KEY, MOCK_SSH_RECIPIENT) is None
    assert found.recipients == (MOCK_SSH_RECIPIENT.removesuffix(" Test"),)


@pytest.mark.parametrize(
    ("prefix", "is_one"),
    [
        pytest.param("age-plugin-yubikey-", True, id="plugin"),
        pytest.param("age-plugin-a.b_c+1-", True, id="other characters"),
        pytest.param("age-plugin-yubikey", False, id="no hyphen at the end"),
        pytest.param("age-plugin--", False, id="no name"),
        pytest.param("age-plugin-a/b-", False, id="a path"),
        pytest.param("age-secret-key-", False, id="a key"),
    ],
)
def test_keys_of_plugins_are_known_as_such(prefix: str, *, is_one: bool) -> None:
    """As the Go library of age has it; upper case only, and a good checksum."""
    text = bech32.encode(prefix, b"123").upper()
    assert isinstance(parse_age_key(text), PluginKey) is is_one
    assert parse_age_key(text.lower()) is None
    assert parse_age_key(text[:-1] + ("Q" if text[-1] != "Q" else "P")) is None


def test_a_key_shows_its_recipient_only() -> None:
    """Whatever is printed of it."""
    for key in (AgeKey.generate(), AgeKey.hybrid()):
        parsed = parse_age_key(key.identity)
        assert parsed is not None
        assert key.recipient in repr(parsed)
        assert key.identity not in repr(parsed)
