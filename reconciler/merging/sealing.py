"""Three versions of a file to one: opened, merged, and sealed again. Who can read the result: see `foundations`."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reconciler import pysops
from reconciler.errors import EXIT_INVALID_INPUT, Problem, exit_code_of
from reconciler.merging import trees
from reconciler.merging.edits import new_fields, with_fields
from reconciler.merging.foundations import Foundation, Founding, edits_between, let_in
from reconciler.merging.trees import NO_CHOICES, Choices, Conflict, Kind, Side, Tree
from reconciler.merging.versions import Base, Closed, Surroundings, Version
from reconciler.model import MAX_KEYS_PER_SCOPE
from reconciler.policy.scope_files import FIELDS
from reconciler.policy.sources import RULES_FILE
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
    base = Base.read(path, three.base, around, ours, theirs)
    merged = trees.merge(base.tree, ours.tree, theirs.tree, choices)
    founding = Founding(base, ours, theirs, around.rules.rule_for(path), settled=settled)
    foundation = founding.choose(merged.tree, choices)
    if isinstance(foundation, Conflict) or merged.conflicts:
        of_recipients = (foundation,) if isinstance(foundation, Conflict) else ()
        return Outcome(conflicts=(*merged.conflicts, *of_recipients), remarks=base.remarks)
    try:
        version = ours if foundation.side is Side.OURS else theirs
        data = _sealed(path, foundation, version, merged.tree, around, now)
    except pysops.SopsError as error:
        return Outcome(problems=(_problem(path, error),), remarks=base.remarks)
    problems = _judged(path, data, merged.tree, around)
    remarks = base.remarks
    if not problems:
        remarks += (*let_in(ours, data), *_left_behind(base, foundation, ours, theirs, data))
    return Outcome(data=None if problems else data, problems=problems, remarks=remarks)


def _sealed(
    path: str, foundation: Foundation, version: Version, tree: Tree, around: Surroundings, now: datetime
) -> bytes:
    """Return the file that says what ``tree`` does.

    Raises:
        SopsError: it cannot be made.
    """
    keys = version.keys
    writer = pysops.Writer(keys.identities, decryptor=around.decryptor, environ=keys.environ)
    locked = version.locked
    if foundation.rule is not None:
        rules = around.rules.file
        data = writer.rekey(
            locked,
            rule=foundation.rule,
            now=now,
            destination=around.root / path,
            config=around.root / (RULES_FILE if rules is None else rules.path),
        )
        locked = LockedFile.read(pysops.parse(data), locked.named)
    edits = edits_between(version.tree, tree)
    data = writer.change(locked, edits, now=now) if edits else locked.document.data
    if fields := new_fields(version.tree, tree):
        locked = LockedFile.read(pysops.parse(data), locked.named)
        data = writer.reseal(locked, with_fields(writer.plaintext(locked), fields, FIELDS), now=now)
    return data


def _left_behind(base: Base, foundation: Foundation, ours: Version, theirs: Version, merged: bytes) -> Iterator[str]:
    """Yield a remark about comments that only the side has which the result was not made of: these are not merged."""
    side = foundation.side.other
    version = ours if side is Side.OURS else theirs
    known = _comments(merged)
    if base.file is not None:
        known |= _comments(base.file.document.data)
    # An encrypted comment that was encrypted anew says the same, for all that shows.
    new = {text for text in _comments(version.file.document.data) - known if b"ENC[" not in text}
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
    if edits_between(found.tree, meant) or new_fields(found.tree, meant):
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
