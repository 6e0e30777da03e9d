"""What people and programs read of an import. Pure; never told a value."""

from collections.abc import Iterator
from typing import Final, assert_never

from reconciler.errors import some_of
from reconciler.importing.found import TAKEN, Flaw, Standing
from reconciler.importing.from_state import as_configuration
from reconciler.importing.placing import Outcome
from reconciler.importing.run import Imported
from reconciler.report import escape_text
from reconciler.report.as_json import dump
from reconciler.report.wording import count


_MOST_FLAWS: Final = 20
"""Of one scope; the others are counted."""

_FORGET: Final = (
    "Put this into the configuration of Terraform (1.7 or later) in place of the resource blocks, once every state of",
    "that configuration has been imported. Terraform then forgets these secrets, and leaves them where they are.",
)


def render_import(imported: Imported) -> str:
    """Return what came of each scope as text, and what to do next."""
    return "".join(f"{line}\n" for line in _lines(imported))


def render_import_json(imported: Imported) -> str:
    """Return the same as one JSON document."""
    document: dict[str, object] = {
        "scopes": [_document(outcome) for outcome in imported.outcomes],
        "written": list(imported.written),
        "notes": list(imported.notes),
        "terraform": None
        if imported.forgetting is None
        else {
            "removed": list(imported.forgetting.whole),
            "state_rm": [address for addresses in imported.forgetting.parts.values() for address in addresses],
            "kept": imported.forgetting.kept,
            "configuration": configuration(imported, with_report=False),
        },
    }
    return dump(document)


def configuration(imported: Imported, *, with_report: bool) -> str:
    """Return what has Terraform forget what was imported, as a configuration for it.

    Args:
        imported: an import from a state.
        with_report: begin with `render_import`, as comments, so that all of stdout is a configuration.
    """
    if imported.forgetting is None:
        return ""
    remarks = [*_lines(imported), ""] if with_report else []
    if imported.forgetting.whole or imported.forgetting.parts:
        remarks.extend(_FORGET)
    if imported.forgetting.kept:
        remarks.append(
            f"{count(imported.forgetting.kept, 'instance')} of its resources about secrets stay with Terraform."
        )
    return as_configuration(imported.forgetting, remarks)


def _lines(imported: Imported) -> Iterator[str]:
    for outcome in imported.outcomes:
        yield f"{outcome.standing.value:9} {_name(outcome)}: {_what(outcome)}"
        yield from (f"          {line}" for line in _more(outcome))
    if not imported.outcomes:
        yield "there is nothing to import"
    elif not imported.written:
        yield "no file was written"
    for note in imported.notes:
        yield f"note: {escape_text(note)}"
    if imported.targets:
        names = " ".join(imported.targets)
        yield f"next: reconciler plan {names} --allow-dirty; then commit {some_files(imported)}, and apply"


def some_files(imported: Imported) -> str:
    """Return the first few files that were written, for a sentence."""
    return some_of([escape_text(path) for path in imported.written])


def _name(outcome: Outcome) -> str:
    return escape_text(f"{outcome.target}/{outcome.scope}")


def _what(outcome: Outcome) -> str:
    if outcome.why is not None:
        return escape_text(outcome.why)
    files = some_of([escape_text(path) for path in outcome.files])
    match outcome.standing:
        case Standing.IMPORTED:
            grants = "no acls" if outcome.grants is None else count(len(outcome.grants), "grant")
            return f"{count(outcome.added, 'key')}, {grants}, into {files}"
        case Standing.MERGED:
            keys = f"{outcome.added} new, {len(outcome.replaced)} replaced, {outcome.same} as they were"
            return f"{keys}, in {files}"
        case Standing.SAME:
            return f"git has {count(outcome.same, 'key')} of it, with the same values"
        case Standing.SKIPPED | Standing.FAILED | Standing.REFUSED:
            raise ValueError("what was not imported says why")
        case _:
            assert_never(outcome.standing)


def _more(outcome: Outcome) -> Iterator[str]:
    if outcome.replaced:
        yield f"replaced: {', '.join(map(escape_text, outcome.replaced))}"
    for flaw in outcome.flaws[:_MOST_FLAWS]:
        yield f"left out: {_flaw(flaw)}"
    if len(outcome.flaws) > _MOST_FLAWS:
        yield f"left out: {len(outcome.flaws) - _MOST_FLAWS} more"
    if outcome.flaws and outcome.standing in TAKEN:
        yield "note: plan shows what was left out as unmanaged, and the first apply needs --adopt"
    for note in outcome.notes:
        yield f"note: {escape_text(note)}"


def _flaw(flaw: Flaw) -> str:
    what = f"key {flaw.key}" if flaw.key is not None else f"grant to {flaw.principal}"
    return escape_text(f"{what}: {flaw.why}")


def _document(outcome: Outcome) -> dict[str, object]:
    return {
        "target": outcome.target,
        "scope": outcome.scope,
        "result": outcome.standing.value,
        "why": outcome.why,
        "files": list(outcome.files),
        "added": outcome.added,
        "replaced": list(outcome.replaced),
        "unchanged": outcome.same,
        "grants": None
        if outcome.grants is None
        else [{"principal": acl.principal, "permission": acl.permission.name} for acl in outcome.grants],
        "left_out": [{"key": flaw.key, "principal": flaw.principal, "why": flaw.why} for flaw in outcome.flaws],
        "notes": list(outcome.notes),
    }
