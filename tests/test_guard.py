"""What is refused even though a plan says so, and in which words."""

import uuid
from typing import Final, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import guard
from reconciler.errors import EXIT_REFUSED, Refused
from reconciler.ledger.records import Head, RunId, Tag
from reconciler.ledger.trust import Foreign, Hidden, Standing, Trusted, Unwritten
from reconciler.model import Acl, Ancestry, KeyName, Permission, Principal, ScopeName
from reconciler.plan import Change, DeleteReason, DeleteSecret, Plan, PutReason, PutSecret
from reconciler.survey import ScopeState
from reconciler.workspace import Backend


APP: Final = ScopeName("app")
OURS: Final = "1" * 40
THEIRS: Final = "2" * 40

HEAD: Final = Head(
    owner=uuid.UUID(int=1),
    place=Tag(bytes(16)),
    commit=THEIRS,
    at_ms=1_767_225_600_000,
    run=RunId(bytes(16)),
    identity=Principal("pipeline@example.com"),
)


def _said(refused: Refused | None) -> str:
    """Return message and advice of a refusal, both of which it must have."""
    assert refused is not None
    assert refused.exit_code == EXIT_REFUSED
    assert refused.advice
    return refused.with_advice()


def _plan(*, deletes: int, puts: int = 0, scope: str = APP, reason: DeleteReason = DeleteReason.REMOVED) -> Plan:
    """Return a plan about one scope; a put of a key that is there already counts like any other."""
    changes: list[Change] = [
        DeleteSecret(scope=ScopeName(scope), key=KeyName(f"old{number}"), reason=reason) for number in range(deletes)
    ]
    changes.extend(
        PutSecret(scope=ScopeName(scope), key=KeyName(f"new{number}"), reason=PutReason.CHANGED)
        for number in range(puts)
    )
    return Plan(changes=tuple(changes))


@pytest.mark.parametrize("backend", Backend)
def test_a_scope_in_a_vault_is_not_written(backend: Backend) -> None:
    """The Secrets API only reads it."""
    state = ScopeState(scope=APP, backend=backend, listed={}, acls=None, evidence={})
    refused = guard.key_vault(state)
    if backend is Backend.DATABRICKS:
        assert refused is None
    else:
        assert "scope app is backed by" in _said(refused)


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        pytest.param(("a",), "changes: a (", id="one"),
        pytest.param(("a", "b", "c"), "changes: a, b, c (", id="three"),
        pytest.param(("a", "b", "c", "d", "e"), "changes: a, b, c and 2 more (", id="five"),
    ],
)
def test_uncommitted_changes_are_named(paths: tuple[str, ...], named: str) -> None:
    """The first three, and how many more; with the flag that takes the work tree."""
    said = _said(guard.uncommitted(paths))
    assert named in said
    assert "--allow-dirty" in said
    assert guard.uncommitted(()) is None


@pytest.mark.parametrize(
    ("ancestry", "words"),
    [
        pytest.param(Ancestry.SAME, None, id="same"),
        pytest.param(Ancestry.DESCENDANT, None, id="descendant"),
        pytest.param(None, None, id="not-asked"),
        pytest.param(Ancestry.OLDER, ("is older than", "revert"), id="older"),
        pytest.param(Ancestry.DIVERGED, ("does not build on", "rebase"), id="diverged"),
        pytest.param(Ancestry.UNKNOWN_SHALLOW, ("shallow", "fetch-depth: 0", "--unshallow"), id="shallow"),
        pytest.param(Ancestry.UNKNOWN_GONE, ("does not have", "fetch"), id="gone"),
    ],
)
def test_commits_move_forward_only(ancestry: Ancestry | None, words: tuple[str, ...] | None) -> None:
    """Each reason has words and a next step of its own; the flag allows all of them."""
    refused = guard.older_commit(ancestry, commit=OURS, head=HEAD, allowed=False)
    if words is None:
        assert refused is None
    else:
        facts = (OURS[:12], THEIRS[:12], "pipeline@example.com", "2026-01-01 00:00 UTC", "--allow-rollback")
        assert [word for word in (*words, *facts) if word not in _said(refused)] == []
    assert guard.older_commit(ancestry, commit=OURS, head=HEAD, allowed=True) is None


def test_every_ancestry_is_decided() -> None:
    """Those that are let through are two."""
    through = {one for one in Ancestry if guard.older_commit(one, commit=OURS, head=HEAD, allowed=False) is None}
    assert through == {Ancestry.SAME, Ancestry.DESCENDANT}


@pytest.mark.parametrize("ancestry", Ancestry)
def test_nothing_is_older_than_no_commit(ancestry: Ancestry) -> None:
    """A ledger that was begun from a work tree has no commit to compare with."""
    head = Head(owner=HEAD.owner, place=HEAD.place, commit=None, at_ms=0, run=HEAD.run, identity=HEAD.identity)
    assert guard.older_commit(ancestry, commit=OURS, head=head, allowed=False) is None


@pytest.mark.parametrize(
    ("owned", "deletes", "puts", "refused"),
    [
        pytest.param(0, 0, 0, None, id="empty-scope"),
        pytest.param(5, 0, 0, None, id="nothing-deleted"),
        pytest.param(1, 1, 0, "its only key", id="only-key"),
        pytest.param(1, 1, 1, None, id="only-key-renamed"),
        pytest.param(2, 1, 0, None, id="one-of-two"),
        pytest.param(2, 2, 0, "all 2 keys", id="both"),
        pytest.param(2, 2, 1, None, id="both-and-one-put"),
        pytest.param(9, 8, 0, None, id="8-of-9"),
        pytest.param(9, 9, 0, "all 9 keys", id="9-of-9"),
        pytest.param(9, 9, 1, None, id="9-of-9-and-one-put"),
        pytest.param(10, 3, 0, None, id="3-of-10-is-30-percent"),
        pytest.param(10, 4, 0, "4 of 10 keys (40 %", id="4-of-10"),
        pytest.param(10, 4, 10, "4 of 10 keys (40 %", id="4-of-10-though-more-are-put"),
        pytest.param(10, 10, 0, "all 10 keys", id="10-of-10"),
        pytest.param(10, 10, 10, "10 of 10 keys (100 %", id="all-renamed"),
        pytest.param(100, 30, 0, None, id="30-percent"),
        pytest.param(100, 31, 0, "31 of 100 keys (31 %", id="31-percent"),
        pytest.param(1000, 300, 0, None, id="300-of-1000"),
        pytest.param(1000, 301, 0, "301 of 1000 keys", id="30.1-percent"),
        pytest.param(13, 4, 0, "4 of 13 keys (30.8 %", id="30.8-percent"),
        pytest.param(703, 211, 0, "211 of 703 keys (30.1 %", id="30.01-percent-is-shown-as-more"),
    ],
)
def test_much_of_a_scope_is_not_deleted(owned: int, deletes: int, puts: int, refused: str | None) -> None:
    """More than 30 % of 10 or more, or all of them while nothing is put; with the numbers, and the flag that allows."""
    found = guard.deletions(APP, _plan(deletes=deletes, puts=puts), owned=owned)
    if refused is None:
        assert found is None
        return
    said = _said(found)
    assert f"scope {APP} would lose {refused}" in said
    assert f"--allow-deletes {deletes}," in said


def test_the_flag_that_a_refusal_names_allows_exactly_this() -> None:
    """One key more, and it is refused again."""
    assert guard.too_many_deletes(4, 4) is None
    said = _said(guard.too_many_deletes(5, 4))
    assert "5 keys" in said
    assert "allows 4" in said
    assert "--allow-deletes 5" in said
    assert "1 key and" in _said(guard.too_many_deletes(1, 0))
    assert guard.too_many_deletes(0, 0) is None


def test_deletions_of_other_scopes_do_not_count() -> None:
    """A plan may be about many; names compare as the platform compares them."""
    other = _plan(deletes=5, scope="other")
    assert guard.deletions(APP, other, owned=5) is None
    assert guard.deletions(ScopeName("OTHER"), other, owned=5) is not None
    mixed = Plan(changes=(*_plan(deletes=2).changes, *_plan(deletes=0, puts=1, scope="other").changes))
    assert guard.deletions(APP, mixed, owned=2) is not None


def test_whoever_put_the_keys_there_they_count() -> None:
    """``prune: all`` empties a scope as well."""
    assert guard.deletions(APP, _plan(deletes=3, reason=DeleteReason.UNMANAGED), owned=3) is not None


@given(owned=st.integers(0, 60), puts=st.integers(0, 3), data=st.data())
def test_fewer_deletions_are_never_worse(owned: int, puts: int, data: st.DataObject) -> None:
    """All else equal: what is allowed stays allowed with fewer keys deleted; and none is always allowed."""
    more = data.draw(st.integers(0, owned))
    fewer = data.draw(st.integers(0, more))
    if guard.deletions(APP, _plan(deletes=more, puts=puts), owned=owned) is None:
        assert guard.deletions(APP, _plan(deletes=fewer, puts=puts), owned=owned) is None
    assert guard.deletions(APP, _plan(deletes=0, puts=puts), owned=owned) is None


@given(total=st.integers(0, 50), allowed=st.integers(0, 50), less=st.integers(0, 50))
def test_the_total_is_a_cap(total: int, allowed: int, less: int) -> None:
    """No more than was said, and never a complaint about fewer."""
    assert (guard.too_many_deletes(total, allowed) is None) is (total <= allowed)
    if guard.too_many_deletes(total, allowed) is None:
        assert guard.too_many_deletes(max(0, total - less), allowed) is None


def test_only_the_approved_plan_is_applied() -> None:
    """Without an approval every plan is; a refusal shows both digests."""
    digest, other = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
    assert guard.not_approved(digest, None) is None
    assert guard.not_approved(digest, digest) is None
    said = _said(guard.not_approved(digest, other))
    assert digest in said
    assert other in said
    assert "plan again" in said


_WHY: Final = Refused("why", advice="what to do")


@pytest.mark.parametrize(
    ("standing", "planning", "applying"),
    [
        pytest.param(Unwritten(), None, None, id="not-there-yet"),
        pytest.param(Trusted(), None, None, id="trusted"),
        pytest.param(
            Trusted(missing=(Acl(principal=Principal("x"), permission=Permission.READ),)), None, None, id="to-complete"
        ),
        pytest.param(Hidden(refusal=_WHY), None, _WHY, id="hidden"),
        pytest.param(Foreign(refusal=_WHY), _WHY, _WHY, id="foreign"),
    ],
)
def test_a_foreign_ledger_is_refused(standing: Standing, planning: Refused | None, applying: Refused | None) -> None:
    """Planning goes on without one that cannot be judged; nothing is written beside it."""
    assert guard.ledger(standing, applying=False) is planning
    assert guard.ledger(standing, applying=True) is applying


def test_every_standing_is_in_the_table() -> None:
    """A new kind has to be thought about."""
    assert set(get_args(Standing)) == {Unwritten, Trusted, Hidden, Foreign}
