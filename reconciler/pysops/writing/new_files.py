"""Files with a new data key: of a text in plain, or of a file that gets other recipients."""

from reconciler.pysops.age.wrapping import CannotWrap, wrap
from reconciler.pysops.config.creation_rules import CreationRule
from reconciler.pysops.crypt import values_of
from reconciler.pysops.decryptor import LockedFile
from reconciler.pysops.document import Document, parse
from reconciler.pysops.selectors import DEFAULT_UNENCRYPTED_SUFFIX, Selector, selector_of
from reconciler.pysops.shamir import split
from reconciler.pysops.sops_metadata import SELECTORS, read_metadata
from reconciler.pysops.writing.comments_laid import comments_of
from reconciler.pysops.writing.layout import lay_out, line_break_of, metadata_in, whole_lines
from reconciler.pysops.writing.metadata_text import Wrapped, metadata_text
from reconciler.pysops.writing.planned import planned, values_of_plan
from reconciler.pysops.writing.rendering import Ciphertexts, Rendering
from reconciler.pysops.writing.sealing import Sealer
from reconciler.pysops.writing.splices import Splice, spliced
from reconciler.pysops.writing.texts import on_lines, sealed_text
from reconciler.pysops.writing.verifying import verify


class NewKey:
    """A new data key, wrapped for the recipients of a rule."""

    def __init__(self, rule: CreationRule, lastmodified: str) -> None:
        """Make one.

        Raises:
            CannotWrap: the rule names recipients for whom only the sops program encrypts.
            MetadataError: the rule selects by comment, or by what is no regular expression.
        """
        self.sealer = Sealer.new()
        self.rule = rule
        self._lastmodified = lastmodified
        self._groups = _wrapped(self.sealer.reveal(), rule)
        said = {name: text for name in SELECTORS if (text := getattr(rule, name)) is not None}
        self._selectors = said or {"unencrypted_suffix": DEFAULT_UNENCRYPTED_SUFFIX}
        self.selector: Selector = selector_of(read_metadata(parse(self.metadata("0").encode())))

    def metadata(self, mac: str) -> str:
        """Return the metadata of a file, given the MAC over its values."""
        return metadata_text(
            self._groups,
            selectors=self._selectors,
            lastmodified=self._lastmodified,
            mac=self.sealer.seal(mac.encode(), self._lastmodified),
            mac_only_encrypted=self.rule.mac_only_encrypted,
            shamir_threshold=self.rule.quorum,
        )

    def verify(self, made: bytes, values: dict[str, object]) -> None:
        """Make sure that a file is what was meant, see `verifying`."""
        verify(made, self.sealer, values, tuple(frozenset(group) for group in self.rule.key_groups), self._selectors)


def encrypted(document: Document, rule: CreationRule, lastmodified: str) -> bytes:
    """Encrypt a text as a new file, see `Writer.encrypt`.

    Raises:
        CannotWrap: the rule names recipients for whom only the sops program encrypts.
    """
    new = NewKey(rule, lastmodified)
    text, rendering, plan = sealed_text(
        document, new.sealer, new.selector, known=Ciphertexts(), mac_only_encrypted=rule.mac_only_encrypted
    )
    made = (on_lines(text) + new.metadata(rendering.mac).replace("\n", line_break_of(text))).encode()
    new.verify(made, values_of_plan(plan))
    return made


def rekeyed(file: LockedFile, sealer: Sealer, rule: CreationRule, lastmodified: str) -> bytes:
    """Encrypt a file anew, see `Writer.rekey`.

    Args:
        file: the file.
        sealer: opens it.
        rule: for whom it will be.
        lastmodified: now.

    Raises:
        CannotWrap: the rule names recipients for whom only the sops program encrypts.
        ArgumentError: a value that was encrypted would stand in plain.
    """
    new = NewKey(rule, lastmodified)
    selector = selector_of(file.metadata)
    values_of(file.document, file.metadata, selector, sealer.cipher)
    text = file.document.data.decode()
    root = lay_out(file.document, text)
    plan = planned(root, selector, sealer)
    rendering = Rendering(
        text, new.sealer, new.selector, mac_only_encrypted=rule.mac_only_encrypted, known=Ciphertexts(), opener=sealer
    )
    rendering.root(plan)
    for comment in comments_of(text, root):
        rendering.comment(comment)
    start, end = whole_lines(text, metadata_in(root))
    block = new.metadata(rendering.mac).replace("\n", line_break_of(text))
    made = spliced(text, (*rendering.splices, Splice(start=start, end=end, text=block))).encode()
    new.verify(made, values_of_plan(plan))
    return made


def _wrapped(data_key: bytes, rule: CreationRule) -> tuple[tuple[Wrapped, ...], ...]:
    if any(recipient.kind != "age" for group in rule.key_groups for recipient in group) or not all(rule.key_groups):
        raise CannotWrap
    groups = len(rule.key_groups)
    parts = split(data_key, groups, rule.quorum) if groups > 1 else (data_key,)
    return tuple(
        tuple(Wrapped(recipient=recipient.name, enc=wrap(part, recipient.name)) for recipient in group)
        for part, group in zip(parts, rule.key_groups, strict=True)
    )
