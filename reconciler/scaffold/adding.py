"""A further target, and its rule, put into files that are there; comments, layout and everything else stay.

What comes out is read again and compared: where it says anything but what stood there and what was added, the text
cannot be added to in place.
"""

import textwrap
from typing import Any

from yaml import (
    CLoader,
    CollectionNode,
    CSafeLoader,
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    YAMLError,
    compose,
    load,
)


def with_target(text: str, name: str, fields: str, owner: str) -> str | None:
    """Return targets.yaml with one target more, and with an owner where one is needed.

    Args:
        text: A targets.yaml without a problem.
        name: Of a target that is not in it.
        fields: Its lines, with a line feed at the end of each.
        owner: UUID; empty: none is added.

    Returns:
        None where it is written in a way that cannot be added to in place.
    """
    found = _below(text, "targets")
    if found is None or not isinstance(found[1], MappingNode) or not found[1].value:
        return None
    top, node = found
    after = _behind(text, node, node.value[0][0].start_mark.column, fields)
    if after is None:
        return None
    if owner:
        # Targets stand behind it, so what is added there does not move this place.
        after = f"{text[:top]}owner: {owner}{_feed(text)}{after[top:]}"
    before, read = _read(text), _read(after)
    new = (_read(f"targets:\n{fields}") or {})["targets"][name]
    wanted = {**(before or {}), "targets": {**(before or {})["targets"], name: new}}
    return after if read == (wanted | {"owner": owner} if owner else wanted) else None


def with_rule(text: str, rule: str) -> str | None:
    """Return ``.sops.yaml`` with one rule more behind the last; None where it cannot be added in place."""
    found = _below(text, "creation_rules")
    if found is None or not isinstance(found[1], SequenceNode) or not found[1].value:
        return None
    first = found[1].value[0].start_mark
    line = text[first.index - first.column : first.index]
    if line.strip() != "-":
        return None
    after = _behind(text, found[1], line.index("-"), rule)
    before, read = _read(text), None if after is None else _read(after)
    if before is None or read is None:
        return None
    added = (_read(f"creation_rules:\n{rule}") or {})["creation_rules"]
    return after if read == {**before, "creation_rules": [*before["creation_rules"], *added]} else None


def _below(text: str, name: str) -> tuple[int, Node] | None:
    """Return where a field at the top begins, and its value; None if there is none in block style."""
    try:
        node = compose(text, Loader=CLoader)
    except YAMLError:
        return None
    if not isinstance(node, MappingNode) or node.flow_style:
        return None
    for key, value in node.value:
        block = isinstance(value, CollectionNode) and not value.flow_style
        if key.value == name and key.start_mark.column == 0 and block:
            return key.start_mark.index, value
    return None


def _behind(text: str, node: Node, column: int, lines: str) -> str | None:
    """Put lines, indented to ``column``, behind the last one of ``node`` and the comments that belong to that."""
    last = node
    while isinstance(last, CollectionNode) and not last.flow_style and last.value:
        below = last.value[-1]
        last = below[1] if isinstance(below, tuple) else below
    if isinstance(last, ScalarNode) and last.style in ("|", ">"):
        return None
    feed = _feed(text)
    at = text.find("\n", last.end_mark.index) + 1
    if not at:
        at, text = len(text) + len(feed), text + feed
    while True:
        end = text.find("\n", at) + 1
        line = text[at:end]
        if not line.lstrip(" ").startswith("#") or len(line) - len(line.lstrip(" ")) <= column:
            break
        at = end
    new = textwrap.indent(textwrap.dedent(lines), " " * column).replace("\n", feed)
    return text[:at] + new + text[at:]


def _feed(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _read(text: str) -> dict[str, Any] | None:
    try:
        found = load(text, Loader=CSafeLoader)
    except YAMLError:
        return None
    return found if isinstance(found, dict) else None
