"""One version of a scope file, opened: bytes to a tree, with whoever holds the keys.

Its policy is checked first, as far as it concerns that file alone: of a merge that is under way, the other files are of
one side or the other, and ``.sops.yaml`` may be of either.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconciler import git, policy, pysops
from reconciler.desired import Keys, keys_for, problem_at
from reconciler.errors import EXIT_CANNOT_DECRYPT, EXIT_INVALID_INPUT, Problem, Refused
from reconciler.merging.trees import EMPTY, UNKNOWN, Absent, Slot, Tree, Value, grant_slot, rotation_slot, secret_slot
from reconciler.model import SecretValue, fold
from reconciler.policy.scope_files import ScopeFile, read_scope_file
from reconciler.policy.scope_values import Form
from reconciler.policy.sops_rules import NO_RULES, SopsRules, read_rules
from reconciler.policy.sources import Sources
from reconciler.policy.target_reader import read_targets
from reconciler.policy.targets import EmbeddedSettings, Target
from reconciler.pysops.decryptor import Decryptor, LockedFile, Unlocker


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a file, opened."""

    file: ScopeFile
    locked: LockedFile
    tree: Tree
    keys: Keys = field(repr=False)
    """What opened it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """Why a version cannot be used."""

    problems: tuple[Problem, ...]
    needs_key: bool = False
    """Whether a key would help."""

    exit_code: int = EXIT_INVALID_INPUT
    """Whether that shows without a key."""


class Surroundings:
    """What is around a file: targets, rules, and the keys at hand. Read from the work tree, however that is."""

    def __init__(
        self, root: Path, environ: Mapping[str, str], home: Path, *, decryptor: Decryptor = Decryptor.AUTO
    ) -> None:
        """Read the work tree.

        Args:
            root: the directory that has ``secrets/``.
            environ: where identities are.
            home: where the default key file is looked for.
            decryptor: which way to open files.
        """
        self.root = root
        self.environ = environ
        self.home = home
        self.decryptor = decryptor
        self._sources = _sources(root)
        extra = policy.parse_extra_hosts(environ.get("RECONCILER_EXTRA_HOSTS", ""))
        # In the middle of a merge targets.yaml may hold conflict markers: then there are no targets, and no names.
        self.targets: tuple[Target, ...] = read_targets(self._sources, extra).targets
        self.rules: SopsRules = read_rules(self._sources)
        self._of_environment: Keys | None = None

    def read(self, path: str, data: bytes, label: str) -> Version | Closed:
        """Open one version of a file.

        Args:
            path: relative to the root, as in `Sources.files`.
            data: the version.
            label: what to call it: ``ours``, ``theirs``, ``base``.
        """
        file = checked(path, data, label)
        if isinstance(file, Closed):
            return file
        tried: list[str] = []
        failure: pysops.SopsError | None = None
        for keys, named in self._keys_for(file):
            locked = LockedFile.read(file.document, named)
            try:
                opened = Unlocker(keys.identities, decryptor=self.decryptor, environ=keys.environ).unlock(locked)
            except pysops.SopsError as error:
                failure = error if failure is None or not isinstance(error, pysops.NoIdentity) else failure
                tried.extend(keys.identities.sources)
                continue
            return Version(file=file, locked=locked, tree=tree_of(file, opened), keys=keys)
        needs_key = isinstance(failure, pysops.NoIdentity | pysops.BinaryError)
        problem = _why(path, failure, label, tried)
        return Closed(problems=(problem,), needs_key=needs_key, exit_code=EXIT_CANNOT_DECRYPT)

    def _keys_for(self, file: ScopeFile) -> Iterator[tuple[Keys, frozenset[pysops.Recipient]]]:
        """Yield the keys that may open a file: those of the embedded targets that it feeds, then the environment's."""
        named = self._named(file)
        hosts = {feed.host_key for feed in file.feeds}
        fed = [target for target in self.targets if target.host_key in hosts]
        for target in fed:
            if isinstance(target.workspace, EmbeddedSettings) and target.workspace.age_key_file in self._sources.files:
                yield self._keys_of(target), frozenset(one for one in named if one.kind == "age")
        if self._of_environment is None:
            identities = pysops.Identities.from_environment(self.environ, self.home)
            self._of_environment = Keys(identities=identities, environ=self.environ)
        yield self._of_environment, named

    def _keys_of(self, target: Target) -> Keys:
        return keys_for(target, self._sources, root=self.root, environ=self.environ, home=self.home)

    def _named(self, file: ScopeFile) -> frozenset[pysops.Recipient]:
        """Return whom the rules of the work tree name for a file: the sops program asks nobody else."""
        rule = self.rules.rule_for(file.path)
        if rule is None or file.metadata is None:
            return frozenset()
        return frozenset[pysops.Recipient]().union(*rule.groups_for(file.metadata.recipients))


def _sources(root: Path) -> Sources:
    try:
        return git.read_work_tree(root)
    except Refused:  # no work tree: of a bare repository, for one, where git merges as well
        return Sources(files={})


def checked(path: str, data: bytes, label: str) -> ScopeFile | Closed:
    """Return a version of a file, if it keeps the rules that need neither a key nor another file."""
    file = read_scope_file(path, data, NO_RULES)
    if not isinstance(file, ScopeFile) or file.problems or file.metadata is None:
        return Closed(problems=tuple(_labelled(problem, label) for problem in file.problems))
    return file


def _labelled(problem: Problem, label: str) -> Problem:
    return replace(problem, what=f"in {label}: {problem.what}")


def _why(path: str, error: pysops.SopsError | None, label: str, tried: list[str]) -> Problem:
    if error is None:
        return Problem(path=path, what=f"{label} does not open")
    problem = problem_at(path, error, tried)
    return replace(problem, what=f"{label} does not open: {problem.what}")


def tree_of(file: ScopeFile, opened: Mapping[str, object]) -> Tree:
    """Return what a file says.

    Args:
        file: free of problems.
        opened: what it holds, unlocked, as `pysops.decrypt` returns it.
    """
    values: dict[Slot, Value | Absent] = {}
    for feed in file.feeds:
        below = _below(_below(_below(opened, "secrets"), feed.host_key), feed.scope)
        for entry in feed.keys:
            node = below[entry.name]
            text = node if entry.form is Form.TEXT else _below(below, entry.name)[entry.form.value]
            values[secret_slot(feed.host_key, feed.scope, entry.name)] = _value(entry.form, text)
    return _tree(file, values, is_known=True)


def guessed_tree(file: ScopeFile, *others: Version) -> Tree:
    """Return what a file says that does not open, as far as its ciphertext stands in another version, too.

    Args:
        file: free of problems that show without a key.
        others: versions that did open.
    """
    values: dict[Slot, Value | Absent] = {}
    sealed = sealed_texts(file)
    for place, text in sealed.items():
        values[place] = Absent.UNKNOWN
        for other in others:
            if sealed_texts(other.file).get(place) == text and place in other.tree.values:
                values[place] = other.tree.values[place]
    return _tree(file, values, is_known=True)


def _tree(file: ScopeFile, values: Mapping[Slot, Value | Absent], *, is_known: bool) -> Tree:
    spelling: dict[tuple[str, ...], str] = {}
    for feed in file.feeds:
        scope = (feed.host_key, fold(feed.scope))
        spelling[scope] = feed.scope
        spelling.update(((*scope, fold(entry.name)), entry.name) for entry in feed.keys)
    return Tree(
        values=values,
        spelling=spelling,
        grants=None if file.acls is None else {grant_slot(acl.principal): acl for acl in file.acls},
        prune=None if file.prune is None else file.prune.value,
        rotation={rotation_slot(rule.key): rule for rule in file.rotation or ()},
        is_known=is_known,
    )


def sealed_texts(file: ScopeFile) -> dict[Slot, str]:
    """Return the ciphertext at each place of a value."""
    root = {entry.key.text: entry.value for entry in file.document.root.entries}
    found: dict[Slot, str] = {}
    for host in _entries(root.get("secrets")):
        for scope in _entries(host.value):
            for key in _entries(scope.value):
                node = key.value
                if isinstance(node, pysops.Mapping) and node.entries:
                    node = node.entries[0].value
                if isinstance(node, pysops.Scalar):
                    found[secret_slot(host.key.text, scope.key.text, key.key.text)] = node.text
    return found


def _entries(node: pysops.Node | None) -> tuple[pysops.Entry, ...]:
    return node.entries if isinstance(node, pysops.Mapping) else ()


def _below(node: object, name: str) -> Mapping[str, object]:
    if not isinstance(node, Mapping):
        raise TypeError("a scope file that was checked has mappings above its values")
    found = node[name]
    return found if isinstance(found, Mapping) else {}


def _value(form: Form, text: object) -> Value:
    if isinstance(text, bytes) and form is Form.TEXT:
        # Not UTF-8: sops encrypts bytes as they are where the plaintext has a !!binary. As text nobody can put them.
        return Value(form=Form.BASE64, text=SecretValue(base64.b64encode(text)))
    return Value(form=form, text=SecretValue(text if isinstance(text, bytes) else str(text).encode()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What both sides come from, as far as it is known."""

    tree: Tree
    version: Version | None = None
    """None when it does not open, cannot be used, or is not there."""

    file: ScopeFile | None = None
    """None when it cannot be used, or is not there."""

    remarks: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: str, data: bytes | None, around: Surroundings, ours: Version, theirs: Version) -> "Base":
        """Open what both sides come from, as far as that can be done.

        Args:
            path: of the file, relative to the directory of the run.
            data: None when both sides made the file.
            around: see there.
            ours: one of the sides.
            theirs: the other one.
        """
        if data is None:
            return cls(tree=EMPTY)
        found = around.read(path, data, "base")
        if isinstance(found, Version):
            return cls(tree=found.tree, version=found, file=found.file)
        file = checked(path, data, "base")
        if isinstance(file, Closed):
            remark = "what both sides come from cannot be used, so that every difference is a conflict"
            return cls(tree=UNKNOWN, remarks=(remark,))
        remark = (
            "what both sides come from does not open with the keys at hand; a value that was encrypted anew since "
            "counts as changed"
        )
        return cls(tree=guessed_tree(file, ours, theirs), file=file, remarks=(remark,))
