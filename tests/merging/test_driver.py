"""The driver by itself: what it does to the file of our side, and what it says."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from reconciler.merging.driver import CONFLICT, MERGED, Files, drive
from tests.merging.clone import FILE, Clone
from tests.merging.files import NOW, PATH, Desk
from tests.support.age_keys import AgeKey
from tests.support.audit import watched
from tests.support.cli import program
from tests.support.terminal import Terminal


CANARY: Final = "c4n4ry-of-a-driver"

Drive = Callable[[bytes, bytes, bytes], tuple[int, str]]


@pytest.fixture
def desk(tmp_path: Path, age_key: AgeKey) -> Desk:
    """Make a folder with a key of its own."""
    desk = Desk(root=tmp_path, key=age_key)
    desk.around(age_key)
    return desk


@pytest.fixture
def run(desk: Desk) -> Drive:
    """Run the driver on three versions; return its exit code and what it says. The result is in ``ours``."""

    def run(base: bytes, ours: bytes, theirs: bytes) -> tuple[int, str]:
        files = Files(base=desk.root / "base", ours=desk.root / "ours", theirs=desk.root / "theirs")
        files.base.write_bytes(base)
        files.ours.write_bytes(ours)
        files.theirs.write_bytes(theirs)
        environ = {"SOPS_AGE_KEY": desk.key.identity}
        told = drive(desk.root, files, PATH, environ=environ, home=desk.root, now=NOW)
        return told.exit_code, "\n".join(told.lines)

    return run


def test_the_result_stands_in_the_file_of_our_side(desk: Desk, run: Drive) -> None:
    """And nothing is said of a merge that went well; an empty base means that both sides made the file."""
    base = desk.file({"s/a": "1"})
    assert run(base, desk.put(base, b="2"), desk.put(base, c="3")) == (MERGED, "")
    assert desk.read((desk.root / "ours").read_bytes()) == {"version": 1, "s/a": "1", "s/b": "2", "s/c": "3"}
    assert run(b"", desk.file({"s/x": "1"}), desk.file({"s/y": "2"})) == (MERGED, "")
    assert desk.read((desk.root / "ours").read_bytes()) == {"version": 1, "s/x": "1", "s/y": "2"}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(lambda data: data.replace(b"READ", b"MANAGE"), "MAC", id="tampered-with"),
        pytest.param(lambda data: b"<<<<<<< x\n" + data, "in theirs: ", id="markers"),
        pytest.param(
            lambda data: data.split(b"sops:")[0] + b"sops: 1\n", "in theirs: sops is not a mapping", id="no-metadata"
        ),
        pytest.param(
            lambda _: f"secrets: {{x: {CANARY}}}\n".encode(), "in theirs: the file is not encrypted", id="plain"
        ),
        pytest.param(lambda _: b"", "in theirs: the file is empty", id="empty"),
        pytest.param(
            lambda data: data.replace(b"version: 1\n", b""), "in theirs: there is no field 'version'", id="rule"
        ),
    ],
)
def test_a_version_that_cannot_be_used(desk: Desk, run: Drive, spoil: Callable[[bytes], bytes], said: str) -> None:
    """A conflict that says why; our side stays as it is, and no text of the file is quoted."""
    base = desk.file({"s/a": CANARY}, acls=["<READ users>"])
    ours = desk.put(base, b="2")
    code, text = run(base, ours, spoil(desk.put(base, c="3")))
    assert code == CONFLICT
    assert said in text
    assert "put it right, then: reconciler merge" in text
    assert CANARY not in text
    assert (desk.root / "ours").read_bytes() == ours


def test_a_base_that_cannot_be_used_makes_each_difference_a_conflict(desk: Desk, run: Drive) -> None:
    """What one side has alone may have been taken away by the other."""
    base = desk.file({"s/a": "1"})
    code, text = run(b"- a list\n", desk.put(base, b="2"), base)
    assert code == CONFLICT
    assert "s/b  present in ours, absent in theirs" in text
    assert "cannot be used" in text


def test_comments_of_one_side_are_left_behind_aloud(desk: Desk, run: Drive) -> None:
    """Comments of the side that the result is made of stay; new ones of the other are named by their number."""
    base = desk.file({"s/a": "1"})
    ours = b"# ours\n" + desk.put(base, b="2")
    assert run(base, ours, b"# theirs\n# more\n" + desk.put(base, c="3")) == (
        MERGED,
        f"{PATH}: comments are not merged: 2 new comments of theirs left behind",
    )
    assert (desk.root / "ours").read_bytes().startswith(b"# ours\n")


def test_an_embedded_target_brings_its_key(tmp_path: Path, age_key: AgeKey) -> None:
    """No key in the environment is needed, nor looked at, for a file that has its identity beside it."""
    desk = Desk(root=tmp_path, key=age_key, host="demo")
    desk.around(age_key)
    (tmp_path / "secrets" / "demo.agekey").write_text(age_key.identity)
    targets = "targets: {demo: {embedded: true, age_key_file: demo.agekey}}\n"
    (tmp_path / "secrets" / "targets.yaml").write_text(targets)
    base = desk.file({"s/a": "1"})
    files = Files(base=tmp_path / "base", ours=tmp_path / "ours", theirs=tmp_path / "theirs")
    for path, data in zip(
        (files.base, files.ours, files.theirs), (base, desk.put(base, b="2"), desk.put(base, c="3")), strict=True
    ):
        path.write_bytes(data)
    told = drive(tmp_path, files, PATH, environ={}, home=tmp_path, now=NOW)
    assert told.exit_code == MERGED
    assert desk.read(files.ours.read_bytes()) == {"version": 1, "s/a": "1", "s/b": "2", "s/c": "3"}


def test_no_plain_text_is_written_or_handed_on(desk: Desk, run: Drive) -> None:
    """Every file that is opened for writing holds ciphertext, and no program is told a value."""
    base = desk.file({"s/a": CANARY})
    with watched() as deeds:
        assert run(base, desk.put(base, b=f"{CANARY}2"), desk.put(base, c=f"{CANARY}3"))[0] == MERGED
        assert run(base, desk.put(base, a=f"{CANARY}2"), desk.put(base, a=f"{CANARY}3"))[0] == CONFLICT
    assert deeds.contacts == []
    assert {command[0] for command in deeds.programs} <= {"git"}
    assert CANARY not in repr(deeds)
    assert not [path for path in desk.root.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert {Path(path).parent for path in deeds.written} <= {desk.root}


def test_choices_are_asked_for_on_a_terminal(tmp_path: Path, age_key: AgeKey) -> None:
    """One question for each place, without a value; what is left alone stays a conflict."""
    clone = Clone.make(tmp_path / "clone", age_key, {"s/a": "1", "s/b": "2"})
    clone.branch("feature").put(a=f"{CANARY}-a", b=f"{CANARY}-b")
    clone.switch("main").put(a=f"{CANARY}-x", b=f"{CANARY}-y")
    clone.git("merge", "feature", expect=1)
    with Terminal(program("merge"), cwd=clone.top, env=clone.environ()) as terminal:
        terminal.wait_for("prod/s/a: changed on both sides. Take ours (o), theirs (t), or leave it (l)?")
        terminal.type("t\n")
        terminal.wait_for("prod/s/b: changed on both sides")
        terminal.type("l\n")
        assert terminal.end() == 3
        assert CANARY not in terminal.said
    assert clone.unmerged()
    with Terminal(program("merge"), cwd=clone.top, env=clone.environ()) as terminal:
        terminal.wait_for("prod/s/a")
        terminal.type("t\n")
        terminal.wait_for("prod/s/b")
        terminal.type("o\n")
        assert terminal.end() == 0
    assert clone.read(FILE) == {"s/a": f"{CANARY}-a", "s/b": f"{CANARY}-y"}
