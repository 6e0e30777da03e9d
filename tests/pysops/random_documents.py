"""Random YAML documents with known values, as input for the real sops.

Writes the YAML itself, so that every style and every spelling of a number occurs, and knows for each value whether the
selector encrypts it: in plain positions only text is written that our strict reading accepts.
"""

import base64
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A selector, as flags of sops and as a rule of our own."""

    flags: tuple[str, ...]
    matches: Callable[[str], object]
    match_encrypts: bool


SELECTIONS: Final = (
    Selection(flags=(), matches=lambda key: key.endswith("_unencrypted"), match_encrypts=False),
    Selection(
        flags=("--unencrypted-suffix", "_plain"), matches=lambda key: key.endswith("_plain"), match_encrypts=False
    ),
    Selection(flags=("--encrypted-suffix", "_x"), matches=lambda key: key.endswith("_x"), match_encrypts=True),
    Selection(flags=("--encrypted-regex", "^secrets$"), matches=lambda key: key == "secrets", match_encrypts=True),
    Selection(
        flags=("--encrypted-regex", r"(?i)pass|^k\d+$"),
        matches=re.compile(r"(?i:pass)|^k\d+\Z", re.ASCII).search,
        match_encrypts=True,
    ),
    Selection(
        flags=("--unencrypted-regex", "^[[:upper:]]|metadata"),
        matches=re.compile("^[A-Z]|metadata").search,
        match_encrypts=False,
    ),
)

_KEYS: Final = (
    *("secrets", "password", "k1", "k22", "metadata", "Upper", "a_unencrypted", "b_plain", "c_x", "dotted.name", "a:b"),
    *(
        "data",
        "été",
        "鍵",
        "🔑",
        "with space",
        "it's",
        'quo"te',
        "#hash",
        "true",
        "1",
        "null",
        "~",
        "- dash",
        "x" * 150,
    ),
    *(
        "sops",
        "{",
        "[x]",
        "&a",
        "*a",
        "!t",
        "%d",
        "@at",
        "`tick",
        "trailing ",
        "2024-01-02",
        "yes",
        "=",
        "",
        "back\\slash",
    ),
)

_TYPED: Final[dict[str, object]] = {
    "0": 0,
    "7": 7,
    "-12": -12,
    "+5": 5,
    "1_000": 1000,
    "0x1F": 31,
    "0b101": 5,
    "0o17": 15,
    "017": 15,
    "-0x1": -1,
    "9223372036854775807": 2**63 - 1,
    "-9223372036854775808": -(2**63),
    "00": 0,
    "-0": 0,
    "1.5": 1.5,
    "-0.0": -0.0,
    "1e22": 1e22,
    "1e-7": 1e-7,
    ".5": 0.5,
    "5.0": 5.0,
    "1_0.5": 10.5,
    "08": 8.0,
    "5e-324": 5e-324,
    "1.7976931348623157e308": 1.7976931348623157e308,
    "0.1": 0.1,
    "123456789.123": 123456789.123,
    "18446744073709551616": 18446744073709551616.0,
    "1.": 1.0,
    "+1e3": 1000.0,
    "100000000000000000000.5": 1e20,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
    "null": None,
    "~": None,
    "Null": None,
    "NULL": None,
    "": None,
    "2024-01-02": "2024-01-02T00:00:00Z",
    "2024-1-2": "2024-01-02T00:00:00Z",
    "2024-01-02T03:04:05Z": "2024-01-02T03:04:05Z",
    "2024-02-29 3:4:5.123456789": "2024-02-29T03:04:05.123456789Z",
    "2001-12-14t21:59:43.10-05:00": "2001-12-14T21:59:43.1-05:00",
    "0000-02-29": "0000-02-29T00:00:00Z",
    "2024-01-02T03:04:05.5+00:00": "2024-01-02T03:04:05.5Z",
    **{text: text for text in ("yes", "no", "on", "Off", "y", "1:30", "=", "<<", "0x", "1e400", "2024-13-01", "12e")},
    **{text: text for text in ("2023-02-29", "+", "-.", "0o8", "1__a", "tRue", "nul", ".e5", "0xg", "1.2.3", "0b2")},
}
"""How a plain scalar is spelled, and what sops makes of it."""

_NOT_FINITE: Final[dict[str, object]] = {".inf": float("inf"), "-.Inf": float("-inf"), ".nan": float("nan")}

_ANY_TEXT: Final = "aZ09 \t\n\r\x00\x07\x1b\x7f\x85\u2028\u2029\ufeff\u00a0éß漢🔐\U0010ffff\"'\\:#-?{}[]&*!|>%@`,"
_SAFE_TEXT: Final = "aZ09 _é漢🔐\"'\\:#-?{}[]&*!|>%@`,."

_MAX_DEPTH: Final = 4

_FIRST_WITH_EXPONENT: Final = 1e6
"""From here on sops writes a whole number of type float as 1e+06, which stays one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomDocument:
    """One document and what it holds."""

    plaintext: bytes
    values: dict[str, object]
    selection: Selection
    mac_only_encrypted: bool
    json_can_hold: bool
    """False when a number is not finite or a text is not UTF-8."""


def random_document(rng: random.Random) -> RandomDocument:
    """Make a document; the same state of ``rng`` gives the same one."""
    return _Writer(rng).document()


class _Writer:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._selection = rng.choice(SELECTIONS)
        self._lines: list[str] = []
        self._json_can_hold = True
        self._with_oddities = rng.random() < 0.15

    def document(self) -> RandomDocument:
        values = self._mapping(0, 0, matched=False)
        return RandomDocument(
            plaintext=("\n".join(self._lines) + "\n").encode(),
            values=values,
            selection=self._selection,
            mac_only_encrypted=self._rng.random() < 0.25,
            json_can_hold=self._json_can_hold,
        )

    def _mapping(self, indent: int, depth: int, *, matched: bool) -> dict[str, object]:
        names = self._rng.sample(_KEYS, self._rng.randint(1, 7))
        names = [name for name in names if depth or name != "sops"] or ["data"]
        values = {}
        for name in names:
            self._maybe_comment(indent)
            below = matched or bool(self._selection.matches(name))
            values[name] = self._value(f"{' ' * indent}{_double_quoted(name)}:", indent, depth, matched=below)
        return values

    def _list(self, indent: int, depth: int, *, matched: bool) -> list[object]:
        values = []
        for _ in range(self._rng.randint(1, 4)):
            self._maybe_comment(indent)
            values.append(self._value(f"{' ' * indent}-", indent, depth, matched=matched))
        return values

    def _value(self, start: str, indent: int, depth: int, *, matched: bool) -> object:
        chance = self._rng.random()
        if chance < 0.3 and depth < _MAX_DEPTH:
            below = indent + self._rng.randint(1, 4)
            self._lines.append(start)
            if self._rng.random() < 0.5:
                return self._mapping(below, depth + 1, matched=matched)
            return self._list(below, depth + 1, matched=matched)
        if chance < 0.35:
            empty: object = self._rng.choice(({}, []))
            self._lines.append(f"{start} {empty}")
            return empty
        encrypted = matched is self._selection.match_encrypts
        written, value = self._leaf(encrypted=encrypted, indent=indent)
        comment = "  # inline" if "\n" not in written and self._rng.random() < 0.1 else ""
        self._lines.append(f"{start} {written}{comment}")
        return value

    def _leaf(self, *, encrypted: bool, indent: int) -> tuple[str, object]:
        chance = self._rng.random()
        if chance < 0.45:
            written, value = self._rng.choice(tuple(_TYPED.items()))
            return (written, value) if encrypted else _as_sops_keeps(written, value)
        if self._with_oddities and chance < 0.55:
            self._json_can_hold = False
            if encrypted and self._rng.random() < 0.5:
                raw = self._rng.randbytes(self._rng.randint(1, 40)) + b"\xff"
                return f"!!binary {base64.b64encode(raw).decode()}", raw
            return self._rng.choice(tuple(_NOT_FINITE.items()))
        if chance < 0.6:
            # What sops writes of a plain text whose lines start with blanks or #, it cannot read itself (3.13.3).
            start = " #é" if encrypted else "é"
            count = self._rng.randint(1, 3)
            lines = [self._rng.choice(start) + "".join(self._rng.choices("ab :#é", k=5)) + "." for _ in range(count)]
            pad = " " * (indent + 2)
            return "|2-\n" + "\n".join(pad + line for line in lines), "\n".join(lines)
        alphabet = _ANY_TEXT if encrypted else _SAFE_TEXT
        text = "".join(self._rng.choices(alphabet, k=self._rng.choice((0, 1, 3, 20, 200))))
        if self._rng.random() < 0.3 and not set(text) & set("\t\n\r\x00\x07\x1b\x7f\x85\u2028\u2029\ufeff"):
            return "'" + text.replace("'", "''") + "'", text
        return _double_quoted(text), text

    def _maybe_comment(self, indent: int) -> None:
        if self._rng.random() < 0.15:
            self._lines.append(f"{' ' * indent}# {self._rng.choice(('note', 'ünïcode', 'key: value', '- item'))}")


def _as_sops_keeps(written: str, value: object) -> tuple[str, object]:
    """Return what a scalar in a plain position is after sops has written it: 5.0 becomes 5.

    Other values stand in for ``<<``, which gets a tag that strict reading refuses, and for -0.0, which becomes -0, an
    integer that does not fit the MAC (sops 3.13.3).
    """
    if written == "<<":
        return "<", "<"
    if not isinstance(value, float) or not value.is_integer() or abs(value) >= _FIRST_WITH_EXPONENT:
        return written, value
    return ("0.0", 0) if value == 0 else (written, int(value))


def _double_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return (
        '"' + re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]", lambda match: f"\\u{ord(match[0]):04x}", escaped) + '"'
    )
