"""Changes to an encrypted file as a text: lines, indentation, comments, style of scalars, what YAML knows besides."""

import re
from collections.abc import Callable
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.pysops.changes import ENTRY, ENVELOPE, Change, Weighted, pick, replace
from tests.pysops.random_documents import double_quoted


_TOKENS: Final = (
    *("ENC[", "]", "type:int", "&a ", "*a", "---\n", "...\n", ": ", "\n", "\t", "\x00", "é", "\ud800", "sops:\n", "!"),
    *(
        "!!str ",
        "null",
        "- ",
        "? ",
        "{",
        "}",
        "'",
        '"',
        "|",
        "#",
        " #",
        "%",
        "<<<<<<< ",
        "\r",
        "\r\n",
        "\u2028",
        "\u2029",
    ),
    *("\x85", "\ufeff", "\\", "<<: ", " ", "  ", "0", "=", "@", "`", "[", ",", ">", "\x7f", "\u00a0", "\x0b", "\x0c"),
)

_STARTS: Final = (
    *("---\n", "--- ", "%YAML 1.1\n---\n", "%TAG ! x:\n---\n", "\ufeff", "# note\n", "\n\n", "---\n---\n", "\x00"),
    *("...\n", "--- # note\n", "--- &a\n", "--- !!map\n", "{}\n---\n", "...\n---\n", "%FOO bar\n---\n", "\t\n", "\r\n"),
    "---\na: b\n---\n",
)
_ENDS: Final = (
    *(
        "---\n",
        "...\n",
        "---\na: b\n",
        "---\nsops: {}\n",
        "...\n---\na: b\n",
        "# note\n",
        "\n\n",
        "\x00",
        "--- x\n",
        "]",
    ),
    *(
        "---\n- a\n",
        "---\nnull\n",
        "...\nx\n",
        "\t",
        " ",
        "---\na: 1\na: 2\n",
        "... # note\n",
        "<<<<<<< ours\n",
        "\ufeff",
    ),
    "...\n# note\n",
)

_VALUES: Final = (
    *("null", "~", "''", '""', "[]", "{}", "5", "x", "true", "1.50", "2024-01-02", "", "!!binary eA==", "*a", "&a x"),
    *("ENC[", "'ENC[x]'", "[null]", "{a: null}", "[[]]", "['']", "18446744073709551615", "0x", ".inf", "|", "yes"),
)


def _lines(change: Callable[[DrawFn, list[str], int], list[str]]) -> Change:
    def mutate(draw: DrawFn, text: str) -> str:
        lines = text.split("\n")
        return "\n".join(change(draw, lines, draw(st.integers(0, len(lines) - 1))))

    return mutate


def _other(draw: DrawFn, lines: list[str]) -> int:
    return draw(st.integers(0, len(lines) - 1))


def _exchange(draw: DrawFn, lines: list[str], at: int) -> list[str]:
    other = draw(st.sampled_from((min(at + 1, len(lines) - 1), _other(draw, lines))))
    lines[at], lines[other] = lines[other], lines[at]
    return lines


def _move(draw: DrawFn, lines: list[str], at: int) -> list[str]:
    line = lines.pop(at)
    lines.insert(draw(st.integers(0, len(lines))), line)
    return lines


def _indent(draw: DrawFn, lines: list[str], at: int) -> list[str]:
    line = lines[at]
    blanks = len(line) - len(line.lstrip(" "))
    change = draw(st.integers(-4, 4))
    lines[at] = draw(
        st.sampled_from((" " * max(0, blanks + change) + line.lstrip(" "), "\t" + line, line.replace("    ", "\t", 1)))
    )
    return lines


def _indent_all(draw: DrawFn, lines: list[str], at: int) -> list[str]:
    end = draw(st.integers(at, len(lines)))
    return lines[:at] + [" " + line if line else line for line in lines[at:end]] + lines[end:]


def _at_line_end(draw: DrawFn, lines: list[str], at: int) -> list[str]:
    lines[at] += draw(
        st.sampled_from((" ", "   ", "\t", "\r", "\r\r", " # note", "# note", " #", ":", " :", ",", "\u00a0", "\x85"))
    )
    return lines


def _new_line(draw: DrawFn, lines: list[str], at: int) -> list[str]:
    blanks = " " * (len(lines[at]) - len(lines[at].lstrip(" ")))
    new = (
        "",
        " ",
        "\t",
        "# note",
        f"{blanks}# note",
        f"{blanks}#",
        "---",
        "...",
        "%YAML 1.2",
        "--- # note",
        "\r",
        f"{blanks}? x",
    )
    added = draw(st.one_of(st.sampled_from(new), st.sampled_from(_VALUES).map(lambda value: f"{blanks}added: {value}"),
        st.sampled_from(_VALUES).map(lambda value: f"{blanks}- {value}")))  # fmt: skip
    return [*lines[:at], added, *lines[at:]]


def _comment(draw: DrawFn, text: str) -> str:
    found = [match.group() for match in ENVELOPE.finditer(text)]
    sealed = draw(st.sampled_from(found)) if found else ""
    word = draw(
        st.sampled_from(
            ("", " ", "# ", f" {sealed}", sealed, sealed.replace("type:comment", "type:str"), f"{sealed}x", "note")
        )
    )
    lines = text.split("\n")
    at = draw(st.integers(0, len(lines) - 1))
    if draw(st.booleans()):
        lines[at] += f" #{word}"
    else:
        blanks = draw(st.sampled_from((len(lines[at]) - len(lines[at].lstrip(" ")), 0, 2, 4, 6)))
        lines.insert(at, f"{' ' * blanks}#{word}")
    return "\n".join(lines)


def _into_comment(draw: DrawFn, text: str) -> str:
    match = pick(draw, re.compile(r"(- |#)(?=ENC\[)"), text)
    return text if match is None else replace(text, match.span(), "- " if match[1] == "#" else "#")


def _crlf(draw: DrawFn, text: str) -> str:
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text.replace("\n", "\r")


def _value_style(draw: DrawFn, text: str) -> str:
    match = pick(draw, ENTRY, text)
    if match is None:
        return text
    value = match["value"][1:]
    inner = value[1:-1] if value[:1] in {"'", '"'} else value
    below = " " * (len(match["indent"]) + 4)
    styles = (
        *(
            f'"{inner}"',
            f"'{inner}'",
            inner,
            f"|-\n{below}{inner}",
            f"|\n{below}{inner}",
            f">-\n{below}{inner}",
            f"!!str {value}",
        ),
        *(
            f"&a {value}",
            f"\n{below}{value}",
            f"{value}  # note",
            f"[{value}]",
            f"- {value}",
            f"! {value}",
            f"!!int {value}",
        ),
        *(
            f"{{a: {value}}}",
            f"{value}\n{below}x",
            f" \t{value}",
            f"!!binary {value}",
            f"|2-\n{below}{inner}",
            f"!x {value}",
        ),
    )
    return replace(text, match.span("value"), " " + draw(st.sampled_from((*styles, *_VALUES))))


def _plain_value(draw: DrawFn, text: str) -> str:
    match = pick(draw, re.compile(r"(?<=: |- )(?!ENC\[)[^\n]+$", re.MULTILINE), text)
    if match is None:
        return text
    at = draw(st.integers(0, len(match[0]) - 1))
    return replace(text, (match.start() + at, match.start() + at + 1), draw(st.sampled_from("aA0 1.-_\"':#é\t")))


def _key(draw: DrawFn, text: str) -> str:
    match = pick(draw, ENTRY, text)
    if match is None:
        return text
    key = match["key"]
    styles = (
        *(f'"{key}"', f"'{key}'", f"? {key}\n{match['indent']}", f"{key} ", f"{key}\t", f"!!str {key}", f"&a {key}"),
        *(
            key.swapcase(),
            f"{key}x",
            "<<",
            "5",
            "true",
            "~",
            "",
            "sops",
            "[a]",
            "{a: b}",
            f"{key}:",
            "2024-01-02",
            "1.5",
            f"*{key}",
        ),
        f"|-\n  {key}",
        double_quoted(key + "\n"),
    )
    return replace(text, match.span("key"), draw(st.sampled_from(styles)))


def _document(draw: DrawFn, text: str) -> str:
    if draw(st.booleans()):
        return draw(st.sampled_from(_STARTS)) + text
    return text + draw(st.sampled_from(_ENDS))


def _token(draw: DrawFn, text: str) -> str:
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.sampled_from(_TOKENS)) + text[at:]


def _cut(draw: DrawFn, text: str) -> str:
    at = draw(st.integers(0, len(text)))
    return text[:at] + text[at + draw(st.sampled_from((1, 1, 5, 100))) :]


TEXT_CHANGES: Final[tuple[Weighted, ...]] = (
    ("line dropped", 2, _lines(lambda _, lines, at: lines[:at] + lines[at + 1 :])),
    ("line doubled", 2, _lines(lambda _, lines, at: lines[: at + 1] + lines[at:])),
    ("lines exchanged", 2, _lines(_exchange)),
    ("line moved", 2, _lines(_move)),
    ("indentation", 4, _lines(_indent)),
    ("indentation of lines", 1, _lines(_indent_all)),
    ("line end", 3, _lines(_at_line_end)),
    ("line added", 5, _lines(_new_line)),
    ("comment", 4, _comment),
    ("item or comment", 1, _into_comment),
    ("line breaks", 1, _crlf),
    ("style of a value", 5, _value_style),
    ("plain value", 3, _plain_value),
    ("key", 5, _key),
    ("document", 3, _document),
    ("token", 4, _token),
    ("cut", 2, _cut),
)
