"""The hook for pre-commit: started for the right files, and doing what `validate` does.

pre-commit itself is no requirement: what is tested is its manifest, read as pre-commit reads it (https://pre-commit.com,
"Creating new hooks"), and the entry, run as it runs it: from the top of the repository, in an environment where the
package is installed, with `args` behind it and without names of files.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.support.age_keys import AgeKey
from tests.support.cli import PACKAGE_ROOT
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsTool


MANIFEST: Final = PACKAGE_ROOT / ".pre-commit-hooks.yaml"


def hook() -> dict[str, Any]:
    """Return the one hook of the manifest."""
    (found,) = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def run_hook(root: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the entry as pre-commit does."""
    scripts = Path(sys.executable).parent
    return subprocess.run(
        (*shlex.split(hook()["entry"]), *args),
        cwd=root,
        env={**os.environ, "PATH": os.pathsep.join((str(scripts), os.environ["PATH"]))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
        timeout=60,
    )


@pytest.fixture
def repo(tmp_path: Path, sops: SopsTool, age_key: AgeKey) -> SecretsRepo:
    """Make a repository that is in order."""
    repo = SecretsRepo(tmp_path, sops=sops, key=age_key)
    repo.targets({"demo": repo.embedded("demo")})
    repo.scope_file("demo/app.yaml", {"demo": {"app": {"key": "value"}}})
    repo.commit()
    return repo


def test_manifest_has_what_pre_commit_requires() -> None:
    """Its schema wants id, name, entry and language; the rest is what makes ours right."""
    found = hook()
    assert found["id"] == "reconciler-validate"
    assert found["language"] == "python"
    assert found["name"]
    assert found["pass_filenames"] is False
    assert found["require_serial"] is True


@pytest.mark.parametrize(
    ("path", "starts"),
    [
        pytest.param("secrets/targets.yaml", True, id="targets"),
        pytest.param("secrets/prod/app.yaml", True, id="scope-file"),
        pytest.param("secrets/demo/demo.agekey", True, id="key-of-an-embedded-target"),
        pytest.param(".sops.yaml", True, id="rules-of-sops"),
        pytest.param(".sops.yml", True, id="rules-that-sops-ignores"),
        pytest.param("README.md", False, id="other"),
        pytest.param("docs/secrets/app.yaml", False, id="another-folder-of-that-name"),
        pytest.param("secrets.yaml", False, id="file-of-a-similar-name"),
        pytest.param("x.sops.yaml", False, id="another-file-of-sops"),
        pytest.param(".sops.yaml.bak", False, id="copy-of-the-rules"),
    ],
)
def test_hook_starts_for_files_that_it_checks(path: str, *, starts: bool) -> None:
    """pre-commit searches each staged path for the pattern, and starts the hook when one has it."""
    assert bool(re.search(hook()["files"], path)) is starts


def test_entry_passes_for_files_in_order(repo: SecretsRepo) -> None:
    """Exit 0 lets the commit through."""
    done = run_hook(repo.root)
    assert (done.returncode, done.stdout) == (0, "no problems in 3 files\n")


def test_entry_fails_and_says_where_and_why(repo: SecretsRepo) -> None:
    """A forgotten encryption stops the commit."""
    repo.write(
        "secrets/demo/plain.yaml", "version: 1\nsecrets:\n    demo:\n        other:\n            key: hunter2-canary\n"
    )
    done = run_hook(repo.root)
    assert done.returncode == 4
    assert "secrets/demo/plain.yaml: the file is not encrypted" in done.stdout
    assert "hunter2" not in done.stdout


def test_entry_takes_arguments(repo: SecretsRepo) -> None:
    """Whoever sets ``args`` in their configuration gets them behind the entry."""
    done = run_hook(repo.root, "-o", "sarif")
    assert done.returncode == 0
    assert '"version": "2.1.0"' in done.stdout
