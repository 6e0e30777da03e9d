"""Profiles of the user's own: held against the target's host, and never quoted."""

from pathlib import Path

import pytest

from reconciler.databricks_workspace import Connection, profile_problem


HOST = "https://adb-1.2.azuredatabricks.net"


def _problem(
    tmp_path: Path, text: str, *, profile: str | None = "mine", host: str = HOST, **environ: str
) -> str | None:
    file = tmp_path / "databrickscfg"
    file.write_text(text)
    problem = profile_problem(Connection(host=host, profile=profile), {"DATABRICKS_CONFIG_FILE": str(file), **environ})
    return None if problem is None else str(problem)


@pytest.mark.parametrize(
    "host",
    [
        pytest.param(HOST, id="the same"),
        pytest.param(f"{HOST}/", id="slash"),
        pytest.param(f"{HOST}:443", id="port"),
        pytest.param(f"{HOST}/?o=123", id="workspace id"),
        pytest.param("adb-1.2.azuredatabricks.net", id="without https"),
        pytest.param(" HTTPS://ADB-1.2.AzureDatabricks.net ", id="upper case"),
    ],
)
def test_accepts_the_host_of_the_target(tmp_path: Path, host: str) -> None:
    """However the same host is written."""
    assert _problem(tmp_path, f"[mine]\nhost = {host}\ntoken = x\n") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("[mine]\nhost = https://adb-9.9.azuredatabricks.net\n", "is for https://adb-9.9", id="another"),
        pytest.param(f"[mine]\nhost = {HOST}:8443\n", ":8443", id="another port"),
        pytest.param("[mine]\nhost = http://adb-1.2.azuredatabricks.net\n", "http://adb", id="not encrypted"),
        pytest.param("[mine]\ntoken = canary\n", "is for no host", id="none"),
        pytest.param("[mine]\nhost = https://u:canary@[::\n", "is for no host", id="nonsense"),
        pytest.param(f"[mine]\nhost = https://user:canary@x.de/{HOST}\n", "is for https://x.de", id="with a password"),
        pytest.param(f"[DEFAULT]\nhost = {HOST}\n[mine]\ntoken = canary\n", "is for no host", id="host of DEFAULT"),
        pytest.param("[other]\nhost = x\n", "there is no profile 'mine'", id="no such profile"),
        pytest.param("canary\n", "cannot be read: MissingSectionHeaderError", id="not INI"),
        pytest.param("[mine]\nhost = 1\nhost = canary\n", "cannot be read: DuplicateOptionError", id="twice"),
    ],
)
def test_refuses_anything_else_without_quoting_it(tmp_path: Path, text: str, said: str) -> None:
    """The problem says what the profile is for; tokens and passwords beside the host are not repeated."""
    problem = _problem(tmp_path, text)

    assert problem is not None
    assert said in problem
    assert "canary" not in problem


def test_counts_the_profile_of_the_environment(tmp_path: Path) -> None:
    """DATABRICKS_CONFIG_PROFILE is held against the host too, and is named as the reason."""
    text = "[theirs]\nhost = https://other.cloud.databricks.com\n"

    assert _problem(tmp_path, text, profile=None) is None
    problem = _problem(tmp_path, text, profile=None, DATABRICKS_CONFIG_PROFILE="theirs")
    assert problem is not None
    assert "(from DATABRICKS_CONFIG_PROFILE)" in problem


def test_does_not_count_for_embedded_targets() -> None:
    """They have a token of their own."""
    connection = Connection(host="http://127.0.0.1:1", token="x")

    assert profile_problem(connection, {"DATABRICKS_CONFIG_PROFILE": "theirs"}) is None


def test_says_when_there_is_no_file(tmp_path: Path) -> None:
    """The usual file may not exist."""
    problem = profile_problem(Connection(host=HOST, profile="mine"), {"DATABRICKS_CONFIG_FILE": str(tmp_path / "none")})

    assert problem is not None
    assert "cannot be read: FileNotFoundError" in str(problem)
