"""A ledger counts only while nobody but its operators can write to it, and says what to do where it does not."""

import pytest

from reconciler.errors import NotFound, PermissionDenied, Unreachable, WorkspaceError
from reconciler.ledger.trust import Circle, Foreign, Hidden, Trusted, Unwritten, standing
from reconciler.model import Acl, Permission, Principal, ScopeName
from tests.ledger.samples import acl


READ, WRITE, MANAGE = Permission.READ, Permission.WRITE, Permission.MANAGE


def circle(identity: str = "robot", *, operators: tuple[str, ...] = (), readers: tuple[str, ...] = ()) -> Circle:
    """Return who may do what with the ledger of target ``prod``."""
    return Circle(
        scope=ScopeName("reconciler-ledger"),
        target="prod",
        identity=Principal(identity),
        operators=tuple(map(Principal, operators)),
        readers=tuple(map(Principal, readers)),
    )


ALONE = circle()
TWO = circle(operators=("robot", "ann@example.com"), readers=("auditors", "Robot"))


@pytest.mark.parametrize(
    ("acls", "who", "missing"),
    [
        pytest.param((acl("robot", MANAGE),), ALONE, (), id="whoever ran first, alone"),
        pytest.param((acl("ROBOT", MANAGE),), ALONE, (), id="in another case"),
        pytest.param((), ALONE, (acl("robot", MANAGE),), id="an administrator without a grant"),
        pytest.param((acl("robot", READ),), ALONE, (acl("robot", MANAGE),), id="lowered"),
        pytest.param(
            (acl("auditors", READ), acl("Ann@Example.com", MANAGE), acl("robot", MANAGE)), TWO, (), id="exact"
        ),
        pytest.param(
            (acl("robot", MANAGE),),
            TWO,
            (acl("ann@example.com", MANAGE), acl("auditors", READ)),
            id="operators and readers were added",
        ),
        pytest.param(
            (acl("ann@example.com", WRITE), acl("auditors", READ)),
            TWO,
            (acl("robot", MANAGE), acl("ann@example.com", MANAGE)),
            id="some lack all, some a part",
        ),
    ],
)
def test_grants_that_are_missing_are_to_be_added(acls: tuple[Acl, ...], who: Circle, missing: tuple[Acl, ...]) -> None:
    """As long as nobody has too much, the ledger counts."""
    assert standing(acls, who) == Trusted(missing=missing)


@pytest.mark.parametrize(
    ("acls", "who", "message", "advice"),
    [
        pytest.param(
            (acl("robot", MANAGE), acl("mallory", READ)),
            ALONE,
            "mallory has READ",
            "databricks secrets delete-acl reconciler-ledger mallory",
            id="a reader too many",
        ),
        pytest.param(
            (acl("robot", MANAGE), acl("ann@example.com", MANAGE), acl("auditors", WRITE)),
            TWO,
            "auditors has WRITE",
            "list the principal under operators or ledger_readers",
            id="a reader who may write",
        ),
        pytest.param(
            (acl("robot", MANAGE), acl("users", MANAGE), acl("my team", WRITE)),
            ALONE,
            "users has MANAGE, my team has WRITE",
            "delete-acl reconciler-ledger users; databricks secrets delete-acl reconciler-ledger 'my team'",
            id="several",
        ),
        pytest.param(
            (acl("mallory", MANAGE),),
            ALONE,
            "mallory has MANAGE",
            "list all under operators of prod in targets.yaml: mallory, robot",
            id="somebody else ran first, or squats",
        ),
        pytest.param(
            (acl("mallory", MANAGE),),
            TWO,
            "mallory has MANAGE",
            "databricks secrets delete-scope reconciler-ledger",
            id="nobody of us made it",
        ),
        pytest.param(
            (acl("robot", MANAGE), acl("ann@example.com", MANAGE)),
            circle("eve", operators=("robot", "ann@example.com")),
            "eve is not among the operators of prod",
            "run as one of them (robot, ann@example.com), or add eve under operators",
            id="who runs is no operator",
        ),
    ],
)
def test_a_grant_too_many_makes_it_foreign(acls: tuple[Acl, ...], who: Circle, message: str, advice: str) -> None:
    """Who has what is named, and so is the way on."""
    found = standing(acls, who)
    assert isinstance(found, Foreign)
    assert message in str(found.refusal)
    assert advice in (found.refusal.advice or "")


def test_a_ledger_that_is_not_there_may_be_created() -> None:
    """The first run begins it."""
    assert standing(NotFound("no such scope"), ALONE) == Unwritten()
    assert standing(NotFound("no such scope"), TWO) == Unwritten()


def test_who_is_no_operator_does_not_create_it() -> None:
    """They would get MANAGE on it, and nobody could use it after; planning goes on without."""
    found = standing(NotFound("no such scope"), circle("eve", operators=("robot",)))
    assert isinstance(found, Hidden)
    assert "eve is not among the operators of prod" in str(found.refusal)


@pytest.mark.parametrize(
    ("who", "message"),
    [
        pytest.param(ALONE, "robot may not see who has a grant on its scope reconciler-ledger", id="operator"),
        pytest.param(circle("eve", operators=("robot",)), "eve is not among the operators of prod", id="somebody else"),
    ],
)
def test_whose_grants_cannot_be_read_is_hidden(who: Circle, message: str) -> None:
    """Nothing can be told of it, and applying ends with that."""
    found = standing(PermissionDenied("no MANAGE"), who)
    assert isinstance(found, Hidden)
    assert message in str(found.refusal)
    assert found.refusal.advice


def test_other_errors_are_raised() -> None:
    """A workspace that does not answer says nothing about the ledger."""
    error: WorkspaceError = Unreachable("no answer")
    with pytest.raises(Unreachable) as caught:
        standing(error, ALONE)
    assert caught.value is error
