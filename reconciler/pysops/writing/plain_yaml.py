"""Texts as YAML that people edit, and that libyaml and the yaml.v3 of sops read alike."""

import re
from typing import Final

from reconciler.pysops.envelope import ENVELOPE_START
from reconciler.pysops.scalars import RefusedScalar, ScalarKind, kind_of


_PLAIN: Final = re.compile(
    r"[A-Za-z0-9_/+.^][A-Za-z0-9_/+.@%=~^$(){}<>\[\]|\\;?&*!-]*(?:[: ,][A-Za-z0-9_/+.@%=~^$(){}<>\[\]|\\;?&*!-]+)*"
)
"""What needs no quotes: no sign that begins something, none in front of or behind white space that means something."""

_PLAIN_IN_FLOW: Final = re.compile(r"[A-Za-z0-9_/+.][A-Za-z0-9_/+.@%=~^$;-]*")
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./@+-]*(?: [A-Za-z0-9_./@+-]+)*")

_YAML_1_1: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that older readers take for something else than text, in any case; the yaml.v3 of sops quotes them as well."""

_HIDDEN: Final = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff"
_BLOCK: Final = re.compile(rf"[^\s{_HIDDEN}#][^\n{_HIDDEN}]*\n[^{_HIDDEN}]*")
"""Several lines of visible text. White space in front would need a number beside the sign of the block."""

_TRAILING_SPACE: Final = re.compile(r" (?:\n|\Z)")
_ESCAPES: Final = {
    '"': '\\"',
    "\\": "\\\\",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\0": "\\0",
}
_TO_ESCAPE: Final = re.compile('["\\\\\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff\ufdd0-\ufdef]')


def quoted(text: str) -> str:
    """Return a text in double quotes, on one line."""
    return f'"{_TO_ESCAPE.sub(_escaped, text)}"'


def key_text(name: str) -> str:
    """Return a mapping key, in quotes if need be."""
    return name if _PLAIN_KEY.fullmatch(name) is not None and _is_text(name) else quoted(name)


def value_text(text: str, *, indent: int, flow: bool = False, line_break: str = "\n") -> str:
    """Return a text: without quotes, as a block of lines, or in double quotes.

    Args:
        text: what it is.
        indent: how far to the right the lines of a block stand.
        flow: whether it stands in brackets or braces.
        line_break: how lines end.
    """
    if flow:
        return text if _PLAIN_IN_FLOW.fullmatch(text) is not None and _is_text(text) else quoted(text)
    if _PLAIN.fullmatch(text) is not None and _is_text(text):
        return text
    if _BLOCK.fullmatch(text) is not None and _TRAILING_SPACE.search(text) is None and not _is_unusual(text):
        return _block(text, " " * indent, line_break)
    return quoted(text)


_LOST: Final = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]|\A<<\Z|\AENC\[|\A\t[^\n]*\n"
)


def survives_as_text(text: str) -> bool:
    r"""Tell whether a text is the same after sops has written it in plain, and it was read from there again.

    As `sops decrypt` and `sops edit` of 3.13.3 do, tried on hundreds of thousands of texts. What does not: several
    lines of which the first begins with a tab (sops writes them so that nobody can read them again); U+2028 and U+2029
    (it writes them as they are, and they are no text to us); ``<<`` alone (it writes a tag); ``ENC[`` in front, which
    looks encrypted. Other control characters than tab, LF and CR do survive, as escapes, but are no text that anybody
    could edit: for these the answer is no as well, and for a byte order mark and what is no character.
    """
    return _LOST.search(text) is None


def _is_unusual(text: str) -> bool:
    # Blocks of empty lines are trouble to more than one writer of YAML.
    return text.endswith("\n\n") or "\n\n\n" in text or "\n#" in text or ENVELOPE_START in text[:4]


def _block(text: str, indent: str, line_break: str) -> str:
    lines = text.removesuffix("\n").split("\n")
    sign = "|" if text.endswith("\n") else "|-"
    return line_break.join((sign, *(f"{indent}{line}" if line else "" for line in lines)))


def _is_text(text: str) -> bool:
    if text.lower() in _YAML_1_1 or text.startswith(("---", "...", ENVELOPE_START)):
        return False
    try:
        return kind_of(text) is ScalarKind.STR
    except RefusedScalar:
        return False


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    short = _ESCAPES.get(char)
    if short is not None:
        return short
    code = ord(char)
    return f"\\x{code:02X}" if code <= 0xFF else f"\\u{code:04X}"  # noqa: PLR2004  # a byte
