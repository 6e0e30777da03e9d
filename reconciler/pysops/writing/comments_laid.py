"""Where the comments of a file stand, and to which mapping or list sops takes each to belong.

As go.yaml.in/yaml/v3 attaches them, tried on sops 3.13.3: above a key or at the side of it, a comment belongs to the
mapping of that key; further to the right than what follows, to what stands in front of it. Between the two it may be
read either way; such a comment is moved to where its mapping begins.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, assert_never

from reconciler.pysops.envelope import ENVELOPE_START, Envelope, parse_envelope
from reconciler.pysops.sops_metadata import METADATA_KEY
from reconciler.pysops.writing.layout import (
    LaidMapping,
    LaidNode,
    LaidScalar,
    LaidSequence,
    column_of,
    line_start,
)


_COMMENT: Final = re.compile(r"(?:(?<=\s)|\A)#[^\r\n]*")
_DASH_OR_COMMENT: Final = re.compile(r"(?:(?<=\s)|\A)#[^\r\n]*|-")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Container:
    """A mapping or list that is not written in brackets or braces."""

    path: tuple[str, ...]
    """Mapping keys above what is in it."""

    column: int
    is_list: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LaidComment:
    """A comment."""

    start: int
    """Of its sign."""

    end: int
    text: str = field(repr=False)
    """What stands behind the sign, to the end of the line."""

    container: Container
    own_line: bool
    in_flow: tuple[tuple[str, ...], ...]
    """The keys above it, where it stands within brackets or braces: those above what is in front of it, and behind."""

    header_of: LaidScalar | None
    """The block beside the sign of which it stands."""

    behind_flow: bool
    """Whether it stands beside a collection in brackets or braces, to which sops takes it to belong."""

    line: int
    """Where the line begins above which it may be moved."""

    @property
    def envelope(self) -> Envelope | None:
        """What is encrypted, if it is an encrypted comment."""
        found = parse_envelope(self.text.rstrip(" \t")) if self.text.startswith(ENVELOPE_START) else None
        return found if found is not None and found.kind == "comment" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    start: int
    end: int
    containers: tuple[Container, ...]
    is_value: bool
    node: LaidNode | None
    line_of: int
    path: tuple[str, ...] = ()
    """Of a value: the keys above it."""


def comments_of(text: str, root: LaidMapping) -> Iterator[LaidComment]:
    """Yield the comments of a file, in order, but for those in its metadata."""
    outermost = Container(path=(), column=column_of(text, root.start) if not root.flow else 0, is_list=False)
    tokens = list(_tokens(text, root, (outermost,)))
    before: _Token | None = None
    metadata = next((entry for entry in root.entries if entry.key.node.text == METADATA_KEY), None)
    for token in (*tokens, None):
        start, end = 0 if before is None else before.end, len(text) if token is None else token.start
        for found in _COMMENT.finditer(text, start, end):
            if metadata is None or not metadata.key.start <= found.start() < metadata.end:
                yield _comment(text, found, before, token, outermost)
        if token is not None:
            yield from _within(text, token)
        before = token


def _tokens(
    text: str, node: LaidNode, containers: tuple[Container, ...], path: tuple[str, ...] = (), line: int = 0
) -> Iterator[_Token]:
    match node:
        case LaidMapping() if not node.flow:
            for entry in node.entries:
                key = entry.key
                line = line_start(text, key.start)
                yield _Token(
                    start=key.start, end=entry.colon, containers=containers, is_value=False, node=key, line_of=line
                )
                below = (*path, key.node.text)
                inner = _container_of(text, entry.value, below)
                yield from _tokens(
                    text, entry.value, containers if inner is None else (*containers, inner), below, line
                )
        case LaidSequence() if not node.flow:
            at = node.start
            for item in node.items:
                dash = _dash(text, at, item.start)
                yield _Token(
                    start=dash,
                    end=dash + 1,
                    containers=containers,
                    is_value=False,
                    node=None,
                    line_of=line_start(text, dash),
                )
                inner = _container_of(text, item, path)
                yield from _tokens(
                    text, item, containers if inner is None else (*containers, inner), path, line_start(text, dash)
                )
                at = max(item.end, dash + 1)
        case LaidScalar() | LaidMapping() | LaidSequence():
            if node.start < node.end:
                yield _Token(
                    start=node.start,
                    end=node.end,
                    containers=containers,
                    is_value=True,
                    node=node,
                    line_of=line,
                    path=path,
                )
        case _:
            assert_never(node)


def _container_of(text: str, node: LaidNode, path: tuple[str, ...]) -> Container | None:
    if isinstance(node, LaidScalar) or node.flow:
        return None
    return Container(path=path, column=column_of(text, node.start), is_list=isinstance(node, LaidSequence))


def _dash(text: str, start: int, end: int) -> int:
    return next(
        (found.start() for found in _DASH_OR_COMMENT.finditer(text, start, max(end, start + 1)) if found[0] == "-"),
        start,
    )


def _comment(
    text: str, found: re.Match[str], before: _Token | None, after: _Token | None, outermost: Container
) -> LaidComment:
    line = line_start(text, found.start())
    own_line = not text[line : found.start()].strip(" \t")
    if own_line or before is None:
        container = _container(found.start() - line, before, after, outermost)
    else:
        container = before.containers[-1]
    flow = before is not None and isinstance(before.node, LaidMapping | LaidSequence)
    return LaidComment(
        start=found.start(),
        end=found.end(),
        text=found[0][1:],
        container=container,
        own_line=own_line,
        in_flow=(),
        header_of=None,
        behind_flow=flow and not own_line,
        line=line if own_line or before is None else before.line_of,
    )


def _container(column: int, before: _Token | None, after: _Token | None, outermost: Container) -> Container:
    if before is None:
        return outermost
    if after is not None and after.is_value:
        return after.containers[-1]
    common = 0
    if after is not None:
        pairs = zip(before.containers, after.containers, strict=False)
        common = next((at for at, (one, other) in enumerate(pairs) if one is not other), -1)
        if common < 0:
            common = min(len(before.containers), len(after.containers))
        if len(before.containers) == common < len(after.containers):
            return after.containers[common]
        place = after.containers[common - 1]
        if column <= place.column:
            return place
    inner = before.containers[max(common - 1, 0) :]
    return next((one for one in reversed(inner) if one.column <= column), inner[0])


_Gap = tuple[int, int, tuple[tuple[str, ...], ...]]
"""From where to where, and the keys above what stands on both sides."""


def _within(text: str, token: _Token) -> Iterator[LaidComment]:
    """Yield the comments beside the sign of a block, and those in brackets or braces."""
    node = token.node
    match node:
        case LaidScalar(style="|" | ">"):
            stop = text.find("\n", node.start)
            places: list[_Gap] = [(node.start, node.end if stop < 0 else min(stop, node.end), ())]
        case LaidMapping() | LaidSequence():
            places = _gaps(node, token.path)
        case _:
            return
    for start, end, paths in places:
        for found in _COMMENT.finditer(text, start, end):
            yield LaidComment(
                start=found.start(),
                end=found.end(),
                text=found[0][1:],
                container=token.containers[-1],
                own_line=False,
                in_flow=paths,
                header_of=node if isinstance(node, LaidScalar) else None,
                behind_flow=False,
                line=token.line_of,
            )


def _gaps(node: LaidNode, path: tuple[str, ...]) -> list[_Gap]:
    """Return what stands between the scalars of a collection: from where to where, and the keys above both sides."""
    gaps: list[_Gap] = []
    at, before = node.start, path
    for scalar, above in _scalars(node, path):
        gaps.append((at, scalar.start, (before, above)))
        at, before = max(at, scalar.end), above
    gaps.append((at, node.end, (before, path)))
    return gaps


def _scalars(node: LaidNode, path: tuple[str, ...]) -> Iterator[tuple[LaidScalar, tuple[str, ...]]]:
    match node:
        case LaidScalar():
            yield node, path
        case LaidMapping():
            for entry in node.entries:
                yield entry.key, path
                yield from _scalars(entry.value, (*path, entry.key.node.text))
        case LaidSequence():
            for item in node.items:
                yield from _scalars(item, path)
        case _:
            assert_never(node)
