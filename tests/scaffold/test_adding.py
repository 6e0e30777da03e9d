"""A further target beside those that are there; what people wrote stays, and what cannot be added to is left alone."""

import pytest

from reconciler.errors import UsageError
from reconciler.scaffold import Answers
from reconciler.scaffold.adding import with_rule, with_target
from tests.scaffold.starts import Starter, real


SECOND = real(target="test", host="https://adb-3.4.azuredatabricks.net")
FIELDS = "    b:\n        embedded: true\n"
RULE = "    - path_regex: ^secrets/b/\n      age:\n          - age1b\n"


@pytest.mark.parametrize(
    ("text", "after"),
    [
        pytest.param(
            "targets:\n  a:\n    x: 1\n", "targets:\n  a:\n    x: 1\n  b:\n      embedded: true\n", id="indent"
        ),
        pytest.param(
            "targets:\n  a:\n    x: 1", "targets:\n  a:\n    x: 1\n  b:\n      embedded: true\n", id="no-feed"
        ),
        pytest.param(
            "targets:\r\n  a:\r\n    x: 1\r\n",
            "targets:\r\n  a:\r\n    x: 1\r\n  b:\r\n      embedded: true\r\n",
            id="windows",
        ),
        pytest.param(
            "targets:\n  a:\n    x: 1  # one\n    # of a\n# end\nowner: o\n",
            "targets:\n  a:\n    x: 1  # one\n    # of a\n  b:\n      embedded: true\n# end\nowner: o\n",
            id="comments",
        ),
        pytest.param("targets: {a: {x: 1}}\n", None, id="flow"),
        pytest.param("{targets: {a: {x: 1}}}\n", None, id="flow-at-the-top"),
    ],
)
def test_target_goes_behind_the_last_one(text: str, after: str | None) -> None:
    """In the indentation of the others."""
    assert with_target(text, "b", FIELDS, "") == after


@pytest.mark.parametrize(
    ("text", "after"),
    [
        pytest.param("creation_rules:\n- age: age1a\n", "creation_rules:\n- age: age1a\n- path_regex", id="flush"),
        pytest.param(
            "creation_rules:\n  - age: age1a # x\n", "creation_rules:\n  - age: age1a # x\n  - path", id="deep"
        ),
        pytest.param("creation_rules: [{age: age1a}]\n", None, id="flow"),
        pytest.param("creation_rules: []\n", None, id="empty"),
    ],
)
def test_rule_goes_behind_the_last_one(text: str, after: str | None) -> None:
    """In the indentation of the others."""
    found = with_rule(text, RULE)
    assert found is None if after is None else (found or "").startswith(after)


def test_further_target_is_added_and_a_second_time_nothing(start: Starter) -> None:
    """Everything that stood there stands there still, and `validate` finds nothing."""
    start(real())
    before = start.everything()
    outcome = start(SECOND)
    after = start.everything()
    assert outcome.written == ["secrets/test/secrets.yaml"]
    assert outcome.completed == ["secrets/targets.yaml", ".sops.yaml"]
    assert all(after[path].startswith(data) for path, data in before.items())
    assert start.problems() == ()
    start(SECOND)
    assert start.everything() == after


@pytest.mark.parametrize("done", [(), ("secrets/targets.yaml",), ("secrets/targets.yaml", ".sops.yaml")])
def test_killed_between_files_is_completed_by_the_same_command(start: Starter, done: tuple[str, ...]) -> None:
    """Whichever of them were written by then."""
    start(real())
    before = start.everything()
    start(SECOND)
    for path in {"secrets/targets.yaml", ".sops.yaml"} - set(done):
        (start.root / path).write_bytes(before[path])
    (start.root / "secrets/test/secrets.yaml").unlink()
    start(SECOND)
    assert start.problems() == ()


def test_owner_is_added_with_the_first_real_target(start: Starter) -> None:
    """An embedded one needs none."""
    start(Answers(embedded=True))
    path = start.root / "secrets/targets.yaml"
    path.write_text(
        "".join(line for line in path.read_text().splitlines(keepends=True) if not line.startswith("owner:"))
    )
    start(SECOND)
    assert "\nowner: " in path.read_text()
    assert start.problems() == ()


def test_layout_that_cannot_be_added_to_is_left_with_the_lines_to_add(start: Starter) -> None:
    """Nothing is written."""
    start(Answers(embedded=True))
    path = start.root / "secrets/targets.yaml"
    path.write_text("targets: {demo: {embedded: true, age_key_file: demo/demo.agekey}}\n")
    before = start.everything()
    with pytest.raises(UsageError, match="no target can be added") as refused:
        start(SECOND)
    assert "    test:\n        workspace:" in str(refused.value.advice)
    assert start.everything() == before


def test_identity_that_is_there_is_used_and_said_and_leftovers_go(start: Starter) -> None:
    """After a run that was killed behind its identity, the same command does."""
    generate = real(age_keys=("generate",))
    start(generate)
    for path in start.everything():
        (start.root / path).unlink()
    left = start.root / "..pre-commit-config.yaml.abcd1234.new"
    left.touch()
    outcome = start(generate)
    assert outcome.new_key is None
    assert any("has an identity already, which is used" in notice for notice in outcome.notices)
    assert not left.exists()
