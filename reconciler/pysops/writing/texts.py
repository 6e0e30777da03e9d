"""A file as text for an editor, and the edited text encrypted again: what nobody touched keeps its ciphertext."""

from collections.abc import Iterator
from typing import Final

from reconciler.pysops.crypt import values_of
from reconciler.pysops.decryptor import LockedFile
from reconciler.pysops.document import Document, parse
from reconciler.pysops.errors import ArgumentError, DecryptionError, DocumentError
from reconciler.pysops.selectors import Selector, selector_of
from reconciler.pysops.sops_metadata import METADATA_KEY
from reconciler.pysops.writing.changing import has_secrets, in_braces, nothing_left, sealed_with
from reconciler.pysops.writing.comments_laid import comments_of
from reconciler.pysops.writing.layout import LaidMapping, lay_out, line_break_of, metadata_in, whole_lines
from reconciler.pysops.writing.opening import Opening
from reconciler.pysops.writing.planned import PlannedMapping, leaves_below, leaves_of, planned, values_of_plan
from reconciler.pysops.writing.rendering import Ciphertexts, Rendering
from reconciler.pysops.writing.sealing import Sealer, comment_bound_to
from reconciler.pysops.writing.splices import Splice, spliced
from reconciler.pysops.writing.verifying import groups_of, is_same, selectors_of, verify


_MIN_SECRET_BYTES: Final = 8
"""Shorter ones, such as a number, occur in plain by chance."""


def opened(file: LockedFile, sealer: Sealer) -> bytes:
    """Return a file as text for an editor, see `Writer.plaintext`."""
    document, metadata = file.document, file.metadata
    selector = selector_of(metadata)
    values_of(document, metadata, selector, sealer.cipher)
    text = document.data.decode()
    root = lay_out(document, text)
    if root.flow:
        raise in_braces(document)
    plan = planned(root, selector, sealer)
    opening = Opening(text, sealer)
    opening.root(plan)
    for comment in comments_of(text, root):
        opening.comment(comment)
    start, end = whole_lines(text, metadata_in(root))
    made = spliced(text, (*opening.splices, Splice(start=start, end=end, text=""))).encode()
    _check_opened(made, selector, plan)
    return made


def _check_opened(made: bytes, selector: Selector, plan: PlannedMapping) -> None:
    """Make sure that a text holds the values of its file.

    Raises:
        DecryptionError: it does not: a number may have been written in a way that sops alone can tell from another.
    """
    try:
        document = parse(made)
    except DocumentError:
        found: dict[str, object] = {}
    else:
        found = values_of_plan(planned(lay_out(document, made.decode()), selector, None))
    if not is_same(found, values_of_plan(plan)):
        raise DecryptionError(
            "the file cannot be shown as text from which the same values can be read",
            advice="change it key by key",
        )


def resealed(file: LockedFile, sealer: Sealer, document: Document, lastmodified: str) -> bytes:
    """Encrypt an edited text, see `Writer.reseal`."""
    if document.data == opened(file, sealer):
        return file.document.data
    metadata = file.metadata
    selector = selector_of(metadata)
    before = file.document.data.decode()
    root = lay_out(file.document, before)
    was = planned(root, selector, sealer)
    known = Ciphertexts(leaves_of(was))
    known.add_comments(_sealed_comments(before, root, sealer))
    text, rendering, plan = sealed_text(
        document, sealer, selector, known=known, mac_only_encrypted=metadata.mac_only_encrypted
    )
    _check_kept_secret(was, plan, selector)
    start, end = whole_lines(before, metadata_in(root))
    sealed = spliced(before, sealed_with(root, rendering.mac, sealer, lastmodified))
    block = sealed[start : end + len(sealed) - len(before)]
    made = f"{on_lines(text)}{block}".encode()
    verify(made, sealer, values_of_plan(plan), groups_of(metadata), selectors_of(metadata))
    return made


def sealed_text(
    document: Document, sealer: Sealer, selector: Selector, *, known: Ciphertexts, mac_only_encrypted: bool
) -> tuple[str, Rendering, PlannedMapping]:
    """Encrypt a text in plain, without metadata.

    Args:
        document: the text.
        sealer: seals what the selector wants.
        selector: which values are encrypted.
        known: ciphertexts that can be used again.
        mac_only_encrypted: whether the MAC leaves out the others.

    Returns:
        The encrypted text, what made it, and what it holds.

    Raises:
        DocumentError: it has metadata, or is written in braces.
    """
    metadata = next((entry.key for entry in document.root.entries if entry.key.text == METADATA_KEY), None)
    if metadata is not None:
        raise DocumentError("the text has a key sops, which is for what sops writes", mark=metadata.mark)
    text = document.data.decode()
    root = lay_out(document, text)
    if root.flow:
        raise DocumentError("the text is written in braces", mark=document.root.mark, advice="write one key a line")
    plan = planned(root, selector, None)
    rendering = Rendering(text, sealer, selector, mac_only_encrypted=mac_only_encrypted, known=known)
    rendering.root(plan)
    for comment in comments_of(text, root):
        rendering.comment(comment)
    return spliced(text, rendering.splices), rendering, plan


def on_lines(text: str) -> str:
    """Return a text with a line break at its end."""
    return text if not text or text.endswith("\n") else text + line_break_of(text)


def _check_kept_secret(before: PlannedMapping, after: PlannedMapping, selector: Selector) -> None:
    """Make sure that no secret of a file came to stand in plain, as a misspelt key in an editor can do.

    Raises:
        ArgumentError: one did, or none is left.
    """
    if has_secrets(before, selector) and not has_secrets(after, selector):
        raise nothing_left()
    secrets = {leaf.plain for leaf in leaves_of(before) if leaf.sealed is not None}
    plain = [leaf.plain for leaf in leaves_of(before) if leaf.sealed is None]
    for leaf, encrypted in leaves_below(after, selector):
        if encrypted or leaf.plain is None or len(leaf.plain) < _MIN_SECRET_BYTES:
            continue
        if leaf.plain in secrets and leaf.plain not in plain:
            raise ArgumentError(
                "a value that was encrypted would stand in plain",
                mark=None if leaf.laid is None else leaf.laid.node.mark,
                expected="it at a place that the selector of the file wants encrypted",
                advice="look for a misspelt key",
            )


def _sealed_comments(text: str, root: LaidMapping, sealer: Sealer) -> Iterator[tuple[str, bytes, str]]:
    for comment in comments_of(text, root):
        envelope, sealed_for = comment.envelope, comment_bound_to(comment.container.path)
        plain = None if envelope is None else sealer.open(envelope, sealed_for)
        if plain is not None:
            yield sealed_for, plain, comment.text
