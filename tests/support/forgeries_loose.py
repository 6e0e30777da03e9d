"""Forgeries that no reader of arbitrary SOPS files can tell from honest ones: there is no shape that they break.

sops accepts all of them, and `pysops.load` returns what sops returns. That they are refused in scope files is the
business of `reconciler.policy`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.support.forgery import DECRYPTS, MAC, TAG
from tests.support.workshop import line_of, replaced, rewritten, swap, without


PLAINTEXT: Final = b"""\
date_unencrypted: 2024-01-02
flag_unencrypted: true
count_unencrypted: 1
left_unencrypted: ab
right_unencrypted: cd
number: 5
text: known
pair:
    inner: value
list:
    - first
    - second
one:
    - only
"""
"""What stands in the file; sops leaves plain what ends in ``_unencrypted``."""

_Values = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class LooseForgery:
    """One attack on a file of any shape."""

    attack: str
    forge: Callable[[str], str]
    sops: int
    changed: _Values | None
    """What is read otherwise than in the honest file; a value of None: a name that is gone. None: it is refused."""


def _row(attack: str, forge: Callable[[str], str], changed: _Values) -> LooseForgery:
    return LooseForgery(attack=attack, forge=forge, sops=DECRYPTS, changed=changed)


def _refused(attack: str, forge: Callable[[str], str], sops: int) -> LooseForgery:
    return LooseForgery(attack=attack, forge=forge, sops=sops, changed=None)


def _items(change: Callable[[str, str], str]) -> Callable[[str], str]:
    """Change the two items of the list."""

    def step(content: str) -> str:
        (found,) = re.findall(r"(?m)^list:\n    - (.*)\n    - (.*)\n", content)
        return replaced(content, f"    - {found[0]}\n    - {found[1]}\n", change(*found))

    return step


def _plain_text(content: str) -> str:
    """Put a known text in plain, where its bytes come in the MAC."""
    gone = replaced(content, line_of(content, "text"), "text_unencrypted: known\n")
    assert gone != content
    return gone


LOOSE: Final[Mapping[str, LooseForgery]] = {
    "rename a plain key": _row(
        "a key above plain text is renamed",
        swap("left_unencrypted:", "evil_unencrypted:"),
        {"left_unencrypted": None, "evil_unencrypted": "ab"},
    ),
    "move a boundary": _row(
        "bytes move between neighbouring plain values",
        swap("left_unencrypted: ab\nright_unencrypted: cd\n", "left_unencrypted: a\nright_unencrypted: bcd\n"),
        {"left_unencrypted": "a", "right_unencrypted": "bcd"},
    ),
    "known text in plain": _row(
        "a secret whose text is known becomes plain", _plain_text, {"text": None, "text_unencrypted": "known"}
    ),
    "add nothing": _row(
        "empty text, null, an empty list", lambda text: f"a: ''\nb: null\nc: []\n{text}", {"a": "", "b": None, "c": []}
    ),
    "a bool becomes text": _row(
        "`true` becomes `'True'`",
        swap("flag_unencrypted: true", "flag_unencrypted: 'True'"),
        {"flag_unencrypted": "True"},
    ),
    "a number becomes text": _row(
        "`1` becomes `'1'`", swap("count_unencrypted: 1", "count_unencrypted: '1'"), {"count_unencrypted": "1"}
    ),
    "a number in another base": _row("`1` becomes `0x1`", swap("count_unencrypted: 1", "count_unencrypted: 0x1"), {}),
    "a number with a fraction": _row("`1` becomes `1.0`", swap("count_unencrypted: 1", "count_unencrypted: 1.0"), {}),
    "a date in other words": _row(
        "`2024-01-02T00:00:00Z` becomes `2024-01-02`", swap("2024-01-02T00:00:00Z\n", "2024-01-02\n"), {}
    ),
    "a date becomes text": _row(
        "the text that sops prints for a date",
        swap("2024-01-02T00:00:00Z\n", "'2024-01-02T00:00:00Z'\n"),
        {},
    ),
    "an int becomes text": _row(
        "the type of an encrypted `5` becomes `str`",
        rewritten("number", lambda value: value.replace("type:int", "type:str")),
        {"number": "5"},
    ),
    "an int becomes a float": _row(
        "the type of an encrypted `5` becomes `float`",
        rewritten("number", lambda value: value.replace("type:int", "type:float")),
        {},
    ),
    "lists in lists": _row(
        "each item in a list of its own",
        _items(lambda first, second: f"    - - {first}\n    - - - {second}\n"),
        {"list": [["first"], [["second"]]]},
    ),
    "a list of one becomes its item": _row(
        "`[only]` becomes `only`",
        lambda text: re.sub(r"(?m)^one:\n    - ", "one: ", text),
        {"one": "only"},
    ),
    "a text becomes a list": _row(
        "`known` becomes `[known]`", rewritten("text", lambda value: f"['{value}']"), {"text": ["known"]}
    ),
    "two keys become one": _row(
        "`pair: {inner: …}` becomes `pair:inner: …`",
        lambda text: re.sub(r"(?m)^pair:\n    inner: (.*)\n", r"'pair:inner': \1\n", text),
        {"pair": None, "pair:inner": "value"},
    ),
    "exchange items": _refused(
        "two items of a list change places", _items(lambda a, b: f"    - {b}\n    - {a}\n"), MAC
    ),
    "double an item": _refused("an item a second time", _items(lambda a, b: f"    - {a}\n    - {a}\n    - {b}\n"), MAC),
    "remove an item": _refused("an item is removed", _items(lambda _, b: f"    - {b}\n"), MAC),
    "an item becomes a comment": _refused(
        "the type of an item becomes `comment`, as which it would vanish",
        _items(lambda a, b: f"    - {a.replace('type:str', 'type:comment')}\n    - {b}\n"),
        MAC,
    ),
    "an item moves to another list": _refused(
        "an item under another key",
        lambda text: re.sub(r"(?m)^(list:\n)(    - .*\n)((?s:.*)one:\n)", r"\1\3\2", text, count=1),
        TAG,
    ),
    "one key becomes two": _refused(
        "`text` becomes `te: {xt: …}`", lambda text: re.sub(r"(?m)^text: (.*)\n", r"te: {xt: '\1'}\n", text), TAG
    ),
    "remove a plain value": _refused("a plain value is removed", without("left_unencrypted"), MAC),
}
"""In file order."""
