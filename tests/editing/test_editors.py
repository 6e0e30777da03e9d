"""Which editor is started, how, and what happens to it."""

import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from reconciler.editing.editors import Editor, find_editor, run
from reconciler.editing.orderly import orderly
from reconciler.errors import UsageError


def _programs(folder: Path, *names: str) -> dict[str, str]:
    """Make programs that do nothing, and return an environment that has no others."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return {"PATH": str(folder)}


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        pytest.param({"EDITOR": "nano"}, ["nano", "--ignorercfiles"], id="nano-without-what-users-set"),
        pytest.param({"VISUAL": "ed -s", "EDITOR": "nano"}, ["ed", "-s"], id="visual-comes-first"),
        pytest.param({"VISUAL": " ", "EDITOR": "ed"}, ["ed"], id="a-blank-variable-says-nothing"),
        pytest.param({"EDITOR": "ed '-p a b'"}, ["ed", "-p a b"], id="quotes-without-a-shell"),
        pytest.param({"EDITOR": "ed; nano"}, None, id="no-shell"),
        pytest.param({"EDITOR": "ed '"}, None, id="open-quote"),
        pytest.param({"EDITOR": "none"}, None, id="no-such-program"),
        pytest.param({"EDITOR": "my ed"}, ["my ed"], id="a-name-with-a-blank"),
        pytest.param({"EDITOR": "code"}, ["code", "--wait"], id="a-window-that-has-to-be-waited-for"),
        pytest.param({"EDITOR": "code -n -w"}, ["code", "-n", "-w"], id="waits-already"),
        pytest.param({}, ["nano", "--ignorercfiles"], id="one-that-is-there"),
    ],
)
def test_the_editor_is_the_one_that_the_user_names(
    tmp_path: Path, named: dict[str, str], expected: list[str] | None
) -> None:
    """VISUAL, EDITOR, or what is there; split into words as a shell would, and given to none."""
    environ = {**_programs(tmp_path / "bin", "nano", "ed", "my ed", "code"), **named}
    if expected is None:
        with pytest.raises(UsageError, match="EDITOR"):
            find_editor(environ, has_terminal=True)
        return
    editor = find_editor(environ, has_terminal=True)
    assert [editor.name, *editor.command[1:]] == expected


def test_vim_keeps_nothing_beside_the_text(tmp_path: Path) -> None:
    """No swap file, no backup, no undo history, no list of registers; also where vi is a link to it."""
    environ = _programs(tmp_path / "bin", "vim.basic")
    (tmp_path / "bin/vi").symlink_to("vim.basic")
    command = " ".join(find_editor(environ, has_terminal=True).command[1:])
    for word in ("-n", "-i NONE", "nobackup", "nowritebackup", "noswapfile", "noundofile"):
        assert word in command


def test_another_vi_is_given_no_options_of_vim(tmp_path: Path) -> None:
    """It would end with an error."""
    assert find_editor(_programs(tmp_path / "bin", "vi"), has_terminal=True).command[1:] == ()


def test_the_pico_that_passes_for_nano_is_given_no_options_of_nano(tmp_path: Path) -> None:
    """On macOS."""
    environ = _programs(tmp_path / "bin", "pico")
    (tmp_path / "bin/nano").symlink_to("pico")
    assert find_editor({**environ, "EDITOR": "nano"}, has_terminal=True).command[1:] == ()


def test_what_a_window_keeps_is_known(tmp_path: Path) -> None:
    """VS Code has a history of what was saved; who opens secrets in it should hear that."""
    environ = {**_programs(tmp_path / "bin", "code"), "VISUAL": "code"}
    assert "copies" in find_editor(environ, has_terminal=True).keeps


def test_without_terminal_and_without_a_named_editor_there_is_none(tmp_path: Path) -> None:
    """An editor that waits for keys which nobody types would hang a pipeline."""
    with pytest.raises(UsageError, match="terminal"):
        find_editor(_programs(tmp_path / "bin", "vi"), has_terminal=False)


def _python(script: str, *, in_terminal: bool = False) -> Editor:
    return Editor(command=(sys.executable, "-c", script), in_terminal=in_terminal)


def _run(script: str, file: Path, *, environ: dict[str, str] | None = None, in_terminal: bool = False) -> int:
    return run(_python(script, in_terminal=in_terminal), file, environ=environ or {}, lock=None).exit_code


def test_an_editor_gets_the_file_and_no_credentials(tmp_path: Path) -> None:
    """Its plugins are none of ours; the rest of the environment it needs."""
    file = tmp_path / "text/app.yaml"
    file.parent.mkdir()
    file.write_text("")
    script = "import os, sys; open(sys.argv[1], 'w').write(' '.join(f'{k}={v}' for k, v in os.environ.items()))"
    environ = {"SOPS_AGE_KEY": "AGE-SECRET-KEY-1", "DATABRICKS_TOKEN": "dapi", "DISPLAY": ":0", "TMPDIR": "/elsewhere"}
    assert _run(script, file, environ=environ) == 0
    said = file.read_text()
    assert "DISPLAY=:0" in said
    assert "TMPDIR=/elsewhere" in said
    assert not {"SOPS_AGE_KEY", "DATABRICKS_TOKEN"} & {word.partition("=")[0] for word in said.split()}
    assert _run(script, file, environ=environ, in_terminal=True) == 0
    assert f"TMPDIR={file.parent}" in file.read_text()


def test_no_program_writes_its_memory_to_a_disk_meanwhile(tmp_path: Path) -> None:
    """Core files are off for the editor, and as before afterwards."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    file = tmp_path / "limit"
    script = "import resource, sys; open(sys.argv[1], 'w').write(str(resource.getrlimit(resource.RLIMIT_CORE)[0]))"
    assert _run(script, file) == 0
    assert file.read_text() == "0"
    assert resource.getrlimit(resource.RLIMIT_CORE) == before


def test_an_exit_code_and_a_signal_are_told_apart(tmp_path: Path) -> None:
    """A negative code is the number of a signal."""
    assert _run("raise SystemExit(3)", tmp_path / "x") == 3
    assert _run("import os; os.kill(os.getpid(), 9)", tmp_path / "x") == -9


def test_what_cannot_be_started_is_an_error_of_usage(tmp_path: Path) -> None:
    """The variable is named."""
    with pytest.raises(UsageError, match="cannot be started"):
        run(Editor(command=(str(tmp_path),)), tmp_path / "x", environ={}, lock=None)


def _signal_when_there(file: Path, numbers: Sequence[signal.Signals]) -> threading.Thread:
    """Send signals to this process once ``file`` is there."""

    def wait() -> None:
        deadline = time.monotonic() + 20
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        for number in numbers:
            os.kill(os.getpid(), number)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_interrupts_are_for_the_editor_while_it_runs(tmp_path: Path) -> None:
    """Ctrl-C in vim ends a search, not the reconciler."""
    file = tmp_path / "there"
    script = "import sys, time; open(sys.argv[1], 'w').close(); time.sleep(0.3)"
    before = signal.getsignal(signal.SIGINT)
    thread = _signal_when_there(file, [signal.SIGINT])
    assert _run(script, file) == 0
    thread.join()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_request_to_end_ends_the_editor_first(tmp_path: Path) -> None:
    """An editor left running would go on showing what is taken away."""
    file = tmp_path / "pid"
    script = (
        "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "open(sys.argv[1] + '.new', 'w').write(str(os.getpid())); os.rename(sys.argv[1] + '.new', sys.argv[1])\n"
        "time.sleep(60)"
    )
    thread = _signal_when_there(file, [signal.SIGTERM])
    with orderly() as signals, pytest.raises(KeyboardInterrupt), signals.waiting():
        _run(script, file)
    thread.join()
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)


def test_signals_wait_for_what_must_not_end_half_way() -> None:
    """One that comes while something is encrypted ends the next wait instead."""
    reached = False
    with orderly() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        reached = True
        with pytest.raises(KeyboardInterrupt), signals.waiting():
            raise AssertionError("the wait had begun")
        with signals.waiting():
            pass
    assert reached
