"""The parameters of one request, as the query or the JSON body gives them."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from reconciler.emulator.refusals import invalid, malformed


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Parameters by name. A JSON null is as good as absent; what no call knows is ignored, as the platform does.

    Refusals never quote what was sent, and hide the exception behind them: it could quote a value.
    """

    values: Mapping[str, object]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))

    @classmethod
    def of_body(cls, body: bytes) -> "Fields":
        """Read the JSON object of a POST.

        Raises:
            Refusal: MALFORMED_REQUEST when the body is not UTF-8, not JSON or not an object.
        """
        try:
            parsed = json.loads(body.decode("utf-8"))
        except (ValueError, RecursionError):
            raise malformed("Invalid JSON given in the body of the request: failed to parse it.") from None
        if not isinstance(parsed, dict):
            raise malformed("Could not parse request object: the body must be a JSON object.")
        return cls(values=parsed)

    def has(self, name: str) -> bool:
        """Tell whether a parameter was given."""
        return self.values.get(name) is not None

    def optional_text(self, name: str) -> str | None:
        """Return a parameter, or None when it was not given. Raises INVALID_PARAMETER_VALUE when it is not a string."""
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return value
        raise invalid(f"Parameter {name} must be a string.")

    def text(self, name: str) -> str:
        """Return a parameter that must be given and not be empty. Raises INVALID_PARAMETER_VALUE."""
        value = self.optional_text(name)
        if not value:
            raise invalid(f"Missing required field: {name}")
        return value

    def inner(self, name: str) -> "Fields":
        """Return a parameter that is an object. Raises INVALID_PARAMETER_VALUE."""
        value = self.values.get(name)
        if value is None:
            raise invalid(f"Missing required field: {name}")
        if not isinstance(value, dict):
            raise invalid(f"Parameter {name} must be an object.")
        return Fields(values=value)

    def secret_bytes(self) -> bytes:
        """Return the value of a put: ``string_value`` as UTF-8, or ``bytes_value`` with its base64 undone.

        Raises:
            Refusal: MALFORMED_REQUEST for both at once, INVALID_PARAMETER_VALUE for neither or for text that is not
                Unicode or not base64.
        """
        text = self.optional_text("string_value")
        encoded = self.optional_text("bytes_value")
        if text is not None and encoded is not None:
            raise malformed("Conflicting parameters: only one of string_value and bytes_value may be given.")
        if text is not None:
            try:
                return text.encode("utf-8")
            except UnicodeEncodeError:
                raise invalid("string_value is not valid Unicode: it holds half of a surrogate pair.") from None
        if encoded is None:
            raise invalid("Missing required field: one of string_value and bytes_value must be given.")
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise invalid("bytes_value must be base64-encoded.") from None
