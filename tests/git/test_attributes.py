"""Attributes of git that hide changes from a review."""

from pathlib import Path

import pytest

from reconciler.errors import Problem, Severity
from reconciler.validate import validate
from tests.support.secrets_repo import SecretsRepo


def remarks_on(root: Path) -> tuple[Problem, ...]:
    """Return what `validate` has to say about attributes."""
    return tuple(problem for problem in validate(root, {}).problems if problem.rule == "hidden-from-review")


@pytest.mark.parametrize(
    ("place", "attributes", "hidden"),
    [
        pytest.param(".gitattributes", "* -diff", {"diff": ".sops.yaml"}, id="all"),
        pytest.param(".gitattributes", "*.yaml binary", {"diff": ".sops.yaml"}, id="binary"),
        pytest.param(".gitattributes", "secrets/** linguist-generated", {"linguist": "secrets/a/b.yaml"}, id="folded"),
        pytest.param("secrets/.gitattributes", "a/* gitlab-generated=1", {"gitlab": "secrets/a/b.yaml"}, id="gitlab"),
        pytest.param("secrets/a/.gitattributes", "b.yaml filter=x", {"filter": "secrets/a/b.yaml"}, id="filter"),
        pytest.param(".gitattributes", "[attr]x -diff\n*.yaml x", {"diff": ".sops.yaml"}, id="macro"),
        pytest.param(".gitattributes", "* -diff\n*.yaml diff", {}, id="overridden"),
        pytest.param(".gitattributes", "*.yaml diff=sops", {}, id="driver"),
        pytest.param(".gitattributes", "*.yaml linguist-generated=false text eol=lf", {}, id="harmless"),
        pytest.param(".gitattributes", "*.pdf binary", {}, id="other-files"),
    ],
)
def test_attributes_that_hide_changes_are_remarks(
    repo: SecretsRepo, place: str, attributes: str, hidden: dict[str, str]
) -> None:
    """One for each way, at the first file; git decides what applies, and no run is kept from its work."""
    repo.commit()
    repo.write(place, f"{attributes}\n")
    remarks = remarks_on(repo.root)
    assert {remark.severity for remark in remarks} <= {Severity.WARNING}
    assert {remark.path for remark in remarks} == set(hidden.values())
    assert len(remarks) == len(hidden)
    assert all(word in remark.what for word, remark in zip(hidden, remarks, strict=True))


def test_attributes_above_the_directory_of_the_run_count(repo: SecretsRepo) -> None:
    """As the rules do that may stand there."""
    repo.write("team/secrets/targets.yaml", "targets: {}\n").write(".gitattributes", "*.yaml -diff\n").commit()
    (remark,) = remarks_on(repo.root / "team")
    assert (remark.path, remark.rule) == ("../.sops.yaml", "hidden-from-review")
    assert "so for 1 more" in remark.what


def test_what_a_user_has_set_for_all_repositories_does_not_count(
    repo: SecretsRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reviewers see what they see."""
    repo.commit()
    repo.write("home/.config/git/attributes", "* -diff\n")
    monkeypatch.setenv("HOME", str(repo.root / "home"))
    assert remarks_on(repo.root) == ()


def test_outside_git_nothing_is_hidden(repo: SecretsRepo) -> None:
    """The file is just a file there."""
    repo.write(".gitattributes", "* -diff\n")
    assert remarks_on(repo.root) == ()
