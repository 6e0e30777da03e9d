"""Which git commands were started."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def traced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """Put a program in front of git; yield what returns the commands that were started since it was last called.

    Args:
        folder: where the program may be put.
        monkeypatch: for PATH.
    """
    real, log, programs = shutil.which("git"), folder / ".git-calls", folder / ".git-programs"
    programs.mkdir()
    (programs / "git").write_text(f'#!/bin/sh\nprintf "%s " "$@" >> "{log}"; echo >> "{log}"\nexec "{real}" "$@"\n')
    (programs / "git").chmod(0o755)

    def calls() -> list[str]:
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [_command(line.split()) for line in lines]

    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        yield calls


def _command(words: list[str]) -> str:
    """Return the first word that is neither an option nor the value of one."""
    return next(word for before, word in zip(("", *words), words, strict=False) if before != "-c" and word[0] != "-")
