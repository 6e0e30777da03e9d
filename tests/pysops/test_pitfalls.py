"""What ports of the SOPS format get wrong, one case each: a file that such a port misreads.

Numbered as in our notes on the format; the judge of each case is the real sops.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from reconciler.pysops import (
    DocumentError,
    Identities,
    MacMismatch,
    MetadataError,
    NoIdentity,
    SopsError,
    load,
    parse,
    read_metadata,
)
from reconciler.pysops.values import typed_value
from tests.pysops.test_crypt import data_key_of, identities
from tests.pysops.test_public import everything_an_exception_tells
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsFailed, SopsTool


Change = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pitfall:
    """A file that sops makes, and what is in it."""

    plaintext: str
    values: Mapping[str, object]
    flags: tuple[str, ...] = ()
    change: Change | None = None
    """What is done to the encrypted file."""

    holds: str = "ENC"
    """A pattern that the file must hold, so that the case is one."""

    json: object = field(default=None)
    """What sops tells of it, if that differs."""


def replace(old: str, new: str) -> Change:
    """Replace the first match of a pattern."""

    def change(text: str) -> str:
        changed = re.sub(old, new, text, count=1, flags=re.MULTILINE)
        assert changed != text
        return changed

    return change


READ: Final = {
    "1 plain scalars are typed as by safe_load": Pitfall(
        plaintext="a_unencrypted: 1e22\nb_unencrypted: 2024-01-02T00:00:00Z\nc_unencrypted: yes\nd: x\n",
        values={
            "a_unencrypted": 1e22,
            "b_unencrypted": "2024-01-02T00:00:00Z",
            "c_unencrypted": "yes",
            "d": "x",
        },
        holds=r"1e\+22",
    ),
    "2 the nonce has 12 bytes": Pitfall(plaintext="a: x\n", values={"a": "x"}, holds="iv:[^,]{43}=,"),
    "3 positions in lists are bound": Pitfall(
        plaintext="a: [x, [y], {k: z}]\n", values={"a": ["x", ["y"], {"k": "z"}]}
    ),
    "4 no colon behind the last key": Pitfall(plaintext="a: {b: x}\n", values={"a": {"b": "x"}}),
    "5 floats as Python prints them": Pitfall(
        plaintext="a: 1e22\nb: 1.0\nc: 1e-7\nd: -0.0\n",
        values={"a": 1e22, "b": 1.0, "c": 1e-7, "d": -0.0},
        holds="type:float",
    ),
    "6 bools in lower case": Pitfall(
        plaintext="a: true\nb: FALSE\n", values={"a": True, "b": False}, holds="type:bool"
    ),
    "8 comments in lists are items": Pitfall(
        plaintext="l:\n  - x\n  # c\n  - y\n", values={"l": ["x", "y"]}, holds="- ENC.*type:comment"
    ),
    "9 suffixes count on the last key alone": Pitfall(
        plaintext="x_unencrypted: {a: b}\nc: d\n", values={"x_unencrypted": {"a": "b"}, "c": "d"}, holds="a: b"
    ),
    "10 no selector means that all is encrypted": Pitfall(
        plaintext="x_unencrypted: a\nb: c\n",
        values={"x_unencrypted": "a", "b": "c"},
        change=replace("    unencrypted_suffix: _unencrypted\n", ""),
    ),
    "11 selectors are Python's: digits": Pitfall(
        plaintext='"٣": a\n"3": b\n',
        values={"٣": "a", "3": "b"},
        flags=("--encrypted-regex", r"^\d$"),
        holds="٣: a",
    ),
    "11 selectors are Python's: classes": Pitfall(
        plaintext="é: a\nabc: b\n", values={"é": "a", "abc": "b"}, flags=("--encrypted-regex", "^[[:alpha:]]+$")
    ),
    "11 selectors are Python's: dollar": Pitfall(
        plaintext='"a\\n": b\na: c\n',
        values={"a\n": "b", "a": "c"},
        flags=("--encrypted-regex", "^(a|x)$"),
        holds=": b",
    ),
    "17 lastmodified is bound as written: offset": Pitfall(
        plaintext="a: x\n", values={"a": "x"}, change=replace(r'(lastmodified: ".+)Z"', r'\1+00:00"')
    ),
    "17 lastmodified is bound as written: fraction": Pitfall(
        plaintext="a: x\n", values={"a": "x"}, change=replace(r'(lastmodified: ".+)Z"', r'\1.5Z"')
    ),
    "18 nanoseconds are cut off": Pitfall(
        plaintext="a: 2024-01-02T03:04:05.123456789Z\n",
        values={"a": "2024-01-02T03:04:05.123456789Z"},
        holds="type:time",
    ),
    "19 null counts in the MAC": Pitfall(plaintext="a: null\nb: x\n", values={"a": None, "b": "x"}),
    "23 a number set by sops is an int": Pitfall(plaintext="a: 5.0\n", values={"a": 5.0}, json={"a": 5}),
}


@pytest.mark.parametrize("pitfall", [pytest.param(pitfall, id=name) for name, pitfall in READ.items()])
def test_files_that_are_misread(sops: SopsTool, age_key: AgeKey, pitfall: Pitfall) -> None:
    """They are read, as sops reads them."""
    file = sops.encrypt(pitfall.plaintext.encode(), [age_key.recipient], extra_args=pitfall.flags).decode()
    if pitfall.change is not None:
        file = pitfall.change(file)
    assert re.search(pitfall.holds, file)
    ours = load(file.encode(), identities(age_key))
    assert repr(ours) == repr(dict(pitfall.values))
    theirs = json.loads(sops.decrypt(file.encode(), age_key.identity, output_type="json"))
    assert theirs == (pitfall.values if pitfall.json is None else pitfall.json)


FIRST_DATA: Final = r"(a: ENC\[AES256_GCM,data:)"

REFUSED: Final = {
    "7 the MAC in lower case": (replace("(?<=mac: ).+", "x"), MetadataError, "not an encrypted text", 51),
    "12 base64 is not validated": (replace(FIRST_DATA, r"\1*"), DocumentError, "not whole", 25),
    "14 << is merged by the loader": (replace("^b: (.+)", r"<<:\n    b: \1"), DocumentError, "merge key", 25),
    "15 the last of equal keys wins": (replace("^b: .+", r"\g<0>\n\g<0>"), DocumentError, "stands twice", 1),
    "16 the metadata of a second document": (
        replace(r"^sops:\n", "---\nsops:\n"),
        DocumentError,
        "second document",
        1,
    ),
    "20 values before the MAC": (replace("(?<=c_unencrypted: )x", "y"), MacMismatch, "does not fit", 51),
}
"""What is done to a file, our error, and the exit code of sops."""


@pytest.mark.parametrize(
    ("change", "error", "complaint", "code"), [pytest.param(*case, id=name) for name, case in REFUSED.items()]
)
def test_files_that_are_read_and_should_not_be(
    sops: SopsTool, age_key: AgeKey, change: Change, error: type[SopsError], complaint: str, code: int
) -> None:
    """They are refused, by sops as well."""
    file = change(sops.encrypt(b"a: canary\nb: x\nc_unencrypted: x\n", [age_key.recipient]).decode()).encode()
    with pytest.raises(error, match=complaint):
        load(file, identities(age_key))
    with pytest.raises(SopsFailed) as refused:
        sops.decrypt(file, age_key.identity)
    assert refused.value.exit_code == code


def test_7_the_mac_is_in_upper_case(sops: SopsTool, age_key: AgeKey) -> None:
    """And of 128 digits; compared as a text."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    file = sops.encrypt(b"a: x\n", [age_key.recipient])
    metadata = read_metadata(parse(file))
    cipher = AESGCM(data_key_of(file, age_key))
    mac = cipher.decrypt(metadata.mac.iv, metadata.mac.data + metadata.mac.tag, metadata.lastmodified.encode())
    assert re.fullmatch(b"[0-9A-F]{128}", mac)


def test_11_a_selector_that_go_does_not_know(sops: SopsTool, age_key: AgeKey) -> None:
    """The binary ignores it and writes plain text, without a word; here it is an error."""
    file = sops.encrypt(b"a: canary\n", [age_key.recipient], encrypted_regex="^(?!foo)")
    assert b"a: canary" in file
    with pytest.raises(MetadataError, match="not a regular expression"):
        load(file, identities(age_key))


@pytest.mark.parametrize("plain", ["1_0", " 1", "1 ", "\u0661", "0x1", "1.0", ""])
def test_13_integers_are_not_those_of_python(plain: str) -> None:
    """What Python takes besides is none."""
    assert typed_value("int", plain.encode()) is None


def test_20_no_value_leaves_before_the_mac_is_verified(sops: SopsTool, age_key: AgeKey) -> None:
    """The error holds none either, nor the identity or the data key (21)."""
    file = sops.encrypt(b"a: canary\nb: x\nc_unencrypted: x\n", [age_key.recipient])
    tampered = file.replace(b"c_unencrypted: x", b"c_unencrypted: y")
    keys = identities(age_key)
    with pytest.raises(MacMismatch) as caught:
        load(tampered, keys)
    told = everything_an_exception_tells(caught.value)
    for secret in ("canary", age_key.identity, data_key_of(file, age_key).hex()):
        assert secret not in told


def test_21_errors_of_the_yaml_parser_quote_nothing(age_key: AgeKey) -> None:
    """Its own message shows the line."""
    with pytest.raises(DocumentError) as caught:
        load(b"a: canary: canary\n", identities(age_key))
    error = caught.value
    assert "canary" not in f"{error} {error!r} {vars(error)}"
    assert (error.__cause__, error.__context__) == (None, None)


def test_22_a_bad_source_of_keys_stops_no_other(sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> None:
    """Complaints show only when no source has a key that opens the file."""
    file = sops.encrypt(b"a: x\n", [age_key.recipient])
    key_file = tmp_path / "keys.txt"
    key_file.write_text(age_key.identity)
    environment = {"SOPS_AGE_KEY": "nonsense", "SOPS_AGE_KEY_FILE": str(key_file)}
    assert load(file, Identities.from_environment(environment, tmp_path)) == {"a": "x"}
    with pytest.raises(NoIdentity):
        load(file, Identities.from_environment({"SOPS_AGE_KEY": "nonsense"}, tmp_path))


def test_23_a_number_set_by_sops_is_a_float(sops: SopsTool, age_key: AgeKey, tmp_path: Path) -> None:
    """As stored, though the output of sops says 5: documented in docs/pysops.md."""
    path = tmp_path / "f.yaml"
    path.write_bytes(sops.encrypt(b"a: x\n", [age_key.recipient]))
    sops.run(("set", str(path), '["i"]', "5"), identity=age_key.identity)
    assert repr(load(path, identities(age_key))["i"]) == "5.0"


def test_every_pitfall_has_a_case() -> None:
    """All 23."""
    named = [*READ, *REFUSED, *(name.removeprefix("test_") for name in globals() if name.startswith("test_"))]
    numbers = {int(found[0]) for name in named if (found := re.match("[0-9]+", name)) is not None}
    assert numbers == set(range(1, 24))
