"""From records of Terraform's state to scopes to import; and what Terraform may forget once they are in git."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from reconciler.errors import Refused, UsageError, escaped, some_of
from reconciler.importing.addresses import forgetting, removed_blocks
from reconciler.importing.found import (
    TAKEN,
    Asked,
    Flaw,
    Found,
    FoundScope,
    Standing,
    grants_of,
    spelt_once,
    unfit_key,
    unfit_scope,
    unfit_value,
)
from reconciler.importing.tfstate import MAX_STATE_BYTES, GrantRecord, Record, ScopeRecord, SecretRecord
from reconciler.model import LEDGER_SCOPE, Acl, FoldedName, KeyName, ScopeName, SecretValue, fold, is_key_name
from reconciler.policy import Target, WorkspaceSettings


def read_bytes(source: BinaryIO) -> bytes:
    """Return a state, from wherever it comes; no more of it than one byte beyond what is read at all."""
    return source.read(MAX_STATE_BYTES + 1)


def of_provider(records: tuple[Record, ...], target: Target, asked: Asked, provider: str | None) -> tuple[Record, ...]:
    """Return the records that are about one workspace, and about scopes that were asked for.

    Raises:
        UsageError: They are about several workspaces and nobody said which is meant, or about none.
        Refused: They name a workspace of their own, and it is not that of the target.
    """
    about = tuple(record for record in records if asked.takes(record.scope))
    known = sorted({record.source.provider for record in about})
    if not records:
        raise UsageError(
            "the state has no databricks_secret, databricks_secret_scope or databricks_secret_acl",
            advice="pull the state of the configuration that has them",
        )
    if missing := sorted((asked.names or frozenset()) - {fold(record.scope) for record in about}):
        raise UsageError(
            f"the state has nothing about {some_of([escaped(name) for name in missing])}",
            advice=f"it has {some_of(sorted({escaped(record.scope) for record in records}))}",
        )
    if provider is None and len(known) > 1:
        raise UsageError(
            f"the secrets in the state belong to {len(known)} configurations of the provider, and each may be another "
            f"workspace: {some_of([escaped(name) for name in known])}",
            advice=f"say with --provider which of them is {target.name}",
        )
    if provider is not None and provider not in known:
        raise UsageError(
            f"no secrets in the state belong to the provider {escaped(provider)!r}",
            advice=f"known: {some_of([escaped(name) for name in known])}",
        )
    chosen = known[0] if provider is None else provider
    _check_workspace(chosen, target)
    return tuple(record for record in about if record.source.provider == chosen)


def _check_workspace(provider: str, target: Target) -> None:
    _, marked, named = provider.partition("?o=")
    own = target.workspace.workspace_id if isinstance(target.workspace, WorkspaceSettings) else None
    if marked and own is not None and own != named:
        raise Refused(
            f"the secrets in the state are of workspace {escaped(named)}, and {target.name} is workspace {own}",
            advice="name the target that they belong to",
        )


@dataclass(slots=True, kw_only=True)
class _Gathered:
    """All records about one scope."""

    spellings: list[str] = field(default_factory=list)
    is_key_vault: bool = False
    managers: list[str] = field(default_factory=list)
    secrets: list[SecretRecord] = field(default_factory=list)
    grants: list[GrantRecord] = field(default_factory=list)


def scopes_in(records: Iterable[Record], target: Target, asked: Asked) -> tuple[Found, ...]:
    """Return the scopes that records are about, sorted.

    Args:
        records: of one workspace.
        target: that workspace.
        asked: whether they were asked for by name.
    """
    gathered: dict[FoldedName, _Gathered] = {}
    for record in records:
        one = gathered.setdefault(fold(record.scope), _Gathered())
        one.spellings.append(record.scope)
        match record:
            case ScopeRecord(source=source) if not source.is_deposed:
                one.spellings.insert(0, record.scope)
                one.is_key_vault = one.is_key_vault or record.is_key_vault
                one.managers.extend(() if record.manager is None else (record.manager,))
            case SecretRecord(source=source) if not source.is_deposed:
                one.secrets.append(record)
            case GrantRecord(source=source) if not source.is_deposed:
                one.grants.append(record)
            case _:
                pass  # deposed: Terraform means to destroy it
    return tuple(_found(gathered[name], target, asked) for name in sorted(gathered))


def _found(one: _Gathered, target: Target, asked: Asked) -> Found:
    scope = one.spellings[0]
    if one.is_key_vault:
        return asked.passed(scope, "its values are in an Azure Key Vault; leave it with Terraform")
    if (why := unfit_scope(scope, (LEDGER_SCOPE, target.ledger_scope))) is not None:
        return asked.passed(scope, why)
    keys, flaws = _values(one.secrets)
    # A grant of its own to whoever was to manage the scope from the beginning came later, and counts.
    granted = {fold(grant.principal) for grant in one.grants}
    pairs = [(name, "MANAGE") for name in one.managers if fold(name) not in granted]
    pairs += [(grant.principal, grant.permission) for grant in one.grants]
    acls, unfit = grants_of(pairs)
    return spelt_once(
        FoundScope(
            scope=ScopeName(scope),
            keys=keys,
            acls=acls or None,
            flaws=(*flaws, *unfit),
        )
    )


def _values(secrets: Iterable[SecretRecord]) -> tuple[Mapping[KeyName, SecretValue], tuple[Flaw, ...]]:
    taken: dict[str, SecretRecord] = {}
    flaws: dict[str, Flaw] = {}
    for record in sorted(secrets, key=lambda record: fold(record.key)):
        flaw = unfit_key(record.key)
        if flaw is None and record.value is None:
            flaw = Flaw(key=record.key, why=f"its value is not in the state ({record.source.address.instance})")
        if flaw is None and record.value is not None:
            flaw = unfit_value(record.key, record.value)
        first = taken.setdefault(record.key, record)
        if flaw is None and first.value is not None and record.value != first.value:
            pair = f"{first.source.address.instance} and {record.source.address.instance}"
            flaw = Flaw(key=record.key, why=f"two resources give it different values: {pair}")
        if flaw is not None:
            flaws[record.key] = flaw
    values = {
        KeyName(key): record.value
        for key, record in taken.items()
        if key not in flaws and record.value is not None and is_key_name(key)
    }
    return values, tuple(flaws.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class InGit:
    """What git says of one scope once the import is done."""

    standing: Standing
    flawed: frozenset[FoldedName]
    """Keys that were not taken."""

    acls: tuple[Acl, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetting:
    """What Terraform may forget."""

    whole: tuple[str, ...]
    """Addresses of resources all instances of which are in git, sorted."""

    parts: Mapping[str, tuple[str, ...]]
    """Address of a resource that holds something else as well -> its instances that are in git."""

    kept: int
    """How many instances stay with Terraform."""


def forgettable(
    records: Iterable[Record], imported: Iterable[Record], in_git: Mapping[FoldedName, InGit]
) -> Forgetting:
    """Return what Terraform may forget: what stands in git, and nothing else.

    Args:
        records: the whole state. A `removed` block forgets all instances of a resource, those of other workspaces too.
        imported: those that the import was about.
        in_git: scope to what became of it.
    """
    done = {record.source.address.instance for record in imported if _is_taken(record, in_git)}
    by_resource: dict[str, list[str]] = {}
    for record in records:
        by_resource.setdefault(record.source.address.resource, []).append(record.source.address.instance)
    whole = tuple(sorted(name for name, instances in by_resource.items() if done.issuperset(instances)))
    parts = {
        name: tuple(sorted(done.intersection(instances)))
        for name, instances in sorted(by_resource.items())
        if name not in whole and not done.isdisjoint(instances)
    }
    every = {instance for instances in by_resource.values() for instance in instances}
    return Forgetting(whole=whole, parts=parts, kept=len(every - done))


def _is_taken(record: Record, in_git: Mapping[FoldedName, InGit]) -> bool:
    one = in_git.get(fold(record.scope))
    if one is None or one.standing not in TAKEN or record.source.is_deposed:
        return False
    match record:
        case SecretRecord(key=key):
            return fold(key) not in one.flawed
        case GrantRecord(principal=principal, permission=permission):
            return any(fold(acl.principal) == fold(principal) and acl.permission.name == permission for acl in one.acls)
        case ScopeRecord():
            return not one.flawed


def as_configuration(forgetting_: Forgetting, remarks: Iterable[str]) -> str:
    """Return a configuration for Terraform: remarks, the blocks, and commands where blocks would forget too much."""
    lines = [f"# {remark}".rstrip() for remark in remarks]
    if forgetting_.parts:
        lines += [
            "#",
            "# Resources that hold more than was imported: a removed block would forget all their instances. These",
            "# commands forget what was imported; take it out of what count or for_each goes through as well:",
            *(f"#   {forgetting(instances)}" for instances in forgetting_.parts.values()),
        ]
    head = "".join(f"{line}\n" for line in lines)
    blocks = removed_blocks(forgetting_.whole)
    return f"{head}\n{blocks}" if head and blocks else head + blocks
