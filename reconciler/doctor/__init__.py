"""Looks at everything that a run depends on, for `doctor`: each thing by itself, so that none hides another.

In: the settings of a run. Out: a `Checkup`. Writes nothing, shows no private key and no value; works without a network
as far as it goes.

Parts: `repository` is about git and the files, `keys` about what opens them, `workspaces` about one target each, and
`probing` keeps what goes wrong in one check from the others.
"""

from collections.abc import Iterator
from typing import Final

from reconciler.doctor.keys import KeyRing
from reconciler.doctor.probing import Section
from reconciler.doctor.repository import Directory
from reconciler.doctor.workspaces import target_checks
from reconciler.errors import UsageError
from reconciler.model import fold
from reconciler.policy import SelectedTarget, Target
from reconciler.report.checkup import Check, Checkup
from reconciler.settings import Chosen, Observer, Settings


_KEYS: Final = Section("keys")


def examine(settings: Settings, observer: Observer, *, offline: bool) -> Checkup:
    """Return how everything was found.

    Args:
        settings: The surroundings. Without selectors, all targets are looked at.
        observer: Whom to tell how it goes.
        offline: Ask no workspace and no key service.

    Raises:
        UsageError: A selector names an unknown target or scope.
    """
    directory = Directory(settings.root, settings.environ.get("RECONCILER_EXTRA_HOSTS", ""))
    checks = [*directory.repository_checks(), *directory.file_checks()]
    try:
        chosen = tuple(_chosen(directory, settings.selectors))
    except UsageError:
        if settings.selectors:
            raise
        return Checkup(checks=tuple(checks))  # what RECONCILER_EXTRA_HOSTS says, which has been told
    targets = [one.selected.target for one in chosen]

    def keys() -> Iterator[Check]:
        yield from KeyRing(directory.policy, directory.sources, settings, targets).checks(offline=offline)

    checks += _KEYS.probe("identities", keys)
    for one in chosen if not offline else ():
        checks += target_checks(one, settings, observer)
    return Checkup(checks=tuple(checks))


def _chosen(directory: Directory, selectors: tuple[str, ...]) -> Iterator[Chosen]:
    """Yield the targets that are meant, with what the work tree says of them, problems or not."""
    policy = directory.policy
    wanted = _wanted(selectors, policy.targets.targets)
    for target in policy.targets.targets:
        if wanted is not None and target.name not in wanted:
            continue
        names = None if wanted is None or "" in wanted[target.name] else wanted[target.name]
        scopes = tuple(each for each in policy.scopes_of(target) if names is None or fold(each.scope) in names)
        if names is not None and (missing := names - {fold(each.scope) for each in scopes}):
            raise UsageError(f"unknown scope {target.name}/{min(missing)}")
        yield Chosen(
            selected=SelectedTarget(target=target, scopes=scopes, whole=names is None),
            sources=directory.sources,
            owner=policy.targets.owner,
        )


def _wanted(selectors: tuple[str, ...], targets: tuple[Target, ...]) -> dict[str, set[str]] | None:
    """Return target to scopes, an empty name for all of them; None for everything."""
    if not selectors:
        return None
    known = {target.name for target in targets}
    wanted: dict[str, set[str]] = {}
    for selector in selectors:
        name, _, scope = selector.partition("/")
        if name not in known:
            raise UsageError(f"unknown target {name!r}", advice=f"known: {', '.join(sorted(known))}" if known else None)
        wanted.setdefault(name, set()).add(fold(scope))
    return wanted
