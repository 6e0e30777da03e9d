"""Where in a file a command puts or removes a value: what is there, and whether what is put there gets encrypted.

sops encrypts by the selector of the file alone: below a misspelt key it writes a value in plain, and says that it went
well. And it goes by kinds loosely: told a position where a mapping stands, it encrypts the file anew and puts nothing.
"""

from collections.abc import Mapping as AbstractMapping
from typing import Final, assert_never

from reconciler.pysops.binary.arguments import TextTree, TreePath
from reconciler.pysops.document import Document, Mapping, Node, Scalar, Sequence
from reconciler.pysops.errors import ArgumentError, BinaryError
from reconciler.pysops.selectors import Selector


_NO_PLACE: Final = "there is no such place in the file"


def node_at(document: Document, path: TreePath) -> Node | None:
    """Return what stands at a place; None when nothing does."""
    node: Node | None = document.root
    for part in path:
        node = _below(node, part)
    return node


def check_place(document: Document, path: TreePath) -> None:
    """Make sure that sops puts a value where it is told, with the keys above it as far as they are missing.

    Raises:
        ArgumentError: it would not: a position is not one of a list, nor the next one; or a key is one of a list.
    """
    node: Node | None = document.root
    for part in path:
        match node:
            case Mapping():
                fits = isinstance(part, str)
            case Sequence():
                fits = isinstance(part, int) and part <= len(node.items)
            case Scalar() | None:  # what is missing is made, and text replaced
                fits = isinstance(part, str) or part == 0
            case _:
                assert_never(node)
        if not fits:
            raise ArgumentError(
                _NO_PLACE,
                expected="keys where mappings stand, and positions where lists do, up to the next free one",
                advice="look at how the file is built: keys can be read without a key",
            )
        node = _below(node, part)


def check_selected(selector: Selector, path: TreePath, value: TextTree) -> None:
    """Make sure that the selector of a file wants all texts of a value encrypted, once it is there.

    Raises:
        ArgumentError: sops would write one in plain.
    """
    if _any_plain(selector, value, matched=any(isinstance(part, str) and selector.matches(part) for part in path)):
        raise _in_plain()


def check_encrypted_there(document: Document, path: TreePath) -> None:
    """Make sure that a value was put, and that all of its texts are encrypted: of what sops has made.

    Raises:
        ArgumentError: one stands in plain.
        BinaryError: nothing is there.
    """
    check_put(document, path)
    waiting = [node_at(document, path)]
    while waiting:
        node = waiting.pop()
        match node:
            case Mapping():
                waiting.extend(entry.value for entry in node.entries)
            case Sequence():
                waiting.extend(node.items)
            case Scalar():
                if node.text and node.envelope is None:  # sops leaves empty text as it is
                    raise _in_plain()
            case None:
                pass
            case _:
                assert_never(node)


def check_put(document: Document, path: TreePath) -> None:
    """Make sure that there is something at a place, of what sops has made.

    Raises:
        BinaryError: nothing is there.
    """
    if node_at(document, path) is None:
        raise BinaryError("the sops program did not put the value where it was told", advice="nothing was written")


def _in_plain() -> ArgumentError:
    """Return the error about a value that would not be encrypted."""
    return ArgumentError(
        "the value would stand in plain: by its selector, the file is not encrypted at that place",
        expected="a place that the selector wants encrypted",
        advice="look for a misspelt key; if it is no secret, say so: plain=True",
    )


def _below(node: Node | None, part: str | int) -> Node | None:
    match node:
        case Mapping():
            return next((entry.value for entry in node.entries if entry.key.text == part), None)
        case Sequence():
            return node.items[part] if isinstance(part, int) and part < len(node.items) else None
        case Scalar() | None:
            return None
        case _:
            assert_never(node)


def _any_plain(selector: Selector, value: TextTree, *, matched: bool) -> bool:
    match value:
        case str():
            return not selector.encrypts(matched=matched)
        case AbstractMapping():
            return any(
                _any_plain(selector, below, matched=matched or selector.matches(key)) for key, below in value.items()
            )
        case _:
            return any(_any_plain(selector, item, matched=matched) for item in value)
