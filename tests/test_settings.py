"""The surroundings of a run: which page of a pipeline it belongs to."""

from pathlib import Path

import pytest

from reconciler.settings import Settings


def run_url(**environ: str) -> str | None:
    """Return the page of a run in an environment."""
    return Settings(root=Path(), environ=environ, home=Path()).run_url


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        pytest.param({}, None, id="no-ci"),
        pytest.param(
            {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "me/it", "GITHUB_RUN_ID": "7"},
            "https://github.com/me/it/actions/runs/7",
            id="github",
        ),
        pytest.param({"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "me/it"}, None, id="half-github"),
        pytest.param(
            {"CI_JOB_URL": "https://gitlab.com/me/it/-/jobs/1", "CI_PIPELINE_URL": "https://gitlab.com/me/it/-/p/2"},
            "https://gitlab.com/me/it/-/jobs/1",
            id="gitlab-job",
        ),
        pytest.param(
            {"CI_PIPELINE_URL": "https://gitlab.com/me/it/-/pipelines/2"},
            "https://gitlab.com/me/it/-/pipelines/2",
            id="gitlab-pipeline",
        ),
        pytest.param(
            {
                "SYSTEM_COLLECTIONURI": "https://dev.azure.com/org/",
                "SYSTEM_TEAMPROJECT": "Our Project",
                "BUILD_BUILDID": "12",
            },
            "https://dev.azure.com/org/Our%20Project/_build/results?buildId=12",
            id="azure-devops",
        ),
        pytest.param(
            {"BUILDKITE_BUILD_URL": "https://buildkite.com/o/p/builds/3", "BUILDKITE_JOB_ID": "01-ab"},
            "https://buildkite.com/o/p/builds/3#01-ab",
            id="buildkite-job",
        ),
        pytest.param(
            {"BUILDKITE_BUILD_URL": "https://buildkite.com/o/p/builds/3"},
            "https://buildkite.com/o/p/builds/3",
            id="buildkite",
        ),
        pytest.param(
            {"CIRCLE_BUILD_URL": "https://circleci.com/gh/o/p/4"}, "https://circleci.com/gh/o/p/4", id="circle"
        ),
        pytest.param({"BUILD_URL": "https://ci.example/job/it/5/"}, "https://ci.example/job/it/5", id="jenkins"),
    ],
)
def test_run_url_is_the_page_of_the_ci_at_hand(environ: dict[str, str], url: str | None) -> None:
    """Each CI names its page by variables of its own; where there is none, there is no page."""
    assert run_url(**environ) == url


@pytest.mark.parametrize(
    ("page", "taken"),
    [
        pytest.param("https://ci.example/5", True, id="https"),
        pytest.param("http://127.0.0.1:8080/job/5", True, id="loopback"),
        pytest.param("http://[::1]:8080/job/5", True, id="loopback-6"),
        pytest.param("http://ci.example/5", False, id="http"),
        pytest.param("https://me:secret@ci.example/5", False, id="password"),
        pytest.param("https://token@ci.example/5", False, id="user"),
        pytest.param("javascript:alert(1)", False, id="script"),
        pytest.param("file:///etc/passwd", False, id="file"),
        pytest.param("https://", False, id="no-host"),
        pytest.param("https://ci.example:port/5", False, id="no-port"),
        pytest.param("https://[ci.example/5", False, id="broken-host"),
        pytest.param("https://ci.example/5\n6", False, id="line-feed"),
        pytest.param("https://ci.example/5\x1b[2J", False, id="escape"),
        pytest.param("https://ci.example/5 6", False, id="blank"),
        pytest.param("https://ci.example/\u202e5", False, id="reading-direction"),
        pytest.param("https://ci.example/" + "5" * 2_048, False, id="too-long"),
    ],
)
def test_run_url_is_refused_unless_it_is_safe_to_keep(page: str, taken: bool) -> None:  # noqa: FBT001  # a table
    """Reports are kept for years: no credential, no script, no control character gets into them by a variable."""
    assert run_url(BUILD_URL=page) == (page if taken else None)


def test_run_url_that_is_refused_leaves_the_next_one() -> None:
    """Variables of one CI may be left over in another one."""
    assert run_url(CI_JOB_URL="http://old.example/1", BUILD_URL="https://ci.example/5") == "https://ci.example/5"
