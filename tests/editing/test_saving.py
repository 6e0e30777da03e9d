"""Files are put in one step each, and never through a link or over what somebody else wrote."""

import os
import stat
from pathlib import Path

import pytest

from reconciler.editing.saving import ChangedMeanwhile, FileChange, put_file, put_files
from reconciler.errors import ReconcilerError, Refused


def test_a_new_file_gets_its_folders_and_the_mode_of_the_user(tmp_path: Path) -> None:
    """As if an editor had made it; nothing else is left in the folder."""
    put_file(tmp_path, "secrets/prod/app.yaml", None, b"new")
    place = tmp_path / "secrets/prod/app.yaml"
    assert place.read_bytes() == b"new"
    assert stat.S_IMODE(place.stat().st_mode) & 0o133 == 0
    assert os.listdir(place.parent) == ["app.yaml"]  # noqa: PTH208  # hidden ones, too


def test_a_file_keeps_its_mode(tmp_path: Path) -> None:
    """A file for its owner alone stays so."""
    place = tmp_path / "app.yaml"
    place.write_bytes(b"old")
    place.chmod(0o600)
    put_file(tmp_path, "app.yaml", b"old", b"new")
    assert (place.read_bytes(), stat.S_IMODE(place.stat().st_mode)) == (b"new", 0o600)


@pytest.mark.parametrize("before", [pytest.param(b"old", id="changed"), pytest.param(None, id="made")])
def test_what_somebody_wrote_meanwhile_stays(tmp_path: Path, before: bytes | None) -> None:
    """Of two commands at once the second one is told to run again."""
    place = tmp_path / "app.yaml"
    place.write_bytes(b"theirs")
    with pytest.raises(Refused, match=r"meanwhile|by now"):
        put_file(tmp_path, "app.yaml", before, b"ours")
    assert place.read_bytes() == b"theirs"
    assert len(list(tmp_path.iterdir())) == 1


def test_no_folder_is_a_link(tmp_path: Path) -> None:
    """A branch may have committed a link that leads out of the repository."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "secrets").symlink_to(outside)
    with pytest.raises(Refused, match="no folder"):
        put_file(tmp_path, "secrets/app.yaml", None, b"new")
    with pytest.raises(Refused, match="no folder"):
        put_files(tmp_path, [FileChange(path="secrets/app.yaml", before=b"old", after=None)])
    assert list(outside.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Such as one that is a file."""
    (tmp_path / "secrets").write_bytes(b"")
    with pytest.raises(ReconcilerError, match="secrets"):
        put_file(tmp_path, "secrets/app.yaml", None, b"new")


def test_only_what_was_read_is_deleted(tmp_path: Path) -> None:
    """A value that somebody added meanwhile does not go with the file."""
    place = tmp_path / "app.yaml"
    place.write_bytes(b"theirs")
    with pytest.raises(ChangedMeanwhile, match="meanwhile"):
        put_files(tmp_path, [FileChange(path="app.yaml", before=b"old", after=None)])
    put_files(tmp_path, [FileChange(path="app.yaml", before=b"theirs", after=None)])
    assert not place.exists()


def test_of_several_files_none_is_written_where_one_cannot_be(tmp_path: Path) -> None:
    """What can be foreseen is found before the first is exchanged: a folder in the way, a file that changed."""
    (tmp_path / "one.yaml").write_bytes(b"old")
    (tmp_path / "secrets").write_bytes(b"")
    (tmp_path / "other.yaml").write_bytes(b"theirs")
    one = FileChange(path="one.yaml", before=b"old", after=b"new")
    changed = FileChange(path="other.yaml", before=b"old", after=b"new")
    with pytest.raises(ChangedMeanwhile):
        put_files(tmp_path, [one, changed])
    with pytest.raises(ReconcilerError):
        put_files(tmp_path, [one, FileChange(path="secrets/app.yaml", before=None, after=b"new")])
    assert (tmp_path / "one.yaml").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.yaml", "other.yaml", "secrets"]


def test_what_a_killed_command_left_goes_with_the_next_one(tmp_path: Path) -> None:
    """Such a file of ciphertext would be taken for an uncommitted one, and be committed by `git add`."""
    (tmp_path / "secrets/dev").mkdir(parents=True)
    for name in (".app.yaml.a1b2c3_4.new", ".mine.new", "app.yaml.a1b2c3d4.new"):
        (tmp_path / "secrets/dev" / name).write_bytes(b"")
    put_file(tmp_path, "secrets/prod/app.yaml", None, b"new")
    left = sorted(path.name for path in (tmp_path / "secrets/dev").iterdir())
    assert left == [".mine.new", "app.yaml.a1b2c3d4.new"]
