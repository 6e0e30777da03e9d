"""How commits stand to each other, and who wrote them."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler import git
from reconciler.errors import Refused
from reconciler.model import Ancestry
from tests.git.tracing import traced
from tests.support.secrets_repo import SecretsRepo


NOWHERE: Final = "0" * 40
"""A hash that no repository has."""


@pytest.fixture
def line(repo: SecretsRepo) -> tuple[str, ...]:
    """Make five commits, each on top of the one before."""
    return tuple(repo.commit(f"commit {number}") for number in range(5))


def _clone(repo: SecretsRepo, to: Path, *options: str) -> Path:
    repo.git("clone", "--quiet", *options, repo.root.as_uri(), str(to))
    return to


def test_commits_of_one_line(repo: SecretsRepo, line: tuple[str, ...]) -> None:
    """Each builds on all before it, and is older than all behind it."""
    for newer, commit in enumerate(line):
        for older, head in enumerate(line):
            expected = Ancestry.DESCENDANT if newer > older else Ancestry.OLDER if newer < older else Ancestry.SAME
            assert git.ancestry(repo.root, commit=commit, head=head) is expected


def test_branches_diverge_until_they_are_merged(repo: SecretsRepo, line: tuple[str, ...]) -> None:
    """A merge builds on both."""
    repo.git("checkout", "--quiet", "-b", "side", line[1])
    side = repo.commit("side")
    assert git.ancestry(repo.root, commit=side, head=line[4]) is Ancestry.DIVERGED
    assert git.ancestry(repo.root, commit=line[4], head=side) is Ancestry.DIVERGED
    repo.git("merge", "--quiet", "--no-edit", line[4])
    merged = repo.git("rev-parse", "HEAD").strip()
    for head in (side, *line):
        assert git.ancestry(repo.root, commit=merged, head=head) is Ancestry.DESCENDANT


def test_commit_on_a_history_of_its_own_diverges(repo: SecretsRepo, line: tuple[str, ...]) -> None:
    """As after a history that was written anew while the old one is still there."""
    repo.git("checkout", "--quiet", "--orphan", "other")
    assert git.ancestry(repo.root, commit=repo.commit(), head=line[4]) is Ancestry.DIVERGED


def test_revert_is_a_descendant_though_its_files_are_old(repo: SecretsRepo) -> None:
    """Going back on purpose is a commit like any other."""
    repo.commit()
    changed = repo.write("secrets/a/b.yaml", "b: 2\n").commit()
    repo.git("revert", "--no-edit", changed)
    reverted = repo.git("rev-parse", "HEAD").strip()
    assert git.ancestry(repo.root, commit=reverted, head=changed) is Ancestry.DESCENDANT


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(NOWHERE, id="not-there"),
        pytest.param("0" * 64, id="of-the-other-kind-of-hash"),
    ],
)
def test_unknown_commit_is_gone(repo: SecretsRepo, line: tuple[str, ...], head: str) -> None:
    """Its branch was deleted, or it was never pushed: nobody can tell."""
    assert git.ancestry(repo.root, commit=line[4], head=head) is Ancestry.UNKNOWN_GONE


def test_what_is_no_commit_is_gone(repo: SecretsRepo, line: tuple[str, ...]) -> None:
    """A blob has no history."""
    blob = repo.git("rev-parse", "HEAD:secrets/a/b.yaml").strip()
    assert git.ancestry(repo.root, commit=line[4], head=blob) is Ancestry.UNKNOWN_GONE


def test_branch_named_like_a_hash_is_not_asked(repo: SecretsRepo, line: tuple[str, ...]) -> None:
    """Whoever pushes a branch of that name would otherwise say what was applied last."""
    for name in (NOWHERE, "0" * 64):
        repo.git("update-ref", f"refs/heads/{name}", line[0])
        assert git.ancestry(repo.root, commit=line[4], head=name) is Ancestry.UNKNOWN_GONE


@pytest.mark.parametrize(
    ("commit", "head", "expected"),
    [
        pytest.param(4, 4, Ancestry.SAME, id="same"),
        pytest.param(4, 3, Ancestry.DESCENDANT, id="within-what-is-there"),
        pytest.param(3, 4, Ancestry.OLDER, id="older-within-what-is-there"),
        pytest.param(4, 2, Ancestry.UNKNOWN_SHALLOW, id="beyond-what-is-there"),
        pytest.param(4, None, Ancestry.UNKNOWN_SHALLOW, id="nowhere"),
    ],
)
def test_shallow_clone_says_yes_and_never_no(
    repo: SecretsRepo, line: tuple[str, ...], tmp_path: Path, commit: int, head: int | None, expected: Ancestry
) -> None:
    """What it has of the history is true; what it lacks may hold the answer."""
    clone = _clone(repo, tmp_path / "clone", "--depth=2")
    head_name = NOWHERE if head is None else line[head]
    assert git.ancestry(clone, commit=line[commit], head=head_name) is expected


def test_shallow_clone_does_not_take_a_cut_way_for_a_fork(
    repo: SecretsRepo, line: tuple[str, ...], tmp_path: Path
) -> None:
    """Both commits are there, and what lies between them is not: neither yes nor no."""
    repo.git("tag", "old", line[0])
    clone = _clone(repo, tmp_path / "clone", "--depth=1")
    repo.git("-C", str(clone), "fetch", "--quiet", "--depth=1", "origin", "tag", "old")
    assert git.ancestry(clone, commit=line[4], head=line[0]) is Ancestry.UNKNOWN_SHALLOW
    repo.git("-C", str(clone), "fetch", "--quiet", "--unshallow")
    assert git.ancestry(clone, commit=line[4], head=line[0]) is Ancestry.DESCENDANT


@pytest.mark.parametrize("left_out", ["blob:none", "tree:0"])
def test_partial_clone_knows_all_commits(
    repo: SecretsRepo, line: tuple[str, ...], tmp_path: Path, left_out: str
) -> None:
    """Files and folders are missing there, the history is not; and nothing is fetched to tell."""
    repo.git("config", "uploadpack.allowFilter", "true")
    clone = _clone(repo, tmp_path / "clone", f"--filter={left_out}", "--no-checkout")
    shutil.rmtree(repo.root)
    assert git.ancestry(clone, commit=line[4], head=line[0]) is Ancestry.DESCENDANT
    assert git.ancestry(clone, commit=line[0], head=line[4]) is Ancestry.OLDER
    assert git.ancestry(clone, commit=line[4], head=NOWHERE) is Ancestry.UNKNOWN_GONE
    assert set(git.authors(clone, [*line, NOWHERE])) == set(line)


def test_partial_clone_is_not_completed(repo: SecretsRepo, tmp_path: Path) -> None:
    """What was left out is not fetched, be it there to be had: a run goes to no other host than it was told."""
    first = repo.commit()
    second = repo.write("secrets/a/b.yaml", "b: 2\n").commit()
    repo.git("config", "uploadpack.allowFilter", "true")
    clone = _clone(repo, tmp_path / "clone", "--filter=blob:none")
    there = repo.git("-C", str(clone), "count-objects", "--verbose")
    assert git.ancestry(clone, commit=second, head=first) is Ancestry.DESCENDANT
    assert git.read_before(clone, commit=second, head=first, paths={"secrets/a/b.yaml"}) == {}
    with pytest.raises(Refused):
        git.read_commit(clone, first)
    assert repo.git("-C", str(clone), "count-objects", "--verbose") == there
    assert git.read_commit(clone).files["secrets/a/b.yaml"] == b"b: 2\n"


def test_files_that_changed_are_read_as_they_were(repo: SecretsRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are asked for, were regular files and still are; the others cost nothing."""
    for name in ("kept", "changed", "gone", "was-link", "is-link", "unasked", "mode", "to\u00e9"):
        repo.write(f"secrets/{name}.yaml", f"{name}: 1\n")
    (repo.root / "secrets/was-link.yaml").unlink()
    (repo.root / "secrets/was-link.yaml").symlink_to("kept.yaml")
    first = repo.commit()
    for name in ("changed", "unasked", "new", "to\u00e9"):
        repo.write(f"secrets/{name}.yaml", f"{name}: 2\n")
    for name in ("gone", "was-link", "is-link"):
        (repo.root / f"secrets/{name}.yaml").unlink()
    repo.write("secrets/was-link.yaml", "was: 2\n")
    (repo.root / "secrets/is-link.yaml").symlink_to("kept.yaml")
    (repo.root / "secrets/mode.yaml").chmod(0o755)
    second = repo.commit()
    asked = {f"secrets/{name}.yaml" for name in ("kept", "changed", "gone", "new", "was-link", "is-link", "to\u00e9")}
    with traced(repo.root, monkeypatch) as calls:
        assert git.read_before(repo.root, commit=second, head=first, paths=asked) == {
            "secrets/changed.yaml": b"changed: 1\n",
            "secrets/to\u00e9.yaml": "to\u00e9: 1\n".encode(),
        }
        assert calls() == ["diff-tree", "cat-file", "cat-file"]
        assert git.read_before(repo.root, commit=second, head=first, paths=()) == {}
        assert calls() == ["diff-tree"]
    assert git.read_before(repo.root, commit=second, head=NOWHERE, paths=asked) == {}
    with pytest.raises(ValueError, match="40 or 64 hexadecimal digits"):
        git.read_before(repo.root, commit=second, head="HEAD", paths=asked)


def test_files_of_a_subdirectory_are_named_from_there(repo: SecretsRepo) -> None:
    """A monorepo: what is beside the directory of the run does not count, though it be called alike."""
    for value in "12":
        for path in ("secrets/x.yaml", "team/secrets/x.yaml"):
            repo.write(path, f"{path}: {value}\n")
        repo.git("init", "--quiet")
        repo.git("add", "--all", "--force", ".")
        repo.git("commit", "--quiet", "--message", value)
    first, second = (repo.git("rev-parse", name).strip() for name in ("HEAD~1", "HEAD"))
    found = git.read_before(repo.root / "team", commit=second, head=first, paths={"secrets/x.yaml"})
    assert found == {"secrets/x.yaml": b"team/secrets/x.yaml: 1\n"}


def test_files_that_were_too_large_are_left_out(repo: SecretsRepo) -> None:
    """No scope file is that large."""
    first = repo.write("secrets/large.yaml", b"x" * (16 * 1024 * 1024 + 1)).commit()
    second = repo.write("secrets/large.yaml", "x").commit()
    assert git.read_before(repo.root, commit=second, head=first, paths={"secrets/large.yaml"}) == {}


def _replaced(repo: SecretsRepo, line: tuple[str, ...], other: str) -> None:
    repo.git("replace", "--graft", line[4], other)


def _grafted(repo: SecretsRepo, line: tuple[str, ...], other: str) -> None:
    repo.write(".git/info/grafts", f"{line[4]} {other}\n")


@pytest.mark.parametrize("lie", [_replaced, _grafted])
def test_history_cannot_be_told_differently(
    repo: SecretsRepo, line: tuple[str, ...], lie: Callable[[SecretsRepo, tuple[str, ...], str], None]
) -> None:
    """Replaced objects, which a fetch can bring along, and grafts change what git says of parents; not to us."""
    repo.git("checkout", "--quiet", "--orphan", "other")
    other = repo.commit()
    lie(repo, line, other)
    assert repo.git("merge-base", other, line[4]).strip() == other, "the lie is not told"
    assert git.ancestry(repo.root, commit=line[4], head=other) is Ancestry.DIVERGED
    assert git.ancestry(repo.root, commit=line[4], head=line[0]) is Ancestry.DESCENDANT


def test_commit_graph_is_not_read(repo: SecretsRepo, line: tuple[str, ...]) -> None:
    """It holds parents a second time; what counts are the commits."""
    repo.git("commit-graph", "write", "--reachable")
    graph = repo.root / ".git/objects/info/commit-graph"
    graph.chmod(0o644)
    graph.write_bytes(graph.read_bytes()[:-200] + bytes(200))
    assert git.ancestry(repo.root, commit=line[4], head=line[0]) is Ancestry.DESCENDANT


def test_file_that_says_shallow_is_what_we_rely_on(repo: SecretsRepo, line: tuple[str, ...]) -> None:
    """Whoever writes below ``.git`` can cut the history, and does not get a yes by it."""
    repo.write(".git/shallow", f"{line[2]}\n")
    assert git.ancestry(repo.root, commit=line[4], head=line[2]) is Ancestry.DESCENDANT
    assert git.ancestry(repo.root, commit=line[4], head=line[0]) is Ancestry.UNKNOWN_SHALLOW


def test_hole_in_the_history_is_no_answer(repo: SecretsRepo, line: tuple[str, ...]) -> None:
    """Damage is refused: by git itself, or, before 2.44, as if neither built on the other; never is it a yes."""
    (repo.root / ".git/objects" / line[2][:2] / line[2][2:]).unlink()
    with contextlib.suppress(Refused):
        assert git.ancestry(repo.root, commit=line[4], head=line[0]) is Ancestry.DIVERGED


def test_commit_of_the_run_must_be_there(repo: SecretsRepo, line: tuple[str, ...]) -> None:
    """It was read a moment ago: if it is gone, the repository is damaged."""
    with pytest.raises(Refused, match="git merge-base failed"):
        git.ancestry(repo.root, commit=NOWHERE, head=line[0])


def test_outside_git_there_is_no_history(repo: SecretsRepo) -> None:
    """Asked for it anyway, there is no answer that could pass for one."""
    with pytest.raises(Refused):
        git.ancestry(repo.root, commit=NOWHERE, head="1" * 40)
    with pytest.raises(Refused):
        git.authors(repo.root, [NOWHERE])


def test_same_commit_needs_no_git(repo: SecretsRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual run costs no process; the next commit costs one."""
    first, second = repo.commit(), repo.commit()
    with traced(repo.root, monkeypatch) as calls:
        assert git.ancestry(repo.root, commit=first, head=first) is Ancestry.SAME
        assert calls() == []
        assert git.ancestry(repo.root, commit=second, head=first) is Ancestry.DESCENDANT
        assert calls() == ["merge-base"]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("--help", id="option"),
        pytest.param("HEAD", id="branch"),
        pytest.param("", id="empty"),
        pytest.param("0" * 39, id="short"),
        pytest.param("0" * 41, id="long"),
        pytest.param("A" * 40, id="upper-case"),
        pytest.param("0" * 40 + "\n", id="line-feed"),
        pytest.param("\u0660" * 40, id="digits-of-another-script"),
    ],
)
def test_what_is_no_hash_reaches_no_command_line(repo: SecretsRepo, line: tuple[str, ...], name: str) -> None:
    """It could be an option, or a branch that somebody pushed."""
    for pair in ({"commit": name, "head": line[0]}, {"commit": line[0], "head": name}):
        with pytest.raises(ValueError, match="40 or 64 hexadecimal digits"):
            git.ancestry(repo.root, **pair)
    with pytest.raises(ValueError, match="40 or 64 hexadecimal digits"):
        git.read_commit(repo.root, name)
    assert git.authors(repo.root, [name, line[0]]) == {line[0]: "Tester <tester@example.com>"}


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_answers_fit_each_other(repo: SecretsRepo, data: st.DataObject) -> None:
    """In any history: who is older one way round is a descendant the other way round, and a fork is one from both."""
    commits = [repo.commit()]
    for number in range(data.draw(st.integers(1, 5))):
        parents = data.draw(st.lists(st.sampled_from(commits), min_size=1, max_size=2, unique=True))
        options = [option for parent in parents for option in ("-p", parent)]
        commits.append(repo.git("commit-tree", "HEAD^{tree}", *options, "-m", f"{number}").strip())
    opposite = {Ancestry.DESCENDANT: Ancestry.OLDER, Ancestry.OLDER: Ancestry.DESCENDANT}
    commit, head = (data.draw(st.sampled_from(commits)) for _ in range(2))
    found = git.ancestry(repo.root, commit=commit, head=head)
    assert git.ancestry(repo.root, commit=head, head=commit) is opposite.get(found, found)
    builds = head in repo.git("rev-list", commit).split()
    assert (found in {Ancestry.SAME, Ancestry.DESCENDANT}) is builds


def test_authors_are_those_of_the_commits(repo: SecretsRepo) -> None:
    """As they wrote themselves: no mailmap, which any branch can change, and no committer; in one call."""
    repo.write("secrets/x", "x").commit()
    who = "Ødd Ñame \x1b[31m <odd@example.com>"
    repo.git("commit", "--quiet", "--allow-empty", "--author", who, "--message", "commit\n\nAuthor: Somebody <else@x>")
    odd = repo.git("rev-parse", "HEAD").strip()
    repo.git("config", "log.mailmap", "true")
    repo.write(".mailmap", "Somebody Else <else@example.com> <tester@example.com>\n")
    last = repo.commit()
    assert git.authors(repo.root, [odd, last, NOWHERE, "0" * 64, "HEAD"]) == {
        odd: who,
        last: "Tester <tester@example.com>",
    }


def test_authors_of_another_encoding_are_read(repo: SecretsRepo) -> None:
    """A commit says which one it is; git turns it into UTF-8, and what is neither is shown as what it is not."""
    repo.commit()
    body = repo.git("cat-file", "commit", "HEAD").encode().replace(b"author Tester", b"author T\xe9ster")
    declared = body.replace(b"\n\n", b"\nencoding ISO-8859-1\n\n", 1)
    names = []
    for number, data in enumerate((declared, body)):
        repo.write(f"commit{number}", data)
        commit = repo.git("hash-object", "-t", "commit", "-w", f"commit{number}").strip()
        names.append(git.authors(repo.root, [commit])[commit])
    assert names[0] == "Téster <tester@example.com>"
    assert names[1].startswith("T")
    assert names[1].endswith("ster <tester@example.com>")


def test_authors_of_what_is_no_commit_are_left_out(repo: SecretsRepo, line: tuple[str, ...]) -> None:
    """Nothing that a ledger holds makes this fail."""
    blob = repo.git("rev-parse", "HEAD:secrets/a/b.yaml").strip()
    assert set(git.authors(repo.root, [blob, *line])) == set(line)


def test_authors_of_nothing_need_no_git(tmp_path: Path) -> None:
    """Outside git, too."""
    assert git.authors(tmp_path, []) == {}
    assert git.authors(tmp_path, ["no hash"]) == {}
