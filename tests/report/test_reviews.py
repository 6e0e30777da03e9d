"""Reviews as text, Markdown and JSON: what holds whatever they tell."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.report import render_review, render_review_json, render_review_markdown
from reconciler.report.review_as_markdown import MAX_CHARS
from reconciler.report.review_items import Items
from reconciler.report.review_wording import SENTENCES
from reconciler.report.reviewed import Difference, Kind, Rank, ReviewReport, Sight, in_order
from tests.report.reviews import BASE, EVERYTHING, HEAD, HOSTILE, REVIEWS, in_scope, of
from tests.support.cli import PACKAGE_ROOT


def review(*differences: Difference) -> ReviewReport:
    """Return a review of differences."""
    return ReviewReport(base=BASE, base_name=None, head=HEAD, differences=in_order(iter(differences)))


def test_every_kind_has_its_sentence_and_stands_in_the_golden_files() -> None:
    """No kind is told without words, or seen by nobody."""
    assert SENTENCES.keys() == set(Kind)
    assert {one.kind for one in EVERYTHING} == set(Kind)


def test_the_guide_has_every_kind_rank_and_sight() -> None:
    """Whoever writes a program for the JSON finds what each word means."""
    guide = (PACKAGE_ROOT / "docs" / "review.md").read_text(encoding="utf-8")
    words = [member.value for enumeration in (Kind, Rank, Sight) for member in enumeration]
    assert [word for word in words if f"`{word}`" not in guide] == []
    (difference,) = json.loads(render_review_json(REVIEWS["review-rotation"]))["differences"]
    assert [field for field in difference if f'"{field}": ' not in guide] == []


@given(text=st.text(min_size=1, max_size=30), kind=st.sampled_from(Kind), rank=st.sampled_from(Rank))
@settings(max_examples=50)
def test_names_do_no_harm_in_any_form(text: str, kind: Kind, rank: Rank) -> None:
    """Text and Markdown keep to printable lines of ours, JSON to ASCII."""
    names = dict.fromkeys(("target", "scope", "key", "subject", "before", "after"), text)
    one = of(kind, rank, f"secrets/{text}", field="host", commit=BASE, count=1, **names)
    plain = REVIEWS["review-rotation"]
    found = review(one)
    for shown in (render_review(found, color=False), render_review_markdown(found)):
        assert all(line.isprintable() for line in shown.splitlines())
        assert len(shown.split("\n")) == len(shown.splitlines()) + 1
    assert render_review_json(found).isascii()
    assert json.loads(render_review_json(plain))["valid"] is True


@pytest.mark.parametrize("name", REVIEWS)
def test_markdown_holds_other_peoples_text_in_code_spans_alone(name: str) -> None:
    """Outside of them there is no link, HTML, mention or command of a runner."""
    shown = render_review_markdown(REVIEWS[name])
    rest = re.sub(r"`[^`\n]*`", "", shown)
    rest = rest.replace("> [!CAUTION]", "").replace("> [!WARNING]", "")
    rest = re.sub(r"</?(?:details|summary)>", "", rest)
    assert set(rest).isdisjoint("<`@#[]|") or set(rest.replace("### ", "")).isdisjoint("<`@#[]|")
    assert "::" not in rest
    assert "https" not in rest


def test_a_huge_review_fits_into_a_comment_and_says_what_it_leaves_out() -> None:
    """What is to be looked at first stays; JSON has it all."""
    long = HOSTILE * 20
    many = [in_scope(Kind.KEY_REMOVED, Rank.GONE, f"{long}{number}", key=f"{long}{number}") for number in range(2_000)]
    first = [in_scope(Kind.ACL_ADDED, Rank.FIRST, subject=f"{long}{number}", after="READ") for number in range(300)]
    found = review(*many, *first, in_scope(Kind.KEY_ADDED, Rank.CHANGE, key="last"))
    shown = render_review_markdown(found)
    assert len(shown) <= MAX_CHARS
    assert "250 more" in shown
    assert re.search(r"1,9\d\d more", shown)
    assert shown.index("Look at these first") < shown.index("Gone")
    assert len(render_review(found, color=False).splitlines()) < 500
    assert len(json.loads(render_review_json(found))["differences"]) == 2_301


def test_the_end_of_a_long_name_is_shown_too() -> None:
    """Otherwise whoever writes it could put what matters behind what is shown."""
    one = of(Kind.TARGET_FIELD_CHANGED, Rank.FIRST, field="owner", before="a", after="b" * 2_000 + "evil")
    for shown in (render_review(review(one), color=False), render_review_markdown(review(one))):
        assert "bb…bb" in shown
        assert "bevil" in shown
        assert len(shown) < 1_200


def test_the_same_in_many_places_is_told_once() -> None:
    """Twelve workspaces with the same key are one line."""
    many = [
        of(Kind.KEY_CHANGED, Rank.CHANGE, f"secrets/{n}.yaml", target=f"prod-{n}", scope="app", key="license")
        for n in range(12)
    ]
    (item,) = Items(review(*many)).of_rank(Rank.CHANGE, 9)
    assert len(item.scopes) == len(item.files) == 12
    assert "and 9 more" in render_review_markdown(review(*many))


def test_keys_of_a_scope_that_comes_or_goes_are_told_with_it() -> None:
    """A new scope of a hundred keys is one line, with the first few."""
    keys = [in_scope(Kind.KEY_ADDED, Rank.CHANGE, "new", key=f"key-{n:03}") for n in range(100)]
    found = review(in_scope(Kind.SCOPE_ADDED, Rank.CHANGE, "new", count=100), *keys)
    assert Items(found).number(Rank.CHANGE) == 1
    assert "and 95 more" in render_review(found, color=False)
