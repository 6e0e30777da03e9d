"""What is said of a regular expression by its beginning, beside RE2."""

from hypothesis import given
from hypothesis import strategies as st

from reconciler.pysops.config.creation_rules import parse_config
from reconciler.pysops.config.path_regex import beginning_of
from reconciler.pysops.selectors import compile_re2


_PIECES = st.sampled_from(["a", "/", "b", r"\.", ".", "x*", "y+", "[ab]", "(a|b)", "z?", "$", r"\w", ".*", "|", "(?i)"])
_PATTERNS = st.tuples(st.sampled_from(["", "^", ".*"]), st.lists(_PIECES, max_size=5)).map(
    lambda parts: parts[0] + "".join(parts[1])
)


@given(_PATTERNS, _PATTERNS, st.lists(st.text("ab/.xyz", max_size=8), min_size=1, max_size=20))
def test_what_is_said_of_a_beginning_holds(first: str, second: str, paths: list[str]) -> None:
    """Its text stands in every path that matches; what it covers, it takes."""
    one, two = compile_re2(first), compile_re2(second)
    if one is None or two is None:
        return
    beginning = beginning_of(first)
    rule, _ = parse_config(f"creation_rules: [{{path_regex: '{first}'}}, {{pgp: A}}]".encode()).rules
    for path in paths:
        assert rule.matches(path) is one(path)
        if one(path):
            assert path.startswith(beginning.text) if beginning.anchored else beginning.text in path
        if two(path) and beginning.covers(beginning_of(second)):
            assert one(path)
