"""The differential suite: random documents and mutants of them, read by us and by the real sops.

Hypothesis draws and shrinks. What sops encrypts is different each time, as it draws keys of its own; within one run a
document is encrypted once, so that shrinking sees the same file again.
"""

import base64
from typing import Final

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from reconciler import pysops
from tests.pysops.mutations import mutants
from tests.pysops.random_documents import KEYS_AT_HAND, RandomDocument, random_documents
from tests.pysops.strictness import CLASSES_OF_UNICODE, SELECTED_BY_COMMENT, reason_of
from tests.pysops.verdicts import Tally, compare, exact, is_same, reading_of
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsFailed, SopsTool


FIRST_VERSION: Final = (3, 13, 3)
"""Our reader follows this sops. Older ones write the same files, but decode the metadata by other rules, so that they
refuse other mutants."""


def compare_documents(seed: int, *, documents: int, mutants_each: int, honest_one_in: int, sops: SopsTool) -> Tally:
    """Compare random documents, honest and mutated.

    Args:
        seed: of Hypothesis.
        documents: how many; Hypothesis may make a few more or less of it.
        mutants_each: how many mutants of each document; none with a sops before `FIRST_VERSION`.
        honest_one_in: how often sops is to read the honest file as well, the plaintext of which is known anyway: each
            call takes some twenty milliseconds.
        sops: the judge.

    Returns:
        The counts.

    Raises:
        AssertionError: we and sops differ; shrunk, with the file and its keys in a note.
    """
    tally = Tally()
    scene = _Scene(sops)
    if sops.version < FIRST_VERSION:
        mutants_each = 0

    @hypothesis.seed(seed)
    @settings(
        max_examples=documents,
        phases=(Phase.generate, Phase.shrink),  # explaining would run the binary a few hundred times more
        suppress_health_check=list(HealthCheck),  # encrypting takes its time
        report_multiple_bugs=False,
    )
    @given(random_documents(), st.data())
    def agree(document: RandomDocument, data: st.DataObject) -> None:
        file = honest = scene.encrypt(document)
        identities = scene.identities(document)
        try:
            if document.selection.by_comment or data.draw(st.integers(0, honest_one_in - 1)) == 0:
                _compare_theirs(document, file, identities, sops)
            _compare_honest(document, file, identities)
            tally.documents += 1
            tally.selected_by_comment += document.selection.by_comment
            for _ in range(mutants_each):
                file = data.draw(mutants(honest)).data
                if file == honest:
                    tally.unchanged += 1
                else:
                    compare(file, identities, sops, tally)
        except Exception as error:
            error.add_note(_replayable(document, file, identities))
            raise

    agree()
    return tally


class _Scene:
    """Keys for all documents of a run, and what has been encrypted."""

    def __init__(self, sops: SopsTool) -> None:
        self._sops = sops
        self._keys = tuple(AgeKey.generate() for _ in range(KEYS_AT_HAND))
        self._files: dict[tuple[bytes, bytes], bytes] = {}

    def encrypt(self, document: RandomDocument) -> bytes:
        known = (document.plaintext, document.config)
        if known not in self._files:
            config = document.config
            for number, key in enumerate(self._keys):
                config = config.replace(b"{%d}" % number, key.recipient.encode())
            self._files[known] = self._sops.encrypt_by_config(document.plaintext, config)
        return self._files[known]

    def identities(self, document: RandomDocument) -> str:
        return "\n".join(self._keys[number].identity for number in document.opened_by)


def _compare_theirs(document: RandomDocument, file: bytes, identities: str, sops: SopsTool) -> None:
    try:
        theirs = reading_of(file, identities, sops)
    except SopsFailed:
        # It does not read each file that it selected by comment, as it writes some comments in front of other things
        # than it found them (3.13.3).
        if not document.selection.by_comment:
            raise
    else:
        assert is_same(document.values, theirs) is not False


def _compare_honest(document: RandomDocument, file: bytes, identities: str) -> None:
    try:
        ours = pysops.load(file, pysops.Identities.from_text(identities, "test"))
    except pysops.SopsError as error:
        # Keys of noncharacters are drawn, too, and nobody knows which class they have.
        if reason_of(error, file) != (SELECTED_BY_COMMENT if document.selection.by_comment else CLASSES_OF_UNICODE):
            raise
    else:
        assert not document.selection.by_comment
        assert exact(ours) == exact(document.values)


def _replayable(document: RandomDocument, file: bytes, identities: str) -> str:
    return "\n".join(
        (
            f"identities, of no other use:\n{identities}",
            f"the document that was encrypted:\n{document.plaintext.decode()}",
            f"the file (base64): {base64.b64encode(file).decode()}",
            f"the file:\n{file.decode(errors='replace')}",
        )
    )
