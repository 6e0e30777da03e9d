"""Forgeries of how a file is written: as YAML, and as bytes."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from tests.support.forgery import DECRYPTS, MAC, REFUSES, Forge, Forgery, Scene, Stage, forgery
from tests.support.workshop import line_of


def _sub(old: str, new: str) -> Forge:
    """Replace what stands at least once, the first time."""

    def change(scene: Scene) -> str:
        assert old in scene.honest
        return scene.honest.replace(old, new, 1)

    return change


def _top(text: str) -> Forge:
    return lambda scene: text + scene.honest


def _end(text: str) -> Forge:
    return lambda scene: scene.honest + text


def _whole(change: Callable[[str], str | bytes]) -> Forge:
    return lambda scene: change(scene.honest)


def _flow(content: str) -> str:
    """Write a scope in flow style."""
    head, _, tail = content.partition("        billing:\n")
    lines = (line_of(content, name).strip() for name in ("invoice", "user", "word"))
    quoted = ", ".join(re.sub(r": (.*)", r': "\1"', line) for line in lines)
    return f"{head}        billing: {{{quoted}}}\nsops:\n{tail.partition('sops:' + chr(10))[2]}"


_DEEP: Final = f"x: {'{a: ' * 200}''{'}' * 200}\n"
_TWICE: Final = "a key that stands twice in its mapping"
_SECOND: Final = "a second document"

STREAM: Final[Mapping[str, Forgery]] = {
    attack: forgery(attack, forge, sops, stage, words)
    for attack, forge, sops, stage, words in (
        ("a second document", _end("---\nversion: ''\n"), DECRYPTS, Stage.DOCUMENT, _SECOND),
        ("an empty second document", _end("...\n---\n"), DECRYPTS, Stage.DOCUMENT, _SECOND),
        ("a second document of null", _end("--- null\n"), DECRYPTS, Stage.DOCUMENT, _SECOND),
        ("a second document that says secrets", _end("---\nsecrets: {}\n"), DECRYPTS, Stage.DOCUMENT, _SECOND),
        ("a document in front", _top("--- {}\n---\n"), REFUSES, Stage.DOCUMENT, _SECOND),
        ("text behind the end", _end("...\nevil: x\n"), REFUSES, Stage.DOCUMENT, "not valid YAML"),
        ("two files one behind the other", _whole(lambda text: text * 2), REFUSES, Stage.DOCUMENT, _TWICE),
        ("a directive", _top("%YAML 1.1\n---\n"), DECRYPTS, Stage.DOCUMENT, "a directive"),
        ("a tag directive", _top("%TAG ! tag:x,2026:\n---\n"), DECRYPTS, Stage.DOCUMENT, "a directive"),
        ("a start of the document", _top("---\n"), DECRYPTS, Stage.HARMLESS, "nothing stands in front of it"),
        ("an end of the document", _end("...\n"), DECRYPTS, Stage.HARMLESS, "nothing stands behind it"),
        ("a byte order mark", _top("\ufeff"), DECRYPTS, Stage.DOCUMENT, "a byte order mark"),
        ("UTF-16", _whole(lambda text: text.encode("utf-16")), DECRYPTS, Stage.DOCUMENT, "the file is not UTF-8 text"),
        ("UTF-32", _whole(lambda text: text.encode("utf-32")), REFUSES, Stage.DOCUMENT, "the file is not UTF-8 text"),
        (
            "no UTF-8",
            _whole(lambda text: text.encode() + b"# \xff\n"),
            REFUSES,
            Stage.DOCUMENT,
            "the file is not UTF-8 text",
        ),
        ("a NUL", _end("# \0\n"), REFUSES, Stage.DOCUMENT, "the control character U+0000"),
        ("an escape for terminals", _top("# \x1b[2J\n"), REFUSES, Stage.DOCUMENT, "the control character U+001B"),
        ("NEL ends a comment", _top("# x\u0085x: ''\n"), DECRYPTS, Stage.DOCUMENT, "the line break NEL"),
        ("U+2028 ends a comment", _top("# x\u2028x: ''\n"), DECRYPTS, Stage.DOCUMENT, "the line separator"),
        ("U+2029 ends a comment", _top("# x\u2029x: ''\n"), DECRYPTS, Stage.DOCUMENT, "the paragraph separator"),
        ("CR ends a comment", _top("# x\rx: ''\n"), DECRYPTS, Stage.DOCUMENT, "a carriage return without a line feed"),
        (
            "CRLF ends lines",
            _whole(lambda text: text.replace("\n", "\r\n")),
            DECRYPTS,
            Stage.HARMLESS,
            "the same lines",
        ),
        ("a mark of direction in a comment", _top("# \u202e\n"), DECRYPTS, Stage.POLICY, "the character U+202E"),
        (
            "comments like policy",
            _top("# acls:\n# - <READ evil>\n"),
            DECRYPTS,
            Stage.HARMLESS,
            "a comment means nothing",
        ),
        ("nothing", _whole(lambda _: ""), REFUSES, Stage.DOCUMENT, "the file is empty"),
        ("comments alone", _whole(lambda _: "# nothing\n"), REFUSES, Stage.DOCUMENT, "the file is empty"),
        ("an empty mapping", _whole(lambda _: "{}\n"), REFUSES, Stage.POLICY, "the file is empty"),
        ("17 MiB of comment", _end(f"#{' ' * 17 * 1024**2}\n"), DECRYPTS, Stage.DOCUMENT, "the file is too large"),
        ("null", _whole(lambda _: "null\n"), REFUSES, Stage.DOCUMENT, "the file holds nothing"),
    )
}
"""Documents, directives, encodings, line breaks, comments."""

NODES: Final[Mapping[str, Forgery]] = {
    attack: forgery(attack, forge, sops, stage, words)
    for attack, forge, sops, stage, words in (
        ("an anchor", _sub("secrets:\n", "secrets: &a\n"), DECRYPTS, Stage.DOCUMENT, "an anchor"),
        ("an alias", _top("a: &a ''\nb: *a\n"), DECRYPTS, Stage.DOCUMENT, "an anchor"),
        (
            "a merge of nothing",
            _sub("        app:\n", "        app:\n            <<: {}\n"),
            DECRYPTS,
            Stage.DOCUMENT,
            "a merge key (<<)",
        ),
        (
            "a merge of a key",
            _sub(" port:", " <<: {new: ''}\n            port:"),
            DECRYPTS,
            Stage.DOCUMENT,
            "a merge key (<<)",
        ),
        ("a tag", _sub("prune: all", "prune: !!str all"), DECRYPTS, Stage.DOCUMENT, "a tag"),
        ("a tag of no name", _sub("prune: all", "prune: ! all"), DECRYPTS, Stage.DOCUMENT, "a tag"),
        ("a tag on a mapping", _sub("secrets:\n", "secrets: !!map\n"), DECRYPTS, Stage.DOCUMENT, "a tag"),
        ("a tag for bytes", _sub("prune: all", "prune: !!binary YWxs"), DECRYPTS, Stage.DOCUMENT, "a tag"),
        ("a tab as indentation", _sub("    - <READ", "\t- <READ"), REFUSES, Stage.DOCUMENT, "not valid YAML"),
        ("a field twice", _top("prune: ''\n"), REFUSES, Stage.DOCUMENT, _TWICE),
        ("secrets twice", _top("secrets: {}\n"), REFUSES, Stage.DOCUMENT, _TWICE),
        (
            "a list at the top",
            _whole(lambda text: "- " + text.replace("\n", "\n  ")),
            REFUSES,
            Stage.DOCUMENT,
            "a list at the top of the file",
        ),
        ("mappings in each other, 200 deep", _top(_DEEP), DECRYPTS, Stage.DOCUMENT, "nested too deeply"),
        ("conflict markers in a text", _top("x: '\n<<<<<<< a\n'\n"), MAC, Stage.DOCUMENT, "git conflict markers"),
        ("a key with a question mark", _sub("prune: all", "? prune\n: all"), DECRYPTS, Stage.HARMLESS, "the same key"),
        ("an escape in a field", _sub("prune:", '"p\\u0072une":'), DECRYPTS, Stage.HARMLESS, "the same key"),
        ("an escape in sops", _sub("sops:\n", '"\\x73ops":\n'), DECRYPTS, Stage.HARMLESS, "the same key"),
        (
            "an escape in a grant",
            _sub("<READ users>", '"\\u003cREAD users>"'),
            DECRYPTS,
            Stage.HARMLESS,
            "the same grant",
        ),
        (
            "a grant over two lines",
            _sub("<READ users>", "<READ\n      users>"),
            DECRYPTS,
            Stage.HARMLESS,
            "the same grant",
        ),
        (
            "a grant in a block",
            _sub("<READ users>", "|-\n      <READ users>"),
            DECRYPTS,
            Stage.HARMLESS,
            "the same grant",
        ),
        (
            "a grant and a line feed",
            _sub("<READ users>", "|\n      <READ users>"),
            MAC,
            Stage.POLICY,
            "an entry of acls is not a grant",
        ),
        ("prune in a block", _sub("prune: all", "prune: >-\n    all"), DECRYPTS, Stage.HARMLESS, "the same word"),
        ("version in quotes", _sub("version: 1\n", 'version: "1"\n'), DECRYPTS, Stage.HARMLESS, "the same version"),
        ("a scope in flow style", _whole(_flow), DECRYPTS, Stage.HARMLESS, "the same keys and values"),
    )
}
"""Anchors, merges, tags, styles."""
