"""Setting, removing and renaming keys in the files, from the command line to the bytes in the workspace."""

import json
import subprocess
from pathlib import Path

import pytest

from reconciler.errors import EXIT_CANNOT_DECRYPT, EXIT_INVALID_INPUT, EXIT_USAGE
from tests.support.age_keys import AgeKey
from tests.support.cli import Cli, program
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsTool
from tests.support.workspace_server import WorkspaceServer


VALUES = {
    "number": b"5432",
    "leading-zeros": b"007",
    "float": b"1e10",
    "bool": b"true",
    "null": b"null",
    "date": b"2024-01-02",
    "json": b'{"a": [1, "b"]}',
    "dash": b"-n --option",
    "encrypted": b"ENC[AES256_GCM,data:aaaa,iv:aaaa,tag:aaaa,type:str]",
    "line-feed": b"text\n",
    "lines": b"-----BEGIN KEY-----\r\nabc\r\n\r\n-----END KEY-----\r\n",
    "blanks": b"  both ends \t ",
    "yaml": b"a: b # c\n- d",
    "anchor": b"&a *b !c",
    "quotes": b'it\'s "quoted" \\ here',
    "unicode": "ключ 🔑 \u2028\x85\ufeff".encode(),
    "bytes": bytes(range(256)),
    "nul": b"a\0b",
    "largest": b"x" * 131072,
    "largest-bytes": b"\xff" * 131072,
}


@pytest.fixture
def prod(repo: SecretsRepo, workspace_server: WorkspaceServer) -> SecretsRepo:
    """Have a target without any file."""
    return repo.targets({"prod": workspace_server.fields})


def test_any_bytes_arrive_in_the_workspace_as_they_were_given(
    run: Cli, prod: SecretsRepo, workspace_server: WorkspaceServer, sops: SopsTool, age_key: AgeKey
) -> None:
    """What looks like a number, a bool, YAML or ciphertext, bytes and the largest value: byte for byte."""
    for key, value in VALUES.items():
        run("set", "prod/app", key, stdin=value).expect()
    run("set", "prod/app", "nothing", "--empty").expect()
    run("validate").expect()
    run("apply", "prod").expect()
    assert {key: workspace_server.value("app", key) for key in workspace_server.keys("app")} == {
        **VALUES,
        "nothing": b"",
    }
    assert "no changes" in run("apply", "prod").expect().stdout
    opened = sops.decrypt(prod.read("secrets/prod/app.yaml"), age_key.identity)
    assert b"5432" in opened


def test_setting_the_same_value_changes_no_byte(run: Cli, prod: SecretsRepo) -> None:
    """A script may set what is set: the file stays as it is, and says so."""
    run("set", "prod/app", "key", stdin="same").expect()
    before = prod.read("secrets/prod/app.yaml")
    assert run("set", "prod/app", "key", stdin="same").expect().stdout.startswith("unchanged")
    assert prod.read("secrets/prod/app.yaml") == before


def test_other_values_keep_their_ciphertext(run: Cli, prod: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """A review shows one changed line, besides the seal of the file."""
    prod.scope_file(
        "prod/app.yaml", {workspace_server.host_key: {"app": {"one": "1", "two": "2"}}}, acls=["<READ users>"]
    )
    before = prod.read("secrets/prod/app.yaml").splitlines()
    run("set", "prod/app", "two", stdin="other").expect()
    after = prod.read("secrets/prod/app.yaml").splitlines()
    differing = [one.split(b":")[0].strip() for one, other in zip(before, after, strict=True) if one != other]
    assert [name for name in differing if name != b"lastmodified"] == [b"two", b"mac"]


def test_one_value_for_several_workspaces(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Several TARGET/SCOPE at once get the same value, each bound to its own place."""
    repo.targets({"prod": workspace_server.fields, "demo": repo.embedded("demo")})
    shown = run("set", "prod/app", "demo/other", "prod/app", "key", stdin="shared").expect().stdout
    assert shown.splitlines() == [
        "new  prod/app key  secrets/prod/app.yaml",
        "new  demo/other key  secrets/demo/other.yaml",
    ]
    run("validate").expect()
    run("apply", "demo").expect()
    assert run("get", "demo/other", "key").expect().stdout == "shared"


def test_a_key_is_changed_where_it_stands_whatever_the_case(
    run: Cli, prod: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """Of several files the one that has the key; its name keeps its spelling, as the platform knows no case."""
    prod.scope_file("prod/a.yaml", {workspace_server.host_key: {"App": {"One": "1"}}})
    prod.scope_file("prod/b.yaml", {workspace_server.host_key: {"App": {"Two": "2"}}})
    assert "secrets/prod/b.yaml" in run("set", "prod/app", "TWO", stdin="other").expect().stdout
    refused = run("set", "prod/app", "three", stdin="3").expect(EXIT_USAGE)
    assert "--file" in refused.stderr
    run("set", "prod/app", "three", "--file", "secrets/prod/a.yaml", stdin="3").expect()
    run("validate").expect()
    run("apply", "prod").expect()
    assert workspace_server.keys("App") == ["One", "Two", "three"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "exit_code", "said"),
    [
        pytest.param(("prod", "key"), "x", EXIT_USAGE, "names no scope", id="no scope"),
        pytest.param(("prdo/app", "key"), "x", EXIT_USAGE, "unknown target", id="misspelt target"),
        pytest.param(("prod/app", "a/b"), "x", EXIT_USAGE, "does not fit as a key", id="odd key"),
        pytest.param(("prod/a b", "key"), "x", EXIT_USAGE, "does not fit as a scope", id="odd scope"),
        pytest.param(("prod/reconciler-ledger", "key"), "x", EXIT_INVALID_INPUT, "reserved", id="ledger"),
        pytest.param(("prod/app", "key"), "", EXIT_USAGE, "--empty", id="empty by accident"),
        pytest.param(("prod/app", "key"), "x" * 131073, EXIT_USAGE, "128 KB", id="too large"),
        pytest.param(("prod/app", "key", "--file", "../x.yaml"), "x", EXIT_USAGE, "no place", id="out of the tree"),
        pytest.param(("prod/app", "key", "--from-file", "missing"), "", EXIT_USAGE, "missing", id="no such file"),
    ],
)
def test_what_cannot_be_set_says_why_and_leaves_everything(
    run: Cli, prod: SecretsRepo, arguments: tuple[str, ...], stdin: str, exit_code: int, said: str
) -> None:
    """A mistake shows before anything is written."""
    done = run("set", *arguments, stdin=stdin).expect(exit_code)
    assert said in done.stderr
    assert sorted(path.name for path in (prod.root / "secrets").rglob("*")) == ["targets.yaml"]


def test_a_file_that_does_not_open_stays(run: Cli, prod: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Without the identity nothing is changed, and it says who could."""
    other = AgeKey.generate()
    prod.scope_file("prod/app.yaml", {workspace_server.host_key: {"app": {"one": "1"}}}, recipients=[other.recipient])
    before = prod.read("secrets/prod/app.yaml")
    done = run("set", "prod/app", "one", stdin="canary-of-a-value").expect(EXIT_CANNOT_DECRYPT)
    assert "secrets/prod/app.yaml" in done.stderr
    assert "canary" not in done.stderr
    assert prod.read("secrets/prod/app.yaml") == before


def test_a_line_feed_is_kept_and_told_or_stripped(
    run: Cli, prod: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """What `echo` adds is the mistake of every first day."""
    assert "--strip" in run("set", "prod/app", "kept", stdin="x\n").expect().stderr
    assert "--strip" not in run("set", "prod/app", "stripped", "--strip", stdin="x\n").expect().stderr
    run("apply", "prod").expect()
    assert (workspace_server.value("app", "kept"), workspace_server.value("app", "stripped")) == (b"x\n", b"x")


def test_from_a_file(run: Cli, prod: SecretsRepo, workspace_server: WorkspaceServer, tmp_path: Path) -> None:
    """The bytes of a file, a trailing line feed included."""
    (tmp_path / "value.bin").write_bytes(b"\x00\x01\n")
    run("set", "prod/app", "key", "--from-file", str(tmp_path / "value.bin")).expect()
    run("apply", "prod").expect()
    assert workspace_server.value("app", "key") == b"\x00\x01\n"


def test_unset_takes_a_key_out_and_apply_deletes_it(
    run: Cli, prod: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """The last key of a file takes the file along."""
    for key in ("one", "two"):
        run("set", "prod/app", key, stdin=key).expect()
    run("apply", "prod").expect()
    assert run("unset", "prod/app", "one").expect().stdout == "removed  prod/app one  secrets/prod/app.yaml\n"
    run("apply", "prod").expect()
    assert workspace_server.keys("app") == ["two"]
    done = run("unset", "prod/app", "two").expect()
    assert "is deleted" in done.stderr
    assert "--delete-scopes" in done.stderr
    assert "take the target out" in done.stderr
    assert not (prod.root / "secrets/prod/app.yaml").exists()
    run("apply", "prod").expect()
    assert workspace_server.keys("app") == ["two"]


def test_unset_of_what_is_not_there_is_a_mistake_unless_said(run: Cli, prod: SecretsRepo) -> None:
    """A misspelt key must not pass for success."""
    run("set", "prod/app", "password", stdin="x").expect()
    done = run("unset", "prod/app", "pasword").expect(EXIT_USAGE)
    assert "password" in done.stderr
    assert "no changes" in run("unset", "prod/app", "pasword", "--if-exists").expect().stdout
    assert prod.read("secrets/prod/app.yaml")


def test_rename_keeps_the_value_under_the_new_name(
    run: Cli, prod: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """The value is bound to its name anew; a rule that names the old one is told."""
    host = workspace_server.host_key
    prod.scope_file("prod/app.yaml", {host: {"app": {"old": "value", "bin": b"\xff"}}}, rotation=["<90d old>"])
    done = run("rename", "prod/app", "old", "new").expect()
    assert "rotation rule" in done.stderr
    run("rename", "prod/app", "bin", "BIN").expect()
    run("apply", "prod").expect()
    assert {key: workspace_server.value("app", key) for key in workspace_server.keys("app")} == {
        "BIN": b"\xff",
        "new": b"value",
    }
    assert "already" in run("rename", "prod/app", "new", "bin").expect(EXIT_USAGE).stderr


def test_a_broken_neighbour_keeps_nobody_from_setting(
    run: Cli, prod: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """Old problems stand in nobody's way; new ones are not written."""
    prod.write("secrets/prod/broken.yaml", "version: 1\n")
    run("set", "prod/app", "key", stdin="x").expect()
    assert json.loads(run("targets", "-o", "json").stdout)["targets"][0]["target"] == "prod"
    assert workspace_server.host_key


def test_of_several_at_once_none_is_lost(run: Cli, prod: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Who was overtaken does it again: what reported success is in the file."""
    run("set", "prod/app", "first", stdin="x").expect()
    # In-process would share one standard input, which is what gives the values.
    started = [
        subprocess.Popen(
            program("set", "prod/app", f"key{number}"),
            cwd=prod.root,
            env=run.environ(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number in range(5)
    ]
    for number, process in enumerate(started):
        process.communicate(f"value{number}".encode(), timeout=60)
    assert [process.returncode for process in started] == [0] * 5
    run("apply", "prod").expect()
    assert workspace_server.keys("app") == ["first", *(f"key{number}" for number in range(5))]


def test_nothing_is_set_while_a_move_is_half_done(
    run: Cli, prod: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """A key would be looked for under the new host, not be found, and stand there twice."""
    prod.scope_file("prod/a.yaml", {"adb-1.2.azuredatabricks.net": {"app": {"key": "x"}}})
    prod.scope_file("prod/b.yaml", {workspace_server.host_key: {"other": {"key": "x"}}})
    for arguments in (("set", "prod/app", "key"), ("rotate", "prod/other", "key", "--everywhere")):
        done = run(*arguments, stdin="value").expect(EXIT_INVALID_INPUT)
        assert "adb-1.2.azuredatabricks.net" in done.stderr


def test_a_file_for_two_embedded_targets_is_opened_by_its_own_key(run: Cli, repo: SecretsRepo) -> None:
    """What apply opens, set opens, too: not with a key of the environment."""
    repo.targets({"demo": repo.embedded("demo"), "dev": repo.embedded("dev")})
    repo.scope_file("shared.yaml", {"demo": {"app": {"key": "old"}}, "dev": {"app": {"key": "old"}}})
    run("set", "demo/app", "dev/app", "key", stdin="new", env={"SOPS_AGE_KEY": ""}).expect()
    run("apply", "--all", env={"SOPS_AGE_KEY": ""}).expect()
    assert run("get", "dev/app", "key").expect().stdout == "new"


def test_a_file_that_holds_something_broken_besides_is_not_deleted(
    run: Cli, prod: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """A value that breaks a rule is a value all the same."""
    host = workspace_server.host_key
    prod.encrypt("prod/app.yaml", f'version: 1\nsecrets:\n  "{host}":\n    app:\n      good: a\n      other: 5432\n')
    run("unset", "prod/app", "good").expect()
    assert b"other" in prod.read("secrets/prod/app.yaml")


def test_no_scope_file_passes_for_the_rules_of_sops(run: Cli, prod: SecretsRepo) -> None:
    """A scope may be called `.sops`; sops would take its file for rules."""
    assert "no place" in run("set", "prod/.sops", "key", stdin="x").expect(EXIT_USAGE).stderr
    run("set", "prod/.sops", "key", "--file", "./secrets/prod/dot-sops.yaml", stdin="x").expect()
    assert prod.read("secrets/prod/dot-sops.yaml")


def test_what_breaks_a_rule_can_be_taken_out_or_set_right(
    run: Cli, prod: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """A number that sops was given, a name that no key can have: they are in the file all the same."""
    host = workspace_server.host_key
    text = f'version: 1\nsecrets:\n  "{host}":\n    app:\n      good: a\n      num: 5\n      other: 6\n      "a b": c\n'
    prod.encrypt("prod/app.yaml", text)
    run("unset", "prod/app", "num").expect()
    run("unset", "prod/app", "a b").expect()
    assert run("set", "prod/app", "other", stdin="text").expect().stdout.startswith("set ")
    run("apply", "prod").expect()
    assert workspace_server.keys("app") == ["good", "other"]
