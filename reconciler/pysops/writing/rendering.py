"""From the plan of a file to its text: what changes is replaced, everything else stays as it stands.

What is new is laid out as sops would. A collection in brackets or braces, to which something is added or from which
something is taken, is laid out anew as a whole.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from typing import Final, assert_never

from reconciler.pysops.crypt import MAC_ONLY_ENCRYPTED_START
from reconciler.pysops.envelope import EnvelopeKind
from reconciler.pysops.errors import ArgumentError, DocumentError
from reconciler.pysops.selectors import Selector
from reconciler.pysops.values import COMMENT, mac_bytes
from reconciler.pysops.writing.comments_laid import LaidComment
from reconciler.pysops.writing.layout import (
    LaidMapping,
    LaidNode,
    LaidScalar,
    before_space,
    column_of,
    line_break_of,
    line_start,
    whole_lines,
)
from reconciler.pysops.writing.plain_yaml import key_text, quoted, value_text
from reconciler.pysops.writing.planned import (
    PlannedItem,
    PlannedLeaf,
    PlannedMapping,
    PlannedNode,
    PlannedSequence,
)
from reconciler.pysops.writing.sealing import Sealer, bound_to, comment_bound_to
from reconciler.pysops.writing.splices import Splice, written_over


INDENT: Final = 4
"""Of sops, unless ``.sops.yaml`` says otherwise."""

KeyPath = tuple[str, ...]


class Ciphertexts:
    """Encrypted values that can be used again, each once: two equal items of a list must not be seen to be equal."""

    def __init__(self, leaves: Iterable[PlannedLeaf] = ()) -> None:
        self._known: defaultdict[tuple[str, EnvelopeKind, bytes], list[str]] = defaultdict(list)
        for leaf in leaves:
            if leaf.sealed is not None and leaf.plain is not None:
                self._known[leaf.sealed_for, leaf.kind, leaf.plain].append(leaf.sealed)

    def add_comments(self, comments: Iterable[tuple[str, bytes, str]]) -> None:
        """Add comments: what each is bound to, what it says, its ciphertext."""
        for sealed_for, plain, sealed in comments:
            self._known[sealed_for, "comment", plain].append(sealed)

    def take(self, sealed_for: str, kind: EnvelopeKind, plain: bytes) -> str | None:
        """Return one of a value at a place, if there is any."""
        known = self._known.get((sealed_for, kind, plain))
        return known.pop(0) if known else None


class Rendering:
    """One walk over a plan, in file order: gathers what to replace, and feeds the MAC."""

    def __init__(
        self,
        text: str,
        sealer: Sealer,
        selector: Selector,
        *,
        mac_only_encrypted: bool,
        known: Ciphertexts | None = None,
        opener: Sealer | None = None,
    ) -> None:
        """Begin.

        Args:
            text: the file.
            sealer: seals with the data key that the file will have.
            selector: which values are encrypted.
            mac_only_encrypted: whether the MAC leaves out the others.
            known: ciphertexts that can be used again.
            opener: opens what stands encrypted, where everything is sealed anew with another data key.
        """
        self.splices: list[Splice] = []
        self._text = text
        self._break = line_break_of(text)
        self._sealer = sealer
        self._selector = selector
        self._mac_only_encrypted = mac_only_encrypted
        self._known = Ciphertexts() if known is None else known
        self._opener = opener
        self._digest = hashlib.sha512(MAC_ONLY_ENCRYPTED_START if mac_only_encrypted else b"")

    @property
    def mac(self) -> str:
        """The MAC of what was walked, before it is sealed."""
        return self._digest.hexdigest().upper()

    def root(self, plan: PlannedMapping) -> None:
        """Walk over a file.

        Raises:
            ArgumentError: a value would stand in plain.
        """
        self._mapping(plan, (), matched=False)

    def comment(self, comment: LaidComment) -> None:
        """Encrypt a comment, where values beside it are encrypted; see `comments_laid`.

        Raises:
            DocumentError: it stands in brackets or braces.
        """
        container = comment.container
        if not any(map(self._encrypts_below, comment.in_flow or (container.path,))):
            return
        if comment.in_flow:
            raise DocumentError("a comment in brackets or braces that has to be encrypted", advice="move it above them")
        sealed = self._sealed_comment(comment)
        if comment.header_of is not None:
            self._replace(comment.header_of.end, comment.header_of.end, f" #{sealed}")
            return
        moved = not comment.own_line and (comment.behind_flow or container.is_list)
        if not comment.own_line and not moved:
            self._replace(comment.start, comment.end, f"#{sealed}")
            return
        line = f"{' ' * container.column}{'- ' if container.is_list else '#'}{sealed}"
        if container.is_list and not comment.text:
            line = ""
        if comment.own_line:
            self._replace(comment.line, comment.end, line)
        else:
            self._replace(before_space(self._text, comment.start), comment.end, "")
            self._replace(comment.line, comment.line, line + self._break)

    def _encrypts_below(self, path: KeyPath) -> bool:
        return self._selector.encrypts(matched=any(map(self._selector.matches, path)))

    def _sealed_comment(self, comment: LaidComment) -> str:
        sealed_for, plain = comment_bound_to(comment.container.path), comment.text.encode()
        envelope = comment.envelope
        if envelope is not None:
            opened = None if self._opener is None else self._opener.open(envelope, sealed_for)
            return comment.text if opened is None else self._sealer.seal(opened, sealed_for, "comment")
        if not plain:
            return ""
        known = self._known.take(sealed_for, "comment", plain)
        return self._sealer.seal(plain, sealed_for, "comment") if known is None else known

    def _mapping(self, plan: PlannedMapping, path: KeyPath, *, matched: bool) -> None:
        laid = plan.laid
        assert laid is not None  # noqa: S101  # new ones are written by `_lines`
        kept = {id(item.laid) for item in plan.items if item.laid is not None}
        new: list[str] = []
        for item in plan.items:
            if item.laid is None:
                new += self._item_lines(item, path, self._column(laid), matched=matched)
            else:
                self._item(item, path, matched=matched)
        ours = [entry for entry in laid.entries if path or entry.key.node.text != "sops"]
        for entry in ours:
            if id(entry) not in kept:
                start, end = whole_lines(self._text, entry)
                self._replace(start, end, "")
        if new:
            at = whole_lines(self._text, ours[-1])[1] if ours else line_start(self._text, laid.start)
            self._put_lines(at, new)

    def _put_lines(self, at: int, lines: list[str]) -> None:
        before = "" if at == 0 or self._text[at - 1] == "\n" else self._break
        self._replace(at, at, before + "".join(line + self._break for line in lines))

    def _item(self, item: PlannedItem, path: KeyPath, *, matched: bool) -> None:
        entry = item.laid
        assert entry is not None  # noqa: S101  # the caller looked
        if item.key != entry.key.node.text:
            self._replace(entry.key.start, entry.key.end, quoted(item.key) if entry.key.flow else key_text(item.key))
        below = (*path, item.key)
        inner = matched or self._selector.matches(item.key)
        if item.value.laid is entry.value:
            self._laid(item.value, below, column_of(self._text, entry.key.start), entry.colon, matched=inner)
            return
        self._replaced(item, below, matched=inner)

    def _replaced(self, item: PlannedItem, path: KeyPath, *, matched: bool) -> None:
        entry, value = item.laid, item.value
        assert entry is not None  # noqa: S101  # the caller looked
        old = entry.value
        if isinstance(value, PlannedLeaf) and isinstance(old, LaidScalar):
            indent = column_of(self._text, entry.key.start) + INDENT
            self._put_token(old, entry.colon, self._token(value, path, indent, flow=old.flow, matched=matched))
            return
        column = column_of(self._text, entry.key.start)
        behind = self._behind_colon(value, path, column, matched=matched)
        self.splices += written_over(self._text, entry.colon, entry.end, behind)

    def _laid(self, node: PlannedNode, path: KeyPath, column: int, colon: int, *, matched: bool) -> None:
        match node:
            case PlannedLeaf():
                laid = node.laid
                assert laid is not None  # noqa: S101  # as it stands in the file
                token = self._token(node, path, column + INDENT, flow=laid.flow, matched=matched)
                if token is not None and (node.sealed is None or token not in {node.sealed, quoted(node.sealed)}):
                    self._put_token(laid, colon, token)
            case PlannedMapping():
                if node.laid is not None and node.laid.flow and _is_rebuilt(node):
                    behind = self._behind_colon(node, path, column, matched=matched)
                    self.splices += written_over(self._text, colon, node.laid.end, behind)
                else:
                    self._mapping(node, path, matched=matched)
            case PlannedSequence():
                for item in node.items:
                    assert item.laid is not None  # noqa: S101  # lists are new or as they stand
                    self._laid(item, path, column_of(self._text, item.laid.start), item.laid.start, matched=matched)
            case _:
                assert_never(node)

    def _put_token(self, laid: LaidScalar, colon: int, token: str | None) -> None:
        if token is None:
            return
        if laid.start == laid.end:
            self.splices += written_over(self._text, colon, colon, f" {token}")
        else:
            self.splices += written_over(self._text, laid.start, laid.end, token)

    def _token(self, leaf: PlannedLeaf, path: KeyPath, indent: int, *, flow: bool, matched: bool) -> str | None:
        """Return how a value is written; None where it stays as it stands."""
        value = leaf.value
        encrypted = self._selector.encrypts(matched=matched)
        if value is not COMMENT and value is not None and (encrypted or not self._mac_only_encrypted):
            self._digest.update(mac_bytes(value))
        if value is None or leaf.plain is None:
            return None if leaf.laid is not None else "null"
        if not encrypted and not leaf.may_be_plain:
            raise ArgumentError(
                "the value would stand in plain: by its selector, the file is not encrypted at that place",
                expected="a place that the selector wants encrypted",
                advice="look for a misspelt key",
            )
        if not encrypted or not leaf.plain:
            if leaf.laid is not None:
                return None
            return value_text(leaf.plain.decode(), indent=indent, flow=flow, line_break=self._break)
        sealed = self._sealed(leaf, bound_to(path))
        return quoted(sealed) if flow else sealed

    def _sealed(self, leaf: PlannedLeaf, sealed_for: str) -> str:
        assert leaf.plain is not None  # noqa: S101  # null is never sealed
        if leaf.sealed is not None and leaf.sealed_for == sealed_for and self._opener is None:
            return leaf.sealed
        known = self._known.take(sealed_for, leaf.kind, leaf.plain)
        return self._sealer.seal(leaf.plain, sealed_for, leaf.kind) if known is None else known

    def _behind_colon(self, value: PlannedNode, path: KeyPath, column: int, *, matched: bool) -> str:
        match value:
            case PlannedLeaf():
                return f" {self._token(value, path, column + INDENT, flow=False, matched=matched) or ''}"
            case PlannedMapping() | PlannedSequence():
                if not value.items:
                    return " {}" if isinstance(value, PlannedMapping) else " []"
                lines = self._lines(value, path, column + INDENT, matched=matched)
                return self._break + self._break.join(lines)
            case _:
                assert_never(value)

    def _item_lines(self, item: PlannedItem, path: KeyPath, column: int, *, matched: bool) -> list[str]:
        inner = matched or self._selector.matches(item.key)
        behind = self._behind_colon(item.value, (*path, item.key), column, matched=inner)
        return f"{' ' * column}{key_text(item.key)}:{behind}".split(self._break)

    def _lines(self, node: PlannedMapping | PlannedSequence, path: KeyPath, column: int, *, matched: bool) -> list[str]:
        lines: list[str] = []
        if isinstance(node, PlannedMapping):
            for item in node.items:
                lines += self._item_lines(item, path, column, matched=matched)
            return lines
        for below in node.items:
            match below:
                case PlannedLeaf():
                    token = self._token(below, path, column + INDENT, flow=False, matched=matched)
                    lines += f"{' ' * column}- {token or ''}".split(self._break)
                case PlannedMapping() | PlannedSequence() if not below.items:
                    lines.append(f"{' ' * column}- {'{}' if isinstance(below, PlannedMapping) else '[]'}")
                case PlannedMapping() | PlannedSequence():
                    inner = self._lines(below, path, column + 2, matched=matched)
                    lines += (f"{' ' * column}- {inner[0][column + 2 :]}", *inner[1:])
                case _:
                    assert_never(below)
        return lines

    def _column(self, laid: LaidMapping) -> int:
        # Of a mapping whose first key stands behind a question mark, that of the question mark.
        return column_of(self._text, laid.start) if laid.entries else 0

    def _replace(self, start: int, end: int, text: str) -> None:
        self.splices.append(Splice(start=start, end=end, text=text))


def _is_rebuilt(node: PlannedNode) -> bool:
    """Tell whether anything is added to a node or taken from it, at any depth."""
    match node:
        case PlannedLeaf():
            return False
        case PlannedMapping():
            laid = node.laid
            return (
                laid is None
                or len(laid.entries) != len(node.items)
                or any(
                    item.laid is None
                    or (item.value.laid is not item.laid.value and not _is_leaf_for_leaf(item, item.laid.value))
                    or _is_rebuilt(item.value)
                    for item in node.items
                )
            )
        case PlannedSequence():
            return node.laid is None or any(map(_is_rebuilt, node.items))
        case _:
            assert_never(node)


def _is_leaf_for_leaf(item: PlannedItem, old: LaidNode) -> bool:
    return isinstance(item.value, PlannedLeaf) and isinstance(old, LaidScalar)
