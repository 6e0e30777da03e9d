"""What a change does to ``targets.yaml``: where values go, as whom, and who sees to it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, assert_never

from reconciler.model import Principal, fold
from reconciler.policy import EmbeddedSettings, Policy, Target, WorkspaceSettings
from reconciler.policy.sources import TARGETS_FILE, Sources
from reconciler.report.reviewed import Difference, Kind, Rank


_AUTHENTICATION: Final = (
    "auth_type",
    "profile",
    "workspace_id",
    "account_id",
    "client_id",
    "token_audience",
    "azure_client_id",
    "azure_tenant_id",
    "azure_workspace_resource_id",
)
"""Fields of ``workspace`` besides the host: as whom, and by which service, one authenticates there."""

_LISTS: Final = ("operators", "ledger_readers", "protected_principals")


def pairs_of(base: Policy, head: Policy) -> tuple[tuple[Target | None, Target | None], ...]:
    """Return each target of the base with that of the head: by name, else by the workspace; None where there is none.

    In the order of the head, then those that are gone.
    """
    before = {target.name: target for target in base.targets.targets}
    now = {target.name: target for target in head.targets.targets}
    gone = {target.host_key: target for target in before.values() if target.name not in now}
    pairs: list[tuple[Target | None, Target | None]] = []
    for target in now.values():
        old = before.get(target.name)
        if old is None:
            old = gone.pop(target.host_key, None)
        pairs.append((old, target))
    return (*pairs, *((target, None) for target in gone.values()))


def names_of(pairs: Iterable[tuple[Target | None, Target | None]]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return host to the name of its target, at the base and at the head; one that has another name has its new one."""
    before: dict[str, str] = {}
    now: dict[str, str] = {}
    for old, new in pairs:
        either = old if new is None else new
        if either is None:
            continue
        if old is not None:
            before[old.host_key] = either.name
        if new is not None:
            now[new.host_key] = either.name
    return before, now


def target_differences(
    base: Policy, head: Policy, base_sources: Sources, head_sources: Sources
) -> Iterator[Difference]:
    """Yield what differs in targets.yaml, and in the key files that it names."""
    if base.targets.owner != head.targets.owner:
        yield _first(Kind.TARGET_FIELD_CHANGED, field="owner", before=base.targets.owner, after=head.targets.owner)
    for old, new in pairs_of(base, head):
        if new is None:
            if old is not None:
                yield Difference(
                    kind=Kind.TARGET_REMOVED, rank=Rank.GONE, path=TARGETS_FILE, target=old.name, before=_place(old)
                )
        elif old is None:
            yield from _added(new)
        else:
            yield from _changed(old, new)
            yield from _key_file(old, new, base_sources, head_sources)


def _first(kind: Kind, **fields: str | int | bool | None) -> Difference:
    return Difference(kind=kind, rank=Rank.FIRST, path=TARGETS_FILE, **fields)  # type: ignore[arg-type]


def _line(target: Target) -> int | None:
    return None if target.mark is None else target.mark.line


def _place(target: Target) -> str:
    """Return where the values of a target go."""
    match target.workspace:
        case EmbeddedSettings():
            return "embedded"
        case WorkspaceSettings(host=host):
            return host
        case _:
            assert_never(target.workspace)


def _added(new: Target) -> Iterator[Difference]:
    yield _first(Kind.TARGET_ADDED, target=new.name, line=_line(new), after=_place(new))
    for field in _LISTS:
        for principal in getattr(new, field):
            yield _entry(Kind.TARGET_ENTRY_ADDED, new, field, principal)


def _changed(old: Target, new: Target) -> Iterator[Difference]:
    line = _line(new)
    if old.name != new.name:
        yield _first(Kind.TARGET_RENAMED, target=new.name, line=line, before=old.name, after=new.name)
    if _place(old) != _place(new):
        yield _first(Kind.HOST_CHANGED, target=new.name, line=line, before=_place(old), after=_place(new))
    before, after = _fields(old), _fields(new)
    for field in dict.fromkeys((*before, *after)):
        if before.get(field) != after.get(field):
            yield _first(
                Kind.TARGET_FIELD_CHANGED,
                target=new.name,
                line=line,
                field=field,
                before=before.get(field),
                after=after.get(field),
            )
    for name in _LISTS:
        was: dict[str, Principal] = {fold(one): one for one in getattr(old, name)}
        has: dict[str, Principal] = {fold(one): one for one in getattr(new, name)}
        for key in has.keys() - was.keys():
            yield _entry(Kind.TARGET_ENTRY_ADDED, new, name, has[key])
        for key in was.keys() - has.keys():
            yield _entry(Kind.TARGET_ENTRY_REMOVED, new, name, was[key])


def _entry(kind: Kind, target: Target, field: str, principal: Principal) -> Difference:
    return _first(kind, target=target.name, line=_line(target), field=field, subject=principal)


def _fields(target: Target) -> dict[str, str | None]:
    """Return the fields of a target that have one value and are no place."""
    fields: dict[str, str | None] = {"ledger_scope": target.ledger_scope}
    match target.workspace:
        case EmbeddedSettings(age_key_file=path):
            fields["age_key_file"] = path
        case WorkspaceSettings():
            fields |= {name: getattr(target.workspace, name) for name in _AUTHENTICATION}
        case _:
            assert_never(target.workspace)
    return fields


def _key_file(old: Target, new: Target, base: Sources, head: Sources) -> Iterator[Difference]:
    """Tell of an identity that is another one in the file of the same name."""
    if isinstance(old.workspace, EmbeddedSettings) and old.workspace == new.workspace:
        path = old.workspace.age_key_file
        if base.files.get(path) != head.files.get(path):
            yield Difference(kind=Kind.AGE_KEY_CHANGED, rank=Rank.FIRST, path=path, target=new.name)
