"""Starting a repository of secrets in a folder, with or without somebody who answers."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from reconciler.scaffold import Answers, Outcome, Question, Surroundings, init
from reconciler.validate import validate


HOST: Final = "https://adb-1.2.azuredatabricks.net"
HOST_KEY: Final = "adb-1.2.azuredatabricks.net"
RECIPIENT: Final = "age1vsml3ffnucv0pxvxjfe2wc82h6pfyfcw3mhr3r6e9rltpdwfnurqqf4nyt"
"""Of the demo; whose it is does not matter where nothing is decrypted."""

NOW: Final = datetime(2026, 3, 1, 2, 10, 3, tzinfo=UTC)


@dataclass(kw_only=True)
class Starter:
    """Runs `init` in a folder."""

    root: Path
    home: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Flags of the questions so far."""

    def __call__(self, answers: Answers, replies: Mapping[str, str] | None = None) -> Outcome:
        """Start; with ``replies``, flag to answer, there is a terminal, and what is not among them gets its default."""

        def ask(question: Question) -> str:
            assert replies is not None
            self.asked.append(question.flag)
            reply = replies.get(question.flag, question.default)
            assert reply is not None, question
            assert question.problem(reply) is None, question
            return reply

        here = Surroundings(
            root=self.root, environ=self.environ, home=self.home, now=NOW, ask=None if replies is None else ask
        )
        outcome = Outcome()
        init(here, answers, outcome)
        return outcome

    def problems(self) -> tuple[str, ...]:
        """Return what `validate` says, warnings included."""
        return tuple(map(str, validate(self.root, self.environ).problems))

    def text(self, path: str) -> str:
        """Return a file."""
        return (self.root / path).read_text(encoding="utf-8")

    def everything(self) -> dict[str, bytes]:
        """Return all files below the folder but git's own, path to bytes."""
        files = (path for path in sorted(self.root.rglob("*")) if path.is_file())
        found = {path.relative_to(self.root).as_posix(): path.read_bytes() for path in files}
        return {path: data for path, data in found.items() if not path.startswith(".git/")}


def git(root: Path, *arguments: str) -> str:
    """Run git quietly, and return what it prints."""
    done = subprocess.run(("git", *arguments), cwd=root, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout


def real(**more: object) -> Answers:
    """Return the answers for a real workspace, encrypted to `RECIPIENT` unless said otherwise."""
    return Answers(**{"host": HOST, "age_keys": (RECIPIENT,), **more})  # type: ignore[arg-type]  # as fields are called
