"""Runs a page of docs/guides as its reader would, and compares what it shows.

Of a page counts:

* Fenced blocks ``console``: each line that begins with ``$ `` is a command, continued by a backslash at its end; the
  lines below it are what it prints, on stdout or stderr, each to be found there in this order. ``…`` stands for
  anything; a line ``(exit code N)`` for how it ended, otherwise with 0.
* A comment ``<!-- file: PATH -->`` above a block: that is a file, and is written.
* A comment ``<!-- before: NAME -->``: something that the page takes for granted; the test knows what.
* A comment ``<!-- typed: "QUESTION" "ANSWER" … -->`` above a block: its first command runs on a terminal, and is
  answered what it asks.

Commands run in one folder after the other, those of ours within this process where they stand alone, for speed.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from click.testing import CliRunner

from reconciler.cli import cli
from tests.support.cli import PACKAGE_ROOT
from tests.support.terminal import Terminal


_BLOCK: Final = re.compile(
    r"^<!-- (?P<what>before|file|typed): (?P<name>.*?) -->$|^```(?P<kind>\w*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_EXIT_CODE: Final = re.compile(r"\(exit code (\d+)\)")
_SHELL: Final = re.compile(r"[|&;<>$`*?~#]|^\w+=")
_TIMEOUT_S: Final = 60.0
_ELLIPSIS: Final = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """Something that the page takes for granted."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A file that the page shows."""

    path: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command that the page shows, and what it prints."""

    line: str
    shown: tuple[str, ...]
    exit_code: int = 0
    typed: str | None = None


Step = Before | NewFile | Command


def steps_of(text: str) -> Iterator[Step]:
    """Yield what a page does, in its order."""
    pending: dict[str, str] = {}
    for found in _BLOCK.finditer(text):
        if found["what"] == "before":
            yield Before(name=found["name"])
        elif found["what"]:
            pending[found["what"]] = found["name"]
        elif "file" in pending:
            yield NewFile(path=pending.pop("file"), text=found["body"])
        elif found["kind"] == "console":
            yield from _commands(found["body"], pending.pop("typed", None))
    assert not pending, f"no block is below {pending}"


def _commands(body: str, typed: str | None) -> Iterator[Command]:
    for number, part in enumerate(re.split(r"^\$ ", body, flags=re.MULTILINE)):
        if number == 0:
            assert not part.strip(), f"above the first command stands {part!r}"
            continue
        line, rest = part.rstrip("\n"), ""
        match = re.match(r"((?:.*\\\n)*.*)\n?((?:.*\n?)*)", part)
        if match is not None:
            line, rest = match[1], match[2]
        shown = [one.rstrip() for one in rest.splitlines() if one.strip() and one.strip() != _ELLIPSIS]
        codes = [int(code[1]) for one in shown if (code := _EXIT_CODE.fullmatch(one))]
        yield Command(
            line=line.replace("\\\n", " "),
            shown=tuple(one for one in shown if not _EXIT_CODE.fullmatch(one)),
            exit_code=codes[0] if codes else 0,
            typed=typed if number == 1 else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command did."""

    exit_code: int
    output: str


@dataclass(kw_only=True)
class Reader:
    """Somebody who does what a page says.

    The tests' own process is in ``root`` meanwhile, as paths on a command line are relative to that.
    """

    root: Path
    replaced: Mapping[str, str] = field(default_factory=dict)
    """What the page writes, to what it is here: hosts, ports."""

    env: dict[str, str] = field(default_factory=dict)
    """Variables that commands get besides PATH and HOME."""

    running: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    """What the page has run in the background."""

    def follow(self, command: Command) -> None:
        """Run a command and compare what it prints with what the page shows."""
        line = self._here(command.line)
        done = self._run(line, command.typed)
        output = done.output
        for written, here in self.replaced.items():
            output = output.replace(here, written)
        told = f"$ {command.line}\n{output}(exit code {done.exit_code})"
        assert done.exit_code == command.exit_code, told
        lines = iter(output.splitlines())
        for shown in command.shown:
            pattern = re.compile(".*".join(map(re.escape, shown.split(_ELLIPSIS))))
            assert any(pattern.fullmatch(one.rstrip()) for one in lines), f"not there, or too early: {shown}\n{told}"

    def write(self, file: NewFile) -> None:
        """Write a file that the page shows."""
        path = self.root / self._here(file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._here(file.text), encoding="utf-8")

    def end(self) -> None:
        """End what was run in the background."""
        for process in self.running:
            process.terminate()
            process.wait(_TIMEOUT_S)

    def _here(self, text: str) -> str:
        for written, here in self.replaced.items():
            text = text.replace(written, here)
        return text

    def _run(self, line: str, typed: str | None) -> Done:
        if typed is not None:
            return self._on_terminal(shlex.split(line), typed)
        feeding, pipe, last = line.rpartition(" | ")
        words = [] if _SHELL.search(last) else shlex.split(last)
        if words and words[0] == "reconciler":
            return self._within(words[1:], self._in_shell(feeding).output if pipe else None)
        if export := re.fullmatch(r"export (\w+)=(.*)", line):
            self.env[export[1]] = self._in_shell(f"printf %s {export[2]}").output
            return Done(exit_code=0, output="")
        return self._in_shell(line)

    def _within(self, words: list[str], stdin: str | None) -> Done:
        ran = CliRunner().invoke(cli, words, input=stdin, env=self.env, catch_exceptions=False, prog_name="reconciler")
        return Done(exit_code=ran.exit_code, output=ran.output)

    def _in_shell(self, line: str) -> Done:
        if line.endswith(" &"):
            program = ("sh", "-c", f"exec {line.removesuffix(' &')}")
            process = subprocess.Popen(program, cwd=self.root, env=self._environ(), stderr=subprocess.DEVNULL)
            self.running.append(process)
            return Done(exit_code=0, output="")
        ran = subprocess.run(
            ("bash", "-c", line),
            cwd=self.root,
            env=self._environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=_TIMEOUT_S,
        )
        return Done(exit_code=ran.returncode, output=ran.stdout.decode())

    def _on_terminal(self, words: list[str], typed: str) -> Done:
        command = [str(Path(sys.executable).parent / words[0]), *words[1:]]
        with Terminal(command, cwd=self.root, env=self._environ()) as terminal:
            questions = iter(shlex.split(typed))
            for question in questions:
                terminal.wait_for(question)
                terminal.type(f"{next(questions)}\n")
            return Done(exit_code=terminal.end(), output=terminal.said)

    def _environ(self) -> dict[str, str]:
        scripts = str(Path(sys.executable).parent)
        kept = {name: text for name, text in os.environ.items() if name == "HOME" or name.startswith("COV")}
        return {
            **kept,
            "PATH": os.pathsep.join((scripts, os.environ["PATH"])),
            "PYTHONPATH": str(PACKAGE_ROOT),
            "GIT_CONFIG_NOSYSTEM": "1",
            **self.env,
        }
