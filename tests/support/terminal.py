"""A program on a terminal of its own, as somebody who types would run it."""

import contextlib
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self


_TIMEOUT_S: Final = 30.0

_PATIENCE_S: Final = 4.0
"""How long an interrupted program may take to end; far less than any timeout of a request, far more than it needs."""


def interrupt(process: "subprocess.Popen[bytes]", number: signal.Signals = signal.SIGINT) -> None:
    """Do what Ctrl-C does, or another signal, and wait for the end of the process.

    If that has no effect it is done again, as people do: Python notices a signal only with the next one when it comes
    in the moment before a read or a lock is waited for.
    """
    for _ in range(4):
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_S)
            return


class Terminal:
    """Starts a program whose stdin, stdout and stderr are a terminal, 100 columns wide.

    Args:
        command: the program and its arguments.
        cwd: where it runs.
        env: its whole environment.
        stdout: where its stdout goes instead.
    """

    def __init__(
        self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdout: IO[bytes] | None = None
    ) -> None:
        self._ours, theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self._said = bytearray()
        try:
            self.process = subprocess.Popen(
                command,
                cwd=cwd,
                env={"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40", **env},
                stdin=theirs,
                stdout=theirs if stdout is None else stdout,
                stderr=theirs,
                start_new_session=True,
            )
        finally:
            os.close(theirs)

    def __enter__(self) -> Self:
        """Use as a context manager, so that nothing stays behind."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the program if it still runs, and close the terminal."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)

    @property
    def said(self) -> str:
        """All that was printed so far, with the line ends of a terminal undone."""
        return self._said.decode(errors="replace").replace("\r\n", "\n")

    def wait_for(self, text: str) -> str:
        """Read until ``text`` was printed, and return all that was printed so far."""
        deadline = time.monotonic() + _TIMEOUT_S
        while text not in self.said:
            assert self._read(deadline), f"ended, or silent, without saying {text!r}: {self.said!r}"
        return self.said

    def type(self, text: str) -> None:
        """Type, as on a keyboard; a line ends with a line feed."""
        os.write(self._ours, text.encode())

    def end(self) -> int:
        """Read until the program has ended, and return its exit code."""
        deadline = time.monotonic() + _TIMEOUT_S
        while self._read(deadline):
            pass
        return self.process.wait(max(0.1, deadline - time.monotonic()))

    def _read(self, deadline: float) -> bool:
        """Read what is there, waiting for it; return False at the end, or when time is up."""
        if not select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return False
        try:
            chunk = os.read(self._ours, 65536)
        except OSError:  # Linux says EIO when the last program has closed the terminal
            return False
        self._said += chunk
        return bool(chunk)
