"""Versions of one scope file, made in-process: quick enough for hundreds of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypedDict

from reconciler import pysops
from reconciler.merging.sealing import Outcome, Three, merge_versions
from reconciler.merging.trees import NO_CHOICES, Choices
from reconciler.merging.versions import Surroundings
from reconciler.pysops.config import CreationRule, parse_config
from reconciler.pysops.decryptor import LockedFile
from tests.support.age_keys import AgeKey
from tests.support.secrets_repo import ENCRYPTED_REGEX, Value, scope_text


NOW: Final = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)

PATH: Final = "secrets/prod/app.yaml"

HOST: Final = "adb-1.2.azuredatabricks.net"

Values = Mapping[str, Value]
"""``scope/key`` to value."""


class Fields(TypedDict, total=False):
    """The plain fields of a file."""

    acls: Sequence[str]
    prune: str
    rotation: Sequence[str]


def rule_for(*keys: AgeKey) -> CreationRule:
    """Return a rule that names some people."""
    names = ", ".join(key.recipient for key in keys)
    text = f"creation_rules: [{{age: [{names}], encrypted_regex: {ENCRYPTED_REGEX}}}]"
    (rule,) = parse_config(text.encode()).rules
    return rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Whoever merges: a folder with rules, and a key."""

    root: Path
    key: AgeKey
    host: str = HOST
    """Of the target that files are for."""

    def around(self, *named: AgeKey) -> Surroundings:
        """Return the surroundings, with a ``.sops.yaml`` that names ``named`` if anybody."""
        (self.root / "secrets").mkdir(exist_ok=True)
        if named:
            names = ", ".join(key.recipient for key in named)
            text = f"creation_rules: [{{age: [{names}], encrypted_regex: {ENCRYPTED_REGEX}}}]"
            (self.root / ".sops.yaml").write_text(text)
        return Surroundings(self.root, {"SOPS_AGE_KEY": self.key.identity}, self.root)

    @property
    def identities(self) -> pysops.Identities:
        """The key, for pysops."""
        return pysops.Identities.from_text(self.key.identity, "test")

    def file(
        self,
        values: Values,
        *readers: AgeKey,
        acls: Sequence[str] | None = None,
        prune: str | None = None,
        rotation: Sequence[str] | None = None,
    ) -> bytes:
        """Encrypt a new file to us and ``readers``."""
        nested: dict[str, dict[str, Value]] = {}
        for name, value in values.items():
            scope, key = name.split("/")
            nested.setdefault(scope, {})[key] = value
        text = scope_text({self.host: nested}, acls=acls, prune=prune, rotation=rotation)
        rule = rule_for(self.key, *readers)
        writer = pysops.Writer(self.identities)
        return writer.encrypt(
            text.encode(), rule=rule, now=NOW, destination=self.root / PATH, config=self.root / ".sops.yaml"
        )

    def locked(self, data: bytes) -> LockedFile:
        """Return a file to open."""
        return LockedFile.read(pysops.parse(data))

    def change(self, data: bytes, *edits: pysops.Edit) -> bytes:
        """Return a file with values changed."""
        return pysops.Writer(self.identities).change(self.locked(data), edits, now=NOW)

    def put(self, data: bytes, **values: str) -> bytes:
        """Return a file with values put into the scope ``s``."""
        return self.change(
            data, *(pysops.Put(path=("secrets", self.host, "s", key), value=text) for key, text in values.items())
        )

    def remove(self, data: bytes, *keys: str) -> bytes:
        """Return a file without keys of the scope ``s``."""
        return self.change(data, *(pysops.Remove(path=("secrets", self.host, "s", key)) for key in keys))

    def rekey(self, data: bytes, *readers: AgeKey) -> bytes:
        """Return a file with a new data key, for us and ``readers``."""
        return pysops.Writer(self.identities).rekey(
            self.locked(data),
            rule=rule_for(self.key, *readers),
            now=NOW,
            destination=self.root / PATH,
            config=self.root / ".sops.yaml",
        )

    def rekey_from(self, before: "Desk", data: bytes) -> bytes:
        """Return a file of somebody else, with a new data key, for us and them."""
        return pysops.Writer(before.identities).rekey(
            self.locked(data),
            rule=rule_for(self.key, before.key),
            now=NOW,
            destination=self.root / PATH,
            config=self.root / ".sops.yaml",
        )

    def file_like(
        self,
        data: bytes,
        values: Values,
        *,
        acls: Sequence[str] | None = None,
        prune: str | None = None,
        rotation: Sequence[str] | None = None,
    ) -> bytes:
        """Return a file with other values and other plain fields, changed as in an editor."""
        writer = pysops.Writer(self.identities)
        text = writer.plaintext(self.locked(self.file(values, acls=acls, prune=prune, rotation=rotation)))
        return writer.reseal(self.locked(data), text, now=NOW)

    def read(self, data: bytes) -> dict[str, object]:
        """Return what a file holds: values by ``scope/key``, other fields by name."""
        return flat(pysops.load_bytes(data, self.identities))

    def merge(
        self,
        base: bytes | None,
        ours: bytes,
        theirs: bytes,
        *,
        around: Surroundings | None = None,
        choices: Choices = NO_CHOICES,
        settled: bool = False,
    ) -> Outcome:
        """Merge three versions."""
        three = Three(base=base, ours=ours, theirs=theirs)
        return merge_versions(PATH, three, around or self.around(), now=NOW, choices=choices, settled=settled)


def flat(opened: Mapping[str, object]) -> dict[str, object]:
    """Return the values of a file by ``scope/key``, and its other fields by name."""
    found = {name: value for name, value in opened.items() if name != "secrets"}
    secrets = opened["secrets"]
    assert isinstance(secrets, Mapping)
    for scopes in secrets.values():
        for scope, keys in scopes.items():
            found.update((f"{scope}/{key}", value) for key, value in keys.items())
    return found


def recipients(data: bytes) -> set[str]:
    """Return who can open a file."""
    return {recipient.name for recipient in pysops.recipients(data)}
