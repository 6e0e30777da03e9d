"""Programs that are not ours: bounded in time and output, ended as a group, and a reason for whoever ran them."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.pysops.child import MAX_STDERR_BYTES, ChildFailed, Children, Finished, WhyFailed


def run(code: str, *, max_stdout: int = 1000, timeout_s: float = 60, children: Children | None = None) -> Finished:
    """Run Python code as a program."""
    return (Children() if children is None else children).run(
        (sys.executable, "-S", "-E", "-c", code),
        stdin=b"in",
        environ={"PATH": os.environ["PATH"]},
        timeout_s=timeout_s,
        max_stdout=max_stdout,
    )


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for something that takes a moment."""
    until = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended, be it a zombie of whoever adopted it."""
    found = subprocess.run(("ps", "-o", "stat=", "-p", str(pid)), capture_output=True, check=False, text=True)
    return found.stdout.strip()[:1] in {"", "Z"}


def test_a_program_that_ends_is_told_as_it_was() -> None:
    """Exit code and both streams; nothing of them shows in print."""
    done = run("import sys; sys.stdout.write(sys.stdin.read()); sys.stderr.write('hunter2'); sys.exit(3)")
    assert (done.exit_code, done.stdout, done.stderr) == (3, b"in", b"hunter2")
    assert "hunter2" not in repr(done)
    assert run("import os; os.kill(os.getpid(), 9)").exit_code == -signal.SIGKILL


@pytest.mark.parametrize(
    ("code", "timeout_s", "reason"),
    [
        pytest.param("import time; time.sleep(60)", 0.3, WhyFailed.TOO_SLOW, id="hangs"),
        pytest.param(
            "import os, time; os.close(1); os.close(2); os.close(0); time.sleep(60)",
            0.3,
            WhyFailed.TOO_SLOW,
            id="hangs with its pipes closed",
        ),
        pytest.param("print('x' * 1000)", 60, WhyFailed.TOO_MUCH, id="a byte too much"),
        pytest.param("while True: print('x' * 1000)", 60, WhyFailed.TOO_MUCH, id="endless"),
        pytest.param(
            "import subprocess; subprocess.Popen(['sleep', '60'])", 60, WhyFailed.LEFT_RUNNING, id="left behind"
        ),
    ],
)
def test_a_program_is_held_to_its_bounds(code: str, timeout_s: float, reason: WhyFailed) -> None:
    """What went wrong is a reason, in words that only whoever ran it can choose."""
    started = time.monotonic()
    with pytest.raises(ChildFailed) as caught:
        run(code, timeout_s=timeout_s)
    assert caught.value.reason is reason
    assert time.monotonic() - started < 30


def test_as_much_as_is_allowed_may_be_written() -> None:
    """Killed is what writes more."""
    assert len(run("print('x' * 999)").stdout) == 1000
    assert len(run("import sys; sys.stderr.write('x' * 200_000)").stderr) == MAX_STDERR_BYTES


@pytest.mark.parametrize("command", [("/no/such/program",), (sys.executable, "\0"), ("/",)])
def test_what_cannot_be_started_is_told(command: tuple[str, ...]) -> None:
    """Also where the system is not even asked."""
    with pytest.raises(ChildFailed) as caught:
        Children().run(command, stdin=b"", environ={}, timeout_s=60, max_stdout=0)
    assert caught.value.reason is WhyFailed.NOT_STARTED


def test_what_is_left_behind_is_killed(tmp_path: Path) -> None:
    """The program has ended by then, and leads its group all the same, as nobody has waited for it."""
    note = tmp_path / "pid"
    code = f"import subprocess; open({str(note)!r}, 'w').write(str(subprocess.Popen(['sleep', '60']).pid))"
    with pytest.raises(ChildFailed):
        run(code)
    wait_until(lambda: is_gone(int(note.read_text())))


def test_what_serves_on_without_our_pipes_is_left_alone(tmp_path: Path) -> None:
    """As an agent that keeps keys does: the program has come to its end."""
    note = tmp_path / "pid"
    start = "subprocess.Popen(['sleep', '60'], stdin=nul, stdout=nul, stderr=nul).pid"
    code = f"import subprocess; nul = subprocess.DEVNULL; open({str(note)!r}, 'w').write(str({start}))"
    assert run(code).exit_code == 0
    pid = int(note.read_text())
    assert not is_gone(pid)
    os.kill(pid, signal.SIGKILL)


def test_what_has_left_the_group_is_not_ours_to_end(tmp_path: Path) -> None:
    """It has a session of its own, to outlive the program, as agents do; the program is killed without it."""
    note = tmp_path / "pid"
    start = "subprocess.Popen(['sleep', '60'], stdin=nul, stdout=nul, stderr=nul, start_new_session=True).pid"
    code = f"""
        import pathlib, subprocess, time
        nul = subprocess.DEVNULL
        pathlib.Path({str(note)!r}).write_text(str({start}))
        time.sleep(60)
    """
    with pytest.raises(ChildFailed) as caught:
        run(textwrap.dedent(code), timeout_s=2)
    assert caught.value.reason is WhyFailed.TOO_SLOW
    pid = int(note.read_text())
    assert not is_gone(pid)
    os.kill(pid, signal.SIGKILL)


def test_stopping_ends_what_runs_and_lets_nothing_start() -> None:
    """For an interrupt, which reaches the main thread alone."""
    children = Children()
    timer = threading.Timer(0.5, children.stop)
    timer.start()
    for _ in range(2):
        with pytest.raises(ChildFailed) as caught:
            run("import time; time.sleep(60)", children=children)
        assert caught.value.reason is WhyFailed.STOPPED


def test_no_process_waits_to_be_waited_for(tmp_path: Path) -> None:
    """However a program ended."""
    note = tmp_path / "pid"
    code = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep"
    run(f"{code}(0)")
    ended = int(note.read_text())
    with pytest.raises(ChildFailed):
        run(f"{code}(60)", timeout_s=3)
    for pid in (ended, int(note.read_text())):
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
