"""Short ways to say what git wants and what a workspace holds, and the whole path between them without any file."""

from collections.abc import Mapping, Sequence

from reconciler.apply import Manner, Patience, apply
from reconciler.desired import DesiredKey, DesiredScope
from reconciler.diff import Keep, diff, merge
from reconciler.model import Acl, KeyName, Permission, Principal, Prune, ScopeName, SecretValue, fold
from reconciler.plan import ChangeResult, Plan
from reconciler.survey import UnknownScope, Want, take
from reconciler.workers import Workers
from reconciler.workspace import Workspace


IMPATIENT = Patience(limit_s=5.0, first_pause_s=0.001, longest_pause_s=0.001)
"""Waits for ACLs nearly without waiting."""


def wish(
    scope: str,
    secrets: Mapping[str, bytes] | None = None,
    *,
    acls: Mapping[str, Permission] | None = None,
    prune: Prune = Prune.OWNED,
) -> DesiredScope:
    """Return what git would want of a scope."""
    return DesiredScope(
        scope=ScopeName(scope),
        keys={
            fold(key): DesiredKey(name=KeyName(key), value=SecretValue(value)) for key, value in (secrets or {}).items()
        },
        acls=None
        if acls is None
        else tuple(Acl(principal=Principal(who), permission=what) for who, what in acls.items()),
        prune=prune,
    )


def want(wish: DesiredScope) -> Want:
    """Return what a survey has to know of a wish."""
    return Want(keys=frozenset(wish.keys), acls=wish.acls, prune=wish.prune)


def plan_for(
    workspace: Workspace,
    wishes: Sequence[DesiredScope],
    *,
    operators: Sequence[str] = (),
    protected: Sequence[str] = (),
) -> Plan:
    """Survey the workspace and return what must change."""
    with Workers(4) as workers:
        survey = take(workspace, workers, {one.scope: want(one) for one in wishes})
    keep = Keep(
        identity=survey.identity.name,
        groups=survey.identity.groups,
        operators=tuple(map(Principal, operators)),
        protected=tuple(map(Principal, protected)),
    )

    def plans() -> Sequence[Plan]:
        found = []
        for one in wishes:
            state = survey.scopes[fold(one.scope)]
            assert not isinstance(state, UnknownScope), state.error
            found.append(diff(one, state, keep))
        return found

    return merge(plans())


def carry_out(plan: Plan, wishes: Sequence[DesiredScope], workspace: Workspace) -> tuple[ChangeResult, ...]:
    """Apply a plan, without patience."""
    with Workers(4) as workers:
        return apply(plan, wishes, workspace, workers, Manner(identity=workspace.whoami().name, patience=IMPATIENT))
