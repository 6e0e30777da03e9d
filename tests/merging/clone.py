"""A clone with scope files and the merge driver, in which real git is run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from reconciler import pysops
from reconciler.merging.installing import setup
from tests.merging.files import Desk, flat
from tests.support.age_keys import AgeKey
from tests.support.cli import PACKAGE_ROOT, Cli
from tests.support.secrets_repo import ENCRYPTED_REGEX


FILE: Final = "secrets/prod/app.yaml"

_TARGETS: Final = """\
owner: 123e4567-e89b-42d3-a456-426614174000
targets:
    prod:
        workspace:
            host: https://adb-1.2.azuredatabricks.net
"""

_WHO: Final = ("-c", "user.name=Tester", "-c", "user.email=tester@example.com", "-c", "init.defaultBranch=main")

_TIMEOUT_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone:
    """A work tree, the directory of the run within it, and a key."""

    top: Path
    desk: Desk

    @classmethod
    def make(cls, top: Path, key: AgeKey, values: Mapping[str, str], *, folder: str = "", driver: bool = True) -> Self:
        """Make a repository with one scope file on ``main``."""
        root = top / folder
        (root / "secrets" / "prod").mkdir(parents=True)
        clone = cls(top=top, desk=Desk(root=root, key=key))
        rule = f"creation_rules: [{{age: {key.recipient}, encrypted_regex: {ENCRYPTED_REGEX}}}]\n"
        (root / ".sops.yaml").write_text(rule)
        (root / "secrets" / "targets.yaml").write_text(_TARGETS)
        clone.write(clone.desk.file(values))
        clone.git("init", "--quiet")
        if driver:
            setup(root, find=lambda _: None)
        clone.commit("first")
        return clone

    def copy(self, top: Path) -> Self:
        """Return a copy of it all, whatever state it is in."""
        shutil.copytree(self.top, top)
        return replace(self, top=top, desk=replace(self.desk, root=top / self.desk.root.relative_to(self.top)))

    @property
    def cli(self) -> Cli:
        """The command line, with the key."""
        return Cli(cwd=self.desk.root, env={"SOPS_AGE_KEY": self.desk.key.identity})

    def environ(self, **more: str) -> dict[str, str]:
        """Return the whole environment of git, and of the driver that it starts."""
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"} or _measures(name)}
        settings = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_EDITOR": "true", "PYTHONPATH": str(PACKAGE_ROOT)}
        return {**kept, **settings, "SOPS_AGE_KEY": self.desk.key.identity, **more}

    def git(self, *arguments: str, expect: int = 0, env: Mapping[str, str] | None = None) -> str:
        """Run git at the top, as somebody with the key does, and return all that it prints."""
        done = subprocess.run(
            ("git", *_WHO, *arguments),
            cwd=self.top,
            env=self.environ() if env is None else dict(env),
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == expect, (done.returncode, said)
        return said

    def write(self, data: bytes, path: str = FILE) -> Self:
        """Write a file of the directory of the run."""
        place = self.desk.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return self

    def data(self, path: str = FILE) -> bytes:
        """Return the bytes of a file."""
        return (self.desk.root / path).read_bytes()

    def commit(self, message: str) -> Self:
        """Commit everything."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self

    def put(self, path: str = FILE, **values: str) -> Self:
        """Put values into the scope ``s``, and commit."""
        return self.write(self.desk.put(self.data(path), **values), path).commit(f"put {', '.join(values)}")

    def remove(self, *keys: str) -> Self:
        """Take keys away from the scope ``s``, and commit."""
        return self.write(self.desk.remove(self.data(), *keys)).commit(f"remove {', '.join(keys)}")

    def branch(self, name: str, start: str = "main") -> Self:
        """Begin a branch."""
        self.git("checkout", "--quiet", "-b", name, start)
        return self

    def switch(self, name: str) -> Self:
        """Check a branch out."""
        self.git("checkout", "--quiet", name)
        return self

    def read(self, path: str = FILE) -> dict[str, object]:
        """Return the values of a file by ``scope/key``."""
        found = flat(pysops.load_bytes(self.data(path), self.desk.identities))
        return {name: value for name, value in found.items() if "/" in name}

    def unmerged(self) -> str:
        """Return what the index knows of conflicts; empty for none."""
        return self.git("ls-files", "--unmerged")

    def driver(self, program: str) -> Self:
        """Have git run another program of Python as the driver, with the same arguments."""
        script = self.top / ".git" / "driver.py"
        script.write_text(program)
        self.git("config", "merge.reconciler.driver", f"'{sys.executable}' '{script}' merge-driver -- %O %A %B %P %L")
        return self


def _measures(name: str) -> bool:
    return name.startswith(("COVERAGE_", "COV_CORE_"))
