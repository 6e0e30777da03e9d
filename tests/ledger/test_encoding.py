"""The ledger's bytes: whatever is written is read again, and nothing else is read as if it had been written."""

import hashlib
import random
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import Refused
from reconciler.ledger.encoding import (
    MAX_HEAD_SCOPES,
    MAX_IDENTITY_CHARS,
    MAX_MS,
    decode_entry,
    decode_head,
    encode_entry,
    encode_head,
)
from reconciler.ledger.records import Entry, Garbled, Head, Intents, KeyRecord, RunId, Stamp, Tag
from reconciler.model import MAX_KEYS_PER_SCOPE, MAX_VALUE_BYTES, Permission, Principal, SecretValue
from tests.ledger.samples import FRESH, OURS, PLACE, SALT, THEN, entries, heads, put, record, value


HEAD = Head(
    owner=OURS,
    place=PLACE,
    commit="ab" * 20,
    at_ms=1,
    run=RunId(b"r" * 16),
    identity=Principal("robot"),
    scopes=frozenset({FRESH.scope}),
)
FULL = replace(
    FRESH,
    keys={**record(FRESH, "a", "1", 10), **record(FRESH, "b", "2", None, Stamp(at_ms=5, commit=None))},
    grants={FRESH.principal_tag("users"): Permission.READ},
    intents=(
        Intents(
            stamp=Stamp(at_ms=7, commit="c" * 40),
            creates_scope=True,
            puts=put(FRESH, "a", "3").puts,
            deletes=frozenset({FRESH.name_tag("b"), FRESH.name_tag("c")}),
            grants={FRESH.principal_tag("admins"): Permission.MANAGE},
            strangers={FRESH.principal_tag("app"): Permission.READ},
        ),
    ),
)
KEYS_AT = 6 + 16 + 16 + 16 + 32 + 1 + 2 + 2 * 20 + 2
"""Where the first key of `FULL` begins; its two commits come before."""


def sealed(body: bytes) -> SecretValue:
    """Return ``body`` with the checksum that fits."""
    return SecretValue(body + hashlib.sha256(body).digest()[:16])


def body(record_: SecretValue) -> bytes:
    """Return what the checksum is about."""
    return record_.reveal()[:-16]


@given(entry=entries())
def test_an_entry_is_read_as_it_was_written(entry: Entry) -> None:
    """Whatever an entry holds, decoding what was encoded returns it."""
    assert decode_entry(encode_entry(entry)) == entry


@given(head=heads())
def test_a_head_is_read_as_it_was_written(head: Head) -> None:
    """Whatever a head holds, decoding what was encoded returns it."""
    assert decode_head(encode_head(head)) == head


@given(entry=entries(), data=st.data())
def test_one_changed_byte_is_noticed(entry: Entry, data: st.DataObject) -> None:
    """An entry with one byte changed, wherever, is garbled: never another entry, never an error of another kind."""
    raw = bytearray(encode_entry(entry).reveal())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    assert isinstance(decode_entry(SecretValue(bytes(raw))), Garbled)


@given(head=heads(), data=st.data())
def test_a_cut_or_longer_record_is_noticed(head: Head, data: st.DataObject) -> None:
    """A head that ends early or goes on is garbled."""
    raw = encode_head(head).reveal()
    cut = raw[: data.draw(st.integers(0, len(raw) - 1))]
    longer = raw + data.draw(st.binary(min_size=1, max_size=40))
    assert isinstance(decode_head(SecretValue(cut)), Garbled)
    assert isinstance(decode_head(SecretValue(longer)), Garbled)


@given(entry=entries(), data=st.data())
def test_a_forged_body_with_a_checksum_that_fits_is_no_crash(entry: Entry, data: st.DataObject) -> None:
    """With the checksum put right, changed bytes are garbled, of a newer version, or exactly what would be written."""
    raw = bytearray(body(encode_entry(entry)))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)) | st.just(len(raw)))] + data.draw(st.binary(max_size=3))
    forged = sealed(bytes(raw))
    try:
        found = decode_entry(forged)
    except Refused:
        assert raw[4] > 1
        return
    assert isinstance(found, Garbled) or (isinstance(found, Entry) and encode_entry(found) == forged)


@given(raw=st.binary(max_size=200) | st.binary(max_size=200).map(lambda tail: b"RCNL\x01\x01" + tail))
def test_random_bytes_are_garbled(raw: bytes) -> None:
    """Whatever stands in the ledger under our names is looked at without an error."""
    assert isinstance(decode_entry(SecretValue(raw)), Garbled)
    assert isinstance(decode_head(sealed(b"RCNL\x01\x02" + raw)), Garbled | Head)


def _replaced(at: int, new: bytes) -> bytes:
    raw = body(encode_entry(FULL))
    return raw[:at] + new + raw[at + len(new) :]


_KEYS = body(encode_entry(FULL))[KEYS_AT : KEYS_AT + 2 * 46]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(body(encode_entry(FULL)) + b"\0", id="something behind the end"),
        pytest.param(_replaced(KEYS_AT, _KEYS[46:] + _KEYS[:46]), id="keys not sorted"),
        pytest.param(_replaced(KEYS_AT, _KEYS[:46] * 2), id="one key twice"),
        pytest.param(_replaced(KEYS_AT - 2, b"\xff\xff"), id="more keys than there is room for"),
        pytest.param(_replaced(KEYS_AT - 2, b"\0\1"), id="fewer keys than there are"),
        pytest.param(_replaced(KEYS_AT + 44, b"\0\2"), id="a commit that is not in the table"),
        pytest.param(_replaced(KEYS_AT + 38, b"\xff" * 6), id="a time that is none"),
        pytest.param(_replaced(KEYS_AT - 42, b"\xcc" * 20), id="a commit twice in the table"),
        pytest.param(_replaced(KEYS_AT - 42, b"\xdd" * 20), id="commits not sorted"),
        pytest.param(_replaced(KEYS_AT - 45, b"\x15"), id="commits of a width that is none"),
        pytest.param(_replaced(KEYS_AT + 2 * 46 + 2 + 16, b"\4"), id="a permission that is none"),
        pytest.param(_replaced(KEYS_AT + 2 * 46 + 2 + 16, b"\0"), id="no permission"),
        pytest.param(_replaced(KEYS_AT + 2 * 46 + 2 + 17 + 2 + 8, b"\3"), id="a flag that is none"),
        pytest.param(_replaced(5, b"\2"), id="the other kind"),
        pytest.param(_replaced(4, b"\0"), id="a version before the first"),
        pytest.param(_replaced(0, b"X"), id="no record of ours"),
        pytest.param(body(encode_head(HEAD)), id="a head"),
    ],
)
def test_what_would_not_be_written_so_is_garbled(raw: bytes) -> None:
    """A checksum that fits does not make a record out of what the encoder never writes."""
    assert isinstance(decode_entry(sealed(raw)), Garbled)


def test_commits_that_no_stamp_names_are_garbled() -> None:
    """The table of commits holds those that are referred to and no other, so nothing can hide there."""
    raw = body(encode_entry(FRESH))
    at = KEYS_AT - 2 - 2 * 20 - 3
    assert raw[at : at + 3] == b"\0\0\0"
    assert isinstance(decode_entry(sealed(raw[:at] + b"\x14\0\1" + b"\xaa" * 20 + raw[at + 3 :])), Garbled)


def test_an_empty_group_of_intents_is_garbled() -> None:
    """Intents that intend nothing are not written, and so not read."""
    raw = body(encode_entry(FRESH))
    empty = bytes(6) + b"\xff\xff" + b"\0" + bytes(8)
    assert isinstance(decode_entry(sealed(raw[:-2] + b"\0\1" + empty)), Garbled)


@pytest.mark.parametrize(
    "identity", [pytest.param(b"\xff", id="no UTF-8"), pytest.param(b"\xed\xa0\x80", id="half a surrogate pair")]
)
def test_an_identity_that_is_no_text_is_garbled(identity: bytes) -> None:
    """The identity of a head is UTF-8."""
    raw = body(encode_head(HEAD)).replace(b"\0\5robot", len(identity).to_bytes(2) + identity)
    assert decode_head(sealed(raw)) == Garbled(why="its identity is no text")


def test_a_newer_version_is_refused() -> None:
    """What a newer version wrote, and wrote whole, is not rebuilt over: whoever runs has to upgrade."""
    newer = sealed(b"RCNL\x02\x01whatever it may hold")
    with pytest.raises(Refused, match="newer version") as caught:
        decode_entry(newer)
    assert "upgrade" in (caught.value.advice or "")
    with pytest.raises(Refused, match="newer version"):
        decode_head(newer)


def test_a_damaged_newer_version_is_garbled() -> None:
    """Damage that happens to look like a newer version locks nobody out."""
    raw = bytearray(encode_entry(FULL).reveal())
    raw[4] = 2
    assert decode_entry(SecretValue(bytes(raw))) == Garbled(why="its checksum does not fit")


@pytest.mark.parametrize(
    ("stamp", "read"),
    [
        pytest.param(Stamp(at_ms=-1, commit=None), Stamp(at_ms=0, commit=None), id="before 1970"),
        pytest.param(Stamp(at_ms=2**60, commit=None), Stamp(at_ms=MAX_MS, commit=None), id="beyond the year 10000"),
        pytest.param(Stamp(at_ms=1, commit="HEAD"), Stamp(at_ms=1, commit=None), id="a commit that is no hash"),
    ],
)
def test_a_stamp_without_room_is_written_as_near_as_it_goes(stamp: Stamp, read: Stamp) -> None:
    """A clock or a platform that is off does not keep the ledger from being written."""
    found = decode_entry(encode_entry(replace(FRESH, keys=record(FRESH, "a", "1", MAX_MS + 1, stamp))))
    assert isinstance(found, Entry)
    (key,) = found.keys.values()
    assert key.changed == read
    assert key.seen_ms is None  # no time: the value is read next time


@pytest.mark.parametrize("ms", [MAX_MS + 1, 2**48 - 2, 2**48 - 1])
def test_a_time_that_nobody_can_be_told_is_garbled(ms: int) -> None:
    """A record with a time after the year 9999, which ends in an OverflowError where it is told, is never handed on."""
    head, entry, time = body(encode_head(HEAD)), body(encode_entry(FULL)), ms.to_bytes(6)
    at = 6 + 16 + 16 + 16
    assert isinstance(decode_head(sealed(head[:at] + time + head[at + 6 :])), Garbled)
    at = KEYS_AT + 32
    seen, changed = sealed(entry[:at] + time + entry[at + 6 :]), sealed(entry[: at + 6] + time + entry[at + 12 :])
    assert isinstance(decode_entry(changed), Garbled)
    if ms == 2**48 - 1:
        assert isinstance(decode_entry(seen), Entry)  # all ones: not seen
    else:
        assert isinstance(decode_entry(seen), Garbled)


def test_a_clock_that_is_off_by_millennia_keeps_no_head_from_being_written() -> None:
    """What is written can be told: the latest time that there is."""
    found = decode_head(encode_head(replace(HEAD, at_ms=2**60)))
    assert isinstance(found, Head)
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=found.at_ms) < datetime.max.replace(tzinfo=UTC)


def test_after_a_move_to_sha256_the_old_commits_are_left_out() -> None:
    """A table has hashes of one width; those of before the move name nothing any more."""
    old, new = Stamp(at_ms=1, commit="a" * 40), Stamp(at_ms=2, commit="b" * 64)
    entry = replace(FRESH, keys={**record(FRESH, "a", "1", 1, old), **record(FRESH, "b", "1", 1, new)})
    found = decode_entry(encode_entry(entry))
    assert isinstance(found, Entry)
    assert {key.changed.commit for key in found.keys.values()} == {None, "b" * 64}


def test_an_identity_is_cut_and_mended() -> None:
    """However somebody is called, a head can be written."""
    found = decode_head(encode_head(replace(HEAD, identity=Principal("\ud800" + "\N{SNOWMAN}" * 1_000))))
    assert isinstance(found, Head)
    assert found.identity == "?" + "\N{SNOWMAN}" * (MAX_IDENTITY_CHARS - 1)


def test_a_head_has_room_for_many_scopes() -> None:
    """Eight times as many scopes as a workspace has fit into one secret; more are a mistake."""
    scopes = frozenset(Tag(number.to_bytes(16)) for number in range(MAX_HEAD_SCOPES))
    head = replace(HEAD, commit="f" * 64, identity=Principal("\N{GRINNING FACE}" * MAX_IDENTITY_CHARS), scopes=scopes)
    assert len(encode_head(head).reveal()) <= MAX_VALUE_BYTES
    assert decode_head(encode_head(head)) == head
    with pytest.raises(ValueError, match="8000"):
        encode_head(replace(head, scopes=scopes | {Tag(b"\xff" * 16)}))


def _large(commit_bytes: int, *, keys: int = MAX_KEYS_PER_SCOPE, groups: int = 1) -> Entry:
    """Return the entry of a full scope, each key changed at a commit of its own, with intents to exchange all keys."""
    some = random.Random(5)  # noqa: S311 - a fixed sample, not a secret

    def tag() -> Tag:
        return Tag(some.randbytes(16))

    def stamp(at_ms: int) -> Stamp:
        return Stamp(at_ms=at_ms, commit=some.randbytes(commit_bytes).hex())

    return Entry(
        owner=uuid.UUID(int=1),
        place=tag(),
        scope=tag(),
        salt=SALT,
        keys={tag(): KeyRecord(value=tag(), seen_ms=at_ms, changed=stamp(at_ms)) for at_ms in range(keys)},
        grants={tag(): Permission.READ for _ in range(100)},
        intents=tuple(
            Intents(
                stamp=stamp(keys + group),
                puts={tag(): tag() for _ in range(MAX_KEYS_PER_SCOPE)},
                deletes=frozenset(tag() for _ in range(MAX_KEYS_PER_SCOPE)),
                grants={tag(): Permission.READ for _ in range(100)},
            )
            for group in range(groups)
        ),
    )


@pytest.mark.parametrize(
    ("commit_bytes", "groups", "size"),
    [
        pytest.param(20, 0, 67_811, id="SHA-1, at rest"),
        pytest.param(20, 1, 117_548, id="SHA-1, all keys about to be exchanged"),
        pytest.param(32, 0, 79_811, id="SHA-256, at rest"),
        pytest.param(32, 1, 129_560, id="SHA-256, all keys about to be exchanged"),
    ],
)
def test_the_largest_scope_fits_with_all_its_intents(commit_bytes: int, groups: int, size: int) -> None:
    """1,000 keys changed at 1,000 commits, 1,000 puts, 1,000 deletes and 200 grants are one secret; nothing is lost."""
    entry = _large(commit_bytes, groups=groups)
    encoded = encode_entry(entry)
    assert len(encoded.reveal()) == size <= MAX_VALUE_BYTES
    assert decode_entry(encoded) == entry


def test_the_oldest_intents_are_dropped_first() -> None:
    """What does not fit is left out: intents of earlier runs first, those of this one kept."""
    entry = _large(20, groups=3)
    assert decode_entry(encode_entry(entry)) == replace(entry, intents=entry.intents[-1:])


def test_commits_of_the_oldest_changes_are_dropped_next() -> None:
    """Where the newest intents do not fit beside all commits, those of the oldest changes go."""
    entry = _large(32, keys=1_040)
    found = decode_entry(encode_entry(entry))
    assert isinstance(found, Entry)
    assert found.intents == entry.intents
    without = {key.seen_ms for key in found.keys.values() if key.changed.commit is None}
    assert without == set(range(len(without)))
    assert 0 < len(without) < 100


@pytest.mark.parametrize(
    ("keys", "kept"), [pytest.param(2_500, 2_500, id="no commits"), pytest.param(9_000, 2_846, id="the newest keys")]
)
def test_an_entry_always_fits(keys: int, kept: int) -> None:
    """However much is known, the ledger can be written; the keys of the newest changes are kept."""
    encoded = encode_entry(_large(20, keys=keys))
    found = decode_entry(encoded)
    assert len(encoded.reveal()) <= MAX_VALUE_BYTES
    assert isinstance(found, Entry)
    assert {key.seen_ms for key in found.keys.values()} == set(range(keys - kept, keys))


def test_intents_that_intend_nothing_are_not_written() -> None:
    """An empty group leaves no trace."""
    assert encode_entry(replace(FRESH, intents=(Intents(stamp=THEN),))) == encode_entry(FRESH)


def test_the_layout_is_as_documented() -> None:
    """The bytes are those of the tables in docs/ledger.md, put together here by hand: a new layout needs a version."""
    a, b, c = map(FRESH.name_tag, ("a", "b", "c"))
    assert c < a < b
    commits = bytes.fromhex("a" * 40 + "c" * 40)
    expected = b"".join(
        (
            b"RCNL\1\1" + OURS.bytes + PLACE + FRESH.scope + SALT,
            b"\x14\0\2" + commits,
            b"\0\2",
            a + FRESH.value_tag("a", value("1")) + b"\0\0\0\0\0\x0a" + THEN.at_ms.to_bytes(6) + b"\0\0",
            b + FRESH.value_tag("b", value("2")) + b"\xff" * 6 + b"\0\0\0\0\0\5" + b"\xff\xff",
            b"\0\1" + FRESH.principal_tag("users") + b"\1",
            b"\0\1",
            b"\0\0\0\0\0\7\0\1" + b"\1" + b"\0\1\0\2\0\1\0\1",
            a + FRESH.value_tag("a", value("3")) + c + b + FRESH.principal_tag("admins") + b"\3",
            FRESH.principal_tag("app") + b"\1",
        )
    )
    assert encode_entry(FULL) == sealed(expected)
    expected = b"".join(
        (
            b"RCNL\1\2" + OURS.bytes + PLACE + b"r" * 16 + b"\0\0\0\0\0\1",
            b"\x14" + bytes.fromhex("ab" * 20),
            b"\0\5robot" + b"\0\1" + FRESH.scope,
        )
    )
    assert encode_head(HEAD) == sealed(expected)
