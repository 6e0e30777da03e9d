"""`review`: what a change does, from two commits of files that the real sops encrypted, without a key and offline."""

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.age_keys import AgeKey
from tests.support.audit import watched
from tests.support.canaries import Canaries
from tests.support.cli import Cli
from tests.support.forgeries_tree import TREE
from tests.support.secrets_repo import Fields, SecretsRepo
from tests.support.sops_tool import SopsTool


HOST: Final = "adb-1.2.azuredatabricks.net"
PATH: Final = "prod/app.yaml"
FORMS: Final = ("text", "markdown", "json")


def workspace(host: str = HOST, **fields: str) -> Mapping[str, Fields]:
    """Return a target."""
    return {"workspace": {"host": f"https://{host}", **fields}}


@pytest.fixture
def canaries() -> Canaries:
    """Make values to look for."""
    return Canaries.make()


@pytest.fixture
def repo(tmp_path: Path, sops: SopsTool, age_key: AgeKey, canaries: Canaries) -> SecretsRepo:
    """Make a repository with main, and a branch that has changed nothing yet."""
    root = tmp_path / "repo"
    root.mkdir()
    made = SecretsRepo(root, sops=sops, key=age_key)
    made.targets({"prod": workspace()})
    values = {"db": canaries.text("text"), "token": canaries.text("odd"), "gone": "1"}
    made.scope_file(PATH, {HOST: {"app": values}}, acls=["<READ team>"])
    made.commit("first")
    made.git("checkout", "--quiet", "-b", "change")
    return made


@pytest.fixture
def run(repo: SecretsRepo) -> Cli:
    """Run commands without any key or token."""
    return Cli(cwd=repo.root)


def change(repo: SecretsRepo, path: str, *arguments: str, stdin: bytes = b"") -> None:
    """Have sops change a file in place, keeping its data key."""
    environment = {"SOPS_AGE_KEY": repo.key.identity, "PATH": "", "HOME": str(repo.root / ".no-home")}
    command = (str(repo._sops.binary), *arguments[:1], f"secrets/{path}", *arguments[1:])
    subprocess.run(command, cwd=repo.root, env=environment, check=True, capture_output=True, input=stdin, timeout=60)


def told(document: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # JSON
    """Return rank and kind of each difference."""
    return [(one["rank"], one["kind"]) for one in document["differences"]]


@pytest.mark.parametrize("form", FORMS)
def test_a_branch_without_a_change_has_none(run: Cli, form: str) -> None:
    """Exit 0, and nothing on stderr."""
    done = run("review", "-o", form).expect()
    assert done.stderr == ""
    assert '"differences": []' in done.stdout if form == "json" else "no changes" in done.stdout


def test_a_rotated_value_is_one_line(run: Cli, repo: SecretsRepo, canaries: Canaries) -> None:
    """What a pull request is mostly made for is told as what it is, by its ciphertext."""
    change(repo, PATH, "set", f'["secrets"]["{HOST}"]["app"]["db"]', '"new"')
    repo.commit("rotate")
    found = run("review", "-o", "json").expect().json
    assert told(found) == [("change", "key-changed")]
    assert found["differences"][0] | {"line": 0} == {
        "rank": "change",
        "kind": "key-changed",
        "path": f"secrets/{PATH}",
        "line": 0,
        "target": "prod",
        "scope": "app",
        "key": "db",
        **dict.fromkeys(("subject", "field", "before", "after", "commit", "count", "sight")),
        "rekeyed": False,
    }
    assert found["base"]["name"] == "main"
    assert "~ key db changed in prod/app" in run("review").expect().stdout


def test_a_change_that_does_everything_is_told_in_order(
    run: Cli, repo: SecretsRepo, canaries: Canaries, age_key: AgeKey
) -> None:
    """Widened grants of a file with a new data key first; no value or ciphertext in any form."""
    eve = AgeKey.generate()
    repo.targets({"prod": workspace("adb-9.9.azuredatabricks.net", client_id="1234"), "new": workspace(HOST)})
    values: dict[str, str | bytes] = {"db": canaries.text("text"), "token": canaries.text("odd")}
    values["extra"] = canaries["bytes"]
    host = "adb-9.9.azuredatabricks.net"
    recipients = (age_key.recipient, eve.recipient)
    repo.scope_file(PATH, {host: {"app": values}}, acls=["<WRITE team>", "<READ users>"], recipients=recipients)
    repo.write("CODEOWNERS", "* @nobody\n")
    repo.git("add", "CODEOWNERS")
    repo.commit("everything")
    found = run("review", "main", "-o", "json").expect(4).json
    order = [kind for _, kind in told(found)]
    assert order[0] == "acl-added"
    assert {"acl-raised", "recipient-added", "file-rekeyed", "host-changed", "target-added"} <= set(order)
    assert [kind for rank, kind in told(found) if rank == "gone"] == ["key-removed"]
    assert [one["path"] for one in found["differences"] if one["rank"] == "also"] == ["CODEOWNERS"]
    assert not found["valid"]
    for form in FORMS:
        done = run("review", "-o", form).expect(4)
        assert canaries.found_in(done.stdout_bytes + done.stderr.encode()) == []
        assert "ENC[" not in done.stdout
    text = run("review").stdout
    assert text.index("look at these first") < text.index("gone") < text.index("CODEOWNERS") < text.index("changes")


def test_what_went_back_names_its_commit(run: Cli, repo: SecretsRepo) -> None:
    """A revoked password that comes back is no new value: the whole file, or one ciphertext of it."""
    first = repo.git("rev-parse", "HEAD").strip()
    old = repo.read(f"secrets/{PATH}")
    change(repo, PATH, "set", f'["secrets"]["{HOST}"]["app"]["db"]', '"new"')
    change(repo, PATH, "set", f'["secrets"]["{HOST}"]["app"]["token"]', '"new"')
    base = repo.commit("rotate")
    repo.write(f"secrets/{PATH}", old)
    found = run("review", base, "--work-tree", "-o", "json").expect().json
    assert [(kind, found["differences"][0]["commit"]) for _, kind in told(found)[:1]] == [("file-rolled-back", first)]
    assert "value-rolled-back" not in {kind for _, kind in told(found)}
    # One line of the old file among the new ones.
    repo.git("checkout", "--quiet", "--", ".")
    line = next(line for line in old.decode().splitlines() if line.strip().startswith("db:"))
    new = [line if one.strip().startswith("db:") else one for one in repo.read(f"secrets/{PATH}").decode().splitlines()]
    repo.write(f"secrets/{PATH}", "\n".join(new) + "\n")
    found = run("review", base, "--work-tree", "-o", "json").expect().json
    assert told(found) == [("first", "file-unsealed"), ("first", "value-rolled-back"), ("change", "key-changed")]
    assert found["differences"][1]["commit"] == first


def test_a_value_that_was_plain_for_one_commit_is_told(run: Cli, repo: SecretsRepo, canaries: Canaries) -> None:
    """Nobody sees it in what is left, and whoever has the branch has the value."""
    good = repo.read(f"secrets/{PATH}")
    plain = f"version: 1\nsecrets: {{{HOST}: {{app: {{k: {canaries.text('text')}}}}}}}\n"
    commit = repo.write(f"secrets/{PATH}", plain).commit("oops")
    repo.write(f"secrets/{PATH}", good).commit("encrypt")
    done = run("review", "-o", "json").expect()
    assert told(done.json) == [("first", "plain-in-history")]
    assert done.json["differences"][0]["commit"] == commit
    assert canaries.found_in(done.stdout_bytes) == []


def test_the_base_is_where_the_branch_left_it(run: Cli, repo: SecretsRepo) -> None:
    """What others merged meanwhile is not shown as taken back."""
    repo.git("checkout", "--quiet", "main")
    repo.scope_file("prod/other.yaml", {HOST: {"other": {"k": "1"}}})
    repo.commit("of others")
    repo.git("checkout", "--quiet", "change")
    assert run("review", "main", "-o", "json").expect().json["differences"] == []
    assert told(run("review", "change", "--head", "main", "-o", "json").expect().json) != []


def test_a_clone_without_the_history_is_compared_with_the_base_itself(
    run: Cli, repo: SecretsRepo, tmp_path: Path
) -> None:
    """As a pipeline fetches it: the two commits and nothing between them. What that hides is said."""
    change(repo, PATH, "set", f'["secrets"]["{HOST}"]["app"]["db"]', '"new"')
    head = repo.commit("rotate")
    clone = tmp_path / "clone"
    clone.mkdir()
    for arguments in (
        ("init", "--quiet", "."),
        ("fetch", "--quiet", "--depth=1", repo.root.as_uri(), "+main:refs/remotes/origin/main", "+change:refs/heads/x"),
        ("checkout", "--quiet", "x"),
    ):
        subprocess.run(("git", *arguments), cwd=clone, check=True, capture_output=True, timeout=60)
    found = run("review", "-o", "json", cwd=clone).expect().json
    assert told(found) == [("change", "key-changed")]
    assert found["head"]["commit"] == head
    assert [words for words in ("parted", "history") if not any(words in one for one in found["remarks"])] == []


def test_a_directory_below_the_top_is_reviewed_with_what_is_above(run: Cli, repo: SecretsRepo) -> None:
    """Rules and workflows of the whole repository count for it."""
    inner = SecretsRepo(repo.root / "teams" / "data", sops=repo._sops, key=repo.key)
    inner.targets({"prod": workspace()}).scope_file(PATH, {HOST: {"app": {"a": "1"}}})
    (inner.root / ".sops.yaml").unlink()
    repo.git("add", "--all")
    base = repo.commit("inner")
    repo.write(".sops.yaml", f"# other\n{(repo.root / '.sops.yaml').read_text()}").write(".github/workflows/x.yml", "")
    change(inner, PATH, "set", f'["secrets"]["{HOST}"]["app"]["a"]', '"new"')
    found = run("review", base, "--work-tree", "-o", "json", cwd=inner.root).expect().json
    assert [(one["kind"], one["path"]) for one in found["differences"]] == [
        ("other-file", "../../.github/workflows/x.yml"),
        ("key-changed", f"secrets/{PATH}"),
        ("file-rewritten", "../../.sops.yaml"),
    ]
    assert (found["prefix"], found["summary"]["files"], found["summary"]["other_files"]) == ("teams/data/", 2, 0)


@pytest.mark.parametrize(
    "arguments",
    [
        *(("nothing",), ("--", "--help"), ("--head=--all",), ("--head", ""), ("",), ("0" * 40,)),
        *(("main..change",), ("HEAD", "--work-tree", "--head", "HEAD")),
    ],
    ids=str,
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_what_is_no_commit_is_a_usage_error(run: Cli, arguments: tuple[str, ...], form: str) -> None:
    """Whatever a pipeline hands over; programs get a document."""
    done = run("review", "-o", form, *arguments).expect(2)
    assert done.stderr.startswith("error: ")
    assert (done.stdout == "") is (form == "text")


def test_outside_of_git_is_a_usage_error(tmp_path: Path) -> None:
    """So is a repository without a commit."""
    assert "no commit" in Cli(cwd=tmp_path)("review").expect(2).stderr


def test_without_main_a_base_must_be_named(run: Cli, repo: SecretsRepo) -> None:
    """It is not guessed which branch is meant."""
    repo.git("branch", "--quiet", "-m", "main", "trunk")
    assert "HEAD~1" in run("review").expect(2).stderr
    run("review", "trunk").expect()


def test_problems_of_the_head_are_told_with_the_review(run: Cli, repo: SecretsRepo, canaries: Canaries) -> None:
    """Exit 4, and what the change does all the same."""
    repo.write("secrets/prod/plain.yaml", f"version: 1\nsecrets: {{{HOST}: {{app: {{k: {canaries.text('text')}}}}}}}\n")
    done = run("review", "--work-tree").expect(4)
    assert "not encrypted: the value of k" in done.stdout
    assert "the file is not encrypted" in done.stdout
    assert canaries.found_in(done.stdout_bytes) == []


def test_nothing_is_asked_of_anybody_and_nothing_written(run: Cli, repo: SecretsRepo) -> None:
    """No connection, no program but git, no file."""
    change(repo, PATH, "set", f'["secrets"]["{HOST}"]["app"]["db"]', '"new"')
    with watched() as deeds:
        run("review", "--work-tree").expect()
    assert deeds.contacts == []
    assert deeds.written == []
    assert {command[0] for command in deeds.programs} == {"git"}


def test_output_file_gets_markdown_and_people_the_text(run: Cli, repo: SecretsRepo, tmp_path: Path) -> None:
    """A pipeline posts the one, and its log shows the other."""
    file = tmp_path / "review.md"
    change(repo, PATH, "unset", f'["secrets"]["{HOST}"]["app"]["gone"]')
    done = run("review", "--work-tree", "-o", "markdown", "--output-file", str(file)).expect()
    assert "- key gone in prod/app" in done.stdout
    assert file.read_text(encoding="utf-8").startswith("### Secrets: 1 deletion\n")


@pytest.mark.parametrize("name", [name for name, forgery in TREE.items() if forgery.review])
def test_what_only_review_can_tell_of_a_tree_is_not_folded_away(name: str, run: Cli, repo: SecretsRepo) -> None:
    """Rules, attributes, names of files: what docs/forgeries.md leaves to review stands above the changes."""
    repo.scope_file("prod/other.yaml", {HOST: {"other": {"key": "fine"}}})
    base = repo.commit("honest")
    TREE[name].make(repo)
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--message", "forged")
    done = run("review", base, "-o", "json")
    assert done.exit_code in {0, 4}
    assert {rank for rank, _ in told(done.json)} & {"first", "gone", "also"}


_MODULES: Final = """
import sys
from reconciler.cli import cli
cli.main(["review"], standalone_mode=False)
print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


def test_nothing_that_could_unlock_a_file_is_loaded(run: Cli) -> None:
    """It has no key and needs none; and it starts the quicker."""
    done = subprocess.run(
        (sys.executable, "-c", _MODULES),
        cwd=run.cwd,
        env=run.environ(),
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "reconciler" in loaded
    assert loaded & {"cryptography", "pyrage", "databricks", "rich", "starlette", "uvicorn"} == set()


def test_a_huge_file_with_hostile_names_is_told_in_time(run: Cli, repo: SecretsRepo) -> None:
    """Thousands of keys with line breaks, escapes and markup: cut, escaped, in seconds."""
    name = '"k{}`\\e[2J\\n::error::x|](http://x)<b>\\u202e@team"'.replace("\\u202e", "\\u202E")
    keys = "".join(f"      {name.format(number)}: plain\n" for number in range(5_000))
    repo.write("secrets/prod/huge.yaml", f"version: 1\nsecrets:\n  {HOST}:\n    app:\n{keys}")
    assert (repo.root / "secrets/prod/huge.yaml").stat().st_size > 300_000
    started = time.monotonic()
    done = run("review", "--work-tree", "-o", "markdown").expect(4)
    assert time.monotonic() - started < 60
    assert len(done.stdout) < 65_536
    assert all(line.isprintable() for line in done.stdout.split("\n"))
    assert "more, which `reconciler review` shows" in done.stdout
