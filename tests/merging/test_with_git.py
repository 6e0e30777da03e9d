"""The driver as real git runs it, and `merge` for what it left in conflict."""

import subprocess
from pathlib import Path
from typing import Final

import pytest

from reconciler import pysops
from tests.merging.clone import FILE, Clone
from tests.merging.files import HOST
from tests.support.age_keys import AgeKey
from tests.support.cli import Cli
from tests.support.sops_tool import SopsTool


CANARY: Final = "c4n4ry-of-a-branch"

VALUES: Final = {"s/a": "1", "s/b": "2", "s/c": "3"}


@pytest.fixture
def clone(tmp_path: Path, age_key: AgeKey) -> Clone:
    """Make a clone with the driver."""
    return Clone.make(tmp_path / "clone", age_key, VALUES)


def test_merge_rebase_and_cherry_pick(clone: Clone, sops: SopsTool) -> None:
    """Branches that changed different keys come together without a word to anybody, whichever way it is done."""
    clone.branch("feature").put(a="1+").put(d="4")
    clone.switch("main").put(b="2+").remove("c")
    clone.git("checkout", "--quiet", "-b", "merged", "main")
    clone.git("merge", "--quiet", "--no-edit", "feature")
    expected = {"s/a": "1+", "s/b": "2+", "s/d": "4"}
    assert clone.read() == expected
    assert b"a:" in sops.decrypt(clone.data(), clone.desk.key.identity)
    assert clone.git("status", "--porcelain") == ""
    clone.git("checkout", "--quiet", "-b", "rebased", "feature")
    clone.git("rebase", "--quiet", "main")
    assert clone.read() == expected
    clone.switch("main")
    clone.git("cherry-pick", "feature")
    assert clone.read() == {"s/a": "1", "s/b": "2+", "s/d": "4"}


@pytest.fixture(scope="module")
def conflict(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Leave a merge in conflict, once: both sides changed ``a``; ours put ``d``, theirs took ``c`` away."""
    clone = Clone.make(tmp_path_factory.mktemp("conflict") / "clone", AgeKey.generate(), VALUES)
    clone.branch("feature").put(a=f"{CANARY}-theirs").remove("c")
    clone.switch("main").put(a=f"{CANARY}-ours").put(d="4")
    said = clone.git("merge", "feature", expect=1)
    assert "prod/s/a  changed on both sides" in said
    assert f"reconciler merge {FILE} --ours NAME --theirs NAME" in said
    assert CANARY not in said
    return clone


@pytest.fixture
def in_conflict(conflict: Clone, tmp_path: Path) -> Clone:
    """Copy the clone that is in conflict."""
    return conflict.copy(tmp_path / "clone")


def test_a_conflict_leaves_our_file_and_is_solved_by_name(in_conflict: Clone) -> None:
    """The file in the work tree opens, and `merge` asks for nothing but who wins."""
    assert in_conflict.read() == {"s/a": f"{CANARY}-ours", "s/b": "2", "s/c": "3", "s/d": "4"}
    assert in_conflict.unmerged()
    before = in_conflict.data()
    told = in_conflict.cli("merge").expect(3)
    assert "prod/s/a  changed on both sides" in told.stdout
    assert CANARY not in told.stdout + told.stderr
    assert in_conflict.data() == before
    told = in_conflict.cli("merge", FILE, "--theirs", "PROD/s/A").expect()
    assert told.stdout == f"{FILE}: merged; added to the index\n"
    assert in_conflict.read() == {"s/a": f"{CANARY}-theirs", "s/b": "2", "s/d": "4"}
    assert in_conflict.unmerged() == ""
    in_conflict.git("commit", "--quiet", "--no-edit")
    in_conflict.cli("validate").expect()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(("--all-ours",), f"{CANARY}-ours", id="all-ours"),
        pytest.param(("--all-theirs",), f"{CANARY}-theirs", id="all-theirs"),
        pytest.param(("--ours", f"{HOST}/s/a", "--all-theirs"), f"{CANARY}-ours", id="one-and-the-rest"),
        pytest.param(("--theirs", "prod/*"), f"{CANARY}-theirs", id="pattern"),
    ],
)
def test_ways_to_choose(in_conflict: Clone, arguments: tuple[str, ...], expected: str) -> None:
    """By name, by pattern, or all of them; what only one side changed comes in anyway."""
    in_conflict.cli("merge", *arguments).expect()
    assert in_conflict.read() == {"s/a": expected, "s/b": "2", "s/d": "4"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(("--ours", "prod/s/zzz"), "no conflict is called prod/s/zzz", id="unknown-name"),
        pytest.param(("--ours", "prod/s/a", "--theirs", "prod/*"), "asked for from both sides", id="both-sides"),
        pytest.param(("secrets/targets.yaml",), "secrets/targets.yaml is plain text", id="targets"),
        pytest.param(("README.md",), "no scope file", id="elsewhere"),
    ],
)
def test_what_cannot_be_asked_for(in_conflict: Clone, arguments: tuple[str, ...], message: str) -> None:
    """Exit 2, and nothing was touched."""
    before = in_conflict.data()
    assert message in in_conflict.cli("merge", *arguments).expect(2).stderr
    assert in_conflict.data() == before
    assert in_conflict.unmerged()


def test_a_merge_can_be_written_without_being_added(in_conflict: Clone) -> None:
    """For whoever wants to look first; git goes on knowing of the conflict."""
    in_conflict.cli("merge", "--all-ours", "--no-add").expect()
    assert in_conflict.unmerged()
    assert in_conflict.cli("merge", "--all-ours").expect().stdout.startswith(f"{FILE}: merged")
    assert in_conflict.unmerged() == ""


def test_a_conflict_that_was_added_too_early(in_conflict: Clone) -> None:
    """Git remembers the versions until the commit, so that the file can be merged all the same."""
    in_conflict.git("add", FILE)
    assert in_conflict.cli("merge").expect().stdout == "nothing below secrets/ is in conflict\n"
    in_conflict.cli("merge", FILE, "--theirs", "prod/s/a").expect()
    assert in_conflict.read() == {"s/a": f"{CANARY}-theirs", "s/b": "2", "s/d": "4"}
    in_conflict.git("commit", "--quiet", "--no-edit")
    assert "is not in conflict" in in_conflict.cli("merge", FILE).expect(2).stderr


def test_a_clone_that_was_told_nothing(tmp_path: Path, age_key: AgeKey) -> None:
    """Git merges by lines and leaves markers; `merge` takes the versions from the index and needs none of that."""
    clone = Clone.make(tmp_path / "clone", age_key, VALUES, driver=False)
    clone.branch("feature").put(a="1+")
    clone.switch("main").put(b="2+")
    clone.git("merge", "feature", expect=1)
    assert b"<<<<<<<" in clone.data()
    clone.cli("merge").expect()
    assert clone.read() == {"s/a": "1+", "s/b": "2+", "s/c": "3"}
    clone.git("commit", "--quiet", "--no-edit")


def test_without_a_key_there_is_a_conflict_and_no_change(clone: Clone) -> None:
    """The reason is said; whoever has the key merges later."""
    clone.branch("feature").put(a=CANARY)
    clone.switch("main").put(b="2+")
    before = clone.data()
    environ = clone.environ()
    del environ["SOPS_AGE_KEY"]
    said = clone.git("merge", "feature", expect=1, env=environ)
    assert "ours does not open" in said
    assert f"get a key that opens it, then: reconciler merge {FILE}" in said
    assert clone.data() == before
    assert "ours does not open" in clone.cli("merge", env={"SOPS_AGE_KEY": ""}).expect(5).stdout
    clone.cli("merge").expect()
    assert clone.read() == {"s/a": CANARY, "s/b": "2+", "s/c": "3"}


HOSTILE: Final = "secrets/prod/a b'$(touch pwned)\";`touch pwned`;#%P -x.yaml"


def test_a_hostile_file_name_runs_nothing(clone: Clone) -> None:
    """Git quotes the path for the shell, and what starts with a dash is no option."""
    clone.git("rm", "--quiet", FILE)
    clone.write(clone.desk.file({"s/a": "1"}), HOSTILE).commit("rename")
    clone.branch("feature").put(HOSTILE, b="2")
    clone.switch("main").put(HOSTILE, c="3")
    clone.git("merge", "--quiet", "--no-edit", "feature")
    assert clone.read(HOSTILE) == {"s/a": "1", "s/b": "2", "s/c": "3"}
    assert not list(clone.top.rglob("pwned"))


def test_the_directory_of_the_run_below_the_top(tmp_path: Path, age_key: AgeKey) -> None:
    """A driver starts at the top; the hint says how to get from there to the file."""
    clone = Clone.make(tmp_path / "clone", age_key, VALUES, folder="infra/-data")
    clone.branch("feature").put(a="1+")
    clone.switch("main").put(b="2+")
    clone.git("merge", "--quiet", "--no-edit", "feature")
    assert clone.read() == {"s/a": "1+", "s/b": "2+", "s/c": "3"}
    clone.branch("more").put(a="x")
    clone.switch("main").put(a="y")
    assert f"reconciler -C infra/-data merge infra/-data/{FILE} --ours" in clone.git("merge", "more", expect=1)
    clone.cli("merge", "--all-theirs").expect()
    assert clone.read()["s/a"] == "x"


def test_targets_are_merged_by_lines(clone: Clone) -> None:
    """What is plain is text to git, with markers where both sides changed the same line."""
    path = "secrets/targets.yaml"
    text = clone.data(path)
    clone.branch("feature").write(text + b"# theirs\n", path).commit("theirs")
    clone.switch("main").write(b"# ours\n" + text, path).commit("ours")
    clone.git("merge", "--quiet", "--no-edit", "feature")
    assert clone.data(path) == b"# ours\n" + text + b"# theirs\n"
    clone.branch("more").write(text + b"# one\n", path).commit("one")
    clone.switch("main").write(text + b"# other\n", path).commit("other")
    clone.git("merge", "more", expect=1)
    assert b"<<<<<<<" in clone.data(path)
    assert "secrets/targets.yaml" in clone.cli("merge", "secrets/targets.yaml").expect(2).stderr


def test_merge_bases_that_conflict_hide_nothing(clone: Clone) -> None:
    """Criss-cross: where the merge of the common ancestors is a conflict itself, each difference is one too."""
    clone.branch("one").put(a="x")
    clone.branch("other", "main").put(a="y")
    clone.switch("one")
    clone.git("merge", "other", expect=1)
    clone.cli("merge", "--all-ours").expect()
    clone.git("commit", "--quiet", "--no-edit")
    clone.git("checkout", "--quiet", "-b", "third", "other")
    clone.git("merge", "one~1", expect=1)
    clone.cli("merge", "--all-ours").expect()
    clone.git("commit", "--quiet", "--no-edit")
    # One keeps x, the other y, and what they come from is both: to take one in silence would lose the other.
    said = clone.git("merge", "one", expect=1)
    assert "prod/s/a  present on both sides" in said
    assert clone.read() == {"s/a": "y", "s/b": "2", "s/c": "3"}


def test_merge_bases_that_come_together_are_seen_through(clone: Clone) -> None:
    """Criss-cross: a change that one side took back after merging stays taken back."""
    clone.branch("one").put(a="x")
    clone.branch("other", "main").put(b="y")
    clone.git("checkout", "--quiet", "-b", "first", "one")
    clone.git("merge", "--quiet", "--no-edit", "other")
    clone.put(a="1")
    clone.git("checkout", "--quiet", "-b", "second", "other")
    clone.git("merge", "--quiet", "--no-edit", "one")
    clone.put(d="4")
    clone.git("merge", "--quiet", "--no-edit", "first")
    assert clone.read() == {"s/a": "1", "s/b": "y", "s/c": "3", "s/d": "4"}


_KILLED: Final = """
import os, signal, sys
from pathlib import Path
from reconciler.pysops.binary import replacing

where = {where!r}

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

if where == "staged":
    Path.replace = die
elif where == "before":
    replacing.replace_file.__globals__["read_file"] = die
from reconciler.cli import main
if where == "replaced":
    whole = Path.replace
    Path.replace = lambda *arguments: (whole(*arguments), die())
main()
"""


@pytest.mark.parametrize("where", ["before", "staged", "replaced"])
def test_a_driver_that_is_killed_leaves_a_file_that_opens(clone: Clone, where: str) -> None:
    """Whenever that happens, the work tree holds our side or the merged file, and the conflict can still be solved."""
    clone.branch("feature").put(a="1+")
    clone.switch("main").put(b="2+")
    whole = clone.git("config", "merge.reconciler.driver").strip()
    clone.driver(_KILLED.format(where=where))
    done = subprocess.run(
        ("git", "-c", "user.name=T", "-c", "user.email=t@example.com", "merge", "--no-edit", "feature"),
        cwd=clone.top,
        env=clone.environ(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert clone.read() in ({"s/a": "1", "s/b": "2+", "s/c": "3"}, {"s/a": "1+", "s/b": "2+", "s/c": "3"})
    clone.git("config", "merge.reconciler.driver", whole)
    if not clone.unmerged():  # newer versions of git break the merge off
        clone.git("merge", "--quiet", "--no-edit", "feature")
    else:
        clone.cli("merge").expect()
        clone.git("commit", "--quiet", "--no-edit")
    assert clone.read() == {"s/a": "1+", "s/b": "2+", "s/c": "3"}
    for litter in clone.top.glob(".merge_file*"):
        assert CANARY.encode() not in litter.read_bytes()


def test_two_merges_at_once(clone: Clone) -> None:
    """Of two work trees of one repository, each comes to the same as alone."""
    clone.branch("feature").put(a="1+")
    clone.switch("main").put(b="2+")
    other = clone.top.parent / "other"
    clone.git("worktree", "add", "--quiet", "-b", "second", str(other), "main")
    command = ("git", "-c", "user.name=T", "-c", "user.email=t@example.com", "merge", "--no-edit", "feature")
    running = [
        subprocess.Popen(command, cwd=place, env=clone.environ(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for place in (clone.top, other)
    ]
    for one in running:
        said, _ = one.communicate(timeout=60)
        assert one.returncode == 0, said
    for place in (clone.top, other):
        opened = pysops.load(place / FILE, clone.desk.identities)
        assert opened["secrets"] == {HOST: {"s": {"a": "1+", "b": "2+", "c": "3"}}}


def test_a_file_that_one_side_deleted(clone: Clone) -> None:
    """Whether there is a file is for git and its user to decide: what to do is said, and the other files are merged."""
    other = "secrets/prod/other.yaml"
    clone.write(clone.desk.file({"t/x": "1", "t/y": "2"}), other).commit("other")
    clone.branch("feature").put(a="1+")
    clone.write(clone.desk.change(clone.data(other), pysops.Put(path=("secrets", HOST, "t", "x"), value="2")), other)
    clone.commit("x")
    clone.git("checkout", "--quiet", "main")
    clone.git("rm", "--quiet", other)
    clone.commit("gone")
    clone.put(a="other")
    clone.git("merge", "feature", expect=1)
    told = clone.cli("merge", "--all-theirs").expect(3)
    assert f"{other}: deleted on one side, changed on the other" in told.stdout
    assert f"{FILE}: merged" in told.stdout
    assert "next:" not in told.stderr
    clone.git("rm", "--quiet", other)
    assert clone.read()["s/a"] == "1+"


def test_rules_in_conflict_come_first(clone: Clone) -> None:
    """While nobody can tell who may open what, nothing is merged; then the file is for whom the rules name."""
    one, two = AgeKey.generate(), AgeKey.generate()
    rules = clone.data(".sops.yaml")
    for branch, joining in (("feature", one), ("second", two)):
        clone.branch(branch)
        named = f"[{clone.desk.key.recipient}, {joining.recipient}]".encode()
        clone.write(rules.replace(clone.desk.key.recipient.encode(), named), ".sops.yaml")
        clone.write(clone.desk.rekey(clone.data(), joining)).commit(branch)
    said = clone.git("merge", "feature", expect=1)
    assert "recipients  changed on both sides" in said
    before = clone.data()
    assert ".sops.yaml" in clone.cli("merge").expect(4).stderr
    assert clone.data() == before
    everybody = ", ".join(key.recipient for key in (clone.desk.key, one, two))
    clone.write(rules.replace(clone.desk.key.recipient.encode(), f"[{everybody}]".encode()), ".sops.yaml")
    told = clone.cli("merge").expect()
    assert f"{FILE}: age {one.recipient} can open it from now on" in told.stdout
    assert {recipient.name for recipient in pysops.recipients(clone.data())} == set(everybody.split(", "))
    clone.git("add", ".sops.yaml")
    clone.cli("validate").expect()


def test_files_that_do_not_fit_each_other(clone: Clone) -> None:
    """Each may come together by itself: that something is wrong with the tree is said, and what shows it."""
    other = "secrets/prod/other.yaml"
    clone.write(clone.desk.file({"s/x": "1"}), other).commit("other")
    clone.branch("feature").put(other, moved="1").put(a=f"{CANARY}1")
    clone.switch("main").put(other, y="2").put(moved="2", a=f"{CANARY}2")
    clone.git("merge", "feature", expect=1)
    told = clone.cli("merge", "--all-ours").expect()
    assert "next: reconciler validate" in told.stderr
    assert "then: git commit" in told.stderr
    assert "the key 'moved' of scope 's' is also fed by" in clone.cli("validate").expect(4).stdout


def test_what_would_break_a_rule_is_not_written(clone: Clone) -> None:
    """A conflict that was solved into something which does not fit the other files: exit 4, and nothing is touched."""
    other = "secrets/prod/other.yaml"
    clone.write(clone.desk.file({"s/x": "1"}), other).commit("other")
    clone.branch("feature").put(moved="1", a=f"{CANARY}1")
    clone.switch("main").put(other, moved="2").put(a=f"{CANARY}2")
    clone.git("merge", "feature", expect=1)
    before = clone.data()
    told = clone.cli("merge", "--all-ours").expect(4)
    assert "the key 'moved' of scope 's' is also fed by" in told.stderr
    assert CANARY not in told.stderr
    assert clone.data() == before
    assert clone.unmerged()


def test_a_repository_is_needed(tmp_path: Path) -> None:
    """Elsewhere there are no versions to merge."""
    assert "no git repository here" in Cli(cwd=tmp_path)("merge").expect(6).stderr
