"""Every forgery of a scope file that is on record, as whoever reviews it sees it.

Review is the control where nothing in a file shows that anything is wrong: see docs/forgeries.md.
"""

import re
from collections.abc import Iterator

import pytest

from reconciler import policy
from reconciler.policy import Sources
from reconciler.policy.sources import RulesFile
from reconciler.report import render_review, render_review_json, render_review_markdown
from reconciler.report.reviewed import Kind, Rank, ReviewReport
from reconciler.review.compare import Comparison, GitFacts, Tree, compare
from reconciler.review.files import Version
from tests.policy.samples import TARGETS
from tests.support.age_keys import AgeKey
from tests.support.forgery import KEYLESS, PATH, Scene, Stage, make_scene, sops_rules
from tests.support.forgery_tables import FORGERIES
from tests.support.sops_tool import SopsTool


@pytest.fixture(scope="module")
def key() -> AgeKey:
    """One key for all cases: it is the files that differ."""
    return AgeKey.generate()


@pytest.fixture(scope="module")
def scene(sops: SopsTool, key: AgeKey) -> Scene:
    """One honest file with a history, of which all cases are made."""
    return make_scene(sops, key)


def reviewed(scene: Scene, key: AgeKey, forged: str | bytes) -> Comparison:
    """Compare the honest file with a forged one."""

    def tree(content: str | bytes) -> Tree:
        data = content.encode() if isinstance(content, str) else content
        rules = RulesFile(path=".sops.yaml", data=sops_rules(key).encode())
        sources = Sources(files={"secrets/targets.yaml": TARGETS.encode(), PATH: data}, rules=rules)
        return Tree(sources=sources, policy=policy.load(sources))

    commits = (("b", scene.honest), ("a", scene.older))
    past = tuple(Version(commit=name * 40, data=content.encode()) for name, content in commits)
    return compare(tree(scene.honest), tree(forged), GitFacts(past={PATH: past}))


def cases(scene: Scene, *stages: Stage) -> Iterator[tuple[str, str | bytes]]:
    """Yield name and content of each forgery that ends there."""
    for name, forgery in FORGERIES.items():
        if forgery.stage in stages:
            yield name, forgery.forge(scene)


def is_shown_first(found: Comparison) -> bool:
    """Tell whether anything is to be looked at first."""
    return any(one.rank is Rank.FIRST for one in found.differences)


def test_what_shows_without_a_key_is_told_as_a_problem(scene: Scene, key: AgeKey) -> None:
    """With the review, which is of use all the same."""
    assert [name for name, forged in cases(scene, *KEYLESS) if not reviewed(scene, key, forged).problems] == []


def test_what_only_review_can_tell_is_to_be_looked_at_first(scene: Scene, key: AgeKey) -> None:
    """There are three of these, and each is called what it is."""
    found = {name: reviewed(scene, key, forged) for name, forged in cases(scene, Stage.REVIEW)}
    assert {name: [one.kind for one in each.differences if one.rank is Rank.FIRST] for name, each in found.items()} == {
        "an older commit": [Kind.FILE_ROLLED_BACK],
        "a secret that was split, whole again": [Kind.FILE_UNSEALED, Kind.VALUE_ROLLED_BACK],
        "a file of the attacker's own": [Kind.FILE_REKEYED],
    }


def test_what_fails_on_unlocking_is_to_be_looked_at_first(scene: Scene, key: AgeKey) -> None:
    """A review comes before anybody with a key tries. Three have another seal and say the same as before."""
    found = {name: reviewed(scene, key, forged) for name, forged in cases(scene, Stage.UNLOCKING)}
    unseen = {name for name, each in found.items() if not is_shown_first(each)}
    # The last one is seen where the two commits were not made within a second.
    assert unseen <= {"a value as the MAC", "another data key", "the MAC of an older commit"}
    assert {one.kind for name in unseen for one in found[name].differences} == {Kind.FILE_REWRITTEN}


def test_no_forgery_is_passed_over_in_silence(scene: Scene, key: AgeKey) -> None:
    """Also of what is harmless something is told, if only that the file was rewritten."""
    silent = []
    for name, forged in cases(scene, *Stage):
        found = reviewed(scene, key, forged)
        if not found.differences and not found.problems:
            silent.append(name)
    assert silent == []


def test_no_value_and_no_ciphertext_is_shown(scene: Scene, key: AgeKey) -> None:
    """Whatever was done to the file: values that are plain now, too."""
    for name, forged in cases(scene, *Stage):
        found = reviewed(scene, key, forged)
        report = ReviewReport(
            base="b" * 40, base_name=None, head=None, differences=found.differences, problems=found.problems
        )
        for shown in (render_review(report, color=False), render_review_markdown(report), render_review_json(report)):
            assert "first value" not in shown, name
            assert "third value" not in shown, name
            assert re.search(r"(data|iv|tag):[A-Za-z0-9+/]", shown) is None, name
