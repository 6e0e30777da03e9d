"""Which leaves of a file are encrypted, and what shows of that without a key: one walk over the tree, in file order.

The rules are those of `crypt`, which walks by itself, as it has a hundred thousand values to open: so a file breaks
them, at the same place and in the same words, whichever way it is opened.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, assert_never

from reconciler.pysops.document import Document, Mapping, Node, Scalar, Sequence
from reconciler.pysops.envelope import Envelope
from reconciler.pysops.errors import DocumentError, Mark, TamperedValue
from reconciler.pysops.scalars import ScalarKind
from reconciler.pysops.selectors import Selector
from reconciler.pysops.sops_metadata import METADATA_KEY


MAX_PATH_BYTES: Final = 64 * 1024
"""Most that a value is bound to, the keys above it with a colon behind each: all of it is read for every value, so that
one key of megabytes above a hundred thousand values would take hours."""

Path = tuple[str | int, ...]
"""Keys and list positions from the root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One scalar below the root, the metadata aside."""

    node: Scalar
    path: Path
    envelope: Envelope | None
    """What is encrypted; None where the text stands for itself, as null and empty text do anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    node: Node
    path: Path
    path_bytes: int
    matched: bool


def leaves(document: Document, selector: Selector | None) -> Iterator[Leaf]:
    """Yield the leaves of a file.

    Args:
        document: the file.
        selector: which of its values are encrypted; None where that depends on comments, which are not read here: then
            whatever looks encrypted counts as such, and nothing is said of the rest.

    Raises:
        DocumentError: a value that must be encrypted is not, or stands below keys that are too long; or an empty
            comment stands in an encrypted list.
        TamperedValue: a value says that it is a comment.
    """
    root = tuple(entry for entry in document.root.entries if entry.key.text != METADATA_KEY)
    waiting = [_Waiting(node=Mapping(entries=root, mark=document.root.mark), path=(), path_bytes=0, matched=False)]
    while waiting:
        here = waiting.pop()
        node = here.node
        match node:
            case Scalar():
                envelope = _envelope_of(node, here, selector)
                yield Leaf(node=node, path=here.path, envelope=envelope)
            case Mapping():
                waiting.extend(
                    _Waiting(
                        node=entry.value,
                        path=(*here.path, entry.key.text),
                        path_bytes=here.path_bytes + len(entry.key.text.encode()) + 1,
                        matched=here.matched or (selector is not None and selector.matches(entry.key.text)),
                    )
                    for entry in reversed(node.entries)
                )
            case Sequence():
                if node.empty_comment is not None and selector is not None and selector.encrypts(matched=here.matched):
                    raise empty_comment(node.empty_comment)
                waiting.extend(
                    _Waiting(
                        node=node.items[index],
                        path=(*here.path, index),
                        path_bytes=here.path_bytes,
                        matched=here.matched,
                    )
                    for index in reversed(range(len(node.items)))
                )
            case _:
                assert_never(node)


def check_encrypted(document: Document, selector: Selector | None) -> None:
    """Make sure that no rule is broken: for the program, whose one exit code for many things tells no place.

    Raises:
        DocumentError: as for `leaves`.
        TamperedValue: likewise.
    """
    deque(leaves(document, selector), maxlen=0)


def _envelope_of(node: Scalar, here: _Waiting, selector: Selector | None) -> Envelope | None:
    if selector is not None and not selector.encrypts(matched=here.matched):
        return None
    if node.kind is ScalarKind.NULL or (node.kind is ScalarKind.STR and not node.text):
        return None
    envelope = node.envelope
    if envelope is None:
        if selector is None:
            return None
        raise not_encrypted(node.mark)
    if here.path_bytes > MAX_PATH_BYTES:
        raise too_long_path(node.mark)
    if envelope.kind == "comment" and selector is not None and isinstance(here.path[-1], str):
        raise no_comment(node.mark)
    return envelope


def not_encrypted(mark: Mark) -> DocumentError:
    """Return the error about a value in plain."""
    return DocumentError(
        "a value that is not encrypted, though the metadata says it is",
        mark=mark,
        expected="ENC[AES256_GCM,…]",
        advice="set it with sops, or encrypt the file again",
    )


def too_long_path(mark: Mark) -> DocumentError:
    """Return the error about a value below more than `MAX_PATH_BYTES`."""
    return DocumentError("the keys above a value are too long", mark=mark, expected=f"at most {MAX_PATH_BYTES} bytes")


def empty_comment(mark: Mark) -> DocumentError:
    """Return the error about an empty comment in a list."""
    return DocumentError(
        "an empty comment in an encrypted list, which sops takes for an empty text",
        mark=mark,
        advice="remove the #, or write a word behind it",
    )


def no_comment(mark: Mark) -> TamperedValue:
    """Return the error about a value that sops would take for a comment: it writes such ones into lists alone."""
    return TamperedValue("a value that says it is a comment", mark=mark)
