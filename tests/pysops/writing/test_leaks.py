"""No error of writing shows a value, new or old, nor a key: not even to a nasty crash reporter."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler import pysops
from reconciler.pysops import Edit, Put, Remove, Rename
from tests.pysops.test_leaks import crash_report
from tests.pysops.writing.desk import NOW, Desk, locked
from tests.support.canaries import Canaries


_NUMBER: Any = 5


@pytest.fixture(scope="module")
def canaries(desk: Desk) -> Canaries:
    """Make what must stay secret."""
    return Canaries.make(identity=desk.key.identity, old_value="Old.Value.0123456789", comment="Comment.0123456789")


@pytest.fixture(scope="module")
def file(desk: Desk, canaries: Canaries) -> bytes:
    """Make a file full of them."""
    text = f"secrets:\n    # {canaries.text('comment')}\n    a: {canaries.text('old_value')}\n    l:\n        - x\n"
    return desk.ours(text.encode())


@pytest.mark.parametrize(
    "wish",
    [
        pytest.param(lambda value: Put(path=("plain",), value=value), id="in-plain"),
        pytest.param(lambda value: Put(path=("secrets", "a", "b"), value=value), id="below-text"),
        pytest.param(lambda value: Put(path=("secrets", "a"), value=[value, _NUMBER]), id="number"),
        pytest.param(lambda value: Put(path=("secrets", "a"), value=value + "\udc80"), id="half-a-character"),
        pytest.param(lambda value: Put(path=("sops", "b"), value=value), id="metadata"),
        pytest.param(lambda value: Remove(path=("secrets",)), id="nothing-left"),
        pytest.param(lambda value: Rename(path=("secrets", "a"), name="l"), id="taken"),
        pytest.param(lambda value: Rename(path=("secrets", "a"), name="\udc80"), id="no-name"),
    ],
)
def test_changing(wish: Callable[[Any], Edit], desk: Desk, file: bytes, canaries: Canaries) -> None:
    """Whatever is wrong with the edit; nor does its repr."""
    edit = wish(canaries.text("odd"))
    _silent(canaries, lambda: desk.change(file, edit))
    assert canaries.found_in(repr(edit)) == []


@pytest.mark.parametrize("field", [b"mac:", b"    a:", b"lastmodified:", b"version:"])
def test_changing_what_was_tampered_with(field: bytes, desk: Desk, file: bytes, canaries: Canaries) -> None:
    """At several places."""
    bad = file.replace(field, field[:-2] + b"x" + field[-1:])
    edit = Put(path=("secrets", "b"), value=canaries.text("odd"))
    _silent(canaries, lambda: desk.change(bad, edit))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("secrets:\n    a: {odd}: {odd}\n  b\n", id="no-yaml"),
        pytest.param("secrets:\n    a: [{text}, # {comment}\n        b]\n", id="comment-in-brackets"),
        pytest.param("secrets: &a {text}\n", id="anchor"),
        pytest.param("other: {old_value}\nsecrets: {{a: b}}\n", id="moved-out"),
        pytest.param("sops: {text}\nsecrets: {text}\n", id="metadata"),
        pytest.param("# {comment}\n- {text}\n", id="list"),
    ],
)
def test_sealing_an_edited_text(text: str, desk: Desk, file: bytes, canaries: Canaries) -> None:
    """Whatever is wrong with the text."""
    names = {name: canaries.text(name) for name in ("text", "comment", "old_value")}
    plain = text.format(odd=canaries.text("odd").replace("\n", ""), **names).encode()
    _silent(canaries, lambda: desk.writer.reseal(locked(file), plain, now=NOW))


def test_a_rule_without_anybody(desk: Desk, canaries: Canaries) -> None:
    """What is missing is the program; the text is not shown."""
    rule = pysops.parse_config(b"creation_rules: [{pgp: ABCD}]").rules[0]
    text = f"secrets: {canaries.text('text')}\n".encode()
    _silent(
        canaries,
        lambda: desk.writer.encrypt(text, rule=rule, now=NOW, destination=Path("a.yaml"), config=Path("b.yaml")),
    )


def test_wrong_arguments(desk: Desk, canaries: Canaries) -> None:
    """Not even what was handed over in the wrong place."""
    write: Any = desk.writer.change
    with pytest.raises(TypeError) as caught:
        write(canaries.text("text"), nothing=canaries.text("odd"))
    assert canaries.found_in(crash_report(caught.value)) == []


def _silent(canaries: Canaries, act: Callable[[], object]) -> None:
    with pytest.raises(pysops.SopsError) as caught:
        act()
    assert canaries.found_in(crash_report(caught.value)) == []
    assert "unexpected" not in str(caught.value)
