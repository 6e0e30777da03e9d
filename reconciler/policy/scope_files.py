"""Scope files: which grants, prune rule, rotation rules and keys a file holds, read without any key.

What the MAC of SOPS leaves open is closed here. It covers the bytes of all leaves one after the other, so that plain
text can be moved from one field into its neighbour, mapping keys can be renamed, and null or empty entries added,
unnoticed. Hence:

* Every leaf outside ``secrets`` is a single bracketed scalar, one of three words, or ``1``: no two of these read
  differently when a boundary between them moves.
* The order of fields is fixed, and ``version: 1`` stands between what is plain and what is secret, so that no byte of
  a known secret can become policy.
* Fields that we do not know, nulls, empty text, empty lists and empty mappings are refused.
* The selector is exactly ``encrypted_regex: ^secrets$``: the file cannot say that a secret is plain, or the other way.
"""

import re
import shlex
from collections.abc import Sequence as AbstractSequence
from dataclasses import dataclass
from typing import Final

from reconciler.errors import Problem
from reconciler.model import Acl, KeyName, Permission, Prune
from reconciler.policy import names
from reconciler.policy.findings import Findings, article_of, note_twins, quoted
from reconciler.policy.scope_values import Feed, SecretsReader
from reconciler.policy.sops_rules import ENCRYPTED_REGEX, NO_RULES, SopsRules, judge
from reconciler.policy.sources import FOLDER, TARGETS_FILE
from reconciler.pysops import (
    Document,
    DocumentError,
    Entry,
    Mapping,
    Mark,
    Metadata,
    MetadataError,
    Node,
    Recipient,
    Scalar,
    ScalarKind,
    Sequence,
    parse,
    read_metadata,
)


FIELDS: Final = ("acls", "prune", "rotation", "version", "secrets", "sops")
"""Every field of a scope file, in the order in which they must stand."""

_ORDER: Final = f"the order {', '.join(FIELDS)}"
_ACL: Final = re.compile(r"<(READ|WRITE|MANAGE) ([^<>:]+)>")
_EXPECTED_ACL: Final = "<READ PRINCIPAL>, <WRITE PRINCIPAL> or <MANAGE PRINCIPAL>"
_ROTATION: Final = re.compile(r"<([1-9][0-9]{0,4})d ([A-Za-z0-9_.-]{1,128}|\*)>")
_EXPECTED_ROTATION: Final = "<90d KEY> or <180d *>"


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationRule:
    """How old the value of a key, or of any key, may get."""

    days: int
    key: KeyName | None
    """None for ``*``: whatever no earlier rule names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeFile:
    """One scope file, as far as it could be read."""

    path: str
    document: Document
    metadata: Metadata | None
    """None when the file has none, or none that is usable; a problem says so."""

    acls: tuple[Acl, ...] | None
    """Grants on every scope that the file feeds; None leaves grants alone."""

    prune: Prune | None
    rotation: tuple[RotationRule, ...] | None
    policy_mark: Mark | None
    """Where the first of acls, prune and rotation stands; None when there is none of them."""

    named: frozenset[Recipient]
    """Whom ``.sops.yaml`` names for this file: those of the first rule that matches it, spelt as in the metadata where
    the rule leaves the version of an Azure key open. Empty when there is no such rule, or no usable ``.sops.yaml``."""

    feeds: tuple[Feed, ...]
    complete: bool
    """`feeds` names every host and scope that the file feeds. If not, it may be about any of them."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableFile:
    """A file that is no document: what it feeds is unknown."""

    path: str
    problems: tuple[Problem, ...]


def read_scope_file(path: str, data: bytes, rules: SopsRules = NO_RULES) -> ScopeFile | UnreadableFile:
    """Read one scope file. Never raises for what stands in it, and collects all that is wrong with it.

    Args:
        path: as in `Sources.files`.
        data: the whole file.
        rules: of ``.sops.yaml``.
    """
    findings = Findings(path)
    if path != path.lower() and path.lower().endswith((".yaml", ".yml")) and not path.endswith((".yaml", ".yml")):
        what, advice = "the name of the file does not end in .yaml", "rename it: sops goes by the ending"
        findings.add(None, what, advice=advice, rule="file-name")
    try:
        document = parse(data)
    except DocumentError as error:
        findings.add_error(error, rule="strict-reading")
        return UnreadableFile(path=path, problems=tuple(findings))
    if not document.root.entries:
        expected, advice = "version, secrets and sops", "fill it, or delete it"
        findings.add(None, "the file is empty", expected=expected, advice=advice, rule="missing-field")
        return UnreadableFile(path=path, problems=tuple(findings))
    findings.add_hidden(data)
    fields = _fields(document.root, findings)
    metadata = _metadata(document, findings) if "sops" in fields else None
    if "sops" not in fields:
        _not_encrypted(findings)
    _check_version(fields, document.root.mark, findings)
    judgement = judge(rules, path, metadata, findings)
    reader = SecretsReader(findings, encrypted="sops" in fields)
    policy = [fields[name].key.mark for name in ("acls", "prune", "rotation") if name in fields]
    return ScopeFile(
        path=path,
        document=document,
        metadata=metadata,
        acls=_acls(fields["acls"].value, findings) if "acls" in fields else None,
        prune=_prune(fields["prune"].value, findings) if "prune" in fields else None,
        rotation=_rotation(fields["rotation"].value, findings) if "rotation" in fields else None,
        policy_mark=min(policy, default=None),
        named=judgement.named,
        feeds=reader.read(fields["secrets"].value) if "secrets" in fields else (),
        complete=reader.complete and "secrets" in fields,
        problems=(*findings, *judgement.problems),
    )


def _fields(root: Mapping, findings: Findings) -> dict[str, Entry]:
    """Return the known fields by name; note those that are unknown, out of order or missing."""
    fields: dict[str, Entry] = {}
    last = -1
    for entry in root.entries:
        name = entry.key.text
        if name not in FIELDS:
            advice = findings.guess(name, FIELDS)
            if name in {"targets", "owner"}:
                advice = f"targets stand in {TARGETS_FILE}; every other YAML file is a scope file"
            elif name == "creation_rules":
                advice = f"the rules of sops belong beside {FOLDER}/, every YAML file below it is a scope file"
            findings.add(
                entry.key.mark,
                f"unknown field {quoted(name)}",
                expected=f"one of {', '.join(FIELDS)}",
                advice=advice,
                rule="unknown-field",
            )
            continue
        fields[name] = entry
        index = FIELDS.index(name)
        if index < last:
            what = f"the field '{name}' stands behind '{FIELDS[last]}'"
            findings.add(entry.key.mark, what, expected=_ORDER, advice="move it", rule="field-order")
        last = max(last, index)
    if "secrets" not in fields:
        expected = "secrets: HOST: SCOPE: KEY: value"
        findings.add(root.mark, "there is no field 'secrets'", expected=expected, rule="missing-field")
    return fields


def _check_version(fields: dict[str, Entry], root: Mark, findings: Findings) -> None:
    entry = fields.get("version")
    if entry is None:
        expected = "version: 1 right above secrets"
        findings.add(root, "there is no field 'version'", expected=expected, rule="missing-field")
    elif not isinstance(entry.value, Scalar) or entry.value.text != "1":
        findings.add(entry.value.mark, "the version is not 1", expected="version: 1")


def _not_encrypted(findings: Findings) -> None:
    findings.add(
        None,
        "the file is not encrypted",
        expected="a file encrypted by sops",
        advice=f"run sops encrypt -i {shlex.quote(findings.path)}; if it was pushed, change the values too",
        rule="not-encrypted",
    )


def _metadata(document: Document, findings: Findings) -> Metadata | None:
    try:
        metadata = read_metadata(document)
    except MetadataError as error:
        findings.add_error(error, rule="sops-metadata")
        return None
    if metadata.encrypted_regex != ENCRYPTED_REGEX:  # pysops has made sure that there is no second selector
        findings.add(
            metadata.mark,
            "sops was not told to encrypt what stands below secrets, and nothing else",
            expected=f"encrypted_regex: {ENCRYPTED_REGEX}",
            advice=f"decrypt the file and encrypt it with --encrypted-regex '{ENCRYPTED_REGEX}', or by .sops.yaml",
            rule="selector",
        )
    if metadata.mac_only_encrypted:
        findings.add(
            metadata.mark,
            "mac_only_encrypted leaves grants and rules without any protection",
            expected="no mac_only_encrypted",
            advice="take it out of .sops.yaml, decrypt the file and encrypt it again",
            rule="mac-only-encrypted",
        )
    for group in metadata.key_groups:  # of several groups each holds another part of the key, also for the same person
        seen: set[Recipient] = set()
        for wrapped in group:
            if wrapped.recipient in seen:
                what = "the same recipient stands there twice"
                findings.add(wrapped.mark, what, expected="each recipient once", rule="duplicate-recipient")
            seen.add(wrapped.recipient)
    return metadata


def _items(node: Node, findings: Findings, field: str, expected: str) -> AbstractSequence[Node]:
    if isinstance(node, Sequence) and node.items:
        return node.items
    what = f"{field} is an empty list" if isinstance(node, Sequence) else f"{field} is {article_of(node)}"
    findings.add(node.mark, what, expected=f"a list of {expected}", advice=f"leave {field} out, or name at least one")
    return ()


def _matched(node: Node, pattern: re.Pattern[str]) -> re.Match[str] | None:
    if isinstance(node, Scalar) and node.kind is ScalarKind.STR:
        return pattern.fullmatch(node.text)
    return None


def _acls(node: Node, findings: Findings) -> tuple[Acl, ...]:
    acls: list[Acl] = []
    principals: list[Scalar] = []
    for item in _items(node, findings, "acls", _EXPECTED_ACL):
        match = _matched(item, _ACL)
        principal = None if match is None else names.principal_of(match[2])
        if match is None or principal is None:
            findings.add(
                item.mark,
                "an entry of acls is not a grant",
                expected=_EXPECTED_ACL,
                advice="one entry for each grant, the permission in upper case, all in angle brackets",
            )
            continue
        acls.append(Acl(principal=principal, permission=Permission[match[1]]))
        principals.append(Scalar(text=principal, kind=ScalarKind.STR, mark=item.mark))
    note_twins(principals, findings, "principal")
    return tuple(acls)


def _prune(node: Node, findings: Findings) -> Prune | None:
    words = tuple(prune.value for prune in Prune)
    if isinstance(node, Scalar) and node.text in words:
        return Prune(node.text)
    findings.add(
        node.mark, "prune is none of the words that it may be", expected=f"one of {', '.join(words)}, or no such field"
    )
    return None


def _rotation(node: Node, findings: Findings) -> tuple[RotationRule, ...]:
    rules: list[RotationRule] = []
    keys: list[Scalar] = []
    for item in _items(node, findings, "rotation", _EXPECTED_ROTATION):
        match = _matched(item, _ROTATION)
        if match is None:
            findings.add(item.mark, "an entry of rotation is not a rule", expected=_EXPECTED_ROTATION)
            continue
        if rules and rules[-1].key is None:
            findings.add(item.mark, "a rule behind * is never reached", expected="* in the last entry")
        rules.append(RotationRule(days=int(match[1]), key=None if match[2] == "*" else KeyName(match[2])))
        keys.append(Scalar(text=match[2], kind=ScalarKind.STR, mark=item.mark))
    note_twins(keys, findings, "rule for")
    return tuple(rules)
