"""The only orchestrator: from the files in git to a report, target by target.

In: `Settings` (the command line and the environment as plain data). Out: a `RunReport`; for the commands that only
look, what they print. Joins the rooms::

    choose (files, no key) -> [connect | unlock] -> survey -> diff, guard -> ask -> apply -> survey again -> report

No credential is loaded and no request leaves before every keyless check of the selection has passed. A target that
fails does not stop the others, nor does a scope.
"""

import contextlib
import enum
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import assert_never

from reconciler import __version__, guard
from reconciler.choose import Files, choose
from reconciler.connections import Connecting, connected, shown_host, state_file
from reconciler.errors import (
    EXIT_INTERRUPTED,
    InputError,
    InvalidInput,
    PermissionDenied,
    ReconcilerError,
    Refused,
    UsageError,
    WorkspaceError,
    exit_code_of,
)
from reconciler.halting import halting
from reconciler.model import FoldedName, KeyName, ScopeName, SecretValue, fold
from reconciler.plan import Plan, digest_of
from reconciler.policy import Target
from reconciler.policy.sources import RULES_FILE
from reconciler.report.record import (
    UNKNOWN_HOST,
    ListedKey,
    ListedScope,
    RunReport,
    Status,
    TargetListing,
    TargetReport,
    TargetRow,
)
from reconciler.session import Session
from reconciler.settings import Chosen, Observer, Settings
from reconciler.survey import MissingScope, ScopeState, ScopeSurvey, UnknownScope, introduce, look_into
from reconciler.workers import Workers
from reconciler.workspace import RequestCount, ScopeInfo


Outcomes = list[tuple[TargetReport, frozenset[int]]]
"""Of each target, with the exit codes that it earned."""


class Approval(enum.Enum):
    """What became of the question whether to go on."""

    GIVEN = "given"
    """Somebody has seen the plan and agreed to it: no other change may be made."""

    ASSUMED = "assumed"
    """Nobody was asked."""

    DECLINED = "declined"


def plan_run(settings: Settings, observer: Observer, *, connecting: Connecting = connected) -> RunReport:
    """Say what `apply_run` would do. Sends no write request.

    Raises:
        UsageError: An unknown target or scope.
        InvalidInput: The selection breaks a rule that shows without a key; nothing was contacted.
        Refused: git does not work here.
    """
    started = _now()
    with contextlib.ExitStack() as stack:
        sessions: list[Session] = []
        for chosen in _chosen(settings, observer):
            if chosen.dirty:
                observer.say(
                    f"{chosen.name}: planning the commit; the work tree has changes: {', '.join(chosen.dirty)}"
                )
            session = Session(chosen, settings, observer, now_ms=_ms(started), connecting=connecting)
            sessions.append(stack.enter_context(session))
            session.survey()
        _limit_deletes(settings, sessions)
        return _report(settings, started, [session.outcome() for session in sessions])


def apply_run(
    settings: Settings,
    observer: Observer,
    confirm: Callable[[RunReport], Approval],
    *,
    connecting: Connecting = connected,
) -> RunReport:
    """Make the workspaces hold what git says.

    While changes are made, the first SIGINT, SIGTERM or SIGHUP lets what is in flight end, has it written down, and
    ends the run with exit code 130; the second one ends it at once, as the first one does at any other time.

    Args:
        settings: What to do.
        observer: Whom to tell how it goes.
        confirm: Asked once, with the plan, when there are changes to a workspace that is not embedded.
        connecting: Opens workspaces.

    Raises:
        UsageError: An unknown target or scope.
        InvalidInput: The selection breaks a rule that shows without a key; nothing was contacted.
        Refused: git does not work here.
    """
    started = _now()
    with contextlib.ExitStack() as stack:
        sessions: list[Session] = []
        for chosen in _chosen(settings, observer):
            session = Session(chosen, settings, observer, now_ms=_ms(started), applying=True, connecting=connecting)
            sessions.append(stack.enter_context(session))
            if (refusal := guard.uncommitted(chosen.dirty)) is not None:
                session.fail(refusal)
            else:
                session.survey()
        _limit_deletes(settings, sessions)
        planned = _report(settings, started, [session.outcome() for session in sessions])
        if settings.expect_plan is not None:
            refusal = guard.not_approved(planned.digest, settings.expect_plan)
            if refusal is not None:
                for session in sessions:
                    session.refuse(refusal)
        approval = Approval.ASSUMED
        if any(session.will_change and not session.target.embedded for session in sessions):
            approval = confirm(planned)
            if approval is Approval.DECLINED:
                return _report(settings, started, [session.outcome() for session in sessions], extra=EXIT_INTERRUPTED)
        bound = approval is Approval.GIVEN or settings.expect_plan is not None
        with halting(observer.say) as halt:
            for session in sessions:
                session.apply(halt, frozenset(session.plan.changes) if bound else None)
        return _report(settings, started, [session.outcome() for session in sessions])


def _limit_deletes(settings: Settings, sessions: Sequence[Session]) -> None:
    """Have no key deleted where the run would delete more than it may."""
    if settings.allow_deletes is None:
        return
    total = sum(session.deletes for session in sessions)
    if (refusal := guard.too_many_deletes(total, settings.allow_deletes)) is not None:
        for session in sessions:
            session.keep_keys(refusal)


def _chosen(settings: Settings, observer: Observer) -> tuple[Chosen, ...]:
    """Return what the run is about; say of which targets nobody checks who can open the files."""
    chosen = choose(settings)
    unruled = [
        one.name
        for one in chosen
        if one.selected.scopes and one.sources.rules is None and not one.selected.target.embedded
    ]
    if unruled:
        observer.say(f"{', '.join(unruled)}: there is no {RULES_FILE}, so nobody checks who can open the files")
    return chosen


def failed_report(settings: Settings, error: ReconcilerError) -> RunReport:
    """Return the report of a run that ended with ``error`` before it had one.

    Then no workspace was contacted, unless a signal ended it at once: such a run may have done more than is counted.
    """
    now = _now()
    names = dict.fromkeys(selector.partition("/")[0] for selector in settings.wanted()) or {"--all": None}
    errors = tuple(map(str, error.problems)) if isinstance(error, InputError) else (error.with_advice(),)
    status = Status.REFUSED if isinstance(error, Refused) else Status.FAILED
    return RunReport(
        tool_version=__version__,
        started=now,
        finished=now,
        run_url=settings.run_url,
        digest=digest_of({}),
        targets=tuple(
            TargetReport(
                target=name,
                host=UNKNOWN_HOST,
                identity=None,
                commit=None,
                status=status,
                plan=Plan(),
                results=(),
                requests=RequestCount(read=0, write=0),
                errors=errors,
            )
            for name in names
        ),
        exit_code=error.exit_code,
    )


def targets(settings: Settings) -> tuple[TargetRow, ...]:
    """Return the targets of the work tree and what feeds them. Asks no workspace.

    Raises:
        InvalidInput: targets.yaml breaks a rule.
    """
    tree = Files(settings).tree
    if tree.targets.problems:
        raise InvalidInput(tree.targets.problems)
    rows: list[TargetRow] = []
    for target in tree.targets.targets:
        scopes = tree.scopes_of(target)
        rows.append(
            TargetRow(
                target=target.name,
                host=shown_host(target),
                embedded=target.embedded,
                files=len({file.path for scope in scopes for file in scope.files}),
                scopes=tuple(scope.scope for scope in scopes),
            )
        )
    return tuple(rows)


def listing(settings: Settings, observer: Observer) -> tuple[TargetListing, ...]:
    """Return what the selected workspaces hold: scopes, grants, keys and times, no values.

    A workspace that cannot be listed at all has an error instead, and does not stop the others.

    Raises:
        UsageError: An unknown target, or a scope that the workspace does not have.
        InvalidInput: targets.yaml breaks a rule, or the profile that it names is for another host.
    """
    if settings.everything and settings.selectors:
        raise UsageError("say which targets are meant", advice="name some, or give --all, not both")
    files = Files(settings)
    wanted = files.everything() if settings.everything else settings.wanted()
    by_target: dict[str, list[str]] = {}
    for selector in wanted:
        name, _, scope = selector.partition("/")
        by_target.setdefault(name, []).append(scope)
    # All names are looked up before the first request: a typing error must not show half a listing.
    chosen = [(files.target(name), frozenset(map(fold, scopes))) for name, scopes in by_target.items()]
    return tuple(_listed_or_not(target, scopes, settings, observer) for target, scopes in chosen)


def _listed_or_not(
    target: Target, scopes: frozenset[FoldedName], settings: Settings, observer: Observer
) -> TargetListing:
    try:
        return _list(target, scopes, settings, observer)
    except WorkspaceError as error:
        host = shown_host(target)
        return TargetListing(target=target.name, host=host, identity=None, scopes=(), error=error.with_advice())


def _list(target: Target, scopes: frozenset[FoldedName], settings: Settings, observer: Observer) -> TargetListing:
    """List one workspace; an empty name among ``scopes`` means all of them."""
    with connected(target, settings, observer.detail) as workspace, Workers(settings.concurrency) as workers:
        identity, infos = introduce(workspace, workers)
        there = {fold(info.name): info for info in infos}
        if missing := sorted(scopes - there.keys() - {""}):
            raise UsageError(
                f"{target.name} has no scope {', '.join(missing)}", advice=f"reconciler list {target.name}"
            )
        named = [info for name, info in sorted(there.items()) if "" in scopes or name in scopes]
        states = look_into(workspace, workers, dict.fromkeys(named, frozenset()), with_acls=True)
    return TargetListing(
        target=target.name,
        host=shown_host(target),
        identity=identity.name,
        scopes=tuple(
            _listed(info, states[fold(info.name)], is_ledger=_is_besides(info, target, scopes)) for info in named
        ),
    )


def _is_besides(info: ScopeInfo, target: Target, scopes: frozenset[FoldedName]) -> bool:
    """Tell whether a scope is the ledger's, listed because all are."""
    return fold(info.name) == fold(target.ledger_scope) and fold(info.name) not in scopes


def _listed(info: ScopeInfo, state: ScopeSurvey, *, is_ledger: bool) -> ListedScope:
    match state:
        case ScopeState():
            keys = tuple(
                ListedKey(key=secret.key, updated_ms=secret.updated_ms) for _, secret in sorted(state.listed.items())
            )
            acls = None if state.acls is None else tuple(sorted(state.acls, key=lambda acl: fold(acl.principal)))
            return ListedScope(scope=info.name, backend=info.backend, keys=keys, acls=acls)
        case UnknownScope(error=error):
            return ListedScope(
                scope=info.name,
                backend=info.backend,
                keys=(),
                acls=None,
                error=error.with_advice(),
                is_hidden_ledger=is_ledger and isinstance(error, PermissionDenied),
            )
        case MissingScope():
            return ListedScope(scope=info.name, backend=info.backend, keys=(), acls=None, error="it is gone")
        case _:
            assert_never(state)


def get(settings: Settings, observer: Observer, *, selector: str, key: str) -> SecretValue:
    """Return a value as the workspace holds it.

    Args:
        settings: Surroundings; its selectors do not matter.
        observer: Whom to tell how it goes.
        selector: ``TARGET/SCOPE``.
        key: Name of the secret.

    Raises:
        UsageError: The selector names no scope, or an unknown target.
        WorkspaceError: The value cannot be read.
    """
    name, _, scope = selector.partition("/")
    if not scope:
        raise UsageError(f"{selector!r} does not name a scope", advice="say TARGET/SCOPE, such as demo/secrets")
    with connected(Files(settings).target(name), settings, observer.detail) as workspace:
        return workspace.get_secret(ScopeName(scope), KeyName(key))


def serve(settings: Settings, *, port: int, ready: Callable[[str, str, str], None]) -> None:
    """Serve the embedded workspace of the one selected target until SIGINT or SIGTERM.

    Args:
        settings: Where its state is, and tokens in the environment.
        port: On 127.0.0.1; 0 takes a free one.
        ready: Called with URL, admin's token and user's token once requests are answered.

    Raises:
        UsageError: The target is unknown or not embedded, the port is taken, or a token does not fit in a header.
    """
    # Loaded only here: a server costs 0.1 s of start-up.
    from reconciler.emulator import Emulator, serve_forever

    (name,) = settings.wanted()
    target = Files(settings).target(name)
    if not target.embedded:
        raise UsageError(f"{name} is a real workspace", advice="name a target that is embedded")
    try:
        server = Emulator(
            state_file(settings, target),
            port=port,
            admin_token=settings.environ.get("RECONCILER_EMULATOR_ADMIN_TOKEN"),
            user_token=settings.environ.get("RECONCILER_EMULATOR_USER_TOKEN"),
        )
    except ValueError as error:
        raise UsageError(f"RECONCILER_EMULATOR_ADMIN_TOKEN or …_USER_TOKEN: {error}") from None
    serve_forever(server, ready=lambda running: ready(running.url, running.admin_token, running.user_token))


def _now() -> datetime:
    return datetime.now(UTC)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _report(settings: Settings, started: datetime, outcomes: Outcomes, *, extra: int = 0) -> RunReport:
    codes = frozenset({extra}.union(*(codes for _, codes in outcomes)))
    return RunReport(
        tool_version=__version__,
        started=started,
        finished=_now(),
        run_url=settings.run_url,
        digest=digest_of({(report.target, report.host): report.plan for report, _ in outcomes}),
        targets=tuple(report for report, _ in outcomes),
        exit_code=exit_code_of(codes),
    )
