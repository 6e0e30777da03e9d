"""What git wants of a workspace, values included: the one place where they come out of the files.

Nothing here is asked before every keyless check of the selection has passed (`reconciler.policy`). What goes wrong now
needs a key to see: no identity opens a file, a tag or the MAC does not fit, text behind ``base64`` is none. It stops
only the scopes that the file feeds.
"""

import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, assert_never

from reconciler import pysops
from reconciler.errors import Problem, escaped
from reconciler.model import MAX_VALUE_BYTES, Acl, FoldedName, KeyName, Prune, ScopeName, SecretValue, fold
from reconciler.policy.scope_files import ScopeFile
from reconciler.policy.scope_values import EMPTY_TEXT, Feed, Form, KeyEntry
from reconciler.policy.selection import ScopePolicy, SelectedTarget
from reconciler.policy.sources import Sources
from reconciler.policy.targets import EmbeddedSettings, Target, WorkspaceSettings
from reconciler.pysops.decryptor import Decryptor, LockedFile, Unlocker


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredKey:
    """A key and the value that git has for it."""

    name: KeyName
    """As git spells it."""

    value: SecretValue


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredScope:
    """What git wants of one scope."""

    scope: ScopeName
    keys: Mapping[FoldedName, DesiredKey]
    """By name as the platform compares it; read-only, sorted."""

    acls: tuple[Acl, ...] | None = None
    """Grants; None leaves them alone."""

    prune: Prune = Prune.OWNED

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", MappingProxyType(dict(sorted(self.keys.items()))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What git wants of one target, as far as it could be unlocked."""

    scopes: tuple[DesiredScope, ...]
    """Complete ones only: where one file of a scope did not unlock, its keys would look as if they had been removed."""

    problems: tuple[Problem, ...] = ()
    """Why scopes are withheld; each ends the run with exit code 5."""

    withheld: tuple[ScopeName, ...] = ()
    """Scopes that must be left alone. With any of them, what is not in `scopes` is not therefore gone from git."""


def unlocker_for(
    target: Target,
    sources: Sources,
    *,
    root: Path,
    environ: Mapping[str, str],
    home: Path,
    decryptor: Decryptor = Decryptor.AUTO,
) -> Unlocker:
    """Return what opens the files of ``target``.

    Args:
        target: an embedded one uses the identity that stands beside its files, and no other: a demo must not depend on,
            nor touch, the keys of whoever tries it.
        sources: where that identity is.
        root: the directory of the run, which the paths in ``sources`` are relative to.
        environ: the environment: where identities are, and for the sops program where it and its credentials are.
        home: where the default key file is looked for.
        decryptor: which way to open files.

    Returns:
        Possibly without any identity. What is wrong with a source shows only when no other opens a file.
    """
    keys = keys_for(target, sources, root=root, environ=environ, home=home)
    return Unlocker(keys.identities, decryptor=decryptor, environ=keys.environ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What opens the files of a target, and closes them again."""

    identities: pysops.Identities
    environ: Mapping[str, str] = field(repr=False)
    """Where the sops program finds the same identities, and the credentials of other key sources."""


def keys_for(target: Target, sources: Sources, *, root: Path, environ: Mapping[str, str], home: Path) -> Keys:
    """Return the keys for the files of ``target``; see `unlocker_for`."""
    match target.workspace:
        case EmbeddedSettings(age_key_file=path):
            from reconciler.pysops.binary.key_sources import with_age_file_only

            identities = pysops.Identities.from_text(sources.files[path].decode(errors="replace"), path)
            # By its name, as it is a file that everybody has: so no private key stands in an environment.
            return Keys(identities=identities, environ=with_age_file_only(environ, str((root / path).absolute())))
        case WorkspaceSettings():
            return Keys(identities=pysops.Identities.from_environment(environ, home), environ=environ)
        case _:
            assert_never(target.workspace)


def unlock(selected: SelectedTarget, unlocker: Unlocker) -> Desired:
    """Decrypt what the selection needs, each file once. Never raises for a file that does not unlock.

    Args:
        selected: what is wanted.
        unlocker: see `unlocker_for`.
    """
    target = selected.target
    opened: dict[str, Mapping[str, object]] = {}
    failed: dict[str, Problem] = {}
    files = _files_of(selected.scopes)
    locked = [LockedFile.read(file.document, named_for(file, target)) for file in files]
    for file, values in zip(files, unlocker.unlock_all(locked), strict=True):
        if not isinstance(values, pysops.SopsError):
            opened[file.path] = values
            continue
        fed = [scope.scope for scope in selected.scopes if file in scope.files]
        scope_name = f"{target.name}/{fed[0]}" if len(fed) == 1 else None
        failed[file.path] = problem_of(values, file, scope_name, unlocker.identities.sources)
    scopes: list[DesiredScope] = []
    withheld: list[ScopeName] = []
    problems = list(failed.values())
    for policy in selected.scopes:
        if any(file.path in failed for file in policy.files):
            withheld.append(policy.scope)
            continue
        scope, found = _scope(policy, target, opened)
        problems.extend(found)
        if found:
            withheld.append(policy.scope)
        else:
            scopes.append(scope)
    return Desired(scopes=tuple(scopes), problems=tuple(problems), withheld=tuple(withheld))


def named_for(file: ScopeFile, target: Target) -> frozenset[pysops.Recipient]:
    """Return who may be asked for the key of a file: whom ``.sops.yaml`` names, for embedded targets of age alone."""
    if target.embedded:
        return frozenset(recipient for recipient in file.named if recipient.kind == "age")
    return file.named


def _files_of(scopes: Iterable[ScopePolicy]) -> tuple[ScopeFile, ...]:
    return tuple({file.path: file for scope in scopes for file in scope.files}.values())


def problem_of(error: pysops.SopsError, file: ScopeFile, scope: str | None, tried: tuple[str, ...]) -> Problem:
    """Return the problem that an error of pysops is, of a file that git wants unlocked.

    Args:
        error: what went wrong.
        file: where.
        scope: ``target/scope`` when the file feeds just one.
        tried: names of the sources that identities came from; never the identities.
    """
    return replace(problem_at(file.path, error, tried), scope=scope)


def problem_at(path: str, error: pysops.SopsError, tried: Iterable[str] = ()) -> Problem:
    """Return the problem that an error of pysops is, of any file.

    Args:
        path: of the file.
        error: what went wrong.
        tried: names of the sources that identities came from; never the identities.
    """
    mark, advice = error.mark, error.advice
    if isinstance(error, pysops.NoIdentity) and (names := ", ".join(map(escaped, dict.fromkeys(tried)))):
        advice = "; ".join((f"tried: {names}", *((advice,) if advice else ())))
    return Problem(
        path=path,
        line=None if mark is None else mark.line,
        column=None if mark is None else mark.column,
        what=error.what,
        expected=error.expected,
        advice=advice,
    )


def _scope(
    policy: ScopePolicy, target: Target, opened: Mapping[str, Mapping[str, object]]
) -> tuple[DesiredScope, list[Problem]]:
    """Return a scope with its values, and what is wrong with them."""
    keys: dict[FoldedName, DesiredKey] = {}
    problems: list[Problem] = []
    for file in policy.files:
        for feed in file.feeds:
            if feed.host_key != target.host_key or fold(feed.scope) != fold(policy.scope):
                continue
            found, wrong = values_of(file, feed, opened[file.path], f"{target.name}/{policy.scope}")
            keys.update((fold(key.name), key) for key in found)
            problems.extend(wrong)
    return DesiredScope(scope=policy.scope, keys=keys, acls=policy.acls, prune=policy.prune), problems


def values_of(
    file: ScopeFile, feed: Feed, opened: Mapping[str, object], scope: str | None = None
) -> tuple[tuple[DesiredKey, ...], tuple[Problem, ...]]:
    """Return the keys that a file gives to one scope with their values, in file order, and what is wrong with others.

    Args:
        file: the file.
        feed: the part of it.
        opened: what it holds, unlocked.
        scope: ``target/scope``, for the problems.
    """
    values = _below(opened, feed)
    keys: list[DesiredKey] = []
    problems: list[Problem] = []
    for entry in feed.keys:
        value = _decode(entry, values.get(entry.name))
        if isinstance(value, SecretValue):
            keys.append(DesiredKey(name=entry.name, value=value))
        else:
            problems.append(_bad_value(file, entry, value, scope))
    return tuple(keys), tuple(problems)


def _below(document: Mapping[str, object], feed: Feed) -> Mapping[str, object]:
    node: object = document
    for name in ("secrets", feed.host_key, feed.scope):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Misfit:
    """Why a decrypted value cannot be used. Says nothing of what it is."""

    what: str
    expected: str


_NOT_TEXT: Final = _Misfit(what="a value is not what the file says without a key", expected="text")
_NOT_EMPTY: Final = _Misfit(what="behind 'empty' stands another text than yes", expected='{empty: "yes"}')
_NOT_BASE64: Final = _Misfit(
    what="a value is not base64", expected="standard base64 with padding, in one line, without white space"
)
_TOO_LARGE: Final = _Misfit(
    what="a value is larger than the platform takes", expected=f"at most {MAX_VALUE_BYTES // 1024} KB"
)
_BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def _decode(entry: KeyEntry, value: object) -> SecretValue | _Misfit:
    """Return the bytes that ``value`` stands for in the form that the file gives it."""
    match entry.form:
        case Form.TEXT:
            raw = _raw(value)
        case Form.BASE64:
            text = value.get(Form.BASE64.value) if isinstance(value, Mapping) else None
            if not isinstance(text, str) or not _BASE64.fullmatch(text):
                return _NOT_BASE64
            raw = binascii.a2b_base64(text)
        case Form.EMPTY:
            return SecretValue(b"") if value == {Form.EMPTY.value: EMPTY_TEXT} else _NOT_EMPTY
        case _:
            assert_never(entry.form)
    if raw is None:
        return _NOT_TEXT
    return SecretValue(raw) if len(raw) <= MAX_VALUE_BYTES else _TOO_LARGE


def _raw(value: object) -> bytes | None:
    # pysops hands out bytes where sops encrypted text that is not UTF-8, which `!!binary` in the plaintext makes.
    match value:
        case str():
            return value.encode()
        case bytes():
            return value
        case _:
            return None


def _bad_value(file: ScopeFile, entry: KeyEntry, misfit: _Misfit, scope: str | None) -> Problem:
    return Problem(
        path=file.path,
        line=entry.mark.line,
        column=entry.mark.column,
        what=f"key '{entry.name}': {misfit.what}",
        expected=misfit.expected,
        advice="put it right with sops edit",
        scope=scope,
    )
