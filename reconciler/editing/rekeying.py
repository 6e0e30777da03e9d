"""``rekey``: files for whom ``.sops.yaml`` names now, with a new data key.

The program's ``updatekeys`` encrypts the same data key to others: whoever has left may have kept it, and with it opens
whatever is put into the file later. So every value is encrypted anew, under a key that nobody has seen.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.editing.draft import Draft
from reconciler.editing.places import place_of
from reconciler.errors import CannotDecrypt, InvalidInput, Problem, UsageError, escaped
from reconciler.policy.scope_files import ScopeFile
from reconciler.policy.sources import RULES_FILE
from reconciler.pysops import Recipient
from reconciler.pysops.config.creation_rules import CreationRule
from reconciler.settings import Observer


@dataclass(frozen=True, slots=True, kw_only=True)
class Rekey:
    """What becomes of one file."""

    path: str
    """As in `Sources.files`."""

    added: tuple[Recipient, ...] = ()
    """Who can open it afterwards, and could not before; sorted."""

    removed: tuple[Recipient, ...] = ()
    """Who could open it before; sorted. What they have read, and what git keeps, they go on knowing."""

    regrouped: bool = False
    """The same recipients, in other key groups, or with another number of groups that are needed."""

    @property
    def agrees(self) -> bool:
        """Whether the file is for whom the rules name, so that only its data key is another one afterwards."""
        return not (self.added or self.removed or self.regrouped)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done. Made without any key."""

    files: tuple[Rekey, ...]
    """By path."""

    agreeing: int
    """Files that are left alone, as they are for whom the rules name."""

    problems: tuple[Problem, ...] = ()
    """Why other files are left alone, which should not be."""

    @property
    def added(self) -> Mapping[Recipient, int]:
        """Who can open files afterwards that they could not open before, sorted, and how many."""
        return _counted(recipient for one in self.files for recipient in one.added)

    @property
    def removed(self) -> Mapping[Recipient, int]:
        """Who can open files no more, sorted, and how many."""
        return _counted(recipient for one in self.files for recipient in one.removed)


def _counted(recipients: Iterable[Recipient]) -> Mapping[Recipient, int]:
    return dict(sorted(Counter(recipients).items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was done."""

    written: tuple[Rekey, ...]
    problems: tuple[Problem, ...] = ()
    """Why other files were not opened, and are as they were."""

    @property
    def removed(self) -> tuple[Recipient, ...]:
        """Who can open fewer files than before; sorted."""
        return tuple(sorted({recipient for one in self.written for recipient in one.removed}))


def plan_rekey(draft: Draft, paths: tuple[Path, ...] = (), *, everything: bool = False) -> Plan:
    """Compare files with the rules. Needs no key.

    Args:
        draft: The files.
        paths: Files and folders that are given a new data key whether they agree with the rules or not; as the shell
            sees them, or from the directory of the run. None: all files are looked at, and those that agree left alone.
        everything: Give all files a new data key.

    Raises:
        UsageError: A path is no scope file, and no folder with any; or there are no rules.
    """
    if draft.policy.rules.config is None:
        raise UsageError(f"there is no {RULES_FILE}, so nothing says who may open the files", advice="reconciler init")
    wanted = _wanted(draft, paths)
    forced = everything or bool(paths)
    files: list[Rekey] = []
    problems: list[Problem] = []
    agreeing = 0
    for path in wanted:
        one = _compared(draft, path)
        if isinstance(one, Problem):
            problems.append(one)
        elif one.agrees and not forced:
            agreeing += 1
        else:
            files.append(one)
    return Plan(files=tuple(files), agreeing=agreeing, problems=tuple(problems))


def rekey(draft: Draft, plan: Plan, observer: Observer) -> Done:
    """Carry out a plan: files that do not open are left as they are, the others are written, each in one step.

    Args:
        draft: The files, as the plan was made of them.
        plan: What is to be done.
        observer: Told how it goes.

    Raises:
        InvalidInput: What would come of it breaks a rule. Nothing was written.
        Refused: A file was changed meanwhile.
        ReconcilerError: A file cannot be written.
    """
    made: dict[str, bytes] = {}
    problems: list[Problem] = []
    with observer.progress("rekey", len(plan.files)) as step:
        for one in plan.files:
            try:
                made[one.path] = _rekeyed(draft, one.path)
            except (CannotDecrypt, InvalidInput) as error:
                problems.extend(error.problems)
            step()
    # Not one by one: after each replaced file the draft would read all of them again.
    for path, data in made.items():
        draft.replace(path, data)
    draft.save()
    return Done(written=tuple(one for one in plan.files if one.path in made), problems=tuple(problems))


def _rekeyed(draft: Draft, path: str) -> bytes:
    rule, locked, writer = draft.rule(path), draft.locked(path), draft.writer(path)
    destination = draft.settings.root / path
    return draft.told(
        path,
        lambda: writer.rekey(locked, rule=rule, now=draft.now, destination=destination, config=draft.rules_place),
    )


def _wanted(draft: Draft, paths: tuple[Path, ...]) -> tuple[str, ...]:
    """Return the scope files that are meant, sorted."""
    known = draft.sources.scope_files()
    if not paths:
        return known
    found: set[str] = set()
    for path in paths:
        meant = place_of(draft.settings, path)
        below = [one for one in known if one == meant or one.startswith(f"{meant}/")]
        if not below:
            raise UsageError(f"{escaped(str(path))} is no scope file, and none is below it", advice="check the name")
        found.update(below)
    return tuple(sorted(found))


def _compared(draft: Draft, path: str) -> Rekey | Problem:
    """Compare one file with its rule; or return why it cannot be."""
    try:
        file, rule = draft.scope_file(path), draft.rule(path)
    except InvalidInput as error:
        return error.problems[0]
    except UsageError as error:
        return Problem(path=path, what=str(error), advice=error.advice, rule="no-creation-rule")
    if file.metadata is None:
        return next(iter(file.problems), Problem(path=path, what="the file is not encrypted", rule="not-encrypted"))
    if not rule.recipients:
        return Problem(path=path, what=f"the rule of {RULES_FILE} for the file names nobody", rule="sops-config")
    return _difference(file, rule)


def _difference(file: ScopeFile, rule: CreationRule) -> Rekey:
    metadata = file.metadata
    if metadata is None:
        raise ValueError("a file without metadata was let through")
    groups = rule.groups_for(metadata.recipients)
    named = frozenset[Recipient]().union(*groups)
    theirs = Counter(frozenset(key.recipient for key in group) for group in metadata.key_groups)
    same_quorum = len(groups) == 1 or metadata.shamir_threshold == rule.quorum
    added, removed = named.difference(metadata.recipients), set(metadata.recipients) - named
    return Rekey(
        path=file.path,
        added=tuple(sorted(added)),
        removed=tuple(sorted(removed)),
        regrouped=not (added or removed) and not (theirs == Counter(groups) and same_quorum),
    )
