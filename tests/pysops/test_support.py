"""The test support itself: a fresh environment and a real sops."""

import os
from pathlib import Path

import pytest

from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsFailed, SopsTool


def test_real_sops_round_trip(sops: SopsTool, age_key: AgeKey) -> None:
    """What the binary encrypts for a key, it decrypts with that key and with no other."""
    ciphertext = sops.encrypt(b"a: first\nb: second\n", [age_key.recipient], encrypted_regex="^a$")
    assert b"ENC[AES256_GCM" in ciphertext
    assert b"b: second\n" in ciphertext
    assert sops.decrypt(ciphertext, age_key.identity) == b"a: first\nb: second\n"
    with pytest.raises(SopsFailed) as caught:
        sops.decrypt(ciphertext, AgeKey.generate().identity)
    assert caught.value.exit_code == 128


def test_environment_is_clean() -> None:
    """No variable of the caller reaches a test, and the home is empty."""
    assert not {name for name in os.environ if name.startswith(("SOPS_", "DATABRICKS_", "XDG_", "GITHUB_"))}
    assert not list(Path.home().iterdir())
