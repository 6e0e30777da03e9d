"""Rotating a value, from the command line to the files and to a branch."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from reconciler.errors import EXIT_CANNOT_DECRYPT, EXIT_INTERRUPTED, EXIT_REFUSED, EXIT_USAGE, EXIT_WORKSPACE
from tests.support.age_keys import AgeKey
from tests.support.canaries import Canaries
from tests.support.cli import Cli, program
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsTool
from tests.support.terminal import Terminal, interrupt


PROD, DEV = "adb-1.2.azuredatabricks.net", "adb-3.4.azuredatabricks.net"

_WHO = {f"GIT_{role}_{what}": "tester@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture
def three(repo: SecretsRepo) -> SecretsRepo:
    """Have one value in three targets, in one of them twice, and others beside it; all of it committed."""
    repo.targets(
        {
            "demo": repo.embedded("demo"),
            "prod": {"workspace": {"host": f"https://{PROD}"}},
            "dev": {"workspace": {"host": f"https://{DEV}"}},
        }
    )
    repo.scope_file("demo/app.yaml", {"demo": {"app": {"db": "old value", "other": "x"}}})
    repo.scope_file("prod/pay.yaml", {PROD: {"pay": {"db-password": "old value", "nothing": ""}, "two": {"k": "k"}}})
    repo.scope_file("dev/pay.yaml", {DEV: {"pay": {"db-password": "old value", "again": b"old value", "nothing": ""}}})
    repo.commit()
    return repo


def _opened(repo: SecretsRepo, sops: SopsTool, path: str) -> str:
    return sops.decrypt(repo.read(f"secrets/{path}"), repo.key.identity).decode()


def test_a_generated_value_takes_the_place_of_the_old_one(run: Cli, three: SecretsRepo, sops: SopsTool) -> None:
    """Every other place that holds the old one is named, and nothing else is touched."""
    done = run("rotate", "prod/pay", "DB-Password", "--generate", "32:lower").expect()
    assert done.stdout.splitlines() == [
        "rotated  prod/pay db-password  secrets/prod/pay.yaml",
        "same value, left  demo/app db  secrets/demo/app.yaml",
        "same value, left  dev/pay db-password  secrets/dev/pay.yaml",
        "same value, left  dev/pay again  secrets/dev/pay.yaml",
    ]
    assert "--everywhere" in done.stderr
    assert three.git("status", "--porcelain").split() == ["M", "secrets/prod/pay.yaml"]
    (line,) = (line for line in _opened(three, sops, "prod/pay.yaml").splitlines() if "db-password" in line)
    value = line.partition(":")[2].strip()
    assert len(value) == 32
    assert value.islower()
    assert value not in done.stdout + done.stderr
    run("validate").expect()


def test_everywhere_rotates_them_together(run: Cli, three: SecretsRepo, sops: SopsTool) -> None:
    """One new value for all of them, in whatever form the old one stood."""
    done = run("rotate", "prod/pay", "db-password", "--everywhere", "-o", "json", stdin="new value").expect()
    assert done.json["same_value"] == []
    assert [(one["target"], one["key"], one["file"]) for one in done.json["rotated"]] == [
        ("prod", "db-password", "secrets/prod/pay.yaml"),
        ("demo", "db", "secrets/demo/app.yaml"),
        ("dev", "db-password", "secrets/dev/pay.yaml"),
        ("dev", "again", "secrets/dev/pay.yaml"),
    ]
    texts = [_opened(three, sops, path) for path in ("demo/app.yaml", "prod/pay.yaml", "dev/pay.yaml")]
    assert [text.count("new value") for text in texts] == [1, 1, 2]
    assert not any("old value" in text for text in texts)
    run("validate").expect()


def test_several_scopes_are_rotated_if_they_have_the_same_value(run: Cli, three: SecretsRepo) -> None:
    """Otherwise one accident would give production the password of the test system."""
    done = run("rotate", "prod/pay", "dev/pay", "prod/pay", "db-password", stdin="new value").expect()
    assert done.stdout.count("rotated") == 2
    run("set", "dev/pay", "db-password", stdin="another").expect()
    before = three.git("diff")
    refused = run("rotate", "prod/pay", "dev/pay", "db-password", "--generate", "32").expect(EXIT_REFUSED)
    assert "different values" in refused.stderr
    assert three.git("diff") == before


def test_empty_values_have_nothing_in_common(run: Cli, three: SecretsRepo) -> None:
    """An empty one says that there is none."""
    done = run("rotate", "prod/pay", "nothing", "--everywhere", stdin="something").expect()
    assert done.stdout.splitlines() == ["rotated  prod/pay nothing  secrets/prod/pay.yaml"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "exit_code", "said"),
    [
        pytest.param(("db-password",), "old value", EXIT_REFUSED, "not rotated", id="the-same-value"),
        pytest.param(("db-password", "--command", "printf 'old value'"), "", EXIT_REFUSED, "not rotated", id="printed"),
        pytest.param(("db-password",), "", EXIT_USAGE, "--generate LENGTH", id="nothing"),
        pytest.param(
            ("db-password", "--generate", "32", "--strip"), "", EXIT_USAGE, "line feed", id="nothing-to-strip"
        ),
        pytest.param(("db-pasword",), "x", EXIT_USAGE, "did you mean 'db-password'", id="misspelt-key"),
        pytest.param(("new-key",), "x", EXIT_USAGE, "reconciler set prod/pay new-key", id="new-key"),
        pytest.param(("db-password", "--generate", "3"), "", EXIT_USAGE, "can be guessed", id="weak"),
        pytest.param(("db-password", "--command", "false"), "", EXIT_WORKSPACE, "nothing was written", id="failed"),
        pytest.param(
            ("db-password", "--command", "sh -c 'head -c 131073 /dev/zero'"),
            "",
            EXIT_WORKSPACE,
            "128 KB",
            id="too-large",
        ),
        pytest.param(
            ("db-password", "--command", "a", "--generate", "32"), "", EXIT_USAGE, "two values", id="two-sources"
        ),
        pytest.param(("db-password", "--weak"), "x", EXIT_USAGE, "--weak is for --generate", id="option-without-use"),
        pytest.param(("db-password", "--exact"), "x", EXIT_USAGE, "--exact is for --command", id="likewise"),
        pytest.param(("db-password", "--branch", "a b"), "x", EXIT_USAGE, "no branch can be called", id="odd-branch"),
    ],
)
def test_what_is_refused_writes_nothing(
    run: Cli, three: SecretsRepo, arguments: tuple[str, ...], stdin: str, exit_code: int, said: str
) -> None:
    """Each with what to do instead, and no word of a value."""
    refused = run("rotate", "prod/pay", *arguments, stdin=stdin, env=_WHO).expect(exit_code)
    assert said in refused.stderr
    assert "old value" not in refused.stdout + refused.stderr.replace("printf 'old value'", "")
    assert three.git("status", "--porcelain") == ""


def test_without_a_search_no_other_file_is_opened(run: Cli, three: SecretsRepo) -> None:
    """They are named as not looked into; what stands in the same file is found all the same."""
    done = run("rotate", "dev/pay", "db-password", "--no-search", stdin="new value").expect()
    assert done.stdout.splitlines() == [
        "rotated  dev/pay db-password  secrets/dev/pay.yaml",
        "same value, left  dev/pay again  secrets/dev/pay.yaml",
        "not looked into  secrets/demo/app.yaml: --no-search",
        "not looked into  secrets/prod/pay.yaml: --no-search",
    ]
    refused = run("rotate", "dev/pay", "db-password", "--no-search", "--everywhere", stdin="x").expect(EXIT_USAGE)
    assert "--no-search" in refused.stderr


def test_files_that_nobody_here_can_open_are_named(run: Cli, three: SecretsRepo) -> None:
    """They may hold the value, too; a key in one of them cannot be rotated."""
    three.scope_file("prod/sealed.yaml", {PROD: {"sealed": {"k": "v"}}}, recipients=[AgeKey.generate().recipient])
    done = run("rotate", "prod/pay", "db-password", stdin="new value").expect()
    assert "not looked into  secrets/prod/sealed.yaml: no identity at hand opens the file" in done.stdout
    assert "secrets/prod/sealed.yaml" in done.stderr
    run("rotate", "prod/sealed", "k", stdin="x").expect(EXIT_CANNOT_DECRYPT)


def test_a_command_gets_no_key_and_its_value_is_in_nothing_but_the_file(
    run: Cli, three: SecretsRepo, sops: SopsTool, tmp_path: Path
) -> None:
    """Neither in what is printed nor in the repository of git; and a line feed at the end is left out."""
    canaries = Canaries.make()
    script = tmp_path / "make"
    script.write_text(
        f"#!/bin/sh\nenv > {tmp_path}/seen\necho 'complaint {canaries.text('old')}' >&2\ncat {tmp_path}/v\n"
    )
    script.chmod(0o755)
    (tmp_path / "v").write_bytes(canaries["text"] + b"\n")
    done = run("-v", "rotate", "prod/pay", "db-password", "--command", str(script), "--commit", env=_WHO).expect()
    assert canaries.found_in(done.stdout + done.stderr) == []
    assert canaries.found_in(three.git("log", "-p", "--all")) == []
    assert "AGE-SECRET-KEY" not in (tmp_path / "seen").read_text()
    assert f"db-password: {canaries.text('text')}\n" in _opened(three, sops, "prod/pay.yaml")


def test_commit_makes_a_branch_that_names_keys_alone(run: Cli, three: SecretsRepo) -> None:
    """Of these files alone; other work in the tree stays uncommitted."""
    three.write("notes", "mine").write("secrets/prod/pay.yaml", three.read("secrets/prod/pay.yaml"))
    done = run("rotate", "prod/pay", "db-password", "--everywhere", "--commit", stdin="new value", env=_WHO).expect()
    name = three.git("symbolic-ref", "--short", "HEAD").strip()
    assert name.startswith("rotate/prod-pay-db-password-20")
    assert f"on {name}" in done.stdout
    assert "git switch main" in done.stderr
    assert three.git("log", "-1", "--format=%B").strip().split("\n") == [
        "Rotate prod/pay db-password and 3 more",
        "",
        "New value for:",
        "",
        "- prod/pay db-password",
        "- demo/app db",
        "- dev/pay db-password",
        "- dev/pay again",
    ]
    assert three.git("status", "--porcelain").split() == ["??", "notes"]
    again = run("rotate", "prod/pay", "db-password", "--branch", name, stdin="x", env=_WHO).expect(EXIT_REFUSED)
    assert "--branch" in again.stderr


def test_uncommitted_changes_of_the_file_are_not_committed_along(run: Cli, three: SecretsRepo) -> None:
    """Nor is a program asked for a new value before that is known."""
    run("set", "prod/pay", "other", stdin="x").expect()
    before = three.read("secrets/prod/pay.yaml")
    touch = f"touch {three.root}/ran"
    refused = run("rotate", "prod/pay", "db-password", "--commit", "--command", touch, env=_WHO).expect(EXIT_REFUSED)
    assert "changes that are not committed" in refused.stderr
    assert three.read("secrets/prod/pay.yaml") == before
    assert not (three.root / "ran").exists()


def test_a_hook_that_refuses_leaves_the_new_value_in_the_file(run: Cli, three: SecretsRepo) -> None:
    """What it said is shown, control characters made visible; the report is there all the same."""
    three.write(".git/hooks/pre-commit", "#!/bin/sh\nprintf 'no \\033[31mway\\n'; exit 1\n")
    (three.root / ".git/hooks/pre-commit").chmod(0o755)
    done = run("rotate", "prod/pay", "db-password", "--commit", "-o", "json", stdin="new value", env=_WHO)
    done.expect(EXIT_WORKSPACE)
    assert r"no \x1b[31mway" in done.stderr
    assert "the new value is written to secrets/prod/pay.yaml" in done.stderr
    assert (done.json["commit"], done.json["branch"], len(done.json["rotated"])) == (None, None, 1)
    assert three.git("symbolic-ref", "--short", "HEAD").strip() == "main"
    assert three.git("status", "--porcelain").split() == ["M", "secrets/prod/pay.yaml"]


def test_an_interrupt_during_the_commit_leaves_no_lock_and_no_branch(
    run: Cli, three: SecretsRepo, tmp_path: Path
) -> None:
    """The file has the new value, which is said; git can be used at once."""
    three.write(".git/hooks/pre-commit", f"#!/bin/sh\ntouch {tmp_path}/began; exec sleep 3\n")
    (three.root / ".git/hooks/pre-commit").chmod(0o755)
    command = program("rotate", "prod/pay", "db-password", "--generate", "32", "--commit")
    process = subprocess.Popen(
        command, cwd=three.root, env=run.environ(_WHO), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    with process:
        deadline = time.monotonic() + 30
        while not (tmp_path / "began").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        interrupt(process)
        assert process.wait(30) == EXIT_INTERRUPTED
        assert process.stderr is not None
        assert b"secrets/prod/pay.yaml, and is not committed" in process.stderr.read()
    assert three.git("symbolic-ref", "--short", "HEAD").strip() == "main"
    assert three.git("for-each-ref", "--format=%(refname)").split() == ["refs/heads/main"]
    assert three.git("status", "--porcelain").split() == ["M", "secrets/prod/pay.yaml"]
    assert not (three.root / ".git/index.lock").exists()


@pytest.fixture
def server(three: SecretsRepo, tmp_path: Path) -> Path:
    """Have a server that the main branch was pushed to."""
    place = tmp_path / "server"
    three.git("init", "--quiet", "--bare", str(place))
    three.git("remote", "add", "origin", str(place))
    three.git("push", "--quiet", "--set-upstream", "origin", "main")
    return place


def _gh(folder: Path, script: str) -> dict[str, str]:
    """Put a ``gh`` in front of PATH that notes its arguments and its input."""
    folder.mkdir()
    note = f'printf "%s\\n" "$@" > {folder}/arguments; cat > {folder}/input\n'
    (folder / "gh").write_text(f"#!/bin/sh\n{note}{script}\n")
    (folder / "gh").chmod(0o755)
    return {**_WHO, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def test_a_pull_request_is_opened_through_gh(run: Cli, three: SecretsRepo, server: Path, tmp_path: Path) -> None:
    """The branch is pushed; title and text name keys alone; its page is printed."""
    env = _gh(tmp_path / "bin", "echo https://example.com/pull/7")
    done = run("rotate", "prod/pay", "db-password", "--pr", "--branch", "fresh", stdin="new value", env=env).expect()
    assert "pull request  https://example.com/pull/7" in done.stdout
    assert (tmp_path / "bin/arguments").read_text().splitlines() == [
        *("pr", "create", "--title=Rotate prod/pay db-password", "--body-file=-", "--head=fresh", "--base=main")
    ]
    assert (tmp_path / "bin/input").read_text() == "New value for:\n\n- prod/pay db-password\n"
    assert three.git("rev-parse", "HEAD") == three.git("--git-dir", str(server), "rev-parse", "fresh")


def test_without_gh_it_says_what_to_run(run: Cli, three: SecretsRepo, server: Path, tmp_path: Path) -> None:
    """The branch is pushed all the same."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("git", "sh"):
        (programs / name).symlink_to(
            next(found for each in os.get_exec_path() if (found := Path(each) / name).exists())
        )
    env = {**_WHO, "PATH": str(programs)}
    done = run("rotate", "prod/pay", "db-password", "--pr", "--branch", "fresh", stdin="new value", env=env).expect()
    assert "gh pr create --fill --head fresh --base main" in done.stderr
    assert ", pushed" in done.stdout
    assert three.git("--git-dir", str(server), "rev-parse", "fresh")


def test_what_gh_refuses_is_told_and_the_branch_stays(
    run: Cli, three: SecretsRepo, server: Path, tmp_path: Path
) -> None:
    """With what to run by hand."""
    env = _gh(tmp_path / "bin", "echo no login >&2; exit 4")
    done = run("rotate", "prod/pay", "db-password", "--pr", "--branch", "fresh", "-o", "json", stdin="new", env=env)
    done.expect(EXIT_WORKSPACE)
    assert "no login" in done.stderr
    assert "gh pr create --fill --head fresh" in done.stderr
    assert (done.json["pushed"], done.json["pull_request"]) == (True, None)
    assert three.git("--git-dir", str(server), "rev-parse", "fresh")


def test_on_a_terminal_the_new_value_is_asked_for_unseen(run: Cli, three: SecretsRepo, sops: SopsTool) -> None:
    """Twice; and where else the old one stands is said before."""
    command = program("rotate", "prod/pay", "db-password")
    with Terminal(command, cwd=three.root, env=run.environ()) as terminal:
        terminal.wait_for("New value of db-password")
        assert "hold the same value" in terminal.said
        terminal.type("typed value\n")
        terminal.wait_for("Once more")
        terminal.type("typed value\n")
        assert terminal.end() == 0
        assert "typed value" not in terminal.said
    assert "db-password: typed value\n" in _opened(three, sops, "prod/pay.yaml")


def test_the_report_is_one_document(run: Cli, three: SecretsRepo) -> None:
    """Talk goes to stderr."""
    done = run("rotate", "prod/pay", "db-password", "--generate", "32", "-o", "json").expect()
    assert set(json.loads(done.stdout)) == {
        *(
            "format_version",
            "rotated",
            "same_value",
            "not_opened",
            "branch",
            "commit",
            "pushed",
            "pull_request",
            "error",
        )
    }
