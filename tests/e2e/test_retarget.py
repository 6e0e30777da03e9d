"""A workspace moved, from the command line to the files."""

from collections.abc import Mapping

import pytest

from reconciler.errors import EXIT_CANNOT_DECRYPT, EXIT_INVALID_INPUT, EXIT_REFUSED, EXIT_USAGE
from tests.support.age_keys import AgeKey
from tests.support.cli import Cli
from tests.support.secrets_repo import Secrets, SecretsRepo
from tests.support.sops_tool import SopsTool
from tests.support.workspace_server import WorkspaceServer


OLD, NEW, DEV = "adb-1.2.azuredatabricks.net", "adb-3.4.azuredatabricks.net", "adb-5.6.azuredatabricks.net"

_TARGETS = f"""\
owner: 123e4567-e89b-42d3-a456-426614174000
targets:
  demo:
    embedded: true
    age_key_file: demo/demo.agekey
  prod:   # the one that counts
    workspace:
      host: https://{OLD}   # west
      profile: prod
  dev:
    workspace: {{host: https://{DEV}, workspace_id: 77}}
"""


@pytest.fixture
def two(repo: SecretsRepo) -> SecretsRepo:
    """Have two files for prod, one of which feeds dev, too; and one beside them."""
    repo.embedded("demo")
    repo.write("secrets/targets.yaml", _TARGETS)
    shared: Secrets = {OLD: {"a": {"k": "first", "b": b"\xff", "e": ""}}, f"{DEV}?o=77": {"a": {"k": "other"}}}
    repo.scope_file("prod/a.yaml", shared, acls=["<READ users>"])
    repo.scope_file("zeta/b.yaml", {OLD: {"b": {"k": "second"}}})
    repo.scope_file("demo/c.yaml", {"demo": {"c": {"k": "third"}}})
    return repo


def _files(repo: SecretsRepo) -> Mapping[str, bytes]:
    return {path.relative_to(repo.root).as_posix(): path.read_bytes() for path in repo.root.rglob("*.yaml")}


def _changed(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[str]:
    return sorted(path for path in before if before[path] != after[path])


def test_host_and_values_move_together(run: Cli, two: SecretsRepo, sops: SopsTool) -> None:
    """Other hosts, policy, comments and files stay as they are; the values are the same, bound to their new place."""
    before = _files(two)
    done = run("retarget", "prod", "--host", f"https://{NEW}").expect()
    assert done.stdout.splitlines() == [
        f"moved  {OLD} -> {NEW}  {path}"
        for path in ("secrets/prod/a.yaml", "secrets/zeta/b.yaml", "secrets/targets.yaml")
    ]
    assert "profile prod" in done.stderr
    assert "--adopt" in done.stderr
    after = _files(two)
    assert _changed(before, after) == ["secrets/prod/a.yaml", "secrets/targets.yaml", "secrets/zeta/b.yaml"]
    assert after["secrets/targets.yaml"].decode() == _TARGETS.replace(OLD, NEW)
    opened = sops.decrypt(after["secrets/prod/a.yaml"], two.key.identity).decode()
    assert opened == sops.decrypt(before["secrets/prod/a.yaml"], two.key.identity).decode().replace(OLD, NEW)
    kept = [
        line for line in before["secrets/prod/a.yaml"].splitlines() if line in after["secrets/prod/a.yaml"].splitlines()
    ]
    assert sum(b"ENC[" in line for line in kept) == 1  # dev's; all others and the MAC are new
    run("validate").expect()


def test_run_again_it_changes_nothing(run: Cli, two: SecretsRepo) -> None:
    """A script may move what has moved."""
    run("retarget", "prod", "--host", f"https://{NEW}").expect()
    before = _files(two)
    done = run("retarget", "prod", "--host", f"https://{NEW}").expect()
    assert done.stdout == f"no changes: prod is at {NEW}, and so are its values\n"
    assert _files(two) == before


@pytest.mark.parametrize("written", [1, 2])
def test_cut_off_it_is_explained_and_finished_by_the_same_command(run: Cli, two: SecretsRepo, written: int) -> None:
    """Files are written one by one, targets.yaml last, each in one step: these are the states in between."""
    before = _files(two)
    run("retarget", "prod", "--host", f"https://{NEW}").expect()
    whole = _files(two)
    for path in ("secrets/prod/a.yaml", "secrets/zeta/b.yaml", "secrets/targets.yaml")[written:]:
        two.write(path, before[path])
    explained = run("validate").expect(EXIT_INVALID_INPUT)
    assert NEW in explained.stdout
    run("retarget", "prod", "--host", f"https://{NEW}").expect()
    after = _files(two)
    assert after["secrets/targets.yaml"] == whole["secrets/targets.yaml"]
    assert after["secrets/prod/a.yaml"] == whole["secrets/prod/a.yaml"]
    run("validate").expect()
    assert OLD not in "".join(data.decode() for data in after.values())


@pytest.mark.parametrize("old", [OLD, f"https://{OLD}", f"https://{OLD}/"], ids=["name", "url", "url-of-a-browser"])
def test_a_host_changed_by_hand_is_followed(run: Cli, two: SecretsRepo, old: str) -> None:
    """As a search and replace over targets.yaml leaves it; again it changes nothing."""
    two.write("secrets/targets.yaml", _TARGETS.replace(OLD, NEW))
    run("validate").expect(EXIT_INVALID_INPUT)
    hinted = run("retarget", "prod", "--host", f"https://{NEW}").expect()
    assert f"hosts of no target: {OLD}" in hinted.stderr
    done = run("retarget", "prod", "--from", old).expect()
    assert done.stdout.count("moved") == 2
    run("validate").expect()
    assert "no changes" in run("retarget", "prod", "--from", old).expect().stdout


def test_a_workspace_id_is_added_changed_and_taken_away(run: Cli, two: SecretsRepo) -> None:
    """It stands above the values, too."""
    run("retarget", "prod", "--workspace-id", "123").expect()
    assert f"{OLD}?o=123" in two.read("secrets/zeta/b.yaml").decode()
    run("retarget", "prod", "--workspace-id", "456", "--host", f"https://{NEW}").expect()
    assert f"{NEW}?o=456" in two.read("secrets/zeta/b.yaml").decode()
    run("validate").expect()
    run("retarget", "prod", "--no-workspace-id", "--host", f"https://{OLD}").expect()
    assert two.read("secrets/targets.yaml").decode() == _TARGETS
    assert f"{OLD}:" in two.read("secrets/zeta/b.yaml").decode()
    run("retarget", "dev", "--workspace-id", "0123").expect()
    assert f'{{host: https://{DEV}, workspace_id: "0123"}}' in two.read("secrets/targets.yaml").decode()
    run("validate").expect()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        pytest.param(("prod",), EXIT_USAGE, "--host", id="nothing-said"),
        pytest.param(("prod", "--host", f"https://{NEW}", "--from", OLD), EXIT_USAGE, "--host", id="both-ways"),
        pytest.param(("prdo", "--host", f"https://{NEW}"), EXIT_USAGE, "did you mean 'prod'", id="unknown-target"),
        pytest.param(("demo", "--host", f"https://{NEW}"), EXIT_USAGE, "embedded", id="embedded"),
        pytest.param(("prod", "--host", NEW), EXIT_USAGE, "does not begin with https://", id="no-scheme"),
        pytest.param(("prod", "--host", "https://evil.example"), EXIT_USAGE, "RECONCILER_EXTRA_HOSTS", id="zone"),
        pytest.param(("prod", "--workspace-id", "a b"), EXIT_USAGE, "workspace id", id="odd-id"),
        pytest.param(
            ("prod", "--host", f"https://{DEV}", "--workspace-id", "77"), EXIT_REFUSED, "of target dev", id="taken"
        ),
        pytest.param(("prod", "--host", f"https://{DEV}"), EXIT_INVALID_INPUT, "share a workspace", id="taken-by-name"),
        pytest.param(("prod", "--from", f"{DEV}?o=77"), EXIT_REFUSED, "of target dev", id="from-another-target"),
        pytest.param(("prod", "--from", OLD), EXIT_USAGE, "what target prod has", id="from-itself"),
        pytest.param(("dev", "--from", "nowhere"), 0, "", id="from-nowhere-with-values-moved"),
    ],
)
def test_what_is_refused_writes_nothing(
    run: Cli, two: SecretsRepo, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    """Each says why, and what to do instead."""
    before = _files(two)
    assert said in run("retarget", *arguments).expect(exit_code).stderr
    assert _files(two) == before


def test_a_host_that_no_file_has_is_said_with_those_that_are_nobodys(run: Cli, repo: SecretsRepo) -> None:
    """It may be misspelt."""
    repo.targets({"prod": {"workspace": {"host": f"https://{NEW}"}}})
    repo.scope_file("prod/a.yaml", {OLD: {"a": {"k": "v"}}})
    refused = run("retarget", "prod", "--from", "adb-1.3.azuredatabricks.net").expect(EXIT_USAGE)
    assert f"did you mean '{OLD}'" in refused.stderr
    refused = run("retarget", "prod", "--from", "elsewhere").expect(EXIT_USAGE)
    assert f"hosts of no target are {OLD}" in refused.stderr


def test_a_file_that_is_none_stops_all_of_it(run: Cli, two: SecretsRepo) -> None:
    """Nobody can tell whether the host stands in it."""
    two.write("secrets/prod/broken.yaml", "a: [")
    before = _files(two)
    assert "broken.yaml" in run("retarget", "prod", "--host", f"https://{NEW}").expect(EXIT_INVALID_INPUT).stderr
    assert _files(two) == before


def test_a_file_that_nobody_here_can_open_stops_all_of_it(run: Cli, two: SecretsRepo) -> None:
    """Half a move would be worse than none."""
    two.scope_file("prod/sealed.yaml", {OLD: {"s": {"k": "v"}}}, recipients=[AgeKey.generate().recipient])
    before = _files(two)
    run("retarget", "prod", "--host", f"https://{NEW}").expect(EXIT_CANNOT_DECRYPT)
    assert _files(two) == before


def test_a_file_with_both_hosts_is_left_to_people(run: Cli, two: SecretsRepo) -> None:
    """Nobody else knows which of two values is meant to stay."""
    two.scope_file("prod/both.yaml", {OLD: {"c": {"k": "1"}}, NEW: {"c": {"k": "2"}}})
    before = _files(two)
    refused = run("retarget", "prod", "--host", f"https://{NEW}").expect(EXIT_REFUSED)
    assert "secrets/prod/both.yaml has values for both" in refused.stderr
    assert _files(two) == before


def test_what_moved_arrives(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Values of the old workspace, byte for byte, in the new one; on loopback, where the key above them has a port."""
    repo.targets({"prod": {"workspace": {"host": f"https://{OLD}"}}})
    repo.scope_file("prod/a.yaml", {OLD: {"a": {"k": "value", "b": b"\xff\0"}}})
    run("retarget", "prod", "--host", workspace_server.emulator.url).expect()
    run("apply", "prod").expect()
    assert {key: workspace_server.value("a", key) for key in ("k", "b")} == {"k": b"value", "b": b"\xff\0"}
