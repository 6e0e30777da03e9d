"""From what was seen to what is recorded: each key by its fate, and nothing forgotten whose fate is not known."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.ledger.records import Entry, Intents, KeyRecord, Tag
from reconciler.ledger.settling import Aim, Seen, Wish, intending, settled
from reconciler.model import Acl, FoldedName, Permission, Principal, SecretValue, fold
from tests.ledger.samples import FRESH, NOW, acl, listed, put, record, value


READ, WRITE = Permission.READ, Permission.WRITE
NOTHING = Wish(values={}, acls=None)
A = fold("a")
LATER = replace(NOW, at_ms=NOW.at_ms + 1)


def wish(**values: str) -> Wish:
    """Return what git wants."""
    return Wish(values={fold(key): value(text) for key, text in values.items()}, acls=None)


def seen(at_ms: int | None, held: str | None = None, *, put_unread: bool = False) -> Seen:
    """Return a scope with key ``a`` alone, perhaps read."""
    return Seen(
        listed={} if at_ms is None else listed(a=at_ms),
        values={} if held is None else {A: value(held)},
        put_unread=frozenset({A} if put_unread else ()),
    )


KNOWN = replace(FRESH, keys=record(FRESH, "a", "old", 10))
OPEN = replace(KNOWN, intents=(put(FRESH, "a", "new", NOW),))
OPEN_TWICE = replace(KNOWN, intents=(put(FRESH, "a", "new", NOW), put(FRESH, "a", "new", LATER)))
MEANT = replace(FRESH, intents=(put(FRESH, "a", "new", NOW),))


@pytest.mark.parametrize(
    ("entry", "found", "wanted", "expected"),
    [
        pytest.param(KNOWN, seen(None), NOTHING, FRESH, id="gone and not wanted: forgotten"),
        pytest.param(
            KNOWN, seen(None), wish(A="old"), replace(FRESH, keys=record(FRESH, "a", "old", None)), id="gone and wanted"
        ),
        pytest.param(OPEN, seen(None), NOTHING, FRESH, id="gone, intents with it"),
        pytest.param(FRESH, seen(None), wish(a="old"), FRESH, id="wanted and never there"),
        pytest.param(KNOWN, seen(10), wish(a="new"), KNOWN, id="untouched"),
        pytest.param(OPEN, seen(10), wish(a="new"), KNOWN, id="untouched: the put did not happen"),
        pytest.param(KNOWN, seen(10, "old"), NOTHING, KNOWN, id="untouched, and read all the same"),
        pytest.param(
            KNOWN,
            seen(20, "old"),
            NOTHING,
            replace(FRESH, keys=record(FRESH, "a", "old", 20)),
            id="put again by somebody: its timestamp is renewed, it did not change",
        ),
        pytest.param(
            OPEN,
            seen(20, "old"),
            wish(a="new"),
            replace(FRESH, keys=record(FRESH, "a", "old", 20)),
            id="put back by somebody",
        ),
        pytest.param(
            OPEN,
            seen(20, "new"),
            NOTHING,
            replace(FRESH, keys=record(FRESH, "a", "new", 20, NOW)),
            id="the put happened, whatever git says now",
        ),
        pytest.param(
            OPEN_TWICE,
            seen(20, "new"),
            NOTHING,
            replace(FRESH, keys=record(FRESH, "a", "new", 20, LATER)),
            id="meant twice: the last one counts",
        ),
        pytest.param(
            MEANT, seen(20, "new"), NOTHING, replace(FRESH, keys=record(FRESH, "a", "new", 20, NOW)), id="a first put"
        ),
        pytest.param(MEANT, seen(20, "alien"), wish(a="new"), FRESH, id="a first put that somebody overwrote"),
        pytest.param(
            KNOWN,
            seen(20, "git's"),
            wish(a="git's"),
            replace(FRESH, keys=record(FRESH, "a", "git's", 20, LATER)),
            id="somebody put what git wants",
        ),
        pytest.param(
            FRESH,
            seen(20, "git's"),
            wish(A="git's"),
            replace(FRESH, keys=record(FRESH, "a", "git's", 20, LATER)),
            id="it was there and equals git",
        ),
        pytest.param(FRESH, seen(20, "alien"), wish(a="git's"), FRESH, id="it was there and is somebody else's"),
        pytest.param(KNOWN, seen(20, "alien"), wish(a="old"), KNOWN, id="somebody else's: the next run looks again"),
        pytest.param(
            KNOWN,
            seen(10, "alien"),
            wish(a="old"),
            replace(FRESH, keys=record(FRESH, "a", "old", None)),
            id="what was read counts for more than the timestamp",
        ),
        pytest.param(KNOWN, seen(20), wish(a="new"), KNOWN, id="moved, not read"),
        pytest.param(OPEN, seen(20), wish(a="new"), OPEN, id="moved, not read: the intent stays"),
        pytest.param(MEANT, seen(20), NOTHING, MEANT, id="not recorded, not read: the intent stays"),
        pytest.param(
            OPEN,
            seen(20, put_unread=True),
            wish(a="new"),
            replace(FRESH, keys=record(FRESH, "a", "new", 20, NOW)),
            id="put by this run, and not handed out",
        ),
        pytest.param(
            KNOWN,
            seen(20, put_unread=True),
            wish(a="old"),
            replace(FRESH, keys=record(FRESH, "a", "old", 20)),
            id="drift repaired, and not handed out",
        ),
        pytest.param(OPEN, seen(20, "alien", put_unread=True), wish(a="new"), KNOWN, id="put, but something else read"),
        pytest.param(OPEN, seen(20, put_unread=True), NOTHING, OPEN, id="put, and nobody knows what"),
    ],
)
def test_what_becomes_of_a_key(entry: Entry, found: Seen, wanted: Wish, expected: Entry) -> None:
    """Every rule of `settled` about one key."""
    assert settled(entry, found, wanted, LATER) == expected


def test_one_key_says_nothing_about_another() -> None:
    """Of a group only what has a known fate is dropped."""
    group = Intents(
        stamp=NOW,
        creates_scope=True,
        puts={**put(FRESH, "a", "1").puts, **put(FRESH, "b", "2").puts},
        deletes=frozenset(map(FRESH.name_tag, ("c", "d"))),
        strangers={FRESH.principal_tag("app"): READ},
    )
    found = Seen(listed=listed(a=20, b=20, c=20), values={A: value("1")})
    after = settled(replace(FRESH, intents=(group,)), found, NOTHING, LATER)
    assert after.keys == record(FRESH, "a", "1", 20, NOW)
    left = replace(group, creates_scope=False, puts=put(FRESH, "b", "2").puts, deletes=frozenset({FRESH.name_tag("c")}))
    assert after.intents == (left,)


@pytest.mark.parametrize(
    ("acls", "wished", "expected", "is_open"),
    [
        pytest.param((acl("Users", READ),), None, {"users": READ}, False, id="made, and there"),
        pytest.param((acl("users", WRITE),), None, {}, False, id="made, and raised by somebody"),
        pytest.param((), None, {}, False, id="gone"),
        pytest.param((acl("team", WRITE),), None, {"team": WRITE}, False, id="was about to be made"),
        pytest.param((acl("team", READ),), None, {}, False, id="was about to be made, and is lower"),
        pytest.param((acl("ann", READ),), (acl("Ann", READ),), {"ann": READ}, False, id="equals git"),
        pytest.param((acl("ann", WRITE),), (acl("ann", READ),), {}, False, id="higher than git"),
        pytest.param(None, (acl("ann", READ),), {"users": READ}, True, id="cannot be read: kept"),
    ],
)
def test_what_becomes_of_grants(
    acls: tuple[Acl, ...] | None, wished: tuple[Acl, ...] | None, expected: dict[str, Permission], *, is_open: bool
) -> None:
    """Grants that are there as we made them, meant to, or as git wants them, are ours."""
    intents = (Intents(stamp=NOW, grants={FRESH.principal_tag("team"): WRITE}),)
    entry = replace(FRESH, grants={FRESH.principal_tag("users"): READ}, intents=intents)
    after = settled(entry, Seen(listed={}, acls=acls), Wish(values={}, acls=wished), LATER)
    assert after.grants == {FRESH.principal_tag(name): level for name, level in expected.items()}
    assert after.intents == (intents if is_open else ())


def test_intents_are_added_behind_those_that_are_open() -> None:
    """They accumulate until their fate is known."""
    aim = Aim(
        creates_scope=True,
        puts={A: value("1")},
        deletes=frozenset({fold("b")}),
        grants={Principal("users"): READ},
        strangers=(acl("app", WRITE),),
    )
    meant = Intents(
        stamp=LATER,
        creates_scope=True,
        puts={FRESH.name_tag("a"): FRESH.value_tag("a", value("1"))},
        deletes=frozenset({FRESH.name_tag("b")}),
        grants={FRESH.principal_tag("users"): READ},
        strangers={FRESH.principal_tag("app"): WRITE},
    )
    assert intending(OPEN, aim, LATER) == replace(OPEN, intents=(*OPEN.intents, meant))


def test_who_means_nothing_writes_nothing() -> None:
    """An empty aim leaves the entry as it is, strangers or not."""
    assert intending(OPEN, Aim(strangers=(acl("app", READ),)), LATER) is OPEN


FEW = settings(max_examples=50)
_KEYS = tuple(map(fold, "abcd"))
_texts = st.sampled_from(("1", "2", "3"))
_values = st.dictionaries(st.sampled_from(_KEYS), _texts.map(value))
_records = st.dictionaries(st.sampled_from(_KEYS), st.tuples(_texts, st.sampled_from((None, 10, 20))))


@st.composite
def _entries(draw: st.DrawFn) -> Entry:
    keys: dict[Tag, KeyRecord] = {}
    for key, (text, at_ms) in draw(_records).items():
        keys.update(record(FRESH, key, text, at_ms))
    entry = replace(FRESH, keys=keys)
    for puts in draw(st.lists(_values, max_size=2)):
        entry = intending(entry, Aim(puts=puts, deletes=frozenset(draw(st.sets(st.sampled_from(_KEYS))))), NOW)
    return entry


@st.composite
def _seen(draw: st.DrawFn) -> Seen:
    times = draw(st.dictionaries(st.sampled_from(_KEYS), st.sampled_from((10, 20, 30))))
    values = {key: read for key, read in draw(_values).items() if key in times}
    return Seen(listed=listed(**times), values=values)


@FEW
@given(entry=_entries(), found=_seen(), wanted=_values)
def test_settling_twice_is_settling_once(entry: Entry, found: Seen, wanted: Mapping[FoldedName, SecretValue]) -> None:
    """What was seen says nothing new the second time."""
    once = settled(entry, found, Wish(values=wanted, acls=None), NOW)
    assert settled(once, found, Wish(values=wanted, acls=None), LATER) == once


@FEW
@given(entry=_entries(), found=_seen(), wanted=_values)
def test_the_order_of_what_is_seen_does_not_matter(
    entry: Entry, found: Seen, wanted: Mapping[FoldedName, SecretValue]
) -> None:
    """Listings and values come in any order."""
    backwards = Seen(
        listed=dict(reversed(tuple(found.listed.items()))), values=dict(reversed(tuple(found.values.items())))
    )
    mirrored = Wish(values=dict(reversed(tuple(wanted.items()))), acls=None)
    assert settled(entry, backwards, mirrored, NOW) == settled(entry, found, Wish(values=wanted, acls=None), NOW)


@FEW
@given(entry=_entries(), found=_seen(), wanted=_values)
def test_nothing_is_forgotten_whose_fate_is_not_known(
    entry: Entry, found: Seen, wanted: Mapping[FoldedName, SecretValue]
) -> None:
    """Of a key that is there, was written to, and was not read, every intent stays."""
    after = settled(entry, found, Wish(values=wanted, acls=None), NOW)
    for key, secret in found.listed.items():
        known = entry.record(key)
        if key in found.values or (known is not None and known.seen_ms == secret.updated_ms):
            continue
        name = entry.name_tag(key)
        assert after.record(key) == known
        for part in ("puts", "deletes"):
            before = [group for group in entry.intents if name in getattr(group, part)]
            kept = [group for group in after.intents if name in getattr(group, part)]
            assert len(kept) == len(before)


@FEW
@given(entry=_entries(), found=_seen(), wanted=_values)
def test_a_timestamp_is_recorded_only_with_the_value_read(
    entry: Entry, found: Seen, wanted: Mapping[FoldedName, SecretValue]
) -> None:
    """A pair that is new was read in this look, and says what was read."""
    after = settled(entry, found, Wish(values=wanted, acls=None), NOW)
    for key in _KEYS:
        pair = after.record(key)
        if pair is None or pair.seen_ms is None or pair == entry.record(key):
            continue
        assert pair.seen_ms == found.listed[key].updated_ms
        assert pair.value == entry.value_tag(key, found.values[key])
