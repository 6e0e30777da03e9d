"""Drafting the files of what was found."""

from reconciler.importing.placing import parts_of
from reconciler.model import KeyName, SecretValue
from reconciler.policy.sources import MAX_FILE_BYTES


def test_scope_is_cut_into_what_fits_into_files() -> None:
    """A full scope of the largest values is some 125 MB; base64 of base64, as its bytes are written, fits each time."""
    keys = {KeyName(f"k{number:03}"): SecretValue(b"\xff" * 131_072) for number in range(1_000)}
    parts = tuple(parts_of(keys))
    assert [key for part in parts for key in part] == list(keys)
    for part in parts:
        assert sum(len(value.reveal()) for value in part.values()) * 16 / 9 < MAX_FILE_BYTES * 0.95


def test_small_scope_is_one_part() -> None:
    """Nearly every scope is one file."""
    keys = {KeyName(f"k{number}"): SecretValue(b"x" * 1_000) for number in range(1_000)}
    assert tuple(parts_of(keys)) == (keys,)
