"""The private keys at hand, gathered from where sops looks for them.

All sources add up. What is wrong with one of them is kept and shown only when nothing opens the file, as sops does it:
a stale key file must not stop somebody whose key stands in the environment.

https://getsops.io/docs/#encrypting-using-age names the sources:

* ``SOPS_AGE_KEY``, ``SOPS_AGE_KEY_FILE``, and ``sops/age/keys.txt`` in the configuration directory of the user;
* then, when these do not open a file: SSH keys, of ``SOPS_AGE_SSH_PRIVATE_KEY_FILE``, ``~/.ssh/id_ed25519`` and
  ``~/.ssh/id_rsa``;
* then what ``SOPS_AGE_KEY_CMD`` and ``SOPS_AGE_SSH_PRIVATE_KEY_CMD`` print.

sops knows no such order; it makes no difference to what opens, but SSH keys take time to read, and a program may ask
somebody to touch a token.
"""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Never, Self

from reconciler.pysops.age.age_keys import Keyring
from reconciler.pysops.age.key_places import default_key_file, ssh_key_files, variable
from reconciler.pysops.age.key_texts import TIMEOUT_S, KeysFound, keys_of_ssh, keys_of_text, read_key_file
from reconciler.pysops.errors import IdentityError
from reconciler.pysops.wrapped_keys import KeyGroup, WrappedKey


if TYPE_CHECKING:
    from reconciler.pysops.age.key_commands import KeyCommand, Runner

_COMMANDS: Final[dict[str, Callable[[bytes, str], KeysFound]]] = {
    "SOPS_AGE_KEY_CMD": keys_of_text,
    "SOPS_AGE_SSH_PRIVATE_KEY_CMD": lambda data, source: keys_of_ssh(data, source, asks=False),
}


def _nothing() -> None:
    """Do nothing: there is no program to stop."""


class Identities:
    """Age identities, parsed once for any number of files. Never show a key: not printed, pickled or copied.

    Threads may share them.
    """

    __slots__ = ("__at_hand", "__commands", "__find_ssh", "__lock", "__ring", "__ssh", "__ssh_ring", "__stop")

    def __init__(
        self,
        at_hand: KeysFound,
        *,
        find_ssh: Callable[[], KeysFound] = KeysFound,
        commands: "Sequence[KeyCommand]" = (),
        stop: Callable[[], None] = _nothing,
    ) -> None:
        self.__at_hand = at_hand
        self.__ring = Keyring(at_hand.keys)
        self.__find_ssh = find_ssh
        self.__ssh: KeysFound | None = None
        self.__ssh_ring = Keyring(())
        self.__commands = tuple(commands)
        self.__stop = stop
        self.__lock = threading.Lock()

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str],
        home: Path,
        *,
        platform: str = sys.platform,
        run: "Runner | None" = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Self:
        """Gather the identities that sops would find.

        Args:
            environ: the environment of the process. Of it, programs that print a key get `command_environment`.
            home: the home directory of the user.
            platform: as `sys.platform`; decides where the key file of the user is.
            run: runs a program that prints a key; None: `Programs.run`.
            timeout_s: how long, in seconds, such a program, or a pipe instead of a key file, may take.

        Returns:
            Possibly none; then `problems` may say why. SSH keys are read, and programs are run, when they are needed.
        """
        found = [
            *_named_texts(environ, platform, timeout_s),
            _default_file(default_key_file(environ, home, platform), timeout_s),
        ]
        texts = {name: text for name in _COMMANDS if (text := variable(environ, name, platform)) is not None}
        commands, wrong, stop = _commands(texts, environ, platform, run, timeout_s) if texts else ([], [], _nothing)
        found.extend(wrong)
        ssh_file = variable(environ, "SOPS_AGE_SSH_PRIVATE_KEY_FILE", platform)
        return cls(
            KeysFound.all_of(found),
            find_ssh=lambda: _ssh_files(ssh_file, home, timeout_s),
            commands=commands,
            stop=stop,
        )

    @classmethod
    def from_text(cls, text: str, source: str) -> Self:
        """Read the text of one key file.

        Args:
            text: one identity a line; empty lines and lines that start with ``#`` are skipped.
            source: what to call it in messages.

        Returns:
            No identities when a single line is bad; then `problems` says which.
        """
        return cls(keys_of_text(text.encode(errors="replace"), source))

    @property
    def recipients(self) -> tuple[str, ...]:
        """The public halves of what was found so far: ``age1…``, ``ssh-ed25519 AAAA…``, ``ssh-rsa AAAA…``."""
        return tuple(dict.fromkeys(key.recipient for key in self._found.keys))

    @property
    def sources(self) -> tuple[str, ...]:
        """Where identities were found so far."""
        return self._found.sources

    @property
    def problems(self) -> tuple[IdentityError, ...]:
        """What is wrong with other sources, as far as these were looked into."""
        return self._found.problems

    @property
    def needs_sops(self) -> bool:
        """Whether keys were found that only the sops program can use: of plugins, or protected by a passphrase."""
        return self._found.needs_sops

    def look_everywhere(self) -> Self:
        """Read the SSH keys as well, which otherwise happens when nothing else opens a file. May wait for a pipe.

        For whoever wants to tell which keys there are. Programs that print a key are not started.
        """
        self._look_for_ssh_keys()
        return self

    def stop(self) -> None:
        """End the program that prints a key, for an interrupt of the main thread; none is started any more."""
        self.__stop()

    def open_group(self, group: KeyGroup) -> bytes | None:
        """Decrypt what a key group wraps: the data key, or a part of it.

        Returns:
            None when no identity opens any of them.
        """
        wrapped_keys = [wrapped for wrapped in group if wrapped.recipient.kind == "age"]
        opened = self.__ring.open_any(wrapped_keys)
        if opened is None and wrapped_keys:
            self._look_for_ssh_keys()
            opened = self.__ssh_ring.open_any(wrapped_keys)
        return self._open_by_commands(wrapped_keys) if opened is None else opened

    def _open_by_commands(self, wrapped_keys: Sequence[WrappedKey]) -> bytes | None:
        # What has been asked before costs nothing; what a program prints is tried on all, as it may know only one key.
        names = dict.fromkeys(wrapped.recipient.name for wrapped in wrapped_keys)
        asked = [(command, name) for name in names for command in self.__commands]
        for command, name in sorted(asked, key=lambda pair: not pair[0].knows(pair[1])):
            opened = Keyring(command.keys_for(name).keys).open_any(wrapped_keys)
            if opened is not None:
                return opened
        return None

    def _look_for_ssh_keys(self) -> KeysFound:
        with self.__lock:
            if self.__ssh is None:
                found = self.__find_ssh()
                self.__ssh_ring = Keyring(found.keys)
                self.__ssh = found
            return self.__ssh

    @property
    def _found(self) -> KeysFound:
        # What is at hand: a property, and `repr` above all, must neither read a file nor wait for somebody who does.
        ssh = KeysFound() if self.__ssh is None else self.__ssh
        return KeysFound.all_of((self.__at_hand, ssh, *(command.found for command in self.__commands)))

    def __repr__(self) -> str:
        return f"Identities({len(self.recipients)} from {', '.join(self.sources) or 'nowhere'})"

    def __reduce__(self) -> Never:
        raise TypeError("identities are not pickled or copied")


def _named_texts(environ: Mapping[str, str], platform: str, timeout_s: float) -> list[KeysFound]:
    found = []
    text = variable(environ, "SOPS_AGE_KEY", platform)
    if text is not None:
        found.append(keys_of_text(text.encode(errors="replace"), "SOPS_AGE_KEY", words=True))
    path = variable(environ, "SOPS_AGE_KEY_FILE", platform)
    if path is not None:
        source = "the file that SOPS_AGE_KEY_FILE names"
        data = read_key_file(path, source, timeout_s=timeout_s)
        found.append(keys_of_text(data, source) if isinstance(data, bytes) else data)
    return found


def _commands(
    texts: Mapping[str, str], environ: Mapping[str, str], platform: str, run: "Runner | None", timeout_s: float
) -> "tuple[list[KeyCommand], list[KeysFound], Callable[[], None]]":
    """Return the commands that variables hold, what is wrong with others, and what ends a running one."""
    # Imported only here: they are seldom set, and what starts programs takes a tenth of the start-up of a reader.
    from reconciler.pysops.age.key_commands import KeyCommand, Programs, split_words
    from reconciler.pysops.age.key_environment import command_environment

    passed_on = command_environment(environ, platform)
    programs = Programs()
    runner = programs.run if run is None else run
    commands: list[KeyCommand] = []
    wrong: list[KeysFound] = []
    for name, text in texts.items():
        if words := split_words(text):
            read = _COMMANDS[name]
            commands.append(KeyCommand(name, words, passed_on, read=read, run=runner, timeout_s=timeout_s))
        else:
            wrong.append(KeysFound.nothing(f"{name} is not a command"))
    return commands, wrong, programs.stop


def _default_file(path: Path | str, timeout_s: float) -> KeysFound:
    if isinstance(path, str):
        return KeysFound.nothing(f"the key file of the user cannot be located: {path}")
    data = read_key_file(path, str(path), timeout_s=timeout_s, optional=True)
    return keys_of_text(data, str(path)) if isinstance(data, bytes) else data


def _ssh_files(named: str | None, home: Path, timeout_s: float) -> KeysFound:
    files = [] if named is None else [(named, "the file that SOPS_AGE_SSH_PRIVATE_KEY_FILE names")]
    files += [(str(path), str(path)) for path in ssh_key_files(home)]
    found = []
    for path, source in files:
        data = read_key_file(path, source, timeout_s=timeout_s, optional=path == source)
        found.append(keys_of_ssh(data, source) if isinstance(data, bytes) else data)
    return KeysFound.all_of(found)
