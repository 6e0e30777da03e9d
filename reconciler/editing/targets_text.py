"""Changing where one target goes in the text of targets.yaml; comments, layout and everything else stay as they are.

The file is not written anew from its tree: what people wrote beside the fields would be lost, and a review would show
changes where none are.
"""

import re
from dataclasses import dataclass
from typing import Final

from yaml import CLoader, MappingNode, Node, ScalarNode, compose

from reconciler.errors import Refused
from reconciler.policy.sources import TARGETS_FILE


_PLAIN: Final = re.compile(r"[A-Za-z0-9._:/-]+", re.ASCII)
"""What both a host and an id are made of: the same within either quotes."""

_ONE_LINE: Final = frozenset({None, '"', "'"})
"""Styles of a scalar: plain and the two quotes. The others, ``|`` and ``>``, take several lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """One field in the text. Places are in characters."""

    key_start: int
    start: int
    end: int
    style: str | None
    flow: bool
    """Within braces."""


def with_workspace(text: str, target: str, *, host: str, workspace_id: str | None) -> str:
    """Return targets.yaml with another host and workspace id for one target.

    Args:
        text: A targets.yaml that was read without a problem.
        target: Name of a target with a workspace.
        host: ``https://…``.
        workspace_id: None: the field goes away, if there is one.

    Raises:
        Refused: The fields are written in a way that cannot be changed in place.
    """
    fields = _fields(compose(text, Loader=CLoader), "targets", target, "workspace")
    host_field, id_field = fields.get("host"), fields.get("workspace_id")
    if host_field is None:
        raise _by_hand()
    # From the end to the front, so that what stands before is where it was.
    splices = [(host_field.start, host_field.end, _written(host, host_field))]
    if id_field is not None and workspace_id is not None:
        splices.append((id_field.start, id_field.end, _written(workspace_id, id_field)))
    elif id_field is not None:
        splices.append((*_line_of(text, id_field), ""))
    elif workspace_id is not None:
        splices.append(_added(text, host_field, workspace_id))
    for start, end, new in sorted(splices, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _fields(node: Node | None, *above: str) -> dict[str, _Field]:
    """Return the texts of one mapping by their keys."""
    for name in above:
        below = node.value if isinstance(node, MappingNode) else ()
        node = next((value for key, value in below if key.value == name), None)
    if not isinstance(node, MappingNode):
        return {}
    return {
        key.value: _Field(
            key_start=key.start_mark.index,
            start=value.start_mark.index,
            end=value.end_mark.index,
            style=value.style or None,
            flow=bool(node.flow_style),
        )
        for key, value in node.value
        if isinstance(value, ScalarNode)
    }


def _written(value: str, field: _Field) -> str:
    """Return ``value`` in the style of what it replaces."""
    if not _PLAIN.fullmatch(value) or field.style not in _ONE_LINE:
        raise _by_hand()
    # An id may look like a number to YAML, and not the same one: 0123, 1e5. A host never does.
    quote = field.style or ("" if "://" in value else '"')
    return f"{quote}{value}{quote}"


def _line_of(text: str, field: _Field) -> tuple[int, int]:
    """Return where the whole line of a field begins and ends."""
    if field.flow or field.style not in _ONE_LINE:
        raise _by_hand()
    start = text.rfind("\n", 0, field.key_start) + 1
    end = text.find("\n", field.end) + 1 or len(text)
    if text[start : field.key_start].strip() or text[field.end : end].strip():  # a comment is somebody's words
        raise _by_hand()
    return start, end


def _added(text: str, host: _Field, workspace_id: str) -> tuple[int, int, str]:
    """Return where and how a field goes in behind the host."""
    if not _PLAIN.fullmatch(workspace_id):
        raise _by_hand()
    new = f'workspace_id: "{workspace_id}"'
    if host.flow:
        return host.end, host.end, f", {new}"
    line = text.rfind("\n", 0, host.key_start) + 1
    indent = text[line : host.key_start]
    if indent.strip():
        raise _by_hand()
    end = text.find("\n", host.end)
    feed = "\r\n" if text.find("\r\n", host.end) == end - 1 >= 0 else "\n"
    at = len(text) if end < 0 else end + 1 - len(feed)
    return at, at, f"{feed}{indent}{new}"


def _by_hand() -> Refused:
    return Refused(
        f"{TARGETS_FILE} is written in a way in which the host cannot be changed in place; nothing was written",
        advice="change host and workspace_id there by hand, then run: reconciler retarget TARGET --from OLD_HOST",
    )
