"""``merge``: a conflict that a merge, a rebase or the like has left in the tree.

The three versions are taken from the index, where git keeps them until the file is added; what stands in the work tree,
markers or our side's file, is of no use. All files are merged in memory, checked together with the rest of the tree,
written each in one step, and then added, as ``git mergetool`` does.
"""

import enum
import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from reconciler.editing import Draft
from reconciler.editing.places import place_of
from reconciler.errors import (
    EXIT_DONE,
    EXIT_PENDING,
    Refused,
    UsageError,
    escaped,
    some_of,
)
from reconciler.git import Checkout, unmerged
from reconciler.git.unmerged import Unmerged
from reconciler.merging.driver import complaint, remarks
from reconciler.merging.sealing import Outcome, Three, merge_versions, names_of
from reconciler.merging.trees import Choices, Conflict, Side, Slot
from reconciler.merging.versions import Surroundings
from reconciler.policy.sources import FOLDER, TARGETS_FILE, is_yaml
from reconciler.settings import Settings


_MOST_ROUNDS: Final = 4
"""How often choices are asked for: one that was made may bring up another one, such as that no value is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Who wins where the sides do not agree, as somebody has put it."""

    ours: tuple[str, ...] = ()
    """Names of places; ``*`` stands for any text."""

    theirs: tuple[str, ...] = ()
    rest: Side | None = None
    """For all others; None leaves them conflicts."""

    ask: "Ask | None" = field(default=None, repr=False)
    """Asks somebody about what is left."""


Ask = Callable[[str, str, Conflict], Side | None]
"""Asks who wins: path of the file, name of the place, what happened. None leaves the conflict."""


class State(enum.Enum):
    """What became of a file."""

    MERGED = "merged"
    CONFLICT = "conflict"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """What became of one file in conflict."""

    path: str
    state: State
    lines: tuple[str, ...]
    """For people."""

    exit_code: int = EXIT_DONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """What became of conflicts."""

    files: tuple[Solved, ...]
    """By path; empty when nothing is in conflict."""

    next_step: str | None = None
    """The command that goes on with what was interrupted by conflicts, once none is left."""

    problems: int = 0
    """How much is wrong with the tree, and was before: branches may fit each other file by file, and not as a whole."""


def solve(
    settings: Settings, paths: tuple[Path, ...] = (), wishes: Wishes | None = None, *, add: bool = True
) -> Solution:
    """Merge files that are in conflict.

    Args:
        settings: where they are, and which keys there are.
        paths: files, as the shell sees them, or from the directory of the run; none means all below ``secrets/``.
        wishes: who wins where the sides do not agree.
        add: put what was merged into the index.

    Returns:
        What became of each. Without ``paths``, targets.yaml and the like are passed over.

    Raises:
        Refused: there is no repository, or git does not work on it; a file was changed meanwhile.
        UsageError: a path is not in conflict, or a name is that of no conflict, or stands for both sides.
        InvalidInput: targets.yaml or ``.sops.yaml`` cannot be used, or the merged files break a rule together with
            others. Nothing was written.
    """
    wishes = wishes or Wishes()
    if not Checkout(settings.root).is_repository:
        raise Refused("there is no git repository here, so nothing is in conflict", advice="say with -C where it is")
    versions = _versions(settings, paths)
    if not versions:
        return Solution(files=())
    draft = Draft(settings)
    merging = _Merging(draft, settings, wishes)
    outcomes = {path: merging.merge(path, three) for path, three in versions.items()}
    merging.check_names()
    merged = [path for path, outcome in outcomes.items() if outcome.data is not None]
    written = draft.save()
    if add:
        for path in merged:
            unmerged.add(settings.root, path)
    return Solution(
        files=tuple(
            _solved(path, outcome, merging.around, added=add, written=path in written)
            for path, outcome in outcomes.items()
        ),
        next_step=_next_step(settings.root) if merged else None,
        problems=len(draft.policy.problems()),
    )


_CONTINUES: Final = {
    "MERGE_HEAD": "git commit",
    "REBASE_HEAD": "git rebase --continue",
    "CHERRY_PICK_HEAD": "git cherry-pick --continue",
    "REVERT_HEAD": "git revert --continue",
}


def _next_step(root: Path) -> str | None:
    """Return the command that goes on with what was interrupted by conflicts, once none is left; None for no such."""
    if unmerged.unmerged_paths(root):
        return None
    head = unmerged.merge_under_way(root)
    return None if head is None else _CONTINUES[head]


class _Merging:
    """Merges files into a draft, and remembers which names fit."""

    def __init__(self, draft: Draft, settings: Settings, wishes: Wishes) -> None:
        self._draft = draft
        self._wishes = wishes
        self._fitting: set[str] = set()
        self._known: list[str] = []
        self._asked: set[tuple[str, Slot]] = set()
        self.around = Surroundings(settings.root, settings.environ, settings.home, decryptor=settings.decryptor)

    def merge(self, path: str, versions: Unmerged) -> Outcome:
        """Merge one file, into the draft if it comes together."""
        if versions.ours is None or versions.theirs is None:
            return Outcome()
        three = Three(base=versions.base, ours=versions.ours, theirs=versions.theirs)
        each: dict[Slot, Side] = {}
        outcome = self._merged(path, three, Choices())
        for _ in range(_MOST_ROUNDS):
            chosen = self._chosen(path, outcome.conflicts)
            if not chosen:
                break
            each.update(chosen)
            outcome = self._merged(path, three, Choices(each=each))
        if outcome.conflicts and self._wishes.rest is not None:
            outcome = self._merged(path, three, Choices(each=each, rest=self._wishes.rest))
        if outcome.data is not None:
            self._draft.replace(path, outcome.data)
        return outcome

    def _merged(self, path: str, three: Three, choices: Choices) -> Outcome:
        return merge_versions(path, three, self.around, now=self._draft.now, choices=choices, settled=True)

    def _chosen(self, path: str, conflicts: Sequence[Conflict]) -> dict[Slot, Side]:
        """Return what is known of who wins, or can be asked."""
        found: dict[Slot, Side] = {}
        for conflict in conflicts:
            names = names_of(self.around, conflict)
            self._known.append(names[0])
            side = self._named(names)
            if side is None and self._wishes.ask is not None and (path, conflict.slot) not in self._asked:
                self._asked.add((path, conflict.slot))
                side = self._wishes.ask(path, names[0], conflict)
            if side is not None:
                found[conflict.slot] = side
        return found

    def _named(self, names: Sequence[str]) -> Side | None:
        sides: set[Side] = set()
        for side, wanted in ((Side.OURS, self._wishes.ours), (Side.THEIRS, self._wishes.theirs)):
            fitting = {one for one in wanted if any(_fits(name, one) for name in names)}
            self._fitting |= fitting
            if fitting:
                sides.add(side)
        if len(sides) > 1:
            raise UsageError(f"{escaped(names[0])} is asked for from both sides", advice="say --ours or --theirs")
        return next(iter(sides), None)

    def check_names(self) -> None:
        """Make sure that every name was that of a conflict.

        Raises:
            UsageError: one was not.
        """
        unknown = [name for name in (*self._wishes.ours, *self._wishes.theirs) if name not in self._fitting]
        if unknown:
            known = some_of([escaped(name) for name in dict.fromkeys(self._known)]) or "there is none"
            raise UsageError(
                f"no conflict is called {escaped(unknown[0])}", advice=f"conflicts: {known}; nothing was written"
            )


def _fits(name: str, wanted: str) -> bool:
    """Tell whether somebody meant a name; ``*`` stands for any text, and everything else for itself."""
    pattern = "*".join(part.replace("[", "[[]").replace("?", "[?]") for part in wanted.lower().split("*"))
    return fnmatch.fnmatchcase(name.lower(), pattern)


def _versions(settings: Settings, paths: tuple[Path, ...]) -> Mapping[str, Unmerged]:
    root = settings.root
    found = unmerged.unmerged(root, FOLDER)
    if not paths:
        return {path: versions for path, versions in found.items() if is_yaml(path) and path != TARGETS_FILE}
    wanted: dict[str, Unmerged] = {}
    for path in paths:
        place = place_of(settings, path)
        if place is None or not is_yaml(place):
            raise UsageError(f"{escaped(str(path))} is no scope file", advice=f"those are *.yaml below {FOLDER}/")
        if place == TARGETS_FILE:
            raise UsageError(f"{TARGETS_FILE} is plain text", advice="edit it, and git add it")
        if place not in found:
            # Added with its conflict markers, or as it is in ours: git remembers what it was until the commit.
            unmerged.unresolve(root, place)
            found = unmerged.unmerged(root, FOLDER)
        if place not in found:
            raise UsageError(f"{escaped(place)} is not in conflict", advice=_how_to_get_back(root, place))
        wanted[place] = found[place]
    return wanted


def _how_to_get_back(root: Path, path: str) -> str:
    if unmerged.merge_under_way(root) is None:
        return "git status shows what is; of a merge that was committed, git keeps the versions in its parents"
    return f"git checkout --merge -- {escaped(path)} brings a conflict back that was solved before"


def _solved(path: str, outcome: Outcome, around: Surroundings, *, added: bool, written: bool) -> Solved:
    if outcome.data is not None:
        done = f"{escaped(path)}: merged{'' if written else ' (nothing to write)'}"
        done += "; added to the index" if added else f"; git add {escaped(path)} marks it as solved"
        return Solved(path=path, state=State.MERGED, lines=(done, *remarks(path, outcome)))
    if not outcome.conflicts and not outcome.problems:
        line = f"{escaped(path)}: deleted on one side, changed on the other; keep it with git add, or git rm it"
        return Solved(path=path, state=State.CONFLICT, lines=(line,), exit_code=EXIT_PENDING)
    lines = (*remarks(path, outcome), *complaint(path, outcome, around))
    if outcome.problems:
        return Solved(path=path, state=State.FAILED, lines=lines, exit_code=outcome.exit_code)
    return Solved(path=path, state=State.CONFLICT, lines=lines, exit_code=EXIT_PENDING)
