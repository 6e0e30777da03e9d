"""Forgeries of what is plain: names, boundaries between values, secrets whose text is known, numbers.

The MAC of sops covers the bytes of all leaves one after the other: names of plain keys, boundaries between plain
values, their types and comments are not in it.
"""

from collections.abc import Mapping
from typing import Final

from tests.support.forgery import (
    DECRYPTS,
    KNOWN,
    MAC,
    TAG,
    Forge,
    Forgery,
    Scene,
    Stage,
    edit,
    forgery,
    honest,
)
from tests.support.workshop import replaced, swap, without


_ACLS: Final = "acls:\n    - <WRITE admins>\n    - <READ users>\n"
_ROTATION: Final = "rotation:\n    - <90d known>\n    - <180d *>\n"
_SELECTOR: Final = "encrypted_regex: ^secrets$"


def _known_as(line: str) -> Forge:
    """Put the bytes of the known secret behind ``version: 1``, in front of all other secrets."""
    return honest(without("known"), swap("version: 1\n", f"version: 1\n{line}"))


def _version(spelling: str) -> Forge:
    return edit("version: 1\n", f"version: {spelling}\n")


def _grants_without_a_mac(scene: Scene) -> str:
    return replaced(scene.unsealed, "<READ users>", "<MANAGE evil>")


_NOT_TOLD: Final = "sops was not told to encrypt what stands below secrets"

NAMES: Final[Mapping[str, Forgery]] = {
    "rename a field": forgery(
        "`prune: all` becomes `note: all`", edit("prune: all", "note: all"), DECRYPTS, Stage.POLICY, "unknown field"
    ),
    "rename a list": forgery(
        "`rotation:` becomes `acls2:`", edit("rotation:", "acls2:"), DECRYPTS, Stage.POLICY, "unknown field 'acls2'"
    ),
    "rename by case": forgery(
        "`acls:` becomes `ACLS:`", edit("acls:", "ACLS:"), DECRYPTS, Stage.POLICY, "unknown field 'ACLS'"
    ),
    "rename by a character that cannot be seen": forgery(
        "`acls:` gets a zero-width space",
        edit("acls:", "ac\u200bls:"),
        DECRYPTS,
        Stage.POLICY,
        "the character U+200B is invisible",
    ),
    "rename by a look-alike": forgery(
        "`acls:` with a Cyrillic letter", edit("acls:", "\u0430cls:"), DECRYPTS, Stage.POLICY, "unknown field"
    ),
    "rename by a blank": forgery(
        "`acls:` becomes `'acls ':`", edit("acls:", "'acls ':"), DECRYPTS, Stage.POLICY, "unknown field"
    ),
    "exchange two names": forgery(
        "`acls` and `rotation` change places",
        honest(swap("acls:", "?:"), swap("rotation:", "acls:"), swap("?:", "rotation:")),
        DECRYPTS,
        Stage.POLICY,
        "an entry of acls is not a grant",
    ),
    "nest a field": forgery(
        "`acls:` below a mapping of its own",
        edit(_ACLS, "x:\n  acls:\n    - <WRITE admins>\n    - <READ users>\n"),
        DECRYPTS,
        Stage.POLICY,
        "unknown field 'x'",
    ),
    "policy below secrets": forgery(
        "`version` moves below `secrets`",
        edit("version: 1\nsecrets:\n", "secrets:\n    version: 1\n"),
        TAG,
        Stage.POLICY,
        "there is no field 'version'",
        sops_3_11=2,
    ),
    "secrets first": forgery(
        "`secrets` moves in front of policy, which is then read as it stands there",
        lambda scene: _policy_last(scene.honest),
        MAC,
        Stage.POLICY,
        "stands behind 'secrets'",
    ),
    "metadata first": forgery(
        "`sops` moves to the top",
        lambda scene: _metadata_first(scene.honest),
        DECRYPTS,
        Stage.POLICY,
        "the field 'acls' stands behind 'sops'",
    ),
}
"""Names of plain keys are in no MAC."""

BOUNDARIES: Final[Mapping[str, Forgery]] = {
    "join two grants": forgery(
        "two grants become one",
        edit("admins>\n    - <READ", "admins><READ"),
        DECRYPTS,
        Stage.POLICY,
        "an entry of acls is not a grant",
    ),
    "split a grant": forgery(
        "one grant becomes two",
        edit("<WRITE admins>", "<WRITE admins\n    - '>'"),
        DECRYPTS,
        Stage.POLICY,
        "an entry of acls is not a grant",
    ),
    "move the boundary of grants": forgery(
        "bytes of a grant move into its neighbour",
        edit("- <WRITE admins>\n    - <READ users>", "- <WRITE admins><READ\n    - ' users>'"),
        DECRYPTS,
        Stage.POLICY,
        "an entry of acls is not a grant",
    ),
    "move the boundary of rules": forgery(
        "bytes of a rule move into its neighbour",
        edit("- <90d known>\n    - <180d *>", "- <90d known><1\n    - 80d *>"),
        DECRYPTS,
        Stage.POLICY,
        "an entry of rotation is not a rule",
    ),
    "prune into a grant": forgery(
        "`prune` ends the last grant",
        edit("- <READ users>\nprune: all\n", "- <READ users>all\n"),
        DECRYPTS,
        Stage.POLICY,
        "an entry of acls is not a grant",
    ),
    "grant into prune": forgery(
        "the last grant begins `prune`",
        edit("    - <READ users>\nprune: all\n", "prune: <READ users>all\n"),
        DECRYPTS,
        Stage.POLICY,
        "prune is none of the words that it may be",
    ),
    "rule into prune": forgery(
        "the first rule ends `prune`",
        edit("prune: all\nrotation:\n    - <90d known>\n", "prune: all<90d known>\nrotation:\n"),
        DECRYPTS,
        Stage.POLICY,
        "prune is none of the words that it may be",
    ),
    "split prune": forgery(
        "`prune: all` becomes a list",
        edit("prune: all", "prune: [a, ll]"),
        DECRYPTS,
        Stage.POLICY,
        "prune is none of the words that it may be",
    ),
    "version into a rule": forgery(
        "`version` ends the last rule",
        edit("    - <180d *>\nversion: 1\n", "    - <180d *>1\n"),
        DECRYPTS,
        Stage.POLICY,
        "an entry of rotation is not a rule",
    ),
    "grants as one text": forgery(
        "the list of grants becomes one text",
        edit(_ACLS, "acls: <WRITE admins><READ users>\n"),
        DECRYPTS,
        Stage.POLICY,
        "acls is a single value",
    ),
    "grants as a mapping": forgery(
        "the list of grants becomes a mapping",
        edit(_ACLS, "acls:\n    a: <WRITE admins>\n    b: <READ users>\n"),
        DECRYPTS,
        Stage.POLICY,
        "acls is a mapping",
    ),
    "grants in lists": forgery(
        "each grant in a list of its own",
        edit("- <WRITE admins>", "- [<WRITE admins>]"),
        DECRYPTS,
        Stage.POLICY,
        "an entry of acls is not a grant",
    ),
    "grant as a key": forgery(
        "a grant becomes the name of an empty value",
        edit("- <WRITE admins>", "- <WRITE admins>: ''"),
        MAC,
        Stage.POLICY,
        "an entry of acls is not a grant",
    ),
    "rules as a mapping": forgery(
        "the list of rules becomes a mapping",
        edit(_ROTATION, "rotation:\n    a: <90d known>\n    b: <180d *>\n"),
        DECRYPTS,
        Stage.POLICY,
        "rotation is a mapping",
    ),
    "exchange two grants": forgery(
        "two grants change places",
        edit("<WRITE admins>\n    - <READ users>", "<READ users>\n    - <WRITE admins>"),
        MAC,
        Stage.UNLOCKING,
        "the MAC does not fit the values",
    ),
    "alter a grant": forgery(
        "READ becomes MANAGE",
        edit("<READ users>", "<MANAGE users>"),
        MAC,
        Stage.UNLOCKING,
        "the MAC does not fit the values",
    ),
    "alter a grant that no MAC covers": forgery(
        "a grant is edited in a file whose author left plain values out of the MAC (`mac_only_encrypted`)",
        _grants_without_a_mac,
        DECRYPTS,
        Stage.POLICY,
        "mac_only_encrypted leaves grants and rules without any protection",
    ),
    "take a grant away": forgery(
        "a grant is removed", edit("    - <READ users>\n", ""), MAC, Stage.UNLOCKING, "the MAC does not fit the values"
    ),
    "take all grants away": forgery(
        "`acls` is removed", edit(_ACLS, ""), MAC, Stage.UNLOCKING, "the MAC does not fit the values"
    ),
}
"""Boundaries between plain values are in no MAC."""

KNOWN_TEXT: Final[Mapping[str, Forgery]] = {
    "known secret into version": forgery(
        "its bytes behind the 1",
        honest(without("known"), swap("version: 1\n", f"version: 1{KNOWN}\n")),
        DECRYPTS,
        Stage.POLICY,
        "the version is not 1",
    ),
    "known secret beside version": forgery(
        "`version` becomes a list with it",
        honest(without("known"), swap("version: 1\n", f"version: [1, {KNOWN}]\n")),
        DECRYPTS,
        Stage.POLICY,
        "the version is not 1",
    ),
    "known secret into a field": forgery(
        "a plain field with its bytes", _known_as(f"evil: {KNOWN}\n"), DECRYPTS, Stage.POLICY, "unknown field 'evil'"
    ),
    "known secret into a look-alike": forgery(
        "`secret:` holds it in plain",
        _known_as(f"secret: {{app: {KNOWN}}}\n"),
        DECRYPTS,
        Stage.POLICY,
        "unknown field 'secret'",
    ),
    "known secret into secrets by case": forgery(
        "`Secrets:` holds it in plain",
        _known_as(f"Secrets: {{app: {KNOWN}}}\n"),
        DECRYPTS,
        Stage.POLICY,
        "unknown field 'Secrets'",
    ),
    "known secret into acls": forgery(
        "its bytes as a grant, behind `version`",
        honest(without("known"), swap("acls:", "x:"), swap("version: 1\n", f"version: 1\nacls: [{KNOWN}]\n")),
        DECRYPTS,
        Stage.POLICY,
        "the field 'acls' stands behind 'version'",
    ),
    "known secret into the last grant": forgery(
        "its bytes as a grant, `version` gone",
        honest(without("known"), swap("    - <180d *>\nversion: 1\n", f"    - <180d *>1{KNOWN}\n")),
        DECRYPTS,
        Stage.POLICY,
        "an entry of rotation is not a rule",
    ),
    "known secret behind the secrets": forgery(
        "the last secret in plain, behind `secrets`",
        honest(without("word"), swap("sops:\n", "evil: -and-her-password\nsops:\n")),
        DECRYPTS,
        Stage.POLICY,
        "unknown field 'evil'",
    ),
    "known secret in plain": forgery(
        "its text in place of its ciphertext",
        honest(without("known"), swap("            port:", f"            known: {KNOWN}\n            port:")),
        TAG,
        Stage.POLICY,
        "a value is not encrypted, though the file is",
    ),
    "known secret in plain by a narrower selector": forgery(
        "`secrets` left, below other names in plain and encrypted",
        honest(
            without("known"),
            swap("        app:\n", f"        app:\n            known: {KNOWN}\n"),
            swap(_SELECTOR, "encrypted_regex: ^(port|flag|first|second|blob|nothing|billing)$"),
        ),
        DECRYPTS,
        Stage.POLICY,
        _NOT_TOLD,
    ),
    "known secret as a comment": forgery(
        "it is removed and its text stands in a comment",
        honest(without("known"), swap("version: 1\n", f"version: 1 # {KNOWN}\n")),
        MAC,
        Stage.UNLOCKING,
        "the MAC does not fit the values",
    ),
}
"""Bytes of a secret whose text is known become plain text, and the other way."""

NUMBERS: Final[Mapping[str, Forgery]] = {
    f"version as {spelling}": forgery(f"`version: {spelling}`", _version(spelling), sops, Stage.POLICY, words)
    for spelling, sops, words in (
        ("0x1", DECRYPTS, "the version is not 1"),
        ("0b1", DECRYPTS, "the version is not 1"),
        ("0o1", DECRYPTS, "the version is not 1"),
        ("01", DECRYPTS, "the version is not 1"),
        ("+1", DECRYPTS, "the version is not 1"),
        ("1_", DECRYPTS, "the version is not 1"),
        ("1.0", DECRYPTS, "the version is not 1"),
        ("1e0", DECRYPTS, "the version is not 1"),
        ("[1]", DECRYPTS, "the version is not 1"),
        ("{n: 1}", DECRYPTS, "the version is not 1"),
        ("[[1, '', null]]", DECRYPTS, "the version is not 1"),
        ("true", MAC, "the version is not 1"),
    )
}
"""sops feeds numbers into the MAC as it prints them, whatever they were written like."""


def _policy_last(content: str) -> str:
    policy, _, rest = content.partition("secrets:\n")
    secrets, _, metadata = rest.partition("sops:\n")
    return f"secrets:\n{secrets}{policy}sops:\n{metadata}"


def _metadata_first(content: str) -> str:
    body, _, metadata = content.partition("sops:\n")
    return f"sops:\n{metadata}{body}"
