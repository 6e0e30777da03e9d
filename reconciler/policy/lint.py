"""What only ``validate`` says: it keeps no run from its work, and somebody should know.

A rule of ``.sops.yaml`` that no file ever reaches is a rule that somebody relies on in vain; a target without files, a
name that was misspelt somewhere. A rule is judged only

* by what stands in it: a rule without ``path_regex``, the same expression, or one that begins with the same text above
  it surely takes its files;
* by the files that there are, if it surely matches nothing but what stands below our folder (`Beginning.is_within`).

What other rules are for is somebody else's business, and cannot be seen: files that git ignores are often encrypted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconciler.errors import Problem, Severity
from reconciler.policy.findings import Findings
from reconciler.policy.sops_rules import SopsRules
from reconciler.policy.sources import FOLDER, RULES_FILE, TARGETS_FILE, Sources
from reconciler.policy.targets import Targets
from reconciler.pysops.config.creation_rules import CreationRule
from reconciler.pysops.config.path_regex import Beginning, beginning_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Which files there are, from the directory of ``.sops.yaml``."""

    scope_files: tuple[str, ...]
    """Sorted."""

    others: tuple[str, ...]
    """What else stands below our folder, sorted."""


def surroundings_of(sources: Sources, rules: SopsRules) -> Surroundings:
    """Return which files there are."""
    scope_files = frozenset(rules.path_of(path) for path in sources.scope_files())
    known = frozenset(map(rules.path_of, (*sources.files, *(sources.tracked or ()))))
    known -= {rules.path_of(TARGETS_FILE)}  # no rule is for it
    return Surroundings(scope_files=tuple(sorted(scope_files)), others=tuple(sorted(known - scope_files)))


def lint_rules(rules: SopsRules, files: Surroundings, *, unusable: bool) -> Iterator[Problem]:
    """Yield what is odd about ``.sops.yaml`` as a whole.

    Args:
        rules: of the run.
        files: which there are.
        unusable: something is wrong with the file, which has been said.
    """
    findings = rules.findings()
    if rules.config is not None:
        _judge_rules(rules.config.rules, rules, files, findings)
    elif not unusable and files.scope_files:
        what = f"there is no {RULES_FILE}" if rules.file is None else f"{RULES_FILE} has no rules"
        findings.add(
            None,
            f"{what}: nothing says who may open the files",
            expected="creation_rules with a rule for every file",
            advice="reconciler init writes one",
            rule="sops-config-missing",
            severity=Severity.WARNING,
        )
    yield from findings


def lint_targets(targets: Targets, fed: frozenset[str]) -> Iterator[Problem]:
    """Yield the targets that no file feeds.

    Args:
        targets: of targets.yaml.
        fed: host keys that files feed, or are meant to.
    """
    findings = Findings(TARGETS_FILE, rule="unused-target")
    for target in targets.targets:
        if target.host_key not in fed:
            findings.add(
                target.mark,
                f"no file feeds the target '{target.name}'",
                expected=f"a scope file with '{target.host_key}' below secrets",
                advice="add one, or take the target out",
            )
    yield from findings


def _judge_rules(
    all_rules: tuple[CreationRule, ...], rules: SopsRules, files: Surroundings, findings: Findings
) -> None:
    reached = _reached(all_rules, (*files.scope_files, *files.others))
    beginnings = [None if rule.path_regex is None else beginning_of(rule.path_regex) for rule in all_rules]
    folder = rules.path_of(f"{FOLDER}/")
    for index, rule in enumerate(all_rules):
        if rule.ignored:
            findings.add(
                rule.mark,
                f"sops ignores {', '.join(rule.ignored)} of a rule that has key_groups",
                expected="recipients in key_groups, or beside it",
                rule="ignored-recipients",
                severity=Severity.WARNING,
            )
        earlier = _covering(rule, beginnings[index], all_rules[:index], beginnings[:index])
        if earlier is not None:
            findings.add(
                rule.mark,
                f"the rule is never reached: the one in line {earlier.mark.line} takes all of its files",
                expected="the more special rule first",
                advice="move it up, or take it out",
                rule="shadowed-rule",
            )
            continue
        beginning = beginnings[index]
        judged = beginning is not None and beginning.is_within(folder)
        if judged and files.scope_files and index not in reached:
            _judge_by_files(rule, all_rules[:index], files, findings)


def _judge_by_files(
    rule: CreationRule, earlier: tuple[CreationRule, ...], files: Surroundings, findings: Findings
) -> None:
    """Note what is odd about a rule that no file reaches."""
    matched = next((path for path in (*files.scope_files, *files.others) if rule.matches(path)), None)
    if matched is None:
        findings.add(
            rule.mark,
            "the rule matches no file",
            expected="a path_regex that is found in the path of a file, from the directory of the rules",
            advice="correct it, or take it out",
            rule="unused-rule",
        )
        return
    taken_by = next(each for each in earlier if each.matches(matched))
    findings.add(
        rule.mark,
        f"no file reaches the rule: earlier ones, such as that in line {taken_by.mark.line}, take all that it matches",
        expected="the more special rule first",
        advice="move it up, or take it out",
        rule="shadowed-rule",
        severity=Severity.WARNING,  # it may be there for files to come
    )


def _reached(rules: tuple[CreationRule, ...], paths: Iterable[str]) -> frozenset[int]:
    """Return the numbers of the rules that are the first to match any of ``paths``."""
    reached: set[int] = set()
    for path in paths:
        found = next((index for index, rule in enumerate(rules) if rule.matches(path)), None)
        if found is not None:
            reached.add(found)
            if len(reached) == len(rules):
                break
    return frozenset(reached)


def _covering(
    rule: CreationRule,
    beginning: Beginning | None,
    earlier: tuple[CreationRule, ...],
    beginnings: list[Beginning | None],
) -> CreationRule | None:
    """Return the first of ``earlier`` that surely takes every file that ``rule`` matches."""
    for other, other_beginning in zip(earlier, beginnings, strict=True):
        same = other.path_regex is None or other.path_regex == rule.path_regex
        if same or (other_beginning is not None and beginning is not None and other_beginning.covers(beginning)):
            return other
    return None
