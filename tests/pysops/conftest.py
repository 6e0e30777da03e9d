"""What the tests of pysops share: files that are encrypted once, however many tests read them."""

from dataclasses import dataclass, field

import pytest

from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsTool


@dataclass(frozen=True, slots=True, kw_only=True)
class Locksmith:
    """Encrypts to one key by the real sops, each text once."""

    sops: SopsTool
    key: AgeKey
    _made: dict[tuple[bytes, tuple[str, ...]], bytes] = field(default_factory=dict)

    def lock(self, text: bytes = b"a: old\nm: 1\n", *flags: str) -> bytes:
        """Return a YAML text encrypted; with further flags of ``sops encrypt``, such as a selector."""
        wish = (text, flags)
        if wish not in self._made:
            self._made[wish] = self.sops.encrypt(text, [self.key.recipient], extra_args=flags)
        return self._made[wish]


@pytest.fixture(scope="session")
def locksmith(sops: SopsTool) -> Locksmith:
    """Provide one, with a key of its own."""
    return Locksmith(sops=sops, key=AgeKey.generate())
