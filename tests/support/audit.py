"""What this process does to the world while a test watches: connections, lookups of names, programs, files written.

By an audit hook of Python (https://docs.python.org/3/library/audit_events.html), so that contact with any host counts,
not only with the one that a test happens to run.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final


_CONTACTS: Final = frozenset({"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"})
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(slots=True, kw_only=True)
class Deeds:
    """What was seen so far."""

    contacts: list[str] = field(default_factory=list)
    """Addresses that were looked up or connected to."""

    programs: list[tuple[str, ...]] = field(default_factory=list)
    """Command lines of children."""

    written: list[str] = field(default_factory=list)
    """Paths that were opened for writing, or made; SQLite databases, too."""

    def note(self, event: str, arguments: tuple[object, ...]) -> None:
        """Keep one event of the audit."""
        if event in _CONTACTS:
            self.contacts.append(repr(arguments[1:] if event.startswith("socket.connect") else arguments))
        elif event == "subprocess.Popen":
            command = arguments[1]
            self.programs.append(tuple(map(str, command)) if isinstance(command, list | tuple) else (str(command),))
        elif event in {"os.mkdir", "sqlite3.connect", "os.symlink", "os.link", "os.rename"}:
            path = arguments[0]
            self.written.append(os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else repr(path))
        elif event == "open":
            opened, _, flags = arguments
            if isinstance(opened, str | bytes) and isinstance(flags, int) and flags & _WRITING:
                self.written.append(os.fsdecode(opened))


_SWITCH_S: Final = 0.1
"""How long a thread may keep the interpreter, 20 times the usual. The start of a thread under coverage calls the hook;
where the interpreter changes hands within the hook while another thread starts, CPython 3.11 lets that start fail:
"Cannot install a trace function while another trace function is being installed"."""

_watching: list[Deeds] = []
_hooked: list[bool] = []


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    for deeds in _watching:
        deeds.note(event, arguments)


@contextlib.contextmanager
def watched() -> Iterator[Deeds]:
    """Watch what happens inside, in all threads of this process."""
    if not _hooked:
        sys.setswitchinterval(_SWITCH_S)
        sys.addaudithook(_hook)  # stays for good: Python has no way to take one away
        _hooked.append(True)
    deeds = Deeds()
    _watching.append(deeds)
    try:
        yield deeds
    finally:
        _watching.remove(deeds)
