"""The tables of sops' own tests, tried on our reader and, where a file can be made of them, on the real sops.

From getsops/sops 3.13.3: aes/cipher_test.go, sops_test.go, stores/yaml/store_test.go. Names are those of its tests. Its
trees are written here as YAML and encrypted by the binary when the test runs, as sops ships no file encrypted to age.
Further ones: aes TestDecrypt in test_crypt.py, shamir_test.go in test_shamir.py, age/keysource_test.go in
test_age_keys.py and test_hybrid.py.
"""

import json
import re

import pytest

from reconciler.pysops import DocumentError, MacMismatch, MetadataError, SopsError, load
from reconciler.pysops.crypt import open_envelope
from reconciler.pysops.envelope import parse_envelope
from reconciler.pysops.values import mac_bytes, typed_value
from tests.pysops.handmade import seal
from tests.pysops.test_crypt import identities
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsFailed, SopsTool


@pytest.mark.parametrize(
    ("field", "pattern", "names", "encrypted"),
    [
        pytest.param(
            "unencrypted-suffix", "_unencrypted", "foo_unencrypted bar_unencrypted", "", id="UnencryptedSuffix"
        ),
        pytest.param("encrypted-suffix", "_encrypted", "foo_encrypted bar", "foo_encrypted", id="EncryptedSuffix"),
        pytest.param("encrypted-regex", "^enc:", "enc:foo bar", "enc:foo", id="EncryptedRegex"),
        pytest.param("unencrypted-regex", "^dec:", "dec:foo dec:bar", "", id="UnencryptedRegex"),
    ],
)
def test_selectors(sops: SopsTool, age_key: AgeKey, field: str, pattern: str, names: str, encrypted: str) -> None:
    """From sops_test.go, Test…: which leaves are encrypted, and that they come back."""
    first, second = names.split()
    plaintext = f"{first}: bar\n{second}:\n    foo: bar\n"
    file = sops.encrypt(plaintext.encode(), [age_key.recipient], extra_args=(f"--{field}", pattern))
    assert re.findall(r"^ *([\w:]+): ENC\[.+type:str\]$", file.decode().partition("\nsops:")[0], re.MULTILINE) == (
        [encrypted] if encrypted else []
    )
    assert load(file, identities(age_key)) == {first: "bar", second: {"foo": "bar"}}


def _config(key: AgeKey, *, mac_only_encrypted: bool) -> bytes:
    # sops 3.11 does not know the flag --mac-only-encrypted where 3.13 has it.
    rule = f"age: {key.recipient}, encrypted_suffix: _encrypted, mac_only_encrypted: {str(mac_only_encrypted).lower()}"
    return f"creation_rules: [{{{rule}}}]\n".encode()


def test_mac_only_encrypted(sops: SopsTool, age_key: AgeKey) -> None:
    """From sops_test.go, TestMACOnlyEncrypted: the MAC is that of the tree without what is plain."""
    file = sops.encrypt_by_config(
        b"foo_encrypted: bar\nbar:\n    foo: bar\n", _config(age_key, mac_only_encrypted=True)
    )
    without = file.replace(b"bar:\n    foo: bar\n", b"")
    assert without != file
    assert load(file, identities(age_key)) == {"foo_encrypted": "bar", "bar": {"foo": "bar"}}
    assert load(without, identities(age_key)) == {"foo_encrypted": "bar"}
    sops.decrypt(without, age_key.identity)


@pytest.mark.parametrize("mac_only_encrypted", [pytest.param(True, id="as such"), pytest.param(False, id="as usual")])
def test_mac_only_encrypted_is_never_confused(sops: SopsTool, age_key: AgeKey, *, mac_only_encrypted: bool) -> None:
    """From sops_test.go, TestMACOnlyEncryptedNoConfusion: the MAC differs even where all is encrypted."""
    file = sops.encrypt_by_config(b"foo_encrypted: bar\n", _config(age_key, mac_only_encrypted=mac_only_encrypted))
    if mac_only_encrypted:
        confused = file.replace(b"    mac_only_encrypted: true\n", b"")
    else:
        confused = file.replace(b"\n    mac: ", b"\n    mac_only_encrypted: true\n    mac: ")
    assert confused != file
    with pytest.raises(MacMismatch):
        load(confused, identities(age_key))
    with pytest.raises(SopsFailed) as refused:
        sops.decrypt(confused, age_key.identity)
    assert refused.value.exit_code == 51


def test_types(sops: SopsTool, age_key: AgeKey) -> None:
    """From sops_test.go, TestEncrypt and TestDecrypt: text, number in a mapping, bool, float, null."""
    plaintext = b"foo: bar\nbaz:\n    bar: 5\nbar: false\nfoobar: 2.12\nbarfoo: null\n"
    file = sops.encrypt(plaintext, [age_key.recipient])
    assert load(file, identities(age_key)) == {
        "foo": "bar",
        "baz": {"bar": 5},
        "bar": False,
        "foobar": 2.12,
        "barfoo": None,
    }
    assert re.findall(r"type:(\w+)\]", file.decode())[:4] == ["str", "int", "bool", "float"]


def test_comments(sops: SopsTool, age_key: AgeKey) -> None:
    """From sops_test.go, TestEncryptComments, TestDecryptComments and TestDecryptUnencryptedComments."""
    file = sops.encrypt(b"#foo\nlist:\n    - '1'\n    #bar\n    - '2'\n", [age_key.recipient])
    assert len(re.findall("type:comment", file.decode())) == 2
    assert load(file, identities(age_key)) == {"list": ["1", "2"]}
    assert load(b"#error\n" + file, identities(age_key)) == {"list": ["1", "2"]}


def test_timestamps(sops: SopsTool, age_key: AgeKey) -> None:
    """From aes/cipher_test.go, TestTimestamps: milliseconds since 1970, and an offset that is kept."""
    file = sops.encrypt(
        b"foo: 1970-01-02T10:17:36.789Z\nbar:\n    foo: 2006-01-02T15:04:05+07:00\n", [age_key.recipient]
    )
    assert load(file, identities(age_key)) == {
        "foo": "1970-01-02T10:17:36.789Z",
        "bar": {"foo": "2006-01-02T15:04:05+07:00"},
    }


def test_empty_values(sops: SopsTool, age_key: AgeKey) -> None:
    """From aes/cipher_test.go, TestDecryptEmptyValue and TestEncryptEmptyComment: empty text is not encrypted."""
    file = sops.encrypt(b"#\na: ''\nb: x\n", [age_key.recipient])
    assert b'\na: ""\n' in file
    assert load(file, identities(age_key)) == {"a": "", "b": "x"}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param("str", "foo", id="String"),
        pytest.param("float", 2.12, id="Float"),
        pytest.param("float", 1.7976931348623157e308, id="Float, large"),
        pytest.param("int", -(2**63), id="Int"),
        pytest.param("bool", True, id="Bool"),
        pytest.param("time", "2006-01-02T15:04:05.000000001-07:00", id="Time"),
    ],
)
def test_roundtrips(kind: str, value: object) -> None:
    """From aes/cipher_test.go, TestRoundtrip…: what a value adds to the MAC is also what is encrypted of it."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = b"f" * 32
    envelope = parse_envelope(seal(key, mac_bytes(value), b"a:b:", kind))
    assert envelope is not None
    plain = open_envelope(AESGCM(key), envelope, b"a:b:")
    assert plain is not None
    assert typed_value(envelope.kind, plain) == value


PROMETHEUS = """\
## Configuration for prometheus-node-exporter subchart
##
prometheus-node-exporter:
  podLabels:
    ## Add the 'node-exporter' label
    ##

    jobLabel: node-exporter
  extraArgs:
    - --collector.filesystem.ignored-mount-points=^/(dev|proc|sys|var/lib/docker/.+)($|/)
    - --collector.filesystem.ignored-fs-types=^(autofs|binfmt_misc)$
"""


@pytest.mark.parametrize(
    ("plaintext", "values"),
    [
        pytest.param("# test\na:\n    b: null\n    # foo\n", {"a": {"b": None}}, id="Comment1"),
        pytest.param("a:\n    # foo\n    b: null\n", {"a": {"b": None}}, id="Comment2"),
        pytest.param(
            PROMETHEUS,
            {
                "prometheus-node-exporter": {
                    "podLabels": {"jobLabel": "node-exporter"},
                    "extraArgs": [
                        "--collector.filesystem.ignored-mount-points=^/(dev|proc|sys|var/lib/docker/.+)($|/)",
                        "--collector.filesystem.ignored-fs-types=^(autofs|binfmt_misc)$",
                    ],
                }
            },
            id="Comment3",
        ),
        pytest.param("a:\n    - a\n    # I no longer get duplicated\n    - {}\n", {"a": ["a", {}]}, id="Comment6"),
        pytest.param(
            "a:\n    b:\n        c: d\n    # comment\n\ne:\n    - f\n",
            {"a": {"b": {"c": "d"}}, "e": ["f"]},
            id="Comment7",
        ),
        pytest.param(
            "key1: value1 # inline comment\nkey2: value2\n# head comment\nkey3: value3 # another inline\n",
            {"key1": "value1", "key2": "value2", "key3": "value3"},
            id="CommentInline",
        ),
        pytest.param(
            "items:\n    - value1 # inline on list item\n    - value2\n",
            {"items": ["value1", "value2"]},
            id="CommentInlineSequence",
        ),
        pytest.param(
            "parent:\n    child1: value1 # nested inline\n    child2: value2\n",
            {"parent": {"child1": "value1", "child2": "value2"}},
            id="CommentInlineNested",
        ),
        pytest.param("{}\n", {}, id="Empty3"),
        pytest.param(
            "key1: &foo\n  - foo\nkey2: *foo\nkey3: &bar\n  foo: bar\n  baz: bam\nkey4: *bar\n",
            {
                "key1": ["foo"],
                "key2": ["foo"],
                "key3": {"foo": "bar", "baz": "bam"},
                "key4": {"foo": "bar", "baz": "bam"},
            },
            id="LoadAliasesPlainFile, which sops writes out when it encrypts",
        ),
    ],
)
def test_yaml_files(sops: SopsTool, age_key: AgeKey, plaintext: str, values: object) -> None:
    """From stores/yaml/store_test.go, Test…: what such a file holds, encrypted by sops, and what sops reads of it."""
    file = sops.encrypt(plaintext.encode(), [age_key.recipient])
    assert load(file, identities(age_key)) == values
    assert json.loads(sops.decrypt(file, age_key.identity, output_type="json")) == values


@pytest.mark.parametrize(
    ("file", "error", "complaint"),
    [
        pytest.param("hello: 2", MetadataError, "not encrypted", id="UnmarshalMetadataFromNonSOPSFile"),
        pytest.param("", DocumentError, "empty", id="Empty"),
        pytest.param(
            "---\n# comment 0\nkey1: value\nkey1_a: value\n# ^ comment 1\n---\nkey2: value2",
            DocumentError,
            "second document",
            id="LoadPlainFile, of two documents",
        ),
        pytest.param(
            'hello: Sops config file\nhello: Duplicates are not ok\nrootunique:\n  key2: "value"\n  key2: "foo"\n',
            DocumentError,
            "stands twice",
            id="DuplicateAttributes",
        ),
        pytest.param("sops_: value", MetadataError, "not encrypted", id="HasSopsTopLevelKey, not"),
        pytest.param("sops: value", MetadataError, "not a mapping", id="HasSopsTopLevelKey"),
    ],
)
def test_yaml_files_that_are_refused(
    sops: SopsTool, age_key: AgeKey, file: str, error: type[SopsError], complaint: str
) -> None:
    """From stores/yaml/store_test.go, Test…: not decrypted by sops either."""
    with pytest.raises(error, match=complaint):
        load(file.encode(), identities(age_key))
    with pytest.raises(SopsFailed):
        sops.decrypt(file.encode(), age_key.identity)
