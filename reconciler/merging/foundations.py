"""Whose file a merged one is made of, and who can read it.

A side that took somebody away, or drew a new data key, did so for a reason: no value is sealed again under a key that
was given up, nor for somebody who was taken away. Mostly the result is the file of one side, with the other one's
changes put into it; whatever did not change keeps its ciphertext. It is sealed anew where neither file will do: a new
data key on one side and other recipients on the other; or a data key that their side drew, which does not get what only
our side has, as whoever drew it may have kept it, whomever the file names. Sealing anew lets nobody in whom our side
does not know, unless that was asked for. Where both changed the recipients ``.sops.yaml`` decides, or it is a conflict.
"""

import hmac
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from reconciler import pysops
from reconciler.merging import trees
from reconciler.merging.edits import field_edits, new_fields, secret_edits
from reconciler.merging.trees import Choices, Conflict, Kind, Side, Tree
from reconciler.merging.versions import Base, Version, sealed_texts
from reconciler.policy.sops_rules import ENCRYPTED_REGEX
from reconciler.pysops.config.creation_rules import CreationRule
from reconciler.pysops.key_groups import recover_data_key
from reconciler.pysops.sops_metadata import Metadata


RECIPIENTS: Final = trees.slot(Kind.RECIPIENTS)
"""The place of a conflict about who can open a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who can open a file."""

    groups: frozenset[tuple[frozenset[pysops.Recipient], int]]
    """Groups, and how many are the same."""

    quorum: int
    """How many groups have to be opened."""

    @classmethod
    def of(cls, groups: tuple[frozenset[pysops.Recipient], ...], threshold: int) -> "Access":
        """Return what groups and a threshold, 0 when none is named, come to."""
        quorum = (threshold or len(groups)) if len(groups) > 1 else 1
        return cls(groups=frozenset(Counter(groups).items()), quorum=quorum)

    @classmethod
    def of_file(cls, metadata: Metadata) -> "Access":
        """Return who can open a file, as it says."""
        groups = tuple(frozenset(key.recipient for key in group) for group in metadata.key_groups)
        return cls.of(groups, metadata.shamir_threshold)

    @property
    def everybody(self) -> frozenset[pysops.Recipient]:
        """Those of all groups."""
        return frozenset(recipient for group, _ in self.groups for recipient in group)

    @property
    def is_simple(self) -> bool:
        """Whether there is one group."""
        return len(self.groups) == 1 and all(count == 1 for _, count in self.groups)

    def rule(self) -> CreationRule | None:
        """Return a rule that names these; None where they are not all of age, which the sops program has to do."""
        if any(recipient.kind != "age" for recipient in self.everybody):
            return None
        groups = tuple(tuple(sorted(group)) for group, count in self.groups for _ in range(count))
        return CreationRule(
            mark=pysops.Mark(line=1, column=1),
            path_regex=None,
            key_groups=groups,
            shamir_threshold=self.quorum if len(groups) > 1 else 0,
            unencrypted_suffix=None,
            encrypted_suffix=None,
            unencrypted_regex=None,
            encrypted_regex=ENCRYPTED_REGEX,
            unencrypted_comment_regex=None,
            encrypted_comment_regex=None,
            mac_only_encrypted=False,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """What the result is made of."""

    side: Side
    rule: CreationRule | None = None
    """Sealed anew for whom this rule names; None: the data key and the recipients of that side stay."""


class Founding:
    """Chooses what a merged file is made of."""

    def __init__(self, base: Base, ours: Version, theirs: Version, rule: CreationRule | None, *, settled: bool) -> None:
        """Compare who can open the versions.

        Args:
            base: what both sides come from.
            ours: one of them.
            theirs: the other one.
            rule: of ``.sops.yaml`` of the work tree, for this file.
            settled: whether that is the one which goes with the result.
        """
        self._base = base
        self._sides = {Side.OURS: ours, Side.THEIRS: theirs}
        self._settled = settled
        self._access = {side: Access.of_file(version.locked.metadata) for side, version in self._sides.items()}
        metadata = None if base.file is None else base.file.metadata
        self._before = None if metadata is None else Access.of_file(metadata)
        self._rule = rule
        everybody = frozenset[pysops.Recipient]().union(*(one.everybody for one in self._access.values()))
        is_usable = rule is not None and bool(rule.recipients)
        self._ruled = Access.of(rule.groups_for(everybody), rule.shamir_threshold) if rule and is_usable else None
        self._renewed = {side: self._is_renewed(version) for side, version in self._sides.items()}

    def choose(self, tree: Tree, choices: Choices) -> Foundation | Conflict:
        """Return what the result is to be made of.

        Args:
            tree: what the result is to say.
            choices: who wins where the sides do not agree.
        """
        wanted = self._wanted()
        found = wanted if isinstance(wanted, Conflict) else self._made_of(wanted, tree)
        chosen = choices.of(RECIPIENTS)
        if isinstance(found, Conflict) and chosen is not None:
            return self._made_of(self._access[chosen], tree, chosen=chosen)
        return found

    def _wanted(self) -> Access | Conflict:
        """Return who is to open the result."""
        ours, theirs = self._access[Side.OURS], self._access[Side.THEIRS]
        if theirs in {ours, self._before}:
            return ours
        if ours == self._before:
            return theirs
        if self._ruled is not None and (self._settled or self._ruled == self._joined()):
            return self._ruled
        return _conflict("added", "added") if self._before is None else _conflict("changed", "changed")

    def _joined(self) -> Access | None:
        """Return who can open a file once both sides' changes are made; None where there are key groups."""
        ours, theirs, before = self._access[Side.OURS], self._access[Side.THEIRS], self._before
        if before is None or not (ours.is_simple and theirs.is_simple and before.is_simple):
            return None
        gone = before.everybody - (ours.everybody & theirs.everybody)
        return Access.of(((ours.everybody | theirs.everybody) - gone,), 0)

    def _made_of(self, wanted: Access, tree: Tree, *, chosen: Side | None = None) -> Foundation | Conflict:
        newest = max(self._renewed.values())
        fitting = [side for side in Side if self._access[side] == wanted and self._renewed[side] >= newest]
        for side in fitting:
            if side is Side.OURS or not self._is_foreign() or _says(self._sides[side].tree, tree):
                return Foundation(side=side)
        if chosen is None and self._lets_in(wanted):
            return _conflict("values changed", "more readers")
        rule = self._rule if self._ruled == wanted else wanted.rule()
        if rule is not None:
            return Foundation(side=Side.OURS, rule=rule)
        if chosen is not None:
            return Foundation(side=chosen)
        deeds = {side: "data key changed" if self._renewed[side] else "something else changed" for side in Side}
        return _conflict(deeds[Side.OURS], deeds[Side.THEIRS])

    def _lets_in(self, wanted: Access) -> bool:
        """Tell whether sealing anew would let somebody read what is ours whom our side does not know.

        The rules of our side know them, while these stand in the work tree; or rules that somebody has settled, after
        both sides changed who can open the file.
        """
        if wanted.everybody <= self._access[Side.OURS].everybody:
            return False
        both_changed = self._before not in self._access.values()
        return self._ruled != wanted or (self._settled and not both_changed)

    def _is_renewed(self, version: Version) -> bool:
        """Tell whether a side has another data key than what it comes from."""
        base = self._base
        if base.file is None:
            return False
        if base.version is not None:
            return not _share_key(base.version, version)
        return not _share_values(sealed_texts(base.file), sealed_texts(version.file))

    def _is_foreign(self) -> bool:
        """Tell whether their side brings a data key of its own."""
        ours, theirs = self._sides[Side.OURS], self._sides[Side.THEIRS]
        is_of_base = self._base.file is not None and not self._renewed[Side.THEIRS]
        return not is_of_base and not _share_key(ours, theirs)


def _conflict(ours: str, theirs: str) -> Conflict:
    return Conflict(slot=RECIPIENTS, spelt=RECIPIENTS.name, ours=ours, theirs=theirs)


def edits_between(before: Tree, after: Tree) -> tuple[pysops.Edit, ...]:
    """Return what makes one tree another, new plain fields aside: see `new_fields`."""
    return (*secret_edits(before, after), *field_edits(before, after))


def _says(one: Tree, other: Tree) -> bool:
    """Tell whether two trees say the same."""
    return not edits_between(one, other) and not new_fields(one, other)


def _share_key(one: Version, other: Version) -> bool:
    """Tell whether two versions that did open have the same data key.

    What the files say of it does not count, as their authors wrote that: a wrapped key may be an old one. Where the
    data key is out of reach, as the sops program opened them, a value that authenticates in both tells.
    """
    keys = [_data_key(version) for version in (one, other)]
    if keys[0] is not None and keys[1] is not None:
        return hmac.compare_digest(keys[0], keys[1])
    return _share_values(sealed_texts(one.file), sealed_texts(other.file))


def _share_values(one: dict[trees.Slot, str], other: dict[trees.Slot, str]) -> bool:
    return any(other.get(place) == text for place, text in one.items())


def _data_key(version: Version) -> bytes | None:
    try:
        return recover_data_key(version.locked.metadata, version.keys.identities)
    except pysops.SopsError:
        return None


def let_in(ours: Version, merged: bytes) -> Iterator[str]:
    """Yield a remark about each who can open the merged file, and could not open ours."""
    known = ours.locked.metadata.recipients
    for recipient in pysops.recipients(merged):
        if recipient not in known:
            yield f"{recipient.shown} can open it from now on"
