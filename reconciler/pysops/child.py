"""Running a program that is not ours: bounded in time, output and company, and told no more than it has to know.

Its stderr may quote values: it is kept apart and cut off, for whoever looks for phrases in it. Nothing of it is ever
passed on.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Final

from reconciler.pysops.errors import BinaryError


MAX_STDERR_BYTES: Final = 64 * 1024
"""What is kept of stderr; the rest is read and dropped, so that a flood neither fills memory nor blocks the program."""

_CHUNK_BYTES: Final = 64 * 1024

_LOOK_S: Final = 0.2
"""How often to look whether a program has ended whose output is still held open by one that it started."""

_GRACE_S: Final = 2.0
"""How long what is left in the pipes may take once the program has ended, or was killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A program that has ended by itself."""

    exit_code: int
    """Negative: the number of the signal that ended it."""

    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)
    """The first `MAX_STDERR_BYTES`. Quotes values: not to be shown, logged or put into an exception."""


class Children:
    """The programs that run at the moment. Threads may share it.

    An interrupt reaches the main thread alone: whoever waits for other threads has to `stop` what they wait for.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def stop(self) -> None:
        """End whatever runs, and let nothing start any more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                _kill(process)

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: bytes,
        environ: Mapping[str, str],
        timeout_s: float,
        max_stdout: int,
        in_terminal: bool = False,
    ) -> Finished:
        """Run a program to its end.

        Args:
            command: an absolute path and arguments; none may be secret, as every user of the machine can see them.
            stdin: all of it.
            environ: all of it.
            timeout_s: after which it is killed, with all that it has started.
            max_stdout: bytes; it is killed when it writes more.
            in_terminal: leave it in our process group, so that it can ask for a passphrase at our terminal and gets the
                terminal's interrupt. A timeout then kills it alone: what it has started sees its pipes closed.

        Raises:
            BinaryError: it cannot be started, did not end in time, wrote too much, or was stopped.
        """
        process = self._start(command, environ, detached=not in_terminal)
        streams = _Streams(process, stdin, max_stdout)
        try:
            streams.start()
            problem = streams.wait(time.monotonic() + timeout_s)
        finally:  # interrupted or not: nothing is left running
            with self._lock:
                self._running.discard(process)
            _kill(process)
            streams.finish()
        with self._lock:
            if self._stopped:
                problem = "the sops program was stopped, as the run was interrupted"
        if problem is not None:
            raise BinaryError(problem, advice="run `sops decrypt FILE` by hand, which may show what it waits for")
        return Finished(exit_code=process.returncode, stdout=streams.stdout, stderr=streams.stderr)

    def _start(
        self, command: Sequence[str], environ: Mapping[str, str], *, detached: bool
    ) -> "subprocess.Popen[bytes]":
        with self._lock:
            if self._stopped:
                raise BinaryError("the sops program was not started, as the run was interrupted")
            process: subprocess.Popen[bytes] | None = None
            try:
                process = subprocess.Popen(  # noqa: S603  # an absolute path, no shell
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=dict(environ),
                    start_new_session=detached,
                )
                self._running.add(process)
            except (OSError, ValueError):  # ValueError: a NUL in an argument
                pass
        if process is None:
            raise BinaryError(
                "the sops program cannot be started", advice="check that SOPS_BINARY or PATH leads to a program"
            )
        return process


class _Streams:
    """Feeds and drains the pipes of one process, each in a thread: neither side can block the other."""

    def __init__(self, process: "subprocess.Popen[bytes]", stdin: bytes, max_stdout: int) -> None:
        self._process = process
        self._stdin = stdin
        self._max_stdout = max_stdout
        self._kept: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self._too_much = False
        self._threads = (
            self._thread(self._write),
            self._thread(lambda: self._read(process.stdout, "stdout", max_stdout)),
            self._thread(lambda: self._read(process.stderr, "stderr", MAX_STDERR_BYTES)),
        )

    @staticmethod
    def _thread(work: Callable[[], None]) -> threading.Thread:
        # A daemon: the end of our process must not wait for a program that cannot be killed.
        return threading.Thread(target=work, daemon=True)

    @property
    def stdout(self) -> bytes:
        return bytes(self._kept["stdout"])

    @property
    def stderr(self) -> bytes:
        return bytes(self._kept["stderr"])

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wait(self, deadline: float) -> str | None:
        """Wait for the end of the program and of its output; return what is wrong, if anything."""
        ended: float | None = None
        while (thread := next((each for each in self._threads if each.is_alive()), None)) is not None:
            now = time.monotonic()
            if ended is None and self._process.poll() is not None:
                ended = now
            if now > deadline or (ended is not None and now > ended + _GRACE_S):
                # Somebody holds the pipes: the program itself or, if it has ended, one that it left behind.
                _kill(self._process, left_behind=ended is not None)
                return "the sops program did not end in time" if ended is None else "sops left a program running"
            thread.join(min(_LOOK_S, deadline - now + 0.001))
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return "the sops program did not end in time"
        return "the sops program wrote far more than the file can hold" if self._too_much else None

    def finish(self) -> None:
        """Wait, for a moment only, until nothing uses the pipes any more, and close them."""
        until = time.monotonic() + _GRACE_S
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))
        if not any(thread.is_alive() for thread in self._threads):
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()

    def _write(self) -> None:
        pipe = self._process.stdin
        if pipe is None:
            return
        with contextlib.suppress(OSError):  # it may have ended without reading everything
            pipe.write(self._stdin)
            pipe.flush()
        with contextlib.suppress(OSError):
            pipe.close()

    def _read(self, pipe: IO[bytes] | None, name: str, limit: int) -> None:
        if pipe is None:
            return
        kept = self._kept[name]
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(pipe.fileno(), _CHUNK_BYTES):
                kept += chunk[: max(0, limit - len(kept))]
                if name == "stdout" and len(kept) >= limit:
                    self._too_much = True
                    _kill(self._process)
                    return


def has_terminal() -> bool:
    """Tell whether there is a terminal at which a program could ask for a passphrase."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True


def _kill(process: "subprocess.Popen[bytes]", *, left_behind: bool = False) -> None:
    """Kill a process with its group, if it leads one of its own; no number is reused while its group has members."""
    if process.poll() is not None and not left_behind:
        return
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            if left_behind or os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        process.kill()
