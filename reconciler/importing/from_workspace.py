"""Reading scopes from a workspace, with every value and grant. Nothing is written there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from reconciler.connections import Connecting, connected, masking
from reconciler.errors import NotFound, UsageError, some_of
from reconciler.importing.found import (
    Asked,
    Flaw,
    Found,
    FoundScope,
    Passed,
    Standing,
    grants_of,
    unfit_key,
    unfit_scope,
    unfit_value,
)
from reconciler.model import LEDGER_SCOPE, FoldedName, KeyName, SecretValue, fold, is_key_name
from reconciler.policy import Target
from reconciler.settings import Observer, Settings
from reconciler.survey import (
    Known,
    MissingScope,
    ScopeState,
    ScopeSurvey,
    UnknownScope,
    Unreadable,
    introduce,
    look_into,
)
from reconciler.survey.facts import Absent, Evidence, Fingerprint
from reconciler.workers import Workers
from reconciler.workspace import Backend, ScopeInfo


Spared = Mapping[FoldedName, str]
"""Scopes that need not be read -> why."""


def look(
    target: Target,
    asked: Asked,
    spared: Spared,
    settings: Settings,
    observer: Observer,
    *,
    connecting: Connecting = connected,
) -> tuple[Found, ...]:
    """Return what a workspace holds, sorted by scope.

    Args:
        target: The workspace.
        asked: Which of its scopes.
        spared: Which of them are passed over, unread.
        settings: The surroundings.
        observer: Whom to tell how it goes.
        connecting: Opens the workspace.

    Raises:
        UsageError: A scope that was asked for by name does not exist.
        WorkspaceError: The workspace cannot be reached, or does not accept the credential.
        InvalidInput: The profile that targets.yaml names is for another host.
    """
    detail = masking(observer.detail, tuple)
    with connecting(target, settings, detail) as workspace, Workers(settings.concurrency) as workers:
        identity, infos = introduce(workspace, workers)
        there = {fold(info.name): info for info in infos}
        if missing := sorted((asked.names or frozenset()) - there.keys()):
            raise UsageError(
                f"{target.name} has no scope {some_of(missing)}",
                advice=f"reconciler list {target.name} shows what it has",
            )
        named = [info for _, info in sorted(there.items()) if asked.takes(info.name)]
        passed = {fold(info.name): why for info in named if (why := _passed(info, target, asked, spared)) is not None}
        wanted = [info for info in named if fold(info.name) not in passed]
        lists = look_into(workspace, workers, dict.fromkeys(wanted, frozenset()), with_acls=True)
        keys = {info: _readable(lists[fold(info.name)]) for info in wanted}
        with observer.progress(f"{target.name}: reading values", sum(map(len, keys.values()))) as step:
            values = look_into(workspace, workers, keys, with_acls=False, on_read=step)
    seen = {
        fold(info.name): _found(
            info, lists[fold(info.name)], values[fold(info.name)], _Who(target=target, name=identity.name)
        )
        for info in wanted
    }
    return tuple(passed.get(fold(info.name)) or seen[fold(info.name)] for info in named)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Who:
    """Who looks, and where."""

    target: Target
    name: str


def _passed(info: ScopeInfo, target: Target, asked: Asked, spared: Spared) -> Passed | None:
    if info.backend is Backend.AZURE_KEYVAULT:
        return asked.passed(info.name, "its values are in an Azure Key Vault, which is written to elsewhere")
    why = unfit_scope(info.name, (LEDGER_SCOPE, target.ledger_scope)) or spared.get(fold(info.name))
    return None if why is None else asked.passed(info.name, why)


def _readable(state: ScopeSurvey) -> frozenset[FoldedName]:
    """Return the keys that are worth reading: those whose names fit into a file."""
    if not isinstance(state, ScopeState):
        return frozenset()
    return frozenset(name for name, secret in state.listed.items() if is_key_name(secret.key))


def _found(info: ScopeInfo, lists: ScopeSurvey, values: ScopeSurvey, who: _Who) -> Found:
    """Return a scope from two looks at it: one at its keys and grants, one at its values."""
    for state in (lists, values):
        match state:
            case ScopeState():
                pass
            case UnknownScope(error=error):
                gone = isinstance(error, NotFound)
                why = "it was deleted meanwhile" if gone else error.with_advice()
                return Passed(scope=info.name, standing=Standing.FAILED, why=why)
            case MissingScope():
                return Passed(scope=info.name, standing=Standing.FAILED, why="it was deleted meanwhile")
            case _:
                assert_never(state)
    if not isinstance(lists, ScopeState) or not isinstance(values, ScopeState):
        raise TypeError("a scope that was surveyed is a ScopeState")
    taken, flaws = _values(values)
    pairs = None if lists.acls is None else [(acl.principal, acl.permission.name) for acl in lists.acls]
    acls, unfit = grants_of(pairs or ())
    return FoundScope(
        scope=info.name,
        keys=taken,
        acls=None if pairs is None else acls,
        flaws=(*flaws, *unfit),
        notes=_notes(lists, who),
    )


def _values(state: ScopeState) -> tuple[Mapping[KeyName, SecretValue], tuple[Flaw, ...]]:
    taken: dict[KeyName, SecretValue] = {}
    flaws: list[Flaw] = []
    for name, secret in sorted(state.listed.items()):
        unfit = unfit_key(secret.key)
        evidence: Evidence | None = state.evidence.get(name)
        if unfit is not None:
            flaws.append(unfit)
            continue
        match evidence:
            case Known(value=value):
                large = unfit_value(secret.key, value)
                if large is None:
                    taken[secret.key] = value
                else:
                    flaws.append(large)
            case Unreadable(why=why):
                flaws.append(Flaw(key=secret.key, why=f"its value cannot be read: {why}"))
            case Absent():
                pass  # deleted since it was listed: it is not there
            case Fingerprint() | None:
                flaws.append(Flaw(key=secret.key, why="it was put while the scope was read; run the command again"))
            case _:
                assert_never(evidence)
    return taken, tuple(flaws)


def _notes(lists: ScopeState, who: _Who) -> tuple[str, ...]:
    if lists.acls is None:
        what = f"{who.name} may not read its grants (that needs MANAGE)"
        return (f"{what}: the file has no acls, grants are left alone, and the first apply needs --adopt",)
    managing = {fold(acl.principal) for acl in lists.acls if acl.permission.name == "MANAGE"}
    lacking = sorted(name for name in who.target.operators if fold(name) not in managing)
    if not lacking:
        return ()
    return (f"apply will grant MANAGE to operators of the target who lack it: {some_of(lacking)}",)
