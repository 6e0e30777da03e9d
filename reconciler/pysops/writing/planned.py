"""A file as it will be: its values opened, each with the place where it stands in the text, and those that are new."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, assert_never

from reconciler.pysops.document import Scalar
from reconciler.pysops.envelope import EnvelopeKind
from reconciler.pysops.errors import TamperedValue
from reconciler.pysops.scalars import ScalarKind, plain_value
from reconciler.pysops.selectors import Selector
from reconciler.pysops.sops_metadata import METADATA_KEY
from reconciler.pysops.values import COMMENT, mac_bytes, typed_value
from reconciler.pysops.writing.layout import LaidEntry, LaidMapping, LaidNode, LaidScalar, LaidSequence
from reconciler.pysops.writing.sealing import Sealer, bound_to


_SEALED_AS: Final[dict[ScalarKind, EnvelopeKind]] = {
    ScalarKind.STR: "str",
    ScalarKind.INT: "int",
    ScalarKind.FLOAT: "float",
    ScalarKind.BOOL: "bool",
    ScalarKind.TIMESTAMP: "time",
}
"""As sops types what it encrypts; it leaves null as it is."""


@dataclass(slots=True, kw_only=True, eq=False)
class PlannedLeaf:
    """One value."""

    plain: bytes | None = field(repr=False)
    """What is or would be encrypted; None for null."""

    kind: EnvelopeKind = "str"
    laid: LaidScalar | None = None
    """Where it stands; None when it is new."""

    sealed: str | None = field(default=None, repr=False)
    """``ENC[…]``, if it stands encrypted somewhere."""

    sealed_for: str = ""
    """What `sealed` is bound to."""

    may_be_plain: bool = True
    """Whether it may stand in plain, where the selector has it so."""

    @property
    def value(self) -> object:
        """What a reader of the file gets."""
        return None if self.plain is None else typed_value(self.kind, self.plain)


@dataclass(slots=True, kw_only=True, eq=False)
class PlannedItem:
    """One entry of a mapping."""

    key: str
    value: "PlannedNode"
    laid: LaidEntry | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class PlannedMapping:
    """A mapping; what is new stands behind the rest."""

    items: list[PlannedItem]
    laid: LaidMapping | None = None

    def find(self, key: str) -> PlannedItem | None:
        """Return the entry of a key."""
        return next((item for item in self.items if item.key == key), None)


@dataclass(slots=True, kw_only=True, eq=False)
class PlannedSequence:
    """A list. Either new, or as it stands."""

    items: list["PlannedNode"]
    laid: LaidSequence | None = None


PlannedNode = PlannedLeaf | PlannedMapping | PlannedSequence


def planned(root: LaidMapping, selector: Selector, sealer: Sealer | None) -> PlannedMapping:
    """Return the plan that leaves a file as it is, the metadata aside.

    Args:
        root: the file.
        selector: which values are encrypted.
        sealer: opens what is encrypted; None where nothing is yet.

    Raises:
        TamperedValue: a value does not open.
    """
    return PlannedMapping(
        items=[
            PlannedItem(
                key=entry.key.node.text,
                value=_planned(
                    entry.value, (entry.key.node.text,), selector, sealer, matched=selector.matches(entry.key.node.text)
                ),
                laid=entry,
            )
            for entry in root.entries
            if entry.key.node.text != METADATA_KEY
        ],
        laid=root,
    )


def _planned(
    laid: LaidNode, path: tuple[str, ...], selector: Selector, sealer: Sealer | None, *, matched: bool
) -> PlannedNode:
    match laid:
        case LaidScalar():
            opens = sealer if selector.encrypts(matched=matched) else None
            return _leaf(laid, path, opens)
        case LaidMapping():
            items = [
                PlannedItem(
                    key=entry.key.node.text,
                    value=_planned(
                        entry.value,
                        (*path, entry.key.node.text),
                        selector,
                        sealer,
                        matched=matched or selector.matches(entry.key.node.text),
                    ),
                    laid=entry,
                )
                for entry in laid.entries
            ]
            return PlannedMapping(items=items, laid=laid)
        case LaidSequence():
            return PlannedSequence(
                items=[_planned(item, path, selector, sealer, matched=matched) for item in laid.items], laid=laid
            )
        case _:
            assert_never(laid)


def _leaf(laid: LaidScalar, path: tuple[str, ...], sealer: Sealer | None) -> PlannedLeaf:
    node = laid.node
    if node.kind is ScalarKind.NULL:
        return PlannedLeaf(plain=None, laid=laid)
    if sealer is None or node.envelope is None:
        return PlannedLeaf(plain=plain_bytes(node), kind=_SEALED_AS[node.kind], laid=laid)
    sealed_for = bound_to(path)
    plain = sealer.open(node.envelope, sealed_for)
    if plain is None:
        raise TamperedValue("a value does not authenticate", mark=node.mark)
    return PlannedLeaf(
        plain=plain, kind=node.envelope.kind, laid=laid, sealed=node.text, sealed_for=sealed_for, may_be_plain=False
    )


def plain_bytes(node: Scalar) -> bytes:
    """Return what sops would encrypt of a scalar that stands in plain; not of null."""
    return mac_bytes(plain_value(node.text, node.kind))


def values_of_plan(node: PlannedMapping) -> dict[str, object]:
    """Return the values as `crypt.decrypt` would, once the file is written."""
    return {item.key: _value(item.value) for item in node.items}


def _value(node: PlannedNode) -> object:
    match node:
        case PlannedLeaf():
            return node.value
        case PlannedMapping():
            return values_of_plan(node)
        case PlannedSequence():
            return [value for value in map(_value, node.items) if value is not COMMENT]
        case _:
            assert_never(node)


def leaves_of(node: PlannedNode) -> Iterator[PlannedLeaf]:
    """Yield the values below a node, in file order."""
    match node:
        case PlannedLeaf():
            yield node
        case PlannedMapping():
            for item in node.items:
                yield from leaves_of(item.value)
        case PlannedSequence():
            for below in node.items:
                yield from leaves_of(below)
        case _:
            assert_never(node)


def leaves_below(node: PlannedNode, selector: Selector, *, matched: bool = False) -> Iterator[tuple[PlannedLeaf, bool]]:
    """Yield the values below a node, in file order, each with whether the selector wants it encrypted."""
    match node:
        case PlannedLeaf():
            yield node, selector.encrypts(matched=matched)
        case PlannedMapping():
            for item in node.items:
                yield from leaves_below(item.value, selector, matched=matched or selector.matches(item.key))
        case PlannedSequence():
            for below in node.items:
                yield from leaves_below(below, selector, matched=matched)
        case _:
            assert_never(node)
