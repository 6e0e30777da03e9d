"""SARIF: valid by the official schema, complete for GitHub, harmless whatever names there are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import fastjsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import Problem, Severity
from reconciler.policy.rules import RULES
from reconciler.report import escape_text, render_problems_sarif
from reconciler.report.as_sarif import MAX_RESULTS
from tests.report.situations import HOSTILE
from tests.support.cli import PACKAGE_ROOT


SCHEMA: Final = PACKAGE_ROOT / "tests" / "data" / "sarif" / "sarif-schema-2.1.0.json"

PROBLEM: Final = Problem(
    path="secrets/prod/payments.yaml",
    line=3,
    column=9,
    what="unknown field 'ruls'",
    expected="one of acls, prune, rotation",
    advice="did you mean 'rotation'?",
    rule="unknown-field",
)


@pytest.fixture(scope="module")
def judge() -> Callable[[Any], None]:
    """Compile the official schema to a function that raises for what it does not allow."""
    judge: Callable[[Any], None] = fastjsonschema.compile(json.loads(SCHEMA.read_text(encoding="utf-8")))
    return judge


def sarif(*problems: Problem, prefix: str = "") -> Any:  # noqa: ANN401  # JSON
    """Return the document as a program reads it."""
    text = render_problems_sarif(problems, rules=RULES, prefix=prefix, tool_version="1.2.3")
    assert text.isascii()
    assert text.endswith("}\n")
    return json.loads(text)


def results(*problems: Problem, prefix: str = "") -> Any:  # noqa: ANN401  # JSON
    """Return the results of the one run."""
    (run,) = sarif(*problems, prefix=prefix)["runs"]
    return run["results"]


def made(path: str = "secrets/app.yaml", what: str = "it is wrong", **fields: Any) -> Problem:  # noqa: ANN401
    """Return some problem."""
    return Problem(path=path, what=what, **fields)


def fingerprint(problem: Problem, prefix: str = "") -> str:
    """Return what names the only problem of a run."""
    (result,) = results(problem, prefix=prefix)
    (value,) = result["partialFingerprints"].values()
    assert isinstance(value, str)
    return value


@pytest.mark.parametrize(
    "problems",
    [
        pytest.param((), id="none"),
        pytest.param((PROBLEM,), id="one"),
        pytest.param((PROBLEM, made(severity=Severity.WARNING, line=1)), id="error-and-warning"),
        pytest.param(tuple(made(path=f"secrets/{name}.yaml", what=name) for name in HOSTILE), id="hostile"),
        pytest.param((made(rule="not-in-the-table"),), id="unknown-rule"),
    ],
)
def test_document_is_valid(judge: Callable[[Any], None], problems: tuple[Problem, ...]) -> None:
    """The official schema takes it, also when there is nothing to report."""
    judge(sarif(*problems))


def test_judge_refuses_what_is_not_sarif(judge: Callable[[Any], None]) -> None:
    """A judge that says yes to everything would prove nothing."""
    document = sarif(PROBLEM)
    document["runs"][0]["results"][0].pop("message")
    with pytest.raises(fastjsonschema.JsonSchemaException):
        judge(document)


def test_document_has_what_github_requires() -> None:
    """The properties that its documentation calls required, none of them empty."""
    document = sarif(PROBLEM)
    assert document["$schema"] == "https://json.schemastore.org/sarif-2.1.0.json"
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "reconciler"
    assert driver["semanticVersion"] == "1.2.3"
    for rule in driver["rules"]:
        assert rule["id"]
        assert rule["shortDescription"]["text"]
        assert rule["fullDescription"]["text"]
        assert rule["help"]["text"]
        assert len(rule["fullDescription"]["text"]) <= 1024
    (result,) = run["results"]
    assert result["level"] == "error"
    assert result["message"]["text"]
    (location,) = result["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == PROBLEM.path
    assert location["physicalLocation"]["region"] == {"startLine": 3, "startColumn": 9}
    assert result["partialFingerprints"]


def test_rules_are_all_that_are_checked_whatever_was_found() -> None:
    """Two files of one version differ in results only, and each result points at its rule."""
    clean, found = sarif(), sarif(PROBLEM, made(rule="not-encrypted"))
    rules = [rule["id"] for rule in clean["runs"][0]["tool"]["driver"]["rules"]]
    assert rules == sorted(RULES)
    assert [rule["id"] for rule in found["runs"][0]["tool"]["driver"]["rules"]] == rules
    assert [rules[result["ruleIndex"]] for result in found["runs"][0]["results"]] == ["unknown-field", "not-encrypted"]


def test_rule_that_nobody_described_loses_no_problem() -> None:
    """It is listed by its name."""
    (run,) = sarif(made(rule="brand-new-rule"))["runs"]
    (result,) = run["results"]
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert (rule["id"], rule["shortDescription"]["text"]) == ("brand-new-rule", "Brand new rule.")


def test_run_was_successful_although_it_found_something() -> None:
    """Consumers would discard the results of a run that failed."""
    assert sarif(PROBLEM)["runs"][0]["invocations"] == [{"executionSuccessful": True}]


@pytest.mark.parametrize(
    ("severity", "level"),
    [pytest.param(Severity.ERROR, "error", id="error"), pytest.param(Severity.WARNING, "warning", id="warning")],
)
def test_level_is_the_severity(severity: Severity, level: str) -> None:
    """It overrides the default of the rule."""
    assert results(made(severity=severity))[0]["level"] == level


def test_problem_of_a_whole_file_stands_in_its_first_line() -> None:
    """GitHub shows no place for a result without a line."""
    (result,) = results(made())
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 1}


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        pytest.param("secrets/a b.yaml", "secrets/a%20b.yaml", id="blank"),
        pytest.param("secrets/100%.yaml", "secrets/100%25.yaml", id="percent"),
        pytest.param("secrets/a#b?c.yaml", "secrets/a%23b%3Fc.yaml", id="fragment-and-query"),
        pytest.param("secrets/ümläut.yaml", "secrets/%C3%BCml%C3%A4ut.yaml", id="unicode"),
        pytest.param("secrets/a:b.yaml", "secrets/a%3Ab.yaml", id="colon"),
        pytest.param("secrets/a\\nb.yaml", "secrets/a%5Cnb.yaml", id="escaped-line-break"),
        pytest.param("secrets/\udcff.yaml", "secrets/%FF.yaml", id="not-utf-8"),
    ],
)
def test_path_is_a_relative_uri(path: str, uri: str) -> None:
    """Whatever a URI gives a meaning to is percent-encoded; slashes stay."""
    (result,) = results(made(path=path))
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": uri, "uriBaseId": "%SRCROOT%"}


def test_path_starts_at_the_top_of_the_repository() -> None:
    """Where ``secrets/`` lies in a folder of a repository, GitHub finds the file all the same."""
    (result,) = results(PROBLEM, prefix="teams/data platform/")
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "teams/data%20platform/secrets/prod/payments.yaml"


@pytest.mark.parametrize(
    ("prefix", "uri"),
    [
        pytest.param("teams/data/", "teams/.sops.yaml", id="within"),
        pytest.param("data/", ".sops.yaml", id="at-the-top"),
    ],
)
def test_path_above_the_directory_of_the_run_has_no_dots_left(prefix: str, uri: str) -> None:
    """The rules of sops may stand above; GitHub compares paths as text."""
    (result,) = results(made(path="../.sops.yaml"), prefix=prefix)
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri


def test_message_says_what_is_wrong_what_is_expected_and_what_to_do() -> None:
    """All that the text report says, the place aside."""
    text = results(PROBLEM)[0]["message"]["text"]
    assert text == "unknown field 'ruls'; expected one of acls, prune, rotation (did you mean 'rotation'?)"


@pytest.mark.parametrize(
    ("what", "text"),
    [
        pytest.param('a {empty: "yes"}', 'a {{empty: "yes"}}', id="braces"),
        pytest.param("see [here](https://evil.example)", "see [here\\](https://evil.example)", id="link"),
        pytest.param("a\nb\x1b[2J\u202e", "a\\nb\\x1b[2J\\u202e", id="control-and-direction"),
    ],
)
def test_message_means_nothing_but_itself(what: str, text: str) -> None:
    """Braces would stand for arguments, brackets make a link, control characters whatever a viewer makes of them."""
    assert results(made(what=what))[0]["message"]["text"] == text


@pytest.mark.parametrize(
    "moved",
    [
        pytest.param({"line": 70, "column": 2}, id="line"),
        pytest.param({"what": "the key 'a' is also fed by secrets/b.yaml:99:1"}, id="line-of-another-file"),
        pytest.param({"advice": "say it differently"}, id="advice"),
        pytest.param({"severity": Severity.WARNING}, id="severity"),
    ],
)
def test_fingerprint_stays_when_a_problem_moves(moved: dict[str, Any]) -> None:
    """An alert that somebody dismissed stays dismissed when lines are added above it, here or in another file."""
    fields: dict[str, Any] = {"line": 7, "column": 2, "what": "the key 'a' is also fed by secrets/b.yaml:3:1"}
    assert fingerprint(made(**fields)) == fingerprint(made(**{**fields, **moved}))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"path": "secrets/other.yaml"}, id="path"),
        pytest.param({"what": "something else"}, id="what"),
        pytest.param({"rule": "another"}, id="rule"),
    ],
)
def test_fingerprint_tells_problems_apart(other: dict[str, Any]) -> None:
    """Two alerts must not be taken for one."""
    assert fingerprint(made(what="this", rule="one")) != fingerprint(made(**{"what": "this", "rule": "one", **other}))


def test_equal_problems_of_one_file_are_numbered() -> None:
    """Three values in plain text are three alerts."""
    found = results(*(made(line=line) for line in (3, 5, 9)))
    values = [value for result in found for value in result["partialFingerprints"].values()]
    assert [value.rpartition(":")[2] for value in values] == ["1", "2", "3"]
    assert len({value.rpartition(":")[0] for value in values}) == 1


def test_no_more_results_than_github_takes_errors_first(judge: Callable[[Any], None]) -> None:
    """A file with more would be rejected as a whole; that some are left out is said."""
    warnings = tuple(made(line=line, severity=Severity.WARNING) for line in range(1, MAX_RESULTS + 1))
    document = sarif(*warnings, PROBLEM)
    judge({**document, "runs": [{**document["runs"][0], "results": []}]})
    (run,) = document["runs"]
    assert len(run["results"]) == MAX_RESULTS
    assert run["results"][0]["ruleId"] == PROBLEM.rule
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is True
    assert "1 further problem" in invocation["toolExecutionNotifications"][0]["message"]["text"]


_ANY_TEXT: Final = st.text(st.characters(), max_size=40)


@given(
    path=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/."), min_size=1, max_size=40),
    what=_ANY_TEXT,
    advice=_ANY_TEXT,
)
def test_any_text_gives_a_plain_document(path: str, what: str, advice: str) -> None:
    """Paths come back from their URIs; messages are one visible line without placeholders and links."""
    (result,) = results(made(path=f"secrets/{path}", what=what, advice=advice))
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
    assert unquote(uri) == f"secrets/{path}"
    text = result["message"]["text"]
    assert "](" not in text.replace(r"\](", "")
    assert text.replace("{{", "").replace("}}", "").count("{") == 0
    assert escape_text(text) == text


def test_schema_is_the_file_that_its_page_names() -> None:
    """Nobody bends the judge."""
    import hashlib

    digest = hashlib.sha256(SCHEMA.read_bytes()).hexdigest()
    assert digest in Path(SCHEMA.parent, "README.md").read_text(encoding="utf-8")
