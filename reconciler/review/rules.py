"""What a change does to ``.sops.yaml``: who will be able to open what is encrypted from now on."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from reconciler.policy import Policy
from reconciler.policy.sops_rules import SopsRules
from reconciler.policy.sources import RULES_FILE
from reconciler.pysops import Recipient
from reconciler.pysops.config.creation_rules import CreationRule
from reconciler.pysops.sops_metadata import SELECTORS
from reconciler.report.reviewed import Difference, Kind, Rank


ANY_FILE: Final = "any file"
"""What a rule without ``path_regex`` is for."""

_RuleId = tuple[str | None, int]
"""``path_regex``, and how many rules before it have the same."""


def rule_differences(base: Policy, head: Policy) -> Iterator[Difference]:
    """Yield what differs in the ``.sops.yaml`` that counts."""
    before, after = base.rules, head.rules
    was, now = _state(before), _state(after)
    if was != now:
        path = RULES_FILE if after.file is None else after.file.path
        yield Difference(kind=Kind.RULES_FILE_CHANGED, rank=Rank.FIRST, path=path, before=was, after=now)
    if before.config is None or after.config is None or after.file is None or before.file is None:
        return
    found = tuple(_compared(before, after))
    yield from found
    if before.file.data != after.file.data and not found and was == now:
        yield Difference(kind=Kind.FILE_REWRITTEN, rank=Rank.CHANGE, path=after.file.path)


def _state(rules: SopsRules) -> str:
    """Return which file counts and whether it can be used."""
    if rules.file is None:
        return "none"
    if rules.problems:
        return f"{rules.file.path}, which cannot be used"
    return rules.file.path if rules.config is not None else f"{rules.file.path}, without rules"


def _compared(before: SopsRules, after: SopsRules) -> Iterator[Difference]:
    old, new = _by_id(before), _by_id(after)
    path = RULES_FILE if after.file is None else after.file.path
    for name in old.keys() - new.keys():
        yield Difference(kind=Kind.RULE_REMOVED, rank=Rank.FIRST, path=path, subject=_shown(name))
    for name in new.keys() - old.keys():
        rule = new[name]
        yield Difference(
            kind=Kind.RULE_ADDED,
            rank=Rank.FIRST,
            path=path,
            line=rule.mark.line,
            subject=_shown(name),
        )
        for recipient in sorted(rule.recipients):
            yield _of_rule(Kind.RULE_RECIPIENT_ADDED, path, rule, name, recipient)
    for name in old.keys() & new.keys():
        yield from _rule(path, name, old[name], new[name])
    common = [name for name in old if name in new]
    if common != [name for name in new if name in old]:
        yield Difference(kind=Kind.RULES_REORDERED, rank=Rank.FIRST, path=path)


def _by_id(rules: SopsRules) -> dict[_RuleId, CreationRule]:
    seen = Counter[str | None]()
    found: dict[_RuleId, CreationRule] = {}
    for rule in () if rules.config is None else rules.config.rules:
        found[rule.path_regex, seen[rule.path_regex]] = rule
        seen[rule.path_regex] += 1
    return found


def _shown(name: _RuleId) -> str:
    return ANY_FILE if name[0] is None else name[0]


def _of_rule(kind: Kind, path: str, rule: CreationRule, name: _RuleId, recipient: Recipient) -> Difference:
    return Difference(
        kind=kind, rank=Rank.FIRST, path=path, line=rule.mark.line, subject=_shown(name), after=recipient.shown
    )


def _rule(path: str, name: _RuleId, old: CreationRule, new: CreationRule) -> Iterator[Difference]:
    for recipient in sorted(new.recipients - old.recipients):
        yield _of_rule(Kind.RULE_RECIPIENT_ADDED, path, new, name, recipient)
    for recipient in sorted(old.recipients - new.recipients):
        yield _of_rule(Kind.RULE_RECIPIENT_REMOVED, path, new, name, recipient)
    before, after = _settings(old), _settings(new)
    for field in before:
        if before[field] != after[field]:
            yield Difference(
                kind=Kind.RULE_CHANGED,
                rank=Rank.FIRST,
                path=path,
                line=new.mark.line,
                subject=_shown(name),
                field=field,
                before=before[field],
                after=after[field],
            )


def _settings(rule: CreationRule) -> dict[str, str | None]:
    selectors: dict[str, str | None] = {name: getattr(rule, name) for name in SELECTORS}
    return selectors | {
        "mac_only_encrypted": "true" if rule.mac_only_encrypted else None,
        "key_groups": groups_shown(rule.key_groups),
        "shamir_threshold": str(rule.quorum),
    }


def groups_shown(groups: Iterable[Iterable[Recipient]]) -> str | None:
    """Return who is in which of several key groups; None for one group, whose recipients are told one by one."""
    found = [" or ".join(sorted(recipient.shown for recipient in group)) for group in groups]
    return " and ".join(f"({group})" for group in sorted(found)) if len(found) > 1 else None


def rerouted(base: Policy, head: Policy) -> Iterator[Difference]:
    """Yield the files that another rule is for than before, though they are where they were."""
    if base.rules.config is None or head.rules.config is None:
        return
    then = {file.path for file in base.files}
    for file in head.files:
        if file.path not in then:
            continue
        old, new = base.rules.rule_for(file.path), head.rules.rule_for(file.path)
        was, now = (None if rule is None else _shown((rule.path_regex, 0)) for rule in (old, new))
        if was != now:
            yield Difference(kind=Kind.FILE_UNDER_OTHER_RULE, rank=Rank.FIRST, path=file.path, before=was, after=now)
