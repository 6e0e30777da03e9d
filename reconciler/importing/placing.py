"""Putting what was found into the draft: new files for new scopes, or more in those that feed one already."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from reconciler.editing import Draft, Spot
from reconciler.editing.forms import plain_scope_file
from reconciler.errors import Refused, escaped, some_of
from reconciler.importing.found import Asked, Flaw, FoundScope, Passed, Standing
from reconciler.model import Acl, FoldedName, KeyName, SecretValue, fold
from reconciler.policy import Target
from reconciler.policy.sources import FOLDER, MAX_TOTAL_BYTES


FED: Final = "git feeds it already; --merge adds what git lacks, and takes the values found where they differ"

_MAX_PLAIN_BYTES: Final = 8 * 1024 * 1024
"""Values per file. Encrypted, bytes take 16/9 of that, as base64 of base64; a file has at most 16 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How to import."""

    merge: bool = False
    """Into files that feed a scope already."""

    skip_unreadable: bool = False
    """Take scopes without what cannot be read, or cannot stand in a file."""

    file: str | None = None
    """Where to; None: ``secrets/TARGET/SCOPE.yaml``. Only for a single scope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one scope."""

    target: str
    scope: str
    standing: Standing
    why: str | None = None
    """Why it was not imported."""

    files: tuple[str, ...] = ()
    """Which hold it now; those that are new or changed."""

    added: int = 0
    """Keys that git did not have."""

    replaced: tuple[KeyName, ...] = ()
    """Keys for which git had another value."""

    same: int = 0
    """Keys that git had as they are."""

    grants: tuple[Acl, ...] | None = None
    """Grants in a new file; None where it has no acls, or none is new."""

    flaws: tuple[Flaw, ...] = ()
    notes: tuple[str, ...] = ()


def spares_fed(draft: Draft, target: Target, wish: Wish) -> Iterator[FoldedName]:
    """Yield the scopes of a target that git feeds, when they are not to be touched."""
    if not wish.merge:
        for scope in draft.policy.scopes_of(target):
            yield fold(scope.scope)


def passed_over(target: Target, passed: Passed) -> Outcome:
    """Return the outcome of a scope that was not looked into."""
    return Outcome(target=target.name, scope=passed.scope, standing=passed.standing, why=passed.why)


def place(draft: Draft, target: Target, found: FoundScope, asked: Asked, wish: Wish) -> Outcome:
    """Draft one scope.

    Raises:
        UsageError: no rule of ``.sops.yaml`` is for its file.
        InvalidInput: a file breaks a rule.
        CannotDecrypt: a file that feeds it does not unlock.
    """
    name = f"{target.name}/{found.scope}"
    if found.flaws and not wish.skip_unreadable:
        return Outcome(
            target=target.name,
            scope=found.scope,
            standing=Standing.FAILED,
            why="not all of it can be taken; --skip-unreadable takes the rest",
            flaws=found.flaws,
        )
    if not found.keys:
        why = (
            "it holds no secret"
            + (" that can be taken" if found.flaws else "")
            + ", and a file cannot name an empty scope"
        )
        return passed_over(target, asked.passed(found.scope, why))
    spot = draft.spot(name)
    if not draft.files_of(spot):
        return _new(draft, spot, found, wish)
    if not wish.merge:
        return passed_over(target, asked.passed(found.scope, FED))
    return _merged(draft, spot, found, wish)


def check_size(draft: Draft) -> None:
    """Refuse what could be written and not be read again.

    Raises:
        Refused: all files together are larger than is read.
    """
    if sum(map(len, draft.sources.files.values())) > MAX_TOTAL_BYTES:
        raise Refused(
            f"with what was found, all files below {FOLDER}/ would exceed {MAX_TOTAL_BYTES // 1024 // 1024} MiB "
            "and would not be read again",
            advice="import fewer scopes; several repositories may feed one workspace, with an owner each",
        )


def _new(draft: Draft, spot: Spot, found: FoundScope, wish: Wish) -> Outcome:
    first = wish.file or f"{FOLDER}/{spot.target.name}/{found.scope}.yaml"
    parts = tuple(parts_of(found.keys))
    stem = first.removesuffix(".yml").removesuffix(".yaml")
    paths = (first, *(f"{stem}-{number}.yaml" for number in range(2, len(parts) + 1)))
    if taken := _taken(draft, paths):
        return Outcome(
            target=spot.target.name,
            scope=found.scope,
            standing=Standing.REFUSED,
            why=f"{escaped(taken)} exists and feeds something else; say with --file where to put it",
        )
    for number, (path, keys) in enumerate(zip(paths, parts, strict=True)):
        acls = found.acls if number == 0 else None
        draft.create(path, plain_scope_file({spot.target.host_key: {found.scope: keys}}, acls=acls))
    return Outcome(
        target=spot.target.name,
        scope=found.scope,
        standing=Standing.IMPORTED,
        files=paths,
        added=len(found.keys),
        grants=found.acls,
        flaws=found.flaws,
        notes=found.notes,
    )


def _taken(draft: Draft, paths: Iterable[str]) -> str | None:
    """Return the first file that is there already, or differs in case alone: some disks do not tell."""
    there = {path.casefold(): path for path in draft.sources.files}
    return next((there[path.casefold()] for path in paths if path.casefold() in there), None)


def parts_of(keys: Mapping[KeyName, SecretValue]) -> Iterator[dict[KeyName, SecretValue]]:
    """Cut a scope into what fits into one file each; nearly always that is one."""
    part: dict[KeyName, SecretValue] = {}
    size = 0
    for key, value in keys.items():
        length = len(value.reveal())
        if part and size + length > _MAX_PLAIN_BYTES:
            yield part
            part, size = {}, 0
        part[key] = value
        size += length
    yield part


def _merged(draft: Draft, spot: Spot, found: FoundScope, wish: Wish) -> Outcome:
    files = draft.files_of(spot)
    known = {
        fold(held.key): (held.key, held.value) for path in files for held in draft.held(path) if held.spot.id == spot.id
    }
    fresh = {key: value for key, value in found.keys.items() if fold(key) not in known}
    other = {
        known[fold(key)][0]: value
        for key, value in found.keys.items()
        if fold(key) in known and known[fold(key)][1] != value
    }
    outcome = Outcome(
        target=spot.target.name,
        scope=found.scope,
        standing=Standing.MERGED if fresh or other else Standing.SAME,
        added=len(fresh),
        replaced=tuple(sorted(other, key=fold)),
        same=len(found.keys) - len(fresh) - len(other),
        flaws=found.flaws,
        notes=(*found.notes, *_grants_note(draft, spot, found)),
    )
    if fresh and len(files) > 1 and wish.file is None:
        return Outcome(
            target=spot.target.name,
            scope=found.scope,
            standing=Standing.REFUSED,
            why=f"several files feed it, {some_of([escaped(path) for path in files])}; say with --file where "
            f"{len(fresh)} new keys go",
        )
    if not fresh and not other:
        return outcome
    return replace(outcome, files=draft.put(spot, {**other, **fresh}, file=wish.file))


def _grants_note(draft: Draft, spot: Spot, found: FoundScope) -> Iterator[str]:
    """Yield what differs about grants: a merge leaves those of git alone, as a file may feed other scopes as well."""
    if found.acls is None:
        return
    acls = acls_in_git(draft, spot)
    if acls is None:
        yield "its files have no acls, and get none: grants are left alone"
    elif set(map(_grant, acls)) != set(map(_grant, found.acls)):
        yield "its grants are others than the acls of its files, which stay as they are: plan shows how they differ"


def acls_in_git(draft: Draft, spot: Spot) -> tuple[Acl, ...] | None:
    """Return what git grants on a scope as drafted; None when it leaves grants alone."""
    scopes = draft.policy.scopes_of(spot.target)
    return next((scope.acls for scope in scopes if fold(scope.scope) == fold(spot.scope)), None)


def _grant(acl: Acl) -> tuple[FoldedName, int]:
    return fold(acl.principal), acl.permission
