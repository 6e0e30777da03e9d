"""Random YAML documents with known values, as input for the real sops: strategies for Hypothesis.

Writes the YAML itself, so that every style and every spelling of a number occurs, and knows for each value whether the
selector encrypts it: in plain positions only text is written that our strict reading accepts.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import re2
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from reconciler.pysops.scalars import RefusedScalar, kind_of, plain_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A selector: the name of its field and flag, and as a rule of our own."""

    name: str
    """Empty for the default."""

    text: str
    matches: Callable[[str], object]
    match_encrypts: bool
    by_comment: bool = False
    """Then nothing says here which values are encrypted, and every value is one that may stand in plain."""


def _by_suffix(name: str, suffix: str) -> Selection:
    return Selection(
        name=name,
        text=suffix if name else "",
        matches=lambda key: key.endswith(suffix),
        match_encrypts=name == "encrypted_suffix",
    )


def _by_regex(name: str, pattern: str) -> Selection:
    return Selection(
        name=name, text=pattern, matches=re2.compile(pattern).search, match_encrypts=name == "encrypted_regex"
    )


def _by_comment(name: str, pattern: str) -> Selection:
    return Selection(name=name, text=pattern, matches=lambda key: False, match_encrypts=True, by_comment=True)


_PATTERNS: Final = (
    *("^secrets$", r"(?i)pass|^k\d+$", "^[[:upper:]]|metadata", r"\bspace|^.$", r"^\pL+$", "[^a-z]", "^(data|k1|c_x)$"),
    *(r"\x{9375}|\Q[x]\E", "^a(b)??", "", "e{1,2}", r"\W", "^$", "s$", "(?s).", r"\Aa|b\z", "(?P<x>x)+", "^(?:data|)$"),
)

SELECTIONS: Final = (
    _by_suffix("", "_unencrypted"),
    _by_suffix("unencrypted_suffix", "_plain"),
    _by_suffix("encrypted_suffix", "_x"),
    _by_suffix("encrypted_suffix", "s"),
    *(
        _by_regex(name, pattern)
        for pattern in _PATTERNS
        if pattern
        for name in ("encrypted_regex", "unencrypted_regex")
    ),
    _by_comment("encrypted_comment_regex", "note"),
    _by_comment("unencrypted_comment_regex", "note|item"),
)

_KEYS: Final = (
    *("data", "secrets", "password", "k1", "k22", "metadata", "Upper", "a_unencrypted", "b_plain", "c_x", "a:b"),
    *("dotted.name", "été", "鍵", "🔑", "with space", "it's", 'quo"te', "#hash", "true", "1", "null", "~", "- dash"),
    *("sops", "{", "[x]", "&a", "*a", "!t", "%d", "@at", "`tick", "trailing ", "2024-01-02", "yes", "=", "x" * 150),
    *("", "back\\slash", "new\nline", "tab\tkey", "\x00", "[ENC", "-", "?", ": ", "a: b", "|", ">", "__proto__", "."),
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
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "~", "Null", "NULL", ""), None),
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
"""How a plain scalar is spelled, and what sops makes of it; what the soups below are goes by our own table."""

_NOT_FINITE: Final[dict[str, object]] = {".inf": float("inf"), "-.Inf": float("-inf"), ".nan": float("nan")}

_NUMBER_SOUP: Final = "0123456789+-._eExXoObBaAfFnNiI"
_TIME_SOUP: Final = st.from_regex(
    r"[0-9]{3,5}-[0-9]{1,2}-[0-9]{1,3}([Tt ][0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}([.,][0-9]{0,11})?"
    r"(Z|z|[+-][0-9]{1,2}:?[0-9]{2})?)?",
    fullmatch=True,
)

_ANY_TEXT: Final = "aZ09 \t\n\r\x00\x07\x1b\x7f\x85\u2028\u2029\ufeff\u00a0éß漢🔐\U0010ffff\"'\\:#-?{}[]&*!|>%@`,"
_KEY_TEXT: Final = _ANY_TEXT.translate(dict.fromkeys(map(ord, "\n\u2028\u2029")))
"""sops does not escape U+2028 and U+2029 in a key, and of one with a blank in front of a line break it makes null."""

_SAFE_TEXT: Final = "aZ09 _é漢🔐\"'\\:#-?{}[]&*!|>%@`,."
_NOT_SINGLE_QUOTED: Final = frozenset("\t\n\r\x00\x07\x1b\x7f\x85\u2028\u2029\ufeff")

_MAX_DEPTH: Final = 4

_FIRST_WITH_EXPONENT: Final = 1e6
"""From here on sops writes a whole number of type float as 1e+06, which stays one."""

KEYS_AT_HAND: Final = 4
"""How many identities there are; a document names some of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomDocument:
    """One document, what it holds, and how to encrypt it."""

    plaintext: bytes
    values: dict[str, object]
    selection: Selection
    mac_only_encrypted: bool
    json_can_hold: bool
    """False when a number is not finite or a text is not UTF-8."""

    key_groups: tuple[tuple[int, ...], ...]
    """Whom to encrypt for: numbers of identities, disjoint."""

    shamir_threshold: int
    """How many groups open the file; 0 for one group."""

    opened_by: tuple[int, ...]
    """Numbers of identities that are enough."""

    @property
    def config(self) -> bytes:
        """The ``.sops.yaml``, but for the recipients, for which ``{0}``, ``{1}`` … stand."""
        lines = ["creation_rules:", "  - key_groups:"]
        for group in self.key_groups:
            lines += ["      - age:", *(f"          - {{{number}}}" for number in group)]
        if self.shamir_threshold:
            lines.append(f"    shamir_threshold: {self.shamir_threshold}")
        if self.selection.name:
            lines.append(f"    {self.selection.name}: '{self.selection.text}'")
        if self.mac_only_encrypted:
            lines.append("    mac_only_encrypted: true")
        return ("\n".join(lines) + "\n").encode()


@st.composite
def random_documents(draw: DrawFn) -> RandomDocument:
    """Make a document; shrinks to one short text, one recipient and no selector."""
    writer = _Writer(draw)
    values = writer.mapping(0, 0, matched=False)
    order = tuple(draw(st.permutations(range(KEYS_AT_HAND))))
    several = writer.chance(12)
    if several:
        cut = draw(st.integers(1, KEYS_AT_HAND - 2))
        groups: tuple[tuple[int, ...], ...] = (order[:1], order[1 : cut + 1], order[cut + 1 :])
    else:
        groups = (order[: draw(st.integers(1, KEYS_AT_HAND))],)
    threshold = draw(st.integers(2, 3)) if several else 0
    opened = draw(st.permutations(groups))[: threshold or 1]
    return RandomDocument(
        plaintext=("\n".join(writer.lines) + "\n").encode(),
        values=values,
        selection=writer.selection,
        mac_only_encrypted=writer.chance(25),
        json_can_hold=writer.json_can_hold,
        key_groups=groups,
        shamir_threshold=threshold,
        opened_by=tuple(draw(st.sampled_from(group)) for group in opened),
    )


class _Writer:
    def __init__(self, draw: DrawFn) -> None:
        self._draw = draw
        self.selection = draw(st.sampled_from(SELECTIONS))
        self.lines: list[str] = []
        self.json_can_hold = True
        self._with_oddities = self.chance(15)

    def chance(self, percent: int) -> bool:
        """Tell yes that often; shrinks to no."""
        return self._draw(st.integers(0, 99)) >= 100 - percent

    def mapping(self, indent: int, depth: int, *, matched: bool) -> dict[str, object]:
        """Write a mapping and return what it holds."""
        names = self._draw(st.lists(_names(), unique=True, min_size=1, max_size=7))
        names = [name for name in names if depth or name != "sops"] or ["data"]
        values = {}
        for name in names:
            self._maybe_comment(indent)
            below = matched or bool(self.selection.matches(name))
            values[name] = self._value(f"{' ' * indent}{double_quoted(name)}:", indent, depth, matched=below)
        return values

    def _list(self, indent: int, depth: int, *, matched: bool) -> list[object]:
        values = []
        for _ in range(self._draw(st.integers(1, 4))):
            self._maybe_comment(indent)
            values.append(self._value(f"{' ' * indent}-", indent, depth, matched=matched))
        return values

    def _value(self, start: str, indent: int, depth: int, *, matched: bool) -> object:
        kind = self._draw(st.integers(0, 99))
        if kind >= 70 and depth < _MAX_DEPTH:
            below = indent + self._draw(st.integers(1, 4))
            self.lines.append(start)
            if kind >= 85:
                return self._list(below, depth + 1, matched=matched)
            return self.mapping(below, depth + 1, matched=matched)
        if 65 <= kind < 70:
            empty: object = {} if kind == 65 else []
            self.lines.append(f"{start} {empty}")
            return empty
        encrypted = not self.selection.by_comment and matched is self.selection.match_encrypts
        written, value = self._leaf(encrypted=encrypted, indent=indent)
        comment = "  # inline" if "\n" not in written and self.chance(10) else ""
        self.lines.append(f"{start} {written}{comment}")
        return value

    def _leaf(self, *, encrypted: bool, indent: int) -> tuple[str, object]:
        kind = self._draw(st.integers(0, 99))
        if kind >= 70:
            written, value = self._draw(st.sampled_from(tuple(_TYPED.items())))
            return (written, value) if encrypted else _as_sops_keeps(written, value)
        if kind >= 50:
            written = self._draw(_TIME_SOUP if kind >= 65 else st.text(_NUMBER_SOUP, min_size=1, max_size=12))
            value = _as_yaml_takes(written)
            if value is not None:
                return (written, value) if encrypted else _as_sops_keeps(written, value)
        if kind >= 40 and self._with_oddities:
            return self._oddity(encrypted=encrypted)
        if kind >= 35:
            return self._block(encrypted=encrypted, indent=indent)
        text = self._draw(st.text(_ANY_TEXT if encrypted else _SAFE_TEXT, max_size=20))
        text *= self._draw(st.sampled_from((1, 1, 1, 1, 1, 1, 10, 300)))
        if self.chance(30) and not set(text) & _NOT_SINGLE_QUOTED:
            return "'" + text.replace("'", "''") + "'", text
        return double_quoted(text), text

    def _oddity(self, *, encrypted: bool) -> tuple[str, object]:
        self.json_can_hold = False
        if encrypted and self.chance(50):
            raw = self._draw(st.binary(max_size=40)) + b"\xff"
            return f"!!binary {base64.b64encode(raw).decode()}", raw
        return self._draw(st.sampled_from(tuple(_NOT_FINITE.items())))

    def _block(self, *, encrypted: bool, indent: int) -> tuple[str, object]:
        # What sops writes of a plain text whose lines start with blanks or #, it cannot read itself (3.13.3).
        start = " #é" if encrypted else "é"
        line = st.tuples(st.sampled_from(start), st.text("ab :#é", max_size=5)).map(lambda parts: "".join(parts) + ".")
        lines = self._draw(st.lists(line, min_size=1, max_size=3))
        pad = " " * (indent + 2)
        return "|2-\n" + "\n".join(pad + line for line in lines), "\n".join(lines)

    def _maybe_comment(self, indent: int) -> None:
        if self.chance(15):
            what = self._draw(st.sampled_from(("note", "ünïcode", "key: value", "- item", "", "\t")))
            self.lines.append(f"{' ' * indent}# {what}")


def _names() -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(_KEYS), st.sampled_from(_KEYS), st.text(_KEY_TEXT, max_size=6))


def _as_yaml_takes(written: str) -> object:
    """Return what a plain scalar is by our own table; None where sops refuses it, or YAML takes it for something else.

    The type that sops writes into its envelope is what this is compared with.
    """
    if written in {"-", "---", "..."} or written.endswith(":"):
        return None
    try:
        return plain_value(written, kind_of(written))
    except RefusedScalar:
        return None


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


def double_quoted(text: str) -> str:
    """Write a text between double quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return (
        '"' + re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]", lambda match: f"\\u{ord(match[0]):04x}", escaped) + '"'
    )
