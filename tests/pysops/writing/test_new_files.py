"""Files with a new data key: of a text, or of a file that gets other recipients."""

import re
from pathlib import Path
from typing import Final

import pytest

from reconciler import pysops
from reconciler.pysops import ArgumentError, Identities, MetadataError, NoIdentity, Put
from reconciler.pysops.age.key_texts import keys_of_ssh
from reconciler.pysops.writing.metadata_text import WRITTEN_AS
from tests.pysops.writing.desk import NOW, PLAIN, WRITTEN, Desk, envelopes, locked
from tests.support.age_keys import AgeKey


_NOWHERE: Final = Path("a.yaml")
"""Only the program asks where."""

_VARIES: Final = re.compile(r"ENC\[[^\]]*\]|^ +[A-Za-z0-9+/=]+$|\"[0-9TZ:-]+\"|version: .*", re.MULTILINE)


def _shape(data: bytes) -> str:
    """Return a file without what is random in it, or is of its time."""
    lines = [line for line in _VARIES.sub("…", data.decode()).splitlines() if line != "…"]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "further",
    [
        pytest.param((), id="usual"),
        pytest.param(("mac_only_encrypted: true",), id="mac-only-encrypted"),
    ],
)
@pytest.mark.parametrize(
    "selector",
    [
        "encrypted_regex: ^secrets$",
        "",
        "unencrypted_suffix: _plain",
        "encrypted_suffix: s",
        "unencrypted_regex: '^h|^scope'",
    ],
)
def test_a_new_file_looks_like_one_of_sops(selector: str, further: tuple[str, ...], desk: Desk) -> None:
    """Line by line, but for what is random."""
    here = Desk(sops=desk.sops, key=desk.key, selector="\n    ".join((selector, *further)).strip())
    ours, theirs = here.ours(), here.theirs()
    if desk.sops.version >= (3, 13):  # older ones put comments above, and order fields otherwise
        assert _shape(ours) == _shape(theirs)
    assert here.shown(ours) == here.shown(theirs)
    assert here.read(ours) == here.read(theirs)
    assert f'    lastmodified: "{WRITTEN}"\n'.encode() in ours
    assert f"    version: {WRITTEN_AS}\n".encode() in ours


_MAKE: Final = {
    "x25519": AgeKey.generate,
    "hybrid": AgeKey.hybrid,
    "ssh-ed25519": AgeKey.ssh_ed25519,
    "ssh-rsa": AgeKey.ssh_rsa,
}


@pytest.mark.parametrize("kind", list(_MAKE))
def test_every_kind_of_age_recipient(kind: str, desk: Desk) -> None:
    """Each can open what was encrypted for it, by us and by sops, and beside others."""
    key = _MAKE[kind]()
    named = f"{key.recipient} somebody@host" if kind.startswith("ssh") else key.recipient
    made = desk.ours(rule=desk.rule(recipients=f"{desk.key.recipient},{named}"))
    assert [recipient.name for recipient in pysops.recipients(made)] == [desk.key.recipient, named]
    if kind.startswith("ssh"):
        identities = Identities(keys_of_ssh(key.identity.encode(), "test"))
    else:
        identities = Identities.from_text(key.identity, "test")
        if kind == "x25519" or desk.sops.version >= (3, 12):
            assert desk.sops.decrypt(made, key.identity)
    assert pysops.load_bytes(made, identities) == desk.read(made)
    assert desk.shown(made) == desk.shown(desk.theirs())


@pytest.mark.parametrize(("threshold", "needed"), [(0, 3), (2, 2), (3, 3)])
def test_several_key_groups(threshold: int, needed: int, desk: Desk) -> None:
    """As many as the rule says open the file, and no fewer; all if it does not say."""
    keys = [AgeKey.generate() for _ in range(3)]
    groups = "".join(f"\n      - age: [{key.recipient}]" for key in keys)
    text = f"creation_rules:\n  - encrypted_regex: ^secrets$\n    key_groups:{groups}\n"
    rule = pysops.parse_config((text + (f"    shamir_threshold: {threshold}\n" if threshold else "")).encode()).rules[0]
    made = desk.ours(rule=rule)
    assert pysops.metadata(made).shamir_threshold == needed
    enough = "\n".join(key.identity for key in keys[-needed:])
    assert pysops.load_bytes(made, Identities.from_text(enough, "test")) == desk.read(desk.theirs())
    assert desk.sops.decrypt(made, enough).decode() == desk.shown(desk.theirs())
    with pytest.raises(NoIdentity):
        pysops.load_bytes(made, Identities.from_text("\n".join(key.identity for key in keys[1:needed]), "test"))


def test_rekeying_changes_all_that_is_encrypted(desk: Desk, theirs: bytes) -> None:
    """For the recipients of the rule alone; nothing else of the file changes, also what only we would write."""
    data = theirs.replace(b"\nsops:", b"\n\nsops:").replace(b"    B:", b"\n    B:")
    new = AgeKey.generate()
    made = desk.writer.rekey(
        locked(data), rule=desk.rule(recipients=new.recipient), now=NOW, destination=_NOWHERE, config=_NOWHERE
    )
    assert envelopes(made).isdisjoint(envelopes(data))
    assert [recipient.name for recipient in pysops.recipients(made)] == [new.recipient]
    assert _shape(made.partition(b"\nsops:")[0]) == _shape(data.partition(b"\nsops:")[0])
    assert pysops.load_bytes(made, Identities.from_text(new.identity, "test")) == desk.read(theirs)
    assert desk.sops.decrypt(made, new.identity).decode() == desk.shown(theirs)
    with pytest.raises(NoIdentity):
        desk.read(made)


def test_rekeying_keeps_kinds(desk: Desk) -> None:
    """A float stays one, that only ``type:float`` tells from an integer."""
    data = desk.theirs(b"secrets:\n    f: 5.0\n    i: 5\n    s: '5'\n    n:\n    e: ''\n    l: []\n")
    made = desk.writer.rekey(locked(data), rule=desk.rule(), now=NOW, destination=_NOWHERE, config=_NOWHERE)
    assert repr(desk.read(made)) == repr(desk.read(data))


def test_rekeying_by_a_selector_that_would_uncover_a_secret(desk: Desk, theirs: bytes) -> None:
    """Is refused; one that covers more is followed."""
    narrow = Desk(sops=desk.sops, key=desk.key, selector="encrypted_regex: ^A$").rule()
    with pytest.raises(ArgumentError, match="in plain"):
        desk.writer.rekey(locked(theirs), rule=narrow, now=NOW, destination=_NOWHERE, config=_NOWHERE)
    wide = Desk(sops=desk.sops, key=desk.key, selector="").rule()
    made = desk.writer.rekey(locked(theirs), rule=wide, now=NOW, destination=_NOWHERE, config=_NOWHERE)
    assert b"https://one" not in made
    assert desk.read(made) == desk.read(theirs)


def test_a_selector_that_is_no_pattern_is_refused(desk: Desk) -> None:
    """Sops would write everything in plain."""
    rule = desk.rule()
    object.__setattr__(rule, "encrypted_regex", "^(?!x)")
    with pytest.raises(MetadataError, match="not a regular"):
        desk.ours(rule=rule)


def test_the_own_file_can_be_changed_at_once(desk: Desk) -> None:
    """Encrypt, then change: both of the same minute, and both read by sops."""
    made = desk.change(desk.ours(PLAIN.rstrip(b"\n")), Put(path=("secrets", "new"), value="v"))
    assert "    new: v\n" in desk.shown(made)
