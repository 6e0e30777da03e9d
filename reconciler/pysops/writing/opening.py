"""From an encrypted file to the text of which it was made: the way back of `rendering`."""

import re
from typing import Final, assert_never

from reconciler.pysops.errors import DocumentError
from reconciler.pysops.values import COMMENT
from reconciler.pysops.writing.comments_laid import LaidComment
from reconciler.pysops.writing.layout import LaidScalar, before_space, column_of, line_break_of
from reconciler.pysops.writing.plain_yaml import value_text
from reconciler.pysops.writing.planned import PlannedLeaf, PlannedMapping, PlannedNode, PlannedSequence
from reconciler.pysops.writing.rendering import INDENT
from reconciler.pysops.writing.sealing import Sealer, comment_bound_to
from reconciler.pysops.writing.splices import Splice, written_over


_ONE_LINE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ufeff]*")
"""What a comment may hold."""


class Opening:
    """One walk over a plan: gathers what to put in the place of what is encrypted."""

    def __init__(self, text: str, sealer: Sealer) -> None:
        self.splices: list[Splice] = []
        self._text = text
        self._break = line_break_of(text)
        self._sealer = sealer

    def root(self, plan: PlannedMapping) -> None:
        """Walk over a file.

        Raises:
            DocumentError: a value is not text, as YAML has no way to show it.
        """
        self._node(plan, 0)

    def comment(self, comment: LaidComment) -> None:
        """Open a comment, if it is encrypted; one that does not open stays as it is, as with sops."""
        envelope = comment.envelope
        if envelope is None:
            return
        path = comment.container.path
        paths = [path[:length] for length in range(len(path), -1, -1)]
        opened = (self._sealer.open(envelope, comment_bound_to(each)) for each in paths)
        self._put_comment(comment.start, comment.end, next((one for one in opened if one is not None), None))

    def _item(self, laid: LaidScalar, plain: bytes) -> None:
        # sops writes a comment of a list as an item; the first of a list within a list beside the dash of that.
        dash = self._text.rfind("-", 0, laid.start)
        column = column_of(self._text, dash)
        before = before_space(self._text, dash)
        if before == dash - column:
            self._put_comment(dash, laid.end, plain)
        else:
            self._put_comment(before, laid.end, plain, before=f"{self._break}{' ' * column}")

    def _put_comment(self, start: int, end: int, plain: bytes | None, *, before: str = "") -> None:
        try:
            said = None if plain is None else plain.decode()
        except UnicodeDecodeError:
            return
        if said is not None and _ONE_LINE.fullmatch(said) is not None:
            self.splices.append(Splice(start=start, end=end, text=f"{before}#{said}"))

    def _node(self, node: PlannedNode, column: int) -> None:
        match node:
            case PlannedLeaf():
                if node.sealed is not None and node.laid is not None:
                    self._leaf(node, node.laid, column)
            case PlannedMapping():
                for item in node.items:
                    if item.laid is not None:
                        self._node(item.value, column_of(self._text, item.laid.key.start))
            case PlannedSequence():
                for below in node.items:
                    if below.laid is not None:
                        self._node(below, column_of(self._text, below.laid.start))
            case _:
                assert_never(node)

    def _leaf(self, leaf: PlannedLeaf, laid: LaidScalar, column: int) -> None:
        if leaf.plain is None:
            return
        if leaf.value is COMMENT:
            self._item(laid, leaf.plain)
            return
        try:
            text = leaf.plain.decode()
        except UnicodeDecodeError:
            text = None
        if text is None:  # raised outside the handler: the error of the codec holds the value
            raise DocumentError("a value that is not text", mark=laid.node.mark, advice="edit the file with sops")
        if leaf.kind == "str":
            written = value_text(text, indent=column + INDENT, flow=laid.flow, line_break=self._break)
        else:
            written = text.lower() if leaf.kind == "bool" else text
        self.splices += written_over(self._text, laid.start, laid.end, written)
