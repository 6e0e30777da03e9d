"""Which values are read: those that the ledger does not know, and those that tell whose a key is."""

from collections.abc import Mapping

import pytest

from reconciler.ledger.records import Entry
from reconciler.ledger.settling import Aim, intending
from reconciler.model import FoldedName, KeyName, Prune, SecretValue, fold
from reconciler.survey import Fingerprint, Want, questions
from reconciler.survey.inquiry import fingerprint_of, unasked
from reconciler.workspace import SecretInfo
from tests.support.recorded import STAMP, blank, recording


OLD_MS, NEW_MS = 1_000, 2_000


def _listed(**times: int) -> Mapping[FoldedName, SecretInfo]:
    return {fold(key): SecretInfo(key=KeyName(key), updated_ms=at) for key, at in times.items()}


def _want(*keys: str, prune: Prune = Prune.OWNED) -> Want:
    return Want(keys=frozenset(map(fold, keys)), prune=prune)


RECORDED = recording(blank(), {"a": b"1", "b": b"2"}, OLD_MS)
INTENDED = intending(blank(), Aim(puts={fold("b"): SecretValue(b"2")}), STAMP)


@pytest.mark.parametrize(
    ("want", "listed", "entry", "asked"),
    [
        pytest.param(_want("a", "b"), _listed(a=1, c=1), None, ("a",), id="no entry: all that are wanted and there"),
        pytest.param(_want("a", "b"), _listed(a=OLD_MS, b=OLD_MS), RECORDED, (), id="all known"),
        pytest.param(_want("a", "b"), _listed(a=OLD_MS, b=NEW_MS), RECORDED, ("b",), id="written to since"),
        pytest.param(_want("a"), _listed(a=OLD_MS - 1), RECORDED, ("a",), id="an earlier time is another time"),
        pytest.param(_want("a", "c"), _listed(a=OLD_MS, c=OLD_MS), RECORDED, ("c",), id="not recorded"),
        pytest.param(_want("a"), _listed(a=OLD_MS), recording(blank(), {"a": b"1"}), ("a",), id="never seen"),
        pytest.param(_want("A"), _listed(A=OLD_MS), RECORDED, (), id="another case"),
        pytest.param(_want(), _listed(a=OLD_MS, b=NEW_MS), RECORDED, ("b",), id="ours or theirs?"),
        pytest.param(_want(), _listed(b=NEW_MS, c=NEW_MS), INTENDED, ("b",), id="did an earlier run put it?"),
        pytest.param(_want(prune=Prune.ALL), _listed(b=NEW_MS), RECORDED, ("b",), id="removed or unmanaged?"),
        pytest.param(_want(prune=Prune.NONE), _listed(b=NEW_MS), RECORDED, (), id="nothing is to be deleted"),
        pytest.param(_want(), _listed(c=NEW_MS), RECORDED, (), id="somebody else's"),
    ],
)
def test_what_the_ledger_does_not_know_is_asked(
    want: Want, listed: Mapping[FoldedName, SecretInfo], entry: Entry | None, asked: tuple[str, ...]
) -> None:
    """By key and timestamp; sorted."""
    assert questions(want, listed, entry) == asked


def test_everything_that_is_wanted_is_asked_on_request() -> None:
    """The ledger could be wrong; ``--verify-values`` does not believe it."""
    listed = _listed(a=OLD_MS, b=OLD_MS, c=OLD_MS)

    assert questions(_want("a"), listed, RECORDED, verify_values=True) == ("a",)


def test_each_wanted_key_is_either_known_or_asked() -> None:
    """No third way, or a plan would have nothing to go by."""
    listed = _listed(a=OLD_MS, b=NEW_MS, c=NEW_MS)
    want = _want("a", "b", "d")

    known, asked = unasked(want, listed, RECORDED), questions(want, listed, RECORDED)

    assert known.keys() | {fold(key) for key in asked} == want.keys
    assert not known.keys() & {fold(key) for key in asked}


def test_a_fingerprint_is_the_recorded_one() -> None:
    """Under the salt of the entry, as whoever compares needs it."""
    secret = SecretInfo(key=KeyName("A"), updated_ms=OLD_MS)

    assert fingerprint_of(secret, RECORDED) == Fingerprint(tag=RECORDED.value_tag("a", SecretValue(b"1")))
    assert fingerprint_of(secret, None) is None
