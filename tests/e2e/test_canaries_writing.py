"""No command that writes files shows a value, hands it to a program, or puts it anywhere in plain."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.age_keys import AgeKey
from tests.support.audit import Deeds, watched
from tests.support.canaries import Canaries
from tests.support.cli import Cli, Result
from tests.support.secrets_repo import SecretsRepo
from tests.support.workspace_server import WorkspaceServer


@dataclass(kw_only=True)
class Hunt:
    """Runs commands, and remembers all that they said and did."""

    run: Cli
    canaries: Canaries
    root: Path
    said: list[str] = field(default_factory=list)
    programs: list[tuple[str, ...]] = field(default_factory=list)
    written: set[str] = field(default_factory=set)

    def __call__(self, *arguments: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> Result:
        """Run a command that must work, with ``-v``."""
        with watched() as deeds:
            done = self.run("-v", *arguments, stdin=stdin, env=env).expect()
        self._note(done, deeds)
        return done

    def _note(self, done: Result, deeds: Deeds) -> None:
        self.said += [done.stdout_bytes.decode(errors="replace"), done.stderr]
        self.programs += deeds.programs
        self.written |= {path for path in deeds.written if path != "/dev/null"}

    def in_the_open(self) -> list[str]:
        """Return where canaries were found: in output, command lines, and files of the repository."""
        found = [f"output: {what}" for text in self.said for what in self.canaries.found_in(text)]
        found += [f"argv: {what}" for line in self.programs for what in self.canaries.found_in(" ".join(line))]
        files = (path for path in self.root.rglob("*") if path.is_file() and ".no-home" not in path.parts)
        return found + [f"{path}: {what}" for path in files for what in self.canaries.found_in(path.read_bytes())]


@pytest.fixture
def hunt(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer, age_key: AgeKey) -> Hunt:
    """Have a target whose files are committed, and canaries: the identity and the token among them."""
    repo.targets(
        {"prod": workspace_server.fields, "other": {"workspace": {"host": "https://adb-1.2.azuredatabricks.net"}}}
    )
    token = workspace_server.env["DATABRICKS_TOKEN"]
    return Hunt(run=run, canaries=Canaries.make(identity=age_key.identity, token=token), root=repo.root)


def test_no_command_that_writes_puts_a_value_in_the_open(
    hunt: Hunt, repo: SecretsRepo, workspace_server: WorkspaceServer, tmp_path: Path
) -> None:
    """Set, renamed, rotated, rekeyed, moved, imported, merged, removed: sealed wherever it goes, and nowhere else."""
    canaries = hunt.canaries
    (tmp_path / "value").write_bytes(canaries["bytes"])
    hunt("set", "prod/app", "other/app", "text", stdin=canaries["text"])
    hunt("set", "prod/app", "bytes", "--from-file", str(tmp_path / "value"))
    hunt("set", "prod/app", "odd", stdin=canaries["old"])
    hunt("rename", "prod/app", "text", "renamed")
    hunt("rotate", "prod/app", "odd", stdin=canaries["odd"])
    hunt("unset", "other/app", "text")
    repo.targets({"prod": workspace_server.fields})
    hunt("apply", "prod")
    workspace_server.create_scope("adopted")
    workspace_server.put("adopted", "key", canaries["bytes"])
    hunt("import", "prod/adopted")
    state = {
        "version": 4,
        "terraform_version": "1.9.0",
        "resources": [
            {
                "mode": "managed",
                "type": kind,
                "name": "it",
                "provider": 'provider["registry.terraform.io/databricks/databricks"]',
                "instances": [{"schema_version": 0, "attributes": attributes}],
            }
            for kind, attributes in (
                ("databricks_secret_scope", {"id": "tf", "name": "tf", "backend_type": "DATABRICKS"}),
                (
                    "databricks_secret",
                    {"id": "tf|||key", "scope": "tf", "key": "key", "string_value": canaries.text("text")},
                ),
            )
        ],
    }
    hunt("import", "prod", "--from-tfstate", "-", stdin=json.dumps(state).encode())
    hunt("rekey", "--all", "--yes")
    hunt("retarget", "prod", "--host", "http://127.0.0.1:9")
    assert canaries.found_in(canaries["text"]) != []
    assert hunt.in_the_open() == []
    beyond = {path for path in hunt.written if not _is_ours(path, repo.root)}
    assert beyond == set()


def _is_ours(path: str, root: Path) -> bool:
    """Tell whether a file that was opened for writing is one of the repository: what others could read is sealed."""
    place = Path(path)
    return not place.is_absolute() or place.is_relative_to(root)
