"""The ``sops`` mapping: what it must hold, and that the real sops takes and refuses the same."""

import json
from collections.abc import Mapping
from typing import Final

import pytest

from reconciler.pysops import Mark, Metadata, MetadataError, Recipient, WrappedKey, load, parse, read_metadata
from tests.pysops.handmade import (
    DATA_KEY,
    SEALED_AT,
    TEXT,
    decodes_weakly,
    handmade,
    identities_of,
    seal,
    sops_reads,
    stanza,
    we_read,
)
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsTool


MAC = "ENC[AES256_GCM,data:oYyi,iv:MyIDYbT718JRr11QtBkcj3Dwm4k1aCGZBVeZf0EyV8o=,tag:t5z2Z023Up0kxwCgw1gNxg==,type:str]"

AGE = "    age: [{recipient: age1x, enc: y}]\n"
REST = f'    lastmodified: "2024-01-02T03:04:05Z"\n    mac: {MAC}\n    version: 3.9.0\n'
DATED = "created_at: '2024-01-02T03:04:05Z'"


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
    assert (metadata.mac.kind, metadata.mac.size) == ("str", 128)
    assert metadata.lastmodified.endswith("Z")
    assert (metadata.mark.line, len(metadata.key_groups), metadata.mac_only_encrypted) == (2, 1, False)
    assert (metadata.selector_mark.column, metadata.mac_mark.column) == (22, 10)


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
        pytest.param(f"    age: [{{enc: [5]}}]\n{REST}", "enc of sops.age is not text", 3, id="enc is no text"),
        pytest.param(f"    pgp: [{{fp: x}}]\n{AGE}{REST}", "created_at of sops.pgp is not", 3, id="no created_at"),
        pytest.param(f"    hckms: [{{key_id: x, {DATED}}}]\n{REST}", "key_id of sops.hckms", 3, id="no region"),
        pytest.param(AGE + REST.replace("mac:", "mac_:"), "sops has no mac", 2, id="no MAC"),
        pytest.param(AGE + REST.replace(MAC, "null"), "sops has no mac", 2, id="null MAC"),
        pytest.param(AGE + REST.replace(MAC, "''"), "sops has no mac", 5, id="empty MAC"),
        pytest.param(AGE + REST.replace(MAC, "[x]"), "mac is not text", 5, id="MAC is a list"),
        pytest.param(AGE + REST.replace(MAC, "abc"), "not an encrypted text", 5, id="plain MAC"),
        pytest.param(AGE + REST.replace("type:str", "type:int"), "not an encrypted text", 5, id="MAC is no text"),
        pytest.param(AGE + REST.replace("lastmodified", "modified"), "no lastmodified", 2, id="no lastmodified"),
        pytest.param(AGE + REST.replace('"', ""), "lastmodified is not text", 4, id="lastmodified without quotes"),
        pytest.param(AGE + REST.replace("T03", " 03"), "not a timestamp", 4, id="lastmodified is no RFC 3339"),
        pytest.param(AGE + REST.replace("version", "ver"), "sops has no version", 2, id="no version"),
        pytest.param(AGE + REST.replace("3.9.0", "3.9"), "not a version", 6, id="version is a number"),
        pytest.param(AGE + REST.replace("3.9.0", "three"), "not a version", 6, id="version is a word"),
        pytest.param(
            f"    encrypted_regex: a\n    encrypted_suffix: b\n{AGE}{REST}", "more than one", 2, id="selectors"
        ),
        pytest.param(f"    encrypted_regex: []\n{AGE}{REST}", "encrypted_regex is not text", 3, id="selector"),
        pytest.param(f"    mac_only_encrypted: 'yes'\n{AGE}{REST}", "neither true nor false", 3, id="yes is no bool"),
        pytest.param(f"    mac_only_encrypted: [x]\n{AGE}{REST}", "neither true nor false", 3, id="list is no bool"),
        pytest.param(f"    shamir_threshold: [1]\n{AGE}{REST}", "shamir_threshold is not a number", 3, id="odd Shamir"),
        pytest.param(f"    key_groups: [x]\n{AGE}{REST}", "an item of sops.key_groups", 3, id="odd key group"),
        pytest.param(
            f"    key_groups: [{{}}, {{}}]\n    shamir_threshold: 3\n{REST}",
            "above the number",
            4,
            id="Shamir too high",
        ),
    ],
)
def test_malformed_metadata_is_refused(fields: str, complaint: str, line: int) -> None:
    """As strict as sops or stricter, with the place."""
    with pytest.raises(MetadataError, match=complaint) as caught:
        read(fields)
    assert caught.value.mark is not None
    assert caught.value.mark.line == line


@pytest.mark.parametrize("document", [b"a: x\n", b"a: {sops: x}\n", b"{}\n", b"Sops: {}\n"])
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


def test_every_kind_of_recipient_is_named_as_sops_names_it() -> None:
    """``ToString`` of its key sources; numbers and bools are texts, missing ones empty."""
    metadata = read(
        f"    kms: [{{arn: 'arn:x', role: r, context: {{b: 5, a: true, c: null}}, aws_profile: p, {DATED}}}]\n"
        f"    gcp_kms: [{{resource_id: projects/p, {DATED}}}]\n"
        f"    hckms: [{{key_id: 'eu:1', {DATED}}}]\n"
        f"    azure_kv: [{{vault_url: 'https://v', name: n, {DATED}}}]\n"
        f"    hc_vault: [{{vault_address: 'https://v', engine_path: e, key_name: 7, {DATED}}}]\n"
        f"    pgp: {{fp: AB, {DATED}}}\n"
        "    age: [null, {recipient: age1x, enc: y}, {recipient: age1x, enc: z}]\n" + REST
    )
    assert list(map(str, metadata.recipients)) == [
        *("age ", "age age1x", "pgp AB", "kms arn:x+r|a:1,b:5,c:|p", "gcp_kms projects/p", "hckms eu:1"),
        *("azure_kv https://v/keys/n/", "hc_vault https://v/v1/e/keys/7"),
    ]
    assert len(metadata.wrapped_keys) == 9


def test_unusual_metadata_is_read() -> None:
    """Unknown fields, null lists, empty selectors, names in capitals, a fraction and an offset."""
    metadata = read(
        "    unknown: {a: [x]}\n    hc_vault: null\n    key_groups: []\n    Shamir_Threshold: '0x2'\n"
        "    encrypted_regex: ''\n    encrypted_suffix: null\n    UNENCRYPTED_REGEX: x\n"
        + AGE
        + REST.replace("05Z", "05.50+01:00").replace("mac", "MAC")
    )
    assert metadata.lastmodified == "2024-01-02T03:04:05.5+01:00"
    assert (metadata.encrypted_regex, metadata.encrypted_suffix, metadata.unencrypted_regex) == (None, None, "x")
    assert metadata.shamir_threshold == 2
    (key,) = metadata.wrapped_keys
    assert key == WrappedKey(recipient=Recipient(kind="age", name="age1x"), enc="y", mark=Mark(line=10, column=11))


# What follows is tried on the real sops, as long as it is one that decodes metadata as those of our day do. R stands
# for an item of the list age that opens the file, O for another one.


def case(name: str, text: str | None, **others: str | None) -> object:
    """Make a case of one field, or more."""
    fields = {name: text, **others}
    return pytest.param(fields, id=", ".join(f"{key} {value}" for key, value in fields.items()))


def cases(name: str, texts: str) -> list[object]:
    """Make a case of each line."""
    return [case(name, text.strip()) for text in texts.strip().splitlines()]


READ: Final = [
    case("unknown", "{a: [x]}"),
    *cases("version", "v3.9.0\n 99.0.0\n 1.14\n 1.x\n '1.'\n 3.13.3-rc.1\n 3.13.3-0\n 3.13.3+b.1\n 3.0.0-1a\n 0.0.0"),
    *cases("version", "18446744073709551615.0.0\n '3.9.0'\n 3.9.0+a-b\n 3.2.9\n 1.25"),
    *(case("version", None, **{name: "3.13.3"}) for name in ("Version", "VERSION", "ver\u017fion")),
    case("lastmodified", None, lastModified=f'"{SEALED_AT}"'),
    *cases("lastmodified", '"2024-01-02T03:04:05.5Z"\n "2024-01-02T03:04:05,5Z"\n "2024-01-02T3:04:05Z"'),
    *cases("lastmodified", '"2024-01-02T03:04:05.12345678901234567890Z"\n "2024-01-02T03:04:05-00:00"'),
    *cases("shamir_threshold", "0\n 1\n 7\n -1\n '2'\n '0x2'\n ''\n true\n 1.5\n null\n '1_0'\n '010'\n '0b1'\n '+1'"),
    *cases("mac_only_encrypted", "false\n 'f'\n 0\n 0.0\n -0.0\n ''\n null\n '0'\n FALSE"),
    *cases("encrypted_regex", "''\n null\n '^a$'\n a"),
    case("encrypted_regex", "'^a$'", encrypted_suffix="''"),
    case("Encrypted_Regex", "'^a$'"),
    *cases("unencrypted_suffix", "5\n true\n 1.5\n x\n null"),
    *cases("age", "R\n [R, null]\n [O, R]\n [R, {}]\n [R, {recipient: 5, enc: true}]\n [R, {unknown: x}]"),
    case("AGE", "[R]", age=None),
    *cases("kms", f"[{{arn: x, {DATED}}}]\n {{{DATED}}}\n null\n []\n {{}}\n [{{Arn: 5, CREATED_AT: '{SEALED_AT}'}}]"),
    *cases("pgp", f"[{{fp: x, {DATED}}}]\n [{{created_at: '2024-01-02T3:04:05,5+24:60', enc: 5}}]"),
    *cases("hckms", f"[{{key_id: 'a:b', {DATED}}}]\n [{{key_id: ' a : b:c ', {DATED}}}]"),
    *(
        case("kms", f"[{{arn: x, {DATED}, context: {context}}}]")
        for context in ("{a: b}", "{a: 5, b: null}", "null", "[]", "[{a: b}, null, [{c: d}]]")
    ),
    *(
        case("kms", f"[{{arn: x, {DATED}, context: {context}}}]", version=version)
        for version, context in (("3.2.0", "{a: b, c: b}"), ("3.2.0", "{a: b}"), ("3.3.0", "{a: b, c: d}"))
    ),
    *(case("key_groups", groups, age=None) for groups in ("[{age: R}]", "{age: [R]}", "[{Age: [R]}]")),
    *cases("key_groups", "[{}]\n [null]\n null\n [{pgp: [{fp: x}]}]\n [{age: [O]}, {age: [O]}]"),
]
"""What both read."""

REFUSED: Final = [
    *cases("version", "3.9\n '3.9'\n '1'\n vv3.9.0\n v1.14\n 3.13.3-01\n 3.13.3+\n 3.13.3-\n 3.13.3-a..b\n 03.1.0"),
    *cases("version", "18446744073709551616.0.0\n 3.0.0-18446744073709551616\n 3.0.0-é\n '3.9.0 '\n 3.9.0.1\n true"),
    *cases("version", "null\n ''\n [3.9.0]\n 2024-01-02\n V3.9.0\n '٣.9.0'\n 3.9.0-a+b+c"),
    case("version", None),
    *cases("mac", "null\n ''\n 5\n true\n [x]\n 2024-01-02\n {}"),
    *cases("lastmodified", '2024-01-02T03:04:05Z\n "2024-01-02T03:04:05.Z"\n "2024-01-02t03:04:05Z"\n 5\n []\n null'),
    *cases("lastmodified", '"2024-01-02T03:04:05z"\n "2024-01-02 03:04:05Z"\n " 2024-01-02T03:04:05Z"\n ""'),
    *cases(
        "lastmodified", '"2024-1-02T03:04:05Z"\n "2024-01-02T03:04Z"\n "2024-01-02T03:04:05"\n "2023-02-29T03:04:05Z"'
    ),
    *cases("lastmodified", '"2024-01-02T24:04:05Z"\n "2024-01-02T03:04:60Z"\n "2024-01-02T03:04:06Z"'),
    case("lastmodified", None),
    *cases(
        "shamir_threshold", "'x'\n [1]\n {}\n '9223372036854775808'\n 2024-01-02\n '08'\n '1_'\n '0x'\n ' 1'\n '1.0'"
    ),
    *cases("mac_only_encrypted", "'yes'\n yes\n 'tRUE'\n '2'\n [x]\n []\n {}\n 2024-01-02\n true\n 'T'\n 2\n .nan"),
    *cases("encrypted_regex", "[a]\n {}\n 2024-01-02\n 5\n x"),
    case("encrypted_regex", "'^a$'", encrypted_suffix="a"),
    case("Unencrypted_Regex", "'^a$'"),
    *cases("age", "[null]\n []\n null\n {}\n ''\n x\n 5\n [R, x]\n [R, []]\n [[R]]\n [O]\n [R, {enc: [x]}]"),
    case("age", None),
    *cases("kms", f"[{{arn: x}}]\n [null]\n ''\n [{{arn: [x], {DATED}}}]\n [{{arn: x, created_at: {SEALED_AT}}}]"),
    *cases("pgp", "[{fp: x, created_at: ''}]\n x\n [{fp: x, created_at: '2024-01-02'}]"),
    *(case("hckms", f"[{{key_id: {key_id}, {DATED}}}]") for key_id in ("a", "'a:'", "':b'", "' : b'", "5", "null")),
    *(
        case("kms", f"[{{arn: x, {DATED}, context: {context}}}]")
        for context in ("[x]", "x", "''", "5", "{a: [x]}", "{a: {b: c}}", "{a: 2024-01-02}")
    ),
    *(
        case("kms", f"[{{arn: x, {DATED}, context: {context}}}]", version=version)
        for version, context in (
            *(("3.2.0", "{a: b, c: d}"), ("1.0", "{a: b, c: d}"), ("3.3.0-rc.1", "{a: b, c: d}")),
            ("v3.2.0", "{a: null, b: null}"),
        )
    ),
    *(case("key_groups", groups, age=None) for groups in ("[]", "[x]", "[null]", "x", "[{age: [R]}, {}]")),
    *cases("key_groups", "x\n [x]\n [{pgp: x}]\n [{pgp: [{fp: [x]}]}]"),
]
"""What both refuse."""

ONLY_SOPS_READS: Final = [
    case("Version", "3.9.0"),
    case("Encrypted_Regex", "'^a$'", encrypted_regex="'^a$'"),
    case("AGE", "[R]"),
    case("age", "[{recipient: x, enc: y, ENC: z}, R]"),
    *cases("shamir_threshold", "1e300\n .nan"),
]
"""Of two spellings sops takes the exact one, else any; what Go makes of such a number depends on the processor."""


def made(fields: Mapping[str, str | None], key: AgeKey) -> bytes:
    """Make the file of a case."""
    ours, other = json.dumps(stanza(key.recipient)), json.dumps(stanza(AgeKey.generate().recipient))
    placed = {
        name: text if text is None or name.lower() not in {"age", "key_groups"} else _placed(text, ours, other)
        for name, text in fields.items()
    }
    return handmade(key.recipient, placed)


def _placed(text: str, ours: str, other: str) -> str:
    return "".join({"R": ours, "O": other}.get(character, character) for character in text)


@pytest.mark.parametrize("fields", READ)
def test_what_sops_reads_is_read(fields: Mapping[str, str | None], sops: SopsTool, age_key: AgeKey) -> None:
    """Odd spellings, as mapstructure takes them."""
    file = made(fields, age_key)
    assert sops_reads(sops, file, age_key) or not decodes_weakly(sops)
    assert we_read(file, age_key)


@pytest.mark.parametrize("fields", REFUSED)
def test_what_sops_refuses_is_refused(fields: Mapping[str, str | None], sops: SopsTool, age_key: AgeKey) -> None:
    """With an error of ours."""
    file = made(fields, age_key)
    assert not (decodes_weakly(sops) and sops_reads(sops, file, age_key))
    assert not we_read(file, age_key)


@pytest.mark.parametrize("fields", ONLY_SOPS_READS)
def test_what_sops_would_guess_is_refused(fields: Mapping[str, str | None], sops: SopsTool, age_key: AgeKey) -> None:
    """Stricter than the binary: whoever reviews the file must see the same as whoever reads it."""
    file = made(fields, age_key)
    assert sops_reads(sops, file, age_key) or not decodes_weakly(sops)
    assert not we_read(file, age_key)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(("+01:00", "+01:00"), ("+24:00", "+24:00"), ("+23:60", "+24:00"), ("+24:60", "+25:00"), ("+00:60", "+01:00")),
        *(("-05:30", "-05:30"), ("+00:00", "Z"), (".9Z", "Z"), (",9-00:00", "Z")),
    ],
)
def test_the_mac_is_bound_to_lastmodified_as_go_prints_it(
    written: str, meant: str, sops: SopsTool, age_key: AgeKey
) -> None:
    """In its own offset, to the second."""
    start = SEALED_AT.removesuffix("Z")
    file = handmade(age_key.recipient, {"lastmodified": f'"{start}{written}"'}, sealed_at=f"{start}{meant}")
    assert sops_reads(sops, file, age_key) or not decodes_weakly(sops)
    assert we_read(file, age_key)


@pytest.mark.parametrize("written", ["+25:00", "+24:61", "+0100", "+01", "Z+01:00", "+1:00"])
def test_an_offset_that_is_none_is_refused(written: str, sops: SopsTool, age_key: AgeKey) -> None:
    """Whatever the MAC is bound to."""
    start = SEALED_AT.removesuffix("Z")
    file = handmade(age_key.recipient, {"lastmodified": f'"{start}{written}"'}, sealed_at=f"{start}{written}")
    assert not (decodes_weakly(sops) and sops_reads(sops, file, age_key))
    assert not we_read(file, age_key)


def test_the_mac_may_have_its_name_in_capitals(sops: SopsTool, age_key: AgeKey) -> None:
    """As any field."""
    file = handmade(age_key.recipient)
    named = file.replace(b"    mac:", b"    MAC:")
    assert sops_reads(sops, named, age_key) or not decodes_weakly(sops)
    assert we_read(named, age_key)


@pytest.mark.parametrize(("number", "text"), [("1.50", "1.5"), ("1e21", "1000000000000000000000"), ("0x10", "16")])
def test_numbers_become_text_as_go_prints_them(number: str, text: str, sops: SopsTool, age_key: AgeKey) -> None:
    """Here as a suffix, which the key of the value has."""
    plain = handmade(age_key.recipient, {"encrypted_suffix": number})
    file = plain.replace(
        plain.partition(b"\n")[0], f'"a{text}": {seal(DATA_KEY, TEXT.encode(), f"a{text}:".encode())}'.encode()
    )
    if decodes_weakly(sops):
        assert json.loads(sops.decrypt(file, age_key.identity, output_type="json")) == {f"a{text}": TEXT}
    assert load(file, identities_of(age_key)) == {f"a{text}": TEXT}
