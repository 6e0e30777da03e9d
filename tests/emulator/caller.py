"""A plain HTTP client: shows status and body as they are, where the SDK would interpret them."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from reconciler.emulator import Emulator


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    text: str

    @property
    def json(self) -> Any:  # noqa: ANN401  # whatever the server says
        """The body as JSON."""
        return json.loads(self.text)

    @property
    def code(self) -> Any:  # noqa: ANN401  # text, or a number from the front door
        """``error_code`` of the body."""
        return self.json["error_code"]


class Caller:
    """One identity over one connection."""

    def __init__(self, emulator: Emulator, token: str | None) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(emulator.url).netloc, timeout=10)
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def __enter__(self) -> Self:
        """Use as a context manager, so that no socket stays open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._connection.close()

    def get(self, path: str, **query: str) -> Answer:
        """Call ``secrets/PATH`` with GET."""
        return self.send("GET", f"/api/2.0/secrets/{path}?{urlencode(query)}")

    def post(self, path: str, **body: object) -> Answer:
        """Call ``secrets/PATH`` with POST and a JSON object."""
        return self.send("POST", f"/api/2.0/secrets/{path}", json.dumps(body).encode())

    def send(
        self, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send whatever is asked for."""
        self._connection.request(method, target, body=body, headers={**self._headers, **(headers or {})})
        response = self._connection.getresponse()
        text = response.read().decode()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(status=response.status, headers=names, text=text)


def as_admin(emulator: Emulator) -> Caller:
    """Call as the admin."""
    return Caller(emulator, emulator.admin_token)


def as_user(emulator: Emulator) -> Caller:
    """Call as the plain user."""
    return Caller(emulator, emulator.user_token)
