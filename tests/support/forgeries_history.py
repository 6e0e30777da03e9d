"""Forgeries with what stands in the history, in other files, or is made for the public recipients."""

from collections.abc import Callable, Mapping
from typing import Final

from tests.support.forgery import DECRYPTS, MAC, NO_KEY, TAG, Forge, Forgery, Scene, Stage, forgery, recipient_of
from tests.support.workshop import line_of, replaced


def _metadata_of(other: Callable[[Scene], str]) -> Forge:
    """Keep the values, take the metadata of another file."""
    return lambda scene: f"{scene.honest.partition('sops:')[0]}sops:{other(scene).partition('sops:')[2]}"


def _line_of_older(name: str) -> Forge:
    return lambda scene: replaced(scene.honest, line_of(scene.honest, name), line_of(scene.older, name))


def _login_again(scene: Scene) -> str:
    """Put the line of a secret that was split in two back in place of the two, which together are the same bytes."""
    content = replaced(scene.honest, line_of(scene.honest, "user"), line_of(scene.older, "login"))
    return replaced(content, line_of(content, "word"), "")


_OTHER_KEYS: Final = "it was altered, or stands below other keys than it was encrypted for"

HISTORY: Final[Mapping[str, Forgery]] = {
    "a value of an older commit": forgery(
        "an older value of the same key, under the same data key",
        _line_of_older("second"),
        MAC,
        Stage.UNLOCKING,
        "the MAC does not fit the values",
    ),
    "the MAC of an older commit": forgery(
        "with its lastmodified",
        _metadata_of(lambda scene: scene.older),
        MAC,
        Stage.UNLOCKING,
        "the MAC does not fit the values",
    ),
    "values of an older commit under the MAC of now": forgery(
        "to undo a rotation that seems to stand",
        lambda scene: f"{scene.older.partition('sops:')[0]}sops:{scene.honest.partition('sops:')[2]}",
        MAC,
        Stage.UNLOCKING,
        "the MAC does not fit the values",
    ),
    "a value of another file": forgery(
        "a value of the attacker's own file, of the same host, scope and key",
        lambda scene: replaced(scene.honest, line_of(scene.honest, "first"), line_of(scene.own, "first")),
        TAG,
        Stage.UNLOCKING,
        _OTHER_KEYS,
    ),
    "another data key": forgery(
        "the metadata of the attacker's own file",
        _metadata_of(lambda scene: scene.own),
        TAG,
        Stage.UNLOCKING,
        _OTHER_KEYS,
    ),
    "a stranger's data key": forgery(
        "the metadata of a file for somebody else",
        _metadata_of(lambda scene: scene.strange),
        NO_KEY,
        Stage.POLICY,
        "cannot open the file, though .sops.yaml:2 names it",
    ),
    "a stranger's file": forgery(
        "a whole file for somebody else",
        lambda scene: scene.strange,
        NO_KEY,
        Stage.POLICY,
        "cannot open the file, though .sops.yaml:2 names it",
    ),
    "a stranger's file, said to be ours": forgery(
        "a whole file for somebody else, whose stanza says that it is for us",
        lambda scene: scene.strange.replace(recipient_of(scene.strange), recipient_of(scene.honest)),
        NO_KEY,
        Stage.UNLOCKING,
        "no identity at hand opens the file",
    ),
    "an older commit": forgery(
        "the whole file as it was",
        lambda scene: scene.older,
        DECRYPTS,
        Stage.REVIEW,
        "it is an honest file. The review shows every value that goes back, and an older `lastmodified`.",
    ),
    "a secret that was split, whole again": forgery(
        "two secrets give way to an older one whose text is theirs, joined",
        _login_again,
        DECRYPTS,
        Stage.REVIEW,
        "the MAC covers texts without boundaries, and an older value still authenticates while the data key stays. The "
        "review shows the lines. `sops rotate` after each change of keys makes it impossible.",
    ),
    "a file of the attacker's own": forgery(
        "a complete new file, encrypted to the public recipients",
        lambda scene: scene.own,
        DECRYPTS,
        Stage.REVIEW,
        "whoever knows the recipients can encrypt to them, and sops signs nothing. The review shows that every "
        "ciphertext and the data key are new.",
    ),
}
"""What an attacker finds in the history, or makes for the public recipients."""
