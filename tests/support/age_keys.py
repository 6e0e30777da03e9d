"""Fresh age identities, so that no test depends on a key that is lying around."""

from dataclasses import dataclass
from typing import Self

import pyrage


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeKey:
    """One X25519 identity, made for one test."""

    identity: str
    """``AGE-SECRET-KEY-1…``, as a key file holds it."""

    recipient: str
    """``age1…``, as sops is told it."""

    @classmethod
    def generate(cls) -> Self:
        """Make a new one."""
        identity = pyrage.x25519.Identity.generate()
        return cls(identity=str(identity), recipient=str(identity.to_public()))
