"""Runs the command line as a user does: mostly within this process, for speed, or as a program of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from click.testing import CliRunner

from reconciler.cli import cli


PACKAGE_ROOT: Final = Path(__file__).resolve().parents[2]
"""What must be on the path of Python to find the package."""

_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a command did, as its caller sees it."""

    exit_code: int
    stdout_bytes: bytes
    stderr: str

    @property
    def stdout(self) -> str:
        """The report."""
        return self.stdout_bytes.decode()

    @property
    def json(self) -> Any:  # noqa: ANN401  # whatever the command says
        """Stdout as the one JSON document that it must be."""
        return json.loads(self.stdout_bytes)

    @property
    def target(self) -> Any:  # noqa: ANN401  # as above
        """The only target of a JSON report."""
        (target,) = self.json["targets"]
        return target

    def expect(self, exit_code: int = 0) -> "Result":
        """Return this, after a look at the exit code that shows what was said if it is another one."""
        assert self.exit_code == exit_code, (self.exit_code, self.stdout, self.stderr)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Cli:
    """Runs commands in a directory, with an environment; ``conftest`` has emptied that of the tests."""

    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Added to each command's own."""

    def __call__(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: str | bytes | None = None,
    ) -> Result:
        """Run a command in this process, without a terminal.

        Args:
            arguments: as after ``reconciler``.
            env: variables that this command gets besides.
            cwd: where to run; given as ``-C``, as the directory of this process is everybody's.
            stdin: what it can read.
        """
        done = CliRunner().invoke(
            cli,
            ("-C", str(cwd or self.cwd), *arguments),
            env={**self.env, **(env or {})},
            input=stdin,
            catch_exceptions=False,
            prog_name="reconciler",
        )
        return Result(exit_code=done.exit_code, stdout_bytes=done.stdout_bytes, stderr=done.stderr)

    def process(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> Result:
        """Run a command as ``python -m reconciler``, with a minimal environment, and wait for its end."""
        done = subprocess.run(
            program(*arguments),
            cwd=cwd or self.cwd,
            env=self.environ(env),
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
        )
        return Result(exit_code=done.returncode, stdout_bytes=done.stdout, stderr=done.stderr.decode())

    def environ(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the whole environment that a process gets: PATH and HOME, what Python needs, and what was added."""
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"} or _measures(name)}
        return {**kept, "PYTHONPATH": str(PACKAGE_ROOT), **self.env, **(env or {})}


def program(*arguments: str) -> tuple[str, ...]:
    """Return the command line that starts the reconciler as a process."""
    return (sys.executable, "-m", "reconciler", *arguments)


def _measures(name: str) -> bool:
    """Tell whether coverage of child processes depends on a variable."""
    return name.startswith(("COVERAGE_", "COV_CORE_"))
