"""A plan puts itself in order, counts, and has a digest; results say what they must."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import KeyName, Permission, Principal, ScopeName, fold
from reconciler.plan import (
    ACTIONS,
    Action,
    Change,
    ChangeResult,
    CreateScope,
    DeleteAcl,
    DeleteReason,
    DeleteScope,
    DeleteSecret,
    Finding,
    FindingKind,
    Outcome,
    Phase,
    Plan,
    PutAcl,
    PutReason,
    PutSecret,
    action_of,
    digest_of,
    phase_of,
    subject_of,
)


READ, WRITE, MANAGE = Permission.READ, Permission.WRITE, Permission.MANAGE
APP, EDGE = ScopeName("app"), ScopeName("edge")
USERS = Principal("users")
CHANGE = CreateScope(scope=APP)
HOST = "https://adb-1.2.azuredatabricks.net"

EVERY_CHANGE: tuple[Change, ...] = (
    CreateScope(scope=EDGE),
    DeleteAcl(scope=APP, principal=Principal("former"), permission=WRITE),
    PutAcl(scope=APP, principal=USERS, permission=READ, before=MANAGE),
    DeleteSecret(scope=APP, key=KeyName("room"), reason=DeleteReason.REMOVED, makes_room=True),
    PutSecret(scope=APP, key=KeyName("a"), reason=PutReason.NEW, creates=True),
    PutSecret(scope=APP, key=KeyName("B"), reason=PutReason.DRIFTED),
    PutAcl(scope=APP, principal=USERS, permission=WRITE, before=READ),
    PutAcl(scope=EDGE, principal=USERS, permission=READ),
    DeleteSecret(scope=APP, key=KeyName("old"), reason=DeleteReason.UNMANAGED),
    DeleteScope(scope=ScopeName("attic")),
)
"""One of each kind and step, in the order in which they have to happen."""


def _digest(*changes: Change, target: str = "prod", host: str = HOST) -> str:
    return digest_of({(target, host): Plan(changes=changes)})


def test_a_plan_puts_its_changes_in_the_order_in_which_they_must_happen() -> None:
    """Grants go before values are written and come after; deletions come last, except where they make room."""
    plan = Plan(changes=tuple(reversed(EVERY_CHANGE)))

    assert plan.changes == EVERY_CHANGE
    assert [phase_of(change) for change in plan.changes] == sorted(phase_of(change) for change in EVERY_CHANGE)
    assert plan.in_phase(Phase.GRANT) == EVERY_CHANGE[6:8]
    assert sum(len(plan.in_phase(phase)) for phase in Phase) == len(EVERY_CHANGE)


@given(order=st.randoms(use_true_random=False))
def test_the_order_in_which_changes_and_findings_are_given_does_not_matter(order: Random) -> None:
    """The same work makes the same plan, with the same digest."""
    findings = tuple(Finding(kind=kind, scope=scope) for kind in FindingKind for scope in (EDGE, APP))
    changes, found = list(EVERY_CHANGE), list(findings)
    order.shuffle(changes)
    order.shuffle(found)

    plan, shuffled = Plan(changes=EVERY_CHANGE, findings=findings), Plan(changes=tuple(changes), findings=tuple(found))

    assert plan == shuffled
    assert digest_of({("a", "h"): plan, ("b", "h"): Plan()}) == digest_of({("b", "h"): Plan(), ("a", "h"): shuffled})


def test_a_plan_counts_what_it_does() -> None:
    """Every action is named, also those of which there are none."""
    assert Plan(changes=EVERY_CHANGE, unchanged=41).summary() == {
        "create_scope": 1,
        "delete_scope": 1,
        "put_acl": 3,
        "delete_acl": 1,
        "put_secret": 2,
        "delete_secret": 2,
        "unchanged": 41,
    }
    assert set(Plan().summary().values()) == {0}
    assert list(Plan().summary()) == [*(action.replace("-", "_") for action in ACTIONS), "unchanged"]


def test_only_changes_make_a_plan_something_to_do() -> None:
    """Findings and keys that hold what they should are no work."""
    assert Plan(changes=(CHANGE,))
    assert not Plan(findings=(Finding(kind=FindingKind.UNMANAGED_KEY, scope=APP),), unchanged=3)


def test_every_action_is_the_word_of_a_change() -> None:
    """The words are a contract of the JSON report."""
    assert {action_of(change) for change in EVERY_CHANGE} == set(Action)
    assert [str(action) for action in ACTIONS] == [
        "create-scope",
        "delete-scope",
        "put-acl",
        "delete-acl",
        "put-secret",
        "delete-secret",
    ]


@pytest.mark.parametrize(
    ("before", "permission", "phase"),
    [
        pytest.param(None, READ, Phase.GRANT, id="new"),
        pytest.param(READ, WRITE, Phase.GRANT, id="raised"),
        pytest.param(MANAGE, WRITE, Phase.REVOKE, id="lowered"),
    ],
)
def test_a_grant_that_is_lowered_is_in_force_before_values_are_written(
    before: Permission | None, permission: Permission, phase: Phase
) -> None:
    """What the principal has now tells; a higher grant waits until the values are there."""
    change = PutAcl(scope=APP, principal=USERS, permission=permission, before=before)

    assert phase_of(change) is phase
    assert change.lowers is (phase is Phase.REVOKE)


def test_equal_plans_have_equal_digests_whatever_the_case_of_names() -> None:
    """The platform does not tell them apart, so neither does an approval."""
    upper = PutSecret(scope=ScopeName("APP"), key=KeyName("KEY"), reason=PutReason.NEW)
    lower = PutSecret(scope=APP, key=KeyName("key"), reason=PutReason.NEW)

    assert _digest(upper) == _digest(lower)
    assert _digest(upper).startswith("sha256:")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(_digest(CHANGE, host="https://adb-2.2.azuredatabricks.net"), id="another host"),
        pytest.param(_digest(CHANGE, target="staging"), id="another target"),
        pytest.param(_digest(CreateScope(scope=EDGE)), id="another scope"),
        pytest.param(_digest(DeleteScope(scope=APP)), id="another action"),
        pytest.param(_digest(), id="nothing"),
        pytest.param(_digest(CHANGE, EVERY_CHANGE[4]), id="more"),
        pytest.param(digest_of({}), id="no target"),
        pytest.param(digest_of({("prod", HOST): Plan(changes=(CHANGE,)), ("b", HOST): Plan()}), id="one target more"),
    ],
)
def test_an_approval_is_for_these_changes_to_this_workspace_alone(other: str) -> None:
    """Anything else has another digest."""
    assert _digest(CHANGE) != other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(
            PutSecret(scope=APP, key=KeyName("k"), reason=PutReason.CHANGED),
            PutSecret(scope=APP, key=KeyName("k"), reason=PutReason.DRIFTED),
            id="reason of a put",
        ),
        pytest.param(
            DeleteSecret(scope=APP, key=KeyName("k"), reason=DeleteReason.REMOVED),
            DeleteSecret(scope=APP, key=KeyName("k"), reason=DeleteReason.UNMANAGED),
            id="reason of a deletion",
        ),
        pytest.param(
            PutAcl(scope=APP, principal=USERS, permission=READ),
            PutAcl(scope=APP, principal=USERS, permission=WRITE),
            id="permission",
        ),
        pytest.param(
            PutAcl(scope=APP, principal=USERS, permission=READ),
            PutAcl(scope=APP, principal=USERS, permission=READ, before=MANAGE),
            id="what the principal has now",
        ),
        pytest.param(
            DeleteAcl(scope=APP, principal=USERS, permission=READ),
            DeleteAcl(scope=APP, principal=USERS, permission=WRITE),
            id="permission taken away",
        ),
    ],
)
def test_an_approval_is_for_these_reasons_and_permissions(one: Change, other: Change) -> None:
    """Whoever approved a put of a changed value has not seen that somebody else wrote there since."""
    assert _digest(one) != _digest(other)


NAMES = st.text(min_size=1, max_size=5)


@given(
    scopes=st.tuples(NAMES, NAMES),
    keys=st.tuples(NAMES, NAMES),
    targets=st.tuples(NAMES, NAMES),
    hosts=st.tuples(NAMES, NAMES),
)
def test_no_name_can_be_moved_across_a_border(
    scopes: tuple[str, str], keys: tuple[str, str], targets: tuple[str, str], hosts: tuple[str, str]
) -> None:
    """Two digests are equal exactly if target, host, scope and key are each the same."""
    digests, facts = zip(
        *(
            (
                _digest(
                    PutSecret(scope=ScopeName(scope), key=KeyName(key), reason=PutReason.NEW), target=target, host=host
                ),
                (target, host, fold(scope), fold(key)),
            )
            for target, host, scope, key in zip(targets, hosts, scopes, keys, strict=True)
        ),
        strict=True,
    )

    assert (digests[0] == digests[1]) == (facts[0] == facts[1])


@pytest.mark.parametrize(
    "change", [pytest.param(change, id=f"{n} {action_of(change)}") for n, change in enumerate(EVERY_CHANGE)]
)
def test_the_subject_of_a_change_is_what_within_the_scope_it_is_about(change: Change) -> None:
    """A key, a principal, or nothing."""
    expected = getattr(change, "key", None) or getattr(change, "principal", "")

    assert subject_of(change) == expected


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        pytest.param(Outcome.PLANNED, None, id="planned"),
        pytest.param(Outcome.DONE, None, id="done"),
        pytest.param(Outcome.FAILED, "the workspace is full", id="failed"),
        pytest.param(Outcome.SKIPPED, "the scope could not be created", id="skipped"),
    ],
)
def test_a_result_says_why_exactly_where_there_is_a_why(outcome: Outcome, error: str | None) -> None:
    """A report must not leave its reader alone with "failed", nor give a reason for what went well."""
    assert ChangeResult(change=CHANGE, outcome=outcome, error=error).error == error
    for wrong in ("", None) if error else ("", "a reason"):
        with pytest.raises(ValueError, match="why"):
            ChangeResult(change=CHANGE, outcome=outcome, error=wrong)
