"""Which variables hold credentials, and who is started without them."""

import os
from pathlib import Path

import pytest
from databricks.sdk.config import Config

from reconciler.credentials import without_credentials
from reconciler.editing.editors import Editor, run
from reconciler.editing.pull_request import open_pull_request
from reconciler.git import prepare
from tests.support.age_keys import AgeKey
from tests.support.secret_variables import OF_GIT, OURS, SURROUNDINGS, names_in
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsTool


_NOTE = "#!/bin/sh\nenv > {seen}\n"
_WHO = {f"GIT_{role}_{what}": "a@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def test_every_secret_that_the_sdk_reads_is_withheld() -> None:
    """A new version of it may know more: they would show here."""
    known = {one.env for one in Config.attributes() if one.sensitive and one.env}
    assert "DATABRICKS_TOKEN" in known
    for for_git in True, False:
        assert without_credentials(dict.fromkeys(known, "x"), for_git=for_git) == {}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, sops: SopsTool) -> dict[str, frozenset[str]]:
    """Provide which variables an editor, a hook of git and gh have got, of an environment with all of them."""
    folder = tmp_path_factory.mktemp("seen")
    bin_ = folder / "bin"
    bin_.mkdir()
    for name in "editor", "gh":
        (bin_ / name).write_text(_NOTE.format(seen=folder / name))
        (bin_ / name).chmod(0o755)
    environ = {**SURROUNDINGS, **_WHO, "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}"}
    run(Editor(command=(str(bin_ / "editor"),)), folder / "text", environ=environ, lock=None)
    repo = SecretsRepo(folder / "repo", sops=sops, key=AgeKey.generate())
    repo.write("secrets/a.yaml", "a: 1\n").commit()
    hook = repo.root / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(_NOTE.format(seen=folder / "git"))
    hook.chmod(0o755)
    branch = prepare(repo.root, environ, name="x", paths=("secrets/a.yaml",))
    repo.write("secrets/a.yaml", "a: 2\n")
    branch.record("Rotate\n", {"secrets/a.yaml": b"a: 2\n"})
    open_pull_request(branch, title="Rotate", body="")
    return {name: names_in(Path(folder / name).read_text()) for name in ("editor", "git", "gh")}


@pytest.mark.parametrize("variable", OURS)
def test_a_credential_of_workspaces_and_files_reaches_nobody(seen: dict[str, frozenset[str]], variable: str) -> None:
    """Neither plugins of an editor, nor hooks, nor extensions of gh."""
    assert [name for name, variables in seen.items() if variable in variables] == []


@pytest.mark.parametrize("variable", OF_GIT)
def test_a_credential_of_git_reaches_git_and_gh_alone(seen: dict[str, frozenset[str]], variable: str) -> None:
    """They push, sign and open pull requests with it."""
    assert [name for name, variables in seen.items() if variable in variables] == ["git", "gh"]


def test_what_is_no_credential_reaches_everybody(seen: dict[str, frozenset[str]]) -> None:
    """They are started as the user would start them."""
    assert all({"MINE", "PATH", "DATABRICKS_OIDC_TOKEN_ENV"} <= variables for variables in seen.values())
