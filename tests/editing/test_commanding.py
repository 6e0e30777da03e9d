"""Values that a program prints."""

import stat
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from reconciler.editing.commanding import command_of
from reconciler.errors import ReconcilerError, UsageError


_ENVIRON = {"PATH": "/usr/bin:/bin"}


def _run(text: str, root: Path, *, exact: bool = False, environ: Mapping[str, str] = _ENVIRON) -> bytes:
    return command_of(text, environ, root=root)(exact=exact).reveal()


@pytest.mark.parametrize(
    ("printed", "exact", "value"),
    [
        pytest.param(r"abc\n", False, b"abc", id="line"),
        pytest.param(r"abc\r\n", False, b"abc", id="line-of-windows"),
        pytest.param(r"abc", False, b"abc", id="no-line-end"),
        pytest.param(r"abc\n", True, b"abc\n", id="line-kept"),
        pytest.param(r" abc \n", False, b" abc ", id="blanks-stay"),
        pytest.param(r"a\nb\n", False, b"a\nb\n", id="several-lines"),
        pytest.param(r"abc\n\n", False, b"abc\n\n", id="an-empty-line-behind"),
        pytest.param(r"\377\n", False, b"\xff\n", id="bytes"),
        pytest.param(r"\000", False, b"\0", id="zero"),
    ],
)
def test_what_it_prints_is_the_value(tmp_path: Path, printed: str, value: bytes, *, exact: bool) -> None:
    """Byte for byte, but for the end of a single line."""
    assert _run(f"printf '{printed}'", tmp_path, exact=exact) == value


def test_one_line_feed_is_left_out_of_several_lines_if_asked_for(tmp_path: Path) -> None:
    """One, and not two."""
    for printed, value in (("a\\nb\\n", b"a\nb"), ("a\\n\\n", b"a\n"), ("a\\n", b"a"), ("\\377\\n", b"\xff")):
        assert command_of(f"printf '{printed}'", _ENVIRON, root=tmp_path)(strip=True).reveal() == value


def test_words_are_split_as_a_shell_does_and_no_shell_sees_them(tmp_path: Path) -> None:
    """Variables, pipes and semicolons are letters like others."""
    assert _run("printf '%s|' 'a b' \"c\" $HOME ';' '>x'", tmp_path) == b"a b|c|$HOME|;|>x|"
    assert not (tmp_path / "x").exists()


def test_it_runs_in_the_directory_of_the_run(tmp_path: Path) -> None:
    """A path is meant from there, as with -C."""
    script = tmp_path / "new-password"
    script.write_text("#!/bin/sh\npwd\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    assert _run("./new-password", tmp_path) == str(tmp_path).encode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("false", r"false failed \(exit code 1\)", id="exit-code"),
        pytest.param("sh -c 'kill -9 $$'", r"sh failed \(signal 9\)", id="signal"),
        pytest.param("true", "printed nothing", id="nothing"),
        pytest.param("echo", "printed nothing", id="an-empty-line"),
        pytest.param("yes", "prints more than a workspace takes", id="too-much"),
        pytest.param("head -c 131073 /dev/zero", "prints more than a workspace takes", id="one-byte-too-much"),
    ],
)
def test_it_fails_without_a_word_of_what_it_said(tmp_path: Path, text: str, said: str) -> None:
    """Its output may be a part of the value, its arguments may be a secret."""
    with pytest.raises(ReconcilerError, match=said) as failed:
        _run(text, tmp_path)
    assert failed.value.exit_code == 1
    assert "$$" not in str(failed.value)


def test_what_fails_is_not_quoted(tmp_path: Path) -> None:
    """Neither what it printed nor what it complained of."""
    with pytest.raises(ReconcilerError) as failed:
        _run("sh -c 'echo CANARY-out; echo CANARY-err >&2; exit 3'", tmp_path)
    assert "CANARY" not in failed.value.with_advice()


def test_it_may_not_take_forever(tmp_path: Path) -> None:
    """It is killed, and the message names what gives it longer."""
    with pytest.raises(ReconcilerError, match="--command-timeout"):
        command_of("sleep 60", _ENVIRON, root=tmp_path, timeout_s=0.2)()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("echo 'CANARY", id="open-quote"),
        pytest.param("no-such-program-here", id="unknown"),
        pytest.param("./no-such-program-here", id="unknown-path"),
        pytest.param("echo\0 x", id="null-byte"),
    ],
)
def test_what_is_no_command_is_refused_at_once(tmp_path: Path, text: str) -> None:
    """Before anything runs, and without the text, which may hold a secret."""
    with pytest.raises(UsageError) as refused:
        command_of(text, _ENVIRON, root=tmp_path)
    assert "CANARY" not in refused.value.with_advice()


def test_nothing_is_started_by_its_bare_name_from_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where PATH has an empty part, which stands for the current directory."""
    (tmp_path / "planted").write_text("#!/bin/sh\necho x\n")
    (tmp_path / "planted").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no program planted"):
        command_of("planted", {"PATH": ":/usr/bin"}, root=tmp_path)


def _seen(root: Path, environ: Mapping[str, str], *more: str) -> set[str]:
    code = "import os; print(*os.environ, sep=chr(10))"
    command = command_of(f'{sys.executable} -c "{code}"', {**_ENVIRON, **environ}, root=root, more=more)
    return set(command(exact=True).reveal().decode().split("\n")) - {"LC_CTYPE", ""}


def test_it_gets_what_programs_need_and_no_key_of_the_files(tmp_path: Path) -> None:
    """Nor what we log in with to a workspace; a vault's own token it does get."""
    environ = {"SOPS_AGE_KEY": "x", "SOPS_AGE_KEY_FILE": "x", "DATABRICKS_TOKEN": "x", "VAULT_TOKEN": "x", "MINE": "x"}
    assert _seen(tmp_path, environ) == {"PATH", "VAULT_TOKEN"}
    assert _seen(tmp_path, environ, "MI*", "DATABRICKS_TOKEN") == {"PATH", "VAULT_TOKEN", "MINE", "DATABRICKS_TOKEN"}


@pytest.mark.parametrize("name", ["SOPS_AGE_KEY", "SOPS_AGE_*", "sops_age_key", "*", "SO*"])
def test_a_key_is_not_handed_on_even_when_named(tmp_path: Path, name: str) -> None:
    """A command that makes passwords has no use for one."""
    with pytest.raises(UsageError, match="a key of the files"):
        command_of("echo x", {**_ENVIRON, "SOPS_AGE_KEY": "x"}, root=tmp_path, more=(name,))
