"""A program that is called as sops is, notes how, and behaves as a test wants: for what the real one never does.

::

    fake = FakeSops(tmp_path, exit_code=51, stderr="canary")
    SopsBinary.find(fake.environ)
    fake.calls[-1].arguments
"""

import base64
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final


_PROGRAM: Final = """#!{python} -IS
import base64, json, os, subprocess, sys, time
wishes = json.loads({wishes!r})
version = "--version" in sys.argv
stdin = b"" if version else sys.stdin.buffer.read() if wishes["reads"] else b""
with open({log!r}, "a") as log:
    log.write(json.dumps([sys.argv[1:], dict(os.environ), base64.b64encode(stdin).decode(), os.getpid()]) + "\\n")
if version:
    print(wishes["version"])
    sys.exit()
for name in wishes["children"]:
    code = "import os, time; open(%r, 'w').write(str(os.getpid())); time.sleep(60)" % name
    subprocess.Popen([sys.executable, "-ISc", code])
    while not (os.path.exists(name) and open(name).read()):
        time.sleep(0.01)
sys.stderr.write(wishes["stderr"] * wishes["times"])
sys.stdout.write(wishes["stdout"] * wishes["times"])
sys.stderr.flush()
sys.stdout.flush()
if wishes["writes"] is not None and "--" in sys.argv:
    open(sys.argv[sys.argv.index("--") + 1], "w").write(wishes["writes"])
time.sleep(wishes["sleep_s"])
sys.exit(wishes["exit_code"])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeCall:
    """How it was called."""

    arguments: list[str]
    environ: dict[str, str]
    stdin: bytes
    pid: int


class FakeSops:
    """One such program, in a folder of its own."""

    def __init__(  # noqa: PLR0913  # each is one wish, and has a name where it is wished
        self,
        folder: Path,
        *,
        version: str = "sops 3.13.3",
        exit_code: int = 0,
        stdout: str = "",
        stderr: str = "",
        times: int = 1,
        sleep_s: float = 0.0,
        reads: bool = True,
        children: tuple[Path, ...] = (),
        writes: str | None = None,
    ) -> None:
        """Write the program.

        Args:
            folder: where; made if it is not there.
            version: what ``--version`` prints.
            exit_code: of every other command.
            stdout: what it prints.
            stderr: likewise.
            times: how often it repeats both.
            sleep_s: seconds after which it ends.
            reads: whether it reads stdin.
            children: files; for each it starts a program that writes its process id there and stays.
            writes: what it writes into the file that it is given.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "sops"
        self._log = folder / "calls"
        wishes = {
            "version": version,
            "exit_code": exit_code,
            "stdout": stdout,
            "stderr": stderr,
            "times": times,
            "sleep_s": sleep_s,
            "reads": reads,
            "children": [str(child) for child in children],
            "writes": writes,
        }
        self.path.write_text(_PROGRAM.format(python=sys.executable, wishes=json.dumps(wishes), log=str(self._log)))
        self.path.chmod(0o755)

    @property
    def environ(self) -> dict[str, str]:
        """The environment in which it is found."""
        return {"SOPS_BINARY": str(self.path), "PATH": ""}

    @property
    def calls(self) -> list[FakeCall]:
        """All calls so far, that for the version included."""
        if not self._log.exists():
            return []
        found = []
        for line in self._log.read_text().splitlines():
            arguments, environ, stdin, pid = json.loads(line)
            found.append(FakeCall(arguments=arguments, environ=environ, stdin=base64.b64decode(stdin), pid=pid))
        return found
