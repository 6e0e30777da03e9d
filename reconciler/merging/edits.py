"""From what a version of a file says to what another one says: the edits between them. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from reconciler import pysops
from reconciler.editing.forms import rule_text
from reconciler.merging.trees import Slot, Tree, Value
from reconciler.model import Acl
from reconciler.policy.scope_files import RotationRule
from reconciler.policy.scope_values import Form
from reconciler.pysops.binary.arguments import TextTree


_SECRETS: Final = "secrets"

_INDENT: Final = "    "
"""That of sops."""


def secret_edits(before: Tree, after: Tree) -> tuple[pysops.Edit, ...]:
    """Return what makes the values of one tree those of another. What is the same in both is not touched."""
    edits: list[pysops.Edit] = [*_renamed(before, after)]
    for place, value in after.values.items():
        if isinstance(value, Value) and before.values.get(place) != value:
            edits.append(pysops.Put(path=_path(after, place), value=_written(value)))
    gone = (place for place in before.values if place not in after.values)
    edits.extend(pysops.Remove(path=_path(after, place, before)) for place in gone)
    return tuple(edits)


def _renamed(before: Tree, after: Tree) -> Iterator[pysops.Edit]:
    """Yield the renames: scopes first, as keys are then found below their new names."""
    for place in sorted(set(after.spelling) & set(before.spelling), key=len):
        old, new = before.spelling[place], after.spelling[place]
        if old != new:
            host, scope, *_ = place
            above = (host,) if len(place) == _SCOPE_PARTS else (host, after.spelling[(host, scope)])
            yield pysops.Rename(path=(_SECRETS, *above, old), name=new)


_SCOPE_PARTS: Final = 2


def _path(tree: Tree, place: Slot, fallback: Tree | None = None) -> tuple[str, ...]:
    """Return the mapping keys to a value, as ``tree`` spells them, or ``fallback`` those that it does not have."""
    host, scope, _ = place.parts
    spellings = {**({} if fallback is None else fallback.spelling), **tree.spelling}
    return (_SECRETS, host, spellings[(host, scope)], spellings[place.parts])


def _written(value: Value) -> TextTree:
    text = value.text.reveal().decode()
    return text if value.form is Form.TEXT else {value.form.value: text}


def field_edits(before: Tree, after: Tree) -> tuple[pysops.Edit, ...]:
    """Return what makes the plain fields of one tree those of another, as far as they stand there already."""
    texts, wanted = field_texts(before), field_texts(after)
    edits: list[pysops.Edit] = []
    for name, old in texts.items():
        new = wanted.get(name)
        if new is None:
            edits.append(pysops.Remove(path=(name,)))
        elif new != old:
            edits.append(pysops.Put(path=(name,), value=new, plain=True))
    return tuple(edits)


def new_fields(before: Tree, after: Tree) -> Mapping[str, TextTree]:
    """Return the plain fields that one tree has and the other one lacks, in the order in which they must stand."""
    there = field_texts(before)
    return {name: value for name, value in field_texts(after).items() if name not in there}


def field_texts(tree: Tree) -> dict[str, TextTree]:
    """Return the plain fields of a tree as they are written, in their order."""
    texts: dict[str, TextTree] = {}
    if tree.grants is not None:
        texts["acls"] = _grants(tree.grants.values())
    if tree.prune is not None:
        texts["prune"] = tree.prune
    if tree.rotation:
        texts["rotation"] = _rules(tree.rotation.values())
    return texts


def _grants(acls: Iterable[Acl]) -> list[str]:
    return [f"<{acl.permission.name} {acl.principal}>" for acl in acls]


def _rules(rules: Iterable[RotationRule]) -> list[str]:
    return [f"<{rule.days}d {rule.key or '*'}>" for rule in rules]


def with_fields(plaintext: bytes, fields: Mapping[str, TextTree], order: tuple[str, ...]) -> bytes:
    """Return the text of a file with plain fields put where they must stand.

    Args:
        plaintext: the file before it is encrypted; none of ``fields`` is in it.
        fields: name to a text, or a list of such.
        order: all fields, in their order.
    """
    text = plaintext.decode()
    for name, value in fields.items():
        later = "|".join(order[order.index(name) + 1 :])
        found = re.search(rf"""^(?:[ \t]*#.*\n)*["']?(?:{later})["']?[ \t]*:""", text, re.MULTILINE)
        at = len(text) if found is None else found.start()
        text = text[:at] + _field(name, value) + text[at:]
    return text.encode()


def _field(name: str, value: TextTree) -> str:
    if isinstance(value, str):
        return f"{name}: {value}\n"
    items = (f"{_INDENT}- {rule_text(str(item))}\n" for item in value)
    return f"{name}:\n" + "".join(items)
