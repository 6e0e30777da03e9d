"""From answers to files: what is missing is drafted in memory, checked as a whole, then put in place.

In an order that leads the next run to the same end wherever one is killed: identities before anything is encrypted to
them, the scope file last. Only what is missing is asked for.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from reconciler import git, pysops
from reconciler.errors import InvalidInput, Problem, UsageError, escaped, some_of
from reconciler.policy import EmbeddedSettings, Target
from reconciler.policy.sources import FOLDER, RULES_FILE, TARGETS_FILE
from reconciler.pysops.config.creation_rules import CreationRule
from reconciler.scaffold import adding, questions, side_files, templates
from reconciler.scaffold.drafting import Draft
from reconciler.scaffold.identities import NewIdentity, OwnKeys, Recipients, put, recipient_of
from reconciler.scaffold.outcome import NewKey, Outcome
from reconciler.scaffold.questions import Answers, Ask, answer


_NEVER: Final = "files are never overwritten"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where it happens, for whom."""

    root: Path
    """Directory of the run."""

    environ: Mapping[str, str]
    home: Path
    now: datetime
    """Aware."""

    ask: Ask | None
    """None where nobody could answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _First:
    """The first scope of a target."""

    target: Target
    scope: str
    key: str

    @property
    def path(self) -> str:
        """The file that will feed it."""
        return f"{FOLDER}/{self.target.name}/{self.scope}.yaml"


def init(here: Surroundings, answers: Answers, outcome: Outcome) -> None:
    """Make a repository of secrets in the directory of the run, as far as it is not there.

    Args:
        here: Where, and for whom.
        answers: What the command line says.
        outcome: Gets what was done, step by step, so that it can be told whatever happens next.

    Raises:
        UsageError: An answer is missing, does not do, or contradicts what is there. Nothing was written.
        InvalidInput: What is there breaks a rule. Nothing was written.
        Refused: Git does not work there, or a file appeared meanwhile.
        ReconcilerError: A file could not be written. Run again, it goes on with what is missing.
    """
    checkout = git.Checkout(here.root)
    draft = Draft(here.root, checkout.read_work_tree(), here.environ)
    keys = OwnKeys(here.environ, here.home)
    target = (
        _known_target(draft, answers)
        if draft.has(TARGETS_FILE) and not _is_further(draft, answers)
        else _new_target(draft, answers, here)
    )
    first = None
    recipients = Recipients(names=())
    if target is not None and not draft.policy.scopes_of(target):
        first = _first(target, answers, here.ask)
        recipients = _add_rule(draft, answers, here, keys, first)
        if not answers.without_scope:
            _add_scope_file(draft, here, keys, first)
    draft.check()
    outcome.is_repository = checkout.is_repository
    if recipients.new is not None and recipients.path is not None:
        put(recipients.path, recipients.new.data)
        outcome.new_key = NewKey(path=str(recipients.path), recipient=recipients.new.recipient)
    if recipients.taken is not None:
        outcome.notices.append(
            f"{keys.place} has an identity already, which is used: {recipients.taken}; none was made"
        )
    draft.write(outcome)
    side_files.complete(here.root, checkout.prefix, outcome)
    _look_at_git(checkout, outcome)
    target = target or next(iter(draft.policy.targets.targets))
    outcome.next_steps = _next_steps(outcome, answers, first, target)


def _is_further(draft: Draft, answers: Answers) -> bool:
    """Tell whether a target is to be added. One that is only misspelt comes without a workspace."""
    named = answers.target is not None and draft.policy.targets.named(answers.target) is None
    return named and bool(answers.host or answers.embedded)


def _known_target(draft: Draft, answers: Answers) -> Target | None:
    """Return the target of an existing targets.yaml that is meant; None where all of them are fed.

    Raises:
        UsageError: There is none of the name that was given, or it is another workspace.
    """
    tree = draft.policy
    if answers.target is None:
        return next((target for target in tree.targets.targets if not tree.scopes_of(target)), None)
    found = tree.targets.named(answers.target)
    if found is None:
        known = some_of([target.name for target in tree.targets.targets])
        raise UsageError(
            f"{TARGETS_FILE} is there already, and names no target {escaped(answers.target)!r}, but {known}",
            advice="to add it, say where it is, with --host or --embedded",
        )
    place = found.workspace
    host = None if answers.host is None else questions.tidy_host(answers.host)
    same = host is None if isinstance(place, EmbeddedSettings) else not answers.embedded and host in (None, place.host)
    if not same:
        raise UsageError(
            f"{TARGETS_FILE} is there already, and its target '{found.name}' is another workspace",
            advice=f"{_NEVER}: change it there, or leave --host and --embedded out",
        )
    return found


def _new_target(draft: Draft, answers: Answers, here: Surroundings) -> Target:
    """Draft targets.yaml with one target, or one more, and the identity of an embedded one."""
    host = _host(draft, answers, here.ask)
    name = answer(questions.target_question(embedded=not host), answers.target, here.ask)
    if host:
        fields = _remote_fields(name, host, answers, here.ask)
    else:
        fields = templates.embedded_target(name)
        path = f"{FOLDER}/{name}/{name}.agekey"
        if not draft.has(path):
            draft.add(path, NewIdentity.make(here.now, public=True).data)
    if draft.has(TARGETS_FILE):
        text = draft.bytes_of(TARGETS_FILE).decode()
        owner = "" if not host or draft.policy.targets.owner else str(uuid.uuid4())
        after = adding.with_target(text, name, fields, owner)
        if after is None:
            lines = (f"owner: {owner}\n" if owner else "") + f"targets:\n{fields}".rstrip("\n")
            raise UsageError(
                f"{TARGETS_FILE} is written in a way in which no target can be added in place; nothing was written",
                advice=f"{_NEVER}: add this there, and run this again:\n{lines}",
            )
    else:
        after = templates.targets(str(uuid.uuid4()), fields)
    draft.add(TARGETS_FILE, after.encode())
    return draft.target(name)


def _host(draft: Draft, answers: Answers, ask: Ask | None) -> str:
    """Return the host; empty for an embedded workspace."""
    if answers.embedded:
        if flags := questions.flags_of_workspaces(answers):
            advice = "an embedded workspace has an identity of its own, and nobody to log in to"
            raise UsageError(f"--embedded does not go with {', '.join(flags)}", advice=advice)
        return ""
    if not answers.host and (ask is None or answers.host is not None):
        raise UsageError(
            "--host is missing",
            advice="name the workspace; or pass --embedded for one that the reconciler runs itself, to try things out",
        )
    return questions.tidy_host(answer(questions.host_question(draft.extra_hosts), answers.host, ask))


def _remote_fields(name: str, host: str, answers: Answers, ask: Ask | None) -> str:
    fields = {"host": host}
    for field, asked in questions.FIELDS.items():
        text = answer(questions.field_question(field, asked or ""), getattr(answers, field), ask if asked else None)
        if text:
            fields[field] = text
    operators = answer(questions.operators_question(), ",".join(answers.operators) or None, ask)
    return templates.remote_target(name, fields, questions.split(operators))


def _first(target: Target, answers: Answers, ask: Ask | None) -> _First:
    if answers.without_scope:
        if answers.scope is not None or answers.key is not None:
            raise UsageError("--no-scope does not go with --scope and --key", advice="leave one of them out")
        return _First(target=target, scope=questions.SCOPE, key=questions.KEY)
    scope = answer(questions.scope_question(target.ledger_scope), answers.scope, ask)
    return _First(target=target, scope=scope, key=answer(questions.key_question(), answers.key, ask))


def _add_rule(draft: Draft, answers: Answers, here: Surroundings, keys: OwnKeys, first: _First) -> Recipients:
    """Make sure that ``.sops.yaml`` says who can open the first file; return whom it names if it is new.

    Raises:
        UsageError: It is there, and does not say so, or says otherwise.
    """
    place = first.target.workspace
    own = (
        (recipient_of(draft.bytes_of(place.age_key_file), place.age_key_file),)
        if isinstance(place, EmbeddedSettings)
        else ()
    )
    rule = draft.policy.rules.rule_for(first.path)
    wanted = own or questions.plain_recipients(answers.age_keys)
    # Rules further up count their paths from there, and are not ours to write to from down here.
    if draft.rules is not None and (rule is not None or draft.rules.path != RULES_FILE):
        _check_rule(draft, first, rule, wanted)
        return Recipients(names=())
    if own:
        recipients = Recipients(names=own)
    else:
        question = questions.recipients_question(keys.recipients, keys.place, asking=here.ask is not None)
        chosen = answer(question, ",".join(answers.age_keys) or None, here.ask)
        recipients = keys.resolve(chosen, here.now)
    rules: str | None = templates.sops_rules(first.target.name, recipients.names, embedded=bool(own))
    if draft.rules is not None:
        rules = adding.with_rule(draft.rules.data.decode(), templates.rule(first.target.name, recipients.names))
    if rules is None:
        # Not with a new identity: nothing is written, and so it would be named but never made.
        _check_rule(draft, first, None, () if recipients.new is not None else recipients.names)
    else:
        draft.add(RULES_FILE, rules.encode())
    return recipients


def _check_rule(draft: Draft, first: _First, rule: CreationRule | None, wanted: tuple[str, ...]) -> None:
    named = set() if rule is None else {recipient.name for recipient in rule.recipients}
    if rule is not None and named.issuperset(wanted):
        return
    lines = templates.rule(first.target.name, wanted or ("age1…",)).rstrip("\n")
    shown = escaped(RULES_FILE if draft.rules is None else draft.rules.path)
    what = f"has no rule for {first.path}" if rule is None else f"names others for {first.path}"
    raise UsageError(
        f"{shown} is there already, and {what}",
        advice=f"{_NEVER}: put this above its other creation_rules, and run this again:\n{lines}",
    )


def _add_scope_file(draft: Draft, here: Surroundings, keys: OwnKeys, first: _First) -> None:
    rule = draft.policy.rules.rule_for(first.path)
    if draft.has(first.path):
        if problems := draft.policy.problems():
            raise InvalidInput(problems)
        what = f"{first.path} is there already, and feeds another workspace than '{first.target.name}'"
        raise UsageError(what, advice=f"{_NEVER}: name another scope with --scope, or move that file")
    if rule is None:
        raise AssertionError("the rule was checked, or made")
    text = templates.scope_file(first.target.host_key, first.scope, first.key)
    rules = here.root / (RULES_FILE if draft.rules is None else draft.rules.path)
    writer = pysops.Writer(keys.identities, environ=here.environ)
    try:
        data = writer.encrypt(text.encode(), rule=rule, now=here.now, destination=here.root / first.path, config=rules)
    except pysops.SopsError as error:
        failure = error
    else:
        draft.add(first.path, data)
        return
    what, expected, advice = failure.what, failure.expected, failure.advice
    raise InvalidInput((Problem(path=first.path, what=what, expected=expected, advice=advice),))


def _look_at_git(checkout: git.Checkout, outcome: Outcome) -> None:
    """Note what git would leave out of a commit: many ignore a folder of this name, and would see no warning."""
    ignored = checkout.ignored(outcome.written)
    if ignored:
        outcome.notices.append(
            f"git ignores {some_of([escaped(path) for path in ignored])}: take the line out of .gitignore that\n"
            f"    git check-ignore -v {escaped(ignored[0])}\nshows, or nothing of it is committed"
        )


def _next_steps(outcome: Outcome, answers: Answers, first: _First | None, target: Target) -> tuple[str, ...]:
    """Return the commands that lead on, the first of them making what was written known to git."""
    steps = [] if outcome.is_repository else ["git init", "reconciler init"]
    paths = (*outcome.written, *outcome.completed)
    added = dict.fromkeys(FOLDER if path.startswith(f"{FOLDER}/") else path for path in paths)
    if first is not None and answers.without_scope:
        steps.append(f"reconciler import {first.target.name}")
    if added:
        steps.append(f"git add {' '.join(added)}")
    if first is not None and not answers.without_scope:
        hint = f"# until then it holds {templates.PLACEHOLDER}"
        steps.append(f"reconciler set {first.target.name}/{first.scope} {first.key}    {hint}")
    if added:
        steps.append('git commit --all --message "Keep secrets in git, encrypted"')
    steps.append(f"reconciler {'apply' if target.embedded else 'plan'} {target.name}")
    return tuple(steps)
