"""``.sops.yaml``: who may open which files, and what of them is encrypted. Needs no key, asks nobody.

The first rule whose ``path_regex`` is found in the path of a file decides; one without takes every file. Read as
``config/config.go`` of sops 3.13.3 reads it, and more strictly where sops passes over a mistake in silence: unknown
fields, and selectors that are no regular expression, with which it writes plain text (tried on 3.13.3).

>>> config = parse_config(b"creation_rules: [{path_regex: ^prod/, pgp: 'AB CD, EF'}]")
>>> config.rule_for("test/app.yaml") is None
True
>>> sorted(map(str, config.rule_for("prod/app.yaml").recipients))
['pgp ABCD', 'pgp EF']
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from typing import Final

from reconciler.pysops.config.fields import Fields, did_you_mean, flag_of, items_of, text_of, threshold_of
from reconciler.pysops.config.keys import RULE_KEYS, KeyGroupNames, key_group_of, key_group_of_rule
from reconciler.pysops.config.path_regex import beginning_of
from reconciler.pysops.document import Mapping, Node, parse
from reconciler.pysops.errors import ConfigError, DocumentError, Mark
from reconciler.pysops.selectors import compile_re2
from reconciler.pysops.sops_metadata import SELECTORS
from reconciler.pysops.wrapped_keys import Recipient


_RULES: Final = "creation_rules"
_OTHER_FIELDS: Final = frozenset({"destination_rules", "stores"})
_RULE_FIELDS: Final = (
    "path_regex",
    *RULE_KEYS,
    "key_groups",
    "shamir_threshold",
    *SELECTORS,
    "mac_only_encrypted",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreationRule:
    """One of ``creation_rules``: for which files, for whom, what of them."""

    mark: Mark
    path_regex: str | None
    """RE2, found anywhere in the path; None takes every file."""

    key_groups: tuple[KeyGroupNames, ...]
    """At least one; one without names has its recipients from the command line. A name of an Azure key that ends in a
    slash stands for any version: sops asks Azure for the newest when it encrypts."""

    shamir_threshold: int
    """How many groups have to be opened when there are several; 0 when the rule does not say, which means all."""

    unencrypted_suffix: str | None
    encrypted_suffix: str | None
    unencrypted_regex: str | None
    encrypted_regex: str | None
    unencrypted_comment_regex: str | None
    encrypted_comment_regex: str | None
    """Selectors: at most one of the six is set. Without any, what ends in `_unencrypted` is plain."""

    mac_only_encrypted: bool
    ignored: tuple[str, ...] = ()
    """Fields that name recipients and that sops passes over, as the rule has ``key_groups``."""

    @property
    def recipients(self) -> frozenset[Recipient]:
        """Those of all groups, as the rule names them."""
        return frozenset(recipient for group in self.key_groups for recipient in group)

    @property
    def quorum(self) -> int:
        """How many groups have to be opened, whether the rule says so or not."""
        return self.shamir_threshold or len(self.key_groups) if len(self.key_groups) > 1 else 1

    def matches(self, path: str) -> bool:
        """Tell whether the rule is for ``path``, relative to the directory of the configuration."""
        return self.path_regex is None or _finder(self.path_regex)(path)

    def groups_for(self, recipients: Collection[Recipient]) -> tuple[frozenset[Recipient], ...]:
        """Return the groups with the names that a file may give them.

        Args:
            recipients: of the file. Where the rule leaves the version of an Azure key open, those with any version
                take its place.
        """
        return tuple(
            frozenset(name for recipient in group for name in _versions(recipient, recipients))
            for group in self.key_groups
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SopsConfig:
    """One ``.sops.yaml``."""

    rules: tuple[CreationRule, ...]
    """In file order. Without any, sops behaves as if there were no such file."""

    def rule_for(self, path: str) -> CreationRule | None:
        """Return the rule that decides about a file; None when none matches.

        Args:
            path: relative to the directory of the configuration, with forward slashes.
        """
        return next((rule for rule in self.rules if rule.matches(path)), None)


def parse_config(data: bytes) -> SopsConfig:
    """Read ``.sops.yaml``. Anchors, aliases and ``<<`` are fine; other top-level fields are left alone.

    Args:
        data: the whole file.

    Raises:
        ConfigError: it is not YAML, or a rule is one that sops could not follow or would follow in another sense.
    """
    try:
        root = parse(data, aliases=True).root
    except DocumentError as error:
        raise ConfigError(error.what, mark=error.mark, expected=error.expected, advice=error.advice) from None
    fields = Fields.read(root, None, "the file")
    entry = fields.get(_RULES)
    if entry is None:
        _refuse_misspelt(root)
        return SopsConfig(rules=())
    return SopsConfig(rules=tuple(_rule(item) for item in items_of(entry.value, _RULES)))


def _refuse_misspelt(root: Mapping) -> None:
    for entry in root.entries:
        name = entry.key.text
        advice = None if name in _OTHER_FIELDS else did_you_mean(name, (_RULES,))
        if advice is not None:
            raise ConfigError("a field that sops ignores", mark=entry.key.mark, advice=advice)


def _rule(node: Node) -> CreationRule:
    fields = Fields.read(node, _RULE_FIELDS, "a rule")
    items = fields.items("key_groups")
    groups = tuple(key_group_of(item) for item in items) if items else (key_group_of_rule(fields),)
    selectors = {name: text for name in SELECTORS if (text := text_of(fields, name))}
    if len(selectors) > 1:
        raise ConfigError(
            f"more than one selector: {', '.join(selectors)}", mark=fields.mark, expected="at most one in a rule"
        )
    path_regex = text_of(fields, "path_regex") or None
    patterns = {name: text for name, text in selectors.items() if name.endswith("_regex")}
    for name, pattern in {"path_regex": path_regex, **patterns}.items():
        entry = fields.get(name)
        if pattern is not None and entry is not None and compile_re2(pattern) is None:
            raise ConfigError(f"{name} is not a regular expression", mark=entry.value.mark, expected="RE2 syntax")
    return CreationRule(
        mark=fields.mark,
        path_regex=path_regex,
        key_groups=groups,
        shamir_threshold=threshold_of(fields, "shamir_threshold", len(groups)),
        mac_only_encrypted=flag_of(fields, "mac_only_encrypted"),
        ignored=tuple(name for name in RULE_KEYS if name in fields.entries) if items else (),
        **{name: selectors.get(name) for name in SELECTORS},
    )


@cache
def _finder(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether ``pattern`` is found in a path; mostly by its plain text, without asking RE2."""
    beginning = beginning_of(pattern)
    search = compile_re2(pattern)
    text = beginning.text

    def find(path: str) -> bool:
        if not (path.startswith(text) if beginning.anchored else text in path):
            return False
        if beginning.alone and "\n" not in path:
            return True
        # Go takes bytes that are no UTF-8 for U+FFFD; Python carries them as lone surrogates.
        return search is not None and search(path.encode(errors="replace").decode())

    return find


def _versions(named: Recipient, recipients: Collection[Recipient]) -> tuple[Recipient, ...]:
    """Return those of ``recipients`` that ``named`` leaves the version of open; itself when there is none."""
    if named.kind != "azure_kv" or not named.name.endswith("/"):
        return (named,)
    found = (each for each in recipients if each.kind == "azure_kv" and each.name.startswith(named.name))
    return tuple(each for each in found if "/" not in each.name[len(named.name) :]) or (named,)
