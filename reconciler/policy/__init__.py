"""All that git says without any key: targets, scope files, and which part of them a run is about.

``validate`` and ``review`` stop here. Pure: it decides on bytes that it is handed (`Sources`).
"""

import contextlib
import gc
from collections.abc import Iterator

from reconciler.policy.crossing import contributions_of, cross_problems
from reconciler.policy.lint import surroundings_of
from reconciler.policy.scope_files import ScopeFile, UnreadableFile, read_scope_file
from reconciler.policy.selection import Policy, ScopePolicy, SelectedTarget, Selection
from reconciler.policy.sops_rules import SopsRules, read_rules
from reconciler.policy.sources import Sources
from reconciler.policy.target_reader import read_targets
from reconciler.policy.targets import EmbeddedSettings, Target, Targets, WorkspaceSettings
from reconciler.policy.zones import parse_extra_hosts


__all__ = [
    "EmbeddedSettings",
    "Policy",
    "ScopeFile",
    "ScopePolicy",
    "SelectedTarget",
    "Selection",
    "Sources",
    "Target",
    "Targets",
    "WorkspaceSettings",
    "load",
    "parse_extra_hosts",
]


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Keep the garbage collector from looking for cycles: frozen trees have none, and it takes 15 % of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read(path: str, data: bytes, rules: SopsRules, known: ScopeFile | None) -> ScopeFile | UnreadableFile:
    return known if known is not None and known.document.data == data else read_scope_file(path, data, rules)


def load(sources: Sources, extra_hosts: tuple[str, ...] = (), *, before: Policy | None = None) -> Policy:
    """Read all files. Never raises for what stands in them: problems are kept with each file.

    Args:
        sources: the files of ``secrets/``.
        extra_hosts: hosts and zones besides those of Databricks, as `parse_extra_hosts` returns them.
        before: what was read of nearly the same files; those that are the same are not read again.
    """
    rules = read_rules(sources)
    known = {} if before is None or before.rules.file != rules.file else {file.path: file for file in before.files}
    with _without_collector():
        read = [_read(path, sources.files[path], rules, known.get(path)) for path in sources.scope_files()]
    files = tuple(file for file in read if isinstance(file, ScopeFile))
    targets = read_targets(sources, extra_hosts)
    contributions = contributions_of(files)
    return Policy(
        targets=targets,
        files=files,
        unreadable=tuple(file for file in read if isinstance(file, UnreadableFile)),
        source_problems=(*sources.problems, *rules.problems),
        contributions=contributions,
        cross_problems=cross_problems(contributions, targets),
        rules=rules,
        surroundings=surroundings_of(sources, rules),
        remarks=sources.remarks,
        commit=sources.commit,
    )
