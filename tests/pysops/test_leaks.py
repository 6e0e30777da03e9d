"""No error of unlocking shows a value, a data key or a part of one, or an identity: not even to a nasty crash reporter.

Such a one prints the local variables of all frames, follows causes and contexts, and looks into what it finds there.
"""

import base64
import json
import random
import re
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import pytest

from reconciler import pysops
from reconciler.pysops import Identities, KeyGroup, SopsError
from reconciler.pysops.crypt import _Unlocking
from reconciler.pysops.leaves import MAX_PATH_BYTES
from reconciler.pysops.selectors import selector_of
from tests.pysops.handmade import (
    DATA_KEY,
    SEALED_AT,
    TEXT,
    groups_of,
    handmade,
    identities_of,
    seal,
    stanza,
    wrap,
)
from tests.pysops.secret_sharing import split
from tests.support.age_keys import AgeKey
from tests.support.canaries import Canaries


_TESTS = Path(__file__).resolve().parents[1]

_LEVELS = 6
"""How deep the reporter looks into containers and objects."""

PARTS = split(DATA_KEY, 3, 2, random.Random(3))  # noqa: S311  # a test


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A file that does not unlock."""

    file: bytes
    identities: Identities


def crash_report(error: BaseException) -> str:
    """Return all that a crash reporter might print of an error, the frames of the tests aside."""
    lines: list[str] = []
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        pending += [one.__cause__, one.__context__]
        step = one.__traceback__
        while step is not None and _is_of_the_tests(step.tb_frame):
            step = step.tb_next
        report = traceback.TracebackException(type(one), one, step, capture_locals=True, compact=False)
        report.__cause__ = report.__context__ = None  # its own copies begin at the tests; ours follow by themselves
        lines += [*report.format(), repr(one), repr(one.args), *_shown(vars(one), _LEVELS)]
        for frame in _frames(step):
            lines += _shown(frame.f_locals, _LEVELS)
    return "\n".join(lines)


def _is_of_the_tests(frame: FrameType) -> bool:
    return Path(frame.f_code.co_filename).resolve().is_relative_to(_TESTS)


def _frames(step: object) -> Iterator[FrameType]:
    while step is not None:
        frame: FrameType = step.tb_frame  # type: ignore[attr-defined]
        if not _is_of_the_tests(frame):
            yield frame
        step = step.tb_next  # type: ignore[attr-defined]


def _shown(value: object, levels: int) -> Iterator[str]:
    """Yield what is seen of a value: its text, what it contains, and the attributes of objects that have a dict."""
    yield repr(value)
    if isinstance(value, bytes | bytearray):
        yield from (bytes(value).hex(), base64.b64encode(value).decode(), bytes(value).decode("latin-1"))
    if levels == 0:
        return
    match value:
        case dict():
            for key, item in value.items():
                yield from _shown(key, levels - 1)
                yield from _shown(item, levels - 1)
        case list() | tuple() | set() | frozenset():
            for item in value:
                yield from _shown(item, levels - 1)
        case str() | bytes() | type():
            pass
        case _ if hasattr(value, "__dict__") and type(value).__module__.startswith("reconciler"):
            yield from _shown(vars(value), levels - 1)


def provoke(scene: Scene) -> BaseException:
    """Unlock a file that does not unlock."""
    with pytest.raises((SopsError, KeyboardInterrupt)) as caught:
        pysops.load(scene.file, scene.identities)
    return caught.value


def two_values(key: AgeKey, second: str | None = None) -> bytes:
    """Make a file whose first value opens before anything is wrong."""
    value = seal(DATA_KEY, b"second canary of this test", b"b:") if second is None else second
    return handmade(key.recipient).replace(b"\nsops:", f"\nb: {value}\nsops:".encode())


def edited(key: AgeKey, pattern: str, replacement: str) -> bytes:
    """Make a file and alter it."""
    file, count = re.subn(pattern, replacement, handmade(key.recipient).decode(), count=1)
    assert count == 1
    return file.encode()


def shared(parts: list[bytes]) -> Callable[[AgeKey], bytes]:
    """Make a file of several groups, all for one key."""
    return lambda key: handmade(None, {"key_groups": groups_of([(key.recipient, part) for part in parts])})


def malformed(spoil: Callable[[str], str]) -> Callable[[AgeKey], bytes]:
    """Make a file whose wrapped data key is spoilt."""

    def make(key: AgeKey) -> bytes:
        item = {"recipient": key.recipient, "enc": spoil(wrap(DATA_KEY, key.recipient))}
        return handmade(key.recipient, {"age": json.dumps([item])})

    return make


BROKEN: dict[str, Callable[[AgeKey], bytes]] = {
    "tag": lambda key: edited(key, "tag:(.)", "tag:B"),
    "iv": lambda key: edited(key, "iv:A", "iv:B"),
    "second value": lambda key: two_values(key, seal(DATA_KEY, b"x", b"elsewhere:")),
    "second value plain": lambda key: two_values(key, "plain"),
    "value added": two_values,
    "MAC of another time": lambda key: handmade(key.recipient, sealed_at="2020-01-02T03:04:05Z"),
    "MAC of other values": lambda key: handmade(key.recipient, {"mac": seal(DATA_KEY, b"x", SEALED_AT.encode())}),
    "type int": lambda key: two_values(key, seal(DATA_KEY, b"second canary", b"b:", "int")),
    "type comment": lambda key: two_values(key, seal(DATA_KEY, b"second canary", b"b:", "comment")),
    "type time, not UTF-8": lambda key: two_values(key, seal(DATA_KEY, b"second canary\xff", b"b:", "time")),
    "short data key": lambda key: handmade(key.recipient, data_key=DATA_KEY[:16]),
    "long data key": lambda key: handmade(key.recipient, {"age": json.dumps([stanza(key.recipient, DATA_KEY * 2)])}),
    "long keys above": lambda key: two_values(key).replace(b"b: ENC", b"? " + b"b" * MAX_PATH_BYTES + b"\n: ENC"),
    "wrong selector": lambda key: handmade(key.recipient, {"encrypted_regex": "'['"}),
    "selector by comment": lambda key: handmade(key.recipient, {"encrypted_comment_regex": "x"}),
    "no metadata": lambda key: handmade(key.recipient).partition(b"sops:")[0],
    "no MAC": lambda key: handmade(key.recipient, {"mac": None}),
    "no recipients": lambda key: handmade(None),
    "not YAML": lambda key: handmade(key.recipient) + b"]",
    "not UTF-8": lambda key: handmade(key.recipient) + b"\xff",
    "armor cut": malformed(lambda text: text[: len(text) // 2]),
    "armor without its end": malformed(lambda text: text.replace("-----END", "-----")),
    "armor altered": malformed(lambda text: text[:60] + ("B" if text[60] == "A" else "A") + text[61:]),
    "payload cut": malformed(lambda text: re.sub(r"\n[^\n]*\n-----END", "\n-----END", text)),
    "nothing wrapped": malformed(lambda text: ""),
    "parts of unequal lengths": shared([PARTS[0], PARTS[1][1:]]),
    "one part twice": shared([PARTS[0], PARTS[0]]),
    "a wrong part": shared([PARTS[0], bytes(32) + b"\x07"]),
    "too few parts": lambda key: handmade(
        None, {"key_groups": f"[{{age: {json.dumps([stanza(key.recipient, PARTS[0])])}}}, {{}}]"}
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_no_error_shows_a_secret(case: str, age_key: AgeKey) -> None:
    """Whatever is wrong with the file."""
    canaries = Canaries(by_name=secrets_of(age_key))
    error = provoke(Scene(file=BROKEN[case](age_key), identities=identities_of(AgeKey.generate(), age_key)))
    assert isinstance(error, SopsError)
    assert canaries.found_in(crash_report(error)) == []
    assert (error.__cause__, error.__context__) == (None, None)


def secrets_of(key: AgeKey) -> dict[str, bytes]:
    """Return what must not be seen."""
    return {
        "value": TEXT.encode(),
        "second value": b"second canary",
        "data key": DATA_KEY,
        "identity": key.identity.removeprefix("AGE-SECRET-KEY-1").encode(),
        **{f"part {part[-1]}": part[:-1] for part in PARTS},
    }


def test_a_wrong_key_shows_only_public_halves(age_key: AgeKey) -> None:
    """The file is for somebody else."""
    other = AgeKey.generate()
    error = provoke(Scene(file=handmade(age_key.recipient), identities=identities_of(other)))
    report = crash_report(error)
    assert other.recipient in report
    assert Canaries(by_name=secrets_of(other)).found_in(report) == []


class Stumbling(Identities):
    """Opens a group, and fails in a frame that holds all there is to hold."""

    failure: BaseException

    def open_group(self, group: KeyGroup) -> bytes | None:
        """Fail with the data key at hand."""
        opened = super().open_group(group)
        assert opened is not None
        raise self.failure from ValueError(opened)


@pytest.mark.parametrize(
    "failure",
    [KeyError(DATA_KEY), MemoryError(), RecursionError(), KeyboardInterrupt()],
    ids=["defect", "memory", "recursion", "interrupt"],
)
def test_a_defect_shows_no_secret(failure: BaseException, age_key: AgeKey) -> None:
    """Nor does an interrupt at a bad moment."""
    identities = Stumbling.from_text(age_key.identity, "test")
    identities.failure = failure
    error = provoke(Scene(file=handmade(age_key.recipient), identities=identities))
    assert Canaries(by_name=secrets_of(age_key)).found_in(crash_report(error)) == []


def test_the_crash_reporter_of_this_test_finds_what_is_there(age_key: AgeKey) -> None:
    """Without the care that is taken, it would see the values and the data key."""
    metadata = pysops.read_metadata(pysops.parse(handmade(age_key.recipient)))
    canaries = Canaries(by_name=secrets_of(age_key))
    opened = identities_of(age_key).open_group(metadata.key_groups[0])
    for held, name in ((opened, "data key"), ({"x": [TEXT]}, "value"), (ValueError(TEXT), "value")):
        assert any(found.startswith(name) for found in canaries.found_in("\n".join(_shown(held, _LEVELS))))


def test_nothing_that_holds_a_key_shows_it(age_key: AgeKey) -> None:
    """Neither the walk nor the cipher nor the identities: printed, formatted, or looked into."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    identities = identities_of(age_key)
    metadata = pysops.read_metadata(pysops.parse(handmade(age_key.recipient)))
    walk = _Unlocking(AESGCM(DATA_KEY), metadata, selector_of(metadata))
    assert pysops.load(handmade(age_key.recipient), identities) == {"a": TEXT}
    held = (walk, identities, metadata, metadata.wrapped_keys, vars(walk))
    report = "\n".join((*map(repr, held), *map(str, held), *map("{}".format, held), *_shown(held, _LEVELS)))
    assert Canaries(by_name=secrets_of(age_key)).found_in(report) == []
    assert "-----BEGIN AGE" not in report


def test_a_bad_line_of_a_key_file_is_not_shown(age_key: AgeKey) -> None:
    """It is a key that somebody mistyped."""
    mistyped = age_key.identity[:-1] + ("Q" if age_key.identity[-1] != "Q" else "P")
    identities = Identities.from_text(mistyped, "test")
    error = provoke(Scene(file=handmade(AgeKey.generate().recipient), identities=identities))
    report = crash_report(error) + repr(identities) + "".join(map(crash_report, identities.problems))
    assert "line 1" in report
    assert Canaries(by_name=secrets_of(age_key)).found_in(report) == []
