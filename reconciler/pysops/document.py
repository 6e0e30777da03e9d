"""Bytes to a positioned tree: the one strict parse that every reader of a SOPS file shares.

Strict whatever decrypts: refused are a second document, duplicate keys, aliases, anchors, ``<<``, tags, directives,
BOM, control characters and the line breaks NEL, U+2028, U+2029 and lone CR, keys that are not text, an ``ENC[…]`` that
does not match to its end, one in a comment that is no encrypted comment, what libyaml reads and the yaml.v3 of sops
does not, and more than 16 MiB.

What people write by hand beside the encrypted files, ``.sops.yaml``, may have anchors, aliases and ``<<``: see `parse`.

Reads libyaml's events, as the nodes that PyYAML builds of them no longer show tags, anchors and directives. Nothing
recurses, so that no depth of nesting exhausts the stack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, assert_never

from yaml import CLoader, YAMLError
from yaml import parse as yaml_events
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from reconciler.pysops.characters import checked_text
from reconciler.pysops.comments import CommentSearch, search_of
from reconciler.pysops.envelope import ENVELOPE_START, Envelope, parse_envelope
from reconciler.pysops.errors import DocumentError, Mark
from reconciler.pysops.leaving import frameless
from reconciler.pysops.scalars import RefusedScalar, ScalarKind, kind_of


MAX_FILE_BYTES: Final = 16 * 1024 * 1024
"""Largest file that is read."""

MAX_DEPTH: Final = 100
"""Most mappings and lists within each other."""

MAX_NODES: Final = 1_000_000
"""Most keys, values, mappings and lists: eight million empty ones fit into the largest file, and would take a gigabyte
and most of a minute. An encrypted value takes a hundred bytes, so that no honest file comes near."""

MAX_ALIASED_NODES: Final = 10_000
"""Most nodes that aliases stand for, all of them together: a few lines can otherwise stand for billions."""


_SPACE: Final = re.compile(r"[ \t]*")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A leaf."""

    text: str = field(repr=False)
    """As written, quotes and escapes undone. Not shown: somebody may have forgotten to encrypt the file."""

    kind: ScalarKind
    """Quoted and block scalars are always STR."""

    mark: Mark
    envelope: Envelope | None = field(default=None, repr=False)
    """What is encrypted, if the text is a whole ``ENC[…]``; looked at once, as every reader of a value needs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One ``key: value`` of a mapping."""

    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A mapping, in file order, keys unique."""

    entries: tuple[Entry, ...]
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    mark: Mark

    empty_comment: Mark | None
    """Where the first ``#`` with nothing behind it stands: sops takes it for an item, where the list is encrypted."""


Node = Scalar | Mapping | Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One parsed file."""

    root: Mapping
    """Everything, the ``sops`` metadata included."""

    data: bytes = field(repr=False, compare=False)
    """What was parsed."""


@frameless
def parse(data: bytes, *, aliases: bool = False) -> Document:
    """Read the bytes of a file.

    Args:
        data: the whole file.
        aliases: take anchors and aliases, of up to `MAX_ALIASED_NODES`. An aliased node has the place where it was
            written; ``<<`` becomes a key like others, merging is left to the caller.

    Returns:
        The tree, with the place of every node.

    Raises:
        DocumentError: it is not YAML, or against one of the rules above; carries the place.
        DecryptionError: memory does not suffice; or there is a defect here.
    """
    if len(data) > MAX_FILE_BYTES:
        raise DocumentError("the file is too large", expected=f"at most {MAX_FILE_BYTES // 1024**2} MiB")
    text = checked_text(data)
    return Document(root=_build(data, text, aliases=aliases), data=data)


def _build(data: bytes, text: str, *, aliases: bool) -> Mapping:
    comments = search_of(text)
    builder = _Builder(_Anchors() if aliases else None, comments, text)
    try:
        for event in yaml_events(data, Loader=CLoader):
            if comments is not None:
                comments.take(event)
            builder.take(event)
    except YAMLError as error:
        place = getattr(error, "problem_mark", None)
        mark = None if place is None else Mark(line=place.line + 1, column=place.column + 1)
    else:
        return builder.finish()
    # Raised outside the handler: the parser's own message quotes the text and would be chained.
    tab = place is not None and _is_indented_by_tab(text, place.index)
    raise DocumentError("not valid YAML", mark=mark, advice="indent with spaces, not with tabs" if tab else None)


def _is_indented_by_tab(text: str, index: int) -> bool:
    line_start = text.rfind("\n", 0, index) + 1
    indent = _SPACE.match(text, line_start)
    return indent is not None and "\t" in indent[0]


class _OpenMapping:
    """A mapping that has begun and not ended."""

    __slots__ = ("anchor", "entries", "flow", "key", "mark", "merges", "names")

    def __init__(self, mark: Mark, anchor: str | None, *, flow: bool, merges: bool) -> None:
        self.mark = mark
        self.flow = flow
        self.anchor = anchor
        self.merges = merges
        self.entries: list[Entry] = []
        self.names: set[str] = set()
        self.key: Scalar | None = None

    def take(self, node: Node) -> None:
        if self.key is None:
            self.key = self._checked_key(node)
        else:
            self.entries.append(Entry(key=self.key, value=node))
            self.key = None

    def close(self) -> Mapping:
        return Mapping(entries=tuple(self.entries), mark=self.mark)

    def _checked_key(self, node: Node) -> Scalar:
        if not isinstance(node, Scalar) or node.kind is not ScalarKind.STR:
            raise DocumentError(
                "a key that is not text", mark=node.mark, advice="put it in quotes if it is meant as a name"
            )
        if node.text == "<<" and not self.merges:
            raise DocumentError("a merge key (<<)", mark=node.mark, advice="write out what it would merge")
        if node.text in self.names:
            raise DocumentError("a key that stands twice in its mapping", mark=node.mark, advice="remove one of them")
        self.names.add(node.text)
        return node


class _OpenSequence:
    """A list that has begun and not ended."""

    __slots__ = ("anchor", "comments", "flow", "items", "mark")

    def __init__(self, mark: Mark, anchor: str | None, comments: CommentSearch | None, *, flow: bool) -> None:
        self.mark = mark
        self.flow = flow
        self.anchor = anchor
        self.comments = comments
        self.items: list[Node] = []

    def take(self, node: Node) -> None:
        self.items.append(node)

    def close(self) -> Sequence:
        empty_comment = None if self.comments is None else self.comments.empty_comment_in(self.mark)
        return Sequence(items=tuple(self.items), mark=self.mark, empty_comment=empty_comment)


class _Anchors:
    """What anchors name, and how much has been made of it by aliases.

    Nodes are shared, not copied; what is limited is the work of whoever walks the tree.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._extents: dict[int, tuple[Node, int, int]] = {}
        """By identity: the node, kept so that its identity stays its own; how many nodes it is, and how many levels."""
        self._aliased = 0

    def define(self, name: str, node: Node) -> None:
        self._nodes[name] = node
        self._extents[id(node)] = (node, *self._extent(node))

    def resolve(self, name: str, mark: Mark, depth: int) -> Node:
        node = self._nodes.get(name)
        if node is None:
            raise DocumentError("an alias of nothing that stands above it", mark=mark)
        _, nodes, levels = self._extents[id(node)]
        self._aliased += nodes
        if self._aliased > MAX_ALIASED_NODES or depth + levels > MAX_DEPTH:
            raise DocumentError(
                "aliases stand for too much", mark=mark, expected=f"at most {MAX_ALIASED_NODES:,} values in all"
            )
        return node

    def _extent(self, node: Node) -> tuple[int, int]:
        known = self._extents.get(id(node))
        if known is not None:
            return known[1], known[2]
        match node:
            case Scalar():
                return 1, 0
            case Mapping():
                inner: tuple[Node, ...] = tuple(part for entry in node.entries for part in (entry.key, entry.value))
            case Sequence():
                inner = node.items
            case _:
                assert_never(node)
        extents = [self._extent(part) for part in inner]
        return 1 + sum(nodes for nodes, _ in extents), 1 + max((levels for _, levels in extents), default=0)


class _Builder:
    """Takes the events of one file, one by one, and refuses what is not read."""

    def __init__(self, anchors: _Anchors | None, comments: CommentSearch | None, text: str) -> None:
        self._anchors = anchors
        """None where anchors and aliases are refused."""
        self._comments = comments
        self._text = text
        self._open: list[_OpenMapping | _OpenSequence] = []
        self._root: Node | None = None
        self._nodes = 0

    def take(self, event: Event) -> None:
        match event:
            case ScalarEvent():
                self._add(self._scalar(event), event.anchor)
            case MappingStartEvent() | SequenceStartEvent():
                self._start(event)
            case MappingEndEvent() | SequenceEndEvent():
                ended = self._open.pop()
                self._add(ended.close(), ended.anchor)
            case DocumentStartEvent():
                self._start_document(event)
            case AliasEvent():
                self._add(self._aliased(event), None)
            case StreamStartEvent() | StreamEndEvent() | DocumentEndEvent():
                pass
            case _:  # whatever libyaml may learn to say
                raise DocumentError("YAML of an unknown kind", mark=_mark_of(event))

    def finish(self) -> Mapping:
        """Return the root, once all events are taken."""
        match self._root:
            case Mapping():
                return self._root
            case None:
                raise DocumentError("the file is empty", expected="a mapping")
            case Scalar(kind=ScalarKind.NULL):
                raise DocumentError("the file holds nothing", mark=self._root.mark, expected="a mapping")
            case Scalar():
                raise DocumentError("a single value at the top of the file", mark=self._root.mark, expected="a mapping")
            case Sequence():
                raise DocumentError("a list at the top of the file", mark=self._root.mark, expected="a mapping")

    def _start_document(self, event: DocumentStartEvent) -> None:
        if self._root is not None:
            raise DocumentError(
                "a second document", mark=_mark_of(event), expected="one document", advice="remove the line ---"
            )
        if event.version is not None or event.tags:
            raise DocumentError("a directive", mark=_mark_of(event), advice="remove the line that starts with %")

    def _start(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        mark = _mark_of(event)
        self._check_properties(event, mark)
        if len(self._open) >= MAX_DEPTH:
            raise DocumentError("nested too deeply", mark=mark, expected=f"at most {MAX_DEPTH} levels")
        parent = self._open[-1] if self._open else None
        if isinstance(parent, _OpenMapping) and parent.key is None:
            raise DocumentError("a key that is not text", mark=mark)
        flow = bool(event.flow_style)
        if isinstance(event, MappingStartEvent):
            self._open.append(_OpenMapping(mark, event.anchor, flow=flow, merges=self._anchors is not None))
        else:
            self._open.append(_OpenSequence(mark, event.anchor, self._comments, flow=flow))

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor is not None and self._anchors is not None:
            self._anchors.define(anchor, node)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise DocumentError("too many values", mark=node.mark, expected=f"at most {MAX_NODES:,}")
        if self._open:
            self._open[-1].take(node)
        else:
            self._root = node

    def _aliased(self, event: AliasEvent) -> Node:
        mark = _mark_of(event)
        if self._anchors is None:
            raise DocumentError("an alias", mark=mark, advice="write the value out")
        return self._anchors.resolve(event.anchor or "", mark, len(self._open))

    def _scalar(self, event: ScalarEvent) -> Scalar:
        mark = _mark_of(event)
        self._check_properties(event, mark)
        text: str = event.value
        self._check_as_sops_reads(event, text, mark)
        if event.style:
            kind = ScalarKind.STR
        else:
            try:
                kind = kind_of(text)
            except RefusedScalar as refused:
                raise DocumentError(refused.what, mark=mark, advice="put it in quotes") from None
        envelope = parse_envelope(text) if text.startswith(ENVELOPE_START) else None
        if envelope is None and text.startswith(ENVELOPE_START):
            raise DocumentError(
                "an encrypted value that is not whole", mark=mark, expected="ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]"
            )
        return Scalar(text=text, kind=kind, mark=mark, envelope=envelope)

    def _check_as_sops_reads(self, event: ScalarEvent, text: str, mark: Mark) -> None:
        # In these two things libyaml takes more than yaml.v3, where sops fails.
        if event.style == '"' and "/" in text and event.start_mark is not None and event.end_mark is not None:
            written = self._text[event.start_mark.index : event.end_mark.index]
            if any(escape[1] == "/" for escape in _ESCAPED.finditer(written)):
                raise DocumentError(
                    r"not valid YAML to sops: \/ in double quotes",
                    mark=mark,
                    advice="write the slash without a backslash",
                )
        if not event.style and "?" in text and self._open and self._open[-1].flow:
            raise DocumentError(
                "not valid YAML to sops: a question mark in brackets or braces", mark=mark, advice="put it in quotes"
            )

    def _check_properties(self, event: ScalarEvent | MappingStartEvent | SequenceStartEvent, mark: Mark) -> None:
        if event.anchor is not None and self._anchors is None:
            raise DocumentError("an anchor", mark=mark, advice="write the value out wherever it is meant")
        if event.tag is not None:
            raise DocumentError("a tag", mark=mark, advice="remove what starts with !")


def _mark_of(event: Event) -> Mark:
    place = event.start_mark
    return Mark(line=1, column=1) if place is None else Mark(line=place.line + 1, column=place.column + 1)
