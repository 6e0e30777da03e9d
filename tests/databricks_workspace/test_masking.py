"""Server text becomes fit to be shown."""

import base64
import hashlib
import html
import json
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.databricks_workspace import masked
from reconciler.model import MAX_VALUE_BYTES


SECRET = 'p\u00e4ss"word<&\\/ \U0001f511 \n\t+end'


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(str, id="plain"),
        pytest.param(repr, id="repr"),
        pytest.param(lambda text: repr(text.encode()), id="repr of bytes"),
        pytest.param(json.dumps, id="json"),
        pytest.param(lambda text: json.dumps(text, ensure_ascii=False), id="json in UTF-8"),
        pytest.param(html.escape, id="html"),
        pytest.param(urllib.parse.quote, id="url"),
        pytest.param(urllib.parse.quote_plus, id="form"),
        pytest.param(lambda text: text.encode().hex(), id="hex"),
        pytest.param(lambda text: base64.b64encode(text.encode()).decode(), id="base64"),
        pytest.param(lambda text: base64.urlsafe_b64encode(text.encode()).decode(), id="base64 for URLs"),
        pytest.param(lambda text: text.encode().decode("latin-1"), id="wrong charset"),
    ],
)
def test_hides_a_secret_however_it_is_written(write: Callable[[str], str]) -> None:
    """The whole form is gone, and what stood around it is still there."""
    shown = masked(f"before [{write(SECRET)}] after", [SECRET.encode()])

    assert shown in ("before [***] after", "before ['***'] after", 'before ["***"] after', "before [b'***'] after")


@pytest.mark.parametrize("before", ["", "a", "ab"])
def test_hides_a_secret_inside_other_base64(before: str) -> None:
    """Encoded together with something else, it begins at any of three offsets."""
    whole = base64.b64encode(f"{before}correct horse battery".encode()).decode()

    assert len(masked(whole, [b"correct horse battery"]).replace("***", "")) <= 6


@given(secret=st.binary(min_size=6, max_size=200), cut=st.tuples(st.integers(0, 100), st.integers(6, 100)))
def test_hides_parts_too(secret: bytes, cut: tuple[int, int]) -> None:
    """A server that shortens what it quotes gives nothing away either."""
    part = secret.decode("latin-1")[cut[0] : cut[0] + cut[1]]

    shown = masked(f"<{part}>", [secret])

    assert len(part) < 6 or shown == "<***>"


@settings(max_examples=30)
@given(text=st.text(max_size=100))
def test_leaves_other_text_alone_but_for_control_characters(text: str) -> None:
    """One line that a terminal shows as it is, whatever came."""
    shown = masked(text, [b"correct horse battery staple"])

    assert shown.isprintable()
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize("secret", [pytest.param(b"471", id="quoted"), pytest.param(b"y", id="by chance")])
def test_shows_nothing_that_may_hold_a_short_secret(secret: bytes) -> None:
    """Masked in a text that can be guessed, a short secret would show by where the masks stand."""
    shown = masked("the pin is 471, truly", [secret])

    assert shown == "(not shown: it may hold a value that is too short to be masked)"


def test_ignores_empty_secrets_and_short_ones_that_are_nowhere() -> None:
    """An empty value is in every text, and hides none."""
    assert masked("the pin is 471", [b"", b"xyz"]) == "the pin is 471"


def test_cuts_after_masking() -> None:
    """A secret at the place of the cut is not shown by half."""
    shown = masked("x" * 995 + "correct horse battery", [b"correct horse battery"])

    assert shown == "x" * 995 + "***…"


def test_copes_with_the_largest_value() -> None:
    """A value of 128 KB is looked for in all its forms, and any part of it is found."""
    value = hashlib.shake_128(b"any").digest(MAX_VALUE_BYTES)
    part = base64.b64encode(value).decode()[70_000:70_040]

    assert masked(f"{'no. ' * 400}", [value]) == "no. " * 250 + "…"
    assert masked(f"cannot store {part}", [value]) == "cannot store ***"
