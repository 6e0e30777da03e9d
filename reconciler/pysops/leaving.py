"""What may leave pysops when something fails: our own words, and nothing in which a value could be found.

Errors go far: into logs, and to crash reporters that print the local variables of every frame and follow what an error
was raised from. The frames below a public function hold the file, values and the data key, and the errors of codecs
and parsers hold what they stumbled over. So errors of ours leave without frames and causes, and others not at all.
"""

import functools
from collections.abc import Callable
from pathlib import PurePath
from typing import ParamSpec, TypeVar

from reconciler.pysops.errors import DecryptionError, SopsError


_P = ParamSpec("_P")
_T = TypeVar("_T")

Leaving = SopsError | KeyboardInterrupt | SystemExit | GeneratorExit
"""What leaves as it is, but for its frames: errors of ours, and what is no error."""


_E = TypeVar("_E", bound=BaseException)


def bare(error: _E) -> _E:
    """Return an error without its frames, and without what it was raised from."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def fit_to_leave(error: BaseException) -> Leaving:
    """Return what may leave in the place of an error.

    Returns:
        The same, without its frames and what it was raised from, if it is ours or none. Of anything else, which is a
        defect or a lack of memory, the kind and the place: its text may quote a value. Also of what is no `Exception`,
        as a panic of Rust code is.
    """
    if isinstance(error, Leaving):
        return bare(error)
    if isinstance(error, MemoryError):
        return DecryptionError("there is not enough memory for the file")
    place, line = "?", 0
    step = error.__traceback__
    while step is not None:
        place, line = PurePath(step.tb_frame.f_code.co_filename).name, step.tb_lineno
        step = step.tb_next
    return DecryptionError(
        f"an unexpected {type(error).__name__} at {place}:{line}",
        advice="this is a defect of the program: please report it",
    )


def frameless(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Let nothing leave a function or method but what is `fit_to_leave`, without its frames and its arguments.

    For whatever others may call with a file or with keys in its arguments.
    """

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        failure: BaseException
        try:
            return function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001  # an interrupt has frames as well
            failure = fit_to_leave(error)
            if isinstance(error, TypeError) and error.__traceback__ is not None and not error.__traceback__.tb_next:
                failure = TypeError(f"{function.__qualname__} does not take these arguments")  # it has not begun
        del args, kwargs
        try:
            raise failure
        finally:
            del failure  # it holds this frame, which would hold it

    return call
