"""Changing values of a file: what the edits do not speak of stays as it stands, byte by byte."""

from collections.abc import Iterator, Sequence

from reconciler.pysops.crypt import values_of
from reconciler.pysops.decryptor import LockedFile
from reconciler.pysops.document import Document
from reconciler.pysops.errors import ArgumentError, DocumentError, SopsError
from reconciler.pysops.selectors import Selector, selector_of
from reconciler.pysops.writing.comments_laid import comments_of
from reconciler.pysops.writing.editing import apply
from reconciler.pysops.writing.edits import Edit
from reconciler.pysops.writing.layout import LaidMapping, LaidScalar, lay_out, metadata_in
from reconciler.pysops.writing.plain_yaml import quoted
from reconciler.pysops.writing.planned import (
    PlannedLeaf,
    PlannedMapping,
    PlannedNode,
    PlannedSequence,
    leaves_below,
    planned,
    values_of_plan,
)
from reconciler.pysops.writing.rendering import Rendering
from reconciler.pysops.writing.sealing import Sealer, comment_bound_to
from reconciler.pysops.writing.splices import Splice, spliced
from reconciler.pysops.writing.verifying import groups_of, selectors_of, verify


KeyPath = tuple[str, ...]


def changed(file: LockedFile, sealer: Sealer, edits: Sequence[Edit], lastmodified: str) -> bytes:
    """Change values of a file, see `Writer.change`."""
    document, metadata = file.document, file.metadata
    selector = selector_of(metadata)
    values_of(document, metadata, selector, sealer.cipher)  # what is altered must be whole: the MAC is made anew
    text = document.data.decode()
    root = lay_out(document, text)
    plan = planned(root, selector, sealer)
    had_secrets = has_secrets(plan, selector)
    apply(plan, edits)
    if had_secrets and not has_secrets(plan, selector):
        raise nothing_left()
    rendering = Rendering(text, sealer, selector, mac_only_encrypted=metadata.mac_only_encrypted)
    rendering.root(plan)
    if not rendering.splices:
        return document.data
    comments = _moved_comments(text, root, dict(_moved(plan, (), ())), sealer)
    splices = (*rendering.splices, *_not_within(comments, rendering.splices))
    try:
        made = spliced(text, (*splices, *sealed_with(root, rendering.mac, sealer, lastmodified))).encode()
        verify(made, sealer, values_of_plan(plan), groups_of(metadata), selectors_of(metadata))
    except (SopsError, ValueError):
        if not root.flow:
            raise
    else:
        return made
    raise in_braces(document)


def in_braces(document: Document) -> DocumentError:
    """Return the error about a file that is written in braces as a whole: there are no lines to add or take away."""
    return DocumentError(
        "the file is written in braces, and only values that are there can be changed",
        mark=document.root.mark,
        advice="sops rotate -i FILE writes it anew, one key a line",
    )


def sealed_with(root: LaidMapping, mac: str, sealer: Sealer, lastmodified: str) -> tuple[Splice, ...]:
    """Return what to replace in the metadata of a file, once its values are others.

    Args:
        root: the file.
        mac: over its values.
        sealer: seals the MAC.
        lastmodified: what it is bound to.
    """
    block = metadata_in(root).value
    assert isinstance(block, LaidMapping)  # noqa: S101  # or its metadata could not have been read
    sealed = sealer.seal(mac.encode(), lastmodified)
    written = {"lastmodified": quoted(lastmodified), "mac": quoted(sealed) if block.flow else sealed}
    return tuple(
        Splice(start=entry.value.start, end=entry.value.end, text=written[name])
        for entry in block.entries
        if (name := entry.key.node.text.lower()) in written and isinstance(entry.value, LaidScalar)
    )


def nothing_left() -> ArgumentError:
    """Return the error about a file that had secrets and would have none."""
    return ArgumentError(
        "no encrypted value would be left in the file",
        expected="at least one",
        advice="look for a misspelt key; or delete the file if nothing in it is needed any more",
    )


def has_secrets(plan: PlannedMapping, selector: Selector) -> bool:
    """Tell whether any value of a file is one that the selector wants encrypted."""
    return any(encrypted and leaf.plain is not None for leaf, encrypted in leaves_below(plan, selector))


def _moved(node: PlannedNode, before: KeyPath, after: KeyPath) -> Iterator[tuple[KeyPath, KeyPath]]:
    """Yield the keys above the contents of mappings and lists, as they were and as they are, where they are others."""
    match node:
        case PlannedLeaf():
            return
        case PlannedMapping():
            if node.laid is None:
                return
            if before != after:
                yield before, after
            for item in node.items:
                if item.laid is not None:
                    yield from _moved(item.value, (*before, item.laid.key.node.text), (*after, item.key))
        case PlannedSequence():
            for below in node.items:
                yield from _moved(below, before, after)


def _moved_comments(text: str, root: LaidMapping, moved: dict[KeyPath, KeyPath], sealer: Sealer) -> Iterator[Splice]:
    """Yield the encrypted comments below keys that have other names now, sealed for these."""
    if not moved:
        return
    for comment in comments_of(text, root):
        path, envelope = moved.get(comment.container.path), comment.envelope
        plain = (
            None
            if path is None or envelope is None
            else sealer.open(envelope, comment_bound_to(comment.container.path))
        )
        if path is not None and plain is not None:
            sealed = sealer.seal(plain, comment_bound_to(path), "comment")
            yield Splice(start=comment.start, end=comment.end, text=f"#{sealed}")


def _not_within(some: Iterator[Splice], others: Sequence[Splice]) -> Iterator[Splice]:
    """Leave out what stands in parts that are replaced anyway."""
    return (one for one in some if not any(other.start < one.end and one.start < other.end for other in others))
