"""What is said of a regular expression by its beginning, beside RE2."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.pysops.config.creation_rules import parse_config
from reconciler.pysops.config.path_regex import Beginning, beginning_of
from reconciler.pysops.selectors import compile_re2


_UNKNOWN = Beginning(text="", anchored=False, alone=False)

_PIECES = st.sampled_from(
    [
        *("a", "b", "x", "/", "-", r"\.", r"\/", ".", "x*", "y+", "z?", "[ab]", "[^/]+", "(a|b)", "(?:x|)?", "$", ".*"),
        *("|", "^", "*", "?", "{0}", "{2}", "(", ")", "(?i)", "(?U)", "(?i:a)", r"\w", r"\b", "[[:alpha:]]", "é"),
        *("[[:alpha:](]", "[(]", "[]|]", "[|]", r"\Q", r"\E", r"\(", r"\|", r"[\]|]", r"\x61", r"\pL", r"\A", r"\z"),
    ]
)
_PATTERNS = st.tuples(st.sampled_from(["", "^", ".*"]), st.lists(_PIECES, max_size=6)).map(
    lambda parts: parts[0] + "".join(parts[1])
)
_PATHS = st.lists(st.text("ab/.xyzé(|-", max_size=8), min_size=1, max_size=20)


@given(_PATTERNS, _PATTERNS, _PATHS)
@example("^a[[:alpha:](]+/|^b", "^b", ["b/x", "aa/"])
@example(r"a\Q(\E|b", "b", ["b", "a("])
@example("a(?i)?", "b", ["b"])
@example("é(?U)*", "b", ["b"])
@example(r"a\Q\E*", "b", ["b"])
def test_what_is_said_of_a_beginning_holds(first: str, second: str, paths: list[str]) -> None:
    """Its text stands in every path that matches; what it covers, it takes; and rules match what RE2 finds."""
    one, two = compile_re2(first), compile_re2(second)
    if one is None or two is None:
        return
    beginning = beginning_of(first)
    rule, _ = parse_config(f"creation_rules: [{{path_regex: '{first}'}}, {{pgp: A}}]".encode()).rules
    for path in paths:
        assert rule.matches(path) is (not first or one(path))
        if one(path):
            assert path.startswith(beginning.text) if beginning.anchored else beginning.text in path
        if two(path) and beginning.covers(beginning_of(second)):
            assert one(path)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        pytest.param("^secrets/prod/", Beginning(text="secrets/prod/", anchored=True, alone=True), id="plain"),
        pytest.param(r"\.env\.yaml", Beginning(text=".env.yaml", anchored=False, alone=True), id="anywhere"),
        pytest.param("^a/.*$", Beginning(text="a/", anchored=True, alone=True), id="anything-behind"),
        pytest.param(".*a/", Beginning(text="a/", anchored=False, alone=True), id="anything-before"),
        pytest.param(r"^a/[^/]+\.ya?ml$", Beginning(text="a/", anchored=True, alone=False), id="a-class"),
        pytest.param("^a/(b|c)/d", Beginning(text="a/", anchored=True, alone=False), id="alternatives-in-a-group"),
        pytest.param("^ab?", Beginning(text="a", anchored=True, alone=False), id="what-may-be-missing"),
        pytest.param("^ab+", Beginning(text="a", anchored=True, alone=False), id="what-may-come-again"),
        pytest.param("^a$", Beginning(text="a", anchored=True, alone=False), id="the-end"),
        pytest.param("^team-[[:alpha:](]+/|^secrets/", _UNKNOWN, id="a-class-in-a-class"),
        pytest.param(r"^a\Q(\E|b", _UNKNOWN, id="quoted"),
        pytest.param("^a(?i)?", _UNKNOWN, id="quantified-flags"),
        pytest.param("^a|b", _UNKNOWN, id="alternatives"),
        pytest.param("^a{0}", _UNKNOWN, id="counted"),
        pytest.param("^ä/", _UNKNOWN, id="letters-of-other-alphabets"),
    ],
)
def test_something_is_said_of_simple_expressions_alone(pattern: str, expected: Beginning) -> None:
    """Everything else is left to RE2."""
    assert beginning_of(pattern) == expected


def test_a_rule_of_odd_alternatives_takes_its_files() -> None:
    """It was once said to take none, which stopped runs."""
    (rule,) = parse_config(b"creation_rules: [{path_regex: '^team-[[:alpha:](]+/|^secrets/'}]").rules
    assert rule.matches("secrets/d/n.yaml")
    assert rule.matches("team-a/n.yaml")
    assert not rule.matches("other/n.yaml")


@pytest.mark.parametrize("piece", ["a", "a?", "(a", "(a|", "[a", r"\.", "a*b", "("])
def test_long_expressions_are_looked_at_in_no_time(piece: str) -> None:
    """Also those that are not simple at their end only."""
    started = time.monotonic()
    assert beginning_of(f"{piece * 10_000}|") == _UNKNOWN
    assert time.monotonic() - started < 5
