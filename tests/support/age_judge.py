"""Whether keys at hand open a file: asked of the real sops, and of us, with the same home and the same environment."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from reconciler.pysops import Identities, metadata
from tests.support.sops_tool import SopsTool


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeJudge:
    """A user with a home and an environment."""

    sops: SopsTool
    home: Path

    def write(self, name: str, data: str | bytes) -> Path:
        """Write a file below the home."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def sops_opens(self, file: bytes, environ: Mapping[str, str]) -> bool:
        """Let sops decrypt a file."""
        done = subprocess.run(
            (self.sops.binary, "decrypt", "--filename-override", "secrets.yaml", "--input-type", "yaml"),
            input=file,
            capture_output=True,
            check=False,
            cwd=self.home,
            env={"HOME": str(self.home), "PATH": os.environ["PATH"], **environ},
            timeout=60,
            start_new_session=True,  # no terminal on which it could ask for a passphrase
        )
        return done.returncode == 0

    def identities(self, environ: Mapping[str, str]) -> Identities:
        """Gather what we find."""
        return Identities.from_environment({"PATH": os.environ["PATH"], **environ}, self.home)

    def we_open(self, file: bytes, environ: Mapping[str, str]) -> bool:
        """Open the key group of a file ourselves."""
        return self.identities(environ).open_group(metadata(file).key_groups[0]) is not None

    def opens(self, file: bytes, environ: Mapping[str, str]) -> bool:
        """Tell whether both open it; they have to agree, unless the binary is too old to know such a source."""
        ours = self.we_open(file, environ)
        if not (ours and _is_too_new(environ) and _version(self.sops.binary) < _NEWEST):
            assert self.sops_opens(file, environ) is ours
        return ours


_NEWEST: Final = (3, 13)
"""First version of sops that reads everything."""


def _is_too_new(environ: Mapping[str, str]) -> bool:
    """Tell whether older versions make nothing of something: CHANGELOG of sops, 3.12.0 and 3.13.0."""
    return "SOPS_AGE_SSH_PRIVATE_KEY_CMD" in environ or len(environ.get("SOPS_AGE_KEY", "").split()) > 1


@cache
def _version(binary: Path) -> tuple[int, int]:
    command = (binary, "--disable-version-check", "--version")
    done = subprocess.run(command, capture_output=True, check=True, env={"PATH": ""}, timeout=60)
    match = re.match(rb"sops (\d+)\.(\d+)", done.stdout)
    assert match is not None
    return int(match[1]), int(match[2])
