"""The work tree as it will be. Nothing is written before `Draft.save`, and nothing that breaks a rule.

A draft knows which file feeds what, unlocks files when somebody asks for what is in them, and keeps new bytes in
memory. Saving checks everything that `validate` would, over all files together; then each file is replaced in one step.
"""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from reconciler import git, policy, pysops
from reconciler.desired import Keys, keys_for, named_for, problem_of, values_of
from reconciler.editing.forms import plain_scope_file, written
from reconciler.editing.places import check_place
from reconciler.editing.saving import FileChange, locked, put_files
from reconciler.errors import CannotDecrypt, InvalidInput, Problem, UsageError, escaped, some_of
from reconciler.model import KeyName, ScopeName, SecretValue, fold, is_key_name, is_scope_name
from reconciler.policy import Policy, Sources, Target
from reconciler.policy.crossing import ScopeId
from reconciler.policy.names import EXPECTED_KEY, EXPECTED_SCOPE
from reconciler.policy.scope_files import ScopeFile
from reconciler.policy.scope_values import Feed
from reconciler.policy.sources import FOLDER, RULES_FILE, TARGETS_FILE
from reconciler.pysops.binary.arguments import TextTree
from reconciler.pysops.config.creation_rules import CreationRule
from reconciler.pysops.config.fields import did_you_mean
from reconciler.pysops.decryptor import LockedFile, Unlocker
from reconciler.settings import Settings


_SECRETS: Final = "secrets"
"""The field of a scope file below which hosts stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A scope of a target, whether any file feeds it or not."""

    target: Target
    scope: ScopeName
    """As git spells it, where it feeds it; else as somebody asked for it."""

    @property
    def id(self) -> ScopeId:
        """As names compare."""
        return ScopeId(host_key=self.target.host_key, scope=fold(self.scope))

    def __str__(self) -> str:
        """``target/scope``."""
        return f"{self.target.name}/{self.scope}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One key of one file, unlocked."""

    spot: Spot
    key: KeyName
    value: SecretValue
    path: str


class Draft:
    """The files of the work tree, as they will be."""

    def __init__(self, settings: Settings, *, now: datetime | None = None, has_lock: bool = False) -> None:
        """Read the work tree.

        Args:
            settings: Where it is, and which keys there are.
            now: What files will say of when they were changed; aware. None: the time of the clock.
            has_lock: Whether the caller holds `saving.locked`, as `again` does.

        Raises:
            InvalidInput: targets.yaml or ``.sops.yaml`` breaks a rule, so that nobody can tell what goes where.
            UsageError: RECONCILER_EXTRA_HOSTS is not a list of hosts.
        """
        self._settings = settings
        self._has_lock = has_lock
        self._now = datetime.now(UTC) if now is None else now
        self._extra_hosts = policy.parse_extra_hosts(settings.environ.get("RECONCILER_EXTRA_HOSTS", ""))
        self._before = git.read_work_tree(settings.root)
        self._files: dict[str, bytes] = dict(self._before.files)
        self._policy: Policy | None = None
        self._is_stale = False
        self._keys: dict[str | None, Keys] = {}
        self._opened: dict[str, tuple[bytes, Mapping[str, object]]] = {}
        self._problems = self.policy.problems()
        if stopping := (*self.policy.targets.problems, *self.policy.source_problems):
            raise InvalidInput(stopping)

    @property
    def settings(self) -> Settings:
        """The surroundings."""
        return self._settings

    @property
    def now(self) -> datetime:
        """What files will say of when they were changed."""
        return self._now

    @property
    def sources(self) -> Sources:
        """The files as drafted so far."""
        return dataclasses.replace(self._before, files=self._files)

    @property
    def policy(self) -> Policy:
        """What the files say, as drafted so far."""
        if self._policy is None or self._is_stale:
            self._policy = policy.load(self.sources, self._extra_hosts, before=self._policy)
            self._is_stale = False
        return self._policy

    @property
    def changed(self) -> tuple[str, ...]:
        """Paths of what `save` would write or delete, sorted."""
        before = self._before.files
        return tuple(sorted(path for path in {*before, *self._files} if before.get(path) != self._files.get(path)))

    # Where things are

    def target(self, name: str) -> Target:
        """Return a target.

        Raises:
            UsageError: There is none of that name.
        """
        found = self.policy.targets.named(name)
        if found is None:
            known = [target.name for target in self.policy.targets.targets]
            raise UsageError(
                f"unknown target {escaped(name)!r}",
                advice=did_you_mean(name, known) or (f"known: {', '.join(known)}" if known else "see reconciler init"),
            )
        return found

    def spot(self, selector: str) -> Spot:
        """Return what ``TARGET/SCOPE`` is about.

        Raises:
            UsageError: It is not of that form, there is no such target, or no scope can be called that.
        """
        name, slash, scope = selector.partition("/")
        if not slash or not scope:
            raise UsageError(
                f"{escaped(selector)!r} names no scope", advice="write TARGET/SCOPE, such as prod/payments"
            )
        target = self.target(name)
        if not is_scope_name(scope):
            raise UsageError(f"{escaped(scope)!r} does not fit as a scope", advice=f"expected {EXPECTED_SCOPE}")
        spot = Spot(target=target, scope=ScopeName(scope))
        feeds = self._feeds(spot)
        return dataclasses.replace(spot, scope=feeds[0][1].scope) if feeds else spot

    def files_of(self, spot: Spot) -> tuple[str, ...]:
        """Return the paths of the files that feed a scope, sorted."""
        return tuple(dict.fromkeys(file.path for file, _ in self._feeds(spot)))

    def file_of(self, spot: Spot, key: str) -> str | None:
        """Return the path of the file that has a key of a scope, with a fitting value or not; None when none has."""
        for file, feed in self._feeds(spot):
            if any(fold(name) == fold(key) for name in _names_in(feed)):
                return file.path
        return None

    def path_in_file(self, spot: Spot, key: str) -> tuple[str, ...] | None:
        """Return the mapping keys from the root of its file to a key, as spelt there; None when no file has it."""
        for _, feed in self._feeds(spot):
            for name in _names_in(feed):
                if fold(name) == fold(key):
                    return (_SECRETS, feed.host_key, feed.scope, name)
        return None

    def is_alone(self, path: str, place: Sequence[str]) -> bool:
        """Tell whether nothing else stands below ``secrets`` of a file, values that break a rule included."""
        node: pysops.Node = self.scope_file(path).document.root
        for name in place:
            if not isinstance(node, pysops.Mapping):
                return False
            below = {entry.key.text: entry.value for entry in node.entries}
            if name not in below or (node is not self.scope_file(path).document.root and len(below) > 1):
                return False
            node = below[name]
        return True

    def _feeds(self, spot: Spot) -> tuple[tuple[ScopeFile, Feed], ...]:
        return tuple((part.file, part.feed) for part in self.policy.contributions.get(spot.id, ()))

    # What is in files

    def bytes_of(self, path: str) -> bytes | None:
        """Return a file as drafted so far; None where there is none."""
        return self._files.get(path)

    def scope_file(self, path: str) -> ScopeFile:
        """Return a scope file as drafted so far.

        Raises:
            UsageError: There is no such file.
            InvalidInput: It is no document.
        """
        for file in self.policy.files:
            if file.path == path:
                return file
        for unreadable in self.policy.unreadable:
            if unreadable.path == path:
                raise InvalidInput(unreadable.problems)
        raise UsageError(f"there is no scope file {escaped(path)}", advice=f"scope files are *.yaml below {FOLDER}/")

    def locked(self, path: str) -> LockedFile:
        """Return a file to open.

        Raises:
            InvalidInput: It breaks a rule that shows without a key, apart from whom it is encrypted to.
        """
        file = self.scope_file(path)
        if file.metadata is None:
            raise InvalidInput(file.problems)
        targets = self._targets_of(path)
        named = named_for(file, targets[0]) if targets and all(one.embedded for one in targets) else file.named
        return LockedFile.read(file.document, named)

    def opened(self, path: str) -> Mapping[str, object]:
        """Return what a file holds, unlocked, as `pysops.decrypt` returns it. Opened once for the same bytes.

        Raises:
            InvalidInput: It breaks a rule that shows without a key.
            CannotDecrypt: No identity opens it, or it was tampered with.
        """
        data = self._files.get(path, b"")
        known = self._opened.get(path)
        if known is not None and known[0] == data:
            return known[1]
        keys = self._keys_for(path)
        unlocker = Unlocker(keys.identities, decryptor=self._settings.decryptor, environ=keys.environ)
        try:
            values = unlocker.unlock(self.locked(path))
        except pysops.SopsError as error:
            raise CannotDecrypt((problem_of(error, self.scope_file(path), None, keys.identities.sources),)) from None
        self._opened[path] = (data, values)
        return values

    def check_hosts(self) -> None:
        """Make sure that every host in the files is that of a target: else keys would be looked for, and not found.

        Raises:
            InvalidInput: One is not, as while a move is half done (`retarget`).
        """
        if strangers := tuple(problem for problem in self.policy.problems() if problem.rule == "unknown-host"):
            raise InvalidInput(strangers)

    def held(self, path: str) -> tuple[Held, ...]:
        """Return every key of a file that feeds a known target, unlocked, in file order.

        Raises:
            InvalidInput: It breaks a rule that shows without a key.
            CannotDecrypt: It does not unlock, or a value has not the form that the file says.
        """
        opened = self.opened(path)
        file = self.scope_file(path)
        targets = {target.host_key: target for target in self.policy.targets.targets}
        found: list[Held] = []
        problems: list[Problem] = []
        for feed in file.feeds:
            keys, wrong = values_of(file, feed, opened)
            problems.extend(wrong)
            target = targets.get(feed.host_key)
            if target is not None:
                spot = Spot(target=target, scope=feed.scope)
                found.extend(Held(spot=spot, key=key.name, value=key.value, path=path) for key in keys)
        if problems:
            raise CannotDecrypt(tuple(problems))
        return tuple(found)

    def value_of(self, spot: Spot, key: str) -> SecretValue | None:
        """Return the value that git has for a key; None when it has none.

        Raises:
            CannotDecrypt: Its file does not unlock.
        """
        path = self.file_of(spot, key)
        if path is None:
            return None
        return next(
            (one.value for one in self.held(path) if one.spot.id == spot.id and fold(one.key) == fold(key)), None
        )

    # Keys of files

    def writer(self, path: str) -> pysops.Writer:
        """Return what changes a file, with the keys of the targets that it feeds, or would feed by its name."""
        keys = self._keys_for(path)
        return pysops.Writer(keys.identities, decryptor=self._settings.decryptor, environ=keys.environ)

    def rule(self, path: str) -> CreationRule:
        """Return the rule of ``.sops.yaml`` that says who may open a file.

        Raises:
            UsageError: There is none.
        """
        found = self.policy.rules.rule_for(path)
        if found is None:
            raise UsageError(
                f"no rule of {RULES_FILE} is for {escaped(path)}, so nothing says who may open it",
                advice=f"add one whose path_regex is found in {escaped(self.policy.rules.path_of(path))}; "
                "reconciler init writes a first one",
            )
        return found

    @property
    def rules_place(self) -> Path:
        """Where the ``.sops.yaml`` of the run stands."""
        rules = self.policy.rules.file
        return self._settings.root / (RULES_FILE if rules is None else rules.path)

    def _targets_of(self, path: str) -> tuple[Target, ...]:
        """Return the targets that a file is for, as its hosts say, or its folder where there is no file yet."""
        file = next((file for file in self.policy.files if file.path == path), None)
        targets = self.policy.targets
        if file is not None and file.feeds:
            hosts = {feed.host_key for feed in file.feeds}
            return tuple(target for target in targets.targets if target.host_key in hosts)
        named = targets.named(path.split("/")[1]) if path.count("/") > 1 else None
        return () if named is None else (named,)

    def _keys_for(self, path: str) -> Keys:
        """Return the keys that open a file: of the embedded targets that it feeds, or those of the environment.

        Where it feeds several, the first that is among its recipients.
        """
        targets = self._targets_of(path)
        embedded = [self._keys_of(target) for target in targets if target.embedded]
        if len(targets) == len(embedded) == 1:
            return embedded[0]
        recipients = {recipient.name for recipient in self._recipients_of(path)}
        fitting = (keys for keys in embedded if recipients.intersection(keys.identities.recipients))
        return next(fitting, self._keys_of(None))

    def _recipients_of(self, path: str) -> tuple[pysops.Recipient, ...]:
        file = next((file for file in self.policy.files if file.path == path), None)
        return () if file is None or file.metadata is None else file.metadata.recipients

    def _keys_of(self, target: Target | None) -> Keys:
        """Return the keys of an embedded target, or for None those of the environment; gathered once."""
        name = None if target is None else target.name
        if name not in self._keys:
            settings = self._settings
            if target is None:
                identities = pysops.Identities.from_environment(settings.environ, settings.home)
                self._keys[name] = Keys(identities=identities, environ=settings.environ)
            else:
                self._keys[name] = keys_for(
                    target, self._before, root=settings.root, environ=settings.environ, home=settings.home
                )
        return self._keys[name]

    # Changes

    def edit(self, path: str, edits: Sequence[pysops.Edit]) -> bool:
        """Change values of a file; return whether that made a difference.

        Raises:
            InvalidInput: The file breaks a rule, or what is asked for cannot stand in it.
            CannotDecrypt: It does not unlock.
        """
        return bool(self.edit_all({path: edits}))

    def edit_all(self, edits: Mapping[str, Sequence[pysops.Edit]]) -> tuple[str, ...]:
        """Change values of several files; return the paths for which that made a difference.

        Quicker than one after the other: whatever looks for something in between has all files read again.

        Args:
            edits: Path to what is to be done there.

        Raises:
            InvalidInput: A file breaks a rule, or what is asked for cannot stand in it. None was changed.
            CannotDecrypt: A file does not unlock. None was changed.
        """

        def changed(path: str) -> bytes:
            return self.writer(path).change(self.locked(path), edits[path], now=self._now)

        made = {path: self.told(path, partial(changed, path)) for path in edits}
        return tuple(path for path, data in made.items() if self.replace(path, data))

    def put(self, spot: Spot, values: Mapping[KeyName, SecretValue], *, file: str | None = None) -> tuple[str, ...]:
        """Set values of one scope where they belong; make file, host, scope and key as far as they are missing.

        Args:
            spot: The scope.
            values: Key to value.
            file: Where keys go that are in no file yet; None: see `home_of`.

        Returns:
            Paths of the files that are others now.

        Raises:
            UsageError: A name does not fit as a key; or several files feed the scope, and none is named.
            InvalidInput: A file breaks a rule.
            CannotDecrypt: A file does not unlock.
        """
        for key in values:
            if not is_key_name(key):
                raise UsageError(f"{escaped(key)!r} does not fit as a key", advice=f"expected {EXPECTED_KEY}")
        by_file: dict[str, list[pysops.Edit]] = {}
        fresh: dict[KeyName, SecretValue] = {}
        for key, value in values.items():
            path, place = self.file_of(spot, key), self.path_in_file(spot, key)
            if path is None or place is None:
                fresh[key] = value
            else:
                by_file.setdefault(path, []).append(pysops.Put(path=place, value=_form_of(key, value)))
        if fresh:
            home = self.home_of(spot) if file is None else file
            if self.bytes_of(home) is None:
                self.create(home, plain_scope_file({spot.target.host_key: {spot.scope: fresh}}))
                by_file.setdefault(home, [])
            else:
                above = (_SECRETS, spot.target.host_key, self._spelling_in(home, spot))
                puts = [pysops.Put(path=(*above, key), value=_form_of(key, value)) for key, value in fresh.items()]
                by_file.setdefault(home, []).extend(puts)
        for path, edits in by_file.items():
            if edits:
                self.edit(path, edits)
        return tuple(path for path in by_file if path in self.changed)

    def home_of(self, spot: Spot) -> str:
        """Return the path of the file where a new key of a scope goes.

        That which feeds the scope; else ``secrets/TARGET/SCOPE.yaml``, whether it exists or not.

        Raises:
            UsageError: Several files feed the scope.
        """
        files = self.files_of(spot)
        if len(files) > 1:
            raise UsageError(
                f"{len(files)} files feed {spot}: {some_of([escaped(path) for path in files])}",
                advice="say with --file which of them gets a new key",
            )
        return files[0] if files else f"{FOLDER}/{spot.target.name}/{spot.scope}.yaml"

    def _spelling_in(self, path: str, spot: Spot) -> str:
        for file, feed in self._feeds(spot):
            if file.path == path:
                return feed.scope
        return spot.scope

    def create(self, path: str, plaintext: bytes) -> None:
        """Encrypt a new file to whom ``.sops.yaml`` names.

        Raises:
            UsageError: It exists, or no rule is for it.
            InvalidInput: What would be in it breaks a rule.
        """
        if self.bytes_of(path) is not None:
            raise UsageError(f"{escaped(path)} exists already", advice="name another file")
        check_place(path)
        rule = self.rule(path)
        destination = self._settings.root / path
        self.replace(
            path,
            self.told(
                path,
                lambda: self.writer(path).encrypt(
                    plaintext, rule=rule, now=self._now, destination=destination, config=self.rules_place
                ),
            ),
        )

    def replace(self, path: str, data: bytes) -> bool:
        """Take ready-made bytes for a file; return whether that makes a difference to what was drafted."""
        if self._files.get(path) == data:
            return False
        self._files[path] = data
        self._is_stale = True
        return True

    def delete(self, path: str) -> None:
        """Take a file away."""
        if self._files.pop(path, None) is not None:
            self._is_stale = True

    def told(self, path: str, work: Callable[[], bytes]) -> bytes:
        """Return what pysops made of a file, with its errors told as problems of that file.

        Raises:
            CannotDecrypt: It does not unlock.
            InvalidInput: It cannot be done.
        """
        try:
            return work()
        except pysops.SopsError as error:
            failure = error
        problem = Problem(
            path=path,
            line=None if failure.mark is None else failure.mark.line,
            column=None if failure.mark is None else failure.mark.column,
            what=failure.what,
            expected=failure.expected,
            advice=failure.advice,
        )
        kind = CannotDecrypt if isinstance(failure, pysops.DecryptionError | pysops.BinaryError) else InvalidInput
        raise kind((problem,))

    # The end

    def new_problems(self) -> tuple[Problem, ...]:
        """Return what breaks a rule as drafted, and did not before, wherever it stands now."""
        known = Counter(map(_without_place, self._problems))
        found: list[Problem] = []
        for problem in self.policy.problems():
            if known[_without_place(problem)]:
                known[_without_place(problem)] -= 1
            else:
                found.append(problem)
        return tuple(found)

    def save(self) -> tuple[str, ...]:
        """Write what was drafted, each file in one step; return the paths, sorted, targets.yaml last.

        Raises:
            InvalidInput: It would break a rule that was kept before. Nothing was written.
            ChangedMeanwhile: Somebody changed a file meanwhile.
            ReconcilerError: A file cannot be written. See `put_files`.
        """
        if problems := self.new_problems():
            raise InvalidInput(problems)
        # targets.yaml last: of a move that is cut off, the files that are done name a host that no target has, and the
        # same command finds the rest. The other way round nobody would know the old host any more.
        paths = tuple(sorted(self.changed, key=TARGETS_FILE.__eq__))
        before = self._before.files
        changes = [FileChange(path=path, before=before.get(path), after=self._files.get(path)) for path in paths]
        with contextlib.nullcontext() if self._has_lock else locked(self._settings.root):
            put_files(self._settings.root, changes)
        return paths


def _names_in(feed: Feed) -> tuple[str, ...]:
    return (*(entry.name for entry in feed.keys), *feed.misfits)


def _form_of(key: KeyName, value: SecretValue) -> TextTree:
    try:
        return written(value)
    except ValueError:
        pass
    raise UsageError(
        f"the value of {key} is larger than the platform takes", advice="at most 128 KB; store a reference instead"
    )


def _without_place(problem: Problem) -> tuple[str, str, str]:
    return problem.path, problem.rule, problem.what
