"""One target: whether it answers, as whom, with which permissions, and how its ledger, its clock and its limits stand.

Asks what `status` asks, and writes nothing.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, assert_never

from reconciler import guard
from reconciler.connections import connected, ledger_spot, local_problem, shown_host
from reconciler.doctor.probing import Section
from reconciler.errors import InvalidInput, some_of
from reconciler.ledger.records import Garbled, Head, Missing
from reconciler.ledger.trust import Foreign, Hidden, Trusted, Unwritten
from reconciler.model import MAX_KEYS_PER_SCOPE, MAX_SCOPES_PER_WORKSPACE, fold
from reconciler.policy import ScopePolicy
from reconciler.report.checkup import Check
from reconciler.report.wording import COMMIT_CHARS, count, minute
from reconciler.settings import Chosen, Observer, Settings
from reconciler.survey import MissingScope, ScopeState, ScopeSurvey, Survey, UnknownScope, Want, introduce, take
from reconciler.workers import Workers
from reconciler.workspace import Backend, ScopeInfo, Workspace


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_NEARLY: Final = 0.9
"""How much of a limit may be used up before it is worth a word."""

_MOST_OFFSET_S: Final = 60.0
"""How far a clock may be off. Tokens live for an hour, those of a pipeline for five minutes and more; the times in the
ledger are those of our clock."""


def target_checks(chosen: Chosen, settings: Settings, observer: Observer) -> Iterator[Check]:
    """Yield how one target is found."""
    target = chosen.selected.target
    section = Section(f"target {target.name}")
    if (problem := local_problem(target, settings)) is not None:
        yield section.error("profile", InvalidInput((problem,)))
        return
    yield from section.probe("login", lambda: _online(section, chosen, settings, observer))


def _online(section: Section, chosen: Chosen, settings: Settings, observer: Observer) -> Iterator[Check]:
    begun = time.monotonic()
    target = chosen.selected.target
    with connected(target, settings, observer.detail) as workspace, Workers(settings.concurrency) as workers:
        identity, scopes = introduce(workspace, workers)
        seconds = time.monotonic() - begun
        yield section.ok("login", f"{shown_host(target)} answers to {identity.name}, after {seconds:.1f} s")
        yield from section.probe("clock", lambda: _clock(section, workspace))
        yield from section.probe("limits", lambda: _workspace_limits(section, scopes))
        yield from section.probe("ledger", lambda: _surveyed(section, chosen, workspace, workers))


def _surveyed(section: Section, chosen: Chosen, workspace: Workspace, workers: Workers) -> Iterator[Check]:
    spot = ledger_spot(chosen)
    wants = {policy.scope: Want(keys=frozenset(), acls=policy.acls) for policy in chosen.selected.scopes}
    survey = take(workspace, workers, wants, spot)
    circle = spot.circle(survey.identity.name)
    if not circle.is_operator:
        text = f"{survey.identity.name} is none of its operators: it may look, and apply is refused"
        advice = f"apply as one of {some_of(spot.operators)}, or add it to operators in targets.yaml"
        yield section.warn("operator", text, advice)
    yield from section.probe("ledger", lambda: _ledger(section, survey))
    for policy in chosen.selected.scopes:
        yield from section.probe("scope", partial(scope_checks, section, policy, survey.scopes[fold(policy.scope)]))


def _ledger(section: Section, survey: Survey) -> Iterator[Check]:
    match survey.standing:
        case Unwritten():
            yield section.ok("ledger", "there is none yet: the first apply makes it")
        case Hidden(refusal=refusal):
            yield section.warn("ledger", f"it does not count: {refusal}", refusal.advice)
        case Foreign(refusal=refusal):
            yield section.fail("ledger", f"it does not count: {refusal}", refusal.advice, code=refusal.exit_code)
        case Trusted(missing=missing):
            if missing:
                names = some_of([acl.principal for acl in missing])
                yield section.warn("ledger", f"grants are missing for {names}", "the next apply adds them")
            yield _head(section, survey)
        case _:
            assert_never(survey.standing)


def _head(section: Section, survey: Survey) -> Check:
    match survey.head:
        case Head(at_ms=at_ms, commit=commit, identity=identity):
            at = minute(_EPOCH + timedelta(milliseconds=at_ms))
            what = "the work tree" if commit is None else f"commit {commit[:COMMIT_CHARS]}"
            return section.ok("ledger", f"last apply of {what}, begun {at}, as {identity}")
        case Missing():
            return section.ok("ledger", "it counts, and this owner has not applied anything")
        case Garbled(why=why):
            return section.warn("ledger", f"its head cannot be used: {why}", "the next apply writes a new one")
        case _:
            assert_never(survey.head)


def scope_checks(section: Section, policy: ScopePolicy, state: ScopeSurvey) -> Iterator[Check]:
    """Yield what the identity may do in a scope that git names, and how full it is."""
    name = policy.scope
    match state:
        case UnknownScope(error=error):
            yield section.error("scope", error, subject=name)
        case MissingScope():
            yield section.ok("scope", "it does not exist yet: apply creates it", subject=name)
        case ScopeState():
            if (refusal := guard.key_vault(state)) is not None:
                yield section.warn("scope", str(refusal), refusal.advice, subject=name)
            elif state.acls is None:
                text = f"READ, perhaps WRITE: its grants may not be seen; {count(len(state.listed), 'key')}"
                advice = "for grants, and for apply by an operator, ask its owner for MANAGE"
                yield section.warn("scope", text, advice, subject=name)
            else:
                yield section.ok("scope", f"MANAGE; {count(len(state.listed), 'key')}", subject=name)
            keys = len(state.listed.keys() | {fold(key) for key in policy.keys})
            if keys >= MAX_KEYS_PER_SCOPE * _NEARLY:
                text = f"{keys} keys there and in git, of {MAX_KEYS_PER_SCOPE} that a scope holds"
                yield section.warn("limits", text, "begin another scope, or delete what nobody uses", subject=name)
        case _:
            assert_never(state)


def _workspace_limits(section: Section, scopes: tuple[ScopeInfo, ...]) -> Iterator[Check]:
    vaults = [info.name for info in scopes if info.backend is Backend.AZURE_KEYVAULT]
    also = f"; read-only here, as a Key Vault has them: {some_of(vaults)}" if vaults else ""
    text = f"{count(len(scopes), 'scope')} of {MAX_SCOPES_PER_WORKSPACE}{also}"
    if len(scopes) >= MAX_SCOPES_PER_WORKSPACE * _NEARLY:
        yield section.warn("limits", text, "delete scopes that nobody uses, or ask Databricks support to raise it")
    else:
        yield section.ok("limits", text)


def _clock(section: Section, workspace: Workspace) -> Iterator[Check]:
    offset_s = workspace.clock_offset_s()
    if offset_s is None:
        yield section.ok("clock", "the workspace does not say what time it is")
    elif abs(offset_s) <= _MOST_OFFSET_S:
        yield section.ok("clock", "ours and that of the workspace agree within a minute")
    else:
        text = f"ours is {abs(offset_s):.0f} s {'behind' if offset_s > 0 else 'ahead of'} that of the workspace"
        advice = "set the clock of this machine, by NTP: logins fail by it, and ages of values are wrong"
        yield section.warn("clock", text, advice)
