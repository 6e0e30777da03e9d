"""What one version of a scope file held, as it shows without a key: whom it names, and each value sealed. Pure.

Old versions are read more leniently than those that are applied: what somebody could read once does not depend on
whether it obeyed the rules of today.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.model import FoldedName, fold
from reconciler.policy.scope_values import Form
from reconciler.pysops import (
    Document,
    Envelope,
    Metadata,
    Node,
    Recipient,
    Scalar,
    SopsError,
    parse,
    read_metadata,
)
from reconciler.pysops import Mapping as MappingNode


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """One key of one scope of one workspace, as names compare."""

    host: str
    """The mapping key as written, see `reconciler.policy.Target.host_key`."""

    scope: FoldedName
    key: FoldedName


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """One value as it stands in a version of a file."""

    names: tuple[str, ...]
    """The mapping keys above it, from the root, as written: what its ciphertext is bound to."""

    form: Form
    envelope: Envelope | None = field(repr=False)
    """None where it stands there in plain."""

    plain: str = field(default="", repr=False)
    """What stands there in plain."""

    @property
    def scope(self) -> str:
        """Name of the scope, as written."""
        return self.names[2]

    @property
    def key(self) -> str:
        """Name of the key, as written."""
        return self.names[3]

    @property
    def lengths(self) -> range:
        """How many bytes the value may have; the length of text shows through its encryption."""
        size = len(self.plain.encode(errors="replace")) if self.envelope is None else self.envelope.size
        if self.form is Form.TEXT:
            return range(size, size + 1)
        return range(max(size // 4 * 3 - 2, 0), size // 4 * 3 + 1)

    def may_equal(self, other: "Sealed") -> bool:
        """Tell whether two values may be the same by their length."""
        mine, theirs = self.lengths, other.lengths
        return mine.start < theirs.stop and theirs.start < mine.stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """One version of a file."""

    metadata: Metadata | None
    """None for a file that is not encrypted."""

    values: Mapping[Place, Sealed]
    """Without those that are empty: there is nothing to know about them."""

    tokens: frozenset[bytes]
    """What two versions have in common only if they are encrypted with the same data key: ciphertexts, and the data key
    as it is encrypted to somebody. Each is random."""

    @property
    def recipients(self) -> frozenset[Recipient]:
        """Whom it names."""
        return frozenset() if self.metadata is None else frozenset(self.metadata.recipients)


def read_contents(data: bytes) -> Contents | None:
    """Return what a version of a file held; None for one that is no document, or that has unusable metadata."""
    try:
        document = parse(data)
        metadata = read_metadata(document) if _is_encrypted(document) else None
    except SopsError:
        return None
    values = {
        Place(host=sealed.names[1], scope=fold(sealed.scope), key=fold(sealed.key)): sealed
        for sealed in _sealed(document)
    }
    tokens = {sealed.envelope.iv + sealed.envelope.tag for sealed in values.values() if sealed.envelope is not None}
    if metadata is not None:
        tokens |= {wrapped.enc.encode(errors="replace") for wrapped in metadata.wrapped_keys if wrapped.enc}
        tokens.add(metadata.mac.iv + metadata.mac.tag)
    return Contents(metadata=metadata, values=values, tokens=frozenset(tokens))


def _is_encrypted(document: Document) -> bool:
    return any(entry.key.text == "sops" for entry in document.root.entries)


def _sealed(document: Document) -> Iterator[Sealed]:
    """Yield the values below ``secrets: HOST: SCOPE:``, those that are empty aside."""
    for names, node in _children(document.root, ()):
        if names != ("secrets",):
            continue
        for host, below in _children(node, names):
            for scope, keys in _children(below, host):
                for key, value in _children(keys, scope):
                    yield from _value(key, value)


def _children(node: Node, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Node]]:
    if isinstance(node, MappingNode):
        for entry in node.entries:
            yield (*above, entry.key.text), entry.value


def _value(names: tuple[str, ...], node: Node) -> Iterator[Sealed]:
    if isinstance(node, Scalar):
        if node.text:
            yield _one(names, node, Form.TEXT)
        return
    for inner, value in _children(node, names):
        if inner[-1] == Form.BASE64.value and isinstance(value, Scalar) and value.text:
            yield _one(inner, value, Form.BASE64)


def _one(names: tuple[str, ...], node: Scalar, form: Form) -> Sealed:
    return Sealed(names=names, form=form, envelope=node.envelope, plain="" if node.envelope else node.text)
