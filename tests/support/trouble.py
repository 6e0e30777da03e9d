"""A workspace with trouble in one scope, and what must come of it: a report, an exit code, the other scope in order."""

from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.emulator import Rules
from tests.support.cli import Cli, Result
from tests.support.faults import Faults
from tests.support.secrets_repo import SecretsRepo
from tests.support.workspace_server import WorkspaceServer


ME = "/api/2.0/preview/scim/v2/Me"
"""Where the workspace is asked who we are."""


_LONGER_S = 5
_PLENTY_S = 20


class Scene:
    """A workspace with trouble in the scope ``bad``, and none in the scope ``good``."""

    def __init__(self, repo: SecretsRepo, server: WorkspaceServer, faults: Faults) -> None:
        self.repo = repo.targets({"prod": server.fields})
        self.server = server
        self.faults = faults
        self.run = Cli(cwd=repo.root, env={"SOPS_AGE_KEY": repo.key.identity, **server.env})
        self.wish("first")

    def wish(self, value: str, *, acls: list[str] | None = None) -> None:
        """Say what both scopes should hold."""
        scopes = {name: {"a": f"{value} a", "b": f"{value} b"} for name in ("bad", "good")}
        self.repo.scope_file("prod/app.yaml", {self.server.host_key: scopes}, acls=acls)

    def apply(self, exit_code: int, *arguments: str, timeout_s: float | None = None) -> Result:
        """Apply, and make sure that there is a report and no traceback.

        Args:
            exit_code: the one that is expected.
            arguments: further ones of ``apply``.
            timeout_s: for how long a request is tried. None for a second where trouble is expected, which may have to
                last as long; and for as long as a busy machine needs where all will be well, as nobody waits for that.
        """
        seconds = timeout_s if timeout_s is not None else _PLENTY_S if exit_code == 0 else 1
        done = self.run("-v", "apply", "prod", f"--timeout={seconds:g}", *arguments).expect(exit_code)
        assert "Traceback" not in done.stdout + done.stderr
        assert "internal error" not in done.stderr
        return done

    def apply_in_trouble(self, *arguments: str) -> Result:
        """Apply where exit 1 is expected and the workspace does answer: if it had no second to do so, once more."""
        done = self.apply(1, *arguments)
        return self.apply(1, *arguments, timeout_s=_LONGER_S) if "does not answer" in done.stdout else done

    def holds(self, scope: str, value: str) -> bool:
        """Tell whether a scope holds what `wish` said."""
        self.faults.clear()
        if scope not in self.server.scopes():
            return False
        found = {key: self.server.value(scope, key) for key in self.server.keys(scope)}
        return found == {"a": f"{value} a".encode(), "b": f"{value} b".encode()}


@contextmanager
def trouble_scene(repo: SecretsRepo, *, rules: Rules | None = None) -> Iterator[Scene]:
    """Provide a workspace that is well so far, and empty."""
    faults = Faults()
    with WorkspaceServer(middleware=(faults,), rules=rules) as server:
        yield Scene(repo, server, faults)
