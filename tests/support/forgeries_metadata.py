"""Forgeries of the metadata: which mapping it is, what seals the file, and to whom it says it is encrypted."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from tests.support.forgery import (
    DECRYPTS,
    MAC,
    NO_KEY,
    REFUSES,
    TAG,
    Forge,
    Forgery,
    Stage,
    edit,
    forgery,
    honest,
    recipient_of,
)
from tests.support.workshop import line_of, replaced, rewritten


_STRANGER: Final = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"


def _more(line: str) -> Forge:
    """Add a line to the metadata."""
    return edit("sops:\n", f"sops:\n    {line}\n")


def _lastmodified(change: Callable[[str], str]) -> Forge:
    return honest(rewritten("lastmodified", change))


def _mac(change: Callable[[str], str]) -> Forge:
    return honest(rewritten("mac", change))


def _version(new: str) -> Forge:
    return lambda scene: re.sub(r"(?m)^    version: .*\n", new, scene.honest)


def _stanza(content: str) -> str:
    """Return the only item of an age list, indented as it is."""
    (item,) = re.findall(r"(?m)^    age:\n((?: {8}.*\n)+)", content)
    return str(item)


def _relabelled(content: str) -> str:
    """Say that the data key is encrypted to somebody else."""
    return re.sub(r"recipient: \S+", f"recipient: {_STRANGER}", content)


def _twice_grouped(content: str) -> str:
    """Make two key groups of the one list."""
    (whole,) = re.findall(r"(?m)^    age:\n(?: {8}.*\n)+", content)
    lines = [f"        {line}" for line in str(whole).splitlines(keepends=True)]
    group = f"        - {lines[0].strip()}\n{''.join(lines[1:])}"
    return replaced(content, str(whole), f"    key_groups:\n{group}{group}    shamir_threshold: 2\n")


def _kms(field: str = "kms") -> str:
    return (
        f"{field}:\n        - arn: arn:aws:kms:eu-west-1:111122223333:key/evil\n"
        '          created_at: "2026-01-01T00:00:00Z"\n          enc: AAAA'
    )


def _named(content: str, *lines: str) -> str:
    """Put other lines in place of the one that names the recipient. Versions of sops write it first or last."""
    (item,) = re.findall(r"(?m)^    age:\n((?: {8}.*\n)+)", content)
    kept = [line[10:] for line in str(item).splitlines(keepends=True) if "recipient:" not in line]
    first, *rest = [*kept, *(f"{line}\n" for line in lines)]
    return replaced(content, str(item), f"        - {first}{''.join(f'          {line}' for line in rest)}")


def _wrapped(content: str, start: str, indent: str) -> str:
    """Put the metadata below something, its first line behind ``start``."""
    head, _, metadata = content.partition("sops:\n")
    lines = [line[4:] for line in metadata.splitlines(keepends=True)]
    return f"{head}{start}{lines[0]}{''.join(f'{indent}{line}' for line in lines[1:])}"


_CASE: Final = "the case of such names means nothing to sops"
_SURPLUS: Final = "can open the file and read every value, though .sops.yaml:2 does not name it"
_MISSING: Final = "cannot open the file, though .sops.yaml:2 names it"
_TIME_ADVICE: Final = "lastmodified is not a timestamp"

STRUCTURE: Final[Mapping[str, Forgery]] = {
    "no metadata": forgery(
        "`sops` is removed", lambda scene: scene.honest.partition("sops:")[0], REFUSES, Stage.POLICY, "is not encrypted"
    ),
    "metadata as a list": forgery(
        "`sops: []`",
        lambda scene: f"{scene.honest.partition('sops:')[0]}sops: []\n",
        REFUSES,
        Stage.METADATA,
        "sops is not a mapping",
    ),
    "metadata of nothing": forgery(
        "`sops: {}`",
        lambda scene: f"{scene.honest.partition('sops:')[0]}sops: {{}}\n",
        REFUSES,
        Stage.METADATA,
        "no key source",
    ),
    "metadata in a list": forgery(
        "`sops: [{…}]`",
        lambda scene: _wrapped(scene.honest, "sops:\n    - ", "      "),
        REFUSES,
        Stage.METADATA,
        "sops is not a mapping",
    ),
    "metadata nested": forgery(
        "`sops: {sops: …}`",
        lambda scene: _wrapped(scene.honest, "sops:\n    sops:\n        ", "        "),
        REFUSES,
        Stage.METADATA,
        "no key source",
    ),
    "metadata twice": forgery(
        "`sops` of two files",
        lambda scene: f"{scene.honest}sops:{scene.own.partition('sops:')[2]}",
        REFUSES,
        Stage.DOCUMENT,
        "a key that stands twice in its mapping",
    ),
    "metadata twice by an escape": forgery(
        '`"\\u0073ops":` beside `sops:`',
        lambda scene: f'{scene.honest}"\\u0073ops":{scene.own.partition("sops:")[2]}',
        REFUSES,
        Stage.DOCUMENT,
        "a key that stands twice in its mapping",
    ),
    "metadata twice by case": forgery(
        "`SOPS: {}` beside `sops:`",
        edit("sops:\n", "SOPS: {}\nsops:\n"),
        DECRYPTS,
        Stage.POLICY,
        "unknown field 'SOPS'",
    ),
    "metadata by another name": forgery(
        "`Sops:` instead of `sops:`", edit("sops:\n", "Sops:\n"), REFUSES, Stage.POLICY, "unknown field 'Sops'"
    ),
    "a field of the metadata twice": forgery(
        "two `mac`",
        lambda scene: f"{scene.honest}    mac: x\n",
        REFUSES,
        Stage.DOCUMENT,
        "a key that stands twice in its mapping",
    ),
    "an unknown field": forgery(
        "`note: x` in the metadata", _more("note: x"), DECRYPTS, Stage.HARMLESS, "sops drops it when it next writes"
    ),
}
"""Which mapping the metadata is."""

SEAL: Final[Mapping[str, Forgery]] = {
    "no MAC": forgery(
        "`mac` is removed",
        lambda scene: replaced(scene.honest, line_of(scene.honest, "mac"), ""),
        MAC,
        Stage.METADATA,
        "sops has no mac",
    ),
    **{
        f"MAC: {attack}": forgery(f"MAC {attack}", _mac(change), MAC, Stage.METADATA, words)
        for attack, change, words in (
            ("of null", lambda _: "null", "sops has no mac"),
            ("of nothing", lambda _: "''", "sops has no mac"),
            ("in plain", lambda _: "A" * 128, "the MAC is not an encrypted text"),
            ("as an int", lambda value: value.replace("type:str", "type:int"), "the MAC is not an encrypted text"),
            (
                "as a comment",
                lambda value: value.replace("type:str", "type:comment"),
                "the MAC is not an encrypted text",
            ),
        )
    },
    "MAC with text behind it": forgery(
        "text behind the envelope of the MAC",
        _mac(lambda value: f"{value}x"),
        DECRYPTS,
        Stage.DOCUMENT,
        "an encrypted value that is not whole",
    ),
    "MAC in a list": forgery(
        "the MAC as the item of a list", _mac(lambda value: f"['{value}']"), REFUSES, Stage.METADATA, "mac is not text"
    ),
    "MAC by another name": forgery(
        "`MAC:` instead of `mac:`", edit("    mac:", "    MAC:"), DECRYPTS, Stage.HARMLESS, _CASE, sops_3_11=MAC
    ),
    "MAC twice by case": forgery(
        "`MAC:` beside `mac:`", _more("MAC: x"), DECRYPTS, Stage.METADATA, "mac stands twice in sops"
    ),
    **{
        f"lastmodified: {attack}": forgery(f"lastmodified {attack}", _lastmodified(change), sops, stage, words)
        for attack, change, sops, stage, words in (
            (
                "of another year",
                lambda v: v.replace("20", "19", 1),
                MAC,
                Stage.UNLOCKING,
                "the MAC does not authenticate",
            ),
            (
                "a second later",
                lambda _: '"2099-01-01T00:00:01Z"',
                MAC,
                Stage.UNLOCKING,
                "the MAC does not authenticate",
            ),
            (
                "of another zone",
                lambda v: v.replace("Z", "+01:00"),
                MAC,
                Stage.UNLOCKING,
                "the MAC does not authenticate",
            ),
            ("with a fraction", lambda v: v.replace("Z", ".999Z"), DECRYPTS, Stage.HARMLESS, "the same second"),
            ("with an offset of zero", lambda v: v.replace("Z", "+00:00"), DECRYPTS, Stage.HARMLESS, "the same second"),
            ("of zero to the west", lambda v: v.replace("Z", "-00:00"), DECRYPTS, Stage.HARMLESS, "the same second"),
            ("in lower case", str.lower, REFUSES, Stage.METADATA, _TIME_ADVICE),
            ("with a blank", lambda v: v.replace("T", " "), REFUSES, Stage.METADATA, _TIME_ADVICE),
            ("as a date", lambda v: f'{v[:11]}"', REFUSES, Stage.METADATA, _TIME_ADVICE),
            ("of nothing", lambda _: "''", REFUSES, Stage.METADATA, "sops has no lastmodified"),
        )
    },
    "lastmodified without quotes": forgery(
        "lastmodified as a timestamp of YAML",
        _lastmodified(lambda value: value.strip('"')),
        REFUSES,
        Stage.METADATA,
        "lastmodified is not text",
        sops_3_11=DECRYPTS,
    ),
    "lastmodified by another name": forgery(
        "`LastModified:`",
        edit("lastmodified:", "LastModified:"),
        DECRYPTS,
        Stage.HARMLESS,
        _CASE,
        sops_3_11=REFUSES,
    ),
    "lastmodified by a letter that folds": forgery(
        "`la\u017ftmodified:`, which Go takes for the same name",
        edit("lastmodified:", "la\u017ftmodified:"),
        DECRYPTS,
        Stage.HARMLESS,
        _CASE,
        sops_3_11=REFUSES,
    ),
    **{
        f"version of sops: {attack}": forgery(f"version of sops: {attack}", _version(new), sops, stage, words)
        for attack, new, sops, stage, words in (
            ("none", "", REFUSES, Stage.METADATA, "sops has no version"),
            ("a number", "    version: 3.9\n", REFUSES, Stage.METADATA, "version is not a version"),
            ("no version", "    version: latest\n", REFUSES, Stage.METADATA, "version is not a version"),
            ("of the future", "    version: 99.0.0\n", DECRYPTS, Stage.HARMLESS, "sops opens it as any other"),
            ("of the past", "    version: 1.0.0\n", DECRYPTS, Stage.HARMLESS, "sops opens it as any other"),
        )
    },
}
"""The MAC, when it was made, and by which sops."""

RECIPIENTS: Final[Mapping[str, Forgery]] = {
    "no recipients": forgery(
        "`age: []`",
        lambda scene: re.sub(r"(?m)^    age:\n(?: {8}.*\n)+", "    age: []\n", scene.honest),
        REFUSES,
        Stage.METADATA,
        "no key source",
    ),
    "recipients by another name": forgery(
        "`Age:` instead of `age:`", edit("    age:\n", "    Age:\n"), DECRYPTS, Stage.HARMLESS, _CASE, sops_3_11=REFUSES
    ),
    "recipients twice by case": forgery(
        "`AGE: []` beside `age:`", _more("AGE: []"), DECRYPTS, Stage.METADATA, "age stands twice in sops"
    ),
    "a recipient twice": forgery(
        "a stranger's stanza that claims to be for our key, first",
        lambda scene: replaced(
            scene.honest,
            "    age:\n",
            "    age:\n"
            + re.sub(r"recipient: \S+", f"recipient: {recipient_of(scene.honest)}", _stanza(scene.strange)),
        ),
        DECRYPTS,
        Stage.POLICY,
        "the same recipient stands there twice",
    ),
    "a recipient without a name": forgery(
        "`recipient` is removed",
        lambda scene: _named(scene.honest),
        DECRYPTS,
        Stage.POLICY,
        _MISSING,
    ),
    "a recipient under another name": forgery(
        "the stanza of our key says that it is for somebody else",
        honest(_relabelled),
        DECRYPTS,
        Stage.POLICY,
        _MISSING,
    ),
    "a recipient added": forgery(
        "a stanza for the attacker, in the hope that a later `sops rotate` encrypts for it",
        lambda scene: replaced(scene.honest, "    age:\n", f"    age:\n{_stanza(scene.strange)}"),
        DECRYPTS,
        Stage.POLICY,
        _SURPLUS,
    ),
    "a data key of the attacker's, for our key, under another name": forgery(
        "a stanza that opens with our key and gives another data key, behind ours",
        lambda scene: replaced(
            scene.honest, _stanza(scene.honest), _stanza(scene.honest) + _relabelled(_stanza(scene.own))
        ),
        DECRYPTS,
        Stage.POLICY,
        _SURPLUS,
    ),
    "a data key of the attacker's, for our key, under our name": forgery(
        "a stanza that opens with our key and gives another data key, in front of ours",
        lambda scene: replaced(scene.honest, "    age:\n", f"    age:\n{_stanza(scene.own)}"),
        TAG,
        Stage.POLICY,
        "the same recipient stands there twice",
    ),
    "a KMS key added": forgery(
        "a key source of another kind, which is asked when no age key opens the file",
        _more(_kms()),
        DECRYPTS,
        Stage.POLICY,
        _SURPLUS,
    ),
    "a KMS key added by a letter that folds": forgery(
        "`km\u017f:`, which Go takes for `kms:`",
        _more(_kms("km\u017f")),
        DECRYPTS,
        Stage.POLICY,
        _SURPLUS,
    ),
    "the lists by kind exchanged": forgery(
        "the age stanza as one of PGP",
        lambda scene: _named(scene.honest, f"fp: {'01234567' * 5}", 'created_at: "2026-01-01T00:00:00Z"').replace(
            "    age:\n", "    pgp:\n"
        ),
        NO_KEY,
        Stage.POLICY,
        _MISSING,
    ),
    "key groups beside a list": forgery(
        "`key_groups` of the attacker, which sops does not look at while there is a list",
        _more("key_groups: [{age: []}]"),
        DECRYPTS,
        Stage.HARMLESS,
        "sops looks at none of them, and neither do we",
    ),
    "key groups of no keys": forgery(
        "an empty `key_groups`",
        lambda scene: re.sub(r"(?m)^    age:\n(?: {8}.*\n)+", "    key_groups: []\n", scene.honest),
        REFUSES,
        Stage.METADATA,
        "no key source",
    ),
    "two key groups of the whole key": forgery(
        "the whole data key passed off as two parts",
        honest(_twice_grouped),
        NO_KEY,
        Stage.POLICY,
        "in other key groups",
    ),
    **{
        f"shamir_threshold: {value}": forgery(
            f"`shamir_threshold: {value}` beside one list", _more(f"shamir_threshold: {value}"), sops, stage, words
        )
        for value, sops, stage, words in (
            ("0", DECRYPTS, Stage.HARMLESS, "one group needs no threshold"),
            ("1", DECRYPTS, Stage.HARMLESS, "one group needs no threshold"),
            ("2", DECRYPTS, Stage.HARMLESS, "one group needs no threshold"),
            ("-1", DECRYPTS, Stage.HARMLESS, "one group needs no threshold"),
            ("300", DECRYPTS, Stage.HARMLESS, "one group needs no threshold"),
            ("many", REFUSES, Stage.METADATA, "shamir_threshold is not a number"),
        )
    },
    "shamir_threshold by another name": forgery(
        "`Shamir_Threshold: 1`", _more("Shamir_Threshold: 1"), DECRYPTS, Stage.HARMLESS, _CASE
    ),
}
"""To whom the file says it is encrypted."""
