"""What our reader and the real sops make of the same bytes, and whether that is the same."""

import base64
import json
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import yaml

from reconciler import pysops
from reconciler.pysops.scalars import kind_of, plain_value
from tests.pysops.strictness import reason_of
from tests.support.sops_tool import SopsFailed, SopsTool


_OUTPUT_FAILED: Final = 4
"""Exit code of a sops that has read the file and cannot write it: JSON has no infinity."""

_EXPECTED_CODES: Final[tuple[tuple[type[pysops.SopsError], int], ...]] = (
    (pysops.NoIdentity, 128),
    (pysops.MacMismatch, 51),
    (pysops.TamperedValue, 25),
    (pysops.MetadataError, 1),
    (pysops.DocumentError, 1),
)
"""Which refusals should meet: for information, as sops and we do not look at everything in the same order."""

_MOST_SHOWN: Final = 400


@dataclass(slots=True)
class Tally:
    """What a number of comparisons came to."""

    documents: int = 0
    mutants: int = 0
    unchanged: int = 0
    """Mutants that are the file itself, as there was nothing to change: not compared again."""

    read_by_both: int = 0
    """Mutants that both read, with the same values."""

    not_compared: int = 0
    """Of these, those the values of which sops could not tell, see `is_same`."""

    refused_by_both: int = 0
    selected_by_comment: int = 0
    """Documents that only sops reads, as it has to be."""

    stricter: Counter[str] = field(default_factory=Counter)
    """Mutants that only we refuse, by reason."""

    other_class: Counter[str] = field(default_factory=Counter)
    """Mutants that both refuse, in another way than one would think."""

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            documents=self.documents + other.documents,
            mutants=self.mutants + other.mutants,
            unchanged=self.unchanged + other.unchanged,
            read_by_both=self.read_by_both + other.read_by_both,
            not_compared=self.not_compared + other.not_compared,
            selected_by_comment=self.selected_by_comment + other.selected_by_comment,
            refused_by_both=self.refused_by_both + other.refused_by_both,
            stricter=self.stricter + other.stricter,
            other_class=self.other_class + other.other_class,
        )


@dataclass(frozen=True, slots=True)
class ToldInYaml:
    """What sops reads, where its JSON cannot hold it: an infinity, or NaN."""

    value: object
    """None where its YAML is none: it cannot write each text of several lines (3.13.3)."""


class Difference(AssertionError):
    """Our reader and sops differ, and no reason is known."""


def compare(file: bytes, identities: str, sops: SopsTool, tally: Tally) -> None:
    """Read a mutant with both.

    Args:
        file: the mutant.
        identities: one or several, a line each.
        sops: the judge.
        tally: where to count the outcome.

    Raises:
        Difference: they differ, other than by us being stricter for a known reason.
    """
    tally.mutants += 1
    refusal = None
    ours: object = None
    try:
        ours = pysops.load(file, pysops.Identities.from_text(identities, "test"))
    except pysops.SopsError as error:
        refusal = error
    try:
        theirs = reading_of(file, identities, sops)
    except SopsFailed as failure:
        if refusal is None:
            raise Difference(f"only we read it: {_shown(ours)}; sops: {failure}") from None
        tally.refused_by_both += 1
        _count_class(refusal, failure, tally)
        return
    if refusal is None:
        same = is_same(ours, theirs)
        tally.not_compared += same is None
        if same is False:
            raise Difference(f"we read {_shown(ours)}, sops {_shown(theirs)}")
        tally.read_by_both += 1
        return
    reason = reason_of(refusal, file)
    if reason is None:
        raise Difference(f"only sops reads it: {_shown(theirs)}; we: {type(refusal).__name__}: {refusal.what}")
    tally.stricter[reason] += 1


def _count_class(refusal: pysops.SopsError, failure: SopsFailed, tally: Tally) -> None:
    expected = next((code for kind, code in _EXPECTED_CODES if isinstance(refusal, kind)), None)
    if failure.exit_code != expected:
        tally.other_class[f"sops exits with {failure.exit_code}; {type(refusal).__name__}: {refusal.what}"] += 1


def reading_of(file: bytes, identities: str, sops: SopsTool) -> object:
    """Return what sops reads: as its JSON tells it, or its YAML where JSON cannot hold it.

    Raises:
        SopsFailed: it refuses the file.
    """
    try:
        return json.loads(sops.decrypt(file, identities, output_type="json"))
    except SopsFailed as failure:
        if failure.exit_code != _OUTPUT_FAILED:
            raise
    text = sops.decrypt(file, identities)
    try:
        return ToldInYaml(_value_of(yaml.compose(text, Loader=yaml.CSafeLoader)))
    except yaml.YAMLError:
        return ToldInYaml(None)


def _value_of(node: yaml.Node | None) -> object:
    match node:
        case yaml.MappingNode():
            return {key.value: _value_of(below) for key, below in node.value}
        case yaml.SequenceNode():
            return [_value_of(item) for item in node.value]
        case yaml.ScalarNode(tag="tag:yaml.org,2002:binary"):
            return base64.b64decode(node.value)
        case yaml.ScalarNode():
            text: str = node.value
            return text if node.style else plain_value(text, kind_of(text))
        case _:
            raise AssertionError(node)


def is_same(ours: object, theirs: object) -> bool | None:
    """Tell whether values are those that `reading_of` returns; None where that cannot be told.

    That is where sops tells them in YAML and there is a text of several lines: what it writes of some is legible, and
    another text (3.13.3).
    """
    if not isinstance(theirs, ToldInYaml):
        return as_told(ours) == as_told(theirs)
    if theirs.value is None or "\\n" in repr(ours):
        return None
    return as_told(ours) == as_told(theirs.value)


def exact(value: object) -> object:
    """Return ``value`` so that ``==`` tells apart 1, 1.0 and true, and 0.0 and -0.0, and finds NaN equal to itself."""
    match value:
        case dict():
            return [(key, exact(below)) for key, below in value.items()]
        case list():
            return [exact(item) for item in value]
        case float():
            return ("float", "nan" if math.isnan(value) else value.hex())
        case _:
            return (type(value).__name__, value)


def as_told(value: object) -> object:
    """Return ``value`` so that ``==`` compares what sops tells.

    It writes 5.0 as 5, in JSON rounded beyond 2**53, and there one U+FFFD for each byte that is not UTF-8.
    """
    match value:
        case dict():
            return [(key, as_told(below)) for key, below in value.items()]
        case list():
            return [as_told(item) for item in value]
        case bytes():
            text = value.decode(errors="surrogateescape")
            return ("str", "".join("\ufffd" if "\udc80" <= character <= "\udcff" else character for character in text))
        case int() | float() if not isinstance(value, bool):
            return ("number", "nan" if math.isnan(value) else float(value))
        case _:
            return (type(value).__name__, value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) < _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
