"""A progress bar disturbs nobody."""

import io
import sys
import threading

import pytest

from reconciler.report import ProgressBar


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and tells when something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def isatty(self) -> bool:
        """Say that somebody is watching."""
        return True

    def write(self, text: str) -> int:
        """Take the text and wake whoever waits for it."""
        self.written.set()
        return super().write(text)


def test_pipe_gets_nothing() -> None:
    """Nothing is drawn where nobody watches."""
    stream = io.StringIO()
    with ProgressBar("reading", total=2, stream=stream, delay_s=0) as bar:
        bar.advance()
        bar.advance()
    assert stream.getvalue() == ""
    assert bar.done == 2


def test_process_without_stderr_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python has no stream there when a process is started with ``2>&-``."""
    monkeypatch.setattr(sys, "stderr", None)
    with ProgressBar("reading", total=1, delay_s=0) as bar:
        bar.advance()
    assert bar.done == 1


def test_quick_work_shows_no_bar() -> None:
    """A bar that would flash up for a moment is not drawn."""
    stream = Terminal()
    with ProgressBar("reading", total=1, stream=stream, delay_s=60) as bar:
        bar.advance()
    assert stream.getvalue() == ""


def test_long_work_is_drawn_and_wiped() -> None:
    """A terminal sees what is done and how far, and the words are not taken for markup."""
    stream = Terminal()
    with ProgressBar("reading [bold]values\x1b]0;x\x07", total=3, stream=stream, delay_s=0) as bar:
        bar.advance(2)
        assert stream.written.wait(timeout=30)
        bar.advance()
    assert r"reading [bold]values\x1b]0;x\x07" in stream.getvalue()
    assert bar.done == 3


def test_steps_from_many_threads_all_count() -> None:
    """No step is lost between threads."""
    with ProgressBar("putting", total=800, stream=io.StringIO()) as bar:

        def work() -> None:
            for _ in range(100):
                bar.advance()

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert bar.done == 800


def test_bar_never_appears_after_its_end() -> None:
    """A report below is not overdrawn by a bar that was about to appear."""
    stream = Terminal()
    bar = ProgressBar("reading", total=1, stream=stream, delay_s=0)
    with bar:
        pass
    before = stream.getvalue()
    bar._draw()
    assert stream.getvalue() == before
