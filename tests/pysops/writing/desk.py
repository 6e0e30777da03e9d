"""A desk at which files are written: a key, the real sops, and our writer with the same key."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from reconciler import pysops
from reconciler.pysops import CreationRule, Edit, Identities, LockedFile, Writer
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsTool


NOW: Final = datetime(2024, 5, 6, 7, 8, 9, 987654, tzinfo=UTC)

WRITTEN: Final = "2024-05-06T07:08:09Z"
"""As files say it."""

PLAIN: Final = b"""\
# who reads this
host: https://one
scope: app
secrets:
    # the first
    A: one
    B: two # of two
    C: |
        several
        lines
    D:
        base64: AAEC
    L:
        # of a list
        - x
        - y
acls:
    - principal: readers
      permission: READ
# the end
"""

_ENVELOPE: Final = re.compile(rb"ENC\[[^\]]*\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """See above."""

    sops: SopsTool
    key: AgeKey
    selector: str = "encrypted_regex: ^secrets$"

    @property
    def identities(self) -> Identities:
        """Our key."""
        return Identities.from_text(self.key.identity, "the key of the desk")

    @property
    def writer(self) -> Writer:
        """Writes in-process only."""
        return Writer(self.identities)

    def rule(self, *further: str, recipients: str | None = None) -> CreationRule:
        """Return the rule of a ``.sops.yaml`` for our key, or other recipients, with further fields."""
        lines = (f"age: '{recipients or self.key.recipient}'", self.selector, *further)
        text = "creation_rules:\n  - " + "\n    ".join(line for line in lines if line) + "\n"
        return pysops.parse_config(text.encode()).rules[0]

    def theirs(self, plaintext: bytes = PLAIN) -> bytes:
        """Return a text encrypted by sops."""
        config = f"creation_rules:\n  - age: {self.key.recipient}\n    {self.selector}\n"
        return self.sops.encrypt_by_config(plaintext, config.encode())

    def ours(self, plaintext: bytes = PLAIN, rule: CreationRule | None = None) -> bytes:
        """Return a text encrypted by us."""
        return self.writer.encrypt(
            plaintext, rule=rule or self.rule(), now=NOW, destination=Path("a.yaml"), config=Path(".sops.yaml")
        )

    def change(self, data: bytes, *edits: Edit) -> bytes:
        """Return a file changed by us."""
        return self.writer.change(locked(data), edits, now=NOW)

    def read(self, data: bytes) -> dict[str, object]:
        """Return the values of a file, as we read them."""
        return pysops.load_bytes(data, self.identities)

    def shown(self, data: bytes) -> str:
        """Return a file as `sops decrypt` prints it."""
        return self.sops.decrypt(data, self.key.identity).decode()


def locked(data: bytes) -> LockedFile:
    """Return a file to be opened."""
    return LockedFile.read(pysops.parse(data))


def envelopes(data: bytes) -> frozenset[bytes]:
    """Return what is encrypted in a file, the MAC aside."""
    return frozenset(_ENVELOPE.findall(data.partition(b"\nsops:")[0]))


def below(values: object, *path: str) -> object:
    """Return what stands below keys."""
    for part in path:
        assert isinstance(values, Mapping)
        values = values[part]
    return values
