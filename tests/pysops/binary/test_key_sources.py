"""Whom the sops program may ask, and what it is told for that."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler import pysops
from reconciler.pysops.binary.wrapper import SopsBinary
from reconciler.pysops.wrapped_keys import KeyKind, Recipient
from tests.pysops.binary.faked import faked
from tests.pysops.conftest import Locksmith


CANARY = "canary-5e1f"

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
def test_only_what_a_key_source_needs_is_passed_on(kind: KeyKind, locksmith: Locksmith, tmp_path: Path) -> None:
    """An allow-list: the token of Databricks is none of its business, nor AWS credentials for a Vault."""
    everything = {name: value for values in _OF_KIND.values() for name, value in values.items()}
    _, fake = faked(tmp_path, stdout='{"a": "old", "m": 1}')
    binary = SopsBinary.find({**_LEAKY, **everything, **_SHARED, **fake.environ, "PATH": f"rel{os.pathsep}/abs"})
    data, named = _with_key(locksmith.lock(), kind)
    mine = Recipient(kind="age", name=locksmith.key.recipient)
    binary.decrypt(pysops.parse(data), named={*named, mine})
    environ = fake.calls[-1].environ
    expected = {**_SHARED, **_OF_KIND["age"], **_OF_KIND[kind], "PATH": "/abs", "SOPS_DISABLE_VERSION_CHECK": "1"}
    if kind == "hc_vault":
        expected["SOPS_HC_VAULT_ALLOWLIST"] = "https://v.example"
    assert {name: value for name, value in environ.items() if name != "LC_CTYPE"} == expected  # Python sets that one
    assert not _OF_KIND["age"].items() & fake.calls[0].environ.items()


@pytest.mark.parametrize("kind", [kind for kind in _OF_KIND if kind != "age"])
def test_whom_nobody_names_is_not_asked(kind: KeyKind, locksmith: Locksmith, tmp_path: Path) -> None:
    """By no command that needs the data key; the program is not even started."""
    binary, fake = faked(tmp_path / "fake")
    data, named = _with_key(locksmith.lock(), kind)
    (name,) = named
    almost = {Recipient(kind=kind, name=f"{name.name}x"), Recipient(kind="age", name=name.name)}
    path, rules = tmp_path / "a.yaml", tmp_path / ".sops.yaml"
    path.write_bytes(data)
    rules.write_text("")
    for call in (
        lambda: binary.decrypt(pysops.parse(data), named=almost),
        lambda: binary.set(path, ["a"], "x", named=almost),
        lambda: binary.unset(path, ["a"], named=almost),
        lambda: binary.rotate(path, named=almost),
        lambda: binary.updatekeys(path, config=rules, named=almost),
    ):
        with pytest.raises(pysops.DecryptionError, match=f"the file names {kind} .*nobody is asked") as caught:
            call()
        assert caught.value.mark is not None
    assert fake.calls == []


@pytest.mark.parametrize(
    ("environ", "asks"),
    [
        pytest.param({}, True, id="plugins-and-passphrases"),
        pytest.param({"SOPS_AGE_KEY_CMD": "x"}, False, id="command"),
        pytest.param({"SOPS_AGE_SSH_PRIVATE_KEY_CMD": "x"}, False, id="ssh-command"),
    ],
)
def test_age_recipients_are_named_where_programs_or_people_may_be_asked(
    environ: dict[str, str],
    asks: bool,  # noqa: FBT001  # a table
    locksmith: Locksmith,
    tmp_path: Path,
) -> None:
    """Elsewhere an age recipient is nobody who could be asked."""
    _, fake = faked(tmp_path, stdout='{"a": "old", "m": 1}')
    binary = SopsBinary.find({**environ, **fake.environ}, asks=asks)
    document = pysops.parse(locksmith.lock())
    with pytest.raises(pysops.DecryptionError, match=r"the file names age .*nobody is asked"):
        binary.decrypt(document)
    named = [Recipient(kind="age", name=locksmith.key.recipient)]
    assert binary.decrypt(document, named=named) == {"a": "old", "m": 1}
    assert SopsBinary.find(fake.environ).decrypt(document) == {"a": "old", "m": 1}


@pytest.mark.parametrize(
    "text", ["$(touch {})", "; touch {}", "`touch {}`", "age1x $(touch {})", "age1x\\ntouch {}", ""]
)
def test_no_command_is_told_what_is_no_recipient(
    text: str, binary: SopsBinary, locksmith: Locksmith, tmp_path: Path
) -> None:
    """Somebody may evaluate it, as a script is written quickly; and the author of a file writes it."""
    touched, script = tmp_path / "touched", tmp_path / "script"
    script.write_text(f'#!/bin/sh\neval "echo $SOPS_AGE_RECIPIENT"\necho {locksmith.key.identity}\n')
    script.chmod(0o755)
    bait = text.format(touched)
    data = locksmith.lock().replace(locksmith.key.recipient.encode(), f'"{bait}"'.encode(), 1)
    environ = {"PATH": os.environ["PATH"], "SOPS_AGE_KEY_CMD": str(script)}
    with_command = SopsBinary(path=binary.path, version=binary.version, environ=environ)
    document = pysops.parse(data)
    named = pysops.read_metadata(document).recipients  # even if somebody had put it into the rules
    with pytest.raises(pysops.DecryptionError, match="none of age"):
        with_command.decrypt(document, named=named)
    assert not touched.exists()


def test_a_command_evaluates_what_sops_tells_it(binary: SopsBinary, locksmith: Locksmith, tmp_path: Path) -> None:
    """Which makes the silence above say something; and recipients that are some are told as before."""
    touched, script = tmp_path / "touched", tmp_path / "script"
    script.write_text(f'#!/bin/sh\neval "echo $SOPS_AGE_RECIPIENT"\necho {locksmith.key.identity}\n')
    script.chmod(0o755)
    environ = {"PATH": os.environ["PATH"], "SOPS_AGE_KEY_CMD": str(script)}
    data = locksmith.lock().replace(locksmith.key.recipient.encode(), f'"$(touch {touched})"'.encode(), 1)
    command = (binary.path, "decrypt", "--input-type", "yaml")
    subprocess.run(command, input=data, env=environ, capture_output=True, check=False, timeout=60)
    assert touched.exists()
    quiet = tmp_path / "quiet"
    quiet.write_text(f"#!/bin/sh\necho {locksmith.key.identity}\n")
    quiet.chmod(0o755)
    with_command = SopsBinary(
        path=binary.path, version=binary.version, environ={**environ, "SOPS_AGE_KEY_CMD": str(quiet)}
    )
    named = [Recipient(kind="age", name=locksmith.key.recipient)]
    assert with_command.decrypt(pysops.parse(locksmith.lock()), named=named) == {"a": "old", "m": 1}


def test_what_the_user_has_set_later_does_not_reach_the_program(locksmith: Locksmith, tmp_path: Path) -> None:
    """The environment is a copy, and read-only."""
    environ = {"SOPS_AGE_KEY_FILE": "before"}
    binary, fake = faked(tmp_path, environ, stdout='{"a": "old", "m": 1}')
    environ["SOPS_AGE_KEY_FILE"] = "after"
    binary.decrypt(pysops.parse(locksmith.lock()))
    assert fake.calls[-1].environ["SOPS_AGE_KEY_FILE"] == "before"
    with pytest.raises(TypeError):
        binary.environ["SOPS_AGE_KEY_FILE"] = "after"  # type: ignore[index]


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(
            lambda text: text.replace("sops:\n", "sops:\n    openbao:\n        - address: x\n"), id="new-kind"
        ),
        pytest.param(
            lambda text: text.replace("    age:\n        - ", "    age:\n        - Stanza: x\n          "),
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
    edit: Callable[[str], str], locksmith: Locksmith, tmp_path: Path
) -> None:
    """To sops, or to a later version of it, the field may be a key source."""
    binary, fake = faked(tmp_path)
    text = locksmith.lock().decode()
    edited = edit(text)
    assert edited != text
    with pytest.raises(pysops.MetadataError):
        binary.decrypt(pysops.parse(edited.encode()))
    assert fake.calls == []
