"""Forgeries of key groups: the data key in parts, one of which the attacker can open."""

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyrage

from reconciler.pysops import DecryptionError, MetadataError, NoIdentity, SopsError, TamperedValue
from tests.support.age_keys import AgeKey
from tests.support.forgery import DECRYPTS, NO_KEY, TAG
from tests.support.sops_tool import SopsTool


_PLAINTEXT: Final = b"note: plain\nsecrets:\n    first: first value\n    second: second value\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupScene:
    """A file of three key groups, any two of which open it."""

    honest: str
    keys: tuple[AgeKey, ...]
    """One of each group; who reads has all, and the attacker the first."""

    stranger: AgeKey
    """The attacker's own."""

    @property
    def groups(self) -> tuple[str, ...]:
        """The items of ``key_groups``, in file order."""
        (whole,) = re.findall(r"(?m)^    key_groups:\n((?: {8}.*\n)+)", self.honest)
        return tuple(re.findall(r"(?m)^ {8}- .*\n(?: {10}.*\n)*", str(whole)))

    def part(self, number: int) -> bytes:
        """Open the part of a group."""
        (armored,) = re.findall(r"(?s)(-----BEGIN.*?-----END[^\n]*)", self.groups[number])
        lines = "\n".join(line.strip() for line in str(armored).splitlines())
        opened: bytes = pyrage.decrypt(lines.encode(), [pyrage.x25519.Identity.from_str(self.keys[number].identity)])
        return opened

    def group_of(self, part: bytes, key: AgeKey) -> str:
        """Return a group of one recipient, to whom anybody can encrypt anything."""
        armored: bytes = pyrage.encrypt(part, [pyrage.x25519.Recipient.from_str(key.recipient)], armored=True)
        lines = "".join(f"                    {line}\n" for line in armored.decode().splitlines())
        return f"        - age:\n            - recipient: {key.recipient}\n              enc: |\n{lines}"

    def with_groups(self, *groups: str, threshold: int | None = 2) -> str:
        """Return the file with other groups."""
        content = re.sub(r"(?m)^    (?:key_groups:\n(?: {8}.*\n)+|shamir_threshold: .*\n)", "", self.honest)
        says = "" if threshold is None else f"    shamir_threshold: {threshold}\n"
        return content.replace("sops:\n", f"sops:\n    key_groups:\n{''.join(groups)}{says}", 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupForgery:
    """One attack on key groups."""

    attack: str
    forge: Callable[[GroupScene], str]
    sops: int
    error: type[SopsError] | None
    """What `pysops.load` raises; None: it returns what the honest file holds."""

    words: str


def make_group_scene(sops: SopsTool) -> GroupScene:
    """Let the real sops make the file."""
    keys = tuple(AgeKey.generate() for _ in range(3))
    groups = "".join(f"        - age: [{key.recipient}]\n" for key in keys)
    rule = f"creation_rules:\n    - encrypted_regex: ^secrets$\n      shamir_threshold: 2\n      key_groups:\n{groups}"
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / ".sops.yaml"
        config.write_text(rule)
        name = str(Path(folder) / "secrets.yaml")
        done = sops.run(("--config", str(config), "encrypt", "--filename-override", name), stdin=_PLAINTEXT)
    return GroupScene(honest=done.decode(), keys=keys, stranger=AgeKey.generate())


def _row(
    attack: str, forge: Callable[[GroupScene], str], sops: int, error: type[SopsError] | None, words: str
) -> GroupForgery:
    return GroupForgery(attack=attack, forge=forge, sops=sops, error=error, words=words)


def _as_a_list(scene: GroupScene, *numbers: int) -> str:
    """Pass parts off as the data key, wrapped for several recipients."""
    content = scene.with_groups(threshold=None).replace("    key_groups:\n", "")
    lines = [line for number in numbers for line in scene.groups[number].splitlines(keepends=True)]
    items = (line[4:] for line in lines if line.startswith(" " * 12))
    return content.replace("sops:\n", f"sops:\n    age:\n{''.join(items)}", 1)


_ALL_PARTS: Final = "every part that opens is used, so that a threshold says only when to give up"
_NO_DATA_KEY: Final = "the key groups do not make a data key"

GROUPS: Final[Mapping[str, GroupForgery]] = {
    **{
        f"threshold {threshold}": _row(
            "no threshold" if threshold is None else f"`shamir_threshold: {threshold}`",
            lambda scene, threshold=threshold: scene.with_groups(*scene.groups, threshold=threshold),  # type: ignore[misc]
            DECRYPTS,
            None,
            _ALL_PARTS,
        )
        for threshold in (None, 0, 1, 3)
    },
    "threshold 9": _row(
        "`shamir_threshold: 9`",
        lambda scene: scene.with_groups(*scene.groups, threshold=9),
        NO_KEY,
        MetadataError,
        "shamir_threshold is above the number of key groups",
    ),
    "one group less": _row(
        "a group is removed", lambda scene: scene.with_groups(*scene.groups[1:]), DECRYPTS, None, "two are enough"
    ),
    "one group, threshold 1": _row(
        "the group that the attacker can open, alone",
        lambda scene: scene.with_groups(scene.groups[0], threshold=1),
        TAG,
        DecryptionError,
        "the data key is not of 256 bits",
    ),
    "a part as the data key": _row(
        "the first group as the one list",
        lambda scene: _as_a_list(scene, 0),
        TAG,
        DecryptionError,
        "the data key is not of 256 bits",
    ),
    "parts as one group": _row(
        "all groups as the one list",
        lambda scene: _as_a_list(scene, 0, 1, 2),
        TAG,
        DecryptionError,
        "the data key is not of 256 bits",
    ),
    "a part cut to the length of a data key": _row(
        "a known part without its last byte, as the only group",
        lambda scene: scene.with_groups(scene.group_of(scene.part(0)[:-1], scene.keys[0]), threshold=None),
        TAG,
        TamperedValue,
        "a value does not authenticate",
    ),
    "a group twice": _row(
        "the group that the attacker can open, twice",
        lambda scene: scene.with_groups(scene.groups[0], scene.groups[0]),
        NO_KEY,
        DecryptionError,
        _NO_DATA_KEY,
    ),
    "a group twice, and another": _row(
        "a group doubled",
        lambda scene: scene.with_groups(*scene.groups, scene.groups[0]),
        NO_KEY,
        DecryptionError,
        _NO_DATA_KEY,
    ),
    "a part at the same place": _row(
        "another part with the number of a known one",
        lambda scene: scene.with_groups(*scene.groups, scene.group_of(b"x" * 32 + scene.part(0)[-1:], scene.keys[0])),
        NO_KEY,
        DecryptionError,
        _NO_DATA_KEY,
    ),
    "a part of another length": _row(
        "a part of one byte less",
        lambda scene: scene.with_groups(*scene.groups[:2], scene.group_of(b"x" * 31 + b"\xff", scene.keys[2])),
        NO_KEY,
        DecryptionError,
        _NO_DATA_KEY,
    ),
    "a part of the attacker's": _row(
        "a part that fits no other, which spoils the data key",
        lambda scene: scene.with_groups(*scene.groups[:2], scene.group_of(b"x" * 32 + b"\xfe", scene.keys[2])),
        TAG,
        TamperedValue,
        "a value does not authenticate",
    ),
    "a part at zero": _row(
        "a part with the number 0, which is the data key whatever the others say",
        lambda scene: scene.with_groups(*scene.groups[:2], scene.group_of(b"x" * 32 + b"\0", scene.keys[2])),
        TAG,
        TamperedValue,
        "a value does not authenticate",
    ),
    "two parts of the attacker's": _row(
        "a data key of the attacker's, in two parts for our recipients",
        lambda scene: scene.with_groups(
            scene.group_of(b"x" * 32 + b"\x01", scene.keys[0]), scene.group_of(b"y" * 32 + b"\x02", scene.keys[1])
        ),
        TAG,
        TamperedValue,
        "a value does not authenticate",
    ),
    "a group of the attacker's alone": _row(
        "parts that only the attacker can open",
        lambda scene: scene.with_groups(
            scene.group_of(scene.part(0), scene.stranger), scene.group_of(b"y" * 33, scene.stranger)
        ),
        NO_KEY,
        NoIdentity,
        "none of the 2 key groups of the file opened",
    ),
    "a group of the attacker's besides": _row(
        "a group that only the attacker can open, in the hope that a later `sops rotate` fills it",
        lambda scene: scene.with_groups(*scene.groups, scene.group_of(b"y" * 33, scene.stranger)),
        DECRYPTS,
        None,
        "it opens nothing now. `validate` compares recipients with `.sops.yaml`",
    ),
    "an empty group": _row(
        "a group without keys",
        lambda scene: scene.with_groups("        - {}\n", *scene.groups),
        DECRYPTS,
        None,
        _ALL_PARTS,
    ),
}
"""In file order."""
