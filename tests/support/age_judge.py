"""Whether keys at hand open a file: asked of the real sops, and of us, with the same home and the same environment."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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
        """Tell whether both open it; they have to agree."""
        ours = self.we_open(file, environ)
        assert self.sops_opens(file, environ) is ours
        return ours
