"""Make what a server said fit to be shown: known secrets out, one line, not long.

A server may quote the value it was sent: whole, cut off, encoded as JSON, base64 or for a URL. So every run of
`_RUN_CHARS` characters that also occurs in one of those forms of a secret is masked, not only the whole.
"""

import base64
import html
import json
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import Final


_MASK: Final = "***"
_RUN_CHARS: Final = 6
"""Shorter runs occur in ordinary text by chance."""

_WITHHELD: Final = "(not shown: it may hold a value that is too short to be masked)"
"""Who sees ``pa***ments`` knows that some value is ``y``: masking a short one in text that can be guessed shows it."""

_READ_CHARS: Final = 4_000
"""How much of a text is looked at. More than is shown, so that what is cut off is cut off after masking."""

_SHOWN_CHARS: Final = 1_000


def masked(text: str, secrets: Iterable[bytes]) -> str:
    """Return the start of ``text`` as one line without anything of ``secrets``, control characters escaped.

    Nothing of it where a secret of less than six characters stands in it.

    Takes about a second for a secret of 128 KB.
    """
    text = text[:_READ_CHARS]
    hidden = [False] * len(text)
    places_by_width: dict[int, dict[str, list[int]]] = {}
    for secret in secrets:
        for form in _forms(secret):
            width = min(_RUN_CHARS, len(form))
            if width not in places_by_width:
                places_by_width[width] = _places(text, width)
            for place in _shared(places_by_width[width], form, width):
                if width < _RUN_CHARS:
                    return _WITHHELD
                hidden[place : place + width] = [True] * width
    return _drawn(text, hidden)


def _places(text: str, width: int) -> dict[str, list[int]]:
    """Return each run of ``width`` characters in ``text`` with where it begins."""
    places: dict[str, list[int]] = {}
    for start in range(len(text) - width + 1):
        places.setdefault(text[start : start + width], []).append(start)
    return places


def _shared(places: dict[str, list[int]], form: str, width: int) -> Iterator[int]:
    for start in range(len(form) - width + 1):
        yield from places.get(form[start : start + width], ())


def _drawn(text: str, hidden: list[bool]) -> str:
    shown: list[str] = []
    for character, is_hidden in zip(text[:_SHOWN_CHARS], hidden, strict=False):
        if not is_hidden:
            shown.append(character if character.isprintable() else repr(character)[1:-1])
        elif not shown or shown[-1] != _MASK:
            shown.append(_MASK)
    return "".join(shown) + ("…" if len(text) > _SHOWN_CHARS else "")


def _forms(secret: bytes) -> Iterator[str]:
    """Yield what ``secret`` may look like in a text, each form once and never empty."""
    if not secret:
        return
    plain = secret.decode("utf-8", errors="replace")
    padded = base64.b64encode(secret).decode()
    forms = {
        plain: None,
        secret.decode("latin-1"): None,
        padded: None,
        padded.rstrip("="): None,
        # Inside a longer text that was encoded as a whole, the secret begins at any of three offsets.
        base64.b64encode(b"\0" + secret).decode()[2:].rstrip("="): None,
        base64.b64encode(b"\0\0" + secret).decode()[3:].rstrip("="): None,
        padded.translate(str.maketrans("+/", "-_")): None,
        padded.rstrip("=").translate(str.maketrans("+/", "-_")): None,
        json.dumps(plain)[1:-1]: None,
        json.dumps(plain, ensure_ascii=False)[1:-1]: None,
        json.dumps(plain)[1:-1].replace("/", "\\/"): None,
        repr(plain)[1:-1]: None,
        repr(secret)[2:-1]: None,
        urllib.parse.quote(secret, safe=""): None,
        urllib.parse.quote(secret): None,
        urllib.parse.quote_plus(secret): None,
        html.escape(plain): None,
        secret.hex(): None,
        secret.hex().upper(): None,
    }
    yield from (form for form in forms if form)
