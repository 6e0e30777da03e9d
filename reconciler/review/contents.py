"""What stands below ``secrets`` of scope files, key by key, whatever is wrong with it.

`reconciler.policy` leaves out what breaks a rule, as no run may use it. A review must show it: a key whose value is no
longer encrypted has not gone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from reconciler.model import FoldedName, fold
from reconciler.policy import Policy, ScopeFile
from reconciler.policy.scope_values import Form
from reconciler.pysops import Envelope, Node, Scalar, Sequence
from reconciler.pysops import Mapping as Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One key of one scope in one file."""

    path: str
    host_key: str
    scope: str
    """As written."""

    key: str
    """As written."""

    line: int
    """Where the key stands, from 1."""

    form: Form | None
    """None where it has none that is known."""

    neighbours: tuple[str | None, str | None]
    """The keys above and below it in its scope; None where it is the first or last."""

    envelope: Envelope | None = field(repr=False)
    """What is encrypted; None where nothing is, or only a part."""

    @property
    def sealed_by(self) -> tuple[bytes, bytes] | None:
        """Nonce and tag: two values of which they are equal are copies of one another, as each nonce is random."""
        return None if self.envelope is None else (self.envelope.iv, self.envelope.tag)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ScopeSpot:
    """One scope, as names compare, by the target that has it or, where none has, by its host."""

    target: str
    """Name of the target at the head where it is there, else at the base; or the host."""

    scope: FoldedName


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Spot:
    """One key of one scope, as names compare."""

    scope: ScopeSpot
    key: FoldedName


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two trees that are compared."""

    policy: Policy
    names: Mapping[str, str]
    """Host to the name by which its target is called in the review."""

    files: Mapping[str, ScopeFile]
    """By path."""

    values: Mapping[Spot, Value]
    """Where several files have the same key, which is a problem of its own, that of the first by path."""

    scopes: Mapping[ScopeSpot, tuple[str, ...]]
    """Scope to the paths of the files that feed it, sorted."""


def side_of(policy: Policy, names: Mapping[str, str]) -> Side:
    """Return one of the two trees.

    Args:
        policy: what was read of it.
        names: see `Side`.
    """
    values: dict[Spot, Value] = {}
    scopes: dict[ScopeSpot, dict[str, None]] = {}
    for file in policy.files:
        for value in values_of(file):
            spot = ScopeSpot(target=names.get(value.host_key, value.host_key), scope=fold(value.scope))
            values.setdefault(Spot(scope=spot, key=fold(value.key)), value)
            scopes.setdefault(spot, {})[file.path] = None
    return Side(
        policy=policy,
        names=names,
        files={file.path: file for file in policy.files},
        values=values,
        scopes={spot: tuple(paths) for spot, paths in scopes.items()},
    )


def values_of(file: ScopeFile) -> Iterator[Value]:
    """Yield every key of a scope file, in file order."""
    for top in file.document.root.entries:
        if top.key.text != "secrets" or not isinstance(top.value, Tree):
            continue
        for host in top.value.entries:
            for scope in host.value.entries if isinstance(host.value, Tree) else ():
                keys = scope.value.entries if isinstance(scope.value, Tree) else ()
                names = [None, *(key.key.text for key in keys), None]
                for place, key in enumerate(keys):
                    form, envelope = _taken_apart(key.value)
                    yield Value(
                        path=file.path,
                        host_key=host.key.text,
                        scope=scope.key.text,
                        key=key.key.text,
                        line=key.key.mark.line,
                        form=form,
                        neighbours=(names[place], names[place + 2]),
                        envelope=envelope,
                    )


def _taken_apart(node: Node) -> tuple[Form | None, Envelope | None]:
    """Return the form of a value and what of it is encrypted."""
    match node:
        case Scalar():
            return Form.TEXT, node.envelope
        case Tree(entries=(entry,)) if isinstance(entry.value, Scalar) and entry.key.text in {"base64", "empty"}:
            return Form(entry.key.text), entry.value.envelope
        case Tree() | Sequence():
            return None, None
        case _:
            assert_never(node)
