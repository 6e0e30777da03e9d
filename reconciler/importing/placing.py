"""Putting what was found into the draft: new files for new scopes, or more in those that feed one already.

First all scopes are decided about, then files are drafted: after each drafted file all of them would be looked at anew,
which for four hundred scopes takes a minute.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from reconciler import pysops
from reconciler.editing import Draft, Spot
from reconciler.editing.forms import plain_scope_file, written
from reconciler.editing.places import check_place, is_reserved, scope_file_of
from reconciler.errors import Refused, escaped, some_of
from reconciler.importing.found import Asked, Flaw, Found, FoundScope, Passed, Standing
from reconciler.model import Acl, FoldedName, KeyName, ScopeName, SecretValue, fold
from reconciler.policy import ScopePolicy, Target
from reconciler.policy.sources import FOLDER, MAX_TOTAL_BYTES


FED: Final = "git feeds it already; --merge adds what git lacks, and takes the values found where they differ"

_MAX_PLAIN_BYTES: Final = 8 * 1024 * 1024
"""Values per file. Encrypted, bytes take 16/9 of that, as base64 of base64; a file has at most 16 MiB."""

_SECRETS: Final = "secrets"
"""The field of a scope file below which hosts stand."""


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
    """Those that are new or changed."""

    added: int = 0
    """Keys that git did not have."""

    replaced: tuple[KeyName, ...] = ()
    """Keys for which git had another value."""

    same: int = 0
    """Keys that git had as they are."""

    grants: tuple[Acl, ...] | None = None
    """Grants in a new file; None where it has no acls, or there is none."""

    flaws: tuple[Flaw, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _NewFile:
    """A file to make."""

    spot: Spot
    scope: ScopeName
    keys: Mapping[KeyName, SecretValue] = field(repr=False)
    acls: tuple[Acl, ...] | None = None

    def text(self) -> bytes:
        """Return it before it is encrypted."""
        return plain_scope_file({self.spot.target.host_key: {self.scope: self.keys}}, acls=self.acls)


class Placer:
    """Decides where everything goes, and drafts it at the end."""

    def __init__(self, draft: Draft, wish: Wish) -> None:
        self._draft = draft
        file = None if wish.file is None else scope_file_of(draft.settings, wish.file)
        self._wish = replace(wish, file=file)
        self._fed = {
            target.name: {fold(scope.scope): scope for scope in draft.policy.scopes_of(target)}
            for target in draft.policy.targets.targets
        }
        self._there = {path.casefold(): path for path in draft.sources.files}
        """Files that are there, or will be: some disks do not tell names apart that differ in case alone."""
        self._new: dict[str, _NewFile] = {}
        self._edits: dict[str, list[pysops.Edit]] = {}

    def fed(self, target: Target) -> Mapping[FoldedName, ScopePolicy]:
        """Return the scopes of a target that git fed before."""
        return self._fed[target.name]

    def place(self, target: Target, found: Found, asked: Asked) -> Outcome:
        """Decide about one scope.

        Raises:
            UsageError: The file that was asked for is no place for a scope file.
            InvalidInput: A file that feeds it breaks a rule.
            CannotDecrypt: A file that feeds it does not unlock.
        """
        if isinstance(found, Passed):
            return _passed_over(target, found)
        if found.flaws and not self._wish.skip_unreadable:
            why = "not all of it can be taken; --skip-unreadable takes the rest"
            failed = Passed(scope=found.scope, standing=Standing.FAILED, why=why)
            return _passed_over(target, failed, found.flaws)
        if not found.keys:
            taken = " that can be taken" if found.flaws else ""
            why = f"it holds no secret{taken}, and a file cannot name an empty scope"
            return _passed_over(target, asked.passed(found.scope, why), found.flaws)
        policy = self.fed(target).get(fold(found.scope))
        if policy is None:
            return self._as_new(Spot(target=target, scope=found.scope), found)
        if not self._wish.merge:
            return _passed_over(target, asked.passed(found.scope, FED))
        return self._merged(Spot(target=target, scope=policy.scope), found, policy)

    def draft(self) -> None:
        """Draft all that was decided.

        Raises:
            UsageError: No rule of ``.sops.yaml`` is for a file.
            InvalidInput: A file breaks a rule.
            CannotDecrypt: A file does not unlock.
            Refused: All files together became larger than is read.
        """
        # Whatever has to be known of files is asked before the first of them changes.
        making = [(path, self._draft.writer(path), self._draft.rule(path)) for path in self._new]
        changing = [(path, self._draft.writer(path), self._draft.locked(path)) for path in self._edits]
        made: dict[str, bytes] = {}
        for path, writer, rule in making:
            made[path] = self._draft.told(
                path,
                lambda path=path, writer=writer, rule=rule: writer.encrypt(  # type: ignore[misc]
                    self._new[path].text(),
                    rule=rule,
                    now=self._draft.now,
                    destination=self._draft.settings.root / path,
                    config=self._draft.rules_place,
                ),
            )
        for path, writer, locked in changing:
            made[path] = self._draft.told(
                path,
                lambda path=path, writer=writer, locked=locked: writer.change(  # type: ignore[misc]
                    locked, self._edits[path], now=self._draft.now
                ),
            )
        for path, data in made.items():
            self._draft.replace(path, data)
        _check_size(self._draft)

    def _as_new(self, spot: Spot, found: FoundScope) -> Outcome:
        first = self._wish.file or f"{FOLDER}/{spot.target.name}/{found.scope}.yaml"
        if self._wish.file is None and is_reserved(first):
            why = f"{first} would be taken for the rules of sops; say with --file where to put it"
            return _passed_over(spot.target, Passed(scope=found.scope, standing=Standing.REFUSED, why=why))
        check_place(first)
        parts = tuple(parts_of(found.keys))
        stem = first.removesuffix(".yml").removesuffix(".yaml")
        paths = (first, *(f"{stem}-{number}.yaml" for number in range(2, len(parts) + 1)))
        if taken := next((self._there[path.casefold()] for path in paths if path.casefold() in self._there), None):
            return _passed_over(spot.target, _for_want_of_a_place(found, taken))
        for number, (path, keys) in enumerate(zip(paths, parts, strict=True)):
            self._make(path, _NewFile(spot=spot, scope=found.scope, keys=keys, acls=None if number else found.acls))
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

    def _merged(self, spot: Spot, found: FoundScope, policy: ScopePolicy) -> Outcome:
        files = tuple(file.path for file in policy.files)
        known = {fold(held.key): held for path in files for held in self._draft.held(path) if held.spot.id == spot.id}
        fresh = {key: value for key, value in found.keys.items() if fold(key) not in known}
        pairs = [(known[fold(key)], value) for key, value in found.keys.items() if fold(key) in known]
        other = [(held, value) for held, value in pairs if held.value != value]
        home = self._wish.file or files[0]
        if fresh and len(files) > 1 and self._wish.file is None:
            why = f"{some_of([escaped(path) for path in files])} feed it; say with --file which gets new keys"
            return _passed_over(spot.target, Passed(scope=found.scope, standing=Standing.REFUSED, why=why))
        if fresh and home not in files:
            check_place(home)
            if home.casefold() in self._there:
                return _passed_over(spot.target, _for_want_of_a_place(found, self._there[home.casefold()]))
            self._make(home, _NewFile(spot=spot, scope=spot.scope, keys=fresh))
        elif fresh:
            spelt = next(held.spot.scope for held in known.values() if held.path == home)
            for key, value in fresh.items():
                self._put(home, (spot.target.host_key, spelt, key), value)
        for held, value in other:
            self._put(held.path, (spot.target.host_key, held.spot.scope, held.key), value)
        changed = {held.path for held, _ in other} | ({home} if fresh else set())
        return Outcome(
            target=spot.target.name,
            scope=found.scope,
            standing=Standing.MERGED if changed else Standing.SAME,
            files=tuple(sorted(changed)),
            added=len(fresh),
            replaced=tuple(held.key for held, _ in other),
            same=len(pairs) - len(other),
            flaws=found.flaws,
            notes=(*found.notes, *_grants_note(policy, found)),
        )

    def _make(self, path: str, file: _NewFile) -> None:
        self._new[path] = file
        self._there[path.casefold()] = path

    def _put(self, path: str, place: tuple[str, ...], value: SecretValue) -> None:
        self._edits.setdefault(path, []).append(pysops.Put(path=(_SECRETS, *place), value=written(value)))


def _passed_over(target: Target, passed: Passed, flaws: tuple[Flaw, ...] = ()) -> Outcome:
    return Outcome(target=target.name, scope=passed.scope, standing=passed.standing, why=passed.why, flaws=flaws)


def _for_want_of_a_place(found: FoundScope, taken: str) -> Passed:
    why = f"{escaped(taken)} feeds something else; say with --file where to put it"
    return Passed(scope=found.scope, standing=Standing.REFUSED, why=why)


def _check_size(draft: Draft) -> None:
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


def _grants_note(policy: ScopePolicy, found: FoundScope) -> Iterator[str]:
    """Yield what differs about grants: a merge leaves those of git alone, as a file may feed other scopes as well."""
    if found.acls is None:
        return
    if policy.acls is None:
        yield "its files have no acls, and get none: grants are left alone"
    elif set(map(_grant, policy.acls)) != set(map(_grant, found.acls)):
        yield "its grants are others than the acls of its files, which stay as they are: plan shows how they differ"


def _grant(acl: Acl) -> tuple[FoldedName, int]:
    return fold(acl.principal), acl.permission
