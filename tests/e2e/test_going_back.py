"""Old commits, old files, and commits that delete much: what a pipeline meets that is run again, or after a mistake."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import EXIT_REFUSED
from tests.support.cli import Cli, Result
from tests.support.secrets_repo import SecretsRepo
from tests.support.workspace_server import WorkspaceServer


class App:
    """The scope ``app`` of the target ``prod``, fed by one file in git."""

    def __init__(self, run: Cli, repo: SecretsRepo, server: WorkspaceServer) -> None:
        self.run = run
        self.repo = repo.targets({"prod": server.fields})
        self.server = server

    def commit(self, keys: Mapping[str, str]) -> str:
        """Commit a file with these values, encrypted anew."""
        return self.repo.scope_file("prod/app.yaml", {self.server.host_key: {"app": keys}}).commit()

    def apply(self, *options: str, exit_code: int = 0) -> Result:
        """Apply what is checked out; every key that is written arrives."""
        return self.run("apply", "prod", *options, "-o", "json").expect(exit_code)

    def refused(self, *options: str) -> str:
        """Return why planning and applying are refused, which must be the same, and write nothing but the ledger."""
        before = self.values()
        planned = self.run("plan", "prod", *options, "-o", "json").expect(EXIT_REFUSED).target
        applied = self.apply(*options, exit_code=EXIT_REFUSED).target
        assert planned["errors"] == applied["errors"]
        assert self.values() == before
        (said,) = applied["errors"]
        return str(said)

    def values(self) -> dict[str, bytes]:
        """Return what the workspace holds."""
        return {key: self.server.value("app", key) for key in self.server.keys("app")}


@pytest.fixture
def app(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> App:
    """Feed one scope from git."""
    return App(run, repo, workspace_server)


def _findings(result: Result) -> set[tuple[Any, ...]]:
    return {(finding["kind"], finding["scope"]) for finding in result.target["findings"]}


def test_pipeline_that_is_run_again_does_not_undo_a_rotation(app: App) -> None:
    """The old commit is refused until somebody insists."""
    old = app.commit({"password": "old"})
    app.apply()
    app.commit({"password": "new"})
    app.apply()
    app.repo.git("checkout", "--quiet", old)
    assert "is older than" in app.refused()
    app.apply("--allow-rollback")
    assert app.values() == {"password": b"old"}


def test_commit_that_was_reverted_is_not_run_again(app: App) -> None:
    """Though the revert changed nothing in the workspace: the commit never got there, and must not now."""
    app.commit({"password": "good"})
    app.apply()
    bad = app.commit({"password": "bad"})
    app.repo.git("revert", "--no-edit", bad)
    app.server.traffic()
    assert app.apply().target["summary"]["put_secret"] == 0
    assert {call.scope for call in app.server.all_writes()} == {"reconciler-ledger"}
    app.repo.git("checkout", "--quiet", bad)
    assert "is older than" in app.refused()
    assert app.values() == {"password": b"good"}


def test_commit_on_another_branch_is_refused_until_it_is_merged(app: App) -> None:
    """It would undo what only the other branch has."""
    base = app.commit({"a": "1"})
    app.commit({"a": "2"})
    app.apply()
    app.repo.git("checkout", "--quiet", "-b", "side", base)
    app.repo.write("secrets/notes.txt", "x").commit()
    assert "does not build on" in app.refused()
    app.repo.git("merge", "--quiet", "--no-edit", "main")
    app.apply()
    assert app.values() == {"a": b"2"}


def test_shallow_clone_is_refused_where_it_cannot_tell(app: App, tmp_path: Path) -> None:
    """With the way to fetch what is missing, which helps."""
    app.commit({"a": "1"})
    app.apply()
    for value in "23":
        app.commit({"a": value})
    clone = tmp_path / "clone"
    app.repo.git("clone", "--quiet", "--depth=1", app.repo.root.as_uri(), str(clone))
    refused = app.run("apply", "prod", cwd=clone).expect(EXIT_REFUSED)
    assert "fetch-depth: 0" in refused.stdout + refused.stderr
    assert app.values() == {"a": b"1"}
    app.repo.git("-C", str(clone), "fetch", "--quiet", "--unshallow")
    app.run("apply", "prod", cwd=clone).expect()
    assert app.values() == {"a": b"3"}


def test_partial_clone_can_apply(app: App, tmp_path: Path) -> None:
    """It has all commits; that files of the older one are missing, and are not fetched, keeps nobody from applying."""
    app.commit({"a": "1"})
    app.apply()
    app.commit({"a": "2"})
    app.repo.git("config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "clone"
    app.repo.git("clone", "--quiet", "--filter=blob:none", app.repo.root.as_uri(), str(clone))
    app.run("apply", "prod", cwd=clone).expect()
    assert app.values() == {"a": b"2"}


def test_old_file_in_a_new_commit_is_told(app: App) -> None:
    """It is applied, as whoever reviews decides; the report says that it went back."""
    app.commit({"a": "1"})
    old = app.repo.read("secrets/prod/app.yaml").replace(b'lastmodified: "20', b'lastmodified: "19')
    app.apply()
    assert _findings(app.run("plan", "prod", "-o", "json").expect()) == set()
    app.repo.write("secrets/prod/app.yaml", old).commit()
    planned = app.run("plan", "prod", "-o", "json")  # the MAC does not fit, which shows later
    assert ("rolled-back-file", "app") in _findings(planned)


def test_file_that_was_encrypted_anew_is_told_once(app: App) -> None:
    """At the commit that brings it, and no longer when that was applied."""
    app.commit({"a": "1", "b": "2"})
    assert _findings(app.apply()) == set()
    app.commit({"a": "1", "b": "3"})
    assert _findings(app.apply()) == {("rekeyed-file", "app")}
    assert _findings(app.apply()) == set()


def test_emptied_scope_is_refused_until_it_is_meant(app: App) -> None:
    """A file that lost its keys in a merge takes nothing along; the number that is named lets exactly that through."""
    keys = {f"key{number}": "x" for number in range(12)}
    app.commit(keys)
    app.apply()
    app.commit(dict(list(keys.items())[:8]))
    said = app.refused()
    assert "4 of 12 keys (33.4 %" in said
    assert "--allow-deletes 4" in said
    assert "delete 4 keys and --allow-deletes allows 3" in app.refused("--allow-deletes", "3")
    assert app.apply("--allow-deletes", "4").target["summary"]["delete_secret"] == 4
    assert len(app.values()) == 8


def test_garbled_head_lets_no_old_commit_pass(app: App) -> None:
    """The entries say by which commits their values changed; the head is written anew by the next commit."""
    old = app.commit({"password": "old"})
    app.apply()
    new = app.commit({"password": "new"})
    app.apply()
    (head,) = (key for key in app.server.keys("reconciler-ledger") if key.startswith("head-"))
    app.server.put("reconciler-ledger", head, b"garbled")
    app.repo.git("checkout", "--quiet", old)

    assert "is older than" in app.refused()
    app.repo.git("checkout", "--quiet", new)
    assert "head cannot be used" in app.apply().stderr
    assert app.values() == {"password": b"new"}
