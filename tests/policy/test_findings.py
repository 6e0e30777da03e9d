"""Collecting problems: bounded in number and in the work that they cost, each with a rule of the table."""

import re
import time
from pathlib import Path

import pytest

from reconciler.errors import Problem
from reconciler.policy import load
from reconciler.policy.findings import MAX_LISTED, Findings
from reconciler.policy.rules import RULES
from reconciler.pysops.config.fields import did_you_mean
from tests.policy.samples import ENC, HOST, METADATA, PATH, scope_yaml, sources


POLICY = Path(__file__).parents[2] / "reconciler" / "policy"


def test_rules_that_the_code_names_are_those_of_the_table() -> None:
    """Each is explained, and none is explained in vain."""
    pattern = re.compile(r'rule(?:: str)?="([a-z-]+)"')
    named = {name for file in POLICY.glob("*.py") for name in pattern.findall(file.read_text())}
    in_crossing = set(re.findall(r'^\s+"([a-z]+(?:-[a-z]+)+)",$', (POLICY / "crossing.py").read_text(), re.MULTILINE))
    default = {"field-form", "invalid-input"}
    named |= in_crossing | default | set(re.findall(r'rule: str = "([a-z-]+)"', (POLICY / "findings.py").read_text()))
    assert named == set(RULES)


def test_the_table_can_be_read() -> None:
    """Short names of lower-case words, and a sentence each."""
    for name, text in RULES.items():
        assert re.fullmatch("[a-z]+(-[a-z]+)*", name)
        assert text.endswith(".")
        assert "\n" not in text


def test_the_first_hundred_problems_of_a_file_are_listed() -> None:
    """And how many more there are."""
    findings = Findings("x.yaml")
    for number in range(MAX_LISTED + 7):
        findings.add(None, f"problem {number}")
    listed = list(findings)
    assert len(findings) == MAX_LISTED + 7
    assert len(listed) == MAX_LISTED + 1
    assert (listed[-1].what, listed[-1].rule) == ("7 more problems are not listed", "more-problems")


def _million_fields() -> str:
    return scope_yaml(before="".join(f"acl{number}: x\n" for number in range(20_000)))


def _many_hosts() -> str:
    hosts = "".join(f"    host-{number}.cloud.databricks.com: {{a: {{b: '{ENC}'}}}}\n" for number in range(2_000))
    return f"version: 1\nsecrets:\n{hosts}{METADATA}"


@pytest.mark.parametrize("text", [_million_fields(), _many_hosts()], ids=["fields", "hosts"])
def test_a_file_of_nothing_but_mistakes_takes_no_longer_than_reading_it(text: str) -> None:
    """Looking for similar names costs far more than reading: it is done for some of what is listed only."""
    targets = "owner: 123e4567-e89b-42d3-a456-426614174000\ntargets:\n" + "".join(
        f"    t{number}: {{workspace: {{host: 'https://t{number}.cloud.databricks.com'}}}}\n" for number in range(1_000)
    )
    started = time.process_time()
    policy = load(sources({PATH: text}, targets=targets))
    assert time.process_time() - started < 5
    of_file = [problem for problem in policy.problems() if problem.path == PATH]
    assert MAX_LISTED < len(of_file) <= MAX_LISTED + 2
    assert "more-problems" in {problem.rule for problem in of_file}


def test_keys_fed_twice_are_counted_beyond_the_first_hundred() -> None:
    """Two copies of a large file are one mistake, not a thousand lines."""
    keys = "\n".join(f"k{number}: {ENC}" for number in range(MAX_LISTED + 5))
    problems: list[Problem] = list(
        load(sources({PATH: scope_yaml(keys), "secrets/z.yaml": scope_yaml(keys)})).problems()
    )
    assert len(problems) == MAX_LISTED + 1
    assert {problem.rule for problem in problems} == {"key-fed-twice", "more-problems"}


def test_long_names_are_not_guessed_at() -> None:
    """The work grows with the square of the length."""
    assert did_you_mean("secretz", ["secrets"]) == "did you mean 'secrets'?"
    assert did_you_mean("secrets" + "z" * 200, ["secrets" + "y" * 200]) is None
    assert HOST in (did_you_mean(HOST.replace("adb", "abd"), [HOST]) or "")
