"""The merge driver: git hands over three files, and takes what stands in the second one.

See https://git-scm.com/docs/gitattributes, "Defining a custom merge driver". Exit code 0: merged; 1 to 127: a conflict,
and what stands in the file of our side is what git leaves in the work tree; more: the merge is broken off. Whatever
goes wrong here is a conflict, in which that file stays as it is: valid, and ours.

Files that are not encrypted on either side, targets.yaml above all, are merged by lines, as git does it.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Final

from reconciler import pysops
from reconciler.errors import Problem, ReconcilerError, Refused, UsageError, escaped
from reconciler.git import unmerged
from reconciler.merging.sealing import Outcome, Three, merge_versions, names_of
from reconciler.merging.trees import Conflict
from reconciler.merging.versions import Surroundings
from reconciler.policy.sources import FOLDER, TARGETS_FILE
from reconciler.pysops.binary.replacing import replace_file


MERGED: Final = 0
CONFLICT: Final = 1

_DEFAULT_MARKER_SIZE: Final = 7
"""Git's, where no attribute says otherwise."""

_VIRTUAL: Final = b"# A merge of merge bases that did not come together; see docs/merging.md of the reconciler.\n"
"""What stands for a common ancestor that is itself a merge with conflicts: it is no scope file, so that every
difference from it becomes a conflict. Our side's file would make one side's change look as if it had always been."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What git hands over: ``%O %A %B``."""

    base: Path
    """Empty when both sides made the file."""

    ours: Path
    theirs: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a driver has done."""

    exit_code: int
    lines: tuple[str, ...]
    """For people; git shows them."""


def drive(
    top: Path,
    files: Files,
    path: str,
    *,
    environ: Mapping[str, str],
    home: Path,
    now: datetime,
    marker_size: int = _DEFAULT_MARKER_SIZE,
) -> Told:
    """Merge three files into that of our side.

    Args:
        top: of the work tree, where git starts drivers.
        files: see there.
        path: of the file that is merged, from ``top``: ``%P``.
        environ: where identities are.
        home: where the default key file is looked for.
        now: what the file will say of when it was changed; aware.
        marker_size: ``%L``. Git makes it larger while it merges several common ancestors into one.

    Raises:
        ReconcilerError: a file cannot be read or written. That of our side is as it was.
    """
    three = Three(base=_read(files.base) or None, ours=_read(files.ours), theirs=_read(files.theirs))
    root, below = _split(top, path)
    if below == TARGETS_FILE or not any(map(_is_encrypted, (three.ours, three.theirs))):
        return Told(exit_code=unmerged.merge_lines(top, files.ours, files.base, files.theirs, marker_size), lines=())
    outcome = merge_versions(below, three, around := Surroundings(root, environ, home), now=now)
    if outcome.data is not None:
        if outcome.data != three.ours:
            _replace(files.ours, three.ours, outcome.data)
        return Told(exit_code=MERGED, lines=remarks(path, outcome))
    if marker_size > _DEFAULT_MARKER_SIZE and _is_virtual(top, path, marker_size):
        _replace(files.ours, three.ours, _VIRTUAL)
        return Told(exit_code=CONFLICT, lines=())
    folder = path.removesuffix(below).rstrip("/")
    return Told(exit_code=CONFLICT, lines=(*remarks(path, outcome), *complaint(path, outcome, around, folder=folder)))


def _read(path: Path) -> bytes:
    try:
        return pysops.read_file(path)
    except pysops.SopsError as error:
        failure = error
    raise _failed(path, failure)


def _replace(path: Path, before: bytes, after: bytes) -> None:
    try:
        replace_file(path, before, after)
    except pysops.SopsError as error:
        failure = error
    else:
        return
    raise _failed(path, failure)


def _failed(path: Path, failure: pysops.SopsError) -> ReconcilerError:
    """Return an error about one of the files that git made; raised where ``failure`` is not its context."""
    return ReconcilerError(f"{escaped(path.name)}: {failure.what}", advice=failure.advice)


def _split(top: Path, path: str) -> tuple[Path, str]:
    """Return the directory of the run, and the path of a file from there.

    Raises:
        UsageError: the path leads to nothing below a ``secrets/``.
    """
    parts = PurePosixPath(path).parts
    places = [index for index, part in enumerate(parts[:-1]) if part == FOLDER]
    if not places or ".." in parts or path.startswith("/"):
        raise UsageError(f"{escaped(path)} is not below {FOLDER}/", advice="see docs/merging.md for .gitattributes")
    # Folders within may be called the same: the one that has a targets.yaml counts, and else the first.
    at = next((index for index in places if top.joinpath(*parts[:index], TARGETS_FILE).is_file()), places[0])
    return top.joinpath(*parts[:at]), "/".join(parts[at:])


_METADATA: Final = re.compile(rb"^[\"']?sops[\"']?[ \t]*:", re.MULTILINE)


def _is_encrypted(data: bytes) -> bool:
    """Tell whether a version is a file of sops, also a damaged one: such a one must not be merged by lines."""
    return _METADATA.search(data) is not None


def _is_virtual(top: Path, path: str, marker_size: int) -> bool:
    """Tell whether common ancestors are being merged, as the markers are larger than an attribute has them."""
    try:
        usual = unmerged.marker_size(top, path)
    except Refused:
        usual = None
    return marker_size > (usual or _DEFAULT_MARKER_SIZE)


def remarks(path: str, outcome: Outcome) -> tuple[str, ...]:
    """Return what whoever merges should know all the same, as lines."""
    return tuple(f"{escaped(path)}: {remark}" for remark in outcome.remarks)


def complaint(path: str, outcome: Outcome, around: Surroundings, *, folder: str = "") -> tuple[str, ...]:
    """Return why a file was not merged, and what to do, as lines.

    Args:
        path: of the file, as its reader would name it.
        outcome: without a merged file.
        around: for the names of targets.
        folder: path to the directory of the run from where its reader stands; empty when they stand there.
    """
    shown = escaped(path)
    again = f"reconciler {f'-C {_quoted(folder)} ' if folder else ''}merge {_quoted(path)}"
    if outcome.problems:
        advice = f"{'get a key that opens it' if outcome.needs_key else 'put it right'}, then: {again}"
        return (*(_line(path, problem) for problem in outcome.problems), f"{shown}: left as it is in ours; {advice}")
    count = len(outcome.conflicts)
    return (
        f"{shown}: {count} conflict{'s' if count > 1 else ''}; the file is left as it is in ours",
        *table(outcome.conflicts, around),
        f"solve: {again} --ours NAME --theirs NAME   (each as often as needed; or --all-ours, --all-theirs)",
    )


def table(conflicts: Sequence[Conflict], around: Surroundings) -> tuple[str, ...]:
    """Return conflicts as lines: place, what each side did."""
    rows = [(escaped(names_of(around, conflict)[0]), conflict.what) for conflict in conflicts]
    width = max((len(name) for name, _ in rows), default=0)
    return tuple(f"  {name:<{width}}  {what}" for name, what in rows)


def _line(path: str, problem: Problem) -> str:
    place = ":".join(str(part) for part in (escaped(path), problem.line, problem.column) if part is not None)
    return f"{place}: {problem.text}"


def _quoted(path: str) -> str:
    return shlex.quote(escaped(path))
