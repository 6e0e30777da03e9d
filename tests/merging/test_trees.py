"""Merging trees: the result says what both sides changed, or names the place where they do not agree."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.merging.trees import (
    EMPTY,
    UNKNOWN,
    Absent,
    Choices,
    Kind,
    Side,
    Slot,
    Tree,
    Value,
    grant_slot,
    merge,
    rotation_slot,
    secret_slot,
    slot,
)
from reconciler.model import Acl, KeyName, Permission, Principal, SecretValue, fold
from reconciler.policy.scope_files import RotationRule
from reconciler.policy.scope_values import Form


HOST: Final = "adb-1.2.azuredatabricks.net"


def tree(
    values: Mapping[str, str],
    *,
    acls: Mapping[str, str] | None = None,
    prune: str | None = None,
    rotation: Mapping[str, int] | None = None,
) -> Tree:
    """Return a tree: ``scope/key`` to text, principal to permission, key or ``*`` to days."""
    found: dict[Slot, Value | Absent] = {}
    spelling: dict[tuple[str, ...], str] = {}
    for name, text in values.items():
        scope, key = name.split("/")
        found[secret_slot(HOST, scope, key)] = Value(form=Form.TEXT, text=SecretValue(text.encode()))
        spelling[(HOST, fold(scope))] = scope
        spelling[(HOST, fold(scope), fold(key))] = key
    grants = None
    if acls is not None:
        grants = {
            grant_slot(who): Acl(principal=Principal(who), permission=Permission[what]) for who, what in acls.items()
        }
    names = {name: None if name == "*" else KeyName(name) for name in rotation or {}}
    rules = {
        rotation_slot(names[name]): RotationRule(days=days, key=names[name]) for name, days in (rotation or {}).items()
    }
    return Tree(values=found, spelling=spelling, grants=grants, prune=prune, rotation=rules)


def said(one: Tree) -> dict[Slot, object]:
    """Return all that a tree says, how names are spelt aside."""
    found: dict[Slot, object] = dict(one.values)
    found.update((place, acl.permission) for place, acl in (one.grants or {}).items())
    found[slot(Kind.GRANT)] = one.grants is not None
    found[slot(Kind.PRUNE)] = one.prune
    found.update((place, rule.days) for place, rule in one.rotation.items())
    return found


TREES: Final = st.builds(
    tree,
    st.dictionaries(
        st.sampled_from(["s/a", "s/b", "s/c", "t/a", "T/b", "u/A"]), st.sampled_from("xyz"), min_size=1
    ).filter(lambda values: len({name.split("/")[0] for name in values} & {"t", "T"}) < 2),
    acls=st.none()
    | st.dictionaries(st.sampled_from(["users", "ops", "Ops2"]), st.sampled_from(["READ", "WRITE"]), min_size=1),
    prune=st.sampled_from([None, "all", "none"]),
    rotation=st.dictionaries(st.sampled_from(["a", "b", "*"]), st.sampled_from([1, 2]), max_size=2),
)


@given(base=TREES | st.just(EMPTY) | st.just(UNKNOWN), side=TREES)
@settings(max_examples=50)
def test_what_both_sides_say_is_the_result(base: Tree, side: Tree) -> None:
    """Whatever they come from, and also when nobody knows that."""
    merged = merge(base, side, side)
    assert merged.conflicts == ()
    assert said(merged.tree) == said(side)
    assert merged.tree.spelling == side.spelling


@given(base=TREES, side=TREES)
@settings(max_examples=50)
def test_what_one_side_changed_is_the_result(base: Tree, side: Tree) -> None:
    """Whichever side it is."""
    for merged in (merge(base, base, side), merge(base, side, base)):
        assert merged.conflicts == ()
        assert said(merged.tree) == said(side)


@given(base=TREES | st.just(EMPTY) | st.just(UNKNOWN), ours=TREES, theirs=TREES)
@settings(max_examples=100)
def test_each_place_is_what_a_side_made_of_it_or_a_conflict(base: Tree, ours: Tree, theirs: Tree) -> None:
    """Each place of the result follows from the three versions of that place alone; nothing is lost in silence."""
    merged = merge(base, ours, theirs)
    conflicts = {conflict.slot for conflict in merged.conflicts}
    before, one, other, after = said(base), said(ours), said(theirs), said(merged.tree)
    whole_grants = slot(Kind.GRANT) in conflicts or ours.grants is None or theirs.grants is None or base.grants is None
    for place in {*before, *one, *other, *after} - conflicts:
        if place.kind is Kind.GRANT and whole_grants:
            continue
        if place.kind is Kind.VALUE and slot(Kind.SECRETS) in conflicts:
            continue
        b, o, t, a = (found.get(place, None) for found in (before, one, other, after))
        if base is UNKNOWN:
            assert o == t == a
        else:
            assert a == (o if o in (t, a) and (t in (b, o)) else t)
            assert o == t or b in (o, t)


@given(base=TREES, ours=TREES, theirs=TREES)
@settings(max_examples=50)
def test_sides_are_alike(base: Tree, ours: Tree, theirs: Tree) -> None:
    """Whether there is a conflict, and what the result says without one, is the same with the sides exchanged."""
    one, other = merge(base, ours, theirs), merge(base, theirs, ours)
    assert [conflict.slot for conflict in one.conflicts] == [conflict.slot for conflict in other.conflicts]
    if not one.conflicts:
        assert said(one.tree) == said(other.tree)


@given(base=TREES | st.just(EMPTY) | st.just(UNKNOWN), ours=TREES, theirs=TREES, winner=st.sampled_from(Side))
@settings(max_examples=50)
def test_choices_leave_no_conflict(base: Tree, ours: Tree, theirs: Tree, winner: Side) -> None:
    """Each place that was a conflict is as the winner has it."""
    conflicts = merge(base, ours, theirs).conflicts
    merged = merge(base, ours, theirs, Choices(rest=winner))
    assert merged.conflicts == ()
    assert merged.tree.values
    won = said(ours if winner is Side.OURS else theirs)
    whole = {slot(Kind.SECRETS), slot(Kind.GRANT)}
    for conflict in conflicts:
        if conflict.slot not in whole and not {one.slot for one in conflicts} & whole:
            assert said(merged.tree).get(conflict.slot) == won.get(conflict.slot)


BASE: Final = tree(
    {"s/a": "x", "s/b": "y"}, acls={"users": "READ", "ops": "WRITE"}, prune="owned", rotation={"a": 90, "*": 180}
)


def changed(**fields: object) -> Tree:
    """Return `BASE` with other things in it."""
    given_ = {
        "values": {"s/a": "x", "s/b": "y"},
        "acls": {"users": "READ", "ops": "WRITE"},
        "prune": "owned",
        "rotation": {"a": 90, "*": 180},
        **fields,
    }
    return tree(given_.pop("values"), **given_)  # type: ignore[arg-type]  # a table of what `tree` takes


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        pytest.param(
            changed(values={"s/a": "1", "s/b": "y"}),
            changed(values={"s/a": "2", "s/b": "y"}),
            {f"{HOST}/s/a": "changed on both sides"},
            id="two-values",
        ),
        pytest.param(
            changed(values={"s/b": "y"}),
            changed(values={"s/a": "2", "s/b": "y"}),
            {f"{HOST}/s/a": "deleted in ours, changed in theirs"},
            id="deleted-and-changed",
        ),
        pytest.param(
            changed(values={"s/a": "x", "s/b": "y", "s/New": "1"}),
            changed(values={"s/a": "x", "s/b": "y", "s/new": "2"}),
            {f"{HOST}/s/New": "added on both sides"},
            id="twins-by-case",
        ),
        pytest.param(
            changed(acls={"users": "MANAGE", "ops": "WRITE"}),
            changed(acls={"ops": "WRITE"}),
            {"acls/users": "changed in ours, deleted in theirs"},
            id="grant",
        ),
        pytest.param(
            changed(acls=None),
            changed(acls={"users": "READ", "ops": "WRITE", "more": "READ"}),
            {"acls": "deleted in ours, changed in theirs"},
            id="grants-left-alone-or-more-of-them",
        ),
        pytest.param(
            changed(acls={"users": "READ"}),
            changed(acls={"ops": "WRITE"}),
            {"acls": "some taken away in ours, the others taken away in theirs"},
            id="no-grant-left",
        ),
        pytest.param(
            changed(prune="all"), changed(prune=None), {"prune": "changed in ours, deleted in theirs"}, id="prune"
        ),
        pytest.param(
            changed(rotation={"a": 30, "*": 180}),
            changed(rotation={"a": 60, "*": 180}),
            {"rotation/a": "changed on both sides"},
            id="rotation",
        ),
        pytest.param(
            changed(values={"s/a": "x"}),
            changed(values={"s/b": "y"}),
            {"secrets": "some taken away in ours, the others taken away in theirs"},
            id="no-value-left",
        ),
    ],
)
def test_conflicts_are_told_by_place(ours: Tree, theirs: Tree, expected: dict[str, str]) -> None:
    """Each with what each side did, and no value."""
    assert {one.spelt: one.what for one in merge(BASE, ours, theirs).conflicts} == expected


def test_changes_of_different_places_come_together() -> None:
    """Values, grants and rules: each from the side that changed it."""
    ours = changed(
        values={"s/a": "1", "s/b": "y", "s/c": "n"}, acls={"users": "READ"}, rotation={"b": 7, "a": 90, "*": 180}
    )
    theirs = changed(values={"s/a": "x"}, acls={"users": "MANAGE", "ops": "WRITE", "x": "READ"}, prune="all")
    merged = merge(BASE, ours, theirs)
    assert merged.conflicts == ()
    assert said(merged.tree) == said(
        tree(
            {"s/a": "1", "s/c": "n"},
            acls={"users": "MANAGE", "x": "READ"},
            prune="all",
            rotation={"b": 7, "a": 90, "*": 180},
        )
    )
    assert list(merged.tree.rotation.values())[-1].key is None, "the rule for all others stays last"


def test_both_made_the_file() -> None:
    """Keys of either side stand in the result; one key with two values is a conflict."""
    merged = merge(EMPTY, tree({"s/a": "1", "s/b": "2"}), tree({"s/b": "3", "s/c": "4"}))
    assert [one.spelt for one in merged.conflicts] == [f"{HOST}/s/b"]
    assert [place.parts[-1] for place in merged.tree.values] == ["a", "b", "c"]


def test_spelling_is_merged_beside_the_value() -> None:
    """A key that one side respelt and the other one changed is one key, respelt and changed; so for scopes."""
    merged = merge(tree({"s/a": "1"}), tree({"S/A": "1"}), tree({"s/a": "2", "s/b": "3"}))
    assert merged.conflicts == ()
    assert [value.text.reveal() for value in merged.tree.values.values() if isinstance(value, Value)] == [b"2", b"3"]
    assert set(merged.tree.spelling.values()) == {"S", "A", "b"}


def test_what_is_not_known_equals_nothing() -> None:
    """A value of the common ancestor that does not open makes a conflict wherever the sides differ."""
    place = secret_slot(HOST, "s", "a")
    base = replace(tree({"s/a": "?"}), values={place: Absent.UNKNOWN})
    assert merge(base, tree({"s/a": "1"}), tree({"s/a": "1"})).conflicts == ()
    assert [one.slot for one in merge(base, tree({"s/a": "1"}), tree({"s/a": "2"})).conflicts] == [place]


def test_no_value_is_shown() -> None:
    """Neither by a tree nor by a conflict."""
    canary = "c4n4ry"
    merged = merge(tree({"s/a": "1"}), tree({"s/a": canary}), tree({"s/a": f"{canary}2"}))
    assert canary not in repr(merged)
    assert canary not in str(merged)
