"""Each way to write a file, from the parsed one to verified bytes. The data key is at hand."""

from collections.abc import Iterator, Sequence

from reconciler.pysops.age.wrapping import CannotWrap, wrap
from reconciler.pysops.config.creation_rules import CreationRule
from reconciler.pysops.crypt import values_of
from reconciler.pysops.decryptor import LockedFile
from reconciler.pysops.document import Document, parse
from reconciler.pysops.envelope import parse_envelope
from reconciler.pysops.errors import DecryptionError, DocumentError
from reconciler.pysops.selectors import DEFAULT_UNENCRYPTED_SUFFIX, Selector, selector_of
from reconciler.pysops.shamir import split
from reconciler.pysops.sops_metadata import METADATA_KEY, SELECTORS, read_metadata
from reconciler.pysops.writing.comments_laid import comments_of
from reconciler.pysops.writing.editing import apply
from reconciler.pysops.writing.edits import Edit
from reconciler.pysops.writing.layout import LaidMapping, LaidScalar, lay_out, whole_lines
from reconciler.pysops.writing.metadata_text import Wrapped, metadata_text
from reconciler.pysops.writing.opening import Opening
from reconciler.pysops.writing.plain_yaml import quoted
from reconciler.pysops.writing.planned import (
    PlannedMapping,
    leaves_of,
    planned,
    values_of_plan,
)
from reconciler.pysops.writing.rendering import Ciphertexts, Rendering
from reconciler.pysops.writing.sealing import Sealer, comment_bound_to
from reconciler.pysops.writing.splices import Splice, spliced
from reconciler.pysops.writing.verifying import groups_of, is_same, selectors_of, verify


def change_text(file: LockedFile, sealer: Sealer, edits: Sequence[Edit], lastmodified: str) -> bytes:
    """Change values of a file, see `Writer.change`."""
    document, metadata = file.document, file.metadata
    selector = selector_of(metadata)
    before = values_of(document, metadata, selector, sealer.cipher)  # verifies the MAC
    text = document.data.decode()
    root = lay_out(document, text)
    plan = planned(root, selector, sealer)
    apply(plan, edits)
    rendering = Rendering(text, sealer, selector, mac_only_encrypted=metadata.mac_only_encrypted)
    rendering.root(plan)
    if not rendering.splices:
        return document.data
    del before
    made = spliced(text, (*rendering.splices, *_sealed_with(root, rendering.mac, sealer, lastmodified))).encode()
    verify(made, sealer, values_of_plan(plan), groups_of(metadata), selectors_of(metadata))
    return made


def _sealed_with(root: LaidMapping, mac: str, sealer: Sealer, lastmodified: str) -> tuple[Splice, ...]:
    """Return what to replace in the metadata."""
    written = {
        "lastmodified": quoted(lastmodified),
        "mac": sealer.seal(mac.encode(), lastmodified),
    }
    block = next(entry.value for entry in root.entries if entry.key.node.text == METADATA_KEY)
    assert isinstance(block, LaidMapping)  # noqa: S101  # as it was read
    splices = []
    for entry in block.entries:
        name = entry.key.node.text.lower()
        if name in written and isinstance(entry.value, LaidScalar):
            token = quoted(written[name]) if block.flow and name == "mac" else written[name]
            splices.append(Splice(start=entry.value.start, end=entry.value.end, text=token))
    return tuple(splices)


def opened_text(file: LockedFile, sealer: Sealer) -> bytes:
    """Return a file as text for an editor, see `Writer.plaintext`."""
    document, metadata = file.document, file.metadata
    selector = selector_of(metadata)
    values_of(document, metadata, selector, sealer.cipher)
    text = document.data.decode()
    root = lay_out(document, text)
    plan = planned(root, selector, sealer)
    opening = Opening(text, sealer)
    opening.root(plan)
    for comment in comments_of(text, root):
        opening.comment(comment)
    block = next(entry for entry in root.entries if entry.key.node.text == METADATA_KEY)
    start, end = whole_lines(text, block)
    opened = spliced(text, (*opening.splices, Splice(start=start, end=end, text=""))).encode()
    _check_opened(parse(opened), selector, plan)
    return opened


def _check_opened(document: Document, selector: Selector, plan: PlannedMapping) -> None:
    """Make sure that the text holds the values of the file."""
    found = planned(lay_out(document, document.data.decode()), selector, None)
    if not is_same(values_of_plan(found), values_of_plan(plan)):
        raise DecryptionError(
            "the file cannot be shown as text from which the same values can be read",
            advice="edit it with the sops program",
        )


def resealed(file: LockedFile, sealer: Sealer, document: Document, lastmodified: str) -> bytes:
    """Encrypt an edited text, see `Writer.reseal`."""
    metadata = file.metadata
    selector = selector_of(metadata)
    values_of(file.document, metadata, selector, sealer.cipher)
    before = file.document.data.decode()
    old_root = lay_out(file.document, before)
    known = Ciphertexts(leaves_of(planned(old_root, selector, sealer)))
    known.add_comments(_sealed_comments(before, old_root, sealer))
    text, rendering, plan = _sealed_text(
        document, sealer, selector, known, mac_only_encrypted=metadata.mac_only_encrypted
    )
    block = next(entry for entry in old_root.entries if entry.key.node.text == METADATA_KEY)
    start, end = whole_lines(before, block)
    body = text if not text or text.endswith("\n") else f"{text}\n"
    if f"{before[:start]}{before[end:]}" == body:
        return file.document.data
    sealed = spliced(before, _sealed_with(old_root, rendering.mac, sealer, lastmodified))
    grown = len(sealed) - len(before)
    made = (body + sealed[start : end + grown]).encode()
    verify(made, sealer, values_of_plan(plan), groups_of(metadata), selectors_of(metadata))
    return made


def _sealed_comments(text: str, root: LaidMapping, sealer: Sealer) -> Iterator[tuple[str, bytes, str]]:
    for comment in comments_of(text, root):
        envelope = parse_envelope(comment.text)
        if envelope is None:
            continue
        sealed_for = comment_bound_to(comment.container.path)
        plain = sealer.open(envelope, sealed_for)
        if plain is not None:
            yield sealed_for, plain, comment.text


def _sealed_text(
    document: Document, sealer: Sealer, selector: Selector, known: Ciphertexts, *, mac_only_encrypted: bool
) -> tuple[str, Rendering, PlannedMapping]:
    """Return a plain text encrypted, without metadata."""
    if any(entry.key.text == METADATA_KEY for entry in document.root.entries):
        raise DocumentError("the text has metadata of sops", advice="remove the key sops")
    text = document.data.decode()
    root = lay_out(document, text)
    plan = planned(root, selector, None)
    if root.flow:
        raise DocumentError("the text is written in braces", mark=document.root.mark, advice="write a key a line")
    rendering = Rendering(text, sealer, selector, mac_only_encrypted=mac_only_encrypted, known=known)
    rendering.root(plan)
    for comment in comments_of(text, root):
        rendering.comment(comment)
    return spliced(text, rendering.splices), rendering, plan


def new_file(document: Document, rule: CreationRule, lastmodified: str) -> bytes:
    """Encrypt a text as a new file, see `Writer.encrypt`.

    Raises:
        CannotWrap: the rule names recipients for whom only the sops program encrypts.
    """
    sealer = Sealer.new()
    groups = _wrapped(sealer, rule)
    selectors = {name: text for name in SELECTORS if (text := getattr(rule, name)) is not None}
    selectors = selectors or {"unencrypted_suffix": DEFAULT_UNENCRYPTED_SUFFIX}

    def block(mac: str) -> str:
        return metadata_text(
            groups,
            selectors=selectors,
            lastmodified=lastmodified,
            mac=sealer.seal(mac.encode(), lastmodified),
            mac_only_encrypted=rule.mac_only_encrypted,
            shamir_threshold=rule.quorum,
        )

    selector = selector_of(read_metadata(parse(block("0").encode())))
    text, rendering, plan = _sealed_text(
        document, sealer, selector, Ciphertexts(), mac_only_encrypted=rule.mac_only_encrypted
    )
    body = text if text.endswith("\n") else f"{text}\n"
    made = (body + block(rendering.mac)).encode()
    verify(made, sealer, values_of_plan(plan), [frozenset(group) for group in rule.key_groups], selectors)
    return made


def _wrapped(sealer: Sealer, rule: CreationRule) -> tuple[tuple[Wrapped, ...], ...]:
    if any(recipient.kind != "age" for group in rule.key_groups for recipient in group) or not all(rule.key_groups):
        raise CannotWrap
    data_key = sealer.reveal()
    several = len(rule.key_groups) > 1
    parts = split(data_key, len(rule.key_groups), rule.quorum) if several else (data_key,)
    return tuple(
        tuple(Wrapped(recipient=recipient.name, enc=wrap(part, recipient.name)) for recipient in group)
        for part, group in zip(parts, rule.key_groups, strict=True)
    )
