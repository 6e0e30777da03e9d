"""``.sops.yaml`` against the files that it is about: who can open them is whom it names, nobody less and nobody more.

The rules are reviewed, the metadata of a file is a block of base64 that nobody reads: a recipient more in it could read
every value that is ever put into the file, a recipient less finds out when it is needed. And a rule whose selector
leaves values plain makes the next file that is encrypted by it a leak.
"""

import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from reconciler.errors import Problem, escaped
from reconciler.policy.findings import Findings
from reconciler.policy.sources import RULES_FILE, RulesFile, Sources
from reconciler.pysops import ConfigError, Metadata, Recipient
from reconciler.pysops.config.creation_rules import CreationRule, SopsConfig, parse_config


ENCRYPTED_REGEX: Final = "^secrets$"
"""The selector of every scope file, and the only one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SopsRules:
    """The ``.sops.yaml`` of a run, as far as it can be used."""

    file: RulesFile | None = None
    config: SopsConfig | None = None
    """None when there is no file, none that can be used, or one without any rule: then nothing is compared with it."""

    problems: tuple[Problem, ...] = ()
    """Why it cannot be used."""

    def path_of(self, path: str) -> str:
        """Return ``path``, as in `Sources.files`, from the directory of the rules: what ``path_regex`` is about."""
        return path if self.file is None else self.file.prefix + path

    def rule_for(self, path: str) -> CreationRule | None:
        """Return the rule for ``path``, as in `Sources.files`; None when none matches, and without a usable file."""
        return None if self.config is None else self.config.rule_for(self.path_of(path))

    def place_of(self, rule: CreationRule) -> str:
        """Return where ``rule`` stands, for a message."""
        return f"{escaped(self._shown)}:{rule.mark.line}"

    def findings(self) -> Findings:
        """Return an empty collection of what is wrong with the file."""
        return Findings(self._shown, rule="sops-config")

    @property
    def _shown(self) -> str:
        return RULES_FILE if self.file is None else self.file.path


NO_RULES: Final = SopsRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the rules say about one file."""

    named: frozenset[Recipient] = frozenset()
    """Whom the rule names, see `ScopeFile.named`."""

    problems: tuple[Problem, ...] = ()
    """What is wrong with the rule itself."""


def read_rules(sources: Sources) -> SopsRules:
    """Read the ``.sops.yaml`` of a run. Never raises for what stands in it."""
    file = sources.rules
    if file is None:
        return NO_RULES
    rules = SopsRules(file=file)
    findings = rules.findings()
    findings.add_hidden(file.data)
    config: SopsConfig | None = None
    try:
        config = parse_config(file.data)
    except ConfigError as error:
        findings.add_error(error, rule="sops-config")
    return SopsRules(file=file, config=config if config and config.rules else None, problems=tuple(findings))


def judge(rules: SopsRules, path: str, metadata: Metadata | None, findings: Findings) -> Judgement:
    """Compare one scope file with the first rule that matches it.

    Args:
        rules: of the run.
        path: of the file, as in `Sources.files`.
        metadata: of the file; None when it has none that can be read, which has been said.
        findings: of the file.
    """
    if rules.config is None:
        return Judgement()
    rule = rules.rule_for(path)
    if rule is None:
        findings.add(
            None,
            f"no rule of {RULES_FILE} matches the file, so nothing says who may open it",
            expected=f"a rule whose path_regex is found in {escaped(rules.path_of(path))}",
            advice="add one, and run reconciler rekey",
            rule="no-creation-rule",
        )
        return Judgement()
    problems = _problems_of(rule, rules)
    if metadata is None:
        return Judgement(named=rule.recipients, problems=problems)
    groups = rule.groups_for(metadata.recipients)
    named = frozenset[Recipient]().union(*groups)
    if named:
        _compare(metadata, rule, groups, findings, rules.place_of(rule))
    return Judgement(named=named, problems=problems)


def _problems_of(rule: CreationRule, rules: SopsRules) -> tuple[Problem, ...]:
    if rule.encrypted_regex == ENCRYPTED_REGEX and not rule.mac_only_encrypted and rule.recipients:
        return ()
    findings = rules.findings()
    if rule.encrypted_regex != ENCRYPTED_REGEX:
        findings.add(
            rule.mark,
            "a rule for scope files does not encrypt what stands below secrets, and nothing else",
            expected=f"encrypted_regex: {ENCRYPTED_REGEX}",
            rule="rule-selector",
        )
    if rule.mac_only_encrypted:
        findings.add(
            rule.mark,
            "a rule for scope files has mac_only_encrypted, which leaves grants and rules without any protection",
            expected="no mac_only_encrypted",
            rule="mac-only-encrypted",
        )
    if not rule.recipients:
        findings.add(
            rule.mark,
            "a rule for scope files names nobody who could open them",
            expected="at least one recipient, such as age: age1…",
            rule="sops-config",
        )
    return tuple(findings)


def _compare(
    metadata: Metadata,
    rule: CreationRule,
    groups: tuple[frozenset[Recipient], ...],
    findings: Findings,
    place: str,
) -> None:
    """Note where the recipients of a file are not those of its rule."""
    named = frozenset[Recipient]().union(*groups)
    rekey = f"reconciler rekey {shlex.quote(findings.path)}"
    revoke = (
        f"if it should, add it to {RULES_FILE}; if not, run {rekey}, then change every value "
        "of the file: what somebody could read cannot be taken back"
    )
    for recipient in sorted(named.difference(metadata.recipients)):
        findings.add(
            metadata.mark,
            f"{recipient.shown} cannot open the file, though {place} names it",
            expected="everybody whom the rule names",
            advice=f"run {rekey}",
            rule="recipients-missing",
        )
    for wrapped in metadata.wrapped_keys:
        if wrapped.recipient not in named:
            findings.add(
                wrapped.mark,
                f"{wrapped.recipient.shown} can open the file and read every value, though {place} does not name it",
                expected="nobody but whom the rule names",
                advice=revoke,
                rule="recipients-surplus",
            )
    theirs = [frozenset(key.recipient for key in group) for group in metadata.key_groups]
    if named != frozenset(metadata.recipients):
        return
    if Counter(theirs) != Counter(groups):
        findings.add(
            metadata.mark,
            f"the recipients are those of {place}, but in other key groups",
            expected=_sizes(groups),
            advice=f"run {rekey}",
            rule="key-groups-differ",
        )
    elif len(groups) > 1 and metadata.shamir_threshold != rule.quorum:
        findings.add(
            metadata.mark,
            f"another number of key groups opens the file than {place} says",
            expected=f"shamir_threshold: {rule.quorum}",
            advice=f"run {rekey}; sops updatekeys leaves the threshold as it is",
            rule="key-groups-differ",
        )


def _sizes(groups: Iterable[frozenset[Recipient]]) -> str:
    sizes = [str(len(group)) for group in groups]
    return f"{len(sizes)} key group{'s' if len(sizes) > 1 else ''}, of {', '.join(sizes)} recipients"
