"""The run under test: a process of its own that can be killed, started within milliseconds; see `zygote`."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.support.cli import PACKAGE_ROOT


_LONGEST_RUN_S: Final = 60.0
"""A run that takes longer hangs, and is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a run came to."""

    exit_code: int
    """Negative: the signal that ended it."""

    stdout: str
    stderr: str
    seconds: float

    @property
    def target(self) -> Mapping[str, Any]:
        """The only target of its JSON report."""
        (target,) = json.loads(self.stdout)["targets"]
        found: Mapping[str, Any] = target
        return found


class Client:
    """Starts runs, one after the other. A context manager.

    Args:
        environ: All that a run finds in its environment.
        folder: Where it may leave files.
    """

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self._environ = environ
        self._folder = folder

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._zygote = subprocess.Popen(
            (sys.executable, "-m", "tests.faults.zygote"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=PACKAGE_ROOT,
            env={**self._environ, "PYTHONPATH": str(PACKAGE_ROOT)},
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Closing its stdin ends it.
        with self._zygote:
            pass

    def warm_up(self, *arguments: str) -> Done:
        """Run once, and have everything that this imports imported from now on."""
        return self._run(arguments, lambda _: None, modules=self._folder / "modules.json")

    def run(self, *arguments: str, started: Callable[[int], None] = lambda _: None) -> Done:
        """Run, and wait for the end.

        Args:
            arguments: As after ``reconciler``.
            started: Called with the process id; the run may have begun before.
        """
        return self._run(arguments, started)

    def _run(self, arguments: tuple[str, ...], started: Callable[[int], None], modules: Path | None = None) -> Done:
        stdout, stderr = self._folder / "stdout", self._folder / "stderr"
        job = {"arguments": arguments, "stdout": str(stdout), "stderr": str(stderr)}
        if modules is not None:
            job["modules"] = str(modules)
        began = time.perf_counter()
        self._send(job)
        started(self._answer()["pid"])
        # Killing the zygote ends the wait for its answer; which run hung is told by the exception.
        deadline = threading.Timer(_LONGEST_RUN_S, self._zygote.kill)
        deadline.start()
        try:
            answer = self._answer()
        finally:
            deadline.cancel()
        assert answer["threads"] == 1, "a fork of a process with threads may hang"
        return Done(
            exit_code=answer["code"],
            stdout=stdout.read_text(),
            stderr=stderr.read_text(),
            seconds=time.perf_counter() - began,
        )

    def _send(self, job: Mapping[str, object]) -> None:
        assert self._zygote.stdin is not None
        self._zygote.stdin.write(json.dumps(job) + "\n")
        self._zygote.stdin.flush()

    def _answer(self) -> Mapping[str, int]:
        assert self._zygote.stdout is not None
        line = self._zygote.stdout.readline()
        assert line, "a run hung, or its start failed"
        found: Mapping[str, int] = json.loads(line)
        return found
