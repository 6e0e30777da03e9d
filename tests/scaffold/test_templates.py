"""Text that goes into YAML comes out of it the same."""

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.policy.names import principal_of
from reconciler.scaffold import templates


PRINTABLE = st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), min_size=1, max_size=20)
WORDS = st.sampled_from(
    ["true", "No", "null", "~", "1", "1.5", "0x1f", "1_0", "2024-01-02", "-", "- a", "a: b", "a #b"]
)


@settings(max_examples=50)
@given(PRINTABLE | WORDS)
def test_scalar_is_read_back_as_the_same_text(text: str) -> None:
    """Whatever it looks like: never a number, a word of YAML, a list or a comment."""
    assert yaml.safe_load(f"- {templates.scalar(text)}\n") == [text]
    assert yaml.safe_load(f"{templates.scalar(text)}: x\n") == {text: "x"}


@settings(max_examples=50)
@given(st.lists((PRINTABLE | WORDS).filter(principal_of), max_size=3, unique=True))
def test_target_is_read_back_with_its_operators(operators: list[str]) -> None:
    """Names of people and groups stand in quotes where they need them."""
    text = templates.targets("an-owner", templates.remote_target("prod", {"host": "https://x.example"}, operators))
    found = yaml.safe_load(text)["targets"]["prod"]
    assert found == {"workspace": {"host": "https://x.example"}, "operators": operators}
