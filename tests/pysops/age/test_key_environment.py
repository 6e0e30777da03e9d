"""What a program that prints a key gets of the environment."""

from pathlib import Path

import pytest

from reconciler.pysops import metadata
from reconciler.pysops.age.key_environment import MORE, NEVER, command_environment
from tests.support.age_judge import AgeJudge
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsTool


PASSED = (
    *("PATH", "HOME", "USER", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"),
    *("DISPLAY", "WAYLAND_DISPLAY", "SSH_AUTH_SOCK", "GPG_TTY", "GNUPGHOME", "DBUS_SESSION_BUS_ADDRESS"),
    *("HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE", "WSL_INTEROP", "WSLENV"),
    *("OP_SERVICE_ACCOUNT_TOKEN", "OP_SESSION_mine", "BW_SESSION", "PASSWORD_STORE_DIR", "VAULT_ADDR", "VAULT_TOKEN"),
    *("AWS_PROFILE", "AWS_SECRET_ACCESS_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "AZURE_CONFIG_DIR"),
)

WITHHELD = (
    *("DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET", "ARM_CLIENT_SECRET", "GITHUB_TOKEN", "SYSTEM_ACCESSTOKEN"),
    *("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "CI_JOB_TOKEN", "NPM_TOKEN", "PGPASSWORD"),
    *("SOPS_AGE_KEY", "SOPS_AGE_RECIPIENT", "SOPS_AGE_KEY_CMD", "RECONCILER_TARGET", "path", "Home", "XPATH", "PATH_"),
)


def test_what_programs_need_and_password_managers_log_in_with_is_passed_on() -> None:
    """And nothing else: above all not what we log in with ourselves."""
    environ = {name: f"value of {name}" for name in (*PASSED, *WITHHELD)}
    assert command_environment(environ, "linux") == {name: f"value of {name}" for name in PASSED}


@pytest.mark.parametrize(
    ("more", "passed"),
    [
        pytest.param("", set(), id="nothing"),
        pytest.param("MY_STORE", {"MY_STORE"}, id="one name"),
        pytest.param(" MY_STORE , GITHUB_TOKEN,", {"MY_STORE", "GITHUB_TOKEN"}, id="two names"),
        pytest.param("MY_*", {"MY_STORE", "MY_PIN"}, id="all that begin so"),
        pytest.param("*", {"MY_STORE", "MY_PIN", "GITHUB_TOKEN", MORE}, id="all"),
        pytest.param("SOPS_AGE_KEY,SOPS_*", set(), id="never a key"),
    ],
)
def test_the_user_can_name_more(more: str, passed: set[str]) -> None:
    """A script may need what nobody knows of; with `*` it gets what sops would give it, but for the key."""
    environ = {"MY_STORE": "a", "MY_PIN": "b", "GITHUB_TOKEN": "c", **dict.fromkeys(NEVER, "d"), MORE: more}
    assert command_environment(environ, "linux").keys() == passed


def test_on_windows_case_does_not_matter() -> None:
    """As the system has it; what the program gets is spelt as it was."""
    environ = {"Path": "a", "SystemRoot": "b", "bw_session": "c", "sops_age_key": "d", "My_Store": "e"}
    assert command_environment({**environ, "pysops_key_cmd_env": "my_store"}, "win32").keys() == {
        *("Path", "SystemRoot", "bw_session", "My_Store"),
    }


def test_a_password_manager_finds_its_session(judge: AgeJudge, sops: SopsTool) -> None:
    """As with sops: a program that asks a Vault for the key, with the token of the user."""
    key = AgeKey.generate()
    program = judge.write("vault", f'#!/bin/sh\ntest "$VAULT_TOKEN" = hunter2 && echo {key.identity}\n')
    program.chmod(0o700)
    file = sops.encrypt(b"a: 1\n", [key.recipient])
    assert judge.opens(file, {"SOPS_AGE_KEY_CMD": str(program), "VAULT_TOKEN": "hunter2"})
    assert not judge.opens(file, {"SOPS_AGE_KEY_CMD": str(program)})


def test_a_program_that_misses_a_variable_fails_with_a_hint(judge: AgeJudge, sops: SopsTool) -> None:
    """It cannot be told apart from any other failure, so every one names the way out."""
    key = AgeKey.generate()
    program = judge.write("mine", f'#!/bin/sh\ntest "$MINE" = x && echo {key.identity}\n')
    program.chmod(0o700)
    file = sops.encrypt(b"a: 1\n", [key.recipient])
    environ = {"SOPS_AGE_KEY_CMD": str(program), "MINE": "x"}
    assert judge.sops_opens(file, environ)
    found = judge.identities(environ)
    assert found.open_group(metadata(file).key_groups[0]) is None
    (problem,) = found.problems
    assert MORE in problem.what
    assert judge.opens(file, {**environ, MORE: "MINE"})


@pytest.fixture
def judge(sops: SopsTool, tmp_path: Path) -> AgeJudge:
    """Provide a user with an empty home."""
    return AgeJudge(sops=sops, home=tmp_path)
