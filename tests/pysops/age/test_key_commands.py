"""Programs that print a key: how they are started, when, and how little they can do wrong."""

import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.pysops import Identities, KeyGroup, Recipient, WrappedKey, metadata
from reconciler.pysops.age.key_commands import MAX_RUNS, Programs, RunFailed, split_words
from tests.support.age_judge import AgeJudge
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsTool


PYTHON: Final = sys.executable

FAILED: Final = "failed; if it misses a variable of the environment, name that in PYSOPS_KEY_CMD_ENV"


@pytest.fixture(scope="module")
def key() -> AgeKey:
    """Make a key."""
    return AgeKey.generate()


@pytest.fixture(scope="module")
def file(sops: SopsTool, key: AgeKey) -> bytes:
    """Encrypt a file to it."""
    return sops.encrypt(b"a: canary\n", [key.recipient])


@pytest.fixture
def judge(sops: SopsTool, tmp_path: Path) -> AgeJudge:
    """Provide a user with an empty home."""
    return AgeJudge(sops=sops, home=tmp_path)


@dataclass(slots=True)
class Printer:
    """Stands in for a program: prints the key of the recipient that it is asked for, and keeps count."""

    keys: Mapping[str, str]
    takes_s: float = 0.0
    calls: list[tuple[tuple[str, ...], dict[str, str]]] = field(default_factory=list)

    def __call__(self, words: tuple[str, ...], environ: Mapping[str, str], timeout_s: float) -> bytes | RunFailed:
        """Print a key."""
        self.calls.append((words, dict(environ)))
        time.sleep(self.takes_s)
        return self.keys.get(environ["SOPS_AGE_RECIPIENT"], "").encode()


def group_of(*files: bytes) -> KeyGroup:
    """Return what the only key groups of files wrap, as one group."""
    return tuple(key for file in files for key in metadata(file).key_groups[0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", (), id="nothing"),
        pytest.param(" \t\r\n", (), id="blanks"),
        pytest.param("pass show  key\n", ("pass", "show", "key"), id="words"),
        pytest.param("'a b' \"c d\"", ("a b", "c d"), id="quotes"),
        pytest.param("a'b'\"c\"d", ("abcd",), id="quotes within a word"),
        pytest.param("'' \"\"", ("", ""), id="empty words"),
        pytest.param(r"a\ b \# \' \\", ("a b", "#", "'", "\\"), id="escapes"),
        pytest.param(r'"\a \" \\ \$"', ('a " \\ $',), id="escapes in double quotes"),
        pytest.param(r"'\a'", (r"\a",), id="none in single quotes"),
        pytest.param("a #b c\nd", ("a", "d"), id="comment"),
        pytest.param("a#b", ("a#b",), id="# within a word"),
        pytest.param("''#b", ("#b",), id="# behind quotes"),
        pytest.param("a\\\nb", ("a\nb",), id="no continuation lines"),
        pytest.param("$HOME ~ * | ; & `x`", ("$HOME", "~", "*", "|", ";", "&", "`x`"), id="no shell"),
        pytest.param("a\u00a0b", ("a\u00a0b",), id="other blanks"),
        pytest.param("'a", None, id="open quote"),
        pytest.param('"a', None, id="open double quote"),
        pytest.param("a\\", None, id="escape at the end"),
        pytest.param('"a\\', None, id="escape at the end in quotes"),
    ],
)
def test_commands_are_split_as_go_does(text: str, words: tuple[str, ...] | None) -> None:
    """By the rules of google/shlex. Sixty thousand random texts were compared with it when this was written."""
    assert split_words(text) == words


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="'"))))
def test_quoted_words_come_back(words: list[str]) -> None:
    """Whatever stands in single quotes is a word."""
    assert split_words(" ".join(f"'{word}'" for word in words)) == tuple(words)


@pytest.mark.parametrize("quoted", ["'{}/a b'", '"{}/a b"', r"{}/a\ b", r'"{}/a\ b"', "{}/'a'' 'b #c"])
def test_the_binary_splits_the_same(judge: AgeJudge, file: bytes, key: AgeKey, quoted: str) -> None:
    """A file with a blank in its name, quoted in several ways."""
    judge.write("a b", key.identity)
    assert judge.opens(file, {"SOPS_AGE_KEY_CMD": f"cat {quoted.format(judge.home)}"})


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        pytest.param("false", "SOPS_AGE_KEY_CMD failed", id="exit code"),
        pytest.param("no-such-program-anywhere", "SOPS_AGE_KEY_CMD names a program that is not found", id="missing"),
        pytest.param("''", "SOPS_AGE_KEY_CMD names a program that is not found", id="empty name"),
        pytest.param("true", "what SOPS_AGE_KEY_CMD prints holds no age identity", id="nothing printed"),
        pytest.param("echo hunter2", "what SOPS_AGE_KEY_CMD prints is not used: line 1 is no age identity", id="noise"),
        pytest.param("echo {key} {key}", "what SOPS_AGE_KEY_CMD prints is not used", id="two on a line"),
        pytest.param("'", "SOPS_AGE_KEY_CMD is not a command", id="open quote"),
        pytest.param("", "SOPS_AGE_KEY_CMD is not a command", id="empty, on which sops crashes"),
        pytest.param("# cat", "SOPS_AGE_KEY_CMD is not a command", id="comment, on which sops crashes"),
        pytest.param("/", "SOPS_AGE_KEY_CMD names a program that", id="directory"),
    ],
)
def test_a_command_that_prints_no_key_is_a_problem(
    judge: AgeJudge, file: bytes, key: AgeKey, command: str, complaint: str
) -> None:
    """It shows when nothing else opens the file, and says nothing of the command's words or output."""
    environ = {"SOPS_AGE_KEY_CMD": command.format(key=key.identity)}
    assert not judge.opens(file, environ)
    found = judge.identities(environ)
    assert found.open_group(group_of(file)) is None
    (problem,) = found.problems
    assert problem.what.startswith(complaint)
    assert not [text for text in ("hunter2", key.identity, "no-such") if text in problem.what]


def test_the_program_is_told_the_recipient(judge: AgeJudge, sops: SopsTool, tmp_path: Path) -> None:
    """It may hold a key for each, as with sops 3.12 and later."""
    keys = [AgeKey.generate() for _ in range(3)]
    for each in keys:
        judge.write(f"keys/{each.recipient}", each.identity)
    file = sops.encrypt(b"a: 1\n", [AgeKey.generate().recipient, keys[1].recipient])
    environ = {"SOPS_AGE_KEY_CMD": f"sh -c 'cat {tmp_path}/keys/$SOPS_AGE_RECIPIENT'"}
    assert judge.opens(file, environ)
    assert not judge.opens(sops.encrypt(b"a: 1\n", [AgeKey.generate().recipient]), environ)


def test_the_program_gets_of_the_environment_what_it_may_need(tmp_path: Path, file: bytes, key: AgeKey) -> None:
    """Of the mapping handed in, not of the process; test_key_environment.py has which."""
    printer = Printer(keys={})
    environ = {"SOPS_AGE_KEY": AgeKey.generate().identity, "VAULT_ADDR": "x", "CI_JOB_TOKEN": "y"}
    told = {"SOPS_AGE_KEY_CMD": "a b", "SOPS_AGE_RECIPIENT": "old"}
    found = Identities.from_environment({**environ, **told}, tmp_path, run=printer)
    assert found.open_group(group_of(file)) is None
    assert printer.calls == [(("a", "b"), {"VAULT_ADDR": "x", "SOPS_AGE_RECIPIENT": key.recipient})]


def test_no_program_runs_where_another_key_opens(tmp_path: Path, file: bytes, key: AgeKey) -> None:
    """It may cost a touch of a token."""
    printer = Printer(keys={key.recipient: key.identity})
    environ = {"SOPS_AGE_KEY": key.identity, "SOPS_AGE_KEY_CMD": "a", "SOPS_AGE_SSH_PRIVATE_KEY_CMD": "b"}
    found = Identities.from_environment(environ, tmp_path, run=printer)
    assert found.open_group(group_of(file)) is not None
    assert (printer.calls, found.problems) == ([], ())


def test_a_program_runs_once_for_each_recipient(tmp_path: Path, sops: SopsTool) -> None:
    """However many files there are, and also if it prints nothing; the keys that it printed count from then on."""
    keys = [AgeKey.generate() for _ in range(3)]
    files = [sops.encrypt(b"a: 1\n", [each.recipient]) for each in keys]
    printer = Printer(keys={each.recipient: each.identity for each in keys[:2]})
    found = Identities.from_environment({"SOPS_AGE_KEY_CMD": "a"}, tmp_path, run=printer)
    for _ in range(3):
        opened = [found.open_group(group_of(file)) is not None for file in files]
        assert opened == [True, True, False]
    assert len(printer.calls) == 3
    assert found.recipients == tuple(each.recipient for each in keys[:2])
    assert found.sources == ("what SOPS_AGE_KEY_CMD prints",)
    assert [problem.what for problem in found.problems] == ["what SOPS_AGE_KEY_CMD prints holds no age identity"]


def test_a_printed_key_is_tried_on_all(tmp_path: Path, sops: SopsTool, key: AgeKey) -> None:
    """A program that prints its one key whoever is asked for runs once, not once for each of twelve people."""
    others = [AgeKey.generate().recipient for _ in range(11)]
    file = sops.encrypt(b"a: 1\n", [*others, key.recipient])
    printer = Printer(keys=dict.fromkeys((*others, key.recipient), key.identity))
    found = Identities.from_environment({"SOPS_AGE_KEY_CMD": "a"}, tmp_path, run=printer)
    assert found.open_group(group_of(file)) is not None
    assert found.open_group(tuple(reversed(group_of(file)))) is not None
    assert len(printer.calls) == 1


def test_threads_share_an_answer(tmp_path: Path, file: bytes, key: AgeKey) -> None:
    """Two that ask at once make one run."""
    printer = Printer(keys={key.recipient: key.identity}, takes_s=0.05)
    found = Identities.from_environment({"SOPS_AGE_KEY_CMD": "a"}, tmp_path, run=printer)
    opened: list[bytes | None] = []
    threads = [threading.Thread(target=lambda: opened.append(found.open_group(group_of(file)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    assert None not in opened
    assert len(printer.calls) == 1


def test_a_file_cannot_start_a_program_any_number_of_times(tmp_path: Path, file: bytes) -> None:
    """Its author decides how many recipients it names."""
    (wrapped,) = group_of(file)
    names = [f"age1{number:x}" for number in range(1000)]
    group = tuple(
        WrappedKey(recipient=Recipient(kind="age", name=name), enc=wrapped.enc, mark=wrapped.mark) for name in names
    )
    printer = Printer(keys={})
    found = Identities.from_environment({"SOPS_AGE_KEY_CMD": "a"}, tmp_path, run=printer)
    assert found.open_group(group) is None
    assert len(printer.calls) == MAX_RUNS


@pytest.mark.parametrize(
    "name", ["", "$(id)", "age1x;id", "age1\nx", "age1\0", "ssh-rsa AAAA `id`", "ssh-rsa AAAA $x", "x" * 9, "-v"]
)
def test_a_program_is_not_told_what_is_no_recipient(tmp_path: Path, file: bytes, key: AgeKey, name: str) -> None:
    """Stricter than sops: the author of a file writes it, and the program may be a script that evaluates it."""
    (wrapped,) = group_of(file)
    lying = WrappedKey(recipient=Recipient(kind="age", name=name), enc=wrapped.enc, mark=wrapped.mark)
    printer = Printer(keys={name: key.identity})
    found = Identities.from_environment({"SOPS_AGE_KEY_CMD": "a"}, tmp_path, run=printer)
    assert found.open_group((lying,)) is None
    assert printer.calls == []


def test_ssh_keys_are_printed_one_at_a_time(judge: AgeJudge, sops: SopsTool, key: AgeKey) -> None:
    """The two variables are not alike: one takes identities, the other one SSH key."""
    ssh = AgeKey.ssh_ed25519()
    file = sops.encrypt(b"a: 1\n", [ssh.recipient])
    ssh_file, age_file = judge.write("ssh", ssh.identity), judge.write("age", key.identity)
    assert judge.opens(file, {"SOPS_AGE_SSH_PRIVATE_KEY_CMD": f"cat {ssh_file}"})
    for environ in ({"SOPS_AGE_KEY_CMD": f"cat {ssh_file}"}, {"SOPS_AGE_SSH_PRIVATE_KEY_CMD": f"cat {age_file}"}):
        assert not judge.opens(file, environ)


def python(code: str) -> tuple[str, ...]:
    """Return the words that run Python code."""
    return (PYTHON, "-S", "-E", "-c", code)


def test_a_program_prints_what_it_is_asked_for() -> None:
    """Nothing on stdin, the given environment, no shell."""
    code = "import os, sys; print(os.environ['A'], sys.argv[1:], sys.stdin.read())"
    assert Programs().run((*python(code), "$A", "*"), {"A": "1"}, 60) == b"1 ['$A', '*'] \n"


@pytest.mark.parametrize(
    ("code", "timeout_s", "reason"),
    [
        pytest.param("import time; time.sleep(60)", 0.3, "did not finish in time", id="hangs"),
        pytest.param(
            "import os, time; os.close(1); time.sleep(60)", 0.3, "did not finish in time", id="hangs without stdout"
        ),
        pytest.param("while True: print('x' * 1000)", 60, "prints more than a key", id="endless"),
        pytest.param("print('x' * 10_000_000)", 60, "prints more than a key", id="10 MB"),
        pytest.param("raise SystemExit(3)", 60, FAILED, id="exit code"),
        pytest.param("import os; os.kill(os.getpid(), 9)", 60, FAILED, id="killed"),
        pytest.param(
            "import subprocess; subprocess.Popen(['sleep', '1'])",
            0.3,
            "left a program running that holds its output open",
            id="left behind",
        ),
    ],
)
def test_a_program_is_held_to_its_bounds(code: str, timeout_s: float, reason: str) -> None:
    """In time and in size; it is not waited for any longer."""
    started = time.monotonic()
    assert Programs().run(python(code), {"PATH": os.environ["PATH"]}, timeout_s) == RunFailed(reason=reason)
    assert time.monotonic() - started < 30


def test_stderr_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    """It may quote the key, and a flood of it blocks nothing."""
    code = "import sys; sys.stderr.write('hunter2' * 1_000_000); print('done')"
    assert Programs().run(python(code), {}, 60) == b"done\n"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("path", ["", ".", "::", "bin"])
def test_programs_of_the_current_directory_are_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """As in Go: the folder may be somebody else's repository. By its path, one can be run."""
    monkeypatch.chdir(tmp_path)
    for place in (tmp_path / "tool", tmp_path / "bin" / "tool"):
        place.parent.mkdir(exist_ok=True)
        place.write_text("#!/bin/sh\necho ran\n")
        place.chmod(0o700)
    assert Programs().run(("tool",), {"PATH": path}, 60) == RunFailed(reason="names a program that is not found")
    assert Programs().run(("./tool",), {"PATH": path}, 60) == b"ran\n"


@pytest.mark.parametrize("words", [("a\0b",), (PYTHON, "\0"), ("/etc/passwd",), ("/",)])
def test_what_cannot_be_run_is_a_reason(words: tuple[str, ...]) -> None:
    """Nothing is raised."""
    assert isinstance(Programs().run(words, {"PATH": "/bin"}, 60), RunFailed)


def test_a_program_can_be_stopped(judge: AgeJudge, file: bytes) -> None:
    """An interrupt reaches the main thread alone, and that must not wait for a program in another."""
    found = judge.identities({"SOPS_AGE_KEY_CMD": "sleep 60"})
    opened: list[bytes | None] = []
    thread = threading.Thread(target=lambda: opened.append(found.open_group(group_of(file))))
    started = time.monotonic()
    thread.start()
    found.stop()
    thread.join(30)
    assert opened == [None]
    assert found.open_group(group_of(file)) is None
    assert time.monotonic() - started < 30
