"""Makes files that are wrong, by a clumsy hand or by an attacker: out of a plaintext, or of a really encrypted file.

Whoever edits the encrypted file here has no key: only bytes are moved.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from tests.support.age_keys import AgeKey
from tests.support.secrets_repo import ENCRYPTED_REGEX
from tests.support.sops_tool import SopsTool


KNOWN: Final = "<MANAGE evil>"
"""The text of the first secret of `PLAINTEXT`: the attacker knows it, as it was his own or is public."""

PLAINTEXT: Final = f"""\
acls:
    - <WRITE admins>
    - <READ users>
prune: owned
rotation:
    - <90d known>
version: 1
secrets:
    HOST:
        app:
            known: {KNOWN}
            first: first value
            second: second value
            bytes: {{base64: AAEC}}
            nothing: {{empty: "yes"}}
"""
"""What every wrong file is made of; HOST stands for the host of the workspace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """One plaintext, one key, the real sops."""

    sops: SopsTool
    key: AgeKey
    host_key: str

    @property
    def plaintext(self) -> str:
        """The file as it is before encryption."""
        return PLAINTEXT.replace("HOST", self.host_key)

    def encrypt(self, plaintext: str) -> str:
        """Encrypt as ``.sops.yaml`` says."""
        done = self.sops.encrypt(plaintext.encode(), (self.key.recipient,), encrypted_regex=ENCRYPTED_REGEX)
        return done.decode()

    def genuine(self) -> str:
        """Return the encrypted file with nothing wrong."""
        return self.encrypt(self.plaintext)


Make: TypeAlias = Callable[[Workshop], bytes | str]
"""Makes a wrong file."""


def text(content: bytes | str) -> Make:
    """Make a file that holds just this."""
    return lambda workshop: content if isinstance(content, bytes) else content.replace("HOST", workshop.host_key)


def plain(old: str, new: str) -> Make:
    """Edit the plaintext, then encrypt it: what somebody with a key could commit by mistake."""
    return lambda workshop: workshop.encrypt(replaced(workshop.plaintext, old, new))


def edited(old: str, new: str) -> Make:
    """Edit the encrypted file in one place, without a key."""
    return lambda workshop: replaced(workshop.genuine(), old, new)


def forged(*steps: Callable[[str], str]) -> Make:
    """Edit the encrypted file in several steps, without a key."""

    def make(workshop: Workshop) -> str:
        content = workshop.genuine()
        for step in steps:
            changed = step(content)
            assert changed != content
            content = changed
        return content

    return make


def replaced(content: str, old: str, new: str) -> str:
    """Replace what must stand there exactly once."""
    assert content.count(old) == 1, (old, content.count(old))
    return content.replace(old, new)


def swap(old: str, new: str) -> Callable[[str], str]:
    """Return a step that replaces what must stand there exactly once."""
    return lambda content: replaced(content, old, new)


def line_of(content: str, name: str) -> str:
    """Return the line that begins with ``name:``, its line feed included."""
    (line,) = re.findall(rf"^ *{re.escape(name)}:.*\n", content, re.MULTILINE)
    return str(line)


def behind(name: str, line: str) -> Callable[[str], str]:
    """Return a step that puts ``line`` behind that of ``name``, as far to the right."""

    def step(content: str) -> str:
        before = line_of(content, name)
        indent = " " * (len(before) - len(before.lstrip()))
        return replaced(content, before, f"{before}{indent}{line}\n")

    return step


def without(name: str) -> Callable[[str], str]:
    """Return a step that takes the line of ``name`` away."""
    return lambda content: replaced(content, line_of(content, name), "")


def rewritten(name: str, new: Callable[[str], str]) -> Callable[[str], str]:
    """Return a step that puts another text behind ``name:``, made of the one that stands there."""

    def step(content: str) -> str:
        line = line_of(content, name)
        before, _, value = line.rstrip("\n").partition(": ")
        return replaced(content, line, f"{before}: {new(value)}\n")

    return step


def flipped(part: str) -> Callable[[str], str]:
    """Return what alters one byte of a part of an envelope: ``data``, ``iv`` or ``tag``."""

    def flip(value: str) -> str:
        start = value.index(f"{part}:") + len(part) + 1
        return value[:start] + ("B" if value[start] == "A" else "A") + value[start + 1 :]

    return flip


def place_of(content: bytes | str, needle: str) -> str:
    """Return ``LINE:COLUMN`` of the first ``needle``, as a message must name it."""
    whole = content.decode(errors="replace") if isinstance(content, bytes) else content
    before, found, _ = whole.partition(needle)
    assert found, needle
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
