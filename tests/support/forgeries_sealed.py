"""Forgeries of what is encrypted: envelopes, their places, the mapping keys above them, and whole files."""

import base64
import re
from collections.abc import Callable, Mapping
from typing import Final

from tests.policy.samples import HOST
from tests.support.forgery import (
    DECRYPTS,
    MAC,
    TAG,
    Forge,
    Forgery,
    Stage,
    edit,
    forgery,
    honest,
)
from tests.support.workshop import behind, flipped, line_of, replaced, rewritten, swap, without


_ENVELOPE: Final = re.compile(r"ENC\[AES256_GCM,data:(.+),iv:(.+),tag:(.+),type:(.+)\]")


def _value(name: str, change: Callable[[str], str]) -> Forge:
    return honest(rewritten(name, change))


def _kind(kind: str) -> Callable[[str], str]:
    return lambda value: value.replace("type:str", f"type:{kind}")


def _tag_moved(count: int) -> Callable[[str], str]:
    """Move bytes of the tag to the end of the data, or the other way: sops joins the two before it opens them."""

    def change(value: str) -> str:
        match = _ENVELOPE.fullmatch(value)
        assert match is not None
        data, tag = base64.b64decode(match[1]), base64.b64decode(match[3])
        joined, cut = data + tag, len(data) + count
        new_data, new_tag = (base64.b64encode(part).decode() for part in (joined[:cut], joined[cut:]))
        return f"ENC[AES256_GCM,data:{new_data},iv:{match[2]},tag:{new_tag},type:str]"

    return change


def _part(name: str, change: Callable[[bytes], bytes]) -> Callable[[str], str]:
    """Change the bytes of one part of an envelope."""

    def new(value: str) -> str:
        match = re.search(rf"(?<={name}:)[^,\]]+", value)
        assert match is not None
        return value.replace(match[0], base64.b64encode(change(base64.b64decode(match[0]))).decode())

    return new


def _broken(value: str) -> str:
    """Put a line feed into the base64, which Go's decoder skips, but not the pattern of sops."""
    return '"' + value.replace("iv:", "iv:\\n") + '"'


def _filled(content: str, name: str) -> str:
    return replaced(content, " ?\n", f" {line_of(content, name).partition(': ')[2]}")


def _other_pad_bits(value: str) -> str:
    """Set bits of the base64 of the tag that stand for nothing."""
    match = re.search(r"tag:(.{21})(.)==", value)
    assert match is not None
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return value.replace(match[0], f"tag:{match[1]}{alphabet[alphabet.index(match[2]) ^ 1]}==")


def _in_list(content: str) -> str:
    """Put the keys of the first scope into a list, as lists are not in the AAD."""
    head, _, rest = content.partition("        app:\n")
    keys, _, tail = rest.partition("        billing:\n")
    lines = keys.splitlines(keepends=True)
    items = [f"            - {lines[0].lstrip()}", *(f"  {line}" for line in lines[1:])]
    return f"{head}        app:\n{''.join(items)}        billing:\n{tail}"


def _each_in_a_list(content: str) -> str:
    """Put each key of the second scope into a mapping of its own."""
    for name in ("invoice", "user", "word"):
        line = line_of(content, name)
        content = replaced(content, line, f"            - {line.lstrip()}")
    return content


def _joined(*, scope_too: bool) -> Callable[[str], str]:
    """Join host and scope, or scope and key, with a colon."""

    def step(content: str) -> str:
        if scope_too:
            head, _, rest = content.partition("        billing:\n")
            keys, separator, tail = rest.partition("sops:\n")
            keys = re.sub(r"^ {12}(\w+): (.+)", r'        "billing:\1": \2', keys, flags=re.MULTILINE)
            return f"{head}{keys}{separator}{tail}"
        return replaced(content, "        billing:\n", f'    "{HOST}:billing":\n')

    return step


def _root_joined(content: str) -> str:
    """Join ``secrets`` and the host with a colon, and tell sops to encrypt what begins with it."""
    joined = replaced(content, f"secrets:\n    {HOST}:\n", f'"secrets:{HOST}":\n')
    return replaced(joined, "encrypted_regex: ^secrets$", "encrypted_regex: ^secrets")


def _exchanged(first: str, second: str, *, lines: bool) -> Callable[[str], str]:
    def step(content: str) -> str:
        one, two = line_of(content, first), line_of(content, second)
        if not lines:
            one, two = one.partition(": ")[2], two.partition(": ")[2]
        return content.replace(one, "?").replace(two, one).replace("?", two)

    return step


_NOT_WHOLE: Final = "an encrypted value that is not whole"
_OTHER_KEYS: Final = "it was altered, or stands below other keys than it was encrypted for"

ENVELOPES: Final[Mapping[str, Forgery]] = {
    **{
        f"envelope: {attack}": forgery(attack, _value(name, change), sops, stage, words)
        for attack, name, change, sops, stage, words in (
            ("text behind it", "first", lambda v: f"{v} and more", DECRYPTS, Stage.DOCUMENT, _NOT_WHOLE),
            ("a second one behind it", "first", lambda v: f"{v}{v}", TAG, Stage.DOCUMENT, _NOT_WHOLE),
            (
                "text in front of it",
                "first",
                lambda v: f"x {v}",
                TAG,
                Stage.POLICY,
                "a value is not encrypted, though the file is",
            ),
            ("a line feed behind it", "first", lambda v: f"|\n{' ' * 16}{v}", DECRYPTS, Stage.DOCUMENT, _NOT_WHOLE),
            ("a line feed in its base64", "first", _broken, TAG, Stage.DOCUMENT, _NOT_WHOLE),
            ("a NUL behind it", "first", lambda v: f'"{v}\\0"', DECRYPTS, Stage.DOCUMENT, _NOT_WHOLE),
            (
                "in lower case",
                "first",
                lambda v: v.replace("ENC", "enc"),
                TAG,
                Stage.POLICY,
                "a value is not encrypted, though the file is",
            ),
            ("another cipher", "first", lambda v: v.replace("256", "128"), TAG, Stage.DOCUMENT, _NOT_WHOLE),
            ("base64 for URLs", "first", lambda v: v.replace("iv:", "iv:-_-_"), TAG, Stage.DOCUMENT, _NOT_WHOLE),
            ("no padding", "first", lambda v: v.replace("==", ""), TAG, Stage.DOCUMENT, _NOT_WHOLE),
            ("another field", "first", lambda v: v.replace(",iv", ",x:1,iv"), TAG, Stage.DOCUMENT, _NOT_WHOLE),
            ("no data", "first", lambda v: re.sub("data:[^,]+", "data:", v), TAG, Stage.DOCUMENT, _NOT_WHOLE),
            ("its data altered", "first", flipped("data"), TAG, Stage.UNLOCKING, _OTHER_KEYS),
            ("its IV altered", "first", flipped("iv"), TAG, Stage.UNLOCKING, _OTHER_KEYS),
            ("its IV of 12 bytes", "first", _part("iv", lambda b: b[:12]), TAG, Stage.UNLOCKING, _OTHER_KEYS),
            ("its IV of 4 bytes", "first", _part("iv", lambda b: b[:4]), TAG, Stage.DOCUMENT, _NOT_WHOLE),
            ("its IV longer", "first", _part("iv", lambda b: b + b"\0"), TAG, Stage.UNLOCKING, _OTHER_KEYS),
            ("its tag altered", "first", flipped("tag"), TAG, Stage.UNLOCKING, _OTHER_KEYS),
            ("its tag truncated", "first", _part("tag", lambda b: b[:12]), TAG, Stage.DOCUMENT, _NOT_WHOLE),
            ("bytes of its tag moved to its data", "first", _tag_moved(3), DECRYPTS, Stage.DOCUMENT, _NOT_WHOLE),
            ("bytes of its data moved to its tag", "first", _tag_moved(-3), DECRYPTS, Stage.DOCUMENT, _NOT_WHOLE),
            (
                "bits of its base64 that mean nothing",
                "first",
                _other_pad_bits,
                DECRYPTS,
                Stage.HARMLESS,
                "they are the same bytes",
            ),
            ("digits as int", "port", _kind("int"), DECRYPTS, Stage.POLICY, "an encrypted value is a whole number"),
            ("digits as float", "port", _kind("float"), DECRYPTS, Stage.POLICY, "an encrypted value is a number"),
            ("true as bool", "flag", _kind("bool"), MAC, Stage.POLICY, "an encrypted value is true or false"),
            ("text as time", "first", _kind("time"), TAG, Stage.POLICY, "an encrypted value is a date"),
            ("text as comment", "first", _kind("comment"), MAC, Stage.POLICY, "an encrypted value is a comment"),
            ("text as bytes", "first", _kind("bytes"), 2, Stage.DOCUMENT, _NOT_WHOLE),
            ("a type in upper case", "first", _kind("STR"), TAG, Stage.DOCUMENT, _NOT_WHOLE),
            ("a type of no meaning", "first", _kind("evil"), TAG, Stage.DOCUMENT, _NOT_WHOLE),
            ("in a list", "first", lambda v: f'["{v}"]', DECRYPTS, Stage.POLICY, "a value is a list"),
            ("in lists", "first", lambda v: f'[["{v}"], []]', DECRYPTS, Stage.POLICY, "a value is a list"),
            (
                "as bytes in base64",
                "second",
                lambda v: f'{{base64: "{v}"}}',
                TAG,
                Stage.POLICY,
                "a value is not base64: its length is no multiple of four",
            ),
            (
                "as no bytes",
                "first",
                lambda v: f'{{empty: "{v}"}}',
                TAG,
                Stage.POLICY,
                "behind 'empty' stands another text than yes",
            ),
            ("bytes as text", "base64", lambda v: f"{{base64: '{v}'}}", TAG, Stage.POLICY, "this is a mapping"),
        )
    },
    "bytes as no bytes": forgery(
        "`base64` renamed to `empty`",
        edit("base64: ", "empty: "),
        TAG,
        Stage.POLICY,
        "behind 'empty' stands another text than yes",
    ),
    "no bytes as bytes": forgery(
        "`empty` renamed to `base64`",
        edit("empty: ", "base64: "),
        TAG,
        Stage.POLICY,
        "a value is not base64: its length is no multiple of four",
    ),
    "bytes as the text of their base64": forgery(
        "the value of `base64` directly below its key",
        edit("blob:\n                base64: ", "blob: "),
        TAG,
        Stage.UNLOCKING,
        _OTHER_KEYS,
    ),
    "form joined to its key": forgery(
        '`"blob:base64": …`',
        edit("blob:\n                base64:", '"blob:base64":'),
        DECRYPTS,
        Stage.POLICY,
        "does not fit as a key",
    ),
    "a value has two forms": forgery(
        "`base64` and `empty` in one value",
        honest(behind("base64", "empty: ''")),
        DECRYPTS,
        Stage.POLICY,
        "a value has two forms",
    ),
}
"""``ENC[…]`` itself: what stands behind it, its base64, its boundary between data and tag, its type."""

PLACES: Final[Mapping[str, Forgery]] = {
    "rename a key": forgery(
        "a value under another key", edit(" first: ", " fake: "), TAG, Stage.UNLOCKING, _OTHER_KEYS
    ),
    "rename a key by case": forgery(
        "`first` becomes `First`", edit(" first: ", " First: "), TAG, Stage.UNLOCKING, _OTHER_KEYS
    ),
    "rename a scope": forgery("values in another scope", edit("billing:", "evil:"), TAG, Stage.UNLOCKING, _OTHER_KEYS),
    "rename a scope by case": forgery(
        "`billing` becomes `Billing`", edit("billing:", "Billing:"), TAG, Stage.UNLOCKING, _OTHER_KEYS
    ),
    "another target's host": forgery(
        "values under the host of another target",
        edit(f"{HOST}:", "test.cloud.databricks.com:"),
        TAG,
        Stage.UNLOCKING,
        _OTHER_KEYS,
    ),
    **{
        f"host as {spelling}": forgery(f"host as `{spelling}`", edit(f"{HOST}:", f"{spelling}:"), TAG, stage, words)
        for spelling, stage, words in (
            (f"{HOST}.", Stage.POLICY, "no target has the host"),
            (HOST.upper(), Stage.POLICY, "does not fit as a host"),
            (f'"{HOST}:443"', Stage.POLICY, "does not fit as a host"),
            (f'"https://{HOST}"', Stage.POLICY, "does not fit as a host"),
            (f"{HOST}?o=1", Stage.POLICY, "no target has the host"),
            (f"{HOST.replace('a', chr(0x430))}", Stage.POLICY, "does not fit as a host"),
            (f"evil.{HOST}", Stage.POLICY, "no target has the host"),
            ("prod", Stage.POLICY, "no target has the host"),
        )
    },
    "exchange two values": forgery(
        "values of two keys", honest(_exchanged("first", "second", lines=False)), TAG, Stage.UNLOCKING, _OTHER_KEYS
    ),
    "exchange two lines": forgery(
        "keys with their values",
        honest(_exchanged("first", "second", lines=True)),
        MAC,
        Stage.UNLOCKING,
        "the MAC does not fit the values",
    ),
    "remove a key": forgery(
        "a key with its value", honest(without("second")), MAC, Stage.UNLOCKING, "the MAC does not fit the values"
    ),
    "copy a value": forgery(
        "a value a second time, under a new key",
        honest(swap(" second:", " copy: ?\n            second:"), lambda text: _filled(text, "first")),
        TAG,
        Stage.UNLOCKING,
        _OTHER_KEYS,
    ),
    "move a key to another scope": forgery(
        "a key with its value",
        lambda scene: replaced(
            replaced(scene.honest, line_of(scene.honest, "first"), ""),
            "        billing:\n",
            f"        billing:\n{line_of(scene.honest, 'first')}",
        ),
        TAG,
        Stage.UNLOCKING,
        _OTHER_KEYS,
    ),
    "scope and key joined": forgery(
        '`"billing:user": …` below the host',
        honest(_joined(scope_too=True)),
        DECRYPTS,
        Stage.POLICY,
        "does not fit as a scope",
    ),
    "host and scope joined": forgery(
        '`"HOST:billing":` below `secrets`',
        honest(_joined(scope_too=False)),
        DECRYPTS,
        Stage.POLICY,
        "does not fit as a host",
    ),
    "secrets and host joined": forgery(
        '`"secrets:HOST":` at the top, and a selector to match',
        honest(_root_joined),
        DECRYPTS,
        Stage.POLICY,
        "unknown field",
    ),
    "keys in a list": forgery(
        "the keys of a scope as an item of a list", honest(_in_list), DECRYPTS, Stage.POLICY, "the scope is a list"
    ),
    "each key in a list": forgery(
        "each key of a scope as an item of a list",
        honest(_each_in_a_list),
        DECRYPTS,
        Stage.POLICY,
        "the scope is a list",
    ),
    "an empty key above": forgery(
        "an empty mapping key between scope and values",
        edit("        billing:\n", "        '': {}\n        billing:\n"),
        DECRYPTS,
        Stage.POLICY,
        "does not fit as a scope",
    ),
    "the MAC as a value": forgery(
        "the envelope of the MAC in place of a value",
        lambda scene: replaced(
            scene.honest,
            line_of(scene.honest, "first").partition(": ")[2],
            line_of(scene.honest, "mac").partition(": ")[2],
        ),
        TAG,
        Stage.UNLOCKING,
        _OTHER_KEYS,
    ),
    "a value as the MAC": forgery(
        "the envelope of a value in place of the MAC",
        lambda scene: replaced(
            scene.honest,
            line_of(scene.honest, "mac").partition(": ")[2],
            line_of(scene.honest, "first").partition(": ")[2],
        ),
        MAC,
        Stage.UNLOCKING,
        "the MAC does not authenticate",
    ),
}
"""A value is bound to the mapping keys above it, joined with colons; lists add nothing to that."""
