"""Edits, applied to the plan of a file. Nothing is encrypted here; what cannot be done is refused, the plan is lost."""

from collections.abc import Mapping, Sequence
from typing import assert_never

from reconciler.pysops.binary.arguments import TextTree
from reconciler.pysops.errors import ArgumentError
from reconciler.pysops.sops_metadata import METADATA_KEY
from reconciler.pysops.writing.edits import Edit, Put, Remove, Rename
from reconciler.pysops.writing.planned import PlannedItem, PlannedLeaf, PlannedMapping, PlannedNode, PlannedSequence


def apply(root: PlannedMapping, edits: Sequence[Edit]) -> None:
    """Apply edits one after the other.

    Raises:
        ArgumentError: one cannot be done: a path without keys or into the metadata, a value of something else than
            text, a text or list where a mapping would have to be, a name that is taken or a key that is not there.
    """
    emptied: list[tuple[str, ...]] = []
    for edit in edits:
        check_path(edit.path)
        match edit:
            case Put():
                _put(root, edit)
            case Remove():
                if _remove(root, edit.path):
                    emptied.append(edit.path)
            case Rename():
                _rename(root, edit)
            case _:
                assert_never(edit)
    # Only now: what one edit empties another may fill.
    for path in emptied:
        _prune(root, path[:-1])


def check_path(path: tuple[str, ...]) -> None:
    """Make sure that a path leads to a value.

    Raises:
        ArgumentError: it does not.
    """
    if not path or path[0] == METADATA_KEY:
        raise ArgumentError("the root of a file and its metadata are not values", expected="the keys above a value")
    if not all(isinstance(part, str) for part in path):
        raise ArgumentError("a part of a path that is no key", expected="mapping keys from the root")
    for part in path:
        _check_text(part)


def check_tree(value: object) -> None:
    """Make sure that a value is of text.

    Raises:
        ArgumentError: it is not, or holds half a character.
    """
    match value:
        case str():
            _check_text(value)
        case Mapping():
            for key, below in value.items():
                if not isinstance(key, str):
                    raise ArgumentError("a key that is not text", expected="text")
                _check_text(key)
                check_tree(below)
        case Sequence() if not isinstance(value, bytes | bytearray):
            for item in value:
                check_tree(item)
        case _:
            raise ArgumentError("a value that is not text", expected="text, or a mapping or list of texts")


def _check_text(text: str) -> None:
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ArgumentError("a text that cannot be written as UTF-8", advice="store it as base64")


def _put(root: PlannedMapping, edit: Put) -> None:
    check_tree(edit.value)
    here = root
    for part in edit.path[:-1]:
        item = here.find(part)
        if item is None:
            item = PlannedItem(key=part, value=PlannedMapping(items=[]))
            here.items.append(item)
        elif isinstance(item.value, PlannedLeaf) and item.value.plain is None:
            item.value = PlannedMapping(items=[])
        if not isinstance(item.value, PlannedMapping):
            raise ArgumentError(
                "a text or list stands where a mapping would have to be",
                expected="keys of mappings above the value",
                advice="remove what stands there first",
            )
        here = item.value
    _put_into(here, edit.path[-1], edit.value, plain=edit.plain)


def _put_into(here: PlannedMapping, key: str, value: TextTree, *, plain: bool) -> None:
    item = here.find(key)
    if item is None:
        here.items.append(PlannedItem(key=key, value=_new(value, plain=plain)))
        return
    item.value = _put_over(item.value, value, plain=plain)


def _put_over(old: PlannedNode, value: TextTree, *, plain: bool) -> PlannedNode:
    match value:
        case str():
            same = isinstance(old, PlannedLeaf) and old.kind == "str" and old.plain == value.encode()
            return old if same else _new(value, plain=plain)
        case Mapping() if isinstance(old, PlannedMapping) and value:
            old.items = [item for item in old.items if item.key in value]
            for key, below in value.items():
                _put_into(old, key, below, plain=plain)
            return old
        case Mapping():
            return old if isinstance(old, PlannedMapping) and not old.items else _new(value, plain=plain)
        case _:
            new = _new(value, plain=plain)
            return old if isinstance(old, PlannedSequence) and _is_same(old, new) else new


def _new(value: TextTree, *, plain: bool) -> PlannedNode:
    match value:
        case str():
            return PlannedLeaf(plain=value.encode(), may_be_plain=plain)
        case Mapping():
            items = [PlannedItem(key=key, value=_new(below, plain=plain)) for key, below in value.items()]
            return PlannedMapping(items=items)
        case _:
            return PlannedSequence(items=[_new(item, plain=plain) for item in value])


def _is_same(old: PlannedNode, new: PlannedNode) -> bool:
    match old, new:
        case PlannedLeaf(), PlannedLeaf():
            return old.kind == new.kind and old.plain == new.plain
        case PlannedMapping(), PlannedMapping():
            return [item.key for item in old.items] == [item.key for item in new.items] and all(
                _is_same(one.value, other.value) for one, other in zip(old.items, new.items, strict=True)
            )
        case PlannedSequence(), PlannedSequence():
            kept = [item for item in old.items if not (isinstance(item, PlannedLeaf) and item.kind == "comment")]
            return len(kept) == len(new.items) and all(
                _is_same(one, other) for one, other in zip(kept, new.items, strict=True)
            )
        case _:
            return False


def _remove(root: PlannedMapping, path: tuple[str, ...]) -> bool:
    above = _mapping_at(root, path[:-1])
    item = None if above is None else above.find(path[-1])
    if above is None or item is None:
        return False
    above.items.remove(item)
    return True


def _prune(root: PlannedMapping, path: tuple[str, ...]) -> None:
    while path:
        here = _mapping_at(root, path)
        if here is not None and here.items:
            return
        if here is not None:
            _remove(root, path)
        path = path[:-1]


def _rename(root: PlannedMapping, edit: Rename) -> None:
    check_path((*edit.path[:-1], edit.name))
    above = _mapping_at(root, edit.path[:-1])
    item = None if above is None else above.find(edit.path[-1])
    if above is None or item is None:
        raise ArgumentError("there is no such key in the file", expected="a key that stands there")
    if edit.name == item.key:
        return
    if above.find(edit.name) is not None:
        raise ArgumentError("the new name is taken by another key", expected="a name that is free")
    item.key = edit.name


def _mapping_at(root: PlannedMapping, path: tuple[str, ...]) -> PlannedMapping | None:
    here: PlannedNode = root
    for part in path:
        item = here.find(part) if isinstance(here, PlannedMapping) else None
        if item is None:
            return None
        here = item.value
    return here if isinstance(here, PlannedMapping) else None
