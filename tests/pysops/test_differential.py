"""Our reader against the real sops, value by value, on random documents.

A failure prints the seed; ``random_document(random.Random(seed))`` makes the document again.
"""

import json
import math
import random

import pytest

from reconciler import pysops
from tests.pysops.random_documents import RandomDocument, random_document
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsTool


DOCUMENTS_PER_CASE = 31


@pytest.mark.parametrize("case", range(10))
def test_random_documents_decrypt_as_sops_does(case: int, sops: SopsTool) -> None:
    """Every value is the one that was encrypted and the one that sops decrypts, with its type."""
    for seed in range(case * DOCUMENTS_PER_CASE, (case + 1) * DOCUMENTS_PER_CASE):
        rng = random.Random(seed)  # noqa: S311  # no secret depends on it
        document = random_document(rng)
        keys = [AgeKey.generate() for _ in range(rng.randint(1, 4))]
        ciphertext = sops.encrypt(
            document.plaintext,
            [key.recipient for key in keys],
            mac_only_encrypted=document.mac_only_encrypted,
            extra_args=document.selection.flags,
        )
        try:
            _compare(document, ciphertext, rng.choice(keys).identity, sops)
        except (AssertionError, pysops.SopsError) as error:
            error.add_note(f"seed {seed}\n{document.plaintext.decode()}\n{ciphertext.decode()}")
            raise


def _compare(document: RandomDocument, ciphertext: bytes, identity: str, sops: SopsTool) -> None:
    ours = pysops.load(ciphertext, pysops.Identities.from_text(identity, "test"))
    assert list(ours) == list(document.values)
    assert _exact(ours) == _exact(document.values)
    if document.json_can_hold:
        theirs = json.loads(sops.decrypt(ciphertext, identity, output_type="json"))
        assert _as_json(ours) == _as_json(theirs)
    else:
        sops.decrypt(ciphertext, identity)


def _exact(value: object) -> object:
    """Return ``value`` so that ``==`` tells apart 1, 1.0 and true, and 0.0 and -0.0, and finds NaN equal to itself."""
    match value:
        case dict():
            return [(key, _exact(below)) for key, below in value.items()]
        case list():
            return [_exact(item) for item in value]
        case float():
            return ("float", "nan" if math.isnan(value) else value.hex())
        case _:
            return (type(value).__name__, value)


def _as_json(value: object) -> object:
    """Return ``value`` so that ``==`` compares what sops tells in JSON: it writes 5.0 as 5, rounded beyond 2**53."""
    match value:
        case dict():
            return {key: _as_json(below) for key, below in value.items()}
        case list():
            return [_as_json(item) for item in value]
        case int() | float() if not isinstance(value, bool):
            return ("number", float(value))
        case _:
            return (type(value).__name__, value)
