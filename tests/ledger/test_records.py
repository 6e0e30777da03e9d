"""Tags: one per thing, whatever its case; never one for two things."""

from dataclasses import FrozenInstanceError, replace

import pytest

from reconciler.ledger.records import (
    Intents,
    Tag,
    entry_name,
    head_name,
    managed_tag,
    new_entry,
    place_tag,
)
from reconciler.model import Permission, ScopeName, is_key_name
from tests.ledger.samples import FRESH, NOW, OURS, PLACE, SALT, SCOPE, THEIRS, value


def test_names_are_found_in_any_case() -> None:
    """The platform compares names without regard to case, so their tags do."""
    assert FRESH.name_tag("Case-Key") == FRESH.name_tag("case-key")
    assert FRESH.value_tag("Case-Key", value("v")) == FRESH.value_tag("case-key", value("v"))
    assert FRESH.principal_tag("Admins") == FRESH.principal_tag("admins")
    assert entry_name(PLACE, "Payments") == entry_name(PLACE, "payments")


def test_tags_are_apart() -> None:
    """Names, values and principals have tags of their own; so have values of other keys, entries and scopes."""
    other_salt = replace(FRESH, salt=SALT[::-1])
    other_scope = new_entry(owner=OURS, place=PLACE, scope=ScopeName("other"), salt=SALT)
    tags = [
        FRESH.name_tag("a"),
        FRESH.principal_tag("a"),
        FRESH.value_tag("a", value("")),
        FRESH.value_tag("a", value("b")),
        FRESH.value_tag("ab", value("")),
        FRESH.value_tag("b", value("b")),
        other_salt.name_tag("a"),
        other_salt.value_tag("a", value("b")),
        other_scope.name_tag("a"),
        other_scope.value_tag("a", value("b")),
    ]
    assert len(set(tags)) == len(tags)
    assert {len(tag) for tag in tags} == {16}


def test_keys_of_the_ledger_are_names_that_the_platform_takes() -> None:
    """Entries and heads have names of their own in the ledger's scope, by workspace and by owner."""
    names = [
        entry_name(PLACE, SCOPE),
        entry_name(PLACE, "other"),
        entry_name(place_tag("demo"), SCOPE),
        head_name(OURS),
        head_name(THEIRS),
    ]
    assert len(set(names)) == len(names)
    assert all(map(is_key_name, names))


def test_a_new_entry_is_about_its_scope_and_says_nothing() -> None:
    """An entry begins without keys, grants and intents."""
    assert FRESH.scope == managed_tag(PLACE, SCOPE)
    assert not FRESH.keys
    assert not FRESH.grants
    assert not FRESH.intents
    assert FRESH.record("a") is None


def test_a_salt_that_is_too_short_is_refused() -> None:
    """An entry without a whole salt cannot be made."""
    with pytest.raises(ValueError, match="32 bytes, not 5"):
        replace(FRESH, salt=b"short")


def test_entries_show_no_salt_and_do_not_change() -> None:
    """With the salt and a tag, values can be guessed: it is in no repr. What is in an entry stays as it is."""
    assert "salt" not in repr(FRESH)
    with pytest.raises(FrozenInstanceError):
        FRESH.salt = SALT  # type: ignore[misc]
    with pytest.raises(TypeError):
        FRESH.grants[Tag(SALT[:16])] = Permission.READ  # type: ignore[index]


def test_the_order_in_which_records_are_given_does_not_matter() -> None:
    """Equal records are equal entries, and are written alike."""
    grants = {FRESH.principal_tag(name): Permission.READ for name in ("a", "b", "c")}
    backwards = dict(reversed(grants.items()))
    one = replace(FRESH, grants=grants, intents=(Intents(stamp=NOW, grants=grants, strangers=grants),))
    two = replace(FRESH, grants=backwards, intents=(Intents(stamp=NOW, grants=backwards, strangers=backwards),))
    assert one == two
    assert list(one.grants) == list(two.grants) == sorted(grants)


@pytest.mark.parametrize(
    ("intents", "is_any"),
    [
        pytest.param(Intents(stamp=NOW), False, id="nothing"),
        pytest.param(Intents(stamp=NOW, strangers={Tag(SALT[:16]): Permission.READ}), False, id="strangers alone"),
        pytest.param(Intents(stamp=NOW, creates_scope=True), True, id="a scope"),
        pytest.param(Intents(stamp=NOW, puts={Tag(SALT[:16]): Tag(SALT[16:])}), True, id="a put"),
        pytest.param(Intents(stamp=NOW, deletes=frozenset({Tag(SALT[:16])})), True, id="a delete"),
        pytest.param(Intents(stamp=NOW, grants={Tag(SALT[:16]): Permission.READ}), True, id="a grant"),
    ],
)
def test_intents_tell_whether_there_are_any(intents: Intents, *, is_any: bool) -> None:
    """A group counts only if something was to be done."""
    assert bool(intents) is is_any
