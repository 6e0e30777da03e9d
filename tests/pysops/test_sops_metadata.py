"""The ``sops`` mapping: what it must hold."""

import pytest

from reconciler.pysops import Mark, Metadata, MetadataError, Recipient, WrappedKey, parse, read_metadata
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsTool


MAC = "ENC[AES256_GCM,data:oYyi,iv:MyIDYbT718JRr11QtBkcj3Dwm4k1aCGZBVeZf0EyV8o=,tag:t5z2Z023Up0kxwCgw1gNxg==,type:str]"

AGE = "    age: [{recipient: age1x, enc: y}]\n"
REST = f'    lastmodified: "2024-01-02T03:04:05Z"\n    mac: {MAC}\n    version: 3.9.0\n'


def read(fields: str) -> Metadata:
    """Read the metadata of a file with these fields, each indented by four."""
    return read_metadata(parse(f"a: x\nsops:\n{fields}".encode()))


def test_what_sops_writes_is_read(sops: SopsTool, age_key: AgeKey) -> None:
    """Recipients, selector and MAC of a real file."""
    other = AgeKey.generate()
    recipients = [age_key.recipient, other.recipient]
    metadata = read_metadata(parse(sops.encrypt(b"a: x\n", recipients, encrypted_regex="^a$")))
    assert [recipient.name for recipient in metadata.recipients] == recipients
    assert metadata.wrapped_keys[0].enc.startswith("-----BEGIN AGE ENCRYPTED FILE-----\n")
    assert (metadata.encrypted_regex, metadata.unencrypted_suffix) == ("^a$", None)
    assert metadata.mac.startswith("ENC[")
    assert metadata.lastmodified.endswith("Z")
    assert (metadata.mark.line, len(metadata.key_groups), metadata.mac_only_encrypted) == (2, 1, False)


def test_a_default_selector_stands_in_the_file(sops: SopsTool, age_key: AgeKey) -> None:
    """Without flags sops records the suffix that it used."""
    assert read_metadata(parse(sops.encrypt(b"a: x\n", [age_key.recipient]))).unencrypted_suffix == "_unencrypted"


@pytest.mark.parametrize(
    ("fields", "complaint", "line"),
    [
        pytest.param(REST, "no key source", 2, id="no recipients"),
        pytest.param(f"    age: []\n    kms: null\n{REST}", "no key source", 2, id="empty lists"),
        pytest.param(f"    age: x\n{REST}", "sops.age is not a list", 3, id="age is no list"),
        pytest.param(f"    kms: ''\n{AGE}{REST}", "sops.kms is not a list", 3, id="kms is text"),
        pytest.param(f"    age: [x]\n{REST}", "an item of sops.age", 3, id="recipient is no mapping"),
        pytest.param(f"    age: [{{enc: y}}]\n{REST}", "no recipient", 3, id="no recipient name"),
        pytest.param(f"    age: [{{recipient: x, enc: 5}}]\n{REST}", "enc is not text", 3, id="enc is no text"),
        pytest.param(AGE + REST.replace("mac:", "mac_:"), "sops has no mac", 2, id="no MAC"),
        pytest.param(AGE + REST.replace(MAC, "null"), "sops has no mac", 2, id="null MAC"),
        pytest.param(AGE + REST.replace(MAC, "''"), "mac is not text", 5, id="empty MAC"),
        pytest.param(AGE + REST.replace(MAC, "abc"), "not an encrypted text", 5, id="plain MAC"),
        pytest.param(AGE + REST.replace("type:str", "type:int"), "not an encrypted text", 5, id="MAC is no text"),
        pytest.param(AGE + REST.replace("lastmodified", "modified"), "no lastmodified", 2, id="no lastmodified"),
        pytest.param(AGE + REST.replace('"', ""), "lastmodified is not text", 4, id="lastmodified without quotes"),
        pytest.param(AGE + REST.replace("T03", " 03"), "not a timestamp", 4, id="lastmodified is no RFC 3339"),
        pytest.param(AGE + REST.replace("version", "ver"), "sops has no version", 2, id="no version"),
        pytest.param(AGE + REST.replace("3.9.0", "3.9"), "version is not text", 6, id="version is a number"),
        pytest.param(AGE + REST.replace("3.9.0", "three"), "not a version", 6, id="version is a word"),
        pytest.param(
            f"    encrypted_regex: a\n    encrypted_suffix: b\n{AGE}{REST}", "more than one", 2, id="selectors"
        ),
        pytest.param(
            f"    encrypted_regex: 5\n{AGE}{REST}", "encrypted_regex is not text", 3, id="selector is no text"
        ),
        pytest.param(f"    mac_only_encrypted: 'yes'\n{AGE}{REST}", "neither true nor false", 3, id="yes is no bool"),
        pytest.param(f"    mac_only_encrypted: [x]\n{AGE}{REST}", "neither true nor false", 3, id="list is no bool"),
        pytest.param(f"    Encrypted_Regex: a\n{AGE}{REST}", "another spelling", 3, id="sops would honour this"),
        pytest.param(f"    key_groups: [{{age: []}}]\n{AGE}{REST}", "key groups are not supported", 3, id="key groups"),
        pytest.param(f"    shamir_threshold: 2\n{AGE}{REST}", "Shamir threshold", 3, id="Shamir"),
        pytest.param(f"    shamir_threshold: [1]\n{AGE}{REST}", "Shamir threshold", 3, id="odd Shamir"),
    ],
)
def test_malformed_metadata_is_refused(fields: str, complaint: str, line: int) -> None:
    """As strict as sops or stricter, with the place."""
    with pytest.raises(MetadataError, match=complaint) as caught:
        read(fields)
    assert caught.value.mark is not None
    assert caught.value.mark.line == line


@pytest.mark.parametrize("document", [b"a: x\n", b"a: {sops: x}\n", b"{}\n"])
def test_an_unencrypted_file_is_named_so(document: bytes) -> None:
    """No metadata means not encrypted, and the advice says what to do."""
    with pytest.raises(MetadataError, match="the file is not encrypted") as caught:
        read_metadata(parse(document))
    assert caught.value.advice is not None


@pytest.mark.parametrize("value", [b"x", b"[x]", b"", b"5"])
def test_metadata_is_a_mapping(value: bytes) -> None:
    """Anything else called sops is refused at its place."""
    with pytest.raises(MetadataError, match="sops is not a mapping") as caught:
        read_metadata(parse(b"a: x\nsops: " + value))
    assert caught.value.mark == Mark(line=2, column=1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("'1'", True),
        ("1", True),
        ("T", True),
        ("false", False),
        ("''", False),
        ("~", False),
        ("0", False),
    ],
)
def test_mac_only_encrypted_is_weakly_typed(text: str, *, value: bool) -> None:
    """As sops reads it: bools, and what Go parses as one."""
    assert read(f"    mac_only_encrypted: {text}\n{AGE}{REST}").mac_only_encrypted is value


def test_unusual_metadata_is_read() -> None:
    """Unknown fields, other key sources, null lists, empty selectors, a fraction and an offset."""
    metadata = read(
        "    unknown: {a: [x]}\n    kms: [{arn: x}]\n    pgp: [{fp: x}]\n    hc_vault: null\n    key_groups: []\n"
        "    shamir_threshold: 0\n    encrypted_regex: ''\n    encrypted_suffix: null\n    unencrypted_regex: x\n"
        + AGE
        + REST.replace("05Z", "05.50+01:00")
    )
    assert metadata.other_sources == ("kms", "pgp")
    assert metadata.lastmodified == "2024-01-02T03:04:05.5+01:00"
    assert (metadata.encrypted_regex, metadata.encrypted_suffix, metadata.unencrypted_regex) == (None, None, "x")
    assert metadata.age == (AgeStanza(recipient="age1x", enc="y", mark=Mark(line=12, column=11)),)
