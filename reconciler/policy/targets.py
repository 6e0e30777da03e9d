"""Targets: who owns what is written, and which workspaces there are. `target_reader` reads them."""

from dataclasses import dataclass, field

from reconciler.errors import Problem
from reconciler.model import LEDGER_SCOPE, Principal, ScopeName
from reconciler.policy import zones
from reconciler.pysops import Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceSettings:
    """How to reach a real workspace, apart from what the environment keeps to itself. Names are those of the SDK."""

    host: str
    """``https://…``, or ``http://`` on loopback; checked against the zones."""

    auth_type: str | None = None
    """One of `target_fields.AUTH_TYPES`; None lets the SDK find out."""

    profile: str | None = None
    """Section of the user's configuration file, for authentication only: whoever reads it must check that its host is
    ``host``."""

    workspace_id: str | None = None
    account_id: str | None = None
    client_id: str | None = None
    token_audience: str | None = None
    azure_client_id: str | None = None
    azure_tenant_id: str | None = None
    azure_workspace_resource_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedSettings:
    """A workspace that runs for the command alone; its state stands in ``.reconciler/``."""

    age_key_file: str
    """The only identity that it uses: path relative to the directory of the run, below ``secrets/``, a key of
    `Sources.files`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One place that secrets go to."""

    name: str
    workspace: WorkspaceSettings | EmbeddedSettings
    operators: tuple[Principal, ...] = ()
    """Who may run this target; empty: whoever runs it first."""

    ledger_readers: tuple[Principal, ...] = ()
    """Who may read the ledger scope."""

    protected_principals: tuple[Principal, ...] = ()
    """Whose grants are never removed or lowered."""

    ledger_scope: ScopeName = LEDGER_SCOPE
    """Where the ledger of this target stands; no file may feed it."""

    mark: Mark | None = field(default=None, compare=False)
    """Where its name stands in targets.yaml."""

    @property
    def embedded(self) -> bool:
        """Tell whether this is an embedded workspace, whose files come from the work tree."""
        return isinstance(self.workspace, EmbeddedSettings)

    @property
    def host_key(self) -> str:
        """The mapping key that stands above this target's scopes in scope files."""
        match self.workspace:
            case EmbeddedSettings():
                return self.name
            case WorkspaceSettings(host=host, workspace_id=workspace_id):
                return zones.host_key_of(host, workspace_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What targets.yaml says, as far as it can be used."""

    owner: str | None
    """UUID in lower case: who owns what is written; None only when all targets are embedded."""

    targets: tuple[Target, ...]
    """In file order; without those that have problems."""

    problems: tuple[Problem, ...]
    """Everything wrong with the file; nothing is reconciled while there is any."""

    def named(self, name: str) -> Target | None:
        """Return the target of that name."""
        return next((target for target in self.targets if target.name == name), None)
