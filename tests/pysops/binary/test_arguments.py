"""Places and values as the sops program is told them."""

from pathlib import Path

import pytest

from reconciler import pysops
from reconciler.pysops.binary.arguments import index_of, json_of
from reconciler.pysops.binary.wrapper import SopsBinary


@pytest.mark.parametrize(
    "index",
    [pytest.param([], id="root"), pytest.param(["sops", "mac"], id="metadata"), pytest.param(["a[0"], id="bracket")],
)
def test_places_that_cannot_be_named_are_refused(index: list[str]) -> None:
    """The version 3.11 would write a second ``sops`` mapping, which nobody can read any more."""
    with pytest.raises(pysops.ArgumentError) as caught:
        index_of(index)
    assert caught.value.advice is not None


@pytest.mark.parametrize("value", [5, True, None, {"a": 1.5}, "\ud800", {"\udfff": "x"}, b"x"])
def test_values_that_sops_would_change_are_refused(value: object) -> None:
    """A number becomes a float, half a character U+FFFD."""
    with pytest.raises(pysops.ArgumentError) as caught:
        json_of(value)  # type: ignore[arg-type]
    assert caught.value.advice is not None


def test_what_is_refused_leaves_the_file_as_it_was(binary: SopsBinary, file: Path) -> None:
    """The program is not even asked."""
    before = file.read_bytes()
    for index, value in (([], "x"), (["a"], 5)):
        with pytest.raises(pysops.ArgumentError):
            binary.set(file, index, value)  # type: ignore[arg-type]
    assert file.read_bytes() == before
