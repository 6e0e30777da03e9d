"""Forgeries as data: what somebody without a key does to a file, what sops says of it, and where it ends here.

One honest file with a history is made per worker; hundreds of forgeries are made of its bytes. ``docs/forgeries.md`` is
written from the same tables.
"""

import enum
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.policy.samples import HOST
from tests.support.age_keys import AgeKey
from tests.support.secrets_repo import ENCRYPTED_REGEX
from tests.support.sops_tool import SopsFailed, SopsTool
from tests.support.workshop import replaced


PATH: Final = "secrets/prod/app.yaml"

KNOWN: Final = "<MANAGE evil>"
"""The text of the first secret, which the attacker knows: it was his own, or is public."""

_FIRST_COMMIT: Final = f"""\
acls:
    - <WRITE admins>
    - <READ users>
prune: all
rotation:
    - <90d known>
    - <180d *>
version: 1
secrets:
    {HOST}:
        app:
            known: {KNOWN}
            port: "5432"
            flag: "true"
            first: first value
            second: older value
            blob: {{base64: AAEC}}
            nothing: {{empty: "yes"}}
        billing:
            invoice: third value
            login: alice-and-her-password
"""

DECRYPTS: Final = 0
REFUSES: Final = 1
TAG: Final = 25
MAC: Final = 51
NO_KEY: Final = 128
"""Exit codes of sops: it prints the values; cannot read the file; a value does not authenticate; the MAC does not fit;
no data key."""


class Stage(enum.Enum):
    """Where a forgery ends. The first three need no key: exit code 4, no credential loaded, no request made."""

    DOCUMENT = "document"
    """`pysops.parse` raises DocumentError."""

    METADATA = "metadata"
    """`pysops.read_metadata` raises MetadataError."""

    POLICY = "policy"
    """A rule of scope files, in `reconciler.policy`."""

    UNLOCKING = "unlocking"
    """`pysops.decrypt`: exit code 5, and nothing is written to the scopes that the file feeds."""

    HARMLESS = "harmless"
    """It is accepted, and means to the workspace what the honest file means."""

    REVIEW = "review"
    """It is accepted and means something else: nothing in the file shows it, so that only review can."""


KEYLESS: Final = frozenset({Stage.DOCUMENT, Stage.METADATA, Stage.POLICY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What an attacker has: the honest file, its history, and what he can make of the public recipient."""

    honest: str
    """As committed."""

    older: str
    """As committed before: the same data key, another text of ``second``, and ``login`` where now ``user`` and ``word``
    stand."""

    unsealed: str
    """As `older`, of an author whose sops leaves what is plain out of the MAC."""

    own: str
    """Of the attacker's own making, to the same recipient: another data key."""

    strange: str
    """As `older`, encrypted to a stranger."""


Forge = Callable[[Scene], str | bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    """One attack."""

    attack: str
    """What the attacker does, for the table in the documents."""

    forge: Forge

    sops: int
    """Exit code of ``sops decrypt``, version 3.13.3."""

    stage: Stage

    words: str
    """Of the message that refuses it, or why it is not refused."""

    sops_3_11: int
    """Exit code of version 3.11.0, which reads metadata otherwise. Those in between are as the one or the other."""


def forgery(attack: str, forge: Forge, sops: int, stage: Stage, words: str, *, sops_3_11: int | None = None) -> Forgery:
    """Return a row of a table; short, as there are many."""
    older = sops if sops_3_11 is None else sops_3_11
    return Forgery(attack=attack, forge=forge, sops=sops, stage=stage, words=words, sops_3_11=older)


def honest(*steps: Callable[[str], str]) -> Forge:
    """Edit the honest file in steps, each of which changes something."""

    def make(scene: Scene) -> str:
        content = scene.honest
        for step in steps:
            changed = step(content)
            assert changed != content
            content = changed
        return content

    return make


def edit(old: str, new: str) -> Forge:
    """Replace what stands exactly once in the honest file."""
    return lambda scene: replaced(scene.honest, old, new)


def recipient_of(content: str) -> str:
    """Return the only recipient that a file names."""
    (recipient,) = re.findall(r"recipient: (age1\w+)", content)
    return str(recipient)


def make_scene(sops: SopsTool, key: AgeKey) -> Scene:
    """Let the real sops make the honest file, in two commits, and what else there is."""

    def encrypted(plaintext: str, recipient: str = key.recipient) -> str:
        return sops.encrypt(plaintext.encode(), [recipient], encrypted_regex=ENCRYPTED_REGEX).decode()

    older = encrypted(_FIRST_COMMIT)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file.yaml"
        file.write_text(older)
        config = Path(folder) / ".sops.yaml"
        rule = f"age: {key.recipient}\n  encrypted_regex: {ENCRYPTED_REGEX}\n  mac_only_encrypted: true"
        config.write_text(f"creation_rules:\n- {rule}\n")
        # By a rule, as the flag has to stand in another place with each version.
        encrypt = ("--config", str(config), "encrypt", "--filename-override", str(file))
        unsealed = sops.run(encrypt, stdin=_FIRST_COMMIT.encode()).decode()

        def change(command: str, scope: str, name: str, *value: str) -> None:
            sops.run((command, str(file), f'["secrets"]["{HOST}"]["{scope}"]["{name}"]', *value), identity=key.identity)

        change("set", "app", "second", '"newer value"')
        change("unset", "billing", "login")
        change("set", "billing", "user", '"alice"')
        change("set", "billing", "word", '"-and-her-password"')
        newer = file.read_text()
    return Scene(
        honest=newer,
        older=older,
        unsealed=unsealed,
        own=encrypted(_FIRST_COMMIT.replace("first value", "evil value")),
        strange=encrypted(_FIRST_COMMIT, AgeKey.generate().recipient),
    )


def sops_rules(key: AgeKey) -> str:
    """Return the ``.sops.yaml`` of the repository."""
    return f"creation_rules:\n    - encrypted_regex: {ENCRYPTED_REGEX}\n      age: {key.recipient}\n"


def sops_says(sops: SopsTool, content: str | bytes, key: AgeKey) -> int:
    """Return the exit code of ``sops decrypt``."""
    try:
        sops.decrypt(content.encode() if isinstance(content, str) else content, key.identity)
    except SopsFailed as error:
        return error.exit_code
    return DECRYPTS
