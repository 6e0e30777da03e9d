"""No secret value, key or token in any output, whatever happens: canaries are hunted through all that can be seen.

Situations (each error that files, keys and workspaces can cause, also where the workspace quotes what it was sent)
times places to look (reports in every form, ``-v``, all logs at their loudest, tracebacks with local variables, files,
folders for temporary ones, children's arguments and environment).
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import loud
from tests.support.canaries import forms_of
from tests.support.canary_scene import (
    IN_FILES,
    OF_A_WORKSPACE,
    Scene,
    broken_yaml,
    canary_scene,
    echo,
    fine,
    garbled_key,
    odd_token,
    tampered_value,
    value_of_another_kind,
)
from tests.support.cli import Cli
from tests.support.faults import Asked, Say
from tests.support.secrets_repo import SecretsRepo


@pytest.fixture
def scene(repo: SecretsRepo) -> Iterator[Scene]:
    """Provide canaries in git, and a workspace that is well so far."""
    with canary_scene(repo) as scene:
        yield scene


@pytest.mark.parametrize(("prepare", "exit_codes"), [*IN_FILES, *OF_A_WORKSPACE])
def test_no_output_shows_a_secret(
    prepare: Callable[[Scene], None], exit_codes: set[int], scene: Scene, tmp_path: Path
) -> None:
    """Runs in every form (text beside the file) and whatever only looks, with ``-v``: stdout, stderr and a file."""
    prepare(scene)
    file = tmp_path / "report"
    codes: set[int] = set()
    for before, command, *arguments in (
        ("-v", "plan", "-o", "json"),
        ("-v", "apply", "-o", "markdown", "--output-file", str(file)),
        ("-v", "apply", "-o", "json"),
    ):
        done = scene.run(before, command, "prod", "--timeout=1", *arguments)
        codes.add(done.exit_code)
        assert scene.canaries.found_in(done.stdout_bytes) == []
        assert scene.canaries.found_in(done.stderr) == []
    for looking in (
        ("status", "prod", "--timeout=1"),
        ("audit", "prod", "--timeout=1"),
        ("doctor", "prod", "--timeout=1"),
        ("audit", "--revoked", scene.repo.key.recipient),
    ):
        told = scene.run("-v", *looking)
        assert told.stdout or told.exit_code
        assert scene.canaries.found_in(told.stdout_bytes) == []
        assert scene.canaries.found_in(told.stderr) == []
        assert "internal error" not in told.stdout
    assert codes - {0} or 0 in exit_codes
    assert codes <= {0, *exit_codes}
    assert scene.canaries.found_in(file.read_bytes()) == []


@pytest.mark.parametrize("form", [name for name, _ in forms_of(b"")])
@pytest.mark.parametrize("cut", [pytest.param(slice(None), id="whole"), pytest.param(slice(4, 30), id="part")])
def test_value_that_is_quoted_is_masked_in_every_form(form: str, cut: slice, scene: Scene) -> None:
    """``-v`` shows what the workspace said, and of a value nothing."""

    def react(asked: Asked) -> Say:
        return Say.error(400, "BAD_REQUEST", f"the workspace says <{dict(forms_of(asked.value))[form][cut]}> again")

    scene.faults.add("put", react, scope="app")
    done = scene.run("-v", "apply", "prod", "--timeout=1").expect(1)
    assert done.stderr.count("the server said: BAD_REQUEST the workspace says ") == 3
    assert "***" in done.stderr
    assert scene.canaries.found_in(done.stdout_bytes) == []
    assert scene.canaries.found_in(done.stderr) == []


def test_hunt_finds_what_is_there(scene: Scene) -> None:
    """Or the tests above would prove nothing: each canary is found in each form, also in a part of it."""
    for name in scene.canaries.by_name:
        for _, shape in forms_of(scene.canaries[name]):
            assert any(found.startswith(name) for found in scene.canaries.found_in(f"… {shape[5:25]} …"))
    assert "old as text" in scene.canaries.found_in(b"\xff" + scene.canaries["old"][:12])
    assert scene.canaries.found_in("nothing of all that, in a rather long sentence") == []


# The loudest logs, and bugs of our own.


def _loudly(
    scene: Scene, tmp_path: Path, *arguments: str, broken: str = "-", env: dict[str, str] | None = None
) -> tuple[subprocess.CompletedProcess[bytes], bytes]:
    """Run as a process with everything turned up; return what it printed, and what was logged."""
    log = tmp_path / "log"
    temporary = tmp_path / "temporary"
    temporary.mkdir(exist_ok=True)
    environ = {
        **Cli(cwd=scene.repo.root).environ(),
        **scene.run.env,
        "TMPDIR": str(temporary),
        "DATABRICKS_DEBUG_HEADERS": "true",
        "DATABRICKS_DEBUG_TRUNCATE_BYTES": "100000",
        "PYTHONDEVMODE": "1",
        "PYTHONWARNINGS": "error",
        **(env or {}),
    }
    done = subprocess.run(
        (sys.executable, loud.__file__, log, broken, *arguments),
        cwd=scene.repo.root,
        env=environ,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    assert list(temporary.iterdir()) == []
    return done, log.read_bytes()


@pytest.mark.parametrize(
    ("prepare", "exit_code"),
    [
        pytest.param(fine, 0, id="fine"),
        pytest.param(broken_yaml, 4, id="broken-yaml"),
        pytest.param(tampered_value, 5, id="tampered-value"),
        pytest.param(garbled_key, 5, id="garbled-key"),
        pytest.param(odd_token, 1, id="odd-token"),
        pytest.param(echo(400), 1, id="echo-400"),
        pytest.param(echo(503), 1, id="echo-503"),
        pytest.param(echo(302, form="headers"), 1, id="echo-in-a-redirect"),
        pytest.param(echo(200, form="page"), 1, id="echo-in-a-page"),
        pytest.param(value_of_another_kind, 1, id="value-of-another-kind"),
    ],
)
def test_no_log_shows_a_secret(prepare: Callable[[Scene], None], exit_code: int, scene: Scene, tmp_path: Path) -> None:
    """Every logger at its lowest level, the SDK's own debugging asked for, warnings as errors."""
    prepare(scene)
    done, log = _loudly(scene, tmp_path, "-v", "apply", "prod", "--timeout=1")
    assert done.returncode == exit_code, (done.stdout, done.stderr)
    assert b"the log works" in log
    assert b"Traceback" not in done.stderr
    for text in (done.stdout, done.stderr, log):
        assert scene.canaries.found_in(text) == []


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("reconciler.desired:_decode", id="decoding"),
        pytest.param("reconciler.ledger.records:Entry.value_tag", id="tagging"),
        pytest.param("reconciler.diff.keys:_reason_to_put", id="comparing"),
        pytest.param("reconciler.databricks_workspace:DatabricksWorkspace.put_secret", id="putting"),
        pytest.param("reconciler.apply:_undone_put", id="reading-back"),
        pytest.param("reconciler.pysops.age.key_texts:parse_age_key", id="parsing-the-key"),
        pytest.param("reconciler.connections:_connection", id="connecting"),
        pytest.param("reconciler.report:render", id="reporting"),
    ],
)
def test_bug_of_our_own_shows_no_secret(place: str, scene: Scene, tmp_path: Path) -> None:
    """An exception that quotes values, in a process that prints local variables: only the place is shown."""
    scene.drift()
    done, log = _loudly(scene, tmp_path, "-v", "apply", "prod", "--timeout=1", broken=place)
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert b"internal error, RuntimeError" in done.stderr
    assert b"worst bug" not in done.stderr + done.stdout + log
    for text in (done.stdout, done.stderr, log):
        assert scene.canaries.found_in(text) == []


def test_bug_on_unlocking_shows_no_secret(scene: Scene, tmp_path: Path) -> None:
    """It leaves pysops as an error about the file, without frames, so that other scopes go on."""
    scene.drift()
    broken = "reconciler.pysops.crypt:mac_bytes"
    done, log = _loudly(scene, tmp_path, "-v", "apply", "prod", "--timeout=1", broken=broken)
    assert done.returncode == 5, (done.stdout, done.stderr)
    assert b"an unexpected RuntimeError" in done.stdout
    assert b"worst bug" not in done.stderr + done.stdout + log
    for text in (done.stdout, done.stderr, log):
        assert scene.canaries.found_in(text) == []
