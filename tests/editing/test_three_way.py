"""Joining two edits of one text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import pysops
from reconciler.editing.three_way import MARKERS, join


LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d: 1\n"]), max_size=12).map("".join)


@settings(max_examples=50)
@given(before=LINES, other=LINES)
def test_an_edit_of_one_side_is_what_comes_out(before: str, other: str) -> None:
    """Whoever changed nothing has no say; and both saying the same is no conflict."""
    assert join(before, mine=other, theirs=before).text == other
    assert join(before, mine=before, theirs=other).text == other
    joined = join(before, mine=other, theirs=other)
    assert (joined.text, joined.conflicts) == (other, 0)


@settings(max_examples=50)
@given(before=LINES, mine=LINES, theirs=LINES)
def test_conflicts_are_counted_and_marked(before: str, mine: str, theirs: str) -> None:
    """There are as many markers as conflicts, and every line is one of somebody's."""
    joined = join(before, mine=mine, theirs=theirs)
    lines = joined.text.splitlines(keepends=True)
    assert [lines.count(marker) for marker in MARKERS] == [joined.conflicts] * 3
    assert set(lines) - set(MARKERS) <= set((mine + theirs).splitlines(keepends=True))


def test_edits_of_different_places_both_count() -> None:
    """That is what it is for."""
    before = "a: 1\nb: 2\nc: 3\nd: 4\n"
    joined = join(before, mine="a: one\nb: 2\nc: 3\nd: 4\n", theirs="a: 1\nb: 2\nc: 3\nd: 4\ne: 5\n")
    assert (joined.text, joined.conflicts) == ("a: one\nb: 2\nc: 3\nd: 4\ne: 5\n", 0)


@pytest.mark.parametrize(
    ("before", "mine", "theirs"),
    [
        pytest.param("secrets:\n    a: x\n", "secrets:\n    a: y\n", "secrets:\n    a: z\n", id="values"),
        pytest.param("a: |\n    x\n", "a: |\n    y\n", "a: |\n    z\n", id="within-a-block"),
        pytest.param("a: x", "a: y", "a: z", id="without-a-last-line-feed"),
    ],
)
def test_a_conflict_cannot_be_saved_by_mistake(before: str, mine: str, theirs: str) -> None:
    """Its markers are no YAML that is read."""
    joined = join(before, mine=mine, theirs=theirs)
    assert joined.conflicts == 1
    with pytest.raises(pysops.DocumentError):
        pysops.parse(joined.text.encode())
