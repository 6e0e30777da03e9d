"""Problems as SARIF 2.1.0, which code scanning of GitHub and other viewers of findings read.

The format: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html. What GitHub asks for besides, and its
limits: https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support-for-code-scanning.

No text of a file gets here: messages are ours, and fingerprints are made of them.
"""

import hashlib
import json
import posixpath
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from reconciler.errors import Problem, Severity
from reconciler.report.escape import escape_text


MAX_RESULTS: Final = 25_000
"""Most results that GitHub takes per run; it rejects a file with more."""

_HOME: Final = "https://github.com/reconciler/reconciler"

_HELP: Final = f"{_HOME}/blob/main/docs/validate.md"

_ROOT: Final = "%SRCROOT%"
"""By this name consumers know the top of the source tree."""

_FINGERPRINT: Final = "reconciler/v1"
"""Not ``primaryLocationLineHash``, the one that GitHub looks at: its upload action computes that from the line itself,
and warns of every result that brings another one along."""

_DIGITS: Final = re.compile("[0-9]+")


def render_problems_sarif(
    problems: Sequence[Problem], *, rules: Mapping[str, str], prefix: str, tool_version: str
) -> str:
    """Return one run as SARIF in ASCII, indented, ended by a line feed.

    Args:
        problems: What was found, in the order in which it is shown.
        rules: Each rule that was checked, id to a sentence about it, broken or not.
        prefix: Path of the directory of the run from the top of its repository: empty, or ending in a slash.
        tool_version: Of ours, as https://semver.org wants it.
    """
    described = _described(rules, problems)
    index = {rule: position for position, rule in enumerate(described)}
    shown = _most_important(problems)
    seen: Counter[str] = Counter()
    results: list[dict[str, object]] = []
    for problem in shown:
        digest = _digest(problem, prefix)
        seen[digest] += 1
        results.append(_result(problem, index[problem.rule], prefix, f"{digest}:{seen[digest]}"))
    run = {
        "tool": {
            "driver": {
                "name": "reconciler",
                "semanticVersion": tool_version,
                "informationUri": _HOME,
                "rules": [_rule(rule, text) for rule, text in described.items()],
            }
        },
        "invocations": [_invocation(len(problems) - len(shown))],
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The top of the repository."}}},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=True) + "\n"


def _described(rules: Mapping[str, str], problems: Sequence[Problem]) -> dict[str, str]:
    """Return all rules by id. One that nobody described is no reason to lose what it found."""
    undescribed = {problem.rule: problem.rule.replace("-", " ") for problem in problems}
    return dict(sorted({**undescribed, **rules}.items()))


def _most_important(problems: Sequence[Problem]) -> Sequence[Problem]:
    """Return as many as GitHub takes, errors before warnings; in the order of ``problems`` when all of them fit."""
    if len(problems) <= MAX_RESULTS:
        return problems
    return sorted(problems, key=lambda problem: problem.severity is not Severity.ERROR)[:MAX_RESULTS]


def _invocation(left_out: int) -> dict[str, object]:
    """Return how the run went: well, as finding problems is what it is for."""
    if not left_out:
        return {"executionSuccessful": True}
    text = f"{left_out} further problems are left out, as GitHub takes at most {MAX_RESULTS}."
    return {
        "executionSuccessful": True,
        "toolExecutionNotifications": [{"level": "warning", "message": {"text": text}}],
    }


def _rule(rule: str, text: str) -> dict[str, object]:
    sentence = {"text": _message(f"{text[:1].upper()}{text[1:]}".rstrip(".") + ".")}
    return {
        "id": rule,
        "shortDescription": sentence,
        "fullDescription": sentence,
        "help": {"text": f"What is checked, and what to do about it: {_HELP}"},
        "helpUri": f"{_HELP}#rules",
        "defaultConfiguration": {"level": "error"},
        "properties": {"precision": "very-high", "tags": ["secrets"]},
    }


def _result(problem: Problem, rule_index: int, prefix: str, fingerprint: str) -> dict[str, object]:
    # Without a line GitHub shows no place in the file at all.
    region: dict[str, int] = {"startLine": problem.line or 1}
    if problem.line is not None and problem.column is not None:
        region["startColumn"] = problem.column
    return {
        "ruleId": problem.rule,
        "ruleIndex": rule_index,
        "level": problem.severity.value,
        "message": {"text": _message(problem.text)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(problem.path, prefix), "uriBaseId": _ROOT},
                    "region": region,
                }
            }
        ],
        "partialFingerprints": {_FINGERPRINT: fingerprint},
    }


def _uri(path: str, prefix: str) -> str:
    """Return ``path`` as a URI from the top of the repository; a ``../`` in front of it eats the end of ``prefix``."""
    return quote(_bytes(posixpath.normpath(prefix + path)), safe="/")


def _bytes(text: str) -> bytes:
    """Return the bytes of a path: those that are not UTF-8, which Python carries as surrogates, as they are on disk."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # half a character, which a name may hold on Windows
        return text.encode(errors="backslashreplace")


def _message(text: str) -> str:
    r"""Return ``text`` so that a viewer shows just that.

    Braces hold the place of arguments and are doubled where they are meant (section 3.11.5 of the format); ``[…](…)``
    would be a link (3.11.6), which the name of a file must not be able to make.
    """
    return escape_text(text).replace("{", "{{").replace("}", "}}").replace("](", r"\](")


def _digest(problem: Problem, prefix: str) -> str:
    """Return what names a problem wherever in its file it moves; numbers within the message are mostly lines."""
    text = "\0".join((problem.rule, prefix + problem.path, _DIGITS.sub("0", problem.what)))
    return hashlib.sha256(_bytes(text)).hexdigest()[:32]
