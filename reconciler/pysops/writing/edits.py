"""What is to be changed in a file, in words of its values."""

from dataclasses import dataclass, field

from reconciler.pysops.binary.arguments import TextTree


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """Put a value into a file, with the mappings above it as far as they are missing.

    A value that equals the one that stands there keeps its ciphertext, also within a mapping. Of a mapping that stands
    there, what the new one does not have goes.
    """

    path: tuple[str, ...]
    """Mapping keys from the root."""

    value: TextTree = field(repr=False)
    plain: bool = False
    """Whether it may stand there in plain. If not, it is refused where the selector does not want it encrypted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Remove what stands at a place, with the mappings above that this leaves empty. Nothing there is fine."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """Give the last key of a path another name, at its place. What is below is encrypted anew, for its new path."""

    path: tuple[str, ...]
    name: str


Edit = Put | Remove | Rename
