"""Three versions of a file to one: opened, merged, and sealed again under the right key for the right people.

What the result is made of decides who can read it. A side that took somebody away, or drew a new data key, did so for a
reason: no value is sealed again under a key that was given up, nor for somebody who was taken away. Mostly the result
is the file of one side, with the other one's changes put into it; whatever did not change keeps its ciphertext. It is
sealed anew where neither file will do: a new data key on one side and other recipients on the other; or a data key that
their side drew, which does not get values that only our side has, as nobody knows who else kept it. Where both changed
the recipients in ways that do not add up, ``.sops.yaml`` decides; or that is a conflict.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reconciler import pysops
from reconciler.errors import EXIT_INVALID_INPUT, Problem, exit_code_of
from reconciler.merging import trees
from reconciler.merging.edits import field_edits, new_fields, secret_edits, with_fields
from reconciler.merging.trees import NO_CHOICES, Choices, Conflict, Kind, Side, Tree
from reconciler.merging.versions import Closed, Surroundings, Version, checked, guessed_tree, sealed_texts
from reconciler.model import MAX_KEYS_PER_SCOPE
from reconciler.policy.scope_files import FIELDS, ScopeFile
from reconciler.policy.sops_rules import ENCRYPTED_REGEX
from reconciler.pysops.config.creation_rules import CreationRule
from reconciler.pysops.decryptor import LockedFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of merging the versions of a file."""

    data: bytes | None = None
    """The merged file, encrypted; None when there is none."""

    conflicts: tuple[Conflict, ...] = ()
    problems: tuple[Problem, ...] = ()
    """Why it could not be merged, other than that the sides do not agree."""

    needs_key: bool = False
    """Whether a key would help."""

    exit_code: int = EXIT_INVALID_INPUT
    """What `problems` mean to whoever ran the command."""

    remarks: tuple[str, ...] = ()
    """What whoever merges should know all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Access:
    """Who can open a file."""

    groups: frozenset[tuple[frozenset[pysops.Recipient], int]]
    """Groups, and how many are the same."""

    quorum: int
    """How many groups have to be opened."""

    @classmethod
    def of(cls, groups: tuple[frozenset[pysops.Recipient], ...], threshold: int) -> "_Access":
        quorum = (threshold or len(groups)) if len(groups) > 1 else 1
        return cls(groups=frozenset(Counter(groups).items()), quorum=quorum)

    @property
    def everybody(self) -> frozenset[pysops.Recipient]:
        return frozenset(recipient for group, _ in self.groups for recipient in group)


@dataclass(frozen=True, slots=True, kw_only=True)
class Three:
    """The versions of a file as bytes."""

    base: bytes | None
    """None when both sides made the file."""

    ours: bytes
    theirs: bytes


def merge_versions(
    path: str,
    three: Three,
    around: Surroundings,
    *,
    now: datetime,
    choices: Choices = NO_CHOICES,
    settled: bool = False,
) -> Outcome:
    """Merge the versions of a file. Never raises for what stands in them.

    Args:
        path: of the file, relative to the directory of the run.
        three: the versions.
        around: targets, rules and keys.
        now: what the file will say of when it was changed; aware.
        choices: who wins where the sides do not agree.
        settled: whether ``.sops.yaml`` of the work tree is the one that goes with the result. During a merge it may
            still be that of one side.
    """
    if three.theirs in {three.ours, three.base} or three.ours == three.base:
        return Outcome(data=three.theirs if three.ours == three.base else three.ours)
    ours, theirs = around.read(path, three.ours, "ours"), around.read(path, three.theirs, "theirs")
    if isinstance(ours, Closed) or isinstance(theirs, Closed):
        closed = [side for side in (ours, theirs) if isinstance(side, Closed)]
        return Outcome(
            problems=tuple(problem for side in closed for problem in side.problems),
            needs_key=all(side.needs_key for side in closed),
            exit_code=exit_code_of(frozenset(side.exit_code for side in closed)),
        )
    base = _Base.read(path, three.base, around, ours, theirs)
    merged = trees.merge(base.tree, ours.tree, theirs.tree, choices)
    sealing = _Sealing(path, base, ours, theirs, around, now)
    foundation = sealing.foundation(merged.tree, choices, settled=settled)
    if isinstance(foundation, Conflict) or merged.conflicts:
        of_recipients = (foundation,) if isinstance(foundation, Conflict) else ()
        return Outcome(conflicts=(*merged.conflicts, *of_recipients), remarks=base.remarks)
    try:
        data = sealing.sealed(foundation, merged.tree)
    except pysops.SopsError as error:
        return Outcome(problems=(_problem(path, error),), remarks=base.remarks)
    problems = _judged(path, data, merged.tree, around)
    remarks = base.remarks if problems else (*base.remarks, *_left_behind(base, foundation, ours, theirs, data))
    return Outcome(data=None if problems else data, problems=problems, remarks=remarks)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """What both sides come from, as far as it is known."""

    tree: Tree
    file: ScopeFile | None
    remarks: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: str, data: bytes | None, around: Surroundings, ours: Version, theirs: Version) -> "_Base":
        if data is None:
            return cls(tree=trees.EMPTY, file=None)
        found = around.read(path, data, "base")
        if isinstance(found, Version):
            return cls(tree=found.tree, file=found.file)
        file = checked(path, data, "base")
        if isinstance(file, Closed):
            remark = "what both sides come from cannot be used, so that every difference is a conflict"
            return cls(tree=trees.UNKNOWN, file=None, remarks=(remark,))
        remark = (
            "what both sides come from does not open with the keys at hand; a value that was encrypted anew since "
            "counts as changed"
        )
        return cls(tree=guessed_tree(file, ours, theirs), file=file, remarks=(remark,))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Foundation:
    """What the result is made of."""

    side: Side
    rule: CreationRule | None = None
    """Sealed anew for whom this rule names; None: the key and the recipients of that side stay."""


class _Sealing:
    """Chooses whose file the result is made of, and makes it."""

    def __init__(
        self, path: str, base: _Base, ours: Version, theirs: Version, around: Surroundings, now: datetime
    ) -> None:
        self._path = path
        self._base = base
        self._sides = {Side.OURS: ours, Side.THEIRS: theirs}
        self._around = around
        self._now = now

    def foundation(self, tree: Tree, choices: Choices, *, settled: bool) -> _Foundation | Conflict:
        """Return what the result is to be made of."""
        access = {side: _access_of(version.locked) for side, version in self._sides.items()}
        rules = self._around.rules
        rule = rules.rule_for(self._path)
        everybody = access[Side.OURS].everybody | access[Side.THEIRS].everybody
        ruled = None if rule is None or not rule.recipients else _Access.of(*_of_rule(rule, everybody))
        wanted = self._wanted(access, ruled, choices.of(_RECIPIENTS), settled=settled)
        if isinstance(wanted, Conflict):
            return wanted
        renewed = {side: self._is_renewed(version) for side, version in self._sides.items()}
        fitting = [side for side in Side if access[side] == wanted and renewed[side] >= max(renewed.values())]
        for side in fitting:
            if side is Side.OURS or not self._is_foreign() or not _edits(self._sides[side].tree, tree):
                return _Foundation(side=side)
        if ruled == wanted:
            return _Foundation(side=Side.OURS, rule=rule)
        if all(recipient.kind == "age" for recipient in wanted.everybody):
            return _Foundation(side=Side.OURS, rule=_rule_of(wanted))
        if fitting:
            return _Foundation(side=fitting[0])
        deeds = {side: "data key changed" if renewed[side] else "recipients changed" for side in Side}
        return _of_recipients(deeds[Side.OURS], deeds[Side.THEIRS])

    def _wanted(
        self, access: Mapping[Side, _Access], ruled: _Access | None, chosen: Side | None, *, settled: bool
    ) -> _Access | Conflict:
        """Return who is to open the result."""
        base = None if self._base.file is None else _access_of(LockedFile.read(self._base.file.document))
        ours, theirs = access[Side.OURS], access[Side.THEIRS]
        if theirs in {ours, base}:
            return ours
        if ours == base:
            return theirs
        if chosen is not None:
            return access[chosen]
        if ruled is not None and (settled or ruled == _joined(base, ours, theirs)):
            return ruled
        return _of_recipients(*(("added",) * 2 if base is None else ("changed",) * 2))

    def _is_renewed(self, version: Version) -> bool:
        """Tell whether a side has another data key than what it comes from."""
        return self._base.file is not None and not _share_key(self._base.file, version.file)

    def _is_foreign(self) -> bool:
        """Tell whether their side brings a data key of its own.

        Whoever drew it may have kept it, whomever the file names: what only our side has is not sealed under it.
        """
        ours, theirs = self._sides[Side.OURS].file, self._sides[Side.THEIRS].file
        known = [ours] if self._base.file is None else [ours, self._base.file]
        return not any(_share_key(file, theirs) for file in known)

    def sealed(self, foundation: _Foundation, tree: Tree) -> bytes:
        """Return the file that says what ``tree`` does.

        Raises:
            SopsError: it cannot be made.
        """
        version = self._sides[foundation.side]
        keys = version.keys
        writer = pysops.Writer(keys.identities, decryptor=self._around.decryptor, environ=keys.environ)
        locked = version.locked
        if foundation.rule is not None:
            place = self._around.rules.file
            data = writer.rekey(
                locked,
                rule=foundation.rule,
                now=self._now,
                destination=self._around.root / self._path,
                config=self._around.root / (".sops.yaml" if place is None else place.path),
            )
            locked = LockedFile.read(pysops.parse(data), locked.named)
        edits = _edits(version.tree, tree)
        data = writer.change(locked, edits, now=self._now) if edits else locked.document.data
        if fields := new_fields(version.tree, tree):
            locked = LockedFile.read(pysops.parse(data), locked.named)
            data = writer.reseal(locked, with_fields(writer.plaintext(locked), fields, FIELDS), now=self._now)
        return data


_RECIPIENTS: Final = trees.slot(Kind.RECIPIENTS)


def _of_recipients(ours: str, theirs: str) -> Conflict:
    return Conflict(slot=_RECIPIENTS, spelt=_RECIPIENTS.name, ours=ours, theirs=theirs)


def _edits(before: Tree, after: Tree) -> tuple[pysops.Edit, ...]:
    return (*secret_edits(before, after), *field_edits(before, after))


def _share_key(one: ScopeFile, other: ScopeFile) -> bool:
    """Tell whether two versions of a file have the same data key, without any key.

    One that stayed leaves traces: a wrapped key, or a value that nobody touched.
    """
    wrapped = {key.enc for file in (one,) if file.metadata is not None for key in file.metadata.wrapped_keys}
    if other.metadata is not None and any(key.enc in wrapped for key in other.metadata.wrapped_keys):
        return True
    texts = sealed_texts(other)
    return any(texts.get(place) == text for place, text in sealed_texts(one).items())


def _of_rule(
    rule: CreationRule, known: frozenset[pysops.Recipient]
) -> tuple[tuple[frozenset[pysops.Recipient], ...], int]:
    return rule.groups_for(known), rule.shamir_threshold


def _rule_of(access: _Access) -> CreationRule:
    """Return a rule that names whom ``access`` does."""
    groups = tuple(tuple(sorted(group)) for group, count in access.groups for _ in range(count))
    return CreationRule(
        mark=pysops.Mark(line=1, column=1),
        path_regex=None,
        key_groups=groups,
        shamir_threshold=access.quorum if len(groups) > 1 else 0,
        unencrypted_suffix=None,
        encrypted_suffix=None,
        unencrypted_regex=None,
        encrypted_regex=ENCRYPTED_REGEX,
        unencrypted_comment_regex=None,
        encrypted_comment_regex=None,
        mac_only_encrypted=False,
    )


def _access_of(locked: LockedFile) -> _Access:
    groups = tuple(frozenset(key.recipient for key in group) for group in locked.metadata.key_groups)
    return _Access.of(groups, locked.metadata.shamir_threshold)


def _joined(base: _Access | None, ours: _Access, theirs: _Access) -> _Access | None:
    """Return who can open a file once both sides' changes are made; None where there are key groups."""
    if base is None or any(len(access.groups) != 1 or access.quorum != 1 for access in (base, ours, theirs)):
        return None
    before, one, other = base.everybody, ours.everybody, theirs.everybody
    return _Access.of((((one | other) - (before - one)) - (before - other),), 0)


def _left_behind(base: _Base, foundation: _Foundation, ours: Version, theirs: Version, merged: bytes) -> Iterator[str]:
    """Yield a remark about comments that only the side has which the result was not made of: these are not merged."""
    side = foundation.side.other
    version = ours if side is Side.OURS else theirs
    known = _comments(merged)
    if base.file is not None:
        known |= _comments(base.file.document.data)
    # Encrypted comments are told apart by their ciphertext, which a new data key changes.
    is_sealed = base.file is None or not _share_key(base.file, version.file)
    new = {text for text in _comments(version.file.document.data) - known if not (is_sealed and b"ENC[" in text)}
    if new:
        what = "1 new comment" if len(new) == 1 else f"{len(new)} new comments"
        yield f"comments are not merged: {what} of {side.value} left behind"


_COMMENT: Final = re.compile(rb"(?:^|[ \t])(#[^\n]*)", re.MULTILINE)
"""Encrypted values are of one line and have no ``#``."""


def _comments(data: bytes) -> set[bytes]:
    return {text.rstrip() for text in _COMMENT.findall(data)}


def _judged(path: str, data: bytes, meant: Tree, around: Surroundings) -> tuple[Problem, ...]:
    """Return what is wrong with a merged file: it must keep the rules, open, and say what was meant."""
    found = around.read(path, data, "the merged file")
    if isinstance(found, Closed):
        return found.problems
    counts = Counter(place.parts[:2] for place in found.tree.values)
    problems = [
        Problem(
            path=path,
            what=f"the scope '{found.tree.spelling[scope]}' would get {count:,} keys",
            expected=f"at most {MAX_KEYS_PER_SCOPE:,}, the platform's limit",
            rule="too-many-keys",
        )
        for scope, count in counts.items()
        if count > MAX_KEYS_PER_SCOPE
    ]
    if _edits(found.tree, meant) or new_fields(found.tree, meant):
        problems.append(Problem(path=path, what="the merged file would not say what was meant: a defect here"))
    return tuple(problems)


def _problem(path: str, error: pysops.SopsError) -> Problem:
    return Problem(path=path, what=f"it cannot be merged: {error.what}", expected=error.expected, advice=error.advice)


def names_of(around: Surroundings, conflict: Conflict) -> tuple[str, ...]:
    """Return the names of a place of a conflict: first the one to show, with the target's name where there is one."""
    if conflict.slot.kind is not Kind.VALUE:
        return (conflict.spelt,)
    host, _, rest = conflict.spelt.partition("/")
    target = next((target.name for target in around.targets if target.host_key == host), None)
    return (conflict.spelt,) if target is None else (f"{target}/{rest}", conflict.spelt)
