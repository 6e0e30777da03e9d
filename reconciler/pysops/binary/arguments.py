"""Places and values as the sops program is told them."""

import json
from collections.abc import Mapping, Sequence

from reconciler.pysops.errors import ArgumentError


TextTree = str | Mapping[str, "TextTree"] | Sequence["TextTree"]
"""What `SopsBinary.set` takes. Text only: sops stores any number that it is handed as a float."""

TreePath = Sequence[str | int]
"""Mapping keys and list positions, from the root."""


def index_of(path: TreePath) -> str:
    """Return a path as sops is told it.

    Raises:
        ArgumentError: sops cannot be told: it splits at every opening bracket, and takes ``sops`` for its own. Or a
            part is neither key nor position: True would be taken for 1.
    """
    if not path or path[0] == "sops":
        raise ArgumentError(
            "the root of a file and its metadata are not values",
            expected="the keys above a value",
            advice="name a key of the file; recipients are those of .sops.yaml, see updatekeys",
        )
    parts: list[str] = []
    for part in path:
        match part:
            case str():
                if "[" in part:
                    raise ArgumentError(
                        "a key with an opening bracket cannot be named to the sops program",
                        advice="name a key above it and give all that is below, or use sops edit",
                    )
                parts.append(f'["{part}"]')
            case int() if not isinstance(part, bool) and part >= 0:
                parts.append(f"[{part:d}]")
            case _:
                raise ArgumentError(
                    "a part of a path that is neither a key nor a position", expected="text, or 0, 1, …"
                )
    return "".join(parts)


def json_of(value: TextTree) -> bytes:
    """Return a value as sops is handed it by stdin.

    Raises:
        ArgumentError: it is not of text alone, or holds half a character.
    """
    return json.dumps(_checked(value)).encode()


def _checked(value: TextTree) -> object:
    """Return ``value`` of plain dicts and lists.

    Raises:
        ArgumentError: there is something in it that sops would change in silence: a number, or half a character.
    """
    match value:
        case str():
            if any("\ud800" <= char <= "\udfff" for char in value):
                raise ArgumentError("a text that cannot be written as UTF-8", advice="store it as base64")
            return value
        case Mapping():
            return {_checked(key): _checked(below) for key, below in value.items()}
        case Sequence():
            return [_checked(item) for item in value]
        case _:
            raise ArgumentError(
                "a value that is not text",
                expected="text, or a mapping or list of texts",
                advice="write numbers and the like as text: sops would store them as floats",
            )
