"""How the sops program is called: told nothing in arguments, bounded, and ended when nobody waits for it."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler import pysops
from reconciler.pysops.binary.wrapper import SopsBinary
from reconciler.pysops.child import MAX_STDERR_BYTES
from reconciler.pysops.document import Document
from tests.pysops.binary.faked import faked
from tests.pysops.conftest import Locksmith
from tests.pysops.test_leaks import crash_report
from tests.support.age_keys import AgeKey
from tests.support.canaries import Canaries


CANARY = "canary-5e1f"


@pytest.fixture
def document(locksmith: Locksmith) -> Document:
    """Make a file; nobody opens it here."""
    return pysops.parse(locksmith.lock())


def test_no_value_and_no_key_stands_in_an_argument(locksmith: Locksmith, age_key: AgeKey, tmp_path: Path) -> None:
    """Every user of the machine sees arguments. Values and files come by stdin."""
    binary, fake = faked(tmp_path / "fake", {"SOPS_AGE_KEY": age_key.identity})
    path, rules = tmp_path / "a.yaml", tmp_path / ".sops.yaml"
    data = locksmith.lock()
    path.write_bytes(data)
    rules.write_text(f"creation_rules:\n  - age: {locksmith.key.recipient}\n")
    assert not binary.set(path, ["a"], CANARY)
    assert fake.calls[-1].stdin == b'"canary-5e1f"'
    with pytest.raises(pysops.SopsError):
        binary.encrypt(CANARY.encode(), destination=path, config=rules, named=())
    assert fake.calls[-1].stdin == CANARY.encode()
    with pytest.raises(pysops.SopsError):
        binary.decrypt(pysops.parse(data))
    assert fake.calls[-1].stdin == data
    for call in (lambda: binary.unset(path, ["a"]), lambda: binary.rotate(path)):
        call()
    binary.updatekeys(path, config=rules)
    said = json.dumps([call.arguments for call in fake.calls])
    assert CANARY not in said
    assert "AGE-SECRET" not in said
    assert "keyservice" not in said
    assert "ignore-mac" not in said
    assert [call.arguments[0] for call in fake.calls] == ["--config"] * len(fake.calls)


def test_a_flood_on_stderr_neither_blocks_nor_fills_memory(document: Document, tmp_path: Path) -> None:
    """16 MiB of it are read and dropped."""
    binary, _ = faked(tmp_path, exit_code=128, stderr="x" * 1024, times=16 * 1024)
    started = time.monotonic()
    with pytest.raises(pysops.NoIdentity):
        binary.decrypt(document)
    assert time.monotonic() - started < 10
    assert MAX_STDERR_BYTES < 2**20


def test_more_output_than_the_file_can_hold_ends_the_program(document: Document, tmp_path: Path) -> None:
    """It is killed at the bound, not read to its end."""
    binary, fake = faked(tmp_path, stdout="x" * 1024, times=64 * 1024, sleep_s=60)
    with pytest.raises(pysops.BinaryError, match="far more than"):
        binary.decrypt(document)
    _ends(fake.calls[-1].pid)


def test_a_program_that_does_not_read_does_not_block(locksmith: Locksmith, tmp_path: Path) -> None:
    """It may have failed before it came to that."""
    binary, _ = faked(tmp_path, exit_code=128, reads=False)
    big = locksmith.lock(b"a: " + b"x" * 300_000 + b"\n")
    with pytest.raises(pysops.NoIdentity):
        binary.decrypt(pysops.parse(big))


def _ends(pid: int) -> None:
    """Wait for the end of a process that was killed."""
    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        state = Path(f"/proc/{pid}/stat")
        if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
            return  # ended, and waits for whoever adopted it
        time.sleep(0.01)
    raise AssertionError(f"{pid} still runs")


def test_what_hangs_is_killed_with_all_that_it_started(document: Document, tmp_path: Path) -> None:
    """Both gpg and plugins of age are programs of their own."""
    child = tmp_path / "child"
    binary, fake = faked(tmp_path / "fake", timeout_s=1.5, sleep_s=60, children=(child,))
    with pytest.raises(pysops.BinaryError, match="did not end in time"):
        binary.decrypt(document)
    _ends(fake.calls[-1].pid)
    _ends(int(child.read_text()))


def test_what_it_leaves_behind_is_killed(document: Document, tmp_path: Path) -> None:
    """A program that holds the pipes could still write into them: what came so far is not the whole for certain."""
    child = tmp_path / "child"
    binary, _ = faked(tmp_path / "fake", stdout='{"a": "old", "m": 1}', children=(child,))
    with pytest.raises(pysops.BinaryError, match="left a program running"):
        binary.decrypt(document)
    _ends(int(child.read_text()))


def _set(binary: SopsBinary, path: Path) -> object:
    return binary.set(path, ["a"], CANARY)


def _encrypt(binary: SopsBinary, path: Path) -> object:
    return binary.encrypt(CANARY.encode(), destination=path, config=path.with_name(".sops.yaml"), named=())


def _decrypt(binary: SopsBinary, path: Path) -> object:
    return binary.decrypt(pysops.parse(path.read_bytes()))


@pytest.mark.parametrize("call", [_decrypt, _encrypt, _set])
def test_an_interrupt_ends_it_and_leaves_without_frames(
    call: Callable[[SopsBinary, Path], object], locksmith: Locksmith, tmp_path: Path
) -> None:
    """Ctrl-C reaches only our own group of processes: the program is ended by us. No frame shows a key or a value."""
    binary, fake = faked(tmp_path / "fake", {"SOPS_AGE_KEY": locksmith.key.identity}, sleep_s=60)
    path = tmp_path / "a.yaml"
    path.write_bytes(locksmith.lock())
    path.with_name(".sops.yaml").write_text(f"creation_rules:\n  - age: {locksmith.key.recipient}\n")
    timer = threading.Timer(0.3, lambda: signal.raise_signal(signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        call(binary, path)
    canaries = Canaries(by_name={"value": CANARY.encode(), "identity": locksmith.key.identity.encode()})
    assert canaries.found_in(crash_report(caught.value)) == []
    for one in fake.calls:
        _ends(one.pid)


def test_stopping_ends_what_other_threads_wait_for(document: Document, tmp_path: Path) -> None:
    """And nothing starts any more."""
    binary, fake = faked(tmp_path, sleep_s=60)
    timer = threading.Timer(0.3, binary.children.stop)
    timer.start()
    for _ in range(2):
        with pytest.raises(pysops.BinaryError, match="interrupted"):
            binary.decrypt(document)
    _ends(fake.calls[-1].pid)
    assert len(fake.calls) == 1
