"""Opened values, and what they add to the MAC."""

import hashlib
import math
import re
from collections.abc import Sequence
from typing import Final, cast

import pytest

from reconciler.pysops import TamperedValue, load
from reconciler.pysops.envelope import EnvelopeKind
from reconciler.pysops.values import COMMENT, mac_bytes, typed_value
from tests.pysops.handmade import DATA_KEY, SEALED_AT, handmade, identities_of, seal
from tests.pysops.verdicts import is_same, reading_of
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsFailed, SopsTool


@pytest.mark.parametrize(
    ("kind", "plain", "value"),
    [
        pytest.param("str", b"0123", "0123", id="text stays text"),
        pytest.param("str", b"\xff\x00", b"\xff\x00", id="text that is not UTF-8"),
        pytest.param("int", b"-12", -12, id="int"),
        pytest.param("int", b"9223372036854775808", None, id="int out of range"),
        pytest.param("int", b"1_0", None, id="int with underscore"),
        pytest.param("int", b" 1", None, id="int with blank"),
        pytest.param("int", "\u0661".encode(), None, id="int of other digits"),
        pytest.param("int", b"hunter2", None, id="no int"),
        pytest.param("int", b"9" * 5000, None, id="int of too many digits"),
        pytest.param("int", b"\xff", None, id="int that is not UTF-8"),
        pytest.param("float", b"1.5", 1.5, id="float"),
        pytest.param("float", b"-Inf", -math.inf, id="infinity"),
        pytest.param("float", b"1e400", None, id="float out of range"),
        pytest.param("float", b"1_0.5", 10.5, id="float with underscore"),
        pytest.param("float", b"1__0", None, id="float with two underscores"),
        pytest.param("float", b"1_.5", None, id="float with underscore before the point"),
        pytest.param("float", b"0x1.8p1", 3.0, id="float in hexadecimal"),
        pytest.param("float", b"0X_1P-2", 0.25, id="float in hexadecimal, underscore"),
        pytest.param("float", b"0x1.8", None, id="float in hexadecimal without exponent"),
        pytest.param("float", b"0x1p9999", None, id="float in hexadecimal, out of range"),
        pytest.param("float", b"Infinity", math.inf, id="infinity in full"),
        pytest.param("float", b"-iNf", -math.inf, id="infinity in any case"),
        pytest.param("float", b"+nan", None, id="NaN has no sign"),
        pytest.param("int", b"0" * 5000 + b"7", 7, id="int of many zeros"),
        pytest.param("bool", b"True", True, id="bool"),
        pytest.param("bool", b"f", False, id="short bool"),
        pytest.param("bool", b"yes", None, id="no bool"),
        pytest.param("time", b"2024-01-02T03:04:05.50Z", "2024-01-02T03:04:05.5Z", id="time"),
        pytest.param("time", b"2024-01-02", None, id="no time"),
        pytest.param("time", b"2024-01-02T3:04:05,5Z", "2024-01-02T03:04:05.5Z", id="time, as loose as Go's"),
        pytest.param("time", b"2024-01-02T03:04:05+24:00", None, id="time that Go does not print"),
        pytest.param("comment", b"\xff", COMMENT, id="comment"),
    ],
)
def test_opened_values_have_the_type_of_their_envelope(kind: EnvelopeKind, plain: bytes, value: object) -> None:
    """The text of an envelope becomes a value of its type, or None when it is none."""
    found = typed_value(kind, plain)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("value", "added"),
    [
        pytest.param("é", "é".encode(), id="text"),
        pytest.param(b"\xff", b"\xff", id="bytes"),
        pytest.param(True, b"True", id="true"),
        pytest.param(False, b"False", id="false"),
        pytest.param(-12, b"-12", id="int"),
        pytest.param(1.0, b"1", id="no trailing zero"),
        pytest.param(1e22, b"10000000000000000000000", id="no exponent"),
        pytest.param(1e-7, b"0.0000001", id="small"),
        pytest.param(-0.0, b"-0", id="negative zero"),
        pytest.param(100.0, b"100", id="zeros of an integer stay"),
        pytest.param(math.inf, b"+Inf", id="infinity"),
        pytest.param(-math.inf, b"-Inf", id="negative infinity"),
        pytest.param(math.nan, b"NaN", id="not a number"),
    ],
)
def test_mac_bytes_are_those_of_go(value: object, added: bytes) -> None:
    """A leaf adds to the MAC what Go prints."""
    assert mac_bytes(value) == added


def test_only_leaves_add_to_the_mac() -> None:
    """Asking for the bytes of anything else is a mistake of ours."""
    with pytest.raises(TypeError, match="no leaf: dict"):
        mac_bytes({})


ODD: Final[tuple[tuple[EnvelopeKind, str], ...]] = (
    *(
        ("float", text)
        for text in ("1_0", "0x1p-2", "0X_1.8P+1", "inf", "+Infinity", "-iNF", "5.", ".5", "00012", "1E+2")
    ),
    *(
        ("float", text)
        for text in ("1e-400", "-1e-400", "4.9e-324", "1.7976931348623157e308", "-0", "0x.8p1", "1_0.0_1e1_0")
    ),
    *(("int", text) for text in ("+5", "-0", "007", "0" * 5000 + "7", "-9223372036854775808")),
    *(("bool", text) for text in ("t", "TRUE", "1", "F", "False", "0")),
    *(("time", text) for text in ("2024-01-02T3:04:05Z", "2024-01-02T03:04:05,5Z", "2024-01-02T03:04:05-00:00")),
    *(("time", text) for text in ("0000-02-29T00:00:00.1234567899Z", "2024-01-02T03:04:05+22:60")),
)

NONE: Final[tuple[tuple[EnvelopeKind, str], ...]] = (
    *(("float", text) for text in ("1__0", "1_", "0x1", "0x1p9999", "+nan", "1e400", "0b1", "1_.5")),
    *(("int", text) for text in ("1_0", "0x5", "9223372036854775808")),
    *(("bool", text) for text in ("tRUE", "yes")),
    *(("time", text) for text in ("2024-01-02T03:04:05+24:00", "2024-01-02T24:00:00Z", "2024-01-02t03:04:05Z")),
)


def sealed(key: AgeKey, values: Sequence[tuple[str, str]]) -> bytes:
    """Make a file with a list of such values; each counts in the MAC as we think, or not at all."""
    digest = hashlib.sha512()
    for kind, text in values:
        value = typed_value(cast("EnvelopeKind", kind), text.encode())
        digest.update(b"" if value is None else mac_bytes(value))
    mac = seal(DATA_KEY, digest.hexdigest().upper().encode(), SEALED_AT.encode())
    file = handmade(key.recipient, {"mac": mac}).decode()
    items = "\n".join(f"- {seal(DATA_KEY, text.encode(), b'a:', kind)}" for kind, text in values)
    return re.sub("^a: .+", f"a:\n{items}", file).encode()


def test_odd_spellings_are_read_as_sops_reads_them(sops: SopsTool, age_key: AgeKey) -> None:
    """What Go's parsers take besides what sops writes itself."""
    file = sealed(age_key, ODD)
    assert is_same(load(file, identities_of(age_key)), reading_of(file, age_key.identity, sops))


@pytest.mark.parametrize("value", [pytest.param(value, id=" ".join(value)) for value in NONE])
def test_what_is_not_of_its_type_is_refused_by_sops_as_well(
    sops: SopsTool, age_key: AgeKey, value: tuple[EnvelopeKind, str]
) -> None:
    """As it walks the values: exit code 25, not 51."""
    file = sealed(age_key, [value])
    with pytest.raises(TamperedValue):
        load(file, identities_of(age_key))
    with pytest.raises(SopsFailed) as refused:
        sops.decrypt(file, age_key.identity)
    assert refused.value.exit_code == 25
