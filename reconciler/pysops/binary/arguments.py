"""Places and values as the sops program is told them."""

import json
from collections.abc import Mapping, Sequence

from reconciler.pysops.errors import BinaryError, DocumentError


TextTree = str | Mapping[str, "TextTree"] | Sequence["TextTree"]
"""What `SopsBinary.set` takes. Text only: sops stores any number that it is handed as a float."""

TreePath = Sequence[str | int]
"""Mapping keys and list positions, from the root."""


def index_of(path: TreePath) -> str:
    """Return a path as sops is told it.

    Raises:
        BinaryError: sops cannot be told: it splits at every opening bracket, and takes ``sops`` for its own.
    """
    if not path or path[0] == "sops":
        raise BinaryError("the root of a file and its metadata are not values")
    parts: list[str] = []
    for part in path:
        match part:
            case str():
                if "[" in part:
                    raise BinaryError("a key with an opening bracket cannot be named to the sops program")
                parts.append(f'["{part}"]')
            case int():
                parts.append(f"[{part:d}]")
    return "".join(parts)


def json_of(value: TextTree) -> bytes:
    """Return a value as sops is handed it by stdin.

    Raises:
        DocumentError: it is not of text alone, or holds half a character.
    """
    return json.dumps(_checked(value)).encode()


def _checked(value: TextTree) -> object:
    """Return ``value`` of plain dicts and lists.

    Raises:
        DocumentError: there is something in it that sops would change in silence: a number, or half a character.
    """
    match value:
        case str():
            if any("\ud800" <= char <= "\udfff" for char in value):
                raise DocumentError("a text that cannot be written as UTF-8", advice="store it as base64")
            return value
        case Mapping():
            return {_checked(key): _checked(below) for key, below in value.items()}
        case Sequence():
            return [_checked(item) for item in value]
        case _:
            raise DocumentError("a value that is not text", expected="text, or a mapping or list of texts")
