"""The text of an edit: what is wrong with it that shows before it is encrypted, and where problems stand in it.

Problems are found in what the text is encrypted to, where a value takes one line whatever its length. Whoever edits
wants to know the line of the text.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, assert_never

from reconciler import pysops
from reconciler.errors import InvalidInput, Problem
from reconciler.pysops import Document, Mapping, Mark, Node, Scalar, ScalarKind, Sequence, SopsError


_SECRETS: Final = "secrets"
_SOPS: Final = "sops"

_Step = str | int
_Place = tuple[tuple[_Step, ...], bool]
"""The way to a node from the root, and whether its key is meant instead of itself."""


def read_text(file: str, text: bytes) -> Document:
    """Return the tree of an edited text.

    Args:
        file: which file it will be, as in `Sources.files`.
        text: the text.

    Raises:
        InvalidInput: It is no YAML that is read, has metadata of sops, or values that are no text. Quotes nothing.
    """
    try:
        document = pysops.parse(text)
    except SopsError as error:
        failure = error
    else:
        if problems := tuple(_problems(file, document)):
            raise InvalidInput(problems)
        return document
    raise InvalidInput((_problem(file, failure.mark, failure.what, failure.expected, failure.advice),))


def _problems(file: str, document: Document) -> Iterator[Problem]:
    for entry in document.root.entries:
        if entry.key.text == _SOPS:
            yield _problem(
                file, entry.key.mark, "the text has metadata of sops", "text without it", "it is added when it is saved"
            )
        elif entry.key.text == _SECRETS:
            for value in _scalars(entry.value):
                # As what it looks like would be lost in encryption, and 0123 is not 83.
                if value.kind not in (ScalarKind.STR, ScalarKind.NULL):
                    yield _problem(
                        file, value.mark, "a value that is no text", 'text, as in "5432"', "put it in quotes"
                    )


def _scalars(node: Node) -> Iterator[Scalar]:
    match node:
        case Scalar():
            yield node
        case Mapping():
            for entry in node.entries:
                yield from _scalars(entry.value)
        case Sequence():
            for item in node.items:
                yield from _scalars(item)
        case _:
            assert_never(node)


def _problem(file: str, mark: Mark | None, what: str, expected: str | None, advice: str | None) -> Problem:
    line, column = (None, None) if mark is None else (mark.line, mark.column)
    return Problem(path=file, line=line, column=column, what=what, expected=expected, advice=advice)


def in_text(problems: Iterable[Problem], file: str, *, sealed: Document, text: Document) -> tuple[Problem, ...]:
    """Return problems with the places of ``file`` as they are in the text.

    Args:
        problems: of any files.
        file: which of them was edited.
        sealed: what the text was encrypted to.
        text: the text.
    """
    places = dict(_marks(sealed.root, ()))
    by_place = {place: mark for mark, place in _marks(text.root, ())}

    def moved(problem: Problem) -> Problem:
        if problem.path != file or problem.line is None or problem.column is None:
            return problem
        place = places.get(Mark(line=problem.line, column=problem.column))
        mark = None if place is None else by_place.get(place)
        return replace(problem, line=mark.line if mark else None, column=mark.column if mark else None)

    return tuple(map(moved, problems))


def _marks(node: Node, way: tuple[_Step, ...]) -> Iterator[tuple[Mark, _Place]]:
    """Yield the places of nodes and keys. A mapping begins where its first key does: keys come last, and count."""
    yield node.mark, (way, False)
    match node:
        case Scalar():
            pass
        case Mapping():
            for entry in node.entries:
                yield from _marks(entry.value, (*way, entry.key.text))
                yield entry.key.mark, ((*way, entry.key.text), True)
        case Sequence():
            for step, item in enumerate(node.items):
                yield from _marks(item, (*way, step))
        case _:
            assert_never(node)
