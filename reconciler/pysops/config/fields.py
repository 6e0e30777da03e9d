"""Fields of ``.sops.yaml``, read as Go's YAML decoder fills the structs of ``config.go``; unknown ones are refused.

sops ignores what it does not know: a misspelt ``encrypted_regexp`` means that everything is encrypted, a misspelt
``age`` that somebody cannot open the file. Merge keys (``<<``) are followed, as people share settings with them.
"""

import difflib
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as ReadOnly
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Final, Self

from reconciler.pysops.document import Entry, Mapping, Node, Scalar, Sequence
from reconciler.pysops.errors import ConfigError, Mark
from reconciler.pysops.scalars import ScalarKind


_TRUE: Final = frozenset({"true", "True", "TRUE", "y", "Y", "yes", "on"})
_FALSE: Final = frozenset({"false", "False", "FALSE", "n", "N", "no", "off"})
"""What ``decode.go`` of yaml.v3 v3.0.4 takes for a bool where the struct has one."""

_MAX_THRESHOLD: Final = 255
"""Parts of a secret are numbered by one byte."""

_MAX_MERGE_DEPTH: Final = 50

_MAX_GUESSED_CHARS: Final = 128
"""Longest name for which a similar one is looked for: the work grows with the square of it."""

_MAX_KNOWN: Final = 500
"""Among how many: each comparison takes some 20 microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Those of one mapping, merged ones included."""

    entries: ReadOnly[str, Entry]
    """By name; read-only."""

    mark: Mark

    @classmethod
    def read(cls, node: Node, known: tuple[str, ...] | None, what: str) -> Self:
        """Return the fields of ``node``.

        Args:
            node: of the tree.
            known: the names that there are; None allows any.
            what: the node is, for messages.

        Raises:
            ConfigError: it is no mapping, or has a field that is not known.
        """
        entries = dict(_merged(node, what, depth=0))
        for name, entry in entries.items():
            if known is not None and name not in known:
                raise ConfigError(
                    f"an unknown field of {what}, which sops ignores",
                    mark=entry.key.mark,
                    expected=f"one of {', '.join(known)}",
                    advice=did_you_mean(name, known),
                )
        return cls(entries=MappingProxyType(entries), mark=node.mark)

    def get(self, name: str) -> Entry | None:
        """Return a field; None when it is not there."""
        return self.entries.get(name)

    def items(self, name: str) -> tuple[Node, ...]:
        """Return the items of a list that may be missing or null.

        Raises:
            ConfigError: it is something else.
        """
        entry = self.entries.get(name)
        return () if entry is None else items_of(entry.value, name)


def _merged(node: Node, what: str, *, depth: int) -> Iterator[tuple[str, Entry]]:
    """Yield the fields of a mapping by name, those of lowest precedence first."""
    if not isinstance(node, Mapping) or depth > _MAX_MERGE_DEPTH:
        raise ConfigError(f"{what} is not a mapping", mark=node.mark)
    for entry in node.entries:
        if entry.key.text == "<<":
            # Of several, the first wins; what stands in the mapping itself wins over all.
            sources = entry.value.items if isinstance(entry.value, Sequence) else (entry.value,)
            for source in reversed(sources):
                yield from _merged(source, "what << merges", depth=depth + 1)
    yield from ((entry.key.text, entry) for entry in node.entries if entry.key.text != "<<")


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return which of ``known`` is closest to ``name``, whatever the case; None when nothing is close."""
    if len(name) > _MAX_GUESSED_CHARS:
        return None
    by_lower = {each.lower(): each for each in islice(known, _MAX_KNOWN)}
    found = difflib.get_close_matches(name.lower(), list(by_lower), n=1)
    return by_lower[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return advice that names the closest of ``known``; None when nothing is close."""
    found = closest(name, known)
    return None if found is None else f"did you mean '{found}'?"


def items_of(node: Node, name: str) -> tuple[Node, ...]:
    """Return the items of a list that may be null.

    Raises:
        ConfigError: it is something else.
    """
    if isinstance(node, Sequence):
        return node.items
    if isinstance(node, Scalar) and node.kind is ScalarKind.NULL:
        return ()
    raise ConfigError(f"{name} is not a list", mark=node.mark)


def text_of(fields: Fields, name: str) -> str:
    """Return a text; empty when it is missing or null. Go's decoder takes any scalar for text.

    Raises:
        ConfigError: it is a list or a mapping.
    """
    entry = fields.get(name)
    if entry is None:
        return ""
    if not isinstance(entry.value, Scalar):
        raise ConfigError(f"{name} is not text", mark=entry.value.mark)
    return "" if entry.value.kind is ScalarKind.NULL else entry.value.text


def texts_of(node: Node, name: str, mark: Mark) -> tuple[str, ...]:
    """Return the parts between the commas of a text; none for null.

    Raises:
        ConfigError: it is anything but text, such as a fingerprint of digits alone without quotes.
    """
    if isinstance(node, Scalar) and node.kind is ScalarKind.NULL:
        return ()
    if not isinstance(node, Scalar) or node.kind is not ScalarKind.STR:
        raise ConfigError(f"{name} is neither text nor a list of texts", mark=mark, advice="put it in quotes")
    return tuple(node.text.split(","))


def flag_of(fields: Fields, name: str) -> bool:
    """Return a bool; false when it is missing or null.

    Raises:
        ConfigError: it is neither true nor false.
    """
    entry = fields.get(name)
    if entry is None:
        return False
    value = entry.value
    if isinstance(value, Scalar) and value.kind in {ScalarKind.BOOL, ScalarKind.STR, ScalarKind.NULL}:
        if value.kind is ScalarKind.NULL or value.text in _FALSE:
            return False
        if value.text in _TRUE:
            return True
    raise ConfigError(f"{name} is neither true nor false", mark=value.mark)


def threshold_of(fields: Fields, name: str, groups: int) -> int:
    """Return how many of ``groups`` key groups have to be opened; 0 when the rule does not say.

    Raises:
        ConfigError: it is no number, or not one with which sops could split a data key.
    """
    entry = fields.get(name)
    if entry is None:
        return 0
    value = entry.value
    if isinstance(value, Scalar) and value.kind is ScalarKind.NULL:
        return 0
    lowest, highest = (2, min(groups, _MAX_THRESHOLD)) if groups > 1 else (1, 1)
    digits = value.text if isinstance(value, Scalar) and value.kind is ScalarKind.INT else ""
    if digits.isascii() and digits.isdigit() and len(digits) <= len(str(_MAX_THRESHOLD)):
        threshold = int(digits)
        if threshold == 0 or lowest <= threshold <= highest:
            return threshold
    raise ConfigError(f"{name} is not a number of key groups", mark=value.mark, expected=f"{lowest} to {highest}")
