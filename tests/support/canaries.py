"""Values that must appear nowhere, and the hunt for them in whatever form they may have taken.

Written without a look at how the product masks: forms are listed here once more, and a part of ten characters counts.
"""

import base64
import html
import json
import secrets
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self


_PART: Final = 10
"""Characters of a canary that count as found. All canaries are random: none occurs by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canaries:
    """What must stay secret, by what it is."""

    by_name: Mapping[str, bytes]

    @classmethod
    def make(cls, **further: str) -> Self:
        """Make new ones: plain text, text that every encoding changes, bytes, a value of long ago; and ``further``."""
        text = secrets.token_urlsafe(24)
        odd = "".join(f"{secrets.token_urlsafe(6)}{char}" for char in "\"\\/+&<é=\n% '🔑")
        return cls(
            by_name={
                "text": f"Text.{text}".encode(),
                "odd": odd.encode(),
                "bytes": secrets.token_bytes(48),
                "old": f"Old.{secrets.token_urlsafe(24)}".encode(),
                **{name: value.encode() for name, value in further.items()},
            }
        )

    def __getitem__(self, name: str) -> bytes:
        return self.by_name[name]

    def text(self, name: str) -> str:
        """Return one that is text."""
        return self.by_name[name].decode()

    def found_in(self, haystack: bytes | str) -> list[str]:
        """Return the names of those that ``haystack`` shows, with the form that it shows them in."""
        text = haystack if isinstance(haystack, str) else haystack.decode("latin-1")
        seen = {text[start : start + _PART] for start in range(len(text) - _PART + 1)}
        # Bytes that are shown as they are look otherwise in text that was decoded as UTF-8.
        if isinstance(haystack, bytes):
            decoded = haystack.decode(errors="replace")
            seen |= {decoded[start : start + _PART] for start in range(len(decoded) - _PART + 1)}
        return [
            f"{name} as {form}"
            for name, value in self.by_name.items()
            for form, shape in forms_of(value)
            if any(shape[start : start + _PART] in seen for start in range(len(shape) - _PART + 1))
        ]


def forms_of(value: bytes) -> Iterator[tuple[str, str]]:
    """Yield what a value may look like, each with its name."""
    plain = value.decode(errors="replace")
    yield "text", plain
    yield "latin-1", value.decode("latin-1")
    yield "base64", base64.b64encode(value).decode()
    yield "base64 from the second byte", base64.b64encode(b"x" + value).decode()[4:]
    yield "base64 from the third byte", base64.b64encode(b"xx" + value).decode()[4:]
    yield "base64 for URLs", base64.urlsafe_b64encode(value).decode()
    yield "JSON", json.dumps(plain)[1:-1]
    yield "JSON beyond ASCII", json.dumps(plain, ensure_ascii=False)[1:-1]
    yield "Python", repr(value)[2:-1]
    yield "Python text", repr(plain)[1:-1]
    yield "URL", urllib.parse.quote(value, safe="")
    yield "form", urllib.parse.quote_plus(value)
    yield "HTML", html.escape(plain)
    yield "hex", value.hex()


def echo_of(value: bytes) -> str:
    """Return a sentence that quotes a value in all forms, whole and cut off."""
    quoted = " ".join(f"{name}=<{shape}>" for name, shape in forms_of(value))
    return f"could not store {value[:17].decode(errors='replace')}… ({quoted})"
