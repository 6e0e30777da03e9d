"""What this process does to the world while a test watches: connections, lookups of names, programs, files written.

By wrapping the functions of the standard library that do such things, so that contact with any host counts, not only
with the one that a test happens to run. Not by an audit hook of Python (`sys.addaudithook`): it stays for good, and
under coverage CPython 3.11 then fails to start threads at random ("Cannot install a trace function while another
trace function is being installed").
"""

import builtins
import contextlib
import io
import os
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from unittest import mock


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

    def note_contact(self, *arguments: object) -> None:
        """Keep an address, with whatever came with it."""
        self.contacts.append(repr([argument for argument in arguments if not isinstance(argument, socket.socket)]))

    def note_program(self, _: object, command: object, *__: object) -> None:
        """Keep a command line."""
        self.programs.append(tuple(map(str, command)) if isinstance(command, list | tuple) else (str(command),))

    def note_path(self, path: object, *_: object) -> None:
        """Keep a path that is made."""
        self.written.append(os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else repr(path))

    def note_open(self, path: object, mode: object = "r", *_: object) -> None:
        """Keep a path that is opened for writing; a number is a file that is open already."""
        if not isinstance(path, int) and isinstance(mode, str) and set(mode) & set("wax+"):
            self.note_path(path)

    def note_os_open(self, path: object, flags: int, *_: object) -> None:
        """Likewise, below `open`."""
        if flags & _WRITING:
            self.note_path(path)


@contextlib.contextmanager
def watched() -> Iterator[Deeds]:
    """Watch what happens inside, in this thread and in all that are started meanwhile.

    Not in those that were there before: a run of an earlier test that gave up on a workspace may have left one behind
    which still waits for it.
    """
    deeds = Deeds()
    others = frozenset(threading.enumerate()) - {threading.current_thread()}
    wrapped: tuple[tuple[Any, str, Callable[..., None]], ...] = (
        (socket.socket, "connect", deeds.note_contact),
        (socket.socket, "connect_ex", deeds.note_contact),
        (socket.socket, "sendto", deeds.note_contact),
        (socket, "getaddrinfo", deeds.note_contact),
        (socket, "gethostbyname", deeds.note_contact),
        (subprocess.Popen, "__init__", deeds.note_program),
        (builtins, "open", deeds.note_open),
        (io, "open", deeds.note_open),
        (os, "open", deeds.note_os_open),
        *((os, name, deeds.note_path) for name in ("mkdir", "symlink", "link", "rename", "replace")),
        (sqlite3, "connect", deeds.note_path),
    )
    with contextlib.ExitStack() as stack:
        for owner, name, note in wrapped:
            stack.enter_context(mock.patch.object(owner, name, _noting(note, getattr(owner, name), others)))
        yield deeds


def _noting(
    note: Callable[..., None], real: Callable[..., object], others: frozenset[threading.Thread]
) -> Callable[..., object]:
    def function(*arguments: object, **named: object) -> object:
        if threading.current_thread() not in others:
            note(*arguments, *(named[name] for name in ("mode", "flags") if name in named))
        return real(*arguments, **named)

    return function
