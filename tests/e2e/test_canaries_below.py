"""No secret in what lies below a run: files, folders, children, the embedded workspace and its log."""

import base64
import hashlib
import itertools
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from reconciler.emulator import Emulator
from reconciler.model import LEDGER_SCOPE
from tests.emulator.caller import Caller
from tests.support.audit import watched
from tests.support.canary_scene import Scene, canary_scene
from tests.support.faults import Say
from tests.support.secrets_repo import SecretsRepo
from tests.support.workspace_server import WorkspaceServer


@pytest.fixture
def scene(repo: SecretsRepo) -> Iterator[Scene]:
    """Provide canaries in git, and a workspace that is well so far."""
    with canary_scene(repo) as scene:
        yield scene


def test_nothing_is_written_but_the_report(scene: Scene, tmp_path: Path) -> None:
    """No temporary file, no cache, no configuration: for a real target the report is all."""
    scene.repo.commit()
    home = Path(os.environ["HOME"])
    with watched() as deeds:
        scene.run("apply", "prod", "--output-file", str(tmp_path / "report")).expect()
        scene.run("get", "prod/app", "text").expect()
    assert set(deeds.written) == {str(tmp_path / "report")}
    assert list(home.iterdir()) == []
    assert sorted(path.name for path in scene.repo.root.iterdir()) == [".git", ".sops.yaml", "secrets"]


def test_children_see_no_secret(scene: Scene, tmp_path: Path) -> None:
    """The only child is git; neither its arguments nor its environment hold anything of ours."""
    scene.repo.commit()
    seen = tmp_path / "seen"
    folder = tmp_path / "programs"
    folder.mkdir()
    names = ("git", "sops", "age", "az", "databricks", "gcloud", "ssh", "gpg")
    for name in names:
        program = folder / name
        program.write_text(
            f"#!/bin/sh\necho {name} >> {seen}\ncat /proc/$$/cmdline /proc/$$/environ >> {seen}\n"
            + (f'exec {shutil.which("git")} "$@"\n' if name == "git" else "exit 1\n")
        )
        program.chmod(0o700)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    for env in ({}, {"DATABRICKS_TOKEN": ""}):
        exit_code = scene.run("apply", "prod", env={**env, "PATH": path}).exit_code
        assert exit_code == (1 if env else 0)
    content = seen.read_bytes()
    assert {line for line in content.split(b"\n") if line in {b"git", b"sops", b"age", b"az", b"databricks"}} == {
        b"git"
    }
    assert scene.canaries.found_in(content) == []
    assert b"SOPS_AGE_KEY" not in content
    assert b"DATABRICKS_TOKEN" not in content


def test_arguments_of_the_process_hold_no_secret(scene: Scene, tmp_path: Path) -> None:
    """Nothing is passed on by argument, to ourselves or to a child: looked at from outside while a run goes on."""
    scene.repo.commit()
    with WorkspaceServer(latency_s=0.05, admin_token=scene.canaries.text("token")) as slow:
        scene.repo.targets({"prod": slow.fields})
        scene.repo.scope_file("prod/app.yaml", {slow.host_key: {"app": scene.keys}}).commit()
        process = subprocess.Popen(
            (sys.executable, "-m", "reconciler", "apply", "prod"),
            cwd=scene.repo.root,
            env=scene.run.environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        seen = bytearray()
        while process.poll() is None:
            seen += _read(Path(f"/proc/{process.pid}/cmdline"))
            for pid in _children_of(process.pid):
                command = _read(Path(f"/proc/{pid}/cmdline"))
                seen += command
                # Before it is git, a child is a copy of its parent, as far as the system can tell.
                if command.startswith(b"git"):
                    seen += _read(Path(f"/proc/{pid}/environ"))
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert b"reconciler" in seen
    assert scene.canaries.found_in(bytes(seen)) == []
    assert scene.canaries.found_in(stdout + stderr) == []


def _children_of(pid: int) -> list[int]:
    return [int(child) for child in _read(Path(f"/proc/{pid}/task/{pid}/children")).split()]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # gone meanwhile
        return b""


class TestLedger:
    """What its bytes tell whoever may read them: no value, nothing to try guesses against without a salt, no length."""

    def test_holds_no_value_and_no_hash_of_one(self, scene: Scene) -> None:
        """After a first run, while a run's intents are open, and after drift, when it has seen what others wrote."""
        scene.run("apply", "prod").expect()
        held = [scene.ledger()]
        scene.drift()
        # The head and the entry with intents are written, the last entry is not.
        scene.faults.add("put", Say.error(400, "BAD_REQUEST"), scope=LEDGER_SCOPE, skip=2)
        scene.run("apply", "prod").expect(1)
        held.append(scene.ledger())
        scene.faults.clear()
        scene.run("apply", "prod").expect()
        held.append(scene.ledger())

        assert [sorted(records) for records in held] == [sorted(held[0])] * 3
        assert len({record for records in held for record in records.values()}) == 6
        for raw in (record for records in held for record in records.values()):
            assert raw.startswith(b"RCNL")
            assert scene.canaries.found_in(raw) == []
            assert _hashes_in(raw, scene.canaries.by_name.values(), ("app", *scene.keys)) == []
        # The names of keys are no secret, yet whoever may only read the ledger does not learn them either.
        assert not any(name.encode() in raw for raw in held[-1].values() for name in ("text", "odd", "bytes"))

    def test_hunt_finds_hashes(self) -> None:
        """Or the test above would prove nothing."""
        for kind, front in itertools.product(("sha256", "sha1", "md5"), (b"", b"a", b"app/a")):
            raw = hashlib.new(kind, front + b"a value").digest()
            for shown in (raw[:16], raw.hex().encode(), base64.b64encode(raw)):
                assert _hashes_in(b"..." + shown + b"...", [b"a value"], ("app", "a")) == [kind]

    def test_does_not_tell_how_long_a_value_is(self, scene: Scene) -> None:
        """Neither by a number in it, nor by its own size."""
        sizes = set()
        for length in (0x0001_A53C, 0x0001_C6E2, 1):
            scene.keys = {"text": "x" * length}
            scene.repo.scope_file("prod/app.yaml", scene.secrets)
            scene.run("apply", "prod").expect()
            records = scene.ledger()
            sizes.add(tuple(map(len, records.values())))
            if length > 1:
                for shape in _numbers(length):
                    assert not any(shape in raw for raw in records.values())
        assert len(sizes) == 1


def _hashes_in(raw: bytes, values: Iterable[bytes], names: Sequence[str]) -> list[str]:
    """Return which unsalted hashes of values, alone or after names, ``raw`` shows, if only eight bytes of one."""
    fronts = [b"", *(name.encode() for name in names)]
    fronts += [
        f"{scope}{mark}{key}{end}".encode()
        for scope in names
        for key in names
        for mark in ("", "/", "\0")
        for end in ("", "/", "\0", "=", ":")
    ]
    found = []
    for value, front, kind in itertools.product(values, fronts, ("sha256", "sha1", "md5", "sha512", "blake2b")):
        digest = hashlib.new(kind, front + value).digest()
        shapes = (digest[:8], digest[-8:], digest.hex()[:16].encode(), base64.b64encode(digest)[:10])
        if any(shape in raw for shape in shapes):
            found.append(kind)
    return found


def _numbers(length: int) -> Iterator[bytes]:
    """Yield how a program may write down a length, or that of what a value becomes."""
    for number in (length, 8 * length, -(-length // 3) * 4):
        yield from (number.to_bytes(3, order) for order in ("big", "little"))
        yield from (str(number).encode(), f"{number:x}".encode())


def test_log_of_the_workspace_holds_no_secret(scene: Scene) -> None:
    """Method, path, status and time: not the query, headers, bodies, or a path that somebody else chose."""
    lines: list[str] = []
    token = scene.canaries.text("token")
    text = scene.canaries.text("text")
    with Emulator(log=lines.append, admin_token=token) as emulator:
        scene.repo.targets({"prod": {"workspace": {"host": emulator.url}}})
        host = emulator.url.removeprefix("http://").replace(":", "_")
        scene.repo.scope_file("prod/app.yaml", {host: {"app": scene.keys}})
        scene.run("apply", "prod").expect()
        with Caller(emulator, token) as caller:
            answers = [
                caller.send("GET", f"/{text}?{text}={text}"),
                caller.send("POST", f"/api/2.0/secrets/put/{text}", text.encode()),
                caller.send("POST", "/api/2.0/secrets/put", text.encode()),
                caller.post("put", scope=text, key=text, string_value=text),
                caller.post("put", scope="app", key=f"{text} {text}", string_value=text),
                caller.post("put", scope="app", key="x", string_value=[text]),
                caller.post("acls/put", scope="app", principal=text, permission=text),
                caller.get("get", scope="app", key=f"{text}x"),
                caller.send("GET", "/api/2.0/secrets/list", headers={"Authorization": f"Basic {text}"}),
                caller.send("GET", "/api/2.0/secrets/list", headers={"Host": "evil.example"}),
            ]
    assert len(lines) > 10
    assert all(answer.status >= 400 for answer in answers)
    assert scene.canaries.found_in("\n".join(lines)) == []
    assert scene.canaries.found_in("\n".join(answer.text for answer in answers)) == []


def test_state_of_an_embedded_workspace_is_its_owners_alone(scene: Scene) -> None:
    """Folder 0700, files 0600 from their first moment, whatever the umask; nothing of it is for git."""
    scene.repo.targets({"demo": scene.repo.embedded("demo")})
    scene.repo.scope_file("prod/app.yaml", {"demo": {"app": scene.keys}})
    before = os.umask(0)
    try:
        with watched() as deeds:
            done = scene.run("-v", "apply").expect()
    finally:
        os.umask(before)
    folder = scene.repo.root / ".reconciler"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = list(folder.iterdir())
    assert files
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert {Path(path).parent for path in deeds.written if path != str(folder)} == {folder}
    assert scene.canaries.found_in(done.stdout + done.stderr) == []
    # The values are there, and only there.
    assert "text as text" in scene.canaries.found_in(b"".join(file.read_bytes() for file in files))


def test_state_folder_that_is_a_link_is_refused(scene: Scene, tmp_path: Path) -> None:
    """A branch may have committed one that leads anywhere."""
    scene.repo.targets({"demo": scene.repo.embedded("demo")})
    scene.repo.scope_file("prod/app.yaml", {"demo": {"app": scene.keys}})
    (scene.repo.root / ".reconciler").symlink_to(tmp_path, target_is_directory=True)
    assert "link" in scene.run("apply").expect(6).stdout
    assert not list(tmp_path.glob("*.sqlite3*"))


def test_only_get_prints_a_value(scene: Scene) -> None:
    """Every other command looks at names alone."""
    scene.run("apply", "prod").expect()
    for arguments in (
        ("-v", "plan", "prod"),
        ("-v", "list", "prod"),
        ("-v", "status", "prod"),
        ("status", "prod", "-o", "json"),
        ("list", "prod", "-o", "json"),
        ("validate", "-o", "json"),
        ("targets", "-o", "json"),
        ("-v", "get", "prod/app", "nowhere"),
        ("get", "prod/nowhere", "text"),
        ("--help",),
    ):
        done = scene.run(*arguments)
        assert scene.canaries.found_in(done.stdout + done.stderr) == []
    assert scene.run("get", "prod/app", "bytes").expect().stdout_bytes == scene.canaries["bytes"]
