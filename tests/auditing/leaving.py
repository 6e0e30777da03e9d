"""Somebody could read files, and left: the steps of such a story, made by the real sops and committed."""

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Final

from reconciler.auditing.revoked import revoked
from reconciler.report.revoked import RevokedReport
from reconciler.settings import Settings
from reconciler.terminal import Terminal
from tests.support.age_keys import AgeKey
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsTool


HOST: Final = "adb-1.2.azuredatabricks.net"
OTHER_HOST: Final = "adb-2.2.azuredatabricks.net"

TARGETS: Final = {
    "prod": {"workspace": {"host": f"https://{HOST}"}},
    "stage": {"workspace": {"host": f"https://{OTHER_HOST}"}},
}


class Story:
    """Two people can read; one leaves."""

    def __init__(self, repo: SecretsRepo, sops: SopsTool) -> None:
        self.repo = repo
        self.leaver = AgeKey.generate()
        self._sops = sops
        repo.targets(TARGETS)

    @property
    def both(self) -> tuple[str, str]:
        """Everybody."""
        return self.repo.key.recipient, self.leaver.recipient

    def file(
        self,
        keys: Mapping[str, str | bytes],
        *,
        path: str = "prod/app.yaml",
        host: str = HOST,
        scope: str = "app",
        alone: bool = False,
    ) -> None:
        """Encrypt a file anew, to both or to who stays alone, and commit."""
        recipients = self.both[:1] if alone else self.both
        self.repo.scope_file(path, {host: {scope: keys}}, recipients=recipients).commit()

    def set(self, key: str, value: str, *, path: str = "prod/app.yaml") -> None:
        """Change one value as sops does, without a commit."""
        index = "".join(f"[{json.dumps(name)}]" for name in ("secrets", HOST, "app", key))
        self._run("set", "--value-stdin", f"secrets/{path}", index, stdin=json.dumps(value))

    def take_off(self, *, path: str = "prod/app.yaml") -> None:
        """Take who left off the file, which keeps its data key; without a commit."""
        self.repo.name(path, self.both[:1])
        self._run("updatekeys", "--yes", f"secrets/{path}")

    def rotate_key(self, *, path: str = "prod/app.yaml") -> None:
        """Give the file another data key, which encrypts every value anew; without a commit."""
        self._run("rotate", "--in-place", f"secrets/{path}")

    def rekey(self) -> None:
        """Do both, and commit."""
        self.take_off()
        self.rotate_key()
        self.repo.commit()

    def audit(self, *selectors: str, keyless: bool = False, who: str | None = None, **flags: bool) -> RevokedReport:
        """Return what the leaver could read and may still be the same."""
        environ = {} if keyless else {"SOPS_AGE_KEY": self.repo.key.identity}
        settings = Settings(root=self.repo.root, selectors=selectors, environ=environ, home=self.repo.root / ".no-home")
        return revoked(
            settings, Terminal(verbose=False), who or self.leaver.recipient, all_refs=flags.get("all_refs", False)
        )

    def _run(self, *arguments: str, stdin: str = "") -> None:
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.repo.root), "SOPS_AGE_KEY": self.repo.key.identity}
        done = subprocess.run(
            (self._sops.binary, *arguments),
            cwd=self.repo.root,
            env=environ,
            input=stdin.encode(),
            capture_output=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr.decode()


def listed(report: RevokedReport) -> dict[str, str]:
    """Return target/scope/key to why it is listed."""
    return {f"{each.target or each.host}/{each.scope}/{each.key}": each.exposure.value for each in report.values}
