"""What the platform calls a request, for those who look for it in the platform's audit log.

The reference documents no header for it. Databricks' own driver takes it from a header of the answer
(https://github.com/databricks/databricks-jdbc/pull/1197), other clients from one of the two below; errors may also hold
it in their details (``databricks.sdk.errors.details.RequestInfo``). Needs nothing of the SDK.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Final

from reconciler.model import RequestId


_HEADERS: Final = ("X-Request-Id", "X-Databricks-Request-Id")
_FORM: Final = re.compile(r"[!-~]{1,128}", re.ASCII)
"""Printable, and not longer than any that a log is searched for: it goes into reports."""


def request_id_in(headers: Mapping[str, str]) -> str | None:
    """Return the id that an answer states, whatever stands there; names are looked up without regard to case."""
    return next((headers[name] for name in _HEADERS if name in headers), None)


_TELLING_BYTES: Final = 6
"""Shorter secrets occur in an id by chance."""


def request_id(said: object, secrets: Iterable[bytes]) -> RequestId | None:
    """Return ``said`` if it may be shown as a request id: of the right form, and apart from all secrets.

    `masked` would look for less than that, and takes a second for a long value.
    """
    if not isinstance(said, str) or _FORM.fullmatch(said) is None:
        return None
    given = said.encode("ascii")
    for secret in secrets:
        for form in (secret, base64.b64encode(secret)):
            if given in form or (len(secret) >= _TELLING_BYTES and form in given):
                return None
    return RequestId(said)
