"""What shows of the values of a file without a key: the same as when it is unlocked, whichever way."""

from pathlib import Path
from typing import Final

import pytest

from reconciler import pysops
from reconciler.pysops.leaves import MAX_PATH_BYTES, check_encrypted, leaves
from reconciler.pysops.selectors import selector_of
from tests.pysops.binary.faked import faked
from tests.pysops.handmade import DATA_KEY, handmade, identities_of, seal
from tests.support.age_keys import AgeKey


_SEALED: Final = seal(DATA_KEY, b"x", b"x:")

_LONG: Final = "k" * MAX_PATH_BYTES

REFUSED: Final = {
    "plain text": "x: plain",
    "a number": "x: 5",
    "a bool below": "x: {y: [true]}",
    "a date in a list": "x:\n  - 2024-01-02",
    "an empty comment in a list": f"x:\n  - {_SEALED}\n  #\n  - {_SEALED}",
    "an empty comment in a list in a list": f"x:\n  - - {_SEALED}\n    #\n",
    "a key that is too long": f"? {_LONG}\n: {_SEALED}",
    "keys that are too long together": f"? {_LONG[1:]}\n:\n  y: {_SEALED}",
    "a value that says it is a comment": f"x: {seal(DATA_KEY, b'x', b'x:', 'comment')}",
    "a value that says so in a mapping in a list": f"x:\n  - y: {seal(DATA_KEY, b'x', b'x:y:', 'comment')}",
}
"""Of a file in which everything is encrypted."""

TAKEN: Final = {
    "null": "x: null",
    "empty text": 'x: ""',
    "empty collections": "x: [{}, []]",
    "what is left in plain": "x_unencrypted: [5, plain, true]",
    "an empty comment among what is left in plain": "x_unencrypted:\n  - a\n  #\n  - b",
    "an empty comment in a mapping": 'x:\n  y: ""\n  #\n  z: ""',
    "an item that says it is a comment": f"x:\n  - {seal(DATA_KEY, b'why', b'x:', 'comment')}",
    "keys that are as long as may be": f"? {_LONG[1:]}\n: {seal(DATA_KEY, b'x', _LONG[1:].encode() + b':')}",
}


def _file(body: str, key: AgeKey) -> pysops.Document:
    """Return a file with this body; its MAC fits none, which shows last."""
    metadata = handmade(key.recipient).partition(b"\nsops:")[2]
    return pysops.parse(body.encode() + b"\nsops:" + metadata)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_refused_the_same_whichever_way(case: str, age_key: AgeKey, tmp_path: Path) -> None:
    """Without a key, in-process, and before the sops program is started: in the same words, with the same place."""
    document = _file(REFUSED[case], age_key)
    selector = selector_of(pysops.read_metadata(document))
    binary, fake = faked(tmp_path)
    found = []
    for call in (
        lambda: check_encrypted(document, selector),
        lambda: pysops.decrypt(document, identities_of(age_key)),
        lambda: binary.decrypt(document),
    ):
        with pytest.raises(pysops.DocumentError if "comment" not in REFUSED[case] else pysops.SopsError) as caught:
            call()
        error = caught.value
        found.append((type(error), error.what, error.mark, error.expected, error.advice))
    assert found == [found[0]] * 3
    assert found[0][2] is not None
    assert fake.calls == []


@pytest.mark.parametrize("case", TAKEN)
def test_what_is_taken_is_taken_either_way(case: str, age_key: AgeKey) -> None:
    """Only the MAC is wrong, which needs the key."""
    document = _file(TAKEN[case], age_key)
    check_encrypted(document, selector_of(pysops.read_metadata(document)))
    with pytest.raises(pysops.MacMismatch):
        pysops.decrypt(document, identities_of(age_key))


def test_leaves_come_in_file_order_with_their_paths(age_key: AgeKey) -> None:
    """The metadata aside; list positions count, encrypted ones are taken apart."""
    document = _file(f"a_unencrypted: [1, [b, {{c: ENC}}]]\nx: {_SEALED}\ny: [null]", age_key)
    found = list(leaves(document, selector_of(pysops.read_metadata(document))))
    assert [(leaf.path, leaf.envelope is not None) for leaf in found] == [
        (("a_unencrypted", 0), False),
        (("a_unencrypted", 1, 0), False),
        (("a_unencrypted", 1, 1, "c"), False),
        (("x",), True),
        (("y", 0), False),
    ]


def test_where_comments_decide_only_what_looks_encrypted_counts(age_key: AgeKey) -> None:
    """Nothing is said of the rest."""
    document = _file(f"a: plain\nx: {_SEALED}\ny: [5]", age_key)
    assert [leaf.envelope is not None for leaf in leaves(document, None)] == [False, True, False]
