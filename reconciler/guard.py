"""What must not happen even though a plan says so: each guard looks at facts and returns a refusal or None.

Pure. A refusal names what it protects, why, and the way to go on that is meant.
"""

import math
from datetime import UTC, datetime, timedelta
from typing import Final, assert_never

from reconciler.errors import Refused, some_of
from reconciler.ledger.records import Head
from reconciler.ledger.trust import Foreign, Hidden, Standing, Trusted, Unwritten
from reconciler.model import Ancestry, ScopeName, fold
from reconciler.plan import DeleteSecret, Plan, PutSecret
from reconciler.survey import ScopeState
from reconciler.workspace import Backend


_COMMIT_CHARS: Final = 12
"""How much of a hash is shown."""

_MANY_KEYS: Final = 10
"""From how many keys on a share of them is looked at: of fewer, deleting one is a large share."""

_MOST_DELETED_PERCENT: Final = 30
"""Largest share of a scope's keys that goes without a word."""


def key_vault(state: ScopeState) -> Refused | None:
    """Refuse a scope whose values live in an Azure Key Vault, as this API only reads them.

    Put and delete answer BAD_REQUEST: https://docs.databricks.com/api/workspace/secrets/putsecret and
    https://learn.microsoft.com/azure/databricks/security/secrets/workspace-secret-scopes.
    """
    if state.backend is Backend.DATABRICKS:
        return None
    return Refused(
        f"scope {state.scope} is backed by {state.backend.value}, which the Secrets API cannot write",
        advice="manage its values in the vault, or give the files another scope name",
    )


def uncommitted(paths: tuple[str, ...]) -> Refused | None:
    """Refuse to apply while ``secrets/`` or ``.sops.yaml`` differ from the commit: what was reviewed is the commit.

    Args:
        paths: What git status names, relative to the directory of the run.
    """
    if not paths:
        return None
    return Refused(
        f"uncommitted or untracked changes: {some_of(paths)}",
        advice="commit them, or pass --allow-dirty to apply the files as they are in the work tree",
    )


def older_commit(ancestry: Ancestry | None, *, commit: str, head: Head, allowed: bool) -> Refused | None:
    """Refuse a commit that does not build on the one that was applied last: what came since would be undone.

    A pipeline that is run again after a rotation, or after a revert, would bring the old values back.

    Args:
        ancestry: How they stand to each other; None where git was not asked.
        commit: Full hash of the commit that the run is about.
        head: Says which commit was applied last, when and by whom; refuses nothing before the first.
        allowed: ``--allow-rollback``.
    """
    if allowed or ancestry is None or head.commit is None:
        return None
    ours, theirs = f"commit {commit[:_COMMIT_CHARS]}", _applied(head, head.commit)
    match ancestry:
        case Ancestry.SAME | Ancestry.DESCENDANT:
            return None
        case Ancestry.OLDER:
            return Refused(
                f"{ours} is older than {theirs}: it would undo what came since",
                advice="run the newest commit; to go back on purpose revert in git, as a revert is a new commit, "
                "or pass --allow-rollback",
            )
        case Ancestry.DIVERGED:
            return Refused(
                f"{ours} does not build on {theirs}: it would undo what only the latter has",
                advice="merge or rebase, and run that; after a squash or a rewritten history compare the two, "
                "and pass --allow-rollback once",
            )
        case Ancestry.UNKNOWN_SHALLOW:
            return Refused(
                f"this clone is shallow and does not show whether {ours} builds on {theirs}",
                advice="fetch the whole history: git fetch --unshallow, or fetch-depth: 0 of actions/checkout, or "
                "GIT_DEPTH: 0 of GitLab; pass --allow-rollback only if you know the answer",
            )
        case Ancestry.UNKNOWN_GONE:
            return Refused(
                f"this repository does not have {theirs}; nobody can tell whether {ours} builds on it",
                advice="fetch it, or push it from where it was applied; if it is gone for good, look at the plan "
                "and pass --allow-rollback once",
            )
        case _:
            assert_never(ancestry)


def _applied(head: Head, commit: str) -> str:
    at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=head.at_ms)
    return f"{commit[:_COMMIT_CHARS]}, applied last by {head.identity} at {at:%Y-%m-%d %H:%M} UTC"


def deletions(scope: ScopeName, plan: Plan, *, owned: int) -> Refused | None:
    """Refuse to delete much of a scope: a file was emptied, lost in a merge, or renamed more often than it is meant.

    Refused are more than 30 % of its keys when it has 10 or more, and all of them while nothing is put. Not asked when
    ``--allow-deletes`` is given, which is `too_many_deletes`'s.

    Args:
        scope: Which.
        plan: May have changes of other scopes, too.
        owned: How many keys are there that its files may have deleted: ours, or all of them under ``prune: all``;
            wanted or not.
    """
    ours = [change for change in plan.changes if fold(change.scope) == fold(scope)]
    deleted = sum(isinstance(change, DeleteSecret) for change in ours)
    if not deleted:
        return None
    if deleted >= owned and not any(isinstance(change, PutSecret) for change in ours):
        keys = "its only key" if deleted == 1 else f"all {deleted} keys"
        what = f"scope {scope} would lose {keys} and get none"
    elif owned >= _MANY_KEYS and deleted * 100 > owned * _MOST_DELETED_PERCENT:
        percent = math.ceil(1000 * deleted / owned) / 10  # upwards, as 30.02 of at most 30 is not 30.0
        share = f"{percent:g} %, and more than {_MOST_DELETED_PERCENT} % may be a mistake"
        what = f"scope {scope} would lose {deleted} of {owned} keys ({share})"
    else:
        return None
    return Refused(
        f"{what}: nothing was changed in it",
        advice=f"see what git no longer names there; if that is meant, pass --allow-deletes {deleted}, "
        "or more where other scopes lose keys, too: it counts those of the whole run",
    )


def too_many_deletes(total: int, allowed: int) -> Refused | None:
    """Refuse to delete any key when a run would delete more than ``--allow-deletes`` says.

    Args:
        total: Keys that the run would delete, in all scopes of all targets.
        allowed: Of the command line.
    """
    if total <= allowed:
        return None
    return Refused(
        f"the run would delete {_keys(total)} and --allow-deletes allows {allowed}: no key is deleted",
        advice=f"look at the plan; if all of them may go, pass --allow-deletes {total}",
    )


def _keys(count: int) -> str:
    return "1 key" if count == 1 else f"{count} keys"


def not_approved(digest: str, expected: str | None) -> Refused | None:
    """Refuse a plan that is not the one which somebody looked at.

    Args:
        digest: Of the plan, see `reconciler.plan.digest_of`.
        expected: ``--expect-plan``; None approves of any.
    """
    if expected is None or digest == expected:
        return None
    return Refused(
        f"the plan is not the approved one: its digest is {digest}, approved was {expected}",
        advice="git or the workspace changed since: plan again with the same selectors and flags, look at it, and pass "
        "its digest",
    )


def ledger(standing: Standing, *, applying: bool) -> Refused | None:
    """Refuse to rely on a ledger that somebody else may have written.

    Args:
        standing: Of the ledger.
        applying: Whether something is about to be written: a plan can go on without a ledger.
    """
    match standing:
        case Unwritten() | Trusted():
            return None
        case Hidden(refusal=refusal):
            return refusal if applying else None
        case Foreign(refusal=refusal):
            return refusal
        case _:
            assert_never(standing)
