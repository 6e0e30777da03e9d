"""The ``sops`` mapping of a file as sops 3.13 lays it out: fields in alphabetical order, armor in blocks of lines."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from reconciler.pysops.writing.plain_yaml import quoted, value_text


WRITTEN_AS: Final = "3.13.3"
"""The version of sops that files say they were written by. sops refuses files without one, and goes by it only to spare
those of old versions: this is the one that we compare ourselves with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapped:
    """The data key, or a part of it, encrypted to one recipient of age."""

    recipient: str
    enc: str = field(repr=False)


def metadata_text(
    groups: Sequence[Sequence[Wrapped]],
    *,
    selectors: dict[str, str],
    lastmodified: str,
    mac: str,
    mac_only_encrypted: bool,
    shamir_threshold: int,
) -> str:
    """Return the lines of a new ``sops`` mapping, each with a line break."""
    step = "    "
    fields: dict[str, str] = {name: f" {value_text(text, indent=8)}" for name, text in selectors.items()}
    fields |= {
        "lastmodified": f" {quoted(lastmodified)}",
        "mac": f" {mac}",
        "version": f" {WRITTEN_AS}",
    }
    if len(groups) == 1:
        fields["age"] = "\n" + _items(groups[0], step * 2)
    else:
        fields["key_groups"] = "\n" + "\n".join(f"{step * 2}- age:\n{_items(group, step * 3)}" for group in groups)
        fields["shamir_threshold"] = f" {shamir_threshold}"
    if mac_only_encrypted:
        fields["mac_only_encrypted"] = " true"
    return "sops:\n" + "".join(f"{step}{name}:{fields[name]}\n" for name in sorted(fields))


def _items(group: Sequence[Wrapped], indent: str) -> str:
    lines: list[str] = []
    for wrapped in group:
        armor = wrapped.enc.rstrip("\n").split("\n")
        lines += (
            f"{indent}- enc: |",
            *(f"{indent}    {line}" for line in armor),
            f"{indent}  recipient: {value_text(wrapped.recipient, indent=0)}",
        )
    return "\n".join(lines)
