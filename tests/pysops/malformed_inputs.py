"""Malformed files by the thousand: from random bytes to files that are sealed well and hold what no file holds.

The same seed makes the same file, as long as the key and the file that is mutated are the same.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.pysops.handmade import DATA_KEY, groups_of, handmade, seal, stanza, wrap
from tests.pysops.secret_sharing import split


TOKENS: Final = (
    *(b"ENC[", b"]", b"type:int", b"type:comment", b"&a ", b"*a", b"---\n", b"...\n", b": ", b"\n", b"\t", b"\x00"),
    *("é".encode(), b"\xff", b"sops:\n", b"!!str ", b"null", b"- ", b"? ", b"{", b"}", b"'", b'"', b"|", b"#", b"%"),
    *(b"<<<<<<< ", b"\r", "\u2028".encode(), b"\xef\xbb\xbf", b"\\ud800", b"2024-01-02", b"9" * 5000, b"0x"),
    *(b"<<: ", b"MAC: x\n", b"#ENC[", b"#\n", b"ENC[AES256_GCM,data:,iv:,tag:,type:str]", b"~", b"\x85", b"    "),
)

_TEXTS: Final = (
    *(
        "",
        "~",
        "null",
        "true",
        "yes",
        "0",
        "-1",
        "1.5",
        ".nan",
        "-.inf",
        "1e999",
        "9" * 400,
        "0x" + "f" * 400,
        "[]",
        "{}",
    ),
    *("[~]", "[[]]", "{a: ~}", "x", "'x'", '""', "2024-01-02", '"2024-01-02T03:04:05Z"', "3.9.0", "'['", "(", "ENC[x]"),
    *(
        "'0_1'",
        "1_0",
        "0b1",
        "{a: {b: [c, {d: e}]}}",
        "a: b",
        "*a",
        "&a x",
        "!!int 5",
        "|",
        ">",
        "%",
        "@",
        "`",
        "- x",
        "#",
    ),
    *(
        "'" + "(a?)" * 20 + "'",
        "\\",
        '"\\0"',
        '"\\ud800"',
        "'\u2028'",
        "'é🔐'",
        "? x",
        "<<",
        "=",
        "'" + "x" * 5000 + "'",
    ),
)

_FIELDS: Final = (
    *(
        "age",
        "pgp",
        "kms",
        "gcp_kms",
        "hckms",
        "azure_kv",
        "hc_vault",
        "key_groups",
        "shamir_threshold",
        "lastmodified",
    ),
    *("mac", "version", "mac_only_encrypted", "unencrypted_suffix", "encrypted_suffix", "unencrypted_regex"),
    *("encrypted_regex", "unencrypted_comment_regex", "encrypted_comment_regex", "sops", "MAC", "Age", "KEY_GROUPS"),
)
_ITEM_FIELDS: Final = (
    *("recipient", "enc", "created_at", "fp", "arn", "role", "context", "aws_profile", "resource_id", "key_id", "name"),
    *("vault_url", "version", "vault_address", "engine_path", "key_name", "Enc", "ARN"),
)
_KINDS: Final = ("str", "int", "float", "bool", "time", "comment", "bytes", "", "str]", "STR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What malformed files are made of."""

    recipient: str
    """Whose key opens what is wrapped."""

    genuine: bytes
    """A file of the real sops."""


Maker = Callable[[Source, random.Random], bytes]


def make_malformed(source: Source, rng: random.Random) -> bytes:
    """Make one file of any sort."""
    return rng.choice(MAKERS)(source, rng)


def mutated(source: Source, rng: random.Random) -> bytes:
    """Alter bytes, lines and tokens of the genuine file."""
    return mutate(source.genuine, rng)


def mutate(file: bytes, rng: random.Random) -> bytes:
    """Alter a file in one place, or in several."""
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        start, end = sorted(rng.choices(range(len(file) + 1), k=2))
        end = min(end, start + rng.choice((1, 1, 5, 100)))
        match rng.randrange(7):
            case 0:
                file = file[:start] + bytes([rng.randrange(256)]) + file[start + 1 :]
            case 1:
                file = file[:start] + file[end:]
            case 2:
                file = file[:end] + file[start:end] + file[end:]
            case 3:
                file = file[:start] + rng.choice(TOKENS) + file[start:]
            case 4:
                lines = file.splitlines(keepends=True)
                rng.shuffle(lines) if rng.random() < 0.1 else lines.insert(
                    rng.randrange(len(lines) + 1), rng.choice(lines or [b""])
                )
                file = b"".join(lines)
            case 5 if file:
                position = rng.randrange(len(file))
                file = file[:position] + bytes([file[position] ^ 1 << rng.randrange(8)]) + file[position + 1 :]
            case _:
                lines = file.splitlines(keepends=True)
                if lines:
                    del lines[rng.randrange(len(lines))]
                file = b"".join(lines)
    return file


def _truncated(source: Source, rng: random.Random) -> bytes:
    return source.genuine[: rng.randrange(len(source.genuine) + 1)]


def _random_bytes(_: Source, rng: random.Random) -> bytes:
    return rng.randbytes(rng.choice((0, 1, 10, 1000, 100_000)))


def _random_tokens(_: Source, rng: random.Random) -> bytes:
    return b"".join(rng.choice((*TOKENS, b"a", b"b: c\n", b"  ")) for _ in range(rng.randrange(60)))


def _random_fields(source: Source, rng: random.Random) -> bytes:
    names = rng.sample(_FIELDS, rng.randint(1, 3))
    return handmade(source.recipient, {name: _random_value(rng, source) for name in names})


def _random_value(rng: random.Random, source: Source) -> str | None:
    chance = rng.random()
    if chance < 0.1:
        return None
    if chance < 0.6:
        return rng.choice(_TEXTS)
    items = []
    for _ in range(rng.choice((1, 1, 2, 5))):
        names = rng.sample(_ITEM_FIELDS, rng.randint(0, 6))
        item = {name: rng.choice(_TEXTS) for name in names}
        if rng.random() < 0.5:
            item |= {"created_at": '"2024-01-02T03:04:05Z"'}
        if rng.random() < 0.3:
            item |= {name: json.dumps(text) for name, text in stanza(source.recipient).items()}
        items.append("{" + ", ".join(f"{name}: {text}" for name, text in item.items()) + "}")
    listed = f"[{', '.join(items)}]"
    return f"[{{age: {listed}}}, {{kms: {listed}}}]" if rng.random() < 0.3 else listed


def _spoilt_wrapping(source: Source, rng: random.Random) -> bytes:
    item = stanza(source.recipient, rng.randbytes(rng.choice((0, 1, 16, 32, 33, 100))))
    if rng.random() < 0.8:
        item["enc"] = mutate(item["enc"].encode(), rng).decode(errors="replace")
    return handmade(None, {"age": json.dumps([item, *([stanza(source.recipient)] * rng.randrange(2))])})


def _spoilt_sharing(source: Source, rng: random.Random) -> bytes:
    parts = split(DATA_KEY, rng.randint(2, 5), 2, rng)
    spoilt = [mutate(part, rng) if rng.random() < 0.3 else part for part in parts]
    threshold = rng.choice((None, "2", "1", "0", "-3", "255", "'0x3'"))
    groups = groups_of([(source.recipient, part) for part in spoilt])
    return handmade(None, {"key_groups": groups, "shamir_threshold": threshold})


def _odd_values(source: Source, rng: random.Random) -> bytes:
    """Values that authenticate, of types that they are not."""
    lines = []
    for number in range(rng.randint(1, 5)):
        text = rng.choice((*_TEXTS, "True", "+Inf", "2024-02-30T00:00:00Z", "-9223372036854775809", "1" * 5000, "1_0"))
        plain = rng.choice((text.encode(), rng.randbytes(9), text.encode() + b"\xff", b"x" * 100_000))
        value = seal(DATA_KEY, plain, f"k{number}:".encode(), rng.choice(_KINDS))
        lines.append(rng.choice((f"k{number}: {value}", f"k{number}: [{value!r}]", f"k{number}: {{a: '{value}'}}")))
    metadata = handmade(source.recipient, {"mac_only_encrypted": rng.choice(("true", "false"))}).partition(b"\n")[2]
    return "\n".join(lines).encode() + b"\n" + metadata


def _odd_keys(source: Source, rng: random.Random) -> bytes:
    names = [rng.choice((*_TEXTS, "k" * 1100, "a:b", "sops", "é")) for _ in range(rng.randint(1, 4))]
    lines = [f"{rng.choice(('', '? '))}{name}{rng.choice((': x', chr(10) + ': x', ':'))}" for name in names]
    return "\n".join(lines).encode() + b"\n" + handmade(source.recipient)


def _spoilt_envelopes(source: Source, rng: random.Random) -> bytes:
    envelope = mutate(seal(DATA_KEY, b"canary", b"a:").encode(), rng).replace(b"\n", b"").decode(errors="replace")
    return f"a: {rng.choice((envelope, repr(envelope)))}\n".encode() + handmade(source.recipient).partition(b"\n")[2]


def _nested(source: Source, rng: random.Random) -> bytes:
    depth = rng.choice((5, 99, 100, 101, 1000))
    opening, closing = rng.choice((("[", "]"), ("{a: ", "}"), ("[{a: ", "}]"), ("- ", ""), ("? ", "")))
    body = (
        opening * depth + rng.choice(("x", "~", "''", seal(DATA_KEY, b"x", b"a:"))) + closing * rng.choice((depth, 0))
    )
    return f"a: {body}\n".encode() + handmade(source.recipient).partition(b"\n")[2]


def _wrapped_text(source: Source, rng: random.Random) -> bytes:
    text = wrap(DATA_KEY, source.recipient)
    odd = rng.choice(
        (text.replace("\n", "\r\n"), text * 2, text.lower(), f"\n{text}\n", text.encode().hex(), text[:-30])
    )
    return handmade(None, {"age": json.dumps([{"recipient": rng.choice(_TEXTS), "enc": odd}])})


MAKERS: Final[tuple[Maker, ...]] = (
    *(mutated, mutated, mutated, _truncated, _random_bytes, _random_tokens, _random_fields, _random_fields),
    *(_spoilt_wrapping, _spoilt_sharing, _odd_values, _odd_keys, _spoilt_envelopes, _nested, _wrapped_text),
)
