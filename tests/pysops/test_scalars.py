"""Plain scalars mean what sops takes them for."""

import random
import re

import pytest

from reconciler.pysops import DocumentError, parse
from reconciler.pysops.scalars import OffsetTooLarge, RefusedScalar, ScalarKind, UnsignedOverflow, kind_of, plain_value
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsFailed, SopsTool


SCALARS_PER_CASE = 600

_ALPHABETS = ("0123456789", "01_", "0123456789+-._e", "0123456789abcdefxX_-+", "01bB_+-", "01278oO_+-", "infINFaA.+-")

_TYPE_OF_SOPS = {
    "str": ScalarKind.STR,
    "int": ScalarKind.INT,
    "float": ScalarKind.FLOAT,
    "bool": ScalarKind.BOOL,
    "time": ScalarKind.TIMESTAMP,
}


@pytest.mark.parametrize("seed", range(3))
def test_kinds_are_those_of_sops(seed: int, sops: SopsTool, age_key: AgeKey) -> None:
    """The real sops gives random scalars the types that we give them."""
    rng = random.Random(seed)  # noqa: S311  # no secret depends on it
    scalars = [scalar for scalar in (_random_scalar(rng) for _ in range(SCALARS_PER_CASE)) if _is_readable(scalar)]
    plaintext = "".join(f"- {scalar}\n" for scalar in scalars)
    ciphertext = sops.encrypt(f"a:\n{plaintext}".encode(), [age_key.recipient]).decode()
    types = re.findall(r"^ +- (?:ENC\[.*,type:(\w+)\]|null)$", ciphertext.partition("sops:")[0], re.MULTILINE)
    kinds = [_TYPE_OF_SOPS.get(name, ScalarKind.NULL) for name in types]
    assert dict(zip(scalars, kinds, strict=True)) == {scalar: kind_of(scalar) for scalar in scalars}


def _random_scalar(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return _random_timestamp(rng)
    return "".join(rng.choices(rng.choice(_ALPHABETS), k=rng.choice((1, 2, 3, 5, 8, 19, 20, 21))))


def _random_timestamp(rng: random.Random) -> str:
    def number(limit: int) -> str:
        return format(rng.randint(0, limit), rng.choice(("", "02")))

    date = f"{rng.choice(('2024', '2023', '1900', '0000', '24'))}-{number(13)}-{number(32)}"
    if rng.random() < 0.3:
        return date
    fraction = rng.choice(("", ".5", ".123456789", ".1234567891", ",5", "."))
    zone = rng.choice(("", "Z", "z", "+01:00", "-23:59", "+0100", " +1", "+00:00"))
    return f"{date}{rng.choice('Tt ')}{number(24)}:{number(60)}:{number(60)}{fraction}{zone}"


def _is_readable(scalar: str) -> bool:
    if scalar == "-":  # an empty item of a list
        return False
    try:
        kind_of(scalar)
    except RefusedScalar:
        return False
    return True


@pytest.mark.parametrize("text", ["9223372036854775808", "18446744073709551615", "0xFFFFFFFFFFFFFFFF", "0b" + "1" * 64])
def test_unsigned_integers_are_refused(text: str, sops: SopsTool, age_key: AgeKey) -> None:
    """An integer that only fits without a sign is refused by sops and by us."""
    with pytest.raises(UnsignedOverflow):
        kind_of(text)
    with pytest.raises(SopsFailed):
        sops.encrypt(f"a: {text}\n".encode(), [age_key.recipient])


@pytest.mark.parametrize("text", ["2024-01-02T03:04:05+24:00", "2024-01-02t3:04:05-24:59", "2024-01-02T03:04:05+23:60"])
def test_timestamps_a_day_off_are_refused(text: str, sops: SopsTool, age_key: AgeKey) -> None:
    """Go reads them and does not print them, so that sops neither encrypts nor decrypts them."""
    with pytest.raises(OffsetTooLarge):
        kind_of(text)
    with pytest.raises(SopsFailed):
        sops.encrypt(f"a: {text}\n".encode(), [age_key.recipient])
    file = sops.encrypt(f"a_unencrypted: '{text}'\nb: x\n".encode(), [age_key.recipient])
    unquoted = re.sub(rb"(?<=a_unencrypted: ).([^\"']+).", rb"\1", file)
    assert unquoted != file
    with pytest.raises(DocumentError, match="a timestamp with an offset of a day"):
        parse(unquoted)
    with pytest.raises(SopsFailed):
        sops.decrypt(unquoted, age_key.identity)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("2024-01-02T03:04:05+00:60", "2024-01-02T03:04:05+01:00", id="offset of sixty minutes"),
        pytest.param("0o17", 15, id="octal"),
        pytest.param("017", 15, id="octal of YAML 1.1"),
        pytest.param("0b-1", -1, id="sign behind the prefix"),
        pytest.param("-0o7", -7, id="negative octal"),
        pytest.param("1_000", 1000, id="underscores"),
        pytest.param("08", 8.0, id="no octal digit"),
        pytest.param("9" * 5000, None, id="more digits than Python converts"),
        pytest.param("1e400", "1e400", id="out of range is text"),
        pytest.param(".5", 0.5, id="no leading zero"),
        pytest.param("-.INF", float("-inf"), id="infinity"),
        pytest.param("2024-1-2", "2024-01-02T00:00:00Z", id="date"),
        pytest.param("TRUE", True, id="bool"),
        pytest.param("yes", "yes", id="no bool"),
        pytest.param("~", None, id="null"),
    ],
)
def test_values_of_plain_scalars(text: str, value: object) -> None:
    """A plain scalar has the value that yaml.v3 gives it; out of range it is text."""
    found = plain_value(text, kind_of(text))
    assert (found, type(found)) == (value, type(value)) if value is not None or text == "~" else found == text
