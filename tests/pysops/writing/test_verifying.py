"""What was made is read again before anybody gets to see it: a defect of ours is found, and nothing is written."""

import pytest

from reconciler import pysops
from reconciler.pysops import DecryptionError, Recipient
from reconciler.pysops.key_groups import recover_data_key
from reconciler.pysops.writing.sealing import Sealer
from reconciler.pysops.writing.splices import Splice, spliced
from reconciler.pysops.writing.verifying import groups_of, selectors_of, verify
from tests.pysops.writing.desk import Desk


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        pytest.param("nothing", None, id="nothing"),
        pytest.param("values", "values", id="other-values"),
        pytest.param("order", "values", id="other-order"),
        pytest.param("kind", "values", id="other-kind"),
        pytest.param("recipients", "others", id="other-recipients"),
        pytest.param("selector", "selector", id="other-selector"),
        pytest.param("text", "read again", id="no-file"),
        pytest.param("key", "read again", id="other-key"),
    ],
)
def test_what_is_not_as_meant_is_refused(spoil: str, why: str | None, desk: Desk) -> None:
    """Each part of it."""
    made = desk.ours(b"secrets:\n    a: x\n    b: 1\n")
    metadata = pysops.metadata(made)
    sealer = Sealer(recover_data_key(metadata, desk.identities))
    values: dict[str, object] = {"secrets": {"a": "x", "b": 1}}
    changed = {"values": {"a": "y", "b": 1}, "order": {"b": 1, "a": "x"}, "kind": {"a": "x", "b": True}}
    stranger = Recipient(kind="age", name="age1x")

    def check() -> None:
        verify(
            made + b"x" if spoil == "text" else made,
            Sealer.new() if spoil == "key" else sealer,
            {"secrets": changed[spoil]} if spoil in changed else values,
            [frozenset({stranger})] if spoil == "recipients" else groups_of(metadata),
            {} if spoil == "selector" else selectors_of(metadata),
        )

    if why is None:
        check()
        return
    with pytest.raises(DecryptionError, match=why):
        check()


def test_parts_of_a_text_are_replaced() -> None:
    """In any order of the parts; what is put in at one place stays in the order given."""
    parts = [Splice(start=4, end=4, text="1"), Splice(start=0, end=2, text="x"), Splice(start=4, end=4, text="2")]
    assert spliced("abcdef", parts) == "xcd12ef"
    with pytest.raises(ValueError, match="overlap"):
        spliced("abcdef", [Splice(start=0, end=3, text=""), Splice(start=2, end=4, text="")])
