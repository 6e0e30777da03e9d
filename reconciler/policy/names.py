"""Names that only git knows: targets and principals. Those of the platform are in `reconciler.model`."""

import re
from typing import Final

from reconciler.model import Principal


EXPECTED_TARGET: Final = "1 to 64 of a-z, 0-9 and -"
EXPECTED_KEY: Final = "1 to 128 of letters, digits, -, _ and ."
EXPECTED_SCOPE: Final = "1 to 128 of letters, digits, -, _, . and @"
EXPECTED_PRINCIPAL: Final = "a user name, group or application id on one line, without <, > and :"

_TARGET: Final = re.compile(r"[a-z0-9-]{1,64}")
_MAX_PRINCIPAL_CHARS: Final = 256
_BRACKETS: Final = frozenset("<>:")
"""Never part of a name: brackets end an entry of ``acls``, and SOPS joins mapping keys with colons."""


def is_target_name(text: str) -> bool:
    """Tell whether ``text`` may name a target."""
    return _TARGET.fullmatch(text) is not None


def principal_of(text: str) -> Principal | None:
    """Return ``text`` as a principal; None when it cannot be one."""
    fits = 0 < len(text) <= _MAX_PRINCIPAL_CHARS and text.isprintable() and text == text.strip()
    return Principal(text) if fits and not _BRACKETS & set(text) else None
