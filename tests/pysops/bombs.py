"""Files made to take all time or all memory, as large as is asked for.

Run as a program, ``python -m tests.pysops.bombs NAME BYTES``, this reads one and tells what that took.
"""

import contextlib
import inspect
import json
import random
import sys
import time
from collections.abc import Callable
from typing import Final

from reconciler import pysops
from reconciler.pysops import Identities
from tests.pysops.handmade import DATA_KEY, handmade, identities_of, seal, stanza
from tests.support.age_keys import AgeKey


_HEAD: Final = 3000
"""Bytes left for the metadata."""

_VALUE: Final = seal(DATA_KEY, b"x", b"a:").encode()
_DATED: Final = 'created_at: "2024-01-02T03:04:05Z"'

Bomb = Callable[[str, int], bytes]
"""Makes a file of about so many bytes for a recipient."""


def _fill(unit: bytes, size: int) -> bytes:
    return unit * max(1, (size - _HEAD) // len(unit))


def _raw(unit: bytes) -> Bomb:
    return lambda _, size: _fill(unit, size)


def _plain(start: bytes, unit: bytes, end: bytes = b"\n") -> Bomb:
    """Make a file that opens, with something plain behind the metadata."""

    def make(recipient: str, size: int) -> bytes:
        metadata = handmade(recipient, {"encrypted_regex": "'^nothing$'"}).partition(b"\n")[2]
        return metadata + start + _fill(unit, size) + end

    return make


def _sealed(start: bytes, unit: bytes, end: bytes = b"\n") -> Bomb:
    return lambda recipient, size: handmade(recipient).partition(b"\n")[2] + start + _fill(unit, size) + end


def _large_value(plain: bytes, kind: str) -> Bomb:
    def make(recipient: str, size: int) -> bytes:
        value = seal(DATA_KEY, plain + b"9" * ((size - _HEAD) * 3 // 4), b"a:", kind)
        return b"a: " + value.encode() + b"\n" + handmade(recipient).partition(b"\n")[2]

    return make


def _field(name: str, start: str, unit: str, end: str) -> Bomb:
    return lambda recipient, size: handmade(recipient, {name: start + _fill(unit.encode(), size).decode() + end})


def _numbered(line: bytes, length: int) -> Bomb:
    def make(recipient: str, size: int) -> bytes:
        metadata = handmade(recipient, {"encrypted_regex": "'(a|b)*a(a|b){9}c'"})
        return metadata + b"".join(line % number for number in range((size - _HEAD) // length))

    return make


def _long_path(key: int, value: bytes) -> Bomb:
    """Make a file with a key that is long, and much below it."""

    def make(recipient: str, size: int) -> bytes:
        length = min(key, size // 2)
        name = b"k" * length
        below = value or b"- " + seal(DATA_KEY, b"x", name + b":").encode() + b"\n"
        metadata = handmade(recipient).partition(b"\n")[2]
        return metadata + b"? " + name + b"\n:\n" + _fill(b" " + below, size - length)

    return make


def _hard_pattern(recipient: str, size: int) -> bytes:
    key = bytes(random.Random(1).choices(b"ab", k=size - _HEAD))  # noqa: S311  # no secret depends on it
    return handmade(recipient, {"encrypted_regex": "'[ab]*a[ab]{900}c'"}) + b"? " + key + b"\n: x\n"


def _for_others(recipient: str, size: int) -> bytes:
    item = stanza(AgeKey.generate().recipient)
    return handmade(None, {"age": json.dumps([item] * (size // len(json.dumps(item) + "  "))), "x": recipient})


def _shared(recipient: str, size: int) -> bytes:
    group = {"age": [stanza(recipient, DATA_KEY + b"x")]}
    return handmade(None, {"key_groups": json.dumps([group] * (size // (len(json.dumps(group)) + 8)))})


BOMBS: Final[dict[str, Bomb]] = {
    "aliases": lambda _, size: (
        b"a: &a [x]\n" + b"".join(b"b%d: &b%d [*b%d,*b%d]\n" % (n + 1, n + 1, n, n) for n in range(min(100, size)))
    ),
    "nested lists": _raw(b"["),
    "nested mappings": _raw(b"{a: "),
    "nested by dashes": _raw(b"- "),
    "nested keys": _raw(b"? "),
    "nested again and again": _plain(b"a: [", b"[" * 50 + b"]" * 50 + b",", b"]\n"),
    "one line": _plain(b"a: ", b"x"),
    "one long integer": _plain(b"a: ", b"9"),
    "one long hexadecimal": _plain(b"a: 0x", b"f"),
    "one long fraction": _plain(b"a: 0.", b"9"),
    "one long exponent": _plain(b"a: 1e-", b"9"),
    "underscores": _plain(b"a: 1", b"_"),
    "underscores in a fraction": _plain(b"a: .", b"9_", b"x\n"),
    "one long timestamp": _plain(b"a: 2024-01-02T03:04:05.", b"9", b"Z\n"),
    "nulls": _plain(b"a: [", b"~,", b"]\n"),
    "empty mappings": _plain(b"a: [", b"{},", b"]\n"),
    "integers": _plain(b"a:\n", b"- 1\n"),
    "fractions": _plain(b"a:\n", b"- 0.1234567890123456789e-300\n"),
    "timestamps": _plain(b"a:\n", b"- 2024-01-02\n"),
    "empty encrypted texts": _sealed(b"a: [", b"'',", b"]\n"),
    "encrypted values": _sealed(b"a:\n", b"- " + _VALUE + b"\n"),
    "keys": _numbered(b"k%07d: x\n", 12),
    "keys like the first": _plain(b"", b"k: x\n"),
    "one long key": _plain(b"? ", b"k", b"\n: x\n"),
    "a long key above empty values": _long_path(8_000_000, b'"": []\n'),
    "a long key above encrypted values": _long_path(8_000_000, b""),
    "a key of 64 KiB above encrypted values": _long_path(65_000, b""),
    "a pattern that is hard for a key": _hard_pattern,
    "empty comments": _plain(b"", b"#\n"),
    "empty comments in a list": _sealed(b"a:\n", b"- ''\n#\n"),
    "suspicious comments": _plain(b"", b"#ENC[\n"),
    "one long comment": _plain(b"a: x #", b"#"),
    "blank lines": _raw(b"\n"),
    "documents": _raw(b"---\n"),
    "directives": _raw(b"%a\n"),
    "tags": _raw(b"!!a "),
    "quotes": _raw(b"'"),
    "escapes": _plain(b'a: "', b"\\u0041", b'"\n'),
    "an open quote": _raw(b'"x\n'),
    "a block": _plain(b"a: |\n", b" x\n"),
    "conflict markers": _raw(b"<<<<<<<x\n"),
    "no text": lambda _, size: random.Random(1).randbytes(size),  # noqa: S311  # no secret depends on it
    "one large value": _large_value(b"", "str"),
    "one large integer": _large_value(b"", "int"),
    "one large fraction": _large_value(b"0.", "float"),
    "one large timestamp": _large_value(b"2024-01-02T03:04:05.", "time"),
    "one large IV": _sealed(b"a: ENC[AES256_GCM,data:AAAA,iv:", b"AAAA", b",tag:AAAAAAAAAAAAAAAAAAAAAA==,type:str]\n"),
    "half an envelope": _sealed(b"a: ENC[AES256_GCM,data:", b"A"),
    "keys for others": _for_others,
    "keys without a name": _field("age", "[", "~,", "]"),
    "one large wrapped key": _field("age", '[{enc: "-----BEGIN AGE ENCRYPTED FILE-----\\n', "A" * 64 + "\\n", '"}]'),
    "key groups": _shared,
    "key groups without keys": _field("key_groups", "[", "{},", "]"),
    "dated keys": _field("kms", "[", f"{{{_DATED}}},", "]"),
    "contexts": _field("kms", f"[{{{_DATED}, context: [", "{a: b},", "]}]"),
    "a long version": _field("version", "3.9.", "9", ""),
    "a version of many parts": _field("version", "3.9.0-", "1.", "x"),
    "a long threshold": _field("shamir_threshold", "'0x", "f", "'"),
    "a threshold with underscores": _field("shamir_threshold", "'1", "_0", "x'"),
    "a long lastmodified": _field("lastmodified", '"2024-01-02T03:04:05.', "9", 'Z"'),
    "a long pattern": _field("encrypted_regex", "'", "(", "'"),
    "a pattern of classes": _field("encrypted_regex", "'", r"\pL", "'"),
    "a long suffix": _field("encrypted_suffix", "'", "x", "'"),
    "unknown fields": lambda recipient, size: (
        handmade(recipient) + b"".join(b"    f%07d: x\n" % number for number in range((size - _HEAD) // 16))
    ),
    "one long field": lambda recipient, size: handmade(recipient) + b"    ? " + _fill(b"F", size) + b"\n    : x\n",
}


def unlock(file: bytes, identities: Identities) -> dict[str, object]:
    """Unlock a file as `pysops.load` does, but let defects leave, of which the public functions make errors of ours."""
    values: dict[str, object] = inspect.unwrap(pysops.decrypt)(inspect.unwrap(pysops.parse)(file), identities)
    return values


def read(file: bytes, key: AgeKey) -> float:
    """Read a file, and return how many seconds of the processor that took."""
    identities = identities_of(key)
    started = time.process_time()
    with contextlib.suppress(pysops.SopsError):
        unlock(file, identities)
    return time.process_time() - started


def main() -> None:
    """Read one, and print seconds of the processor and the most memory in KiB."""
    import resource

    key = AgeKey.generate()
    file = BOMBS[sys.argv[1]](key.recipient, int(sys.argv[2]))
    seconds = read(file, key)
    sys.stdout.write(json.dumps({"seconds": seconds, "KiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))


if __name__ == "__main__":
    main()
