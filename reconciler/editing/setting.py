"""``set``, ``unset`` and ``rename``: one key of one scope, or of the same scope in several workspaces."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from reconciler import pysops
from reconciler.editing.draft import Draft, Spot
from reconciler.editing.places import scope_file_of
from reconciler.editing.saving import ChangedMeanwhile, locked
from reconciler.errors import UsageError, escaped, some_of
from reconciler.model import KeyName, SecretValue, fold, is_key_name
from reconciler.policy.names import EXPECTED_KEY
from reconciler.pysops.config.fields import did_you_mean
from reconciler.settings import Settings


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one key of one scope."""

    spot: Spot
    path: str
    """The file that has it, or had it."""

    what: str
    """``set``, ``unchanged``, ``new``, ``removed``, ``renamed``."""

    remarks: tuple[str, ...] = ()
    """What else somebody should know: a sentence each."""


def set_key(
    draft: Draft, selectors: Sequence[str], key: str, value: SecretValue, *, file: str | None = None
) -> tuple[Outcome, ...]:
    """Give a key a value, in every scope that is named, and write the files.

    Args:
        draft: The files.
        selectors: ``TARGET/SCOPE`` each; the same twice counts once.
        key: Its name.
        value: Its value.
        file: Where it goes where no file has it yet; None: `Draft.home_of`.

    Raises:
        UsageError: There is no such target, a name does not fit, or it is not clear which file is meant.
        InvalidInput: A file breaks a rule, or would.
        CannotDecrypt: A file does not unlock.
        Refused: A file was changed meanwhile.
    """
    found: list[Outcome] = []
    home = None if file is None else scope_file_of(draft.settings, file)
    for spot in spots_of(draft, selectors):
        there = draft.file_of(spot, key)
        is_new_scope = not draft.files_of(spot)
        path = there or home or draft.home_of(spot)
        is_new_file = draft.bytes_of(path) is None
        changed = draft.put(spot, {KeyName(key): value}, file=home)
        remarks = []
        if is_new_file:
            remarks.append(f"{escaped(path)} is new; without acls in it, only operators and administrators see {spot}")
        elif is_new_scope:
            remarks.append(f"{spot} is new in {escaped(path)}: acls, prune and rotation of that file hold for it, too")
        what = "unchanged" if not changed else "new" if there is None else "set"
        found.append(Outcome(spot=spot, path=path, what=what, remarks=tuple(remarks)))
    draft.save()
    return tuple(found)


def unset_key(draft: Draft, selectors: Sequence[str], key: str, *, if_exists: bool = False) -> tuple[Outcome, ...]:
    """Take a key out of every scope that is named, and write the files. A file left without any key is deleted.

    Args:
        draft: The files.
        selectors: ``TARGET/SCOPE`` each.
        key: Its name.
        if_exists: Pass over scopes that do not have it.

    Raises:
        UsageError: A scope does not have it.
        InvalidInput: A file breaks a rule, or would.
        CannotDecrypt: A file does not unlock.
        Refused: A file was changed meanwhile.
    """
    found: list[Outcome] = []
    spots = spots_of(draft, selectors)
    if not if_exists:
        for spot in spots:
            _check_there(draft, spot, key)
    for spot in spots:
        path, place = draft.file_of(spot, key), draft.path_in_file(spot, key)
        if path is None or place is None:
            continue
        remarks = []
        if not draft.is_alone(path, place):
            draft.edit(path, [pysops.Remove(path=place)])
        else:
            draft.delete(path)
            remarks.append(f"{escaped(path)} held nothing else, and is deleted")
        if not draft.files_of(spot):
            remarks.append(f"git feeds {spot} no more: apply leaves the scope alone, unless --delete-scopes is given")
        if not draft.policy.scopes_of(spot.target):
            remarks.append(
                f"no file feeds {spot.target.name} any more: add one, or take the target out of targets.yaml"
            )
        remarks.extend(_rules_about(draft, path, key))
        found.append(Outcome(spot=spot, path=path, what="removed", remarks=tuple(remarks)))
    draft.save()
    return tuple(found)


def rename_key(draft: Draft, selectors: Sequence[str], old: str, new: str) -> tuple[Outcome, ...]:
    """Give a key another name, at its place and with its value, in every scope that is named; write the files.

    Args:
        draft: The files.
        selectors: ``TARGET/SCOPE`` each.
        old: Its name.
        new: The one that it gets.

    Raises:
        UsageError: A scope has no such key, or has one of the new name; or the new name does not fit.
        InvalidInput: A file breaks a rule, or would.
        CannotDecrypt: A file does not unlock.
        Refused: A file was changed meanwhile.
    """
    if not is_key_name(new):
        raise UsageError(f"{escaped(new)!r} does not fit as a key", advice=f"expected {EXPECTED_KEY}")
    spots = spots_of(draft, selectors)
    for spot in spots:
        _check_there(draft, spot, old)
        if fold(old) != fold(new) and draft.file_of(spot, new) is not None:
            raise UsageError(f"{spot} has a key {new} already", advice="unset it first, or choose another name")
    found: list[Outcome] = []
    for spot in spots:
        path, place = draft.file_of(spot, old), draft.path_in_file(spot, old)
        if path is None or place is None:
            raise AssertionError("looked for above")
        changed = place[-1] != new and draft.edit(path, [pysops.Rename(path=place, name=new)])
        remarks = list(_rules_about(draft, path, old)) if fold(old) != fold(new) else []
        what = "renamed" if changed else "unchanged"
        found.append(Outcome(spot=spot, path=path, what=what, remarks=tuple(remarks)))
    draft.save()
    return tuple(found)


def again(settings: Settings, work: Callable[[Draft], T]) -> T:
    """Return what comes of work that drafts and saves; done again, alone, where somebody was quicker.

    Args:
        settings: The surroundings.
        work: Gets a draft, and saves it.

    Raises:
        ReconcilerError: As ``work``.
    """
    try:
        return work(Draft(settings))
    except ChangedMeanwhile:
        pass
    with locked(settings.root):
        return work(Draft(settings, has_lock=True))


def spots_of(draft: Draft, selectors: Sequence[str]) -> tuple[Spot, ...]:
    """Return the scopes that are named, each once, in their order.

    Raises:
        UsageError: One is not of the form ``TARGET/SCOPE``, or there is no such target.
        InvalidInput: Files name a host that no target has: nobody can tell what else holds the key.
    """
    draft.check_hosts()
    return tuple({spot.id: spot for spot in map(draft.spot, selectors)}.values())


def _check_there(draft: Draft, spot: Spot, key: str) -> None:
    if draft.file_of(spot, key) is not None:
        return
    files = draft.files_of(spot)
    if not files:
        known = sorted({f"{spot.target.name}/{one.scope}" for one in draft.policy.scopes_of(spot.target)})
        advice = did_you_mean(str(spot), known) or (
            f"fed are {some_of(known)}" if known else "no file feeds that target"
        )
        raise UsageError(f"no file feeds {spot}", advice=advice)
    keys = [entry.name for path in files for feed in draft.scope_file(path).feeds for entry in feed.keys]
    advice = did_you_mean(key, keys) or f"looked in {some_of([escaped(path) for path in files])}"
    raise UsageError(f"{spot} has no key {escaped(key)!r}", advice=advice)


def _rules_about(draft: Draft, path: str, key: str) -> tuple[str, ...]:
    """Return what to say of rules for the age of a key that is there no more."""
    if draft.bytes_of(path) is None:
        return ()
    rules = draft.scope_file(path).rotation or ()
    if not any(rule.key is not None and fold(rule.key) == fold(key) for rule in rules):
        return ()
    return (f"{escaped(path)} has a rotation rule for {key}, which stays: see reconciler edit",)
