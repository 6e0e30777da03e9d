"""Running a program that is not ours: bounded in time and output, and told no more than it has to know.

It is killed with its group of processes. What it has started in a session of its own, as agents do, is not ours to end:
it survives, and is not waited for.

Its stderr may quote values: it is kept apart and cut off, for whoever looks for phrases in it. Nothing of it is ever
passed on.
"""

import contextlib
import enum
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final


MAX_STDERR_BYTES: Final = 64 * 1024
"""What is kept of stderr; the rest is read and dropped, so that a flood neither fills memory nor blocks the program."""

_CHUNK_BYTES: Final = 64 * 1024

_LOOK_S: Final = 0.2
"""How often to look whether a program has ended whose output is still held open by one that it started."""

_GRACE_S: Final = 2.0
"""How long what is left in the pipes may take once the program has ended, or was killed."""

_SHORTEST_LOOK_S: Final = 0.001


class WhyFailed(enum.Enum):
    """Why a program did not come to its end by itself."""

    NOT_STARTED = enum.auto()
    """It cannot be: there is no such file, or none that can be run."""

    TOO_SLOW = enum.auto()
    """It did not end in time."""

    LEFT_RUNNING = enum.auto()
    """It has ended, but one that it started holds its output open."""

    TOO_MUCH = enum.auto()
    """It wrote more than it was allowed to."""

    STOPPED = enum.auto()
    """By `Children.stop`, or it was not started after that."""


class ChildFailed(Exception):
    """A program did not come to its end by itself. Never leaves pysops: whoever ran it says what that means."""

    def __init__(self, reason: WhyFailed) -> None:
        super().__init__(reason)
        self.reason = reason


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
        cwd: Path | None = None,
    ) -> Finished:
        """Run a program to its end.

        Args:
            command: an absolute path and arguments; none may be secret, as every user of the machine can see them.
            stdin: all of it.
            environ: all of it.
            timeout_s: after which it is killed, with its group of processes.
            max_stdout: bytes; it is killed when it writes more.
            in_terminal: leave it in our process group, so that it can ask for a passphrase at our terminal and gets the
                terminal's interrupt. A timeout then kills it alone: what it has started sees its pipes closed.
            cwd: where it runs; None: where we do.

        Raises:
            ChildFailed: it did not come to its end by itself.
        """
        process = self._start(command, environ, detached=not in_terminal, cwd=cwd)
        streams = _Streams(process, stdin, max_stdout)
        reason: WhyFailed | None = WhyFailed.STOPPED  # until it is known: an interrupt may come at any time
        try:
            streams.start()
            reason = streams.wait(time.monotonic() + timeout_s)
        finally:  # interrupted or not: nothing of its group is left running
            with self._lock:
                self._running.discard(process)
                stopped = self._stopped
            if reason is not None:
                _kill(process)
            streams.finish()
        if stopped:
            reason = WhyFailed.STOPPED
        if reason is not None:
            raise ChildFailed(reason)
        return Finished(exit_code=process.returncode, stdout=streams.stdout, stderr=streams.stderr)

    def _start(
        self, command: Sequence[str], environ: Mapping[str, str], *, detached: bool, cwd: Path | None
    ) -> "subprocess.Popen[bytes]":
        with self._lock:
            if self._stopped:
                raise ChildFailed(WhyFailed.STOPPED)
            process: subprocess.Popen[bytes] | None = None
            try:
                process = subprocess.Popen(  # noqa: S603  # an absolute path, no shell
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    cwd=cwd,
                    env=dict(environ),
                    start_new_session=detached,
                )
                self._running.add(process)
            except (OSError, ValueError):  # ValueError: a NUL in an argument
                pass
        if process is None:
            raise ChildFailed(WhyFailed.NOT_STARTED)
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

    def wait(self, deadline: float) -> WhyFailed | None:
        """Wait for the end of the program and of its output; return what is wrong, if anything."""
        ended_at: float | None = None
        pause = _SHORTEST_LOOK_S
        while True:
            busy = next((thread for thread in self._threads if thread.is_alive()), None)
            if self._too_much:
                return WhyFailed.TOO_MUCH
            now = time.monotonic()
            if ended_at is None and _has_ended(self._process):
                ended_at = now
            if busy is None and ended_at is not None:
                return None
            if now > deadline or (ended_at is not None and now > ended_at + _GRACE_S):
                # Somebody holds the pipes: the program itself or, if it has ended, one that it left behind.
                return WhyFailed.TOO_SLOW if ended_at is None else WhyFailed.LEFT_RUNNING
            if busy is None:  # it has closed its output, and will end in a moment
                time.sleep(pause)
                pause = min(2 * pause, _LOOK_S)
            else:
                busy.join(min(_LOOK_S, deadline - now + _SHORTEST_LOOK_S))

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
                room = limit - len(kept)
                kept += chunk[:room]
                if name == "stdout" and len(chunk) > room:
                    self._too_much = True  # and `wait` sees to the rest
                    return


def has_terminal() -> bool:
    """Tell whether there is a terminal at which a program could ask for a passphrase."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True


def _has_ended(process: "subprocess.Popen[bytes]") -> bool:
    """Tell whether a program has ended, and leave it as a zombie, so that its number stays its own; see `_kill`."""
    if not hasattr(os, "waitid"):  # Windows, which knows no such numbers, and older Pythons on macOS
        return process.poll() is not None
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # somebody else has waited for it, or SIGCHLD is ignored
        return process.poll() is not None


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process with its group, if it leads one of its own; only the others of the group if it has ended.

    To be called before anybody waits for the process, as `_Streams.finish` does. Until then the system gives neither
    its number nor that of its group to another, be it running or a zombie, be the group empty or not. On macOS, before
    Python 3.13, an ended process has been waited for already: its group keeps its number as long as it has members, and
    numbers do not come round within the two seconds in which it may have lost them.
    """
    waited_for = process.returncode is not None
    if waited_for and hasattr(os, "waitid"):
        return
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            if waited_for or os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        process.kill()
