"""Where plain text stands while it is edited."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.editing.private_folder import PREFIX, About, PrivateFolder, is_in_memory, left_behind, make, places
from reconciler.errors import ReconcilerError


ABOUT = About(root="/repo", file="secrets/demo/app.yaml")

MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:5 / /dev rw,nosuid - devtmpfs udev rw
24 22 0:22 / /shm rw,nosuid,nodev shared:4 - tmpfs tmpfs rw
25 22 0:23 / /run/user/1000 rw - tmpfs tmpfs rw,size=1024k
26 22 0:24 / /scratch rw - tmpfs tmpfs rw
27 22 8:2 / /scratch rw - xfs /dev/sdb rw
28 22 0:25 / /mnt/with\040blank rw - ramfs ramfs rw
29 24 8:3 / /shm/disk rw - ext4 /dev/sdc rw
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/shm/reconciler-edit-x", True, id="tmpfs"),
        pytest.param("/run/user/1000", True, id="the-mount-point-itself"),
        pytest.param("/mnt/with blank/a", True, id="ramfs-with-a-blank"),
        pytest.param("/home/me", False, id="disk"),
        pytest.param("/shm/disk/a", False, id="a-disk-mounted-below"),
        pytest.param("/shmother", False, id="another-name-that-begins-alike"),
        pytest.param("/scratch/a", False, id="a-disk-mounted-over-it"),
        pytest.param("/dev/other", False, id="devtmpfs-is-none-of-them"),
    ],
)
def test_what_is_mounted_decides_whether_a_place_is_in_memory(path: str, *, expected: bool) -> None:
    """Not its name: a folder that is memory on one machine is a disk on another."""
    assert is_in_memory(Path(path), MOUNTS) is expected


def test_nothing_is_known_to_be_in_memory_where_nobody_can_tell() -> None:
    """Without a table of mounts the user is warned."""
    assert not is_in_memory(Path("/shm"), "")


def test_places_are_named_by_the_environment_and_exist(tmp_path: Path) -> None:
    """Relative and missing ones are passed over; the folder for temporary files comes last."""
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    found = places({"XDG_RUNTIME_DIR": str(runtime), "TMPDIR": "relative"})
    assert found[0] == runtime
    assert all(place.is_absolute() and place.is_dir() for place in found)
    assert tmp_path / "gone" not in places({"XDG_RUNTIME_DIR": str(tmp_path / "gone")})


def test_a_folder_is_for_its_owner_alone_and_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    """Mode 0700, text 0600; what an editor left beside the text goes as well."""
    folder = make(ABOUT, (tmp_path,))
    folder.write(b"text")
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.text.stat().st_mode) == 0o600
    assert folder.text.name == "app.yaml"
    assert folder.read() == b"text"
    (folder.text.parent / ".app.yaml.swp").write_bytes(b"swap")
    (folder.text.parent / "locked").mkdir(mode=0o500)
    assert folder.remove()
    assert not any(tmp_path.iterdir())
    folder.release()


def test_a_link_that_an_editor_left_in_place_of_the_text_is_not_followed(tmp_path: Path) -> None:
    """What it leads to is no edit, and stays."""
    other = tmp_path / "other"
    other.write_bytes(b"not this")
    place = tmp_path / "place"
    place.mkdir()
    folder = make(ABOUT, (place,))
    folder.text.symlink_to(other)
    assert folder.read() is None
    assert folder.remove()
    assert other.read_bytes() == b"not this"
    folder.release()


def test_places_that_cannot_be_written_are_passed_over(tmp_path: Path) -> None:
    """The next one is taken; without any the error says which would do."""
    file = tmp_path / "file"
    file.write_bytes(b"")
    folder = make(ABOUT, (file, tmp_path))
    assert folder.path.parent == tmp_path
    folder.remove()
    folder.release()
    with pytest.raises(ReconcilerError, match="no private place"):
        make(ABOUT, (file,))


def test_a_folder_in_use_is_not_left_behind(tmp_path: Path) -> None:
    """Neither by another run nor by its own."""
    folder = make(ABOUT, (tmp_path,))
    with left_behind((tmp_path,)) as found:
        assert found == ()
    folder.remove()
    folder.release()


def _abandoned(place: Path) -> None:
    """Make a folder in a process that is killed."""
    script = (
        "import os, signal; from pathlib import Path; from reconciler.editing.private_folder import About, make\n"
        f"folder = make(About(root='/repo', file='secrets/demo/app.yaml'), (Path({str(place)!r}),))\n"
        "folder.write_before(b'before'); folder.write(b'typed'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    env = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run((sys.executable, "-c", script), env=env, check=False)


def test_the_folder_of_a_killed_run_is_found_with_what_was_typed(tmp_path: Path) -> None:
    """The next run knows which file it is about, and holds the folder while it looks at it."""
    _abandoned(tmp_path)
    with left_behind((tmp_path,)) as found:
        (folder,) = found
        assert (folder.about, folder.read_before(), folder.read()) == (ABOUT, b"before", b"typed")
        with left_behind((tmp_path,)) as again:
            assert again == ()
        assert folder.remove()
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["file", "link", "open-to-others", "empty"])
def test_what_others_put_under_such_a_name_is_left_alone(tmp_path: Path, what: str) -> None:
    """Everybody can write into the places: only a folder of ours, closed to others and whole, is taken for one."""
    place = tmp_path / "place"
    place.mkdir()
    name = place / f"{PREFIX}x"
    real: PrivateFolder | None = None
    if what == "file":
        name.write_bytes(b"")
    elif what == "empty":
        name.mkdir(mode=0o700)
    else:
        real = make(ABOUT, (tmp_path,))
        real.release()
        if what == "link":
            name.symlink_to(real.path)
        else:
            real.path.rename(name)
            name.chmod(0o755)
    with left_behind((place,)) as found:
        assert found == ()
