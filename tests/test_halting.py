"""`reconciler.halting`: the first signal asks, the second one ends."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from reconciler.halting import halting


def test_the_first_signal_asks_and_the_second_one_ends() -> None:
    """Between the two the block goes on, and whoever waits for an answer is told to stop trying."""
    told: list[str] = []
    wound_down = threading.Event()

    with pytest.raises(KeyboardInterrupt), halting(told.append) as halt:  # noqa: PT012  # both signals are the test
        halt.also(wound_down.set)
        assert halt.reason() is None
        os.kill(os.getpid(), signal.SIGINT)
        assert wound_down.wait(5)
        assert halt.reason() is not None
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    assert len(told) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_handlers_are_as_before_afterwards(number: signal.Signals) -> None:
    """Outside of the block a signal does what it did, whether it came within the block or not."""
    before = signal.getsignal(number)

    with halting(lambda _: None) as halt:
        assert signal.getsignal(number) is not before
        os.kill(os.getpid(), number)
        assert halt.reason() is not None

    assert signal.getsignal(number) is before


def test_whoever_comes_late_is_told_at_once() -> None:
    """A target whose turn comes after the signal does not retry either."""
    with halting(lambda _: None) as halt:
        halt.ask()
        wound_down = threading.Event()
        halt.also(wound_down.set)

        assert wound_down.is_set()


def test_threads_other_than_the_main_one_get_no_signals() -> None:
    """Where Python hands no signal, the block runs all the same."""
    reasons: list[str | None] = []

    def run() -> None:
        with halting(lambda _: None) as halt:
            reasons.append(halt.reason())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert reasons == [None]


def test_a_signal_within_a_wait_does_not_lock_up() -> None:
    """The handler takes no lock that the main thread may hold while it waits for a worker."""
    script = (
        "import os, signal, threading, time\n"
        "from reconciler.halting import halting\n"
        "event = threading.Event()\n"
        "with halting(print) as halt:\n"
        "    halt.also(event.set)\n"
        "    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()\n"
        "    assert event.wait(10)\n"
        "    print(halt.reason())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert "the run was interrupted" in done.stdout
