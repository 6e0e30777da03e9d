"""Whether a scope is ours and what in it is: every rule, and what is said where it is not."""

import dataclasses
from collections.abc import Mapping

import pytest

from reconciler.ledger.ownership import (
    Allowed,
    Insiders,
    NotOurs,
    Owned,
    Sight,
    claim,
    grant_is_ours,
    is_ours,
    is_same,
    vouches,
)
from reconciler.ledger.records import Entry, FoundEntry, FoundHead, Garbled, Head, Intents, Missing, RunId
from reconciler.model import Acl, FoldedName, KeyName, Permission, Principal, SecretValue
from reconciler.workspace import SecretInfo
from tests.ledger.samples import FRESH, NOW, OURS, PLACE, SALT, SCOPE, THEIRS, acl, listed, put, record, value


READ, WRITE, MANAGE = Permission.READ, Permission.WRITE, Permission.MANAGE
ROBOT = acl("robot", MANAGE)
INSIDERS = Insiders(operators=(Principal("robot"), Principal("ann")), acls=(acl("users", READ), acl("admins", MANAGE)))
KNOWN = dataclasses.replace(FRESH, keys=record(FRESH, "a", "1", 10) | record(FRESH, "b", "2", None))
HEAD = Head(
    owner=OURS,
    place=PLACE,
    commit=None,
    at_ms=0,
    run=RunId(SALT[:16]),
    identity=Principal("robot"),
    scopes=frozenset({FRESH.scope}),
)


@pytest.mark.parametrize(
    ("acls", "outsiders"),
    [
        pytest.param((ROBOT, acl("ANN", WRITE)), (), id="operators, in any case"),
        pytest.param((acl("Users", READ), acl("admins", WRITE)), (), id="up to what git says"),
        pytest.param((acl("users", WRITE),), (acl("users", WRITE),), id="more than git says"),
        pytest.param((ROBOT, acl("mallory", READ)), (acl("mallory", READ),), id="somebody else"),
        pytest.param((), (), id="nobody"),
    ],
)
def test_outsiders(acls: tuple[Acl, ...], outsiders: tuple[Acl, ...]) -> None:
    """Operators and those whom git names are inside, the latter up to their permission."""
    assert INSIDERS.outsiders(acls) == outsiders


_MALLORY = (ROBOT, acl("mallory", READ))
_OPEN = dataclasses.replace(
    FRESH,
    intents=(dataclasses.replace(put(FRESH, "a", "1"), strangers={FRESH.principal_tag("mallory"): WRITE}),),
)


@pytest.mark.parametrize(
    ("entry", "there", "acls", "expected"),
    [
        pytest.param(KNOWN, listed(a=10, x=5), _MALLORY, True, id="a pair is there"),
        pytest.param(KNOWN, listed(A=10), None, True, id="in another case, grants hidden"),
        pytest.param(KNOWN, listed(a=11, b=12), _MALLORY, False, id="no pair, an outsider"),
        pytest.param(KNOWN, listed(a=11, b=12), None, False, id="no pair, grants hidden"),
        pytest.param(KNOWN, listed(a=11), (ROBOT, acl("users", READ)), True, id="no pair, insiders only: drift"),
        pytest.param(KNOWN, {}, (ROBOT,), True, id="emptied, insiders only"),
        pytest.param(KNOWN, listed(x=10), _MALLORY, False, id="the timestamp under another key"),
        pytest.param(FRESH, listed(a=10), (ROBOT,), True, id="no records, insiders only"),
        pytest.param(FRESH, listed(a=10), _MALLORY, False, id="no records, an outsider"),
        pytest.param(_OPEN, listed(a=11), _MALLORY, True, id="an outsider who was there as the run began"),
        pytest.param(_OPEN, listed(a=11), (acl("mallory", WRITE),), True, id="with what they had then"),
        pytest.param(_OPEN, listed(a=11), (acl("mallory", MANAGE),), False, id="with more than they had then"),
        pytest.param(_OPEN, listed(a=11), (*_MALLORY, acl("eve", READ)), False, id="and another one"),
        pytest.param(
            dataclasses.replace(FRESH, intents=(Intents(stamp=NOW, creates_scope=True),)),
            {},
            (acl("mallory", MANAGE),),
            False,
            id="our intent to create it, and somebody else's scope",
        ),
    ],
)
def test_what_vouches_for_a_scope(
    entry: Entry, there: Mapping[FoldedName, SecretInfo], acls: tuple[Acl, ...] | None, *, expected: bool
) -> None:
    """A pair of key and timestamp, or that only insiders have a grant; strangers count from when a run began."""
    assert vouches(entry, there, acls, INSIDERS) is expected


@pytest.mark.parametrize(
    ("there", "touched", "acls", "expected"),
    [
        pytest.param(listed(a=10, b=20), {"b"}, None, True, id="a pair that was left alone"),
        pytest.param(listed(a=10, b=20), {"a", "b"}, None, False, id="all touched, grants not asked for"),
        pytest.param(listed(a=10, b=20), {"a", "b"}, (ROBOT,), True, id="all touched, insiders only"),
        pytest.param(listed(b=20), {"b"}, (acl("mallory", MANAGE),), False, id="what was left alone is gone"),
    ],
)
def test_what_was_written_to_has_to_be_the_same_scope(
    there: Mapping[FoldedName, SecretInfo], touched: set[str], acls: tuple[Acl, ...] | None, *, expected: bool
) -> None:
    """Our own puts prove nothing: only what was left alone does, or who has a grant."""
    assert is_same(KNOWN, there, frozenset(map(FoldedName, touched)), acls, INSIDERS) is expected


_PUT = dataclasses.replace(KNOWN, intents=(put(FRESH, "a", "3"), put(FRESH, "c", "4"), put(FRESH, "a", "5")))


@pytest.mark.parametrize(
    ("entry", "key", "at_ms", "held", "expected"),
    [
        pytest.param(KNOWN, "x", 10, None, False, id="neither recorded nor intended"),
        pytest.param(KNOWN, "x", 10, "1", False, id="the same, read"),
        pytest.param(KNOWN, "A", 10, None, True, id="recorded, timestamp there"),
        pytest.param(KNOWN, "a", 11, None, None, id="recorded, timestamp moved"),
        pytest.param(KNOWN, "b", 11, None, None, id="recorded, never seen"),
        pytest.param(KNOWN, "a", 11, "1", True, id="moved, the value recorded"),
        pytest.param(KNOWN, "a", 11, "2", False, id="moved, another value"),
        pytest.param(KNOWN, "b", 11, "1", False, id="the value of another key"),
        pytest.param(KNOWN, "a", 10, "2", False, id="timestamp there, and yet another value was read"),
        pytest.param(_PUT, "c", 11, None, None, id="intended"),
        pytest.param(_PUT, "c", 11, "4", True, id="intended, and there"),
        pytest.param(_PUT, "c", 11, "5", False, id="intended, and something else there"),
        pytest.param(_PUT, "a", 11, "3", True, id="an older intent"),
        pytest.param(_PUT, "a", 11, "5", True, id="a newer intent"),
        pytest.param(_PUT, "a", 11, "1", True, id="still what was recorded"),
        pytest.param(_PUT, "a", 10, None, True, id="intended, but nothing was written"),
    ],
)
def test_what_we_wrote_is_ours(entry: Entry, key: str, at_ms: int, held: str | None, *, expected: bool | None) -> None:
    """By timestamp or by value; None asks for the value."""
    secret = SecretInfo(key=KeyName(key), updated_ms=at_ms)
    read: SecretValue | None = None if held is None else value(held)
    assert is_ours(entry, secret, read) is expected


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        pytest.param(acl("Users", READ), True, id="made"),
        pytest.param(acl("users", WRITE), False, id="made, and raised since"),
        pytest.param(acl("team", WRITE), True, id="about to be made"),
        pytest.param(acl("team", READ), False, id="about to be made higher"),
        pytest.param(acl("mallory", READ), False, id="somebody else's"),
    ],
)
def test_grants_that_we_made_are_ours(grant: Acl, *, expected: bool) -> None:
    """As they are: a grant that somebody raised or lowered is theirs."""
    entry = dataclasses.replace(
        FRESH,
        grants={FRESH.principal_tag("users"): READ},
        intents=(Intents(stamp=NOW, grants={FRESH.principal_tag("team"): WRITE}),),
    )
    assert grant_is_ours(entry, grant) is expected


NEW = dataclasses.replace(FRESH, salt=SALT[::-1])
OF_THEIRS = dataclasses.replace(KNOWN, owner=THEIRS)
GARBLED = Garbled(why="its checksum does not fit")


def sight(
    *,
    acls: tuple[Acl, ...] | None = (ROBOT,),
    vouched: bool = False,
    equal: bool = False,
) -> Sight:
    """Return a scope as it was seen, with what the ledger has for it."""
    return Sight(scope=SCOPE, listed=listed(a=1), acls=acls, vouched=vouched, equal=equal)


def _claim(
    seen: Sight | None, found: FoundEntry, head: FoundHead = HEAD, *, adopt: bool = False, take_over: bool = False
) -> Owned | NotOurs:
    return claim(seen, found, head, INSIDERS, NEW, Allowed(adopt=adopt, take_over=take_over))


@pytest.mark.parametrize(
    ("found", "entry"),
    [
        pytest.param(Missing(), NEW, id="nothing known"),
        pytest.param(GARBLED, NEW, id="garbled"),
        pytest.param(KNOWN, KNOWN, id="known"),
    ],
)
def test_a_scope_that_is_not_there_will_be_ours(found: FoundEntry, entry: Entry) -> None:
    """It will be created; what the ledger knew of it before is kept."""
    assert _claim(None, found) == Owned(entry=entry)


def test_a_scope_that_its_entry_vouches_for_is_ours() -> None:
    """Whatever else changed in it."""
    assert _claim(sight(vouched=True, acls=None), KNOWN) == Owned(entry=KNOWN)


@pytest.mark.parametrize("found", [pytest.param(Missing(), id="lost"), pytest.param(GARBLED, id="garbled")])
def test_a_lost_entry_is_begun_anew_where_the_head_names_the_scope(found: FoundEntry) -> None:
    """The scope is ours while nobody outside has a grant on it; nothing in it is."""
    assert _claim(sight(), found) == Owned(entry=NEW)
    assert isinstance(_claim(sight(acls=_MALLORY), found), NotOurs)
    assert isinstance(_claim(sight(acls=None), found), NotOurs)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(Missing(), id="no head"),
        pytest.param(GARBLED, id="a garbled head"),
        pytest.param(dataclasses.replace(HEAD, scopes=frozenset()), id="a head that does not name it"),
        pytest.param(dataclasses.replace(HEAD, owner=THEIRS), id="somebody else's head"),
        pytest.param(dataclasses.replace(HEAD, place=NEW.scope), id="the head of another workspace"),
    ],
)
def test_a_scope_without_entry_is_adopted_only_if_it_equals_git(head: FoundHead) -> None:
    """Silently where it holds what git says and nobody outside has a grant; with --adopt in any case."""
    assert _claim(sight(equal=True), Missing(), head) == Owned(entry=NEW, adopted=True)
    assert isinstance(_claim(sight(), Missing(), head), NotOurs)
    assert isinstance(_claim(sight(equal=True, acls=_MALLORY), Missing(), head), NotOurs)
    assert isinstance(_claim(sight(equal=True, acls=None), Missing(), head), NotOurs)
    assert _claim(sight(acls=_MALLORY), Missing(), head, adopt=True) == Owned(entry=NEW, adopted=True)


def test_a_scope_that_was_created_anew_counts_as_without_entry() -> None:
    """What was recorded of the scope before it says nothing about this one."""
    refused = _claim(sight(acls=_MALLORY, equal=True), KNOWN)
    assert isinstance(refused, NotOurs)
    assert str(refused.refusal) == (
        "scope payments is not shown to be the one that the ledger knows; "
        "git does not name all who have a grant on it: mallory has READ"
    )
    assert _claim(sight(acls=_MALLORY), KNOWN, adopt=True) == Owned(entry=NEW, adopted=True)


@pytest.mark.parametrize("seen", [pytest.param(None, id="gone"), pytest.param(sight(equal=True), id="there")])
def test_another_owner_is_asked_for(seen: Sight | None) -> None:
    """Their entry is not ours to overwrite, equal values or not; --take-over begins a new one."""
    refused = _claim(seen, OF_THEIRS, adopt=True)
    assert isinstance(refused, NotOurs)
    assert str(THEIRS) in str(refused.refusal)
    assert str(OURS) in str(refused.refusal)
    assert "--take-over" in (refused.refusal.advice or "")
    assert _claim(seen, OF_THEIRS, take_over=True) == Owned(entry=NEW, adopted=seen is not None)


def test_a_refusal_names_a_scope_that_is_not_there() -> None:
    """Whoever knows its name can have it said."""
    refused = claim(None, OF_THEIRS, HEAD, INSIDERS, NEW, Allowed(), SCOPE)
    assert isinstance(refused, NotOurs)
    assert str(refused.refusal).startswith("scope payments belongs to owner")


@pytest.mark.parametrize(
    "copied",
    [
        pytest.param(dataclasses.replace(KNOWN, scope=NEW.place), id="of another scope"),
        pytest.param(dataclasses.replace(KNOWN, place=NEW.scope), id="of another workspace"),
        pytest.param(dataclasses.replace(OF_THEIRS, place=NEW.scope), id="of another owner elsewhere"),
    ],
)
def test_an_entry_that_was_copied_counts_as_garbled(copied: Entry) -> None:
    """What stands under the name of one scope and is about another proves nothing."""
    assert _claim(None, copied) == Owned(entry=NEW)
    refused = _claim(sight(vouched=True), copied, Missing())
    assert isinstance(refused, NotOurs)
    assert "cannot be used: it is about another scope" in str(refused.refusal)


@pytest.mark.parametrize(
    ("found", "acls", "message"),
    [
        pytest.param(Missing(), (ROBOT,), "has no entry for it; it does not hold just what git says", id="values"),
        pytest.param(Missing(), None, "has no entry for it; who has a grant on it cannot be told", id="hidden"),
        pytest.param(GARBLED, (ROBOT,), "cannot be used: its checksum does not fit; it does not hold", id="garbled"),
        pytest.param(
            Missing(),
            tuple(acl(name, level) for name, level in zip("edcba", (READ, READ, READ, MANAGE, WRITE), strict=True)),
            "git does not name all who have a grant on it: b has MANAGE, a has WRITE, c has READ and 2 more",
            id="many",
        ),
    ],
)
def test_a_refusal_says_why_and_what_to_do(found: FoundEntry, acls: tuple[Acl, ...] | None, message: str) -> None:
    """What is there, why it is not ours, and the way on."""
    refused = _claim(sight(acls=acls), found, Missing())
    assert isinstance(refused, NotOurs)
    assert str(refused.refusal).startswith("scope payments exists, ")
    assert message in str(refused.refusal)
    assert "--adopt" in (refused.refusal.advice or "")
