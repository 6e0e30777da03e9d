"""What `init` has to know: by flags, by asking, or by default; each answer is held to the rules of the files first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from reconciler.errors import UsageError
from reconciler.model import LEDGER_SCOPE, fold, is_key_name, is_scope_name
from reconciler.policy import names, target_fields, zones


SCOPE: Final = "secrets"
KEY: Final = "secret-name"
GENERATE: Final = "generate"
EXISTING: Final = "existing"

FIELDS: Final[Mapping[str, str | None]] = {
    "auth_type": "How pipelines log in, such as github-oidc (empty: as each machine's environment says)",
    "client_id": None,
    "profile": None,
    "workspace_id": None,
}
"""Optional fields of ``workspace``, and how each is asked for; None: by its flag alone."""

_PRIVATE_KEY: Final = "AGE-SECRET-KEY-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the command line says; None, or empty, is what it leaves open."""

    target: str | None = None
    host: str | None = None
    """None, unless ``embedded``, is a question."""

    embedded: bool = False
    auth_type: str | None = None
    client_id: str | None = None
    profile: str | None = None
    workspace_id: str | None = None
    operators: tuple[str, ...] = ()
    age_keys: tuple[str, ...] = ()
    """``generate``, ``existing``, or recipients."""

    scope: str | None = None
    key: str | None = None
    without_scope: bool = False
    """No first scope file: those that exist in the workspace are imported next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something to ask on a terminal, and the flag that answers it."""

    flag: str
    text: str
    default: str | None
    """What an empty answer means; None: there is no such answer."""

    problem: Callable[[str], str | None]
    """Returns what is wrong with an answer, as half a sentence that quotes nothing of it; None when nothing is."""


Ask = Callable[[Question], str]
"""Asks until there is an answer without a problem."""


def answer(question: Question, given: str | None, ask: Ask | None) -> str:
    """Return the answer to a question.

    Args:
        question: What to ask.
        given: By the command line; None if it says nothing.
        ask: None where nobody could answer.

    Raises:
        UsageError: What was given does not do; or nothing was, there is no default, and nobody to ask.
    """
    if given is not None:
        problem = question.problem(given)
        if problem is not None:
            raise UsageError(f"{question.flag}: {problem}")
        return given
    if ask is not None:
        return ask(question)
    if question.default is None:
        raise UsageError(f"{question.flag} is missing", advice="there is no terminal to ask on, so it has to be given")
    return question.default


def host_question(extra_hosts: tuple[str, ...]) -> Question:
    """Ask where the workspace is; an empty answer means an embedded one."""

    def problem(text: str) -> str | None:
        found = zones.host_problem(tidy_host(text), extra_hosts) if text else None
        return None if found is None else "; ".join(part for part in found if part)

    text = "Workspace, as https://adb-….azuredatabricks.net (empty: an embedded one, to try things out)"
    return Question(flag="--host", text=text, default="", problem=problem)


def tidy_host(text: str) -> str:
    """Return a host as people copy it from a browser, without the slash at its end."""
    return text.strip().removesuffix("/")


def target_question(*, embedded: bool) -> Question:
    """Ask what to call the target."""

    def problem(text: str) -> str | None:
        return None if names.is_target_name(text) else f"a target is {names.EXPECTED_TARGET}"

    return Question(flag="TARGET", text="Name of the target", default="demo" if embedded else "prod", problem=problem)


def field_question(field: str, text: str) -> Question:
    """Ask for an optional field of ``workspace``."""
    pattern, expected = target_fields.WORKSPACE_FIELDS[field]

    def problem(given: str) -> str | None:
        if not given:
            return None
        if field == "auth_type" and given in target_fields.REFUSED_AUTH_TYPES:
            return f"that one cannot be chosen in git: {target_fields.REFUSED_AUTH_TYPES[given]}"
        fits = given in target_fields.AUTH_TYPES if field == "auth_type" else pattern.fullmatch(given)
        return None if fits else f"expected {expected}"

    return Question(flag=f"--{field.replace('_', '-')}", text=text, default="", problem=problem)


def operators_question() -> Question:
    """Ask who may run the target."""

    def problem(text: str) -> str | None:
        wanted = split(text)
        if not all(map(names.principal_of, wanted)):
            return f"expected {names.EXPECTED_PRINCIPAL}"
        return "one of them stands there twice" if len(set(map(fold, wanted))) < len(wanted) else None

    text = "Who may run it: people, application ids; separated by commas (empty: whoever applies first)"
    return Question(flag="--operator", text=text, default="", problem=problem)


def scope_question(ledger_scope: str) -> Question:
    """Ask for the first scope; it cannot be that of the ledger."""

    def problem(text: str) -> str | None:
        if fold(text) in (fold(ledger_scope), fold(LEDGER_SCOPE)):
            return "that one is kept for the ledger"
        return None if is_scope_name(text) else f"a scope is {names.EXPECTED_SCOPE}"

    return Question(flag="--scope", text="First scope", default=SCOPE, problem=problem)


def key_question() -> Question:
    """Ask for the first key."""

    def problem(text: str) -> str | None:
        return None if is_key_name(text) else f"a key is {names.EXPECTED_KEY}"

    return Question(flag="--key", text="Its first key, the value of which is set later", default=KEY, problem=problem)


def recipients_question(found: tuple[str, ...], key_file: str, *, asking: bool) -> Question:
    """Ask who can open the files.

    Args:
        found: recipients of the identities that are there.
        key_file: where a new one would be put, or why there is no such place.
        asking: there is somebody who sees what the default is; nobody else gets a private key unasked.
    """
    made = f"'{GENERATE}' makes an identity in {key_file}"
    default = found[0] if len(found) == 1 else GENERATE if asking and not found else None
    text = f"Recipients of age that can open the files, separated by commas ({made})"
    return Question(flag="--age-key", text=text, default=default, problem=recipients_problem)


def recipients_problem(text: str) -> str | None:
    """Return what is wrong with recipients, separated by commas."""
    from reconciler.pysops.age import bech32

    wanted = split(text)
    if not wanted:
        return f"expected {GENERATE}, {EXISTING} or age1…"
    if any(_PRIVATE_KEY in one.upper() for one in wanted):
        return "that is a private key, which others can see now: make a new one, and give its public half, age1…"
    for one in wanted:
        decoded = bech32.decode(one)
        is_age = decoded is not None and decoded[0].startswith("age") and one == one.lower()
        if not (is_age or one in (GENERATE, EXISTING) or _is_ssh(one)):
            return f"one of them is no recipient of age: expected {GENERATE}, {EXISTING}, age1… or an SSH public key"
    return "one of them stands there twice" if len(set(wanted)) < len(wanted) else None


def _is_ssh(text: str) -> bool:
    parts = text.split(" ")
    return text.isprintable() and len(parts) > 1 and parts[0] in ("ssh-ed25519", "ssh-rsa") and parts[1].isascii()


def plain_recipients(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of ``--age-key`` that name somebody."""
    return tuple(one for text in texts for one in split(text) if one not in (GENERATE, EXISTING))


def flags_of_workspaces(answers: Answers) -> tuple[str, ...]:
    """Return the flags that were given and make sense for real workspaces only."""
    given = {"--host": answers.host, "--operator": answers.operators, "--age-key": answers.age_keys}
    given |= {f"--{field.replace('_', '-')}": getattr(answers, field) for field in FIELDS}
    return tuple(flag for flag, value in given.items() if value)


def split(text: str) -> tuple[str, ...]:
    """Return what stands between commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
